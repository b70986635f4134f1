/*
 * The vocabulary and the parameters of the kernels for NEON, which need no flags on AArch64. Elsewhere ISA is not
 * defined, and there are no kernels.
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
#define REDUCE_TERMS 6
#define REGISTERS 32

#endif
