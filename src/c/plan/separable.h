/*
 * Two plans -> one: a channel-wise forward pass and the pointwise one that reads its result, tile by tile, so that
 * the intermediate never leaves the cache. It must not know how an algorithm works.
 */
#ifndef CGC_SEPARABLE_H
#define CGC_SEPARABLE_H

#include "explain.h"
#include "plan.h"

/* One of the two passes. */
typedef struct cgc_stage {
    cgc_geometry geometry; /* of all of it; that of a part is made for each tile */
    const cgc_algorithm *algorithm;
    cgc_extent weight, bias;
    cgc_packing packing; /* of the weights, which are packed once for all tiles; its form is 0 if they are not */
    int threads;         /* where the pass goes over all of it */
} cgc_stage;

struct cgconv_separable {
    cgc_stage channelwise, pointwise;
    const cgc_kernels *kernels;
    cgc_extent x, y;
    int threads;
    int64_t images, rows, cols; /* of the output */
    int64_t tile_images, tile_rows, tile_cols;
    int64_t stacks, row_tiles, col_tiles; /* of images; of an image */
    int crew;                            /* threads of a tile: one of them, or all where there is a single tile */
    size_t intermediate;                 /* bytes of a tile of it */
    cgc_booking scratch;                 /* of a part of a pass, for the crew */
    size_t packed, local;                /* bytes: of packed weights, and for each tile at work */
    size_t workspace;                    /* bytes at any address that hold all of it, aligned */
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
