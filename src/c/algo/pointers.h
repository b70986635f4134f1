/*
 * A table of pointers to the source pixels under a block of output pixels, padding applied, for correlations whose
 * channels are neighbours: all channels share it, and a cell of padding points at its source or at a pixel of the
 * constant. It must not know who reads it.
 *
 * Along an axis, output i and tap u meet at entry i*step + u*tap of the table. Either neighbouring outputs share
 * entries; then a dilation sorts them by their remainder, where the step is 1, so that taps are neighbours. Or, where
 * taps lie far apart, each has entries of its own. A correlation that steps backward is turned round first.
 */
#ifndef CGC_POINTERS_H
#define CGC_POINTERS_H

#include "correlation.h"

enum {
    CGC_POINTERS = 32768, /* of a table, at most */
};

/* One axis: what the correlation says of it, and how the table holds it. */
typedef struct cgc_axis {
    int64_t most;         /* outputs that a table holds, at most */
    int64_t taps, origin; /* origin: coordinate of output 0 under tap 0 */
    int64_t out, dilation;
    int turned;           /* outputs run from the last to the first, and coordinates fall */
    int shared;           /* whether outputs share entries */
    int64_t classes;      /* remainders by which they are sorted: outputs of one class go together */
} cgc_axis;

typedef struct cgc_pointers {
    cgc_axis rows, cols;
} cgc_pointers;

/* Tables of at most `limit` pointers, which is at least the terms of the correlation. */
cgc_pointers cgc_pointers_of(const cgc_correlation *c, int64_t limit);

/* The most output rows, at least 1, of a table of `limit` pointers that is `cols` <= cols.most outputs wide. */
int64_t cgc_pointers_rows(const cgc_pointers *p, int64_t cols, int64_t limit);

/* The table of a block of outputs, `rows` from i and `cols` from j, counted in the order of its axes. */
typedef struct cgc_pointer_block {
    int64_t i, rows, j, cols;
    int64_t lines, pitch;           /* entries of both axes; a line of the table is `pitch` pointers */
    ptrdiff_t row, u;               /* entries from output row to row, from tap to tap */
    ptrdiff_t step, dilation;       /* for columns the same */
    ptrdiff_t row_class, col_class; /* entries from class to class */
} cgc_pointer_block;

cgc_pointer_block cgc_pointers_block(const cgc_pointers *p, int64_t i, int64_t rows, int64_t j, int64_t cols);

/* Fills it: pointers to pixels of the image at `source`, or to `constant`; lines of nothing else, to `blank`. */
void cgc_pointers_fill(const cgc_pointers *p, const cgc_pointer_block *block, const cgc_correlation *c,
                       const char *source, const char *constant, const char *blank, const void **table);

/* Pointers to `count` pixels of one row, which begins at `line`: columns col, col + step ...; step is not 0. */
void cgc_pointers_run(const cgc_plane *plane, const char *line, int64_t col, int64_t step, int64_t count,
                      const char *constant, const void **run);

#endif
