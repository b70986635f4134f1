/*
 * Channel-wise correlations of planes by way of pixels: a vector of channels is turned to channels last, correlated
 * with vectors over channels, which no width of a plane leaves half empty, and turned back. It must not know the
 * pass.
 */
#include "../platform/memory.h"
#include "../platform/threads.h"
#include "channelwise.h"
#include "fringe.h"
#include "pixels_part.h"

enum {
    PLANE_BYTES = 262144, /* of turned planes, so that source and destination stay in a near cache */
    TASKS = 4,            /* vectors of channels, at least, for threads to share */
    TURN = 24,            /* multiply-adds that take as long as turning a vector in and one out; */
    START = 800,          /* as beginning a task; */
    ENDS = 2,             /* as the ends of a vector of a stencil whose filter has a kernel; */
    PAIRS = 9,            /* at step 2; */
    LOOPS = 30,           /* whose filter has none */
    LOW = 7,              /* rows that a stencil takes at a time; fewer one by one */
};

/* Taps of output rows that meet more than padding with zeros, which takes next to no time, of all. */
static double met(const cgc_correlation *c) {
    const cgc_plane *plane = &c->source;
    int64_t rows = 0;
    if (plane->mode != CGCONV_PAD_CONSTANT || plane->value != 0) return 1;
    for (int64_t u = 0; u < c->ku; u++) {
        const int64_t first = c->r0 + u * c->r_u; /* source row of output row 0; they are r_i apart */
        const int64_t from = first < 0 ? cgc_ceil_div(-first, c->r_i) : 0;
        const int64_t to = first < plane->h ? cgc_ceil_div(plane->h - first, c->r_i) : 0;
        rows += cgc_max(0, cgc_min(to, c->rows) - from);
    }
    return (double)rows / (double)cgc_max(1, c->rows * c->ku);
}

/* How long an output row takes here, in vectors of multiply-adds, as measured with AVX-512. */
static double cost(const cgc_correlation *c, int64_t width) {
    return ((double)c->cols * (met(c) * (double)(c->ku * c->kv) + TURN) + (double)START / (double)cgc_max(1, c->rows)) /
           (double)width;
}

/*
 * And by the stencil. Rows shorter than half a vector have shorter vectors, which take more than their share; and those
 * that it cannot read where they stand are copied first.
 */
static double stencil_cost(cgc_correlation c, int64_t width) {
    const int64_t side = c.ku == c.kv ? c.ku : 0;
    const int dense = c.c_v == 1 || c.c_v == -1;
    const int known = (side == 3 && (dense || c.cols > width)) || (dense && (side == 5 || (side == 7 && c.c_j == 1)));
    double vectors = 2 * c.cols <= width ? .75 : (double)cgc_ceil_div(c.cols, width);
    if (c.rows < LOW) vectors *= 1.7;
    if (c.c_v < 0) c.c0 += (c.kv - 1) * c.c_v, c.c_v = -c.c_v;
    if (c.cols > width && !cgc_fringe_serves(&c, (int)width, known)) vectors *= 2;
    return vectors * (1.1 * (double)(c.ku * c.kv) + (!known ? LOOPS : c.c_j == 1 ? ENDS : PAIRS));
}

static int64_t bytes_of(int64_t cells, const cgc_geometry *s, const cgc_kernels *kernels) {
    return cells * kernels->width * s->size;
}

static int serves(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass) {
    const int64_t width = kernels->width;
    if (s->f > 1 || s->xw != 1 || s->yw != 1 || width == 1 || s->g < width || s->n * s->g < TASKS * width ||
        bytes_of(s->h * s->w, s, kernels) > PLANE_BYTES || bytes_of(s->oh * s->ow, s, kernels) > PLANE_BYTES ||
        cgc_correlation_count(s, pass) != 1)
        return 0;
    const cgc_correlation c = cgc_correlation_at(s, pass, 0);
    return !cgc_stencil_serves(s, kernels, pass) || 1.05 * cost(&c, width) < stencil_cost(c, width);
}

/* A thread's workspace: the part's first, then both turned planes. */
typedef struct room {
    cgc_pixels_room part;
    size_t source, destination, end;
} room;

static room room_of(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass) {
    const cgc_correlation c = cgc_correlation_at(s, pass, 0);
    room at = {.part = cgc_pixels_room_of(s, kernels->width, 1 + s->kh * s->kw, 0)};
    at.source = at.part.end;
    at.destination = at.source + cgc_round_up((size_t)bytes_of(c.source.h * c.source.w, s, kernels));
    at.end = at.destination + cgc_round_up((size_t)bytes_of(c.rows * c.cols, s, kernels));
    return at;
}

static size_t workspace(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass) {
    return room_of(s, kernels, pass).end;
}

/* Planes of a vector of channels from `from` on, to pixels. */
static void turn(const cgc_kernels *kernels, const cgc_plane *plane, ptrdiff_t apart, const char *from, char *to) {
    const int64_t width = kernels->width;
    if (plane->row == plane->w) {
        kernels->transpose(width, plane->h * plane->w, from, apart, to, width);
        return;
    }
    for (int64_t i = 0; i < plane->h; i++)
        kernels->transpose(width, plane->w, cgc_at(from, i * plane->row, plane->size), apart,
                           cgc_at(to, i * plane->w * width, plane->size), width);
}

/* And back: the last `channels` of them, to where those of a run lie. */
static void turn_back(const cgc_kernels *kernels, const cgc_correlation *c, int64_t channels, const char *from,
                      char *to) {
    const int64_t width = kernels->width;
    const ptrdiff_t size = c->source.size;
    from = cgc_at(from, width - channels, size);
    if (c->d_row == c->cols) {
        kernels->transpose(c->rows * c->cols, channels, from, width, to, c->d_group);
        return;
    }
    for (int64_t i = 0; i < c->rows; i++)
        kernels->transpose(c->cols, channels, cgc_at(from, i * c->cols * width, size), width,
                           cgc_at(to, i * c->d_row, size), c->d_group);
}

/* A task is a vector of channels of an image. The last one begins early, and leaves out what others have written. */
static void run_task(void *context, int64_t task, int thread) {
    const cgc_run *run = context;
    const cgc_geometry *s = run->geometry;
    const int64_t width = run->kernels->width, blocks = cgc_ceil_div(s->g, width);
    const int64_t o = cgc_min(task % blocks * width, s->g - width), channels = width - (task % blocks * width - o);
    const room at = room_of(s, run->kernels, run->pass);
    const cgc_correlation c = cgc_correlation_at(s, run->pass, 0);
    const cgc_image image = cgc_image_at(run, task / blocks);
    cgc_pixels_part p = {.kernels = run->kernels, .c = c, .image = image, .at = at.part, .good = CGC_POINTERS};
    p.workspace = run->local + (size_t)thread * run->local_size;
    char *source = p.workspace + at.source, *destination = p.workspace + at.destination;
    turn(run->kernels, &c.source, c.s_group, cgc_at(image.source, o * c.s_group, s->size), source);
    p.image.source = source;
    p.image.destination = destination;
    p.c.s_group = 0;
    p.c.source.row = c.source.w * width, p.c.source.col = width;
    p.c.d0 = -o, p.c.d_row = c.cols * width, p.c.d_col = width;
    cgc_pixels_part_open(&p, width);
    cgc_pixels_part_run(&p, o, width, 0, 0, c.rows);
    turn_back(run->kernels, &c, channels, destination,
              cgc_at(image.destination, c.d0 + (o + width - channels) * c.d_group, s->size));
}

static void run_turned(const cgc_run *run) {
    const cgc_geometry *s = run->geometry;
    cgc_parallel(run->threads, s->n * cgc_ceil_div(s->g, run->kernels->width), run_task, (void *)run);
}

const cgc_way cgc_turned = {serves, workspace, run_turned};
