/*
 * The kernels for NEON; they need no flags on AArch64, and are without tables elsewhere.
 * It must not know what they compute: that is in the templates.
 */
#include "tables.h"

#if defined(__aarch64__) && defined(__ARM_NEON)

#include "simd_neon.h"

#define ISA neon
#define FUSED 1
#define GEMM_ROWS 8
#define GEMM_VECTORS 3
#define PRODUCT_REGISTERS 30
#define PRODUCT_OUTPUTS 8
#define PRODUCT_PIXELS 12
#define REDUCE_TAPS_1 6
#define REDUCE_TAPS_2 3
#define REGISTERS 32
#include "tables_template.h"

#else

const cgc_kernels *cgc_kernels_neon(cgconv_dtype dtype) {
    (void)dtype;
    return NULL;
}

#endif
