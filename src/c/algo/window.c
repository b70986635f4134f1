/* Windows, see window.h. */
#include "window.h"

#include <string.h>

/* What stays in L1 beside the results. */
enum { CACHED_BYTES = 24576 };

/* Columns that whole output rows read, and lines that one row reads. */
static int64_t width_of(const cgc_correlation *c) { return (c->cols - 1) * c->c_j + (c->kv - 1) * c->c_v + 1; }
static int64_t lines_of(const cgc_correlation *c) { return (c->ku - 1) * c->r_u + 1; }

/* A line begins with a cache line. */
static int64_t pitch_of(const cgc_correlation *c) { return cgc_ceil_div(width_of(c), 16) * 16; }

/* How many of `count` columns from c0 on lie inside, from the first inside on. */
static int64_t inside_of(const cgc_correlation *c, int64_t count) {
    return cgc_max(0, cgc_min(c->c0 + count, c->source.w) - cgc_max(c->c0, 0));
}

int cgc_window_serves(const cgc_correlation *c) {
    if (c->planes != 1 || c->ku < 1 || c->kv < 1 || c->r_u < 1 || c->c_v < 1) return 0;
    /* In doubles: the product may be out of range. */
    return (double)pitch_of(c) * (double)lines_of(c) <= CGC_WINDOW_ELEMENTS && lines_of(c) <= CGC_WINDOW_LINES &&
           width_of(c) - inside_of(c, width_of(c)) <= CGC_WINDOW_EDGES;
}

int64_t cgc_window_rows(const cgc_correlation *c) {
    const int64_t cached = CACHED_BYTES / (pitch_of(c) * (int64_t)c->source.size);
    return cgc_max(1, (cgc_min(cached, CGC_WINDOW_LINES) - lines_of(c)) / c->r_i + 1);
}

void cgc_window_open(cgc_window *window, const cgc_kernels *kernels, const cgc_correlation *c, int64_t i,
                     int64_t rows, char *cells) {
    window->c = c;
    window->width = width_of(c);
    window->pitch = (ptrdiff_t)pitch_of(c);
    window->lines = lines_of(c) + (rows - 1) * c->r_i;
    window->first = cgc_max(0, -c->c0);
    window->cols = inside_of(c, window->width);
    window->col = cgc_max(c->c0, 0);
    window->edges = 0;
    for (int64_t line = 0; line < window->lines; line++)
        window->line[line] = cgc_pad_source(c->source.mode, c->r0 + i * c->r_i + line, c->source.h);
    for (int64_t t = 0; t < window->width; t++) {
        if (t >= window->first && t < window->first + window->cols) continue;
        window->place[window->edges] = t;
        window->source[window->edges++] = cgc_pad_source(c->source.mode, c->c0 + t, c->source.w);
    }
    if (c->source.mode != CGCONV_PAD_CONSTANT) return;
    kernels->fill(cells, c->source.value, window->lines * window->pitch);
    window->edges = 0; /* they are constant, and done */
}

/* Copies the edge cells of a line. */
static void fill_edges(const cgc_window *window, const char *source, char *line) {
    const cgc_plane *plane = &window->c->source;
    for (int64_t e = 0; e < window->edges; e++)
        memcpy(cgc_at(line, window->place[e], plane->size),
               cgc_at(source, window->source[e] * plane->col, plane->size), (size_t)plane->size);
}

void cgc_window_fill(const cgc_window *window, const cgc_kernels *kernels, const char *plane, char *cells) {
    const cgc_plane *source = &window->c->source;
    const ptrdiff_t size = source->size;
    for (int64_t line = 0; line < window->lines; line++) {
        if (window->line[line] < 0) continue;
        const char *row = cgc_at(plane, window->line[line] * source->row, size);
        char *to = cgc_at(cells, line * window->pitch, size);
        if (window->cols > 0)
            kernels->gather(cgc_at(to, window->first, size), cgc_at(row, window->col * source->col, size),
                            source->col, window->cols);
        fill_edges(window, row, to);
    }
}
