/*
 * geometry -> plan: an algorithm, a thread count and a workspace for each pass. It must not know how an algorithm
 * works.
 */
#ifndef CGC_PLAN_H
#define CGC_PLAN_H

#include "../algo/algo.h"
#include "geometry.h"

enum { CGC_PASSES = 3 };

typedef struct cgc_pass_plan {
    const cgc_algorithm *algorithm;
    cgc_booking booking;
    int threads;
    size_t workspace; /* bytes at any address that hold the booking, aligned */
} cgc_pass_plan;

struct cgconv_plan {
    cgc_geometry geometry;
    cgc_extents extents;
    int exchanged; /* height and width, in the geometry */
    const cgc_kernels *kernels;
    cgc_pass_plan passes[CGC_PASSES];
};

/* Fills in a plan; allocates nothing. */
cgconv_status cgc_plan_init(cgconv_plan *plan, const cgconv_spec *spec, const cgconv_options *options, cgc_why why);

/* An array without elements may be NULL. Algorithms add to what stands for it here, and read nothing. */
static inline char *cgc_array(const void *array) {
    static char nothing;
    return array ? (char *)array : &nothing;
}

/*
 * The arrays of a run by their meaning in the spec (x is dx in backward_input, and so on); all checks have been made.
 * If `packed` is not NULL it holds the weights as the algorithm of the forward pass packs them.
 */
void cgc_plan_run(const cgconv_plan *plan, cgconv_pass pass, const void *x, const void *weight, const char *packed,
                  const void *bias, const void *y, void *workspace);

#endif
