/*
 * The vocabulary and the parameters of the kernels in plain C, exact on every machine; slow where libm has
 * to do the fused multiply-add.
 */
#include "tables.h"

#include "simd_scalar.h"

#define ISA scalar
#define FUSED 1
#define GEMM_ROWS 4
#define GEMM_VECTORS 4
#define PRODUCT_REGISTERS 21
#define PRODUCT_OUTPUTS 4
#define PRODUCT_PIXELS 8
#define REDUCE_TERMS 3
#define REGISTERS 8
