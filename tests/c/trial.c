/*
 * A problem with its arrays: drawn, placed between guard pages, run and compared; see problem.h. It must not know how
 * problems are drawn.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "problem.h"

/* ---- arrays ---------------------------------------------------------------------------------------------------- */

static int is_input(array a) { return a <= DY; }

/* Extents and strides of an array; the dense ones count as one line along n. */
static void shape_of(const trial *t, array a, int64_t extents[4], int64_t strides[4]) {
    const cgconv_spec *s = &t->spec;
    const int64_t oc = output_channels(s);
    const int64_t oh = output_extent(s->h, s->pad_top + s->pad_bottom, s->kh, s->stride_h, s->dilation_h);
    const int64_t ow = output_extent(s->w, s->pad_left + s->pad_right, s->kw, s->stride_w, s->dilation_w);
    const int64_t x[4] = {s->n, s->c, s->h, s->w}, y[4] = {s->n, oc, oh, ow};
    const int64_t weight[4] = {oc * (s->c / s->groups) * s->kh * s->kw, 1, 1, 1}, bias[4] = {oc, 1, 1, 1};
    const int64_t line[4] = {1, 0, 0, 0};
    const int image = a == X || a == DX || a == Y || a == DY;
    memcpy(extents, a == X || a == DX ? x : image ? y : a == WEIGHT || a == DW ? weight : bias, 4 * sizeof *extents);
    memcpy(strides, a == X || a == DX ? s->x_strides : image ? s->y_strides : line, 4 * sizeof *strides);
}

static int is_empty(const int64_t extents[4]) { return !extents[0] || !extents[1] || !extents[2] || !extents[3]; }

/* The span of memory of an array. */
static void measure(trial *t, array a) {
    int64_t extents[4], strides[4], low = 0, high = 1;
    shape_of(t, a, extents, strides);
    for (int i = 0; i < 4 && !is_empty(extents); i++) {
        const int64_t reach = (extents[i] - 1) * strides[i];
        if (reach < 0) low += reach;
        else high += reach;
    }
    t->bytes[a] = is_empty(extents) ? 0 : (size_t)(high - low) * element_size(&t->spec);
    t->origin[a] = (size_t)-low * element_size(&t->spec);
}

typedef void cell_fn(trial *t, array a, unsigned char *block, int64_t index);

/* Calls fn for every cell, with its index from the start of the block. */
static void each_cell(trial *t, array a, unsigned char *block, cell_fn *fn) {
    int64_t e[4], s[4];
    shape_of(t, a, e, s);
    for (int64_t i = 0; i < e[0]; i++)
        for (int64_t j = 0; j < e[1]; j++)
            for (int64_t k = 0; k < e[2]; k++)
                for (int64_t l = 0; l < e[3]; l++)
                    fn(t, a, block,
                       (int64_t)(t->origin[a] / element_size(&t->spec)) + i * s[0] + j * s[1] + k * s[2] + l * s[3]);
}

static void draw_cell(trial *t, array a, unsigned char *block, int64_t index) {
    const int f32 = t->spec.dtype == CGCONV_FLOAT32;
    const double specials[] = {0, -0.0, HUGE_VAL, -HUGE_VAL, NAN, f32 ? FLT_MAX : DBL_MAX, f32 ? 1e-41 : 1e-310};
    const int special = t->problem.special_values && rng_chance(&t->random, 8);
    (void)a;
    put(t->spec.dtype, block, index, special ? specials[rng_range(&t->random, 0, 6)] : rng_uniform(&t->random));
}

static void mark_cell(trial *t, array a, unsigned char *block, int64_t index) {
    unsigned char *cell = block + (size_t)index * element_size(&t->spec);
    if (*cell) *(a == X ? &t->x_distinct : &t->y_distinct) = 0;
    *cell = 1;
}

static int distinct(trial *t, array a) {
    int *answer = a == X ? &t->x_distinct : &t->y_distinct;
    unsigned char *block = calloc(t->bytes[a] + 1, 1);
    if (!block) abort();
    *answer = 1;
    each_cell(t, a, block, mark_cell);
    free(block);
    return *answer;
}

static unsigned char *poisoned(size_t bytes) {
    unsigned char *block = malloc(bytes + 1);
    if (!block) abort();
    memset(block, POISON, bytes + 1);
    return block;
}

/* ---- trials ---------------------------------------------------------------------------------------------------- */

int trial_can_write(const trial *t, cgconv_pass pass) {
    return pass == CGCONV_FORWARD ? t->y_distinct : pass == CGCONV_BACKWARD_INPUT ? t->x_distinct : 1;
}

static void *cell(unsigned char *const *blocks, const trial *t, array a) { return blocks[a] + t->origin[a]; }

static void expect(trial *t, int fused) {
    unsigned char **e = t->expected[fused];
    const cgconv_spec *s = &t->spec;
    for (int a = Y; a < ARRAYS; a++) e[a] = poisoned(t->bytes[a]);
    const void *x = cell(t->input, t, X), *weight = cell(t->input, t, WEIGHT), *dy = cell(t->input, t, DY);
    const void *bias = t->problem.has_bias ? cell(t->input, t, BIAS) : NULL;
    if (t->y_distinct) define_forward(s, fused, x, weight, bias, cell(e, t, Y));
    if (t->x_distinct) define_backward_input(s, fused, dy, weight, cell(e, t, DX));
    define_backward_weight(s, fused, x, dy, cell(e, t, DW), t->problem.has_bias ? cell(e, t, DB) : NULL);
}

void trial_begin(trial *t, const problem *p, int unfused_too) {
    t->problem = *p;
    t->spec = p->spec;
    t->random.state = p->seed;
    fill_strides(&t->spec);
    for (int a = 0; a < ARRAYS; a++) {
        measure(t, (array)a);
        if (!is_input((array)a)) continue;
        t->input[a] = poisoned(t->bytes[a]);
        each_cell(t, (array)a, t->input[a], draw_cell);
    }
    distinct(t, X);
    distinct(t, Y);
    expect(t, 1);
    if (unfused_too) expect(t, 0);
}

void trial_end(trial *t) {
    for (int a = 0; a < ARRAYS; a++) {
        unsigned char **blocks[] = {&t->input[a], &t->expected[0][a], &t->expected[1][a]};
        for (int i = 0; i < 3; i++) {
            free(*blocks[i]);
            *blocks[i] = NULL;
        }
    }
}

void trial_free(trial *t) {
    for (int a = 0; a < ARRAYS; a++) guarded_free(&t->memory[a]);
    guarded_free(&t->workspace);
    guarded_free(&t->packed);
}

void trial_place(trial *t, side where) {
    for (int a = 0; a < ARRAYS; a++) {
        void *block = guarded_place(&t->memory[a], t->bytes[a], where);
        if (!is_input((array)a)) continue;
        memcpy(block, t->input[a], t->bytes[a]);
        guarded_lock(&t->memory[a]);
    }
}

void *trial_array(const trial *t, array a) {
    if ((a == BIAS || a == DB) && !t->problem.has_bias) return NULL;
    return t->bytes[a] ? t->memory[a].data + t->origin[a] : NULL;
}

/* The outputs of a pass: `count` of them from the array that is returned on. */
static array outputs(const trial *t, cgconv_pass pass, int *count) {
    static const array first[] = {Y, DX, DW};
    *count = pass == CGCONV_BACKWARD_WEIGHT && t->problem.has_bias ? 2 : 1;
    return first[pass];
}

/* Poisons the outputs of a pass, and its workspace, of this size. */
static void *poison(trial *t, cgconv_pass pass, size_t size, side where) {
    int count;
    const array first = outputs(t, pass, &count);
    for (int i = 0; i < count; i++) guarded_place(&t->memory[first + i], t->bytes[first + i], where);
    const size_t shift = where == AT_START ? (size_t)rng_range(&t->random, 0, 63) : 0;
    void *workspace = guarded_place_shifted(&t->workspace, size, where, shift);
    return size ? workspace : NULL;
}

cgconv_status trial_run(trial *t, const cgconv_plan *plan, cgconv_pass pass, side where) {
    const size_t size = cgconv_plan_workspace_size(plan, pass);
    void *workspace = poison(t, pass, size, where);
    switch (pass) {
    case CGCONV_FORWARD:
        return cgconv_forward(plan, trial_array(t, X), trial_array(t, WEIGHT), trial_array(t, BIAS),
                              trial_array(t, Y), workspace, size);
    case CGCONV_BACKWARD_INPUT:
        return cgconv_backward_input(plan, trial_array(t, DY), trial_array(t, WEIGHT), trial_array(t, DX), workspace,
                                     size);
    default:
        return cgconv_backward_weight(plan, trial_array(t, X), trial_array(t, DY), trial_array(t, DW),
                                      trial_array(t, DB), workspace, size);
    }
}

cgconv_status trial_run_packed(trial *t, const cgconv_plan *plan, side where) {
    const size_t size = cgconv_plan_workspace_size(plan, CGCONV_FORWARD), packed_size = cgconv_plan_packed_size(plan);
    void *workspace = poison(t, CGCONV_FORWARD, size, where);
    void *packed = guarded_place(&t->packed, packed_size, where);
    const cgconv_status status = cgconv_pack(plan, trial_array(t, WEIGHT), packed, packed_size);
    CHECK(guarded_intact(&t->packed), "written around packed weights");
    guarded_lock(&t->packed);
    if (status != CGCONV_OK) return status;
    return cgconv_forward_packed(plan, trial_array(t, X), packed, packed_size, trial_array(t, BIAS),
                                 trial_array(t, Y), workspace, size);
}

/* ---- comparison ------------------------------------------------------------------------------------------------ */

/* The same bits; one NaN is as good as another, but for the poison. */
static int same_cell(const trial *t, const unsigned char *actual, const unsigned char *expected) {
    const size_t size = element_size(&t->spec);
    unsigned char poison[sizeof(double)];
    memset(poison, POISON, sizeof poison);
    if (memcmp(actual, expected, size) == 0) return 1;
    if (memcmp(actual, poison, size) == 0 || memcmp(expected, poison, size) == 0) return 0;
    return isnan(get(t->spec.dtype, actual, 0)) && isnan(get(t->spec.dtype, expected, 0));
}

static int check_array(const trial *t, array a, const unsigned char *expected, const char *how) {
    static const char *const names[ARRAYS] = {"x", "weight", "bias", "dy", "y", "dx", "dw", "db"};
    const size_t size = element_size(&t->spec);
    const unsigned char *actual = (const unsigned char *)t->memory[a].data;
    CHECK(guarded_intact(&t->memory[a]), "%s: written around %s", how, names[a]);
    if (memcmp(actual, expected, t->bytes[a]) == 0) return CHECK(1, "%s", how);
    for (size_t i = 0; i < t->bytes[a]; i += size)
        if (!same_cell(t, actual + i, expected + i))
            return CHECK(0, "%s: %s[%lld elements from the cell 0] is %.17g, should be %.17g (-nan: not written)",
                         how, names[a], ((long long)i - (long long)t->origin[a]) / (long long)size,
                         get(t->spec.dtype, actual + i, 0), get(t->spec.dtype, expected + i, 0));
    return CHECK(1, "%s", how);
}

int trial_check(const trial *t, cgconv_pass pass, int fused, const char *how) {
    int count, good = 1;
    const array first = outputs(t, pass, &count);
    for (int i = 0; i < count; i++) good &= check_array(t, first + i, t->expected[fused][first + i], how);
    good &= CHECK(guarded_intact(&t->workspace), "%s: written around the workspace", how);
    return good;
}

int trial_check_untouched(const trial *t, cgconv_pass pass, const char *how) {
    int count, good = 1;
    const array first = outputs(t, pass, &count);
    for (int i = 0; i < count; i++) {
        unsigned char *untouched = poisoned(t->bytes[first + i]);
        good &= check_array(t, first + i, untouched, how);
        free(untouched);
    }
    return good;
}
