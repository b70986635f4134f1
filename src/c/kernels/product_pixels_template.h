/*
 * The micro-kernel of matrix products whose sums never leave the registers, with vectors over pixels, see
 * `gemm_pixels` in kernels.h. It must not know how its operands came to lie where they lie.
 *
 * Parameters: those of words_template.h, among them
 *   PRODUCT_REGISTERS   vectors that a tile may hold: its sums, as many of x, and a broadcast weight
 *   PRODUCT_OUTPUTS     the most outputs of a tile, 4 or 8
 *   PRODUCT_GATHERS     if defined, a tile's cells are gathered where there is room
 *
 * What it computes is cut evenly, and in a tile every vector meets every number that is broadcast, as in
 * product_template.h.
 */
enum {
    K(gemm_most) = 6, /* vectors of a tile */
#ifdef PRODUCT_GATHERS
    K(gemm_most_gathered) = 3,
    K(gemm_gathered) = K(gemm_most_gathered) * WIDTH * (int)sizeof(REAL), /* bytes a term */
#else
    K(gemm_most_gathered) = 0,
    K(gemm_gathered) = 0,
#endif
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

/* The products of m outputs and some vectors of cells that lie where offsets say; the last one at `last`. */
static ALWAYS_INLINE void K(gemm_sums)(const cgc_product *c, const int m, const int vectors, int64_t j, const REAL *x,
                                       int64_t last, VEC *sum) {
    const REAL *w0 = (const REAL *)c->w + j * c->w_m, *w4 = w0 + 4 * c->w_m;
    const ptrdiff_t w_m = c->w_m;
    ptrdiff_t w_3m = 3 * w_m;
    const REAL *x_last = x;
    if (REGISTERS == 16) { /* each in one of its own: making one of another would show */
        x_last += last;
        REFRESH(w_3m);
        REFRESH(x_last);
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
}

#ifdef PRODUCT_GATHERS
/* The same of cells that were gathered: some terms at a time, so that little is counted beside the products. */
static ALWAYS_INLINE void K(gemm_gathered_terms)(const int m, const int vectors, const int terms, const REAL *x,
                                                 const REAL *const *w, VEC *sum) {
    UNROLL for (int t = 0; t < terms; t++, x += K(gemm_most_gathered) * WIDTH) {
        VEC pixels[K(gemm_most_gathered)];
        UNROLL for (int v = 0; v < vectors; v++)
            pixels[v] = V(load)(x + v * WIDTH);
        UNROLL for (int i = 0; i < m; i++) {
            const VEC weight = V(set)(w[i][t]);
            UNROLL for (int v = 0; v < vectors; v++)
                sum[i * vectors + v] = V(fma)(weight, pixels[v], sum[i * vectors + v]);
        }
    }
}

static ALWAYS_INLINE void K(gemm_gathered_sums)(const cgc_product *c, const int m, const int vectors, int64_t j,
                                                VEC *sum) {
    const REAL *x = c->room, *w[PRODUCT_OUTPUTS];
    int64_t k = c->k;
    UNROLL for (int i = 0; i < m; i++)
        w[i] = (const REAL *)c->w + (j + i) * c->w_m;
    for (; k >= 4; k -= 4, x += 4 * K(gemm_most_gathered) * WIDTH) {
        K(gemm_gathered_terms)(m, vectors, 4, x, w, sum);
        UNROLL for (int i = 0; i < m; i++) {
            w[i] += 4;
            REFRESH(w[i]); /* else there would be a pointer for each weight */
        }
    }
    for (; k > 0; k--, x += K(gemm_most_gathered) * WIDTH) {
        K(gemm_gathered_terms)(m, vectors, 1, x, w, sum);
        UNROLL for (int i = 0; i < m; i++)
            w[i]++;
    }
}
#endif

/*
 * A tile of m outputs from j on and of `vectors` vectors of cells from e on, where cell r * x_row + p is column p of
 * row r. The last vector begins at e + last. gathered: they lie in c->room.
 */
static ALWAYS_INLINE void K(gemm_pixels_tile)(const cgc_product *c, const int m, const int vectors, const int gathered,
                                              int64_t j, int64_t e, int64_t last) {
    const REAL *bias = c->bias;
    VEC sum[PRODUCT_OUTPUTS * K(gemm_most)];
    UNROLL for (int i = 0; i < m; i++) {
        const VEC start = bias ? V(set)(bias[j + i]) : V(zero)();
        UNROLL for (int v = 0; v < vectors; v++)
            sum[i * vectors + v] = start;
    }
#ifdef PRODUCT_GATHERS
    if (gathered)
        K(gemm_gathered_sums)(c, m, vectors, j, sum);
    else
#else
    (void)gathered;
#endif
        K(gemm_sums)(c, m, vectors, j, (const REAL *)c->x + e, last, sum);
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
        if (v <= K(gemm_most_gathered) && gathered) \
            K(gemm_pixels_tile)(c, m, v, 1, j, e, last); \
        else if ((m + 1) * v < PRODUCT_REGISTERS) \
            K(gemm_pixels_tile)(c, m, v, 0, j, e, last); \
        break
#define GEMM_PIXELS_TILES(m) \
    static void K(gemm_pixels_##m)(const cgc_product *c, int64_t vectors, int gathered, int64_t j, int64_t e, \
                                   int64_t last) { \
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

#ifdef PRODUCT_GATHERS
/*
 * What a tile reads of terms far apart lies in more cache lines and pages than the machine has at hand, and is read
 * for each block of outputs again. This copies it to c->room, vector behind vector.
 */
static void K(gemm_gather)(const cgc_product *c, int64_t vectors, int64_t e, int64_t last) {
    const REAL *x = (const REAL *)c->x + e;
    REAL *cells = c->room;
    for (const ptrdiff_t *off = c->off; off < c->off + c->k; off++, cells += K(gemm_most_gathered) * WIDTH) {
        for (int64_t v = 0; v < vectors - 1; v++)
            V(store)(cells + v * WIDTH, V(load)(x + *off + v * WIDTH));
        V(store)(cells + (vectors - 1) * WIDTH, V(load)(x + *off + last));
    }
}
#endif

/* All outputs of the pixels, row behind row as one line of cells. */
static void K(gemm_pixels_line)(const cgc_product *c) {
    static void (*const tile[])(const cgc_product *, int64_t, int, int64_t, int64_t, int64_t) = {
        K(gemm_pixels_1), K(gemm_pixels_2), K(gemm_pixels_3), K(gemm_pixels_4),
#if PRODUCT_OUTPUTS > 4
        K(gemm_pixels_5), K(gemm_pixels_6), K(gemm_pixels_7), K(gemm_pixels_8),
#endif
    };
    const int64_t length = (c->rows - 1) * c->x_row + c->cols, vectors = (length + WIDTH - 1) / WIDTH;
    const int64_t blocks = (c->m + PRODUCT_OUTPUTS - 1) / PRODUCT_OUTPUTS, largest = (c->m + blocks - 1) / blocks;
    const int64_t fit = (PRODUCT_REGISTERS - 1) / (largest + 1), most = fit < K(gemm_most) ? fit : K(gemm_most);
    const int64_t tiles = (vectors + most - 1) / most;
    const int gathered = K(gemm_gathered) && c->room && most <= K(gemm_most_gathered);
    for (int64_t t = 0; t < tiles; t++) {
        const int64_t v0 = vectors * t / tiles, v1 = vectors * (t + 1) / tiles;
        int64_t e = v0 * WIDTH, last = (v1 - v0 - 1) * WIDTH;
        if (t == tiles - 1 && length >= WIDTH) { /* the last vector moves back, to end with the line */
            if (v1 - v0 == 1)
                e = length - WIDTH;
            else
                last = length - WIDTH - e;
        }
#ifdef PRODUCT_GATHERS
        if (gathered)
            K(gemm_gather)(c, v1 - v0, e, last);
#endif
        for (int64_t b = 0; b < blocks; b++) {
            const int64_t j = c->m * b / blocks;
            tile[c->m * (b + 1) / blocks - j - 1](c, v1 - v0, gathered, j, e, last);
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

#undef GEMM_PIXELS_TILE
#undef GEMM_PIXELS_TILES
