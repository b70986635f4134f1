/*
 * Channel-wise correlations whose output rows share source lines: plane after plane through one window. For the
 * forward pass with steps of 1 or 2 and whole rows that fit a panel; it must not know the pass.
 */
#include "../platform/memory.h"
#include "../platform/threads.h"
#include "channelwise.h"
#include "window.h"

enum {
    COLUMNS = 512,       /* of a panel, at most */
    TASK_TERMS = 262144, /* multiply-adds of a task, about */
    TILE_ROWS = 4,       /* of the kernel */
    TASK_ROWS = 8,       /* least rows of a task: fewer copy more lines than they save; whole tiles */
};

/* The workspace: weights of one output, a zero bias, the panel with a cache line behind it. */
typedef struct parts {
    size_t zero, panel, end;
} parts;

static parts parts_of(ptrdiff_t size) {
    parts at;
    at.zero = cgc_round_up(CGC_PANEL_TERMS * (size_t)size);
    at.panel = at.zero + CGC_ALIGN;
    at.end = at.panel + cgc_round_up(CGC_PANEL_ELEMENTS * (size_t)size) + CGC_ALIGN;
    return at;
}

size_t cgc_stencil_workspace(const cgc_geometry *s) { return parts_of(s->size).end; }

/* The kernel shares lines between four rows: the filter must be high enough for all of them, or one that it knows. */
static int pays(const cgc_correlation *c) {
    return c->ku >= 3 * c->r_i || (c->ku == c->kv && (c->ku == 3 || (c->ku == 5 && c->c_v == 1)));
}

int cgc_stencil_serves(const cgc_geometry *s, cgconv_pass pass) {
    if (pass != CGCONV_FORWARD) return 0;
    const cgc_correlation c = cgc_forward_correlation(s);
    const cgc_panel panel = cgc_panel_of(&c, COLUMNS);
    const int steps = (c.c_j == 1 && c.r_i == 1) || (c.c_j == 2 && c.r_i == 2 && c.r_u == 1 && c.c_v == 1);
    return steps && c.d_col == 1 && pays(&c) && cgc_window_serves(&c, &panel);
}

/* How a pass is cut into tasks: image, block of rows, block of groups. */
typedef struct division {
    const cgc_run *run;
    cgc_correlation c;
    cgc_panel panel;
    int64_t window_rows, rows, row_blocks, groups, group_blocks;
} division;

/* Output rows i .. i+rows-1 of output m of group g, from the window. */
static void run_output(const division *cut, const cgc_image *image, int64_t i, int64_t rows, int64_t g, int64_t m,
                       char *local) {
    const cgc_correlation *c = &cut->c;
    const cgc_kernels *kernels = cut->run->kernels;
    const ptrdiff_t size = c->source.size, pitch = cut->panel.pitch;
    const parts at = parts_of(size);
    const char *weight = cgc_at(image->weight, g * c->w_group + m * c->w_m, size);
    const char *bias = image->bias ? cgc_at(image->bias, g * c->m + m, size) : local + at.zero;
    if (c->w_v != 1 || c->w_u != c->kv) {
        for (int64_t u = 0; u < c->ku; u++)
            kernels->gather(cgc_at(local, u * c->kv, size), cgc_at(weight, u * c->w_u, size), c->w_v, c->kv);
        weight = local;
    }
    /* Under a dilation of r_u, every r_u-th row shares lines. */
    for (int64_t first = 0; first < cgc_min(c->r_u, rows); first++)
        kernels->stencil(cgc_ceil_div(rows - first, c->r_u), c->cols, c->ku, c->kv, c->c_j, c->c_v, weight,
                         cgc_at(local + at.panel, first * pitch, size), c->r_u * pitch, cut->panel.phase, bias,
                         cgc_at(image->destination, g * c->d_group + m * c->d_m + (i + first) * c->d_row, size),
                         c->r_u * c->d_row, c->lo, c->hi);
}

static void run_task(void *context, int64_t task, int thread) {
    const division *cut = context;
    const cgc_run *run = cut->run;
    const cgc_correlation *c = &cut->c;
    const ptrdiff_t size = c->source.size;
    const int64_t block = task / cut->group_blocks % cut->row_blocks;
    const cgc_image image = cgc_image_at(run, task / cut->group_blocks / cut->row_blocks);
    const int64_t g0 = task % cut->group_blocks * cut->groups, g1 = cgc_min(g0 + cut->groups, run->geometry->g);
    const int64_t i1 = cgc_min((block + 1) * cut->rows, c->rows);
    char *local = run->local + (size_t)thread * run->local_size, *cells = local + parts_of(size).panel;
    cgc_window window;
    run->kernels->fill(local + parts_of(size).zero, 0, 1);
    for (int64_t i = block * cut->rows; i < i1; i += cut->window_rows) {
        const int64_t rows = cgc_min(cut->window_rows, i1 - i);
        cgc_window_open(&window, run->kernels, c, &cut->panel, i, rows, cells);
        for (int64_t g = g0; g < g1; g++) {
            cgc_window_fill(&window, run->kernels, cgc_at(image.source, g * c->s_group, size), cells);
            for (int64_t m = 0; m < c->m; m++) run_output(cut, &image, i, rows, g, m, local);
        }
    }
}

void cgc_stencil_run(const cgc_run *run) {
    const cgc_geometry *s = run->geometry;
    division cut = {.run = run, .c = cgc_forward_correlation(s)};
    const cgc_correlation *c = &cut.c;
    cut.panel = cgc_panel_of(c, COLUMNS);
    cut.window_rows = cgc_window_rows(c, &cut.panel);
    if (cut.window_rows > TILE_ROWS) cut.window_rows -= cut.window_rows % TILE_ROWS;
    const double plane = (double)(c->rows * c->cols) * (double)c->m * (double)(c->ku * c->kv);
    const int64_t wanted = run->threads > 1 ? 4 * run->threads : 1; /* tasks, so that uneven ones even out */
    const int64_t planes = cgc_max(1, s->n * s->g);
    cut.groups = cgc_max(1, cgc_min(cgc_min(s->g, 1 + (int64_t)(TASK_TERMS / plane)), planes / wanted));
    cut.group_blocks = cgc_ceil_div(s->g, cut.groups);
    cut.rows = cgc_ceil_div(cgc_ceil_div(c->rows, cgc_ceil_div(wanted, planes)), TASK_ROWS) * TASK_ROWS;
    cut.row_blocks = cgc_ceil_div(c->rows, cut.rows);
    cgc_parallel(run->threads, s->n * cut.row_blocks * cut.group_blocks, run_task, &cut);
}
