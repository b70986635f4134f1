/*
 * Moves of pixels between arrays of different steps, see kernels.h.
 * They must not know what the arrays are.
 *
 * Parameters: those of words_template.h.
 */
static void K(gather)(void *y_, const void *x_, ptrdiff_t x_step, int64_t count) {
    REAL *y = y_;
    const REAL *x = x_;
    if (x_step == 1) {
        for (int64_t p = 0; p < count; p++)
            y[p] = x[p];
    } else {
        for (int64_t p = 0; p < count; p++)
            y[p] = x[p * x_step];
    }
}

static void K(fill)(void *y_, double value, int64_t count) {
    REAL *y = y_;
    for (int64_t p = 0; p < count; p++)
        y[p] = (REAL)value;
}

static void K(store)(void *y_, ptrdiff_t y_step, const void *x_, int64_t count, double lo_, double hi_) {
    REAL *y = y_;
    const REAL *x = x_;
    const REAL lo = (REAL)lo_, hi = (REAL)hi_;
    if (y_step == 1 && count >= WIDTH) {
        const VEC low = V(set)(lo), high = V(set)(hi);
        for (int64_t p = 0; p < count - WIDTH; p += WIDTH)
            V(store)(y + p, V(clamp)(V(load)(x + p), low, high));
        V(store)(y + count - WIDTH, V(clamp)(V(load)(x + count - WIDTH), low, high));
        return;
    }
    for (int64_t p = 0; p < count; p++) {
        const REAL t = lo > x[p] ? lo : x[p];
        y[p * y_step] = hi < t ? hi : t;
    }
}

#ifdef STREAMS
/* Whole cache lines go past the caches: of a part of one, memory would be read after all. */
static void K(stream)(void *y_, const void *x_, int64_t count) {
    enum { LINE = CGC_LINE_BYTES / sizeof(REAL) };
    REAL *y = y_;
    const REAL *x = x_;
    int64_t p = 0;
    for (; p < count && (uintptr_t)(y + p) % CGC_LINE_BYTES != 0; p++)
        y[p] = x[p];
    for (; p + LINE <= count; p += LINE)
        UNROLL for (int i = 0; i < LINE; i += WIDTH)
            V(stream)(y + p + i, V(load)(x + p + i));
    for (; p < count; p++)
        y[p] = x[p];
    streams_end();
}
#endif

static void K(add)(void *y_, ptrdiff_t y_step, const void *x_, int64_t count) {
    REAL *y = y_;
    const REAL *x = x_;
    int64_t p = 0;
    if (y_step == 1)
        for (; p + WIDTH <= count; p += WIDTH)
            V(store)(y + p, V(add)(V(load)(y + p), V(load)(x + p)));
    for (; p < count; p++)
        y[p * y_step] += x[p];
}

static void K(add_lines)(int64_t rows, int64_t cols, const void *x_, ptrdiff_t x_pitch, void *y_, ptrdiff_t y_pitch,
                         ptrdiff_t y_step) {
    const REAL *x = x_;
    REAL *y = y_;
    for (int64_t i = 0; i < rows; i++, x += x_pitch, y += y_pitch) {
        int64_t j = 0;
        if (y_step == 1)
            for (; j + WIDTH <= cols; j += WIDTH)
                V(store)(y + j, V(add)(V(load)(y + j), V(load)(x + j)));
        for (; j < cols; j++)
            y[j * y_step] += x[j];
    }
}

/* A dense line of `cols` elements. */
static ALWAYS_INLINE void K(copy_line)(REAL *y, const REAL *x, int64_t cols) {
    int64_t p = 0;
    if (cols < WIDTH) {
        V(store_first)(V(first)(cols), y, V(load_first)(V(first)(cols), x));
        return;
    }
    for (; p + WIDTH < cols; p += WIDTH)
        V(store)(y + p, V(load)(x + p));
    V(store)(y + cols - WIDTH, V(load)(x + cols - WIDTH));
}

/* A dense line into its elements of even and of odd place. */
static ALWAYS_INLINE void K(split_line)(REAL *even, REAL *odd, const REAL *x, int64_t cols) {
    int64_t p = 0;
    while (cols >= 2 * WIDTH && 2 * p < cols - 1) {
        const VEC a = V(load)(x + 2 * p), b = V(load)(x + 2 * p + WIDTH);
        V(store)(even + p, V(even)(a, b));
        V(store)(odd + p, V(odd)(a, b));
        p += WIDTH;
        if (2 * (p + WIDTH) > cols && 2 * p < cols - 1) /* the last ones move back, to end with the line */
            p = cols / 2 - WIDTH;
    }
    for (; 2 * p < cols; p++) {
        even[p] = x[2 * p];
        if (2 * p + 1 < cols)
            odd[p] = x[2 * p + 1];
    }
}

static void K(lines)(int64_t rows, int64_t cols, const void *x_, ptrdiff_t x_pitch, ptrdiff_t x_step, void *y_,
                     ptrdiff_t y_pitch, int64_t first, int64_t step, ptrdiff_t phase) {
    const REAL *x = x_;
    REAL *y = y_;
    for (int64_t i = 0; i < rows; i++, x += x_pitch, y += y_pitch) {
        if (x_step == 1 && step == 1) {
            K(copy_line)(y + first, x, cols);
        } else if (x_step == 1 && step == 2) {
            K(split_line)(y + first % 2 * phase + first / 2, y + (first + 1) % 2 * phase + (first + 1) / 2, x, cols);
        } else if (step == 1) {
            for (int64_t j = 0; j < cols; j++)
                y[first + j] = x[j * x_step];
        } else {
            for (int64_t j = 0; j < cols; j++)
                y[(first + j) % step * phase + (first + j) / step] = x[j * x_step];
        }
    }
}

/* The elements of a line in turn from `even` and from `odd`. */
static ALWAYS_INLINE void K(join_line)(REAL *y, const REAL *even, const REAL *odd, int64_t cols) {
    int64_t p = 0;
    while (cols >= 2 * WIDTH && 2 * p < cols - 1) {
        const VEC a = V(load)(even + p), b = V(load)(odd + p);
        V(store)(y + 2 * p, V(zip_low)(a, b));
        V(store)(y + 2 * p + WIDTH, V(zip_high)(a, b));
        p += WIDTH;
        if (2 * (p + WIDTH) > cols && 2 * p < cols - 1) /* the last ones move back, to end with the line */
            p = cols / 2 - WIDTH;
    }
    for (; 2 * p < cols; p++) {
        y[2 * p] = even[p];
        if (2 * p + 1 < cols)
            y[2 * p + 1] = odd[p];
    }
}

static void K(weave)(int64_t rows, int64_t cols, const void *x_, ptrdiff_t x_pitch, ptrdiff_t phase, int64_t step,
                     void *y_, ptrdiff_t y_pitch) {
    const REAL *x = x_;
    REAL *y = y_;
    for (int64_t i = 0; i < rows; i++, x += x_pitch, y += y_pitch) {
        if (step == 2) {
            K(join_line)(y, x, x + phase, cols);
            continue;
        }
        for (int64_t q = 0; q < step; q++)
            for (int64_t j = q; j < cols; j += step)
                y[j] = x[q * phase + j / step];
    }
}

/* n elements of a line, each twice: compilers know how to do it with vectors. */
static void K(double_line)(REAL *restrict y, const REAL *restrict x, int64_t n) {
    for (int64_t p = 0; p < n; p++)
        y[2 * p] = y[2 * p + 1] = x[p];
}

/* At most a vector of what `spread` copies. */
static void K(spread_vector)(int64_t count, const void *const *src, int64_t n, int64_t times, int64_t first, REAL *y,
                             ptrdiff_t y_pitch) {
    int32_t lane[WIDTH];
    for (int64_t p = 0; p < WIDTH; p++)
        lane[p] = p < n ? (int32_t)((first % times + p) / times) : -1;
    const INDEX index = V(load_index)(lane);
    const MASK within = V(within)(index), taken = V(first)(lane[n - 1] + 1), all = V(first)(n);
    for (int64_t e = 0; e < count; e++, y += y_pitch)
        V(store_first)(all, y, V(pick_or_zero)(index, within,
                                               V(load_first)(taken, (const REAL *)src[e] + first / times)));
}

static void K(spread)(int64_t count, const void *const *src, int64_t n, int64_t times, int64_t first, void *y_,
                      ptrdiff_t y_pitch) {
    REAL *y = y_;
    if (times == 1) {
        for (int64_t e = 0; e < count; e++, y += y_pitch)
            K(copy_line)(y, (const REAL *)src[e] + first, n);
    } else if (times == 2 && first % 2 == 0 && n % 2 == 0) {
        for (int64_t e = 0; e < count; e++, y += y_pitch)
            K(double_line)(y, (const REAL *)src[e] + first / 2, n / 2);
    } else {
        for (int64_t p = 0; p < n; p += WIDTH)
            K(spread_vector)(count, src, n - p < WIDTH ? n - p : WIDTH, times, first + p, y + p, y_pitch);
    }
}
