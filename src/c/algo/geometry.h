/*
 * The problem as algorithms see it: checked extents and strides, all in one place. It must not know the spec's
 * layouts: an exchanged layout arrives here with height and width, and all that belongs to them, already exchanged.
 */
#ifndef CGC_GEOMETRY_H
#define CGC_GEOMETRY_H

#include <stddef.h>
#include <stdint.h>

#include "../include/cgconv.h"

typedef struct cgc_geometry {
    cgconv_dtype dtype;
    ptrdiff_t size; /* bytes of an element */

    int64_t n, c, h, w; /* input */
    int64_t oc, oh, ow; /* output */
    int64_t g, cg, f;   /* groups, channels and filters of a group: c = g*cg, oc = g*f */
    int64_t kh, kw;     /* filter */
    int64_t sh, sw;     /* stride */
    int64_t dh, dw;     /* dilation */
    int64_t pt, pb, pl, pr; /* forward, one below 0 is a crop */

    cgconv_pad_mode mode;
    double value; /* of constant padding */
    double lo, hi;

    /* Strides in elements. A channel stride of 1 means channels last, unless the column stride is 1 too. */
    ptrdiff_t xn, xc, xh, xw;
    ptrdiff_t yn, yc, yh, yw;
    ptrdiff_t wo, wc, wu, wv; /* of the weights: output channel, channel, filter row, filter column */
} cgc_geometry;

/* The address of the element at `offset` elements behind p. */
static inline char *cgc_at(const void *p, ptrdiff_t offset, ptrdiff_t size) { return (char *)p + offset * size; }

static inline int64_t cgc_min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t cgc_max(int64_t a, int64_t b) { return a > b ? a : b; }

static inline int64_t cgc_gcd(int64_t a, int64_t b) {
    while (b) {
        const int64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

/* a / b rounded up; a >= 0, b >= 1. */
static inline int64_t cgc_ceil_div(int64_t a, int64_t b) { return a / b + (a % b != 0); }

/* What caches are not sure to hold: measured in a chain of passes that read each other's outputs. */
enum { CGC_FAR_BYTES = 1 << 23 };

/* Bytes of input and output together. */
static inline double cgc_bytes(const cgc_geometry *s) {
    const double x = (double)s->c * (double)s->h * (double)s->w, y = (double)s->oc * (double)s->oh * (double)s->ow;
    return (double)s->n * (x + y) * (double)s->size;
}

/* Whether they come from beyond the caches, so that it pays to call for what is read next. */
static inline int cgc_is_far(const cgc_geometry *s) { return cgc_bytes(s) >= CGC_FAR_BYTES; }

#endif
