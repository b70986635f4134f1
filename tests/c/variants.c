/* Every way to run a problem, see variants.h. */
#include "variants.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

const char *pass_name(cgconv_pass pass) {
    static const char *const names[] = {"forward", "backward_input", "backward_weight"};
    return names[pass];
}

const char *tested_isa(int index) {
    const char *only = getenv("CGCONV_TEST_ISA");
    if (!only || !*only) return cgconv_isa_alternative(index);
    return index == 0 ? only : NULL;
}

int unfused_exists(void) {
    const char *isa;
    for (int i = 0; (isa = tested_isa(i)); i++)
        if (strcmp(isa, "nofma") == 0) return 1;
    return 0;
}

/* The table "nofma" rounds each product; the reference algorithm uses no table, and is always fused. */
static int is_fused(const char *isa, const char *algorithm) {
    return strcmp(isa, "nofma") != 0 || strcmp(algorithm, "reference") == 0;
}

static void call(const cgconv_spec *spec, cgconv_options *options, cgconv_pass pass, variant_fn *fn, void *context) {
    cgconv_plan *plan;
    const cgconv_status status = cgconv_plan_create(spec, options, &plan);
    if (!CHECK(status == CGCONV_OK, "%s isa=%s algorithm=%s: %s", pass_name(pass), options->isa, options->algorithm,
               options->why))
        return;
    variant v = {plan, pass, options->isa, options->algorithm, options->threads,
                 is_fused(options->isa, options->algorithm), ""};
    snprintf(v.how, sizeof v.how, "%s isa=%s algorithm=%s threads=%d", pass_name(pass), v.isa, v.algorithm,
             v.threads);
    CHECK_TEXT(cgconv_plan_algorithm(plan, pass), options->algorithm);
    fn(context, &v);
    cgconv_plan_destroy(plan);
}

void each_variant(const cgconv_spec *spec, int threads, variant_fn *fn, void *context) {
    char why[256];
    cgconv_options options;
    cgconv_options_init(&options);
    options.threads = threads;
    options.why = why;
    options.why_size = sizeof why;
    for (int i = 0; (options.isa = tested_isa(i)); i++) {
        cgconv_plan *plan;
        options.algorithm = NULL;
        if (!CHECK(cgconv_plan_create(spec, &options, &plan) == CGCONV_OK, "isa=%s: %s", options.isa, why)) continue;
        for (int p = 0; p < 3; p++) {
            const cgconv_pass pass = (cgconv_pass)p;
            CHECK_TEXT(cgconv_plan_algorithm(plan, pass), cgconv_plan_alternative(plan, pass, 0));
            for (int a = 0; (options.algorithm = cgconv_plan_alternative(plan, pass, a)); a++)
                call(spec, &options, pass, fn, context);
        }
        cgconv_plan_destroy(plan);
    }
}
