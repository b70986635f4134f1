/*
 * The kernels of the weight gradient, reduce and join, see kernels.h.
 * They must not know which pixels they are given.
 *
 * Parameters: those of words_template.h, among them
 *   LANES                          partial sums per output, a multiple of WIDTH
 *   REDUCE_TAPS_1, REDUCE_TAPS_2   the most taps of a tile of one row of a, and of two; at most 8
 */

/* Vectors of one output's partial sums. */
#define PARTS (LANES / WIDTH)

typedef struct K(reduce_call) {
    int64_t count;
    int64_t k;
    const REAL *a;
    ptrdiff_t a_pitch;
    const REAL *b;
    const ptrdiff_t *off;
    REAL *acc;
} K(reduce_call);

/* Adds LANES pixels from pixel p on to rows x taps outputs. If masked, only those before `count` are read. */
static ALWAYS_INLINE void K(reduce_step)(const K(reduce_call) *call, const int rows, const int taps, const int masked,
                                         const REAL *a, const REAL *const *b, int64_t p, VEC *sum) {
    UNROLL for (int h = 0; h < PARTS; h++) {
        const int64_t q = p + h * WIDTH;
        const MASK mask = V(first)(call->count - q);
        VEC factor[2];
        UNROLL for (int j = 0; j < rows; j++) {
            const REAL *from = a + j * call->a_pitch + q;
            factor[j] = masked ? V(load_first)(mask, from) : V(load)(from);
        }
        UNROLL for (int i = 0; i < taps; i++) {
            const VEC x = V(keep)(masked ? V(load_first)(mask, b[i] + q) : V(load)(b[i] + q));
            UNROLL for (int j = 0; j < rows; j++) {
                VEC *s = &sum[(j * taps + i) * PARTS + h];
                *s = V(fma)(factor[j], x, *s);
            }
        }
    }
}

/* The outputs of `rows` rows of a from row j0 on, and `taps` taps from tap i0 on. */
static ALWAYS_INLINE void K(reduce_tile)(const K(reduce_call) *call, const int rows, const int taps, int64_t j0,
                                         int64_t i0) {
    const REAL *a = call->a + j0 * call->a_pitch;
    REAL *acc = call->acc + (j0 * call->k + i0) * LANES;
    const REAL *b[8];
    VEC sum[2 * 8 * PARTS];

    UNROLL for (int i = 0; i < taps; i++)
        b[i] = call->b + call->off[i0 + i];
    UNROLL for (int j = 0; j < rows; j++)
        UNROLL for (int t = 0; t < taps * PARTS; t++)
            sum[j * taps * PARTS + t] = V(load)(acc + j * call->k * LANES + t * WIDTH);

    int64_t p = 0;
    for (; p + LANES <= call->count; p += LANES)
        K(reduce_step)(call, rows, taps, 0, a, b, p, sum);
    if (p < call->count)
        K(reduce_step)(call, rows, taps, 1, a, b, p, sum);

    UNROLL for (int j = 0; j < rows; j++)
        UNROLL for (int t = 0; t < taps * PARTS; t++)
            V(store)(acc + j * call->k * LANES + t * WIDTH, sum[j * taps * PARTS + t]);
}

/* All taps of `rows` rows of a, in tiles of nearly equal size, so that none is too small to fill the pipeline. */
static ALWAYS_INLINE void K(reduce_rows)(const K(reduce_call) *call, const int rows, int64_t j) {
    const int most = rows == 1 ? REDUCE_TAPS_1 : REDUCE_TAPS_2;
    int64_t tiles = (call->k + most - 1) / most;
    for (int64_t i = 0; i < call->k; tiles--) {
        const int taps = (int)((call->k - i + tiles - 1) / tiles);
        switch (taps) {
        case 1: K(reduce_tile)(call, rows, 1, j, i); break;
        case 2: if (most >= 2) K(reduce_tile)(call, rows, 2, j, i); break;
        case 3: if (most >= 3) K(reduce_tile)(call, rows, 3, j, i); break;
        case 4: if (most >= 4) K(reduce_tile)(call, rows, 4, j, i); break;
        case 5: if (most >= 5) K(reduce_tile)(call, rows, 5, j, i); break;
        case 6: if (most >= 6) K(reduce_tile)(call, rows, 6, j, i); break;
        case 7: if (most >= 7) K(reduce_tile)(call, rows, 7, j, i); break;
        case 8: if (most >= 8) K(reduce_tile)(call, rows, 8, j, i); break;
        }
        i += taps;
    }
}

static void K(reduce)(int64_t count, int64_t m, int64_t k, const void *a, ptrdiff_t a_pitch, const void *b,
                      const ptrdiff_t *off, void *acc) {
    const K(reduce_call) call = {
        .count = count, .k = k, .a = a, .a_pitch = a_pitch, .b = b, .off = off, .acc = acc,
    };
    int64_t j = 0;
    for (; j + 2 <= m; j += 2)
        K(reduce_rows)(&call, 2, j);
    if (j < m)
        K(reduce_rows)(&call, 1, j);
}

static void K(join)(void *y_, const void *acc_, int64_t count) {
    REAL *y = y_;
    const REAL *acc = acc_;
    for (int64_t p = 0; p < count; p++) {
        REAL sum[LANES];
        for (int l = 0; l < LANES; l++)
            sum[l] = acc[p * LANES + l];
        for (int half = LANES / 2; half > 0; half /= 2)
            for (int l = 0; l < half; l++)
                sum[l] += sum[l + half];
        y[p] += sum[0];
    }
}

#undef PARTS
