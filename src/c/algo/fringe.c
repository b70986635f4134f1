/* Fringes, see fringe.h. */
#include "fringe.h"

/* The most lanes of any table: a span that is not the first leaves so much of a line in front of it. */
enum { MOST_LANES = 16 };

/* From the first column that an output cell reads to behind the last one. */
static int64_t behind(const cgc_correlation *c, int64_t first, int64_t cols) {
    return first + (cols - 1) * c->c_j + (c->kv - 1) * c->c_v + 1;
}

cgc_span cgc_span_of(const cgc_correlation *c, int64_t j, int64_t cols, int lanes) {
    const int64_t column = c->c0 + j * c->c_j;
    const int64_t base = j == 0 ? 0 : cgc_max(0, cgc_min(column, c->source.w - 2 * c->c_j * lanes));
    return (cgc_span){cols, base, column - base};
}

int64_t cgc_span_reach(const cgc_correlation *c, const cgc_span *span, int lanes) {
    return cgc_min(c->source.w - span->base, behind(c, span->first, span->cols + lanes) + c->c_j * lanes);
}

/* A fringe while it is made: columns first .. end-1, and the vectors that it may pick from (far: at step 2). */
typedef struct maker {
    const cgc_correlation *c;
    int64_t base, first, end, a, b, far;
    int lanes;
    int32_t constant; /* the entry of the constant */
} maker;

/* The entry of a column; -2 if none of the vectors has its cell. */
static int32_t entry(const maker *m, int64_t column) {
    const int64_t source = cgc_pad_source(m->c->source.mode, m->base + column, m->c->source.w) - m->base;
    if (source + m->base < 0) return m->constant;
    if (source >= m->a && source < m->a + m->lanes) return (int32_t)(source - m->a);
    if (source >= m->b && source < m->b + m->lanes) return (int32_t)(source - m->b + m->lanes);
    if (m->c->c_j > 1 && source >= m->far && source < m->far + m->lanes)
        return (int32_t)(source - m->far + 2 * m->lanes);
    return -2;
}

/* The fringe of vectors that begin before column 0; of a narrow line, of all. */
static maker left_of(const cgc_correlation *c, const cgc_span *span, int lanes) {
    const int narrow = c->source.w <= c->c_j * lanes;
    maker m = {.c = c, .base = span->base, .first = cgc_min(span->first, 0), .lanes = lanes, .constant = -1};
    if (c->source.w < c->c_j * lanes) m.constant = (int32_t)c->source.w;
    m.end = c->c_j * lanes;
    if (narrow) m.end = cgc_max(m.end, behind(c, span->first, cgc_max(span->cols, lanes)));
    m.far = c->source.w - lanes; /* the other end is needed by a ring alone */
    m.b = narrow || c->c_j > 1 ? lanes : m.far;
    return m;
}

/* The fringe of vectors that end behind the line. */
static maker right_of(const cgc_correlation *c, const cgc_span *span, int lanes) {
    const int64_t width = c->source.w - span->base;
    maker m = {.c = c, .base = span->base, .lanes = lanes, .constant = -1};
    m.first = width - c->c_j * lanes;
    m.end = cgc_max(width, behind(c, span->first, cgc_max(span->cols, lanes)));
    m.a = m.first;
    m.far = -span->base;
    m.b = c->c_j > 1 ? m.a + lanes : m.far;
    return m;
}

/* Whether all columns from..to-1 have an entry, and one of the other end at step 2 only if these are allowed. */
static int serves(const maker *m, int64_t from, int64_t to, int rings) {
    if (m->end - m->first + 2 * m->lanes + 2 > CGC_FRINGE_CELLS) return 0;
    for (int64_t column = from; column < to; column++)
        if (entry(m, column) < -1 || (entry(m, column) >= 2 * m->lanes && !rings)) return 0;
    return 1;
}

int cgc_fringe_serves(const cgc_correlation *c, int lanes, int rings) {
    const int64_t end = behind(c, c->c0, c->cols);
    if (c->source.col != 1 || c->source.w < 1 || c->source.h < 1 || c->c_v < 1 || c->kv < 1 || c->c0 > 0) return 0;
    if (-c->c0 > CGC_FRINGE_REACH || end - c->source.w > CGC_FRINGE_REACH ||
        (c->kv - 1) * c->c_v > CGC_FRINGE_REACH || lanes > MOST_LANES)
        return 0;
    const cgc_span whole = {c->cols, 0, c->c0};
    const maker left = left_of(c, &whole, lanes), right = right_of(c, &whole, lanes);
    const int narrow = c->source.w <= c->c_j * lanes;
    if (narrow) return serves(&left, c->c0, end, rings);
    return serves(&left, c->c0, 0, rings) && serves(&right, c->source.w, end, rings);
}

static cgc_fringe make(const maker *m, int32_t *cells) {
    const int64_t step = m->c->c_j, count = cgc_ceil_div(m->end - m->first, step) + m->lanes;
    cgc_fringe fringe = {cells, m->first, (ptrdiff_t)count, m->a, m->b, step > 1, m->far, 0};
    for (int64_t t = 0; t < count * step; t++) {
        const int64_t column = m->first + t;
        const int32_t e = column < m->end ? entry(m, column) : m->constant;
        cells[t / step + t % step * count] = e < -1 ? -1 : e; /* of a lane that is not stored */
        fringe.both |= e >= m->lanes;
        fringe.rings |= e >= 2 * m->lanes;
    }
    return fringe;
}

void cgc_fringe_open(cgc_stencil *stencil, const cgc_correlation *c, const cgc_span *span, int lanes,
                     int32_t *cells) {
    const maker left = left_of(c, span, lanes), right = right_of(c, span, lanes);
    stencil->cols = span->cols;
    stencil->first = span->first;
    stencil->width = c->source.w - span->base;
    stencil->lanes = lanes;
    stencil->narrow = c->source.w <= c->c_j * lanes;
    stencil->left = make(&left, cells);
    if (!stencil->narrow) stencil->right = make(&right, cells + CGC_FRINGE_CELLS);
}
