/*
 * Two plans -> one: a channel-wise forward pass and the pointwise one that reads its result, tile by tile, so that
 * the intermediate never leaves the cache. It must not know how an algorithm works.
 */
#ifndef CGC_SEPARABLE_H
#define CGC_SEPARABLE_H

#include "explain.h"
#include "plan.h"

/* One of the two passes, on a tile. */
typedef struct cgc_stage {
    cgc_geometry geometry; /* of one image; what depends on the tile is set for each */
    const cgc_algorithm *algorithm;
    cgc_extent weight, bias;
} cgc_stage;

struct cgconv_separable {
    cgc_stage channelwise, pointwise;
    const cgc_kernels *kernels;
    cgc_extent x, y;
    int threads;
    int64_t images, rows, cols; /* of the output */
    int64_t tile_rows, tile_cols, row_tiles, col_tiles;
    size_t intermediate; /* bytes of a tile of it */
    cgc_booking scratch; /* of one part of a pass, which one thread runs */
    size_t local;        /* bytes of a thread: both */
    size_t workspace;    /* bytes at any address that hold those of all threads, aligned */
};

/* The arrays of a run; all checks have been made. */
typedef struct cgc_separable_run {
    const cgconv_separable *separable;
    const char *x, *weight[2], *bias[2]; /* of the channel-wise pass, then of the pointwise one */
    char *y, *memory;
} cgc_separable_run;

/* Fills in *separable; allocates nothing. */
cgconv_status cgc_separable_init(cgconv_separable *separable, const cgconv_plan *channelwise,
                                 const cgconv_plan *pointwise, cgc_why why);

void cgc_separable_forward(const cgc_separable_run *run);

#endif
