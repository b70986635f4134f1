/*
 * The kernel of channel-wise passes whose output rows have source lines in common, see kernels.h.
 * It must not know where its lines come from.
 *
 * Parameters: those of tables_template.h, among them
 *   STENCIL_VECTORS   vectors of a tile's row: with four rows of sums, the vectors of a line and one weight they fill
 *                     the register file. 1: plain numbers, for which no filter is worth a kernel of its own.
 *
 * A tile takes its lines one by one, and each vector that it loads feeds every row that reads it. Lines come in the
 * order of u, so each row gets its terms in the order (u, v). Tiles at the ends are moved back, as in
 * channelwise_template.h.
 */
typedef struct K(stencil_call) {
    int64_t kh, kw;
    const REAL *w;
    const REAL *x;
    ptrdiff_t pitch, phase, dilation;
    REAL *y;
    ptrdiff_t y_pitch;
    REAL bias, lo, hi;
} K(stencil_call);

/*
 * What the compiler knows of a kernel when it writes it: the filter (0: nothing), the step, whether the dilation is
 * 1, and the tile. If masked, a row is one short vector.
 */
typedef struct K(stencil_kind) {
    int kh, kw, step, dense, rows, vectors, masked;
} K(stencil_kind);

/* Where the vectors of a tile begin: one behind the other, but the last at `last`. */
#define AT(t) ((t) < kind.vectors - 1 ? (t) * WIDTH : last)

/*
 * Adds column v of line s to rows first .. end-1 of the tile. w is the first weight of the filter's row that `first`
 * uses.
 */
static ALWAYS_INLINE void K(stencil_column)(const K(stencil_kind) kind, const REAL *x, int64_t last,
                                            const REAL *w, int64_t kw, const int first, const int end, VEC *sum) {
    VEC pixels[STENCIL_VECTORS];
    UNROLL for (int t = 0; t < kind.vectors; t++)
        pixels[t] = V(keep)(V(load)(x + AT(t)));
    UNROLL for (int j = first; j < end; j++) {
        const VEC weight = V(set)(w[-(j - first) * kind.step * kw]);
        UNROLL for (int t = 0; t < kind.vectors; t++)
            sum[j * kind.vectors + t] = V(fma)(weight, pixels[t], sum[j * kind.vectors + t]);
    }
}

/* Adds line s to rows first .. end-1 of the tile, those that read it. */
static ALWAYS_INLINE void K(stencil_line)(const K(stencil_call) *call, const K(stencil_kind) kind, const REAL *x,
                                          int64_t s, int64_t last, const int first, const int end, VEC *sum) {
    const int64_t kw = kind.kw ? kind.kw : call->kw;
    const ptrdiff_t dilation = kind.dense ? 1 : call->dilation;
    const REAL *w = call->w + (s - first * kind.step) * kw;
    const REAL *line = x + s * call->pitch;
    if (kind.kh != 3 || kind.vectors > 1) /* nine weights and one row of vectors do fit */
        REFRESH(w);
#define COLUMN(v) \
    K(stencil_column)(kind, line + (v) % kind.step * call->phase + (v) / kind.step * dilation, last, w + (v), kw, \
                      first, end, sum)
    if (kind.kw) {
        UNROLL for (int v = 0; v < kind.kw; v++)
            COLUMN(v);
    } else {
        for (int64_t v = 0; v < kw; v++)
            COLUMN(v);
    }
#undef COLUMN
}

/*
 * One tile, from output (r, p) on. Where kh is not known, it is at least (rows - 1) * step: no row ends before all
 * began.
 */
static ALWAYS_INLINE void K(stencil_tile)(const K(stencil_call) *call, const K(stencil_kind) kind, int64_t r,
                                          int64_t p, int64_t last, MASK mask) {
    const REAL *x = call->x + r * kind.step * call->pitch + p;
    const int rows = kind.rows, apart = (kind.rows - 1) * kind.step;
    VEC sum[4 * STENCIL_VECTORS];
    UNROLL for (int t = 0; t < rows * kind.vectors; t++)
        sum[t] = V(set)(call->bias);
    if (kind.kh) {
        UNROLL for (int s = 0; s < apart + kind.kh; s++)
            K(stencil_line)(call, kind, x, s, last, s < kind.kh ? 0 : (s - kind.kh) / kind.step + 1,
                            s < apart ? s / kind.step + 1 : rows, sum);
    } else {
        UNROLL for (int s = 0; s < apart; s++)
            K(stencil_line)(call, kind, x, s, last, 0, s / kind.step + 1, sum);
        for (int64_t s = apart; s < call->kh; s++)
            K(stencil_line)(call, kind, x, s, last, 0, rows, sum);
        UNROLL for (int s = 0; s < apart; s++)
            K(stencil_line)(call, kind, x, call->kh + s, last, s / kind.step + 1, rows, sum);
    }
    const VEC lo = V(set)(call->lo), hi = V(set)(call->hi);
    const ptrdiff_t y_pitch = call->y_pitch;
    REAL *y = call->y + r * y_pitch + p;
    UNROLL for (int j = 0; j < rows; j++) {
        UNROLL for (int t = 0; t < kind.vectors; t++) {
            const VEC result = V(clamp)(sum[j * kind.vectors + t], lo, hi);
            if (kind.masked)
                V(store_first)(mask, y + AT(t), result);
            else
                V(store)(y + AT(t), result);
        }
        y += y_pitch;
    }
}

#undef AT

/*
 * KERNEL(name, what is known): a function that computes tiles of `rows` (4 or 1) by `vectors` (0: a short one)
 * outputs, side by side from p on until `end`. Each kind of tile is written once.
 */
typedef void K(stencil_fn)(const K(stencil_call) *call, int rows, int64_t vectors, int64_t r, int64_t p, int64_t end,
                           int64_t last, MASK mask);

#define TILE(r_, v_, ...) \
    for (; p < end; p += (v_ ? v_ : 1) * WIDTH) \
    K(stencil_tile)(call, (K(stencil_kind)){__VA_ARGS__, .rows = r_, .vectors = v_ ? v_ : 1, .masked = !v_}, r, p, \
                    last, mask)
#define KERNEL(name, ...) \
    static void K(name)(const K(stencil_call) *call, int rows, int64_t vectors, int64_t r, int64_t p, int64_t end, \
                        int64_t last, MASK mask) { \
        switch (vectors + (rows == 4 ? 8 : 0)) { \
        case 8: TILE(4, 0, __VA_ARGS__); break; \
        case 9: TILE(4, 1, __VA_ARGS__); break; \
        case 10: if (STENCIL_VECTORS >= 2) TILE(4, 2, __VA_ARGS__); break; \
        case 11: if (STENCIL_VECTORS >= 3) TILE(4, 3, __VA_ARGS__); break; \
        case 12: if (STENCIL_VECTORS >= 4) TILE(4, 4, __VA_ARGS__); break; \
        case 0: TILE(1, 0, __VA_ARGS__); break; \
        case 1: TILE(1, 1, __VA_ARGS__); break; \
        case 2: if (STENCIL_VECTORS >= 2) TILE(1, 2, __VA_ARGS__); break; \
        case 3: if (STENCIL_VECTORS >= 3) TILE(1, 3, __VA_ARGS__); break; \
        case 4: if (STENCIL_VECTORS >= 4) TILE(1, 4, __VA_ARGS__); break; \
        } \
    }
#if STENCIL_VECTORS > 1
KERNEL(stencil_3_1, .kh = 3, .kw = 3, .step = 1, .dense = 1)
KERNEL(stencil_3_2, .kh = 3, .kw = 3, .step = 2, .dense = 1)
KERNEL(stencil_3_dilated, .kh = 3, .kw = 3, .step = 1)
KERNEL(stencil_5_1, .kh = 5, .kw = 5, .step = 1, .dense = 1)
KERNEL(stencil_5_2, .kh = 5, .kw = 5, .step = 2, .dense = 1)
KERNEL(stencil_7_1, .kh = 7, .kw = 7, .step = 1, .dense = 1)
#endif
KERNEL(stencil_any_1, .step = 1)
KERNEL(stencil_any_2, .step = 2, .dense = 1)
#undef KERNEL
#undef TILE

static void K(stencil)(int64_t rows, int64_t cols, int64_t kh, int64_t kw, int64_t step, int64_t dilation,
                       const void *w, const void *x, ptrdiff_t pitch, ptrdiff_t phase, const void *bias, void *y,
                       ptrdiff_t y_pitch, double lo, double hi) {
    const K(stencil_call) call = {
        .kh = kh, .kw = kw, .w = w, .x = x, .pitch = pitch, .phase = phase, .dilation = dilation, .y = y,
        .y_pitch = y_pitch, .bias = *(const REAL *)bias, .lo = (REAL)lo, .hi = (REAL)hi,
    };
    K(stencil_fn) *tile = step == 1 ? K(stencil_any_1) : K(stencil_any_2);
    int known = 0;
#if STENCIL_VECTORS > 1
    known = 1;
    if (kh == 3 && kw == 3)
        tile = step == 2 ? K(stencil_3_2) : dilation == 1 ? K(stencil_3_1) : K(stencil_3_dilated);
    else if (kh == 5 && kw == 5 && dilation == 1)
        tile = step == 1 ? K(stencil_5_1) : K(stencil_5_2);
    else if (kh == 7 && kw == 7 && dilation == 1 && step == 1)
        tile = K(stencil_7_1);
    else
        known = 0;
#endif

    const int tall = rows >= 4 && (known || kh >= 3 * step) ? 4 : 1;
    const int64_t wide = STENCIL_VECTORS * WIDTH;
    const MASK mask = V(first)(cols);
    for (int64_t row = 0; row < rows; row += tall) {
        const int64_t r = row + tall <= rows ? row : rows - tall;
        const int64_t p = cols - cols % wide; /* up to here in whole tiles */
        if (p > 0)
            tile(&call, tall, STENCIL_VECTORS, r, 0, p, wide - WIDTH, mask);
        if (cols < WIDTH)
            tile(&call, tall, 0, r, 0, cols, 0, mask);
        else if (p < cols)
            tile(&call, tall, (cols - p + WIDTH - 1) / WIDTH, r, p, cols, cols - p - WIDTH, mask);
    }
}
