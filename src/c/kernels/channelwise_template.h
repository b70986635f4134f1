/*
 * The kernel `taps` of channel-wise passes, see kernels.h.
 * It must not know the shape of the filter, nor where its pixels come from.
 *
 * Parameters: those of words_template.h.
 *
 * It cuts its outputs into tiles whose sums stay in registers. The last vector of a row of outputs is moved back
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
