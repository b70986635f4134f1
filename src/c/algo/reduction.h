/*
 * The weight gradient's one sum: how its pixels are cut into chunks. It is part of the definition and depends on
 * nothing but the shape of the output.
 *
 * The n*oh output rows, image by image, are cut into blocks of `rows`, and the columns into spans of `cols`. A chunk
 * is one block of one span; chunks are ordered by block, then by span. In a chunk, row after row from its first
 * column on, pixel p of the row goes to lane p % lanes as one fused multiply-add, each row filled up with zeros to
 * whole lanes; the lanes are joined by halves; the gradient is 0 plus the chunks' sums in their order. A lane's chain
 * has at most 256 terms in float32 and 512 in float64, whatever the image.
 */
#ifndef CGC_REDUCTION_H
#define CGC_REDUCTION_H

#include "../kernels/kernels.h"
#include "geometry.h"

typedef struct cgc_chunks {
    int64_t rows, cols;   /* of a chunk; less at the ends */
    int64_t spans, count; /* chunks side by side, chunks in all */
} cgc_chunks;

typedef struct cgc_chunk {
    int64_t row0, row1; /* of the n*oh rows */
    int64_t col0, col1;
} cgc_chunk;

static inline cgc_chunks cgc_cut_of(int64_t images, int64_t rows, int64_t cols) {
    cgc_chunks cut;
    cut.cols = cgc_min(cols, CGC_MAX_PIXELS);
    cut.rows = CGC_MAX_PIXELS / (cgc_ceil_div(cut.cols, CGC_MAX_LANES) * CGC_MAX_LANES);
    cut.spans = cgc_ceil_div(cols, cut.cols);
    cut.count = cgc_ceil_div(images * rows, cut.rows) * cut.spans;
    return cut;
}

static inline cgc_chunks cgc_cut(const cgc_geometry *s) { return cgc_cut_of(s->n, s->oh, s->ow); }

static inline cgc_chunk cgc_chunk_at(const cgc_geometry *s, const cgc_chunks *cut, int64_t index) {
    cgc_chunk chunk;
    chunk.row0 = index / cut->spans * cut->rows;
    chunk.row1 = cgc_min(chunk.row0 + cut->rows, s->n * s->oh);
    chunk.col0 = index % cut->spans * cut->cols;
    chunk.col1 = cgc_min(chunk.col0 + cut->cols, s->ow);
    return chunk;
}

#endif
