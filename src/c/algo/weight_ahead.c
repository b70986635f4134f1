/* What a weight gradient reads next, see weight_gradient.h. It must not know what is done with it. */
#include "weight_gradient.h"

/* Planes of x or dy that groups read. */
typedef struct planes {
    const char *at;
    int64_t count, rows, cols;
    ptrdiff_t n, plane, row, col, size; /* n ... col: from one to the next; in elements */
} planes;

/* Adds rows row0 .. row1-1 of image n, as far as there is room; nothing where they are not one run. */
static void add_rows(const planes *p, int64_t n, int64_t row0, int64_t row1, cgc_ahead *ahead) {
    row0 = cgc_max(0, cgc_min(row0, p->rows));
    row1 = cgc_max(row0, cgc_min(row1, p->rows));
    if (p->col != 1 || p->row != p->cols || row0 == row1) return;
    const int together = p->plane == (row1 - row0) * p->row; /* whole planes, one behind the other */
    const int64_t runs = together ? 1 : p->count, each = p->count / runs;
    for (int64_t i = 0; i < runs && ahead->runs < CGC_AHEAD_RUNS; i++, ahead->runs++) {
        ahead->run[ahead->runs].at = cgc_at(p->at, n * p->n + i * p->plane + row0 * p->row, p->size);
        ahead->run[ahead->runs].lines = cgc_ceil_div(each * (row1 - row0) * p->row * p->size, CGC_LINE_BYTES);
    }
}

static planes x_planes(const cgc_run *run, int64_t first, int64_t count) {
    const cgc_geometry *s = run->geometry;
    return (planes){cgc_at(run->x, first * s->xc, s->size), count, s->h, s->w, s->xn, s->xc, s->xh, s->xw, s->size};
}

static planes dy_planes(const cgc_run *run, int64_t first, int64_t count) {
    const cgc_geometry *s = run->geometry;
    return (planes){cgc_at(run->y, first * s->yc, s->size), count, s->oh, s->ow, s->yn, s->yc, s->yh, s->yw, s->size};
}

/* The lines of a chunk of some channels of x, or of none, and of dy. */
static void add_chunk(const cgc_geometry *s, const planes *x, const planes *dy, cgc_chunk chunk, cgc_ahead *ahead) {
    for (int64_t row = chunk.row0, rows; row < chunk.row1; row += rows) {
        const int64_t n = row / s->oh, i = row % s->oh, top = i * s->sh - s->pt;
        rows = cgc_min(s->oh - i, chunk.row1 - row);
        if (x) add_rows(x, n, top, top + (rows - 1) * s->sh + (s->kh - 1) * s->dh + 1, ahead);
        if (dy) add_rows(dy, n, i, i + rows, ahead);
    }
}

void cgc_weight_look_ahead(const cgc_run *run, int64_t g, int64_t groups, cgc_chunk chunk, cgc_ahead *ahead) {
    const cgc_geometry *s = run->geometry;
    groups = cgc_min(groups, s->g - g);
    const planes x = x_planes(run, g * s->cg, groups * s->cg), dy = dy_planes(run, g * s->f, groups * s->f);
    ahead->runs = 0;
    add_chunk(s, &x, &dy, chunk, ahead);
}

void cgc_weight_call_for_x(const cgc_run *run, int64_t first, int64_t count, cgc_chunk chunk, cgc_ahead *ahead) {
    const planes x = x_planes(run, first, count);
    add_chunk(run->geometry, &x, NULL, chunk, ahead);
}

void cgc_weight_call_for_dy(const cgc_run *run, int64_t first, int64_t count, cgc_chunk chunk, cgc_ahead *ahead) {
    const planes dy = dy_planes(run, first, count);
    add_chunk(run->geometry, NULL, &dy, chunk, ahead);
}

void cgc_weight_call_for(const void *at, int64_t bytes, cgc_ahead *ahead) {
    if (ahead->runs == CGC_AHEAD_RUNS || bytes < 1) return;
    ahead->run[ahead->runs].at = at;
    ahead->run[ahead->runs++].lines = cgc_ceil_div(bytes, CGC_LINE_BYTES);
}
