/*
 * The stencil kernel against plain loops, bit for bit: every instruction set of this machine, both dtypes, each length
 * of vectors; operands, fringes and lines between guard pages. It must not know who makes fringes: which cell stands
 * at a padding column is drawn here, by a kind of padding or at random, and then told as stencil.h says.
 * Usage: test_stencil_kernel [rounds] [seed]; CGCONV_TEST_ROUNDS and CGCONV_TEST_SEED do the same.
 */
#include <stdlib.h>

#include "kernel_bench.h"

enum { COLUMNS = 512, LINES = 256 };

/* In place of a column: the constant stands there. */
#define NOWHERE INT64_MIN

/* Memory of what is not numbers, and of the line of constants. */
enum { CONSTANT_LINE = D, LINE_TABLE = E, LEFT_CELLS = F, RIGHT_CELLS = G };

/* A kernel's case: the stencil itself, and what its tables stand for. */
typedef struct trial {
    cgc_stencil s;
    int scattered;       /* any cell may stand in the padding; else those of `mode` */
    cgconv_pad_mode mode;
    int64_t base;        /* columns before column 0 that exist, too: the line is the end of a longer one */
    int64_t last;        /* where output row 0 of plane 0 is: the last one in memory if they ascend, else 0 */
    int64_t low, high;   /* the columns that a vector can reach */
    int64_t source[COLUMNS]; /* the column whose cell stands at column low + i */
    ptrdiff_t lines[LINES];
} trial;

static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* ---- what stands beyond the ends ------------------------------------------------------------------------------- */

/* The entry of a cell; -2 if the fringe cannot name it. */
static int32_t entry(const cgc_stencil *s, const cgc_fringe *fringe, int64_t source) {
    if (source == NOWHERE) return s->narrow && s->width < s->step * s->lanes ? (int32_t)s->width : -1;
    if (source >= fringe->a && source < fringe->a + s->lanes) return (int32_t)(source - fringe->a);
    if (source >= fringe->b && source < fringe->b + s->lanes) return (int32_t)(source - fringe->b + s->lanes);
    if (s->step > 1 && source >= fringe->far && source < fringe->far + s->lanes)
        return (int32_t)(source - fringe->far + 2 * s->lanes);
    return -2;
}

static int64_t draw_source(bench *t, const trial *c, int64_t column) {
    const cgc_stencil *s = &c->s;
    const cgc_fringe *fringe = s->narrow || column < 0 ? &s->left : &s->right;
    int64_t source;
    if (column >= 0 && column < s->width) return column;
    if (c->scattered) {
        const int64_t from[] = {fringe->a, fringe->b, s->step > 1 ? fringe->far : fringe->b};
        source = from[rng_range(&t->random, 0, 2)] + rng_range(&t->random, 0, s->lanes - 1);
        if (source < -c->base || source >= s->width || rng_chance(&t->random, 30)) return NOWHERE;
    } else {
        source = source_cell(c->mode, c->base + column, c->base + s->width);
        if (source < 0) return NOWHERE;
        source -= c->base;
    }
    return entry(s, fringe, source) < -1 ? NOWHERE : source;
}

/* Writes down where the lanes of columns first .. end-1 come from, and not one more. */
static void tell(bench *t, const trial *c, int which, int64_t end, cgc_fringe *fringe) {
    const int64_t step = c->s.step, count = end - fringe->first;
    int32_t cells[COLUMNS];
    fringe->odd = (ptrdiff_t)((count + 1) / 2);
    fringe->both = step > 1;
    for (int64_t i = 0; i < count; i++) {
        const int32_t e = entry(&c->s, fringe, c->source[fringe->first + i - c->low]);
        if (e < -1) abort();
        fringe->both |= e >= c->s.lanes;
        fringe->rings |= e >= 2 * c->s.lanes;
        cells[step == 1 ? i : i / 2 + i % 2 * fringe->odd] = e;
    }
    if (!fringe->both) fringe->b = INT64_C(1) << 40; /* nobody may look there */
    fringe->cells = copied(t, which, cells, (size_t)count * sizeof cells[0]);
}

/* Draws what stands beyond the ends, and makes the fringes of it. */
static void draw_ends(bench *t, trial *c) {
    cgc_stencil *s = &c->s;
    const int64_t span = s->step * s->lanes;
    /* Behind what whole vectors read, though fewer outputs are written. */
    const int64_t end = s->first + (most(s->cols, s->lanes) - 1) * s->step + (s->kw - 1) * s->dilation_w + 1;
    const int64_t any = rng_range(&t->random, -c->base, most(s->width - s->lanes, -c->base));
    const int near = s->narrow || s->step > 1; /* b is beside a */
    s->left = (cgc_fringe){.first = least(s->first, 0), .a = 0};
    s->left.b = near ? s->lanes : c->scattered ? any : s->width - s->lanes;
    s->left.far = c->scattered ? any : s->width - s->lanes;
    s->right = (cgc_fringe){.first = s->width - span, .a = s->width - span};
    s->right.b = near ? s->right.a + s->lanes : c->scattered ? any : -c->base;
    s->right.far = c->scattered ? any : -c->base;
    c->low = s->left.first;
    c->high = most(most(s->width, span), end);
    if (c->high - c->low > COLUMNS) abort();
    for (int64_t column = c->low; column < c->high; column++) c->source[column - c->low] = draw_source(t, c, column);
    tell(t, c, LEFT_CELLS, s->narrow ? most(span, end) : span, &s->left);
    if (!s->narrow) tell(t, c, RIGHT_CELLS, most(s->width, end), &s->right);
}

/* ---- one run --------------------------------------------------------------------------------------------------- */

/*
 * Lines, and the operands: lines in any order, some of them constant, or, as most planes are, lines in order between
 * constants, zeros around them, and outputs without gaps.
 */
static void draw_operands(bench *t, trial *c) {
    cgc_stencil *s = &c->s;
    const int64_t count = (s->rows - 1) * s->step + (s->kh - 1) * s->dilation_h + 1;
    const int plain = rng_chance(&t->random, 40);
    const int64_t top = rng_range(&t->random, 0, 2), bottom = count - rng_range(&t->random, 0, 2);
    const int64_t rows = plain ? count : rng_range(&t->random, 1, 4);
    const int64_t pitch = c->base + s->width + rng_range(&t->random, 0, 2);
    const int constants = rng_chance(&t->random, 70) ? 10 : 0; /* percent */
    if (count > LINES) abort();
    for (int64_t line = 0; line < count; line++) {
        const int constant = plain ? line < top || line >= bottom : rng_chance(&t->random, constants);
        const int64_t row = plain ? line : rng_range(&t->random, 0, rows - 1);
        c->lines[line] = constant ? CGC_CONSTANT_LINE : (ptrdiff_t)(c->base + row * pitch);
    }
    s->lines = copied(t, LINE_TABLE, c->lines, (size_t)count * sizeof c->lines[0]);
    s->constant = plain && rng_chance(&t->random, 70) ? 0 : draw(t);
    char *constant_line = guarded_place(&t->memory[CONSTANT_LINE], (size_t)(c->base + s->width) * t->size, t->where);
    for (int64_t i = 0; i < c->base + s->width; i++) put(t->dtype, constant_line, i, s->constant);
    guarded_lock(&t->memory[CONSTANT_LINE]);
    s->constant_line = constant_line + (size_t)c->base * t->size;
    s->x_plane = (ptrdiff_t)(rows * pitch);
    s->x = operand(t, B, (s->planes - 1) * s->x_plane + (rows - 1) * pitch + c->base + s->width);
    s->w = operand(t, A, s->planes * s->filters * s->kh * s->kw);
    s->bias = (plain && s->mirrored) || rng_chance(&t->random, 30) ? NULL : operand(t, C, s->planes * s->filters);
    s->from_pitch = (ptrdiff_t)(s->cols + rng_range(&t->random, 0, 3));
    s->from = rng_chance(&t->random, 70) ? NULL : operand(t, H, (s->rows - 1) * s->from_pitch + s->cols);
    s->y_pitch = (ptrdiff_t)(s->cols + (plain ? 0 : rng_range(&t->random, 0, 3)));
    s->y_plane = (ptrdiff_t)((s->rows - 1) * s->y_pitch + s->cols + (plain ? 0 : rng_range(&t->random, 0, 3)));
    s->y = output(t, (s->planes * s->filters - 1) * s->y_plane + (s->rows - 1) * s->y_pitch + s->cols);
    c->last = 0;
    if (plain ? s->mirrored : rng_chance(&t->random, 30)) { /* from the last row upwards */
        c->last = (s->rows - 1) * s->y_pitch;
        s->y = (char *)s->y + (size_t)c->last * t->size;
        s->y_pitch = -s->y_pitch;
    }
    s->w_filter = (ptrdiff_t)(s->kh * s->kw);
    if (!s->bias && (plain ? s->mirrored : rng_chance(&t->random, 60))) { /* from the last plane on */
        const int64_t filters = s->planes * s->filters - 1;
        s->x = (const char *)s->x + (size_t)((s->planes - 1) * s->x_plane) * t->size;
        s->w = (const char *)s->w + (size_t)(filters * s->w_filter) * t->size;
        s->y = (char *)s->y + (size_t)(filters * s->y_plane) * t->size;
        c->last += filters * s->y_plane;
        s->x_plane = -s->x_plane, s->w_filter = -s->w_filter, s->y_plane = -s->y_plane;
    }
    draw_clamp(t);
    s->lo = t->lo, s->hi = t->hi;
}

static double cell(const bench *t, const trial *c, int64_t plane, int64_t line, int64_t column) {
    const int64_t source = c->source[column - c->low];
    if (c->lines[line] == CGC_CONSTANT_LINE || source == NOWHERE) return c->s.constant;
    return get(t->dtype, c->s.x, plane * c->s.x_plane + c->lines[line] + source);
}

static void expect_output(bench *t, const trial *c) {
    const cgc_stencil *s = &c->s;
    for (int64_t i = 0; i < s->planes * s->filters; i++)
        for (int64_t r = 0; r < s->rows; r++)
            for (int64_t p = 0; p < s->cols; p++) {
                double sum = s->from   ? get(t->dtype, s->from, r * s->from_pitch + p)
                             : s->bias ? get(t->dtype, s->bias, i)
                                       : 0;
                for (int64_t u = 0; u < s->kh; u++)
                    for (int64_t v = 0; v < s->kw; v++)
                        sum = multiply_add(t->dtype, t->kernels->fused,
                                           get(t->dtype, s->w, i * s->w_filter + u * s->kw + v),
                                           cell(t, c, i / s->filters, r * s->step + u * s->dilation_h,
                                                s->first + p * s->step +
                                                    (s->mirrored ? s->kw - 1 - v : v) * s->dilation_w),
                                           sum);
                expect(t, i * s->y_plane + c->last + r * s->y_pitch + p, clamp(t->dtype, sum, s->lo, s->hi));
            }
}

static void run(bench *t, trial *c) {
    cgc_stencil *s = &c->s;
    CASE(t, "stencil %lldx%lld of %lld filter=%lldx%lld step=%lld dilation=%lldx%lld first=%lld base=%lld lanes=%d "
            "planes=%lld filters=%lld padding=%d mirrored=%d",
         (long long)s->rows, (long long)s->cols, (long long)s->width, (long long)s->kh, (long long)s->kw,
         (long long)s->step, (long long)s->dilation_h, (long long)s->dilation_w, (long long)s->first,
         (long long)c->base, s->lanes, (long long)s->planes, (long long)s->filters,
         c->scattered ? -1 : (int)c->mode, s->mirrored);
    draw_ends(t, c);
    draw_operands(t, c);
    expect_output(t, c);
    t->kernels->stencil(s);
    check_output(t);
}

/* ---- cases ----------------------------------------------------------------------------------------------------- */

typedef struct filter {
    int64_t kh, kw, step, dilation_h, dilation_w;
} filter;

/* One width under one filter, with pads as they are most of the time, none, or any. */
static void test_width(bench *t, const filter *f, int64_t width, int lanes) {
    static trial c;
    rng *random = &t->random;
    const int64_t reach = (f->kw - 1) * f->dilation_w + 1, half = (reach - 1) / 2;
    const int pads = (int)rng_range(random, 0, 99), narrow = width <= f->step * lanes;
    int64_t before = half, after = reach - 1 - half;
    if (pads < 40) before = rng_range(random, 0, half + 2), after = rng_range(random, 0, half + 2);
    if (pads < 20) before = rng_range(random, 0, reach + 2), after = rng_range(random, 0, reach + 2);
    if (pads < 10) before = after = 0;
    if (pads < 5) before = -rng_range(random, 0, 3);
    const int64_t cells = before + width + after - reach, all = cells < 0 ? 0 : cells / f->step + 1;
    if (all == 0 || (lanes != t->kernels->stencil_lanes[0] && !narrow)) return;
    c.s = (cgc_stencil){
        .planes = rng_range(random, 1, 3), .filters = rng_range(random, 1, 2),
        .rows = rng_range(random, 1, 20), .cols = rng_chance(random, 80) ? all : rng_range(random, 1, all),
        .kh = f->kh, .kw = f->kw, .step = f->step, .dilation_h = f->dilation_h, .dilation_w = f->dilation_w,
        .first = -before, .width = width, .lanes = lanes, .narrow = narrow,
        .mirrored = f->step == 1 && rng_chance(random, 40),
        .far = rng_chance(random, 50),
        .ahead = rng_range(random, -100, 100), .ahead_bytes = rng_chance(random, 50) ? rng_range(random, 0, 3000) : 0,
    };
    c.scattered = rng_chance(random, 25);
    c.mode = (cgconv_pad_mode)rng_range(random, 0, 4);
    c.base = before <= 0 && !narrow && rng_chance(random, 50) ? rng_range(random, 0, 20) : 0;
    run(t, &c);
}

/* The filters that have kernels of their own, and others, each with all widths that change the tail. */
static void test_table(bench *t) {
    static const filter filters[] = {
        {3, 3, 1, 1, 1}, {3, 3, 2, 1, 1}, {5, 5, 1, 1, 1}, {5, 5, 2, 1, 1}, {7, 7, 1, 1, 1}, {7, 7, 2, 1, 1},
        {3, 3, 1, 2, 2}, {3, 3, 1, 3, 1}, {3, 3, 1, 1, 4}, {3, 3, 1, 2, 18}, {5, 5, 1, 2, 3}, {7, 7, 1, 1, 2},
        {1, 1, 1, 1, 1}, {1, 1, 2, 1, 1}, {2, 2, 1, 1, 1}, {4, 4, 1, 1, 1}, {4, 4, 2, 1, 1}, {1, 9, 1, 1, 1},
        {9, 1, 1, 1, 1}, {9, 9, 1, 1, 1}, {9, 9, 2, 1, 1}, {6, 2, 2, 1, 1}, {2, 3, 2, 1, 1}, {7, 3, 1, 4, 1},
    };
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++)
        for (int64_t width = 1; width <= LARGEST; width++)
            for (int l = 0; l < 3 && t->kernels->stencil_lanes[l]; l++)
                test_width(t, &filters[i], width, t->kernels->stencil_lanes[l]);
}

int main(int argc, char **argv) { return each_table(argc, argv, "test_stencil_kernel", test_table); }
