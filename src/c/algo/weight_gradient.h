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
 * filters. Term i of filter j of group q has its total at weight[q*w_g + j*w_m + i], and that filter's bias, if it is
 * wanted, at bias[q*b_g + j]. If `fresh`, they count as 0 before.
 */
typedef struct cgc_weight_block {
    const cgc_run *run;
    cgc_correlation c; /* the forward correlation */
    cgc_chunks chunks;
    int64_t g, groups, m0, m, k0, k;
    char *weight, *bias; /* bias: NULL if it is not wanted */
    ptrdiff_t w_g, w_m, b_g;
    int fresh, again; /* again: the last block of the workspace had the same chunk, and no fewer terms and groups */
    cgc_ahead *ahead; /* what is read after this chunk */
} cgc_weight_block;

typedef struct cgc_feed {
    int64_t groups, m, k; /* groups, filters and terms of a block, at most; */
    int64_t k_apart;      /* and terms where the totals are not dw itself */
    int64_t totals;       /* elements to be booked for those, at least groups * m * (k_apart + 1) */
    size_t workspace;     /* bytes of a thread for `feed`, a multiple of CGC_ALIGN */
    /* Adds a chunk's sums to the totals of a block. */
    void (*feed)(const cgc_weight_block *block, cgc_chunk chunk, char *workspace);
} cgc_feed;

/* Whether the terms of a filter are neighbours in dw, so that totals can be summed there. */
static inline int cgc_weight_terms_are_neighbours(const cgc_geometry *s) {
    return (s->wv == 1 || s->kw == 1) && (s->wu == s->kw || s->kh == 1) && (s->wc == s->kh * s->kw || s->cg == 1);
}

/* The lines of a chunk of groups g .. g+groups-1, or of some of its planes, where they are runs. */
void cgc_weight_look_ahead(const cgc_run *run, int64_t g, int64_t groups, cgc_chunk chunk, cgc_ahead *ahead);

/* Adds lines of some channels of a chunk, or any memory: they are called for before what is there. */
void cgc_weight_call_for_x(const cgc_run *run, int64_t first, int64_t count, cgc_chunk chunk, cgc_ahead *ahead);
void cgc_weight_call_for_dy(const cgc_run *run, int64_t first, int64_t count, cgc_chunk chunk, cgc_ahead *ahead);
void cgc_weight_call_for(const void *at, int64_t bytes, cgc_ahead *ahead);

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
