/* Alignment of memory. The library allocates only in cgconv_plan_create, through here. */
#ifndef CGC_MEMORY_H
#define CGC_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* A cache line, and the longest vector. */
#define CGC_ALIGN ((size_t)64)

/* size rounded up to a multiple of CGC_ALIGN; size <= SIZE_MAX - 63. */
static inline size_t cgc_round_up(size_t size) { return (size + CGC_ALIGN - 1) & ~(CGC_ALIGN - 1); }

/* The first aligned address at or behind p. */
static inline char *cgc_align(void *p) {
    return (char *)(((uintptr_t)p + CGC_ALIGN - 1) & ~(uintptr_t)(CGC_ALIGN - 1));
}

#endif
