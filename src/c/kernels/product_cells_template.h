/*
 * Tiles of `gemm_outputs` for machines of few registers, whose terms come in runs of taps, each of which reads the cell
 * behind that of the tap before: a cell that is broadcast meets all taps of all pixels that read it, and weights that
 * find no register are operands in memory. They must not know how their operands came to lie where they lie.
 *
 * Parameters: those of words_template.h, among them
 *   PRODUCT_PIXELS   the most pixels of a tile of two vectors
 */
enum {
    K(cells_beside) = 9, /* so many cells have a pointer each */
};

/* What the tiles of a product have in common. */
typedef struct K(cells) {
    int64_t taps;           /* of a run; 0: these tiles do not serve the product */
    ptrdiff_t x_col, y_col; /* so that taps go onwards */
    int edged;              /* also tiles that have the edges of a row: */
    int64_t low, high;      /* so many cells of padding are before and behind the pixels of a row */
    int masked;
    MASK mask;              /* of the last vector */
} K(cells);

/*
 * A tile of `pixels` pixels, the first of which reads the first cell of a run at x, with `vectors` vectors of outputs.
 * The first `low` and the last `high` of its cells, at most taps / 2 each, are of padding: no terms, for all pixels
 * that they belong to.
 */
static ALWAYS_INLINE int K(gemm_cells_tile)(const cgc_product *c, const K(cells) *a, const int vectors,
                                            const int pixels, const int taps, const int edged, const REAL *x, REAL *y,
                                            int64_t low, int64_t high) {
    const int cells = pixels + taps - 1, wide = vectors * WIDTH, outside = taps / 2;
    const int room = REGISTERS - 1 - pixels * vectors, held = room < taps * vectors ? room : taps * vectors;
    ptrdiff_t col = a->x_col, col2 = 2 * col, col3 = 3 * col;
    VEC sum[2 * PRODUCT_PIXELS], weight[REGISTERS];
    UNROLL for (int p = 0; p < pixels; p++)
        UNROLL for (int v = 0; v < vectors; v++)
            sum[p * vectors + v] = V(load)((const REAL *)c->bias + v * WIDTH);

    /* The compiler must not make one of another, which takes an instruction a cell. */
    const REAL *at[K(cells_beside)];
    UNROLL for (int e = 0; e < K(cells_beside); e++) {
        at[e] = x + e * col;
        if (e < cells && cells <= K(cells_beside))
            REFRESH(at[e]);
    }
    if (cells > K(cells_beside)) {
        REFRESH(col);
        REFRESH(col2);
        REFRESH(col3);
    }
    for (int64_t plane = 0; plane < c->planes; plane++) {
        const ptrdiff_t k = c->first + plane * c->plane;
        const ptrdiff_t *off = c->off + k, *const end = off + c->run;
        for (const REAL *w = (const REAL *)c->w + k * wide; off < end; off += taps, w += taps * wide) {
            const ptrdiff_t from = *off;
            const REAL *near = x + from;
            UNROLL for (int i = 0; i < held; i++)
                weight[i] = V(keep)(V(load)(w + i * WIDTH));
            UNROLL for (int e = 0; e < cells; e++) {
                if (cells > K(cells_beside) && e > 0 && e % 4 == 0)
                    near += 4 * col;
                if (edged && ((e < outside && e < low) || (e >= cells - outside && e >= cells - high)))
                    continue;
                REFRESH(w); /* or weights would be held for which there is no register */
                const VEC cell = V(set)(cells <= K(cells_beside) ? at[e][from]
                                                                 : near[e % 4 == 3   ? col3
                                                                        : e % 4 == 2 ? col2
                                                                        : e % 4 == 1 ? col
                                                                                     : 0]);
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

    int skipped = c->planes * c->run < c->k ? -1 : 0;
    if (edged)
        skipped |= (low > 0 ? CGC_EDGE_FIRST : 0) | (low > 1 ? CGC_EDGE_SECOND : 0) | (high > 0 ? CGC_EDGE_LAST : 0) |
                   (high > 1 ? CGC_EDGE_LAST_BUT_ONE : 0);
    return K(gemm_outputs_end)(c, vectors, pixels, sum, skipped, y, a->y_col, a->masked, a->mask);
}

#define GEMM_CELLS_TILE(v, p, taps) \
    case p: \
        return p * v > 2 * PRODUCT_PIXELS \
                   ? 0 \
                   : low || high ? K(gemm_cells_tile)(c, a, v, p * v > 2 * PRODUCT_PIXELS ? 1 : p, taps, 1, x, y, low, \
                                                      high) \
                                 : K(gemm_cells_tile)(c, a, v, p * v > 2 * PRODUCT_PIXELS ? 1 : p, taps, 0, x, y, 0, 0)
#define GEMM_CELLS_TILES(v, taps) \
    static int K(gemm_cells_##v##_##taps)(const cgc_product *c, const K(cells) *a, int64_t pixels, const REAL *x, \
                                          REAL *y, int64_t low, int64_t high) { \
        switch (pixels) { \
            GEMM_CELLS_TILE(v, 1, taps); \
            GEMM_CELLS_TILE(v, 2, taps); \
            GEMM_CELLS_TILE(v, 3, taps); \
            GEMM_CELLS_TILE(v, 4, taps); \
            GEMM_CELLS_TILE(v, 5, taps); \
            GEMM_CELLS_TILE(v, 6, taps); \
            GEMM_CELLS_TILE(v, 7, taps); \
            GEMM_CELLS_TILE(v, 8, taps); \
            GEMM_CELLS_TILE(v, 9, taps); \
            GEMM_CELLS_TILE(v, 10, taps); \
            GEMM_CELLS_TILE(v, 11, taps); \
            GEMM_CELLS_TILE(v, 12, taps); \
        default: return 0; \
        } \
    }
GEMM_CELLS_TILES(1, 1)
GEMM_CELLS_TILES(2, 1)
GEMM_CELLS_TILES(1, 3)
GEMM_CELLS_TILES(2, 3)
GEMM_CELLS_TILES(2, 5)
#undef GEMM_CELLS_TILE
#undef GEMM_CELLS_TILES

/* A tile of any of these kinds, from pixel p on of a row whose first lies at x and y. */
static int K(gemm_cells)(const cgc_product *c, const K(cells) *a, int64_t p, int64_t pixels, const REAL *x, REAL *y) {
    static int (*const tile[2][6])(const cgc_product *, const K(cells) *, int64_t, const REAL *, REAL *, int64_t,
                                   int64_t) = {
        {NULL, K(gemm_cells_1_1), NULL, K(gemm_cells_1_3), NULL, NULL},
        {NULL, K(gemm_cells_2_1), NULL, K(gemm_cells_2_3), NULL, K(gemm_cells_2_5)},
    };
    const int back = a->x_col != c->x_col, left = p == 0, right = p + pixels == c->cols;
    const int64_t first = back ? p + pixels - 1 : p;
    return tile[c->m > WIDTH][a->taps](c, a, pixels, x + first * c->x_col, y + first * c->y_col,
                                       (back ? right : left) ? a->low : 0, (back ? left : right) ? a->high : 0);
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
    a.masked = c->m < vectors * WIDTH;
    a.mask = V(first)(c->m - (vectors - 1) * WIDTH);
    const int in_line = taps == 3 || (taps == 5 && vectors == 2);
    const ptrdiff_t step = taps > 1 ? off[1] - off[0] : 0;
    if (taps == 1 || (in_line && (step == c->x_col || step == -c->x_col))) {
        const int back = taps > 1 && step != c->x_col;
        a.taps = taps;
        if (back)
            a.x_col = -c->x_col, a.y_col = -c->y_col;
        if (c->edges) {
            const unsigned char *skips = c->skips + c->first;
            const int first = CGC_EDGE_FIRST & c->edges, last = CGC_EDGE_LAST & c->edges;
            a.low = K(left_out)(skips, taps, 0, back ? last : first);
            a.high = K(left_out)(skips, taps, 1, back ? first : last);
            a.edged = a.low <= taps / 2 && a.high <= taps / 2;
        }
    }
    return a;
}
