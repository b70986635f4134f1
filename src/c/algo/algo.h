/*
 * What an algorithm is: a name, what it can serve, how much workspace it books, and how it runs a pass. The planner
 * walks the list, best first, and takes the first that supports the problem; it must know nothing else of an
 * algorithm.
 */
#ifndef CGC_ALGO_H
#define CGC_ALGO_H

#include "../kernels/kernels.h"
#include "geometry.h"

/* Workspace in bytes, each part a multiple of CGC_ALIGN. */
typedef struct cgc_booking {
    size_t shared;     /* once */
    size_t per_thread; /* for each thread */
} cgc_booking;

/*
 * One run of a pass. The pass says which arrays are read and which one is written: y; x (as dx, with y as dy); weight
 * and bias (as dw and db, with x and y as dy).
 */
typedef struct cgc_run {
    const cgc_geometry *geometry;
    const cgc_kernels *kernels;
    cgconv_pass pass;
    int threads;
    char *x, *weight, *bias, *y; /* bias may be NULL */
    const char *packed;          /* forward: the weights as the algorithm has packed them before; else NULL */
    char *shared;                /* booking.shared bytes, aligned */
    char *local;                 /* thread t owns booking.per_thread bytes at local + t*booking.per_thread */
    size_t local_size;           /* booking.per_thread */
} cgc_run;

/* The form in which an algorithm wants the weights of the forward pass. */
typedef struct cgc_packing {
    int form;    /* a number that no other form has; 0: as they are given, there is nothing to pack */
    size_t size; /* bytes */
} cgc_packing;

typedef struct cgc_algorithm {
    const char *name;
    int (*supports)(const cgc_geometry *geometry, const cgc_kernels *kernels, cgconv_pass pass);
    cgc_booking (*book)(const cgc_geometry *geometry, const cgc_kernels *kernels, cgconv_pass pass, int threads);
    void (*run)(const cgc_run *run);
    /* NULL, both: there is nothing to pack. Whoever has the same form, weights and vector length can read it. */
    cgc_packing (*packing)(const cgc_geometry *geometry, const cgc_kernels *kernels);
    void (*pack)(const cgc_geometry *geometry, const cgc_kernels *kernels, int threads, const char *weight,
                 char *packed);
} cgc_algorithm;

/* The index-th algorithm, best first, the reference last; NULL past the end. */
const cgc_algorithm *cgc_algorithm_at(int index);

extern const cgc_algorithm cgc_channelwise, cgc_grouped, cgc_grouped_pixels,
    cgc_grouped_outputs, cgc_grouped_packed, cgc_reference;

#endif
