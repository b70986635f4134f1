/*
 * The weights of products as the kernels want them, once for a run or block by block in a task. It must not
 * know sources, tiles or threads.
 */
#ifndef CGC_PRODUCT_WEIGHTS_H
#define CGC_PRODUCT_WEIGHTS_H

#include "correlation.h"
#include "product.h"

/*
 * For `gemm_outputs`: blocks of m outputs of a group, [terms][outputs], the outputs rounded up to whole vectors. For
 * `gemm_pixels`: one block a group, [m][terms], or none where the weights lie so already.
 */
typedef struct cgc_weight_blocks {
    cgc_product_kind kind;
    int packed;
    int64_t m, blocks;       /* outputs of a block, blocks of a group */
    int64_t tasks;           /* blocks of all groups */
    ptrdiff_t group;         /* elements of a group */
    size_t size;             /* bytes of all blocks, and of one behind them for each: 1 if it is finite */
    size_t shared, local;    /* `size`, if they are packed once for the run, else bytes of one in each thread */
    const char *ready;       /* all blocks, if they have been packed */
} cgc_weight_blocks;

/* `often`: whether several tasks use the same block. */
cgc_weight_blocks cgc_weight_blocks_of(const cgc_correlation *c, const cgc_kernels *kernels, cgc_product_kind kind,
                                       int64_t groups, int often);

/* Packs block `task` of all into its place. */
void cgc_pack_weights(const cgc_weight_blocks *w, const cgc_kernels *kernels, const cgc_correlation *c,
                      const char *weight, char *packed, int64_t task);

/* Block b of group g for `gemm_outputs`: where it lies, or packed into `local`; and whether it is finite. */
const char *cgc_weight_block(const cgc_weight_blocks *w, const cgc_kernels *kernels, const cgc_correlation *c,
                             const char *weight, char *local, int64_t g, int64_t b, int *finite);

/* The weights of group g for `gemm_pixels`, and the step from output to output. */
const char *cgc_weights_of_group(const cgc_weight_blocks *w, const cgc_correlation *c, const char *weight, int64_t g,
                                 ptrdiff_t *w_m);

#endif
