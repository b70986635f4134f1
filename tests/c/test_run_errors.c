/*
 * What a run is refused for: pointers that are missing, misaligned or overlap, and a workspace that is too small.
 * After each refusal every byte of every array is as it was. It must not know what a run computes.
 */
#include <stdio.h>
#include <string.h>

#include <cgconv.h>

#include "definition.h"
#include "harness.h"

/* The arrays of one run by their meaning in the spec; those of x's and y's shape, and so on. */
enum { X, WEIGHT, BIAS, Y, WORKSPACE, ARRAYS };
static const char *const names[ARRAYS] = {"x", "weight", "bias", "y", "workspace"};

typedef struct bench {
    cgconv_spec spec;
    cgconv_plan *plan;
    cgconv_pass pass;
    size_t size[ARRAYS];
    char *block; /* where everything lies */
    size_t block_size;
    char *array[ARRAYS];
} bench;

static int written(const bench *t, int a) {
    static const int outputs[3][ARRAYS] = {{0, 0, 0, 1, 1}, {1, 0, 0, 0, 1}, {0, 1, 1, 0, 1}};
    return outputs[t->pass][a];
}

static int used(const bench *t, int a) { return a != BIAS || t->pass != CGCONV_BACKWARD_INPUT; }

static cgconv_status run(const bench *t, char *const array[ARRAYS], size_t workspace_size) {
    void *const workspace = array[WORKSPACE];
    if (t->pass == CGCONV_FORWARD)
        return cgconv_forward(t->plan, array[X], array[WEIGHT], array[BIAS], array[Y], workspace, workspace_size);
    if (t->pass == CGCONV_BACKWARD_INPUT)
        return cgconv_backward_input(t->plan, array[Y], array[WEIGHT], array[X], workspace, workspace_size);
    return cgconv_backward_weight(t->plan, array[X], array[Y], array[WEIGHT], array[BIAS], workspace, workspace_size);
}

/* Runs with arguments that have to be refused, or accepted. */
static void expect(const bench *t, char *const array[ARRAYS], size_t workspace_size, cgconv_status status) {
    memset(t->block, 0x11, t->block_size);
    const cgconv_status got = run(t, array, workspace_size);
    CHECK(got == status, "%s", cgconv_status_string(got));
    if (status == CGCONV_OK) return;
    size_t same = 0;
    while (same < t->block_size && t->block[same] == 0x11) same++;
    CHECK(same == t->block_size, "byte %zu has been written", same);
}

static void refuse(const bench *t, char *const array[ARRAYS]) {
    expect(t, array, t->size[WORKSPACE], CGCONV_INVALID_ARGUMENT);
}

static void copy(const bench *t, char *array[ARRAYS]) { memcpy(array, t->array, sizeof t->array); }

static void test_sound_arguments(const bench *t) {
    char *array[ARRAYS];
    copy(t, array);
    begin_case("%d: sound arguments", (int)t->pass);
    expect(t, array, t->size[WORKSPACE], CGCONV_OK);
    expect(t, array, t->size[WORKSPACE] + 1000, CGCONV_OK);
    array[BIAS] = NULL;
    expect(t, array, t->size[WORKSPACE], CGCONV_OK);
}

static void test_missing_arrays(const bench *t) {
    for (int a = 0; a < ARRAYS; a++) {
        char *array[ARRAYS];
        if (a == BIAS || t->size[a] == 0) continue;
        copy(t, array);
        array[a] = NULL;
        begin_case("%d: %s is NULL", (int)t->pass, names[a]);
        refuse(t, array);
    }
}

static void test_misaligned_arrays(const bench *t) {
    const size_t element = element_size(&t->spec);
    for (int a = 0; a < WORKSPACE; a++)
        for (size_t shift = 1; shift < element; shift++) {
            char *array[ARRAYS];
            if (!used(t, a)) continue;
            copy(t, array);
            array[a] += shift;
            begin_case("%d: %s is %zu bytes off", (int)t->pass, names[a], shift);
            refuse(t, array);
        }
}

static void test_a_workspace_that_is_too_small(const bench *t) {
    char *array[ARRAYS];
    copy(t, array);
    if (t->size[WORKSPACE] == 0) return;
    begin_case("%d: a small workspace", (int)t->pass);
    expect(t, array, t->size[WORKSPACE] - 1, CGCONV_INVALID_ARGUMENT);
    expect(t, array, 0, CGCONV_INVALID_ARGUMENT);
    array[WORKSPACE] = NULL;
    expect(t, array, 0, CGCONV_INVALID_ARGUMENT);
}

/* Array `a` is moved so that it overlaps `b` by one element at either end, or lies just beside it. */
static void test_overlaps(const bench *t) {
    const size_t element = element_size(&t->spec);
    for (int a = 0; a < ARRAYS; a++)
        for (int b = 0; b < ARRAYS; b++) {
            char *array[ARRAYS];
            if (a == b || !used(t, a) || !used(t, b) || !t->size[a] || !t->size[b]) continue;
            const cgconv_status meet = written(t, a) || written(t, b) ? CGCONV_INVALID_ARGUMENT : CGCONV_OK;
            const size_t whole = t->size[b] / element * element; /* a workspace may end between elements */
            char *const places[] = {t->array[b], t->array[b] + whole - element,
                                    t->array[b] - t->size[a] / element * element + element};
            copy(t, array);
            for (int i = 0; i < 3; i++) {
                begin_case("%d: %s overlaps %s, way %d", (int)t->pass, names[a], names[b], i);
                array[a] = places[i];
                expect(t, array, t->size[WORKSPACE], meet);
            }
            begin_case("%d: %s beside %s", (int)t->pass, names[a], names[b]);
            array[a] = t->array[b] + (t->size[b] + element - 1) / element * element;
            expect(t, array, t->size[WORKSPACE], CGCONV_OK);
            array[a] = t->array[b] - (t->size[a] + element - 1) / element * element;
            expect(t, array, t->size[WORKSPACE], CGCONV_OK);
        }
}

/* The span of an array counts, from its lowest cell to its highest, wherever cell (0, 0, 0, 0) lies in it. */
static void test_overlaps_of_strided_arrays(void) {
    static float block[400], weight[1] = {1};
    float *const x = block + 200; /* its rows run upwards, so that it spans block[170] to block[202] */
    static const struct {
        int y; /* the dense 12 cells of y begin here */
        cgconv_status status;
    } places[] = {{158, CGCONV_OK}, {159, CGCONV_INVALID_ARGUMENT}, {180, CGCONV_INVALID_ARGUMENT},
                  {202, CGCONV_INVALID_ARGUMENT}, {203, CGCONV_OK}};
    static const int64_t strides[4] = {100, 50, -10, 1};
    cgconv_spec spec;
    cgconv_options options;
    cgconv_plan *plan;
    cgconv_spec_init(&spec);
    cgconv_options_init(&options);
    options.algorithm = "reference"; /* needs no workspace */
    spec.c = spec.kh = spec.kw = 1, spec.h = 4, spec.w = 3;
    memcpy(spec.x_strides, strides, sizeof strides);
    begin_case("a plan of flipped rows");
    if (!CHECK(cgconv_plan_create(&spec, &options, &plan) == CGCONV_OK, "no plan")) return;
    for (int i = 0; i < 5; i++) {
        float *y = block + places[i].y;
        begin_case("flipped rows, y from element %d on", places[i].y);
        CHECK(cgconv_forward(plan, x, weight, NULL, y, NULL, 0) == places[i].status, "forward");
        CHECK(cgconv_backward_input(plan, y, weight, x, NULL, 0) == places[i].status, "backward_input");
    }
    cgconv_plan_destroy(plan);
}

/* All arrays in one block, with room for any of them beside any other. */
static void lay_out(bench *t, guarded *memory) {
    const cgconv_spec *s = &t->spec;
    const size_t element = element_size(s);
    int64_t oh, ow;
    CHECK(cgconv_output_size(s, &oh, &ow) == CGCONV_OK, "no output size");
    t->size[X] = (size_t)(s->n * s->c * s->h * s->w) * element;
    t->size[Y] = (size_t)(s->n * output_channels(s) * oh * ow) * element;
    t->size[WEIGHT] = (size_t)(output_channels(s) * s->c / s->groups * s->kh * s->kw) * element;
    t->size[BIAS] = (size_t)output_channels(s) * element;
    t->size[WORKSPACE] = cgconv_plan_workspace_size(t->plan, t->pass);
    size_t room = 4096;
    for (int a = 0; a < ARRAYS; a++) room += t->size[a];
    room = room / element * element;
    t->block_size = (ARRAYS + 1) * 2 * room;
    t->block = guarded_place(memory, t->block_size, AT_START);
    for (int a = 0; a < ARRAYS; a++) t->array[a] = t->block + (size_t)(2 * a + 1) * room;
}

static void test_a_run_without_images(void) {
    char weight[9 * sizeof(float)] = {0}, dw[9 * sizeof(float)];
    cgconv_spec spec;
    cgconv_plan *plan;
    cgconv_spec_init(&spec);
    spec.n = 0, spec.c = 1, spec.h = spec.w = 5, spec.kh = spec.kw = 3;
    begin_case("no images, and so no arrays of them");
    if (!CHECK(cgconv_plan_create(&spec, NULL, &plan) == CGCONV_OK, "no plan")) return;
    static char workspace[1 << 20];
    const size_t size = sizeof workspace;
    for (int pass = 0; pass < 3; pass++)
        CHECK(cgconv_plan_workspace_size(plan, (cgconv_pass)pass) <= size, "the workspace of pass %d", pass);
    CHECK(cgconv_forward(plan, NULL, weight, NULL, NULL, workspace, size) == CGCONV_OK, "forward");
    CHECK(cgconv_backward_input(plan, NULL, weight, NULL, workspace, size) == CGCONV_OK, "backward_input");
    memset(dw, POISON, sizeof dw);
    CHECK(cgconv_backward_weight(plan, NULL, NULL, dw, NULL, workspace, size) == CGCONV_OK, "backward_weight");
    CHECK(memcmp(dw, weight, sizeof dw) == 0, "a sum of nothing is not 0");
    CHECK(cgconv_forward(plan, NULL, NULL, NULL, NULL, workspace, size) == CGCONV_INVALID_ARGUMENT, "no weights");
    cgconv_plan_destroy(plan);
}

static void test_no_plan(void) {
    float cell = 5;
    begin_case("no plan");
    CHECK(cgconv_forward(NULL, &cell, &cell, NULL, &cell, NULL, 0) == CGCONV_INVALID_ARGUMENT, "forward");
    CHECK(cgconv_backward_input(NULL, &cell, &cell, &cell, NULL, 0) == CGCONV_INVALID_ARGUMENT, "backward_input");
    CHECK(cgconv_backward_weight(NULL, &cell, &cell, &cell, NULL, NULL, 0) == CGCONV_INVALID_ARGUMENT,
          "backward_weight");
    CHECK(cell == 5, "written");
}

/* One dtype, layout and shape, with every algorithm, since each has its own workspace. */
static void test_runs(cgconv_spec spec, guarded *memory) {
    static const char *const algorithms[] = {NULL, "reference"};
    for (int i = 0; i < 2; i++)
        for (int pass = 0; pass < 3; pass++) {
            bench t = {.spec = spec, .pass = (cgconv_pass)pass};
            cgconv_options options;
            cgconv_options_init(&options);
            options.algorithm = algorithms[i];
            begin_case("a plan");
            if (!CHECK(cgconv_plan_create(&spec, &options, &t.plan) == CGCONV_OK, "no plan")) return;
            lay_out(&t, memory);
            test_sound_arguments(&t);
            test_missing_arrays(&t);
            test_misaligned_arrays(&t);
            test_a_workspace_that_is_too_small(&t);
            test_overlaps(&t);
            cgconv_plan_destroy(t.plan);
        }
}

int main(void) {
    guarded memory = {0};
    for (int dtype = 0; dtype < 2; dtype++)
        for (int layout = 0; layout < 2; layout++)
            for (int groups = 1; groups <= 4; groups += 3) {
                cgconv_spec spec;
                cgconv_spec_init(&spec);
                spec.dtype = (cgconv_dtype)dtype, spec.layout = (cgconv_layout)layout;
                spec.n = 2, spec.c = 4, spec.groups = groups, spec.h = 5, spec.w = 6, spec.kh = spec.kw = 3;
                spec.pad_top = spec.pad_left = 1;
                test_runs(spec, &memory);
            }
    test_overlaps_of_strided_arrays();
    test_a_run_without_images();
    test_no_plan();
    guarded_free(&memory);
    return finish("test_run_errors");
}
