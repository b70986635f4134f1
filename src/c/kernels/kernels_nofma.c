/* The kernels of isa_nofma.h. It must not know what they compute: that is in the templates. */
#include "isa_nofma.h"

#include "tables_template.h"
