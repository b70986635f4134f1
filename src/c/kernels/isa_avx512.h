/*
 * The vocabulary and the parameters of the kernels for AVX-512, whose files are built with -mavx512f -mavx512vl
 * -mavx512dq -mavx512bw -mfma. Without these ISA is not defined, and there are no kernels.
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
#define REDUCE_TERMS 6
#define STENCIL_GRADES
#define REGISTERS 32

#endif
