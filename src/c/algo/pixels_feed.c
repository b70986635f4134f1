/*
 * The weight gradient's feed with vectors over pixels, by the kernel `reduce_pixels`. It serves every problem: dy is
 * read in place where its columns are neighbours, else turned or gathered into rows.
 */
#include "../platform/memory.h"
#include "chunk_source.h"
#include "weight_gradient.h"

enum {
    BYTES = 262144, /* of x and of dy that are held, or read again and again, at most */
    TOTAL_BYTES = 131072, /* of a block, at most, if it has no more than CGC_CHUNK_TERMS */
    FILTERS = 64,   /* of a block, at most */
};

/*
 * The cost model, in multiply-adds of one vector: rows are filled up to whole lanes, lanes are joined once a chunk, and
 * where channels are neighbours, a number of dy or x is turned for TURN.
 */
#define JOIN 5.0
#define TURN 0.4

/* Everything that follows from the problem. */
typedef struct division {
    cgc_chunk_source source;
    int64_t groups, m, k;           /* of a block */
    int64_t totals;
    int in_rows;                    /* dy is read in place */
    size_t a_row, row, off, dy, cells, end; /* the workspace */
} division;

/* The kernel can read the source as it is: no cell is padding, and columns are neighbours. */
static int is_in_place(const cgc_geometry *s) {
    return !s->pt && !s->pb && !s->pl && !s->pr && s->sw == 1 && s->xw == 1 && s->h > 0 && s->w > 0;
}

static division division_of(const cgc_geometry *s, const cgc_kernels *kernels) {
    const cgc_correlation c = cgc_forward_correlation(s);
    const int in_place = is_in_place(s);
    const cgc_source_kind wanted = in_place ? CGC_IN_PLACE : CGC_IN_SHEETS;
    const int64_t most = BYTES / s->size, totals = TOTAL_BYTES / s->size, terms = s->cg * s->kh * s->kw;
    division d = {.groups = 1, .in_rows = s->yw == 1};
    /* Channels that are neighbours are turned a whole cache line at a time. */
    if (!in_place && !d.in_rows && s->yc == 1 && s->xc == 1 && s->f * (terms + 1) <= totals)
        d.groups = cgc_min(s->g, cgc_ceil_div(CGC_LINE_BYTES / (int64_t)s->size, cgc_min(s->cg, s->f)));
    d.source = cgc_chunk_source_of(&c, kernels, s->n, d.groups, wanted, most);
    while (d.groups > 1 && (d.source.kind != CGC_IN_SHEETS || d.groups * s->f * d.source.booked_pixels > most ||
                            d.groups * s->f * (terms + 1) > totals)) {
        d.groups--;
        d.source = cgc_chunk_source_of(&c, kernels, s->n, d.groups, wanted, most);
    }

    d.m = cgc_max(4, cgc_min(FILTERS, most / d.source.booked_pixels)) / 4 * 4;
    d.m = d.groups > 1 ? s->f : cgc_ceil_div(s->f, cgc_ceil_div(s->f, d.m));
    const int64_t unit = d.source.kind == CGC_IN_SHEETS ? s->kh * s->kw : 1;
    int64_t k = cgc_max(1, cgc_min(terms, totals / d.m - 1));
    if (d.source.kind == CGC_IN_PLACE) k = cgc_min(k, cgc_max(6, most / d.source.booked_pixels));
    k = cgc_max(1, k / unit);
    d.k = cgc_max(1, cgc_ceil_div(terms / unit, cgc_max(1, cgc_ceil_div(terms / unit, k)))) * unit;
    if (d.groups > 1) d.k = terms;

    /* What is booked is the same for all large images. */
    const int64_t all = s->g * s->f;
    const int64_t dy = cgc_max(d.groups * d.m * d.source.pixels, cgc_min(most, all * d.source.booked_pixels));
    d.a_row = cgc_round_up(CGC_SHEET_LINES * sizeof(int64_t));
    d.row = d.a_row + cgc_round_up((size_t)cgc_max(1, d.source.rows) * sizeof(ptrdiff_t));
    d.off = d.row + cgc_round_up((size_t)cgc_max(1, d.source.rows) * sizeof(ptrdiff_t));
    d.dy = d.off + cgc_round_up((size_t)cgc_min(terms, CGC_CHUNK_TERMS) * sizeof(ptrdiff_t));
    d.cells = d.dy + (d.in_rows ? 0 : cgc_round_up((size_t)(dy * s->size)));
    d.end = d.cells + cgc_round_up((size_t)(d.source.booked * s->size));
    d.totals = cgc_max(d.groups * d.m * (d.k + 1), cgc_min(totals, all * (terms + 1)));
    return d;
}

/* Rows of dy of all filters of the block: where they lie, from filter to filter d_m. */
static void feed_dy(const division *d, const cgc_weight_block *block, cgc_chunk chunk, char *memory,
                    cgc_reduction *call) {
    const cgc_run *run = block->run;
    const cgc_geometry *s = run->geometry;
    const cgc_correlation *c = &block->c;
    const int64_t cols = chunk.col1 - chunk.col0, filters = block->groups * block->m;
    const char *dy = cgc_at(run->y, block->g * c->d_group + block->m0 * c->d_m, s->size);
    ptrdiff_t *a_row = (ptrdiff_t *)(memory + d->a_row);
    call->a = d->in_rows ? dy : memory + d->dy;
    call->a_row = a_row;
    call->a_m = d->in_rows ? s->yc : (ptrdiff_t)d->source.pixels;
    for (int64_t r = chunk.row0, rows; r < chunk.row1; r += rows) {
        const int64_t at = (r - chunk.row0) * cols;
        const ptrdiff_t from = (ptrdiff_t)(r / s->oh * s->yn + r % s->oh * s->yh + chunk.col0 * s->yw);
        /* Rows that lie one behind the other go together. */
        rows = s->yh == cols * s->yw ? cgc_min(s->oh - r % s->oh, chunk.row1 - r) : 1;
        for (int64_t l = 0; l < rows; l++)
            *a_row++ = d->in_rows ? from + (ptrdiff_t)l * s->yh : (ptrdiff_t)(at + l * cols);
        if (d->in_rows) continue;
        char *to = cgc_at(memory + d->dy, at, s->size);
        if (s->yc == 1)
            run->kernels->transpose(rows * cols, filters, cgc_at(dy, from, s->size), s->yw, to, call->a_m);
        else
            for (int64_t m = 0; m < filters; m++)
                run->kernels->gather(cgc_at(to, m * call->a_m, s->size), cgc_at(dy, from + m * s->yc, s->size), s->yw,
                                     rows * cols);
    }
}

static void feed_chunk(const cgc_weight_block *block, cgc_chunk chunk, char *memory) {
    const cgc_run *run = block->run;
    const cgc_geometry *s = run->geometry;
    const division d = division_of(s, run->kernels);
    cgc_chunk_ready ready = {.row = (ptrdiff_t *)(memory + d.row), .off = (ptrdiff_t *)(memory + d.off)};
    cgc_chunk_terms terms = {block->g, block->groups, block->k0, 0};
    cgc_reduction call = {.m = block->m, .rows = chunk.row1 - chunk.row0, .cols = chunk.col1 - chunk.col0,
                          .a_col = 1, .b_col = 1, .y_m = block->w_m, .fresh = block->fresh, .ahead = block->ahead};
    feed_dy(&d, block, chunk, memory, &call);
    const char *dy = call.a;
    for (int64_t done = 0; done < block->k; done += terms.k) {
        terms.k0 = block->k0 + done;
        terms.k = cgc_min(d.source.terms, block->k - done);
        cgc_chunk_source_fill(&d.source, run->kernels, &block->c, run->x, s->xn, chunk, &terms,
                              done > 0 || block->again, memory + d.cells, (int64_t *)memory, &ready);
        call.k = terms.k;
        call.b_row = ready.row;
        call.off = ready.off;
        for (int64_t q = 0; q < block->groups; q++) {
            call.a = cgc_at(dy, q * block->m * call.a_m, s->size);
            call.b = cgc_at(ready.base, q * ready.group, s->size);
            call.y = cgc_at(block->weight, q * block->w_g + done, s->size);
            run->kernels->reduce_pixels(&call);
        }
    }
    if (!block->bias) return;
    call.k = call.y_m = 1;
    call.b = NULL;
    for (int64_t q = 0; q < block->groups; q++) {
        call.a = cgc_at(dy, q * block->m * call.a_m, s->size);
        call.y = cgc_at(block->bias, q * block->b_g, s->size);
        run->kernels->reduce_pixels(&call);
    }
}

cgc_feed cgc_pixels_feed(const cgc_geometry *s, const cgc_kernels *kernels) {
    const division d = division_of(s, kernels);
    return (cgc_feed){.groups = d.groups, .m = d.m, .k = d.k, .k_apart = d.k, .totals = d.totals, .workspace = d.end,
                      .feed = feed_chunk};
}

double cgc_pixels_feed_cost(const cgc_geometry *s, const cgc_kernels *kernels) {
    const double parts = (double)kernels->lanes / kernels->width, terms = (double)(s->cg * s->kh * s->kw);
    const double rows = (double)s->n * (double)s->oh, vectors = (double)cgc_ceil_div(s->ow, kernels->lanes) * parts;
    const double turned = s->yw == 1 ? 0 : rows * (double)s->ow * (double)(s->f + s->cg);
    return (double)s->f * terms * (rows * vectors + (double)cgc_cut(s).count * JOIN * parts) + TURN * turned;
}
