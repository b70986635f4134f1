/*
 * Parallel loops and the default thread count. threads_openmp.c is the only file that knows OpenMP; threads_serial.c
 * is its twin for builds without. Each is empty in the other's build, so that all files can be handed to any
 * compiler.
 */
#ifndef CGC_THREADS_H
#define CGC_THREADS_H

#include <stdint.h>

typedef void cgc_task_fn(void *context, int64_t task, int thread);

/*
 * Calls fn(context, task, thread) once for each task < tasks, with 0 <= thread < threads, in any order; no two calls
 * at one time have the same thread. Returns when all are done. May use fewer threads: in a child after fork(), inside
 * another parallel region, or under a limit put on OpenMP at run time. threads == 1 or tasks <= 1 runs in the caller.
 */
void cgc_parallel(int threads, int64_t tasks, cgc_task_fn *fn, void *context);

/* The thread count of a run that does not say, at least 1, see cgconv_get_num_threads. */
int cgc_default_threads(void);

/* The most threads that any run of this build uses, at least 1. */
int cgc_most_threads(void);

/* `wanted` threads, at most what a run-time limit allows now. wanted >= 1. */
int cgc_allowed_threads(int wanted);

/* Sets the default for the process; 0 goes back to CGCONV_NUM_THREADS or the runtime's own. */
void cgc_set_default_threads(int n);

/* "openmp" or "serial". */
const char *cgc_threading(void);

#endif
