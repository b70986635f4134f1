/*
 * The algorithm "grouped", for every problem: it takes the cheapest of the ways to compute a matrix product per
 * group, which are also algorithms of their own: "grouped-pixels" and "grouped-outputs", which serve almost every
 * correlation, and "grouped-packed", im2col + GEMM, cut into blocks of outputs and cells, which serves all. It must
 * not know padding modes or instruction sets.
 */
#include "../platform/threads.h"
#include "fold.h"
#include "gemm.h"
#include "product.h"
#include "weight_gradient.h"

enum { WHOLE = 4096 }; /* each part packs weights anew, so all at once is best; see fold.h */

/* Outputs of a group of a correlation. */
static int64_t outputs(const cgc_geometry *s, cgconv_pass pass) { return pass == CGCONV_FORWARD ? s->f : s->cg; }

static int packed_supports(const cgc_geometry *geometry, const cgc_kernels *kernels, cgconv_pass pass) {
    (void)geometry, (void)kernels;
    return pass != CGCONV_BACKWARD_WEIGHT;
}

static cgc_booking book_blocks(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass, int threads) {
    const cgc_block block = cgc_block_of(kernels, outputs(s, pass));
    (void)threads;
    return (cgc_booking){0, cgc_gemm_workspace(&block, s->size)};
}

/* How a pass is cut into tasks: image, correlation, group, block of outputs, block of cells. */
typedef struct division {
    const cgc_run *run;
    cgc_block block;
    int64_t correlations, m_blocks, cell_blocks;
} division;

/* The sums of `cells` cells from e0 on of output m, to where they belong. */
static void store_cells(const cgc_kernels *kernels, const cgc_correlation *c, char *destination, const char *sums,
                        int64_t e0, int64_t cells) {
    const ptrdiff_t size = c->source.size;
    int64_t i = e0 / c->cols, j = e0 % c->cols;
    for (int64_t done = 0, run; done < cells; done += run, i++, j = 0) {
        run = cgc_min(c->cols - j, cells - done);
        kernels->store(cgc_at(destination, i * c->d_row + j * c->d_col, size), c->d_col, cgc_at(sums, done, size),
                       run, c->lo, c->hi);
    }
}

static void correlate_block(void *context, int64_t task, int thread) {
    const division *cut = context;
    const cgc_run *run = cut->run;
    const cgc_geometry *s = run->geometry;
    const int64_t cell_block = task % cut->cell_blocks, m_block = task / cut->cell_blocks % cut->m_blocks;
    const int64_t rest = task / cut->cell_blocks / cut->m_blocks, g = rest % s->g;
    const cgc_correlation c = cgc_correlation_at(s, run->pass, rest / s->g % cut->correlations);
    const cgc_image image = cgc_image_at(run, rest / s->g / cut->correlations);

    const int64_t m0 = m_block * cut->block.m, m = cgc_min(cut->block.m, c.m - m0);
    const int64_t e0 = cell_block * cut->block.cells, cells = cgc_min(cut->block.cells, c.rows * c.cols - e0);
    if (cells <= 0) return; /* later phases may have fewer cells than the first */
    const char *sums = cgc_gemm_block(run->kernels, &cut->block, &c, &image, g, m0, m, e0, cells,
                                      run->local + (size_t)thread * run->local_size);
    for (int64_t i = 0; i < m; i++) {
        char *destination = cgc_at(image.destination, c.d0 + g * c.d_group + (m0 + i) * c.d_m, s->size);
        store_cells(run->kernels, &c, destination, cgc_at(sums, i * cut->block.cells, s->size), e0, cells);
    }
}

static void run_blocks(const cgc_run *run) {
    const cgc_geometry *s = run->geometry;
    division cut = {.run = run, .block = cgc_block_of(run->kernels, outputs(s, run->pass))};
    cut.correlations = cgc_correlation_count(s, run->pass);
    cut.m_blocks = cgc_ceil_div(outputs(s, run->pass), cut.block.m);
    cut.cell_blocks = cgc_ceil_div(cgc_correlation_cells(s, run->pass), cut.block.cells);
    cgc_parallel(run->threads, s->n * cut.correlations * s->g * cut.m_blocks * cut.cell_blocks, correlate_block,
                 &cut);
}

static const cgc_unfolded by_blocks = {WHOLE, 0, NULL, book_blocks, run_blocks};

static cgc_booking packed_book(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass, int threads) {
    return cgc_folded_book(s, kernels, pass, threads, &by_blocks);
}
static void packed_run(const cgc_run *run) { cgc_folded_run(run, &by_blocks); }

/* ---- products whose sums stay in registers --------------------------------------------------------------------- */

static int pixels_supports(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass) {
    (void)kernels;
    return pass == CGCONV_BACKWARD_WEIGHT || cgc_product_serves(s, pass);
}
static int outputs_supports(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass) {
    return pass == CGCONV_BACKWARD_WEIGHT ? cgc_outputs_feed_serves(s, kernels) : cgc_product_serves(s, pass);
}

static cgc_feed feed_of(const cgc_geometry *s, const cgc_kernels *kernels, cgc_product_kind kind) {
    return kind == CGC_BY_PIXELS ? cgc_pixels_feed(s, kernels) : cgc_outputs_feed(s, kernels);
}

static cgc_booking book_pixels(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass, int threads) {
    return cgc_product_book(s, kernels, CGC_BY_PIXELS, pass, threads);
}
static cgc_booking book_outputs(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass, int threads) {
    return cgc_product_book(s, kernels, CGC_BY_OUTPUTS, pass, threads);
}
static void run_pixels(const cgc_run *run) { cgc_product_run(run, CGC_BY_PIXELS); }
static void run_outputs(const cgc_run *run) { cgc_product_run(run, CGC_BY_OUTPUTS); }

static const cgc_unfolded unfolded[] = {
    [CGC_BY_PIXELS] = {WHOLE, 0, cgc_product_serves, book_pixels, run_pixels},
    [CGC_BY_OUTPUTS] = {WHOLE, 0, cgc_product_serves, book_outputs, run_outputs},
};

static cgc_booking product_book(const cgc_geometry *s, const cgc_kernels *kernels, cgc_product_kind kind,
                                cgconv_pass pass, int threads) {
    if (pass != CGCONV_BACKWARD_WEIGHT) return cgc_folded_book(s, kernels, pass, threads, &unfolded[kind]);
    const cgc_feed feed = feed_of(s, kernels, kind);
    return cgc_weight_gradient_book(s, &feed, threads);
}

static cgc_booking pixels_book(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass, int threads) {
    return product_book(s, kernels, CGC_BY_PIXELS, pass, threads);
}
static cgc_booking outputs_book(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass, int threads) {
    return product_book(s, kernels, CGC_BY_OUTPUTS, pass, threads);
}

static void product_run(const cgc_run *run, cgc_product_kind kind) {
    if (run->pass != CGCONV_BACKWARD_WEIGHT) {
        cgc_folded_run(run, &unfolded[kind]);
        return;
    }
    const cgc_feed feed = feed_of(run->geometry, run->kernels, kind);
    cgc_weight_gradient(run, &feed);
}

static void pixels_run(const cgc_run *run) { product_run(run, CGC_BY_PIXELS); }
static void outputs_run(const cgc_run *run) { product_run(run, CGC_BY_OUTPUTS); }

static cgc_packing pixels_packing(const cgc_geometry *s, const cgc_kernels *kernels) {
    return cgc_product_packing(s, kernels, CGC_BY_PIXELS);
}
static cgc_packing outputs_packing(const cgc_geometry *s, const cgc_kernels *kernels) {
    return cgc_product_packing(s, kernels, CGC_BY_OUTPUTS);
}

static void pixels_pack(const cgc_geometry *s, const cgc_kernels *kernels, int threads, const char *weight,
                        char *packed) {
    cgc_product_pack(s, kernels, CGC_BY_PIXELS, threads, weight, packed);
}
static void outputs_pack(const cgc_geometry *s, const cgc_kernels *kernels, int threads, const char *weight,
                         char *packed) {
    cgc_product_pack(s, kernels, CGC_BY_OUTPUTS, threads, weight, packed);
}

const cgc_algorithm cgc_grouped_pixels = {
    "grouped-pixels", pixels_supports, pixels_book, pixels_run, pixels_packing, pixels_pack,
};
const cgc_algorithm cgc_grouped_outputs = {
    "grouped-outputs", outputs_supports, outputs_book, outputs_run, outputs_packing, outputs_pack,
};
const cgc_algorithm cgc_grouped_packed = {"grouped-packed", packed_supports, packed_book, packed_run, NULL, NULL};

/* ---- the choice ------------------------------------------------------------------------------------------------ */

static const cgc_algorithm *choose(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass) {
    const int pixels = pixels_supports(s, kernels, pass), outs = outputs_supports(s, kernels, pass);
    if (!pixels || !outs) return pixels ? &cgc_grouped_pixels : outs ? &cgc_grouped_outputs : &cgc_grouped_packed;
    const int gradient = pass == CGCONV_BACKWARD_WEIGHT;
    const double by_pixels = gradient ? cgc_pixels_feed_cost(s, kernels)
                                      : cgc_product_cost(s, kernels, CGC_BY_PIXELS, pass);
    const double by_outputs = gradient ? cgc_outputs_feed_cost(s, kernels)
                                       : cgc_product_cost(s, kernels, CGC_BY_OUTPUTS, pass);
    return by_pixels <= by_outputs ? &cgc_grouped_pixels : &cgc_grouped_outputs;
}

static int supports(const cgc_geometry *geometry, const cgc_kernels *kernels, cgconv_pass pass) {
    (void)geometry, (void)kernels, (void)pass;
    return 1;
}

static cgc_booking book(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass, int threads) {
    return choose(s, kernels, pass)->book(s, kernels, pass, threads);
}

static void run_grouped(const cgc_run *run) { choose(run->geometry, run->kernels, run->pass)->run(run); }

static cgc_packing packing(const cgc_geometry *s, const cgc_kernels *kernels) {
    const cgc_algorithm *chosen = choose(s, kernels, CGCONV_FORWARD);
    return chosen->packing ? chosen->packing(s, kernels) : (cgc_packing){0, 0};
}

static void pack(const cgc_geometry *s, const cgc_kernels *kernels, int threads, const char *weight, char *packed) {
    choose(s, kernels, CGCONV_FORWARD)->pack(s, kernels, threads, weight, packed);
}

const cgc_algorithm cgc_grouped = {"grouped", supports, book, run_grouped, packing, pack};
