/*
 * The kernels of the weight gradient against plain loops, bit for bit: every instruction set of this machine, both
 * dtypes, all small sizes, operands between guard pages.
 * Usage: test_reduce_kernels [rounds] [seed]; CGCONV_TEST_ROUNDS and CGCONV_TEST_SEED do the same.
 */
#include <math.h>

#include "kernel_bench.h"

enum { ROWS = 6 };

/* The sum of one output: the lanes' chains over all rows, filled up with zeros, joined by halves. */
static double reduced(bench *t, const cgc_reduction *c, int64_t j, int64_t i) {
    const int64_t lanes = t->kernels->lanes;
    double lane[CGC_MAX_LANES] = {0};
    int64_t before[CGC_MAX_LANES] = {0}; /* pixels of a class */
    for (int64_t r = 0; r < c->rows; r++)
        for (int64_t p = 0; p < (c->cols + lanes - 1) / lanes * lanes; p++) {
            double *sum = &lane[p % lanes];
            int64_t a = j * c->a_m + p % lanes * c->a_col, b = p % lanes * c->b_col;
            a += c->a_row ? c->a_row[r] + p / lanes * c->a_next : before[p % lanes] * c->a_next;
            b += c->a_row ? p / lanes * c->b_next : before[p % lanes];
            before[p % lanes] += p < c->cols;
            if (p >= c->cols)
                *sum = multiply_add(t->dtype, t->kernels->fused, 0, 0, *sum);
            else if (c->b)
                *sum = chain(t, *sum, c->a, a, c->b, c->off[i] + (c->b_row ? c->b_row[r] : 0) + b);
            else
                *sum = multiply_add(t->dtype, t->kernels->fused, get(t->dtype, c->a, a), 1, *sum);
        }
    return join_lanes(t->dtype, lane, (int)lanes);
}

/* Rows at random places of a block; the elements of the block. */
static int64_t draw_rows(bench *t, int64_t rows, int64_t extent, ptrdiff_t *row) {
    int64_t room = rng_range(&t->random, 0, 9);
    for (int64_t r = 0; r < rows; r++) row[r] = (ptrdiff_t)rng_range(&t->random, 0, room);
    if (rows) row[0] = 0, row[rows - 1] = (ptrdiff_t)room;
    return room + extent;
}

/* Where the last pixel of a row lies, or of all rows if they have no place of their own. */
static int64_t last_pixel(int64_t lanes, const cgc_reduction *c, int64_t col, int64_t next) {
    int64_t last = 0;
    for (int64_t p = 0; p < c->cols; p++) {
        const int64_t each = (c->cols - 1 - p % lanes) / lanes + 1; /* of a row, in the class of p */
        const int64_t at = p % lanes * col + (c->a_row || !c->rows ? p / lanes : c->rows * each - 1) * next;
        last = at > last ? at : last;
    }
    return last;
}

/* How a call's operands lie: vectors over pixels; over outputs; and those with pixels of a class side by side. */
typedef enum kind { BY_PIXELS, BY_OUTPUTS, BY_CLASSES } kind;

static void test_reduce_of(bench *t, kind by, int64_t m, int64_t k, int64_t rows, int64_t cols, int ones) {
    static const char *const names[] = {"pixels", "outputs", "classes"};
    const int by_outputs = by != BY_PIXELS;
    ptrdiff_t a_row[ROWS], b_row[ROWS];
    const int64_t lanes = t->kernels->lanes, width = t->kernels->width;
    const int64_t wide = by_outputs ? (m + width - 1) / width * width : m;
    cgc_ahead ahead = {.runs = 0};
    if (rng_chance(&t->random, 50)) { /* any addresses, which are not touched */
        ahead.runs = 2;
        for (int i = 0; i < 2; i++) {
            ahead.run[i].at = (const char *)&ahead;
            ahead.run[i].lines = rng_range(&t->random, 1, 99);
        }
    }
    cgc_reduction c = {.ahead = &ahead, .m = m, .k = ones ? 1 : k, .rows = rows, .cols = cols, .a_row = a_row,
                       .b_row = b_row, .off = t->off};
    if (by_outputs) {
        c.a_m = 1;
        c.a_col = (ptrdiff_t)(wide + rng_range(&t->random, 0, 3));
        c.b_col = (ptrdiff_t)rng_range(&t->random, 1, 3);
        c.a_next = (ptrdiff_t)rng_range(&t->random, 0, 2) * lanes / 2 * c.a_col;
        c.b_next = (ptrdiff_t)rng_range(&t->random, 0, 2) * lanes / 2 * c.b_col;
        if (by == BY_CLASSES) {
            c.b_next = 1;
            c.a_next = (ptrdiff_t)(m > width || rng_chance(&t->random, 50) ? 2 * width : width);
            c.a_col *= (ptrdiff_t)(rows * cols);
            c.b_col *= (ptrdiff_t)(rows * cols);
            c.a_row = c.b_row = NULL;
        }
    } else {
        c.a_col = c.b_col = 1;
        c.a_next = c.b_next = lanes;
        c.a_m = (ptrdiff_t)rng_range(&t->random, 0, cols + 3);
    }
    c.y_m = (ptrdiff_t)(c.k + rng_range(&t->random, 0, 3));
    c.fresh = rng_chance(&t->random, 50);
    CASE(t, "reduce_%s m=%lld k=%lld rows=%lld cols=%lld ones=%d", names[by], (long long)m, (long long)k,
         (long long)rows, (long long)cols, ones);
    const int some = m > 0 && rows > 0 && cols > 0;
    const int64_t a_last = last_pixel(lanes, &c, c.a_col, c.a_next), b_last = last_pixel(lanes, &c, c.b_col, c.b_next);
    const int64_t a_extent = a_last + (by_outputs ? wide : (m - 1) * c.a_m + 1);
    int64_t b_extent = draw_offsets(t, c.k, b_last + 1);
    if (rng_chance(&t->random, 50)) { /* runs of neighbours, as of columns of filters */
        for (int64_t i = 1; i < c.k; i++)
            if (i % 3) t->off[i] = t->off[i - 1] + 1;
        b_extent += 2;
    }
    c.a = operand(t, A, some ? draw_rows(t, rows, a_extent, a_row) : 0);
    c.b = operand(t, B, some ? draw_rows(t, rows, b_extent, b_row) : 0);
    if (ones) c.b = NULL, c.b_row = NULL, c.off = NULL;
    c.y = output(t, m && c.k ? (m - 1) * c.y_m + c.k : 0);
    for (int64_t j = 0; j < m; j++)
        for (int64_t i = 0; i < c.k; i++) {
            const int64_t at = j * c.y_m + i;
            const double y = get(t->dtype, c.y, at);
            put(t->dtype, c.y, at, c.fresh ? NAN : y == 0 ? 0 : y); /* not -0 */
            expect(t, at, add(t->dtype, c.fresh ? 0 : get(t->dtype, c.y, at), reduced(t, &c, j, i)));
        }
    if (by_outputs)
        t->kernels->reduce_outputs(&c);
    else
        t->kernels->reduce_pixels(&c);
    check_output(t);
}

static void test_turn(bench *t, int64_t rows, int64_t cols) {
    ptrdiff_t from[4 * ROWS];
    rows *= rng_range(&t->random, 1, 4);
    CASE(t, "turn rows=%lld cols=%lld", (long long)rows, (long long)cols);
    const int64_t pitch = rows + rng_range(&t->random, 0, 3);
    const void *x = operand(t, A, rows ? draw_rows(t, rows, cols, from) : 0);
    void *y = output(t, rows ? (cols - 1) * pitch + rows : 0);
    for (int64_t j = 0; j < cols; j++)
        for (int64_t i = 0; i < rows; i++) expect(t, j * pitch + i, get(t->dtype, x, from[i] + j));
    t->kernels->turn(rows, cols, x, from, y, (ptrdiff_t)pitch);
    check_output(t);
}

static void test_reduce(bench *t) {
    const int64_t width = t->kernels->width;
    for (int64_t cols = 1; cols <= LARGEST; cols++)
        for (int64_t rows = 0; rows <= ROWS; rows++) {
            const int64_t k = rng_range(&t->random, 1, TAPS - 1);
            test_reduce_of(t, BY_PIXELS, rng_range(&t->random, 0, 9), k, rows, cols, 0);
            test_reduce_of(t, BY_OUTPUTS, rng_range(&t->random, 0, 2 * width), k, rows, cols, 0);
            test_reduce_of(t, BY_CLASSES, rng_range(&t->random, 0, 2 * width), k, rows, cols, 0);
            test_turn(t, rows, cols);
        }
    for (int64_t k = 1; k < TAPS; k++)
        for (int64_t m = 1; m <= 2 * width; m++) {
            test_reduce_of(t, BY_PIXELS, m, k, 3, rng_range(&t->random, 1, 40), k == 1);
            test_reduce_of(t, BY_OUTPUTS, m, k, 3, rng_range(&t->random, 1, 40), k == 1);
            test_reduce_of(t, BY_CLASSES, m, k, 3, rng_range(&t->random, 1, 40), k == 1);
        }
}

int main(int argc, char **argv) { return each_table(argc, argv, "test_reduce_kernels", test_reduce); }
