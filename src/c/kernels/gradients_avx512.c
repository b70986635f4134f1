/* The gradients for AVX-512: apart, because they take long to compile. */
#include "isa_avx512.h"

#ifdef ISA
#include "gradients_template.h"
#endif
