/*
 * Channel-wise correlations with vectors over pixels. What lies well inside a wide source is read in place; the rest,
 * and every strided or scattered row, goes through a panel.
 */
#include <math.h>

#include "../platform/memory.h"
#include "../platform/threads.h"
#include "channelwise.h"
#include "panel.h"

enum {
    COLUMNS = 512,      /* of a panel, at most */
    IN_PLACE = 256,     /* columns from which reading in place pays for the panels of the edges beside it */
    TASK_TERMS = 65536, /* multiply-adds of a task, about */
};

/* The workspace: offsets, weights of one output, a zero bias, a row of results, the panel. */
typedef struct parts {
    size_t weights, zero, row, panel, end;
} parts;

static parts parts_of(ptrdiff_t size) {
    parts at;
    at.weights = cgc_round_up(CGC_PANEL_TERMS * sizeof(ptrdiff_t));
    at.zero = at.weights + cgc_round_up(CGC_PANEL_TERMS * (size_t)size);
    at.row = at.zero + CGC_ALIGN;
    at.panel = at.row + cgc_round_up(COLUMNS * (size_t)size);
    at.end = at.panel + cgc_round_up(CGC_PANEL_ELEMENTS * (size_t)size);
    return at;
}

static int serves(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass) {
    (void)s, (void)kernels, (void)pass;
    return 1;
}

static size_t workspace(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass) {
    (void)kernels, (void)pass;
    return parts_of(s->size).end;
}

/* A task: rows of one group of one correlation of one image. */
typedef struct part {
    const cgc_kernels *kernels;
    cgc_correlation c;
    cgc_image image;
    int64_t g, terms;
    const char *source, *bias;
    char *workspace;
    parts at;
    cgc_panel panel;
} part;

static ptrdiff_t *offsets_of(const part *p) { return (ptrdiff_t *)p->workspace; }

static char *destination(const part *p, int64_t m, int64_t i, int64_t j) {
    const cgc_correlation *c = &p->c;
    return cgc_at(p->image.destination, c->d0 + p->g * c->d_group + m * c->d_m + i * c->d_row + j * c->d_col,
                  c->source.size);
}

/* Packs the weights of output m and returns its bias. */
static const char *take_output(const part *p, int64_t m) {
    const cgc_correlation *c = &p->c;
    const char *weight = cgc_at(p->image.weight, p->g * c->w_group + m * c->w_m, c->source.size);
    cgc_term term = {0, 0, 0};
    for (int64_t k = 0; k < p->terms; k += c->kv) {
        p->kernels->gather(cgc_at(p->workspace + p->at.weights, k, c->source.size),
                           cgc_at(weight, cgc_term_weight(c, &term), c->source.size), c->w_v, c->kv);
        term.v = c->kv - 1;
        cgc_next_term(c, &term);
    }
    return p->image.bias ? cgc_at(p->image.bias, p->g * c->m + m, c->source.size) : p->workspace + p->at.zero;
}

/* Rows i .. i+rows-1, columns j .. j+cols-1 of all outputs, straight from the source; all their terms lie inside. */
static void in_place(const part *p, int64_t i, int64_t rows, int64_t j, int64_t cols) {
    const cgc_correlation *c = &p->c;
    cgc_term term = {0, 0, 0};
    for (int64_t k = 0; k < p->terms; k++, cgc_next_term(c, &term))
        offsets_of(p)[k] = (ptrdiff_t)(term.plane * c->s_plane + term.u * c->r_u * c->source.row + term.v * c->c_v);
    const char *first = cgc_at(p->source, (c->r0 + i * c->r_i) * c->source.row + c->c0 + j, c->source.size);
    for (int64_t m = 0; m < c->m; m++) {
        const char *bias = take_output(p, m);
        p->kernels->taps(rows, cols, p->terms, p->workspace + p->at.weights, first, offsets_of(p),
                         c->r_i * c->source.row, bias, destination(p, m, i, j), c->d_row, c->lo, c->hi);
    }
}

/* The same for any rows and columns, no more than the panel holds, through the panel. */
static void through_panel(const part *p, int64_t i, int64_t rows, int64_t j, int64_t cols) {
    const cgc_correlation *c = &p->c;
    char *cells = p->workspace + p->at.panel, *row = p->workspace + p->at.row;
    const ptrdiff_t pitch = c->r_i * p->panel.pitch;
    cgc_panel_fill(&p->panel, p->kernels, c, p->source, i, rows, j, cols, cells, offsets_of(p));
    for (int64_t m = 0; m < c->m; m++) {
        const char *bias = take_output(p, m), *weights = p->workspace + p->at.weights;
        if (c->d_col == 1) {
            p->kernels->taps(rows, cols, p->terms, weights, cells, offsets_of(p), pitch, bias,
                             destination(p, m, i, j), c->d_row, c->lo, c->hi);
            continue;
        }
        for (int64_t r = 0; r < rows; r++) {
            p->kernels->taps(1, cols, p->terms, weights, cgc_at(cells, r * pitch, c->source.size), offsets_of(p),
                             pitch, bias, row, 0, -HUGE_VAL, HUGE_VAL);
            p->kernels->store(destination(p, m, i + r, j), c->d_col, row, cols, c->lo, c->hi);
        }
    }
}

/* Rows i0 .. i1-1, columns j0 .. j1-1 through panels. */
static void panels(const part *p, int64_t i0, int64_t i1, int64_t j0, int64_t j1) {
    for (int64_t i = i0; i < i1; i += p->panel.rows)
        for (int64_t j = j0; j < j1; j += p->panel.cols)
            through_panel(p, i, cgc_min(p->panel.rows, i1 - i), j, cgc_min(p->panel.cols, j1 - j));
}

/* Output rows i0 .. i1-1. */
static void rows(const part *p, int64_t i0, int64_t i1) {
    const cgc_correlation *c = &p->c;
    const int contiguous = c->c_j == 1 && c->source.col == 1 && c->d_col == 1;
    const cgc_inside high = cgc_inside_rows(c), wide = cgc_inside_cols(c);
    const int whole = wide.from == 0 && wide.to == c->cols;
    const int64_t a = cgc_max(i0, high.from), b = cgc_min(i1, high.to);
    if (!contiguous || a >= b || (!whole && wide.to - wide.from < IN_PLACE)) {
        panels(p, i0, i1, 0, c->cols);
        return;
    }
    panels(p, i0, a, 0, c->cols);
    panels(p, a, b, 0, wide.from);
    in_place(p, a, b - a, wide.from, wide.to - wide.from);
    panels(p, a, b, wide.to, c->cols);
    panels(p, b, i1, 0, c->cols);
}

/* How a pass is cut into tasks. */
typedef struct division {
    const cgc_run *run;
    int64_t correlations, blocks, rows; /* rows of a block */
} division;

static void run_rows(void *context, int64_t task, int thread) {
    const division *cut = context;
    const cgc_run *run = cut->run;
    const cgc_geometry *s = run->geometry;
    const int64_t rest = task / cut->blocks;
    part p = {.kernels = run->kernels, .g = rest % s->g, .at = parts_of(s->size)};
    p.c = cgc_correlation_at(s, run->pass, rest / s->g % cut->correlations);
    p.image = cgc_image_at(run, rest / s->g / cut->correlations);
    p.terms = p.c.planes * p.c.ku * p.c.kv;
    p.source = cgc_at(p.image.source, p.g * p.c.s_group, s->size);
    p.workspace = run->local + (size_t)thread * run->local_size;
    p.panel = cgc_panel_of(&p.c, COLUMNS);
    p.kernels->fill(p.workspace + p.at.zero, 0, 1);
    const int64_t i0 = task % cut->blocks * cut->rows, i1 = cgc_min(i0 + cut->rows, p.c.rows);
    if (i0 < i1) rows(&p, i0, i1);
}

static void run_planes(const cgc_run *run) {
    const cgc_geometry *s = run->geometry;
    const int64_t all = cgc_correlation_rows(s, run->pass), cells = cgc_max(1, cgc_correlation_cells(s, run->pass));
    division cut = {.run = run, .correlations = cgc_correlation_count(s, run->pass)};
    cut.rows = cgc_min(
        all, 1 + (int64_t)(TASK_TERMS / ((double)cells / (double)all * (double)s->f * (double)(s->kh * s->kw))));
    cut.blocks = cgc_ceil_div(all, cgc_max(1, cut.rows));
    cgc_parallel(run->threads, s->n * cut.correlations * s->g * cut.blocks, run_rows, &cut);
}

const cgc_way cgc_planes = {serves, workspace, run_planes};
