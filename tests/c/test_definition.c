/*
 * Random problems against the definition, bit for bit: every pass, algorithm, instruction set and thread count, on
 * memory between guard pages.
 * Usage: test_definition [problems] [seed]; CGCONV_TEST_PROBLEMS and CGCONV_TEST_SEED do the same.
 */
#include <stdio.h>

#include "problem.h"
#include "variants.h"

/* A trial whose arrays lie at one end of their pages. */
typedef struct placed {
    trial *t;
    side where;
} placed;

static void check_run(trial *t, const variant *v, cgconv_status status, const char *how) {
    if (trial_can_write(t, v->pass)) {
        CHECK(status == CGCONV_OK, "%s: %s", how, cgconv_status_string(status));
        trial_check(t, v->pass, v->fused, how);
    } else {
        CHECK(status == CGCONV_INVALID_ARGUMENT, "%s: cells share memory: %s", how, cgconv_status_string(status));
        trial_check_untouched(t, v->pass, how);
    }
}

static void run_variant(void *context, const variant *v) {
    char how[160];
    trial *t = ((placed *)context)->t;
    const side where = ((placed *)context)->where;
    const char *at = where == AT_END ? "at the end" : "at the start";
    snprintf(how, sizeof how, "%s memory=%s", v->how, at);
    check_run(t, v, trial_run(t, v->plan, v->pass, where), how);
    if (v->pass != CGCONV_FORWARD) return;
    snprintf(how, sizeof how, "%s memory=%s, packed weights", v->how, at);
    check_run(t, v, trial_run_packed(t, v->plan, where), how);
}

static void run_problem(trial *t, const problem *p) {
    char line[1024];
    describe(p, line, sizeof line);
    begin_case("%s", line);
    trial_begin(t, p, unfused_exists());
    for (int where = 0; where < SIDES; where++) {
        placed context = {t, (side)where};
        trial_place(t, (side)where);
        each_variant(&p->spec, (int)rng_range(&t->random, 1, 3), run_variant, &context);
    }
    trial_end(t);
}

int main(int argc, char **argv) {
    const int64_t problems = setting(argc, argv, 1, "CGCONV_TEST_PROBLEMS", 1500);
    const int64_t seed = setting(argc, argv, 2, "CGCONV_TEST_SEED", 1);
    static trial t;
    printf("test_definition: %lld problems from seed %lld on\n", (long long)problems, (long long)seed);
    for (int64_t i = 0; i < problems; i++) {
        const problem p = random_problem((uint64_t)(seed + i));
        run_problem(&t, &p);
    }
    for (int64_t i = 0; i < problems / 250; i++) {
        const problem p = random_large_problem((uint64_t)(seed + i));
        run_problem(&t, &p);
    }
    trial_free(&t);
    return finish("test_definition");
}
