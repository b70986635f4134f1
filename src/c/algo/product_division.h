/*
 * How a product is cut into tasks and what a thread needs for one. It must not know how a task is run.
 */
#ifndef CGC_PRODUCT_DIVISION_H
#define CGC_PRODUCT_DIVISION_H

#include "product_weights.h"
#include "sheet.h"

enum {
    CGC_SCRATCH_BYTES = 65536, /* for results on their way */
    CGC_MOST_PHASES = 16,      /* of the stride */
};

/* A correlation of the pass. */
typedef struct cgc_phase {
    cgc_correlation c;
    const ptrdiff_t *offsets; /* of the terms, from the first cell of a tile's source */
    const ptrdiff_t *padded;  /* if the division is `inside`: the same, in the sheet */
    const unsigned char *skips; /* and which columns leave out a term */
    cgc_weight_blocks weights;
    size_t packed; /* where those that are shared begin in the shared memory */
} cgc_phase;

/*
 * How a run is cut: tasks by tile of rows, tile of columns, image, gang of groups, part of the outputs. A task serves
 * its rows and columns in every phase, from one window of the source.
 */
typedef struct cgc_division {
    const cgc_run *run;
    cgc_geometry s;         /* the window's, of planes made flat, see flatten */
    cgc_correlation window; /* its own forward correlation */
    const cgc_kernels *kernels;
    cgc_product_kind kind;
    int in_place;
    int inside;         /* without the terms of padding: in place too, the sheet is for sums that need all */
    int64_t gathered;   /* terms that the kernel has room to gather, or 0 */
    int64_t gang;       /* groups of a task, one after the other from one sheet */
    int64_t rows, cols; /* of a tile */
    int64_t row_tiles, col_tiles, parts;
    cgc_sheet sheet;
    int64_t elements; /* booked for it */
    int64_t row_phases, col_phases;
    cgc_phase phases[CGC_MOST_PHASES]; /* row by row */
    size_t shared;                     /* bytes of packed weights of all phases, the offsets follow */
    int64_t terms;                     /* of all phases; of each table of offsets */
} cgc_division;

/*
 * A thread's workspace: first the tile that the sheet was last filled for, how many groups of it, and whether it is
 * that of the task; and the map of the sheet's lines.
 */
typedef struct cgc_product_workspace {
    size_t scratch, weights, sheet, room, end;
} cgc_product_workspace;

cgc_product_workspace cgc_product_workspace_of(const cgc_division *cut);

/* Of how many outputs, of all groups of a gang, the scratch holds one row of a tile; at least 1. */
int64_t cgc_scratch_outputs(const cgc_division *cut);

/* How a run of this kind is cut; the run itself and the offsets are still to be filled in. */
cgc_division cgc_divide(const cgc_geometry *geometry, const cgc_kernels *kernels, cgc_product_kind kind,
                        cgconv_pass pass, int threads);

#endif
