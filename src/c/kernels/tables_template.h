/* The two kernel tables of one instruction set: all templates for f32, then for f64. Parameters: words_template.h. */
#include "words_template.h"

#define DTYPE f32
#define REAL float
#define LANES CGC_LANES_F32
#include "dtype_template.h"
#undef DTYPE
#undef REAL
#undef LANES

#define DTYPE f64
#define REAL double
#define LANES CGC_LANES_F64
#include "dtype_template.h"

const cgc_kernels *EXPAND2(cgc_kernels, ISA)(cgconv_dtype dtype) {
    return dtype == CGCONV_FLOAT32 ? &EXPAND4(cgc, table, f32, ISA) : &EXPAND4(cgc, table, f64, ISA);
}
