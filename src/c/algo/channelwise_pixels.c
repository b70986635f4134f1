/*
 * Channel-wise correlations with vectors over channels, through a table of pointers to source pixels. It must not
 * know the pass.
 */
#include "../platform/threads.h"
#include "channelwise.h"
#include "pixels_part.h"

enum {
    WEIGHTS = 8192,           /* packed numbers of a block of channels, about: they stay in the nearest cache */
    CHANNELS = 1024,          /* of a block, at most */
    CONFLICT = 2048,          /* bytes from pixel to pixel with which they compete for places in caches */
    COPIED_WELL = 640,        /* the same, where a row does not need more: they stay in a near cache */
    TASK_ROWS = 8,            /* rows of a task, at least */
    FAR_PIXEL = 256,          /* bytes of a pixel; smaller ones in little work come in an order that is foreseen */
};

/*
 * Whether pixels may be copied before they are read: so that each output channel finds its source channels; and
 * where all pixels compete for the same few places in caches.
 */
static int may_copy(const cgc_geometry *s, cgconv_pass pass) {
    const ptrdiff_t apart = (pass == CGCONV_FORWARD ? s->xw : s->yw) * s->size;
    return s->f > 1 || (apart != 0 && apart % CONFLICT == 0);
}

/* Numbers of an output channel: its bias and its weights. */
static int64_t terms_of(const cgc_geometry *s, cgconv_pass pass) {
    return 1 + (pass == CGCONV_FORWARD ? 1 : s->f) * s->kh * s->kw;
}

/* Output channels of a block: whole vectors, but for the last block. */
static int64_t channels_of(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass, int copies) {
    const int64_t vectors = cgc_max(1, WEIGHTS / (terms_of(s, pass) * kernels->width));
    return cgc_min(copies ? CGC_COPIED_BYTES / s->size : CHANNELS, vectors * kernels->width);
}

static cgc_pixels_room room_of(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass) {
    return cgc_pixels_room_of(s, channels_of(s, kernels, pass, 0), terms_of(s, pass), may_copy(s, pass));
}

/* Channels are neighbours and pixels are not; what has to be copied plane by plane has vectors to fill. */
static int serves(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass) {
    if (pass == CGCONV_BACKWARD_INPUT && s->f > 1 && s->g < kernels->width) return 0;
    return s->xc == 1 && s->yc == 1 && (s->xw != 1 || s->yw != 1);
}

static size_t workspace(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass) {
    return room_of(s, kernels, pass).end;
}

/* How a pass is cut into tasks: image, correlation, block of rows, block of channels. */
typedef struct division {
    const cgc_run *run;
    int64_t correlations, rows, row_blocks, channels, channel_blocks;
} division;

/*
 * A filter of one column has the same terms with rows and columns exchanged, and then outputs that share pixels are
 * neighbours in the table.
 */
static int exchanges(const cgc_geometry *s) { return s->kw == 1 && s->kh > 1; }

static cgc_correlation exchanged(cgc_correlation c) {
    const cgc_correlation a = c;
    c.rows = a.cols, c.cols = a.rows, c.ku = a.kv, c.kv = a.ku;
    c.r0 = a.c0, c.r_i = a.c_j, c.r_u = a.c_v, c.c0 = a.r0, c.c_j = a.r_i, c.c_v = a.r_u;
    c.source.h = a.source.w, c.source.w = a.source.h, c.source.row = a.source.col, c.source.col = a.source.row;
    c.w_u = a.w_v, c.w_v = a.w_u, c.d_row = a.d_col, c.d_col = a.d_row;
    return c;
}

/* How far an address lies behind the one where a vector would not cross cache lines, in elements. */
static int64_t behind(const cgc_pixels_part *p, const char *address) {
    const ptrdiff_t bytes = p->kernels->width * p->c.source.size;
    return (int64_t)((uintptr_t)address % (uintptr_t)bytes) / p->c.source.size;
}

/*
 * How far to shift vectors so that they do not cross cache lines where they are read (or written, if they are read
 * from a copy): where all pixels are alike in this, and channels many enough for the vector more that it may take.
 */
static int64_t shift_of(const cgc_pixels_part *p, int64_t o) {
    const cgc_correlation *c = &p->c;
    const ptrdiff_t row = p->copies ? c->d_row : c->source.row, col = p->copies ? c->d_col : c->source.col;
    const int64_t width = p->kernels->width, enough = c->c_j > 1 ? 4 : c->kv > 5 ? 32 : 8; /* vectors, measured */
    if (row % width || col % width || c->d_col < enough * width || c->m > 1) return 0;
    return behind(p, p->copies ? cgc_at(p->image.destination, c->d0 + o, c->source.size)
                               : cgc_at(p->image.source, o, c->source.size));
}

/* Whether to copy: where pixels compete, it pays if they do so in the worst way or cannot all lie well. */
static int wants_copy(const cgc_pixels_part *p) {
    const ptrdiff_t apart = p->c.source.col * p->c.source.size;
    return p->c.m > 1 || p->c.planes > 1 || apart % (2 * CONFLICT) == 0 ||
           behind(p, p->image.source) != behind(p, cgc_at(p->image.destination, p->c.d0, p->c.source.size));
}

static void run_task(void *context, int64_t task, int thread) {
    const division *cut = context;
    const cgc_run *run = cut->run;
    const cgc_geometry *s = run->geometry;
    const int64_t o0 = task % cut->channel_blocks * cut->channels;
    task /= cut->channel_blocks;
    const int64_t i0 = task % cut->row_blocks * cut->rows;
    task /= cut->row_blocks;
    cgc_pixels_part p = {.kernels = run->kernels, .at = room_of(s, run->kernels, run->pass)};
    p.workspace = run->local + (size_t)thread * run->local_size;
    p.c = cgc_correlation_at(s, run->pass, task % cut->correlations);
    if (exchanges(s)) p.c = exchanged(p.c);
    p.image = cgc_image_at(run, task / cut->correlations);
    p.copies = may_copy(s, run->pass) && wants_copy(&p);
    p.far = cgc_is_far(s) && (s->oc * s->size >= FAR_PIXEL || s->kw > 3 || s->sw > 1);
    p.good = p.c.planes > 1 ? CGC_COPIED : p.copies ? COPIED_WELL : CGC_POINTERS;
    const int64_t i1 = cgc_min(i0 + cut->rows, p.c.rows), most = channels_of(s, run->kernels, run->pass, p.copies);
    const int64_t o1 = cgc_min(o0 + cut->channels, s->g * p.c.m);
    cgc_pixels_part_open(&p, most);
    for (int64_t o = o0, channels; o < o1 && i0 < i1; o += channels) {
        const int64_t two = 2 * p.kernels->width; /* so that what a shift leaves is a vector */
        const int64_t shift = most >= two && o1 - o >= two ? shift_of(&p, o) : 0;
        channels = cgc_min(most - shift, o1 - o);
        cgc_pixels_part_run(&p, o, channels, shift, i0, i1);
    }
}

static void run_pixels(const cgc_run *run) {
    const cgc_geometry *s = run->geometry;
    division cut = {.run = run, .correlations = cgc_correlation_count(s, run->pass)};
    const int64_t width = run->kernels->width;
    const int64_t high = cgc_correlation_rows(s, run->pass), cells = cgc_correlation_cells(s, run->pass);
    const int64_t rows = exchanges(s) && high ? cells / high : high;
    const int64_t wanted = run->threads > 1 ? 4 * run->threads : 1; /* tasks, so that uneven ones even out */
    const int64_t images = cgc_max(1, s->n * cut.correlations);
    /* Blocks of rows first: they read each source line once, but for those that they share. */
    int64_t blocks = cgc_ceil_div(wanted, images);
    cut.rows = cgc_max(1, cgc_min(rows, cgc_max(TASK_ROWS, cgc_ceil_div(rows, blocks))));
    cut.row_blocks = cgc_ceil_div(rows, cut.rows);
    blocks = cgc_ceil_div(blocks, cgc_max(1, cut.row_blocks));
    const int64_t outputs = s->g * (run->pass == CGCONV_FORWARD ? s->f : 1);
    cut.channels = cgc_ceil_div(cgc_ceil_div(outputs, width), blocks) * width;
    cut.channel_blocks = cgc_ceil_div(outputs, cut.channels);
    cgc_parallel(run->threads, s->n * cut.correlations * cut.row_blocks * cut.channel_blocks, run_task, &cut);
}

const cgc_way cgc_over_channels = {serves, workspace, run_pixels};
