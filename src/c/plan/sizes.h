/*
 * Arithmetic of sizes that cannot overflow unseen. A size is an int64_t from 0 to CGC_SIZE_LIMIT; a result beyond is
 * the value CGC_TOO_BIG, which every further operation passes on.
 */
#ifndef CGC_SIZES_H
#define CGC_SIZES_H

#include <stdint.h>

/* Room for a sum of several sizes, so that index arithmetic behind these checks needs none of its own. */
#define CGC_SIZE_LIMIT ((int64_t)(PTRDIFF_MAX / 16))
#define CGC_TOO_BIG ((int64_t)-1)

static inline int64_t cgc_size(int64_t a) { return a < 0 || a > CGC_SIZE_LIMIT ? CGC_TOO_BIG : a; }

static inline int64_t cgc_size_add(int64_t a, int64_t b) {
    a = cgc_size(a), b = cgc_size(b);
    return a < 0 || b < 0 ? CGC_TOO_BIG : cgc_size(a + b);
}

static inline int64_t cgc_size_mul(int64_t a, int64_t b) {
    a = cgc_size(a), b = cgc_size(b);
    if (a < 0 || b < 0) return CGC_TOO_BIG;
    return b > 0 && a > CGC_SIZE_LIMIT / b ? CGC_TOO_BIG : a * b;
}

/* The magnitude of a stride. */
static inline int64_t cgc_size_abs(int64_t a) { return a < -CGC_SIZE_LIMIT ? CGC_TOO_BIG : cgc_size(a < 0 ? -a : a); }

#endif
