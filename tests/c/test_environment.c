/*
 * What the environment variables do. Each is read once, so ctest runs this program once for each setting:
 *     test_environment threads N         the default thread count is N (0: that of a process without the variable)
 *     test_environment isa NAME          plans use NAME, if this machine has it, or else something lesser
 *     test_environment unknown-isa TEXT  no plan can be made, and the sentence names TEXT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "problem.h"
#include "variants.h"

static void test_threads(int expected) {
    const int n = cgconv_get_num_threads();
    begin_case("CGCONV_NUM_THREADS=%s OMP_NUM_THREADS=%s", getenv("CGCONV_NUM_THREADS"), getenv("OMP_NUM_THREADS"));
    if (strcmp(cgconv_threading(), "serial") == 0) expected = 1;
    CHECK(expected ? n == expected : n >= 1 && n <= 4096, "%d threads", n);
    if (strcmp(cgconv_threading(), "serial") == 0) return;
    CHECK(cgconv_set_num_threads(7) == CGCONV_OK && cgconv_get_num_threads() == 7,
          "what is set comes before the environment");
    CHECK(cgconv_set_num_threads(0) == CGCONV_OK && cgconv_get_num_threads() == n, "0 goes back to the environment");
}

/* The place of an instruction set among those of this machine; past the end if it has none of this name. */
static int rank(const char *isa) {
    int i = 0;
    while (cgconv_isa_alternative(i) && strcmp(cgconv_isa_alternative(i), isa) != 0) i++;
    return i;
}

static void run_default(const char *isa) {
    static trial t;
    cgconv_plan *plan;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        const problem p = random_problem(seed);
        trial_begin(&t, &p, 1);
        trial_place(&t, AT_END);
        if (CHECK(cgconv_plan_create(&p.spec, NULL, &plan) == CGCONV_OK, "no plan"))
            for (int pass = 0; pass < 3; pass++)
                if (trial_can_write(&t, (cgconv_pass)pass)) {
                    CHECK(trial_run(&t, plan, (cgconv_pass)pass, AT_END) == CGCONV_OK, "status");
                    trial_check(&t, (cgconv_pass)pass, strcmp(isa, "nofma") != 0, isa);
                }
        cgconv_plan_destroy(plan);
        trial_end(&t);
    }
    trial_free(&t);
}

static void test_isa(const char *cap) {
    const char *isa = cgconv_isa();
    begin_case("CGCONV_ISA=%s", getenv("CGCONV_ISA"));
    CHECK(cgconv_isa_alternative(rank(isa)) != NULL, "%s is not one of this machine's", isa);
    if (*cap == 0) CHECK_TEXT(isa, cgconv_isa_alternative(0));
    else if (cgconv_isa_alternative(rank(cap))) CHECK_TEXT(isa, cap);
    CHECK(cgconv_reproducible() == (strcmp(isa, "nofma") != 0), "reproducible is %d with %s", cgconv_reproducible(),
          isa);
    run_default(isa);

    cgconv_spec spec;
    cgconv_options options;
    cgconv_plan *plan;
    cgconv_spec_init(&spec);
    cgconv_options_init(&options);
    spec.c = spec.h = spec.w = 4, spec.kh = spec.kw = 3;
    for (int i = 0; (options.isa = cgconv_isa_alternative(i)); i++) {
        CHECK(cgconv_plan_create(&spec, &options, &plan) == CGCONV_OK, "the variable keeps %s from being named",
              options.isa);
        cgconv_plan_destroy(plan);
    }
}

static void test_unknown_isa(const char *text) {
    char why[200] = "x", value[100];
    cgconv_spec spec;
    cgconv_options options;
    cgconv_spec_init(&spec);
    cgconv_options_init(&options);
    spec.c = spec.h = spec.w = 4, spec.kh = spec.kw = 3;
    options.why = why, options.why_size = sizeof why;
    snprintf(value, sizeof value, "CGCONV_ISA=%s", text);
    begin_case("%s", value);
    cgconv_plan *plan = (cgconv_plan *)why;
    CHECK(cgconv_plan_create(&spec, &options, &plan) == CGCONV_INVALID_ARGUMENT && plan == NULL, "\"%s\"", why);
    CHECK(strstr(why, value), "\"%s\" does not name it", why);
    CHECK(cgconv_isa() && cgconv_isa_alternative(0), "the library cannot be asked any more");
    CHECK(cgconv_spec_check(&spec, why, sizeof why) == CGCONV_OK, "a spec needs no instruction set");
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "", *value = argc > 2 ? argv[2] : "";
    if (strcmp(what, "threads") == 0) test_threads(atoi(value));
    else if (strcmp(what, "isa") == 0) test_isa(value);
    else if (strcmp(what, "unknown-isa") == 0) test_unknown_isa(value);
    else fprintf(stderr, "usage: test_environment threads|isa|unknown-isa VALUE\n");
    return finish("test_environment");
}
