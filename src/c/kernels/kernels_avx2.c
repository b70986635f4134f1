/*
 * The kernels for AVX2 and FMA; built with -mavx2 -mfma, without tables else.
 * It must not know what they compute: that is in the templates.
 */
#include "tables.h"

#if defined(__AVX2__) && defined(__FMA__)

#include "simd_avx2.h"

#define ISA avx2
#define FUSED 1
#define GEMM_ROWS 4
#define GEMM_VECTORS 3
#define PRODUCT_REGISTERS 16
#define PRODUCT_OUTPUTS 4
#define PRODUCT_PIXELS 6
#define REDUCE_TAPS_1 6
#define REDUCE_TAPS_2 3
#define REGISTERS 16
#include "tables_template.h"

#else

const cgc_kernels *cgc_kernels_avx2(cgconv_dtype dtype) {
    (void)dtype;
    return NULL;
}

#endif
