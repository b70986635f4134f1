/*
 * The vocabulary and the parameters of the kernels for AVX2 and FMA, whose files are built with -mavx2 -mfma. Without
 * these ISA is not defined, and there are no kernels.
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
#define PRODUCT_CELLS
#define PRODUCT_GATHERS
#define REDUCE_TERMS 3
#define REGISTERS 16
#define STREAMS

#endif
