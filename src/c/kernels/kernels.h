/*
 * The kernel table: every function that touches numbers, one table per instruction set and dtype.
 * Kernels know vectors and registers. They must not know what a padding mode, a layout, a group or a thread is.
 *
 * Contract of all kernels
 *   - arrays are passed as void * and hold the table's dtype; strides, offsets and counts are in elements;
 *   - nothing outside the elements named is read or written (arrays of NumPy have no slack);
 *   - what is written does not overlap what is read; an element that is only written may be written twice, with the
 *     same bits;
 *   - a multiply-add is one fused operation (two, in the table "nofma"), and the terms of one output are added in
 *     ascending k. Vector lanes are different outputs, so every table gives the same bits.
 */
#ifndef CGC_KERNELS_H
#define CGC_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "../include/cgconv.h"
#include "gradient.h"
#include "stencil.h"

/*
 * Partial sums of a long reduction, see `cgc_reduction`: one cache line, whatever the vector length of the machine.
 * It is part of the definition of the weight gradient.
 */
#define CGC_LANES_F32 16
#define CGC_LANES_F64 8
#define CGC_MAX_LANES 16
#define CGC_MAX_PIXELS 4096 /* that are summed at a time, rows counted in whole CGC_MAX_LANES; a multiple of it */

/*
 * A call of the kernel `pixels`. With r < rows, j < cols, p < channels, u < kh, v < kw, in the order (u, v):
 *     y[r*y_row + j*y_col + p] = clamp(bias[p] + sum of
 *         weight[u*kw + v][p] * src[r*src_row + u*src_u + j*step + v*dilation][p])
 * Where cols or channels is 0 nothing is done; kh or kw may be 0. y_row and y_col may be negative.
 */
typedef struct cgc_pixel_rows {
    int64_t rows, cols, channels, shift, kh, kw; /* shift: see `pack` */
    const void *const *src;
    ptrdiff_t src_row, src_u, step, dilation; /* in pointers; step and dilation are at least 1 */
    int64_t fresh; /* if not 0, pixels lie beyond the caches, and so many lines of a row are new */
    const void *blank; /* a pixel of zeros; a filter row whose first pixel it is has no other. NULL: there is none */
    const void *w;     /* bias and weights, as `pack` packs 1 + kh*kw terms */
    void *y;
    ptrdiff_t y_row, y_col;
    double lo, hi;
} cgc_pixel_rows;

/*
 * A call of the kernel `flat`, for rows of few channels: an element of a row is a channel of a pixel, and what is
 * multiplied with it depends on its channel. With r < rows, p < cols, u < kh, v < kw, in the order (u, v):
 *     y[r*y_row + p] = clamp(bias + sum of  weight[u*kw + v] * lines[r*row + u*lines_u][off[v] + p])
 * w holds, for each of `phases` + 1 vectors, the bias and then the weights of its lanes: vector i of a row is of
 * phase i % phases, but the last, which begins at cols - width (at 0 if cols is less), is the one behind them.
 */
typedef struct cgc_flat_rows {
    int64_t rows, cols, phases, kh, kw;
    const void *const *lines;
    ptrdiff_t row, u; /* from line to line: of outputs, of taps (lines_u) */
    const ptrdiff_t *off; /* of kw columns */
    const void *w;
    void *y;
    ptrdiff_t y_row;
    double lo, hi;
} cgc_flat_rows;

/* Pixels at the edges of a row. */
enum { CGC_EDGE_FIRST = 1, CGC_EDGE_SECOND = 2, CGC_EDGE_LAST = 4, CGC_EDGE_LAST_BUT_ONE = 8 };

enum { CGC_PRODUCT_AHEAD = 2 };

/*
 * The operands of a product, for `gemm_pixels` and `gemm_outputs`. With j < m, r < rows, p < cols:
 *     y[j*y_m + r*y_row + p*y_col] =
 *         clamp(bias[j] + sum over i < k of  w[j*w_m + i*w_k] * x[off[i] + r*x_row + p*x_col])
 */
typedef struct cgc_product {
    int64_t m, rows, cols, k;
    const void *w, *x, *bias;
    void *y;
    const ptrdiff_t *off;
    ptrdiff_t w_m, w_k, x_row, x_col, y_m, y_row, y_col;
    double lo, hi;
    /*
     * For gemm_outputs, if planes is not 0: no terms but i = first + a*plane + t, with a < planes, t < run; and of
     * these not term i for the pixels of a row that `edges`, a sum of CGC_EDGE_*, and skips[i] name, both of them.
     */
    int64_t planes, run;
    ptrdiff_t first, plane;
    const unsigned char *skips; /* if edges is not 0 */
    int edges;
    /* For gemm_outputs, memory that will be used next: it is brought nearer while the product is computed. */
    struct {
        const char *at;
        int64_t bytes; /* 0: none */
    } ahead[CGC_PRODUCT_AHEAD];
    /* For gemm_outputs: off comes in runs of so many, equally far apart, that skip alike; 0: nothing is known. */
    int64_t taps;
    /* For gemm_pixels: room for `gathered` bytes of each term, aligned as a vector, in which to gather; or NULL. */
    void *room;
} cgc_product;

/*
 * A call of the kernel `pairs`: rows whose even and odd columns are sums of their own, over lines of half as many
 * cells. With r < rows, p < cols, k < sources, u < ku, v < kw, in the order (k, u, v), those v with p + odd + v even:
 *     y[r*y_pitch + p] = sum of  w[k*w_source + u*w_u + v*w_v] * (cell first + p/2 - (v + odd)/2 of the line
 *                                                                 x + k*x_source + lines[r*ku + u])
 * where cells outside 0 .. width-1, and all of a CGC_CONSTANT_LINE, are 0. Any of sources and ku may be 0.
 */
typedef struct cgc_pairs {
    int64_t planes; /* done alike, x_plane, w_plane and y_plane apart */
    int64_t sources, rows, cols, ku, kw;
    int odd; /* 0 or 1 */
    const void *x, *zeros; /* zeros: `width` of them */
    const ptrdiff_t *lines;
    int64_t first, width;
    const void *w;
    void *y;
    ptrdiff_t x_plane, x_source, w_plane, w_source, w_u, w_v, y_plane, y_pitch;
} cgc_pairs;

/* Memory that is wanted soon: runs of cache lines, the last one first. What was called for is gone from it. */
enum { CGC_AHEAD_RUNS = 64, CGC_LINE_BYTES = 64 };
typedef struct cgc_ahead {
    int64_t runs;
    struct {
        const char *at;
        int64_t lines; /* at least 1 */
    } run[CGC_AHEAD_RUNS];
} cgc_ahead;

/*
 * Products summed over pixels, for `reduce_pixels` and `reduce_outputs`. With j < m, i < k:
 *     y[j*y_m + i] += join of the lanes l < lanes, which are
 *         sum over r < rows, over p = l, l + lanes, l + 2*lanes ... < cols of
 *             a[a_row[r] + j*a_m + l*a_col + p/lanes*a_next] * b[off[i] + b_row[r] + l*b_col + p/lanes*b_next]
 * each one chain from 0 on, and joined as by the kernel `join`. Where b is NULL, k is 1 and b counts as 1. Rows, each
 * rounded up to whole CGC_MAX_LANES, have at most CGC_MAX_PIXELS columns together. If `fresh` is not 0, y counts as if
 * it were 0 before.
 *
 * The definition fills rows up with zeros to whole lanes. That changes nothing but a lane's -0 to +0, and that a sum of
 * -0 to +0, which makes no difference to y, for y must not be -0. It never becomes -0.
 */
typedef struct cgc_reduction {
    cgc_ahead *ahead; /* called for while products are summed, as far as there is time */
    int64_t m, k, rows, cols;
    const void *a, *b;
    const ptrdiff_t *a_row, *b_row, *off;
    ptrdiff_t a_m, a_col, b_col, a_next, b_next; /* next: to the column that is `lanes` behind */
    void *y;
    ptrdiff_t y_m;
    int fresh;
} cgc_reduction;

typedef struct cgc_kernels {
    const char *isa;
    int fused; /* 1: multiply-adds are fused */
    int lanes; /* CGC_LANES_* of the dtype */
    int mr;    /* output channels of a gemm tile */
    int nr;    /* pixels of a gemm tile */
    int width; /* numbers in a vector */

    /*
     * A product of packed panels, for what the other two do not serve. With m < mr and p < nr:
     *     acc[m*ld + p] += sum over i < k of  w[i*mr + m] * b[off[i] + p]
     * acc is read and written in place; all mr*nr cells of it, and nr cells behind every b + off[i], exist.
     * k may be 0.
     */
    void (*gemm)(int64_t k, const void *w, const void *b, const ptrdiff_t *off, void *acc, ptrdiff_t ld);

    /*
     * A product with vectors over pixels: w_k, x_col and y_col are 1. bias may be NULL, for 0. Cells of x between two
     * rows may be read if they are fewer than a vector holds; and where cols are fewer than that, cells behind a row
     * that fill the vector up.
     */
    void (*gemm_pixels)(const cgc_product *product);
    int gathered; /* see `room`; 0: it gathers nothing */

    /*
     * A product with vectors over outputs: w_m and y_m are 1, m is at most 2 * width. The rows of w and the bias go
     * on to whole vectors. It returns whether a sum from which terms were left out was 0 before it was clamped.
     */
    int (*gemm_outputs)(const cgc_product *product);

    /* Whether x[p < count] are all finite. */
    int (*finite)(const void *x, int64_t count);

    /* Rows become columns. With i < rows, j < cols:  y[j*y_pitch + i] = x[i*x_pitch + j] */
    void (*transpose)(int64_t rows, int64_t cols, const void *x, ptrdiff_t x_pitch, void *y, ptrdiff_t y_pitch);

    /*
     * Channel-wise, vectors over pixels. With r < rows and p < cols, any of which may be 0:
     *     y[r*y_pitch + p] = clamp(bias[0] + sum over i < k of  w[i] * b[off[i] + r*b_pitch + p])
     */
    void (*taps)(int64_t rows, int64_t cols, int64_t k, const void *w, const void *b, const ptrdiff_t *off,
                 ptrdiff_t b_pitch, const void *bias, void *y, ptrdiff_t y_pitch, double lo, double hi);

    /* Channel-wise, vectors over channels, see cgc_pixel_rows. */
    void (*pixels)(const cgc_pixel_rows *call);

    /* Channel-wise, vectors over pixels and channels together, see cgc_flat_rows. */
    void (*flat)(const cgc_flat_rows *call);

    /*
     * Packs the weights of `pixels`, for vectors of channels that begin at t*width - shift, moved to where they fit:
     * first(t) = max(0, min(t*width - shift, channels - width)). shift is less than width, and 0 where there are
     * fewer channels than that. With t < (channels + shift)/width rounded up, i < k, l < width:
     *     y[t*y_pitch + i*width + l] = first(t) + l < channels ? w[(first(t) + l)*w_pitch + i*w_step] : 0
     */
    void (*pack)(int64_t channels, int64_t shift, int64_t k, const void *w, ptrdiff_t w_pitch, ptrdiff_t w_step,
                 void *y, ptrdiff_t y_pitch);

    /*
     * Channel-wise, vectors over pixels, straight from source planes; see stencil.h. With r < rows, p < cols, u < kh,
     * v < kw, in the order (u, v), for each output plane:
     *     y[r*y_pitch + p] = clamp(bias + sum of  w[u*kw + v] * cell(r*step + u*dilation_h,
     *                                                                first + p*step + v*dilation_w))
     * where cell(line, column) is what the lines and the fringes say.
     */
    void (*stencil)(const cgc_stencil *stencil);
    int stencil_lanes[3]; /* the vectors that it has, longest first; 0: none */

    /* Channel-wise, vectors over pairs of pixels, see cgc_pairs. */
    void (*pairs)(const cgc_pairs *call);

    /*
     * Copies lines into a panel that splits its columns by their remainder. With i < rows, j < cols, c = first + j:
     *     y[i*y_pitch + c % step * phase + c / step] = x[i*x_pitch + j*x_step]
     */
    void (*lines)(int64_t rows, int64_t cols, const void *x, ptrdiff_t x_pitch, ptrdiff_t x_step, void *y,
                  ptrdiff_t y_pitch, int64_t first, int64_t step, ptrdiff_t phase);

    /*
     * The way back: takes columns from where they lie split. With i < rows, j < cols; step is at least 1:
     *     y[i*y_pitch + j] = x[i*x_pitch + j % step * phase + j / step]
     */
    void (*weave)(int64_t rows, int64_t cols, const void *x, ptrdiff_t x_pitch, ptrdiff_t phase, int64_t step,
                  void *y, ptrdiff_t y_pitch);

    /* Products summed over pixels with vectors over pixels: a_col and b_col are 1, a_next and b_next `lanes`. */
    void (*reduce_pixels)(const cgc_reduction *reduction);

    /*
     * The same with vectors over outputs: a_m is 1, m is at most 2 * width; a goes on to whole vectors. If a_row is
     * NULL, pixels p = l, l + lanes ... lie one behind the other, row after row; the i-th of them at
     *     a[j + l*a_col + i*a_next] and b[off[t] + l*b_col + i]  where a_next is 2 * width if m is more than width
     */
    void (*reduce_outputs)(const cgc_reduction *reduction);

    /* Rows that lie anywhere become columns. With i < rows, j < cols:  y[j*y_pitch + i] = x[from[i] + j] */
    void (*turn)(int64_t rows, int64_t cols, const void *x, const ptrdiff_t *from, void *y, ptrdiff_t y_pitch);

    /* The same sums of channel-wise planes, straight from their lines, see gradient.h. */
    void (*gradient)(const cgc_gradient *gradient);
    void (*gradient_pixels)(const cgc_pixel_gradient *gradient);
    int gradient_lays; /* whether the second is faster with cells that are laid, though they have to be */

    /*
     * Lays pixels one behind the other, of one vector or two. With e < count, i < vectors, c < width:
     *     y[i*y_second + e*width + c] = x[i*second + e*x_col + c]
     */
    void (*lay)(int64_t count, int64_t vectors, const void *x, ptrdiff_t x_col, ptrdiff_t second, void *y,
                ptrdiff_t y_second);

    /* sums[p < count] = the join of the first `columns` classes sums[l*count + p], as by `join`; the others are 0. */
    void (*join_classes)(void *sums, int64_t columns, int64_t count);

    /*
     * y[p < count] += the sum of acc[p*pitch ...], by halves: lane l takes l + pitch/2, then l + pitch/4 ... The pitch
     * is that of cgc_gradient: those of half the lanes are the same sums, where the other half is 0.
     */
    void (*join)(void *y, const void *acc, int pitch, int64_t count);

    /* Moves. With p < count; steps may be any, 0 and negative ones too. */
    void (*gather)(void *y, const void *x, ptrdiff_t x_step, int64_t count);  /* y[p] = x[p*x_step] */
    void (*fill)(void *y, double value, int64_t count);                       /* y[p] = (dtype)value */
    void (*store)(void *y, ptrdiff_t y_step, const void *x, int64_t count, double lo, double hi);
                                                                              /* y[p*y_step] = clamp(x[p]) */
    void (*stream)(void *y, const void *x, int64_t count); /* y[p] = x[p], past the caches; NULL: that does not pay */
    void (*add)(void *y, ptrdiff_t y_step, const void *x, int64_t count);     /* y[p*y_step] += x[p] */

    /* With i < rows, j < cols, in this order:  y[i*y_pitch + j*y_step] += x[i*x_pitch + j] */
    void (*add_lines)(int64_t rows, int64_t cols, const void *x, ptrdiff_t x_pitch, void *y, ptrdiff_t y_pitch,
                      ptrdiff_t y_step);

    /*
     * Copies channels of pixels, each `times` times. With e < count, p < n:
     *     y[e*y_pitch + p] = src[e][(first + p)/times]
     */
    void (*spread)(int64_t count, const void *const *src, int64_t n, int64_t times, int64_t first, void *y,
                   ptrdiff_t y_pitch);

    /*
     * clamp(v) is t = lo > v ? lo : v; hi < t ? hi : t, with lo and hi converted to the dtype: NaN passes through,
     * and the bounds -inf and inf change nothing.
     */
} cgc_kernels;

/*
 * The best table for this CPU, capped by CGCONV_ISA; exactly the named one if isa is given. NULL if there is no such.
 */
const cgc_kernels *cgc_select_kernels(cgconv_dtype dtype, const char *isa);

/*
 * The index-th table's name, best first, among those that this CPU can run; NULL past the end. CGCONV_ISA is ignored.
 */
const char *cgc_kernels_name(int index);

/*
 * The value of CGCONV_ISA if it is set to something that no build of this library knows, else NULL. Plans refuse to
 * be made then.
 */
const char *cgc_unknown_isa(void);

#endif
