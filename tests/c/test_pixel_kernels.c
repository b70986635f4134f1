/*
 * The kernels of arrays whose channels are neighbours against plain loops, bit for bit: every instruction set of this
 * machine, both dtypes, operands between guard pages.
 * Usage: test_pixel_kernels [rounds] [seed]; CGCONV_TEST_ROUNDS and CGCONV_TEST_SEED do the same.
 */
#include <stdlib.h>

#include "kernel_bench.h"

enum { POINTERS = 4096 };

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

/* ---- packing --------------------------------------------------------------------------------------------------- */

/* Where vector t of packed channels begins. */
static int64_t first_channel(const bench *t, int64_t vector, int64_t channels, int64_t shift) {
    const int64_t width = t->kernels->width;
    return most(0, least(vector * width - shift, channels - width));
}

static int64_t vectors_of(const bench *t, int64_t channels, int64_t shift) {
    return (channels + shift + t->kernels->width - 1) / t->kernels->width;
}

static void test_pack_of(bench *t, int64_t channels, int64_t shift, int64_t k, int64_t step) {
    const int64_t width = t->kernels->width, pitch = k * width + rng_range(&t->random, 0, 3) * width;
    const int64_t apart = k * step + rng_range(&t->random, 0, 2), vectors = vectors_of(t, channels, shift);
    CASE(t, "pack channels=%lld shift=%lld k=%lld step=%lld", (long long)channels, (long long)shift, (long long)k,
         (long long)step);
    const void *w = operand(t, A, k ? (channels - 1) * apart + (k - 1) * step + 1 : 0);
    void *y = output(t, k ? (vectors - 1) * pitch + k * width : 0);
    for (int64_t v = 0; v < vectors; v++)
        for (int64_t i = 0; i < k; i++)
            for (int64_t l = 0; l < width; l++) {
                const int64_t channel = first_channel(t, v, channels, shift) + l;
                expect(t, v * pitch + i * width + l,
                       channel < channels ? get(t->dtype, w, channel * apart + i * step) : 0);
            }
    t->kernels->pack(channels, shift, k, w, (ptrdiff_t)apart, (ptrdiff_t)step, y, (ptrdiff_t)pitch);
    check_output(t);
}

static int64_t draw_shift(bench *t, int64_t channels) {
    const int64_t width = t->kernels->width;
    return channels < width || rng_chance(&t->random, 50) ? 0 : rng_range(&t->random, 0, width - 1);
}

static void test_pack(bench *t) {
    for (int64_t channels = 1; channels <= LARGEST; channels++)
        for (int64_t step = 1; step <= 2; step++)
            test_pack_of(t, channels, draw_shift(t, channels), rng_range(&t->random, 0, 52), step);
}

/* ---- pixels ---------------------------------------------------------------------------------------------------- */

/* Pointers into B, to `count` runs of `length` elements of which one begins and one ends it. */
static const void *const *draw_pointers(bench *t, const void **pointers, int64_t count, int64_t length) {
    const int64_t reach = count > 1 ? rng_range(&t->random, 0, 100) : 0;
    const char *b = operand(t, B, count ? reach + length : 0);
    for (int64_t e = 0; e < count; e++) {
        const int64_t at = e == 0 ? 0 : e == count - 1 ? reach : rng_range(&t->random, 0, reach);
        pointers[e] = b + at * (ptrdiff_t)t->size;
    }
    return pointers;
}

/* Makes some lines of a table, each `pitch` pointers, blank: all their pixels are one of zeros, which is returned. */
static const void *draw_blanks(bench *t, const void **pointers, int64_t count, int64_t pitch, int64_t channels) {
    char *blank = guarded_place(&t->memory[D], (size_t)channels * t->size, t->where);
    const double zero = rng_chance(&t->random, 50) ? 0.0 : -0.0;
    for (int64_t p = 0; p < channels; p++) put(t->dtype, blank, p, zero);
    guarded_lock(&t->memory[D]);
    for (int64_t e = 0; e < count; e += pitch)
        if (rng_chance(&t->random, 30))
            for (int64_t i = e; i < least(e + pitch, count); i++) pointers[i] = blank;
    return blank;
}

/* A block of bias and weights whose vectors are made from C, terms of `channels` channels: [channel][1 + k]. */
static void *pack_plainly(bench *t, const void *plain, int64_t channels, int64_t shift, int64_t terms) {
    const int64_t width = t->kernels->width;
    char *packed = guarded_place(&t->memory[A], (size_t)(vectors_of(t, channels, shift) * terms * width) * t->size,
                                 t->where);
    for (int64_t v = 0; v < vectors_of(t, channels, shift); v++)
        for (int64_t i = 0; i < terms; i++)
            for (int64_t l = 0; l < width; l++) {
                const int64_t channel = first_channel(t, v, channels, shift) + l;
                put(t->dtype, packed, (v * terms + i) * width + l,
                    channel < channels ? get(t->dtype, plain, channel * terms + i) : 0);
            }
    guarded_lock(&t->memory[A]);
    return packed;
}

typedef struct shape { int64_t kh, kw, step, dilation; } shape;

static void test_pixels_of(bench *t, const shape *f, int64_t rows, int64_t cols, int64_t channels) {
    static const void *pointers[POINTERS];
    const int64_t terms = 1 + f->kh * f->kw, shift = draw_shift(t, channels);
    const int shares = rng_chance(&t->random, 70);
    const int64_t wide = (cols - 1) * f->step + (f->kw - 1) * f->dilation + 1;
    const int64_t src_u = most(1, wide) + rng_range(&t->random, 0, 2);
    const int64_t src_row = shares ? f->step * src_u : rng_range(&t->random, 0, 3) * src_u;
    const int64_t y_col = channels + rng_range(&t->random, 0, 2), y_row = cols * y_col + rng_range(&t->random, 0, 2);
    const int64_t turned = rng_chance(&t->random, 20), taps = f->kh * f->kw;
    const int64_t fresh = taps && rng_chance(&t->random, 50) ? rng_range(&t->random, 1, f->kh) : 0;
    CASE(t, "pixels rows=%lld cols=%lld channels=%lld shift=%lld filter=%lldx%lld step=%lld,%lld dilation=%lld "
         "fresh=%lld clamp=%g,%g", (long long)rows, (long long)cols, (long long)channels, (long long)shift,
         (long long)f->kh, (long long)f->kw, (long long)(src_row / src_u), (long long)f->step, (long long)f->dilation,
         (long long)fresh, t->lo, t->hi);
    const int64_t count = taps ? (rows - 1) * src_row + (f->kh - 1) * src_u + wide : 0;
    if (!CHECK(count <= POINTERS, "%lld pointers", (long long)count)) return;
    const void **table = pointers + POINTERS - count; /* at the end, lest more of it be read */
    const void *const *src = draw_pointers(t, table, count, channels);
    const void *blank = rng_chance(&t->random, 50) ? draw_blanks(t, table, count, src_u, channels) : NULL;
    const void *plain = operand(t, C, channels * terms);
    const void *w = pack_plainly(t, plain, channels, shift, terms);
    char *y = output(t, (rows - 1) * y_row + (cols - 1) * y_col + channels);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t j = 0; j < cols; j++)
            for (int64_t p = 0; p < channels; p++) {
                double sum = get(t->dtype, plain, p * terms);
                for (int64_t u = 0; u < f->kh; u++)
                    for (int64_t v = 0; v < f->kw; v++)
                        sum = chain(t, sum, plain, p * terms + 1 + u * f->kw + v,
                                    src[r * src_row + u * src_u + j * f->step + v * f->dilation], p);
                expect(t, r * y_row + (turned ? cols - 1 - j : j) * y_col + p, clamp(t->dtype, sum, t->lo, t->hi));
            }
    const cgc_pixel_rows call = {
        .rows = rows, .cols = cols, .channels = channels, .shift = shift, .kh = f->kh, .kw = f->kw, .src = src,
        .fresh = fresh, .src_row = (ptrdiff_t)src_row, .src_u = (ptrdiff_t)src_u, .step = (ptrdiff_t)f->step,
        .dilation = (ptrdiff_t)f->dilation, .blank = blank, .w = w,
        .y = y + (turned ? (cols - 1) * y_col : 0) * (ptrdiff_t)t->size, .y_row = (ptrdiff_t)y_row,
        .y_col = (ptrdiff_t)(turned ? -y_col : y_col), .lo = t->lo, .hi = t->hi,
    };
    t->kernels->pixels(&call);
    check_output(t);
}

/* The filters that have kernels of their own, and others, with all widths and heights that change the tiles. */
static void test_pixels(bench *t) {
    static const shape shapes[] = {
        {3, 3, 1, 1}, {3, 3, 2, 1}, {5, 5, 1, 1}, {5, 5, 2, 1}, {7, 7, 1, 1}, {7, 7, 2, 1},
        {2, 3, 1, 1}, {4, 4, 1, 1}, {1, 9, 1, 1}, {6, 2, 2, 1}, {3, 3, 3, 1}, {3, 3, 1, 2},
        {2, 5, 2, 3}, {9, 1, 1, 1}, {0, 3, 1, 1}, {3, 0, 1, 1}, {2, 2, 1, 1},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int64_t cols = 1; cols <= 17; cols++) {
            draw_clamp(t);
            test_pixels_of(t, &shapes[i], rng_range(&t->random, 1, 9), cols, rng_range(&t->random, 1, 40));
        }
    for (int64_t channels = 1; channels <= LARGEST; channels++) {
        draw_clamp(t);
        test_pixels_of(t, &shapes[channels % 7], rng_range(&t->random, 1, 5), 3, channels);
    }
}

/* ---- flat ------------------------------------------------------------------------------------------------------ */

static void test_flat_of(bench *t, int64_t kh, int64_t kw, int64_t rows, int64_t pixels, int64_t channels) {
    static const void *lines[64];
    ptrdiff_t off[TAPS];
    const int64_t width = t->kernels->width, terms = 1 + kh * kw, cols = pixels * channels;
    const int64_t dilation = rng_range(&t->random, 1, 2), row = rng_chance(&t->random, 70) ? 1 : 2;
    const int64_t u_step = rng_chance(&t->random, 70) ? 1 : 2, y_row = cols + rng_range(&t->random, 0, 2);
    int64_t phases = 1;
    while (phases * width % channels) phases++;
    CASE(t, "flat rows=%lld pixels=%lld channels=%lld filter=%lldx%lld dilation=%lld row=%lld u=%lld clamp=%g,%g",
         (long long)rows, (long long)pixels, (long long)channels, (long long)kh, (long long)kw, (long long)dilation,
         (long long)row, (long long)u_step, t->lo, t->hi);
    for (int64_t v = 0; v < kw; v++) off[v] = (ptrdiff_t)(v * dilation * channels);
    draw_pointers(t, lines, (rows - 1) * row + (kh - 1) * u_step + 1, cols + off[kw - 1]);
    const void *plain = operand(t, C, channels * terms);
    char *w = guarded_place(&t->memory[A], (size_t)((phases + 1) * terms * width) * t->size, t->where);
    for (int64_t i = 0; i <= phases; i++)
        for (int64_t k = 0; k < terms; k++)
            for (int64_t l = 0; l < width; l++) {
                const int64_t p = (i < phases ? i * width : most(0, cols - width)) + l;
                put(t->dtype, w, (i * terms + k) * width + l, get(t->dtype, plain, p % channels * terms + k));
            }
    guarded_lock(&t->memory[A]);
    void *y = output(t, (rows - 1) * y_row + cols);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t p = 0; p < cols; p++) {
            double sum = get(t->dtype, plain, p % channels * terms);
            for (int64_t u = 0; u < kh; u++)
                for (int64_t v = 0; v < kw; v++)
                    sum = chain(t, sum, plain, p % channels * terms + 1 + u * kw + v, lines[r * row + u * u_step],
                                off[v] + p);
            expect(t, r * y_row + p, clamp(t->dtype, sum, t->lo, t->hi));
        }
    const cgc_flat_rows call = {
        .rows = rows, .cols = cols, .phases = phases, .kh = kh, .kw = kw, .lines = lines, .row = (ptrdiff_t)row,
        .u = (ptrdiff_t)u_step, .off = off, .w = w, .y = y, .y_row = (ptrdiff_t)y_row, .lo = t->lo, .hi = t->hi,
    };
    t->kernels->flat(&call);
    check_output(t);
}

static void test_flat(bench *t) {
    static const int64_t filters[][2] = {{3, 3}, {5, 5}, {7, 7}, {1, 4}, {9, 1}, {2, 2}, {4, 3}};
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++)
        for (int64_t channels = 1; channels <= 13; channels++) {
            draw_clamp(t);
            test_flat_of(t, filters[i][0], filters[i][1], rng_range(&t->random, 1, 17),
                         rng_range(&t->random, 1, rng_chance(&t->random, 50) ? 6 : 60), channels);
        }
    for (int i = 0; i < 24; i++) { /* images, which have kernels of their own */
        draw_clamp(t);
        test_flat_of(t, filters[i % 3][0], filters[i % 3][1], rng_range(&t->random, 1, 9),
                     rng_range(&t->random, 1, 90), 3);
    }
}

/* ---- spread ---------------------------------------------------------------------------------------------------- */

static void test_spread(bench *t) {
    static const void *pointers[16];
    for (int64_t n = 0; n <= LARGEST; n++)
        for (int64_t times = 1; times <= 3; times++) {
            const int64_t count = rng_range(&t->random, 0, 16), first = rng_range(&t->random, 0, 7), last = first + n;
            const int64_t pitch = n + rng_range(&t->random, 0, 3);
            CASE(t, "spread count=%lld n=%lld times=%lld first=%lld", (long long)count, (long long)n,
                 (long long)times, (long long)first);
            const void *const *src = draw_pointers(t, pointers, count, n ? (last - 1) / times + 1 : first / times);
            void *y = output(t, count && n ? (count - 1) * pitch + n : 0);
            for (int64_t e = 0; e < count; e++)
                for (int64_t p = 0; p < n; p++)
                    expect(t, e * pitch + p, get(t->dtype, src[e], (first + p) / times));
            t->kernels->spread(count, src, n, times, first, y, (ptrdiff_t)pitch);
            check_output(t);
        }
}

static void test_table(bench *t) {
    test_pack(t);
    test_pixels(t);
    test_flat(t);
    test_spread(t);
}

int main(int argc, char **argv) { return each_table(argc, argv, "test_pixel_kernels", test_table); }
