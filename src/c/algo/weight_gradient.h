/*
 * The weight gradient: blocks of weights, each summed over the chunks of reduction.h in their order. Algorithms
 * differ only in the feed that adds a chunk's sums to a block's totals; it must not know how a feed gets them.
 */
#ifndef CGC_WEIGHT_GRADIENT_H
#define CGC_WEIGHT_GRADIENT_H

#include "correlation.h"
#include "reduction.h"

/*
 * Terms k0 .. k0+k-1 (of cg*kh*kw) of filters m0 .. m0+m-1 of groups g .. g+groups-1; if groups > 1, all terms of all
 * filters. With the filters' bias too if `bias`.
 */
typedef struct cgc_weight_block {
    const cgc_run *run;
    cgc_correlation c; /* the forward correlation */
    cgc_chunks chunks;
    int64_t g, groups, m0, m, k0, k;
    int bias;
} cgc_weight_block;

typedef struct cgc_feed {
    int64_t groups, m, k; /* groups, filters and terms of a block, at most */
    /* Of a block's totals: from group to group, filter to filter, term to term. The bias is behind the last term. */
    ptrdiff_t t_g, t_m, t_k;
    int64_t totals;   /* elements to be booked for them, at least groups * t_g */
    size_t workspace; /* bytes of a thread for `feed`, a multiple of CGC_ALIGN */
    /* Adds a chunk's sums to the totals of a block. */
    void (*feed)(const struct cgc_feed *feed, const cgc_weight_block *block, cgc_chunk chunk, char *workspace,
                 char *totals);
} cgc_feed;

/* Workspace of a run with this feed, and the run. The feed's fields depend on the geometry and kernels alone. */
cgc_booking cgc_weight_gradient_book(const cgc_geometry *s, const cgc_feed *feed, int threads);
void cgc_weight_gradient(const cgc_run *run, const cgc_feed *feed);

/* Feeds with vectors over pixels, for every problem, and over outputs, for those that are served. */
cgc_feed cgc_pixels_feed(const cgc_geometry *s, const cgc_kernels *kernels);
int cgc_outputs_feed_serves(const cgc_geometry *s, const cgc_kernels *kernels);
cgc_feed cgc_outputs_feed(const cgc_geometry *s, const cgc_kernels *kernels);

/* What they take on one core, in multiply-adds of one vector; only the ratio of the two has a meaning. */
double cgc_pixels_feed_cost(const cgc_geometry *s, const cgc_kernels *kernels);
double cgc_outputs_feed_cost(const cgc_geometry *s, const cgc_kernels *kernels);

#endif
