/*
 * The kernel of channel-wise passes with vectors over channels, and the packing of its weights, see kernels.h.
 * They must not know where pixels come from, nor what is padding.
 *
 * Parameters: those of words_template.h, among them
 *   REGISTERS   of the machine: a tile's sums, the weights of some taps and one pixel share them
 *
 * A tile is some output pixels of a row, for one vector of channels. It takes taps of a filter row together, so that
 * each pixel is loaded once for all outputs of the tile that it feeds; the filter's rows come one by one, so each
 * output gets its terms in the order (u, v). Tiles at the ends are moved back, as in channelwise_template.h.
 *
 * A row of padding with zeros is not multiplied pixel by pixel: all its products are zeros (or NaN), and adding their
 * sum is adding each of them, to the last bit: one +0 among them turns a sum of -0 into +0, as it would in the chain.
 */

/*
 * What the compiler knows of a kernel: the filter's width (0: nothing), the step (0: nothing), the tile
 * (0 rows: one); whether pixels lie beyond the caches.
 */
typedef struct K(pixels_kind) {
    int kw, step, rows, cols, masked, far;
} K(pixels_kind);

/* Adds `taps` taps of one filter row to the sums. x points at the pixels of the first tap. */
static ALWAYS_INLINE void K(pixels_taps)(const int taps, const int step, const int cols, const void *const *x,
                                         int64_t p, const REAL *w, VEC *sum) {
    VEC weight[8];
    UNROLL for (int v = 0; v < taps; v++)
        weight[v] = V(keep)(V(load)(w + v * WIDTH));
    UNROLL for (int c = 0; c < (cols - 1) * step + taps; c++) {
        if (c % step >= taps) continue;
        const VEC pixel = V(keep)(V(load)((const REAL *)x[c] + p));
        const int from = c < taps ? 0 : (c - taps) / step + 1, to = c / step < cols ? c / step + 1 : cols;
        UNROLL for (int j = from; j < to; j++)
            sum[j] = V(fma)(weight[c - j * step], pixel, sum[j]);
    }
}

/* Adds one tap to the sums, for any step. */
static ALWAYS_INLINE void K(pixels_tap)(const int cols, const int masked, MASK mask, ptrdiff_t step,
                                        const void *const *x, int64_t p, const REAL *w, VEC *sum) {
    const VEC weight = V(keep)(V(load)(w));
    UNROLL for (int j = 0; j < cols; j++) {
        const REAL *from = (const REAL *)x[j * step] + p;
        sum[j] = V(fma)(weight, masked ? V(load_first)(mask, from) : V(load)(from), sum[j]);
    }
}

/* Adds a filter row's products with a zero, which may be -0, to the sums. */
static ALWAYS_INLINE void K(pixels_blank)(int64_t kw, const int cols, VEC zero, const REAL *w, VEC *sum) {
    VEC products[4];
    UNROLL for (int t = 0; t < 4; t++)
        products[t] = V(set)((REAL)-0.0);
    int64_t v = 0;
    for (; v + 4 <= kw; v += 4)
        UNROLL for (int t = 0; t < 4; t++)
            products[t] = V(fma)(V(load)(w + (v + t) * WIDTH), zero, products[t]);
    for (; v < kw; v++)
        products[0] = V(fma)(V(load)(w + v * WIDTH), zero, products[0]);
    products[0] = V(add)(V(add)(products[0], products[1]), V(add)(products[2], products[3]));
    UNROLL for (int j = 0; j < cols; j++)
        sum[j] = V(add)(sum[j], products[0]);
}

/* The sums of a tile, clamped, to where its first output lies. */
static ALWAYS_INLINE void K(pixels_out)(const cgc_pixel_rows *call, const int rows, const int cols, const int masked,
                                        MASK mask, VEC *sum, REAL *y) {
    const ptrdiff_t y_col = call->y_col;
    if (call->lo > -HUGE_VAL || call->hi < HUGE_VAL) {
        const VEC lo = V(set)((REAL)call->lo), hi = V(set)((REAL)call->hi);
        UNROLL for (int t = 0; t < rows * cols; t++)
            sum[t] = V(clamp)(sum[t], lo, hi);
    }
    UNROLL for (int r = 0; r < rows; r++) {
        REAL *to = y + r * call->y_row;
        UNROLL for (int j = 0; j < cols; j++, to += y_col) {
            if (masked)
                V(store_first)(mask, to, sum[r * cols + j]);
            else
                V(store)(to, sum[r * cols + j]);
        }
    }
}

/* One tile of channels p .. p+WIDTH-1; the first output's pixels begin at x, and its packed weights at w. */
static ALWAYS_INLINE void K(pixels_tile)(const cgc_pixel_rows *call, const K(pixels_kind) kind, const void *const *x,
                                         int64_t p, MASK mask, const REAL *w, REAL *y) {
    const int64_t kh = call->kh, kw = kind.kw ? kind.kw : call->kw;
    VEC sum[16];
    UNROLL for (int j = 0; j < kind.cols; j++)
        sum[j] = V(load)(w);
    w += WIDTH;
    for (int64_t u = 0; u < kh; u++, x += call->src_u) {
        if (kw > 0 && x[0] == call->blank) {
            K(pixels_blank)(kw, kind.cols, V(set)(*(const REAL *)call->blank), w, sum);
            w += kw * WIDTH;
        } else if (kind.kw) {
            K(pixels_taps)(kind.kw, kind.step, kind.cols, x, p, w, sum);
            w += kw * WIDTH;
        } else if (kind.step) {
            int64_t v = 0;
            for (; v + 4 <= kw; v += 4, w += 4 * WIDTH)
                K(pixels_taps)(4, kind.step, kind.cols, x + v, p, w, sum);
            for (; v < kw; v++, w += WIDTH)
                K(pixels_taps)(1, kind.step, kind.cols, x + v, p, w, sum);
        } else {
            for (int64_t v = 0; v < kw; v++, w += WIDTH)
                K(pixels_tap)(kind.cols, kind.masked, mask, call->step, x + v * call->dilation, p, w, sum);
        }
    }
    K(pixels_out)(call, 1, kind.cols, kind.masked, mask, sum, y + p);
}

/*
 * A tile of several rows under a 3 x 3 filter whose rows of output are `step` lines apart: all nine weights stay in
 * registers, and each pixel feeds every row. Lines come in the order of u.
 */
static ALWAYS_INLINE void K(pixels_square)(const cgc_pixel_rows *call, const K(pixels_kind) kind,
                                           const void *const *x, int64_t p, const REAL *w, REAL *y) {
    const int step = kind.step, rows = kind.rows, cols = kind.cols;
    VEC weight[9], sum[24];
    UNROLL for (int t = 0; t < rows * cols; t++)
        sum[t] = V(load)(w);
    UNROLL for (int k = 0; k < 9; k++)
        weight[k] = V(keep)(V(load)(w + (1 + k) * WIDTH));
    UNROLL for (int s = 0; s < (rows - 1) * step + 3; s++, x += call->src_u) {
        UNROLL for (int c = 0; c < (cols - 1) * step + 3; c++) {
            const VEC pixel = V(keep)(V(load)((const REAL *)x[c] + p));
            const int top = s < 3 ? 0 : (s - 3) / step + 1, bottom = s / step < rows ? s / step + 1 : rows;
            const int from = c < 3 ? 0 : (c - 3) / step + 1, to = c / step < cols ? c / step + 1 : cols;
            UNROLL for (int r = top; r < bottom; r++)
                UNROLL for (int j = from; j < to; j++)
                    sum[r * cols + j] = V(fma)(weight[(s - r * step) * 3 + c - j * step], pixel, sum[r * cols + j]);
        }
    }
    K(pixels_out)(call, rows, cols, 0, V(first)(0), sum, y + p);
}

/*
 * Brings nearer what the row below reads anew and writes: of a tile whose pixels there begin at x and whose outputs
 * there begin at y, the cache lines of channel p.
 */
static void K(pixels_below)(const cgc_pixel_rows *call, int64_t cells, const void *const *x, int64_t cols,
                            const REAL *y, int64_t p) {
    for (int64_t u = call->kh - call->fresh; u < call->kh; u++)
        for (int64_t c = 0; c < cells; c++)
            PREFETCH((const REAL *)x[u * call->src_u + c] + p);
    for (int64_t j = 0; j < cols; j++)
        PREFETCH(y + j * call->y_col + p);
}

/* Rows of output pixels in tiles, all channels of a tile before the next. */
static ALWAYS_INLINE void K(pixels_tiles)(const cgc_pixel_rows *call, const K(pixels_kind) kind,
                                          const void *const *src, REAL *y) {
    const int64_t channels = call->channels, group = (1 + call->kh * call->kw) * WIDTH;
    const ptrdiff_t step = kind.step ? kind.step : call->step;
    const MASK mask = V(first)(channels);
    const int below = kind.far && src + call->src_row < call->src + call->rows * call->src_row;
    for (int64_t i = 0; i < call->cols; i += kind.cols) {
        const int64_t j = i + kind.cols <= call->cols ? i : call->cols - kind.cols;
        const void *const *x = src + j * step;
        REAL *to = y + j * call->y_col;
        const REAL *w = call->w;
        if (kind.masked) {
            K(pixels_tile)(call, kind, x, 0, mask, w, to);
            continue;
        }
        for (int64_t p = -call->shift; p < channels; p += WIDTH, w += group) {
            const int64_t first = p < 0 ? 0 : p + WIDTH <= channels ? p : channels - WIDTH;
            if (below && (p + call->shift) * (int64_t)sizeof(REAL) % CGC_LINE_BYTES == 0)
                K(pixels_below)(call, (kind.cols - 1) * step + 1, x + call->src_row, kind.cols, to + call->y_row,
                                first);
            if (kind.rows > 1)
                K(pixels_square)(call, kind, x, first, w, to);
            else
                K(pixels_tile)(call, kind, x, first, mask, w, to);
        }
    }
}

/* KERNEL(name, most, what is known): rows in tiles of `cols` pixels, at most `most`; each is written once. */
typedef void K(pixels_fn)(const cgc_pixel_rows *call, int cols, const void *const *src, REAL *y);

#define TILE(n, most, ...) \
    case n: \
        if (n <= most) \
            K(pixels_tiles)(call, (K(pixels_kind)){__VA_ARGS__, .cols = n <= most ? n : 1}, src, y); \
        break
#define KERNEL(name, most, ...) \
    static void K(name)(const cgc_pixel_rows *call, int cols, const void *const *src, REAL *y) { \
        switch (REGISTERS == 16 && call->fresh && call->cols >= most ? 0 : cols) { \
        case 0: \
            K(pixels_tiles)(call, (K(pixels_kind)){__VA_ARGS__, .cols = most, .far = 1}, src, y); \
            break; \
            TILE(1, most, __VA_ARGS__); \
            TILE(2, most, __VA_ARGS__); \
            TILE(3, most, __VA_ARGS__); \
            TILE(4, most, __VA_ARGS__); \
            TILE(5, most, __VA_ARGS__); \
            TILE(6, most, __VA_ARGS__); \
            TILE(7, most, __VA_ARGS__); \
            TILE(8, most, __VA_ARGS__); \
            TILE(9, most, __VA_ARGS__); \
            TILE(10, most, __VA_ARGS__); \
            TILE(11, most, __VA_ARGS__); \
            TILE(12, most, __VA_ARGS__); \
            TILE(13, most, __VA_ARGS__); \
            TILE(14, most, __VA_ARGS__); \
        } \
    }
/* Columns that leave registers for so many taps. */
#define MOST(taps) (REGISTERS - 2 - (taps) < 14 ? REGISTERS - 2 - (taps) : 14)
#define FEW (MOST(1) < 8 ? MOST(1) : 8)
#if REGISTERS >= 32
KERNEL(pixels_3_1_by_4, 5, .kw = 3, .step = 1, .rows = 4)
KERNEL(pixels_3_1_by_3, 7, .kw = 3, .step = 1, .rows = 3)
KERNEL(pixels_3_1_by_2, 7, .kw = 3, .step = 1, .rows = 2)
KERNEL(pixels_3_2_by_2, 4, .kw = 3, .step = 2, .rows = 2)
#endif
#if REGISTERS >= 16 && REGISTERS < 32
KERNEL(pixels_1_1, FEW, .kw = 1, .step = 1) /* these two are what backward_input */
KERNEL(pixels_2_1, FEW, .kw = 2, .step = 1) /* leaves of 3 columns at a stride of 2 */
#endif
#if REGISTERS >= 16
KERNEL(pixels_3_1, MOST(3), .kw = 3, .step = 1)
KERNEL(pixels_3_2, MOST(3), .kw = 3, .step = 2)
KERNEL(pixels_5_1, MOST(5), .kw = 5, .step = 1)
KERNEL(pixels_5_2, MOST(5), .kw = 5, .step = 2)
KERNEL(pixels_7_1, MOST(7), .kw = 7, .step = 1)
KERNEL(pixels_7_2, MOST(7), .kw = 7, .step = 2)
KERNEL(pixels_any_1, MOST(4), .kw = 0, .step = 1)
#endif
KERNEL(pixels_any, FEW, .kw = 0)
#if WIDTH > 1
KERNEL(pixels_few, FEW, .kw = 0, .masked = 1)
#endif
#undef KERNEL
#undef TILE

/* The width of tiles, at most `most`, for rows of `cols` pixels: the last is moved back, and each costs something. */
static int K(pixels_width)(int64_t cols, int most) {
    int64_t best = INT64_MAX;
    int width = 1;
    for (int wide = most; wide > most / 2; wide--) {
        const int64_t tiles = (cols + wide - 1) / wide, even = (cols + tiles - 1) / tiles;
        if (tiles * (3 * even + 1) >= best) continue;
        best = tiles * (3 * even + 1);
        width = (int)even;
    }
    return width;
}

#if REGISTERS >= 32
/* A 3 x 3 filter, in bands of nearly equal height. */
static void K(pixels_bands)(const cgc_pixel_rows *call) {
    static K(pixels_fn) *const kernels[2][5] = {
        {0, K(pixels_3_1), K(pixels_3_1_by_2), K(pixels_3_1_by_3), K(pixels_3_1_by_4)},
        {0, K(pixels_3_2), K(pixels_3_2_by_2)},
    };
    static const int most[2][5] = {{0, MOST(3), 7, 7, 5}, {0, MOST(3), 4}};
    const int tall = call->step == 1 ? 4 : 2;
    int64_t bands = (call->rows + tall - 1) / tall, high = 0;
    int cols = 0;
    for (int64_t r = 0; r < call->rows; r += high, bands--) {
        const int64_t left = (call->rows - r + bands - 1) / bands;
        if (left != high) cols = K(pixels_width)(call->cols, most[call->step - 1][left]);
        high = left;
        kernels[call->step - 1][high](call, cols, call->src + r * call->src_row, (REAL *)call->y + r * call->y_row);
    }
}
#endif

static void K(pixels)(const cgc_pixel_rows *call) {
    K(pixels_fn) *kernel = K(pixels_any);
    int most = FEW;
    if (call->cols < 1 || call->channels < 1) return;
#if WIDTH > 1
    if (call->channels < WIDTH) kernel = K(pixels_few);
#endif
#if REGISTERS >= 16
    if (call->channels >= WIDTH && call->dilation == 1 && (call->step == 1 || call->step == 2)) {
#if REGISTERS >= 32
        if (call->kw == 3 && call->kh == 3 && call->src_row == call->step * call->src_u) {
            K(pixels_bands)(call);
            return;
        }
#endif
        static const struct {
            int kw, most;
            K(pixels_fn) *kernel[2];
        } known[] = {
#if REGISTERS < 32
            {1, FEW, {K(pixels_1_1), K(pixels_any)}},
            {2, FEW, {K(pixels_2_1), K(pixels_any)}},
#endif
            {3, MOST(3), {K(pixels_3_1), K(pixels_3_2)}},
            {5, MOST(5), {K(pixels_5_1), K(pixels_5_2)}},
            {7, MOST(7), {K(pixels_7_1), K(pixels_7_2)}},
        };
        if (call->step == 1) kernel = K(pixels_any_1), most = MOST(4);
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
            if (call->kw == known[i].kw) kernel = known[i].kernel[call->step - 1], most = known[i].most;
    }
#endif
    const int cols = K(pixels_width)(call->cols, most);
    for (int64_t r = 0; r < call->rows; r++)
        kernel(call, cols, call->src + r * call->src_row, (REAL *)call->y + r * call->y_row);
}
#undef MOST
#undef FEW

/* WIDTH vectors as columns: lane l of vector t becomes lane t of vector l. */
static ALWAYS_INLINE void K(turn)(VEC *v) {
    VEC other[WIDTH];
    for (int lanes = 1; lanes < WIDTH; lanes *= 2) {
        UNROLL for (int t = 0; t < WIDTH / 2; t++) {
            other[t] = V(even)(v[2 * t], v[2 * t + 1]);
            other[WIDTH / 2 + t] = V(odd)(v[2 * t], v[2 * t + 1]);
        }
        UNROLL for (int t = 0; t < WIDTH; t++)
            v[t] = other[t];
    }
}

/* `terms` terms of `channels` channels, both at most WIDTH. */
static ALWAYS_INLINE void K(pack_block)(int64_t channels, int64_t terms, const REAL *w, ptrdiff_t w_pitch, REAL *y) {
    const MASK mask = V(first)(terms);
    VEC v[WIDTH];
    UNROLL for (int t = 0; t < WIDTH; t++)
        v[t] = t < channels ? V(load_first)(mask, w + t * w_pitch) : V(zero)();
    K(turn)(v);
    UNROLL for (int t = 0; t < WIDTH; t++)
        if (t < terms) V(store)(y + t * WIDTH, v[t]);
}

static void K(pack)(int64_t channels, int64_t shift, int64_t k, const void *w_, ptrdiff_t w_pitch, ptrdiff_t w_step,
                    void *y_, ptrdiff_t y_pitch) {
    const REAL *w = w_;
    REAL *y = y_;
    for (int64_t p = -shift; p < channels; p += WIDTH, y += y_pitch) {
        const int64_t first = p < 0 || channels < WIDTH ? 0 : p + WIDTH <= channels ? p : channels - WIDTH;
        const int64_t lanes = channels < WIDTH ? channels : WIDTH;
        for (int64_t i = 0; i < k && w_step == 1; i += WIDTH)
            K(pack_block)(lanes, i + WIDTH <= k ? WIDTH : k - i, w + first * w_pitch + i, w_pitch, y + i * WIDTH);
        for (int64_t i = 0; i < k && w_step != 1; i++)
            for (int64_t l = 0; l < WIDTH; l++)
                y[i * WIDTH + l] = l < lanes ? w[(first + l) * w_pitch + i * w_step] : 0;
    }
}
