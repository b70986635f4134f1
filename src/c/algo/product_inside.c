/* Products without the terms of padding, see product_inside.h. */
#include "product_inside.h"

/* Sums of a tile that hide how long a multiply-add takes. */
enum { MANY = 4 };

/* Cells first .. first+count-1 of an axis: their taps from t0 on, before t1, lie inside the source. */
typedef struct span {
    int64_t first, count, t0, t1;
} span;

typedef struct axis {
    int64_t start, step, reach; /* tap t of cell e reads source cell start + e*step + t*reach */
    int64_t taps, extent;
} axis;

static axis rows_of(const cgc_correlation *c) { return (axis){c->r0, c->r_i, c->r_u, c->ku, c->source.h}; }
static axis cols_of(const cgc_correlation *c) { return (axis){c->c0, c->c_j, c->c_v, c->kv, c->source.w}; }

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

int cgc_inside_serves(const cgc_correlation *c) {
    return c->source.mode == CGCONV_PAD_CONSTANT && c->source.value == 0 && c->ku * c->kv > 1;
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

/* Leaves out what lies outside of the rows' and columns' taps. */
static void take_terms(cgc_product *p, const cgc_correlation *c, const span *u, const span *v) {
    const int64_t high = u->t1 - u->t0, wide = v->t1 - v->t0, whole = wide == c->kv;
    if (high < 1 || wide < 1 || (whole && high == c->ku)) return;
    p->planes = c->planes, p->plane = (ptrdiff_t)(c->ku * c->kv);
    p->runs = whole ? 1 : high, p->run = whole ? high * wide : wide;
    p->first = (ptrdiff_t)(u->t0 * c->kv + v->t0), p->run_step = (ptrdiff_t)c->kv;
}

/* A row becomes a column, for a tile is made of a row's pixels. */
static void exchange(cgc_product *p) {
    const cgc_product q = *p;
    p->rows = q.cols, p->cols = q.rows;
    p->x_row = q.x_col, p->x_col = q.x_row;
    p->y_row = q.y_col, p->y_col = q.y_row;
}

void cgc_inside_outputs(const cgc_kernels *kernels, const cgc_correlation *c, const cgc_product *product, int64_t i,
                        int64_t j) {
    const axis rows = rows_of(c), cols = cols_of(c);
    const int64_t vectors = cgc_ceil_div(product->m, kernels->width);
    int64_t ahead = product->ahead_bytes;
    for (int64_t r = i; r < i + product->rows;) {
        const span u = next_span(&rows, r, i + product->rows);
        for (int64_t p = j; p < j + product->cols;) {
            span v = next_span(&cols, p, j + product->cols);
            if (u.count * vectors < MANY) v = (span){j, product->cols, 0, c->kv};
            cgc_product part = *product;
            part.rows = u.count, part.cols = v.count;
            part.x = cgc_at(product->x, (r - i) * product->x_row + (p - j) * product->x_col, c->source.size);
            part.y = cgc_at(product->y, (r - i) * product->y_row + (p - j) * product->y_col, c->source.size);
            part.ahead_bytes = ahead;
            if (part.cols < part.rows && part.cols * vectors < MANY) exchange(&part);
            take_terms(&part, c, &u, &v);
            if (kernels->gemm_outputs(&part)) {
                part.planes = 0;
                kernels->gemm_outputs(&part);
            }
            ahead = 0;
            p += v.count;
        }
        r += u.count;
    }
}
