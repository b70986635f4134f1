/*
 * The reference algorithm: the definition, for both dtypes. It must not know a kernel, so that it can judge them all.
 */
#include <math.h>

#include "../platform/threads.h"
#include "algo.h"
#include "padding.h"
#include "reduction.h"

#define T float
#define FMA fmaf
#define LANES CGC_LANES_F32
#define NAME(x) x##_f32
#include "reference_template.h"
#undef T
#undef FMA
#undef LANES
#undef NAME

#define T double
#define FMA fma
#define LANES CGC_LANES_F64
#define NAME(x) x##_f64
#include "reference_template.h"

static int supports(const cgc_geometry *geometry, const cgc_kernels *kernels, cgconv_pass pass) {
    (void)geometry, (void)kernels, (void)pass;
    return 1;
}

static cgc_booking book(const cgc_geometry *geometry, const cgc_kernels *kernels, cgconv_pass pass, int threads) {
    (void)geometry, (void)kernels, (void)pass, (void)threads;
    return (cgc_booking){0, 0};
}

static void run_reference(const cgc_run *run) {
    static cgc_task_fn *const passes[2][3] = {{forward_f32, backward_input_f32, backward_weight_f32},
                                              {forward_f64, backward_input_f64, backward_weight_f64}};
    const cgc_geometry *s = run->geometry;
    const int64_t tasks[3] = {s->n * s->oc, s->n * s->c, s->oc};
    cgc_parallel(run->threads, tasks[run->pass], passes[s->dtype == CGCONV_FLOAT64][run->pass], (void *)run);
}

const cgc_algorithm cgc_reference = {"reference", supports, book, run_reference, NULL, NULL};
