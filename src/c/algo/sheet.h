/*
 * A sheet: all source planes of a group under a block of output rows and columns, padding applied, so that each term
 * of a correlation is a constant offset and output cells lie as close as their lines allow. It must not know who
 * reads it.
 *
 * A stride splits lines and columns into phases, as many as the filter meets: a plane is [row phase][column phase]
 * [line][column], and output cell (i+1, j) lies one pitch, cell (i, j+1) one element behind cell (i, j), whatever the
 * stride. Where padding is constant and whole rows are held, the right pad of a line is the left pad of the next.
 */
#ifndef CGC_SHEET_H
#define CGC_SHEET_H

#include "correlation.h"

enum {
    CGC_SHEET_LINES = 1024, /* the most lines of a plane */
};

typedef struct cgc_sheet {
    int64_t rows, cols;             /* output rows and columns that fit */
    int64_t row_phases, col_phases; /* that the filter meets */
    int64_t lines;                  /* of a phase */
    ptrdiff_t pitch, phase, plane;  /* from line to line, phase to phase, plane to plane */
    int64_t elements;               /* of all, with as many behind the last as a vector may read */
} cgc_sheet;

/* Whether sheets serve the correlation: taps run forward, and the lines between them are not a waste. */
int cgc_sheet_serves(const cgc_correlation *c);

cgc_sheet cgc_sheet_of(const cgc_correlation *c, int64_t rows, int64_t cols);

/*
 * The offset of each term of c, from the first cell of a sheet that was made for `window`: c itself, or a correlation
 * that reads all that c reads, in the same steps, see cgc_window_geometry.
 */
void cgc_sheet_offsets(const cgc_sheet *sheet, const cgc_correlation *window, const cgc_correlation *c,
                       ptrdiff_t *offsets);

/*
 * Fills the sheet for output rows i .. i+rows-1, columns j .. j+cols-1, no more than it holds, of a group whose
 * source begins at `source`. `map` is room for CGC_SHEET_LINES numbers. `again`: the sheet was last filled for the
 * same rows and columns of other planes, no fewer, so that constant pads are in their place.
 */
void cgc_sheet_fill(const cgc_sheet *sheet, const cgc_kernels *kernels, const cgc_correlation *c, const char *source,
                    int64_t i, int64_t rows, int64_t j, int64_t cols, int again, char *cells, int64_t *map);

#endif
