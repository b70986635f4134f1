/*
 * The kernel of channel-wise passes over rows of few channels, see cgc_flat_rows in kernels.h.
 * It must not know where its lines come from.
 *
 * Parameters: those of words_template.h.
 *
 * A tile is some output rows by some vectors that meet the same channels, a period apart. It takes its lines one by
 * one, and each vector of pixels that it loads feeds every row that reads it: lines come in the order of u, so each
 * row gets its terms in the order (u, v). Tiles at the ends are moved back, as in channelwise_template.h.
 */

/*
 * What the compiler knows of a kernel: the filter (0: nothing), whether rows share lines, the tile; and whether it is
 * of images, whose pixels have three channels.
 */
typedef struct K(flat_kind) {
    int kh, kw, shared, rows, vectors, masked, image;
} K(flat_kind);

/* Adds line s to rows first .. end-1 of the tile, those that read it; w: the weights of the filter's first cell. */
static ALWAYS_INLINE void K(flat_line)(const cgc_flat_rows *call, const K(flat_kind) kind, const REAL *x, int64_t s,
                                       ptrdiff_t period, MASK mask, const REAL *w, const int first, const int end,
                                       VEC *sum) {
    const int64_t kw = kind.kw ? kind.kw : call->kw;
    w += (s - first) * kw * WIDTH;
    if (kind.kh != 3) /* nine weights do fit */
        REFRESH(w);
    for (int64_t v = 0; v < kw; v++, w += WIDTH) {
        const REAL *from = x + call->off[v];
        VEC pixels[4];
        UNROLL for (int t = 0; t < kind.vectors; t++)
            pixels[t] = V(keep)(kind.masked ? V(load_first)(mask, from) : V(load)(from + t * period));
        UNROLL for (int r = first; r < end; r++) {
            const VEC weight = V(load)(w - (r - first) * kw * WIDTH);
            UNROLL for (int t = 0; t < kind.vectors; t++)
                sum[r * kind.vectors + t] = V(fma)(weight, pixels[t], sum[r * kind.vectors + t]);
        }
    }
}

/* One tile, from element p of the rows that begin at `lines` on. w: bias and weights of its channels. */
static ALWAYS_INLINE void K(flat_tile)(const cgc_flat_rows *call, const K(flat_kind) kind, const void *const *lines,
                                       int64_t p, ptrdiff_t period, MASK mask, const REAL *w, REAL *y) {
    const int64_t kh = kind.kh ? kind.kh : call->kh;
    const int rows = kind.rows;
    VEC sum[24];
    UNROLL for (int t = 0; t < rows * kind.vectors; t++)
        sum[t] = V(load)(w);
    w += WIDTH;
#define LINE(s, first, end) \
    K(flat_line)(call, kind, (const REAL *)lines[s] + p, s, period, mask, w, first, end, sum)
    if (kind.shared) { /* kh is at least rows - 1: no row ends before all began */
        UNROLL for (int s = 0; s < rows - 1; s++)
            LINE(s, 0, s + 1);
        for (int64_t s = rows - 1; s < kh; s++)
            LINE(s, 0, rows);
        UNROLL for (int s = 0; s < rows - 1; s++)
            LINE(kh + s, s + 1, rows);
    } else {
        const int64_t kw = call->kw;
        for (int64_t u = 0; u < kh; u++)
            for (int64_t v = 0; v < kw; v++, w += WIDTH) {
                const VEC weight = V(keep)(V(load)(w));
                UNROLL for (int r = 0; r < rows; r++) {
                    const REAL *x = (const REAL *)lines[r * call->row + u * call->u] + call->off[v] + p;
                    UNROLL for (int t = 0; t < kind.vectors; t++) {
                        const VEC pixels = kind.masked ? V(load_first)(mask, x) : V(load)(x + t * period);
                        sum[r * kind.vectors + t] = V(fma)(weight, pixels, sum[r * kind.vectors + t]);
                    }
                }
            }
    }
#undef LINE
    if (call->lo > -HUGE_VAL || call->hi < HUGE_VAL) {
        const VEC lo = V(set)((REAL)call->lo), hi = V(set)((REAL)call->hi);
        UNROLL for (int t = 0; t < rows * kind.vectors; t++)
            sum[t] = V(clamp)(sum[t], lo, hi);
    }
    UNROLL for (int r = 0; r < rows; r++) {
        REAL *to = y + r * call->y_row + p;
        UNROLL for (int t = 0; t < kind.vectors; t++) {
            if (kind.masked)
                V(store_first)(mask, to, sum[r * kind.vectors + t]);
            else
                V(store)(to + t * period, sum[r * kind.vectors + t]);
        }
    }
}

/*
 * A tile of an image with all terms written out, as one address a line is all they need. The weights of a term are
 * held while one vector after the other meets them.
 */
static ALWAYS_INLINE void K(flat_image)(const cgc_flat_rows *call, const K(flat_kind) kind, const void *const *lines,
                                        int64_t p, const REAL *w, REAL *y) {
    const int k = kind.kh, rows = kind.rows;
    VEC sum[16];
    UNROLL for (int t = 0; t < rows * kind.vectors; t++)
        sum[t] = V(load)(w);
    w += WIDTH;
    UNROLL for (int s = 0; s < rows + k - 1; s++) {
        const REAL *x = (const REAL *)lines[s] + p;
        const int first = s < k ? 0 : s - k + 1, end = s < rows ? s + 1 : rows;
        REFRESH(w);
        UNROLL for (int v = 0; v < k; v++) {
            VEC weight[4];
            if (k > WIDTH) REFRESH(x); /* for vectors meet the same numbers, too far apart to hold them */
            UNROLL for (int r = first; r < end; r++)
                weight[r] = V(keep)(V(load)(w + ((s - r) * k + v) * WIDTH));
            UNROLL for (int t = 0; t < kind.vectors; t++) {
                VEC pixels = V(load)(x + 3 * (v + t * WIDTH));
                if (end - first > 1) pixels = V(keep)(pixels);
                UNROLL for (int r = first; r < end; r++)
                    sum[r * kind.vectors + t] = V(fma)(weight[r], pixels, sum[r * kind.vectors + t]);
            }
        }
    }
    if (call->lo > -HUGE_VAL || call->hi < HUGE_VAL) {
        const VEC lo = V(set)((REAL)call->lo), hi = V(set)((REAL)call->hi);
        UNROLL for (int t = 0; t < rows * kind.vectors; t++)
            sum[t] = V(clamp)(sum[t], lo, hi);
    }
    const ptrdiff_t y_row = call->y_row;
    y += p;
    UNROLL for (int r = 0; r < rows; r++, y += y_row)
        UNROLL for (int t = 0; t < kind.vectors; t++)
            V(store)(y + 3 * t * WIDTH, sum[r * kind.vectors + t]);
}

/* A tile with all 3 x 3 terms written out, for weights that stay in registers. */
static ALWAYS_INLINE void K(flat_square)(const cgc_flat_rows *call, const K(flat_kind) kind,
                                         const void *const *lines, int64_t p, ptrdiff_t period, const VEC *weight,
                                         VEC bias, REAL *y) {
    const int rows = kind.rows;
    VEC sum[24];
    UNROLL for (int t = 0; t < rows * kind.vectors; t++)
        sum[t] = bias;
    UNROLL for (int s = 0; s < rows + 2; s++) {
        UNROLL for (int v = 0; v < 3; v++) {
            const REAL *from = (const REAL *)lines[s] + call->off[v] + p;
            UNROLL for (int t = 0; t < kind.vectors; t++) {
                const VEC pixels = V(keep)(V(load)(from + t * period));
                const int first = s < 2 ? 0 : s - 2, end = s < rows ? s + 1 : rows;
                UNROLL for (int r = first; r < end; r++)
                    sum[r * kind.vectors + t] =
                        V(fma)(weight[(s - r) * 3 + v], pixels, sum[r * kind.vectors + t]);
            }
        }
    }
    const int clamps = call->lo > -HUGE_VAL || call->hi < HUGE_VAL;
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int t = 0; t < kind.vectors; t++) {
            VEC out = sum[r * kind.vectors + t];
            if (clamps) out = V(clamp)(out, V(set)((REAL)call->lo), V(set)((REAL)call->hi));
            V(store)(y + r * call->y_row + p + t * period, out);
        }
    }
}

/* Tiles of one phase, from element p on, those that begin before `to`. */
static ALWAYS_INLINE void K(flat_squares)(const cgc_flat_rows *call, const K(flat_kind) kind,
                                          const void *const *lines, int64_t p, int64_t to, ptrdiff_t period,
                                          const REAL *w, REAL *y) {
    const K(flat_kind) narrow = {3, 3, 1, kind.rows, 1, 0, 0};
    const VEC bias = V(load)(w);
    VEC weight[9];
    UNROLL for (int k = 0; k < 9; k++)
        weight[k] = V(keep)(V(load)(w + (1 + k) * WIDTH));
    for (; kind.vectors > 1 && p + (kind.vectors - 1) * period < to; p += kind.vectors * period)
        K(flat_square)(call, kind, lines, p, period, weight, bias, y);
    for (; p < to; p += period)
        K(flat_square)(call, narrow, lines, p, period, weight, bias, y);
}

/*
 * `kind.rows` rows from r on. A stretch of a few periods is done phase by phase: the shorter it is, the more
 * evenly lines are read.
 */
static ALWAYS_INLINE void K(flat_band)(const cgc_flat_rows *call, const K(flat_kind) kind, int64_t r) {
    const int64_t group = (1 + call->kh * call->kw) * WIDTH, period = call->phases * WIDTH;
    const int64_t whole = (call->cols - 1) / WIDTH * WIDTH; /* all but the last vector */
    const void *const *lines = call->lines + r * call->row;
    REAL *y = (REAL *)call->y + r * call->y_row;
    const MASK mask = V(first)(call->cols);
    const K(flat_kind) narrow = {kind.kh, kind.kw, kind.shared, kind.rows, 1, kind.masked, kind.image};
    const REAL *last = (const REAL *)call->w + call->phases * group;
    if (kind.masked) {
        K(flat_tile)(call, narrow, lines, 0, period, mask, last, y);
        return;
    }
    const int64_t stretch = kind.vectors * period;
    for (int64_t from = 0; from < whole; from += stretch) {
        const int64_t to = from + stretch < whole ? from + stretch : whole;
        for (int64_t phase = 0; phase < call->phases; phase++) {
            const REAL *w = (const REAL *)call->w + phase * group;
            int64_t p = from + phase * WIDTH;
            if (kind.image) {
                for (; p + (kind.vectors - 1) * period < to; p += kind.vectors * period)
                    K(flat_image)(call, kind, lines, p, w, y);
                for (; p < to; p += period)
                    K(flat_image)(call, narrow, lines, p, w, y);
                continue;
            }
            if (kind.kh == 3) {
                K(flat_squares)(call, kind, lines, p, to, period, w, y);
                continue;
            }
            for (; p + (kind.vectors - 1) * period < to; p += kind.vectors * period)
                K(flat_tile)(call, kind, lines, p, period, mask, w, y);
            for (; p < to; p += period)
                K(flat_tile)(call, narrow, lines, p, period, mask, w, y);
        }
    }
    if (kind.image)
        K(flat_image)(call, narrow, lines, call->cols - WIDTH, last, y);
    else if (kind.kh == 3)
        K(flat_squares)(call, narrow, lines, call->cols - WIDTH, call->cols, period, last, y);
    else
        K(flat_tile)(call, narrow, lines, call->cols - WIDTH, period, mask, last, y);
}

typedef void K(flat_fn)(const cgc_flat_rows *call, int64_t r);
#define KERNEL(name, ...) \
    static void K(name)(const cgc_flat_rows *call, int64_t r) { K(flat_band)(call, (K(flat_kind)){__VA_ARGS__}, r); }
#if REGISTERS >= 32
#define HIGH 6
#define WIDE 4
KERNEL(flat_3, .kh = 3, .kw = 3, .shared = 1, .rows = 8, .vectors = 2)
KERNEL(flat_5, .kh = 5, .kw = 5, .shared = 1, .rows = HIGH, .vectors = WIDE)
KERNEL(flat_7, .kh = 7, .kw = 7, .shared = 1, .rows = HIGH, .vectors = WIDE)
#else
#define HIGH 3
#define WIDE 3
#endif
#if REGISTERS >= 16 && REGISTERS < 32
KERNEL(flat_image_3, .kh = 3, .kw = 3, .image = 1, .rows = HIGH, .vectors = 4)
KERNEL(flat_image_5, .kh = 5, .kw = 5, .image = 1, .rows = HIGH, .vectors = 4)
KERNEL(flat_image_7, .kh = 7, .kw = 7, .image = 1, .rows = HIGH, .vectors = 4)
#endif
#if REGISTERS >= 16
KERNEL(flat_high, .shared = 1, .rows = 4, .vectors = WIDE)
KERNEL(flat_high_few, .shared = 1, .rows = 4, .vectors = 1, .masked = 1)
#endif
KERNEL(flat_any, .rows = 1, .vectors = 4)
KERNEL(flat_any_few, .rows = 1, .vectors = 1, .masked = 1)
#undef KERNEL

static void K(flat)(const cgc_flat_rows *call) {
    const int few = call->cols < WIDTH;
    K(flat_fn) *one = few ? K(flat_any_few) : K(flat_any), *band = one;
    int64_t high = 1;
    if (call->cols < 1) return;
#if REGISTERS >= 16
    const int shares = call->row == 1 && call->u == 1;
    if (shares && call->kh >= 3)
        band = few ? K(flat_high_few) : K(flat_high), high = 4;
    const int known = shares && !few && call->kh == call->kw;
#if REGISTERS >= 32
    if (known && call->kh == 3 && call->rows >= 8) band = K(flat_3), high = 8;
    if (known && call->kh == 5 && call->rows >= HIGH) band = K(flat_5), high = HIGH;
    if (known && call->kh == 7 && call->rows >= HIGH) band = K(flat_7), high = HIGH;
#else
    int image = known && call->phases == 3 && call->rows >= HIGH;
    for (int64_t v = 0; v < call->kw && image; v++)
        image = call->off[v] == 3 * v;
    if (image) {
        if (call->kh == 3) band = K(flat_image_3), high = HIGH;
        if (call->kh == 5) band = K(flat_image_5), high = HIGH;
        if (call->kh == 7) band = K(flat_image_7), high = HIGH;
    }
#endif
#endif
    if (call->rows < high) band = one, high = 1;
    for (int64_t r = 0; r < call->rows; r += high)
        band(call, r + high <= call->rows ? r : call->rows - high);
}
#undef HIGH
#undef WIDE
