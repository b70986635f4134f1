/*
 * Where the terms of a chunk of the weight gradient are read: in place, in sheets (one for each image that the chunk
 * meets), laid out pixel by pixel, turned so that the pixels of a class of columns are neighbours, or, where none of
 * these serves or sheets would be too large, gathered term by term. It must not know what is computed from them.
 */
#ifndef CGC_CHUNK_SOURCE_H
#define CGC_CHUNK_SOURCE_H

#include "reduction.h"
#include "sheet.h"

enum { CGC_CHUNK_TERMS = 2048 }; /* the most that are ready at a time */

typedef enum cgc_source_kind {
    CGC_IN_PLACE, CGC_IN_SHEETS, CGC_LAID_OUT, CGC_TURNED, CGC_BY_TERMS
} cgc_source_kind;

/*
 * How pixels of a chunk are laid out: how many pixels it is from row to row, and from column to column as below. Or,
 * if row is 0, class after class, `col` pixels apart: its pixels one behind the other, row after row.
 */
typedef struct cgc_lay {
    int64_t row, col, next;
} cgc_lay;

typedef struct cgc_chunk_source {
    cgc_source_kind kind;
    int64_t terms;   /* of a group that can be ready at a time; of sheets, those of whole planes */
    int64_t rows;    /* of a chunk, at most */
    int64_t pixels;  /* the same */
    cgc_lay lay;     /* of pixels that are laid out, */
    int64_t laid;    /* for which there must be room for so many */
    int64_t booked_pixels; /* at least as many, and the same for all large images */
    ptrdiff_t col, next; /* from output column to output column, and to the one that is a vector's lanes behind it */
    cgc_sheet sheet; /* of one plane */
    int64_t image;   /* elements of an image's sheet */
    int64_t booked;  /* elements of the memory; the same for all large images */
    cgc_source_kind turned; /* if the kind is CGC_TURNED: what is turned, */
    int64_t turned_at;      /* and where in the memory that is put */
} cgc_chunk_source;

/*
 * For a run over `images` images. `wanted`: CGC_IN_PLACE or CGC_LAID_OUT if the source can be read like that, else
 * CGC_IN_SHEETS or, for filters of one cell and one group, CGC_TURNED. Then, if groups > 1, all terms of so many groups
 * are held, or the kind is another. Memory, or what is read in place again and again, is `most` elements, if not a
 * single term takes more.
 */
cgc_chunk_source cgc_chunk_source_of(const cgc_correlation *c, const cgc_kernels *kernels, int64_t images,
                                     int64_t groups, cgc_source_kind wanted, int64_t most);

/* Images of `rows` rows of which either columns or planes are neighbours; from image to image n, row to row ... */
typedef struct cgc_pixels {
    const char *at;
    int64_t rows;
    ptrdiff_t n, row, col, plane, size;
} cgc_pixels;

/* Planes of a chunk, pixel by pixel: plane p of pixel e to y[e*pitch + p]. y_row: where rows begin. */
void cgc_chunk_lay_out(const cgc_lay *lay, const cgc_pixels *x, const cgc_kernels *kernels, cgc_chunk chunk,
                       int64_t planes, char *y, int64_t pitch, ptrdiff_t *y_row);

/* What is read: terms k0 .. k0+k-1 of groups g .. g+groups-1; if groups > 1, all terms. */
typedef struct cgc_chunk_terms {
    int64_t g, groups, k0, k;
} cgc_chunk_terms;

/*
 * Where it is ready: term i of group q at row r, column p is element
 * off[i] + row[r] + p%lanes*col + p/lanes*next + q*group. What is turned has no row: with pixels of a class counted
 * row after row, it is off[i] + p%lanes*col + pixel.
 */
typedef struct cgc_chunk_ready {
    const char *base;
    ptrdiff_t *row, *off; /* room for `rows` and `terms` */
    ptrdiff_t group;
} cgc_chunk_ready;

/*
 * Makes terms of a chunk ready; x_n is the stride from image to image. `again`: the memory was last filled for the
 * same chunk and other terms, no fewer. `map` is room for CGC_SHEET_LINES numbers.
 */
void cgc_chunk_source_fill(const cgc_chunk_source *source, const cgc_kernels *kernels, const cgc_correlation *c,
                           const char *x, ptrdiff_t x_n, cgc_chunk chunk, const cgc_chunk_terms *terms, int again,
                           char *memory, int64_t *map, cgc_chunk_ready *ready);

#endif
