/* Correlations of the passes, see correlation.h. */
#include "correlation.h"

#include <math.h>

cgc_correlation cgc_forward_correlation(const cgc_geometry *s) {
    return (cgc_correlation){
        .rows = s->oh, .cols = s->ow, .m = s->f, .planes = s->cg, .ku = s->kh, .kv = s->kw,
        .r0 = -s->pt, .r_i = s->sh, .r_u = s->dh,
        .c0 = -s->pl, .c_j = s->sw, .c_v = s->dw,
        .source = {s->h, s->w, s->xh, s->xw, s->size, s->mode, s->value},
        .s_group = s->cg * s->xc, .s_plane = s->xc,
        .w_group = s->f * s->wo, .w_m = s->wo, .w_plane = s->wc, .w_u = s->wu, .w_v = s->wv,
        .d_group = s->f * s->yc, .d_m = s->yc, .d_row = s->yh, .d_col = s->yw,
        .lo = s->lo, .hi = s->hi,
    };
}

/*
 * Along one axis, the taps of a filter of k cells that meet padded cell `cell` (counted from the padded edge): those
 * with cell - tap*dilation a multiple of the stride. They are first, first + step, ...; each steps `source` back
 * through dy.
 */
typedef struct taps {
    int64_t count, first, step; /* of filter cells */
    int64_t source0, source;    /* dy at the first tap, and its step from tap to tap */
} taps;

static taps taps_of_phase(int64_t cell, int64_t k, int64_t stride, int64_t dilation) {
    const int64_t common = cgc_gcd(stride, dilation);
    taps t = {0, 0, stride / common, 0, -dilation / common};
    while (t.first < cgc_min(k, t.step) && (cell - t.first * dilation) % stride) t.first++;
    if (t.first == cgc_min(k, t.step)) return t;
    t.count = (k - 1 - t.first) / t.step + 1;
    t.source0 = (cell - t.first * dilation) / stride;
    return t;
}

/* The stride of every step-th of `count` cells that lie `apart`; 0 for a single one, whose step may be out of reach. */
static ptrdiff_t stride_of(int64_t count, int64_t step, ptrdiff_t apart) { return count > 1 ? step * apart : 0; }

cgc_correlation cgc_backward_correlation(const cgc_geometry *s, cgc_grid rows, cgc_grid cols) {
    const taps u = taps_of_phase(rows.first + s->pt, s->kh, s->sh, s->dh);
    const taps v = taps_of_phase(cols.first + s->pl, s->kw, s->sw, s->dw);
    return (cgc_correlation){
        .rows = rows.count, .cols = cols.count, .m = s->cg, .planes = s->f, .ku = u.count, .kv = v.count,
        .r0 = u.source0, .r_i = rows.step / s->sh, .r_u = u.source,
        .c0 = v.source0, .c_j = cols.step / s->sw, .c_v = v.source,
        .source = {s->oh, s->ow, s->yh, s->yw, s->size, CGCONV_PAD_CONSTANT, 0},
        .s_group = s->f * s->yc, .s_plane = s->yc,
        .w0 = u.first * s->wu + v.first * s->wv,
        .w_group = s->f * s->wo, .w_m = s->wc, .w_plane = s->wo,
        .w_u = stride_of(u.count, u.step, s->wu), .w_v = stride_of(v.count, v.step, s->wv),
        .d0 = rows.first * s->xh + cols.first * s->xw,
        .d_group = s->cg * s->xc, .d_m = s->xc,
        .d_row = stride_of(rows.count, rows.step, s->xh), .d_col = cgc_min(cols.step, cgc_max(s->w, 1)) * s->xw,
        .lo = -HUGE_VAL, .hi = HUGE_VAL,
    };
}

/* The cells of phase `phase` of an axis. */
static cgc_grid phase_grid(int64_t extent, int64_t stride, int64_t phase) {
    return (cgc_grid){phase, stride, cgc_ceil_div(extent - phase, stride)};
}

int64_t cgc_correlation_count(const cgc_geometry *s, cgconv_pass pass) {
    return pass == CGCONV_FORWARD ? 1 : cgc_min(s->sh, s->h) * cgc_min(s->sw, s->w);
}

cgc_correlation cgc_correlation_at(const cgc_geometry *s, cgconv_pass pass, int64_t index) {
    if (pass == CGCONV_FORWARD) return cgc_forward_correlation(s);
    const int64_t phases = cgc_min(s->sw, s->w);
    return cgc_backward_correlation(s, phase_grid(s->h, s->sh, index / phases),
                                    phase_grid(s->w, s->sw, index % phases));
}

/* Along one axis, of `extent` cells of dx and `k` of the filter, the window of dy (of `source` cells) of all phases. */
typedef struct window {
    int64_t extent, k, dilation, before, after;
} window;

static window window_of(int64_t extent, int64_t pad, int64_t k, int64_t stride, int64_t dilation, int64_t source) {
    window w = {.extent = cgc_ceil_div(extent, stride), .dilation = stride == 1 ? dilation : 1};
    int64_t first = INT64_MAX, last = INT64_MIN;
    for (int64_t phase = 0; phase < cgc_min(stride, extent); phase++) {
        const taps t = taps_of_phase(phase + pad, k, stride, dilation);
        if (t.count == 0) continue;
        first = cgc_min(first, t.source0 + (t.count - 1) * t.source);
        last = cgc_max(last, t.source0);
    }
    if (last < first) return w;
    w.k = (last - first) / w.dilation + 1;
    w.before = -first;
    w.after = last + w.extent - source;
    return w;
}

cgc_geometry cgc_window_geometry(const cgc_geometry *s, cgconv_pass pass) {
    cgc_geometry m = *s;
    if (pass == CGCONV_FORWARD) return m;
    const window rows = window_of(s->h, s->pt, s->kh, s->sh, s->dh, s->oh);
    const window cols = window_of(s->w, s->pl, s->kw, s->sw, s->dw, s->ow);
    m.c = s->oc, m.cg = s->f, m.h = s->oh, m.w = s->ow;
    m.oc = s->c, m.f = s->cg, m.oh = rows.extent, m.ow = cols.extent;
    m.kh = rows.k, m.dh = rows.dilation, m.pt = rows.before, m.pb = rows.after;
    m.kw = cols.k, m.dw = cols.dilation, m.pl = cols.before, m.pr = cols.after;
    m.sh = m.sw = 1;
    m.mode = CGCONV_PAD_CONSTANT, m.value = 0;
    m.lo = -HUGE_VAL, m.hi = HUGE_VAL;
    m.xn = s->yn, m.xc = s->yc, m.xh = s->yh, m.xw = s->yw;
    m.yn = s->xn, m.yc = s->xc, m.yh = cgc_min(s->sh, s->h) * s->xh, m.yw = s->xw; /* of one row it is of no use */
    m.wo = s->wc, m.wc = s->wo;
    return m;
}

int64_t cgc_correlation_rows(const cgc_geometry *s, cgconv_pass pass) {
    return pass == CGCONV_FORWARD ? s->oh : cgc_ceil_div(s->h, s->sh);
}

int64_t cgc_correlation_cells(const cgc_geometry *s, cgconv_pass pass) {
    return pass == CGCONV_FORWARD ? s->oh * s->ow : cgc_ceil_div(s->h, s->sh) * cgc_ceil_div(s->w, s->sw);
}

cgc_image cgc_image_at(const cgc_run *run, int64_t n) {
    const cgc_geometry *s = run->geometry;
    char *x = cgc_at(run->x, n * s->xn, s->size), *y = cgc_at(run->y, n * s->yn, s->size);
    if (run->pass == CGCONV_FORWARD) return (cgc_image){x, run->weight, run->bias, y};
    return (cgc_image){y, run->weight, NULL, x};
}
