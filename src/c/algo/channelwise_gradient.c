/*
 * The weight gradient of the algorithm "channelwise": groups of one channel, any number of filters each. It cuts
 * the pass into tasks and adds up chunks in their order; it must not know how a chunk is summed.
 */
#include <math.h>
#include <string.h>

#include "../platform/memory.h"
#include "../platform/threads.h"
#include "gradient.h"

enum {
    WAVE_TASKS = 4, /* a thread, so that uneven tasks even out */
    ENOUGH = 6,     /* grains of a task from which on it pays to let blocks lie well */
};

static const cgc_gradient_way *way_of(const cgc_geometry *s, const cgc_kernels *kernels) {
    const int pixels = cgc_gradient_by_pixels.serves(s, kernels);
    if (pixels && (cgc_gradient_lays(s, kernels) || !cgc_gradient_turns(s, kernels))) return &cgc_gradient_by_pixels;
    return cgc_gradient_by_lines.serves(s, kernels) ? &cgc_gradient_by_lines : NULL;
}

/*
 * A task sums planes of dy over all chunks, a block of them at a time. Where there are fewer blocks than threads, a
 * task sums one block over one chunk of a wave, and the caller adds up the wave: the same additions in the same order.
 */
typedef struct division {
    const cgc_run *run;
    const cgc_gradient_way *way;
    cgc_chunks chunks;
    int64_t taps, planes; /* planes: of a task */
    int64_t most;         /* planes of a block */
    int64_t blocks;       /* tasks beside one another */
    int64_t wave, wave0;  /* chunks of a wave, 0: no waves; the first of the present wave */
    size_t totals_size;   /* bytes of the totals of a block, or of all planes in a wave */
} division;

static int64_t round_to(int64_t n, int64_t step) { return cgc_ceil_div(n, step) * step; }

static division cut_of(const cgc_geometry *s, const cgc_kernels *kernels, int threads) {
    division cut = {.way = way_of(s, kernels), .chunks = cgc_cut(s), .taps = s->kh * s->kw, .planes = s->oc};
    cut.most = cut.way->planes(s, kernels);
    if (threads > 1)
        cut.planes = round_to(cgc_ceil_div(s->oc, WAVE_TASKS * (int64_t)threads), cut.way->grain(kernels));
    cut.blocks = cgc_ceil_div(s->oc, cut.planes);
    if (cut.blocks < threads && cut.chunks.count > 1)
        cut.wave = cgc_min(cut.chunks.count, cgc_ceil_div(WAVE_TASKS * (int64_t)threads, cut.blocks));
    cut.totals_size = cgc_round_up((size_t)((cut.taps + 1) * cgc_max(cut.most, cut.wave ? s->oc : 0) * s->size));
    return cut;
}

int cgc_channelwise_gradient_serves(const cgc_geometry *s, const cgc_kernels *kernels) {
    return way_of(s, kernels) != NULL;
}

cgc_booking cgc_channelwise_gradient_book(const cgc_geometry *s, const cgc_kernels *kernels, int threads) {
    const division cut = cut_of(s, kernels, threads);
    return (cgc_booking){
        .shared = cut.wave ? cut.totals_size * (size_t)(cut.wave + 1) : 0,
        .per_thread = cut.way->workspace(s, kernels) + cut.totals_size,
    };
}

/* Planes o .. o+planes-1 with their totals at `totals`. */
static cgc_gradient_block block_at(const division *cut, int64_t o, int64_t planes, char *totals) {
    return (cgc_gradient_block){
        .run = cut->run, .o = o, .planes = planes, .weight = totals,
        .bias = cut->run->bias ? cgc_at(totals, planes * cut->taps, cut->run->geometry->size) : NULL,
    };
}

/* How many numbers the totals of so many planes are. */
static int64_t totals_of(const division *cut, int64_t planes) {
    return planes * (cut->taps + (cut->run->bias != NULL));
}

/* The totals of a block, to dw and db: all at once where they lie alike. */
static void store(const division *cut, const cgc_gradient_block *block) {
    const cgc_run *run = cut->run;
    const cgc_geometry *s = run->geometry;
    char *weight = cgc_at(run->weight, block->o * s->wo, s->size);
    if (s->wv == 1 && s->wu == s->kw && s->wo == cut->taps)
        memcpy(weight, block->weight, (size_t)(block->planes * cut->taps * s->size));
    else
        for (int64_t row = 0; row < block->planes * s->kh; row++)
            run->kernels->store(cgc_at(weight, row / s->kh * s->wo + row % s->kh * s->wu, s->size), s->wv,
                                cgc_at(block->weight, row * s->kw, s->size), s->kw, -HUGE_VAL, HUGE_VAL);
    if (block->bias) memcpy(cgc_at(run->bias, block->o, s->size), block->bias, (size_t)(block->planes * s->size));
}

/* Planes of the block at o, of a task with planes first .. end-1. */
static int64_t planes_at(const division *cut, int64_t o, int64_t first, int64_t end) {
    const cgc_run *run = cut->run;
    const int64_t enough = ENOUGH * cut->way->grain(run->kernels);
    const int64_t lead = o == first && end - first >= enough ? cut->way->lead(run) : 0;
    return cgc_min(lead ? lead : cut->most, end - o);
}

static void all_chunks(void *context, int64_t task, int thread) {
    const division *cut = context;
    const cgc_run *run = cut->run;
    char *local = run->local + (size_t)thread * run->local_size, *totals = local + run->local_size - cut->totals_size;
    const int64_t first = task * cut->planes, end = cgc_min(first + cut->planes, run->geometry->oc);
    cut->way->open(run, local);
    for (int64_t o = first, planes; o < end; o += planes) {
        planes = planes_at(cut, o, first, end);
        const cgc_gradient_block block = block_at(cut, o, planes, totals);
        run->kernels->fill(totals, 0, totals_of(cut, block.planes));
        for (int64_t k = 0; k < cut->chunks.count; k++) {
            const cgc_chunk chunk = cgc_chunk_at(run->geometry, &cut->chunks, k);
            cut->way->add_chunk(&block, &chunk, local);
        }
        store(cut, &block);
    }
}

/* Where the totals of a chunk of a wave lie; behind those of all waves. */
static char *wave_totals(const division *cut, int64_t chunk) {
    return cut->run->shared + (size_t)(1 + chunk) * cut->totals_size;
}

static void one_chunk(void *context, int64_t task, int thread) {
    const division *cut = context;
    const cgc_run *run = cut->run;
    const ptrdiff_t size = run->geometry->size;
    char *local = run->local + (size_t)thread * run->local_size;
    const cgc_chunk chunk = cgc_chunk_at(run->geometry, &cut->chunks, cut->wave0 + task / cut->blocks);
    const int64_t first = task % cut->blocks * cut->planes, end = cgc_min(first + cut->planes, run->geometry->oc);
    cgc_gradient_block block = block_at(cut, 0, run->geometry->oc, wave_totals(cut, task / cut->blocks));
    char *weight = block.weight, *bias = block.bias;
    cut->way->open(run, local);
    for (block.o = first; block.o < end; block.o += block.planes) {
        block.planes = planes_at(cut, block.o, first, end);
        block.weight = cgc_at(weight, block.o * cut->taps, size);
        run->kernels->fill(block.weight, 0, block.planes * cut->taps);
        if (bias) {
            block.bias = cgc_at(bias, block.o, size);
            run->kernels->fill(block.bias, 0, block.planes);
        }
        cut->way->add_chunk(&block, &chunk, local);
    }
}

static void run_waves(division *cut) {
    const cgc_run *run = cut->run;
    const cgc_gradient_block all = block_at(cut, 0, run->geometry->oc, run->shared);
    const int64_t count = totals_of(cut, all.planes);
    run->kernels->fill(run->shared, 0, count);
    for (cut->wave0 = 0; cut->wave0 < cut->chunks.count; cut->wave0 += cut->wave) {
        const int64_t chunks = cgc_min(cut->wave, cut->chunks.count - cut->wave0);
        cgc_parallel(run->threads, chunks * cut->blocks, one_chunk, cut);
        for (int64_t chunk = 0; chunk < chunks; chunk++)
            run->kernels->add(run->shared, 1, wave_totals(cut, chunk), count);
    }
    store(cut, &all);
}

void cgc_channelwise_gradient_run(const cgc_run *run) {
    division cut = cut_of(run->geometry, run->kernels, run->threads);
    cut.run = run;
    if (cut.wave)
        run_waves(&cut);
    else
        cgc_parallel(run->threads, cut.blocks, all_chunks, &cut);
}
