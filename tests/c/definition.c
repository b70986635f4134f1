/* The three passes in plain loops, see definition.h. It must not know the library. */
#include "definition.h"

#include <math.h>
#include <stdlib.h>

/* ---- cells and sizes ------------------------------------------------------------------------------------------- */

double get(cgconv_dtype dtype, const void *p, int64_t index) {
    return dtype == CGCONV_FLOAT32 ? (double)((const float *)p)[index] : ((const double *)p)[index];
}

void put(cgconv_dtype dtype, void *p, int64_t index, double value) {
    if (dtype == CGCONV_FLOAT32) ((float *)p)[index] = (float)value;
    else ((double *)p)[index] = value;
}

double multiply_add(cgconv_dtype dtype, int fused, double a, double b, double c) {
    if (dtype == CGCONV_FLOAT64) return fused ? fma(a, b, c) : a * b + c;
    if (fused) return (double)fmaf((float)a, (float)b, (float)c);
    const float product = (float)a * (float)b;
    return (double)(product + (float)c);
}

double add(cgconv_dtype dtype, double a, double b) {
    return dtype == CGCONV_FLOAT64 ? a + b : (double)((float)a + (float)b);
}

double join_lanes(cgconv_dtype dtype, double *lanes, int count) {
    for (int half = count / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++) lanes[l] = add(dtype, lanes[l], lanes[l + half]);
    return lanes[0];
}

static double rounded(cgconv_dtype dtype, double value) {
    return dtype == CGCONV_FLOAT32 ? (double)(float)value : value;
}

double clamp(cgconv_dtype dtype, double value, double lo, double hi) {
    if (value < rounded(dtype, lo)) value = rounded(dtype, lo);
    if (value > rounded(dtype, hi)) value = rounded(dtype, hi);
    return value;
}

int64_t output_extent(int64_t in, int64_t pads, int64_t k, int64_t stride, int64_t dilation) {
    return (in + pads - ((k - 1) * dilation + 1)) / stride + 1;
}

int64_t source_cell(cgconv_pad_mode mode, int64_t position, int64_t extent) {
    if (extent == 0) return -1;
    while (position < 0 || position >= extent) switch (mode) {
        case CGCONV_PAD_CONSTANT:
            return -1;
        case CGCONV_PAD_SYMMETRIC_INCLUDE_EDGE:
            position = position < 0 ? -1 - position : 2 * extent - 1 - position;
            break;
        case CGCONV_PAD_SYMMETRIC_EXCLUDE_EDGE:
            if (extent == 1) return 0;
            position = position < 0 ? -position : 2 * (extent - 1) - position;
            break;
        case CGCONV_PAD_REPLICATE:
            position = position < 0 ? 0 : extent - 1;
            break;
        case CGCONV_PAD_CIRCULAR:
            position += position < 0 ? extent : -extent;
            break;
        }
    return position;
}

int64_t output_channels(const cgconv_spec *spec) { return spec->groups * spec->filters_per_group; }

size_t element_size(const cgconv_spec *spec) {
    return spec->dtype == CGCONV_FLOAT32 ? sizeof(float) : sizeof(double);
}

const int *layout_order(cgconv_layout layout) {
    static const int order[4][4] = {{0, 1, 2, 3}, {0, 2, 3, 1}, {0, 1, 3, 2}, {0, 3, 2, 1}};
    return order[layout];
}

static void fill(int64_t strides[4], const int64_t extents[4], cgconv_layout layout) {
    const int *order = layout_order(layout);
    int64_t cells = 1;
    if (strides[0] || strides[1] || strides[2] || strides[3]) return;
    for (int a = 3; a >= 0; a--) {
        strides[order[a]] = cells;
        cells *= extents[order[a]];
    }
}

/* ---- the problem, with axes exchanged if the layout asks for it ------------------------------------------------ */

/* Row and column stand for height and width, or for width and height in an exchanged layout. */
typedef struct axis {
    int64_t in, out, k, stride, dilation, low, high;
    int64_t x_stride, y_stride, w_stride;
} axis;

typedef struct shape {
    axis row, col;
    int64_t cg, f;
} shape;

static shape shape_of(const cgconv_spec *s) {
    const axis height = {s->h, output_extent(s->h, s->pad_top + s->pad_bottom, s->kh, s->stride_h, s->dilation_h),
                         s->kh, s->stride_h, s->dilation_h, s->pad_top, s->pad_bottom,
                         s->x_strides[2], s->y_strides[2], s->kw};
    const axis width = {s->w, output_extent(s->w, s->pad_left + s->pad_right, s->kw, s->stride_w, s->dilation_w),
                        s->kw, s->stride_w, s->dilation_w, s->pad_left, s->pad_right,
                        s->x_strides[3], s->y_strides[3], 1};
    const int exchanged = s->layout == CGCONV_NCWH || s->layout == CGCONV_NWHC;
    return (shape){exchanged ? width : height, exchanged ? height : width, s->c / s->groups, s->filters_per_group};
}

void fill_strides(cgconv_spec *spec) {
    const cgconv_spec *s = spec;
    const int64_t oh = output_extent(s->h, s->pad_top + s->pad_bottom, s->kh, s->stride_h, s->dilation_h);
    const int64_t ow = output_extent(s->w, s->pad_left + s->pad_right, s->kw, s->stride_w, s->dilation_w);
    fill(spec->x_strides, (int64_t[4]){s->n, s->c, s->h, s->w}, s->layout);
    fill(spec->y_strides, (int64_t[4]){s->n, output_channels(s), oh, ow}, s->layout);
}

/* Where the padded cell (row, col) of a plane has its source, from the plane's first cell; -1: it has none. */
static int padded_cell(const cgconv_spec *spec, const shape *s, int64_t row, int64_t col, int64_t *index) {
    const int64_t i = source_cell(spec->pad_mode, row - s->row.low, s->row.in);
    const int64_t j = source_cell(spec->pad_mode, col - s->col.low, s->col.in);
    *index = i * s->row.x_stride + j * s->col.x_stride;
    return i >= 0 && j >= 0;
}

/* The padded plane (n, c) of x, dense. */
static double *padded_plane(const cgconv_spec *spec, const shape *s, const void *x, int64_t n, int64_t c) {
    const int64_t rows = s->row.low + s->row.in + s->row.high, cols = s->col.low + s->col.in + s->col.high;
    const double constant = rounded(spec->dtype, spec->pad_value);
    double *plane = malloc((size_t)(rows * cols) * sizeof *plane + 1);
    if (!plane) abort();
    for (int64_t row = 0; row < rows; row++)
        for (int64_t col = 0; col < cols; col++) {
            int64_t index;
            const int inside = padded_cell(spec, s, row, col, &index);
            plane[row * cols + col] =
                inside ? get(spec->dtype, x, n * spec->x_strides[0] + c * spec->x_strides[1] + index) : constant;
        }
    return plane;
}

static double weight_at(const cgconv_spec *spec, const shape *s, const void *weight, int64_t oc, int64_t c, int64_t u,
                        int64_t v) {
    return get(spec->dtype, weight,
               (oc * s->cg + c) * spec->kh * spec->kw + u * s->row.w_stride + v * s->col.w_stride);
}

/* ---- forward --------------------------------------------------------------------------------------------------- */

/* Output plane (n, oc): each cell is one chain over (c, u, v), from the bias on. `planes` are those of the group. */
static void forward_plane(const cgconv_spec *spec, const shape *s, int fused, double *const *planes,
                          const void *weight, const void *bias, void *y, int64_t n, int64_t oc) {
    const int64_t cols = s->col.low + s->col.in + s->col.high;
    for (int64_t i = 0; i < s->row.out; i++)
        for (int64_t j = 0; j < s->col.out; j++) {
            double sum = bias ? get(spec->dtype, bias, oc) : 0;
            for (int64_t c = 0; c < s->cg; c++)
                for (int64_t u = 0; u < s->row.k; u++)
                    for (int64_t v = 0; v < s->col.k; v++) {
                        const int64_t row = i * s->row.stride + u * s->row.dilation;
                        const int64_t col = j * s->col.stride + v * s->col.dilation;
                        sum = multiply_add(spec->dtype, fused, weight_at(spec, s, weight, oc, c, u, v),
                                           planes[c][row * cols + col], sum);
                    }
            put(spec->dtype, y,
                n * spec->y_strides[0] + oc * spec->y_strides[1] + i * s->row.y_stride + j * s->col.y_stride,
                clamp(spec->dtype, sum, spec->clamp_lo, spec->clamp_hi));
        }
}

void define_forward(const cgconv_spec *spec, int fused, const void *x, const void *weight, const void *bias,
                    void *y) {
    const shape s = shape_of(spec);
    double **planes = malloc((size_t)s.cg * sizeof *planes);
    if (!planes) abort();
    for (int64_t n = 0; n < spec->n; n++)
        for (int64_t g = 0; g < spec->groups; g++) {
            for (int64_t c = 0; c < s.cg; c++) planes[c] = padded_plane(spec, &s, x, n, g * s.cg + c);
            for (int64_t f = 0; f < s.f; f++) forward_plane(spec, &s, fused, planes, weight, bias, y, n, g * s.f + f);
            for (int64_t c = 0; c < s.cg; c++) free(planes[c]);
        }
    free(planes);
}

/* ---- backward_input -------------------------------------------------------------------------------------------- */

/* dy at (n, oc), 0 outside its extent. */
static double dy_or_zero(const cgconv_spec *spec, const shape *s, const void *dy, int64_t n, int64_t oc, int64_t i,
                         int64_t j) {
    if (i < 0 || i >= s->row.out || j < 0 || j >= s->col.out) return 0;
    return get(spec->dtype, dy,
               n * spec->y_strides[0] + oc * spec->y_strides[1] + i * s->row.y_stride + j * s->col.y_stride);
}

/* A padded cell of plane (n, c): one chain over (oc, u, v), of the taps whose output lies on the stride. */
static double gradient_cell(const cgconv_spec *spec, const shape *s, int fused, const void *dy, const void *weight,
                            int64_t n, int64_t c, int64_t row, int64_t col) {
    double sum = 0;
    const int64_t g = c / s->cg;
    for (int64_t oc = g * s->f; oc < (g + 1) * s->f; oc++)
        for (int64_t u = 0; u < s->row.k; u++)
            for (int64_t v = 0; v < s->col.k; v++) {
                const int64_t i = row - u * s->row.dilation, j = col - v * s->col.dilation;
                if (i % s->row.stride != 0 || j % s->col.stride != 0) continue;
                sum = multiply_add(spec->dtype, fused, weight_at(spec, s, weight, oc, c % s->cg, u, v),
                                   dy_or_zero(spec, s, dy, n, oc, i / s->row.stride, j / s->col.stride), sum);
            }
    return sum;
}

/* First every cell's own sum, then those of the padding cells, in row-major order, each on the cell it copies. */
static void input_plane(const cgconv_spec *spec, const shape *s, int fused, const void *dy, const void *weight,
                        void *dx, int64_t n, int64_t c) {
    const int64_t rows = s->row.low + s->row.in + s->row.high, cols = s->col.low + s->col.in + s->col.high;
    const int64_t plane = n * spec->x_strides[0] + c * spec->x_strides[1];
    for (int copies = 0; copies < 2; copies++)
        for (int64_t row = 0; row < rows; row++)
            for (int64_t col = 0; col < cols; col++) {
                const int own = row >= s->row.low && row < s->row.low + s->row.in && col >= s->col.low &&
                                col < s->col.low + s->col.in;
                int64_t index;
                if (own == copies || !padded_cell(spec, s, row, col, &index)) continue;
                const double sum = gradient_cell(spec, s, fused, dy, weight, n, c, row, col);
                put(spec->dtype, dx, plane + index,
                    own ? sum : add(spec->dtype, get(spec->dtype, dx, plane + index), sum));
            }
}

void define_backward_input(const cgconv_spec *spec, int fused, const void *dy, const void *weight, void *dx) {
    const shape s = shape_of(spec);
    for (int64_t n = 0; n < spec->n; n++)
        for (int64_t c = 0; c < spec->c; c++) input_plane(spec, &s, fused, dy, weight, dx, n, c);
}

/* ---- backward_weight ------------------------------------------------------------------------------------------- */

/*
 * A chunk is at most 4096 pixels of a row, or as many rows as make up 4096 at most, counted in whole sixteens. The
 * lanes are those of a cache line; each row begins at lane 0 and is filled up with zeros.
 */
enum { CHUNK = 4096, CACHE_LINE = 64 };

/* The sum over one row of a chunk goes to the lanes. `plane` is padded x, NULL for ones. */
static void sum_row(const cgconv_spec *spec, const shape *s, int fused, const double *plane, const void *dy,
                    int64_t n, int64_t oc, int64_t i, int64_t col0, int64_t col1, int64_t u, int64_t v, double *lanes,
                    int count) {
    const int64_t cols = s->col.low + s->col.in + s->col.high, whole = (col1 - col0 + count - 1) / count * count;
    for (int64_t p = 0; p < whole; p++) {
        const int64_t j = col0 + p, row = i * s->row.stride + u * s->row.dilation;
        const int64_t col = j * s->col.stride + v * s->col.dilation;
        const double a = j < col1 ? dy_or_zero(spec, s, dy, n, oc, i, j) : 0;
        const double b = j < col1 ? (plane ? plane[row * cols + col] : 1) : 0;
        lanes[p % count] = multiply_add(spec->dtype, fused, a, b, lanes[p % count]);
    }
}

/* One cell of dw, or of db where there are no planes: the chunks' sums, by rows and then by columns. */
static double correlate(const cgconv_spec *spec, const shape *s, int fused, double *const *planes, const void *dy,
                        int64_t oc, int64_t u, int64_t v) {
    const int count = CACHE_LINE / (int)element_size(spec);
    const int64_t cols = s->col.out < CHUNK ? s->col.out : CHUNK, all = spec->n * s->row.out;
    const int64_t rows = CHUNK / ((cols + 15) / 16 * 16);
    double sum = 0;
    for (int64_t row0 = 0; row0 < all; row0 += rows)
        for (int64_t col0 = 0; col0 < s->col.out; col0 += cols) {
            double lanes[CACHE_LINE / sizeof(float)] = {0};
            for (int64_t row = row0; row < row0 + rows && row < all; row++)
                sum_row(spec, s, fused, planes ? planes[row / s->row.out] : NULL, dy, row / s->row.out, oc,
                        row % s->row.out, col0, col0 + cols < s->col.out ? col0 + cols : s->col.out, u, v, lanes,
                        count);
            sum = add(spec->dtype, sum, join_lanes(spec->dtype, lanes, count));
        }
    return sum;
}

void define_backward_weight(const cgconv_spec *spec, int fused, const void *x, const void *dy, void *dw, void *db) {
    const shape s = shape_of(spec);
    double **planes = malloc((size_t)spec->n * sizeof *planes + 1);
    if (!planes) abort();
    for (int64_t c = 0; c < spec->c; c++) {
        for (int64_t n = 0; n < spec->n; n++) planes[n] = padded_plane(spec, &s, x, n, c);
        for (int64_t oc = c / s.cg * s.f; oc < (c / s.cg + 1) * s.f; oc++)
            for (int64_t u = 0; u < s.row.k; u++)
                for (int64_t v = 0; v < s.col.k; v++)
                    put(spec->dtype, dw,
                        (oc * s.cg + c % s.cg) * spec->kh * spec->kw + u * s.row.w_stride + v * s.col.w_stride,
                        correlate(spec, &s, fused, planes, dy, oc, u, v));
        for (int64_t n = 0; n < spec->n; n++) free(planes[n]);
    }
    free(planes);
    for (int64_t oc = 0; db && oc < output_channels(spec); oc++)
        put(spec->dtype, db, oc, correlate(spec, &s, fused, NULL, dy, oc, 0, 0));
}
