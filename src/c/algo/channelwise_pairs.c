/*
 * Channel-wise backward_input of layers whose horizontal stride is 2, by the pairs kernel: the even and the odd
 * columns of a row of dx are computed together, from dy where it stands. It must not know other passes.
 */
#include "../platform/memory.h"
#include "../platform/threads.h"
#include "channelwise.h"

enum {
    SPAN = 2048,         /* columns at a time: what a line of zeros must last for */
    LINES = 2048,        /* entries of the table of lines */
    NEAR_CELLS = 32768,  /* of planes that are done together, so that all their rows stay near while they are written */
    TASK_TERMS = 262144, /* multiply-adds of a task, about */
    TASK_ROWS = 16,      /* rows of a task are a multiple of this, times the vertical stride */
};

static int serves(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass) {
    (void)kernels;
    return pass == CGCONV_BACKWARD_INPUT && s->sw == 2 && s->dw == 1 && s->xw == 1 && s->yw == 1 && s->h > 0 &&
           s->w > 0 && s->oh > 0 && s->ow > 0 && s->kh <= LINES && s->sh <= LINES;
}

/* The workspace: where lines begin, and a line of zeros. */
static size_t zeros_at(void) { return cgc_round_up(LINES * sizeof(ptrdiff_t)); }

/* A line of zeros: what a span reads, and the vector behind it. */
static int64_t zeros_of(const cgc_geometry *s) { return cgc_min(s->ow, SPAN / 2 + s->kw + 2 * CGC_MAX_LANES); }

static size_t workspace(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass) {
    (void)kernels, (void)pass;
    return zeros_at() + cgc_round_up((size_t)(zeros_of(s) * s->size));
}

/* How a pass is cut into tasks: image, block of rows, block of groups. */
typedef struct division {
    const cgc_run *run;
    int64_t rows, row_blocks, groups, group_blocks;
} division;

/* Rows i0, i0 + stride ... below i1 of groups g .. g+groups-1, columns j .. j+cols-1, an even j. */
static void run_rows(const cgc_run *run, const cgc_image *image, char *local, int64_t i0, int64_t i1, int64_t j,
                     int64_t cols, int64_t g, int64_t groups) {
    const cgc_geometry *s = run->geometry;
    const int64_t odd = s->pl % 2;
    const cgc_grid rows = {i0, s->sh, cgc_ceil_div(i1 - i0, s->sh)};
    /* Of its columns those that column 0 of the filter meets, so that weights begin there. */
    const cgc_correlation c = cgc_backward_correlation(s, rows, (cgc_grid){odd, 2, 1});
    const int64_t most = LINES / cgc_max(1, c.ku);
    ptrdiff_t *lines = (ptrdiff_t *)local;
    const int64_t first = (s->pl + odd + j) / 2, base = cgc_max(0, cgc_min(s->ow - 1, first - (s->kw - 1 + odd) / 2));
    cgc_pairs call = {
        .planes = groups, .sources = s->f, .cols = cols, .ku = c.ku, .kw = s->kw, .odd = (int)odd,
        .x = cgc_at(image->source, g * c.s_group + base, s->size), .zeros = local + zeros_at(), .lines = lines,
        .first = first - base, .width = cgc_min(s->ow - base, zeros_of(s)),
        .w = cgc_at(image->weight, g * c.w_group + c.w0, s->size),
        .x_plane = c.s_group, .x_source = c.s_plane, .w_plane = c.w_group, .w_source = c.w_plane, .w_u = c.w_u,
        .w_v = s->wv, .y_plane = c.d_group, .y_pitch = c.d_row,
    };
    for (int64_t i = 0; i < rows.count; i += most) {
        call.rows = cgc_min(most, rows.count - i);
        for (int64_t e = 0; e < call.rows * c.ku; e++) {
            const int64_t row = c.r0 + (i + e / c.ku) * c.r_i + e % c.ku * c.r_u;
            lines[e] = row < 0 || row >= s->oh ? CGC_CONSTANT_LINE : (ptrdiff_t)(row * s->yh);
        }
        call.y = cgc_at(image->destination, g * c.d_group + (i0 + i * s->sh) * s->xh + j, s->size);
        run->kernels->pairs(&call);
    }
}

static void run_task(void *context, int64_t task, int thread) {
    const division *cut = context;
    const cgc_run *run = cut->run;
    const cgc_geometry *s = run->geometry;
    char *local = run->local + (size_t)thread * run->local_size;
    const int64_t g0 = task % cut->group_blocks * cut->groups, g1 = cgc_min(g0 + cut->groups, s->g);
    task /= cut->group_blocks;
    const int64_t i0 = task % cut->row_blocks * cut->rows, i1 = cgc_min(i0 + cut->rows, s->h);
    const cgc_image image = cgc_image_at(run, task / cut->row_blocks);
    const int64_t together = 1 + NEAR_CELLS / cgc_max(1, (i1 - i0) * cgc_min(s->w, SPAN));
    run->kernels->fill(local + zeros_at(), 0, zeros_of(s));
    for (int64_t j = 0; j < s->w; j += SPAN)
        for (int64_t g = g0; g < g1; g += together)
            for (int64_t i = i0; i < cgc_min(i0 + s->sh, i1); i++)
                run_rows(run, &image, local, i, i1, j, cgc_min(SPAN, s->w - j), g, cgc_min(together, g1 - g));
}

static void run_pairs(const cgc_run *run) {
    const cgc_geometry *s = run->geometry;
    division cut = {.run = run};
    const double plane = (double)s->oh * (double)s->ow * (double)s->f * (double)(s->kh * s->kw);
    const int64_t wanted = run->threads > 1 ? 4 * run->threads : 1; /* tasks, so that uneven ones even out */
    const int64_t planes = cgc_max(1, s->n * s->g), unit = TASK_ROWS * s->sh;
    const int64_t shared = cgc_min(1 + (int64_t)(TASK_TERMS / plane), planes / wanted); /* groups of a task */
    cut.groups = run->threads == 1 ? s->g : cgc_max(1, cgc_min(s->g, shared));
    cut.group_blocks = cgc_ceil_div(s->g, cut.groups);
    cut.rows = cgc_ceil_div(cgc_ceil_div(s->h, cgc_ceil_div(wanted, planes)), unit) * unit;
    cut.row_blocks = cgc_ceil_div(s->h, cut.rows);
    cgc_parallel(run->threads, s->n * cut.row_blocks * cut.group_blocks, run_task, &cut);
}

const cgc_way cgc_pairs_way = {serves, workspace, run_pairs};
