/*
 * What a spec and options are refused for: the status, and a sentence that names the value. It runs no pass; what
 * runs are refused for is in test_run_errors.c, and sizes that overflow are in test_overflow.c.
 */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cgconv.h>

#include "harness.h"

enum { WHY = 400 };

static cgconv_spec sound_spec(void) {
    cgconv_spec spec;
    cgconv_spec_init(&spec);
    spec.c = 8, spec.h = 5, spec.w = 6;
    spec.groups = 2, spec.filters_per_group = 3;
    spec.kh = spec.kw = 3;
    spec.pad_top = spec.pad_bottom = spec.pad_left = spec.pad_right = 1;
    return spec;
}

/* Every function that takes a spec must refuse this one, with this status and a sentence with these words. */
static void refused(const cgconv_spec *spec, cgconv_status status, const char *words, const char *more_words) {
    char why[WHY] = "x", plan_why[WHY] = "x";
    cgconv_options options;
    cgconv_options_init(&options);
    options.why = plan_why;
    options.why_size = sizeof plan_why;
    int64_t oh = -7, ow = -7;
    cgconv_plan *plan = (cgconv_plan *)why;
    CHECK(cgconv_spec_check(spec, why, sizeof why) == status, "not \"%s\"; why=\"%s\"", cgconv_status_string(status),
          why);
    CHECK(strstr(why, words) && strstr(why, more_words), "\"%s\" does not say \"%s\" and \"%s\"", why, words,
          more_words);
    CHECK(strchr(why, '\n') == NULL && why[strlen(why) - 1] != '.', "\"%s\" is no plain sentence", why);
    CHECK(cgconv_output_size(spec, &oh, &ow) == status && oh == -7 && ow == -7, "output_size: %lld x %lld",
          (long long)oh, (long long)ow);
    CHECK(cgconv_plan_create(spec, &options, &plan) == status && plan == NULL, "plan_create: %p", (void *)plan);
    CHECK_TEXT(plan_why, why);
    CHECK(cgconv_plan_create(spec, NULL, &plan) == status && plan == NULL, "plan_create without options: %p",
          (void *)plan);
}

static void accepted(const cgconv_spec *spec) {
    char why[WHY] = "x";
    cgconv_plan *plan;
    CHECK(cgconv_spec_check(spec, why, sizeof why) == CGCONV_OK, "why=\"%s\"", why);
    CHECK_TEXT(why, "");
    CHECK(cgconv_plan_create(spec, NULL, &plan) == CGCONV_OK && plan, "plan_create");
    cgconv_plan_destroy(plan);
}

/* ---- the fields of a spec -------------------------------------------------------------------------------------- */

typedef struct field {
    const char *name;
    size_t offset;
    int64_t least;
} field;

#define FIELD(name, least) {#name, offsetof(cgconv_spec, name), least}
static const field fields[] = {
    FIELD(n, 0), FIELD(c, 1), FIELD(h, 0), FIELD(w, 0), FIELD(groups, 1), FIELD(filters_per_group, 1), FIELD(kh, 1),
    FIELD(kw, 1), FIELD(stride_h, 1), FIELD(stride_w, 1), FIELD(dilation_h, 1), FIELD(dilation_w, 1),
    FIELD(pad_top, 0), FIELD(pad_bottom, 0), FIELD(pad_left, 0), FIELD(pad_right, 0)};
enum { FIELDS = sizeof fields / sizeof fields[0] };

static void set(cgconv_spec *spec, int index, int64_t value) {
    memcpy((char *)spec + fields[index].offset, &value, sizeof value);
}

static void test_each_field_has_a_least_value(void) {
    const int64_t below[] = {1, 2, 1000000, 0};
    for (int f = 0; f < FIELDS; f++)
        for (int i = 0; i < 4; i++) {
            cgconv_spec spec = sound_spec();
            char words[80];
            const int64_t value = below[i] ? fields[f].least - below[i] : INT64_MIN;
            snprintf(words, sizeof words, "%s=%lld", fields[f].name, (long long)value);
            begin_case("%s", words);
            set(&spec, f, value);
            refused(&spec, CGCONV_INVALID_ARGUMENT, words, "must be at least");
        }
}

static void test_defaults(void) {
    begin_case("the defaults of a spec");
    cgconv_spec spec;
    memset(&spec, 0x55, sizeof spec);
    cgconv_spec_init(&spec);
    CHECK(spec.struct_size == sizeof spec && spec.dtype == CGCONV_FLOAT32 && spec.layout == CGCONV_NCHW,
          "dtype or layout");
    CHECK(spec.n == 1 && spec.groups == 1 && spec.filters_per_group == 1, "n, groups or filters_per_group");
    CHECK(spec.c == 0 && spec.h == 0 && spec.w == 0 && spec.kh == 0 && spec.kw == 0, "a required field is not 0");
    CHECK(spec.stride_h == 1 && spec.stride_w == 1 && spec.dilation_h == 1 && spec.dilation_w == 1,
          "strides, dilations");
    CHECK(!spec.pad_top && !spec.pad_bottom && !spec.pad_left && !spec.pad_right && spec.pad_value == 0 &&
              spec.pad_mode == CGCONV_PAD_CONSTANT, "padding");
    CHECK(spec.clamp_lo == -HUGE_VAL && spec.clamp_hi == HUGE_VAL, "clamp");
    for (int a = 0; a < 4; a++) CHECK(spec.x_strides[a] == 0 && spec.y_strides[a] == 0, "strides of axis %d", a);
    refused(&spec, CGCONV_INVALID_ARGUMENT, "c=0", "");
    cgconv_spec_init(NULL);
    cgconv_options_init(NULL);
}

static void test_unknown_enums(void) {
    static const int values[] = {-1, 5, 99, INT_MAX, INT_MIN};
    for (int i = 0; i < 5; i++) {
        char words[80];
        cgconv_spec spec = sound_spec();
        begin_case("an enum of %d", values[i]);
        snprintf(words, sizeof words, "dtype=%d", values[i]);
        spec.dtype = (cgconv_dtype)values[i];
        refused(&spec, CGCONV_INVALID_ARGUMENT, words, "");
        spec = sound_spec();
        snprintf(words, sizeof words, "layout=%d", values[i]);
        spec.layout = (cgconv_layout)values[i];
        refused(&spec, CGCONV_INVALID_ARGUMENT, words, "");
        spec = sound_spec();
        snprintf(words, sizeof words, "pad_mode=%d", values[i]);
        spec.pad_mode = (cgconv_pad_mode)values[i];
        refused(&spec, CGCONV_INVALID_ARGUMENT, words, "");
    }
}

static void test_rules_between_fields(void) {
    begin_case("groups that do not divide the channels");
    cgconv_spec spec = sound_spec();
    spec.groups = 3;
    refused(&spec, CGCONV_INVALID_ARGUMENT, "groups=3", "8");
    spec.groups = 9;
    refused(&spec, CGCONV_INVALID_ARGUMENT, "groups=9", "8");

    begin_case("a filter larger than the padded input");
    spec = sound_spec();
    spec.dilation_h = 4; /* spans 9, the padded input is 7 */
    refused(&spec, CGCONV_INVALID_ARGUMENT, "height", "9");
    spec = sound_spec();
    spec.kw = 9;
    refused(&spec, CGCONV_INVALID_ARGUMENT, "width", "9");
    spec.kw = 8;
    accepted(&spec);

    begin_case("an empty axis");
    spec = sound_spec();
    spec.h = 0, spec.pad_top = 3;
    accepted(&spec);
    for (int mode = 1; mode <= 4; mode++) {
        spec.pad_mode = (cgconv_pad_mode)mode;
        refused(&spec, CGCONV_INVALID_ARGUMENT, "height", "empty");
    }
    spec = sound_spec();
    spec.w = 0, spec.pad_mode = CGCONV_PAD_CIRCULAR;
    refused(&spec, CGCONV_INVALID_ARGUMENT, "width", "empty");
    spec.w = 0, spec.pad_mode = CGCONV_PAD_CONSTANT;
    refused(&spec, CGCONV_INVALID_ARGUMENT, "width", "3");

    begin_case("no images");
    spec = sound_spec();
    spec.n = 0;
    accepted(&spec);
}

static void test_clamps(void) {
    const double bad[][2] = {{1, 0}, {NAN, 1}, {0, NAN}, {NAN, NAN}, {HUGE_VAL, -HUGE_VAL}};
    for (int i = 0; i < 5; i++) {
        cgconv_spec spec = sound_spec();
        spec.clamp_lo = bad[i][0], spec.clamp_hi = bad[i][1];
        begin_case("clamp %g to %g", spec.clamp_lo, spec.clamp_hi);
        refused(&spec, CGCONV_INVALID_ARGUMENT, "clamp_lo=", "clamp_hi=");
    }
    begin_case("sound clamps");
    cgconv_spec spec = sound_spec();
    spec.clamp_lo = spec.clamp_hi = 2;
    accepted(&spec);
    spec.clamp_lo = -0.0, spec.clamp_hi = 0;
    accepted(&spec);
}

static void test_struct_sizes(void) {
    const size_t right = sizeof(cgconv_spec), sizes[] = {0, 1, right - 1, right - 8, right + 8, SIZE_MAX};
    for (int i = 0; i < 6; i++) {
        cgconv_spec spec = sound_spec();
        spec.struct_size = sizes[i];
        begin_case("a spec with struct_size %zu", sizes[i]);
        refused(&spec, CGCONV_INVALID_ARGUMENT, "struct_size", "cgconv_spec_init");
        CHECK(cgconv_spec_pad_same(&spec) == CGCONV_INVALID_ARGUMENT, "pad_same");
    }
    begin_case("no spec");
    refused(NULL, CGCONV_INVALID_ARGUMENT, "NULL", "");
    CHECK(cgconv_spec_pad_same(NULL) == CGCONV_INVALID_ARGUMENT, "pad_same");
    const cgconv_spec spec = sound_spec();
    int64_t extent;
    CHECK(cgconv_output_size(&spec, NULL, &extent) == CGCONV_INVALID_ARGUMENT, "no oh");
    CHECK(cgconv_output_size(&spec, &extent, NULL) == CGCONV_INVALID_ARGUMENT, "no ow");
}

static void test_strides(void) {
    static const int innermost[] = {3, 1, 2, 1}; /* of each layout, as an index into n, c, h, w */
    for (int layout = 0; layout < 4; layout++) {
        cgconv_spec spec = sound_spec();
        const int inner = innermost[layout];
        static const int64_t values[] = {2, 0, -1, 17};
        for (int i = 0; i < 4; i++) {
            char words[40];
            begin_case("layout=%d: an innermost stride of %lld", layout, (long long)values[i]);
            spec.layout = (cgconv_layout)layout;
            for (int a = 0; a < 4; a++) spec.x_strides[a] = 1000, spec.y_strides[a] = 0;
            spec.x_strides[inner] = values[i];
            snprintf(words, sizeof words, "is %lld", (long long)values[i]);
            refused(&spec, CGCONV_UNSUPPORTED, "x: the stride of", words);
            for (int a = 0; a < 4; a++) spec.x_strides[a] = 0, spec.y_strides[a] = 1000;
            spec.y_strides[inner] = values[i];
            refused(&spec, CGCONV_UNSUPPORTED, "y: the stride of", words);
        }
    }
    begin_case("an innermost axis of one cell may have any stride");
    cgconv_spec spec = sound_spec();
    spec.w = 1;
    spec.x_strides[0] = 900, spec.x_strides[1] = 60, spec.x_strides[2] = 7, spec.x_strides[3] = -5;
    accepted(&spec);
}

/* ---- the sentence ---------------------------------------------------------------------------------------------- */

static void test_the_sentence_is_cut_to_its_buffer(void) {
    char full[WHY], cut[WHY + 1];
    cgconv_spec spec = sound_spec();
    spec.groups = 3;
    cgconv_spec_check(&spec, full, sizeof full);
    CHECK(strlen(full) > 20 && strlen(full) < sizeof full - 1, "\"%s\"", full);
    for (size_t size = 0; size <= strlen(full) + 2; size++) {
        begin_case("a sentence of %zu letters in a buffer of %zu", strlen(full), size);
        memset(cut, '#', sizeof cut);
        CHECK(cgconv_spec_check(&spec, cut, size) == CGCONV_INVALID_ARGUMENT, "status");
        const size_t length = size == 0 ? 0 : size <= strlen(full) ? size - 1 : strlen(full);
        CHECK(memcmp(cut, full, length) == 0, "does not begin as the sentence does");
        CHECK(size == 0 || cut[length] == 0, "has no end");
        for (size_t i = size; i < sizeof cut; i++) CHECK(cut[i] == '#', "written behind the buffer at %zu", i);
    }
    begin_case("no buffer");
    CHECK(cgconv_spec_check(&spec, NULL, 0) == CGCONV_INVALID_ARGUMENT, "NULL, 0");
    CHECK(cgconv_spec_check(&spec, NULL, 100) == CGCONV_INVALID_ARGUMENT, "NULL, 100");
}

/* ---- options --------------------------------------------------------------------------------------------------- */

static void refused_options(cgconv_options options, cgconv_status status, const char *words) {
    const cgconv_spec spec = sound_spec();
    char why[WHY] = "x";
    cgconv_plan *plan = (cgconv_plan *)why;
    options.why = why;
    options.why_size = sizeof why;
    CHECK(cgconv_plan_create(&spec, &options, &plan) == status && plan == NULL, "why=\"%s\"", why);
    CHECK(strstr(why, words), "\"%s\" does not say \"%s\"", why, words);
    options.why = NULL;
    CHECK(cgconv_plan_create(&spec, &options, &plan) == status && plan == NULL, "without a buffer");
}

static void test_options(void) {
    cgconv_options options, defaults;
    cgconv_options_init(&defaults);
    const cgconv_spec spec = sound_spec();
    cgconv_plan *plan;
    begin_case("options");
    CHECK(defaults.struct_size == sizeof defaults && defaults.threads == 0 && !defaults.algorithm && !defaults.isa,
          "defaults");
    options = defaults, options.threads = -1;
    refused_options(options, CGCONV_INVALID_ARGUMENT, "threads=-1");
    options.threads = INT_MIN;
    refused_options(options, CGCONV_INVALID_ARGUMENT, "threads=-2147483648");
    options = defaults, options.algorithm = "abacus";
    refused_options(options, CGCONV_INVALID_ARGUMENT, "\"abacus\"");
    options.algorithm = "";
    refused_options(options, CGCONV_INVALID_ARGUMENT, "\"\"");
    options = defaults, options.isa = "abacus";
    refused_options(options, CGCONV_UNSUPPORTED, "\"abacus\"");
    options = defaults, options.struct_size = 0;
    CHECK(cgconv_plan_create(&spec, &options, &plan) == CGCONV_INVALID_ARGUMENT && !plan, "struct_size=0");
    options.struct_size = sizeof options + 8;
    CHECK(cgconv_plan_create(&spec, &options, &plan) == CGCONV_INVALID_ARGUMENT && !plan, "a larger struct_size");
    options = defaults, options.threads = INT_MAX;
    CHECK(cgconv_plan_create(&spec, &options, &plan) == CGCONV_OK, "threads=INT_MAX");
    cgconv_plan_destroy(plan);
    char why[WHY] = "x";
    options = defaults, options.why = why, options.why_size = sizeof why;
    CHECK(cgconv_plan_create(&spec, &options, &plan) == CGCONV_OK, "with a buffer");
    cgconv_plan_destroy(plan);
    CHECK_TEXT(why, "");
    CHECK(cgconv_plan_create(&spec, NULL, NULL) == CGCONV_INVALID_ARGUMENT, "nowhere to put the plan");
}

/* An algorithm that is named serves the passes that know it; the others are served by one that does. */
static void test_an_algorithm_by_name(void) {
    cgconv_spec spec = sound_spec();
    cgconv_options options;
    cgconv_options_init(&options);
    begin_case("channelwise by name, where groups have four channels");
    options.algorithm = "channelwise";
    refused_options(options, CGCONV_UNSUPPORTED, "\"channelwise\"");
    spec.groups = 8;
    for (int f = 1; f < 3000; f = f * 2 + 1) {
        cgconv_plan *plan;
        spec.filters_per_group = f;
        begin_case("channelwise by name, %d filters", f);
        if (!CHECK(cgconv_plan_create(&spec, &options, &plan) == CGCONV_OK, "refused")) continue;
        CHECK_TEXT(cgconv_plan_algorithm(plan, CGCONV_FORWARD), "channelwise");
        cgconv_plan_destroy(plan);
    }
}

static void test_passes_that_do_not_exist(void) {
    const cgconv_spec spec = sound_spec();
    cgconv_plan *plan;
    begin_case("passes that do not exist");
    if (!CHECK(cgconv_plan_create(&spec, NULL, &plan) == CGCONV_OK, "no plan")) return;
    for (int i = 0; i < 4; i++) {
        const cgconv_pass pass = (cgconv_pass)((int[]){-1, 3, INT_MAX, INT_MIN})[i];
        CHECK(cgconv_plan_algorithm(plan, pass) == NULL && cgconv_plan_alternative(plan, pass, 0) == NULL, "a name");
        CHECK(cgconv_plan_workspace_size(plan, pass) == 0 && cgconv_plan_threads(plan, pass) == 0, "a size");
    }
    CHECK(cgconv_plan_alternative(plan, CGCONV_FORWARD, -1) == NULL, "the alternative before the first");
    CHECK(cgconv_plan_alternative(plan, CGCONV_FORWARD, INT_MAX) == NULL, "the last alternative");
    cgconv_plan_destroy(plan);
    CHECK(cgconv_plan_algorithm(NULL, CGCONV_FORWARD) == NULL &&
              cgconv_plan_alternative(NULL, CGCONV_FORWARD, 0) == NULL &&
              cgconv_plan_workspace_size(NULL, CGCONV_FORWARD) == 0 && cgconv_plan_threads(NULL, CGCONV_FORWARD) == 0,
          "of no plan");
    cgconv_plan_destroy(NULL);
}

/* ---- the library ----------------------------------------------------------------------------------------------- */

static void test_texts(void) {
    begin_case("texts of the library");
    static const cgconv_status statuses[] = {CGCONV_OK, CGCONV_INVALID_ARGUMENT, CGCONV_UNSUPPORTED,
                                             CGCONV_SIZE_OVERFLOW, CGCONV_OUT_OF_MEMORY};
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 5; j++)
            CHECK((strcmp(cgconv_status_string(statuses[i]), cgconv_status_string(statuses[j])) == 0) == (i == j),
                  "%d %d", i, j);
    CHECK_TEXT(cgconv_status_string((cgconv_status)99), "unknown status");
    CHECK_TEXT(cgconv_status_string((cgconv_status)-1), "unknown status");
    CHECK_TEXT(cgconv_version(), CGCONV_VERSION);
    CHECK(strcmp(cgconv_threading(), "openmp") == 0 || strcmp(cgconv_threading(), "serial") == 0, "%s",
          cgconv_threading());
    CHECK(cgconv_cuda() && *cgconv_cuda(), "nothing about CUDA");
    if (!getenv("CGCONV_ISA")) CHECK_TEXT(cgconv_isa(), cgconv_isa_alternative(0));
    CHECK(cgconv_isa_alternative(-1) == NULL && cgconv_isa_alternative(99) == NULL, "an instruction set too many");
    CHECK(cgconv_reproducible() == (strcmp(cgconv_isa(), "nofma") != 0), "reproducible with %s", cgconv_isa());
}

int main(void) {
    test_defaults();
    test_each_field_has_a_least_value();
    test_unknown_enums();
    test_rules_between_fields();
    test_clamps();
    test_struct_sizes();
    test_strides();
    test_the_sentence_is_cut_to_its_buffer();
    test_options();
    test_an_algorithm_by_name();
    test_passes_that_do_not_exist();
    test_texts();
    return finish("test_statuses");
}
