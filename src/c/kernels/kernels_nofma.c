/* The kernels in plain C for CPUs without fused multiply-add. Their bits differ from those of all other tables. */
#define CGC_NOFMA
#include "simd_scalar.h"
#include "tables.h"

#define ISA nofma
#define FUSED 0
#define GEMM_ROWS 4
#define GEMM_VECTORS 4
#define REDUCE_TAPS_1 1
#define REDUCE_TAPS_2 1
#include "tables_template.h"
