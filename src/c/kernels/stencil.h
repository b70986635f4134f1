/*
 * What the stencil kernel is given: planes of lines, and what stands beyond the ends of a line.
 * It must not know a padding mode: all that a mode says is in the lines and the fringes.
 *
 * A vector of source cells, `lanes` of them, `step` columns apart, is read in one of two ways. Where it lies inside the
 * line it is loaded. Where it reaches beyond an end, it is picked: its lanes come from two vectors of cells at columns
 * a and b of the same line, or are the padding constant. What a constant, a mirror, a repeated edge and a ring have in
 * common is that a few cells near the ends of a line are all that they ask for.
 */
#ifndef CGC_STENCIL_H
#define CGC_STENCIL_H

#include <stddef.h>
#include <stdint.h>

/* In place of a line's offset: all its cells are the constant. */
#define CGC_CONSTANT_LINE PTRDIFF_MIN

/* In place of a column: there stands the constant. */
#define CGC_CONSTANT_COLUMN INT64_MIN

/*
 * Where the lanes of vectors at one end of a line come from. Column t has the entry cells[t - first] (step 1), or
 * cells[(t - first) / 2 + (t - first) % 2 * odd] (step 2): e < lanes is column a + e, e < 2*lanes column
 * b + e - lanes, and -1 the constant. Of a narrow line the constant is column `width`, if the vectors have a lane for
 * it. At step 2, where a and b are one behind the other, a ring has cells at the other end too: e >= 2*lanes is column
 * far + e - 2*lanes.
 */
typedef struct cgc_fringe {
    const int32_t *cells;
    int64_t first;
    ptrdiff_t odd;
    int64_t a, b;
    int both; /* there are lanes of b; else b is never read: it may lie behind a line of constants */
    int64_t far;
    int rings; /* there are lanes of far */
} cgc_fringe;

typedef struct cgc_stencil {
    int64_t planes, filters; /* source planes, and output planes of each */
    int64_t rows, cols;      /* of an output plane, at least 1 */
    int64_t kh, kw;
    int64_t step;            /* 1 or 2 */
    int64_t dilation_h, dilation_w; /* 1 if step is 2 */
    int mirrored;            /* filter column v stands over column kw-1-v of the source; not if step is 2 */

    const void *x;
    ptrdiff_t x_plane;
    const ptrdiff_t *lines;    /* where in a plane each padded line begins; output row r, filter row u: line
                                  r*step + u*dilation_h */
    const void *constant_line; /* for lines that are CGC_CONSTANT_LINE */
    double constant;
    int far;                   /* planes come from beyond the caches */
    ptrdiff_t ahead;           /* where in a plane the cells begin that are brought nearer while the plane before is */
    int64_t ahead_bytes;       /* computed, unless it is narrow, and how many bytes; 0 where planes are neighbours */
    int64_t first;             /* the first column that output column 0 reads; may be negative */
    int64_t width;             /* columns 0 .. width-1 lie inside a line, at least 1 */

    /*
     * The vectors: one of the table's stencil_lanes. If narrow, width is at most step*lanes, every vector is picked,
     * and `left` serves all columns, with a = 0 and b = lanes. Else width is greater, `left` serves vectors that begin
     * before column 0, with a = 0, and `right` those that end behind the line, with a = width - step*lanes; at step 2
     * b = a + lanes; and lanes is the first of stencil_lanes.
     */
    int lanes, narrow;
    cgc_fringe left, right;

    const void *w;      /* a filter [kh][kw] of each output plane, */
    ptrdiff_t w_filter; /* so far apart; may be negative, as x_plane and y_plane may */
    const void *bias;   /* [planes][filters], or NULL for 0; NULL if w_filter is negative */
    const void *from; /* if not NULL, one output plane of partial sums, with which all sums begin instead */
    ptrdiff_t from_pitch;
    void *y;          /* output planes, in the order of w */
    ptrdiff_t y_plane, y_pitch; /* y_pitch may be negative */
    double lo, hi;
} cgc_stencil;

#endif
