/*
 * The weight gradient's feed with vectors over outputs, by the kernel `reduce_outputs`: dy is laid out with the filters
 * of a pixel as neighbours.
 */
#include <math.h>

#include "../platform/memory.h"
#include "chunk_source.h"
#include "weight_gradient.h"

enum {
    DY_BYTES = 802816,    /* of dy, at most: of a whole chunk for two vectors of filters */
    SHEET_BYTES = 204800, /* of x, at most: 64 planes of 28x28, say */
    APART_BYTES = 1024,   /* pixels so far apart meet in a few sets of the caches */
    TOTAL_BYTES = 65536,  /* of the totals of a block that are not dw, at most */
};

/*
 * The cost model, in multiply-adds of one vector: each class of columns stores and joins its sums once a chunk; a
 * number of dy or x is turned or copied for TURN. Each class reads anew the planes of a tile: if L1 does not hold them,
 * a single vector of filters has too little to do for each number.
 */
#define CLASS 2.3
#define TURN 0.4
#define FAR 1.4
enum { NEAR_BYTES = 24576, TILE_TERMS = 14 };

/* Everything that follows from the problem. */
typedef struct division {
    cgc_chunk_source source;
    int64_t m, k;   /* of a block whose totals are not dw */
    int64_t totals;
    int64_t vector; /* filters that a call takes */
    int64_t wide;   /* m in whole vectors */
    size_t a_row, row, off, dy, cells, end; /* the workspace */
} division;

/*
 * Filters of one cell have little to do with each number, so what a tile reads lies close: where vectors are shorter
 * than the lanes, the pixels of a class, if there is more than a vector of filters to turn them for; or, if no cell is
 * padding, the planes of a pixel, for planes of more than a few pixels apart would be more than L1 holds. Pixels whose
 * planes are neighbours already are laid out if they lie far apart.
 */
static cgc_source_kind wanted(const cgc_geometry *s, const cgc_kernels *kernels) {
    if (s->kh * s->kw == 1 && s->xw == 1 && s->yw == 1 && kernels->width < kernels->lanes && s->f > kernels->width)
        return CGC_TURNED;
    if (s->pt || s->pb || s->pl || s->pr || s->kh * s->kw > 1 || s->h < 1 || s->w < 1) return CGC_IN_SHEETS;
    const int apart = kernels->width < kernels->lanes && s->ow > 1 && s->sw * s->xw * s->size >= APART_BYTES;
    if (s->xc == 1) return apart && s->f > 2 * kernels->width ? CGC_LAID_OUT : CGC_IN_PLACE;
    return s->xw == 1 && s->sw == 1 ? CGC_LAID_OUT : CGC_IN_SHEETS;
}

static division division_of(const cgc_geometry *s, const cgc_kernels *kernels) {
    const cgc_correlation c = cgc_forward_correlation(s);
    const int64_t width = kernels->width, taps = s->kh * s->kw, whole = cgc_ceil_div(s->f, width) * width;
    const int64_t totals = TOTAL_BYTES / s->size;
    division d = {.vector = cgc_min(2 * width, whole)};
    d.source = cgc_chunk_source_of(&c, kernels, s->n, 1, wanted(s, kernels), SHEET_BYTES / s->size);
    const int64_t most = cgc_max(d.vector, DY_BYTES / s->size / d.source.booked_pixels);
    /* Calls of a block: no more than leave the totals of a plane. */
    const int64_t held = cgc_min(most, totals / (taps + 1)) / d.vector;
    const int64_t calls = cgc_max(1, cgc_min(held, cgc_ceil_div(whole, d.vector)));
    const int64_t blocks = cgc_ceil_div(cgc_ceil_div(whole, d.vector), calls);
    d.wide = cgc_min(whole, cgc_ceil_div(cgc_ceil_div(whole, d.vector), blocks) * d.vector);
    d.m = cgc_min(d.wide, s->f);
    const int64_t k = cgc_max(1, cgc_min(s->cg, (totals / d.wide - 1) / taps));
    d.k = cgc_ceil_div(s->cg, cgc_ceil_div(s->cg, k)) * taps;

    const size_t rows = cgc_round_up((size_t)cgc_max(1, d.source.rows) * sizeof(ptrdiff_t));
    d.a_row = cgc_round_up(CGC_SHEET_LINES * sizeof(int64_t));
    d.row = d.a_row + rows;
    d.off = d.row + rows;
    d.dy = d.off + cgc_round_up((size_t)cgc_min(s->cg * taps, CGC_CHUNK_TERMS) * sizeof(ptrdiff_t));
    /* What is booked is the same for all large images. */
    const int64_t pitch = cgc_ceil_div(d.wide, d.vector) * d.vector;
    const int64_t dy = cgc_max(pitch * d.source.laid,
                               cgc_min(DY_BYTES / s->size, (whole + d.vector) * d.source.booked_pixels));
    d.cells = d.dy + cgc_round_up((size_t)(dy * s->size));
    d.end = d.cells + cgc_round_up((size_t)(d.source.booked * s->size));
    d.totals = cgc_max(d.wide * (d.k + 1), cgc_min(totals, whole * (s->cg * taps + 1)));
    return d;
}

/* Lays out dy of filters m0 .. m0+m-1 of the group, `wide` of them at each pixel. */
static void lay_out(const cgc_chunk_source *source, const cgc_weight_block *block, cgc_chunk chunk, int64_t m0,
                    int64_t m, int64_t wide, char *to, ptrdiff_t *a_row) {
    const cgc_run *run = block->run;
    const cgc_geometry *s = run->geometry;
    const char *dy = cgc_at(run->y, block->g * block->c.d_group + m0 * s->yc, s->size);
    const cgc_pixels pixels = {dy, s->oh, s->yn, s->yh, s->yw, s->yc, s->size};
    if (m < wide) run->kernels->fill(to, 0, source->laid * wide);
    cgc_chunk_lay_out(&source->lay, &pixels, run->kernels, chunk, m, to, wide, a_row);
}

/*
 * Calls for what is read next, where filters have one cell: there is too little to do with each number to wait for it.
 * The call now is of filters from m on, of planes done .. done+k-1.
 */
static void call_for_next(const division *d, const cgc_weight_block *block, cgc_chunk chunk, int64_t m, int64_t done,
                          int64_t k, const char *memory) {
    const cgc_run *run = block->run;
    const cgc_geometry *s = run->geometry;
    const int64_t left = cgc_min(d->source.terms, block->k - done - k), next = m + d->vector;
    if (m == 0 && left > 0)
        cgc_weight_call_for_x(run, block->g * s->cg + block->k0 + done + k, left, chunk, block->ahead);
    if (next < block->m && done == 0)
        cgc_weight_call_for_dy(run, block->g * s->f + block->m0 + next, cgc_min(d->vector, block->m - next), chunk,
                               block->ahead);
    else if (next < block->m || left > 0)
        cgc_weight_call_for(cgc_at(memory + d->dy, (next < block->m ? next : 0) * d->source.laid, s->size),
                            d->vector * d->source.laid * s->size, block->ahead);
}

static void feed_chunk(const cgc_weight_block *block, cgc_chunk chunk, char *memory) {
    const cgc_run *run = block->run;
    const cgc_geometry *s = run->geometry;
    const division d = division_of(s, run->kernels);
    cgc_chunk_ready ready = {.row = (ptrdiff_t *)(memory + d.row), .off = (ptrdiff_t *)(memory + d.off)};
    cgc_chunk_terms terms = {block->g, 1, block->k0, 0};
    cgc_reduction call = {.rows = chunk.row1 - chunk.row0, .cols = chunk.col1 - chunk.col0, .a_m = 1,
                          .a_row = (ptrdiff_t *)(memory + d.a_row),
                          .a_col = (ptrdiff_t)(d.source.lay.col * d.vector), .b_col = d.source.col,
                          .a_next = (ptrdiff_t)(d.source.lay.next * d.vector), .b_next = d.source.next,
                          .fresh = block->fresh, .ahead = block->ahead};
    for (int64_t done = 0; done < block->k; done += terms.k) {
        terms.k0 = block->k0 + done;
        terms.k = cgc_min(d.source.terms, block->k - done);
        ready.row = (ptrdiff_t *)(memory + d.row);
        cgc_chunk_source_fill(&d.source, run->kernels, &block->c, run->x, s->xn, chunk, &terms,
                              done > 0 || block->again, memory + d.cells, (int64_t *)memory, &ready);
        call.b_row = ready.row;
        if (d.source.kind == CGC_TURNED) call.a_row = NULL;
        call.off = ready.off;
        for (int64_t m = 0; m < block->m; m += d.vector) {
            char *dy = cgc_at(memory + d.dy, m * d.source.laid, s->size);
            call.m = cgc_min(d.vector, block->m - m);
            call.a = dy;
            if (d.source.kind == CGC_TURNED) call_for_next(&d, block, chunk, m, done, terms.k, memory);
            if (done == 0)
                lay_out(&d.source, block, chunk, block->m0 + m, call.m, d.vector, dy, (ptrdiff_t *)(memory + d.a_row));
            call.k = terms.k;
            call.b = ready.base;
            call.y = cgc_at(block->weight, m * block->w_m + done, s->size);
            call.y_m = block->w_m;
            run->kernels->reduce_outputs(&call);
            if (done > 0 || !block->bias) continue;
            call.k = 1;
            call.b = NULL;
            call.y = cgc_at(block->bias, m, s->size);
            call.y_m = 1;
            run->kernels->reduce_outputs(&call);
        }
    }
}

int cgc_outputs_feed_serves(const cgc_geometry *s, const cgc_kernels *kernels) {
    return (s->yw == 1 || s->yc == 1) && s->kh * s->kw <= TOTAL_BYTES / s->size / (2 * kernels->width) - 1;
}

cgc_feed cgc_outputs_feed(const cgc_geometry *s, const cgc_kernels *kernels) {
    const division d = division_of(s, kernels);
    return (cgc_feed){.groups = 1, .m = d.m, .k = s->cg * s->kh * s->kw, .k_apart = d.k, .totals = d.totals,
                      .workspace = d.end, .feed = feed_chunk};
}

double cgc_outputs_feed_cost(const cgc_geometry *s, const cgc_kernels *kernels) {
    const double width = kernels->width, terms = (double)(s->cg * s->kh * s->kw), f = (double)s->f;
    const double pixels = (double)s->n * (double)s->oh * (double)s->ow, vectors = ceil(f / width);
    const double chunks = (double)cgc_cut(s).count, classes = (double)cgc_min(s->ow, kernels->lanes);
    const double cells = (pixels < CGC_MAX_PIXELS ? pixels : CGC_MAX_PIXELS) * (double)s->sh * (double)s->sw;
    const double planes = wanted(s, kernels) == CGC_IN_SHEETS ? 1 + (TILE_TERMS - 1) / (double)(s->kh * s->kw) : 0;
    const double far = vectors == 1 && cells * planes * (double)s->size > NEAR_BYTES ? FAR : 1;
    if (kernels->width == 1) return HUGE_VAL; /* no vectors: nothing is gained */
    return vectors * terms * (pixels * far + chunks * classes * CLASS) + TURN * pixels * (f + (double)s->cg);
}
