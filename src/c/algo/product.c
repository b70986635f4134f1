/* Running forward products, see product.h: feeding the kernels, and taking their results where they belong. */
#include "product.h"

#include "../platform/memory.h"
#include "../platform/threads.h"
#include "product_division.h"

enum { TURNED = 32 }; /* outputs of a group whose results are turned together, at most */

/* A task at work. */
typedef struct part {
    const cgc_division *cut;
    cgc_correlation c;
    cgc_image image;
    int64_t g, groups; /* the first of them, how many */
    char *memory; /* the thread's workspace */
    cgc_product_workspace at;
    cgc_product product;
} part;

static char *destination(const part *p, int64_t m, int64_t i, int64_t j) {
    const cgc_correlation *c = &p->c;
    return cgc_at(p->image.destination, p->g * c->d_group + m * c->d_m + i * c->d_row + j * c->d_col,
                  c->source.size);
}

/* The offset of each term, from the first cell of a tile. */
static void set_offsets(const cgc_division *cut, ptrdiff_t *offsets) {
    const cgc_correlation c = cgc_forward_correlation(&cut->s);
    if (!cut->in_place) {
        cgc_sheet_offsets(&cut->sheet, &c, offsets);
        return;
    }
    for (int64_t plane = 0; plane < c.planes; plane++)
        for (int64_t u = 0; u < c.ku; u++)
            for (int64_t v = 0; v < c.kv; v++)
                *offsets++ = (ptrdiff_t)(plane * c.s_plane + u * c.r_u * c.source.row + v * c.c_v * c.source.col);
}

/* Prepares the source for the tile's rows from i and columns from j on. */
static void feed(part *p, int64_t tile, int64_t i, int64_t j) {
    const cgc_correlation *c = &p->c;
    const cgc_division *cut = p->cut;
    cgc_product *product = &p->product;
    const char *source = cgc_at(p->image.source, p->g * c->s_group, c->source.size);
    product->off = cut->offsets;
    if (cut->in_place) {
        product->x = cgc_at(source, i * c->r_i * c->source.row + j * c->c_j * c->source.col, c->source.size);
        product->x_row = c->r_i * c->source.row;
        product->x_col = c->c_j * c->source.col;
        return;
    }
    char *cells = p->memory + p->at.sheet;
    cgc_correlation all = *c;
    all.planes *= p->groups;
    int64_t *filled = (int64_t *)p->memory;
    cgc_sheet_fill(&cut->sheet, cut->kernels, &all, source, i, product->rows, j, product->cols,
                   *filled == tile && p->groups <= filled[1], cells, filled + 2);
    filled[0] = tile, filled[1] = p->groups;
    product->x = cells;
    product->x_row = cut->sheet.pitch;
    product->x_col = 1;
}

/* From where outputs m of the pixels of the tile's rows go, to their place: rows become columns. */
static void take_home(const part *p, int64_t m0, int64_t m, int64_t i, int64_t j, const char *from, ptrdiff_t pitch,
                      int64_t rows, int64_t cols) {
    const cgc_correlation *c = &p->c;
    const cgc_kernels *kernels = p->cut->kernels;
    const int64_t pixels = rows * cols, run = c->d_row == cols * c->d_col ? pixels : cols;
    for (int64_t done = 0; done < pixels; done += run, i++) {
        char *to = destination(p, m0, i, j);
        if (p->cut->kind == CGC_BY_PIXELS)
            kernels->transpose(m, run, cgc_at(from, done, c->source.size), pitch, to, c->d_col);
        else
            kernels->transpose(run, m, cgc_at(from, done * pitch, c->source.size), pitch, to, c->d_m);
    }
}

/* Outputs m0 .. m0+m-1 of the q-th group of the gang. */
static void set_pixels_weights(part *p, int64_t q, int64_t m0, int64_t m) {
    const cgc_correlation *c = &p->c;
    const int64_t g = p->g + q;
    cgc_product *product = &p->product;
    const char *w = cgc_weights_of_group(&p->cut->weights, c, &p->image, p->cut->run->shared, g, &product->w_m);
    product->w = cgc_at(w, m0 * product->w_m, c->source.size);
    product->w_k = 1;
    product->bias = p->image.bias ? cgc_at(p->image.bias, g * c->m + m0, c->source.size) : NULL;
    product->m = m;
}

static void by_pixels(part *p, int64_t i, int64_t j) {
    const cgc_correlation *c = &p->c;
    const ptrdiff_t size = c->source.size;
    cgc_product *product = &p->product;
    product->y_col = 1;
    if (c->d_col == 1) {
        set_pixels_weights(p, 0, 0, c->m);
        product->y = destination(p, 0, i, j);
        product->y_m = c->d_m, product->y_row = c->d_row;
        p->cut->kernels->gemm_pixels(product);
        return;
    }
    /* Through the scratch, [m of all groups][pixels]; groups that share it are turned whole. */
    const char *x = product->x;
    const int64_t most = p->cut->gang > 1 ? c->m : cgc_min(c->m, cgc_min(TURNED, cgc_scratch_outputs(p->cut)));
    const int64_t all = product->rows, width = most * p->groups;
    const int64_t rows = cgc_max(1, CGC_SCRATCH_BYTES / (width * size) / product->cols);
    for (int64_t m0 = 0; m0 < c->m; m0 += most)
        for (int64_t r = 0; r < all; r += rows) {
            const int64_t m = cgc_min(most, c->m - m0);
            product->rows = cgc_min(rows, all - r);
            product->y_row = product->cols, product->y_m = product->rows * product->cols;
            for (int64_t q = 0; q < p->groups; q++) {
                set_pixels_weights(p, q, m0, m);
                product->x = cgc_at(x, q * c->planes * p->cut->sheet.plane + r * product->x_row, size);
                product->y = cgc_at(p->memory + p->at.scratch, q * m * product->y_m, size);
                p->cut->kernels->gemm_pixels(product);
            }
            take_home(p, m0, m * p->groups, i + r, j, p->memory + p->at.scratch, product->y_m, product->rows,
                      product->cols);
        }
}

/* A block of m outputs from m0 on, through the scratch, [pixels][whole vectors]. */
static void outputs_turned(const part *p, const cgc_product *whole, int64_t m0, int64_t i, int64_t j) {
    const ptrdiff_t size = p->c.source.size, width = whole->w_k;
    const int64_t rows = cgc_max(1, CGC_SCRATCH_BYTES / (width * size) / whole->cols);
    cgc_product product = *whole;
    product.m = width;
    product.y = p->memory + p->at.scratch;
    product.y_m = 1, product.y_col = width, product.y_row = width * product.cols;
    if (p->c.d_m == whole->rows * whole->cols) { /* where the results go, all in one piece */
        product.ahead = destination(p, m0, i, j);
        product.ahead_bytes = whole->m * p->c.d_m * size;
    }
    for (int64_t r = 0; r < whole->rows; r += rows) {
        product.rows = cgc_min(rows, whole->rows - r);
        product.x = cgc_at(whole->x, r * whole->x_row, size);
        p->cut->kernels->gemm_outputs(&product);
        take_home(p, m0, whole->m, i + r, j, product.y, width, product.rows, product.cols);
        product.ahead_bytes = 0;
    }
}

static void by_outputs(part *p, int64_t i, int64_t j, int64_t part_index) {
    const cgc_correlation *c = &p->c;
    const cgc_division *cut = p->cut;
    cgc_product *product = &p->product;
    const int64_t blocks = cut->weights.blocks, b1 = blocks * (part_index + 1) / cut->parts;
    for (int64_t b = blocks * part_index / cut->parts; b < b1; b++) {
        const int64_t m0 = b * cut->weights.m;
        const char *block = cgc_weight_block(&cut->weights, cut->kernels, c, &p->image, cut->run->shared,
                                             p->memory + p->at.weights, p->g, b);
        product->m = cgc_min(cut->weights.m, c->m - m0);
        product->w_m = 1;
        product->w_k = cgc_ceil_div(product->m, cut->kernels->width) * cut->kernels->width;
        product->bias = block;
        product->w = cgc_at(block, product->w_k, c->source.size);
        if (c->d_m != 1) {
            outputs_turned(p, product, m0, i, j);
            continue;
        }
        product->y = destination(p, m0, i, j);
        product->y_m = 1, product->y_row = c->d_row, product->y_col = c->d_col;
        cut->kernels->gemm_outputs(product);
    }
}

static void run_tile(void *context, int64_t task, int thread) {
    const cgc_division *cut = context;
    const cgc_geometry *s = &cut->s;
    const int64_t gangs = cgc_ceil_div(s->g, cut->gang), part_index = task % cut->parts, rest = task / cut->parts;
    const int64_t n = rest / gangs % s->n, tile = rest / gangs / s->n;
    part p = {.cut = cut, .c = cgc_forward_correlation(s), .at = cgc_product_workspace_of(cut)};
    p.g = rest % gangs * cut->gang;
    p.groups = cgc_min(cut->gang, s->g - p.g);
    const int64_t row_tile = tile / cut->col_tiles, i = row_tile * cut->rows;
    const int64_t j = tile % cut->col_tiles * cut->cols;
    p.image = cgc_image_at(cut->run, n);
    p.memory = cut->run->local + (size_t)thread * cut->run->local_size;
    p.product.rows = cgc_min(cut->rows, s->oh - i);
    p.product.cols = cgc_min(cut->cols, s->ow - j);
    p.product.k = p.c.planes * p.c.ku * p.c.kv;
    p.product.lo = p.c.lo, p.product.hi = p.c.hi;
    feed(&p, tile, i, j);
    if (cut->kind == CGC_BY_PIXELS)
        by_pixels(&p, i, j);
    else
        by_outputs(&p, i, j, part_index);
}

static void pack_block(void *context, int64_t task, int thread) {
    const cgc_division *cut = context;
    const cgc_correlation c = cgc_forward_correlation(&cut->s);
    const cgc_image image = cgc_image_at(cut->run, 0);
    (void)thread;
    cgc_pack_weights(&cut->weights, cut->kernels, &c, &image, cut->run->shared, task);
}

void cgc_product_run(const cgc_run *run, cgc_product_kind kind) {
    const cgc_geometry *s = run->geometry;
    if (s->n == 0) return;
    cgc_division cut = cgc_divide(s, run->kernels, kind, run->threads);
    cut.run = run;
    ptrdiff_t *offsets = (ptrdiff_t *)(run->shared + cgc_round_up(cut.weights.shared));
    set_offsets(&cut, offsets);
    cut.offsets = offsets;
    for (int t = 0; t < run->threads; t++) *(int64_t *)(run->local + (size_t)t * run->local_size) = -1;
    if (cut.weights.shared) cgc_parallel(run->threads, cut.weights.tasks, pack_block, &cut);
    const int64_t tiles = cut.row_tiles * cut.col_tiles;
    cgc_parallel(run->threads, tiles * s->n * cgc_ceil_div(s->g, cut.gang) * cut.parts, run_tile, &cut);
}
