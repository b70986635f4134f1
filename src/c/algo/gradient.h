/*
 * Channel-wise weight gradients, one channel per group: sums over one chunk of reduction.h at a time. The ways to get
 * them differ in what a vector holds; they must not know how chunks are joined, nor threads.
 */
#ifndef CGC_ALGO_GRADIENT_H
#define CGC_ALGO_GRADIENT_H

#include "correlation.h"
#include "reduction.h"

/* Planes o .. o+planes-1 of dy. Their totals are weights, [planes][kh*kw], and, if the run has one, bias, [planes]. */
typedef struct cgc_gradient_block {
    const cgc_run *run;
    int64_t o, planes;
    char *weight, *bias; /* bias: NULL if there is none */
} cgc_gradient_block;

typedef struct cgc_gradient_way {
    int (*serves)(const cgc_geometry *s, const cgc_kernels *kernels);
    int64_t (*planes)(const cgc_geometry *s, const cgc_kernels *kernels);   /* of a block, at most */
    /* Of a first block, so that those behind it lie well in memory; 0: all lie alike. */
    int64_t (*lead)(const cgc_run *run);
    int64_t (*grain)(const cgc_kernels *kernels);                           /* a task has a multiple of it */
    size_t (*workspace)(const cgc_geometry *s, const cgc_kernels *kernels); /* of a thread, a multiple of CGC_ALIGN */
    /* Prepares what all blocks of a run share, in `workspace`. */
    void (*open)(const cgc_run *run, char *workspace);
    /* Adds the sums of a chunk to the totals. */
    void (*add_chunk)(const cgc_gradient_block *block, const cgc_chunk *chunk, char *workspace);
} cgc_gradient_way;

/* Vectors over pixels: planes whose lines are read where they stand, or through a panel. */
extern const cgc_gradient_way cgc_gradient_by_lines;

/* Whether it turns channels that are neighbours into planes; then it is mostly faster than the other way. */
int cgc_gradient_turns(const cgc_geometry *s, const cgc_kernels *kernels);

/* Vectors over channels, where these are neighbours: pixels are read where they stand, or laid. */
extern const cgc_gradient_way cgc_gradient_by_pixels;

/* Whether it lays pixels, under small filters; then it is faster than to turn them. */
int cgc_gradient_lays(const cgc_geometry *s, const cgc_kernels *kernels);

/* backward_weight of groups of one channel, where one of the two serves. */
int cgc_channelwise_gradient_serves(const cgc_geometry *s, const cgc_kernels *kernels);
cgc_booking cgc_channelwise_gradient_book(const cgc_geometry *s, const cgc_kernels *kernels, int threads);
void cgc_channelwise_gradient_run(const cgc_run *run);

#endif
