/* The stencils for NEON: apart, because they take as long to compile as all other kernels. */
#include "isa_neon.h"

#ifdef ISA
#include "stencils_template.h"
#endif
