/*
 * Channel-wise forward passes over rows of few channels: a row of pixels is one long line of numbers, and vectors go
 * along it across pixels. What lies inside the source is read in place; the columns at its edges, and pixels that are
 * not dense, go through a panel. It must not know how the kernel multiplies.
 */
#include <math.h>
#include <string.h>

#include "../platform/memory.h"
#include "../platform/threads.h"
#include "channelwise.h"
#include "panel.h"
#include "pointers.h"

enum {
    WEIGHTS = 32768,     /* packed numbers, at most */
    LINE = 4096,         /* numbers of a row of outputs that are computed together, at most */
    REACH = 4096,        /* numbers from the first to the last tap of a row, at most */
    PANEL = 32768,       /* numbers of the panel */
    LINES = 512,         /* source rows of a band, at most */
    BAND = 48,           /* output rows of a band: whole tiles */
    TASK_TERMS = 262144, /* multiply-adds of a task, at least about */
    FULL = 60,           /* percent of the lanes from which vectors over channels are better */
};

static int64_t phases_of(const cgc_geometry *s, const cgc_kernels *kernels) {
    return s->oc / cgc_gcd(s->oc, kernels->width);
}

static int serves(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass) {
    const int64_t width = kernels->width, terms = 1 + s->kh * s->kw;
    if (pass != CGCONV_FORWARD || s->xc != 1 || s->yc != 1 || s->yw != s->oc || s->oc < 2 || s->sw != 1) return 0;
    if (width == 1 || (s->oc >= width && 100 * s->oc > FULL * cgc_ceil_div(s->oc, width) * width)) return 0;
    return s->oc <= PANEL / LINES && (s->kh - 1) * s->dh < LINES / 2 && (s->kw - 1) * s->dw * s->oc < REACH &&
           ((s->kh - 1) * s->dh + 1) * ((s->kw - 1) * s->dw + 1) * s->oc <= PANEL && s->kw <= LINE &&
           (phases_of(s, kernels) + 1) * terms * width <= WEIGHTS;
}

/* The workspace: pointers to lines and to the pixels of one, offsets, a line of the constant, weights, the panel. */
typedef struct parts {
    size_t pixels, offsets, constant, weights, panel, end;
} parts;

static parts parts_of(ptrdiff_t size) {
    parts at;
    at.pixels = LINES * sizeof(void *);
    at.offsets = at.pixels + (LINE + REACH) * sizeof(void *);
    at.constant = at.offsets + LINE * sizeof(ptrdiff_t);
    at.weights = at.constant + cgc_round_up((LINE + REACH) * (size_t)size);
    at.panel = at.weights + cgc_round_up(WEIGHTS * (size_t)size);
    at.end = at.panel + cgc_round_up(PANEL * (size_t)size);
    return at;
}

static size_t workspace(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass) {
    (void)kernels, (void)pass;
    return parts_of(s->size).end;
}

/* A task: rows of one image. */
typedef struct part {
    const cgc_kernels *kernels;
    cgc_correlation c;
    cgc_image image;
    int64_t channels, phases, reach; /* reach: columns from the first to the last tap */
    char *workspace;
    parts at;
} part;

/* The bias and the weights of the vector `index`, whose first lane is of channel `channel`. */
static void pack(const part *p, int64_t index, int64_t channel) {
    const cgc_correlation *c = &p->c;
    const ptrdiff_t size = c->source.size, width = p->kernels->width;
    const int64_t terms = c->ku * c->kv;
    char *packed = cgc_at(p->workspace + p->at.weights, index * (1 + terms) * width, size);
    for (int64_t l = 0; l < width; l++, channel++) {
        const int64_t o = channel % p->channels;
        const char *weight = cgc_at(p->image.weight, o * c->w_m, size);
        if (p->image.bias)
            memcpy(cgc_at(packed, l, size), cgc_at(p->image.bias, o, size), (size_t)size);
        else
            p->kernels->fill(cgc_at(packed, l, size), 0, 1);
        if (c->w_v == 1 && c->w_u == c->kv) {
            p->kernels->store(cgc_at(packed, width + l, size), width, weight, terms, -HUGE_VAL, HUGE_VAL);
            continue;
        }
        for (int64_t k = 0; k < terms; k++)
            memcpy(cgc_at(packed, (1 + k) * width + l, size),
                   cgc_at(weight, k / c->kv * c->w_u + k % c->kv * c->w_v, size), (size_t)size);
    }
}

/* Rows i .. i+rows-1, columns j .. j+cols-1 from the lines. */
static void run_lines(const part *p, int64_t i, int64_t rows, int64_t j, int64_t cols) {
    const cgc_correlation *c = &p->c;
    const int64_t count = cols * p->channels;
    pack(p, p->phases, cgc_max(0, count - p->kernels->width) % p->channels);
    const cgc_flat_rows call = {
        .rows = rows, .cols = count, .phases = p->phases, .kh = c->ku, .kw = c->kv,
        .lines = (const void *const *)p->workspace, .row = c->r_i, .u = c->r_u,
        .off = (const ptrdiff_t *)(p->workspace + p->at.offsets), .w = p->workspace + p->at.weights,
        .y = cgc_at(p->image.destination, i * c->d_row + j * c->d_col, c->source.size), .y_row = c->d_row,
        .lo = c->lo, .hi = c->hi,
    };
    p->kernels->flat(&call);
}

/* The source row of each line of a band, or -1. */
static int64_t row_of(const part *p, int64_t i, int64_t line) {
    return cgc_pad_source(p->c.source.mode, p->c.r0 + i * p->c.r_i + line, p->c.source.h);
}

/* In place: all columns that are read lie inside. */
static void in_place(const part *p, int64_t i, int64_t rows, int64_t lines, int64_t j, int64_t cols) {
    const cgc_plane *plane = &p->c.source;
    for (int64_t line = 0; line < lines; line++) {
        const int64_t row = row_of(p, i, line);
        ((const void **)p->workspace)[line] =
            row < 0 ? p->workspace + p->at.constant
                    : cgc_at(p->image.source, row * plane->row + (p->c.c0 + j) * plane->col, plane->size);
    }
    run_lines(p, i, rows, j, cols);
}

/* `count` pixels of a source row, padded, from column `col` on. */
static void copy(const part *p, const char *row, int64_t col, int64_t count, char *to) {
    const cgc_plane *plane = &p->c.source;
    const void **pixels = (const void **)(p->workspace + p->at.pixels);
    cgc_pointers_run(plane, row, col, 1, count, p->workspace + p->at.constant, pixels);
    p->kernels->spread(count, (const void *const *)pixels, p->channels, p->c.m, 0, to, p->channels);
}

/* The same where pixels that are neighbours make one run. */
static void copy_line(const part *p, const char *row, int64_t col, int64_t count, char *to) {
    const cgc_plane *plane = &p->c.source;
    const int64_t from = cgc_max(0, cgc_min(count, -col)), end = cgc_max(from, cgc_min(count, plane->w - col));
    if (plane->col * p->c.m != p->channels || end - from < 2) {
        copy(p, row, col, count, to);
        return;
    }
    const void *inside = cgc_at(row, (col + from) * plane->col, plane->size);
    copy(p, row, col, from, to);
    p->kernels->spread(1, &inside, (end - from) * p->channels, p->c.m, 0,
                       cgc_at(to, from * p->channels, plane->size), 0);
    copy(p, row, col + end, count - end, cgc_at(to, end * p->channels, plane->size));
}

/* The same as in place for any columns that the panel holds. */
static void through_panel(const part *p, int64_t i, int64_t rows, int64_t lines, int64_t j, int64_t cols) {
    const cgc_plane *plane = &p->c.source;
    const int64_t cells = cols + p->reach;
    char *to = p->workspace + p->at.panel;
    for (int64_t line = 0; line < lines; line++) {
        const int64_t row = row_of(p, i, line);
        if (row < 0 || plane->w < 1) {
            ((const void **)p->workspace)[line] = p->workspace + p->at.constant;
            continue;
        }
        copy_line(p, cgc_at(p->image.source, row * plane->row, plane->size), p->c.c0 + j, cells, to);
        ((const void **)p->workspace)[line] = to;
        to = cgc_at(to, cells * p->channels, plane->size);
    }
    run_lines(p, i, rows, j, cols);
}

/* Columns j0 .. j1-1 of rows i0 .. i1-1, as many at a time as fit. */
static void run_columns(const part *p, int64_t i0, int64_t i1, int64_t j0, int64_t j1, int inside) {
    const cgc_correlation *c = &p->c;
    const int64_t high = (c->ku - 1) * c->r_u + 1;
    int64_t most = LINE / p->channels, rows = cgc_min(BAND, (LINES - high) / c->r_i + 1);
    if (j0 >= j1) return;
    if (!inside) { /* at least one row of columns as wide as the filter; then more of both */
        most = cgc_min(most, cgc_max(1, PANEL / (p->channels * (high + 7 * c->r_i)) - p->reach));
        const int64_t line = (cgc_min(most, j1 - j0) + p->reach) * p->channels;
        rows = cgc_max(1, cgc_min(rows, (PANEL / line - high) / c->r_i + 1));
    }
    for (int64_t i = i0; i < i1; i += rows) {
        const int64_t taken = cgc_min(rows, i1 - i), lines = (taken - 1) * c->r_i + high;
        for (int64_t j = j0; j < j1; j += most) {
            if (inside)
                in_place(p, i, taken, lines, j, cgc_min(most, j1 - j));
            else
                through_panel(p, i, taken, lines, j, cgc_min(most, j1 - j));
        }
    }
}

typedef struct division {
    const cgc_run *run;
    int64_t rows, blocks;
} division;

static void run_task(void *context, int64_t task, int thread) {
    const division *cut = context;
    const cgc_run *run = cut->run;
    const cgc_geometry *s = run->geometry;
    part p = {.kernels = run->kernels, .c = cgc_forward_correlation(s), .at = parts_of(s->size), .channels = s->oc};
    p.image = cgc_image_at(run, task / cut->blocks);
    p.workspace = run->local + (size_t)thread * run->local_size;
    p.phases = phases_of(s, run->kernels);
    p.reach = (s->kw - 1) * s->dw;
    p.kernels->fill(p.workspace + p.at.constant, s->value, LINE + REACH);
    for (int64_t v = 0; v < s->kw; v++) ((ptrdiff_t *)(p.workspace + p.at.offsets))[v] = v * s->dw * s->oc;
    for (int64_t phase = 0; phase < p.phases; phase++) pack(&p, phase, phase * run->kernels->width % s->oc);

    const int64_t i0 = task % cut->blocks * cut->rows, end = cgc_min(i0 + cut->rows, s->oh);
    const cgc_inside wide = cgc_inside_cols(&p.c);
    if (s->f > 1 || s->xw != s->oc || (wide.to - wide.from) * s->oc < 2 * run->kernels->width) {
        run_columns(&p, i0, end, 0, s->ow, 0);
        return;
    }
    for (int64_t i = i0; i < end; i += BAND) { /* the edges of a band while its lines are near */
        const int64_t i1 = cgc_min(i + BAND, end);
        run_columns(&p, i, i1, wide.from, wide.to, 1);
        run_columns(&p, i, i1, 0, wide.from, 0);
        run_columns(&p, i, i1, wide.to, s->ow, 0);
    }
}

static void run_flat(const cgc_run *run) {
    const cgc_geometry *s = run->geometry;
    division cut = {.run = run};
    const int64_t wanted = run->threads > 1 ? 4 * run->threads : 1; /* tasks, so that uneven ones even out */
    const double row = (double)cgc_max(1, s->ow * s->oc) * (double)(s->kh * s->kw);
    const int64_t least = 1 + (int64_t)(TASK_TERMS / row);
    const int64_t even = cgc_ceil_div(s->oh, cgc_ceil_div(wanted, cgc_max(1, s->n)));
    cut.rows = cgc_max(1, cgc_min(s->oh, cgc_ceil_div(cgc_max(least, even), 24) * 24));
    cut.blocks = cgc_ceil_div(s->oh, cut.rows);
    cgc_parallel(run->threads, s->n * cut.blocks, run_task, &cut);
}

const cgc_way cgc_flat = {serves, workspace, run_flat};
