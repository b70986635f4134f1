/* The stencils of isa_nofma.h: apart, because they take as long to compile as all other kernels. */
#include "isa_nofma.h"

#include "stencils_template.h"
