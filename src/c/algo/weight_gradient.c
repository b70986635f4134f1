/* The weight gradient, see weight_gradient.h: cutting it into tasks, and adding the chunks in their order. */
#include "weight_gradient.h"

#include <string.h>

#include "../platform/memory.h"
#include "../platform/threads.h"

enum {
    TASKS = 4,           /* for each thread, so that uneven ones even out */
    BLOCKS = 2,          /* for each thread, if terms must be cut for them: each block lays out dy anew */
    FAR_BYTES = 3 << 20, /* more than the second cache holds: it pays to call for what is read next */
};

/*
 * A task sums some blocks over all chunks: where it can, in dw itself, else in totals of its own. Where there are fewer
 * blocks than threads, a task sums one block over one chunk of a wave, and the caller adds up the wave: the same
 * additions in the same order.
 */
typedef struct division {
    const cgc_run *run;
    const cgc_feed *feed;
    cgc_chunks chunks;
    int64_t terms, k;   /* terms of a filter, and of a block at most */
    int64_t m_blocks, k_blocks, blocks;
    int64_t tasks;      /* that these are divided among */
    int64_t wave;       /* chunks of a wave; 0: no waves */
    int64_t wave0;      /* first chunk of the present wave */
    int in_place;       /* totals are dw and db */
    int far;            /* x and dy are more than FAR_BYTES */
    size_t totals_size; /* bytes of a block's totals, if they are not in place */
} division;

/* Cuts all terms, k at a time. */
static void cut_terms(const cgc_geometry *s, division *cut, int64_t k) {
    cut->k = k;
    cut->k_blocks = cgc_ceil_div(cut->terms, k);
    cut->blocks = cgc_ceil_div(s->g, cut->feed->groups) * cut->m_blocks * cut->k_blocks;
}

static division cut_of(const cgc_geometry *s, const cgc_feed *feed, int threads) {
    const int64_t taps = s->kh * s->kw, wanted = threads > 1 ? BLOCKS * (int64_t)threads : 1;
    division cut = {.feed = feed, .chunks = cgc_cut(s), .terms = s->cg * taps};
    cut.m_blocks = cgc_ceil_div(s->f, feed->m);
    cut_terms(s, &cut, feed->k);
    if (feed->groups == 1) {
        const int64_t parts = cgc_ceil_div(wanted, cgc_max(1, cut.blocks / cut.k_blocks));
        if (parts > cut.k_blocks && parts <= s->cg)
            cut_terms(s, &cut, cgc_min(feed->k, cgc_ceil_div(s->cg, parts) * taps));
    }
    const int waves = cut.blocks < threads && cut.chunks.count > 1;
    cut.in_place = !waves && cut.chunks.count > 0 && cgc_weight_terms_are_neighbours(s);
    if (!cut.in_place) cut_terms(s, &cut, cgc_min(cut.k, feed->k_apart));
    if (waves) cut.wave = cgc_min(cut.chunks.count, cgc_ceil_div(TASKS * (int64_t)threads, cut.blocks));
    cut.tasks = threads > 1 ? cgc_min(cut.blocks, TASKS * (int64_t)threads) : 1;
    cut.far = cgc_bytes(s) > FAR_BYTES;
    cut.totals_size = cut.in_place ? 0 : cgc_round_up((size_t)(feed->totals * s->size));
    return cut;
}

cgc_booking cgc_weight_gradient_book(const cgc_geometry *s, const cgc_feed *feed, int threads) {
    const division cut = cut_of(s, feed, threads);
    return (cgc_booking){
        .shared = cut.wave ? cut.totals_size * (size_t)(cut.blocks * (cut.wave + 1)) : 0,
        .per_thread = feed->workspace + cut.totals_size,
    };
}

/* A block with its totals: weights, [group][filter][term], and bias, [group][filter]; or, if it is NULL, dw and db. */
static cgc_weight_block block_at(const division *cut, int64_t index, char *totals) {
    const cgc_run *run = cut->run;
    const cgc_geometry *s = run->geometry;
    cgc_weight_block block = {.run = run, .c = cgc_forward_correlation(s), .chunks = cut->chunks};
    block.g = index / cut->k_blocks / cut->m_blocks * cut->feed->groups;
    block.groups = cgc_min(cut->feed->groups, s->g - block.g);
    block.m0 = index / cut->k_blocks % cut->m_blocks * cut->feed->m;
    block.k0 = index % cut->k_blocks * cut->k;
    block.m = cgc_min(cut->feed->m, s->f - block.m0);
    block.k = cgc_min(cut->k, cut->terms - block.k0);
    block.w_g = totals ? (ptrdiff_t)(block.m * block.k) : block.c.w_group;
    block.w_m = totals ? (ptrdiff_t)block.k : block.c.w_m;
    block.b_g = (ptrdiff_t)(totals ? block.m : block.c.m);
    block.weight = totals;
    if (!totals) block.weight = cgc_at(run->weight, block.g * block.w_g + block.m0 * block.w_m + block.k0, s->size);
    if (run->bias && block.k0 == 0)
        block.bias = totals ? cgc_at(totals, block.groups * block.w_g, s->size)
                            : cgc_at(run->bias, block.g * block.b_g + block.m0, s->size);
    return block;
}

/* How many totals a block has. */
static int64_t totals_of(const cgc_weight_block *block) {
    return block->groups * block->m * (block->k + (block->bias != NULL));
}

/* The sums of chunks chunk0 .. chunk1-1 of a block, to its totals. `next`: the first group of the block after it. */
static void sum_block(const division *cut, cgc_weight_block *block, int64_t chunk0, int64_t chunk1, int64_t next,
                      char *local) {
    const cgc_geometry *s = cut->run->geometry;
    if (chunk0 == chunk1) cut->run->kernels->fill(block->weight, 0, totals_of(block));
    for (int64_t k = chunk0; k < chunk1; k++) {
        const int last = k + 1 == chunk1;
        cgc_ahead ahead;
        ahead.runs = 0;
        if (cut->far && !(last && next == block->g))
            cgc_weight_look_ahead(cut->run, last ? next : block->g, cut->feed->groups,
                                  cgc_chunk_at(s, &cut->chunks, last ? chunk0 : k + 1), &ahead);
        block->fresh = k == chunk0;
        block->ahead = &ahead;
        cut->feed->feed(block, cgc_chunk_at(s, &cut->chunks, k), local);
    }
}

/* The totals of the filters of group q of a block, to dw. */
static void store_weights(const cgc_weight_block *block, int64_t q) {
    const cgc_run *run = block->run;
    const cgc_correlation *c = &block->c;
    const ptrdiff_t size = c->source.size;
    char *weight = cgc_at(run->weight, (block->g + q) * c->w_group + block->m0 * c->w_m, size);
    const char *totals = cgc_at(block->weight, q * block->w_g, size);
    if (cgc_weight_terms_are_neighbours(run->geometry)) {
        run->kernels->lines(block->m, block->k, totals, block->w_m, 1, cgc_at(weight, block->k0, size), c->w_m, 0, 1,
                            0);
        return;
    }
    for (int64_t m = 0; m < block->m; m++) {
        cgc_term term = cgc_term_at(c, block->k0);
        for (int64_t k = 0; k < block->k; k++, cgc_next_term(c, &term))
            memcpy(cgc_at(weight, m * c->w_m + cgc_term_weight(c, &term), size),
                   cgc_at(totals, m * block->w_m + k, size), (size_t)size);
    }
}

/* The totals of a block, to dw and db. */
static void store_block(const cgc_weight_block *block) {
    const ptrdiff_t size = block->c.source.size;
    for (int64_t q = 0; q < block->groups; q++) {
        store_weights(block, q);
        if (block->bias)
            memcpy(cgc_at(block->run->bias, (block->g + q) * block->c.m + block->m0, size),
                   cgc_at(block->bias, q * block->b_g, size), (size_t)(block->m * size));
    }
}

/* Some blocks, one after the other. */
static void whole_blocks(void *context, int64_t task, int thread) {
    const division *cut = context;
    char *local = cut->run->local + (size_t)thread * cut->run->local_size;
    char *totals = cut->in_place ? NULL : local + cut->feed->workspace;
    const int64_t end = cut->blocks * (task + 1) / cut->tasks;
    cgc_weight_block block = block_at(cut, cut->blocks * task / cut->tasks, totals), next;
    for (int64_t index = cut->blocks * task / cut->tasks; index < end; index++, block = next) {
        next = block_at(cut, cgc_min(index + 1, end - 1), totals);
        next.again = cut->chunks.count == 1 && next.groups <= block.groups && next.k <= block.k;
        sum_block(cut, &block, 0, cut->chunks.count, next.g, local);
        if (!cut->in_place) store_block(&block);
    }
}

/* Where the totals of a task of a wave lie; those of the blocks themselves lie in front. */
static char *wave_totals(const division *cut, int64_t task) {
    return cut->run->shared + (size_t)(cut->blocks + task) * cut->totals_size;
}

static void wave_chunk(void *context, int64_t task, int thread) {
    const division *cut = context;
    char *local = cut->run->local + (size_t)thread * cut->run->local_size;
    const int64_t chunk = cut->wave0 + task / cut->blocks;
    cgc_weight_block block = block_at(cut, task % cut->blocks, wave_totals(cut, task));
    sum_block(cut, &block, chunk, chunk + 1, block.g, local);
}

/* The block that a task of a wave has a part in, with the totals of all its chunks. */
static cgc_weight_block wave_block(const division *cut, int64_t task) {
    const int64_t index = task % cut->blocks;
    return block_at(cut, index, cut->run->shared + (size_t)index * cut->totals_size);
}

/* All blocks, wave by wave. */
static void run_waves(division *cut) {
    const cgc_run *run = cut->run;
    for (int64_t b = 0; b < cut->blocks; b++) {
        const cgc_weight_block block = wave_block(cut, b);
        run->kernels->fill(block.weight, 0, totals_of(&block));
    }
    for (cut->wave0 = 0; cut->wave0 < cut->chunks.count; cut->wave0 += cut->wave) {
        const int64_t tasks = cgc_min(cut->wave, cut->chunks.count - cut->wave0) * cut->blocks;
        cgc_parallel(run->threads, tasks, wave_chunk, cut);
        for (int64_t task = 0; task < tasks; task++) {
            const cgc_weight_block block = wave_block(cut, task);
            run->kernels->add(block.weight, 1, wave_totals(cut, task), totals_of(&block));
        }
    }
    for (int64_t b = 0; b < cut->blocks; b++) {
        const cgc_weight_block block = wave_block(cut, b);
        store_block(&block);
    }
}

void cgc_weight_gradient(const cgc_run *run, const cgc_feed *feed) {
    division cut = cut_of(run->geometry, feed, run->threads);
    cut.run = run;
    if (cut.wave)
        run_waves(&cut);
    else
        cgc_parallel(run->threads, cut.tasks, whole_blocks, &cut);
}
