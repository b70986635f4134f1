/*
 * The kernels of channel-wise weight gradients against plain loops, bit for bit: every instruction set of this machine,
 * both dtypes, each length of vectors; operands and tables between guard pages. It must not know what lines stand for.
 * Usage: test_gradient_kernels [rounds] [seed]; CGCONV_TEST_ROUNDS and CGCONV_TEST_SEED do the same.
 */
#include <stdlib.h>
#include <string.h>

#include "kernel_bench.h"

enum { LINES = 128, COLUMNS = 512, CONSTANT_LINE = C, LINE_TABLE = D, COLUMN_TABLES = E };

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* Sums that are written, none of them -0: whether columns that do not exist turn it into 0 is nobody's business. */
static void *sums(bench *t, int64_t count) {
    void *block = output(t, count);
    for (int64_t i = 0; i < count; i++) {
        const double value = get(t->dtype, block, i) + 2;
        put(t->dtype, block, i, value);
        expect(t, i, value);
    }
    return block;
}

/* Adds a*b to an expected sum. */
static void expect_more(bench *t, int64_t index, double a, double b) {
    expect(t, index, multiply_add(t->dtype, t->kernels->fused, a, b, get(t->dtype, t->expected, index)));
}

/* ---- vectors over pixels --------------------------------------------------------------------------------------- */

/* The cell of a plane at a line and column. */
static double cell(const bench *t, const cgc_gradient *s, int64_t plane, int64_t line, int64_t column) {
    if (s->lines[line] == CGC_CONSTANT_LINE || column < 0 || column >= s->width) return s->constant;
    return get(t->dtype, s->x, plane * s->x_plane + s->lines[line] + column);
}

static void expect_gradient(bench *t, const cgc_gradient *s, int64_t plane, int with_bias) {
    const int64_t lanes = t->kernels->lanes, taps = s->kh * s->kw, pitch = s->pitch;
    for (int64_t r = 0; r < s->rows; r++)
        for (int64_t p = 0; p < s->cols; p++) {
            const double dy = get(t->dtype, s->dy, plane * s->dy_plane + r * s->dy_row + p);
            for (int64_t k = 0; k < taps; k++)
                expect_more(t, (plane * taps + k) * pitch + p % lanes, dy,
                            cell(t, s, plane, r * s->step + k / s->kw * s->dilation,
                                 s->off[k % s->kw] + p * s->step_w));
            if (with_bias) expect_more(t, (s->planes * taps + plane) * pitch + p % lanes, dy, 1);
        }
}

static void test_gradient_of(bench *t, int64_t cols) {
    rng *r = &t->random;
    const int64_t lanes = t->kernels->lanes;
    const int half = t->kernels->stencil_lanes[1], with_bias = rng_chance(r, 50);
    ptrdiff_t lines[LINES];
    cgc_gradient s = {.planes = rng_range(r, 1, 6), .rows = rng_range(r, 1, 9), .cols = cols};
    s.kh = rng_range(r, 1, 7), s.kw = rng_range(r, 1, 7), s.step = rng_range(r, 1, 3), s.dilation = rng_range(r, 1, 3);
    s.step_w = rng_range(r, 1, 2);
    const int64_t apart = s.step_w == 1 ? rng_range(r, 1, 3) : 1, reach = (s.kw - 1) * apart;
    s.lanes = s.step_w == 1 && cols <= half && rng_chance(r, 80) ? half : t->kernels->stencil_lanes[0];
    const int64_t first = rng_range(r, -CGC_GRADIENT_BEYOND, 2);
    for (int64_t v = 0; v < s.kw; v++) t->off[v] = (ptrdiff_t)(first + v * apart);
    const int64_t end = first + (cols - 1) * s.step_w + reach + 1; /* of the columns that are read */
    s.width = end - (end > 1 ? rng_range(r, -2, least(CGC_GRADIENT_BEYOND, end - 1)) : 0);
    if (s.width < 1) s.width = 1;
    CASE(t, "gradient planes=%d rows=%d cols=%d filter=%dx%d step=%d,%d dilation=%d,%d first=%d width=%d lanes=%d",
         (int)s.planes, (int)s.rows, (int)cols, (int)s.kh, (int)s.kw, (int)s.step, (int)s.step_w, (int)s.dilation,
         (int)apart, (int)first, (int)s.width, s.lanes);
    const int64_t count = (s.rows - 1) * s.step + (s.kh - 1) * s.dilation + 1, pitch = s.width + rng_range(r, 0, 3);
    for (int64_t line = 0; line < count; line++)
        lines[line] = rng_chance(r, 15) ? CGC_CONSTANT_LINE : (ptrdiff_t)(rng_range(r, 0, 5) * pitch);
    lines[rng_range(r, 0, count - 1)] = (ptrdiff_t)(5 * pitch);
    s.lines = copied(t, LINE_TABLE, lines, (size_t)count * sizeof lines[0]);
    s.off = copied(t, COLUMN_TABLES, t->off, (size_t)s.kw * sizeof t->off[0]);
    s.constant = rng_chance(r, 50) ? 0 : 0.75;
    void *constants = guarded_place(&t->memory[CONSTANT_LINE], (size_t)s.width * t->size, t->where);
    for (int64_t i = 0; i < s.width; i++) put(t->dtype, constants, i, s.constant);
    s.constant_line = constants;
    s.x_plane = rng_chance(r, 80) ? 6 * pitch : 0;
    s.x = operand(t, A, (s.planes - 1) * s.x_plane + 5 * pitch + s.width);
    s.dy_row = cols + rng_range(r, 0, 2), s.dy_plane = s.rows * s.dy_row;
    s.dy = operand(t, B, (s.planes - 1) * s.dy_plane + (s.rows - 1) * s.dy_row + cols);
    s.pitch = (int)(cols <= lanes / 2 && s.lanes <= lanes / 2 && rng_chance(r, 80) ? lanes / 2 : lanes);
    s.fresh = rng_chance(r, 50), s.ahead = rng_chance(r, 50);
    const int64_t weights = s.planes * s.kh * s.kw * s.pitch, all = weights + (with_bias ? s.planes * s.pitch : 0);
    s.sums = sums(t, all);
    for (int64_t i = 0; s.fresh && i < all; i++) expect(t, i, 0);
    if (with_bias) s.bias = (char *)s.sums + weights * (int64_t)t->size;
    for (int64_t plane = 0; plane < s.planes; plane++) expect_gradient(t, &s, plane, with_bias);
    t->kernels->gradient(&s);
    check_output(t);
}

/* ---- vectors over channels ------------------------------------------------------------------------------------- */

static void expect_pixels(bench *t, const cgc_pixel_gradient *s) {
    const int64_t lanes = t->kernels->lanes, width = t->kernels->width, taps = s->kh * s->kw;
    for (int64_t r = 0; r < s->rows; r++)
        for (int64_t p = 0; p < s->cols; p++)
            for (int64_t c = 0; c < s->vectors * width; c++) {
                const int64_t channel = c / width * s->second + c % width;
                const double dy = get(t->dtype, s->dy, r * s->dy_row + p * s->dy_col + channel);
                const int64_t at = p % lanes * (taps + 1);
                for (int64_t k = 0; k < taps; k++) {
                    const int64_t line = r * s->step + k / s->kw * s->dilation;
                    const int64_t column = p * s->step_w + k % s->kw * s->dilation_w;
                    const void *from = s->cells;
                    int64_t cell = c / width * s->cells_second + line * s->line + column * width + c % width;
                    if (!from) {
                        const ptrdiff_t off = s->columns[line][column];
                        from = off == CGC_CONSTANT_CELL ? s->constant : s->lines[line];
                        cell = (off == CGC_CONSTANT_CELL ? 0 : off) + channel;
                    }
                    expect_more(t, (at + k) * s->vectors * width + c, dy, get(t->dtype, from, cell));
                }
                expect_more(t, (at + taps) * s->vectors * width + c, dy, 1);
            }
}

/* Tables of where the cells of so many lines and columns stand. */
static void stand(bench *t, cgc_pixel_gradient *s, int64_t count, int64_t reach, int64_t channels) {
    rng *r = &t->random;
    ptrdiff_t columns[COLUMNS];
    const void *lines[LINES];
    const ptrdiff_t *line_columns[LINES];
    const char *x = operand(t, A, 8 * channels);
    for (int64_t e = 0; e < reach; e++)
        columns[e] = rng_chance(r, 10) ? CGC_CONSTANT_CELL : (ptrdiff_t)(rng_range(r, 0, 3) * channels);
    const ptrdiff_t *table = copied(t, COLUMN_TABLES, columns, (size_t)reach * sizeof columns[0]);
    for (int64_t line = 0; line < count; line++) {
        lines[line] = x + rng_range(r, 0, 4) * channels * (int64_t)t->size;
        line_columns[line] = table;
    }
    s->lines = copied(t, LINE_TABLE, lines, (size_t)count * sizeof lines[0]);
    s->columns = copied(t, F, line_columns, (size_t)count * sizeof line_columns[0]);
    s->constant = operand(t, C, channels);
    s->ahead = rng_chance(r, 50), s->x_ahead = s->dy_ahead = (ptrdiff_t)rng_range(r, -99999, 99999);
}

static void test_pixels_of(bench *t, int64_t cols, int laid) {
    rng *r = &t->random;
    const int64_t width = t->kernels->width;
    cgc_pixel_gradient s = {.vectors = rng_range(r, 1, 2), .rows = rng_range(r, 1, 7), .cols = cols};
    s.second = s.vectors == 1 ? 0 : (ptrdiff_t)rng_range(r, 1, width);
    s.kh = rng_range(r, 1, 6), s.kw = rng_range(r, 1, 8), s.step = rng_range(r, 1, 3), s.dilation = rng_range(r, 1, 2);
    s.step_w = rng_range(r, 1, 3), s.dilation_w = rng_range(r, 1, 3), s.fresh = rng_chance(r, 50);
    CASE(t, "gradient_pixels vectors=%d second=%d rows=%d cols=%d filter=%dx%d step=%d,%d dilation=%d,%d laid=%d",
         (int)s.vectors, (int)s.second, (int)s.rows, (int)cols, (int)s.kh, (int)s.kw, (int)s.step, (int)s.step_w,
         (int)s.dilation, (int)s.dilation_w, laid);
    const int64_t channels = s.second + width, count = (s.rows - 1) * s.step + (s.kh - 1) * s.dilation + 1;
    const int64_t reach = (cols - 1) * s.step_w + (s.kw - 1) * s.dilation_w + 1;
    if (laid) {
        s.line = (ptrdiff_t)(reach * width + rng_range(r, 0, 3));
        s.cells_second = s.vectors == 1 ? 0 : (ptrdiff_t)rng_range(r, 1, count * s.line);
        s.cells = operand(t, A, s.cells_second + (count - 1) * s.line + reach * width);
    } else {
        stand(t, &s, count, reach, channels);
    }
    s.dy_col = channels, s.dy_row = (ptrdiff_t)(cols * channels);
    s.dy = operand(t, B, s.rows * s.dy_row);
    const int64_t all = t->kernels->lanes * (s.kh * s.kw + 1) * s.vectors * width;
    s.sums = sums(t, all);
    for (int64_t i = 0; s.fresh && i < all / t->kernels->lanes * least(cols, t->kernels->lanes); i++) expect(t, i, 0);
    expect_pixels(t, &s);
    t->kernels->gradient_pixels(&s);
    check_output(t);
}

static void test_lay(bench *t) {
    rng *r = &t->random;
    const int64_t width = t->kernels->width, vectors = rng_range(r, 1, 2), count = rng_range(r, 1, 20);
    const int64_t second = rng_range(r, 0, width), col = rng_chance(r, 20) ? 0 : second + width + rng_range(r, 0, 3);
    const int64_t apart = vectors == 1 ? 0 : count * width + rng_range(r, 0, 3), all = apart + count * width;
    CASE(t, "lay count=%d vectors=%d col=%d second=%d", (int)count, (int)vectors, (int)col, (int)second);
    const void *x = operand(t, A, (count - 1) * col + second + width);
    void *y = output(t, all);
    for (int64_t i = 0; i < vectors; i++)
        for (int64_t p = 0; p < count * width; p++)
            expect(t, i * apart + p, get(t->dtype, x, i * second + p / width * col + p % width));
    t->kernels->lay(count, vectors, x, (ptrdiff_t)col, (ptrdiff_t)second, y, (ptrdiff_t)apart);
    check_output(t);
}

static void test_join_classes(bench *t) {
    const int64_t lanes = t->kernels->lanes;
    for (int64_t columns = 1; columns <= lanes + 2; columns++) {
        const int64_t count = rng_range(&t->random, 1, 5) * t->kernels->width, classes = least(columns, lanes);
        CASE(t, "join_classes columns=%d count=%d", (int)columns, (int)count);
        void *all = output(t, lanes * count);
        unsigned char *before = malloc((size_t)(lanes * count) * t->size);
        if (!before) abort();
        memcpy(before, all, (size_t)(lanes * count) * t->size);
        t->kernels->join_classes(all, columns, count);
        for (int64_t p = 0; p < count; p++) {
            double copy[CGC_MAX_LANES] = {0};
            for (int64_t l = 0; l < classes; l++) copy[l] = get(t->dtype, before, l * count + p);
            const double got = get(t->dtype, all, p), want = join_lanes(t->dtype, copy, (int)lanes);
            CHECK(got == want || (got != got && want != want), "sum %d is %.17g, should be %.17g", (int)p, got, want);
        }
        free(before);
    }
}

static void test(bench *t) {
    for (int64_t cols = 1; cols <= LARGEST; cols++) {
        for (int i = 0; i < 3; i++) test_gradient_of(t, cols);
        for (int laid = 0; laid < 2; laid++) test_pixels_of(t, least(cols, 40), laid);
        test_lay(t);
    }
    test_join_classes(t);
}

int main(int argc, char **argv) { return each_table(argc, argv, "test_gradient_kernels", test); }
