/*
 * Tiles of `gemm_outputs` for machines of few registers, whose terms come in runs of taps, each of which reads the cell
 * behind that of the tap before: a cell that is broadcast meets all taps of all pixels that read it, and weights that
 * find no register are operands in memory. They must not know how their operands came to lie where they lie.
 *
 * Parameters: those of words_template.h, among them
 *   PRODUCT_PIXELS   the most pixels of a tile of two vectors
 */
enum {
    K(cells_beside) = 9,     /* so many cells have a pointer each, where the step is not known */
    K(cells_ahead) = 4,      /* the first cell of the run so far ahead is called for, */
    K(cells_beyond) = 32768, /* if a tile has more bytes of weights: they leave no cells in the first cache */
};

/* What the tiles of a product have in common. */
typedef struct K(cells) {
    int64_t taps;           /* of a run; 0: these tiles do not serve the product */
    ptrdiff_t x_col, y_col; /* so that taps go onwards */
    int back;               /* they do so towards the first pixel of a row */
    int far;                /* cells are to be called for */
    int edged;              /* also tiles that have the edges of a row: */
    int64_t low, high;      /* so many cells of padding are before and behind the pixels of a row */
    int masked;
    MASK mask;              /* of the last vector */
} K(cells);

/*
 * A tile of `pixels` pixels, the first of which reads the first cell of a run at x, with `vectors` vectors of outputs.
 * The first `low` and the last `high` of its cells, at most taps / 2 each, are of padding: no terms, for all pixels
 * that they belong to. From cell to cell it is `onward` elements, 1 or -1, or if that is 0 a->x_col.
 */
static ALWAYS_INLINE int K(gemm_cells_tile)(const cgc_product *c, const K(cells) *a, const int vectors,
                                            const int pixels, const int taps, const int onward, const int far,
                                            const REAL *x, REAL *y, int64_t low, int64_t high) {
    const int cells = pixels + taps - 1, wide = vectors * WIDTH, outside = taps / 2;
    const int room = REGISTERS - 1 - pixels * vectors, held = room < taps * vectors ? room : taps * vectors;
    const int beside = onward == 0 && cells <= K(cells_beside), strided = onward == 0 && !beside;
    ptrdiff_t col = a->x_col, col2 = 2 * col, col3 = 3 * col;
    VEC sum[2 * PRODUCT_PIXELS], weight[REGISTERS];
    UNROLL for (int p = 0; p < pixels; p++)
        UNROLL for (int v = 0; v < vectors; v++)
            sum[p * vectors + v] = V(load)((const REAL *)c->bias + v * WIDTH);

    /* The compiler must not make one of another, which takes an instruction a cell. */
    const REAL *at[K(cells_beside)];
    UNROLL for (int e = 0; e < K(cells_beside); e++) {
        at[e] = x + e * col;
        if (beside && e < cells)
            REFRESH(at[e]);
    }
    if (strided) {
        REFRESH(col);
        REFRESH(col2);
        REFRESH(col3);
    }
    for (int64_t plane = 0; plane < c->planes; plane++) {
        const ptrdiff_t k = c->first + plane * c->plane;
        const ptrdiff_t *off = c->off + k, *const end = off + c->run;
        const REAL *w = (const REAL *)c->w + k * wide;
        const ptrdiff_t *const near_end = c->run > K(cells_ahead) * taps ? end - K(cells_ahead) * taps : off;
        UNROLL for (int last = !far; last < 2; last++)
            for (const ptrdiff_t *const stop = last ? end : near_end; off < stop; off += taps, w += taps * wide) {
                const ptrdiff_t from = *off;
                const REAL *near = x + from;
                if (!last)
                    PREFETCH(x + off[K(cells_ahead) * taps]);
                UNROLL for (int i = 0; i < held; i++)
                    weight[i] = V(keep)(V(load)(w + i * WIDTH));
                UNROLL for (int e = 0; e < cells; e++) {
                    if (strided && e > 0 && e % 4 == 0)
                        near += 4 * col;
                    if ((e < outside && e < low) || (e >= cells - outside && e >= cells - high))
                        continue;
                    REFRESH(w); /* or weights would be held for which there is no register */
                    const VEC cell = V(set)(beside       ? at[e][from]
                                            : onward     ? near[onward * e]
                                            : e % 4 == 3 ? near[col3]
                                            : e % 4 == 2 ? near[col2]
                                            : e % 4 == 1 ? near[col]
                                                         : near[0]);
                    UNROLL for (int t = 0; t < taps; t++)
                        UNROLL for (int v = 0; v < vectors; v++) {
                            const int i = t * vectors + v, p = e - t;
                            if (p >= 0 && p < pixels)
                                sum[p * vectors + v] = V(fma)(cell, i < held ? weight[i] : V(load)(w + i * WIDTH),
                                                              sum[p * vectors + v]);
                        }
                    NEEDED(cell);
                }
            }
    }

    const int skipped =
        (c->planes * c->run < c->k ? -1 : 0) | (low > 0 ? CGC_EDGE_FIRST : 0) | (low > 1 ? CGC_EDGE_SECOND : 0) |
        (high > 0 ? CGC_EDGE_LAST : 0) | (high > 1 ? CGC_EDGE_LAST_BUT_ONE : 0);
    return K(gemm_outputs_end)(c, vectors, pixels, sum, skipped, y, a->y_col, a->masked, a->mask);
}

/* Which cells a tile leaves out is compiled in where tiles are many and short. */
#define GEMM_CELLS_TILE(v, p, taps, onward, far, low, high) \
    K(gemm_cells_tile)(c, a, v, p * v > 2 * PRODUCT_PIXELS ? 1 : p, taps, onward, far, x, y, low, high)
#define GEMM_CELLS_CASE(v, p, taps, onward) \
    case p: \
        return p * v > 2 * PRODUCT_PIXELS ? 0 \
               : taps == 1                ? GEMM_CELLS_TILE(v, p, taps, onward, 0, 0, 0) \
               : (v == 1 || taps > 3 || low == high) && (low || high) \
                                         ? GEMM_CELLS_TILE(v, p, taps, onward, 0, low, high) \
               : low                     ? GEMM_CELLS_TILE(v, p, taps, onward, 0, 1, 0) \
               : high                    ? GEMM_CELLS_TILE(v, p, taps, onward, 0, 0, 1) \
               : v > 1 && p > 3 && a->far ? GEMM_CELLS_TILE(v, p, taps, onward, v > 1 && p > 3, 0, 0) \
                                         : GEMM_CELLS_TILE(v, p, taps, onward, 0, 0, 0)
#define GEMM_CELLS_TILES(name, v, taps, onward) \
    static int K(name)(const cgc_product *c, const K(cells) *a, int64_t pixels, const REAL *x, REAL *y, int64_t low, \
                       int64_t high) { \
        switch (pixels) { \
            GEMM_CELLS_CASE(v, 1, taps, onward); \
            GEMM_CELLS_CASE(v, 2, taps, onward); \
            GEMM_CELLS_CASE(v, 3, taps, onward); \
            GEMM_CELLS_CASE(v, 4, taps, onward); \
            GEMM_CELLS_CASE(v, 5, taps, onward); \
            GEMM_CELLS_CASE(v, 6, taps, onward); \
            GEMM_CELLS_CASE(v, 7, taps, onward); \
            GEMM_CELLS_CASE(v, 8, taps, onward); \
            GEMM_CELLS_CASE(v, 9, taps, onward); \
            GEMM_CELLS_CASE(v, 10, taps, onward); \
            GEMM_CELLS_CASE(v, 11, taps, onward); \
            GEMM_CELLS_CASE(v, 12, taps, onward); \
        default: return 0; \
        } \
    }
GEMM_CELLS_TILES(gemm_cells_1_1, 1, 1, 0)
GEMM_CELLS_TILES(gemm_cells_2_1, 2, 1, 0)
GEMM_CELLS_TILES(gemm_cells_1_3, 1, 3, 1)
GEMM_CELLS_TILES(gemm_cells_2_3, 2, 3, 1)
GEMM_CELLS_TILES(gemm_cells_2_5, 2, 5, 1)
GEMM_CELLS_TILES(gemm_cells_1_3_back, 1, 3, -1)
GEMM_CELLS_TILES(gemm_cells_2_3_back, 2, 3, -1)
GEMM_CELLS_TILES(gemm_cells_2_5_back, 2, 5, -1)
#undef GEMM_CELLS_TILE
#undef GEMM_CELLS_CASE
#undef GEMM_CELLS_TILES

/* A tile of any of these kinds, from pixel p on of a row whose first lies at x and y. */
static int K(gemm_cells)(const cgc_product *c, const K(cells) *a, int64_t p, int64_t pixels, const REAL *x, REAL *y) {
    static int (*const tile[2][2][6])(const cgc_product *, const K(cells) *, int64_t, const REAL *, REAL *, int64_t,
                                      int64_t) = {
        {{NULL, K(gemm_cells_1_1), NULL, K(gemm_cells_1_3), NULL, NULL},
         {NULL, K(gemm_cells_2_1), NULL, K(gemm_cells_2_3), NULL, K(gemm_cells_2_5)}},
        {{NULL, NULL, NULL, K(gemm_cells_1_3_back), NULL, NULL},
         {NULL, NULL, NULL, K(gemm_cells_2_3_back), NULL, K(gemm_cells_2_5_back)}},
    };
    const int left = p == 0, right = p + pixels == c->cols;
    const int64_t first = a->back ? p + pixels - 1 : p;
    return tile[a->back][c->m > WIDTH][a->taps](c, a, pixels, x + first * c->x_col, y + first * c->y_col,
                                                (a->back ? right : left) ? a->low : 0,
                                                (a->back ? left : right) ? a->high : 0);
}

/* How many of a run's terms from one end on are left out for the pixels of an edge. */
static int64_t K(left_out)(const unsigned char *skips, int64_t taps, int behind, int edge) {
    int64_t count = 0;
    while (count < taps && (skips[behind ? taps - 1 - count : count] & edge))
        count++;
    return count;
}

static K(cells) K(cells_of)(const cgc_product *c) {
    const ptrdiff_t *off = c->off + c->first;
    const int64_t vectors = c->m > WIDTH ? 2 : 1, taps = c->taps;
    K(cells) a = {.taps = 1, .x_col = c->x_col, .y_col = c->y_col, .edged = !c->edges};
    if (c->m < 1 || c->w_k != vectors * WIDTH || c->run < 1 || c->planes < 1) {
        a.taps = 0;
        return a;
    }
    a.far = c->k * c->w_k * (int64_t)sizeof(REAL) > K(cells_beyond);
    a.masked = c->m < vectors * WIDTH;
    a.mask = V(first)(c->m - (vectors - 1) * WIDTH);
    const int in_line = taps == 3 || (taps == 5 && vectors == 2);
    const ptrdiff_t step = taps > 1 ? off[1] - off[0] : 0;
    if (taps == 1 || (in_line && c->x_col == 1 && (step == 1 || step == -1))) {
        a.back = taps > 1 && step < 0;
        a.taps = taps;
        if (a.back)
            a.x_col = -c->x_col, a.y_col = -c->y_col;
        if (c->edges) {
            const unsigned char *skips = c->skips + c->first;
            const int first = CGC_EDGE_FIRST & c->edges, last = CGC_EDGE_LAST & c->edges;
            a.low = K(left_out)(skips, taps, 0, a.back ? last : first);
            a.high = K(left_out)(skips, taps, 1, a.back ? first : last);
            a.edged = a.low <= taps / 2 && a.high <= taps / 2;
        }
    }
    return a;
}
