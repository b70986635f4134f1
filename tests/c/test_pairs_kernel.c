/*
 * The pairs kernel against plain loops, bit for bit: every instruction set of this machine, both dtypes; operands and
 * the table of lines between guard pages. It must not know which filter, stride and padding ask for what it computes.
 * Usage: test_pairs_kernel [rounds] [seed]; CGCONV_TEST_ROUNDS and CGCONV_TEST_SEED do the same.
 */
#include <stdlib.h>

#include "kernel_bench.h"

enum { LINES = 128, ZEROS = D, LINE_TABLE = E };

/* Cell `column` of line e on source k of plane p. */
static double cell(const bench *t, const cgc_pairs *s, int64_t p, int64_t k, int64_t e, int64_t column) {
    if (s->lines[e] == CGC_CONSTANT_LINE || column < 0 || column >= s->width) return 0;
    return get(t->dtype, s->x, p * s->x_plane + k * s->x_source + s->lines[e] + column);
}

static double sum_of(const bench *t, const cgc_pairs *s, int64_t plane, int64_t r, int64_t p) {
    double sum = 0;
    for (int64_t k = 0; k < s->sources; k++)
        for (int64_t u = 0; u < s->ku; u++)
            for (int64_t v = (p + s->odd) % 2; v < s->kw; v += 2)
                sum = multiply_add(
                    t->dtype, t->kernels->fused,
                    get(t->dtype, s->w, plane * s->w_plane + k * s->w_source + u * s->w_u + v * s->w_v),
                    cell(t, s, plane, k, r * s->ku + u, s->first + p / 2 - (v + s->odd) / 2), sum);
    return sum;
}

/* Lines in any order, some of them constant, and the operands. */
static void draw_operands(bench *t, cgc_pairs *s, ptrdiff_t *lines) {
    const int64_t rows = rng_range(&t->random, 1, 4), pitch = s->width + rng_range(&t->random, 0, 2);
    for (int64_t e = 0; e < s->rows * s->ku; e++)
        lines[e] = rng_chance(&t->random, 10) ? CGC_CONSTANT_LINE
                                              : (ptrdiff_t)(rng_range(&t->random, 0, rows - 1) * pitch);
    s->lines = copied(t, LINE_TABLE, lines, (size_t)(s->rows * s->ku) * sizeof lines[0]);
    void *zeros = guarded_place(&t->memory[ZEROS], (size_t)s->width * t->size, t->where);
    for (int64_t i = 0; i < s->width; i++) put(t->dtype, zeros, i, 0);
    guarded_lock(&t->memory[ZEROS]);
    s->zeros = zeros;
    s->x_source = (ptrdiff_t)(rows * pitch);
    s->x_plane = (ptrdiff_t)s->sources * s->x_source;
    s->x = operand(t, B, (s->planes * s->sources - 1) * s->x_source + (rows - 1) * pitch + s->width);
    s->w_v = (ptrdiff_t)rng_range(&t->random, 1, 2);
    s->w_u = (ptrdiff_t)(s->kw * s->w_v + rng_range(&t->random, 0, 3));
    s->w_source = (ptrdiff_t)(s->ku * s->w_u);
    s->w_plane = (ptrdiff_t)s->sources * s->w_source;
    s->w = operand(t, A, s->planes * s->w_plane);
    s->y_pitch = (ptrdiff_t)(s->cols + rng_range(&t->random, 0, 3));
    s->y_plane = (ptrdiff_t)((s->rows - 1) * s->y_pitch + s->cols + rng_range(&t->random, 0, 3));
    s->y = output(t, (s->planes - 1) * s->y_plane + (s->rows - 1) * s->y_pitch + s->cols);
}

static void test_width(bench *t, int64_t ku, int64_t kw, int64_t width) {
    ptrdiff_t lines[LINES];
    rng *random = &t->random;
    cgc_pairs s = {
        .planes = rng_range(random, 1, 3), .sources = rng_chance(random, 70) ? 1 : rng_range(random, 2, 3),
        .rows = rng_range(random, 1, 11), .ku = ku, .kw = kw, .odd = (int)rng_range(random, 0, 1), .width = width,
    };
    s.cols = 2 * width + rng_range(random, -3, 4);
    if (rng_chance(random, 20)) s.cols = rng_range(random, 1, 2 * LARGEST);
    if (s.cols < 1) s.cols = 1;
    s.first = rng_range(random, 0, (kw + 1) / 2);
    if (rng_chance(random, 10)) s.first = rng_range(random, -LARGEST, LARGEST);
    CASE(t, "pairs %lldx%lld of %lld filter=%lldx%lld odd=%d first=%lld planes=%lld sources=%lld", (long long)s.rows,
         (long long)s.cols, (long long)width, (long long)ku, (long long)kw, s.odd, (long long)s.first,
         (long long)s.planes, (long long)s.sources);
    draw_operands(t, &s, lines);
    for (int64_t plane = 0; plane < s.planes; plane++)
        for (int64_t r = 0; r < s.rows; r++)
            for (int64_t p = 0; p < s.cols; p++)
                expect(t, plane * s.y_plane + r * s.y_pitch + p, sum_of(t, &s, plane, r, p));
    t->kernels->pairs(&s);
    check_output(t);
}

/* The filters that have kernels of their own, and others, each with all widths that change the tail. */
static void test_table(bench *t) {
    static const int64_t filters[][2] = {{1, 3}, {2, 3}, {2, 5}, {3, 5}, {3, 3}, {4, 7}, {1, 1}, {1, 2}, {2, 4}};
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++)
        for (int64_t width = 1; width <= LARGEST; width++) test_width(t, filters[i][0], filters[i][1], width);
}

int main(int argc, char **argv) { return each_table(argc, argv, "test_pairs_kernel", test_table); }
