/*
 * Correlations of a pass as matrix products whose sums never leave the registers, by the kernels `gemm_pixels` or
 * `gemm_outputs`. It must not know padding modes, nor which of the two is chosen.
 */
#ifndef CGC_PRODUCT_H
#define CGC_PRODUCT_H

#include "algo.h"

typedef enum cgc_product_kind { CGC_BY_PIXELS, CGC_BY_OUTPUTS } cgc_product_kind;

/* Whether a product of this kind serves the pass, forward or backward_input, but for the folding of its pads. */
int cgc_product_serves(const cgc_geometry *geometry, cgconv_pass pass);

/* What it takes on one core, in multiply-adds of one vector; only the ratio of two of them has a meaning. */
double cgc_product_cost(const cgc_geometry *geometry, const cgc_kernels *kernels, cgc_product_kind kind,
                        cgconv_pass pass);

cgc_booking cgc_product_book(const cgc_geometry *geometry, const cgc_kernels *kernels, cgc_product_kind kind,
                             cgconv_pass pass, int threads);
void cgc_product_run(const cgc_run *run, cgc_product_kind kind);

/* Weights packed once for many runs. */
cgc_packing cgc_product_packing(const cgc_geometry *geometry, const cgc_kernels *kernels, cgc_product_kind kind);
void cgc_product_pack(const cgc_geometry *geometry, const cgc_kernels *kernels, cgc_product_kind kind, int threads,
                      const char *weight, char *packed);

#endif
