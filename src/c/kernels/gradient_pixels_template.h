/*
 * The kernel of a channel-wise weight gradient with vectors over channels, see cgc_pixel_gradient in gradient.h, where
 * pixels are read in place, and the joining of its sums. They must not know where lines come from.
 *
 * A lane of the definition is a class of columns here: every LANES-th one. A tile, some filter rows by some filter
 * columns, sums one class after the other in registers. Lines are taken as in gradient_template.h.
 *
 * Parameters: those of words_template.h, among them REGISTERS; gradient_template.h comes before it.
 */
/* Whether the sums of a tile in two vectors fit the registers, beside the rows of dy and a cell. */
#define GRADIENT_TWO(rows, cols) (2 * ((rows) * (cols) + (rows) + 1) + 1 <= REGISTERS)

typedef struct K(pixel_kind) {
    int rows, cols, vectors;
} K(pixel_kind);

typedef struct K(pixel_tile) {
    const cgc_pixel_gradient *s;
    const void *const *lines; /* of row 0 under the tile's first row */
    const ptrdiff_t *const *columns;
    int64_t v;                /* of the first filter column, in columns */
    int64_t skew;             /* rows of dy from filter row to filter row */
    ptrdiff_t channel;        /* of the first vector */
    REAL *sums, *bias;        /* of class 0; bias: NULL if another tile adds it */
    ptrdiff_t class, down, right; /* in sums: from class to class, in the tile from row to row, from column to column */
} K(pixel_tile);

/* Calls for a vector, which may begin in one cache line and end in the next. */
static ALWAYS_INLINE void K(pixel_ahead)(const REAL *p) {
    PREFETCH(p);
    PREFETCH(p + WIDTH - 1);
}

/* Adds the pixels of a class under line k, which rows first .. last-1 of the tile meet. */
static ALWAYS_INLINE void K(pixel_line)(const K(pixel_tile) *t, const K(pixel_kind) kind, const int first,
                                        const int last, int64_t class, int64_t k, VEC *sum, VEC *bias) {
    const cgc_pixel_gradient *s = t->s;
    const int vectors = kind.vectors;
    const ptrdiff_t up = t->skew * s->dy_row, second = s->second;
    const REAL *x = (const REAL *)t->lines[k * s->step] + t->channel;
    const REAL *constant = (const REAL *)s->constant + t->channel;
    const REAL *dy = (const REAL *)s->dy + k * s->dy_row + class * s->dy_col + t->channel;
    const ptrdiff_t *column = t->columns[k * s->step] + class * s->step_w + t->v;
    for (int64_t p = class; p < s->cols; p += LANES, dy += LANES * s->dy_col, column += LANES * s->step_w) {
        VEC factor[2 * GRADIENT_MOST];
        UNROLL for (int j = first; j < last; j++)
            UNROLL for (int i = 0; i < vectors; i++)
                factor[j * vectors + i] = V(keep)(V(load)(dy - j * up + i * second));
        if (first == 0)
            UNROLL for (int i = 0; i < vectors; i++)
                bias[i] = V(add)(bias[i], factor[i]);
        if (first == 0 && s->ahead)
            UNROLL for (int i = 0; i < vectors; i++)
                K(pixel_ahead)(dy + s->dy_ahead + i * second);
        UNROLL for (int v = 0; v < kind.cols; v++) {
            const ptrdiff_t off = column[v * s->dilation_w];
            const REAL *from = off == CGC_CONSTANT_CELL ? constant : x + off;
            if (v == kind.cols / 2 && s->ahead)
                UNROLL for (int i = 0; i < vectors; i++)
                    K(pixel_ahead)(from + s->x_ahead + i * second);
            UNROLL for (int i = 0; i < vectors; i++) {
                const VEC cell = V(keep)(V(load)(from + i * second));
                UNROLL for (int j = first; j < last; j++) {
                    VEC *to = &sum[(j * kind.cols + v) * vectors + i];
                    *to = V(fma)(factor[j * vectors + i], cell, *to);
                }
            }
        }
    }
}

/* A tile. There are rows enough that the last filter row begins before the first one ends. */
static ALWAYS_INLINE void K(pixel_sums)(const K(pixel_tile) *t_, const K(pixel_kind) kind) {
    const K(pixel_tile) tile = *t_, *t = &tile;
    const int vectors = kind.vectors, fresh = t->s->fresh;
    const int64_t rows = t->s->rows, classes = t->s->cols < LANES ? t->s->cols : LANES;
    for (int64_t class = 0; class < classes; class++) {
        REAL *sums = t->sums + class * t->class;
        VEC sum[2 * GRADIENT_MOST * GRADIENT_MOST], bias[2];
        int64_t k = 0;
#define SUM(j, v, i) sum[((j) * kind.cols + (v)) * vectors + (i)]
#define EACH_SUM \
    UNROLL for (int j = 0; j < kind.rows; j++) \
        UNROLL for (int v = 0; v < kind.cols; v++) \
            UNROLL for (int i = 0; i < vectors; i++)
        EACH_SUM SUM(j, v, i) = fresh ? V(zero)() : V(load)(sums + j * t->down + v * t->right + i * WIDTH);
        UNROLL for (int i = 0; i < vectors; i++)
            bias[i] = V(zero)();
        if (t->bias && !fresh)
            UNROLL for (int i = 0; i < vectors; i++)
                bias[i] = V(load)(t->bias + class * t->class + i * WIDTH);
        UNROLL for (int j = 1; j < kind.rows; j++)
            for (; k < j * t->skew; k++)
                K(pixel_line)(t, kind, 0, j, class, k, sum, bias);
        for (; k < rows; k++)
            K(pixel_line)(t, kind, 0, kind.rows, class, k, sum, bias);
        UNROLL for (int j = 1; j < kind.rows; j++)
            for (; k < rows + j * t->skew; k++)
                K(pixel_line)(t, kind, j, kind.rows, class, k, sum, bias);
        EACH_SUM V(store)(sums + j * t->down + v * t->right + i * WIDTH, SUM(j, v, i));
        if (t->bias)
            UNROLL for (int i = 0; i < vectors; i++)
                V(store)(t->bias + class * t->class + i * WIDTH, bias[i]);
#undef EACH_SUM
#undef SUM
    }
}

/* KERNEL(rows, cols): tiles of this size, of one vector, and of two if they fit. */
typedef void K(pixel_fn)(const K(pixel_tile) *t);

#define KERNEL(rows, cols) \
    static void K(pixel_sums_1_##rows##cols)(const K(pixel_tile) *t) { \
        K(pixel_sums)(t, (K(pixel_kind)){rows, cols, 1}); \
    } \
    static void K(pixel_sums_2_##rows##cols)(const K(pixel_tile) *t) { \
        K(pixel_sums)(t, (K(pixel_kind)){rows, cols, GRADIENT_TWO(rows, cols) ? 2 : 1}); \
    }
#define ENTRY(rows, cols) \
    {K(pixel_sums_1_##rows##cols), GRADIENT_TWO(rows, cols) ? K(pixel_sums_2_##rows##cols) : NULL}
#define COMMA ,
#if GRADIENT_MOST == 5
#define EACH(of, rows, and) of(rows, 1) and of(rows, 2) and of(rows, 3) and of(rows, 5)
EACH(KERNEL, 1,) EACH(KERNEL, 2,) EACH(KERNEL, 3,) EACH(KERNEL, 5,)
#define ENTRIES {EACH(ENTRY, 1, COMMA)}, {EACH(ENTRY, 2, COMMA)}, {EACH(ENTRY, 3, COMMA)}, {EACH(ENTRY, 5, COMMA)}
#elif GRADIENT_MOST == 3
#define EACH(of, rows, and) of(rows, 1) and of(rows, 2) and of(rows, 3)
EACH(KERNEL, 1,) EACH(KERNEL, 2,) EACH(KERNEL, 3,)
#define ENTRIES {EACH(ENTRY, 1, COMMA)}, {EACH(ENTRY, 2, COMMA)}, {EACH(ENTRY, 3, COMMA)}
#else
#define EACH(of, rows, and) of(rows, 1)
EACH(KERNEL, 1,)
#define ENTRIES {EACH(ENTRY, 1, COMMA)}
#endif

/* One tile, of both vectors at once if they fit. */
static void K(pixel_tile_of)(K(pixel_tile) *t, int64_t rows, int64_t cols) {
    static K(pixel_fn) *const all[][GRADIENT_MOST < 4 ? GRADIENT_MOST : 4][2] = {ENTRIES};
    K(pixel_fn) *const *kernels = all[rows == 5 ? 3 : rows - 1][cols == 5 ? 3 : cols - 1];
    const int64_t together = t->s->vectors == 2 && kernels[1] ? 2 : 1;
    for (int64_t i = 0; i < t->s->vectors; i += together) {
        K(pixel_tile) one = *t;
        one.channel += i * t->s->second;
        one.sums += i * WIDTH;
        if (one.bias) one.bias += i * WIDTH;
        kernels[together - 1](&one);
    }
}

#undef ENTRIES
#undef EACH
#undef COMMA
#undef ENTRY
#undef KERNEL

#include "gradient_cells_template.h"

void K(gradient_pixels)(const cgc_pixel_gradient *s) {
    if (s->cells) {
        K(gradient_cells)(s);
        return;
    }
    const int64_t common = K(gradient_common)(s->step, s->dilation);
    const int64_t sorts = s->step / common, skew = s->dilation / common;
    const ptrdiff_t cell = s->vectors * WIDTH;
    K(pixel_tile) t = {
        .s = s, .skew = skew, .bias = (REAL *)s->sums + s->kh * s->kw * cell,
        .class = (s->kh * s->kw + 1) * cell, .down = sorts * s->kw * cell, .right = cell,
    };
    for (int64_t u0 = 0; u0 < sorts && u0 < s->kh; u0++)
        for (int64_t u = u0, rows; u < s->kh; u += rows * sorts) {
            rows = K(gradient_cut)((s->kh - u + sorts - 1) / sorts, 1 + s->rows / skew);
            t.lines = s->lines + u * s->dilation;
            t.columns = s->columns + u * s->dilation;
            for (int64_t v = 0, cols; v < s->kw; v += cols) {
                cols = K(gradient_cut)(s->kw - v, GRADIENT_MOST);
                t.v = v * s->dilation_w;
                t.sums = (REAL *)s->sums + (u * s->kw + v) * cell;
                K(pixel_tile_of)(&t, rows, cols);
                t.bias = NULL;
            }
        }
}

void K(join_classes)(void *sums_, int64_t columns, int64_t count) {
    REAL *sums = sums_;
    int64_t classes = columns < LANES ? columns : LANES;
    for (int64_t half = LANES / 2; half > 0; half /= 2) {
        for (int64_t p = 0; p < (classes - half) * count; p += WIDTH)
            V(store)(sums + p, V(add)(V(load)(sums + p), V(load)(sums + half * count + p)));
        classes = classes < half ? classes : half;
    }
}

#undef GRADIENT_TWO
