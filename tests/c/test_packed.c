/*
 * Packed weights: which plans they fit, what is refused, and that runs share them. What a run computes with them is
 * tested with every problem of test_definition. It must not know how they are packed.
 */
#include <stdlib.h>
#include <string.h>

#include <cgconv.h>

#include "harness.h"

enum { ROOM = 1 << 17 };

/* Aligned to a cache line, as a caller would have it. */
static _Alignas(64) char packed[ROOM];
static char workspace[1 << 22];
static _Alignas(64) float x[4096], weight[4096], bias[64], y[8192], expected[8192];

static cgconv_plan *plan_of(const cgconv_spec *spec, const char *algorithm, const char *isa) {
    char why[256];
    cgconv_options options;
    cgconv_options_init(&options);
    options.algorithm = algorithm, options.isa = isa, options.threads = 1;
    options.why = why, options.why_size = sizeof why;
    cgconv_plan *plan = NULL;
    CHECK(cgconv_plan_create(spec, &options, &plan) == CGCONV_OK, "%s", why);
    return plan;
}

static cgconv_spec some_spec(void) {
    cgconv_spec spec;
    cgconv_spec_init(&spec);
    spec.c = 12, spec.h = 6, spec.w = 5, spec.groups = 2, spec.filters_per_group = 9, spec.kh = 3, spec.kw = 2;
    return spec;
}

static cgconv_status run(const cgconv_plan *plan, const void *weights, size_t size) {
    return cgconv_forward_packed(plan, x, weights, size, bias, y, workspace, sizeof workspace);
}

/* Whether weights that were packed for one plan run with another. */
static int fits(const cgconv_plan *from, const cgconv_plan *to) {
    CHECK(cgconv_plan_packed_size(from) <= ROOM, "%zu bytes", cgconv_plan_packed_size(from));
    memset(packed, 0, sizeof packed);
    CHECK(cgconv_pack(from, weight, packed, sizeof packed) == CGCONV_OK, "packing");
    return run(to, packed, sizeof packed) == CGCONV_OK;
}

static void test_weights_fit_plans_of_other_images(const char *algorithm) {
    cgconv_spec spec = some_spec(), other = spec;
    other.n = 2, other.h = 7, other.w = 9, other.pad_left = 1;
    other.pad_mode = CGCONV_PAD_REPLICATE, other.clamp_lo = 0;
    begin_case("%s: another image", algorithm);
    cgconv_plan *from = plan_of(&spec, algorithm, NULL), *to = plan_of(&other, algorithm, NULL);
    CHECK(fits(from, to), "refused");
    CHECK(cgconv_forward(to, x, weight, bias, expected, workspace, sizeof workspace) == CGCONV_OK, "forward");
    CHECK(memcmp(y, expected, sizeof(float) * 2 * 18 * 5 * 9) == 0, "other bits");
    cgconv_plan_destroy(from);
    cgconv_plan_destroy(to);
}

static void test_weights_of_another_plan_are_refused(const char *algorithm) {
    cgconv_plan *to, *from = NULL;
    const cgconv_spec spec = some_spec();
    cgconv_spec others[6];
    for (int i = 0; i < 6; i++) others[i] = spec;
    others[0].dtype = CGCONV_FLOAT64;
    others[1].groups = 1, others[1].filters_per_group = 18;
    others[2].filters_per_group = 8;
    others[3].c = 10;
    others[4].kh = 2, others[4].kw = 3;
    others[5].layout = CGCONV_NCWH;
    to = plan_of(&spec, algorithm, NULL);
    begin_case("%s: its own weights", algorithm);
    CHECK(fits(to, to), "refused");
    for (int i = 0; i < 6; i++) {
        begin_case("%s: weights of plan %d", algorithm, i);
        from = plan_of(&others[i], algorithm, NULL);
        memset(y, 0x11, sizeof y);
        CHECK(!fits(from, to), "accepted");
        for (size_t b = 0; b < sizeof y; b++)
            if (!CHECK(((char *)y)[b] == 0x11, "byte %zu has been written", b)) break;
        cgconv_plan_destroy(from);
    }
    cgconv_plan_destroy(to);
}

/* Vectors of other lengths want other orders; the weights of one algorithm are not those of another. */
static void test_forms_are_told_apart(void) {
    const cgconv_spec spec = some_spec();
    cgconv_plan *reference = plan_of(&spec, "reference", NULL), *outputs = plan_of(&spec, "grouped-outputs", NULL);
    begin_case("forms");
    CHECK(!fits(reference, outputs), "weights as they are, for grouped-outputs");
    CHECK(!fits(outputs, reference), "those of grouped-outputs, for the reference");
    cgconv_plan *scalar = plan_of(&spec, "grouped-outputs", "scalar");
    const int one_width = strcmp(cgconv_isa(), "scalar") == 0 || strcmp(cgconv_isa(), "nofma") == 0;
    CHECK(fits(scalar, outputs) == one_width, "those of another vector length");
    cgconv_plan_destroy(scalar);
    cgconv_plan_destroy(outputs);
    cgconv_plan_destroy(reference);
}

static void test_unsound_arguments_are_refused(const char *algorithm) {
    const cgconv_spec spec = some_spec();
    cgconv_plan *plan = plan_of(&spec, algorithm, NULL);
    const size_t size = cgconv_plan_packed_size(plan);
    begin_case("%s: unsound arguments", algorithm);
    CHECK(size >= sizeof(float) * 18 * 6 * 3 * 2, "%zu bytes", size);
    memset(packed, 0x11, sizeof packed);
    CHECK(cgconv_pack(plan, weight, packed, size - 1) == CGCONV_INVALID_ARGUMENT, "a small buffer");
    CHECK(cgconv_pack(plan, weight, NULL, size) == CGCONV_INVALID_ARGUMENT, "no buffer");
    CHECK(cgconv_pack(plan, NULL, packed, size) == CGCONV_INVALID_ARGUMENT, "no weights");
    CHECK(cgconv_pack(plan, weight, packed + 1, size) == CGCONV_INVALID_ARGUMENT, "a misaligned buffer");
    CHECK(cgconv_pack(plan, weight, (char *)weight + 64, size) == CGCONV_INVALID_ARGUMENT, "an overlap");
    CHECK(cgconv_pack(NULL, weight, packed, size) == CGCONV_INVALID_ARGUMENT, "no plan");
    CHECK(packed[0] == 0x11 && memcmp(packed, packed + 1, sizeof packed - 1) == 0, "written");
    CHECK(run(plan, packed, size) == CGCONV_INVALID_ARGUMENT, "what holds no weights");
    CHECK(cgconv_pack(plan, weight, packed, size) == CGCONV_OK, "packing");
    CHECK(run(plan, packed, size - 1) == CGCONV_INVALID_ARGUMENT, "weights cut short");
    CHECK(run(plan, NULL, size) == CGCONV_INVALID_ARGUMENT, "no weights");
    CHECK(run(plan, weight, sizeof weight) == CGCONV_INVALID_ARGUMENT, "weights that are not packed");
    CHECK(cgconv_forward_packed(plan, x, packed, size, bias, packed, workspace, sizeof workspace) ==
              CGCONV_INVALID_ARGUMENT, "an output over the weights");
    CHECK(cgconv_forward_packed(NULL, x, packed, size, bias, y, workspace, sizeof workspace) ==
              CGCONV_INVALID_ARGUMENT, "no plan");
    CHECK(run(plan, packed, size) == CGCONV_OK, "sound arguments");
    cgconv_plan_destroy(plan);
}

static void test_packed_weights_may_be_moved(const char *algorithm) {
    const cgconv_spec spec = some_spec();
    cgconv_plan *plan = plan_of(&spec, algorithm, NULL);
    const size_t size = cgconv_plan_packed_size(plan), cells = 18 * 4 * 4;
    static char moved[ROOM + sizeof(float)];
    begin_case("%s: moved", algorithm);
    CHECK(cgconv_pack(plan, weight, packed, size) == CGCONV_OK, "packing");
    CHECK(run(plan, packed, size) == CGCONV_OK, "forward");
    memcpy(expected, y, sizeof y);
    memcpy(moved + sizeof(float), packed, size); /* aligned to an element, and no more */
    memset(packed, 0, sizeof packed);
    memset(y, 0, sizeof y);
    CHECK(run(plan, moved + sizeof(float), size) == CGCONV_OK, "forward");
    CHECK(memcmp(y, expected, cells * sizeof(float)) == 0, "other bits");
    cgconv_plan_destroy(plan);
}

int main(void) {
    static const char *const algorithms[] = {"grouped", "grouped-outputs", "grouped-pixels", "grouped-packed",
                                             "reference"};
    rng random = {1};
    for (size_t i = 0; i < sizeof x / sizeof *x; i++) x[i] = (float)rng_uniform(&random);
    for (size_t i = 0; i < sizeof weight / sizeof *weight; i++) weight[i] = (float)rng_uniform(&random);
    for (size_t i = 0; i < sizeof bias / sizeof *bias; i++) bias[i] = (float)rng_uniform(&random);
    for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++) {
        test_weights_fit_plans_of_other_images(algorithms[i]);
        test_weights_of_another_plan_are_refused(algorithms[i]);
        test_unsound_arguments_are_refused(algorithms[i]);
        test_packed_weights_may_be_moved(algorithms[i]);
    }
    test_forms_are_told_apart();
    begin_case("no plan");
    CHECK(cgconv_plan_packed_size(NULL) == 0, "bytes of no plan");
    return finish("test_packed");
}
