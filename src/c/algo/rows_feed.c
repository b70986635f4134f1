/*
 * The weight gradient's feed for one channel per group: whole rows of dy and of the source, read in place where they
 * lie inside and are contiguous, else through a panel that copies each source row once.
 */
#include "../platform/memory.h"
#include "channelwise.h"
#include "panel.h"

enum { FILTERS = 4, COLUMNS = 512 };

/* The workspace: offsets, then the panel of dy, then that of the source. */
typedef struct parts {
    size_t dy, panel, end;
} parts;

static parts parts_of(ptrdiff_t size) {
    parts at;
    at.dy = cgc_round_up(CGC_PANEL_TERMS * sizeof(ptrdiff_t));
    at.panel = at.dy + cgc_round_up(FILTERS * COLUMNS * (size_t)size);
    at.end = at.panel + cgc_round_up(CGC_PANEL_ELEMENTS * (size_t)size);
    return at;
}

/* Where columns col .. col+count-1 of row i of dy are read: in place, or copied side by side. */
static void feed_dy(const cgc_weight_block *block, const char *dy, int64_t count, char *copy, cgc_pixels *pixels) {
    const cgc_geometry *s = block->run->geometry;
    pixels->a = dy;
    pixels->a_pitch = s->yc;
    if (s->yw == 1) return;
    for (int64_t m = 0; m < block->m; m++)
        block->run->kernels->gather(cgc_at(copy, m * COLUMNS, s->size), cgc_at(dy, m * s->yc, s->size), s->yw, count);
    pixels->a = copy;
    pixels->a_pitch = COLUMNS;
}

static void feed_chunk(const cgc_feed *feed, const cgc_weight_block *block, cgc_chunk chunk, char *workspace,
                       void *sums) {
    (void)feed;
    const cgc_run *run = block->run;
    const cgc_geometry *s = run->geometry;
    const cgc_correlation *c = &block->c;
    const parts at = parts_of(s->size);
    const cgc_inside high = cgc_inside_rows(c), wide = cgc_inside_cols(c);
    cgc_panel panel = cgc_panel_of(c, COLUMNS);
    ptrdiff_t *offsets = (ptrdiff_t *)workspace;
    /* Pieces begin at whole lanes, so a panel that cannot take the rest of the row takes whole lanes. */
    if (panel.cols < c->cols) panel.cols -= panel.cols % CGC_MAX_LANES;
    for (int64_t row = chunk.row0; row < chunk.row1; row++)
        for (int64_t col = chunk.col0, count; col < chunk.col1; col += count) {
            const int64_t n = row / s->oh, i = row % s->oh;
            const char *x = cgc_at(run->x, n * s->xn + block->g * c->s_group, s->size);
            const char *dy = cgc_at(
                run->y, n * s->yn + block->g * c->d_group + block->m0 * s->yc + i * s->yh + col * s->yw, s->size);
            count = cgc_min(panel.cols, chunk.col1 - col);
            cgc_pixels pixels = {.count = count, .offsets = offsets};
            feed_dy(block, dy, count, workspace + at.dy, &pixels);
            if (c->c_j == 1 && c->source.col == 1 && i >= high.from && i < high.to && col >= wide.from &&
                col + count <= wide.to) {
                pixels.b = cgc_at(x, (c->r0 + i * c->r_i) * s->xh + c->c0 + col, s->size);
                for (int64_t k = 0; k < block->k; k++)
                    offsets[k] = (ptrdiff_t)(k / c->kv * c->r_u * s->xh + k % c->kv * c->c_v);
            } else {
                pixels.b = workspace + at.panel;
                cgc_panel_fill(&panel, run->kernels, c, x, i, 1, col, count, workspace + at.panel, offsets);
            }
            cgc_reduce_pixels(block, &pixels, sums);
        }
}

cgc_feed cgc_rows_feed(const cgc_geometry *s) {
    return (cgc_feed){.m = cgc_min(s->f, FILTERS),
                      .k = s->kh * s->kw,
                      .columns = COLUMNS,
                      .workspace = parts_of(s->size).end,
                      .feed = feed_chunk};
}
