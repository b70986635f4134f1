/*
 * Channel-wise correlations whose output rows share source lines, by the stencil kernel: from the source where it
 * stands, or else through a window. For the forward pass with steps of 1 or 2; it must not know padding modes.
 */
#include "../platform/memory.h"
#include "../platform/threads.h"
#include "channelwise.h"
#include "fringe.h"
#include "window.h"

enum {
    SPAN = 1024,         /* output columns at a time: what a line of constants must last for */
    LINES = 1024,        /* source lines at a time */
    WEIGHTS = 2048,      /* the most weights that are packed at a time, and so of one filter */
    LARGE_FILTER = 25,   /* cells */
    TASK_TERMS = 262144, /* multiply-adds of a task, about */
    TASK_ROWS = 14,      /* rows of a task are a multiple of this: whole tiles, and few lines read twice */
};

/* Output cells of each row of a correlation, and the source columns under them, must be neighbours. */
static int steps_fit(const cgc_correlation *c) {
    return c->d_col == 1 && c->r_i == c->c_j && (c->c_j == 1 || (c->c_j == 2 && c->r_u == 1 && c->c_v == 1));
}

/* The shortest vectors that take a whole line of the source and of the output; else the longest. */
static int lanes_for(const cgc_kernels *kernels, const cgc_correlation *c, int64_t width) {
    int lanes = kernels->stencil_lanes[0];
    for (int i = 1; i < 3 && kernels->stencil_lanes[i]; i++)
        if (c->cols <= kernels->stencil_lanes[i] && width <= c->c_j * kernels->stencil_lanes[i])
            lanes = kernels->stencil_lanes[i];
    return lanes;
}

/*
 * Whether the source can be read where it stands, and should: filters so large that a copy costs little beside them,
 * and for which there is no kernel that knows the ends of lines, do better without ends.
 */
static int direct(const cgc_kernels *kernels, const cgc_correlation *c) {
    const int known = c->ku == c->kv && (c->ku == 5 || (c->ku == 7 && c->c_j == 1)) && c->c_v == 1;
    if (!known && c->ku * c->kv >= LARGE_FILTER && cgc_window_serves(c)) return 0;
    return c->ku > 0 && (c->ku - 1) * c->r_u < LINES / 2 &&
           cgc_fringe_serves(c, lanes_for(kernels, c, c->source.w));
}

/* Whether weights must be copied to be dense. */
static int packed(const cgc_correlation *c) { return c->w_v != 1 || c->w_u != c->kv; }

int cgc_stencil_serves(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass) {
    if (pass != CGCONV_FORWARD || s->kh * s->kw > WEIGHTS) return 0;
    const cgc_correlation c = cgc_forward_correlation(s);
    if (packed(&c) && (double)c.m * (double)(c.ku * c.kv) > WEIGHTS) return 0;
    return steps_fit(&c) && (direct(kernels, &c) || cgc_window_serves(&c));
}

/*
 * The workspace: where lines begin, entries of the fringes, a line of constants, packed weights, the window and its
 * cells.
 */
typedef struct parts {
    size_t cells, constants, weights, window, copy, end;
} parts;

static parts parts_of(const cgc_correlation *c, const cgc_kernels *kernels) {
    const size_t size = (size_t)c->source.size;
    const int windowed = !direct(kernels, c);
    const cgc_span longest = {cgc_min(c->cols, SPAN), 0, cgc_max(c->c0, 0)};
    const int64_t reach = cgc_span_reach(c, &longest, kernels->stencil_lanes[0]);
    parts at;
    at.cells = cgc_round_up(LINES * sizeof(ptrdiff_t)); /* more than a window has */
    at.constants = at.cells + cgc_round_up(2 * CGC_FRINGE_CELLS * sizeof(int32_t));
    at.weights = at.constants + (windowed ? 0 : cgc_round_up((size_t)cgc_max(reach, 1) * size));
    at.window = at.weights + cgc_round_up(WEIGHTS * size);
    at.copy = at.window + cgc_round_up(windowed ? sizeof(cgc_window) : 0);
    at.end = at.copy + cgc_round_up(windowed ? CGC_WINDOW_ELEMENTS * size : 0);
    return at;
}

size_t cgc_stencil_workspace(const cgc_geometry *s, const cgc_kernels *kernels) {
    const cgc_correlation c = cgc_forward_correlation(s);
    return parts_of(&c, kernels).end;
}

/* How a pass is cut into tasks: image, block of rows, block of groups. */
typedef struct division {
    const cgc_run *run;
    cgc_correlation c;
    parts at;
    int direct, packed; /* whether the source is read where it stands; whether weights must be copied to be dense */
    int64_t row_limit;  /* rows at a time */
    int64_t rows, row_blocks, groups, group_blocks;
} division;

/* Rows i .. i+rows-1 of groups g .. of one image, as many as the kernel is told; what that is, stands in `stencil`. */
typedef struct part {
    const division *cut;
    cgc_image image;
    cgc_stencil stencil;
    char *local;
} part;

/* Runs the kernel over `groups` source planes from group g on; source and destination are those of the first. */
static void run_planes(part *p, int64_t g, int64_t groups, const void *source, char *destination) {
    const cgc_correlation *c = &p->cut->c;
    const cgc_kernels *kernels = p->cut->run->kernels;
    const ptrdiff_t size = c->source.size;
    const int64_t taps = c->ku * c->kv, most = p->cut->packed ? cgc_max(1, WEIGHTS / (c->m * taps)) : groups;
    for (int64_t done = 0, now; done < groups; done += now) {
        const char *weight = cgc_at(p->image.weight, (g + done) * c->w_group, size);
        now = cgc_min(most, groups - done);
        if (p->cut->packed) {
            char *to = p->local + p->cut->at.weights;
            for (int64_t f = 0; f < now * c->m * c->ku; f++, to = cgc_at(to, c->kv, size))
                kernels->gather(to, cgc_at(weight, f / c->ku * c->w_m + f % c->ku * c->w_u, size), c->w_v, c->kv);
            weight = p->local + p->cut->at.weights;
        }
        p->stencil.planes = now;
        p->stencil.x = cgc_at(source, done * p->stencil.x_plane, size);
        p->stencil.w = weight;
        p->stencil.bias = p->image.bias ? cgc_at(p->image.bias, (g + done) * c->m, size) : NULL;
        p->stencil.y = cgc_at(destination, done * c->d_group, size);
        kernels->stencil(&p->stencil);
    }
}

/* Rows i .. i+rows-1 of groups g0 .. g1-1, from the source. */
static void run_direct(part *p, int64_t i, int64_t rows, int64_t g0, int64_t g1) {
    const cgc_correlation *c = &p->cut->c;
    const cgc_kernels *kernels = p->cut->run->kernels;
    const ptrdiff_t size = c->source.size;
    const int lanes = lanes_for(kernels, c, c->source.w);
    ptrdiff_t *lines = (ptrdiff_t *)p->local;
    char *constants = p->local + p->cut->at.constants;
    const int64_t count = (rows - 1) * c->r_i + (c->ku - 1) * c->r_u + 1;
    for (int64_t j = 0; j < c->cols; j += SPAN) {
        const cgc_span span = cgc_span_of(c, j, cgc_min(SPAN, c->cols - j), lanes);
        int constant = 0;
        for (int64_t line = 0; line < count; line++) {
            const int64_t row = cgc_pad_source(c->source.mode, c->r0 + i * c->r_i + line, c->source.h);
            constant |= row < 0;
            lines[line] = row < 0 ? CGC_CONSTANT_LINE : (ptrdiff_t)(row * c->source.row + span.base);
        }
        if (constant) kernels->fill(constants, c->source.value, cgc_span_reach(c, &span, lanes));
        p->stencil.constant_line = constants;
        p->stencil.x_plane = c->s_group;
        cgc_fringe_open(&p->stencil, c, &span, lanes, (int32_t *)(p->local + p->cut->at.cells));
        run_planes(p, g0, g1 - g0, cgc_at(p->image.source, g0 * c->s_group, size),
                   cgc_at(p->image.destination, g0 * c->d_group + i * c->d_row + j, size));
    }
}

/* The same through a window, plane by plane. */
static void run_windowed(part *p, int64_t i, int64_t rows, int64_t g0, int64_t g1) {
    const cgc_correlation *c = &p->cut->c;
    const cgc_kernels *kernels = p->cut->run->kernels;
    const ptrdiff_t size = c->source.size;
    ptrdiff_t *lines = (ptrdiff_t *)p->local;
    char *cells = p->local + p->cut->at.copy;
    cgc_window *window = (cgc_window *)(p->local + p->cut->at.window);
    cgc_window_open(window, kernels, c, i, rows, cells);
    for (int64_t line = 0; line < window->lines; line++) lines[line] = (ptrdiff_t)line * window->pitch;

    /* To the kernel the window is a source without padding. */
    cgc_correlation inner = *c;
    inner.c0 = 0;
    inner.source.w = window->width;
    inner.source.col = 1;
    const int lanes = lanes_for(kernels, &inner, window->width);
    const cgc_span span = {c->cols, 0, 0};
    cgc_fringe_open(&p->stencil, &inner, &span, lanes, (int32_t *)(p->local + p->cut->at.cells));
    for (int64_t g = g0; g < g1; g++) {
        cgc_window_fill(window, kernels, cgc_at(p->image.source, g * c->s_group, size), cells);
        run_planes(p, g, 1, cells, cgc_at(p->image.destination, g * c->d_group + i * c->d_row, size));
    }
}

static void run_task(void *context, int64_t task, int thread) {
    const division *cut = context;
    const cgc_run *run = cut->run;
    const cgc_correlation *c = &cut->c;
    const int64_t block = task / cut->group_blocks % cut->row_blocks;
    const int64_t g0 = task % cut->group_blocks * cut->groups, g1 = cgc_min(g0 + cut->groups, run->geometry->g);
    const int64_t i1 = cgc_min((block + 1) * cut->rows, c->rows);
    part p = {
        .cut = cut,
        .image = cgc_image_at(run, task / cut->group_blocks / cut->row_blocks),
        .local = run->local + (size_t)thread * run->local_size,
        .stencil = {
            .filters = c->m, .kh = c->ku, .kw = c->kv,
            .step = c->c_j, .dilation_h = c->r_u, .dilation_w = c->c_v,
            .lines = (const ptrdiff_t *)(run->local + (size_t)thread * run->local_size),
            .constant = c->source.value,
            .y_plane = c->d_m, .y_pitch = c->d_row, .lo = c->lo, .hi = c->hi,
        },
    };
    for (int64_t i = block * cut->rows; i < i1; i += cut->row_limit) {
        p.stencil.rows = cgc_min(cut->row_limit, i1 - i);
        (cut->direct ? run_direct : run_windowed)(&p, i, p.stencil.rows, g0, g1);
    }
}

void cgc_stencil_run(const cgc_run *run) {
    const cgc_geometry *s = run->geometry;
    division cut = {.run = run, .c = cgc_forward_correlation(s)};
    const cgc_correlation *c = &cut.c;
    cut.at = parts_of(c, run->kernels);
    cut.direct = direct(run->kernels, c);
    cut.packed = packed(c);
    cut.row_limit = cut.direct ? (LINES - (c->ku - 1) * c->r_u - 1) / c->r_i + 1 : cgc_window_rows(c);
    if (cut.row_limit > TASK_ROWS) cut.row_limit -= cut.row_limit % TASK_ROWS;
    const double plane = (double)(c->rows * c->cols) * (double)c->m * (double)(c->ku * c->kv);
    const int64_t wanted = run->threads > 1 ? 4 * run->threads : 1; /* tasks, so that uneven ones even out */
    const int64_t planes = cgc_max(1, s->n * s->g);
    const int64_t shared = cgc_min(1 + (int64_t)(TASK_TERMS / plane), planes / wanted); /* groups of a task */
    cut.groups = run->threads == 1 ? s->g : cgc_max(1, cgc_min(s->g, shared));
    cut.group_blocks = cgc_ceil_div(s->g, cut.groups);
    cut.rows = cgc_ceil_div(cgc_ceil_div(c->rows, cgc_ceil_div(wanted, planes)), TASK_ROWS) * TASK_ROWS;
    cut.row_blocks = cgc_ceil_div(c->rows, cut.rows);
    cgc_parallel(run->threads, s->n * cut.row_blocks * cut.group_blocks, run_task, &cut);
}
