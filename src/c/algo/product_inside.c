/* Products without the terms of padding, see product_inside.h. */
#include "product_inside.h"

/* Cells first .. first+count-1 of an axis: their taps from t0 on, before t1, lie inside the source. */
typedef struct span {
    int64_t first, count, t0, t1;
} span;

typedef struct axis {
    int64_t start, step, reach; /* tap t of cell e reads source cell start + e*step + t*reach */
    int64_t taps, extent, cells;
} axis;

static axis rows_of(const cgc_correlation *c) { return (axis){c->r0, c->r_i, c->r_u, c->ku, c->source.h, c->rows}; }
static axis cols_of(const cgc_correlation *c) { return (axis){c->c0, c->c_j, c->c_v, c->kv, c->source.w, c->cols}; }

static span span_of(const axis *a, int64_t cell) {
    span s = {cell, 1, 0, 0};
    for (int64_t t = 0, at = a->start + cell * a->step; t < a->taps; t++, at += a->reach)
        if (at >= 0 && at < a->extent) {
            if (s.t1 == 0) s.t0 = t;
            s.t1 = t + 1;
        }
    return s;
}

/* The cells from `cell` on, before `end`, that have the same taps inside. */
static span next_span(const axis *a, int64_t cell, int64_t end) {
    span s = span_of(a, cell);
    for (; cell + s.count < end; s.count++) {
        const span next = span_of(a, cell + s.count);
        if (next.t0 != s.t0 || next.t1 != s.t1) break;
    }
    return s;
}

/* Whether all taps of a cell lie inside. */
static int is_inside(const axis *a, int64_t cell) {
    const int64_t first = a->start + cell * a->step, last = first + (a->taps - 1) * a->reach;
    return cgc_min(first, last) >= 0 && cgc_max(first, last) < a->extent;
}

int cgc_inside_serves(const cgc_correlation *c) {
    const axis cols = cols_of(c);
    if (c->source.mode != CGCONV_PAD_CONSTANT || c->source.value != 0) return 0;
    return c->ku * c->kv == 0 || c->cols < 5 || (is_inside(&cols, 2) && is_inside(&cols, c->cols - 3));
}

/* The mean share of the taps of a cell that lie inside. */
static double share(const axis *a, int64_t cells) {
    double inside = 0;
    for (int64_t t = 0, at = a->start; t < a->taps; t++, at += a->reach) {
        const int64_t first = at < 0 ? cgc_ceil_div(-at, a->step) : 0;
        const int64_t end = at < a->extent ? (a->extent - 1 - at) / a->step + 1 : 0;
        inside += (double)cgc_max(0, cgc_min(end, cells) - first);
    }
    return cells ? inside / ((double)cells * (double)a->taps) : 1;
}

double cgc_inside_share(const cgc_correlation *c) {
    const axis rows = rows_of(c), cols = cols_of(c);
    if (!cgc_inside_serves(c)) return 1;
    return share(&rows, c->rows) * share(&cols, c->cols);
}

/* Whether a tap of a cell lies outside. */
static int is_outside(const axis *a, int64_t cell, int64_t tap) {
    const int64_t at = a->start + cell * a->step + tap * a->reach;
    return cell >= 0 && cell < a->cells && (at < 0 || at >= a->extent);
}

void cgc_inside_skips(const cgc_correlation *c, unsigned char *skips) {
    const axis cols = cols_of(c);
    const int64_t terms = c->planes * c->ku * c->kv;
    for (int64_t v = 0; v < cgc_min(c->kv, terms); v++)
        skips[v] = (unsigned char)(is_outside(&cols, 0, v) * CGC_EDGE_FIRST |
                                   is_outside(&cols, 1, v) * CGC_EDGE_SECOND |
                                   is_outside(&cols, c->cols - 1, v) * CGC_EDGE_LAST |
                                   is_outside(&cols, c->cols - 2, v) * CGC_EDGE_LAST_BUT_ONE);
    for (int64_t k = c->kv; k < terms; k++) skips[k] = skips[k - c->kv];
}

cgc_product cgc_inside_terms(const cgc_correlation *c, const cgc_product *product, int64_t i, int64_t j) {
    enum { LEFT = CGC_EDGE_FIRST | CGC_EDGE_SECOND, RIGHT = CGC_EDGE_LAST | CGC_EDGE_LAST_BUT_ONE };
    const axis rows = rows_of(c);
    const span u = next_span(&rows, i, i + product->rows);
    cgc_product part = *product;
    part.rows = u.count;
    part.planes = c->planes, part.plane = (ptrdiff_t)(c->ku * c->kv);
    part.run = (u.t1 - u.t0) * c->kv, part.first = (ptrdiff_t)(u.t0 * c->kv);
    part.edges = (j == 0 ? LEFT : 0) | (j + product->cols == c->cols ? RIGHT : 0);
    return part;
}
