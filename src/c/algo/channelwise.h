/* The ways of a channel-wise correlation, one channel per group. They must not know one another's means. */
#ifndef CGC_CHANNELWISE_H
#define CGC_CHANNELWISE_H

#include "correlation.h"

/* A way to run a forward or backward_input pass that it serves; workspace in bytes, for each thread. */
typedef struct cgc_way {
    int (*serves)(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass);
    size_t (*workspace)(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass);
    void (*run)(const cgc_run *run);
} cgc_way;

/* Vectors over pixels, for planes whose pixels are neighbours in memory; any other strides are gathered. */
extern const cgc_way cgc_planes;

/* The same where output rows share source lines: a line is read once for all rows of a tile. */
extern const cgc_way cgc_stencils;
int cgc_stencil_serves(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass);

/* The same for the pairs of columns that a horizontal stride of 2 makes. For backward_input. */
extern const cgc_way cgc_pairs_way;

/* Vectors over channels, for channels that are neighbours in memory. */
extern const cgc_way cgc_over_channels;

/* The same for planes: vectors of channels are turned first, and their results turned back. */
extern const cgc_way cgc_turned;

/* Vectors over pixels and channels together, for rows of few channels that are dense in the output. */
extern const cgc_way cgc_flat;

#endif
