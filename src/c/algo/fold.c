/* The adjoint of padding, see fold.h: the choice, and folding padded planes. */
#include "fold.h"

#include "../platform/memory.h"
#include "../platform/threads.h"
#include "padding.h"

enum {
    PADDED_BYTES = 262144, /* of padded planes that are held */
    MOST_SPANS = 32,
    CHANNELS = 16, /* of planes that are folded in one task, */
    NEIGHBOURS = 128, /* and where channels are neighbours */
};

static int needed(const cgc_geometry *s) {
    return s->mode != CGCONV_PAD_CONSTANT && (s->pt || s->pb || s->pl || s->pr);
}

/* Columns col .. col+length-1 of the padded plane, all inside or all outside; they are copies of to, to + step ... */
typedef struct span {
    int64_t col, length, to, step;
} span;

/* The spans of a padded row from left to right; 0 if there are more than MOST_SPANS. Goes over every padding cell. */
static int spans_of(const cgc_geometry *s, span *spans) {
    int count = 0;
    for (int64_t col = -s->pl; col < s->w + s->pr; col += spans[count++].length) {
        if (count == MOST_SPANS) return 0;
        span *e = &spans[count];
        *e = (span){col, 1, cgc_pad_source(s->mode, col, s->w), 0};
        if (col == 0) e->length = s->w, e->step = 1;
        for (; col != 0 && col + e->length != 0 && col + e->length < s->w + s->pr; e->length++) {
            const int64_t next = cgc_pad_source(s->mode, col + e->length, s->w);
            if (e->length == 1) e->step = next - e->to;
            if (next != e->to + e->length * e->step) break;
        }
    }
    return count;
}

/* Rows row0 .. row1-1, columns col0 .. col1-1 of the padded plane; cell (0, 0) is the first that is no padding. */
typedef struct rect {
    int64_t row0, row1, col0, col1;
} rect;

/*
 * What is computed for folding. `whole`: the padded planes at once. Else the gradient is computed in dx itself, and
 * the padding above, left, right and below one after the other, in the order in which it is added to a cell.
 */
typedef struct parts {
    int whole, count;
    rect part[4];
    int64_t images, groups; /* a block: all groups of some images, or some groups of one; 0: cell by cell */
    int64_t size;           /* bytes of memory for the part of a block; the same for all large images */
} parts;

/* The problem whose input is a part of the padded planes of a block, dense, in the order of dx. */
static cgc_geometry problem_of(const cgc_geometry *s, const rect *r, int64_t images, int64_t groups) {
    cgc_geometry m = *s;
    m.n = images, m.g = groups, m.c = groups * s->cg, m.oc = groups * s->f;
    m.h = r->row1 - r->row0, m.w = r->col1 - r->col0;
    m.pt = s->pt + r->row0, m.pb = s->h + s->pb - r->row1;
    m.pl = s->pl + r->col0, m.pr = s->w + s->pr - r->col1;
    m.mode = CGCONV_PAD_CONSTANT, m.value = 0;
    m.xn = (ptrdiff_t)(m.c * m.h * m.w);
    m.xc = s->xw == 1 ? (ptrdiff_t)(m.h * m.w) : 1;
    m.xw = s->xw == 1 ? 1 : (ptrdiff_t)m.c;
    m.xh = (ptrdiff_t)m.w * m.xw;
    return m;
}

static parts parts_of(const cgc_geometry *s, const cgc_unfolded *unfolded) {
    const double high = (double)(s->pt + s->h + s->pb), wide = (double)(s->pl + s->w + s->pr);
    const int64_t right = s->w + s->pr, below = s->h + s->pb;
    const rect all = {-s->pt, below, -s->pl, right};
    const rect ring[] = {{-s->pt, 0, -s->pl, right}, {0, s->h, -s->pl, 0}, {0, s->h, s->w, right},
                         {s->h, below, -s->pl, right}};
    span spans[MOST_SPANS];
    parts p = {.whole = high * wide <= (double)unfolded->whole &&
                        high * wide * (double)(s->cg * s->size) <= PADDED_BYTES};
    const double total = (double)s->n * (double)s->c * high * wide * (double)s->size;
    double most = 0;
    if (s->n < 1 || s->h < 1 || s->w < 1 || total > (double)(PTRDIFF_MAX / 2) || !(p.whole || unfolded->parts) ||
        (s->xw != 1 && s->xc != 1))
        return p;
    for (int i = 0; i < (p.whole ? 1 : 4); i++) {
        const rect r = p.whole ? all : ring[i];
        const double bytes = (double)(r.row1 - r.row0) * (double)(r.col1 - r.col0) * (double)(s->cg * s->size);
        if (r.row0 == r.row1 || r.col0 == r.col1) continue;
        if (bytes > PADDED_BYTES) return p;
        const cgc_geometry m = problem_of(s, &r, 1, s->g);
        if (unfolded->serves && !unfolded->serves(&m, CGCONV_BACKWARD_INPUT)) return p;
        p.part[p.count++] = r;
        most = bytes > most ? bytes : most;
    }
    if (!spans_of(s, spans)) return p;
    const int64_t fit = cgc_max(1, (int64_t)(PADDED_BYTES / most));
    p.groups = fit < s->g ? cgc_ceil_div(s->g, cgc_ceil_div(s->g, fit)) : s->g;
    p.images = fit < s->g ? 1 : cgc_min(s->n, fit / s->g);
    p.size = cgc_max((int64_t)most * p.images * p.groups, total < PADDED_BYTES ? (int64_t)total : PADDED_BYTES);
    p.size = (int64_t)cgc_round_up((size_t)p.size);
    return p;
}

static void widen(cgc_booking *booking, cgc_booking other) {
    if (other.shared > booking->shared) booking->shared = other.shared;
    if (other.per_thread > booking->per_thread) booking->per_thread = other.per_thread;
}

cgc_booking cgc_folded_book(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass, int threads,
                            const cgc_unfolded *unfolded) {
    if (pass != CGCONV_BACKWARD_INPUT || !needed(s)) return unfolded->book(s, kernels, pass, threads);
    const parts p = parts_of(s, unfolded);
    cgc_booking booking = {0, 0};
    if (p.images) {
        const int64_t images = s->n % p.images ? s->n % p.images : p.images; /* of the last block, and groups */
        const int64_t groups = s->g % p.groups ? s->g % p.groups : p.groups;
        for (int i = 0; i < p.count; i++) {
            const cgc_geometry first = problem_of(s, &p.part[i], p.images, p.groups);
            const cgc_geometry last = problem_of(s, &p.part[i], images, groups);
            widen(&booking, unfolded->book(&first, kernels, pass, threads));
            widen(&booking, unfolded->book(&last, kernels, pass, threads)); /* it may be cut otherwise */
        }
        booking.shared += (size_t)p.size;
        if (p.whole) return booking;
    } else {
        booking.per_thread = cgc_fold_cells_workspace(s, kernels);
    }
    widen(&booking, unfolded->book(s, kernels, pass, threads));
    return booking;
}

/* A part of a block, complete. */
typedef struct folding {
    const cgc_run *run;
    cgc_geometry problem;
    rect part;
    int whole;
    const char *planes;
    char *dx;
    span spans[MOST_SPANS];
    int count;
    int64_t channels; /* of a task */
} folding;

/* Adds a span of a row of the part, of `channels` channels, to row i of dx. */
static void add_span(const folding *f, const span *e, int64_t channels, const char *row, char *dx, int64_t i) {
    const cgc_geometry *s = f->run->geometry, *p = &f->problem;
    const char *from = cgc_at(row, (e->col - f->part.col0) * p->xw, s->size);
    char *to = cgc_at(dx, i * s->xh + e->to * s->xw, s->size);
    if (s->xw == 1)
        f->run->kernels->add_lines(channels, e->length, from, p->xc, to, s->xc, (ptrdiff_t)e->step);
    else
        f->run->kernels->add_lines(e->length, channels, from, p->xw, to, (ptrdiff_t)e->step * s->xw, 1);
}

/* Rows row0 .. row1-1 of padding above or below. */
static void fold_rows(const folding *f, int64_t row0, int64_t row1, int64_t channels, const char *planes, char *dx) {
    const cgc_geometry *s = f->run->geometry;
    for (int64_t row = row0; row < row1; row++)
        for (int e = 0; e < f->count; e++)
            add_span(f, &f->spans[e], channels, cgc_at(planes, (row - f->part.row0) * f->problem.xh, s->size), dx,
                     cgc_pad_source(s->mode, row, s->h));
}

/* The rows inside: their own cells are copied, the padding beside them is added. */
static void copy_rows(const folding *f, int64_t channels, const char *planes, char *dx) {
    const cgc_geometry *s = f->run->geometry, *p = &f->problem;
    const char *from = cgc_at(planes, -f->part.row0 * p->xh - f->part.col0 * p->xw, s->size);
    if (s->xw == 1)
        for (int64_t m = 0; m < channels; m++)
            f->run->kernels->lines(s->h, s->w, cgc_at(from, m * p->xc, s->size), p->xh, 1,
                                   cgc_at(dx, m * s->xc, s->size), s->xh, 0, 1, 0);
    else
        for (int64_t i = 0; i < s->h; i++)
            f->run->kernels->lines(s->w, channels, cgc_at(from, i * p->xh, s->size), p->xw, 1,
                                   cgc_at(dx, i * s->xh, s->size), s->xw, 0, 1, 0);
}

static void fold_sides(const folding *f, int64_t channels, const char *planes, char *dx) {
    const cgc_geometry *s = f->run->geometry, *p = &f->problem;
    for (int k = 0; k < f->count; k++) {
        const span *e = &f->spans[k];
        if (e->col == 0 || e->col < f->part.col0 || e->col >= f->part.col1) continue;
        if (s->xw != 1) {
            for (int64_t i = 0; i < s->h; i++)
                add_span(f, e, channels, cgc_at(planes, (i - f->part.row0) * p->xh, s->size), dx, i);
            continue;
        }
        const char *from = cgc_at(planes, e->col - f->part.col0 - f->part.row0 * p->xh, s->size);
        char *to = cgc_at(dx, e->to, s->size);
        for (int64_t m = 0; m < channels; m++)
            f->run->kernels->add_lines(s->h, e->length, cgc_at(from, m * p->xc, s->size), p->xh,
                                       cgc_at(to, m * s->xc, s->size), s->xh, (ptrdiff_t)e->step);
    }
}

/* Some channels of an image: a cell's own gradient comes first, then those of its copies in row-major order. */
static void fold_channels(void *context, int64_t task, int thread) {
    const folding *f = context;
    const cgc_geometry *s = f->run->geometry, *p = &f->problem;
    const int64_t tasks = cgc_ceil_div(p->c, f->channels), n = task / tasks, c = task % tasks * f->channels;
    const int64_t channels = cgc_min(f->channels, p->c - c);
    const char *planes = cgc_at(f->planes, n * p->xn + c * p->xc, s->size);
    char *dx = cgc_at(f->dx, n * s->xn + c * s->xc, s->size);
    (void)thread;
    if (f->whole) copy_rows(f, channels, planes, dx);
    fold_rows(f, f->part.row0, cgc_min(f->part.row1, 0), channels, planes, dx);
    if (f->part.row0 <= 0 && f->part.row1 > 0) fold_sides(f, channels, planes, dx);
    fold_rows(f, cgc_max(f->part.row0, s->h), f->part.row1, channels, planes, dx);
}

/* A part of images n .. n+images-1 and groups g .. g+groups-1. */
static void run_part(folding *f, const cgc_unfolded *unfolded, cgc_run *inner, int64_t n, int64_t images, int64_t g,
                     int64_t groups) {
    const cgc_geometry *s = f->run->geometry;
    f->problem = problem_of(s, &f->part, images, groups);
    inner->geometry = &f->problem;
    inner->y = cgc_at(f->run->y, n * s->yn + g * s->f * s->yc, s->size);
    inner->weight = cgc_at(f->run->weight, g * s->f * s->wo, s->size);
    unfolded->run(inner);
    f->dx = cgc_at(f->run->x, n * s->xn + g * s->cg * s->xc, s->size);
    cgc_parallel(f->run->threads, images * cgc_ceil_div(f->problem.c, f->channels), fold_channels, f);
}

void cgc_folded_run(const cgc_run *run, const cgc_unfolded *unfolded) {
    const cgc_geometry *s = run->geometry;
    if (run->pass != CGCONV_BACKWARD_INPUT || !needed(s)) {
        unfolded->run(run);
        return;
    }
    const parts p = parts_of(s, unfolded);
    if (!p.images || !p.whole) unfolded->run(run);
    if (!p.images) {
        cgc_fold_cells(run);
        return;
    }
    folding f = {.run = run, .whole = p.whole, .planes = run->shared,
                 .channels = s->xw == 1 ? CHANNELS : NEIGHBOURS};
    f.count = spans_of(s, f.spans);
    cgc_run inner = *run;
    inner.x = run->shared;
    inner.shared += p.size;
    for (int64_t n = 0; n < s->n; n += p.images)
        for (int64_t g = 0; g < s->g; g += p.groups)
            for (int i = 0; i < p.count; i++) {
                f.part = p.part[i];
                run_part(&f, unfolded, &inner, n, cgc_min(p.images, s->n - n), g, cgc_min(p.groups, s->g - g));
            }
}
