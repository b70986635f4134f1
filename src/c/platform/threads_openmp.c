/*
 * Parallel loops and the default thread count by OpenMP; the only file that knows it.
 * It must not know what a task does, and it never changes a setting of the OpenMP runtime.
 */
#include "threads.h"

#ifdef _OPENMP

#include <omp.h>
#include <stdatomic.h>
#include <stdlib.h>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

/* More than any machine has; it keeps a slip of the keyboard from starting a million threads. */
#define MOST_THREADS 1024

static atomic_int chosen;           /* by cgc_set_default_threads, 0: none */
static atomic_int from_environment; /* CGCONV_NUM_THREADS, 0: none */
static atomic_int in_child;         /* 1 in a process made by fork(), where the runtime's threads do not exist */

/*
 * omp_get_max_threads() before anybody asked for less; 0 until known. What it says now is compared with this: it is
 * the only sign of omp_set_num_threads, which is also how threadpoolctl limits a library. That limit belongs to the
 * calling thread, so it is looked up at every use.
 */
static atomic_int initial;

static void remember_initial(void) {
    int unknown = 0;
    atomic_compare_exchange_strong(&initial, &unknown, omp_get_max_threads());
}

static void read_environment(void) {
    const char *text = getenv("CGCONV_NUM_THREADS");
    if (text == NULL)
        return;
    char *end;
    long n = strtol(text, &end, 10);
    if (end != text && *end == '\0' && n > 0)
        atomic_store(&from_environment, n < MOST_THREADS ? (int)n : MOST_THREADS);
}

#if defined(__unix__) || defined(__APPLE__)

static void on_fork(void) { atomic_store(&in_child, 1); }

static void load(void) {
    remember_initial();
    /* Without the handler (out of memory) a child would be as ill off as with any other user of OpenMP. */
    (void)pthread_atfork(NULL, NULL, on_fork);
}

static pthread_once_t loaded = PTHREAD_ONCE_INIT;

#ifdef __GNUC__
/* When the library is loaded: by its first use there may be a limit, or a fork may have been. */
__attribute__((constructor)) static void on_load(void) { (void)pthread_once(&loaded, load); }
#endif

static void prepare(void) {
    static pthread_once_t used = PTHREAD_ONCE_INIT;
    (void)pthread_once(&loaded, load);
    (void)pthread_once(&used, read_environment);
}

#else

/* No fork() here, and what is read may as well be read twice. */
static void prepare(void) {
    static atomic_int done;
    if (atomic_load(&done))
        return;
    remember_initial();
    read_environment();
    atomic_store(&done, 1);
}

#endif

int cgc_allowed_threads(int wanted) {
    prepare();
    if (atomic_load(&in_child))
        return 1;
    int most = omp_get_max_threads();
    if (most >= atomic_load(&initial) || most > MOST_THREADS)
        most = MOST_THREADS;
    return wanted < most ? wanted : most;
}

int cgc_most_threads(void) { return MOST_THREADS; }

int cgc_default_threads(void) {
    prepare();
    int n = atomic_load(&chosen);
    if (n == 0)
        n = atomic_load(&from_environment);
    if (n == 0)
        n = omp_get_max_threads();
    return cgc_allowed_threads(n);
}

void cgc_set_default_threads(int n) { atomic_store(&chosen, n); }

void cgc_parallel(int threads, int64_t tasks, cgc_task_fn *fn, void *context) {
    if (threads > 1)
        threads = cgc_allowed_threads(threads);
    if (threads > tasks)
        threads = (int)tasks;
    if (threads <= 1) {
        for (int64_t task = 0; task < tasks; task++)
            fn(context, task, 0);
        return;
    }
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (int64_t task = 0; task < tasks; task++)
        fn(context, task, omp_get_thread_num());
}

const char *cgc_threading(void) { return "openmp"; }

#endif
