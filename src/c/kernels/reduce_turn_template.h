/*
 * The kernel `turn`, see kernels.h: rows that lie anywhere become columns. It must not know what they are.
 *
 * Parameters: those of words_template.h; where PRODUCT_CELLS is defined, the vocabulary has `load_turned_from`.
 */
static void K(turn_rows)(int64_t rows, int64_t cols, const void *x_, const ptrdiff_t *from, void *y_,
                         ptrdiff_t y_pitch) {
    const REAL *x = x_;
    REAL *y = y_;
#ifdef PRODUCT_CELLS
    if (rows >= WIDTH && cols >= TURNED) {
        for (int64_t i = 0; i < rows; i += WIDTH) {
            const int64_t r = rows - i < WIDTH ? rows - WIDTH : i; /* the last ones move back, of columns too */
            for (int64_t j = 0; j < cols; j += TURNED) {
                const int64_t c = cols - j < TURNED ? cols - TURNED : j;
                REAL *to = y + c * y_pitch + r;
                VEC t[TURNED];
                V(load_turned_from)(x + c, from + r, t);
                UNROLL for (int l = 0; l < TURNED; l++, to += y_pitch)
                    V(store)(to, t[l]);
            }
        }
        return;
    }
#endif
    for (int64_t j = 0; j < cols; j++)
        for (int64_t i = 0; i < rows; i++)
            y[j * y_pitch + i] = x[from[i] + j];
}
