/* The gradients for AVX2 and FMA: apart, because they take long to compile. */
#include "isa_avx2.h"

#ifdef ISA
#include "gradients_template.h"
#endif
