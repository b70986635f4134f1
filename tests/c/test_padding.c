/*
 * Padding by example: the matrices that define each mode, through the map and through the three passes, and values
 * that arithmetic treats specially. Expected values are literal; nothing here is computed by the code it tests.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "definition.h"
#include "harness.h"
#include "variants.h"

enum { MODES = 5, IN = 3, PAD = 2, OUT = IN + 2 * PAD };

static const char *const mode_names[MODES] = {"constant", "symmetric-include-edge", "symmetric-exclude-edge",
                                              "replicate", "circular"};

static const double input[IN * IN] = {3, 1, 4, 1, 5, 9, 2, 6, 5};

static const double padded[MODES][OUT * OUT] = {
    {7, 7, 7, 7, 7, 7, 7,
     7, 7, 7, 7, 7, 7, 7,
     7, 7, 3, 1, 4, 7, 7,
     7, 7, 1, 5, 9, 7, 7,
     7, 7, 2, 6, 5, 7, 7,
     7, 7, 7, 7, 7, 7, 7,
     7, 7, 7, 7, 7, 7, 7},
    {5, 1, 1, 5, 9, 9, 5,
     1, 3, 3, 1, 4, 4, 1,
     1, 3, 3, 1, 4, 4, 1,
     5, 1, 1, 5, 9, 9, 5,
     6, 2, 2, 6, 5, 5, 6,
     6, 2, 2, 6, 5, 5, 6,
     5, 1, 1, 5, 9, 9, 5},
    {5, 6, 2, 6, 5, 6, 2,
     9, 5, 1, 5, 9, 5, 1,
     4, 1, 3, 1, 4, 1, 3,
     9, 5, 1, 5, 9, 5, 1,
     5, 6, 2, 6, 5, 6, 2,
     9, 5, 1, 5, 9, 5, 1,
     4, 1, 3, 1, 4, 1, 3},
    {3, 3, 3, 1, 4, 4, 4,
     3, 3, 3, 1, 4, 4, 4,
     3, 3, 3, 1, 4, 4, 4,
     1, 1, 1, 5, 9, 9, 9,
     2, 2, 2, 6, 5, 5, 5,
     2, 2, 2, 6, 5, 5, 5,
     2, 2, 2, 6, 5, 5, 5},
    {5, 9, 1, 5, 9, 1, 5,
     6, 5, 2, 6, 5, 2, 6,
     1, 4, 3, 1, 4, 3, 1,
     5, 9, 1, 5, 9, 1, 5,
     6, 5, 2, 6, 5, 2, 6,
     1, 4, 3, 1, 4, 3, 1,
     5, 9, 1, 5, 9, 1, 5},
};

/* How many cells of the padded matrix are copies of a cell: the gradient of a sum over it. */
static const double copies[MODES][IN * IN] = {
    {1, 1, 1, 1, 1, 1, 1, 1, 1}, {4, 6, 4, 6, 9, 6, 4, 6, 4}, {4, 6, 4, 6, 9, 6, 4, 6, 4},
    {9, 3, 9, 3, 1, 3, 9, 3, 9}, {4, 6, 4, 6, 9, 6, 4, 6, 4},
};
static const double sums[MODES] = {36 + 7 * 40, 203, 203, 182, 203};

/* ---- one channel, one image ------------------------------------------------------------------------------------ */

/* A problem of one plane in the arrays of any dtype, and what it has to give. */
typedef struct plane {
    cgconv_spec spec;
    const double *x, *weight, *dy; /* in row-major order */
    const double *y, *dx, *dw;     /* expected; NULL: the pass is not run */
} plane;

enum { MOST = 400 };
static double store_x[MOST], store_w[MOST], store_y[MOST], workspace[1 << 20];

static int exchanged(const cgconv_spec *s) { return s->layout == CGCONV_NCWH || s->layout == CGCONV_NWHC; }

/* Cell (i, j) of a dense plane of this layout, in memory. */
static int64_t place(const cgconv_spec *s, int64_t i, int64_t j, int64_t rows, int64_t cols) {
    return exchanged(s) ? j * rows + i : i * cols + j;
}

static void load(const cgconv_spec *s, double *store, const double *values, int64_t rows, int64_t cols,
                 int is_weight) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++)
            put(s->dtype, store, is_weight ? i * cols + j : place(s, i, j, rows, cols), values[i * cols + j]);
}

static int same(double a, double b) {
    return isnan(a) || isnan(b) ? isnan(a) && isnan(b) : a == b && signbit(a) == signbit(b);
}

static void compare(const cgconv_spec *s, const double *store, const double *values, int64_t rows, int64_t cols,
                    int is_weight, const char *how) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++) {
            const double got = get(s->dtype, store, is_weight ? i * cols + j : place(s, i, j, rows, cols));
            CHECK(same(got, values[i * cols + j]), "%s: cell (%d, %d) is %g, should be %g", how, (int)i, (int)j, got,
                  values[i * cols + j]);
        }
}

static void run_plane(void *context, const variant *v) {
    const plane *p = context;
    const cgconv_spec *s = &p->spec;
    int64_t oh, ow;
    cgconv_output_size(s, &oh, &ow);
    CHECK(cgconv_plan_workspace_size(v->plan, v->pass) <= sizeof workspace, "%s: a large workspace", v->how);
    memset(store_x, POISON, sizeof store_x);
    memset(store_y, POISON, sizeof store_y);
    memset(store_w, POISON, sizeof store_w);
    if (v->pass != CGCONV_BACKWARD_INPUT) load(s, store_x, p->x, s->h, s->w, 0);
    if (v->pass != CGCONV_BACKWARD_WEIGHT) load(s, store_w, p->weight, s->kh, s->kw, 1);
    if (v->pass != CGCONV_FORWARD && p->dy) load(s, store_y, p->dy, oh, ow, 0);
    if (v->pass == CGCONV_FORWARD && p->y) {
        CHECK(cgconv_forward(v->plan, store_x, store_w, NULL, store_y, workspace, sizeof workspace) == CGCONV_OK,
              "forward");
        compare(s, store_y, p->y, oh, ow, 0, v->how);
    }
    if (v->pass == CGCONV_BACKWARD_INPUT && p->dx) {
        CHECK(cgconv_backward_input(v->plan, store_y, store_w, store_x, workspace, sizeof workspace) == CGCONV_OK,
              "dx");
        compare(s, store_x, p->dx, s->h, s->w, 0, v->how);
    }
    if (v->pass == CGCONV_BACKWARD_WEIGHT && p->dw) {
        const cgconv_status status =
            cgconv_backward_weight(v->plan, store_x, store_y, store_w, NULL, workspace, sizeof workspace);
        CHECK(status == CGCONV_OK, "dw");
        compare(s, store_w, p->dw, s->kh, s->kw, 1, v->how);
    }
}

/* Both dtypes, all layouts, every variant. */
static void run(const plane *p, const char *what) {
    for (int dtype = 0; dtype < 2; dtype++)
        for (int layout = 0; layout < 4; layout++) {
            plane each = *p;
            each.spec.dtype = (cgconv_dtype)dtype;
            each.spec.layout = (cgconv_layout)layout;
            begin_case("%s, %s padding of %g, dtype=%d layout=%d", what, mode_names[p->spec.pad_mode],
                       p->spec.pad_value, dtype, layout);
            each_variant(&each.spec, 1, run_plane, &each);
        }
}

static cgconv_spec plane_spec(int mode, int64_t k) {
    cgconv_spec spec;
    cgconv_spec_init(&spec);
    spec.c = 1, spec.h = spec.w = IN, spec.kh = spec.kw = k;
    spec.pad_mode = (cgconv_pad_mode)mode;
    return spec;
}

/* ---- the matrices ---------------------------------------------------------------------------------------------- */

static void test_the_matrices_of_each_mode(void) {
    static const double one[1] = {1};
    static double ones[OUT * OUT];
    for (int i = 0; i < OUT * OUT; i++) ones[i] = 1;
    for (int mode = 0; mode < MODES; mode++) {
        plane p = {plane_spec(mode, 1), input, one, ones, padded[mode], copies[mode], &sums[mode]};
        p.spec.pad_top = p.spec.pad_bottom = p.spec.pad_left = p.spec.pad_right = PAD;
        p.spec.pad_value = 7;
        run(&p, "a matrix and its copies");
    }
}

/* The four sides are independent: any crop of the matrix is what its own pads give. */
static void test_pads_of_each_side(void) {
    static const double one[1] = {1};
    for (int mode = 0; mode < MODES; mode++)
        for (int sides = 0; sides < 81; sides += 5) {
            const int top = sides % 3, bottom = sides / 3 % 3, left = sides / 9 % 3, right = sides / 27;
            double crop[OUT * OUT];
            int cells = 0;
            for (int i = PAD - top; i < PAD + IN + bottom; i++)
                for (int j = PAD - left; j < PAD + IN + right; j++) crop[cells++] = padded[mode][i * OUT + j];
            plane p = {plane_spec(mode, 1), input, one, NULL, crop, NULL, NULL};
            p.spec.pad_top = top, p.spec.pad_bottom = bottom, p.spec.pad_left = left, p.spec.pad_right = right;
            p.spec.pad_value = 7;
            run(&p, "pads of each side");
        }
}

/* Letters stand for cells, '.' for the constant. */
static void test_pads_longer_than_the_axis(void) {
    static const struct {
        int extent;
        const char *line[MODES];
    } lines[] = {
        {1, {".........a.........", "aaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaa",
             "aaaaaaaaaaaaaaaaaaa"}},
        {2, {".........ab.........", "aabbaabbaabbaabbaabb", "babababababababababa", "aaaaaaaaaabbbbbbbbbb",
             "babababababababababa"}},
        {3, {".........abc.........", "cbaabccbaabccbaabccba", "babcbabcbabcbabcbabcb", "aaaaaaaaaabcccccccccc",
             "abcabcabcabcabcabcabc"}},
        {4, {".........abcd.........", "aabcddcbaabcddcbaabcdd", "dcbabcdcbabcdcbabcdcba", "aaaaaaaaaabcdddddddddd",
             "dabcdabcdabcdabcdabcda"}},
    };
    for (int l = 0; l < 4; l++)
        for (int mode = 0; mode < MODES; mode++) {
            const int extent = lines[l].extent;
            const char *line = lines[l].line[mode];
            double x[4] = {1, 2, 3, 4}, y[32], one[1] = {1};
            begin_case("%s pad of 9 around %d cells", mode_names[mode], extent);
            CHECK((int)strlen(line) == extent + 18, "the example is wrong");
            for (int i = 0; line[i]; i++) {
                const int64_t source = cgconv_pad_source((cgconv_pad_mode)mode, i - 9, extent);
                CHECK(source == (line[i] == '.' ? -1 : line[i] - 'a'), "position %d comes from %d", i - 9,
                      (int)source);
                y[i] = line[i] == '.' ? -8 : x[line[i] - 'a'];
            }
            plane p = {plane_spec(mode, 1), x, one, NULL, y, NULL, NULL};
            p.spec.pad_value = -8;
            p.spec.h = 1, p.spec.w = extent, p.spec.pad_left = p.spec.pad_right = 9;
            run(&p, "a long pad to the left and right");
            p.spec.h = extent, p.spec.w = 1, p.spec.pad_left = p.spec.pad_right = 0;
            p.spec.pad_top = p.spec.pad_bottom = 9;
            run(&p, "a long pad above and below");
        }
    begin_case("an empty axis has no source");
    for (int mode = 0; mode < MODES; mode++)
        for (int i = -3; i < 3; i++) CHECK(cgconv_pad_source((cgconv_pad_mode)mode, i, 0) == -1, "position %d", i);
}

/* ---- "same" ---------------------------------------------------------------------------------------------------- */

/* The least total pad that gives ceil(in / stride) outputs, of which the first half, rounded down, comes first. */
static void check_same(int64_t in, int64_t k, int64_t stride, int64_t dilation, int64_t low, int64_t high) {
    int64_t total = 0;
    const int64_t wanted = (in + stride - 1) / stride;
    while (in + total < (k - 1) * dilation + 1 || output_extent(in, total, k, stride, dilation) < wanted) total++;
    CHECK(low == total / 2 && high == total - total / 2,
          "in=%d k=%d stride=%d dilation=%d: pads %d and %d, not %d in all", (int)in, (int)k, (int)stride,
          (int)dilation, (int)low, (int)high, (int)total);
}

static void test_same_keeps_the_size(void) {
    rng r = {7};
    for (int i = 0; i < 20000; i++) {
        cgconv_spec s;
        int64_t oh = 0, ow = 0;
        cgconv_spec_init(&s);
        s.layout = (cgconv_layout)rng_range(&r, 0, 3);
        s.h = rng_range(&r, 1, 20), s.w = rng_range(&r, 1, 20);
        s.kh = rng_range(&r, 1, 7), s.kw = rng_range(&r, 1, 7);
        s.stride_h = rng_range(&r, 1, 9), s.stride_w = rng_range(&r, 1, 9);
        s.dilation_h = rng_range(&r, 1, 4), s.dilation_w = rng_range(&r, 1, 4);
        s.pad_top = s.pad_right = rng_range(&r, 0, 3);
        begin_case("\"same\" on h=%d w=%d", (int)s.h, (int)s.w);
        if (!CHECK(cgconv_spec_pad_same(&s) == CGCONV_OK, "refused, though it needs no channels")) continue;
        check_same(s.h, s.kh, s.stride_h, s.dilation_h, s.pad_top, s.pad_bottom);
        check_same(s.w, s.kw, s.stride_w, s.dilation_w, s.pad_left, s.pad_right);
        s.c = 1;
        CHECK(cgconv_output_size(&s, &oh, &ow) == CGCONV_OK && oh == (s.h + s.stride_h - 1) / s.stride_h &&
                  ow == (s.w + s.stride_w - 1) / s.stride_w,
              "an output of %d x %d", (int)oh, (int)ow);
    }
}

/* ---- special values -------------------------------------------------------------------------------------------- */

/* Padding takes part in the arithmetic: 0 times infinity is NaN where a filter of zeros reaches over the edge. */
static void test_zero_times_the_padding(void) {
    static const double zeros[9] = {0}, values[3] = {HUGE_VAL, -HUGE_VAL, NAN};
    for (int i = 0; i < 3; i++) {
        double y[9];
        for (int cell = 0; cell < 9; cell++) y[cell] = cell == 4 ? 0 : NAN;
        plane p = {plane_spec(0, 3), input, zeros, NULL, y, NULL, NULL};
        p.spec.pad_value = values[i];
        p.spec.pad_top = p.spec.pad_bottom = p.spec.pad_left = p.spec.pad_right = 1;
        run(&p, "a filter of zeros");
    }
}

/* An infinite cell reaches exactly the outputs whose filter covers it, and a copy of it in the padding as well. */
static void test_infinity_stays_in_its_neighbourhood(void) {
    static const double x[9] = {HUGE_VAL, 0, 0, 0, 0, 0, 0, 0, 0}, weight[3] = {0, 0, 1};
    static const double plain[9] = {NAN, NAN, 0, 0, 0, 0, 0, 0, 0};
    static const double circular[9] = {NAN, NAN, HUGE_VAL, 0, 0, 0, 0, 0, 0};
    for (int mode = 0; mode <= 4; mode += 4) {
        plane p = {plane_spec(mode, 3), x, weight, NULL, mode ? circular : plain, NULL, NULL};
        p.spec.kh = 1, p.spec.pad_left = p.spec.pad_right = 1;
        run(&p, "an infinite cell");
    }
}

/* A NaN passes through the clamp, and an infinite value does not. */
static void test_the_clamp(void) {
    static const double x[9] = {NAN, HUGE_VAL, -HUGE_VAL, -0.0, 0, 5, 6, 7, -1}, one[1] = {1};
    static const double y[9] = {NAN, 6, 0, 0, 0, 5, 6, 6, 0};
    static const double open[9] = {NAN, HUGE_VAL, -HUGE_VAL, 0, 0, 5, 6, 7, -1};
    plane p = {plane_spec(0, 1), x, one, NULL, y, NULL, NULL};
    p.spec.clamp_lo = 0, p.spec.clamp_hi = 6;
    run(&p, "a clamp");
    p.spec.clamp_lo = -HUGE_VAL, p.spec.clamp_hi = HUGE_VAL;
    p.y = open;
    run(&p, "no clamp");
}

/* Nothing is flushed to zero, and the sign of a zero follows the rules of the sum that begins at +0. */
static void test_denormal_numbers_and_zeros(void) {
    static const double one[1] = {1}, minus[1] = {-1};
    const double least = FLT_MIN / 8388608; /* 2^-149, the least float */
    const double x[9] = {least, -least, FLT_MIN, FLT_MIN - least, 0, -0.0, 1, FLT_MAX, -FLT_MAX};
    const double y[9] = {least, -least, FLT_MIN, FLT_MIN - least, 0, 0, 1, FLT_MAX, -FLT_MAX};
    const double negated[9] = {-least, least, -FLT_MIN, -(FLT_MIN - least), 0, 0, -1, -FLT_MAX, FLT_MAX};
    plane p = {plane_spec(0, 1), x, one, x, y, y, NULL};
    run(&p, "times one");
    p.weight = minus, p.y = p.dx = negated;
    run(&p, "times minus one");
}

int main(void) {
    test_the_matrices_of_each_mode();
    test_pads_of_each_side();
    test_pads_longer_than_the_axis();
    test_same_keeps_the_size();
    test_zero_times_the_padding();
    test_infinity_stays_in_its_neighbourhood();
    test_the_clamp();
    test_denormal_numbers_and_zeros();
    return finish("test_padding");
}
