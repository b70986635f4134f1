/* The stencils for AVX2 and FMA: apart, because they take as long to compile as all other kernels. */
#include "isa_avx2.h"

#ifdef ISA
#include "stencils_template.h"
#endif
