/*
 * Moves of pixels between arrays of different steps, see kernels.h.
 * They must not know what the arrays are.
 *
 * Parameters: those of tables_template.h.
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
