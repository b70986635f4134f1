/*
 * The kernels of channel-wise passes, taps and channels, see kernels.h.
 * They must not know the shape of the filter, nor where its pixels come from.
 *
 * Parameters: those of tables_template.h.
 *
 * Both cut their outputs into tiles whose sums stay in registers. The last tile of a row is moved back so that it ends
 * with the row: outputs computed twice get the same bits twice. Only a row shorter than its tile needs a mask.
 */

typedef struct K(taps_call) {
    int64_t k;
    const REAL *w;
    const REAL *b;
    const ptrdiff_t *off;
    ptrdiff_t b_pitch;
    REAL *y;
    ptrdiff_t y_pitch;
    REAL bias, lo, hi;
} K(taps_call);

/* rows x vectors outputs whose first is (r, p). If masked, the last vector has only the lanes of `mask`. */
static ALWAYS_INLINE void K(taps_tile)(const K(taps_call) *call, const int rows, const int vectors, const int masked,
                                       MASK mask, int64_t r, int64_t p)
{
    const REAL *b = call->b + r * call->b_pitch + p;
    const VEC lo = V(set)(call->lo), hi = V(set)(call->hi);
    VEC sum[12];

    UNROLL for (int t = 0; t < rows * vectors; t++)
        sum[t] = V(set)(call->bias);

    for (int64_t i = 0; i < call->k; i++) {
        const VEC weight = V(set)(call->w[i]);
        const REAL *x = b + call->off[i];
        UNROLL for (int j = 0; j < rows; j++) {
            UNROLL for (int v = 0; v < vectors; v++) {
                const VEC pixels =
                    masked && v == vectors - 1 ? V(load_first)(mask, x + v * WIDTH) : V(load)(x + v * WIDTH);
                sum[j * vectors + v] = V(fma)(weight, pixels, sum[j * vectors + v]);
            }
            x += call->b_pitch;
        }
    }

    UNROLL for (int j = 0; j < rows; j++) {
        REAL *y = call->y + (r + j) * call->y_pitch + p;
        UNROLL for (int v = 0; v < vectors; v++) {
            const VEC result = V(clamp)(sum[j * vectors + v], lo, hi);
            if (masked && v == vectors - 1)
                V(store_first)(mask, y + v * WIDTH, result);
            else
                V(store)(y + v * WIDTH, result);
        }
    }
}

/* The same for a number of vectors, at most 12 / rows, that is not known when this is compiled. */
static ALWAYS_INLINE void K(taps_any_tile)(const K(taps_call) *call, const int rows, int vectors, const int masked,
                                           MASK mask, int64_t r, int64_t p)
{
    switch (vectors) {
    case 1: K(taps_tile)(call, rows, 1, masked, mask, r, p); break;
    case 2: K(taps_tile)(call, rows, 2, masked, mask, r, p); break;
    case 3: K(taps_tile)(call, rows, 3, masked, mask, r, p); break;
    case 4: if (rows <= 2) K(taps_tile)(call, rows, 4, masked, mask, r, p); break;
    case 5: if (rows <= 2) K(taps_tile)(call, rows, 5, masked, mask, r, p); break;
    case 6: if (rows <= 2) K(taps_tile)(call, rows, 6, masked, mask, r, p); break;
    case 7: if (rows <= 1) K(taps_tile)(call, rows, 7, masked, mask, r, p); break;
    case 8: if (rows <= 1) K(taps_tile)(call, rows, 8, masked, mask, r, p); break;
    }
}

/* `rows` whole rows from row r on. */
static ALWAYS_INLINE void K(taps_rows)(const K(taps_call) *call, const int rows, int64_t r, int64_t cols)
{
    const int most = rows == 1 ? 8 : 12 / rows;
    int64_t p = 0;
    for (; p + most * WIDTH <= cols; p += most * WIDTH)
        K(taps_tile)(call, rows, most, 0, V(first)(WIDTH), r, p);
    const int vectors = (int)((cols - p + WIDTH - 1) / WIDTH);
    if (vectors * WIDTH <= cols)
        K(taps_any_tile)(call, rows, vectors, 0, V(first)(WIDTH), r, cols - vectors * WIDTH);
    else
        K(taps_any_tile)(call, rows, vectors, 1, V(first)(cols - (vectors - 1) * WIDTH), r, 0);
}

static void K(taps)(int64_t rows, int64_t cols, int64_t k, const void *w, const void *b, const ptrdiff_t *off,
                    ptrdiff_t b_pitch, const void *bias, void *y, ptrdiff_t y_pitch, double lo, double hi)
{
    const K(taps_call) call = {
        .k = k, .w = w, .b = b, .off = off, .b_pitch = b_pitch, .y = y, .y_pitch = y_pitch,
        .bias = *(const REAL *)bias, .lo = (REAL)lo, .hi = (REAL)hi,
    };
    int64_t r = 0;
    for (; r + 4 <= rows; r += 4)
        K(taps_rows)(&call, 4, r, cols);
    if (r + 2 <= rows) {
        K(taps_rows)(&call, 2, r, cols);
        r += 2;
    }
    if (r < rows)
        K(taps_rows)(&call, 1, r, cols);
}

typedef struct K(channels_call) {
    int64_t k;
    const REAL *w;
    ptrdiff_t w_pitch;
    const void *const *src;
    const REAL *bias;
    REAL *y;
    REAL lo, hi;
} K(channels_call);

/* Outputs from channel p on. If masked, the last vector has only the lanes of `mask`. */
static ALWAYS_INLINE void K(channels_tile)(const K(channels_call) *call, const int vectors, const int masked, MASK mask,
                                           int64_t p)
{
    const VEC lo = V(set)(call->lo), hi = V(set)(call->hi);
    VEC sum[8];

    UNROLL for (int v = 0; v < vectors; v++) {
        const REAL *bias = call->bias + p + v * WIDTH;
        sum[v] = masked && v == vectors - 1 ? V(load_first)(mask, bias) : V(load)(bias);
    }
    const REAL *w = call->w + p;
    for (int64_t i = 0; i < call->k; i++) {
        const REAL *x = (const REAL *)call->src[i] + p;
        UNROLL for (int v = 0; v < vectors; v++) {
            if (masked && v == vectors - 1)
                sum[v] = V(fma)(V(load_first)(mask, w + v * WIDTH), V(load_first)(mask, x + v * WIDTH), sum[v]);
            else
                sum[v] = V(fma)(V(load)(w + v * WIDTH), V(load)(x + v * WIDTH), sum[v]);
        }
        w += call->w_pitch;
    }
    UNROLL for (int v = 0; v < vectors; v++) {
        const VEC result = V(clamp)(sum[v], lo, hi);
        if (masked && v == vectors - 1)
            V(store_first)(mask, call->y + p + v * WIDTH, result);
        else
            V(store)(call->y + p + v * WIDTH, result);
    }
}

/* The same for a number of vectors, at most 8, that is not known when this is compiled. */
static ALWAYS_INLINE void K(channels_any_tile)(const K(channels_call) *call, int vectors, const int masked, MASK mask,
                                               int64_t p)
{
    switch (vectors) {
    case 1: K(channels_tile)(call, 1, masked, mask, p); break;
    case 2: K(channels_tile)(call, 2, masked, mask, p); break;
    case 3: K(channels_tile)(call, 3, masked, mask, p); break;
    case 4: K(channels_tile)(call, 4, masked, mask, p); break;
    case 5: K(channels_tile)(call, 5, masked, mask, p); break;
    case 6: K(channels_tile)(call, 6, masked, mask, p); break;
    case 7: K(channels_tile)(call, 7, masked, mask, p); break;
    case 8: K(channels_tile)(call, 8, masked, mask, p); break;
    }
}

static void K(channels)(int64_t channels, int64_t k, const void *w, ptrdiff_t w_pitch, const void *const *src,
                        const void *bias, void *y, double lo, double hi)
{
    const K(channels_call) call = {
        .k = k, .w = w, .w_pitch = w_pitch, .src = src, .bias = bias, .y = y, .lo = (REAL)lo, .hi = (REAL)hi,
    };
    int64_t p = 0;
    for (; p + 8 * WIDTH <= channels; p += 8 * WIDTH)
        K(channels_tile)(&call, 8, 0, V(first)(WIDTH), p);
    const int vectors = (int)((channels - p + WIDTH - 1) / WIDTH);
    if (vectors * WIDTH <= channels)
        K(channels_any_tile)(&call, vectors, 0, V(first)(WIDTH), channels - vectors * WIDTH);
    else
        K(channels_any_tile)(&call, vectors, 1, V(first)(channels - (vectors - 1) * WIDTH), 0);
}
