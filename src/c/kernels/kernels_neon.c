/* The kernels for NEON. It must not know what they compute: that is in the templates. */
#include "isa_neon.h"

#ifdef ISA

#include "tables_template.h"

#else

const cgc_kernels *cgc_kernels_neon(cgconv_dtype dtype) {
    (void)dtype;
    return NULL;
}

#endif
