/* The stencils for AVX-512: apart, because they take as long to compile as all other kernels. */
#include "isa_avx512.h"

#ifdef ISA
#include "stencils_template.h"
#endif
