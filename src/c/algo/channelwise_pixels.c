/*
 * Channel-wise correlations with vectors over channels, pixel by pixel: each term is a pointer to the channels of a
 * source pixel, or to a vector of the padding constant.
 */
#include "../platform/memory.h"
#include "../platform/threads.h"
#include "channelwise.h"
#include "panel.h"

enum { CHANNELS = 128, WEIGHTS = CGC_PANEL_TERMS * 16 };

/* Channels of a task: as many as keep the packed weights within bounds. */
static int64_t channels_of(const cgc_geometry *s) {
    return cgc_min(s->g, cgc_min(CHANNELS, WEIGHTS / (s->kh * s->kw)));
}

/* The workspace: pointers, a zero bias, the padding constant, weights [k][channels]. */
typedef struct parts {
    size_t zero, constant, weights, end;
} parts;

static parts parts_of(const cgc_geometry *s) {
    parts at;
    at.zero = cgc_round_up((size_t)(s->kh * s->kw) * sizeof(char *));
    at.constant = at.zero + cgc_round_up(CHANNELS * (size_t)s->size);
    at.weights = at.constant + cgc_round_up(CHANNELS * (size_t)s->size);
    at.end = at.weights + cgc_round_up((size_t)(s->kh * s->kw * channels_of(s) * s->size));
    return at;
}

size_t cgc_pixels_workspace(const cgc_geometry *s) { return parts_of(s).end; }

/* A task: one output row of some channels of one correlation of one image. */
typedef struct part {
    const cgc_kernels *kernels;
    cgc_correlation c;
    cgc_image image;
    int64_t g0, channels;
    char *workspace;
    parts at;
} part;

static void pack_weights(const part *p) {
    const cgc_correlation *c = &p->c;
    const ptrdiff_t size = c->source.size;
    cgc_term term = {0, 0, 0};
    for (int64_t k = 0; k < c->ku * c->kv; k++, cgc_next_term(c, &term))
        p->kernels->gather(cgc_at(p->workspace + p->at.weights, k * p->channels, size),
                           cgc_at(p->image.weight, p->g0 * c->w_group + cgc_term_weight(c, &term), size), c->w_group,
                           p->channels);
}

/* Points each term of output pixel (i, j) at its source. */
static void point(const part *p, int64_t i, int64_t j, const char **source) {
    const cgc_correlation *c = &p->c;
    const cgc_plane *plane = &c->source;
    for (int64_t u = 0; u < c->ku; u++) {
        const int64_t row = cgc_pad_source(plane->mode, c->r0 + i * c->r_i + u * c->r_u, plane->h);
        for (int64_t v = 0; v < c->kv; v++) {
            const int64_t col = cgc_pad_source(plane->mode, c->c0 + j * c->c_j + v * c->c_v, plane->w);
            *source++ =
                row < 0 || col < 0
                    ? p->workspace + p->at.constant
                    : cgc_at(p->image.source, p->g0 * c->s_group + row * plane->row + col * plane->col, plane->size);
        }
    }
}

static void run_row(const part *p, int64_t i) {
    const cgc_correlation *c = &p->c;
    const ptrdiff_t size = c->source.size;
    const char **source = (const char **)p->workspace;
    const char *bias = p->image.bias ? cgc_at(p->image.bias, p->g0, size) : p->workspace + p->at.zero;
    p->kernels->fill(p->workspace + p->at.zero, 0, p->channels);
    p->kernels->fill(p->workspace + p->at.constant, c->source.value, p->channels);
    pack_weights(p);
    for (int64_t j = 0; j < c->cols; j++) {
        point(p, i, j, source);
        p->kernels->channels(
            p->channels, c->ku * c->kv, p->workspace + p->at.weights, p->channels, (const void *const *)source, bias,
            cgc_at(p->image.destination, c->d0 + p->g0 * c->d_group + i * c->d_row + j * c->d_col, size), c->lo,
            c->hi);
    }
}

/* How a pass is cut into tasks. */
typedef struct division {
    const cgc_run *run;
    int64_t correlations, blocks, rows;
} division;

static void run_task(void *context, int64_t task, int thread) {
    const division *cut = context;
    const cgc_run *run = cut->run;
    const cgc_geometry *s = run->geometry;
    const int64_t i = task % cut->rows, block = task / cut->rows % cut->blocks, rest = task / cut->rows / cut->blocks;
    part p = {.kernels = run->kernels, .at = parts_of(s), .workspace = run->local + (size_t)thread * run->local_size};
    p.c = cgc_correlation_at(s, run->pass, rest % cut->correlations);
    p.image = cgc_image_at(run, rest / cut->correlations);
    p.g0 = block * channels_of(s);
    p.channels = cgc_min(channels_of(s), s->g - p.g0);
    if (i < p.c.rows) run_row(&p, i);
}

void cgc_pixels_run(const cgc_run *run) {
    const cgc_geometry *s = run->geometry;
    division cut = {.run = run, .correlations = cgc_correlation_count(s, run->pass)};
    cut.blocks = cgc_ceil_div(s->g, channels_of(s));
    cut.rows = cgc_correlation_rows(s, run->pass);
    cgc_parallel(run->threads, s->n * cut.correlations * cut.blocks * cut.rows, run_task, &cut);
}
