/* Running products, see product.h: feeding the kernels, and taking their results where they belong. */
#include "product.h"

#include "../platform/memory.h"
#include "../platform/threads.h"
#include "product_division.h"
#include "product_inside.h"

enum {
    TURNED = 32,        /* outputs of a group whose results are turned together, at most */
    NEXT_BYTES = 65536, /* of the next group's source, that are called for */
};

/* A task at work. */
typedef struct part {
    const cgc_division *cut;
    cgc_image image;
    int64_t tile;
    int64_t g0, groups; /* the first of them, how many */
    int64_t g;         /* the one at work; by pixels all are, and this is the first */
    int64_t i, j;      /* the first row and column of the tile, in each phase */
    int64_t rows, cols, m0, m1; /* outputs m0 .. m1-1 */
    char *memory;      /* the thread's workspace */
    cgc_product_workspace at;
    cgc_product product; /* source, bounds: what all have in common */
    double bias[2 * CGC_LANES_F64]; /* of a block of outputs: two vectors of the dtype, aligned to it */
} part;

/* What a task does in one phase: the tile's rows and columns from i, j on that the phase has. */
typedef struct piece {
    const part *part;
    const cgc_phase *phase;
    const cgc_correlation *c;
    int64_t i, j, rows, cols;
} piece;

static piece piece_of(const part *p, int64_t row_phase, int64_t col_phase) {
    const cgc_phase *phase = &p->cut->phases[row_phase * p->cut->col_phases + col_phase];
    piece e = {.part = p, .phase = phase, .c = &phase->c, .i = p->i, .j = p->j};
    e.rows = cgc_max(0, cgc_min(p->rows, e.c->rows - p->i));
    e.cols = cgc_max(0, cgc_min(p->cols, e.c->cols - p->j));
    return e;
}

static cgc_product product_of(const piece *e) {
    cgc_product product = e->part->product;
    product.rows = e->rows, product.cols = e->cols;
    product.k = e->c->planes * e->c->ku * e->c->kv;
    product.off = e->phase->offsets;
    product.skips = e->phase->skips;
    product.taps = e->c->kv == 1 || e->c->c_v % e->c->c_j == 0 ? e->c->kv : 0;
    return product;
}

/* Where output m of row r of the piece goes. */
static char *destination(const piece *e, int64_t m, int64_t r) {
    const cgc_correlation *c = e->c;
    return cgc_at(e->part->image.destination,
                  c->d0 + e->part->g * c->d_group + m * c->d_m + (e->i + r) * c->d_row + e->j * c->d_col,
                  c->source.size);
}

/* The offset of each term, where it is read in place. */
static void set_offsets(const cgc_correlation *c, ptrdiff_t *offsets) {
    for (int64_t plane = 0; plane < c->planes; plane++)
        for (int64_t u = 0; u < c->ku; u++)
            for (int64_t v = 0; v < c->kv; v++)
                *offsets++ = (ptrdiff_t)(plane * c->s_plane + (c->r0 + u * c->r_u) * c->source.row +
                                         (c->c0 + v * c->c_v) * c->source.col);
}

/* The source of a tile, in its sheet. */
static void take_sheet(const part *p, cgc_product *product) {
    const cgc_division *cut = p->cut;
    int64_t *filled = (int64_t *)p->memory;
    product->x = cgc_at(p->memory + p->at.sheet, (p->g - p->g0) * cut->window.planes * cut->sheet.plane, cut->s.size);
    product->x_row = cut->sheet.pitch;
    product->x_col = 1;
    if (filled[2]) return;
    cgc_correlation all = cut->window;
    all.planes *= p->groups;
    cgc_sheet_fill(&cut->sheet, cut->kernels, &all, cgc_at(p->image.source, p->g0 * all.s_group, all.source.size), p->i,
                   p->rows, p->j, p->cols, *filled == p->tile && p->groups <= filled[1], p->memory + p->at.sheet,
                   filled + 3);
    filled[0] = p->tile, filled[1] = p->groups, filled[2] = 1;
}

/* Prepares the source for the tile. */
static void feed(part *p) {
    const cgc_correlation *c = &p->cut->window;
    if (!p->cut->in_place) {
        take_sheet(p, &p->product);
        return;
    }
    p->product.x_row = c->r_i * c->source.row;
    p->product.x_col = c->c_j * c->source.col;
    p->product.x = cgc_at(p->image.source, p->g * c->s_group + p->i * p->product.x_row + p->j * p->product.x_col,
                          c->source.size);
}

/* ---- vectors over pixels --------------------------------------------------------------------------------------- */

/* Outputs m0 .. m0+m-1 of the q-th group of the gang. */
static void set_pixels_weights(const piece *e, cgc_product *product, int64_t q, int64_t m0, int64_t m) {
    const part *p = e->part;
    const int64_t g = p->g + q;
    const char *w = cgc_weights_of_group(&e->phase->weights, e->c, p->image.weight, g, &product->w_m);
    product->w = cgc_at(w, m0 * product->w_m, e->c->source.size);
    product->w_k = 1;
    product->bias = p->image.bias ? cgc_at(p->image.bias, g * e->c->m + m0, e->c->source.size) : NULL;
    product->m = m;
    product->y_col = 1;
}

/* Straight to where they belong. */
static void pixels_home(const piece *e) {
    cgc_product product = product_of(e);
    set_pixels_weights(e, &product, 0, e->part->m0, e->part->m1 - e->part->m0);
    product.y = destination(e, e->part->m0, 0);
    product.y_m = e->c->d_m, product.y_row = e->c->d_row;
    e->part->cut->kernels->gemm_pixels(&product);
}

/* From where outputs m of the piece's rows from r on lie, [m][pixels], to their place, [pixels][m]. */
static void turn_pixels(const piece *e, int64_t m0, int64_t m, const char *from, int64_t r, int64_t rows) {
    const cgc_correlation *c = e->c;
    const int64_t pixels = rows * e->cols, run = c->d_row == e->cols * c->d_col ? pixels : e->cols;
    for (int64_t done = 0; done < pixels; done += run, r++)
        e->part->cut->kernels->transpose(m, run, cgc_at(from, done, c->source.size), pixels, destination(e, m0, r),
                                         c->d_col);
}

/* Through the scratch, [m of all groups][pixels]; groups that share it are turned whole. */
static void pixels_turned(const piece *e) {
    const part *p = e->part;
    const cgc_division *cut = p->cut;
    const int64_t m_all = p->m1 - p->m0, size = e->c->source.size;
    if (!e->rows || !e->cols) return;
    const int64_t most = cut->gang > 1 ? m_all : cgc_min(m_all, cgc_min(TURNED, cgc_scratch_outputs(cut)));
    const int64_t rows = cgc_max(1, CGC_SCRATCH_BYTES / (most * p->groups * size) / e->cols);
    cgc_product product = product_of(e);
    for (int64_t m0 = p->m0; m0 < p->m1; m0 += most)
        for (int64_t r = 0; r < e->rows; r += rows) {
            const int64_t m = cgc_min(most, p->m1 - m0);
            product.rows = cgc_min(rows, e->rows - r);
            product.y_row = product.cols, product.y_m = product.rows * product.cols;
            for (int64_t q = 0; q < p->groups; q++) {
                set_pixels_weights(e, &product, q, m0, m);
                product.x = cgc_at(p->product.x, q * e->c->planes * cut->sheet.plane + r * product.x_row, size);
                product.y = cgc_at(p->memory + p->at.scratch, q * m * product.y_m, size);
                cut->kernels->gemm_pixels(&product);
            }
            turn_pixels(e, m0, m * p->groups, p->memory + p->at.scratch, r, product.rows);
        }
}

/* The columns of all phases of a row, through the scratch, [phase][m][pixels]. */
static void pixels_woven(const part *p, int64_t row_phase) {
    const cgc_division *cut = p->cut;
    const piece first = piece_of(p, row_phase, 0);
    const int64_t m_all = p->m1 - p->m0, size = first.c->source.size, phases = cut->col_phases;
    const int64_t most = cgc_min(m_all, cgc_scratch_outputs(cut));
    const int64_t rows = cgc_max(1, CGC_SCRATCH_BYTES / (most * phases * size) / first.cols);
    for (int64_t m0 = p->m0; m0 < p->m1; m0 += most)
        for (int64_t r = 0; r < first.rows; r += rows) {
            const int64_t m = cgc_min(most, p->m1 - m0), high = cgc_min(rows, first.rows - r);
            const int64_t plane = high * first.cols;
            int64_t cols = 0;
            for (int64_t q = 0; q < phases; q++) {
                const piece e = piece_of(p, row_phase, q);
                cgc_product product = product_of(&e);
                set_pixels_weights(&e, &product, 0, m0, m);
                product.rows = high;
                product.x = cgc_at(product.x, r * product.x_row, size);
                product.y = cgc_at(p->memory + p->at.scratch, q * m * plane, size);
                product.y_row = first.cols, product.y_m = plane;
                cut->kernels->gemm_pixels(&product);
                cols += e.cols;
            }
            for (int64_t k = 0; k < m; k++)
                cut->kernels->weave(high, cols, cgc_at(p->memory + p->at.scratch, k * plane, size), first.cols,
                                    m * plane, phases, destination(&first, m0 + k, r), first.c->d_row);
        }
}

static void by_pixels(const part *p, int64_t row_phase) {
    const cgc_division *cut = p->cut;
    if (cut->s.yw == 1 && cut->col_phases > 1) {
        pixels_woven(p, row_phase);
        return;
    }
    for (int64_t q = 0; q < cut->col_phases; q++) {
        const piece e = piece_of(p, row_phase, q);
        if (cut->s.yw == 1)
            pixels_home(&e);
        else
            pixels_turned(&e);
    }
}

/* ---- vectors over outputs -------------------------------------------------------------------------------------- */

/* A block of outputs of a piece, to be multiplied. */
typedef struct block {
    cgc_product product;
    int finite; /* its weights are */
} block;

static block block_of(const piece *e, int64_t b) {
    const part *p = e->part;
    const cgc_division *cut = p->cut;
    const cgc_weight_blocks *weights = &e->phase->weights;
    block k = {.product = product_of(e)};
    cgc_product *product = &k.product;
    product->m = cgc_min(weights->m, e->c->m - b * weights->m);
    product->w = cgc_weight_block(weights, cut->kernels, e->c, p->image.weight, p->memory + p->at.weights, p->g, b,
                                  &k.finite);
    product->w_m = 1;
    product->w_k = cgc_ceil_div(product->m, cut->kernels->width) * cut->kernels->width;
    product->bias = p->bias;
    product->y_m = 1;
    return k;
}

/* Rows of the block, the first of which is row r of the piece. */
static void multiply(const piece *e, const block *k, const cgc_product *product, int64_t r) {
    const cgc_division *cut = e->part->cut;
    const ptrdiff_t size = e->c->source.size;
    if (!cut->inside) {
        cut->kernels->gemm_outputs(product);
        return;
    }
    cgc_product rest = *product, some;
    for (; rest.rows > 0; rest.rows -= some.rows, r += some.rows) {
        some = cgc_inside_terms(e->c, &rest, e->i + r, e->j);
        for (int a = 0; a < CGC_PRODUCT_AHEAD; a++) some.ahead[a].bytes = rest.ahead[a].bytes * some.rows / rest.rows;
        if (!k->finite || cut->kernels->gemm_outputs(&some)) {
            take_sheet(e->part, &some);
            some.x = cgc_at(some.x, r * some.x_row, size);
            some.off = e->phase->padded;
            some.planes = 0;
            cut->kernels->gemm_outputs(&some);
        }
        rest.x = cgc_at(rest.x, some.rows * rest.x_row, size);
        rest.y = cgc_at(rest.y, some.rows * rest.y_row, size);
        for (int a = 0; a < CGC_PRODUCT_AHEAD; a++)
            rest.ahead[a].at += some.ahead[a].bytes, rest.ahead[a].bytes -= some.ahead[a].bytes;
    }
}

/* Straight to where they belong, phase by phase. */
static void outputs_home(const part *p, int64_t row_phase, int64_t b) {
    for (int64_t q = 0; q < p->cut->col_phases; q++) {
        const piece e = piece_of(p, row_phase, q);
        block k = block_of(&e, b);
        k.product.y = destination(&e, b * e.phase->weights.m, 0);
        k.product.y_row = e.c->d_row, k.product.y_col = e.c->d_col;
        multiply(&e, &k, &k.product, 0);
    }
}

/* The source of the next group, where it is read in place and lies in one piece. */
static void set_next(const part *p, cgc_product *product) {
    const cgc_correlation *c = &p->cut->window;
    const int whole = c->source.col == 1 && c->source.row == c->source.w && c->s_plane == c->source.h * c->source.row;
    if (!p->cut->in_place || !whole || p->cut->row_tiles * p->cut->col_tiles > 1 || p->g + 1 == p->cut->s.g) return;
    product->ahead[1].at = cgc_at(p->image.source, (p->g + 1) * c->s_group, c->source.size);
    product->ahead[1].bytes = cgc_min(c->s_group * c->source.size, NEXT_BYTES);
}

/* Through the scratch, [pixels of all columns][whole vectors]. */
static void outputs_turned(const part *p, int64_t row_phase, int64_t b) {
    const cgc_kernels *kernels = p->cut->kernels;
    const piece first = piece_of(p, row_phase, 0);
    const int64_t m0 = b * first.phase->weights.m, phases = p->cut->col_phases;
    const ptrdiff_t size = first.c->source.size;
    piece pieces[CGC_MOST_PHASES];
    block blocks[CGC_MOST_PHASES];
    int64_t cols = 0;
    for (int64_t q = 0; q < phases; q++) {
        pieces[q] = piece_of(p, row_phase, q);
        blocks[q] = block_of(&pieces[q], b);
        cols += pieces[q].cols;
    }
    cgc_product *leader = &blocks[0].product;
    const ptrdiff_t width = leader->w_k;
    const int64_t m = leader->m, rows = cgc_max(1, CGC_SCRATCH_BYTES / (width * size) / cols);
    if (first.c->d_m == first.rows * cols) { /* where the results go, all in one piece */
        leader->ahead[0].at = destination(&first, m0, 0);
        leader->ahead[0].bytes = m * first.c->d_m * size;
    }
    if (m0 + m == first.c->m) set_next(p, leader);
    for (int64_t r = 0; r < first.rows; r += rows) {
        const int64_t high = cgc_min(rows, first.rows - r), pixels = high * cols;
        const int64_t run = first.c->d_row == cols ? pixels : cols;
        char *scratch = p->memory + p->at.scratch;
        for (int64_t q = 0; q < phases; q++) {
            cgc_product product = blocks[q].product;
            product.rows = high, product.m = width;
            product.x = cgc_at(product.x, r * product.x_row, size);
            product.y = cgc_at(scratch, q * width, size);
            product.y_col = phases * width, product.y_row = width * cols;
            multiply(&pieces[q], &blocks[q], &product, r);
        }
        for (int64_t done = 0, i = r; done < pixels; done += run, i++)
            kernels->transpose(run, m, cgc_at(scratch, done * width, size), width, destination(&first, m0, i),
                               first.c->d_m);
        for (int a = 0; a < CGC_PRODUCT_AHEAD; a++) leader->ahead[a].bytes = 0;
    }
}

/* Outputs that fill up a vector get 1, see cgc_inside_terms. */
static void set_bias(part *p, int64_t b) {
    const cgc_kernels *kernels = p->cut->kernels;
    const cgc_correlation *c = &p->cut->window;
    const int64_t most = p->cut->phases[0].weights.m, m0 = b * most, m = cgc_min(most, c->m - m0);
    kernels->fill(p->bias, 1, most);
    if (p->image.bias)
        kernels->gather(p->bias, cgc_at(p->image.bias, p->g * c->m + m0, c->source.size), 1, m);
    else
        kernels->fill(p->bias, 0, m);
}

static void by_outputs(part *p, int64_t row_phase, int64_t part_index) {
    const cgc_division *cut = p->cut;
    const int64_t blocks = cut->phases[0].weights.blocks, b1 = blocks * (part_index + 1) / cut->parts;
    for (int64_t b = blocks * part_index / cut->parts; b < b1; b++) {
        set_bias(p, b);
        if (cut->window.d_m == 1)
            outputs_home(p, row_phase, b);
        else
            outputs_turned(p, row_phase, b);
    }
}

/* ---- the run --------------------------------------------------------------------------------------------------- */

static void run_tile(void *context, int64_t task, int thread) {
    const cgc_division *cut = context;
    const cgc_geometry *s = &cut->s;
    const int64_t gangs = cgc_ceil_div(s->g, cut->gang), part_index = task % cut->parts, rest = task / cut->parts;
    const int64_t n = rest / gangs % s->n, tile = rest / gangs / s->n;
    part p = {.cut = cut, .at = cgc_product_workspace_of(cut), .product = {.lo = cut->window.lo, .hi = cut->window.hi}};
    p.g = p.g0 = rest % gangs * cut->gang, p.groups = cgc_min(cut->gang, s->g - p.g0);
    p.i = tile / cut->col_tiles * cut->rows, p.j = tile % cut->col_tiles * cut->cols;
    p.m0 = s->f * part_index / cut->parts, p.m1 = s->f * (part_index + 1) / cut->parts;
    p.rows = cgc_min(cut->rows, s->oh - p.i), p.cols = cgc_min(cut->cols, s->ow - p.j);
    p.image = cgc_image_at(cut->run, n), p.tile = tile;
    p.memory = cut->run->local + (size_t)thread * cut->run->local_size;
    if (cut->gathered) p.product.room = p.memory + p.at.room;
    ((int64_t *)p.memory)[2] = 0;
    for (const int64_t end = p.g0 + (cut->kind == CGC_BY_PIXELS ? 1 : p.groups); p.g < end; p.g++) {
        feed(&p);
        for (int64_t row_phase = 0; row_phase < cut->row_phases; row_phase++)
            if (cut->kind == CGC_BY_PIXELS)
                by_pixels(&p, row_phase);
            else
                by_outputs(&p, row_phase, part_index);
    }
}

static void pack_block(void *context, int64_t task, int thread) {
    const cgc_division *cut = context;
    const int64_t tasks = cut->phases[0].weights.tasks;
    const cgc_phase *phase = &cut->phases[task / tasks];
    (void)thread;
    if (!phase->weights.shared) return; /* they lie well as they are */
    cgc_pack_weights(&phase->weights, cut->kernels, &phase->c, cut->run->weight, cut->run->shared + phase->packed,
                     task % tasks);
}

void cgc_product_run(const cgc_run *run, cgc_product_kind kind) {
    const cgc_geometry *s = run->geometry;
    if (s->n == 0) return;
    cgc_division cut = cgc_divide(s, run->kernels, kind, run->pass, run->threads);
    const int64_t phases = cut.row_phases * cut.col_phases, tiles = cut.row_tiles * cut.col_tiles;
    cut.run = run;
    ptrdiff_t *offsets = (ptrdiff_t *)(run->shared + cut.shared), *padded = offsets + cut.terms;
    unsigned char *skips = (unsigned char *)(padded + cut.terms);
    for (int64_t i = 0; i < phases; i++) {
        cgc_phase *phase = &cut.phases[i];
        const int64_t terms = phase->c.planes * phase->c.ku * phase->c.kv;
        phase->offsets = offsets, phase->padded = padded, phase->skips = skips;
        if (cut.in_place)
            set_offsets(&phase->c, offsets);
        else
            cgc_sheet_offsets(&cut.sheet, &cut.window, &phase->c, offsets);
        if (cut.inside) {
            cgc_sheet_offsets(&cut.sheet, &cut.window, &phase->c, padded);
            cgc_inside_skips(&phase->c, skips);
        }
        phase->weights.ready = run->packed ? run->packed : phase->weights.shared ? run->shared + phase->packed : NULL;
        offsets += terms;
        if (cut.inside) padded += terms, skips += terms;
    }
    for (int t = 0; t < run->threads; t++) *(int64_t *)(run->local + (size_t)t * run->local_size) = -1;
    if (cut.shared && !run->packed)
        cgc_parallel(run->threads, phases * cut.phases[0].weights.tasks, pack_block, &cut);
    cgc_parallel(run->threads, tiles * s->n * cgc_ceil_div(s->g, cut.gang) * cut.parts, run_tile, &cut);
}
