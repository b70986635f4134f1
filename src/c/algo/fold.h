/*
 * The adjoint of padding: the gradients of padding cells are added to the cells they were copied from. Every algorithm
 * but the reference runs backward_input through here. Of small planes the gradient is computed as if the padding were
 * input too, and folded; of others the padding above, left, right and below is computed once the rest is complete, as
 * inputs of their own. What an algorithm cannot serve like that is folded cell by cell.
 */
#ifndef CGC_FOLD_H
#define CGC_FOLD_H

#include "algo.h"

/* How an algorithm computes the gradient of an input without padding or with zeros around it. */
typedef struct cgc_unfolded {
    int64_t whole; /* cells of a padded plane, at most, that it computes at once */
    int parts;     /* it computes the padding of larger planes in parts: its booking is the same for all long rows */
    int (*serves)(const cgc_geometry *geometry, cgconv_pass pass); /* NULL: every problem */
    cgc_booking (*book)(const cgc_geometry *geometry, const cgc_kernels *kernels, cgconv_pass pass, int threads);
    void (*run)(const cgc_run *run);
} cgc_unfolded;

/* Booking and run of any pass; passes but backward_input are the algorithm's own. */
cgc_booking cgc_folded_book(const cgc_geometry *geometry, const cgc_kernels *kernels, cgconv_pass pass, int threads,
                            const cgc_unfolded *unfolded);
void cgc_folded_run(const cgc_run *run, const cgc_unfolded *unfolded);

/*
 * The gradients of the padding cells of a whole run, one by one, added to dx, whose own cells are complete; and the
 * bytes of workspace that each thread needs for it, a multiple of CGC_ALIGN.
 */
void cgc_fold_cells(const cgc_run *run);
size_t cgc_fold_cells_workspace(const cgc_geometry *geometry, const cgc_kernels *kernels);

#endif
