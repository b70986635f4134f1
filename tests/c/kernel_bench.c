/* What the tests of kernels share, see kernel_bench.h. It must not know any kernel. */
#include "kernel_bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

double draw(bench *t) {
    static const double specials[] = {0, -0.0, HUGE_VAL, -HUGE_VAL, NAN, 1e-41, 3e38};
    return rng_chance(&t->random, 1) ? specials[rng_range(&t->random, 0, 6)] : rng_uniform(&t->random);
}

void *operand(bench *t, int which, int64_t count) {
    void *block = guarded_place(&t->memory[which], (size_t)count * t->size, t->where);
    for (int64_t i = 0; i < count; i++) put(t->dtype, block, i, draw(t));
    if (which != OUT) guarded_lock(&t->memory[which]);
    return block;
}

const void *copied(bench *t, int which, const void *table, size_t size) {
    void *block = guarded_place(&t->memory[which], size, t->where);
    memcpy(block, table, size);
    guarded_lock(&t->memory[which]);
    return block;
}

int64_t draw_offsets(bench *t, int64_t k, int64_t length) {
    const int64_t reach = k > 1 ? rng_range(&t->random, 0, 40) : 0;
    for (int64_t i = 0; i < k; i++) t->off[i] = (ptrdiff_t)rng_range(&t->random, 0, reach);
    if (k > 0) t->off[0] = 0;
    if (k > 1) t->off[k - 1] = (ptrdiff_t)reach;
    return k > 0 ? reach + length : 0;
}

void *output(bench *t, int64_t count) {
    void *block = operand(t, OUT, count);
    free(t->expected);
    t->expected = malloc((size_t)count * t->size + 1);
    if (!t->expected) abort();
    memcpy(t->expected, block, (size_t)count * t->size);
    return block;
}

void expect(bench *t, int64_t index, double value) { put(t->dtype, t->expected, index, value); }

static int same(const bench *t, const unsigned char *actual, const unsigned char *expected) {
    if (memcmp(actual, expected, t->size) == 0) return 1;
    return isnan(get(t->dtype, actual, 0)) && isnan(get(t->dtype, expected, 0));
}

void check_output(const bench *t) {
    const guarded *g = &t->memory[OUT];
    size_t i = 0;
    while (i < g->size && same(t, (unsigned char *)g->data + i, t->expected + i)) i += t->size;
    if (i < g->size)
        CHECK(0, "element %zu is %.17g, should be %.17g", i / t->size, get(t->dtype, g->data + i, 0),
              get(t->dtype, t->expected + i, 0));
    CHECK(guarded_intact(g), "written around the output");
}

void draw_clamp(bench *t) {
    static const double lows[] = {-HUGE_VAL, -HUGE_VAL, 0, -0.25, -0.0, 0.1},
                        highs[] = {HUGE_VAL, HUGE_VAL, 0.25, 6, 0.1};
    t->lo = lows[rng_range(&t->random, 0, 5)];
    t->hi = highs[rng_range(&t->random, 0, 4)];
}

double chain(const bench *t, double sum, const void *a, int64_t i, const void *b, int64_t j) {
    return multiply_add(t->dtype, t->kernels->fused, get(t->dtype, a, i), get(t->dtype, b, j), sum);
}

static void test_table(bench *t, const char *isa, test_fn *test) {
    t->kernels = cgc_select_kernels(t->dtype, isa);
    begin_case("isa=%s dtype=%d", isa, (int)t->dtype);
    if (!CHECK(t->kernels != NULL, "no table of this name")) return;
    t->size = t->dtype == CGCONV_FLOAT32 ? sizeof(float) : sizeof(double);
    for (int where = 0; where < SIDES; where++) {
        t->where = (side)where;
        test(t);
    }
}

int each_table(int argc, char **argv, const char *program, test_fn *test) {
    static bench t;
    const int64_t rounds = setting(argc, argv, 1, "CGCONV_TEST_ROUNDS", 3);
    t.random.state = (uint64_t)setting(argc, argv, 2, "CGCONV_TEST_SEED", 1);
    printf("%s: seed %lld\n", program, (long long)t.random.state);
    for (int64_t round = 0; round < rounds; round++)
        for (int dtype = 0; dtype <= 1; dtype++) {
            t.dtype = (cgconv_dtype)dtype;
            for (int i = 0; tested_isa(i); i++) test_table(&t, tested_isa(i), test);
        }
    for (int i = 0; i < OPERANDS; i++) guarded_free(&t.memory[i]);
    free(t.expected);
    return finish(program);
}
