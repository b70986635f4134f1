/*
 * The adjoint of padding: adds the gradients of padding cells to the cells they were copied from. It is the second
 * half of backward_input in every algorithm but the reference, and does nothing for constant padding.
 */
#ifndef CGC_FOLD_H
#define CGC_FOLD_H

#include "algo.h"

/* Bytes of workspace that each thread needs, a multiple of CGC_ALIGN; 0 where there is nothing to fold. */
size_t cgc_fold_workspace(const cgc_geometry *geometry, const cgc_kernels *kernels);

/* Folds the padding cells of a whole run into dx, whose own cells are complete. */
void cgc_fold(const cgc_run *run);

#endif
