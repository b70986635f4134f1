/* Random problems, see problem.h. It must not know how they are run. */
#include "problem.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define PICK(r, list) ((list)[rng_range(r, 0, (int64_t)(sizeof(list) / sizeof((list)[0])) - 1)])

static int64_t random_pad(rng *r, int64_t extent) {
    const int kind = (int)rng_range(r, 0, 9);
    if (kind < 4) return 0;
    return kind < 9 ? rng_range(r, 0, 3) : rng_range(r, 0, 3 * extent + 2);
}

static void draw_filter(rng *r, cgconv_spec *s) {
    static const int64_t extents[] = {1, 2, 3, 3, 3, 4, 5, 7}, steps[] = {1, 1, 1, 2, 2, 3, 4};
    const int pointwise = rng_chance(r, 15);
    s->kh = pointwise ? 1 : PICK(r, extents);
    s->kw = pointwise ? 1 : rng_chance(r, 50) ? s->kh : PICK(r, extents);
    s->stride_h = PICK(r, steps);
    s->stride_w = rng_chance(r, 50) ? s->stride_h : PICK(r, steps);
    s->dilation_h = rng_chance(r, 70) ? 1 : PICK(r, steps);
    s->dilation_w = rng_chance(r, 70) ? 1 : PICK(r, steps);
}

static void draw_input(rng *r, cgconv_spec *s) {
    static const double values[] = {0, 0, 0, 1.5, -0.0, 0.1, -1e30};
    s->n = rng_chance(r, 3) ? 0 : rng_range(r, 1, 3);
    s->h = rng_range(r, 1, 12);
    s->w = rng_chance(r, 25) ? rng_range(r, 1, 75) : rng_range(r, 1, 12);
    s->pad_mode = (cgconv_pad_mode)rng_range(r, 0, 4);
    if (s->pad_mode == CGCONV_PAD_CONSTANT) {
        s->pad_value = PICK(r, values);
        if (rng_chance(r, 4)) *(rng_chance(r, 50) ? &s->h : &s->w) = 0;
    }
    s->pad_top = random_pad(r, s->h), s->pad_bottom = random_pad(r, s->h);
    s->pad_left = random_pad(r, s->w), s->pad_right = random_pad(r, s->w);
}

static void draw_channels(rng *r, cgconv_spec *s) {
    if (rng_chance(r, 6)) { /* channel-wise, with vectors of channels to spare */
        s->c = s->groups = rng_range(r, 16, 80);
        s->filters_per_group = 1;
        return;
    }
    const int64_t cg = rng_chance(r, 40) ? 1 : rng_chance(r, 80) ? rng_range(r, 1, 5) : rng_range(r, 6, 40);
    s->groups = rng_chance(r, 30) ? 1 : rng_chance(r, 80) ? rng_range(r, 1, 5) : rng_range(r, 6, 40);
    s->filters_per_group = rng_chance(r, 80) ? rng_range(r, 1, 4) : rng_range(r, 5, 20);
    s->c = cg * s->groups;
}

static void draw_clamp(rng *r, cgconv_spec *s) {
    static const double lows[] = {0, -0.5, -HUGE_VAL, 0.1, -0.0}, highs[] = {HUGE_VAL, 0.5, 0.1, 6};
    if (rng_chance(r, 60)) return;
    s->clamp_lo = PICK(r, lows);
    s->clamp_hi = PICK(r, highs);
}

/*
 * A crop of something larger: from the innermost axis on, each axis steps over all that lies inside it, and a little
 * more. Outer axes may change places, run backwards, stand still or overlap.
 */
static void draw_strides(rng *r, cgconv_layout layout, const int64_t extents[4], int64_t strides[4]) {
    int order[4];
    memcpy(order, layout_order(layout), sizeof order);
    if (rng_chance(r, 15)) {
        const int a = (int)rng_range(r, 0, 2), b = (int)rng_range(r, 0, 2), axis = order[a];
        order[a] = order[b], order[b] = axis;
    }
    int64_t cells = 1;
    for (int a = 3; a >= 0; a--) {
        const int axis = order[a];
        strides[axis] = cells;
        if (a == 3 && extents[axis] == 1 && rng_chance(r, 50)) strides[axis] = rng_range(r, -3, 7);
        cells = cells * (extents[axis] > 1 ? extents[axis] : 1) + (rng_chance(r, 50) ? rng_range(r, 0, 5) : 0);
        if (a == 3) continue;
        if (rng_chance(r, 8)) strides[axis] = -strides[axis];
        else if (rng_chance(r, 4)) strides[axis] = rng_range(r, 0, 1);
    }
}

static double work(const cgconv_spec *s) {
    return (double)s->n * (double)s->c * (double)s->filters_per_group * (double)(s->kh * s->kw) *
           (double)output_extent(s->h, s->pad_top + s->pad_bottom, s->kh, s->stride_h, s->dilation_h) *
           (double)output_extent(s->w, s->pad_left + s->pad_right, s->kw, s->stride_w, s->dilation_w);
}

static int filter_fits(const cgconv_spec *s) {
    return s->h + s->pad_top + s->pad_bottom > (s->kh - 1) * s->dilation_h &&
           s->w + s->pad_left + s->pad_right > (s->kw - 1) * s->dilation_w;
}

static problem draw_problem(uint64_t seed, double least, double most) {
    problem p = {.seed = seed};
    rng r = {seed * 0x9e3779b97f4a7c15u + 1};
    cgconv_spec *s = &p.spec;
    do {
        cgconv_spec_init(s);
        s->dtype = rng_chance(&r, 60) ? CGCONV_FLOAT32 : CGCONV_FLOAT64;
        s->layout = (cgconv_layout)rng_range(&r, 0, 3);
        draw_filter(&r, s);
        draw_input(&r, s);
        if (least > 0) s->n += 1, s->h *= 4, s->w *= 4;
        draw_channels(&r, s);
        draw_clamp(&r, s);
    } while (!filter_fits(s) || work(s) > most || work(s) < least);
    p.has_bias = rng_chance(&r, 70);
    if (least > 0) return p;

    p.special_values = rng_chance(&r, 10);
    if (p.special_values && rng_chance(&r, 30)) s->pad_value = rng_chance(&r, 50) ? HUGE_VAL : NAN;
    const int64_t oh = output_extent(s->h, s->pad_top + s->pad_bottom, s->kh, s->stride_h, s->dilation_h);
    const int64_t ow = output_extent(s->w, s->pad_left + s->pad_right, s->kw, s->stride_w, s->dilation_w);
    if (rng_chance(&r, 50)) draw_strides(&r, s->layout, (int64_t[4]){s->n, s->c, s->h, s->w}, s->x_strides);
    if (rng_chance(&r, 50)) draw_strides(&r, s->layout, (int64_t[4]){s->n, output_channels(s), oh, ow}, s->y_strides);
    return p;
}

problem random_problem(uint64_t seed) { return draw_problem(seed, 0, 30000); }

problem random_large_problem(uint64_t seed) { return draw_problem(seed, 1e6, 3e6); }

void describe(const problem *p, char *text, size_t size) {
    static const char *const dtypes[] = {"f32", "f64"}, *const layouts[] = {"NCHW", "NHWC", "NCWH", "NWHC"};
    static const char *const modes[] = {"constant", "symmetric-include-edge", "symmetric-exclude-edge", "replicate",
                                        "circular"};
    const cgconv_spec *s = &p->spec;
    const int64_t *x = s->x_strides, *y = s->y_strides;
#define LL(v) ((long long)(v))
    snprintf(text, size,
             "seed=%llu %s %s n=%lld c=%lld h=%lld w=%lld groups=%lld f=%lld k=%lldx%lld stride=%lldx%lld "
             "dilation=%lldx%lld pads=%lld,%lld,%lld,%lld %s value=%g clamp=%g,%g bias=%d special=%d "
             "x_strides=%lld,%lld,%lld,%lld y_strides=%lld,%lld,%lld,%lld",
             (unsigned long long)p->seed, dtypes[s->dtype], layouts[s->layout], LL(s->n), LL(s->c), LL(s->h),
             LL(s->w), LL(s->groups), LL(s->filters_per_group), LL(s->kh), LL(s->kw), LL(s->stride_h),
             LL(s->stride_w), LL(s->dilation_h), LL(s->dilation_w), LL(s->pad_top), LL(s->pad_bottom),
             LL(s->pad_left), LL(s->pad_right), modes[s->pad_mode], s->pad_value, s->clamp_lo, s->clamp_hi,
             p->has_bias, p->special_values, LL(x[0]), LL(x[1]), LL(x[2]), LL(x[3]), LL(y[0]), LL(y[1]), LL(y[2]),
             LL(y[3]));
#undef LL
}
