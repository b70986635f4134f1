/*
 * Separable plans: the bits of the definition applied twice, between guard pages and on exactly the workspace asked
 * for; how large that is; what making and running one is refused for. It must not know how tiles are cut.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "problem.h"
#include "variants.h"

enum { WHY = 300, PER_THREAD = 13 << 18, ONCE = 1 << 17 };

/* The pointwise spec that reads what `first` makes. */
static cgconv_spec pointwise_after(const cgconv_spec *first, int64_t groups, int64_t filters) {
    cgconv_spec s;
    cgconv_spec_init(&s);
    s.dtype = first->dtype, s.layout = first->layout, s.n = first->n;
    s.c = output_channels(first);
    s.h = output_extent(first->h, first->pad_top + first->pad_bottom, first->kh, first->stride_h, first->dilation_h);
    s.w = output_extent(first->w, first->pad_left + first->pad_right, first->kw, first->stride_w, first->dilation_w);
    s.groups = groups, s.filters_per_group = filters;
    s.kh = s.kw = 1;
    s.clamp_lo = -1, s.clamp_hi = 2;
    return s;
}

static cgconv_spec image(int64_t n, int64_t c, int64_t h, int64_t w, int64_t k) {
    cgconv_spec s;
    cgconv_spec_init(&s);
    s.n = n, s.c = s.groups = c, s.h = h, s.w = w, s.kh = s.kw = k;
    s.pad_top = s.pad_bottom = s.pad_left = s.pad_right = k / 2;
    return s;
}

static cgconv_plan *plan_of(const cgconv_spec *spec, const char *isa, int threads) {
    char why[WHY] = "";
    cgconv_options options;
    cgconv_options_init(&options);
    options.isa = isa, options.threads = threads, options.why = why, options.why_size = sizeof why;
    cgconv_plan *plan;
    CHECK(cgconv_plan_create(spec, &options, &plan) == CGCONV_OK, "%s", why);
    return plan;
}

/* The plans are gone when it returns: a separable plan needs them no more. */
static cgconv_separable *join(const cgconv_spec *first, const cgconv_spec *second, const char *isa, int threads) {
    char why[WHY] = "x";
    cgconv_separable *separable = NULL;
    cgconv_plan *a = plan_of(first, isa, threads), *b = plan_of(second, isa, threads);
    CHECK(cgconv_separable_create(a, b, why, sizeof why, &separable) == CGCONV_OK && separable, "%s", why);
    CHECK_TEXT(why, "");
    cgconv_plan_destroy(a);
    cgconv_plan_destroy(b);
    return separable;
}

/* ---- the bits -------------------------------------------------------------------------------------------------- */

enum { IN, WEIGHT1, BIAS1, WEIGHT2, BIAS2, OUT, INPUTS = OUT, BLOCKS };

typedef struct block {
    cgconv_spec first, second; /* with strides filled in */
    size_t bytes[BLOCKS];
    void *input[INPUTS];
    void *expected[2]; /* [fused] */
} block;

static size_t bytes_of(const cgconv_spec *s, int64_t elements) { return (size_t)elements * element_size(s); }

static void *drawn(rng *r, const cgconv_spec *s, size_t bytes) {
    void *cells = malloc(bytes + 1);
    if (!cells) abort();
    for (size_t i = 0; i < bytes / element_size(s); i++) put(s->dtype, cells, (int64_t)i, rng_uniform(r));
    return cells;
}

static block block_of(uint64_t seed, cgconv_spec first, cgconv_spec second) {
    block b = {.first = first, .second = second};
    rng r = {seed};
    fill_strides(&b.first);
    fill_strides(&b.second);
    const int64_t middle = output_channels(&first), oc = output_channels(&second);
    const int64_t elements[BLOCKS] = {first.n * first.c * first.h * first.w, middle * first.kh * first.kw, middle,
                                      oc * (second.c / second.groups),       oc,  second.n * oc * second.h * second.w};
    for (int a = 0; a < BLOCKS; a++) b.bytes[a] = bytes_of(&first, elements[a]);
    for (int a = 0; a < INPUTS; a++) b.input[a] = drawn(&r, &first, b.bytes[a]);
    void *between = malloc(bytes_of(&first, second.n * second.c * second.h * second.w) + 1);
    for (int fused = 0; fused < 2; fused++) {
        b.expected[fused] = malloc(b.bytes[OUT] + 1);
        if (!between || !b.expected[fused]) abort();
        define_forward(&b.first, fused, b.input[IN], b.input[WEIGHT1], b.input[BIAS1], between);
        define_forward(&b.second, fused, between, b.input[WEIGHT2], b.input[BIAS2], b.expected[fused]);
    }
    free(between);
    return b;
}

static void free_block(const block *b) {
    for (int a = 0; a < INPUTS; a++) free(b->input[a]);
    free(b->expected[0]);
    free(b->expected[1]);
}

/* Runs it at one end of guarded pages, the inputs read-only. */
static void check_block(const block *b, const char *isa, int threads, side where) {
    static guarded memory[BLOCKS], workspace;
    void *at[BLOCKS];
    cgconv_separable *separable = join(&b->first, &b->second, isa, threads);
    for (int a = 0; a < BLOCKS; a++) {
        at[a] = guarded_place(&memory[a], b->bytes[a], where);
        if (a == OUT) continue;
        memcpy(at[a], b->input[a], b->bytes[a]);
        guarded_lock(&memory[a]);
    }
    const size_t size = cgconv_separable_workspace_size(separable);
    void *lent = guarded_place(&workspace, size, where);
    CHECK(cgconv_separable_forward(separable, at[IN], at[WEIGHT1], at[BIAS1], at[WEIGHT2], at[BIAS2],
                                   at[OUT], lent, size) == CGCONV_OK,
          "isa=%s threads=%d", isa, threads);
    CHECK(memcmp(at[OUT], b->expected[strcmp(isa, "nofma") != 0], b->bytes[OUT]) == 0, "isa=%s threads=%d", isa,
          threads);
    CHECK(guarded_intact(&memory[OUT]) && guarded_intact(&workspace), "isa=%s threads=%d", isa, threads);
    cgconv_separable_destroy(separable);
}

static void check_shape(uint64_t seed, const cgconv_spec *first, int64_t groups, int64_t filters) {
    const cgconv_spec second = pointwise_after(first, groups, filters);
    const problem p = {.seed = seed, .spec = *first};
    char line[1024];
    describe(&p, line, sizeof line);
    begin_case("%s, then %d groups of %d filters", line, (int)groups, (int)filters);
    const block b = block_of(seed, *first, second);
    const char *isa;
    for (int i = 0; (isa = tested_isa(i)); i++) check_block(&b, isa, 1 + (int)(seed + (uint64_t)i) % 3, (side)(i % 2));
    free_block(&b);
}

static void test_it_is_the_definition_applied_twice(uint64_t seeds) {
    for (uint64_t seed = 0; seed < seeds; seed++) {
        rng r = {seed};
        cgconv_spec s = random_problem(seed).spec;
        s.c = s.groups = s.groups * (s.c / s.groups > 1 ? 2 : 1);
        if (s.pad_mode == CGCONV_PAD_CONSTANT) s.pad_value = 1.5;
        memset(s.x_strides, 0, sizeof s.x_strides);
        memset(s.y_strides, 0, sizeof s.y_strides);
        const int64_t groups = rng_chance(&r, 70) ? 1 : s.groups;
        check_shape(seed, &s, groups, rng_range(&r, 1, rng_chance(&r, 20) ? 40 : 5));
    }
}

/* So many cells that threads have several tiles: of rows, of parts of a row, of a pixel's many channels, of images. */
static void test_tiles_meet_without_a_seam(void) {
    cgconv_spec shapes[] = {image(1, 60, 160, 112, 3), image(1, 70, 2, 8000, 3), image(1, 9000, 4, 31, 3),
                            image(2, 33, 131, 131, 5), image(70, 24, 20, 20, 3)};
    for (uint64_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int layout = 0; layout < 4; layout++) {
            cgconv_spec *s = &shapes[i];
            s->layout = (cgconv_layout)layout;
            s->dtype = (cgconv_dtype)((layout + (int)i) % 2);
            s->pad_mode = (cgconv_pad_mode)((layout + (int)i) % 5);
            s->stride_h = s->stride_w = 1 + (layout == (int)i);
            check_shape(i * 4 + (uint64_t)layout, s, 1, 2);
        }
}

/* ---- the workspace --------------------------------------------------------------------------------------------- */

static void test_the_workspace_is_bounded(void) {
    const cgconv_spec shapes[] = {
        image(1, 64, 8000, 8000, 3), image(1000, 32, 56, 56, 5), image(1, 8, 1, 4000000, 7), image(1, 8, 4000000, 1, 3),
        image(1, 1, 100000, 100000, 3), image(1, 2048, 7, 7, 3), image(1, 96, 64, 64, 31), image(1, 3, 5000, 5000, 9),
        image(1, 8192, 300, 10, 3),
    };
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int choice = 0; choice < 32; choice++) {
            cgconv_spec s = shapes[i];
            s.dtype = (cgconv_dtype)(choice & 1);
            s.layout = (cgconv_layout)(choice >> 1 & 3);
            if (choice & 8) s.stride_h = s.stride_w = 2, s.dilation_w = 3, s.pad_right += 2 * s.kw;
            if (choice & 16) s.pad_mode = CGCONV_PAD_SYMMETRIC_INCLUDE_EDGE;
            const cgconv_spec second = pointwise_after(&s, 1, 48);
            begin_case("shape %d, choice %d", (int)i, choice);
            cgconv_separable *separable = join(&s, &second, NULL, 4);
            const size_t size = cgconv_separable_workspace_size(separable);
            const size_t weights = (size_t)(48 * (s.c + 1)) * element_size(&s);
            const size_t threads = (size_t)cgconv_separable_threads(separable);
            const size_t most = ONCE + weights + threads * (weights + PER_THREAD);
            CHECK(size <= most, "%zu bytes, more than %zu", size, most);
            cgconv_separable_destroy(separable);
        }
}

/* ---- refusals -------------------------------------------------------------------------------------------------- */

static void refused(const cgconv_plan *a, const cgconv_plan *b, const char *words) {
    char why[WHY] = "";
    cgconv_separable *separable = (cgconv_separable *)why;
    CHECK(cgconv_separable_create(a, b, why, sizeof why, &separable) == CGCONV_INVALID_ARGUMENT && !separable,
          "%p", (void *)separable);
    CHECK(strstr(why, words) != NULL, "\"%s\" does not say \"%s\"", why, words);
    CHECK(cgconv_separable_create(a, b, NULL, 0, &separable) == CGCONV_INVALID_ARGUMENT, "without why");
}

static void test_plans_that_do_not_fit_are_refused(void) {
    const cgconv_spec first = image(2, 6, 9, 8, 3), second = pointwise_after(&first, 1, 5);
    cgconv_plan *a = plan_of(&first, NULL, 1), *b = plan_of(&second, NULL, 1), *other;
    begin_case("plans");
    refused(NULL, b, "NULL");
    refused(a, NULL, "NULL");
    CHECK(cgconv_separable_create(a, b, NULL, 0, NULL) == CGCONV_INVALID_ARGUMENT, "nowhere to go");
    refused(b, b, "groups=1 for c=6");
    refused(a, a, "not pointwise");
    const char *const sentences[] = {"n=2, the second reads an input with n=3", "c=6", "h=9", "w=8", "data types"};
    for (int i = 0; i < 5; i++) {
        cgconv_spec s = second;
        *(int64_t *[]){&s.n, &s.c, &s.h, &s.w, &s.n}[i] += i < 4;
        if (i == 4) s.dtype = CGCONV_FLOAT64;
        other = plan_of(&s, NULL, 1);
        refused(a, other, sentences[i]);
        cgconv_plan_destroy(other);
    }
    for (int i = 0; i < 3; i++) {
        cgconv_spec s = second;
        *(int64_t *[]){&s.kw, &s.stride_h, &s.pad_left}[i] += 1;
        other = plan_of(&s, NULL, 1);
        refused(a, other, "not pointwise");
        cgconv_plan_destroy(other);
    }
    if (tested_isa(0) && tested_isa(1)) {
        cgconv_plan *one = plan_of(&first, tested_isa(0), 1);
        other = plan_of(&second, tested_isa(1), 1);
        refused(one, other, "instruction sets");
        cgconv_plan_destroy(one);
        cgconv_plan_destroy(other);
    }
    cgconv_plan_destroy(a);
    cgconv_plan_destroy(b);
}

static void test_unsound_arguments_are_refused(void) {
    const cgconv_spec first = image(1, 2, 4, 4, 3), second = pointwise_after(&first, 1, 2);
    cgconv_separable *separable = join(&first, &second, NULL, 1);
    const size_t size = cgconv_separable_workspace_size(separable);
    float x[32] = {0}, w1[18] = {0}, b1[2] = {0}, w2[4] = {0}, b2[2] = {0}, y[32];
    char *workspace = malloc(size);
    void *const sound[] = {x, w1, b1, w2, b2, y, workspace};
    begin_case("arguments");
    for (int i = 0; i < 25; i++) {
        void *a[7];
        memcpy(a, sound, sizeof a);
        if (i < 7) a[i] = NULL;                                  /* missing */
        else if (i < 13) a[i - 7] = (char *)a[i - 7] + 1;        /* misaligned */
        else if (i < 18) a[OUT] = a[i - 13];                       /* written over an input */
        else if (i < 24) a[i - 18] = workspace;                  /* in the workspace */
        memset(y, 0x11, sizeof y);
        const int legal = i == BIAS1 || i == BIAS2;
        const cgconv_status status =
            cgconv_separable_forward(separable, a[IN], a[WEIGHT1], a[BIAS1], a[WEIGHT2], a[BIAS2], a[OUT], a[6],
                                     size - (i == 24));
        CHECK(status == (legal ? CGCONV_OK : CGCONV_INVALID_ARGUMENT), "%d: %s", i, cgconv_status_string(status));
        CHECK(legal || ((unsigned char *)y)[5] == 0x11, "%d: y has been written", i);
    }
    CHECK(cgconv_separable_forward(NULL, x, w1, b1, w2, b2, y, workspace, size) == CGCONV_INVALID_ARGUMENT, "NULL");
    CHECK(cgconv_separable_workspace_size(NULL) == 0 && cgconv_separable_threads(NULL) == 0, "NULL");
    cgconv_separable_destroy(NULL);
    cgconv_separable_destroy(separable);
    free(workspace);
}

int main(int argc, char **argv) {
    test_it_is_the_definition_applied_twice((uint64_t)setting(argc, argv, 1, "CGCONV_TEST_PROBLEMS", 1500));
    test_tiles_meet_without_a_seam();
    test_the_workspace_is_bounded();
    test_plans_that_do_not_fit_are_refused();
    test_unsound_arguments_are_refused();
    return finish("test_separable");
}
