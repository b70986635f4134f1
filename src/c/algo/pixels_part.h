/*
 * Some channels of a channel-wise correlation whose channels are neighbours in memory, through a table of pointers to
 * source pixels: what the algorithms with vectors over channels have in common. It must not know the pass.
 *
 * A correlation with several source planes for each output has their channels by turns. Its pixels are copied plane by
 * plane, and the planes' filter rows follow one another in the table as if they were rows of one filter.
 */
#ifndef CGC_PIXELS_PART_H
#define CGC_PIXELS_PART_H

#include "panel.h"
#include "pointers.h"

enum {
    CGC_COPIED_BYTES = 256,       /* of the channels of a block whose pixels are copied, at most */
    CGC_COPIED = CGC_PANEL_TERMS, /* pixels that are copied at a time, at most */
};

/* The workspace: the table, a zero, two pixels of the padding constant, packed weights, copied pixels. */
typedef struct cgc_pixels_room {
    size_t zero, constant, blank, weights, copy, end;
} cgc_pixels_room;

/* For blocks of at most `channels` channels, each with `terms` numbers: a bias and weights. */
cgc_pixels_room cgc_pixels_room_of(const cgc_geometry *s, int64_t channels, int64_t terms, int copies);

typedef struct cgc_pixels_part {
    const cgc_kernels *kernels;
    cgc_correlation c;
    cgc_image image;
    cgc_pixels_room at;
    char *workspace;
    int copies;            /* pixels are copied before they are read; always if there are several planes */
    int far;               /* input and output are more than caches hold */
    int64_t good;          /* pointers of a table, where a row does not need more */
    cgc_pointers pointers; /* of c, for tables as large as may be */
} cgc_pixels_part;

/* Sets what blocks of at most `channels` channels share: once, before the first of them. */
void cgc_pixels_part_open(cgc_pixels_part *part, int64_t channels);

/* Rows i0 .. i1-1 of output channels o .. o+channels-1, in vectors that are shifted as the kernel `pack` says. */
void cgc_pixels_part_run(const cgc_pixels_part *part, int64_t o, int64_t channels, int64_t shift, int64_t i0,
                         int64_t i1);

#endif
