/* The weight gradient, see weight_gradient.h: cutting it into tasks, and adding the chunks in their order. */
#include "weight_gradient.h"

#include <string.h>

#include "../platform/memory.h"
#include "../platform/threads.h"

enum { WAVE_TASKS = 4 }; /* a thread, so that uneven tasks even out */

/*
 * A task sums one block over all chunks. Where there are fewer blocks than threads, a task sums one block over one
 * chunk of a wave, and the caller adds up the wave: the same additions in the same order.
 */
typedef struct division {
    const cgc_run *run;
    const cgc_feed *feed;
    cgc_chunks chunks;
    int64_t terms, m_blocks, k_blocks, blocks;
    int64_t wave;       /* chunks of a wave; 0: no waves */
    int64_t wave0;      /* first chunk of the present wave */
    int64_t totals;     /* elements of a block's totals */
    size_t totals_size; /* and their bytes */
} division;

static division cut_of(const cgc_geometry *s, const cgc_feed *feed, int threads) {
    division cut = {.feed = feed, .chunks = cgc_cut(s), .terms = s->cg * s->kh * s->kw};
    cut.m_blocks = cgc_ceil_div(s->f, feed->m);
    cut.k_blocks = cgc_ceil_div(cut.terms, feed->k);
    cut.blocks = cgc_ceil_div(s->g, feed->groups) * cut.m_blocks * cut.k_blocks;
    if (cut.blocks < threads && cut.chunks.count > 1)
        cut.wave = cgc_min(cut.chunks.count, cgc_ceil_div(WAVE_TASKS * (int64_t)threads, cut.blocks));
    cut.totals = feed->groups * feed->t_g;
    cut.totals_size = cgc_round_up((size_t)(feed->totals * s->size));
    return cut;
}

cgc_booking cgc_weight_gradient_book(const cgc_geometry *s, const cgc_feed *feed, int threads) {
    const division cut = cut_of(s, feed, threads);
    return (cgc_booking){
        .shared = cut.wave ? cut.totals_size * (size_t)(cut.blocks * (cut.wave + 1)) : 0,
        .per_thread = feed->workspace + cut.totals_size,
    };
}

static cgc_weight_block block_at(const division *cut, int64_t index) {
    const cgc_geometry *s = cut->run->geometry;
    cgc_weight_block block = {.run = cut->run, .c = cgc_forward_correlation(s), .chunks = cut->chunks};
    block.g = index / cut->k_blocks / cut->m_blocks * cut->feed->groups;
    block.groups = cgc_min(cut->feed->groups, s->g - block.g);
    block.m0 = index / cut->k_blocks % cut->m_blocks * cut->feed->m;
    block.k0 = index % cut->k_blocks * cut->feed->k;
    block.m = cgc_min(cut->feed->m, s->f - block.m0);
    block.k = cgc_min(cut->feed->k, cut->terms - block.k0);
    block.bias = cut->run->bias && block.k0 == 0;
    return block;
}

/* totals = the sums of chunks chunk0 .. chunk1-1 of a block, from 0 on. */
static void sum_block(const division *cut, int64_t index, int64_t chunk0, int64_t chunk1, char *local, char *totals) {
    const cgc_weight_block block = block_at(cut, index);
    cut->run->kernels->fill(totals, 0, cut->totals);
    for (int64_t k = chunk0; k < chunk1; k++)
        cut->feed->feed(cut->feed, &block, cgc_chunk_at(cut->run->geometry, &cut->chunks, k), local, totals);
}

/* The totals of the filters of a group, to dw. */
static void store_weights(const cgc_weight_block *block, const cgc_feed *feed, const char *totals, int64_t g) {
    const cgc_run *run = block->run;
    const cgc_correlation *c = &block->c;
    const ptrdiff_t size = c->source.size;
    char *weight = cgc_at(run->weight, g * c->w_group + block->m0 * c->w_m, size);
    if (c->w_v == 1 && c->w_u == c->kv && c->w_plane == c->ku * c->kv) { /* terms follow each other */
        weight = cgc_at(weight, block->k0, size);
        if (feed->t_m == 1) /* a few filters at a time: each is a stream to memory */
            for (int64_t m = 0, most = run->kernels->width; m < block->m; m += most)
                run->kernels->transpose(block->k, cgc_min(most, block->m - m), cgc_at(totals, m, size), feed->t_k,
                                        cgc_at(weight, m * c->w_m, size), c->w_m);
        else
            run->kernels->lines(block->m, block->k, totals, feed->t_m, 1, weight, c->w_m, 0, 1, 0);
        return;
    }
    for (int64_t m = 0; m < block->m; m++) {
        cgc_term term = cgc_term_at(c, block->k0);
        for (int64_t k = 0; k < block->k; k++, cgc_next_term(c, &term))
            memcpy(cgc_at(weight, m * c->w_m + cgc_term_weight(c, &term), size),
                   cgc_at(totals, m * feed->t_m + k * feed->t_k, size), (size_t)size);
    }
}

/* The totals of a block, to dw and db. */
static void store_block(const division *cut, int64_t index, const char *totals) {
    const cgc_feed *feed = cut->feed;
    const cgc_run *run = cut->run;
    const ptrdiff_t size = run->geometry->size;
    const cgc_weight_block block = block_at(cut, index);
    for (int64_t g = 0; g < block.groups; g++, totals = cgc_at(totals, feed->t_g, size)) {
        store_weights(&block, feed, totals, block.g + g);
        if (block.bias)
            run->kernels->gather(cgc_at(run->bias, (block.g + g) * block.c.m + block.m0, size),
                                 cgc_at(totals, block.k * feed->t_k, size), feed->t_m, block.m);
    }
}

static void whole_block(void *context, int64_t task, int thread) {
    const division *cut = context;
    char *local = cut->run->local + (size_t)thread * cut->run->local_size;
    char *totals = local + cut->feed->workspace;
    sum_block(cut, task, 0, cut->chunks.count, local, totals);
    store_block(cut, task, totals);
}

/* Where the totals of a task of a wave lie; those of the blocks themselves lie in front. */
static char *wave_totals(const division *cut, int64_t task) {
    return cut->run->shared + (size_t)(cut->blocks + task) * cut->totals_size;
}

static void wave_chunk(void *context, int64_t task, int thread) {
    const division *cut = context;
    char *local = cut->run->local + (size_t)thread * cut->run->local_size;
    const int64_t chunk = cut->wave0 + task / cut->blocks;
    sum_block(cut, task % cut->blocks, chunk, chunk + 1, local, wave_totals(cut, task));
}

/* All blocks, wave by wave. */
static void run_waves(division *cut) {
    const cgc_run *run = cut->run;
    for (int64_t b = 0; b < cut->blocks; b++)
        run->kernels->fill(run->shared + (size_t)b * cut->totals_size, 0, cut->totals);
    for (cut->wave0 = 0; cut->wave0 < cut->chunks.count; cut->wave0 += cut->wave) {
        const int64_t tasks = cgc_min(cut->wave, cut->chunks.count - cut->wave0) * cut->blocks;
        cgc_parallel(run->threads, tasks, wave_chunk, cut);
        for (int64_t task = 0; task < tasks; task++)
            run->kernels->add(run->shared + (size_t)(task % cut->blocks) * cut->totals_size, 1,
                              wave_totals(cut, task), cut->totals);
    }
    for (int64_t b = 0; b < cut->blocks; b++) store_block(cut, b, run->shared + (size_t)b * cut->totals_size);
}

void cgc_weight_gradient(const cgc_run *run, const cgc_feed *feed) {
    division cut = cut_of(run->geometry, feed, run->threads);
    cut.run = run;
    if (cut.wave)
        run_waves(&cut);
    else
        cgc_parallel(run->threads, cut.blocks, whole_block, &cut);
}
