/*
 * Sizes at the edge of what an integer holds: every such spec is answered with a status, and whatever is accepted
 * fits in memory's address range. Best run with the undefined-behaviour sanitizer, which sees each overflow.
 * Usage: test_overflow [specs] [seed].
 */
#include <stdio.h>
#include <string.h>

#include <cgconv.h>

#include "harness.h"

#define FIELD(name) offsetof(cgconv_spec, name)
static const size_t offsets[] = {
    FIELD(n), FIELD(c), FIELD(h), FIELD(w), FIELD(groups), FIELD(filters_per_group), FIELD(kh), FIELD(kw),
    FIELD(stride_h), FIELD(stride_w), FIELD(dilation_h), FIELD(dilation_w), FIELD(pad_top), FIELD(pad_bottom),
    FIELD(pad_left), FIELD(pad_right), FIELD(x_strides[0]), FIELD(x_strides[1]), FIELD(x_strides[2]),
    FIELD(x_strides[3]), FIELD(y_strides[0]), FIELD(y_strides[1]), FIELD(y_strides[2]), FIELD(y_strides[3])};
enum { FIELDS = sizeof offsets / sizeof offsets[0], SIZES = 16 /* the fields before the strides */ };

static const int64_t extremes[] = {
    INT64_MAX,       INT64_MAX - 1,  INT64_MAX / 2,      INT64_MAX / 2 + 1, INT64_MAX / 3, INT64_MAX / 16,
    INT64_MAX / 128, INT64_MAX / 64, (int64_t)1 << 62,   (int64_t)1 << 48,  (int64_t)1 << 32, ((int64_t)1 << 32) + 1,
    (int64_t)1 << 31, ((int64_t)1 << 31) - 1, (int64_t)1 << 40, 3037000500, /* its square is just too large */
};
enum { EXTREMES = sizeof extremes / sizeof extremes[0] };

static int64_t *field(cgconv_spec *spec, int index) { return (int64_t *)(void *)((char *)spec + offsets[index]); }

static cgconv_spec small_spec(void) {
    cgconv_spec spec;
    cgconv_spec_init(&spec);
    spec.n = 2, spec.c = 4, spec.filters_per_group = 2, spec.h = 5, spec.w = 6, spec.kh = 3, spec.kw = 2;
    return spec;
}

static double reach(const int64_t extents[4], const int64_t strides[4]) {
    double cells = 1;
    int dense = 1;
    for (int a = 0; a < 4; a++) dense = dense && strides[a] == 0;
    for (int a = 0; a < 4; a++) {
        const double extent = (double)(extents[a] > 0 ? extents[a] : 1), stride = (double)strides[a];
        if (dense) cells *= extent;
        else cells += (extent - 1) * (stride < 0 ? -stride : stride);
    }
    return cells;
}

/* Everything of an accepted spec fits, counted in floating point, which does not overflow. */
static void check_fits(const cgconv_spec *s, int64_t oh, int64_t ow) {
    const double most = (double)PTRDIFF_MAX / (s->dtype == CGCONV_FLOAT32 ? 4 : 8);
    const double oc = (double)s->groups * (double)s->filters_per_group;
    const double filter_h = (double)(s->kh - 1) * (double)s->dilation_h + 1;
    const double padded_h = (double)s->h + (double)s->pad_top + (double)s->pad_bottom;
    CHECK(oc * (double)s->c / (double)s->groups * (double)s->kh * (double)s->kw <= most, "the weights do not fit");
    CHECK(oc <= (double)INT64_MAX, "the output channels do not fit");
    CHECK(oh >= 1 && ow >= 1, "an output of %lld x %lld", (long long)oh, (long long)ow);
    CHECK((double)(oh - 1) * (double)s->stride_h + filter_h <= padded_h * 1.0000001, "oh=%lld is too large",
          (long long)oh);
    CHECK(reach((int64_t[4]){s->n, s->c, s->h, s->w}, s->x_strides) <= most, "x does not fit");
    CHECK(reach((int64_t[4]){s->n, (int64_t)oc, oh, ow}, s->y_strides) <= most, "y does not fit");
}

/* All functions give one answer, and a plan asks for a bounded workspace. */
static cgconv_status answer(const cgconv_spec *spec) {
    char why[400] = "x";
    int64_t oh = 0, ow = 0;
    cgconv_plan *plan = NULL;
    const cgconv_status status = cgconv_spec_check(spec, why, sizeof why);
    CHECK(status != CGCONV_OUT_OF_MEMORY && (status == CGCONV_OK) == (*why == 0), "%d: \"%s\"", (int)status, why);
    CHECK(cgconv_output_size(spec, &oh, &ow) == status, "output_size disagrees with \"%s\"", why);
    CHECK(cgconv_plan_create(spec, NULL, &plan) == status, "plan_create disagrees with \"%s\"", why);
    if (status == CGCONV_OK) {
        check_fits(spec, oh, ow);
        for (int pass = 0; pass < 3; pass++) {
            const size_t size = cgconv_plan_workspace_size(plan, (cgconv_pass)pass);
            CHECK(size < (size_t)1 << 40, "pass %d asks for %zu bytes", pass, size);
        }
    }
    cgconv_plan_destroy(plan);
    cgconv_spec same = *spec;
    const cgconv_status same_status = cgconv_spec_pad_same(&same);
    CHECK(same_status == CGCONV_OK || memcmp(&same, spec, sizeof same) == 0,
          "a failed pad_same has changed the spec");
    CHECK(same_status != CGCONV_OK || (same.pad_top >= 0 && same.pad_bottom >= same.pad_top && same.pad_left >= 0 &&
                                       same.pad_right >= same.pad_left),
          "pad_same gives %lld, %lld, %lld, %lld", (long long)same.pad_top, (long long)same.pad_bottom,
          (long long)same.pad_left, (long long)same.pad_right);
    return status;
}

static void name_case(const cgconv_spec *spec) {
    char line[800];
    size_t length = 0;
    for (int f = 0; f < FIELDS; f++)
        length += (size_t)snprintf(line + length, sizeof line - length, " %lld",
                                   (long long)*field((cgconv_spec *)spec, f));
    begin_case("dtype=%d layout=%d pad_mode=%d n,c,h,w,groups,f,kh,kw,stride,dilation,pads,x_strides,y_strides =%s",
               (int)spec->dtype, (int)spec->layout, (int)spec->pad_mode, line);
}

static void test_one_field_that_is_too_large(void) {
    for (int f = 0; f < FIELDS; f++) {
        cgconv_spec spec = small_spec();
        if (f >= SIZES) { /* sound strides, of which one is then too large */
            const int first = f < SIZES + 4 ? SIZES : SIZES + 4;
            for (int a = 0; a < 4; a++) *field(&spec, first + a) = a == 3 ? 1 : 1000;
            if (f == first + 3) continue; /* of the innermost axis: has to be 1 */
        }
        *field(&spec, f) = INT64_MAX;
        name_case(&spec);
        CHECK(answer(&spec) == CGCONV_SIZE_OVERFLOW, "not an overflow");
    }
}

static void test_the_largest_sizes_that_fit(void) {
    cgconv_spec spec = small_spec();
    spec.stride_h = (int64_t)1 << 40;
    name_case(&spec);
    CHECK(answer(&spec) == CGCONV_OK, "a step beyond the end is legal");
    spec = small_spec();
    spec.n = (int64_t)1 << 45;
    name_case(&spec);
    CHECK(answer(&spec) == CGCONV_OK, "a large batch is legal");
    spec = small_spec();
    spec.h = (int64_t)1 << 40, spec.pad_top = (int64_t)1 << 40, spec.kh = ((int64_t)1 << 20) + 1;
    spec.dilation_h = (int64_t)1 << 20, spec.stride_h = (int64_t)1 << 38;
    name_case(&spec);
    CHECK(answer(&spec) == CGCONV_OK, "a tall image is legal");
    int64_t oh, ow;
    CHECK(cgconv_output_size(&spec, &oh, &ow) == CGCONV_OK && oh == 4 && ow == 5, "%lld x %lld", (long long)oh,
          (long long)ow);
}

static void test_every_pair_of_extremes(void) {
    for (int f = 0; f < FIELDS; f++)
        for (int g = 0; g < f; g++)
            for (int i = 0; i < EXTREMES; i++)
                for (int j = 0; j < EXTREMES; j += 3) {
                    cgconv_spec spec = small_spec();
                    *field(&spec, f) = extremes[i];
                    *field(&spec, g) = extremes[(i + j) % EXTREMES];
                    name_case(&spec);
                    answer(&spec);
                }
}

static int64_t draw(rng *r, int index) {
    if (rng_chance(r, 60)) return index < SIZES ? rng_range(r, 1, 4) : 0;
    const int64_t value = extremes[rng_range(r, 0, EXTREMES - 1)] >> rng_range(r, 0, 20);
    return rng_chance(r, 8) ? (rng_chance(r, 50) ? -value : INT64_MIN) : value;
}

static void test_random_extremes(int64_t specs, uint64_t seed) {
    rng r = {seed};
    for (int64_t i = 0; i < specs; i++) {
        cgconv_spec spec = small_spec();
        for (int f = 0; f < FIELDS; f++) *field(&spec, f) = draw(&r, f);
        spec.dtype = (cgconv_dtype)rng_range(&r, 0, 1);
        spec.layout = (cgconv_layout)rng_range(&r, 0, 3);
        spec.pad_mode = (cgconv_pad_mode)rng_range(&r, 0, 4);
        if (rng_chance(&r, 50)) spec.groups = 1;
        if (rng_chance(&r, 50)) memset(spec.x_strides, 0, sizeof spec.x_strides);
        if (rng_chance(&r, 50)) memset(spec.y_strides, 0, sizeof spec.y_strides);
        name_case(&spec);
        answer(&spec);
    }
}

/* The map of one axis, at positions as far away as an integer can say. */
static void test_padding_sources_far_away(void) {
    for (int mode = 0; mode <= 4; mode++)
        for (int64_t extent = 0; extent <= 5; extent++)
            for (int i = 0; i < 2 * EXTREMES; i++) {
                const int64_t position = i < EXTREMES ? extremes[i] : -extremes[i - EXTREMES] - (i & 1);
                begin_case("pad_source(%d, %lld, %lld)", mode, (long long)position, (long long)extent);
                const int64_t cell = cgconv_pad_source((cgconv_pad_mode)mode, position, extent);
                CHECK(mode == 0 || extent == 0 ? cell == -1 : cell >= 0 && cell < extent, "%lld", (long long)cell);
            }
    for (int mode = 0; mode <= 4; mode++)
        for (int i = 0; i < EXTREMES; i++) {
            begin_case("pad_source(%d, -1 and extent, %lld)", mode, (long long)extremes[i]);
            const int64_t n = extremes[i], before[5] = {-1, 0, 1, 0, n - 1}, behind[5] = {-1, n - 1, n - 2, n - 1, 0};
            CHECK(cgconv_pad_source((cgconv_pad_mode)mode, -1, n) == before[mode], "before");
            CHECK(cgconv_pad_source((cgconv_pad_mode)mode, n, n) == behind[mode], "behind");
        }
}

int main(int argc, char **argv) {
    test_one_field_that_is_too_large();
    test_the_largest_sizes_that_fit();
    test_every_pair_of_extremes();
    test_random_extremes(setting(argc, argv, 1, "CGCONV_TEST_SPECS", 100000),
                         (uint64_t)setting(argc, argv, 2, "CGCONV_TEST_SEED", 1));
    test_padding_sources_far_away();
    return finish("test_overflow");
}
