/*
 * One shape of work for two passes: output planes that correlate source planes with weights. The forward pass is one
 * correlation; backward_input is one for each phase of the stride, over only the taps that meet it. It must not know
 * how a correlation is computed, only what it is.
 *
 * Output cell (i, j) of output m of group g is the chain, over terms k = (plane, u, v) in this order, of
 *     weight[w0 + g*w_group + m*w_m + plane*w_plane + u*w_u + v*w_v]
 *   * source plane `plane` of group g at row r0 + i*r_i + u*r_u, column c0 + j*c_j + v*c_v, padded,
 * and goes to destination d0 + g*d_group + m*d_m + i*d_row + j*d_col. All in elements, for one image.
 */
#ifndef CGC_CORRELATION_H
#define CGC_CORRELATION_H

#include "algo.h"
#include "padding.h"

typedef struct cgc_correlation {
    int64_t rows, cols;     /* of the output planes */
    int64_t m;              /* outputs of a group */
    int64_t planes, ku, kv; /* terms of a chain; any may be 0 */
    int64_t r0, r_i, r_u;   /* source row */
    int64_t c0, c_j, c_v;   /* source column; c_j >= 1 */
    cgc_plane source;
    ptrdiff_t s_group, s_plane; /* strides of the source; rows and columns are in `source` */
    ptrdiff_t w0, w_group, w_m, w_plane, w_u, w_v;
    ptrdiff_t d0, d_group, d_m, d_row, d_col;
    double lo, hi;
} cgc_correlation;

/* Cells first, first + step, ... of an axis; `count` of them. */
typedef struct cgc_grid {
    int64_t first, step, count;
} cgc_grid;

cgc_correlation cgc_forward_correlation(const cgc_geometry *s);

/*
 * The gradient of the padded cells rows x cols, whose steps are multiples of the stride; cell 0 is the input's first.
 * The destination is where the cell would lie in dx.
 */
cgc_correlation cgc_backward_correlation(const cgc_geometry *s, cgc_grid rows, cgc_grid cols);

/* How many correlations make up a pass for one image, and the index-th of them. For forward and backward_input. */
int64_t cgc_correlation_count(const cgc_geometry *s, cgconv_pass pass);
cgc_correlation cgc_correlation_at(const cgc_geometry *s, cgconv_pass pass, int64_t index);

/*
 * The geometry of a forward pass over the same source: its cell (i, j) reads whatever cell (i, j) of any correlation
 * of the pass reads, in a grid that holds all of it. The forward pass is its own; that of backward_input has the most
 * rows and columns of any phase, a window of dy for a filter, and the steps of dx, its rows as far apart as those of
 * a phase. Nothing may be read where no filter cell meets any phase: then its kh or kw is 0.
 */
cgc_geometry cgc_window_geometry(const cgc_geometry *s, cgconv_pass pass);

/* The most output cells that any correlation of the pass has in a plane, and the most rows. */
int64_t cgc_correlation_cells(const cgc_geometry *s, cgconv_pass pass);
int64_t cgc_correlation_rows(const cgc_geometry *s, cgconv_pass pass);

/* One image of a run: where a correlation reads and writes. */
typedef struct cgc_image {
    const char *source, *weight, *bias; /* bias may be NULL */
    char *destination;
} cgc_image;

cgc_image cgc_image_at(const cgc_run *run, int64_t n);

/* A term of a chain; cgc_next_term steps in the order of the chain. */
typedef struct cgc_term {
    int64_t plane, u, v;
} cgc_term;

static inline cgc_term cgc_term_at(const cgc_correlation *c, int64_t k) {
    cgc_term term = {k / (c->ku * c->kv), k / c->kv % c->ku, k % c->kv};
    return term;
}

static inline void cgc_next_term(const cgc_correlation *c, cgc_term *term) {
    if (++term->v < c->kv) return;
    term->v = 0;
    if (++term->u < c->ku) return;
    term->u = 0;
    term->plane++;
}

static inline ptrdiff_t cgc_term_weight(const cgc_correlation *c, const cgc_term *term) {
    return c->w0 + term->plane * c->w_plane + term->u * c->w_u + term->v * c->w_v;
}

#endif
