/*
 * The stencil kernel against plain loops, bit for bit: every instruction set of this machine, both dtypes, each length
 * of vectors, operands between guard pages. What stands beyond the ends of a line is told as stencil.h says.
 * Usage: test_stencil_kernel [rounds] [seed]; CGCONV_TEST_ROUNDS and CGCONV_TEST_SEED do the same.
 */
#include <stdlib.h>

#include "kernel_bench.h"

enum { CELLS = 2048, LINES = 256, SOURCE_ROWS = 5 };

/* A kernel's case: the stencil itself, and what its tables stand for. */
typedef struct trial {
    cgc_stencil s;
    cgconv_pad_mode mode;
    int64_t row[LINES]; /* the source row of each line; -1: constant */
    ptrdiff_t lines[LINES];
    int32_t cells[2][CELLS];
} trial;

static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

/* Behind the last column that output columns 0 .. cols-1 read. */
static int64_t behind(const cgc_stencil *s, int64_t cols) {
    return s->first + (cols - 1) * s->step + (s->kw - 1) * s->dilation_w + 1;
}

/* Makes a fringe for columns first .. end-1. Returns 0 if a column that is read has its cell in neither vector. */
static int make_fringe(trial *c, int which, int64_t first, int64_t end, int64_t a, int64_t b, cgc_fringe *fringe) {
    const cgc_stencil *s = &c->s;
    const int64_t count = (end - first + s->step - 1) / s->step + s->lanes;
    *fringe = (cgc_fringe){c->cells[which], first, (ptrdiff_t)count, a, b, s->step > 1};
    if (count * s->step > CELLS) abort();
    for (int64_t t = 0; t < count * s->step; t++) {
        const int64_t column = first + t, source = cgconv_pad_source(c->mode, column, s->width);
        int32_t e = -1;
        if (column < end && source >= 0) {
            if (source >= a && source < a + s->lanes)
                e = (int32_t)(source - a);
            else if (source >= b && source < b + s->lanes)
                e = (int32_t)(source - b + s->lanes);
            else if (column < behind(s, s->cols))
                return 0;
        }
        c->cells[which][t / s->step + t % s->step * count] = e;
        fringe->both |= e >= s->lanes;
    }
    return 1;
}

static int make_fringes(trial *c) {
    cgc_stencil *s = &c->s;
    const int64_t span = s->step * s->lanes, end = behind(s, most(s->cols, s->lanes));
    const int64_t first = s->first < 0 ? s->first : 0;
    s->narrow = s->width <= span;
    if (s->narrow) return make_fringe(c, 0, first, most(span, end), 0, s->lanes, &s->left);
    const int64_t right = s->width - span;
    return make_fringe(c, 0, first, span, 0, s->step > 1 ? s->lanes : s->width - s->lanes, &s->left) &&
           make_fringe(c, 1, right, most(s->width, end), right, s->step > 1 ? right + s->lanes : 0, &s->right);
}

/* The padded cell of a plane, or the constant. */
static double cell(const bench *t, const trial *c, const void *x, int64_t plane, int64_t line, int64_t column) {
    const int64_t source = cgconv_pad_source(c->mode, column, c->s.width);
    if (c->row[line] < 0 || source < 0) return c->s.constant;
    return get(t->dtype, x, plane * c->s.x_plane + c->lines[line] + source);
}

static void expect_output(bench *t, const trial *c) {
    const cgc_stencil *s = &c->s;
    for (int64_t i = 0; i < s->planes * s->filters; i++)
        for (int64_t r = 0; r < s->rows; r++)
            for (int64_t p = 0; p < s->cols; p++) {
                double sum = s->bias ? get(t->dtype, s->bias, i) : 0;
                for (int64_t u = 0; u < s->kh; u++)
                    for (int64_t v = 0; v < s->kw; v++)
                        sum = multiply_add(t->dtype, t->kernels->fused,
                                           get(t->dtype, s->w, (i * s->kh + u) * s->kw + v),
                                           cell(t, c, s->x, i / s->filters, r * s->step + u * s->dilation_h,
                                                s->first + p * s->step + v * s->dilation_w),
                                           sum);
                expect(t, i * s->y_plane + r * s->y_pitch + p, clamp(t->dtype, sum, s->lo, s->hi));
            }
}

/* Draws lines and operands, and runs the kernel. */
static void run(bench *t, trial *c) {
    cgc_stencil *s = &c->s;
    static double constant_line[1024];
    CASE(t, "stencil %lldx%lld of %lld filter=%lldx%lld step=%lld dilation=%lldx%lld first=%lld lanes=%d mode=%d",
         (long long)s->rows, (long long)s->cols, (long long)s->width, (long long)s->kh, (long long)s->kw,
         (long long)s->step, (long long)s->dilation_h, (long long)s->dilation_w, (long long)s->first, s->lanes,
         (int)c->mode);
    const int64_t count = (s->rows - 1) * s->step + (s->kh - 1) * s->dilation_h + 1;
    for (int64_t line = 0; line < count; line++) {
        c->row[line] = rng_chance(&t->random, 10) ? -1 : rng_range(&t->random, 0, SOURCE_ROWS - 1);
        c->lines[line] = c->row[line] < 0 ? CGC_CONSTANT_LINE : (ptrdiff_t)(c->row[line] * s->width);
    }
    for (int64_t i = 0; i < s->width; i++) put(t->dtype, constant_line, i, s->constant);
    s->lines = c->lines;
    s->constant_line = constant_line;
    s->x_plane = (ptrdiff_t)(SOURCE_ROWS * s->width);
    s->y_pitch = (ptrdiff_t)(s->cols + rng_range(&t->random, 0, 3));
    s->y_plane = s->y_pitch * (ptrdiff_t)s->rows;
    s->x = operand(t, B, s->planes * s->x_plane);
    s->w = operand(t, A, s->planes * s->filters * s->kh * s->kw);
    s->bias = rng_chance(&t->random, 30) ? NULL : operand(t, C, s->planes * s->filters);
    s->lo = t->lo, s->hi = t->hi;
    s->y = output(t, s->planes * s->filters * s->y_plane - (s->y_pitch - s->cols));
    expect_output(t, c);
    t->kernels->stencil(s);
    check_output(t);
}

typedef struct filter {
    int64_t kh, kw, step, dilation_h, dilation_w;
} filter;

/* One width under one filter, if the fringes can say what the padding is. */
static void test_width(bench *t, const filter *f, int64_t width, int lanes) {
    static trial c;
    const int64_t reach = (f->kw - 1) * f->dilation_w + 1, half = (reach - 1) / 2;
    const int64_t left = rng_chance(&t->random, 60) ? half : rng_range(&t->random, 0, half + 2);
    const int64_t right = rng_chance(&t->random, 60) ? reach - 1 - half : rng_range(&t->random, 0, half + 2);
    if (width + left + right < reach) return;
    c.mode = (cgconv_pad_mode)rng_range(&t->random, 0, 4);
    c.s = (cgc_stencil){
        .planes = rng_range(&t->random, 1, 3), .filters = rng_range(&t->random, 1, 2),
        .rows = rng_range(&t->random, 1, 16), .cols = (width + left + right - reach) / f->step + 1,
        .kh = f->kh, .kw = f->kw, .step = f->step, .dilation_h = f->dilation_h, .dilation_w = f->dilation_w,
        .first = -left, .width = width, .lanes = lanes,
        .constant = (double)rng_range(&t->random, -2, 2) / 2,
    };
    const int narrow = width <= f->step * lanes && c.s.cols <= lanes;
    if (lanes != t->kernels->stencil_lanes[0] && !narrow) return;
    draw_clamp(t);
    if (make_fringes(&c)) run(t, &c);
}

/* The filters that have kernels of their own, and others, each with all widths that change the tail. */
static void test_table(bench *t) {
    static const filter filters[] = {
        {3, 3, 1, 1, 1}, {3, 3, 2, 1, 1}, {5, 5, 1, 1, 1}, {5, 5, 2, 1, 1}, {7, 7, 1, 1, 1}, {7, 7, 2, 1, 1},
        {3, 3, 1, 2, 2}, {3, 3, 1, 3, 1}, {3, 3, 1, 1, 4}, {5, 5, 1, 2, 3}, {1, 1, 1, 1, 1}, {1, 1, 2, 1, 1},
        {2, 2, 1, 1, 1}, {4, 4, 1, 1, 1}, {4, 4, 2, 1, 1}, {1, 9, 1, 1, 1}, {9, 1, 1, 1, 1}, {9, 9, 1, 1, 1},
        {6, 2, 2, 1, 1}, {2, 3, 2, 1, 1},
    };
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++)
        for (int64_t width = 1; width <= LARGEST; width++)
            for (int l = 0; l < 3 && t->kernels->stencil_lanes[l]; l++)
                test_width(t, &filters[i], width, t->kernels->stencil_lanes[l]);
}

int main(int argc, char **argv) { return each_table(argc, argv, "test_stencil_kernel", test_table); }
