/* The kernels for AVX-512. It must not know what they compute: that is in the templates. */
#include "isa_avx512.h"

#ifdef ISA

#include "tables_template.h"

#else

const cgc_kernels *cgc_kernels_avx512(cgconv_dtype dtype) {
    (void)dtype;
    return NULL;
}

#endif
