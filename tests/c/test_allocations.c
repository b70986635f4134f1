/*
 * Who allocates: cgconv_plan_create and nobody else, and it comes back clean when there is no memory. The linker puts
 * the functions below in the place of the C library's (-Wl,--wrap), for the static library as for this program.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "problem.h"
#include "variants.h"

/* ---- the allocator --------------------------------------------------------------------------------------------- */

/* Counted while `counting`; the fail_at-th request, from 1 on, gets nothing. */
static int counting, requests, fail_at, alive;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
int __real_posix_memalign(void **p, size_t alignment, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
int __wrap_posix_memalign(void **p, size_t alignment, size_t size);
void __wrap_free(void *p);

static int refused(void) { return counting && ++requests == fail_at; }

static void *counted(void *p) {
    alive += counting && p;
    return p;
}

void *__wrap_malloc(size_t size) { return refused() ? NULL : counted(__real_malloc(size)); }

void *__wrap_calloc(size_t count, size_t size) { return refused() ? NULL : counted(__real_calloc(count, size)); }

void *__wrap_realloc(void *p, size_t size) {
    if (refused()) return NULL;
    alive -= counting && p;
    return counted(__real_realloc(p, size));
}

void *__wrap_aligned_alloc(size_t alignment, size_t size) {
    return refused() ? NULL : counted(__real_aligned_alloc(alignment, size));
}

int __wrap_posix_memalign(void **p, size_t alignment, size_t size) {
    if (refused()) return ENOMEM;
    const int error = __real_posix_memalign(p, alignment, size);
    if (!error) counted(*p);
    return error;
}

void __wrap_free(void *p) {
    alive -= counting && p;
    __real_free(p);
}

static void start_counting(int failing_request) {
    requests = alive = 0;
    fail_at = failing_request;
    counting = 1;
}

static void stop_counting(void) { counting = 0; }

/* ---- who allocates --------------------------------------------------------------------------------------------- */

/* trial_run places its arrays with mmap, so that every request seen here is the library's. */
static void run_counted(void *context, const variant *v) {
    trial *t = context;
    if (!trial_can_write(t, v->pass)) return;
    start_counting(0);
    const cgconv_status status = trial_run(t, v->plan, v->pass, AT_END);
    stop_counting();
    CHECK(status == CGCONV_OK, "%s: status", v->how);
    CHECK(requests == 0, "%s: %d requests for memory", v->how, requests);
}

static void test_runs_do_not_allocate(void) {
    static trial t;
    char line[1024];
    for (uint64_t seed = 1; seed <= 200; seed++) {
        const problem p = seed % 50 ? random_problem(seed) : random_large_problem(seed);
        describe(&p, line, sizeof line);
        begin_case("%s", line);
        trial_begin(&t, &p, 0);
        trial_place(&t, AT_END);
        each_variant(&p.spec, 1 + (int)(seed % 2), run_counted, &t);
        trial_end(&t);
    }
    trial_free(&t);
}

static void test_other_functions_do_not_allocate(void) {
    cgconv_spec spec = random_problem(1).spec;
    char why[200];
    int64_t oh, ow;
    begin_case("functions that make no plan");
    start_counting(0);
    cgconv_spec_check(&spec, why, sizeof why);
    cgconv_output_size(&spec, &oh, &ow);
    cgconv_spec_pad_same(&spec);
    spec.groups = -1;
    cgconv_spec_check(&spec, why, sizeof why);
    cgconv_set_num_threads(2);
    cgconv_set_num_threads(cgconv_get_num_threads() > 0 ? 0 : 1);
    cgconv_isa();
    cgconv_isa_alternative(0);
    cgconv_status_string(CGCONV_OK);
    stop_counting();
    CHECK(requests == 0, "%d requests for memory", requests);
}

/* Every request of a plan fails once; each time the answer is a status, and nothing is left behind. */
static void test_a_plan_without_memory(void) {
    for (uint64_t seed = 1; seed <= 300; seed++) {
        const problem p = random_problem(seed);
        cgconv_status status = CGCONV_OUT_OF_MEMORY;
        for (int nth = 1; status == CGCONV_OUT_OF_MEMORY && nth < 1000; nth++) {
            char why[200] = "";
            cgconv_plan *plan = (cgconv_plan *)why;
            cgconv_options options;
            cgconv_options_init(&options);
            options.why = why, options.why_size = sizeof why;
            begin_case("problem %d: request %d of a plan fails", (int)seed, nth);
            start_counting(nth);
            status = cgconv_plan_create(&p.spec, &options, &plan);
            stop_counting();
            if (status == CGCONV_OUT_OF_MEMORY) {
                CHECK(plan == NULL && alive == 0, "a plan %p, and %d blocks left behind", (void *)plan, alive);
                CHECK(strstr(why, "memory"), "\"%s\"", why);
                continue;
            }
            CHECK(status == CGCONV_OK && requests < nth && nth > 1, "%s", cgconv_status_string(status));
            counting = 1;
            cgconv_plan_destroy(plan);
            stop_counting();
            CHECK(alive == 0, "%d blocks left behind by a plan that was destroyed", alive);
        }
        CHECK(status == CGCONV_OK, "no plan after all");
    }
}

int main(void) {
    test_other_functions_do_not_allocate();
    test_a_plan_without_memory();
    test_runs_do_not_allocate();
    return finish("test_allocations");
}
