/*
 * Products without the terms that meet nothing but padding of 0. It must not know where sources and weights come from.
 *
 * A finite weight times 0 is a zero, and adding a zero changes no sum but -0, to 0. A sum of -0 and one of 0 grow into
 * the same sum with the first product that is not 0. So it is safe to leave such terms out if the weights are finite
 * and the sum is not 0 in the end; otherwise it must be computed with all terms.
 */
#ifndef CGC_PRODUCT_INSIDE_H
#define CGC_PRODUCT_INSIDE_H

#include "correlation.h"

/*
 * Whether all terms that meet padding may be left out: it is of 0, and no columns but two at each end of a row meet
 * it. Then no padding is read.
 */
int cgc_inside_serves(const cgc_correlation *c);

/* The mean share of terms that meet no padding; 1 if none may be left out. */
double cgc_inside_share(const cgc_correlation *c);

/* The columns that leave out a term, for each term: see cgc_product. */
void cgc_inside_skips(const cgc_correlation *c, unsigned char *skips);

/*
 * The first rows of a product for gemm_outputs, output rows from i and columns from j on, that have the same terms:
 * without those that meet padding. If these are not all columns, they are at least two. The bias of outputs that fill
 * up a vector must not be 0.
 */
cgc_product cgc_inside_terms(const cgc_correlation *c, const cgc_product *product, int64_t i, int64_t j);

#endif
