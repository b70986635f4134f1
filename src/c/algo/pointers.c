/* Tables of pointers, see pointers.h. They must not know who reads them. */
#include "pointers.h"

enum {
    COLUMNS = 2048, /* entries of a line, at most */
};

/* Entries for n outputs. A correlation without taps reads nothing, but has a table. */
static int64_t entries(const cgc_axis *a, int64_t n) {
    const int64_t taps = cgc_max(a->taps, 1);
    return a->shared ? (n - 1) * a->out + (taps - 1) * a->dilation + 1 : n * taps;
}

/* Outputs that fit `limit` entries, at least 1. */
static int64_t fit(const cgc_axis *a, int64_t limit) {
    const int64_t taps = cgc_max(a->taps, 1);
    return cgc_max(1, a->shared ? (limit - (taps - 1) * a->dilation - 1) / a->out + 1 : limit / taps);
}

static cgc_axis axis_of(int64_t count, int64_t taps, int64_t origin, int64_t out, int64_t dilation) {
    cgc_axis a = {.taps = taps, .origin = origin, .out = out, .dilation = dilation, .classes = 1};
    if (dilation < 0) {
        a.turned = 1;
        a.origin += (count - 1) * out;
        a.dilation = -dilation;
    }
    return a;
}

cgc_pointers cgc_pointers_of(const cgc_correlation *c, int64_t limit) {
    cgc_pointers p = {.rows = axis_of(c->rows, c->ku, c->r0, c->r_i, c->r_u),
                      .cols = axis_of(c->cols, c->kv, c->c0, c->c_j, c->c_v)};
    cgc_axis *rows = &p.rows, *cols = &p.cols;
    /* Lines that no tap reads are a waste; and a line must have room for all taps of a row. */
    const int64_t high = (cgc_max(rows->taps, 1) - 1) * rows->dilation + 1;
    rows->shared = high <= 3 * rows->taps + 26 && high * cgc_max(cols->taps, 1) <= limit;
    const int64_t width = cgc_min(COLUMNS, limit / entries(rows, 1));
    cols->shared = (cgc_max(cols->taps, 1) - 1) * cols->dilation + 1 <= width / 4 && cols->out <= width / 8;
    cols->most = fit(cols, width - (cols->shared ? cols->dilation : 0));
    if (cols->shared && cols->out == 1) cols->classes = cols->dilation;
    if (rows->shared && rows->out == 1) rows->classes = rows->dilation;
    cols->most = cgc_min(cols->most, c->cols);
    return p;
}

static int64_t line_of(const cgc_axis *wide, int64_t cols) {
    return cgc_ceil_div(entries(wide, cols), wide->classes) * wide->classes;
}

int64_t cgc_pointers_rows(const cgc_pointers *p, int64_t cols, int64_t limit) {
    return fit(&p->rows, limit / line_of(&p->cols, cols));
}

cgc_pointer_block cgc_pointers_block(const cgc_pointers *p, int64_t i, int64_t rows, int64_t j, int64_t cols) {
    const cgc_axis *high = &p->rows, *wide = &p->cols;
    cgc_pointer_block b = {.i = i, .rows = rows, .j = j, .cols = cols};
    b.lines = entries(high, rows);
    b.pitch = line_of(wide, cols);
    b.col_class = b.pitch / wide->classes;
    b.row = (high->shared ? high->out : 1) * b.pitch;
    b.u = (high->shared ? high->dilation : rows) * b.pitch;
    b.row_class = b.pitch;
    b.step = wide->shared ? wide->out : 1;
    b.dilation = wide->shared ? wide->dilation / wide->classes : cols;
    return b;
}

void cgc_pointers_run(const cgc_plane *plane, const char *line, int64_t col, int64_t step, int64_t count,
                      const char *constant, const void **run) {
    for (int64_t t = 0; t < count;) {
        const int64_t at = col + t * step;
        if (at >= 0 && at < plane->w) {
            const int64_t left = step > 0 ? (plane->w - 1 - at) / step : at / -step; /* inside, behind this one */
            const int64_t end = cgc_min(count, t + left + 1);
            const char *pixel = cgc_at(line, at * plane->col, plane->size);
            const ptrdiff_t apart = step * plane->col * plane->size;
            for (int64_t e = 0; e < end - t; e++) run[t + e] = pixel + e * apart;
            t = end;
        } else {
            const int64_t source = cgc_pad_source(plane->mode, at, plane->w);
            run[t++] = source < 0 ? constant : cgc_at(line, source * plane->col, plane->size);
        }
    }
}

void cgc_pointers_fill(const cgc_pointers *p, const cgc_pointer_block *b, const cgc_correlation *c,
                       const char *source, const char *constant, const char *blank, const void **table) {
    const cgc_axis *high = &p->rows, *wide = &p->cols;
    const cgc_plane *plane = &c->source;
    const int64_t down = high->turned ? -1 : 1, right = wide->turned ? -1 : 1;
    const int64_t runs = wide->shared ? wide->classes : cgc_max(wide->taps, 1), count = b->pitch / runs;
    const int64_t apart = wide->shared ? 1 : wide->dilation, step = wide->shared ? wide->classes : wide->out;
    for (int64_t line = 0; line < b->lines; line++, table += b->pitch) {
        const int64_t cell = high->shared ? b->i * high->out + line
                                          : (b->i + line % b->rows) * high->out + line / b->rows * high->dilation;
        const int64_t row = cgc_pad_source(plane->mode, high->origin + down * cell, plane->h);
        if (row < 0 || plane->w < 1) {
            for (int64_t e = 0; e < b->pitch; e++) table[e] = blank;
            continue;
        }
        const char *base = cgc_at(source, row * plane->row, plane->size);
        for (int64_t run = 0; run < runs; run++)
            cgc_pointers_run(plane, base, wide->origin + right * (b->j * wide->out + run * apart), right * step,
                             count, constant, table + run * count);
    }
}
