/*
 * The weight gradient's feed by im2col: row pieces of a chunk, gathered one behind the other into panels of dy and of
 * the source under each term. It serves every problem.
 */
#include "../platform/memory.h"
#include "weight_gradient.h"

enum { FILTERS = 16, TERMS = 32, COLUMNS = 256 };

/* The workspace: offsets, then the panel of dy [m][COLUMNS], then the panel of terms [k][COLUMNS]. */
typedef struct parts {
    size_t dy, terms, end;
} parts;

static parts parts_of(const cgc_feed *feed, ptrdiff_t size) {
    parts at;
    at.dy = cgc_round_up((size_t)feed->k * sizeof(ptrdiff_t));
    at.terms = at.dy + cgc_round_up((size_t)(feed->m * feed->columns * size));
    at.end = at.terms + cgc_round_up((size_t)(feed->k * feed->columns * size));
    return at;
}

/*
 * Columns col0 .. col0+count-1 of output row `row` into the panels at column `at`, filled up with zeros to `width`.
 */
static void pack_piece(const cgc_weight_block *block, int64_t row, int64_t col0, int64_t count, int64_t width,
                       int64_t at, char *dy_panel, char *term_panel) {
    const cgc_run *run = block->run;
    const cgc_geometry *s = run->geometry;
    const cgc_kernels *kernels = run->kernels;
    const cgc_correlation *c = &block->c;
    const int64_t n = row / s->oh, i = row % s->oh;
    const char *dy = cgc_at(run->y, n * s->yn + i * s->yh + col0 * s->yw, s->size);
    const char *x = cgc_at(run->x, n * s->xn + block->g * c->s_group, s->size);
    for (int64_t m = 0; m < block->m; m++) {
        char *to = cgc_at(dy_panel, m * COLUMNS + at, s->size);
        kernels->gather(to, cgc_at(dy, block->g * c->d_group + (block->m0 + m) * c->d_m, s->size), s->yw, count);
        kernels->fill(cgc_at(to, count, s->size), 0, width - count);
    }
    cgc_term term = cgc_term_at(c, block->k0);
    for (int64_t k = 0; k < block->k; k++, cgc_next_term(c, &term)) {
        char *to = cgc_at(term_panel, k * COLUMNS + at, s->size);
        cgc_fetch(kernels, &c->source, cgc_at(x, term.plane * c->s_plane, s->size),
                  c->r0 + i * c->r_i + term.u * c->r_u, c->c0 + col0 * c->c_j + term.v * c->c_v, c->c_j, count, to);
        kernels->fill(cgc_at(to, count, s->size), 0, width - count);
    }
}

static void feed_chunk(const cgc_feed *feed, const cgc_weight_block *block, cgc_chunk chunk, char *workspace,
                       void *sums) {
    const ptrdiff_t size = block->run->geometry->size;
    const int64_t lanes = block->run->kernels->lanes;
    const parts at = parts_of(feed, size);
    ptrdiff_t *offsets = (ptrdiff_t *)workspace;
    for (int64_t k = 0; k < block->k; k++) offsets[k] = (ptrdiff_t)(k * COLUMNS);
    cgc_pixels pixels = {0, workspace + at.dy, workspace + at.terms, COLUMNS, offsets};
    for (int64_t row = chunk.row0; row < chunk.row1; row++)
        for (int64_t col = chunk.col0, count; col < chunk.col1; col += count) {
            count = cgc_min(COLUMNS, chunk.col1 - col);
            const int64_t width = cgc_ceil_div(count, lanes) * lanes;
            if (pixels.count + width > COLUMNS) {
                cgc_reduce_pixels(block, &pixels, sums);
                pixels.count = 0;
            }
            pack_piece(block, row, col, count, width, pixels.count, workspace + at.dy, workspace + at.terms);
            pixels.count += width;
        }
    cgc_reduce_pixels(block, &pixels, sums);
}

cgc_feed cgc_packed_feed(const cgc_geometry *s) {
    cgc_feed feed = {.m = cgc_min(s->f, FILTERS),
                     .k = cgc_min(s->cg * s->kh * s->kw, TERMS),
                     .columns = COLUMNS,
                     .feed = feed_chunk};
    feed.workspace = parts_of(&feed, s->size).end;
    return feed;
}
