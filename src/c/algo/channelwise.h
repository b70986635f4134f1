/* The ways of a channel-wise correlation, one channel per group. They must not know the pass. */
#ifndef CGC_CHANNELWISE_H
#define CGC_CHANNELWISE_H

#include "correlation.h"

/* Vectors over pixels, for planes whose pixels are neighbours in memory; any other strides are gathered. */
size_t cgc_planes_workspace(const cgc_geometry *s);
void cgc_planes_run(const cgc_run *run);

/* The same where output rows share source lines: a line is read once for all rows of a tile. */
int cgc_stencil_serves(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass);
size_t cgc_stencil_workspace(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass);
void cgc_stencil_run(const cgc_run *run);

/* The same for the pairs of columns that a horizontal stride of 2 makes. For backward_input. */
int cgc_pairs_serves(const cgc_geometry *s, cgconv_pass pass);
size_t cgc_pairs_workspace(const cgc_geometry *s);
void cgc_pairs_run(const cgc_run *run);

/* Vectors over channels, for channels that are neighbours in memory; for backward_input with one filter each. */
size_t cgc_pixels_workspace(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass);
void cgc_pixels_run(const cgc_run *run);

/* The same for planes: vectors of channels are turned first, and their results turned back. */
int cgc_turned_serves(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass);
size_t cgc_turned_workspace(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass);
void cgc_turned_run(const cgc_run *run);

/* Vectors over pixels and channels together, for rows of few channels that are dense in the output. */
int cgc_flat_serves(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass);
size_t cgc_flat_workspace(const cgc_geometry *s);
void cgc_flat_run(const cgc_run *run);

#endif
