/*
 * Fringes (see kernels/stencil.h): the ends of the lines of a correlation, for a kernel that reads the source where it
 * stands. It must not know the kernel, nor which lines there are.
 */
#ifndef CGC_FRINGE_H
#define CGC_FRINGE_H

#include "correlation.h"

enum {
    CGC_FRINGE_CELLS = 1024, /* entries of one fringe */
    CGC_FRINGE_REACH = 256,  /* the most columns beyond an end */
};

/*
 * Columns of output cells that are computed at a time: output column 0 and filter column 0 stand at source column
 * base + first, and base is where the lines begin that the kernel is given.
 */
typedef struct cgc_span {
    int64_t cols, base, first;
} cgc_span;

/* Output columns j .. j+cols-1 of a correlation that cgc_fringe_serves. */
cgc_span cgc_span_of(const cgc_correlation *c, int64_t j, int64_t cols, int lanes);

/* The columns of a line, from `base` on, that the span may read. */
int64_t cgc_span_reach(const cgc_correlation *c, const cgc_span *span, int lanes);

/*
 * Whether vectors of so many lanes can serve the correlation from its source; at step 2, of a ring only if `rings`: the
 * kernel that knows the filter takes the one cell that it needs of the other end, but any other takes lane by lane.
 */
int cgc_fringe_serves(const cgc_correlation *c, int lanes, int rings);

/* The part of a stencil that is about columns. The fringes' entries go to cells, 2 * CGC_FRINGE_CELLS of them. */
void cgc_fringe_open(cgc_stencil *stencil, const cgc_correlation *c, const cgc_span *span, int lanes,
                     int32_t *cells);

#endif
