/*
 * What the tests of kernels share: a table under test, operands between guard pages, and what is expected of the one
 * that is written. It must not know any kernel.
 */
#ifndef KERNEL_BENCH_H
#define KERNEL_BENCH_H

#include <stdio.h>

#include "../../src/c/kernels/kernels.h"
#include "definition.h"
#include "harness.h"
#include "variants.h"

enum { LARGEST = 70, OPERANDS = 9, TAPS = 40 };

/* A table under test, and the memory of its operands: the first is the one that is written. */
typedef struct bench {
    const cgc_kernels *kernels;
    cgconv_dtype dtype;
    size_t size;
    side where;
    rng random;
    guarded memory[OPERANDS];
    unsigned char *expected;
    double lo, hi;
    ptrdiff_t off[TAPS];
} bench;

enum { OUT = 0, A = 1, B = 2, C = 3, D = 4, E = 5, F = 6, G = 7, H = 8 };

/* A random number, now and then an odd one. */
double draw(bench *t);

/* A block of `count` random elements, which cannot be written. */
void *operand(bench *t, int which, int64_t count);

/* The same bytes as in `table`, which are no elements. */
const void *copied(bench *t, int which, const void *table, size_t size);

/* Sets the offsets of k runs of `length` elements, of which one begins and one ends the block; its size. */
int64_t draw_offsets(bench *t, int64_t k, int64_t length);

/* The block that is written, with what it holds now as the first guess of what is expected. */
void *output(bench *t, int64_t count);

void expect(bench *t, int64_t index, double value);
void check_output(const bench *t);

void draw_clamp(bench *t);

/* sum + a[i]*b[j], as the table multiplies and adds. */
double chain(const bench *t, double sum, const void *a, int64_t i, const void *b, int64_t j);

#define CASE(t, ...) \
    do { \
        char line[300]; \
        snprintf(line, sizeof line, __VA_ARGS__); \
        begin_case("isa=%s %s memory=%s %s", (t)->kernels->isa, (t)->dtype == CGCONV_FLOAT32 ? "f32" : "f64", \
                   (t)->where == AT_END ? "at the end" : "at the start", line); \
    } while (0)

/* Runs a test on every table: instruction sets, dtypes, and operands at both sides of their pages. */
typedef void test_fn(bench *t);
int each_table(int argc, char **argv, const char *program, test_fn *test);

#endif
