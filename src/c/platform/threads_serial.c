/* Parallel loops for builds without OpenMP: one thread, the caller. It must not know OpenMP. */
#include "threads.h"

#ifndef _OPENMP

void cgc_parallel(int threads, int64_t tasks, cgc_task_fn *fn, void *context) {
    (void)threads;
    for (int64_t task = 0; task < tasks; task++)
        fn(context, task, 0);
}

int cgc_default_threads(void) { return 1; }

int cgc_most_threads(void) { return 1; }

int cgc_allowed_threads(int wanted) {
    (void)wanted;
    return 1;
}

void cgc_set_default_threads(int n) { (void)n; }

const char *cgc_threading(void) { return "serial"; }

#endif
