/* The gradients of isa_scalar.h: apart, because they take long to compile. */
#include "isa_scalar.h"

#include "gradients_template.h"
