/*
 * The micro-kernel of matrix products whose sums never leave the registers, with vectors over outputs, see
 * `gemm_outputs` in kernels.h; and what is made of its operands and results. It must not know how its operands came to
 * lie where they lie.
 *
 * Parameters: those of words_template.h, among them
 *   PRODUCT_PIXELS      the most pixels of a tile, of two vectors each
 *
 * What it computes is cut evenly, so that the last tile is not a small one: few sums do not cover the latency of a
 * multiply-add. In a tile every vector that is loaded meets every number that is broadcast.
 */
#include "product_pixels_template.h"

enum {
    K(gemm_most_pixels) = PRODUCT_PIXELS < 7 ? 2 * PRODUCT_PIXELS : 14, /* of a tile of one vector */
};

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

/*
 * WIDTH rows, in strips of TURNED columns; the last one moves back. If the rows are pixels, each has lines of its own,
 * which no machine foresees: some that are to come are called for, behind the last pixel those of the next line.
 */
static void K(transpose_strips)(int64_t cols, const REAL *x, ptrdiff_t x_pitch, REAL *y, ptrdiff_t y_pitch) {
    enum { AHEAD = 2 * WIDTH, LINE = CGC_LINE_BYTES / sizeof(REAL) };
    for (int64_t j = 0; j < cols; j += TURNED) {
        const int64_t c = cols - j < TURNED ? cols - TURNED : j;
        REAL *to = y + c * y_pitch;
        VEC t[TURNED];
        if (j % LINE == 0)
            for (int i = 0; i < WIDTH; i++) {
                const REAL *next = x + c + (i + AHEAD) * x_pitch;
                PREFETCH(next);
                PREFETCH(next + LINE - 1); /* which is another line, if x does not begin with one */
            }
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

#undef GEMM_OUTPUTS_TILE
#undef GEMM_OUTPUTS_TILES
