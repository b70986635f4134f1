/*
 * Channel-wise weight gradients with vectors over channels, for channels that are neighbours: pixels are read where
 * they stand, through a table of lines and one of columns; those of several filters to a channel are copied first,
 * so that each filter finds its channel. It must not know padding modes.
 */
#include "../platform/memory.h"
#include "gradient.h"
#include "pointers.h"

enum {
    LINES = 2560,   /* source lines at a time, at most */
    WIDE = 1024,    /* columns of an output row from which on it is all the same how wide it is */
    COLUMNS = 8192, /* source columns under a row, at most */
    TAPS = 128,     /* of a filter, at most */
    FEW_TAPS = 15,  /* up to which the sums of two vectors of channels stay in the nearest cache */
    NEAR_BYTES = 1 << 16,   /* of x and dy at a time, better */
    COPIED_BYTES = 1 << 18, /* of source lines, and of rows of dy, at most: they stay in a near cache */
    COMPETE = 4096, /* bytes from pixel to pixel with which they compete for the same few places of the first cache, */
    PLACES = 8,     /* so many of a common one */
};

/* What the blocks of a run share. */
typedef struct shared {
    cgc_correlation c;
    int64_t col0; /* of the columns in the tables; -1: none yet */
} shared;

/*
 * The workspace: all that is shared, pointers to lines, their columns, the two rows of columns, a constant, sums; for
 * copies pointers to the pixels of a line, copied lines, and copied rows of dy.
 */
typedef struct parts {
    size_t lines, line_columns, columns, constants, constant, sums, pixels, copies, dy, end;
} parts;

static int64_t taps_of(const cgc_geometry *s) { return s->kh * s->kw; }

static int64_t planes_of(const cgc_geometry *s, const cgc_kernels *kernels) {
    return (taps_of(s) <= FEW_TAPS ? 2 : 1) * kernels->width;
}

/* Source columns, padded, under so many columns of a row. */
static int64_t columns_of(const cgc_geometry *s, int64_t cols) {
    return (cols - 1) * s->sw + (s->kw - 1) * s->dw + 1;
}

static int copies(const cgc_geometry *s) { return s->f > 1; }

/* Source lines from the first to the last that so many rows of an image meet. */
static int64_t lines_of(const cgc_geometry *s, int64_t rows) { return (rows - 1) * s->sh + (s->kh - 1) * s->dh + 1; }

static size_t copied_line(const cgc_geometry *s, const cgc_kernels *kernels) {
    return (size_t)(columns_of(s, cgc_cut(s).cols) * planes_of(s, kernels) * s->size);
}

/*
 * Whether dy is copied: where the pixels of a class, in the rows that a line meets, compete, and each of them would
 * be fetched anew for each filter row.
 */
static int copies_dy(const cgc_geometry *s, const cgc_kernels *kernels) {
    const int64_t met = cgc_ceil_div(cgc_cut(s).cols, kernels->lanes) * cgc_ceil_div(s->kh, s->sh);
    return met > PLACES && kernels->lanes * s->yw * s->size % COMPETE == 0 && s->yh * s->size % COMPETE == 0 &&
           cgc_cut(s).cols <= WIDE;
}

/*
 * The most rows at a time; 0: there is no room for one. Each class of columns reads them anew, and what is called for
 * meanwhile has to stay beside them.
 */
static int64_t rows_of(const cgc_geometry *s, const cgc_kernels *kernels) {
    const int64_t most = copies(s) ? cgc_min(LINES, COPIED_BYTES / (int64_t)copied_line(s, kernels)) : LINES;
    int64_t rows = most < lines_of(s, 1) ? 0 : (most - lines_of(s, 1)) / s->sh + 1;
    const int64_t row = cgc_cut(s).cols * planes_of(s, kernels) * s->size;
    if (!copies(s)) rows = cgc_min(rows, cgc_max(1, NEAR_BYTES / (row * (1 + s->sh * s->sw))));
    return copies_dy(s, kernels) ? cgc_min(rows, COPIED_BYTES / row) : rows;
}

static int serves(const cgc_geometry *s, const cgc_kernels *kernels) {
    if (s->xc != 1 || s->yc != 1 || (s->xw == 1 && s->yw == 1)) return 0;
    if (s->oc < kernels->width || s->kh > TAPS || s->kw > TAPS || taps_of(s) > TAPS || s->ow < 1 || s->h < 1 ||
        s->w < 1)
        return 0;
    if (copies(s) && cgc_cut(s).cols > WIDE) return 0;
    return s->sw <= COLUMNS && s->dw <= COLUMNS && s->dh <= LINES && s->sh <= LINES &&
           columns_of(s, cgc_cut(s).cols) <= COLUMNS && rows_of(s, kernels) > 0;
}

static parts parts_of(const cgc_geometry *s, const cgc_kernels *kernels) {
    const int64_t cols = cgc_cut(s).cols;
    const size_t row = cgc_round_up((size_t)(cols > WIDE ? COLUMNS : columns_of(s, cols)) * sizeof(ptrdiff_t));
    parts at;
    at.lines = cgc_round_up(sizeof(shared));
    at.line_columns = at.lines + cgc_round_up(LINES * sizeof(void *));
    at.columns = at.line_columns + cgc_round_up(LINES * sizeof(ptrdiff_t *));
    at.constants = at.columns + row;
    at.constant = at.constants + row;
    at.sums = at.constant + cgc_round_up((size_t)(2 * kernels->width * s->size));
    at.pixels =
        at.sums + cgc_round_up((size_t)((taps_of(s) + 1) * kernels->lanes * planes_of(s, kernels) * s->size));
    at.copies = at.pixels + (copies(s) ? row : 0);
    at.dy = at.copies + (copies(s) ? COPIED_BYTES : 0);
    at.end = at.dy + (copies_dy(s, kernels) ? COPIED_BYTES : 0);
    return at;
}

static size_t workspace(const cgc_geometry *s, const cgc_kernels *kernels) { return parts_of(s, kernels).end; }

static void open(const cgc_run *run, char *workspace) {
    const cgc_geometry *s = run->geometry;
    shared *h = (shared *)workspace;
    h->c = cgc_forward_correlation(s);
    h->col0 = -1;
    run->kernels->fill(workspace + parts_of(s, run->kernels).constant, s->value, 2 * run->kernels->width);
}

/* Says where the columns under those of a chunk stand; in a copy, pixels of so many elements follow each other. */
static void find_columns(const cgc_geometry *s, shared *h, int64_t col0, int64_t cols, int64_t copied,
                         ptrdiff_t *columns, ptrdiff_t *constants) {
    if (h->col0 == col0) return;
    h->col0 = col0;
    for (int64_t e = 0; e < columns_of(s, cols); e++) {
        const int64_t at = cgc_pad_source(s->mode, h->c.c0 + col0 * s->sw + e, s->w);
        columns[e] = copies(s) ? (ptrdiff_t)(e * copied) : at < 0 ? CGC_CONSTANT_CELL : (ptrdiff_t)(at * s->xw);
        constants[e] = CGC_CONSTANT_CELL;
    }
}

/* Says what is read after rows row .. next-1: the rows behind them, or the first ones of the next planes. */
static void find_next(const cgc_geometry *s, int64_t row, int64_t next, int64_t planes, cgc_pixel_gradient *call) {
    const int64_t channels = next < s->n * s->oh ? 0 : planes;
    if (channels) next = 0;
    const int64_t images = next / s->oh - row / s->oh, rows = next % s->oh - row % s->oh;
    call->dy_ahead = (ptrdiff_t)(images * s->yn + rows * s->yh + channels);
    call->x_ahead = (ptrdiff_t)(images * s->xn + rows * s->sh * s->xh + channels);
}

/* Copies the columns under columns col0 .. col0+cols-1 of a source row, channels of `count` filters from `first`. */
static void copy_line(const cgc_run *run, const shared *h, int64_t n, int64_t row, int64_t col0, int64_t cols,
                      int64_t first, int64_t count, char *workspace, char *to) {
    const cgc_geometry *s = run->geometry;
    const parts at = parts_of(s, run->kernels);
    const void **pixels = (const void **)(workspace + at.pixels);
    const int64_t columns = columns_of(s, cols);
    cgc_pointers_run(&h->c.source, cgc_at(run->x, n * s->xn + row * s->xh + first / s->f, s->size),
                     h->c.c0 + col0 * s->sw, 1, columns, workspace + at.constant, pixels);
    run->kernels->spread(columns, pixels, count, s->f, first % s->f, to, planes_of(s, run->kernels));
}

/* Copies so many channels of the rows of dy. */
static void copy_dy(const cgc_run *run, int64_t channels, char *to, cgc_pixel_gradient *call) {
    const cgc_geometry *s = run->geometry;
    const char *dy = call->dy;
    call->dy = to;
    call->dy_ahead = 0;
    call->dy_col = planes_of(s, run->kernels);
    call->dy_row = call->cols * call->dy_col;
    for (int64_t r = 0; r < call->rows; r++)
        run->kernels->lines(call->cols, channels, cgc_at(dy, r * s->yh, s->size), s->yw, 1,
                            cgc_at(to, r * call->dy_row, s->size), call->dy_col, 0, 1, 0);
}

static void add_chunk(const cgc_gradient_block *block, const cgc_chunk *chunk, char *workspace) {
    const cgc_run *run = block->run;
    const cgc_geometry *s = run->geometry;
    const cgc_kernels *kernels = run->kernels;
    const parts at = parts_of(s, kernels);
    const int64_t width = kernels->width, planes = block->planes, taps = taps_of(s), most = rows_of(s, kernels);
    shared *h = (shared *)workspace;
    const void **lines = (const void **)(workspace + at.lines);
    const ptrdiff_t **line_columns = (const ptrdiff_t **)(workspace + at.line_columns);
    ptrdiff_t *columns = (ptrdiff_t *)(workspace + at.columns), *constants = (ptrdiff_t *)(workspace + at.constants);
    char *sums = workspace + at.sums;
    /* A vector that the planes do not fill is moved back. */
    const int64_t first = cgc_min(block->o, s->oc - width), second = cgc_min(block->o + width, s->oc - width) - first;
    const int64_t channels = planes > width ? second + width : width;
    cgc_pixel_gradient call = {
        .vectors = planes > width ? 2 : 1, .second = second, .cols = chunk->col1 - chunk->col0,
        .kh = s->kh, .kw = s->kw, .step = s->sh, .dilation = s->dh, .step_w = s->sw, .dilation_w = s->dw,
        .lines = lines, .columns = line_columns, .constant = workspace + at.constant,
        .dy_row = s->yh, .dy_col = s->yw, .sums = sums, .ahead = cgc_gradient_is_far(s) && !copies(s),
    };
    find_columns(s, h, chunk->col0, call.cols, planes_of(s, kernels), columns, constants);
    kernels->fill(sums, 0, kernels->lanes * (taps + 1) * call.vectors * width);
    for (int64_t row = chunk->row0; row < chunk->row1; row += call.rows) {
        const int64_t n = row / s->oh, i = row % s->oh;
        const int64_t left = cgc_min(chunk->row1 - row, s->oh - i);
        call.rows = cgc_ceil_div(left, cgc_ceil_div(left, most));
        for (int64_t line = 0; line < lines_of(s, call.rows); line++) {
            const int64_t at_row = cgc_pad_source(s->mode, h->c.r0 + i * s->sh + line, s->h);
            lines[line] = cgc_at(run->x, n * s->xn + cgc_max(at_row, 0) * s->xh + first, s->size);
            line_columns[line] = at_row < 0 ? constants : columns;
            if (!copies(s)) continue;
            lines[line] = workspace + at.copies + (size_t)line * copied_line(s, kernels);
            if (at_row >= 0)
                copy_line(run, h, n, at_row, chunk->col0, call.cols, first, channels, workspace, (char *)lines[line]);
        }
        call.dy = cgc_at(run->y, n * s->yn + i * s->yh + chunk->col0 * s->yw + first, s->size);
        find_next(s, row, row + call.rows, planes, &call);
        if (copies_dy(s, kernels)) copy_dy(run, channels, workspace + at.dy, &call);
        kernels->gradient_pixels(&call);
    }
    const int64_t pitch = call.vectors * width;
    kernels->join_classes(sums, call.cols, (taps + 1) * pitch);
    for (int64_t v = 0, count; v < call.vectors; v++) {
        const int64_t o = block->o + v * width, moved = o - (v ? first + second : first);
        count = cgc_min(width, planes - v * width);
        for (int64_t k = 0; k <= taps; k++) {
            const char *from = cgc_at(sums, k * pitch + v * width + moved, s->size);
            if (k < taps)
                kernels->add(cgc_at(block->weight, v * width * taps + k, s->size), taps, from, count);
            else if (block->bias)
                kernels->add(cgc_at(block->bias, v * width, s->size), 1, from, count);
        }
    }
}

/* As many as precede a vector that does not cross cache lines; x and dy mostly agree in this. */
static int64_t lead(const cgc_run *run) {
    const cgc_geometry *s = run->geometry;
    const int64_t width = run->kernels->width, bytes = width * s->size;
    if (copies(s) || s->xn % width || s->xh % width || s->xw % width) return 0;
    return (bytes - (int64_t)((uintptr_t)run->x % (uintptr_t)bytes)) % bytes / s->size;
}

static int64_t grain(const cgc_kernels *kernels) { return kernels->width; }

const cgc_gradient_way cgc_gradient_by_pixels = {serves, planes_of, lead, grain, workspace, open, add_chunk};
