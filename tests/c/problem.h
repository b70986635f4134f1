/*
 * Problems: random specs with odd shapes, pads and strides, and a trial, which is a problem with its arrays between
 * guard pages and the outputs that the definition expects. It must not know algorithms, kernels or anything internal.
 */
#ifndef PROBLEM_H
#define PROBLEM_H

#include <cgconv.h>

#include "definition.h"
#include "harness.h"

typedef struct problem {
    uint64_t seed;
    cgconv_spec spec;
    int has_bias;
    int special_values; /* NaN, infinity, -0 and denormal numbers among the inputs */
} problem;

/* A small problem; the same seed gives the same one. */
problem random_problem(uint64_t seed);

/* A problem that is large enough for several threads, dense, from the same generator. */
problem random_large_problem(uint64_t seed);

/* One line that says everything. */
void describe(const problem *p, char *text, size_t size);

typedef enum array { X, WEIGHT, BIAS, DY, Y, DX, DW, DB, ARRAYS } array;

typedef struct trial {
    problem problem;
    cgconv_spec spec; /* with strides filled in */
    int x_distinct, y_distinct; /* no two cells share memory, so the array may be written */
    size_t bytes[ARRAYS], origin[ARRAYS]; /* of each block, and of cell (0, 0, 0, 0) in it */
    unsigned char *input[ARRAYS];         /* NULL for outputs */
    unsigned char *expected[2][ARRAYS];   /* [fused]; NULL for inputs */
    guarded memory[ARRAYS], workspace, packed;
    rng random;
} trial;

/* Draws the inputs and computes what is expected of the outputs, with fused multiply-adds and, if asked, without. */
void trial_begin(trial *t, const problem *p, int unfused_too);
void trial_end(trial *t);

/* Frees the memory, which trial_end keeps for the next problem. */
void trial_free(trial *t);

/* Puts all arrays at one end of their pages, the inputs read-only. */
void trial_place(trial *t, side where);

/* Cell (0, 0, 0, 0) of an array; NULL for an array that the problem does not have. */
void *trial_array(const trial *t, array a);

/* Runs a pass on poisoned outputs and a poisoned workspace of exactly the size asked for. */
cgconv_status trial_run(trial *t, const cgconv_plan *plan, cgconv_pass pass, side where);

/* Runs the forward pass like that, on read-only weights that were packed into memory of exactly the size asked for. */
cgconv_status trial_run_packed(trial *t, const cgconv_plan *plan, side where);

/* May this pass write its output, as the strides are? */
int trial_can_write(const trial *t, cgconv_pass pass);

/* Checks the outputs of a pass bit for bit, and that nothing else was written; `how` names the variant. */
int trial_check(const trial *t, cgconv_pass pass, int fused, const char *how);

/* Checks that a pass left its outputs alone. */
int trial_check_untouched(const trial *t, cgconv_pass pass, const char *how);

#endif
