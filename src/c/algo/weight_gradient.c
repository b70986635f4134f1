/* The weight gradient, see weight_gradient.h: cutting it into tasks, and joining the chunks in their order. */
#include "weight_gradient.h"

#include <string.h>

#include "../platform/memory.h"
#include "../platform/threads.h"

enum { WAVE_TASKS = 4 }; /* a thread, so that uneven tasks even out */

/*
 * A task sums one block over all chunks. Where there are fewer blocks than threads, a task sums one block over one
 * chunk of a wave, and the caller joins the wave: the same additions in the same order.
 */
typedef struct division {
    const cgc_run *run;
    const cgc_feed *feed;
    cgc_chunks chunks;
    int64_t terms, m_blocks, k_blocks, blocks;
    int64_t wave;       /* chunks of a wave; 0: no waves */
    int64_t wave0;      /* first chunk of the present wave */
    size_t totals_size; /* bytes of a block's totals: [m][k], then the bias [m] */
} division;

static division cut_of(const cgc_geometry *s, const cgc_feed *feed, int threads) {
    division cut = {.feed = feed, .chunks = cgc_cut(s), .terms = s->cg * s->kh * s->kw};
    cut.m_blocks = cgc_ceil_div(s->f, feed->m);
    cut.k_blocks = cgc_ceil_div(cut.terms, feed->k);
    cut.blocks = s->g * cut.m_blocks * cut.k_blocks;
    if (cut.blocks < threads && cut.chunks.count > 1)
        cut.wave = cgc_min(cut.chunks.count, cgc_ceil_div(WAVE_TASKS * (int64_t)threads, cut.blocks));
    cut.totals_size = cgc_round_up((size_t)((feed->k + 1) * feed->m * s->size));
    return cut;
}

/* A thread's workspace: the feed's part first. */
typedef struct parts {
    size_t ones, sums, totals, end;
} parts;

static parts parts_of(const division *cut, ptrdiff_t size, int lanes) {
    parts at;
    at.ones = cut->feed->workspace;
    at.sums = at.ones + cgc_round_up((size_t)(cut->feed->columns * size));
    at.totals = at.sums + cgc_round_up((size_t)((cut->feed->k + 1) * cut->feed->m * lanes * size));
    at.end = at.totals + cut->totals_size;
    return at;
}

cgc_booking cgc_weight_gradient_book(const cgc_geometry *s, const cgc_kernels *kernels, const cgc_feed *feed,
                                     int threads) {
    const division cut = cut_of(s, feed, threads);
    return (cgc_booking){
        .shared = cut.wave ? cut.totals_size * (size_t)(cut.blocks * (cut.wave + 1)) : 0,
        .per_thread = parts_of(&cut, s->size, kernels->lanes).end,
    };
}

static cgc_weight_block block_at(const division *cut, int64_t index, const char *ones) {
    const cgc_geometry *s = cut->run->geometry;
    cgc_weight_block block = {.run = cut->run, .c = cgc_forward_correlation(s)};
    block.g = index / cut->k_blocks / cut->m_blocks;
    block.m0 = index / cut->k_blocks % cut->m_blocks * cut->feed->m;
    block.k0 = index % cut->k_blocks * cut->feed->k;
    block.m = cgc_min(cut->feed->m, s->f - block.m0);
    block.k = cgc_min(cut->feed->k, cut->terms - block.k0);
    block.ones = cut->run->bias && block.k0 == 0 ? ones : NULL;
    return block;
}

/* Totals of a block: its weights, and its bias if it has one. */
static int64_t totals_of(const cgc_weight_block *block) { return block->m * (block->k + (block->ones != NULL)); }

void cgc_reduce_pixels(const cgc_weight_block *block, const cgc_pixels *pixels, void *sums) {
    static const ptrdiff_t no_offset = 0;
    const cgc_kernels *kernels = block->run->kernels;
    kernels->reduce(pixels->count, block->m, block->k, pixels->a, pixels->a_pitch, pixels->b, pixels->offsets, sums);
    if (block->ones)
        kernels->reduce(pixels->count, block->m, 1, pixels->a, pixels->a_pitch, block->ones, &no_offset,
                        cgc_at(sums, block->m * block->k * kernels->lanes, block->run->geometry->size));
}

/* totals = the sums of chunks chunk0 .. chunk1-1 of a block, from 0 on. */
static void sum_block(const division *cut, int64_t index, int64_t chunk0, int64_t chunk1, char *local, char *totals) {
    const cgc_geometry *s = cut->run->geometry;
    const cgc_kernels *kernels = cut->run->kernels;
    const parts at = parts_of(cut, s->size, kernels->lanes);
    const cgc_weight_block block = block_at(cut, index, local + at.ones);
    const int64_t count = totals_of(&block);
    kernels->fill(local + at.ones, 1, cut->feed->columns);
    kernels->fill(totals, 0, count);
    for (int64_t k = chunk0; k < chunk1; k++) {
        kernels->fill(local + at.sums, 0, count * kernels->lanes);
        cut->feed->feed(cut->feed, &block, cgc_chunk_at(s, &cut->chunks, k), local, local + at.sums);
        kernels->join(totals, local + at.sums, count);
    }
}

/* The totals of a block, to dw and db. */
static void store_block(const division *cut, int64_t index, const char *totals) {
    const cgc_run *run = cut->run;
    const ptrdiff_t size = run->geometry->size;
    const cgc_weight_block block = block_at(cut, index, run->bias);
    for (int64_t m = 0; m < block.m; m++) {
        const int64_t oc = block.g * block.c.m + block.m0 + m;
        cgc_term term = cgc_term_at(&block.c, block.k0);
        for (int64_t k = 0; k < block.k; k++, cgc_next_term(&block.c, &term))
            memcpy(cgc_at(run->weight, oc * block.c.w_m + cgc_term_weight(&block.c, &term), size),
                   cgc_at(totals, m * block.k + k, size), (size_t)size);
        if (block.ones)
            memcpy(cgc_at(run->bias, oc, size), cgc_at(totals, block.m * block.k + m, size), (size_t)size);
    }
}

static void whole_block(void *context, int64_t task, int thread) {
    const division *cut = context;
    char *local = cut->run->local + (size_t)thread * cut->run->local_size;
    char *totals = local + parts_of(cut, cut->run->geometry->size, cut->run->kernels->lanes).totals;
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
        run->kernels->fill(run->shared + (size_t)b * cut->totals_size, 0, cut->feed->m * (cut->feed->k + 1));
    for (cut->wave0 = 0; cut->wave0 < cut->chunks.count; cut->wave0 += cut->wave) {
        const int64_t tasks = cgc_min(cut->wave, cut->chunks.count - cut->wave0) * cut->blocks;
        cgc_parallel(run->threads, tasks, wave_chunk, cut);
        for (int64_t task = 0; task < tasks; task++) {
            const cgc_weight_block block = block_at(cut, task % cut->blocks, run->bias);
            run->kernels->add(run->shared + (size_t)(task % cut->blocks) * cut->totals_size, 1,
                              wave_totals(cut, task), totals_of(&block));
        }
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
