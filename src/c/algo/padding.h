/*
 * Padding: the one map from a padded coordinate to its source, and reading a run of padded cells. Everybody who reads
 * beyond an edge reads through here; nobody else knows a padding mode.
 */
#ifndef CGC_PADDING_H
#define CGC_PADDING_H

#include "../kernels/kernels.h"
#include "geometry.h"

/* A plane that is read, and what stands around it. */
typedef struct cgc_plane {
    int64_t h, w;
    ptrdiff_t row, col; /* strides in elements */
    ptrdiff_t size;     /* bytes of an element */
    cgconv_pad_mode mode;
    double value;
} cgc_plane;

/* cgconv_pad_source. */
int64_t cgc_pad_source(cgconv_pad_mode mode, int64_t position, int64_t extent);

/*
 * y[p] = the padded cell (row, col + p*step) of the plane at `base`, for p < count; step >= 1, y is dense.
 * The part inside the plane is one gather; only the cells outside go through the map.
 */
void cgc_fetch(const cgc_kernels *kernels, const cgc_plane *plane, const char *base, int64_t row, int64_t col,
               int64_t step, int64_t count, char *y);

#endif
