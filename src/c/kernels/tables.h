/* The instruction sets that have a file of kernels. It must not know which of them this CPU can run, see select.c. */
#ifndef CGC_TABLES_H
#define CGC_TABLES_H

#include "kernels.h"

/* The table of a dtype; NULL if the file was compiled for another machine, or without the flags. */
const cgc_kernels *cgc_kernels_avx512(cgconv_dtype dtype);
const cgc_kernels *cgc_kernels_avx2(cgconv_dtype dtype);
const cgc_kernels *cgc_kernels_neon(cgconv_dtype dtype);
const cgc_kernels *cgc_kernels_scalar(cgconv_dtype dtype);
const cgc_kernels *cgc_kernels_nofma(cgconv_dtype dtype);

#endif
