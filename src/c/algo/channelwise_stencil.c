/*
 * Channel-wise correlations whose output rows share source lines, by the stencil kernel: from the source where it
 * stands, or else through a window. With steps of 1 or 2; it must not know padding modes.
 */
#include <math.h>

#include "../platform/memory.h"
#include "../platform/threads.h"
#include "channelwise.h"
#include "fringe.h"
#include "stream.h"
#include "window.h"

enum {
    SPAN = 1024,         /* output columns at a time: what a line of constants must last for */
    LINES = 1024,        /* source lines at a time */
    WEIGHTS = 2048,      /* the most weights that are packed at a time, and so of one filter */
    LARGE_FILTER = 25,   /* cells */
    TASK_TERMS = 262144, /* multiply-adds of a task, about */
    TASK_ROWS = 14,      /* rows of a task are a multiple of this: whole tiles, and few lines read twice */
    PARTIAL = 8192,      /* partial sums at a time, where a chain goes on over source planes */
    AHEAD = 131072,      /* bytes of the next plane that are brought nearer, at most: they must stay until their turn */
    PHASES = 16,         /* correlations of a pass, at most */
};

/*
 * A correlation as the kernel and the windows have it: from one source plane, with taps that step down and to the
 * right. If turned, taps step up and to the left: then the kernel is told lines, and rows of outputs, from the last
 * one upwards, and that columns are mirrored.
 */
typedef struct view {
    cgc_correlation c;
    int64_t sources; /* planes over which each chain goes on */
    int turned;
} view;

static view view_of(const cgc_geometry *s, cgconv_pass pass, int64_t index) {
    view a = {cgc_correlation_at(s, pass, index), 1, 0};
    cgc_correlation *c = &a.c;
    a.sources = c->planes;
    a.turned = c->r_u < 0;
    c->planes = 1;
    if (!a.turned) return a;
    c->r0 += (c->ku - 1) * c->r_u, c->r_u = -c->r_u;
    c->c0 += (c->kv - 1) * c->c_v, c->c_v = -c->c_v;
    return a;
}

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
           cgc_fringe_serves(c, lanes_for(kernels, c, c->source.w), c->ku == c->kv && (c->ku == 3 || c->ku == 5));
}

/* Whether weights must be copied to be dense. */
static int packed(const cgc_correlation *c) { return c->w_v != 1 || c->w_u != c->kv; }

static int serves(const view *a, const cgc_kernels *kernels) {
    const cgc_correlation *c = &a->c;
    if (!steps_fit(c) || (packed(c) && (double)c->m * (double)(c->ku * c->kv) > WEIGHTS)) return 0;
    if (a->sources > 1 && c->cols > PARTIAL && !direct(kernels, c)) return 0;
    return c->ku == 0 || direct(kernels, c) || cgc_window_serves(c);
}

int cgc_stencil_serves(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass) {
    const int64_t count = cgc_correlation_count(s, pass);
    if (pass == CGCONV_BACKWARD_WEIGHT || s->kh * s->kw > WEIGHTS || count > PHASES) return 0;
    for (int64_t i = 0; i < count; i++) {
        const view a = view_of(s, pass, i);
        if (!serves(&a, kernels)) return 0;
    }
    return 1;
}

/*
 * The workspace: where lines begin, entries of the fringes, a line of constants, packed weights, partial sums or
 * outputs on their way to memory, the window and its cells.
 */
typedef struct parts {
    size_t cells, constants, weights, partial, window, copy, end;
} parts;

static parts parts_of(const view *a, const cgc_kernels *kernels) {
    const cgc_correlation *c = &a->c;
    const size_t size = (size_t)c->source.size;
    const int windowed = !direct(kernels, c);
    const cgc_span longest = {cgc_min(c->cols, SPAN), 0, cgc_max(c->c0, 0)};
    const int64_t reach = cgc_span_reach(c, &longest, kernels->stencil_lanes[0]);
    parts at;
    at.cells = cgc_round_up(LINES * sizeof(ptrdiff_t)); /* more than a window has */
    at.constants = at.cells + cgc_round_up(2 * CGC_FRINGE_CELLS * sizeof(int32_t));
    at.weights = at.constants + (windowed ? 0 : cgc_round_up((size_t)cgc_max(reach, 1) * size));
    at.partial = at.weights + cgc_round_up(WEIGHTS * size);
    at.window = at.partial + cgc_round_up(a->sources > 1 ? PARTIAL * size : kernels->stream ? CGC_STREAM_BYTES : 0);
    at.copy = at.window + cgc_round_up(windowed ? sizeof(cgc_window) : 0);
    at.end = at.copy + cgc_round_up(windowed ? CGC_WINDOW_ELEMENTS * size : 0);
    return at;
}

static size_t workspace(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass) {
    size_t most = 0;
    for (int64_t i = 0; i < cgc_correlation_count(s, pass); i++) {
        const view a = view_of(s, pass, i);
        const parts at = parts_of(&a, kernels);
        if (at.end > most) most = at.end;
    }
    return most;
}

/* How a pass is cut into tasks: image, correlation, block of rows, block of groups. */
typedef struct division {
    const cgc_run *run;
    int64_t correlations, rows, row_blocks, groups, group_blocks;
    int streams; /* see part */
    int far;     /* see stencil.h */
} division;

/* A task; what the kernel is told, as far as it is known, stands in `stencil`. */
typedef struct part {
    const cgc_kernels *kernels;
    view view;
    parts at;
    cgc_image image;
    cgc_stencil stencil;
    char *local;
    int streams; /* outputs go past the caches */
} part;

/*
 * Tells the kernel of so many source planes. Turned, from the last one on: memory is gone through in one direction
 * then, as rows go upwards too, which is what a machine foresees.
 */
static void tell_planes(part *p, int64_t planes, const void *x, const void *w, char *y) {
    const cgc_correlation *c = &p->view.c;
    const ptrdiff_t size = c->source.size;
    const int64_t last = p->view.turned ? planes - 1 : 0, last_filter = p->view.turned ? planes * c->m - 1 : 0;
    p->stencil.planes = planes;
    p->stencil.x = cgc_at(x, last * c->s_group, size);
    p->stencil.w = cgc_at(w, last_filter * c->ku * c->kv, size);
    p->stencil.y = cgc_at(y, last_filter * c->d_m, size);
}

/*
 * Runs the kernel over `groups` source planes from group g on, of whose chains these are the k-th; source and
 * destination are those of the first.
 */
static void run_planes(part *p, int64_t g, int64_t groups, int64_t k, const void *source, char *destination) {
    const cgc_correlation *c = &p->view.c;
    const ptrdiff_t size = c->source.size;
    const int copies = packed(c);
    const int64_t taps = c->ku * c->kv, most = copies ? cgc_max(1, WEIGHTS / (c->m * taps)) : groups;
    for (int64_t done = 0, now; done < groups; done += now) {
        const char *weight = cgc_at(p->image.weight, c->w0 + (g + done) * c->w_group + k * c->w_plane, size);
        now = cgc_min(most, groups - done);
        if (copies) {
            char *to = p->local + p->at.weights;
            for (int64_t f = 0; f < now * c->m * c->ku; f++, to = cgc_at(to, c->kv, size))
                p->kernels->gather(to, cgc_at(weight, f / c->ku * c->w_m + f % c->ku * c->w_u, size), c->w_v, c->kv);
            weight = p->local + p->at.weights;
        }
        tell_planes(p, now, cgc_at(source, done * c->s_group, size), weight,
                    cgc_at(destination, done * c->d_group, size));
        p->stencil.bias = p->image.bias ? cgc_at(p->image.bias, (g + done) * c->m, size) : NULL;
        if (p->streams)
            cgc_stream_planes(p->kernels, &p->stencil, size, p->local + p->at.partial);
        else
            p->kernels->stencil(&p->stencil);
    }
}

/*
 * The same over all planes of the chains of one group: each begins with the sums that the one before left. They go to
 * a place of their own and to the destination by turns, and so at last to the destination.
 */
static void run_chains(part *p, int64_t g, int64_t k, const void *source, char *destination) {
    const ptrdiff_t pitch = p->stencil.y_pitch;
    char *partial = p->local + p->at.partial;
    const int away = (p->view.sources - 1 - k) % 2 != 0;
    if (k > 0) p->stencil.from = away ? destination : partial;
    p->stencil.from_pitch = away ? pitch : (ptrdiff_t)p->stencil.cols;
    if (away) p->stencil.y_pitch = (ptrdiff_t)p->stencil.cols;
    run_planes(p, g, 1, k, source, away ? partial : destination);
    p->stencil.from = NULL;
    p->stencil.y_pitch = pitch;
}

/* The first row that the kernel writes, of rows i .. i+rows-1 of group g, from column j on. */
static char *destination(const part *p, int64_t g, int64_t i, int64_t rows, int64_t j) {
    const cgc_correlation *c = &p->view.c;
    return cgc_at(p->image.destination,
                  c->d0 + g * c->d_group + (p->view.turned ? i + rows - 1 : i) * c->d_row + j * c->d_col,
                  c->source.size);
}

/*
 * Where planes are cut into rows, those of the next plane do not follow these, of which `lines` begin at row `first`:
 * then the kernel is told where they are, unless much lies between them that is of no use.
 */
static void set_ahead(cgc_stencil *stencil, const cgc_correlation *c, int64_t first, int64_t lines) {
    const int64_t low = cgc_max(0, first), high = cgc_min(c->source.h, first + lines);
    const int64_t bytes = (high - low) * c->source.row * c->source.size;
    const int sparse = c->source.row > 2 * c->source.w || c->cols > SPAN, whole = high - low >= c->source.h;
    stencil->ahead = (ptrdiff_t)low * c->source.row;
    stencil->ahead_bytes = sparse || whole || bytes > AHEAD ? 0 : bytes;
}

/* Rows i .. i+rows-1 of groups g0 .. g1-1, from the source. */
static void run_direct(part *p, int64_t i, int64_t rows, int64_t g0, int64_t g1) {
    const cgc_correlation *c = &p->view.c;
    const cgc_kernels *kernels = p->kernels;
    const ptrdiff_t size = c->source.size;
    const int lanes = lanes_for(kernels, c, c->source.w);
    ptrdiff_t *lines = (ptrdiff_t *)p->local;
    char *constants = p->local + p->at.constants;
    const int64_t count = (rows - 1) * c->r_i + (c->ku - 1) * c->r_u + 1;
    for (int64_t j = 0; j < c->cols; j += SPAN) {
        const cgc_span span = cgc_span_of(c, j, cgc_min(SPAN, c->cols - j), lanes);
        int constant = 0;
        for (int64_t line = 0; line < count; line++) {
            const int64_t row = cgc_pad_source(c->source.mode, c->r0 + i * c->r_i + line, c->source.h);
            constant |= row < 0;
            lines[p->view.turned ? count - 1 - line : line] =
                row < 0 ? CGC_CONSTANT_LINE : (ptrdiff_t)(row * c->source.row + span.base);
        }
        if (constant) kernels->fill(constants, c->source.value, cgc_span_reach(c, &span, lanes));
        p->stencil.constant_line = constants;
        set_ahead(&p->stencil, c, c->r0 + i * c->r_i, count);
        cgc_fringe_open(&p->stencil, c, &span, lanes, (int32_t *)(p->local + p->at.cells));
        if (p->view.sources == 1) {
            run_planes(p, g0, g1 - g0, 0, cgc_at(p->image.source, g0 * c->s_group, size),
                       destination(p, g0, i, rows, j));
            continue;
        }
        for (int64_t done = 0; done < g1 - g0; done++) {
            const int64_t g = p->view.turned ? g1 - 1 - done : g0 + done;
            for (int64_t k = 0; k < p->view.sources; k++)
                run_chains(p, g, k, cgc_at(p->image.source, g * c->s_group + k * c->s_plane, size),
                           destination(p, g, i, rows, j));
        }
    }
}

/* The same through a window, plane by plane. */
static void run_windowed(part *p, int64_t i, int64_t rows, int64_t g0, int64_t g1) {
    const cgc_correlation *c = &p->view.c;
    const cgc_kernels *kernels = p->kernels;
    const ptrdiff_t size = c->source.size;
    ptrdiff_t *lines = (ptrdiff_t *)p->local;
    char *cells = p->local + p->at.copy;
    cgc_window *window = (cgc_window *)(p->local + p->at.window);
    cgc_window_open(window, kernels, c, i, rows, cells);
    for (int64_t line = 0; line < window->lines; line++)
        lines[p->view.turned ? window->lines - 1 - line : line] = (ptrdiff_t)line * window->pitch;

    /* To the kernel the window is a source without padding. */
    cgc_correlation inner = *c;
    inner.c0 = 0;
    inner.source.w = window->width;
    inner.source.col = 1;
    const int lanes = lanes_for(kernels, &inner, window->width);
    const cgc_span span = {c->cols, 0, 0};
    cgc_fringe_open(&p->stencil, &inner, &span, lanes, (int32_t *)(p->local + p->at.cells));
    for (int64_t g = g0; g < g1; g++)
        for (int64_t k = 0; k < p->view.sources; k++) {
            cgc_window_fill(window, kernels, cgc_at(p->image.source, g * c->s_group + k * c->s_plane, size), cells);
            run_chains(p, g, k, cells, destination(p, g, i, rows, 0));
        }
}

/* The same of chains without terms. */
static void run_empty(part *p, int64_t i, int64_t rows, int64_t g0, int64_t g1) {
    for (int64_t g = g0; g < g1; g++)
        for (int64_t r = i; r < i + rows; r++) p->kernels->fill(destination(p, g, r, 1, 0), 0, p->view.c.cols);
}

/* Columns at a time. */
static int64_t col_limit(const cgc_correlation *c, int in_place) { return in_place ? cgc_min(c->cols, SPAN) : c->cols; }

/* Rows of all filters of a plane that are streamed at a time. */
static int64_t streamed_rows(const cgc_correlation *c, int in_place) {
    return CGC_STREAM_BYTES / (col_limit(c, in_place) * c->m * c->source.size) / TASK_ROWS * TASK_ROWS;
}

/* Rows at a time. */
static int64_t row_limit(const view *a, int in_place) {
    const cgc_correlation *c = &a->c;
    int64_t limit = in_place ? (LINES - (c->ku - 1) * c->r_u - 1) / c->r_i + 1 : cgc_window_rows(c);
    if (a->sources > 1) limit = cgc_min(limit, cgc_max(1, PARTIAL / cgc_max(1, col_limit(c, in_place))));
    return limit > TASK_ROWS ? limit - limit % TASK_ROWS : limit;
}

static void run_task(void *context, int64_t task, int thread) {
    const division *cut = context;
    const cgc_run *run = cut->run;
    const int64_t g0 = task % cut->group_blocks * cut->groups, g1 = cgc_min(g0 + cut->groups, run->geometry->g);
    task /= cut->group_blocks;
    const int64_t i0 = task % cut->row_blocks * cut->rows;
    task /= cut->row_blocks;
    part p = {
        .kernels = run->kernels,
        .view = view_of(run->geometry, run->pass, task % cut->correlations),
        .image = cgc_image_at(run, task / cut->correlations),
        .local = run->local + (size_t)thread * run->local_size,
    };
    const cgc_correlation *c = &p.view.c;
    const int in_place = c->ku == 0 || direct(run->kernels, c); /* without terms no window is needed, nor exists */
    const ptrdiff_t sign = p.view.turned ? -1 : 1;
    p.at = parts_of(&p.view, run->kernels);
    p.streams = cut->streams;
    p.stencil = (cgc_stencil){
        .filters = c->m, .kh = c->ku, .kw = c->kv,
        .step = c->c_j, .dilation_h = c->r_u, .dilation_w = c->c_v, .mirrored = p.view.turned,
        .lines = (const ptrdiff_t *)p.local,
        .constant = c->source.value, .far = cut->far,
        .x_plane = sign * c->s_group, .w_filter = sign * c->ku * c->kv, .y_plane = sign * c->d_m,
        .y_pitch = sign * c->d_row, .lo = c->lo, .hi = c->hi,
    };
    const int64_t i1 = cgc_min(i0 + cut->rows, c->rows), limit = row_limit(&p.view, in_place);
    const int64_t most = p.streams ? cgc_min(limit, streamed_rows(c, in_place)) : limit;
    for (int64_t i = i0; i < i1; i += most) {
        p.stencil.rows = cgc_min(most, i1 - i);
        (c->ku == 0 ? run_empty : in_place ? run_direct : run_windowed)(&p, i, p.stencil.rows, g0, g1);
    }
}

/* Whether the pass is one of which rows can be streamed, from one source plane to its own, and it pays. */
static int streams(const cgc_run *run) {
    const cgc_geometry *s = run->geometry;
    const view a = view_of(s, run->pass, 0);
    const double plane = (double)a.c.rows * (double)a.c.cols, planes = (double)s->n * (double)s->g * (double)a.c.m;
    return run->kernels->stream && cgc_correlation_count(s, run->pass) == 1 && a.sources == 1 && a.c.ku > 0 &&
           a.c.c_j == 1 && streamed_rows(&a.c, direct(run->kernels, &a.c)) > 0 &&
           cgc_stream_pays(planes, plane, (double)(a.c.ku * a.c.kv), a.turned, (double)s->size);
}

static void run_stencil(const cgc_run *run) {
    const cgc_geometry *s = run->geometry;
    division cut = {.run = run, .correlations = cgc_correlation_count(s, run->pass)};
    const int64_t rows = cgc_correlation_rows(s, run->pass);
    if (cgc_correlation_cells(s, run->pass) == 0) return;
    const double plane =
        (double)cgc_correlation_cells(s, run->pass) * (double)s->f * (double)(s->kh * s->kw) / (double)cut.correlations;
    const int64_t wanted = run->threads > 1 ? 4 * run->threads : 1; /* tasks, so that uneven ones even out */
    const int64_t planes = cgc_max(1, s->n * s->g * cut.correlations);
    const int64_t shared = cgc_min(1 + (int64_t)(TASK_TERMS / plane), planes / wanted); /* groups of a task */
    cut.groups = run->threads == 1 ? s->g : cgc_max(1, cgc_min(s->g, shared));
    cut.group_blocks = cgc_ceil_div(s->g, cut.groups);
    cut.rows = cgc_ceil_div(cgc_ceil_div(rows, cgc_ceil_div(wanted, planes)), TASK_ROWS) * TASK_ROWS;
    cut.row_blocks = cgc_ceil_div(rows, cut.rows);
    cut.streams = streams(run);
    cut.far = cgc_is_far(s);
    cgc_parallel(run->threads, s->n * cut.correlations * cut.row_blocks * cut.group_blocks, run_task, &cut);
}

const cgc_way cgc_stencils = {cgc_stencil_serves, workspace, run_stencil};
