/*
 * The vocabulary and the parameters of the kernels in plain C for CPUs without fused multiply-add; their bits
 * differ from those of all other tables.
 */
#include "tables.h"

#define CGC_NOFMA
#include "simd_scalar.h"

#define ISA nofma
#define FUSED 0
#define GEMM_ROWS 4
#define GEMM_VECTORS 4
#define PRODUCT_REGISTERS 21
#define PRODUCT_OUTPUTS 4
#define PRODUCT_PIXELS 8
#define REDUCE_TERMS 3
#define REGISTERS 8
