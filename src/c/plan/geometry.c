/*
 * spec -> geometry, see geometry.h. Fields are checked first, then sizes, then strides; the first rule that is broken
 * gives the sentence.
 */
#include "geometry.h"

#include "sizes.h"

#define LL(x) ((long long)(x))

static const char *const axis_names[4] = {"n", "c", "h", "w"};

/* The axes of each layout in memory, outermost first, as indices into n, c, h, w. */
static const int axis_order[4][4] = {{0, 1, 2, 3}, {0, 2, 3, 1}, {0, 1, 3, 2}, {0, 3, 2, 1}};
static const char *const layout_names[4] = {"NCHW", "NHWC", "NCWH", "NWHC"};

static cgconv_status check_fields(const cgconv_spec *s, cgc_why why) {
    const struct {
        const char *name;
        int64_t value, least;
    } fields[] = {
        {"n", s->n, 0},
        {"c", s->c, 1},
        {"h", s->h, 0},
        {"w", s->w, 0},
        {"groups", s->groups, 1},
        {"filters_per_group", s->filters_per_group, 1},
        {"kh", s->kh, 1},
        {"kw", s->kw, 1},
        {"stride_h", s->stride_h, 1},
        {"stride_w", s->stride_w, 1},
        {"dilation_h", s->dilation_h, 1},
        {"dilation_w", s->dilation_w, 1},
        {"pad_top", s->pad_top, 0},
        {"pad_bottom", s->pad_bottom, 0},
        {"pad_left", s->pad_left, 0},
        {"pad_right", s->pad_right, 0},
    };
    if ((unsigned)s->dtype > CGCONV_FLOAT64)
        return cgc_explain(why, CGCONV_INVALID_ARGUMENT, "dtype=%d is not a cgconv_dtype", (int)s->dtype);
    if ((unsigned)s->layout > CGCONV_NWHC)
        return cgc_explain(why, CGCONV_INVALID_ARGUMENT, "layout=%d is not a cgconv_layout", (int)s->layout);
    if ((unsigned)s->pad_mode > CGCONV_PAD_CIRCULAR)
        return cgc_explain(why, CGCONV_INVALID_ARGUMENT, "pad_mode=%d is not a cgconv_pad_mode", (int)s->pad_mode);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (fields[i].value < fields[i].least)
            return cgc_explain(why, CGCONV_INVALID_ARGUMENT, "%s=%lld must be at least %lld", fields[i].name,
                               LL(fields[i].value), LL(fields[i].least));
        if (cgc_size(fields[i].value) < 0)
            return cgc_explain(why, CGCONV_SIZE_OVERFLOW, "%s=%lld is larger than any array can be", fields[i].name,
                               LL(fields[i].value));
    }
    if (s->c % s->groups)
        return cgc_explain(why, CGCONV_INVALID_ARGUMENT, "groups=%lld does not divide the %lld input channels",
                           LL(s->groups), LL(s->c));
    if (!(s->clamp_lo <= s->clamp_hi))
        return cgc_explain(why, CGCONV_INVALID_ARGUMENT,
                           "clamp_lo=%g must not exceed clamp_hi=%g, and neither be NaN", s->clamp_lo, s->clamp_hi);
    return CGCONV_OK;
}

/* One axis: its output extent. */
static cgconv_status check_axis(const char *axis, const cgconv_spec *s, int64_t in, int64_t k, int64_t stride,
                                int64_t dilation, int64_t low, int64_t high, int64_t *out, cgc_why why) {
    const int64_t filter = cgc_size_add(cgc_size_mul(k - 1, dilation), 1);
    const int64_t padded = cgc_size_add(cgc_size_add(in, low), high);
    if (filter < 0 || padded < 0)
        return cgc_explain(
            why, CGCONV_SIZE_OVERFLOW,
            "%s: an input of %lld padded by %lld and %lld, or a filter of %lld dilated by %lld, is too large", axis,
            LL(in), LL(low), LL(high), LL(k), LL(dilation));
    if (in == 0 && (low || high) && s->pad_mode != CGCONV_PAD_CONSTANT)
        return cgc_explain(why, CGCONV_INVALID_ARGUMENT,
                           "%s: an empty axis has no cells to pad with; only constant padding can extend it", axis);
    if (padded < filter)
        return cgc_explain(
            why, CGCONV_INVALID_ARGUMENT,
            "%s: the input of %lld padded by %lld and %lld is smaller than the filter, which spans %lld "
            "(%lld cells, dilation %lld)",
            axis, LL(in), LL(low), LL(high), LL(filter), LL(k), LL(dilation));
    *out = (padded - filter) / stride + 1;
    return CGCONV_OK;
}

/* Strides of one image array, and where it lies. `extents` and `strides` are in the order n, c, h, w. */
static cgconv_status check_strides(const char *array, const cgconv_spec *s, const int64_t given[4],
                                   const int64_t extents[4], int64_t element, ptrdiff_t strides[4],
                                   cgc_extent *extent, cgc_why why) {
    const int *order = axis_order[s->layout];
    int dense = 1;
    int64_t cells = 1, low = 0, high = 0;
    for (int a = 3; a >= 0; a--) {
        strides[order[a]] = (ptrdiff_t)cells;
        /* An empty axis still has a shape that must be sound. */
        cells = cgc_size_mul(cells, cgc_max(extents[order[a]], 1));
        dense = dense && given[a] == 0;
    }
    if (cgc_size_mul(cells, element) < 0)
        return cgc_explain(why, CGCONV_SIZE_OVERFLOW, "%s: %lld x %lld x %lld x %lld elements do not fit in memory",
                           array, LL(extents[0]), LL(extents[1]), LL(extents[2]), LL(extents[3]));
    extent->distinct = 1;
    if (!dense) {
        const int inner = order[3];
        if (extents[inner] > 1 && given[inner] != 1)
            return cgc_explain(why, CGCONV_UNSUPPORTED,
                               "%s: the stride of %s is %lld; the innermost axis of %s needs 1", array,
                               axis_names[inner], LL(given[inner]), layout_names[s->layout]);
        for (int a = 0; a < 4; a++) strides[a] = extents[a] > 1 ? (ptrdiff_t)given[a] : a == inner ? 1 : 0;
    }
    for (int a = 0; a < 4; a++) {
        const int64_t span =
            cgc_size_mul(cgc_size_mul(cgc_max(extents[a] - 1, 0), cgc_size_abs(strides[a])), element);
        if (span < 0 || cgc_size_add(high - low, span) < 0)
            return cgc_explain(why, CGCONV_SIZE_OVERFLOW,
                               "%s: %lld cells of %s with a stride of %lld do not fit in memory", array,
                               LL(extents[a]), axis_names[a], LL(strides[a]));
        if (strides[a] < 0)
            low -= span;
        else
            high += span;
    }
    /* Taken by rising stride, each axis must step over all that lies inside it. */
    int64_t inside = 1;
    for (int taken = 0, used = 0; taken < 4; taken++) {
        int next = -1;
        for (int a = 0; a < 4; a++)
            if (!(used >> a & 1) && (next < 0 || cgc_size_abs(strides[a]) < cgc_size_abs(strides[next]))) next = a;
        used |= 1 << next;
        if (extents[next] < 2) continue;
        if (cgc_size_abs(strides[next]) < inside) extent->distinct = 0;
        inside += (extents[next] - 1) * cgc_size_abs(strides[next]);
    }
    const int empty = extents[0] == 0 || extents[1] == 0 || extents[2] == 0 || extents[3] == 0;
    extent->distinct |= empty;
    extent->low = empty ? 0 : low;
    extent->high = empty ? 0 : high + element;
    return CGCONV_OK;
}

static void swap(int64_t *a, int64_t *b) {
    const int64_t t = *a;
    *a = *b;
    *b = t;
}

static void swap_strides(ptrdiff_t *a, ptrdiff_t *b) {
    const ptrdiff_t t = *a;
    *a = *b;
    *b = t;
}

/*
 * Height takes the part of width and the other way round: the inner loops run along memory, with taps in (c, v, u)
 * order.
 */
static void exchange(cgc_geometry *s) {
    swap(&s->h, &s->w), swap(&s->oh, &s->ow), swap(&s->kh, &s->kw), swap(&s->sh, &s->sw), swap(&s->dh, &s->dw);
    swap(&s->pt, &s->pl), swap(&s->pb, &s->pr);
    swap_strides(&s->xh, &s->xw), swap_strides(&s->yh, &s->yw), swap_strides(&s->wu, &s->wv);
}

cgconv_status cgc_geometry_init(const cgconv_spec *spec, cgc_geometry *geometry, cgc_extents *extents, cgc_why why) {
    if (why.text && why.size) why.text[0] = 0;
    if (!spec) return cgc_explain(why, CGCONV_INVALID_ARGUMENT, "the spec is NULL");
    if (spec->struct_size != sizeof *spec)
        return cgc_explain(why, CGCONV_INVALID_ARGUMENT,
                           "the spec's struct_size is %lld, not %lld: call cgconv_spec_init first",
                           LL(spec->struct_size), LL(sizeof *spec));
    int64_t oh = 0, ow = 0;
    cgconv_status status = check_fields(spec, why);
    if (!status)
        status = check_axis("height", spec, spec->h, spec->kh, spec->stride_h, spec->dilation_h, spec->pad_top,
                            spec->pad_bottom, &oh, why);
    if (!status)
        status = check_axis("width", spec, spec->w, spec->kw, spec->stride_w, spec->dilation_w, spec->pad_left,
                            spec->pad_right, &ow, why);
    if (status) return status;

    const int64_t element = spec->dtype == CGCONV_FLOAT64 ? 8 : 4, cg = spec->c / spec->groups;
    const int64_t oc = cgc_size_mul(spec->groups, spec->filters_per_group);
    const int64_t weights =
        cgc_size_mul(cgc_size_mul(cgc_size_mul(oc, cg), cgc_size_mul(spec->kh, spec->kw)), element);
    if (oc < 0 || weights < 0)
        return cgc_explain(why, CGCONV_SIZE_OVERFLOW,
                           "weight: %lld x %lld x %lld x %lld x %lld elements do not fit in memory", LL(spec->groups),
                           LL(spec->filters_per_group), LL(cg), LL(spec->kh), LL(spec->kw));

    ptrdiff_t x[4], y[4];
    cgc_extents where = {.weight = {0, weights, 1}, .bias = {0, oc * element, 1}};
    const int64_t x_shape[4] = {spec->n, spec->c, spec->h, spec->w}, y_shape[4] = {spec->n, oc, oh, ow};
    status = check_strides("x", spec, spec->x_strides, x_shape, element, x, &where.x, why);
    if (!status) status = check_strides("y", spec, spec->y_strides, y_shape, element, y, &where.y, why);
    if (status) return status;

    *geometry = (cgc_geometry){
        .dtype = spec->dtype, .size = (ptrdiff_t)element,
        .n = spec->n, .c = spec->c, .h = spec->h, .w = spec->w, .oc = oc, .oh = oh, .ow = ow,
        .g = spec->groups, .cg = cg, .f = spec->filters_per_group,
        .kh = spec->kh, .kw = spec->kw, .sh = spec->stride_h, .sw = spec->stride_w,
        .dh = spec->dilation_h, .dw = spec->dilation_w,
        .pt = spec->pad_top, .pb = spec->pad_bottom, .pl = spec->pad_left, .pr = spec->pad_right,
        .mode = spec->pad_mode, .value = spec->pad_value, .lo = spec->clamp_lo, .hi = spec->clamp_hi,
        .xn = x[0], .xc = x[1], .xh = x[2], .xw = x[3],
        .yn = y[0], .yc = y[1], .yh = y[2], .yw = y[3],
        .wo = (ptrdiff_t)(cg * spec->kh * spec->kw), .wc = (ptrdiff_t)(spec->kh * spec->kw),
        .wu = (ptrdiff_t)spec->kw, .wv = 1,
    };
    if (cgc_is_exchanged(spec->layout)) exchange(geometry);
    if (extents) *extents = where;
    return CGCONV_OK;
}

/* One axis. False if the sizes overflow. */
static int same(int64_t in, int64_t k, int64_t stride, int64_t dilation, int64_t *low, int64_t *high) {
    const int64_t filter = cgc_size_add(cgc_size_mul(k - 1, dilation), 1);
    const int64_t steps = cgc_ceil_div(in, stride) - 1; /* of the filter; -1 on an empty axis, which has no output */
    const int64_t reach = steps < 0 ? cgc_max(filter - stride, 0) : cgc_size_add(cgc_size_mul(steps, stride), filter);
    *low = cgc_max(reach - in, 0) / 2;
    *high = cgc_max(reach - in, 0) - *low;
    return filter >= 0 && reach >= 0;
}

cgconv_status cgc_pad_same(cgconv_spec *spec, cgc_why why) {
    const cgconv_status status = check_fields(spec, why);
    if (status) return status;
    return same(spec->h, spec->kh, spec->stride_h, spec->dilation_h, &spec->pad_top, &spec->pad_bottom) &&
                   same(spec->w, spec->kw, spec->stride_w, spec->dilation_w, &spec->pad_left, &spec->pad_right)
               ? CGCONV_OK
               : cgc_explain(why, CGCONV_SIZE_OVERFLOW, "the pads of \"same\" are too large");
}
