/*
 * Joining the lanes of all sums of a gradient, for the kernel `join`. It must not know what was summed.
 *
 * Parameters: those of words_template.h; join_template.h comes before it.
 */

/* y[p < count] += the sums of parts * WIDTH lanes. */
static ALWAYS_INLINE void K(join_all)(REAL *y, const REAL *acc, const int parts, int64_t count) {
    const ptrdiff_t pitch = parts * WIDTH;
    int64_t p = 0;
    for (; p + WIDTH <= count; p += WIDTH)
        V(store)(y + p, V(add)(V(load)(y + p), K(join_outputs)(acc + p * pitch, parts, WIDTH, pitch)));
    if (p < count) {
        const MASK mask = V(first)(count - p);
        REAL last[WIDTH * LANES];
        memset(last, 0, sizeof last);
        memcpy(last, acc + p * pitch, (size_t)((count - p) * pitch) * sizeof(REAL));
        V(store_first)(mask, y + p, V(add)(V(load_first)(mask, y + p), K(join_outputs)(last, parts, WIDTH, pitch)));
    }
}
