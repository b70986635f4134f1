/*
 * Threads: the same bits for any number of them, one plan run by many at once, a process that is forked, and the
 * rules of the default count. It must not know how the library shares work.
 */
#define _DEFAULT_SOURCE

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "problem.h"
#include "variants.h"

enum { MOST_THREADS = 8, PROBLEMS = 6, RUNNERS = 4, ROUNDS = 5, SECONDS = 60 };

static int is_serial(void) { return strcmp(cgconv_threading(), "serial") == 0; }

static void begin_large_trial(trial *t, uint64_t seed) {
    char line[1024];
    const problem p = random_large_problem(seed);
    describe(&p, line, sizeof line);
    begin_case("%s", line);
    trial_begin(t, &p, 0);
    trial_place(t, AT_END);
}

static cgconv_plan *plan_for(const trial *t, int threads) {
    cgconv_plan *plan;
    cgconv_options options;
    cgconv_options_init(&options);
    options.threads = threads;
    CHECK(cgconv_plan_create(&t->problem.spec, &options, &plan) == CGCONV_OK, "no plan for %d threads", threads);
    return plan;
}

/* ---- any number of threads ------------------------------------------------------------------------------------- */

static void test_any_number_of_threads_gives_the_same_bits(trial *t) {
    for (int i = 0; i < PROBLEMS; i++) {
        begin_large_trial(t, 500 + (uint64_t)i);
        for (int threads = 1; threads <= MOST_THREADS; threads++) {
            cgconv_plan *plan = plan_for(t, threads);
            for (int p = 0; p < 3; p++) {
                const cgconv_pass pass = (cgconv_pass)p;
                const int used = cgconv_plan_threads(plan, pass);
                char how[80];
                snprintf(how, sizeof how, "%s on %d threads", pass_name(pass), threads);
                CHECK(used >= (threads > 1 && !is_serial() ? 2 : 1) && used <= threads, "%s: uses %d", how, used);
                CHECK(trial_run(t, plan, pass, AT_END) == CGCONV_OK, "%s: status", how);
                trial_check(t, pass, 1, how);
            }
            cgconv_plan_destroy(plan);
        }
        trial_end(t);
    }
}

static void test_little_work_is_not_shared(void) {
    cgconv_spec spec;
    cgconv_options options;
    cgconv_plan *plan;
    cgconv_spec_init(&spec);
    cgconv_options_init(&options);
    spec.c = 1, spec.h = spec.w = 4, spec.kh = spec.kw = 3;
    options.threads = 4;
    begin_case("a problem of 36 multiply-adds");
    if (!CHECK(cgconv_plan_create(&spec, &options, &plan) == CGCONV_OK, "no plan")) return;
    for (int pass = 0; pass < 3; pass++)
        CHECK(cgconv_plan_threads(plan, (cgconv_pass)pass) == 1, "%d threads",
              cgconv_plan_threads(plan, (cgconv_pass)pass));
    cgconv_plan_destroy(plan);
}

/* ---- many runs at once ----------------------------------------------------------------------------------------- */

/* One thread that runs all passes of a shared plan, with outputs and a workspace of its own. */
typedef struct runner {
    const trial *t;
    const cgconv_plan *plan;
    int wrong; /* checks are counted in the main thread only */
} runner;

/* Runs one pass on memory of its own; 1 if the bits are as expected. */
static int run_apart(const trial *t, const cgconv_plan *plan, cgconv_pass pass) {
    static const array outputs[] = {Y, DX, DW};
    const array out = outputs[pass];
    const size_t size = cgconv_plan_workspace_size(plan, pass);
    char *result = malloc(t->bytes[out] + 1), *bias = malloc(t->bytes[DB] + 1), *workspace = malloc(size + 1);
    cgconv_status status = CGCONV_OUT_OF_MEMORY;
    if (result && bias && workspace) {
        memset(result, POISON, t->bytes[out]);
        void *cell = result + t->origin[out];
        if (pass == CGCONV_FORWARD)
            status = cgconv_forward(plan, trial_array(t, X), trial_array(t, WEIGHT), trial_array(t, BIAS), cell,
                                    workspace, size);
        else if (pass == CGCONV_BACKWARD_INPUT)
            status = cgconv_backward_input(plan, trial_array(t, DY), trial_array(t, WEIGHT), cell, workspace, size);
        else
            status = cgconv_backward_weight(plan, trial_array(t, X), trial_array(t, DY), cell, bias, workspace, size);
    }
    const int good = status == CGCONV_OK && memcmp(result, t->expected[1][out], t->bytes[out]) == 0;
    free(result), free(bias), free(workspace);
    return good;
}

static void *run_all_passes(void *context) {
    runner *r = context;
    for (int round = 0; round < ROUNDS; round++)
        for (int p = 0; p < 3; p++) r->wrong += !run_apart(r->t, r->plan, (cgconv_pass)((p + round) % 3));
    return NULL;
}

static void test_one_plan_run_by_many_threads(trial *t) {
    for (int threads = 1; threads <= 2; threads++) {
        pthread_t ids[RUNNERS];
        runner runners[RUNNERS];
        begin_large_trial(t, 600 + (uint64_t)threads);
        cgconv_plan *plan = plan_for(t, threads);
        for (int i = 0; i < RUNNERS; i++) {
            runners[i] = (runner){t, plan, 0};
            CHECK(pthread_create(&ids[i], NULL, run_all_passes, &runners[i]) == 0, "no thread");
        }
        for (int i = 0; i < RUNNERS; i++) {
            pthread_join(ids[i], NULL);
            CHECK(runners[i].wrong == 0, "runner %d of %d threads: %d runs are wrong", i, threads, runners[i].wrong);
        }
        cgconv_plan_destroy(plan);
        trial_end(t);
    }
}

/* Plans made, asked and destroyed by many threads at once, the count being set meanwhile. */
static void *plan_and_destroy(void *context) {
    runner *r = context;
    for (int i = 0; i < 200; i++) {
        cgconv_plan *plan = NULL;
        r->wrong += cgconv_set_num_threads(1 + i % 3) != CGCONV_OK;
        r->wrong += cgconv_plan_create(&r->t->problem.spec, NULL, &plan) != CGCONV_OK;
        r->wrong += cgconv_get_num_threads() < 1 || !cgconv_plan_algorithm(plan, CGCONV_FORWARD);
        cgconv_plan_destroy(plan);
    }
    return NULL;
}

static void test_plans_made_by_many_threads(trial *t) {
    pthread_t ids[RUNNERS];
    runner runners[RUNNERS];
    begin_large_trial(t, 700);
    for (int i = 0; i < RUNNERS; i++) {
        runners[i] = (runner){t, NULL, 0};
        CHECK(pthread_create(&ids[i], NULL, plan_and_destroy, &runners[i]) == 0, "no thread");
    }
    for (int i = 0; i < RUNNERS; i++) {
        pthread_join(ids[i], NULL);
        CHECK(runners[i].wrong == 0, "runner %d: %d times wrong", i, runners[i].wrong);
    }
    CHECK(cgconv_set_num_threads(0) == CGCONV_OK, "back to the default");
    trial_end(t);
}

/* ---- fork ------------------------------------------------------------------------------------------------------ */

/* What a child has to be able to do; its exit status. A watchdog ends one that hangs. */
static int child(const trial *t, const cgconv_plan *plan) {
    alarm(SECONDS);
    if (cgconv_get_num_threads() != 1) return 2;
    if (!plan) return 0;
    for (int pass = 0; pass < 3; pass++)
        if (!run_apart(t, plan, (cgconv_pass)pass)) return 3 + pass;
    cgconv_plan *own = plan_for(t, 4);
    for (int pass = 0; pass < 3; pass++)
        if (!run_apart(t, own, (cgconv_pass)pass)) return 6 + pass;
    cgconv_plan_destroy(own);
    return cgconv_set_num_threads(4) != CGCONV_OK || cgconv_get_num_threads() != 1;
}

static void fork_and_wait(const trial *t, const cgconv_plan *plan) {
    int status = -1;
    fflush(NULL);
    const pid_t id = fork();
    if (id == 0) _exit(child(t, plan));
    if (!CHECK(id > 0 && waitpid(id, &status, 0) == id, "no child")) return;
    CHECK(!WIFSIGNALED(status), "the child died of signal %d (%d: it hung)", WTERMSIG(status), SIGALRM);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child says %d", WEXITSTATUS(status));
}

static void test_a_fork_before_the_first_use(void) {
    begin_case("a fork before the library is used");
    fork_and_wait(NULL, NULL);
}

static void test_a_fork_after_many_threads_have_run(trial *t) {
    begin_large_trial(t, 800);
    cgconv_plan *plan = plan_for(t, 4);
    for (int round = 0; round < 2; round++) {
        CHECK(run_apart(t, plan, CGCONV_FORWARD), "the parent, round %d", round);
        fork_and_wait(t, plan);
    }
    CHECK(cgconv_get_num_threads() >= 1 && run_apart(t, plan, CGCONV_BACKWARD_WEIGHT), "the parent afterwards");
    cgconv_plan_destroy(plan);
    trial_end(t);
}

/* ---- the default count ----------------------------------------------------------------------------------------- */

static void test_the_default_count(trial *t) {
    begin_large_trial(t, 900);
    const int before = cgconv_get_num_threads();
    CHECK(before >= 1, "%d threads", before);
    for (int n = 1; n <= 5; n++) {
        CHECK(cgconv_set_num_threads(n) == CGCONV_OK, "set %d", n);
        CHECK(cgconv_get_num_threads() == (is_serial() ? 1 : n), "set %d, get %d", n, cgconv_get_num_threads());
        cgconv_plan *plan = plan_for(t, 0);
        CHECK(cgconv_plan_threads(plan, CGCONV_FORWARD) <= cgconv_get_num_threads(), "the plan does not keep to %d",
              n);
        cgconv_plan_destroy(plan);
        plan = plan_for(t, 2);
        CHECK(cgconv_plan_threads(plan, CGCONV_FORWARD) == (is_serial() ? 1 : 2),
              "the plan's own count is not kept with %d", n);
        cgconv_plan_destroy(plan);
    }
    CHECK(cgconv_set_num_threads(-1) == CGCONV_INVALID_ARGUMENT, "set -1");
    CHECK(cgconv_set_num_threads(INT_MIN) == CGCONV_INVALID_ARGUMENT, "set INT_MIN");
    CHECK(cgconv_get_num_threads() == (is_serial() ? 1 : 5), "a refused count has changed something");
    CHECK(cgconv_set_num_threads(INT_MAX) == CGCONV_OK && cgconv_get_num_threads() >= 1, "set INT_MAX");
    CHECK(cgconv_set_num_threads(0) == CGCONV_OK && cgconv_get_num_threads() == before, "back to the default");
    trial_end(t);
}

#ifdef _OPENMP
static void test_limits_of_openmp_are_kept(trial *t) {
    begin_large_trial(t, 1000);
    const int most = omp_get_max_threads();
    cgconv_plan *plan = plan_for(t, 2);
    if (most > 1) {
        omp_set_num_threads(1);
        CHECK(cgconv_get_num_threads() == 1, "%d threads in spite of the limit", cgconv_get_num_threads());
        CHECK(run_apart(t, plan, CGCONV_FORWARD), "a run under the limit");
        omp_set_num_threads(most);
        CHECK(cgconv_get_num_threads() == most, "%d threads after the limit", cgconv_get_num_threads());
    }
    int wrong = 0;
#pragma omp parallel for num_threads(2) reduction(+ : wrong)
    for (int i = 0; i < 6; i++) wrong += !run_apart(t, plan, (cgconv_pass)(i % 3));
    CHECK(wrong == 0, "%d runs inside a parallel region are wrong", wrong);
    CHECK(omp_get_max_threads() == most, "a setting of OpenMP has changed");
    cgconv_plan_destroy(plan);
    trial_end(t);
}
#endif

int main(void) {
    static trial t;
    test_a_fork_before_the_first_use();
    test_the_default_count(&t);
    test_any_number_of_threads_gives_the_same_bits(&t);
    test_little_work_is_not_shared();
    test_one_plan_run_by_many_threads(&t);
    test_plans_made_by_many_threads(&t);
    test_a_fork_after_many_threads_have_run(&t);
#ifdef _OPENMP
    test_limits_of_openmp_are_kept(&t);
#endif
    trial_free(&t);
    return finish("test_threads");
}
