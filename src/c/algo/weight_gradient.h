/*
 * The weight gradient: blocks of weights, each summed over the chunks of reduction.h in their order. Algorithms
 * differ only in the feed that hands pixels to the reduce kernel; it must not know how a feed gets them.
 */
#ifndef CGC_WEIGHT_GRADIENT_H
#define CGC_WEIGHT_GRADIENT_H

#include "correlation.h"
#include "reduction.h"

/*
 * Terms k0 .. k0+k-1 (of cg*kh*kw) of filters m0 .. m0+m-1 of group g; with the filters' bias too if `ones` is not
 * NULL, as one more term whose pixels are all 1.
 */
typedef struct cgc_weight_block {
    const cgc_run *run;
    cgc_correlation c; /* the forward correlation */
    int64_t g, m0, m, k0, k;
    const char *ones; /* as many as a feed's columns */
} cgc_weight_block;

/* Pixels for the reduce kernel: `count` columns of m rows at a (a_pitch apart) and of k rows at b + offsets[i]. */
typedef struct cgc_pixels {
    int64_t count;
    const char *a, *b;
    ptrdiff_t a_pitch;
    const ptrdiff_t *offsets;
} cgc_pixels;

typedef struct cgc_feed {
    int64_t m, k;     /* filters and terms of a block, at most */
    int64_t columns;  /* pixels handed over at a time, at most; a multiple of every lane count */
    size_t workspace; /* bytes of a thread for `feed`, a multiple of CGC_ALIGN */
    /*
     * Hands over all pixels of a chunk, row pieces that begin at a multiple of the lanes, by calls of
     * cgc_reduce_pixels.
     */
    void (*feed)(const struct cgc_feed *feed, const cgc_weight_block *block, cgc_chunk chunk, char *workspace,
                 void *sums);
} cgc_feed;

/* Adds the products of these pixels to the sums. */
void cgc_reduce_pixels(const cgc_weight_block *block, const cgc_pixels *pixels, void *sums);

/* Workspace of a run with this feed, and the run. The feed's fields depend on the geometry and kernels alone. */
cgc_booking cgc_weight_gradient_book(const cgc_geometry *s, const cgc_kernels *kernels, const cgc_feed *feed,
                                     int threads);
void cgc_weight_gradient(const cgc_run *run, const cgc_feed *feed);

/* The feed by im2col, a panel at a time, for every problem. */
cgc_feed cgc_packed_feed(const cgc_geometry *s);

#endif
