/* The stencils of isa_scalar.h: apart, because they take as long to compile as all other kernels. */
#include "isa_scalar.h"

#include "stencils_template.h"
