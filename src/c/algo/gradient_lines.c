/*
 * Channel-wise weight gradients with vectors over pixels: the lines of a plane are read where they stand, if cells
 * are neighbours and what lies beyond them is constant, else through a panel. Where channels are neighbours instead,
 * and vectors are short, a few of them are turned into planes first: that reads each cache line once.
 */
#include "../platform/memory.h"
#include "gradient.h"
#include "panel.h"

enum {
    LINES = 2560,       /* source lines at a time, at most */
    COPIED = 8192,      /* cells of dy that are copied at a time, at most */
    SUMS_BYTES = 32768, /* of a block's sums, about: they stay in the nearest cache */
    PLANES = 64,        /* of a block, at most */
    WIDE = 1024,        /* columns of an output row from which on it is all the same how wide it is */
    /*
     * Cells on either side of the line of constants. They are not read, but a vector may reach there with lanes that
     * are masked out, and that is slow in pages that were never written.
     */
    MARGIN = CGC_GRADIENT_BEYOND + CGC_MAX_LANES,
    TURNED = 32768,     /* cells of x, and of dy, that are turned at a time, at most */
    REACH = 1024,       /* columns from the first to the last of a filter that reads lines where they stand, at most */
};

/* What the blocks of a run share. */
typedef struct shared {
    cgc_correlation c;
    int direct;      /* whether source lines are read where they stand, or where they were turned to; */
    int turned;      /* the latter: so many planes at a time */
    cgc_panel panel; /* if not */
    ptrdiff_t off[CGC_PANEL_TERMS];
} shared;

/* The workspace: all that is shared, lines, a line of constants, panel or turned x, a copy of dy, sums, their bias. */
typedef struct parts {
    size_t lines, constants, panel, dy, sums, bias, end;
} parts;

static int64_t taps_of(const cgc_geometry *s) { return s->kh * s->kw; }

static int64_t reach_of(const cgc_correlation *c) { return (c->kv - 1) * c->c_v; }

/* The cells of a line that so many columns read, at most. */
static int64_t width_of(const cgc_correlation *c, int64_t cols) {
    return cgc_min(c->source.w, (cols - 1) * c->c_j + reach_of(c) + 1);
}

/* Source lines under so many rows. */
static int64_t lines_of(const cgc_correlation *c, int64_t rows) {
    return (rows - 1) * c->r_i + (c->ku - 1) * c->r_u + 1;
}

/*
 * How many planes are turned at a time, a cache line of channels; 0: none. With a stride each cell is read less often,
 * and turning gains nothing; nor where memory is far away.
 */
static int turned_planes(const cgc_geometry *s, const cgc_kernels *kernels) {
    const cgc_correlation c = cgc_forward_correlation(s);
    const int constant = s->mode == CGCONV_PAD_CONSTANT || !(s->pt || s->pb || s->pl || s->pr);
    if (s->xw == 1 || s->xc != 1 || s->yc != 1 || s->f != 1 || !constant) return 0;
    if (s->sw > 1 || cgc_is_far(s)) return 0;
    if (kernels->width == 1 || kernels->width == kernels->lanes || s->oc < kernels->width || s->ow < 1) return 0;
    int planes = CGC_ALIGN / (int)s->size;
    const int64_t row = cgc_max(lines_of(&c, 1) * width_of(&c, cgc_cut(s).cols), cgc_cut(s).cols);
    while (planes > 0 && (planes * row > TURNED || planes * taps_of(s) * kernels->lanes * s->size > 2 * SUMS_BYTES))
        planes /= 2;
    return planes;
}

/* Whether source lines can be read where they stand, or are turned to. */
static int is_direct(const cgc_geometry *s, const cgc_kernels *kernels, const cgc_correlation *c) {
    const int constant = s->mode == CGCONV_PAD_CONSTANT || (c->c0 == 0 && s->pr == 0);
    const int neighbours = s->xw == 1 || turned_planes(s, kernels) > 0;
    return neighbours && constant && s->h > 0 && s->w > 0 && (c->c_j == 1 || (c->c_j == 2 && c->c_v == 1)) &&
           s->pl <= CGC_GRADIENT_BEYOND && s->pr <= CGC_GRADIENT_BEYOND && s->dw <= REACH && reach_of(c) <= REACH &&
           s->dh <= LINES && (s->kh - 1) * s->dh <= LINES / 2;
}

/* Short vectors, if there are any and they take a whole row. */
static int lanes_for(const cgc_kernels *kernels, int64_t step_w, int64_t cols) {
    const int half = kernels->stencil_lanes[1];
    return step_w == 1 && cols <= half ? half : kernels->stencil_lanes[0];
}

/* The lanes of a sum: half of them, if the others are 0. */
static int pitch_for(const cgc_kernels *kernels, int64_t step_w, int64_t cols) {
    const int half = kernels->lanes / 2;
    return lanes_for(kernels, step_w, cols) <= half && cols <= half ? half : kernels->lanes;
}

/* The same for whole rows, of which others are parts. */
static int pitch_of(const cgc_geometry *s, const cgc_kernels *kernels, int direct) {
    return pitch_for(kernels, direct ? s->sw : 1, s->ow);
}

static int64_t planes_of(const cgc_geometry *s, const cgc_kernels *kernels) {
    const cgc_correlation c = cgc_forward_correlation(s);
    const int64_t bytes = (taps_of(s) + 1) * pitch_of(s, kernels, is_direct(s, kernels, &c)) * (int64_t)s->size;
    const int64_t step = cgc_max(1, turned_planes(s, kernels));
    return cgc_max(1, cgc_min(PLANES, SUMS_BYTES / bytes) / step) * step;
}

/* Wide images book as much as any can need, so that a workspace serves them all. */
static int64_t booked_width(const cgc_geometry *s, const cgc_correlation *c) {
    const int64_t cols = cgc_cut(s).cols;
    return cols > WIDE ? (CGC_MAX_PIXELS - 1) * c->c_j + reach_of(c) + 1 : width_of(c, cols);
}

static parts parts_of(const cgc_geometry *s, const cgc_kernels *kernels, int direct) {
    const cgc_correlation c = cgc_forward_correlation(s);
    const size_t size = (size_t)s->size, sums = (size_t)(planes_of(s, kernels) * pitch_of(s, kernels, direct)) * size;
    parts at;
    at.lines = cgc_round_up(sizeof(shared));
    at.constants = at.lines + cgc_round_up(LINES * sizeof(ptrdiff_t));
    const int turned = direct && turned_planes(s, kernels);
    at.panel = at.constants + (direct ? cgc_round_up((size_t)(booked_width(s, &c) + 2 * MARGIN) * size) : 0);
    at.dy = at.panel + (turned ? TURNED * size : direct ? 0 : cgc_round_up(CGC_PANEL_ELEMENTS * size));
    at.sums = at.dy + (turned ? TURNED * size : s->yw == 1 ? 0 : cgc_round_up(COPIED * size));
    at.bias = at.sums + cgc_round_up((size_t)taps_of(s) * sums);
    at.end = at.bias + cgc_round_up(sums);
    return at;
}

static size_t workspace(const cgc_geometry *s, const cgc_kernels *kernels) {
    const cgc_correlation c = cgc_forward_correlation(s);
    return parts_of(s, kernels, is_direct(s, kernels, &c)).end;
}

static int serves(const cgc_geometry *s, const cgc_kernels *kernels) {
    const cgc_correlation c = cgc_forward_correlation(s);
    if (s->kh > CGC_PANEL_TERMS || s->kw > CGC_PANEL_TERMS || taps_of(s) > CGC_PANEL_TERMS || s->ow < 1) return 0;
    if (is_direct(s, kernels, &c)) return 1;
    const cgc_panel panel = cgc_panel_of(&c, cgc_cut(s).cols);
    return panel.by_lines && panel.lines <= LINES;
}

static void open(const cgc_run *run, char *workspace) {
    const cgc_geometry *s = run->geometry;
    shared *h = (shared *)workspace;
    h->c = cgc_forward_correlation(s);
    h->direct = is_direct(s, run->kernels, &h->c);
    h->turned = h->direct ? turned_planes(s, run->kernels) : 0;
    if (h->direct)
        run->kernels->fill(workspace + parts_of(s, run->kernels, 1).constants, s->value,
                           width_of(&h->c, cgc_cut(s).cols) + 2 * MARGIN);
    else
        h->panel = cgc_panel_of(&h->c, cgc_cut(s).cols);
}

/* Some rows of one image, for a block: a piece of a chunk. */
typedef struct piece {
    const cgc_gradient_block *block;
    shared *shared;
    char *workspace;
    parts at;
    int64_t n, i, rows, col0, cols;
    int lanes, pitch; /* of the vectors; of the sums */
    int fresh;        /* it is the first of its chunk */
} piece;

/* Says where the source lines of the piece stand, and of which columns. */
static void find_lines(const piece *p, cgc_gradient *call) {
    const cgc_correlation *c = &p->shared->c;
    ptrdiff_t *lines = (ptrdiff_t *)(p->workspace + p->at.lines);
    const int64_t count = lines_of(c, p->rows);
    const int64_t first = c->c0 + p->col0 * c->c_j, base = cgc_max(0, first);
    for (int64_t line = 0; line < count; line++) {
        const int64_t row = cgc_pad_source(c->source.mode, c->r0 + p->i * c->r_i + line, c->source.h);
        lines[line] = row < 0 ? CGC_CONSTANT_LINE : (ptrdiff_t)(row * c->source.row + base);
    }
    for (int64_t v = 0; v < c->kv; v++) p->shared->off[v] = (ptrdiff_t)(first - base + v * c->c_v);
    call->width = cgc_min(c->source.w - base, width_of(c, p->cols));
    call->step_w = c->c_j;
}

/* The same of planes o .. o+planes-1, which it turns, with dy. */
static void turn_lines(const piece *p, int64_t o, int64_t planes, cgc_gradient *call) {
    const cgc_run *run = p->block->run;
    const cgc_geometry *s = run->geometry;
    const cgc_correlation *c = &p->shared->c;
    ptrdiff_t *lines = (ptrdiff_t *)(p->workspace + p->at.lines);
    const int64_t count = lines_of(c, p->rows), first = c->r0 + p->i * c->r_i;
    const int64_t top = cgc_max(0, first), bottom = cgc_max(top, cgc_min(s->h, first + count));
    const int64_t base = cgc_max(0, c->c0 + p->col0 * c->c_j), width = call->width;
    for (int64_t line = 0; line < count; line++) {
        const int64_t row = first + line;
        lines[line] = row < top || row >= bottom ? CGC_CONSTANT_LINE : (ptrdiff_t)((row - top) * width);
    }
    const int whole = width == s->w && s->xh == s->w * s->xw, whole_dy = s->yh == p->cols * s->yw;
    char *x = p->workspace + p->at.panel, *dy = p->workspace + p->at.dy;
    call->x = x;
    call->x_plane = (ptrdiff_t)((bottom - top) * width);
    for (int64_t row = top; row < bottom; row += whole ? bottom - top : 1)
        run->kernels->transpose((whole ? bottom - top : 1) * width, planes,
                                cgc_at(run->x, p->n * s->xn + row * s->xh + base * s->xw + o, s->size), s->xw,
                                cgc_at(x, (row - top) * width, s->size), call->x_plane);
    call->dy = dy;
    call->dy_row = (ptrdiff_t)p->cols;
    call->dy_plane = (ptrdiff_t)(p->rows * p->cols);
    for (int64_t r = 0; r < p->rows; r += whole_dy ? p->rows : 1)
        run->kernels->transpose(
            (whole_dy ? p->rows : 1) * p->cols, planes,
            cgc_at(run->y, p->n * s->yn + (p->i + r) * s->yh + p->col0 * s->yw + o, s->size), s->yw,
            cgc_at(dy, r * p->cols, s->size), call->dy_plane);
}

/* The same in a panel, which it fills from group g. */
static void copy_lines(const piece *p, int64_t g) {
    const cgc_run *run = p->block->run;
    const cgc_geometry *s = run->geometry;
    const cgc_panel *panel = &p->shared->panel;
    ptrdiff_t *lines = (ptrdiff_t *)(p->workspace + p->at.lines);
    cgc_panel_fill(panel, run->kernels, &p->shared->c, cgc_at(run->x, p->n * s->xn + g * s->xc, s->size), p->i,
                   p->rows, p->col0, p->cols, p->workspace + p->at.panel, p->shared->off);
    for (int64_t line = 0; line < panel->lines + (p->rows - 1) * s->sh; line++)
        lines[line] = (ptrdiff_t)line * panel->pitch;
}

/* Adds planes first .. first+planes-1 of the block, those of dy where the call says. */
static void add_sums(const piece *p, cgc_gradient *call, int64_t first, int64_t planes) {
    const cgc_geometry *s = p->block->run->geometry;
    call->planes = planes;
    call->sums = cgc_at(p->workspace + p->at.sums, first * taps_of(s) * p->pitch, s->size);
    call->bias = p->block->bias ? cgc_at(p->workspace + p->at.bias, first * p->pitch, s->size) : NULL;
    p->block->run->kernels->gradient(call);
}

/* The same where it finds dy itself. x and x_plane of the call are set. */
static void add_planes(const piece *p, cgc_gradient *call, int64_t first, int64_t planes) {
    const cgc_run *run = p->block->run;
    const cgc_geometry *s = run->geometry;
    const ptrdiff_t size = s->size;
    const char *dy =
        cgc_at(run->y, p->n * s->yn + (p->block->o + first) * s->yc + p->i * s->yh + p->col0 * s->yw, size);
    const int64_t together = s->yw == 1 ? planes : 1;
    call->dy = dy;
    call->dy_plane = s->yc;
    call->dy_row = s->yh;
    for (int64_t k = 0; k < planes; k += together) {
        if (s->yw != 1) {
            call->dy = p->workspace + p->at.dy;
            call->dy_row = p->cols;
            for (int64_t r = 0; r < p->rows; r++)
                run->kernels->gather(cgc_at(call->dy, r * p->cols, size),
                                     cgc_at(dy, k * s->yc + r * s->yh, size), s->yw, p->cols);
        }
        add_sums(p, call, first + k, together);
        call->x = cgc_at(call->x, together * call->x_plane, size);
    }
}

/* Adds the piece to the sums. */
static void add_piece(const piece *p) {
    const cgc_run *run = p->block->run;
    const cgc_geometry *s = run->geometry;
    const int64_t o = p->block->o, planes = p->block->planes;
    cgc_gradient call = {
        .rows = p->rows, .cols = p->cols, .kh = s->kh, .kw = s->kw, .step = s->sh, .dilation = s->dh, .step_w = 1,
        .lines = (const ptrdiff_t *)(p->workspace + p->at.lines),
        .constant_line = cgc_at(p->workspace + p->at.constants, MARGIN, s->size),
        .constant = s->value, .off = p->shared->off, .width = p->shared->panel.pitch,
        .lanes = p->lanes, .pitch = p->pitch, .fresh = p->fresh,
        .ahead = cgc_is_far(s) && !p->shared->turned,
    };
    if (p->shared->direct) find_lines(p, &call);
    for (int64_t k = 0, now; p->shared->turned && k < planes; k += now) {
        now = cgc_min(p->shared->turned, planes - k);
        turn_lines(p, o + k, now, &call);
        add_sums(p, &call, k, now);
    }
    if (p->shared->turned) return;
    for (int64_t k = 0, now; k < planes; k += now) {
        const int64_t g = (o + k) / s->f;
        now = p->shared->direct && s->f == 1 ? planes : cgc_min(planes - k, (g + 1) * s->f - o - k);
        call.x = cgc_at(run->x, p->n * s->xn + g * s->xc, s->size);
        call.x_plane = s->f == 1 ? s->xc : 0;
        if (!p->shared->direct) {
            copy_lines(p, g);
            call.x = p->workspace + p->at.panel;
        }
        add_planes(p, &call, k, now);
    }
}

/* The most rows of a piece. */
static int64_t rows_of(const cgc_geometry *s, const shared *h, int64_t cols) {
    int64_t rows = (LINES - (s->kh - 1) * s->dh - 1) / s->sh + 1;
    if (h->turned) {
        const int64_t most = TURNED / h->turned / width_of(&h->c, cols) - lines_of(&h->c, 1);
        return cgc_min(cgc_min(rows, most / s->sh + 1), TURNED / h->turned / cols);
    }
    if (!h->direct) rows = cgc_min(h->panel.rows, (LINES - h->panel.lines) / s->sh + 1);
    return s->yw == 1 ? rows : cgc_min(rows, COPIED / cols);
}

static void add_chunk(const cgc_gradient_block *block, const cgc_chunk *chunk, char *workspace) {
    const cgc_run *run = block->run;
    const cgc_geometry *s = run->geometry;
    const cgc_kernels *kernels = run->kernels;
    shared *h = (shared *)workspace;
    piece p = {.block = block, .shared = h, .workspace = workspace, .at = parts_of(s, kernels, h->direct)};
    p.col0 = chunk->col0;
    p.cols = chunk->col1 - chunk->col0;
    p.lanes = lanes_for(kernels, h->direct ? h->c.c_j : 1, p.cols);
    p.pitch = pitch_for(kernels, h->direct ? h->c.c_j : 1, p.cols);
    p.fresh = 1;
    const int64_t most = rows_of(s, h, p.cols);
    for (int64_t row = chunk->row0; row < chunk->row1; row += p.rows) {
        p.n = row / s->oh;
        p.i = row % s->oh;
        p.rows = cgc_min(most, cgc_min(chunk->row1 - row, s->oh - p.i));
        add_piece(&p);
        p.fresh = 0;
    }
    kernels->join(block->weight, workspace + p.at.sums, p.pitch, block->planes * taps_of(s));
    if (block->bias) kernels->join(block->bias, workspace + p.at.bias, p.pitch, block->planes);
}

static int64_t lead(const cgc_run *run) {
    (void)run;
    return 0;
}

static int64_t grain(const cgc_kernels *kernels) {
    (void)kernels;
    return 1;
}

int cgc_gradient_turns(const cgc_geometry *s, const cgc_kernels *kernels) {
    const cgc_correlation c = cgc_forward_correlation(s);
    return turned_planes(s, kernels) > 0 && is_direct(s, kernels, &c) && serves(s, kernels);
}

const cgc_gradient_way cgc_gradient_by_lines = {serves, planes_of, lead, grain, workspace, open, add_chunk};
