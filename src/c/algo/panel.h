/*
 * A panel: source cells, padding applied, laid out so that each term of a correlation is a constant offset and
 * neighbouring output cells are neighbours, whatever the padding, stride and dilation. It must not know who reads it.
 *
 * Two layouts. By lines: each source row once, a column stride splitting it into phases; the copy is as large as the
 * source. By terms (classic im2col), where filter cells lie too far apart for that: a row of output cells for each
 * term.
 */
#ifndef CGC_PANEL_H
#define CGC_PANEL_H

#include "correlation.h"

enum {
    CGC_PANEL_ELEMENTS = 32768, /* at most, in one panel */
    CGC_PANEL_TERMS = 2048,     /* the most terms that a panel can serve */
};

typedef struct cgc_panel {
    int by_lines;
    int64_t rows, cols;     /* output rows and columns that fit */
    int64_t u_low, v_low;   /* least of u*r_u and of v*c_v */
    int64_t lines;          /* source rows of a plane for one output row; with more, r_i more for each */
    ptrdiff_t phase, pitch; /* from phase to phase of a line, from line to line (or from term to term) */
} cgc_panel;

/* A panel for up to `cols` columns of a correlation with at most CGC_PANEL_TERMS terms. */
cgc_panel cgc_panel_of(const cgc_correlation *c, int64_t cols);

/*
 * Fills the panel for output rows i .. i+rows-1, columns j .. j+cols-1 of a group whose source begins at `source`,
 * and sets the offset of each term. Output row i+1 lies r_i * pitch behind row i.
 */
void cgc_panel_fill(const cgc_panel *panel, const cgc_kernels *kernels, const cgc_correlation *c, const char *source,
                    int64_t i, int64_t rows, int64_t j, int64_t cols, char *cells, ptrdiff_t *offsets);

/* Output cells whose terms all lie inside the source, along one axis: from <= cell < to, of `count`. */
typedef struct cgc_inside {
    int64_t from, to;
} cgc_inside;

cgc_inside cgc_inside_rows(const cgc_correlation *c);
cgc_inside cgc_inside_cols(const cgc_correlation *c);

#endif
