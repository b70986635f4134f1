/*
 * The micro-kernels of matrix products whose sums never leave the registers, see kernels.h: `gemm_pixels` with
 * vectors over pixels, `gemm_outputs` with vectors over outputs. They must not know how their operands came to lie
 * where they lie.
 *
 * Parameters: those of words_template.h, among them
 *   PRODUCT_REGISTERS   vectors that a tile of `gemm_pixels` may hold: its sums, as many of x, and a broadcast weight
 *   PRODUCT_OUTPUTS     the most outputs of a tile of `gemm_pixels`, 4 or 8
 *   PRODUCT_PIXELS      the most pixels of a tile of `gemm_outputs`, of two vectors each
 *
 * Both cut what they compute evenly, so that the last tile is not a small one: few sums do not cover the latency of a
 * multiply-add. In a tile every vector that is loaded meets every number that is broadcast.
 */
enum {
    K(gemm_most) = 6, /* vectors of a tile of gemm_pixels */
    K(gemm_most_pixels) = PRODUCT_PIXELS < 7 ? 2 * PRODUCT_PIXELS : 14, /* of a tile of gemm_outputs, of one vector */
};

/* Clamping a tile takes as long as some of its terms. */
static ALWAYS_INLINE int K(gemm_clamps)(const cgc_product *c) { return c->lo > -HUGE_VAL || c->hi < HUGE_VAL; }

/* m numbers each, which begin at column p of row r of the pixels: the cells of them that are pixels, to y. */
static ALWAYS_INLINE void K(gemm_store)(const cgc_product *c, const int m, REAL *y, const VEC *sum,
                                          const int sum_step, int64_t r, int64_t p) {
    if (p + WIDTH <= c->cols) {
        y += r * c->y_row + p;
        UNROLL for (int j = 0; j < m; j++, y += c->y_m)
            V(store)(y, sum[j * sum_step]);
        return;
    }
    for (int64_t l = 0; l < WIDTH && r < c->rows; l += c->x_row - p, p = 0, r++) {
        const int64_t count = c->cols - p < WIDTH - l ? c->cols - p : WIDTH - l;
        REAL *to = y + r * c->y_row + p;
        if (count > 0)
            UNROLL for (int j = 0; j < m; j++, to += c->y_m)
                V(store_lanes)(to, sum[j * sum_step], l, count);
    }
}

/*
 * A tile of m outputs from j on and of `vectors` vectors of cells from e on, where cell r * x_row + p is column p of
 * row r. The last vector begins at e + last.
 */
static ALWAYS_INLINE void K(gemm_pixels_tile)(const cgc_product *c, const int m, const int vectors, int64_t j,
                                              int64_t e, int64_t last) {
    const REAL *x = (const REAL *)c->x + e, *bias = c->bias;
    const REAL *w0 = (const REAL *)c->w + j * c->w_m, *w4 = w0 + 4 * c->w_m;
    const ptrdiff_t w_m = c->w_m;
    ptrdiff_t w_3m = 3 * w_m;
    const REAL *x_last = x;
    if (REGISTERS == 16) { /* each in one of its own: making one of another would show */
        x_last += last;
        REFRESH(w_3m);
        REFRESH(x_last);
    }
    VEC sum[PRODUCT_OUTPUTS * K(gemm_most)];
    UNROLL for (int i = 0; i < m; i++) {
        const VEC start = bias ? V(set)(bias[j + i]) : V(zero)();
        UNROLL for (int v = 0; v < vectors; v++)
            sum[i * vectors + v] = start;
    }

    const ptrdiff_t *const end = c->off + c->k;
    for (const ptrdiff_t *off = c->off; off < end; off++, w0++, w4++) {
        const REAL *from = x + *off;
        /* A pointer for each weight would be more than there are registers. */
        REFRESH(w0);
        if (m > 4)
            REFRESH(w4);
        VEC pixels[K(gemm_most)];
        UNROLL for (int v = 0; v < vectors; v++)
            pixels[v] = V(load)(REGISTERS == 16 && v == vectors - 1 ? x_last + *off
                                                                    : from + (v < vectors - 1 ? v * WIDTH : last));
        UNROLL for (int i = 0; i < m; i++) {
            const VEC weight = V(set)((i < 4 ? w0 : w4)[i % 4 == 3 ? w_3m : i % 4 * w_m]);
            UNROLL for (int v = 0; v < vectors; v++)
                sum[i * vectors + v] = V(fma)(weight, pixels[v], sum[i * vectors + v]);
        }
    }

    if (K(gemm_clamps)(c)) {
        const VEC lo = V(set)((REAL)c->lo), hi = V(set)((REAL)c->hi);
        UNROLL for (int t = 0; t < m * vectors; t++)
            sum[t] = V(clamp)(sum[t], lo, hi);
    }
    int64_t r = e / c->x_row, p = e % c->x_row;
    UNROLL for (int v = 0; v < vectors; v++) {
        if (v > 0)
            p += v < vectors - 1 ? WIDTH : last - (vectors - 2) * WIDTH;
        while (p >= c->x_row) {
            p -= c->x_row;
            r++;
        }
        K(gemm_store)(c, m, (REAL *)c->y + j * c->y_m, sum + v, vectors, r, p);
    }
}

#define GEMM_PIXELS_TILE(m, v) \
    case v: \
        if ((m + 1) * v < PRODUCT_REGISTERS) \
            K(gemm_pixels_tile)(c, m, v, j, e, last); \
        break
#define GEMM_PIXELS_TILES(m) \
    static void K(gemm_pixels_##m)(const cgc_product *c, int64_t vectors, int64_t j, int64_t e, int64_t last) { \
        switch (vectors) { \
            GEMM_PIXELS_TILE(m, 1); \
            GEMM_PIXELS_TILE(m, 2); \
            GEMM_PIXELS_TILE(m, 3); \
            GEMM_PIXELS_TILE(m, 4); \
            GEMM_PIXELS_TILE(m, 5); \
            GEMM_PIXELS_TILE(m, 6); \
        default: break; \
        } \
    }
GEMM_PIXELS_TILES(1)
GEMM_PIXELS_TILES(2)
GEMM_PIXELS_TILES(3)
GEMM_PIXELS_TILES(4)
#if PRODUCT_OUTPUTS > 4
GEMM_PIXELS_TILES(5)
GEMM_PIXELS_TILES(6)
GEMM_PIXELS_TILES(7)
GEMM_PIXELS_TILES(8)
#endif

/* All outputs of the pixels, row behind row as one line of cells. */
static void K(gemm_pixels_line)(const cgc_product *c) {
    static void (*const tile[])(const cgc_product *, int64_t, int64_t, int64_t, int64_t) = {
        K(gemm_pixels_1), K(gemm_pixels_2), K(gemm_pixels_3), K(gemm_pixels_4),
#if PRODUCT_OUTPUTS > 4
        K(gemm_pixels_5), K(gemm_pixels_6), K(gemm_pixels_7), K(gemm_pixels_8),
#endif
    };
    const int64_t length = (c->rows - 1) * c->x_row + c->cols, vectors = (length + WIDTH - 1) / WIDTH;
    const int64_t blocks = (c->m + PRODUCT_OUTPUTS - 1) / PRODUCT_OUTPUTS, largest = (c->m + blocks - 1) / blocks;
    const int64_t fit = (PRODUCT_REGISTERS - 1) / (largest + 1), most = fit < K(gemm_most) ? fit : K(gemm_most);
    const int64_t tiles = (vectors + most - 1) / most;
    for (int64_t t = 0; t < tiles; t++) {
        const int64_t v0 = vectors * t / tiles, v1 = vectors * (t + 1) / tiles;
        int64_t e = v0 * WIDTH, last = (v1 - v0 - 1) * WIDTH;
        if (t == tiles - 1 && length >= WIDTH) { /* the last vector moves back, to end with the line */
            if (v1 - v0 == 1)
                e = length - WIDTH;
            else
                last = length - WIDTH - e;
        }
        for (int64_t b = 0; b < blocks; b++) {
            const int64_t j = c->m * b / blocks;
            tile[c->m * (b + 1) / blocks - j - 1](c, v1 - v0, j, e, last);
        }
    }
}

static void K(gemm_pixels)(const cgc_product *product) {
    cgc_product c = *product;
    if (c.m < 1 || c.rows < 1 || c.cols < 1)
        return;
    const int64_t length = (c.rows - 1) * c.x_row + c.cols, alone = (c.cols + WIDTH - 1) / WIDTH;
    if (c.x_row >= c.cols && (length + WIDTH - 1) / WIDTH < c.rows * alone) {
        K(gemm_pixels_line)(&c);
        return;
    }
    c.rows = 1;
    c.x_row = c.cols + WIDTH;
    for (int64_t r = 0; r < product->rows; r++) {
        K(gemm_pixels_line)(&c);
        c.x = (const REAL *)c.x + product->x_row;
        c.y = (REAL *)c.y + c.y_row;
    }
}

/* Of which of the pixels' edges pixel p is. */
static ALWAYS_INLINE int K(gemm_edges)(const int pixels, int p) {
    return (p == 0 ? CGC_EDGE_FIRST : 0) | (p == 1 ? CGC_EDGE_SECOND : 0) | (p == pixels - 1 ? CGC_EDGE_LAST : 0) |
           (p == pixels - 2 ? CGC_EDGE_LAST_BUT_ONE : 0);
}

/*
 * The sums of a tile, to y; the last vector has the lanes of `mask`. Whether one is 0 of which terms were left out: of
 * the pixels of the edges `skipped`, or if that is -1 of all.
 */
static ALWAYS_INLINE int K(gemm_outputs_end)(const cgc_product *c, const int vectors, const int pixels, VEC *sum,
                                             int skipped, REAL *y, ptrdiff_t y_col, int masked, MASK mask) {
    int zero = 0;
    UNROLL for (int p = 0; p < pixels; p++)
        if (skipped == -1 || (skipped & K(gemm_edges)(pixels, p)))
            UNROLL for (int v = 0; v < vectors; v++)
                zero |= V(has_zero)(sum[p * vectors + v]);
    if (K(gemm_clamps)(c)) {
        const VEC lo = V(set)((REAL)c->lo), hi = V(set)((REAL)c->hi);
        UNROLL for (int t = 0; t < pixels * vectors; t++)
            sum[t] = V(clamp)(sum[t], lo, hi);
    }
    UNROLL for (int p = 0; p < pixels; p++, y += y_col)
        UNROLL for (int v = 0; v < vectors; v++) {
            if (masked && v == vectors - 1)
                V(store_first)(mask, y + v * WIDTH, sum[p * vectors + v]);
            else
                V(store)(y + v * WIDTH, sum[p * vectors + v]);
        }
    return zero;
}

/*
 * A tile of `pixels` pixels, the first at x, with `vectors` vectors of outputs; the last has the lanes of `mask`. It
 * has those of the row's edges that `edges` names.
 */
static ALWAYS_INLINE int K(gemm_outputs_tile)(const cgc_product *c, const int vectors, const int pixels,
                                              const REAL *x, REAL *y, int edges, int masked, MASK mask) {
    static const unsigned char none = 0;
    const ptrdiff_t step = edges != 0;
    VEC sum[2 * PRODUCT_PIXELS];
    UNROLL for (int p = 0; p < pixels; p++)
        UNROLL for (int v = 0; v < vectors; v++)
            sum[p * vectors + v] = V(load)((const REAL *)c->bias + v * WIDTH);

    int skipped = c->planes * c->run < c->k ? -1 : 0;
    for (int64_t a = 0; a < c->planes; a++) {
        const ptrdiff_t k = c->first + a * c->plane;
        const ptrdiff_t *off = c->off + k, *const end = off + c->run;
        const unsigned char *skip = edges ? c->skips + k : &none;
        for (const REAL *w = (const REAL *)c->w + k * c->w_k; off < end; off++, w += c->w_k, skip += step) {
            const REAL *from = x + *off;
            const int without = *skip & edges;
            VEC weights[2];
            skipped |= without;
            UNROLL for (int v = 0; v < vectors; v++)
                weights[v] = V(load)(w + v * WIDTH);
            UNROLL for (int p = 0; p < pixels; p++, from += c->x_col) {
                if (without & K(gemm_edges)(pixels, p))
                    continue;
                const VEC pixel = V(set)(*from);
                UNROLL for (int v = 0; v < vectors; v++)
                    sum[p * vectors + v] = V(fma)(pixel, weights[v], sum[p * vectors + v]);
            }
        }
    }

    return K(gemm_outputs_end)(c, vectors, pixels, sum, skipped, y, c->y_col, masked, mask);
}

#define GEMM_OUTPUTS_TILE(v, p) \
    case p: \
        return p * v > 2 * PRODUCT_PIXELS \
                   ? 0 : K(gemm_outputs_tile)(c, v, p * v <= 2 * PRODUCT_PIXELS ? p : 1, x, y, edges, masked, \
                                                  mask)
#define GEMM_OUTPUTS_TILES(v) \
    static int K(gemm_outputs_##v)(const cgc_product *c, int64_t pixels, const REAL *x, REAL *y, int edges) { \
        const int masked = c->m < v * WIDTH; \
        const MASK mask = V(first)(c->m - (v - 1) * WIDTH); \
        switch (pixels) { \
            GEMM_OUTPUTS_TILE(v, 1); \
            GEMM_OUTPUTS_TILE(v, 2); \
            GEMM_OUTPUTS_TILE(v, 3); \
            GEMM_OUTPUTS_TILE(v, 4); \
            GEMM_OUTPUTS_TILE(v, 5); \
            GEMM_OUTPUTS_TILE(v, 6); \
            GEMM_OUTPUTS_TILE(v, 7); \
            GEMM_OUTPUTS_TILE(v, 8); \
            GEMM_OUTPUTS_TILE(v, 9); \
            GEMM_OUTPUTS_TILE(v, 10); \
            GEMM_OUTPUTS_TILE(v, 11); \
            GEMM_OUTPUTS_TILE(v, 12); \
            GEMM_OUTPUTS_TILE(v, 13); \
            GEMM_OUTPUTS_TILE(v, 14); \
        default: return 0; \
        } \
    }
GEMM_OUTPUTS_TILES(1)
GEMM_OUTPUTS_TILES(2)

#ifdef PRODUCT_CELLS
#include "product_cells_template.h"
#endif

static int K(gemm_outputs)(const cgc_product *product) {
    enum { LEFT = CGC_EDGE_FIRST | CGC_EDGE_SECOND, RIGHT = CGC_EDGE_LAST | CGC_EDGE_LAST_BUT_ONE };
    cgc_product whole = *product;
    whole.planes = 1, whole.run = whole.k, whole.first = 0;
    if (!product->planes)
        whole.edges = 0;
    const cgc_product *c = product->planes && product->planes * product->run < product->k ? product : &whole;
#ifdef PRODUCT_CELLS
    const K(cells) cells = K(cells_of)(c);
#endif
    const int64_t most = c->m > WIDTH ? PRODUCT_PIXELS : K(gemm_most_pixels), tiles = (c->cols + most - 1) / most;
    int64_t ahead[CGC_PRODUCT_AHEAD] = {0}, share[CGC_PRODUCT_AHEAD];
    for (int i = 0; i < CGC_PRODUCT_AHEAD; i++)
        share[i] = c->ahead[i].bytes / (c->rows * tiles + 1) + CGC_LINE_BYTES;
    int zero = 0;
    for (int64_t r = 0; r < c->rows; r++)
        for (int64_t t = 0; t < tiles; t++) {
            const int64_t p = c->cols * t / tiles, pixels = c->cols * (t + 1) / tiles - p;
            const REAL *x = (const REAL *)c->x + r * c->x_row + p * c->x_col;
            REAL *y = (REAL *)c->y + r * c->y_row + p * c->y_col;
            const int edges = c->edges & ((t == 0 ? LEFT : 0) | (t == tiles - 1 ? RIGHT : 0));
            for (int i = 0; i < CGC_PRODUCT_AHEAD; i++)
                for (const int64_t end = ahead[i] + share[i]; ahead[i] < end && ahead[i] < c->ahead[i].bytes;
                     ahead[i] += CGC_LINE_BYTES)
                    PREFETCH(c->ahead[i].at + ahead[i]);
#ifdef PRODUCT_CELLS
            if (cells.taps && (cells.edged || !edges)) {
                zero |= K(gemm_cells)(c, &cells, p, pixels, x - p * c->x_col, y - p * c->y_col);
                continue;
            }
#endif
            if (c->m > WIDTH)
                zero |= K(gemm_outputs_2)(c, pixels, x, y, edges);
            else if (c->m > 0)
                zero |= K(gemm_outputs_1)(c, pixels, x, y, edges);
        }
    return zero;
}

/* The product of a number and 0 is 0 if the number is finite. */
static int K(finite)(const void *x_, int64_t count) {
    enum { CHAINS = 4 };
    const REAL *x = x_;
    VEC sum[CHAINS];
    REAL lanes[WIDTH];
    int64_t p = 0;
    UNROLL for (int i = 0; i < CHAINS; i++)
        sum[i] = V(zero)();
    for (; p + CHAINS * WIDTH <= count; p += CHAINS * WIDTH)
        UNROLL for (int i = 0; i < CHAINS; i++)
            sum[i] = V(fma)(V(load)(x + p + i * WIDTH), V(zero)(), sum[i]);
    for (; p < count; p += WIDTH)
        sum[0] = V(fma)(V(load_first)(V(first)(count - p), x + p), V(zero)(), sum[0]);
    V(store)(lanes, V(add)(V(add)(sum[0], sum[1]), V(add)(sum[2], sum[3])));
    for (int l = 0; l < WIDTH; l++)
        if (lanes[l] != 0)
            return 0;
    return 1;
}

/* WIDTH rows, in strips of TURNED columns; the last one moves back. */
static void K(transpose_strips)(int64_t cols, const REAL *x, ptrdiff_t x_pitch, REAL *y, ptrdiff_t y_pitch) {
    for (int64_t j = 0; j < cols; j += TURNED) {
        const int64_t c = cols - j < TURNED ? cols - TURNED : j;
        REAL *to = y + c * y_pitch;
        VEC t[TURNED];
        V(load_turned)(x + c, x_pitch, t);
        UNROLL for (int i = 0; i < TURNED; i++, to += y_pitch)
            V(store)(to, t[i]);
    }
}

/* A block of `rows` x `cols`, by way of a whole one. */
static void K(transpose_part)(int64_t rows, int64_t cols, const REAL *x, ptrdiff_t x_pitch, REAL *y,
                              ptrdiff_t y_pitch) {
    const MASK wide = V(first)(cols), high = V(first)(rows);
    REAL block[WIDTH * WIDTH];
    for (int64_t i = rows; i < WIDTH; i++)
        V(store)(block + i * WIDTH, V(zero)());
    for (int64_t i = 0; i < rows; i++, x += x_pitch) {
        PREFETCH(x + rows * x_pitch); /* the next rows, if pixels of a line are turned line by line */
        V(store)(block + i * WIDTH, V(load_first)(wide, x));
    }
    for (int64_t j = 0; j < cols; j += TURNED) {
        VEC t[TURNED];
        V(load_turned)(block + j, WIDTH, t);
        UNROLL for (int i = 0; i < TURNED; i++, y += y_pitch)
            if (j + i < cols)
                V(store_first)(high, y, t[i]);
    }
}

/* Where rows do not fill the last block, it moves back. */
static void K(transpose)(int64_t rows, int64_t cols, const void *x_, ptrdiff_t x_pitch, void *y_, ptrdiff_t y_pitch) {
    const REAL *x = x_;
    REAL *y = y_;
    for (int64_t i = 0; i < rows; i += WIDTH) {
        const int64_t r = rows - i < WIDTH && rows >= WIDTH ? rows - WIDTH : i;
        if (rows >= WIDTH && cols >= TURNED)
            K(transpose_strips)(cols, x + r * x_pitch, x_pitch, y + r, y_pitch);
        else
            for (int64_t j = 0; j < cols; j += WIDTH)
                K(transpose_part)(rows < WIDTH ? rows : WIDTH, cols - j < WIDTH ? cols - j : WIDTH,
                                  x + r * x_pitch + j, x_pitch, y + j * y_pitch + r, y_pitch);
    }
}

#undef GEMM_PIXELS_TILE
#undef GEMM_PIXELS_TILES
#undef GEMM_OUTPUTS_TILE
#undef GEMM_OUTPUTS_TILES
