/* Weights of products, see product_weights.h. */
#include "product_weights.h"

#include "../platform/memory.h"
#include "../platform/threads.h"

/* The most bytes that a thread packs for itself. */
enum { LOCAL = 393216 };

/* Terms after which packed weights are checked, while the first cache still holds them. */
enum { CHECKED = 64 };

static int64_t terms_of(const cgc_correlation *c) { return c->planes * c->ku * c->kv; }

/* The terms of a plane follow each other in memory; those of all planes do. */
static int taps_in_order(const cgc_correlation *c) { return c->w_v == 1 && c->w_u == c->kv; }
static int in_order(const cgc_correlation *c) { return taps_in_order(c) && c->w_plane == c->ku * c->kv; }

cgc_weight_blocks cgc_weight_blocks_of(const cgc_correlation *c, const cgc_kernels *kernels, cgc_product_kind kind,
                                       int64_t groups, int often) {
    cgc_weight_blocks w = {.kind = kind, .m = c->m, .blocks = 1};
    int64_t wide = c->m;
    w.packed = kind == CGC_BY_OUTPUTS || !in_order(c);
    if (kind == CGC_BY_OUTPUTS) {
        w.m = 2 * kernels->width;
        w.blocks = cgc_ceil_div(c->m, w.m);
        wide = cgc_ceil_div(c->m, kernels->width) * kernels->width;
    }
    w.tasks = groups * w.blocks;
    w.group = (ptrdiff_t)(wide * terms_of(c));
    const size_t block = (size_t)(cgc_min(wide, w.m) * terms_of(c) * c->source.size);
    if (!w.packed) return w;
    w.size = (size_t)(groups * w.group * c->source.size) + cgc_round_up((size_t)w.tasks);
    if (kind == CGC_BY_OUTPUTS && !often && block <= LOCAL)
        w.local = block;
    else
        w.shared = w.size;
    return w;
}

/* Terms of whole planes, from plane p on, of m outputs. */
static void pack_planes(const cgc_kernels *kernels, const cgc_correlation *c, const char *weight, int64_t p,
                        int64_t planes, int64_t m, char *to, int64_t wide) {
    const ptrdiff_t size = c->source.size;
    const int64_t taps = c->ku * c->kv;
    weight = cgc_at(weight, p * c->w_plane, size);
    if (in_order(c)) {
        kernels->transpose(m, planes * taps, weight, c->w_m, to, wide);
    } else if (taps_in_order(c) && c->w_m != 1) {
        for (int64_t i = 0; i < planes; i++)
            kernels->transpose(m, taps, cgc_at(weight, i * c->w_plane, size), c->w_m, cgc_at(to, i * taps * wide, size),
                               wide);
    } else {
        cgc_term term = {0, 0, 0};
        for (int64_t k = 0; k < planes * taps; k++, cgc_next_term(c, &term))
            kernels->gather(cgc_at(to, k * wide, size), cgc_at(weight, cgc_term_weight(c, &term) - c->w0, size),
                            c->w_m, m);
    }
}

/* Returns whether the block is finite. */
static int pack_outputs(const cgc_weight_blocks *w, const cgc_kernels *kernels, const cgc_correlation *c,
                        const char *weight, int64_t g, int64_t b, char *to) {
    const ptrdiff_t size = c->source.size;
    const int64_t m0 = b * w->m, m = cgc_min(w->m, c->m - m0), terms = terms_of(c);
    const int64_t wide = cgc_ceil_div(m, kernels->width) * kernels->width;
    weight = cgc_at(weight, c->w0 + g * c->w_group + m0 * c->w_m, size);
    if (m < wide) kernels->fill(to, 0, terms * wide);
    const int64_t taps = c->ku * c->kv, most = cgc_max(1, CHECKED / cgc_max(1, taps));
    int finite = 1;
    for (int64_t p = 0, planes; p < c->planes; p += planes, to = cgc_at(to, planes * taps * wide, size)) {
        planes = cgc_min(most, c->planes - p);
        pack_planes(kernels, c, weight, p, planes, m, to, wide);
        finite &= kernels->finite(to, planes * taps * wide);
    }
    return finite;
}

static void pack_pixels(const cgc_kernels *kernels, const cgc_correlation *c, const char *weight, int64_t g,
                        char *to) {
    const ptrdiff_t size = c->source.size;
    weight = cgc_at(weight, c->w0 + g * c->w_group, size);
    if (c->ku * c->kv == 1 && c->w_m == 1) {
        kernels->transpose(c->planes, c->m, weight, c->w_plane, to, c->planes);
        return;
    }
    const int64_t taps = c->ku * c->kv, runs = taps_in_order(c) ? cgc_min(c->ku, 1) : c->ku; /* of taps in a plane */
    for (int64_t m = 0; m < c->m; m++, weight = cgc_at(weight, c->w_m, size), to = cgc_at(to, c->planes * taps, size))
        for (int64_t u = 0; u < runs; u++)
            kernels->lines(c->planes, taps / runs, cgc_at(weight, u * c->w_u, size), c->w_plane, c->w_v,
                           cgc_at(to, u * (taps / runs), size), taps, 0, 1, 0);
}

void cgc_pack_weights(const cgc_weight_blocks *w, const cgc_kernels *kernels, const cgc_correlation *c,
                      const char *weight, char *packed, int64_t task) {
    const int64_t g = task / w->blocks, b = task % w->blocks;
    char *group = cgc_at(packed, g * w->group, c->source.size);
    if (w->kind == CGC_BY_PIXELS) {
        pack_pixels(kernels, c, weight, g, group);
        return;
    }
    char *block = cgc_at(group, b * w->m * terms_of(c), c->source.size);
    packed[w->size - (size_t)(w->tasks - task)] = (char)pack_outputs(w, kernels, c, weight, g, b, block);
}

const char *cgc_weight_block(const cgc_weight_blocks *w, const cgc_kernels *kernels, const cgc_correlation *c,
                             const char *weight, char *local, int64_t g, int64_t b, int *finite) {
    if (w->ready) {
        *finite = w->ready[w->size - (size_t)(w->tasks - (g * w->blocks + b))];
        return cgc_at(w->ready, g * w->group + b * w->m * terms_of(c), c->source.size);
    }
    *finite = pack_outputs(w, kernels, c, weight, g, b, local);
    return local;
}

const char *cgc_weights_of_group(const cgc_weight_blocks *w, const cgc_correlation *c, const char *weight, int64_t g,
                                 ptrdiff_t *w_m) {
    *w_m = w->packed ? (ptrdiff_t)terms_of(c) : c->w_m;
    return w->packed ? cgc_at(w->ready, g * w->group, c->source.size)
                     : cgc_at(weight, c->w0 + g * c->w_group, c->source.size);
}

cgc_packing cgc_product_packing(const cgc_geometry *geometry, const cgc_kernels *kernels, cgc_product_kind kind) {
    const cgc_correlation c = cgc_forward_correlation(geometry);
    const cgc_weight_blocks w = cgc_weight_blocks_of(&c, kernels, kind, geometry->g, 1);
    return (cgc_packing){w.packed ? 1 + (int)kind : 0, w.size};
}

/* What is packed, and to where. */
typedef struct packer {
    cgc_correlation c;
    cgc_weight_blocks weights;
    const cgc_kernels *kernels;
    const char *weight;
    char *packed;
} packer;

static void pack_task(void *context, int64_t task, int thread) {
    const packer *p = context;
    (void)thread;
    cgc_pack_weights(&p->weights, p->kernels, &p->c, p->weight, p->packed, task);
}

void cgc_product_pack(const cgc_geometry *geometry, const cgc_kernels *kernels, cgc_product_kind kind, int threads,
                      const char *weight, char *packed) {
    packer p = {.c = cgc_forward_correlation(geometry), .kernels = kernels, .weight = weight, .packed = packed};
    p.weights = cgc_weight_blocks_of(&p.c, kernels, kind, geometry->g, 1);
    cgc_parallel(threads, p.weights.tasks, pack_task, &p);
}
