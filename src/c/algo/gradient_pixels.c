/*
 * Channel-wise weight gradients with vectors over channels, for channels that are neighbours: pixels are laid one
 * behind the other, some rows at a time, or read where they stand, through a table of lines and one of columns. It
 * must not know padding modes.
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
    NEAR_BYTES = 1 << 16, /* of x and dy at a time, better, where they are read in place */
    LAID_BYTES = 1 << 17, /* of cells, and of rows of dy, that are laid at a time: they stay in a near cache */
    FEW_ROWS = 4,         /* that are laid at a time, at least, where it is not a must */
    COMPETE = 4096,       /* bytes from pixel to pixel with which they compete for the same few places of a cache, */
    PLACES = 8,           /* so many of a common one */
};

/* What the blocks of a run share. */
typedef struct shared {
    cgc_correlation c;
    int lays;
    int64_t rows; /* at a time, at most */
    int64_t col0; /* of the columns in the tables; -1: none yet */
} shared;

/*
 * The workspace: all that is shared, pointers to lines, their columns, the two rows of columns, a constant, sums; for
 * what is laid pointers to the pixels of a line, cells, and rows of dy.
 */
typedef struct parts {
    size_t lines, line_columns, columns, constants, constant, sums, pixels, cells, dy, end;
} parts;

static int64_t taps_of(const cgc_geometry *s) { return s->kh * s->kw; }

static int64_t planes_of(const cgc_geometry *s, const cgc_kernels *kernels) {
    return (taps_of(s) <= FEW_TAPS ? 2 : 1) * kernels->width;
}

/* Source columns, padded, under so many columns of a row. */
static int64_t columns_of(const cgc_geometry *s, int64_t cols) {
    return (cols - 1) * s->sw + (s->kw - 1) * s->dw + 1;
}

/* Source lines from the first to the last that so many rows of an image meet. */
static int64_t lines_of(const cgc_geometry *s, int64_t rows) { return (rows - 1) * s->sh + (s->kh - 1) * s->dh + 1; }

/* Bytes of a line of one vector that is laid: an odd number of cache lines, so that lines do not compete. */
static int64_t laid_line(const cgc_geometry *s, const cgc_kernels *kernels) {
    return (columns_of(s, cgc_cut(s).cols) * kernels->width * s->size + CGC_LINE_BYTES - 1) / CGC_LINE_BYTES *
           CGC_LINE_BYTES | CGC_LINE_BYTES;
}

/* The most lines that are laid. */
static int64_t laid_lines(const cgc_geometry *s, const cgc_kernels *kernels) {
    return LAID_BYTES / (planes_of(s, kernels) / kernels->width * laid_line(s, kernels));
}

/* The most rows at a time, if cells are laid; 0: there is no room for one. */
static int64_t laid_rows(const cgc_geometry *s, const cgc_kernels *kernels) {
    const int64_t lines = laid_lines(s, kernels);
    return lines < lines_of(s, 1) ? 0
        : cgc_min((lines - lines_of(s, 1)) / s->sh + 1,
                  LAID_BYTES / (cgc_cut(s).cols * planes_of(s, kernels) * s->size));
}

/*
 * Whether the pixels of a class, in the rows that a line meets, compete: each of them would be fetched anew for each
 * filter row.
 */
static int compete(const cgc_geometry *s, const cgc_kernels *kernels) {
    const int64_t met = cgc_ceil_div(cgc_cut(s).cols, kernels->lanes) * cgc_ceil_div(s->kh, s->sh);
    return met > PLACES && kernels->lanes * s->yw * s->size % COMPETE == 0 && s->yh * s->size % COMPETE == 0;
}

/*
 * Whether cells are laid, with dy. They must be where a channel has several filters, so that each filter finds its own.
 */
static int lays(const cgc_geometry *s, const cgc_kernels *kernels) {
    if (s->f > 1) return 1;
    return (kernels->gradient_lays || compete(s, kernels)) && laid_rows(s, kernels) >= FEW_ROWS;
}

/* The most rows at a time; 0: there is no room for one. In place each class of columns reads them anew. */
static int64_t rows_of(const cgc_geometry *s, const cgc_kernels *kernels) {
    if (lays(s, kernels)) return laid_rows(s, kernels);
    const int64_t row = cgc_cut(s).cols * planes_of(s, kernels) * s->size;
    const int64_t rows = LINES < lines_of(s, 1) ? 0 : (LINES - lines_of(s, 1)) / s->sh + 1;
    return cgc_min(rows, cgc_max(1, NEAR_BYTES / (row * (1 + s->sh * s->sw))));
}

static int serves(const cgc_geometry *s, const cgc_kernels *kernels) {
    if (s->xc != 1 || s->yc != 1 || (s->xw == 1 && s->yw == 1)) return 0;
    if (s->oc < kernels->width || s->kh > TAPS || s->kw > TAPS || taps_of(s) > TAPS || s->ow < 1 || s->h < 1 ||
        s->w < 1)
        return 0;
    if (s->f > 1 && cgc_cut(s).cols > WIDE) return 0;
    return s->sw <= COLUMNS && s->dw <= COLUMNS && s->dh <= LINES && s->sh <= LINES &&
           columns_of(s, cgc_cut(s).cols) <= COLUMNS && rows_of(s, kernels) > 0;
}

int cgc_gradient_lays(const cgc_geometry *s, const cgc_kernels *kernels) {
    return serves(s, kernels) && lays(s, kernels) && taps_of(s) <= FEW_TAPS;
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
    at.cells = at.pixels + (s->f > 1 ? row : 0);
    at.dy = at.cells + (lays(s, kernels) ? LAID_BYTES : 0);
    at.end = at.dy + (lays(s, kernels) ? LAID_BYTES : 0);
    return at;
}

static size_t workspace(const cgc_geometry *s, const cgc_kernels *kernels) { return parts_of(s, kernels).end; }

static void open(const cgc_run *run, char *workspace) {
    const cgc_geometry *s = run->geometry;
    shared *h = (shared *)workspace;
    h->c = cgc_forward_correlation(s);
    h->lays = lays(s, run->kernels);
    h->rows = rows_of(s, run->kernels);
    h->col0 = -1;
    run->kernels->fill(workspace + parts_of(s, run->kernels).constant, s->value, 2 * run->kernels->width);
}

/* Says where the columns under those of a chunk stand. */
static void find_columns(const cgc_geometry *s, shared *h, int64_t col0, int64_t cols, ptrdiff_t *columns,
                         ptrdiff_t *constants) {
    if (h->col0 == col0) return;
    h->col0 = col0;
    for (int64_t e = 0; e < columns_of(s, cols); e++) {
        const int64_t at = cgc_pad_source(s->mode, h->c.c0 + col0 * s->sw + e, s->w);
        columns[e] = at < 0 ? CGC_CONSTANT_CELL : (ptrdiff_t)(at * s->xw);
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

/* Rows of an image, for a block. */
typedef struct band {
    const cgc_run *run;
    const shared *h;
    char *workspace;
    parts at;
    int64_t n, row, col; /* the image; coordinates in it of the first cell */
    int64_t first;       /* of dy's channels */
} band;

/* Where a row of the image begins. */
static const char *run_line(const band *b, int64_t row) {
    const cgc_geometry *s = b->run->geometry;
    return cgc_at(b->run->x, b->n * s->xn + row * s->xh, s->size);
}

/* Lays columns from .. to-1 of those under a band: all of them inside a line, or all outside. */
static void lay_columns(const band *b, const cgc_pixel_gradient *call, const char *line, int64_t from, int64_t to,
                        char *cells) {
    const cgc_geometry *s = b->run->geometry;
    const cgc_kernels *kernels = b->run->kernels;
    const int64_t pixel = kernels->width * s->size;
    int64_t run;
    for (; from < to; from += run) {
        const int64_t col = b->col + from, at = cgc_pad_source(s->mode, col, s->w);
        run = at == col || at < 0 ? to - from : 1;
        kernels->lay(run, call->vectors, at < 0 ? b->workspace + b->at.constant : cgc_at(line, at * s->xw, s->size),
                     at < 0 ? 0 : s->xw, at < 0 ? 0 : call->second, cells + from * pixel, call->cells_second);
    }
}

/* Lays the cells under a band. */
static void lay_cells(const band *b, cgc_pixel_gradient *call) {
    const cgc_geometry *s = b->run->geometry;
    const cgc_kernels *kernels = b->run->kernels;
    const int64_t columns = columns_of(s, call->cols), in = cgc_min(cgc_max(-b->col, 0), columns);
    const int64_t out = cgc_max(in, cgc_min(s->w - b->col, columns));
    const char *constant = b->workspace + b->at.constant;
    const void **pixels = (const void **)(b->workspace + b->at.pixels);
    char *cells = b->workspace + b->at.cells;
    call->cells = cells;
    call->line = laid_line(s, kernels) / s->size;
    call->cells_second = lines_of(s, call->rows) * call->line;
    for (int64_t k = 0; k < lines_of(s, call->rows); k++, cells += call->line * s->size) {
        const int64_t row = cgc_pad_source(s->mode, b->row + k, s->h);
        const char *line = cgc_at(run_line(b, cgc_max(row, 0)), b->first / s->f, s->size);
        if (row < 0) {
            kernels->lay(columns, call->vectors, constant, 0, 0, cells, call->cells_second);
        } else if (s->f == 1) {
            lay_columns(b, call, line, 0, in, cells);
            lay_columns(b, call, line, in, out, cells);
            lay_columns(b, call, line, out, columns, cells);
        } else {
            cgc_pointers_run(&b->h->c.source, line, b->col, 1, columns, constant, pixels);
            for (int64_t i = 0; i < call->vectors; i++)
                kernels->spread(columns, pixels, kernels->width, s->f, b->first % s->f + i * call->second,
                                cgc_at(cells, i * call->cells_second, s->size), kernels->width);
        }
    }
}

/* Lays rows of dy. */
static void lay_rows(const band *b, cgc_pixel_gradient *call) {
    const cgc_geometry *s = b->run->geometry;
    const cgc_kernels *kernels = b->run->kernels;
    const char *dy = call->dy;
    char *to = b->workspace + b->at.dy;
    call->dy = to;
    call->dy_col = kernels->width;
    call->dy_row = call->cols * call->dy_col;
    for (int64_t r = 0; r < call->rows; r++)
        kernels->lay(call->cols, call->vectors, cgc_at(dy, r * s->yh, s->size), s->yw, call->second,
                     cgc_at(to, r * call->dy_row, s->size), call->rows * call->dy_row);
    call->second = call->rows * call->dy_row;
}

/* Says where the cells under a band stand. */
static void find_lines(const band *b, cgc_pixel_gradient *call) {
    const cgc_geometry *s = b->run->geometry;
    const void **lines = (const void **)(b->workspace + b->at.lines);
    const ptrdiff_t **line_columns = (const ptrdiff_t **)(b->workspace + b->at.line_columns);
    for (int64_t k = 0; k < lines_of(s, call->rows); k++) {
        const int64_t row = cgc_pad_source(s->mode, b->row + k, s->h);
        lines[k] = cgc_at(run_line(b, cgc_max(row, 0)), b->first, s->size);
        line_columns[k] = (const ptrdiff_t *)(b->workspace + (row < 0 ? b->at.constants : b->at.columns));
    }
    call->lines = lines;
    call->columns = line_columns;
}

/* Adds the sums of a chunk to the totals, after its classes have been joined. */
static void add_sums(const cgc_gradient_block *block, const cgc_pixel_gradient *call, int64_t first) {
    const cgc_geometry *s = block->run->geometry;
    const cgc_kernels *kernels = block->run->kernels;
    const int64_t width = kernels->width, taps = taps_of(s), pitch = call->vectors * width;
    for (int64_t v = 0, count; v < call->vectors; v++) {
        const int64_t o = block->o + v * width, moved = o - cgc_min(first + v * width, s->oc - width);
        const char *from = cgc_at(call->sums, v * width + moved, s->size);
        count = cgc_min(width, block->planes - v * width);
        kernels->add_lines(taps, count, from, pitch, cgc_at(block->weight, v * width * taps, s->size), 1, taps);
        if (block->bias)
            kernels->add(cgc_at(block->bias, v * width, s->size), 1, cgc_at(from, taps * pitch, s->size), count);
    }
}

static void add_chunk(const cgc_gradient_block *block, const cgc_chunk *chunk, char *workspace) {
    const cgc_run *run = block->run;
    const cgc_geometry *s = run->geometry;
    const cgc_kernels *kernels = run->kernels;
    const parts at = parts_of(s, kernels);
    const int64_t width = kernels->width, planes = block->planes, taps = taps_of(s), cols = chunk->col1 - chunk->col0;
    shared *h = (shared *)workspace;
    /* A vector that the planes do not fill is moved back. */
    const int64_t first = cgc_min(block->o, s->oc - width), second = cgc_min(block->o + width, s->oc - width) - first;
    band b = {run, h, workspace, at, 0, 0, h->c.c0 + chunk->col0 * s->sw, first};
    cgc_pixel_gradient call = {
        .vectors = planes > width ? 2 : 1, .cols = cols,
        .kh = s->kh, .kw = s->kw, .step = s->sh, .dilation = s->dh, .step_w = s->sw, .dilation_w = s->dw,
        .constant = workspace + at.constant, .dy_row = s->yh, .dy_col = s->yw, .sums = workspace + at.sums,
        .ahead = cgc_is_far(s),
    };
    if (!h->lays)
        find_columns(s, h, chunk->col0, cols, (ptrdiff_t *)(workspace + at.columns),
                     (ptrdiff_t *)(workspace + at.constants));
    for (int64_t row = chunk->row0; row < chunk->row1; row += call.rows) {
        const int64_t i = row % s->oh, left = cgc_min(chunk->row1 - row, s->oh - i);
        b.n = row / s->oh;
        b.row = h->c.r0 + i * s->sh;
        call.rows = cgc_ceil_div(left, cgc_ceil_div(left, h->rows));
        call.second = second;
        call.dy = cgc_at(run->y, b.n * s->yn + i * s->yh + chunk->col0 * s->yw + first, s->size);
        if (h->lays) {
            lay_cells(&b, &call);
            lay_rows(&b, &call);
        } else {
            find_lines(&b, &call);
            find_next(s, row, row + call.rows, planes, &call);
        }
        call.fresh = row == chunk->row0;
        kernels->gradient_pixels(&call);
    }
    kernels->join_classes(call.sums, cols, (taps + 1) * call.vectors * width);
    add_sums(block, &call, first);
}

/* As many as precede a vector that does not cross cache lines; x and dy mostly agree in this. */
static int64_t lead(const cgc_run *run) {
    const cgc_geometry *s = run->geometry;
    const int64_t width = run->kernels->width, bytes = width * s->size;
    if (s->f > 1 || s->xn % width || s->xh % width || s->xw % width) return 0;
    return (bytes - (int64_t)((uintptr_t)run->x % (uintptr_t)bytes)) % bytes / s->size;
}

static int64_t grain(const cgc_kernels *kernels) { return kernels->width; }

const cgc_gradient_way cgc_gradient_by_pixels = {serves, planes_of, lead, grain, workspace, open, add_chunk};
