/* The gradients for NEON: apart, because they take long to compile. */
#include "isa_neon.h"

#ifdef ISA
#include "gradients_template.h"
#endif
