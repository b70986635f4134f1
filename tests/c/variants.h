/*
 * Every way to run a problem: each instruction set under test, each pass, each algorithm that serves it. It must
 * not know what is done with a plan.
 */
#ifndef VARIANTS_H
#define VARIANTS_H

#include <cgconv.h>

/* A plan of which one pass is to be run. */
typedef struct variant {
    const cgconv_plan *plan;
    cgconv_pass pass;
    const char *isa, *algorithm;
    int threads;
    int fused;     /* 1: it computes with fused multiply-adds */
    char how[120]; /* all of this in words */
} variant;

typedef void variant_fn(void *context, const variant *v);

/* Checks that a plan can be made of every variant, and that it is what was asked for, and calls fn with each. */
void each_variant(const cgconv_spec *spec, int threads, variant_fn *fn, void *context);

const char *pass_name(cgconv_pass pass);

/*
 * The index-th instruction set under test: those of this machine, or the one that CGCONV_TEST_ISA names, and that must
 * be there then. NULL past the end.
 */
const char *tested_isa(int index);

/* 1 if an instruction set under test is not fused, so that unfused results are to be expected too. */
int unfused_exists(void);

#endif
