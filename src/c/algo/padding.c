/* Padding, see padding.h. It must not know what is done with the cells it reads. */
#include "padding.h"

#include <string.h>

/* Cell p of a path that runs from 0 to n-1 in every even stretch of n steps and back in every odd one. */
static int64_t there_and_back(uint64_t p, uint64_t n, uint64_t turn) {
    return (int64_t)(p / n % 2 ? turn - p % n : p % n);
}

int64_t cgc_pad_source(cgconv_pad_mode mode, int64_t position, int64_t extent) {
    if (position >= 0 && position < extent) return position;
    if (extent < 1) return -1;
    const uint64_t n = (uint64_t)extent, ahead = (uint64_t)position, behind = 0 - ahead; /* cells from cell 0 */
    switch (mode) {
    case CGCONV_PAD_SYMMETRIC_INCLUDE_EDGE: /* cell -1 mirrors cell 0, and one stretch has n cells */
        return there_and_back(position < 0 ? behind - 1 : ahead, n, n - 1);
    case CGCONV_PAD_SYMMETRIC_EXCLUDE_EDGE: /* cell -1 mirrors cell 1, and one stretch has n - 1 cells */
        return n == 1 ? 0 : there_and_back(position < 0 ? behind : ahead, n - 1, n - 1);
    case CGCONV_PAD_REPLICATE: return position < 0 ? 0 : extent - 1;
    case CGCONV_PAD_CIRCULAR: return (int64_t)(position < 0 ? n - 1 - (behind - 1) % n : ahead % n);
    case CGCONV_PAD_CONSTANT: break;
    }
    return -1;
}

/* Cells of one line whose columns all lie outside it. */
static void fetch_outside(const cgc_kernels *kernels, const cgc_plane *plane, const char *line, int64_t col,
                          int64_t step, int64_t count, char *y) {
    if (plane->mode == CGCONV_PAD_CONSTANT) {
        kernels->fill(y, plane->value, count);
        return;
    }
    for (int64_t p = 0; p < count; p++) {
        int64_t source = cgc_pad_source(plane->mode, col + p * step, plane->w);
        memcpy(cgc_at(y, p, plane->size), cgc_at(line, source * plane->col, plane->size), (size_t)plane->size);
    }
}

void cgc_fetch(const cgc_kernels *kernels, const cgc_plane *plane, const char *base, int64_t row, int64_t col,
               int64_t step, int64_t count, char *y) {
    int64_t source = cgc_pad_source(plane->mode, row, plane->h);
    if (source < 0 || plane->w < 1) { /* an array without columns may be NULL */
        kernels->fill(y, plane->value, count);
        return;
    }
    const char *line = cgc_at(base, source * plane->row, plane->size);
    int64_t from = col >= 0 ? 0 : cgc_min(count, cgc_ceil_div(-col, step)); /* columns inside: from <= p < to */
    int64_t to = col < plane->w ? cgc_min(count, (plane->w - 1 - col) / step + 1) : 0;
    if (to < from) to = from;
    if (from > 0) fetch_outside(kernels, plane, line, col, step, from, y);
    if (to > from)
        kernels->gather(cgc_at(y, from, plane->size), cgc_at(line, (col + from * step) * plane->col, plane->size),
                        step * plane->col, to - from);
    if (count > to)
        fetch_outside(kernels, plane, line, col + to * step, step, count - to, cgc_at(y, to, plane->size));
}
