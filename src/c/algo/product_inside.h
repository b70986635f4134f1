/*
 * Products without the terms that meet nothing but padding of 0. It must not know where sources and weights come from.
 *
 * A finite weight times 0 is a zero, and adding a zero changes no sum but -0, to 0. A sum of -0 and one of 0 grow into
 * the same sum with the first product that is not 0. So it is safe to leave such terms out if the weights are finite
 * and the sum is not 0 in the end; otherwise it is computed again with all terms.
 */
#ifndef CGC_PRODUCT_INSIDE_H
#define CGC_PRODUCT_INSIDE_H

#include "correlation.h"

/* Whether terms that meet padding may be left out. */
int cgc_inside_serves(const cgc_correlation *c);

/* The mean share of terms that meet no padding; 1 if all have to be taken. */
double cgc_inside_share(const cgc_correlation *c);

/*
 * gemm_outputs for output rows from i and columns from j on of a correlation that is served. The bias of outputs that
 * fill up a vector must not be 0.
 */
void cgc_inside_outputs(const cgc_kernels *kernels, const cgc_correlation *c, const cgc_product *product, int64_t i,
                        int64_t j);

#endif
