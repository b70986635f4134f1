/*
 * The kernels of matrix products, gemm_pixels, gemm_outputs, finite and transpose, against plain loops, bit for bit:
 * every instruction set of this machine, both dtypes, all tiles, operands between guard pages.
 * Usage: test_gemm_kernels [rounds] [seed]; CGCONV_TEST_ROUNDS and CGCONV_TEST_SEED do the same.
 */
#include <math.h>

#include "kernel_bench.h"

enum { MOST_GATHERED = 3 * 32 + sizeof(ptrdiff_t), CANARY = 77 };

static int64_t round_up(int64_t a, int64_t b) { return (a + b - 1) / b * b; }

/* Whether column c of the product takes this term. */
static int takes(const cgc_product *p, int64_t i, int64_t c) {
    if (p->planes == 0) return 1;
    const int edge = (c == 0 ? CGC_EDGE_FIRST : 0) | (c == 1 ? CGC_EDGE_SECOND : 0) |
                     (c == p->cols - 1 ? CGC_EDGE_LAST : 0) | (c == p->cols - 2 ? CGC_EDGE_LAST_BUT_ONE : 0);
    if (p->edges && (p->skips[i] & p->edges & edge)) return 0;
    for (int64_t a = 0; a < p->planes; a++) {
        const int64_t first = p->first + a * p->plane;
        if (i >= first && i < first + p->run) return 1;
    }
    return 0;
}

/* The sum of output j of a pixel. */
static double sum_of(const bench *t, const cgc_product *p, int64_t j, int64_t r, int64_t c) {
    double sum = p->bias ? get(t->dtype, p->bias, j) : 0;
    for (int64_t i = 0; i < p->k; i++)
        if (takes(p, i, c))
            sum = chain(t, sum, p->w, j * p->w_m + i * p->w_k, p->x, p->off[i] + r * p->x_row + c * p->x_col);
    return sum;
}

/* What the product should write. */
static void expect_product(bench *t, const cgc_product *p) {
    for (int64_t j = 0; j < p->m; j++)
        for (int64_t r = 0; r < p->rows; r++)
            for (int64_t c = 0; c < p->cols; c++)
                expect(t, j * p->y_m + r * p->y_row + c * p->y_col,
                       clamp(t->dtype, sum_of(t, p, j, r, c), p->lo, p->hi));
}

static int64_t slack(bench *t) { return rng_range(&t->random, 0, 3); }

static void test_pixels_of(bench *t, int64_t m, int64_t rows, int64_t cols) {
    static _Alignas(64) char room[TAPS * MOST_GATHERED + 1];
    const int64_t k = rng_range(&t->random, 0, TAPS), gathers = rng_chance(&t->random, 30), w_m = k + slack(t);
    const int64_t x_row = cols + (rng_chance(&t->random, 50) ? slack(t) : rng_range(&t->random, 0, 40));
    const int64_t y_row = cols + slack(t), y_m = rows * y_row + slack(t), has_bias = rng_chance(&t->random, 80);
    const int64_t read = cols < t->kernels->width ? t->kernels->width : cols; /* see kernels.h */
    CASE(t, "gemm_pixels m=%lld rows=%lld cols=%lld k=%lld x_row=%lld y_row=%lld bias=%d room=%d clamp=%g,%g",
         (long long)m, (long long)rows, (long long)cols, (long long)k, (long long)x_row, (long long)y_row,
         (int)has_bias, (int)gathers, t->lo, t->hi);
    if (!CHECK(t->kernels->gathered <= MOST_GATHERED, "%d", t->kernels->gathered)) return;
    room[k * t->kernels->gathered] = CANARY;
    const int64_t length = draw_offsets(t, k, (rows - 1) * x_row + read);
    const cgc_product p = {
        .m = m, .rows = rows, .cols = cols, .k = k, .off = t->off, .w = operand(t, A, k ? (m - 1) * w_m + k : 0),
        .x = operand(t, B, length), .bias = has_bias ? operand(t, C, m) : NULL,
        .y = output(t, (m - 1) * y_m + (rows - 1) * y_row + cols), .w_m = (ptrdiff_t)w_m, .w_k = 1,
        .x_row = (ptrdiff_t)x_row, .x_col = 1, .y_m = (ptrdiff_t)y_m, .y_row = (ptrdiff_t)y_row, .y_col = 1,
        .lo = t->lo, .hi = t->hi, .room = gathers ? room : NULL,
    };
    expect_product(t, &p);
    t->kernels->gemm_pixels(&p);
    check_output(t);
    CHECK(room[k * t->kernels->gathered] == CANARY, "more was gathered than there was room for");
}

/* All numbers of outputs that tiles are made of, and of vectors. */
static void test_pixels(bench *t) {
    for (int64_t m = 1; m <= 18; m++)
        for (int64_t cols = 1; cols <= 7 * t->kernels->width + 3; cols += 1 + rng_range(&t->random, 0, 7)) {
            draw_clamp(t);
            test_pixels_of(t, m, rng_chance(&t->random, 40) ? 1 : rng_range(&t->random, 2, 5), cols);
        }
}

static void test_outputs_of(bench *t, int64_t m, int64_t rows, int64_t cols) {
    const int64_t k = rng_range(&t->random, 0, TAPS), wide = round_up(m, t->kernels->width), w_k = wide + slack(t);
    const int64_t x_col = rng_range(&t->random, 0, 5), x_row = rng_range(&t->random, 0, cols + 3);
    const int64_t y_col = m + slack(t), y_row = cols * y_col + slack(t);
    CASE(t, "gemm_outputs m=%lld rows=%lld cols=%lld k=%lld x_row=%lld x_col=%lld clamp=%g,%g", (long long)m,
         (long long)rows, (long long)cols, (long long)k, (long long)x_row, (long long)x_col, t->lo, t->hi);
    const int64_t length = draw_offsets(t, k, (rows - 1) * x_row + (cols - 1) * x_col + 1);
    const cgc_product p = {
        .m = m, .rows = rows, .cols = cols, .k = k, .off = t->off, .w = operand(t, A, k ? (k - 1) * w_k + wide : 0),
        .x = operand(t, B, length), .bias = operand(t, C, wide),
        .y = output(t, (rows - 1) * y_row + (cols - 1) * y_col + m), .w_m = 1, .w_k = (ptrdiff_t)w_k,
        .x_row = (ptrdiff_t)x_row, .x_col = (ptrdiff_t)x_col, .y_m = 1, .y_row = (ptrdiff_t)y_row,
        .y_col = (ptrdiff_t)y_col, .lo = t->lo, .hi = t->hi,
    };
    expect_product(t, &p);
    t->kernels->gemm_outputs(&p);
    check_output(t);
}

/* Of each plane some of the terms, and some of these not at the edges of the row. */
static void test_terms_left_out_of(bench *t, int all_zero) {
    static const char nothing[1 << 14];
    unsigned char skips[TAPS];
    const int64_t width = t->kernels->width, m = rng_range(&t->random, 1, 2 * width), wide = round_up(m, width);
    const int64_t planes = rng_range(&t->random, 1, 3), plane = rng_range(&t->random, 1, 6), k = planes * plane;
    const int64_t run = rng_chance(&t->random, 50) ? plane : rng_range(&t->random, 0, plane);
    const int64_t first = rng_range(&t->random, 0, plane - run), cols = rng_range(&t->random, 1, 33);
    const int edges = rng_chance(&t->random, 30) ? 0 : (int)rng_range(&t->random, 0, 15);
    CASE(t, "gemm_outputs m=%lld cols=%lld, %lld planes of %lld, of which %lld from %lld on, edges=%d zero=%d",
         (long long)m, (long long)cols, (long long)planes, (long long)plane, (long long)run, (long long)first, edges,
         all_zero);
    const int64_t length = draw_offsets(t, k, cols);
    const size_t bias_size = (size_t)wide * t->size, w_size = (size_t)k * bias_size;
    for (int64_t i = 0; i < k; i++)
        skips[i] = (unsigned char)(rng_chance(&t->random, 50) ? 0 : rng_range(&t->random, 0, 15));
    const cgc_product p = {
        .m = m, .rows = 1, .cols = cols, .k = k, .off = t->off, .x = operand(t, B, length),
        .w = all_zero ? copied(t, A, nothing, w_size) : operand(t, A, k * wide),
        .bias = all_zero ? copied(t, C, nothing, bias_size) : operand(t, C, wide), .y = output(t, cols * m), .w_m = 1,
        .w_k = (ptrdiff_t)wide, .x_col = 1, .y_m = 1, .y_col = (ptrdiff_t)m, .lo = t->lo, .hi = t->hi,
        .planes = planes, .run = run, .plane = (ptrdiff_t)plane, .first = (ptrdiff_t)first,
        .skips = edges ? skips : NULL, .edges = edges,
    };
    int zeros = 0;
    for (int64_t c = 0; c < cols; c++) {
        int64_t taken = 0;
        for (int64_t i = 0; i < k; i++) taken += takes(&p, i, c);
        for (int64_t j = 0; j < wide && taken < k; j++) zeros |= sum_of(t, &p, j, 0, c) == 0;
    }
    expect_product(t, &p);
    CHECK(t->kernels->gemm_outputs(&p) == zeros, "%d", zeros);
    check_output(t);
}

static void test_terms_left_out(bench *t) {
    for (int i = 0; i < 100; i++) {
        draw_clamp(t);
        test_terms_left_out_of(t, i % 4 == 0);
    }
}

/* Taps in runs, onwards or back, of which those are left out that read cells before or behind a line. */
static void test_runs_of(bench *t, int64_t taps) {
    unsigned char skips[TAPS] = {0};
    const int64_t width = t->kernels->width, m = rng_range(&t->random, 1, 2 * width), wide = round_up(m, width);
    const int64_t cols = rng_range(&t->random, 1, 33), cells = cols + taps - 1, x_col = rng_range(&t->random, 1, 3);
    const int64_t low = rng_range(&t->random, 0, cells < 3 ? cells - 1 : 2), rest = cells - low;
    const int64_t high = rng_range(&t->random, 0, rest < 3 ? rest - 1 : 2), back = rng_chance(&t->random, 50);
    const int64_t planes = rng_range(&t->random, 1, 2), lines = rng_range(&t->random, 1, 3), plane = lines * taps;
    const int64_t first = rng_range(&t->random, 0, lines - 1) * taps, k = planes * plane;
    CASE(t, "gemm_outputs m=%lld cols=%lld x_col=%lld %lld planes of %lld from %lld on, %lld taps, low=%lld high=%lld "
         "back=%d", (long long)m, (long long)cols, (long long)x_col, (long long)planes, (long long)plane,
         (long long)first, (long long)taps, (long long)low, (long long)high, (int)back);
    int64_t length = 0;
    for (int64_t i = 0; i < k; i += taps) {
        const int64_t base = rng_range(&t->random, 0, 20), end = base + (cells - low - high - 1) * x_col + 1;
        length = end > length ? end : length;
        for (int64_t v = 0; v < taps; v++) {
            const int64_t cell = back ? taps - 1 - v : v; /* of column 0 */
            const int64_t edge[] = {0, 1, cols - 1, cols - 2}; /* as CGC_EDGE_* are */
            t->off[i + v] = (ptrdiff_t)(base + (cell - low) * x_col);
            for (int e = 0; e < 4; e++) {
                const int outside = edge[e] + cell < low || edge[e] + cell >= cells - high;
                if (edge[e] >= 0 && edge[e] < cols && outside) skips[i + v] |= (unsigned char)(1 << e);
            }
        }
    }
    const cgc_product p = {
        .m = m, .rows = 1, .cols = cols, .k = k, .off = t->off, .x = operand(t, B, length),
        .w = operand(t, A, k * wide), .bias = operand(t, C, wide), .y = output(t, cols * m), .w_m = 1,
        .w_k = (ptrdiff_t)wide, .x_col = (ptrdiff_t)x_col, .y_m = 1, .y_col = (ptrdiff_t)m, .lo = t->lo, .hi = t->hi,
        .planes = planes, .run = plane - first, .plane = (ptrdiff_t)plane, .first = (ptrdiff_t)first, .skips = skips,
        .edges = low || high ? 15 : 0, .taps = taps,
    };
    expect_product(t, &p);
    t->kernels->gemm_outputs(&p);
    check_output(t);
}

static void test_runs(bench *t) {
    for (int i = 0; i < 400; i++) {
        draw_clamp(t);
        test_runs_of(t, rng_range(&t->random, 1, 5));
    }
}

static void test_finite(bench *t) {
    static const double wrong[] = {HUGE_VAL, -HUGE_VAL, NAN};
    for (int64_t count = 0; count <= 5 * t->kernels->width; count++) {
        CASE(t, "finite, of %lld", (long long)count);
        void *x = operand(t, OUT, count);
        for (int64_t i = 0; i < count; i++) put(t->dtype, x, i, rng_uniform(&t->random));
        CHECK(t->kernels->finite(x, count) == 1, "all are");
        for (int64_t i = 0; i < count; i++) {
            const double number = get(t->dtype, x, i);
            put(t->dtype, x, i, wrong[i % 3]);
            CHECK(t->kernels->finite(x, count) == 0, "number %lld is %g", (long long)i, wrong[i % 3]);
            put(t->dtype, x, i, number);
        }
    }
}

static void test_outputs(bench *t) {
    for (int64_t m = 1; m <= 2 * t->kernels->width; m++)
        for (int64_t cols = 1; cols <= 31; cols += rng_range(&t->random, 1, 2)) {
            draw_clamp(t);
            test_outputs_of(t, m, rng_range(&t->random, 1, 3), cols);
        }
}

static void test_transpose(bench *t) {
    for (int64_t rows = 0; rows <= 37; rows++)
        for (int64_t cols = 0; cols <= 37; cols += rng_range(&t->random, 1, 2)) {
            const int64_t x_pitch = cols + slack(t), y_pitch = rows + slack(t);
            CASE(t, "transpose rows=%lld cols=%lld", (long long)rows, (long long)cols);
            const void *x = operand(t, A, rows && cols ? (rows - 1) * x_pitch + cols : 0);
            void *y = output(t, rows && cols ? (cols - 1) * y_pitch + rows : 0);
            for (int64_t i = 0; i < rows; i++)
                for (int64_t j = 0; j < cols; j++) expect(t, j * y_pitch + i, get(t->dtype, x, i * x_pitch + j));
            t->kernels->transpose(rows, cols, x, (ptrdiff_t)x_pitch, y, (ptrdiff_t)y_pitch);
            check_output(t);
        }
}

static void test_nothing(bench *t) {
    CASE(t, "products without outputs, rows or columns");
    void *y = output(t, 1);
    for (int i = 0; i < 3; i++) {
        const cgc_product p = {.m = i != 0, .rows = i != 1, .cols = i != 2, .y = y, .lo = -1, .hi = 1};
        t->kernels->gemm_pixels(&p);
        t->kernels->gemm_outputs(&p);
        check_output(t);
    }
}

static void test_table(bench *t) {
    test_pixels(t);
    test_outputs(t);
    test_terms_left_out(t);
    test_runs(t);
    test_finite(t);
    test_transpose(t);
    test_nothing(t);
}

int main(int argc, char **argv) { return each_table(argc, argv, "test_gemm_kernels", test_table); }
