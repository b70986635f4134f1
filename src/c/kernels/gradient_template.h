/*
 * The kernel of a channel-wise weight gradient with vectors over pixels, see gradient.h.
 * It must not know where its lines come from.
 *
 * Parameters: those of words_template.h, among them
 *   GRADE, REGISTERS, STENCIL_SHORT   as for stencil_template.h
 *
 * A tile is some filter rows by some filter columns, whose sums stay in registers for all of a plane. Lines come one
 * by one, and each vector of cells that is loaded meets one row of dy for each filter row: `skew` rows apart, the
 * first filter row the furthest ahead. So each sum gets its terms row by row, and each row from left to right. Where
 * rows are short, those of dy stay in registers until the last filter row has met them.
 */

/* Whether a tile finds place in the registers, with rows of dy of so many vectors, its bias, two cells and masks. */
#define GRADIENT_FITS(rows, cols, blocks) ((rows) * ((cols) + (blocks)) + 4 <= REGISTERS)

/* Cells that gradient_step_template.h reads in front of a tile of three columns. */
#define GRADIENT_FRONT (REGISTERS < 32)

/* Blocks of LANES columns at the two ends of a row that reach beyond the line, and the last one. */
#define GRADIENT_ENDS (2 * CGC_GRADIENT_BEYOND / LANES + 1)

/*
 * What the compiler knows of a tile: its size, whether it adds up dy, the blocks of a row (0: nothing), and whether
 * rows of dy are held in registers.
 */
typedef struct K(gradient_kind) {
    int rows, cols, bias, blocks, held;
} K(gradient_kind);

/* A block at an end of a row: the lanes of dy; the constant in those of the cells; and which of them to load. */
typedef struct K(gradient_end) {
    MASK mask;
    VEC fill;
    SPAN span[GRADIENT_MOST];
} K(gradient_end);

typedef struct K(gradient_tile) {
    const cgc_gradient *s;
    const ptrdiff_t *lines; /* of row 0 under the tile's first row */
    int64_t step, skew;     /* from line to line; rows of dy from filter row to filter row */
    const ptrdiff_t *off;   /* of the tile's first column */
    int64_t h;              /* which vector of each block */
    int64_t left, right, blocks; /* blocks 0 .. left-1 and right .. blocks-1 of a row are ends */
    REAL *sums, *bias;      /* of the tile's first cell and vector h, in the first plane; bias: NULL if not wanted */
    ptrdiff_t down;         /* from row to row of the tile, in sums */
} K(gradient_tile);

/* Adds the products of a vector of cells, those under column v of the tile, and rows first .. last-1 of dy. */
static ALWAYS_INLINE void K(gradient_products)(const K(gradient_kind) kind, const int first, const int last,
                                               const int v, const VEC *factor, VEC cell, VEC *sum) {
    cell = V(keep)(cell);
    UNROLL for (int j = first; j < last; j++)
        sum[j * kind.cols + v] = V(fma)(factor[j], cell, sum[j * kind.cols + v]);
}

/* Adds the products of cells and rows first .. last-1 of dy from column p on. end: NULL inside. */
static ALWAYS_INLINE void K(gradient_vector)(const K(gradient_tile) *t, const K(gradient_kind) kind, const int first,
                                             const int last, const K(gradient_end) *end, const REAL *x,
                                             const REAL *dy, int64_t p, VEC *sum) {
    const ptrdiff_t up = t->skew * t->s->dy_row;
    VEC factor[GRADIENT_MOST];
    UNROLL for (int j = first; j < last; j++) {
        const REAL *from = dy - j * up + p;
        factor[j] = V(keep)(end ? V(load_first)(end->mask, from) : V(load)(from));
    }
    if (first == 0 && kind.bias)
        sum[kind.rows * kind.cols] = V(add)(sum[kind.rows * kind.cols], factor[0]);
    if (first == 0 && REGISTERS >= 32 && t->s->ahead) {
        PREFETCH(dy + p + t->s->dy_plane);
        PREFETCH(x + p + t->s->x_plane);
    }
    UNROLL for (int v = 0; v < kind.cols; v++) {
        const REAL *from = x + t->off[v] + p;
        K(gradient_products)(kind, first, last, v, factor,
                             end ? V(load_span)(end->span[v], from, V(keep)(end->fill)) : V(load)(from), sum);
    }
}

/*
 * Adds line k, where rows of dy are `kind.blocks` vectors: row[b*GRADIENT_MOST + j] is the one that filter row j meets.
 * If they are held, each goes on to the next. Beyond a line there is 0, and only the vectors at its ends reach there.
 */
static ALWAYS_INLINE void K(gradient_short_line)(const K(gradient_tile) *t, const K(gradient_kind) kind,
                                                 const int first, const int last, const K(gradient_end) *ends,
                                                 int64_t k, const REAL *plane, const REAL *dy, VEC *row, VEC *sum) {
    const ptrdiff_t line = t->lines[k * t->step];
    const REAL *x = (line == CGC_CONSTANT_LINE ? (const REAL *)t->s->constant_line : plane + line) + t->h * WIDTH;
    dy += k * t->s->dy_row + t->h * WIDTH;
    UNROLL for (int b = 0; b < kind.blocks; b++, x += LANES, dy += LANES) {
        const K(gradient_end) *end = b == 0 ? ends : b == kind.blocks - 1 ? ends + 1 : NULL;
        VEC *factor = row + (kind.held ? b * GRADIENT_MOST : 0);
        UNROLL for (int j = last - 1; j >= first; j--) {
            const REAL *from = dy - j * t->s->dy_row;
            if (kind.held && j > 0)
                factor[j] = factor[j - 1];
            else
                factor[j] = V(keep)(end ? V(load_first)(end->mask, from) : V(load)(from));
        }
        if (first == 0 && kind.bias)
            sum[kind.rows * kind.cols] = V(add)(sum[kind.rows * kind.cols], factor[0]);
        UNROLL for (int v = 0; v < kind.cols; v++) {
            const REAL *from = x + t->off[v];
            K(gradient_products)(kind, first, last, v, factor,
                                 end ? V(load_span_or_zero)(end->span[v], from) : V(load)(from), sum);
        }
    }
}

/* Adds line k, which rows first .. last-1 of the tile meet. */
static ALWAYS_INLINE void K(gradient_line)(const K(gradient_tile) *t, const K(gradient_kind) kind, const int first,
                                           const int last, const K(gradient_end) *ends, int64_t k,
                                           const REAL *plane, const REAL *dy, VEC *row, VEC *sum) {
    if (kind.blocks) {
        K(gradient_short_line)(t, kind, first, last, ends, k, plane, dy, row, sum);
        return;
    }
    const ptrdiff_t line = t->lines[k * t->step];
    const REAL *x = line == CGC_CONSTANT_LINE ? t->s->constant_line : plane + line;
    dy += k * t->s->dy_row;
    int64_t block = 0, p = t->h * WIDTH;
    if (first == 0 && REGISTERS < 32 && t->s->ahead)
        for (int64_t at = p; at < t->s->cols; at += LANES) {
            PREFETCH(dy + at + t->s->dy_plane);
            PREFETCH(x + at + t->s->x_plane);
        }
    for (; block < t->left; block++, p += LANES)
        K(gradient_vector)(t, kind, first, last, ends++, x, dy, p, sum);
    for (; block < t->right; block++, p += LANES)
        K(gradient_vector)(t, kind, first, last, NULL, x, dy, p, sum);
    for (; block < t->blocks; block++, p += LANES)
        K(gradient_vector)(t, kind, first, last, ends++, x, dy, p, sum);
}

/* Readies a block at an end of a row. */
static ALWAYS_INLINE void K(gradient_ready)(const K(gradient_tile) *t, const K(gradient_kind) kind, int64_t block,
                                            K(gradient_end) *end) {
    const cgc_gradient *s = t->s;
    const int64_t p = block * LANES + t->h * WIDTH, wanted = s->cols - p;
    REAL constant[WIDTH];
    for (int l = 0; l < WIDTH; l++)
        constant[l] = (REAL)s->constant;
    end->mask = V(first)(wanted);
    end->fill = V(load_first)(end->mask, constant);
    UNROLL for (int v = 0; v < kind.cols; v++) {
        const int64_t column = t->off[v] + p, room = s->width - column;
        end->span[v] = V(between)(-column, wanted < room ? wanted : room);
    }
}

/* Readies all of them, in their order; those that a short row needs. */
static ALWAYS_INLINE void K(gradient_ready_all)(const K(gradient_tile) *t, const K(gradient_kind) kind,
                                                K(gradient_end) *end) {
    if (kind.blocks) {
        UNROLL for (int i = 0; i < 2; i++)
            K(gradient_ready)(t, kind, i * (kind.blocks - 1), end + i);
        return;
    }
    for (int64_t block = 0; block < t->left; block++)
        K(gradient_ready)(t, kind, block, end++);
    for (int64_t block = t->right; block < t->blocks; block++)
        K(gradient_ready)(t, kind, block, end++);
}

/* A tile, for all planes. There are rows enough that the last filter row begins before the first one ends. */
static ALWAYS_INLINE void K(gradient_planes)(const K(gradient_tile) *t_, const K(gradient_kind) kind) {
    const K(gradient_tile) tile = *t_, *t = &tile;
    const cgc_gradient *s = t->s;
    const int64_t rows = s->rows, skew = kind.blocks ? 1 : t->skew;
    const REAL *x = s->x, *dy = s->dy;
    const ptrdiff_t pitch = s->pitch;
    REAL *sums = t->sums, *bias = t->bias;
    K(gradient_end) ends[GRADIENT_ENDS];
    K(gradient_ready_all)(&tile, kind, ends);
    for (int64_t i = 0; i < s->planes; i++, x += s->x_plane, dy += s->dy_plane, sums += s->kh * s->kw * pitch) {
        VEC sum[GRADIENT_MOST * GRADIENT_MOST + 1], row[GRADIENT_MOST * GRADIENT_BLOCKS];
        UNROLL for (int j = 0; j < kind.rows * kind.cols + kind.bias; j++)
            sum[j] = V(zero)();
        if (!s->fresh)
            UNROLL for (int j = 0; j < kind.rows; j++)
                UNROLL for (int v = 0; v < kind.cols; v++)
                    sum[j * kind.cols + v] = V(load)(sums + j * t->down + v * pitch);
        if (kind.bias && bias && !s->fresh)
            sum[kind.rows * kind.cols] = V(load)(bias + i * pitch);
        UNROLL for (int j = 1; j < kind.rows; j++)
            for (int64_t k = (j - 1) * skew; k < j * skew; k++)
                K(gradient_line)(t, kind, 0, j, ends, k, x, dy, row, sum);
        for (int64_t k = (kind.rows - 1) * skew; k < rows; k++)
            K(gradient_line)(t, kind, 0, kind.rows, ends, k, x, dy, row, sum);
        UNROLL for (int j = 1; j < kind.rows; j++)
            for (int64_t k = rows + (j - 1) * skew; k < rows + j * skew; k++)
                K(gradient_line)(t, kind, j, kind.rows, ends, k, x, dy, row, sum);
        UNROLL for (int j = 0; j < kind.rows; j++)
            UNROLL for (int v = 0; v < kind.cols; v++)
                V(store)(sums + j * t->down + v * pitch, sum[j * kind.cols + v]);
        if (kind.bias && bias)
            V(store)(bias + i * pitch, sum[kind.rows * kind.cols]);
    }
}

/*
 * KERNEL(rows, cols): tiles of this size, for rows of 1 to GRADIENT_BLOCKS blocks that stay in registers, and for any
 * rows; there are only those of one block for short vectors. No tile is four wide or high: what can be cut in two needs
 * no code of its own.
 */
typedef void K(gradient_fn)(const K(gradient_tile) *t);

#define ONE(name, rows, cols, blocks) \
    static void K(name)(const K(gradient_tile) *t) { \
        const int bias = GRADIENT_FITS(rows, cols, 1), held = blocks == 1 || GRADIENT_FITS(rows, cols, blocks); \
        K(gradient_planes)(t, (K(gradient_kind)){rows, cols, bias, blocks, held}); \
    }
/* Where there are 16 registers, few tiles would fit, but a loop over so few blocks costs more than loads. */
#define HELD(name, rows, cols, blocks) \
    (REGISTERS < 32 || GRADIENT_FITS(rows, cols, blocks)) ? K(name##_##rows##cols) : NULL
#ifdef STENCIL_SHORT
#define KERNEL(rows, cols) \
    ONE(gradient_1_##rows##cols, rows, cols, 1) \
    ONE(gradient_any_##rows##cols, rows, cols, 0)
#define ENTRY(rows, cols) {K(gradient_1_##rows##cols), NULL, NULL, NULL, K(gradient_any_##rows##cols)}
#else
#define KERNEL(rows, cols) \
    ONE(gradient_1_##rows##cols, rows, cols, 1) \
    ONE(gradient_2_##rows##cols, rows, cols, 2) \
    ONE(gradient_3_##rows##cols, rows, cols, 3) \
    ONE(gradient_4_##rows##cols, rows, cols, 4) \
    ONE(gradient_any_##rows##cols, rows, cols, 0)
#define ENTRY(rows, cols) \
    {K(gradient_1_##rows##cols), K(gradient_2_##rows##cols), HELD(gradient_3, rows, cols, 3), \
     HELD(gradient_4, rows, cols, 4), K(gradient_any_##rows##cols)}
#endif

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

static K(gradient_fn) *K(gradient_kernel)(int64_t rows, int64_t cols, int64_t kind) {
    static K(gradient_fn) *const kernels[][GRADIENT_MOST < 4 ? GRADIENT_MOST : 4][GRADIENT_BLOCKS + 1] = {ENTRIES};
    K(gradient_fn) *const *kernel = kernels[rows == 5 ? 3 : rows - 1][cols == 5 ? 3 : cols - 1];
    return kernel[kind] ? kernel[kind] : kernel[GRADIENT_BLOCKS];
}

#undef ENTRIES
#undef EACH
#undef ENTRY
#undef KERNEL
#undef HELD
#undef ONE

#ifndef STENCIL_SHORT
#include "gradient_step_template.h"
#endif

#undef COMMA

/* The rows (or columns) of the next tile, of `left`, at most `limit`. */
static int64_t K(gradient_cut)(int64_t left, int64_t limit) {
    int64_t size = left < limit ? left : limit;
    if (size > GRADIENT_MOST) size = GRADIENT_MOST;
    if (size > 3 && (left == 6 || left == 9)) return 3;
    return size != 4 ? size : left == 4 ? 2 : 3;
}

/* Vector h of each block of dy, added up; some planes side by side, since each sum waits for its last term. */
static ALWAYS_INLINE void K(gradient_bias)(const cgc_gradient *s, const int planes, int64_t first, int64_t h) {
    const REAL *dy = (const REAL *)s->dy + first * s->dy_plane;
    REAL *to = (REAL *)s->bias + first * s->pitch + h * WIDTH;
    const int64_t whole = s->cols / LANES * LANES;
    const MASK mask = V(first)(s->cols - whole - h * WIDTH);
    VEC sum[4];
    UNROLL for (int i = 0; i < planes; i++)
        sum[i] = s->fresh ? V(zero)() : V(load)(to + i * s->pitch);
    for (int64_t r = 0; r < s->rows; r++, dy += s->dy_row) {
        for (int64_t p = 0; p < whole; p += LANES)
            UNROLL for (int i = 0; i < planes; i++)
                sum[i] = V(add)(sum[i], V(load)(dy + i * s->dy_plane + p + h * WIDTH));
        if (whole < s->cols)
            UNROLL for (int i = 0; i < planes; i++)
                sum[i] = V(add)(sum[i], V(load_first)(mask, dy + i * s->dy_plane + whole + h * WIDTH));
    }
    UNROLL for (int i = 0; i < planes; i++)
        V(store)(to + i * s->pitch, sum[i]);
}

static void K(gradient_biases)(const cgc_gradient *s, int64_t h) {
    int64_t i = 0;
    for (; i + 4 <= s->planes; i += 4)
        K(gradient_bias)(s, 4, i, h);
    for (; i < s->planes; i++)
        K(gradient_bias)(s, 1, i, h);
}

/* Which kernel a tile has: 0 .. GRADIENT_BLOCKS-1 for one block more of short rows, GRADIENT_BLOCKS for any. */
static int64_t K(gradient_kind_of)(const K(gradient_tile) *t) {
    if (t->skew > 1 || t->s->constant != 0 || t->blocks > GRADIENT_BLOCKS) return GRADIENT_BLOCKS;
    return t->blocks <= 2 || (t->left <= 1 && t->right >= t->blocks - 1) ? t->blocks - 1 : GRADIENT_BLOCKS;
}

/* The tiles of vector h of each block. A stride sorts filter rows by the lines that they meet. */
static void K(gradient_tiles)(const cgc_gradient *s, int64_t common, int64_t h) {
    /* Pairs of lines are for a whole filter: two tiles would take each line twice. */
    const int pairs = s->step_w == 2 && s->step == 2 && s->dilation == 1 && s->kh <= GRADIENT_MOST;
    const int64_t together = pairs ? 2 : 1;
    const int64_t classes = s->step / common / together, skew = s->dilation / common, span = s->step_w * LANES;
    const int64_t rooms = together * (1 + s->rows / skew), wide = s->step_w == 1 ? GRADIENT_MOST : 3;
    K(gradient_tile) t = {.s = s, .step = s->step, .skew = skew, .h = h, .down = classes * s->kw * s->pitch};
    t.bias = s->bias ? (REAL *)s->bias + h * WIDTH : NULL;
    t.blocks = (s->cols - h * WIDTH + LANES - 1) / LANES;
    for (int64_t v = 0, cols; v < s->kw; v += cols) {
        cols = K(gradient_cut)(s->kw - v, wide);
        t.off = s->off + v;
        /* Cells before the line that the first vector wants, and those behind it up to the line's end. */
        const int64_t at = s->step_w * h * WIDTH, last = t.off[s->step_w == 1 ? cols - 1 : cols == 3] + at;
        const int64_t front = s->step_w == 2 && cols == 3 ? GRADIENT_FRONT : 0, before = front - t.off[0] - at;
        const int64_t behind = s->width - last - s->step_w * WIDTH, full = s->cols - (h + 1) * WIDTH;
        const int64_t whole = behind >= 0 ? behind / span + 1 : 0;
        t.left = before <= 0 ? 0 : (before + span - 1) / span;
        t.left = t.left < t.blocks ? t.left : t.blocks;
        t.right = full >= 0 ? full / LANES + 1 : 0;
        t.right = whole < t.right ? whole : t.right;
        t.right = t.right > t.left ? t.right : t.left;
        for (int64_t u0 = 0; u0 < classes && u0 < s->kh; u0++)
            for (int64_t u = u0, rows; u < s->kh; u += rows * classes) {
                rows = K(gradient_cut)((s->kh - u + classes - 1) / classes, rooms);
                t.lines = s->lines + u * s->dilation;
                t.sums = (REAL *)s->sums + (u * s->kw + v) * s->pitch + h * WIDTH;
                int with_bias = GRADIENT_FITS(rows, cols, 1);
#ifndef STENCIL_SHORT
                with_bias |= s->step_w == 2;
                if (s->step_w == 2)
                    K(step_kernel)(rows, cols, together)(&t);
                else
#endif
                    K(gradient_kernel)(rows, cols, K(gradient_kind_of)(&t))(&t);
                if (with_bias) t.bias = NULL;
            }
    }
    if (t.bias)
        K(gradient_biases)(s, h);
}

/* The greatest common divisor. */
static int64_t K(gradient_common)(int64_t a, int64_t b) { return b ? K(gradient_common)(b, a % b) : a; }

/* Clears vector h of each sum. */
static void K(gradient_clear)(const cgc_gradient *s, int64_t h) {
    REAL *sums = (REAL *)s->sums + h * WIDTH, *bias = (REAL *)s->bias + h * WIDTH;
    for (int64_t i = 0; i < s->planes * s->kh * s->kw; i++)
        V(store)(sums + i * s->pitch, V(zero)());
    for (int64_t i = 0; s->bias && i < s->planes; i++)
        V(store)(bias + i * s->pitch, V(zero)());
}

/* All vectors of each block. */
static void K(gradient_parts)(const cgc_gradient *s) {
    const int64_t common = K(gradient_common)(s->step, s->dilation);
    for (int64_t h = 0; h * WIDTH < s->pitch; h++)
        if (h * WIDTH < s->cols)
            K(gradient_tiles)(s, common, h);
        else if (s->fresh)
            K(gradient_clear)(s, h);
}

/* Where a plane is gone through several times, a few of them at a time, which stay in the nearest cache. */
static void K(gradient_run)(const cgc_gradient *s) {
    const int64_t plane = s->rows * (s->cols + s->step * s->width) * (int64_t)sizeof(REAL);
    const int64_t fit = GRADIENT_NEAR / plane > 1 ? GRADIENT_NEAR / plane : 1;
    cgc_gradient part = *s;
    for (int64_t left = s->planes; left > 0; left -= part.planes) {
        part.planes = LANES > WIDTH && fit < left ? fit : left;
        K(gradient_parts)(&part);
        part.x = (const REAL *)part.x + part.planes * s->x_plane;
        part.dy = (const REAL *)part.dy + part.planes * s->dy_plane;
        part.sums = (REAL *)part.sums + part.planes * s->kh * s->kw * s->pitch;
        if (part.bias) part.bias = (REAL *)part.bias + part.planes * s->pitch;
    }
}

#undef GRADIENT_FITS
#undef GRADIENT_FRONT
#undef GRADIENT_ENDS
