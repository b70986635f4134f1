/*
 * The kernels for AVX-512; built with -mavx512f -mavx512vl -mavx512dq -mavx512bw -mfma, without tables else.
 * It must not know what they compute: that is in the templates.
 */
#include "tables.h"

#if defined(__AVX512F__) && defined(__AVX512VL__) && defined(__AVX512DQ__) && defined(__AVX512BW__)

#include "simd_avx512_short.h"

#define ISA avx512
#define FUSED 1
#define GEMM_ROWS 8
#define GEMM_VECTORS 3
#define PRODUCT_REGISTERS 32
#define PRODUCT_OUTPUTS 8
#define PRODUCT_PIXELS 14
#define REDUCE_TAPS_1 8
#define REDUCE_TAPS_2 6
#define STENCIL_GRADES
#define REGISTERS 32
#include "tables_template.h"

#else

const cgc_kernels *cgc_kernels_avx512(cgconv_dtype dtype) {
    (void)dtype;
    return NULL;
}

#endif
