/*
 * Channel-wise weight gradients with vectors over channels, of cells that are laid one behind the other, see
 * cgc_pixel_gradient in gradient.h: no column has to be looked up, and a multiply-add reads its cell itself. They must
 * not know where the cells come from.
 *
 * Parameters: those of words_template.h, among them REGISTERS; gradient_pixels_template.h includes it.
 *
 * A tile, some filter rows by some filter columns, sums one class of columns after the other in registers.
 */

/* What the compiler knows of a tile. near: filter columns are neighbours. */
typedef struct K(cells_kind) {
    int rows, cols, near;
} K(cells_kind);

typedef struct K(cells_tile) {
    const cgc_pixel_gradient *s;
    const REAL *x, *dy;           /* the cell under the tile's first one, and dy, of the first pixel */
    REAL *sums, *bias;            /* of class 0; bias: NULL if another tile adds it */
    ptrdiff_t class, down, right; /* in sums: from class to class, in the tile from row to row, from column to column */
} K(cells_tile);

/* Adds the products of a pixel. */
static ALWAYS_INLINE void K(cells_pixel)(const K(cells_kind) kind, const REAL *dy, const REAL *x, ptrdiff_t down,
                                         ptrdiff_t right, VEC *sum) {
    const VEC factor = V(load)(dy);
    sum[kind.rows * kind.cols] = V(add)(sum[kind.rows * kind.cols], factor);
    UNROLL for (int j = 0; j < kind.rows; j++, x += down)
        UNROLL for (int v = 0; v < kind.cols; v++)
            sum[j * kind.cols + v] =
                V(fma)(factor, V(load)(x + v * (kind.near ? WIDTH : right)), sum[j * kind.cols + v]);
}

static ALWAYS_INLINE void K(cells_sums)(const K(cells_tile) *t, const K(cells_kind) kind) {
    const cgc_pixel_gradient *s = t->s;
    const int sums = kind.rows * kind.cols;
    const int64_t rows = s->rows, cols = s->cols;
    const ptrdiff_t down = s->dilation * s->line, right = s->dilation_w * WIDTH, step = s->step_w * WIDTH;
    const ptrdiff_t dy_row = s->dy_row, dy_col = s->dy_col, line = s->step * s->line;
    for (int64_t class = 0; class < LANES && class < cols; class++) {
        REAL *to = t->sums + class * t->class, *bias = t->bias ? t->bias + class * t->class : NULL;
        const REAL *dys = t->dy + class * dy_col, *xs = t->x + class * step;
        VEC sum[16];
        UNROLL for (int i = 0; i < sums; i++)
            sum[i] = s->fresh ? V(zero)() : V(load)(to + i / kind.cols * t->down + i % kind.cols * t->right);
        sum[sums] = bias && !s->fresh ? V(load)(bias) : V(zero)();
        if (cols <= LANES)
            for (int64_t r = 0; r < rows; r++, dys += dy_row, xs += line)
                K(cells_pixel)(kind, dys, xs, down, right, sum);
        else
            for (int64_t r = 0; r < rows; r++, dys += dy_row, xs += line) {
                const REAL *dy = dys, *x = xs;
                for (int64_t p = class; p < cols; p += LANES, dy += LANES * dy_col, x += LANES * step)
                    K(cells_pixel)(kind, dy, x, down, right, sum);
            }
        UNROLL for (int i = 0; i < sums; i++)
            V(store)(to + i / kind.cols * t->down + i % kind.cols * t->right, sum[i]);
        if (bias)
            V(store)(bias, sum[sums]);
    }
}

/* KERNEL(rows, cols, near): a tile of this size. */
typedef void K(cells_fn)(const K(cells_tile) *t);
#define KERNEL(rows, cols, near) \
    static void K(cells_##near##_##rows##cols)(const K(cells_tile) *t) { \
        K(cells_sums)(t, (K(cells_kind)){rows, cols, near}); \
    }
#define FAR(rows) {K(cells_1_##rows##1), K(cells_0_##rows##2), K(cells_0_##rows##3)}
#define NEAR(rows) K(cells_1_##rows##1), K(cells_1_##rows##2), K(cells_1_##rows##3)
#define WIDE(rows) {NEAR(rows), NULL, K(cells_1_##rows##5), NULL, K(cells_1_##rows##7)}
#define KERNELS(rows) \
    KERNEL(rows, 1, 1) KERNEL(rows, 2, 1) KERNEL(rows, 3, 1) KERNEL(rows, 2, 0) KERNEL(rows, 3, 0)
#if REGISTERS >= 16
KERNELS(1) KERNELS(2) KERNELS(3)
KERNEL(1, 5, 1) KERNEL(2, 5, 1) KERNEL(1, 7, 1) KERNEL(2, 7, 1)
#define ALL {{FAR(1), FAR(2), FAR(3)}, {WIDE(1), WIDE(2), {NEAR(3)}}}
#define CELLS_MOST 3
#else
KERNEL(1, 1, 1)
#define ALL {{{K(cells_1_11)}}, {{K(cells_1_11)}}}
#define CELLS_MOST 1
#endif

/* Filter columns of the next tile. */
static int64_t K(cells_cols)(int64_t left, int near) {
    if (near && CELLS_MOST > 1 && (left == 5 || left >= 7))
        return left < 7 ? 5 : 7;
    return left < CELLS_MOST ? left : CELLS_MOST;
}

static void K(gradient_cells)(const cgc_pixel_gradient *s) {
    static K(cells_fn) *const kernels[2][3][7] = ALL;
    const int near = s->dilation_w == 1;
    const ptrdiff_t cell = s->vectors * WIDTH;
    K(cells_tile) t = {.s = s, .class = (s->kh * s->kw + 1) * cell, .down = s->kw * cell, .right = cell};
    for (int64_t i = 0; i < s->vectors; i++) {
        REAL *sums = (REAL *)s->sums + i * WIDTH;
        t.dy = (const REAL *)s->dy + i * s->second;
        t.bias = sums + s->kh * s->kw * cell;
        for (int64_t v = 0, cols; v < s->kw; v += cols) {
            cols = K(cells_cols)(s->kw - v, near);
            for (int64_t u = 0, rows; u < s->kh; u += rows) {
                rows = K(gradient_cut)(s->kh - u, cols > 3 ? 2 : CELLS_MOST);
                t.x = (const REAL *)s->cells + i * s->cells_second + u * s->dilation * s->line +
                      v * s->dilation_w * WIDTH;
                t.sums = sums + (u * s->kw + v) * cell;
                kernels[near][rows - 1][cols - 1](&t);
                t.bias = NULL;
            }
        }
    }
}

/*
 * Pixels of two vectors. Where they are far apart, each has lines of its own, which no machine foresees: some that are
 * to come are called for, behind the last pixel those of the next line.
 */
static ALWAYS_INLINE void K(lay_pairs)(const int ahead, int64_t count, const REAL *x, ptrdiff_t x_col, ptrdiff_t second,
                                       REAL *y, ptrdiff_t y_second) {
    for (int64_t e = 0; e < count; e++, x += x_col, y += WIDTH) {
        if (ahead) {
            PREFETCH(x + ahead * x_col);
            PREFETCH(x + ahead * x_col + second + WIDTH - 1);
        }
        V(store)(y, V(load)(x));
        V(store)(y + y_second, V(load)(x + second));
    }
}

void K(lay)(int64_t count, int64_t vectors, const void *x_, ptrdiff_t x_col, ptrdiff_t second, void *y_,
            ptrdiff_t y_second) {
    enum { AHEAD = 16, APART = 2 * CGC_LINE_BYTES / sizeof(REAL) };
    const REAL *x = x_;
    REAL *y = y_;
    if (vectors == 1)
        for (int64_t e = 0; e < count; e++, x += x_col, y += WIDTH)
            V(store)(y, V(load)(x));
    else if (count > AHEAD && x_col > APART)
        K(lay_pairs)(AHEAD, count, x, x_col, second, y, y_second);
    else
        K(lay_pairs)(0, count, x, x_col, second, y, y_second);
}
#undef KERNEL
#undef KERNELS
#undef NEAR
#undef FAR
#undef WIDE
#undef ALL
#undef CELLS_MOST
