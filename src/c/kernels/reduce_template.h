/*
 * The kernels of the weight gradient, see kernels.h: `reduce_pixels` with vectors over pixels, `reduce_outputs` with
 * vectors over outputs. They must not know which pixels they are given.
 *
 * Parameters: those of words_template.h, among them
 *   REDUCE_TERMS     the most terms of a tile of `reduce_pixels`, of four outputs
 *   PRODUCT_PIXELS   the most terms of a tile of `reduce_outputs`, of two vectors each
 *
 * A tile keeps its sums in registers over all rows. Tiles are cut evenly, so that the last is not a small one: few sums
 * do not cover the latency of a multiply-add.
 */
enum {
    K(reduce_parts) = LANES / WIDTH, /* vectors of one output's lanes */
    K(reduce_outputs_of_tile) = 4,
    K(reduce_sums) = (K(reduce_outputs_of_tile) * REDUCE_TERMS + WIDTH - 1) / WIDTH * WIDTH,
};

/* Calls for up to so many lines. */
static void K(reduce_call)(cgc_ahead *ahead, int64_t lines) {
    if (ahead->runs == 0)
        return;
    const char *at = ahead->run[ahead->runs - 1].at;
    int64_t left = ahead->run[ahead->runs - 1].lines;
    for (; lines > 0 && left > 0; lines--, left--, at += CGC_LINE_BYTES)
        PREFETCH(at);
    ahead->run[ahead->runs - 1].at = at;
    ahead->run[ahead->runs - 1].lines = left;
    if (left == 0)
        ahead->runs--;
}

/* ---- vectors over pixels ---------------------------------------------------------------------------------------- */

/* The lanes of a tile, [part][output][term][lane]; what fills them up to whole vectors of outputs is 0. */
typedef struct K(reduce_lanes) {
    REAL sum[K(reduce_parts)][K(reduce_sums)][WIDTH];
} K(reduce_lanes);

/* Joins the lanes of m x k outputs and adds them to y. */
static void K(reduce_add)(const cgc_reduction *c, const K(reduce_lanes) *lanes, int64_t m, int64_t k, REAL *y) {
    REAL sums[K(reduce_sums) + WIDTH];
    for (int64_t t = 0; t < m * k; t += WIDTH)
        V(store)(sums + t, K(join_outputs)(lanes->sum[0][t], K(reduce_parts), K(reduce_sums) * WIDTH, WIDTH));
    for (int64_t j = 0; j < m; j++)
        for (int64_t i = 0; i < k; i += WIDTH) {
            const MASK mask = V(first)(k - i);
            REAL *to = y + j * c->y_m + i;
            const VEC sum = V(load_first)(mask, sums + j * k + i);
            V(store_first)(mask, to, V(add)(c->fresh ? V(zero)() : V(load_first)(mask, to), sum));
        }
}

/* Products of one vector of pixels at a, b. */
static ALWAYS_INLINE void K(reduce_step)(const int m, const int k, const int masked, MASK mask, const REAL *a,
                                         ptrdiff_t a_m, const REAL *b, const ptrdiff_t *off, VEC *sum) {
    VEC x[REDUCE_TERMS];
    UNROLL for (int i = 0; i < k; i++)
        x[i] = V(keep)(masked ? V(load_first)(mask, b + off[i]) : V(load)(b + off[i]));
    UNROLL for (int j = 0; j < m; j++) {
        const VEC factor = V(keep)(masked ? V(load_first)(mask, a + j * a_m) : V(load)(a + j * a_m));
        if (k == 0) /* ones */
            sum[j] = V(add)(sum[j], factor);
        UNROLL for (int i = 0; i < k; i++)
            sum[j * k + i] = V(fma)(factor, x[i], sum[j * k + i]);
    }
}

/* Outputs j .. j+m-1 of terms i .. i+k-1; k is 0 for the sum of a alone. */
static ALWAYS_INLINE void K(reduce_tile)(const cgc_reduction *c, const int m, const int k, int64_t j, int64_t i) {
    const int outputs = m * (k ? k : 1);
    ptrdiff_t off[REDUCE_TERMS];
    K(reduce_lanes) lanes;
    UNROLL for (int t = 0; t < k; t++)
        off[t] = c->off[i + t];
    for (int h = 0; h < K(reduce_parts); h++) {
        const MASK mask = V(first)((c->cols - h * WIDTH) % LANES);
        VEC sum[K(reduce_outputs_of_tile) * REDUCE_TERMS];
        UNROLL for (int t = 0; t < outputs; t++)
            sum[t] = V(zero)();
        for (int64_t r = 0; r < c->rows; r++) {
            const REAL *a = (const REAL *)c->a + c->a_row[r] + j * c->a_m + h * WIDTH;
            const REAL *b = k ? (const REAL *)c->b + c->b_row[r] + h * WIDTH : a;
            int64_t left = c->cols - h * WIDTH;
            K(reduce_call)(c->ahead, 2 * (c->cols / LANES + 1));
            for (; left >= WIDTH; left -= LANES, a += LANES, b += LANES)
                K(reduce_step)(m, k, 0, mask, a, c->a_m, b, off, sum);
            if (left > 0)
                K(reduce_step)(m, k, 1, mask, a, c->a_m, b, off, sum);
        }
        UNROLL for (int t = 0; t < outputs; t++)
            V(store)(lanes.sum[h][t], sum[t]);
        UNROLL for (int t = outputs; t < (outputs + WIDTH - 1) / WIDTH * WIDTH; t++)
            V(store)(lanes.sum[h][t], V(zero)());
    }
    K(reduce_add)(c, &lanes, m, k ? k : 1, (REAL *)c->y + j * c->y_m + i);
}

#define REDUCE_TILE(m, k) \
    case k: \
        if (k <= REDUCE_TERMS) \
            K(reduce_tile)(c, m, k <= REDUCE_TERMS ? k : 1, j, i); \
        break
#define REDUCE_TILES(m) \
    static void K(reduce_pixels_##m)(const cgc_reduction *c, int64_t k, int64_t j, int64_t i) { \
        switch (k) { \
            REDUCE_TILE(m, 0); \
            REDUCE_TILE(m, 1); \
            REDUCE_TILE(m, 2); \
            REDUCE_TILE(m, 3); \
            REDUCE_TILE(m, 4); \
            REDUCE_TILE(m, 5); \
            REDUCE_TILE(m, 6); \
        default: break; \
        } \
    }
REDUCE_TILES(1)
REDUCE_TILES(2)
REDUCE_TILES(3)
REDUCE_TILES(4)

static void K(reduce_pixels)(const cgc_reduction *c) {
    static void (*const tile[])(const cgc_reduction *, int64_t, int64_t, int64_t) = {
        K(reduce_pixels_1), K(reduce_pixels_2), K(reduce_pixels_3), K(reduce_pixels_4),
    };
    const int64_t blocks = (c->m + K(reduce_outputs_of_tile) - 1) / K(reduce_outputs_of_tile);
    const int64_t tiles = c->b ? (c->k + REDUCE_TERMS - 1) / REDUCE_TERMS : 1;
    for (int64_t t = 0; t < tiles; t++) {
        const int64_t i = c->k * t / tiles, k = c->b ? c->k * (t + 1) / tiles - i : 0;
        for (int64_t b = 0; b < blocks; b++) {
            const int64_t j = c->m * b / blocks;
            tile[c->m * (b + 1) / blocks - j - 1](c, k, j, i);
        }
    }
}

#undef REDUCE_TILE
#undef REDUCE_TILES
