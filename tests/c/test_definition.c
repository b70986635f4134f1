/*
 * Random problems against the definition, bit for bit: every pass, algorithm, instruction set and thread count, on memory
 * between guard pages. Usage: test_definition [problems] [seed]; CGCONV_TEST_PROBLEMS and CGCONV_TEST_SEED do the same.
 */
#include <stdio.h>
#include <string.h>

#include "problem.h"

/*
 * The table "nofma" rounds each product. The reference algorithm uses no table, and is always fused.
 */
static int is_fused(const char *isa, const char *algorithm) {
    return strcmp(isa, "nofma") != 0 || strcmp(algorithm, "reference") == 0;
}

static void run_pass(trial *t, const cgconv_plan *plan, cgconv_pass pass, const char *isa, int threads, side where) {
    char how[160];
    const char *algorithm = cgconv_plan_algorithm(plan, pass);
    snprintf(how, sizeof how, "%s isa=%s algorithm=%s threads=%d memory=%s", pass_name(pass), isa, algorithm, threads,
             where == AT_END ? "at the end" : "at the start");
    const cgconv_status status = trial_run(t, plan, pass, where);
    if (trial_can_write(t, pass)) {
        CHECK(status == CGCONV_OK, "%s: %s", how, cgconv_status_string(status));
        trial_check(t, pass, is_fused(isa, algorithm), how);
    } else {
        CHECK(status == CGCONV_INVALID_ARGUMENT, "%s: cells share memory: %s", how, cgconv_status_string(status));
        trial_check_untouched(t, pass, how);
    }
}

/* Every algorithm of every pass, on one instruction set. */
static void run_isa(trial *t, const char *isa, side where) {
    char why[256];
    cgconv_options options;
    cgconv_options_init(&options);
    options.isa = isa;
    options.why = why;
    options.why_size = sizeof why;
    options.threads = (int)rng_range(&t->random, 1, 3);
    cgconv_plan *plan, *named;
    if (!CHECK(cgconv_plan_create(&t->problem.spec, &options, &plan) == CGCONV_OK, "isa=%s: %s", isa, why)) return;
    for (int p = 0; p < 3; p++) {
        const cgconv_pass pass = (cgconv_pass)p;
        const char *name;
        CHECK_TEXT(cgconv_plan_algorithm(plan, pass), cgconv_plan_alternative(plan, pass, 0));
        for (int i = 0; (name = cgconv_plan_alternative(plan, pass, i)); i++) {
            options.algorithm = name;
            if (!CHECK(cgconv_plan_create(&t->problem.spec, &options, &named) == CGCONV_OK, "%s: %s", name, why)) continue;
            CHECK_TEXT(cgconv_plan_algorithm(named, pass), name);
            run_pass(t, named, pass, isa, options.threads, where);
            cgconv_plan_destroy(named);
        }
    }
    cgconv_plan_destroy(plan);
}

static void run_problem(trial *t, const problem *p, int unfused_too) {
    char line[1024];
    const char *isa;
    describe(p, line, sizeof line);
    begin_case("%s", line);
    trial_begin(t, p, unfused_too);
    for (int where = 0; where < SIDES; where++) {
        trial_place(t, (side)where);
        for (int i = 0; (isa = cgconv_isa_alternative(i)); i++) run_isa(t, isa, (side)where);
    }
    trial_end(t);
}

int main(int argc, char **argv) {
    const int64_t problems = setting(argc, argv, 1, "CGCONV_TEST_PROBLEMS", 1500);
    const int64_t seed = setting(argc, argv, 2, "CGCONV_TEST_SEED", 1);
    static trial t;
    int unfused_too = 0;
    const char *isa;
    for (int i = 0; (isa = cgconv_isa_alternative(i)); i++) unfused_too |= strcmp(isa, "nofma") == 0;
    printf("test_definition: %lld problems from seed %lld on\n", (long long)problems, (long long)seed);
    for (int64_t i = 0; i < problems; i++) {
        const problem p = random_problem((uint64_t)(seed + i));
        run_problem(&t, &p, unfused_too);
    }
    for (int64_t i = 0; i < problems / 250; i++) {
        const problem p = random_large_problem((uint64_t)(seed + i));
        run_problem(&t, &p, unfused_too);
    }
    trial_free(&t);
    return finish("test_definition");
}
