/* The kernels of isa_scalar.h. It must not know what they compute: that is in the templates. */
#include "isa_scalar.h"

#include "tables_template.h"
