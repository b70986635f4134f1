/* Channels of a channel-wise correlation, see pixels_part.h. It must not know how channels and rows are divided. */
#include "pixels_part.h"

#include "../platform/memory.h"

enum { PLANES = CGC_POINTERS - CGC_COPIED }; /* pointers of several planes; those to what is copied lie behind */

cgc_pixels_room cgc_pixels_room_of(const cgc_geometry *s, int64_t channels, int64_t terms, int copies) {
    const size_t pixel = cgc_round_up((size_t)(channels * s->size));
    cgc_pixels_room at;
    at.zero = cgc_round_up(CGC_POINTERS * sizeof(void *));
    at.constant = at.zero + CGC_ALIGN;
    at.blank = at.constant + pixel;
    at.weights = at.blank + pixel;
    at.copy = at.weights + cgc_round_up((size_t)(channels * terms * s->size));
    at.end = at.copy + (copies ? CGC_COPIED * CGC_COPIED_BYTES : 0);
    return at;
}

void cgc_pixels_part_open(cgc_pixels_part *p, int64_t channels) {
    p->pointers = cgc_pointers_of(&p->c, p->copies ? CGC_COPIED / p->c.planes : CGC_POINTERS);
    p->kernels->fill(p->workspace + p->at.zero, 0, 1);
    p->kernels->fill(p->workspace + p->at.constant, p->c.source.value, channels);
    p->kernels->fill(p->workspace + p->at.blank, p->c.source.value, channels);
}

/* Bias and weights of output channels o .. o+channels-1. */
static void pack(const cgc_pixels_part *p, int64_t o, int64_t channels, int64_t shift) {
    const cgc_correlation *c = &p->c;
    const ptrdiff_t size = c->source.size, width = p->kernels->width;
    const ptrdiff_t plane = c->ku * c->kv, group = (1 + c->planes * plane) * width;
    char *packed = p->workspace + p->at.weights;
    const ptrdiff_t apart = c->m == 1 ? c->w_group : c->w_m;
    const char *weight = cgc_at(p->image.weight, o * apart + c->w0, size);
    if (p->image.bias)
        p->kernels->pack(channels, shift, 1, cgc_at(p->image.bias, o, size), 1, 1, packed, group);
    else
        p->kernels->pack(channels, shift, 1, p->workspace + p->at.zero, 0, 1, packed, group);
    packed = cgc_at(packed, width, size);
    for (int64_t k = 0; k < c->planes; k++, packed = cgc_at(packed, plane * width, size)) {
        const char *from = cgc_at(weight, k * c->w_plane, size);
        if (c->w_v == 1 && c->w_u == c->kv) {
            p->kernels->pack(channels, shift, plane, from, apart, 1, packed, group);
            continue;
        }
        for (int64_t u = 0; u < c->ku; u++)
            p->kernels->pack(channels, shift, c->kv, cgc_at(from, u * c->w_u, size), apart, c->w_v,
                             cgc_at(packed, u * c->kv * width, size), group);
    }
}

/* Where channel o of output (i, j), in the table's order, goes. */
static char *destination(const cgc_pixels_part *p, int64_t o, int64_t i, int64_t j) {
    const cgc_correlation *c = &p->c;
    const int64_t row = p->pointers.rows.turned ? c->rows - 1 - i : i;
    const int64_t col = p->pointers.cols.turned ? c->cols - 1 - j : j;
    return cgc_at(p->image.destination, c->d0 + o + row * c->d_row + col * c->d_col, c->source.size);
}

/*
 * The table of several planes: that of one at `from`, whose pixels are copied plane by plane, with the lines of row i
 * under filter row u of plane k at line (k*ku + u)*rows + i. Pixels of zeros serve all planes.
 */
static void point_planes(const cgc_pixels_part *p, const cgc_pointer_block *b, int64_t channels, const void **from) {
    const cgc_correlation *c = &p->c;
    const ptrdiff_t size = c->source.size, pixel = c->planes * CGC_COPIED_BYTES;
    const void **table = (const void **)p->workspace;
    const char *zeros = p->workspace + p->at.constant, *blank = p->workspace + p->at.blank;
    char *copy = p->workspace + p->at.copy;
    for (int64_t e = 0; e < b->lines * b->pitch; e++) {
        if (from[e] == zeros || from[e] == blank) continue;
        if (c->planes == 2)
            p->kernels->lines(1, 2 * channels, from[e], 0, 1, copy + e * pixel, 0, 0, 2, CGC_COPIED_BYTES / size);
        else
            p->kernels->transpose(channels, c->planes, from[e], c->planes, copy + e * pixel, CGC_COPIED_BYTES / size);
    }
    for (int64_t k = 0; k < c->planes; k++)
        for (int64_t u = 0; u < c->ku; u++)
            for (int64_t i = 0; i < b->rows; i++)
                for (int64_t e = 0; e < b->pitch; e++) {
                    const int64_t at = i * b->row + u * b->u + e;
                    *table++ = from[at] == zeros || from[at] == blank ? from[at]
                                                                      : copy + at * pixel + k * CGC_COPIED_BYTES;
                }
}

/* Fills the table of a block for output channels from o on, and copies its pixels if that is wanted. */
static void point(const cgc_pixels_part *p, const cgc_pointer_block *b, int64_t o, int64_t channels) {
    const cgc_correlation *c = &p->c;
    const ptrdiff_t size = c->source.size;
    const void **table = (const void **)p->workspace;
    const char *blank = p->workspace + p->at.blank;
    if (c->planes > 1) table += PLANES;
    cgc_pointers_fill(&p->pointers, b, c, cgc_at(p->image.source, o / c->m * c->s_group, size),
                      p->workspace + p->at.constant, blank, table);
    if (c->planes > 1) {
        point_planes(p, b, channels, table);
        return;
    }
    if (!p->copies) return;
    char *copy = p->workspace + p->at.copy;
    const int64_t count = b->lines * b->pitch;
    p->kernels->spread(count, (const void *const *)table, channels, c->m, o % c->m, copy, CGC_COPIED_BYTES / size);
    for (int64_t e = 0; e < count; e++)
        if (table[e] != blank) table[e] = copy + e * CGC_COPIED_BYTES;
}

/* The outputs of a table, for the packed channels: class by class of its axes. */
static void run_block(const cgc_pixels_part *p, const cgc_pointer_block *b, int64_t o, int64_t channels,
                      int64_t shift) {
    const cgc_correlation *c = &p->c;
    const cgc_axis *rows = &p->pointers.rows, *cols = &p->pointers.cols;
    const void *const *table = (const void *const *)p->workspace;
    const int planes = c->planes > 1;
    const int64_t classes = planes ? 1 : rows->classes;
    cgc_pixel_rows call = {
        .channels = channels, .shift = shift, .kh = c->planes * c->ku, .kw = c->kv,
        .src_row = planes ? b->pitch : classes * b->row, .src_u = planes ? b->rows * b->pitch : b->u,
        .step = b->step, .dilation = b->dilation,
        .blank = c->source.value == 0 ? p->workspace + p->at.blank : NULL,
        .w = p->workspace + p->at.weights,
        .y_row = (rows->turned ? -1 : 1) * classes * c->d_row,
        .y_col = (cols->turned ? -1 : 1) * cols->classes * c->d_col,
        .lo = c->lo, .hi = c->hi,
    };
    if (p->far && !p->copies && call.src_u > 0 && call.kw > 0)
        call.fresh = cgc_max(1, cgc_min(call.src_row / call.src_u, call.kh));
    for (int64_t i = 0; i < cgc_min(classes, b->rows); i++)
        for (int64_t j = 0; j < cgc_min(cols->classes, b->cols); j++) {
            call.rows = cgc_ceil_div(b->rows - i, classes);
            call.cols = cgc_ceil_div(b->cols - j, cols->classes);
            call.src = table + i * b->row_class + j * b->col_class;
            call.y = destination(p, o, b->i + i, b->j + j);
            p->kernels->pixels(&call);
        }
}

void cgc_pixels_part_run(const cgc_pixels_part *p, int64_t o, int64_t channels, int64_t shift,
                         int64_t i0, int64_t i1) {
    pack(p, o, channels, shift);
    const int64_t most = p->pointers.cols.most;
    for (int64_t j = 0; j < p->c.cols; j += most) {
        const int64_t cols = cgc_min(most, p->c.cols - j);
        int64_t high = cgc_min(i1 - i0, cgc_pointers_rows(&p->pointers, cols, p->good / p->c.planes));
        if (p->c.planes > 1) { /* those of one row fit, as its copies do */
            const int64_t pitch = cgc_pointers_block(&p->pointers, i0, 1, j, cols).pitch;
            high = cgc_max(1, cgc_min(high, PLANES / cgc_max(1, p->c.planes * p->c.ku * pitch)));
        }
        const int64_t even = cgc_ceil_div(i1 - i0, cgc_ceil_div(i1 - i0, high));
        for (int64_t i = i0; i < i1; i += even) {
            const cgc_pointer_block b = cgc_pointers_block(&p->pointers, i, cgc_min(even, i1 - i), j, cols);
            point(p, &b, o, channels);
            run_block(p, &b, o, channels, shift);
        }
    }
}
