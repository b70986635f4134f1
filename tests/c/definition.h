/*
 * The three passes as the header defines them, in plain loops over every cell. It must not know the library: it is
 * written from the documents and shares no line with what it judges.
 */
#ifndef DEFINITION_H
#define DEFINITION_H

#include <cgconv.h>

/*
 * All take a legal spec with its strides filled in (fill_strides), and pointers to cell (0, 0, 0, 0) of the arrays.
 * fused: 1 for fused multiply-adds, 0 for a product that is rounded before it is added.
 */
void define_forward(const cgconv_spec *spec, int fused, const void *x, const void *weight, const void *bias, void *y);
void define_backward_input(const cgconv_spec *spec, int fused, const void *dy, const void *weight, void *dx);
void define_backward_weight(const cgconv_spec *spec, int fused, const void *x, const void *dy, void *dw, void *db);

/* Output extent of one axis. */
int64_t output_extent(int64_t in, int64_t pads, int64_t k, int64_t stride, int64_t dilation);

/* Which cell of an axis stands at `position`; -1 if none does. Walks, one reflection or turn at a time. */
int64_t source_cell(cgconv_pad_mode mode, int64_t position, int64_t extent);

/* Turns strides that are all 0 into dense ones in the spec's layout. */
void fill_strides(cgconv_spec *spec);

int64_t output_channels(const cgconv_spec *spec);
size_t element_size(const cgconv_spec *spec);

/* Axes of the layout, outermost first, as indices into n, c, h, w. */
const int *layout_order(cgconv_layout layout);

/* Cells of a float or double array as double, which is exact. */
double get(cgconv_dtype dtype, const void *p, int64_t index);
void put(cgconv_dtype dtype, void *p, int64_t index, double value);

/* a + b, and c + a*b, in the precision of the dtype. */
double add(cgconv_dtype dtype, double a, double b);
double multiply_add(cgconv_dtype dtype, int fused, double a, double b, double c);

/* The sum of `count` lanes by halves; count is a power of two. The lanes are used up. */
double join_lanes(cgconv_dtype dtype, double *lanes, int count);

/* The value no lower than lo and no higher than hi, which are converted to the dtype first; a NaN stays one. */
double clamp(cgconv_dtype dtype, double value, double lo, double hi);

#endif
