/*
 * The kernel tables against plain loops, bit for bit: every instruction set of this machine, both dtypes, all small
 * sizes, operands between guard pages. The tests of kernels are the only ones that look behind the public header.
 * Usage: test_kernels [rounds] [seed]; CGCONV_TEST_ROUNDS and CGCONV_TEST_SEED do the same.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_bench.h"

/* ---- one function each ----------------------------------------------------------------------------------------- */

static void test_gemm(bench *t) {
    const int64_t mr = t->kernels->mr, nr = t->kernels->nr;
    for (int64_t k = 0; k <= TAPS; k++) {
        const int64_t ld = nr + rng_range(&t->random, 0, 5);
        CASE(t, "gemm k=%lld ld=%lld", (long long)k, (long long)ld);
        const int64_t length = draw_offsets(t, k, nr);
        const void *w = operand(t, A, k * mr), *b = operand(t, B, length);
        void *acc = output(t, (mr - 1) * ld + nr);
        for (int64_t m = 0; m < mr; m++)
            for (int64_t p = 0; p < nr; p++) {
                double sum = get(t->dtype, acc, m * ld + p);
                for (int64_t i = 0; i < k; i++) sum = chain(t, sum, w, i * mr + m, b, t->off[i] + p);
                expect(t, m * ld + p, sum);
            }
        t->kernels->gemm(k, w, b, t->off, acc, (ptrdiff_t)ld);
        check_output(t);
    }
}

static void test_taps_of(bench *t, int64_t rows, int64_t cols, int64_t k) {
    const int64_t b_pitch = rng_range(&t->random, 0, cols + 3), y_pitch = cols + rng_range(&t->random, 0, 3);
    CASE(t, "taps rows=%lld cols=%lld k=%lld b_pitch=%lld y_pitch=%lld clamp=%g,%g", (long long)rows, (long long)cols,
         (long long)k, (long long)b_pitch, (long long)y_pitch, t->lo, t->hi);
    const int64_t length = rows && cols ? draw_offsets(t, k, (rows - 1) * b_pitch + cols) : 0;
    const void *w = operand(t, A, k), *b = operand(t, B, length), *bias = operand(t, C, 1);
    void *y = output(t, rows && cols ? (rows - 1) * y_pitch + cols : 0);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t p = 0; p < cols; p++) {
            double sum = get(t->dtype, bias, 0);
            for (int64_t i = 0; i < k; i++) sum = chain(t, sum, w, i, b, t->off[i] + r * b_pitch + p);
            expect(t, r * y_pitch + p, clamp(t->dtype, sum, t->lo, t->hi));
        }
    t->kernels->taps(rows, cols, k, w, b, t->off, (ptrdiff_t)b_pitch, bias, y, (ptrdiff_t)y_pitch, t->lo, t->hi);
    check_output(t);
}

static void test_taps(bench *t) {
    for (int64_t rows = 0; rows <= 9; rows++)
        for (int64_t cols = 0; cols <= LARGEST; cols++) {
            draw_clamp(t);
            test_taps_of(t, rows, cols, rng_range(&t->random, 0, TAPS));
        }
}

static void test_lines_of(bench *t, int64_t rows, int64_t cols, int64_t x_step, int64_t step) {
    const int64_t x_pitch = cols * x_step + rng_range(&t->random, 0, 3), first = rng_range(&t->random, 0, 5);
    const int64_t phase = (first + cols) / step + 1 + rng_range(&t->random, 0, 2), y_pitch = phase * step;
    CASE(t, "lines rows=%lld cols=%lld x_step=%lld first=%lld step=%lld", (long long)rows, (long long)cols,
         (long long)x_step, (long long)first, (long long)step);
    const void *x = operand(t, A, cols ? (rows - 1) * x_pitch + (cols - 1) * x_step + 1 : 0);
    void *y = output(t, rows * y_pitch);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++)
            expect(t, i * y_pitch + (first + j) % step * phase + (first + j) / step,
                   get(t->dtype, x, i * x_pitch + j * x_step));
    t->kernels->lines(rows, cols, x, (ptrdiff_t)x_pitch, (ptrdiff_t)x_step, y, (ptrdiff_t)y_pitch, first, step,
                      (ptrdiff_t)phase);
    check_output(t);
}

static void test_lines(bench *t) {
    for (int64_t cols = 0; cols <= LARGEST; cols++)
        for (int64_t step = 1; step <= 3; step++)
            for (int64_t x_step = 1; x_step <= 2; x_step++)
                test_lines_of(t, rng_range(&t->random, 1, 4), cols, x_step, step);
}

static void test_weave_of(bench *t, int64_t rows, int64_t cols, int64_t step) {
    const int64_t x_pitch = (cols + step - 1) / step + rng_range(&t->random, 0, 3);
    const int64_t phase = rows * x_pitch + rng_range(&t->random, 0, 3), y_pitch = cols + rng_range(&t->random, 0, 3);
    CASE(t, "weave rows=%lld cols=%lld step=%lld", (long long)rows, (long long)cols, (long long)step);
    int64_t last = -1; /* of the cells that are read */
    for (int64_t j = 0; j < cols; j++) {
        const int64_t cell = (rows - 1) * x_pitch + j % step * phase + j / step;
        last = cell > last ? cell : last;
    }
    const void *x = operand(t, A, last + 1);
    void *y = output(t, cols ? (rows - 1) * y_pitch + cols : 0);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++)
            expect(t, i * y_pitch + j, get(t->dtype, x, i * x_pitch + j % step * phase + j / step));
    t->kernels->weave(rows, cols, x, (ptrdiff_t)x_pitch, (ptrdiff_t)phase, step, y, (ptrdiff_t)y_pitch);
    check_output(t);
}

static void test_weave(bench *t) {
    for (int64_t cols = 0; cols <= LARGEST; cols++)
        for (int64_t step = 1; step <= 4; step++) test_weave_of(t, rng_range(&t->random, 1, 4), cols, step);
}

static void test_join_of(bench *t, int lanes) {
    for (int64_t count = 0; count <= LARGEST; count++) {
        CASE(t, "join pitch=%d count=%lld", lanes, (long long)count);
        const void *acc = operand(t, A, count * lanes);
        void *y = output(t, count);
        for (int64_t p = 0; p < count; p++) {
            double copy[CGC_MAX_LANES];
            for (int l = 0; l < lanes; l++) copy[l] = get(t->dtype, acc, p * lanes + l);
            expect(t, p, add(t->dtype, get(t->dtype, y, p), join_lanes(t->dtype, copy, lanes)));
        }
        t->kernels->join(y, acc, lanes, count);
        check_output(t);
    }
}

static void test_join(bench *t) {
    test_join_of(t, t->kernels->lanes);
    test_join_of(t, t->kernels->lanes / 2);
}

/* Where element 0 of a line with this step lies in a block that just holds the line. */
static int64_t line_start(int64_t step, int64_t count) { return step < 0 && count ? -step * (count - 1) : 0; }
static int64_t line_length(int64_t step, int64_t count) {
    return count ? (step < 0 ? -step : step) * (count - 1) + 1 : 0;
}

static void test_moves_of(bench *t, int64_t step, int64_t count) {
    const ptrdiff_t start = (ptrdiff_t)line_start(step, count), bytes = start * (ptrdiff_t)t->size;
    CASE(t, "gather step=%lld count=%lld", (long long)step, (long long)count);
    const void *x = operand(t, A, line_length(step, count));
    void *y = output(t, count);
    for (int64_t p = 0; p < count; p++) expect(t, p, get(t->dtype, x, start + p * step));
    t->kernels->gather(y, (const char *)x + bytes, (ptrdiff_t)step, count);
    check_output(t);

    CASE(t, "store step=%lld count=%lld clamp=%g,%g", (long long)step, (long long)count, t->lo, t->hi);
    x = operand(t, A, count);
    y = output(t, line_length(step, count));
    for (int64_t p = 0; p < count; p++)
        expect(t, start + p * step, clamp(t->dtype, get(t->dtype, x, p), t->lo, t->hi));
    t->kernels->store((char *)y + bytes, (ptrdiff_t)step, x, count, t->lo, t->hi);
    check_output(t);

    CASE(t, "add step=%lld count=%lld", (long long)step, (long long)count);
    y = output(t, line_length(step, count));
    for (int64_t p = 0; p < count; p++)
        expect(t, start + p * step, add(t->dtype, get(t->dtype, t->expected, start + p * step), get(t->dtype, x, p)));
    t->kernels->add((char *)y + bytes, (ptrdiff_t)step, x, count);
    check_output(t);
}

/* The output ends where its memory ends, so counts decide where its cache lines begin. */
static void test_stream(bench *t) {
    if (!t->kernels->stream) return;
    for (int64_t count = 0; count < 70; count++) {
        CASE(t, "stream count=%lld", (long long)count);
        const void *x = operand(t, A, count);
        void *y = output(t, count);
        for (int64_t p = 0; p < count; p++) expect(t, p, get(t->dtype, x, p));
        t->kernels->stream(y, x, count);
        check_output(t);
    }
}

static void test_add_lines(bench *t, int64_t rows, int64_t step, int64_t count) {
    const int64_t x_pitch = count + rng_range(&t->random, 0, 3), length = line_length(step, count);
    const int64_t y_pitch = length + rng_range(&t->random, 0, 3), start = line_start(step, count);
    CASE(t, "add_lines rows=%lld step=%lld count=%lld", (long long)rows, (long long)step, (long long)count);
    const void *x = operand(t, A, count ? (rows - 1) * x_pitch + count : 0);
    void *y = output(t, length ? (rows - 1) * y_pitch + length : 0);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t p = 0; p < count; p++) {
            const int64_t at = i * y_pitch + start + p * step;
            expect(t, at, add(t->dtype, get(t->dtype, t->expected, at), get(t->dtype, x, i * x_pitch + p)));
        }
    t->kernels->add_lines(rows, count, x, (ptrdiff_t)x_pitch, (char *)y + start * (int64_t)t->size,
                          (ptrdiff_t)y_pitch, (ptrdiff_t)step);
    check_output(t);
}

static void test_fill(bench *t, int64_t count) {
    const double value = draw(t);
    CASE(t, "fill value=%g count=%lld", value, (long long)count);
    void *y = output(t, count);
    for (int64_t p = 0; p < count; p++) expect(t, p, value);
    t->kernels->fill(y, value, count);
    check_output(t);
}

static void test_moves(bench *t) {
    for (int64_t count = 0; count <= LARGEST; count++) {
        for (int64_t step = -4; step <= 4; step++) {
            draw_clamp(t);
            test_moves_of(t, step, count);
            test_add_lines(t, rng_range(&t->random, 1, 4), step, count);
        }
        test_fill(t, count);
    }
}

/* ---- tables ---------------------------------------------------------------------------------------------------- */

static void test_table(bench *t) {
    const char *isa = t->kernels->isa;
    CHECK(cgc_select_kernels(t->dtype, isa) == t->kernels, "a table of another name");
    CHECK(t->kernels->lanes == (t->dtype == CGCONV_FLOAT32 ? CGC_LANES_F32 : CGC_LANES_F64), "%d lanes",
          t->kernels->lanes);
    CHECK(t->kernels->fused == (strcmp(isa, "nofma") != 0), "fused is %d", t->kernels->fused);
    test_gemm(t);
    test_taps(t);
    test_lines(t);
    test_weave(t);
    test_join(t);
    test_stream(t);
    test_moves(t);
}

static void test_selection(void) {
    begin_case("the choice of a table");
    CHECK(cgc_kernels_name(0) != NULL, "no table at all");
    CHECK(cgc_kernels_name(-1) == NULL, "a name before the first");
    CHECK(cgc_select_kernels(CGCONV_FLOAT32, "abacus") == NULL, "a table for an unknown instruction set");
    CHECK(cgc_select_kernels(CGCONV_FLOAT64, "") == NULL, "a table for an empty name");
    for (int dtype = 0; dtype <= 1; dtype++) {
        const cgc_kernels *best = cgc_select_kernels((cgconv_dtype)dtype, NULL);
        if (CHECK(best != NULL, "no best table")) CHECK_TEXT(best->isa, cgc_kernels_name(0));
    }
}

int main(int argc, char **argv) {
    test_selection();
    return each_table(argc, argv, "test_kernels", test_table);
}
