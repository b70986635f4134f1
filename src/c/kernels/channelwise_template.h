/*
 * The kernels of channel-wise passes, taps and channels, see kernels.h.
 * They must not know the shape of the filter, nor where its pixels come from.
 *
 * Parameters: those of tables_template.h.
 *
 * Both cut their outputs into tiles whose sums stay in registers. The last vector of a row of outputs is moved back
 * so that it ends with the row: outputs computed twice get the same bits twice. Only a row shorter than a vector
 * needs a mask.
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

/*
 * rows x vectors outputs, the first of them (r, p). The last vector of a row begins at p + last; if masked, it is the
 * only one and has the lanes of `mask`.
 */
static ALWAYS_INLINE void K(taps_tile)(const K(taps_call) *call, const int rows, const int vectors, const int masked,
                                       MASK mask, int64_t r, int64_t p, int64_t last) {
    const REAL *b = call->b + r * call->b_pitch + p;
    VEC sum[12];

    UNROLL for (int t = 0; t < rows * vectors; t++)
        sum[t] = V(set)(call->bias);

    for (int64_t i = 0; i < call->k; i++) {
        const VEC weight = V(set)(call->w[i]);
        const REAL *x = b + call->off[i];
        UNROLL for (int j = 0; j < rows; j++) {
            UNROLL for (int v = 0; v < vectors; v++) {
                const REAL *from = x + (v < vectors - 1 ? v * WIDTH : last);
                const VEC pixels = masked ? V(load_first)(mask, from) : V(load)(from);
                sum[j * vectors + v] = V(fma)(weight, pixels, sum[j * vectors + v]);
            }
            x += call->b_pitch;
        }
    }

    const VEC lo = V(set)(call->lo), hi = V(set)(call->hi);
    REAL *y = call->y + r * call->y_pitch + p;
    UNROLL for (int j = 0; j < rows; j++) {
        UNROLL for (int v = 0; v < vectors; v++) {
            REAL *to = y + (v < vectors - 1 ? v * WIDTH : last);
            const VEC result = V(clamp)(sum[j * vectors + v], lo, hi);
            if (masked)
                V(store_first)(mask, to, result);
            else
                V(store)(to, result);
        }
        y += call->y_pitch;
    }
}

/* `rows` whole rows from row r on. */
static ALWAYS_INLINE void K(taps_rows)(const K(taps_call) *call, const int rows, int64_t r, int64_t cols) {
    const int most = rows == 1 ? 8 : 12 / rows; /* vectors */
    const MASK all = V(first)(WIDTH);
    int64_t p = 0;
    for (; p + most * WIDTH <= cols; p += most * WIDTH)
        K(taps_tile)(call, rows, most, 0, all, r, p, (most - 1) * WIDTH);

    const int64_t left = cols - p, last = left - WIDTH;
    if (cols < WIDTH) {
        K(taps_tile)(call, rows, 1, 1, V(first)(cols), r, 0, 0);
        return;
    }
    switch ((left + WIDTH - 1) / WIDTH) {
    case 1: K(taps_tile)(call, rows, 1, 0, all, r, p, last); break;
    case 2: K(taps_tile)(call, rows, 2, 0, all, r, p, last); break;
    case 3: K(taps_tile)(call, rows, 3, 0, all, r, p, last); break;
    case 4: if (most >= 4) K(taps_tile)(call, rows, 4, 0, all, r, p, last); break;
    case 5: if (most >= 5) K(taps_tile)(call, rows, 5, 0, all, r, p, last); break;
    case 6: if (most >= 6) K(taps_tile)(call, rows, 6, 0, all, r, p, last); break;
    case 7: if (most >= 7) K(taps_tile)(call, rows, 7, 0, all, r, p, last); break;
    case 8: if (most >= 8) K(taps_tile)(call, rows, 8, 0, all, r, p, last); break;
    }
}

static void K(taps)(int64_t rows, int64_t cols, int64_t k, const void *w, const void *b, const ptrdiff_t *off,
                    ptrdiff_t b_pitch, const void *bias, void *y, ptrdiff_t y_pitch, double lo, double hi) {
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

/* `vectors` vectors of outputs, the first at channel p, the last at channel p + last. If masked, see taps_tile. */
static ALWAYS_INLINE void K(channels_tile)(const K(channels_call) *call, const int vectors, const int masked,
                                           MASK mask, int64_t p, int64_t last) {
    VEC sum[8];

    UNROLL for (int v = 0; v < vectors; v++) {
        const REAL *bias = call->bias + p + (v < vectors - 1 ? v * WIDTH : last);
        sum[v] = masked ? V(load_first)(mask, bias) : V(load)(bias);
    }

    const REAL *w = call->w + p;
    for (int64_t i = 0; i < call->k; i++) {
        const REAL *x = (const REAL *)call->src[i] + p;
        UNROLL for (int v = 0; v < vectors; v++) {
            const int64_t q = v < vectors - 1 ? v * WIDTH : last;
            const VEC weight = masked ? V(load_first)(mask, w + q) : V(load)(w + q);
            const VEC pixel = masked ? V(load_first)(mask, x + q) : V(load)(x + q);
            sum[v] = V(fma)(weight, pixel, sum[v]);
        }
        w += call->w_pitch;
    }

    const VEC lo = V(set)(call->lo), hi = V(set)(call->hi);
    UNROLL for (int v = 0; v < vectors; v++) {
        REAL *to = call->y + p + (v < vectors - 1 ? v * WIDTH : last);
        const VEC result = V(clamp)(sum[v], lo, hi);
        if (masked)
            V(store_first)(mask, to, result);
        else
            V(store)(to, result);
    }
}

static void K(channels)(int64_t channels, int64_t k, const void *w, ptrdiff_t w_pitch, const void *const *src,
                        const void *bias, void *y, double lo, double hi) {
    const K(channels_call) call = {
        .k = k, .w = w, .w_pitch = w_pitch, .src = src, .bias = bias, .y = y, .lo = (REAL)lo, .hi = (REAL)hi,
    };
    const MASK all = V(first)(WIDTH);
    int64_t p = 0;
    for (; p + 8 * WIDTH <= channels; p += 8 * WIDTH)
        K(channels_tile)(&call, 8, 0, all, p, 7 * WIDTH);

    const int64_t left = channels - p, last = left - WIDTH;
    if (channels < WIDTH) {
        K(channels_tile)(&call, 1, 1, V(first)(channels), 0, 0);
        return;
    }
    switch ((left + WIDTH - 1) / WIDTH) {
    case 1: K(channels_tile)(&call, 1, 0, all, p, last); break;
    case 2: K(channels_tile)(&call, 2, 0, all, p, last); break;
    case 3: K(channels_tile)(&call, 3, 0, all, p, last); break;
    case 4: K(channels_tile)(&call, 4, 0, all, p, last); break;
    case 5: K(channels_tile)(&call, 5, 0, all, p, last); break;
    case 6: K(channels_tile)(&call, 6, 0, all, p, last); break;
    case 7: K(channels_tile)(&call, 7, 0, all, p, last); break;
    case 8: K(channels_tile)(&call, 8, 0, all, p, last); break;
    }
}
