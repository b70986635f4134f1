/*
 * What the gradient kernel is given: planes of dy and the source lines under them. It must not know a padding mode:
 * above and below a plane, the table of lines says it all; to the left and to the right there is the constant.
 *
 * With plane < planes, u < kh, v < kw, l < LANES, over the rows r and the columns p = l, l + LANES ... in this order:
 *     sums[plane][u][v][l] += sum of  dy[r][p] * cell(r*step + u*dilation, off[v] + p*step_w)
 *     bias[plane][l]       += sum of  dy[r][p]
 * where p runs to `cols` rounded up to whole LANES, and all factors count as 0 from `cols` on; see `reduce`.
 */
#ifndef CGC_GRADIENT_H
#define CGC_GRADIENT_H

#include <stddef.h>
#include <stdint.h>

/* The most columns that cells may lie before, and behind, a line. */
enum { CGC_GRADIENT_BEYOND = 32 };

typedef struct cgc_gradient {
    int64_t planes;
    int64_t rows, cols;     /* of dy, at least 1 */
    int64_t kh, kw;         /* at least 1 */
    int64_t step, dilation; /* of lines */
    int64_t step_w;         /* 1, or 2 where off[v+1] = off[v] + 1 */

    const void *x;
    ptrdiff_t x_plane;
    const ptrdiff_t *lines;    /* where in a plane each line begins, or CGC_CONSTANT_LINE */
    const void *constant_line; /* of `width` cells */
    double constant;
    const ptrdiff_t *off;      /* of the filter's columns, ascending */
    int64_t width;             /* columns 0 .. width-1 lie inside a line; the others are the constant */
    int lanes;                 /* of the vectors: stencil_lanes[0], or [1] if those take a whole row and step_w is 1 */

    const void *dy;
    ptrdiff_t dy_plane, dy_row;
    void *sums; /* [planes][kh][kw][pitch] */
    void *bias; /* [planes][pitch], or NULL */
    int pitch;  /* LANES; or half of them, if neither cols nor lanes are more */
    int ahead;  /* if not 0, planes are far away in memory: the next one is called for while one is summed */
    int fresh;  /* if not 0, sums and bias need not be 0 before: they count as if they were */
} cgc_gradient;

/*
 * The same with vectors over channels. Column p belongs to class l = p % LANES, and c < WIDTH is a channel of vector i.
 * With l < LANES, i < vectors, over the rows r and the columns p = l, l + LANES ... in this order:
 *     sums[l][u*kw + v][i][c] += sum of  dy[r][p][i*second + c] * cell(r*step + u*dilation, p*step_w + v*dilation_w)
 *     sums[l][kh*kw][i][c]    += sum of  dy[r][p][i*second + c]
 */
typedef struct cgc_pixel_gradient {
    int64_t vectors;        /* 1 or 2 */
    ptrdiff_t second;       /* from the first to the second, of dy and of pixels in place */
    int64_t rows, cols;     /* of dy, at least 1 */
    int64_t kh, kw;         /* at least 1 */
    int64_t step, dilation; /* of lines */
    int64_t step_w, dilation_w;

    const void *const *lines;        /* of each line the pixel that cells are counted from, */
    const ptrdiff_t *const *columns; /* and, for each column, how far behind it the cell lies, or CGC_CONSTANT_CELL */
    const void *constant;            /* that cell */
    /*
     * If not NULL, lines, columns and constant say nothing: cells are laid, vector i of column e of line k at
     * cells[i*cells_second + k*line + e*WIDTH], and nothing is called for.
     */
    const void *cells;
    ptrdiff_t cells_second, line;
    const void *dy;
    ptrdiff_t dy_row, dy_col;
    int ahead; /* if not 0, memory is far away: what the next call reads is called for, */
    ptrdiff_t x_ahead, dy_ahead; /* about so far from what is read now; any numbers */
    void *sums; /* [LANES][kh*kw + 1][vectors][WIDTH] */
    int fresh;  /* as above */
} cgc_pixel_gradient;

/* In place of a cell's offset: it is the constant. */
#define CGC_CONSTANT_CELL PTRDIFF_MIN

#endif
