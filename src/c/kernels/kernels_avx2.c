/* The kernels for AVX2 and FMA. It must not know what they compute: that is in the templates. */
#include "isa_avx2.h"

#ifdef ISA

#include "tables_template.h"

#else

const cgc_kernels *cgc_kernels_avx2(cgconv_dtype dtype) {
    (void)dtype;
    return NULL;
}

#endif
