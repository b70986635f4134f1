/* A block of a correlation by matrix product, see gemm.h. */
#include "gemm.h"

#include "../platform/memory.h"

enum { OUTPUTS = 64, CELLS = 128, TERMS = 128 };

static int64_t round_up(int64_t a, int64_t b) { return cgc_ceil_div(a, b) * b; }

cgc_block cgc_block_of(const cgc_kernels *kernels, int64_t outputs) {
    const cgc_block block = {
        .m = round_up(cgc_min(outputs, OUTPUTS), kernels->mr),
        .cells = round_up(CELLS, kernels->nr),
        .k = TERMS,
    };
    return block;
}

/* The workspace: offsets of the panel's rows, packed weights, the panel, the sums. */
typedef struct parts {
    size_t weights, panel, sums, end;
} parts;

static parts parts_of(const cgc_block *block, ptrdiff_t size) {
    parts at;
    at.weights = cgc_round_up((size_t)block->k * sizeof(ptrdiff_t));
    at.panel = at.weights + cgc_round_up((size_t)(block->m * block->k * size));
    at.sums = at.panel + cgc_round_up((size_t)(block->k * block->cells * size));
    at.end = at.sums + cgc_round_up((size_t)(block->m * block->cells * size));
    return at;
}

size_t cgc_gemm_workspace(const cgc_block *block, ptrdiff_t size) { return parts_of(block, size).end; }

/* Terms k0 .. k0+k-1 of outputs m0 .. m0+m-1 as the kernel wants them: tile by tile, [k][mr], missing outputs 0. */
static void pack_weights(const cgc_kernels *kernels, const cgc_correlation *c, const char *weight, int64_t m0,
                         int64_t m, int64_t k0, int64_t k, char *packed) {
    const ptrdiff_t size = c->source.size;
    for (int64_t tile = 0; tile < m; tile += kernels->mr) {
        const int64_t rows = cgc_min(kernels->mr, m - tile);
        cgc_term term = cgc_term_at(c, k0);
        for (int64_t i = 0; i < k; i++, cgc_next_term(c, &term)) {
            kernels->gather(packed, cgc_at(weight, cgc_term_weight(c, &term) + (m0 + tile) * c->w_m, size), c->w_m,
                            rows);
            if (rows < kernels->mr) kernels->fill(cgc_at(packed, rows, size), 0, kernels->mr - rows);
            packed = cgc_at(packed, kernels->mr, size);
        }
    }
}

/* The source cells under a term, of `cells` output cells from e0 on. */
static void fetch_term(const cgc_kernels *kernels, const cgc_correlation *c, int down, const char *plane,
                       const cgc_term *term, int64_t e0, int64_t cells, char *y) {
    const ptrdiff_t size = c->source.size;
    const int64_t r0 = c->r0 + term->u * c->r_u, c0 = c->c0 + term->v * c->c_v, length = down ? c->rows : c->cols;
    cgc_plane turned = c->source;
    turned.h = c->source.w, turned.w = c->source.h, turned.row = c->source.col, turned.col = c->source.row;
    int64_t line = e0 / length, at = e0 % length;
    for (int64_t done = 0, run; done < cells; done += run, line++, at = 0) {
        run = cgc_min(length - at, cells - done);
        if (down)
            cgc_fetch(kernels, &turned, plane, c0 + line * c->c_j, r0 + at * c->r_i, c->r_i, run,
                      cgc_at(y, done, size));
        else
            cgc_fetch(kernels, &c->source, plane, r0 + line * c->r_i, c0 + at * c->c_j, c->c_j, run,
                      cgc_at(y, done, size));
    }
}

/* The source cells under terms k0 .. k0+k-1 of `cells` output cells from e0 on: [k][width], the rest of a row 0. */
static void pack_panel(const cgc_kernels *kernels, const cgc_correlation *c, int down, const char *source, int64_t k0,
                       int64_t k, int64_t e0, int64_t cells, int64_t width, char *panel) {
    const ptrdiff_t size = c->source.size;
    cgc_term term = cgc_term_at(c, k0);
    for (int64_t t = 0; t < k; t++, cgc_next_term(c, &term), panel = cgc_at(panel, width, size)) {
        fetch_term(kernels, c, down, cgc_at(source, term.plane * c->s_plane, size), &term, e0, cells, panel);
        if (cells < width) kernels->fill(cgc_at(panel, cells, size), 0, width - cells);
    }
}

char *cgc_gemm_block(const cgc_kernels *kernels, const cgc_block *block, const cgc_correlation *c,
                     const cgc_image *image, int64_t g, int64_t m0, int64_t m, int64_t e0, int64_t cells,
                     char *workspace) {
    const ptrdiff_t size = c->source.size;
    const parts at = parts_of(block, size);
    const int64_t terms = c->planes * c->ku * c->kv, width = round_up(cells, kernels->nr);
    const char *source = cgc_at(image->source, g * c->s_group, size);
    const char *weight = cgc_at(image->weight, g * c->w_group, size);
    ptrdiff_t *offsets = (ptrdiff_t *)workspace;
    char *sums = workspace + at.sums;

    for (int64_t i = 0; i < block->k; i++) offsets[i] = (ptrdiff_t)(i * width);
    for (int64_t i = 0; i < round_up(m, kernels->mr); i++) {
        char *row = cgc_at(sums, i * block->cells, size);
        if (i < m && image->bias)
            kernels->gather(row, cgc_at(image->bias, g * c->m + m0 + i, size), 0, width);
        else
            kernels->fill(row, 0, width);
    }
    for (int64_t k0 = 0; k0 < terms; k0 += block->k) {
        const int64_t k = cgc_min(block->k, terms - k0);
        pack_weights(kernels, c, weight, m0, m, k0, k, workspace + at.weights);
        pack_panel(kernels, c, block->down, source, k0, k, e0, cells, width, workspace + at.panel);
        for (int64_t p = 0; p < width; p += kernels->nr)
            for (int64_t tile = 0; tile < m; tile += kernels->mr)
                kernels->gemm(k, cgc_at(workspace + at.weights, tile * k, size),
                              cgc_at(workspace + at.panel, p, size), offsets,
                              cgc_at(sums, tile * block->cells + p, size), block->cells);
    }
    return sums;
}
