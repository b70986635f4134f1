/*
 * Channel-wise correlations with vectors over channels, through a table of pointers to source pixels. It must not
 * know the pass.
 */
#include "../platform/memory.h"
#include "../platform/threads.h"
#include "channelwise.h"
#include "panel.h"
#include "pointers.h"

enum {
    WEIGHTS = 8192,           /* packed numbers of a block of channels, about: they stay in the nearest cache */
    CHANNELS = 1024,          /* of a block, at most */
    COPIED_BYTES = 256,       /* of the channels of a block whose pixels are copied, at most */
    COPIED = CGC_PANEL_TERMS, /* pixels that are copied at a time, at most */
    CONFLICT = 2048,          /* bytes from pixel to pixel with which they compete for places in caches */
    COPIED_WELL = 640,        /* the same, where a row does not need more: they stay in a near cache */
    TASK_ROWS = 8,            /* rows of a task, at least */
};

/*
 * Whether pixels may be copied before they are read: so that each output channel finds its source channel; and where
 * all pixels compete for the same few places in caches.
 */
static int may_copy(const cgc_geometry *s, cgconv_pass pass) {
    const ptrdiff_t apart = (pass == CGCONV_FORWARD ? s->xw : s->yw) * s->size;
    return s->f > 1 || (apart != 0 && apart % CONFLICT == 0);
}

/* Output channels of a block: whole vectors, but for the last block. */
static int64_t channels_of(const cgc_geometry *s, const cgc_kernels *kernels, int copies) {
    const int64_t terms = 1 + s->kh * s->kw;
    const int64_t vectors = cgc_max(1, WEIGHTS / (terms * kernels->width));
    return cgc_min(copies ? COPIED_BYTES / s->size : CHANNELS, vectors * kernels->width);
}

/* The workspace: the table, a zero, a pixel of the padding constant, packed weights, copied pixels. */
typedef struct parts {
    size_t zero, constant, weights, copy, end;
} parts;

static parts parts_of(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass) {
    const int64_t terms = 1 + s->kh * s->kw, channels = channels_of(s, kernels, 0);
    parts at;
    at.zero = cgc_round_up(CGC_POINTERS * sizeof(void *));
    at.constant = at.zero + CGC_ALIGN;
    at.weights = at.constant + cgc_round_up((size_t)(channels * s->size));
    at.copy = at.weights + cgc_round_up((size_t)(channels * terms * s->size));
    at.end = at.copy + (may_copy(s, pass) ? COPIED * COPIED_BYTES : 0);
    return at;
}

size_t cgc_pixels_workspace(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass) {
    return parts_of(s, kernels, pass).end;
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

/* A task. */
typedef struct part {
    const cgc_kernels *kernels;
    cgc_correlation c;
    cgc_image image;
    cgc_pointers pointers;
    char *workspace;
    parts at;
    int copies;
    int64_t limit, good; /* pointers of a table: at most, and where a row does not need more */
} part;

/* Bias and weights of output channels o .. o+channels-1. */
static void pack(const part *p, int64_t o, int64_t channels, int64_t shift) {
    const cgc_correlation *c = &p->c;
    const ptrdiff_t size = c->source.size, width = p->kernels->width;
    const ptrdiff_t group = (1 + c->ku * c->kv) * width;
    char *packed = p->workspace + p->at.weights;
    const ptrdiff_t apart = c->m == 1 ? c->w_group : c->w_m;
    const char *weight = cgc_at(p->image.weight, o * apart + c->w0, size);
    if (p->image.bias)
        p->kernels->pack(channels, shift, 1, cgc_at(p->image.bias, o, size), 1, 1, packed, group);
    else
        p->kernels->pack(channels, shift, 1, p->workspace + p->at.zero, 0, 1, packed, group);
    packed = cgc_at(packed, width, size);
    if (c->w_v == 1 && c->w_u == c->kv) {
        p->kernels->pack(channels, shift, c->ku * c->kv, weight, apart, 1, packed, group);
        return;
    }
    for (int64_t u = 0; u < c->ku; u++)
        p->kernels->pack(channels, shift, c->kv, cgc_at(weight, u * c->w_u, size), apart, c->w_v,
                         cgc_at(packed, u * c->kv * width, size), group);
}

/* Where channel o of output (i, j), in the table's order, goes. */
static char *destination(const part *p, int64_t o, int64_t i, int64_t j) {
    const cgc_correlation *c = &p->c;
    const int64_t row = p->pointers.rows.turned ? c->rows - 1 - i : i;
    const int64_t col = p->pointers.cols.turned ? c->cols - 1 - j : j;
    return cgc_at(p->image.destination, c->d0 + o + row * c->d_row + col * c->d_col, c->source.size);
}

/* Fills the table of a block for output channels from o on, and copies its pixels if that is wanted. */
static void point(const part *p, const cgc_pointer_block *b, int64_t o, int64_t channels) {
    const cgc_correlation *c = &p->c;
    const ptrdiff_t size = c->source.size;
    const void **table = (const void **)p->workspace;
    cgc_pointers_fill(&p->pointers, b, c, cgc_at(p->image.source, o / c->m * c->s_group, size),
                      p->workspace + p->at.constant, table);
    if (!p->copies) return;
    char *copy = p->workspace + p->at.copy;
    const int64_t count = b->lines * b->pitch;
    p->kernels->spread(count, (const void *const *)table, channels, c->m, o % c->m, copy, COPIED_BYTES / size);
    for (int64_t e = 0; e < count; e++) table[e] = copy + e * COPIED_BYTES;
}

/* The outputs of a table, for the packed channels: class by class of its axes. */
static void run_block(const part *p, const cgc_pointer_block *b, int64_t o, int64_t channels, int64_t shift) {
    const cgc_correlation *c = &p->c;
    const cgc_axis *rows = &p->pointers.rows, *cols = &p->pointers.cols;
    const void *const *table = (const void *const *)p->workspace;
    cgc_pixel_rows call = {
        .channels = channels, .shift = shift, .kh = c->ku, .kw = c->kv,
        .src_row = rows->classes * b->row, .src_u = b->u, .step = b->step, .dilation = b->dilation,
        .w = p->workspace + p->at.weights,
        .y_row = (rows->turned ? -1 : 1) * rows->classes * c->d_row,
        .y_col = (cols->turned ? -1 : 1) * cols->classes * c->d_col,
        .lo = c->lo, .hi = c->hi,
    };
    for (int64_t i = 0; i < cgc_min(rows->classes, b->rows); i++)
        for (int64_t j = 0; j < cgc_min(cols->classes, b->cols); j++) {
            call.rows = cgc_ceil_div(b->rows - i, rows->classes);
            call.cols = cgc_ceil_div(b->cols - j, cols->classes);
            call.src = table + i * b->row_class + j * b->col_class;
            call.y = destination(p, o, b->i + i, b->j + j);
            p->kernels->pixels(&call);
        }
}

/* How far an address lies behind the one where a vector would not cross cache lines, in elements. */
static int64_t behind(const part *p, const char *address) {
    const ptrdiff_t bytes = p->kernels->width * p->c.source.size;
    return (int64_t)((uintptr_t)address % (uintptr_t)bytes) / p->c.source.size;
}

/*
 * How far to shift vectors so that they do not cross cache lines where they are read (or written, if they are read
 * from a copy): where all pixels are alike in this, and channels many enough for the vector more that it may take.
 */
static int64_t shift_of(const part *p, int64_t o) {
    const cgc_correlation *c = &p->c;
    const ptrdiff_t row = p->copies ? c->d_row : c->source.row, col = p->copies ? c->d_col : c->source.col;
    const int64_t width = p->kernels->width, enough = c->c_j > 1 ? 4 : c->kv > 5 ? 32 : 8; /* vectors, measured */
    if (row % width || col % width || c->d_col < enough * width || c->m > 1) return 0;
    return behind(p, p->copies ? cgc_at(p->image.destination, c->d0 + o, c->source.size)
                               : cgc_at(p->image.source, o, c->source.size));
}

/* Whether to copy: where pixels compete, it pays if they do so in the worst way or cannot all lie well. */
static int wants_copy(const part *p) {
    const ptrdiff_t apart = p->c.source.col * p->c.source.size;
    return p->c.m > 1 || apart % (2 * CONFLICT) == 0 ||
           behind(p, p->image.source) != behind(p, cgc_at(p->image.destination, p->c.d0, p->c.source.size));
}

/* Rows i0 .. i1-1 of output channels o .. o+channels-1. */
static void run_channels(const part *p, int64_t o, int64_t channels, int64_t shift, int64_t i0, int64_t i1) {
    pack(p, o, channels, shift);
    const int64_t most = p->pointers.cols.most;
    for (int64_t j = 0; j < p->c.cols; j += most) {
        const int64_t cols = cgc_min(most, p->c.cols - j);
        const int64_t high = cgc_min(i1 - i0, cgc_pointers_rows(&p->pointers, cols, p->good));
        const int64_t even = cgc_ceil_div(i1 - i0, cgc_ceil_div(i1 - i0, high));
        for (int64_t i = i0; i < i1; i += even) {
            const cgc_pointer_block b = cgc_pointers_block(&p->pointers, i, cgc_min(even, i1 - i), j, cols);
            point(p, &b, o, channels);
            run_block(p, &b, o, channels, shift);
        }
    }
}

static void run_task(void *context, int64_t task, int thread) {
    const division *cut = context;
    const cgc_run *run = cut->run;
    const cgc_geometry *s = run->geometry;
    const int64_t o0 = task % cut->channel_blocks * cut->channels;
    task /= cut->channel_blocks;
    const int64_t i0 = task % cut->row_blocks * cut->rows;
    task /= cut->row_blocks;
    part p = {.kernels = run->kernels, .at = parts_of(s, run->kernels, run->pass)};
    p.workspace = run->local + (size_t)thread * run->local_size;
    p.c = cgc_correlation_at(s, run->pass, task % cut->correlations);
    if (exchanges(s)) p.c = exchanged(p.c);
    p.image = cgc_image_at(run, task / cut->correlations);
    p.copies = may_copy(s, run->pass) && wants_copy(&p);
    p.limit = p.copies ? COPIED : CGC_POINTERS;
    p.good = p.copies ? COPIED_WELL : CGC_POINTERS;
    p.pointers = cgc_pointers_of(&p.c, p.limit);
    const int64_t i1 = cgc_min(i0 + cut->rows, p.c.rows), most = channels_of(s, run->kernels, p.copies);
    const int64_t o1 = cgc_min(o0 + cut->channels, s->g * p.c.m);
    p.kernels->fill(p.workspace + p.at.zero, 0, 1);
    p.kernels->fill(p.workspace + p.at.constant, p.c.source.value, most);
    for (int64_t o = o0, channels; o < o1 && i0 < i1; o += channels) {
        const int64_t two = 2 * p.kernels->width; /* so that what a shift leaves is a vector */
        const int64_t shift = most >= two && o1 - o >= two ? shift_of(&p, o) : 0;
        channels = cgc_min(most - shift, o1 - o);
        run_channels(&p, o, channels, shift, i0, i1);
    }
}

void cgc_pixels_run(const cgc_run *run) {
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
