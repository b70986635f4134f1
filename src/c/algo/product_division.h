/*
 * How a forward product is cut into tasks and what a thread needs for one. It must not know how a task is run.
 */
#ifndef CGC_PRODUCT_DIVISION_H
#define CGC_PRODUCT_DIVISION_H

#include "product_weights.h"
#include "sheet.h"

enum { CGC_SCRATCH_BYTES = 65536 }; /* for results on their way */

/* How a run is cut: tasks by tile of rows, tile of columns, image, gang of groups, part of the outputs. */
typedef struct cgc_division {
    const cgc_run *run;
    cgc_geometry s; /* of planes made flat, see flatten */
    const cgc_kernels *kernels;
    cgc_product_kind kind;
    int in_place;
    int64_t gang;       /* groups of a task, one after the other from one sheet */
    int64_t rows, cols; /* of a tile */
    int64_t row_tiles, col_tiles, parts;
    cgc_sheet sheet;
    int64_t elements;          /* booked for it */
    const ptrdiff_t *offsets; /* of the terms */
    cgc_weight_blocks weights;
} cgc_division;

/* A thread's workspace: the tile that the sheet was last filled for and the map of the sheet's lines come first. */
typedef struct cgc_product_workspace {
    size_t scratch, weights, sheet, end;
} cgc_product_workspace;

cgc_product_workspace cgc_product_workspace_of(const cgc_division *cut);

/* Of how many outputs, of all groups of a gang, the scratch holds one row of a tile; at least 1. */
int64_t cgc_scratch_outputs(const cgc_division *cut);

/* How a run of this kind is cut; the run itself and the offsets are still to be filled in. */
cgc_division cgc_divide(const cgc_geometry *geometry, const cgc_kernels *kernels, cgc_product_kind kind,
                        int threads);

#endif
