/*
 * Weights packed once for many runs of the forward pass: a tag that says what they are, then the numbers in the form
 * that the algorithm wants. It must not know those forms.
 */
#ifndef CGC_PACKED_H
#define CGC_PACKED_H

#include "plan.h"

/* Bytes of the tag and the numbers behind it. */
size_t cgc_packed_size(const cgconv_plan *plan);

void cgc_pack(const cgconv_plan *plan, const void *weight, void *packed);

/* Whether what begins here, of cgc_packed_size bytes, has the tag of weights for this plan. */
int cgc_packed_fits(const cgconv_plan *plan, const void *packed);

/* The forward pass; all checks have been made. */
void cgc_packed_run(const cgconv_plan *plan, const void *x, const void *packed, const void *bias, const void *y,
                    void *workspace);

#endif
