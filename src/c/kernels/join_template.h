/*
 * Joining the lanes of sums by halves, for the kernels of weight gradients. It must not know what was summed.
 *
 * Parameters: those of words_template.h.
 */

/*
 * The sums of WIDTH outputs, one in each lane; part h of output i is at lanes + h*pitch + i*step. Two vectors zipped
 * keep their halves apart, so that a step joins both at once; each halves the number of vectors.
 */
static ALWAYS_INLINE VEC K(join_outputs)(const REAL *lanes, const int parts, ptrdiff_t pitch, ptrdiff_t step) {
    VEC v[WIDTH];
    UNROLL for (int i = 0; i < WIDTH; i++) {
        VEC part[LANES / WIDTH];
        UNROLL for (int h = 0; h < parts; h++)
            part[h] = V(load)(lanes + h * pitch + i * step);
        UNROLL for (int half = parts / 2; half > 0; half /= 2)
            UNROLL for (int h = 0; h < half; h++)
                part[h] = V(add)(part[h], part[h + half]);
        v[i] = part[0];
    }
    UNROLL for (int count = WIDTH / 2; count > 0; count /= 2)
        UNROLL for (int i = 0; i < count; i++)
            v[i] = V(add)(V(zip_low)(v[i], v[i + count]), V(zip_high)(v[i], v[i + count]));
    return v[0];
}
