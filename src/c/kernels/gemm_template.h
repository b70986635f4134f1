/*
 * The micro-kernel of matrix products, see kernels.h.
 * It must not know how its operands were packed.
 *
 * Parameters: those of words_template.h, among them
 *   GEMM_ROWS, GEMM_VECTORS   the tile. Its rows x vectors accumulators, the vectors of b and one broadcast weight
 *                             together fill the register file.
 */
static void K(gemm)(int64_t k, const void *w_, const void *b_, const ptrdiff_t *off, void *acc_, ptrdiff_t ld) {
    const REAL *w = w_;
    const REAL *b = b_;
    REAL *acc = acc_;
    VEC sum[GEMM_ROWS][GEMM_VECTORS];

    UNROLL for (int m = 0; m < GEMM_ROWS; m++)
        UNROLL for (int v = 0; v < GEMM_VECTORS; v++)
            sum[m][v] = V(load)(acc + m * ld + v * WIDTH);

    for (int64_t i = 0; i < k; i++) {
        const REAL *pixels = b + off[i];
        VEC x[GEMM_VECTORS];
        UNROLL for (int v = 0; v < GEMM_VECTORS; v++)
            x[v] = V(load)(pixels + v * WIDTH);
        UNROLL for (int m = 0; m < GEMM_ROWS; m++) {
            const VEC weight = V(set)(w[m]);
            UNROLL for (int v = 0; v < GEMM_VECTORS; v++)
                sum[m][v] = V(fma)(weight, x[v], sum[m][v]);
        }
        w += GEMM_ROWS;
    }

    UNROLL for (int m = 0; m < GEMM_ROWS; m++)
        UNROLL for (int v = 0; v < GEMM_VECTORS; v++)
            V(store)(acc + m * ld + v * WIDTH, sum[m][v]);
}
