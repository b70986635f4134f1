/*
 * A window: a copy of the source lines under a block of output rows, padding applied, prepared once and then filled
 * plane after plane. What is the same for all planes, the constant cells and where each line comes from, is done when
 * it is opened. It must not know who reads it.
 */
#ifndef CGC_WINDOW_H
#define CGC_WINDOW_H

#include "correlation.h"

enum {
    CGC_WINDOW_ELEMENTS = 32768, /* at most, in one window */
    CGC_WINDOW_LINES = 512,      /* the most lines */
    CGC_WINDOW_EDGES = 128,      /* the most padding cells of a line */
};

typedef struct cgc_window {
    const cgc_correlation *c;
    int64_t width;                    /* of a line: the columns that whole output rows read */
    ptrdiff_t pitch;                  /* from line to line */
    int64_t lines;                    /* in use */
    int64_t first, cols;              /* cells of a line that lie inside the source: from window column `first` on */
    int64_t col;                      /* the source column of the first of them */
    int64_t edges;                    /* padding cells of a line that copy a source cell */
    int64_t line[CGC_WINDOW_LINES];   /* the source row of each line; -1: constant */
    int64_t place[CGC_WINDOW_EDGES];  /* the column in the window of an edge cell */
    int64_t source[CGC_WINDOW_EDGES]; /* the source column that it copies */
} cgc_window;

/* Whether a window of whole rows, one plane at a time, can serve the correlation. */
int cgc_window_serves(const cgc_correlation *c);

/* The most output rows that a window takes at a time; by a copy that stays in L1, if one row allows it. */
int64_t cgc_window_rows(const cgc_correlation *c);

/* Prepares the window for output rows i .. i+rows-1, in `cells`, CGC_WINDOW_ELEMENTS of them. */
void cgc_window_open(cgc_window *window, const cgc_kernels *kernels, const cgc_correlation *c, int64_t i,
                     int64_t rows, char *cells);

/* Fills the window from a plane. */
void cgc_window_fill(const cgc_window *window, const cgc_kernels *kernels, const char *plane, char *cells);

#endif
