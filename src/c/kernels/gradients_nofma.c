/* The gradients of isa_nofma.h: apart, because they take long to compile. */
#include "isa_nofma.h"

#include "gradients_template.h"
