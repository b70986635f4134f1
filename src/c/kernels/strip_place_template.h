/*
 * 3 x 3 filters at step 1, see strip_template.h: lines are read where they stand. It must not know a padding mode.
 *
 * A row is cut in blocks of two vectors, of which only the first and the last one look for the ends of a line, and only
 * under the outer filter columns: there a vector is loaded without the lanes beyond the end, which get the one cell
 * that stands there. Blocks go down some rows at a time, so that the lines between two of them stay in the first cache.
 * The first and the last line of these rows may lie anywhere: a padding mode is in them, and in the cells at the ends.
 * Of large or far planes the rows to come are called for meanwhile.
 *
 * Parameters: those of stencil_template.h.
 */
#include "strip_place_tile_template.h"

enum {
    K(place_cells) = 16384 / sizeof(REAL), /* of some rows; of wide ones more, */
    K(place_rows) = 8,                     /* for there are at least so many, if a plane has as many */
};

/* Whether lines on which an output is centred stand a pitch apart in the source. */
static int K(place_centres)(const cgc_stencil *s) {
    const ptrdiff_t *lines = s->lines + s->kh / 2 * s->dilation_h;
    const int64_t count = (s->rows - 1) * s->step + 1;
    for (int64_t t = 0; t < count; t++)
        if (lines[t] == CGC_CONSTANT_LINE || (t > 1 && lines[t] - lines[t - 1] != lines[1] - lines[0]))
            return 0;
    return 1;
}

/* The lanes inside a line of a vector from output column p on under the filter column that is v-th from the left. */
static SPAN K(place_inside)(const cgc_stencil *s, int64_t p, int v) {
    const int64_t column = s->first + p + v * s->dilation_w;
    return V(between)(-column, s->width - column);
}

/*
 * The one source column, or constant, that stands beyond each end of a line; 0 if there are several. The next column
 * that is looked at after those in front of a line lies behind it.
 */
static int K(place_beyond)(const cgc_stencil *s, int64_t *column) {
    const int64_t end = s->first + s->cols + 2 * s->dilation_w;
    int seen[2] = {0, 0};
    column[0] = column[1] = CGC_CONSTANT_COLUMN;
    for (int64_t t = s->first; t < end; t++) {
        if (t >= 0 && t < s->width)
            t = s->width;
        if (t >= end)
            break;
        const int right = t > 0;
        const int64_t source = K(band_source)(s, t);
        if (seen[right] && column[right] != source)
            return 0;
        column[right] = source;
        seen[right] = 1;
    }
    return 1;
}

/* Whether the filter is one of these, and reaches beyond the ends only where a kernel looks for it. */
static int K(place_serves)(const cgc_stencil *s) {
    const int64_t first = s->first, end = first + s->cols, apart = s->dilation_w, wide = 2 * WIDTH;
    if (s->kh != 3 || s->kw != 3 || s->step != 1 || !K(place_centres)(s))
        return 0;
    if (s->cols <= WIDTH)
        return s->dilation_h == 1 && apart == 1;
    if (apart > WIDTH || first + apart < 0 || end + apart > s->width || end - WIDTH < 0 ||
        first + 2 * apart + WIDTH > s->width)
        return 0;
    return s->cols <= wide || (end - wide >= 0 && first + 2 * apart + wide <= s->width);
}

/*
 * Of rows of less than a vector whole vectors are stored, as long as there are rows to come, without gaps, which
 * overwrite what is too much. This is how many planes at the end must be stored as they are: all, if there are gaps.
 */
static int64_t K(place_exact)(const cgc_stencil *s) {
    const int64_t cells = s->rows * s->cols, over = WIDTH - s->cols;
    const int gaps = s->filters > 1 || s->y_pitch != (s->mirrored ? -s->cols : s->cols) ||
                     s->y_plane != s->rows * s->y_pitch;
    return over <= 0 || gaps ? s->planes : K(least)((over + cells - 1) / cells, s->planes);
}

/* All that is known before planes are. */
typedef struct K(place_job) {
    const cgc_stencil *s;
    K(place_fn) *const *shapes, *between;
    int filled;
    int64_t column[2];     /* what stands beyond each end */
    const REAL *constants; /* around here */
    int64_t rows, longer;  /* of a class of rows, and how many classes have as many; the others have one less */
    int64_t most;          /* rows at a time */
    int far;               /* cells to come are called for */
} K(place_job);

/*
 * The cells of `rows` rows, those `dilation_h` apart, from line `line` of a plane on, at a column, or, if that is none,
 * the constant. Blocks are `next` apart.
 */
static ALWAYS_INLINE K(place_source) K(place_source_at)(const K(place_job) *job, const REAL *x, int64_t line,
                                                        int64_t rows, int64_t column, ptrdiff_t next) {
    const ptrdiff_t apart = job->s->dilation_h, *lines = job->s->lines + line, top = lines[0];
    const ptrdiff_t bottom = lines[(rows + 1) * apart];
    K(place_source) from = {.top = job->constants, .line = job->constants, .bottom = job->constants};
    if (column == CGC_CONSTANT_COLUMN)
        return from;
    if (top != CGC_CONSTANT_LINE)
        from.top = x + top + column, from.top_next = next;
    if (bottom != CGC_CONSTANT_LINE)
        from.bottom = x + bottom + column, from.bottom_next = next;
    from.line = x + lines[apart] + column, from.line_next = next;
    from.pitch = rows > 1 ? lines[2 * apart] - lines[apart] : 0;
    return from;
}

/* Readies `rows` rows from line `line` of a plane on. */
static ALWAYS_INLINE void K(place_open)(const K(place_job) *job, const REAL *x, int64_t line, int64_t rows,
                                        ptrdiff_t next, K(place) *at) {
    const cgc_stencil *s = job->s;
    const int64_t column = s->first + (s->mirrored ? 2 * s->dilation_w : 0);
    at->rows = rows;
    at->cells = K(place_source_at)(job, x, line, rows, column, next);
    for (int e = 0; job->filled && e < 2; e++)
        at->fill[e] = K(place_source_at)(job, x, line, rows, job->column[e], next);
}

/* Blocks of rows that are ready, from column `from` on. */
static void K(place_blocks)(K(place_fn) *shape, int64_t blocks, int64_t from, K(place) *at) {
    const ptrdiff_t top = at->cells.top_next ? from : 0, bottom = at->cells.bottom_next ? from : 0;
    at->blocks = blocks;
    at->cells.top += top;
    at->cells.line += from;
    at->cells.bottom += bottom;
    at->y += from;
    at->from += from;
    shape(at);
    at->cells.top -= top;
    at->cells.line -= from;
    at->cells.bottom -= bottom;
    at->y -= from;
    at->from -= from;
}

/* All blocks of rows that are ready. */
static void K(place_across)(const K(place_job) *job, K(place) *at) {
    const cgc_stencil *s = job->s;
    const int64_t cols = s->cols, wide = 2 * WIDTH;
    if (cols <= wide) {
        K(place_blocks)(job->shapes[K(place_both)], 1, 0, at);
        return;
    }
    const int64_t most = s->width - s->first - 2 * s->dilation_w - wide; /* where one that does not look may begin */
    int64_t blocks = (cols - wide - 1) / wide, done = wide + blocks * wide;
    const int moved = blocks > 0 && done - wide > most;
    K(place_blocks)(job->shapes[K(place_left)], 1, 0, at);
    if (blocks > moved)
        K(place_blocks)(job->between, blocks - moved, wide, at);
    if (moved) {
        K(place_blocks)(job->between, 1, most, at);
        done = most + wide;
    }
    if (cols - done > WIDTH)
        K(place_blocks)(job->shapes[K(place_right)], 1, cols - wide, at);
    else
        K(place_blocks)(job->shapes[K(place_last)], 1, cols - WIDTH, at);
}

/* How rows are cut: evenly. */
static void K(place_cut)(K(place_job) *job) {
    const cgc_stencil *s = job->s;
    const int64_t fit = K(place_cells) / s->cols, most = fit > K(place_rows) ? fit : K(place_rows);
    job->rows = (s->rows + s->dilation_h - 1) / s->dilation_h;
    job->longer = s->rows - (job->rows - 1) * s->dilation_h;
    const int64_t parts = (job->rows + most - 1) / most;
    job->most = (job->rows + parts - 1) / parts;
}

/*
 * Calls for the lines of the rows that come after those from row r of plane x on, or of plane `next` if there are none.
 * Blocks leave one row for another too soon for machines to foresee more than a few cells.
 */
static void K(place_call)(const K(place_job) *job, const REAL *x, const REAL *next, int64_t r, K(place) *at) {
    const cgc_stencil *s = job->s;
    const int more = r + job->most < job->rows;
    const ptrdiff_t *lines = s->lines + (1 + (more ? r + job->most : 0)) * s->dilation_h;
    at->ahead = (more ? x : next) + *lines + (s->mirrored ? s->width - 1 : 0);
    at->ahead_next = s->mirrored ? -K(line_cells) : K(line_cells);
}

/* Plane p, for one filter: some rows of each class at a time. */
static void K(place_plane)(const K(place_job) *job, int64_t p, K(place) *at) {
    const cgc_stencil *s = job->s;
    const REAL *x = (const REAL *)s->x + p * s->x_plane, *next = p + 1 < s->planes ? x + s->x_plane : x;
    const REAL *begin = at->from;
    REAL *y = at->y;
    for (int64_t r = 0; r < job->rows; r += job->most) {
        if (job->far)
            K(place_call)(job, x, next, r, at);
        for (int64_t first = 0; first < s->dilation_h; first++) {
            const int64_t line = first + r * s->dilation_h;
            const int64_t rows = K(least)(job->most, job->rows - (first >= job->longer) - r);
            if (rows <= 0)
                break;
            K(place_open)(job, x, line, rows, 2 * WIDTH, at);
            at->y = y + line * s->y_pitch;
            at->from = begin + line * s->from_pitch;
            K(place_across)(job, at);
        }
    }
}

/* Planes p .. p+planes-1, of one block each. over: lanes beyond a row are written too; mirrored, they are in front. */
static void K(place_run)(const K(place_job) *job, int64_t p, int64_t planes, int over, K(place) at) {
    const cgc_stencil *s = job->s;
    const int64_t cols = s->cols, from = over && s->mirrored ? cols - WIDTH : 0;
    const int narrow = cols <= WIDTH;
    for (int v = 0; narrow && v < 3; v++)
        at.inside[v] = K(place_inside)(s, from, v);
    at.cols = over ? WIDTH : cols;
    at.w += p * at.w_next;
    at.y += p * at.y_next;
    at.bias += p * at.bias_next;
    K(place_open)(job, (const REAL *)s->x + p * s->x_plane, 0, s->rows, s->x_plane, &at);
    K(place_blocks)(job->shapes[narrow ? K(place_narrow) : K(place_both)], planes, from, &at);
}

/* All output planes, if they can be served. */
static int K(place_planes)(const cgc_stencil *s) {
    static const REAL zero;
    _Alignas(64) REAL constants[6 * WIDTH];
    K(place_job) job = {.s = s, .constants = constants + 2 * WIDTH};
    if (!K(place_serves)(s) || !K(place_beyond)(s, job.column))
        return 0;
    const int64_t filters = s->filters, cols = s->cols;
    job.filled = s->constant != 0 || signbit(s->constant) || s->dilation_w > 1 ||
                 job.column[0] != CGC_CONSTANT_COLUMN || job.column[1] != CGC_CONSTANT_COLUMN;
    if (job.filled && cols <= WIDTH && (s->first < -1 || s->first + cols + 1 > s->width))
        return 0; /* an only column is filled at each end */
    if (s->from && (job.filled || cols <= WIDTH || !s->mirrored))
        return 0; /* there are no such kernels */
    K(band_fill)(constants, 6 * WIDTH, (REAL)s->constant);
    K(place_fn) *const *zeros = s->from ? K(place_partial_mirrored)
                                : s->mirrored ? K(place_zeros_mirrored) : K(place_zeros);
    K(place_fn) *const *filled = s->mirrored ? K(place_filled_mirrored) : K(place_filled);
    job.shapes = job.filled ? filled : zeros;
    job.between = (s->dilation_w > 1 ? filled : zeros)[K(place_between)];
    K(place_cut)(&job);
    const int together = cols <= 2 * WIDTH && s->dilation_h == 1; /* planes, which follow each other in memory */
    job.far = (s->far || job.most < job.rows) && !together && !s->from;
    if (job.far && !job.filled)
        job.shapes = s->mirrored ? K(place_far_mirrored) : K(place_far);
    if (job.far && s->dilation_w > 1)
        job.between = s->mirrored ? K(place_apart_mirrored) : K(place_apart);
    else if (job.far)
        job.between = (s->mirrored ? K(place_far_mirrored) : K(place_far))[K(place_between)];
    K(place) at = {
        .apart = s->mirrored ? -s->dilation_w : s->dilation_w, .second = cols < 2 * WIDTH ? cols - WIDTH : WIDTH,
        .y_pitch = s->dilation_h * s->y_pitch, .from_pitch = s->dilation_h * s->from_pitch, .cols = cols,
        .clamped = s->lo > -HUGE_VAL || s->hi < HUGE_VAL, .lo = (REAL)s->lo, .hi = (REAL)s->hi,
    };
    for (int v = 0; v < 3; v++)
        at.inside[v] = K(place_inside)(s, v == 0 ? 0 : cols - WIDTH, v);
    at.y_next = together ? s->y_plane * filters : 2 * WIDTH;
    at.w_next = together ? s->w_filter * filters : 0;
    at.bias_next = together && s->bias ? filters : 0;
    const int64_t most = s->planes - K(place_exact)(s);
    for (int64_t p = 0; p < (together ? 1 : s->planes); p++)
        for (int64_t f = 0; f < filters; f++) {
            at.w = (const REAL *)s->w + (p * filters + f) * s->w_filter;
            at.bias = s->bias ? (const REAL *)s->bias + p * filters + f : &zero;
            at.y = (REAL *)s->y + (p * filters + f) * s->y_plane;
            at.from = s->from ? s->from : at.y;
            if (!together)
                K(place_plane)(&job, p, &at);
            if (together && most > 0)
                K(place_run)(&job, 0, most, 1, at);
            if (together)
                K(place_run)(&job, most, s->planes - most, 0, at);
        }
    return 1;
}
