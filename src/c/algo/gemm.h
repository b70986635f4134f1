/*
 * A block of a correlation by matrix product: im2col a tile at a time, then the gemm kernel. It must not know passes,
 * threads or what becomes of the sums.
 */
#ifndef CGC_GEMM_H
#define CGC_GEMM_H

#include "correlation.h"

/*
 * Sizes of a block: up to `m` outputs and `cells` output cells are summed over `k` terms at a time, so that a panel
 * of k x cells stays in L2 and one of its tiles in L1. All fixed by the kernels, none by the problem.
 */
typedef struct cgc_block {
    int64_t m, cells, k;
    int down; /* cells are counted down columns: cell e is row e % rows, column e / rows. For high, narrow outputs */
} cgc_block;

/* For correlations of up to `outputs` outputs. */
cgc_block cgc_block_of(const cgc_kernels *kernels, int64_t outputs);

/* Bytes of workspace that cgc_gemm_block needs, a multiple of CGC_ALIGN. */
size_t cgc_gemm_workspace(const cgc_block *block, ptrdiff_t size);

/*
 * Outputs m0 .. m0+m-1 of group g, cells e0 .. e0+cells-1 (cell e is row e / cols, column e % cols) of one image.
 * Returns the sums, from the bias on and not clamped yet, at [m*block->cells + cell], inside the workspace.
 */
char *cgc_gemm_block(const cgc_kernels *kernels, const cgc_block *block, const cgc_correlation *c,
                     const cgc_image *image, int64_t g, int64_t m0, int64_t m, int64_t e0, int64_t cells,
                     char *workspace);

#endif
