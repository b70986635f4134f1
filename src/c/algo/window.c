/* Windows, see window.h. */
#include "window.h"

#include <string.h>

/* Columns of the panel that whole output rows read. */
static int64_t width(const cgc_correlation *c) { return (c->cols - 1) * c->c_j + (c->kv - 1) * c->c_v + 1; }

/* How many of `count` columns from c0 on lie inside, from the first inside on. */
static int64_t inside_of(const cgc_correlation *c, int64_t count) {
    return cgc_max(0, cgc_min(c->c0 + count, c->source.w) - cgc_max(c->c0, 0));
}

int cgc_window_serves(const cgc_correlation *c, const cgc_panel *panel) {
    return panel->by_lines && panel->cols == c->cols && c->planes == 1 && c->ku > 0 && c->kv > 0 && c->r_u > 0 &&
           c->c_v > 0 && panel->lines <= CGC_WINDOW_LINES && width(c) - inside_of(c, width(c)) <= CGC_WINDOW_EDGES;
}

int64_t cgc_window_rows(const cgc_correlation *c, const cgc_panel *panel) {
    return cgc_min(panel->rows, (CGC_WINDOW_LINES - panel->lines) / c->r_i + 1);
}

void cgc_window_open(cgc_window *window, const cgc_kernels *kernels, const cgc_correlation *c, const cgc_panel *panel,
                     int64_t i, int64_t rows, char *cells) {
    const int64_t count = width(c);
    window->c = c;
    window->panel = *panel;
    window->lines = panel->lines + (rows - 1) * c->r_i;
    window->first = cgc_max(0, -c->c0);
    window->cols = inside_of(c, count);
    window->col = cgc_max(c->c0, 0);
    window->edges = 0;
    for (int64_t line = 0; line < window->lines; line++)
        window->line[line] = cgc_pad_source(c->source.mode, c->r0 + i * c->r_i + line, c->source.h);
    for (int64_t t = 0; t < count; t++) {
        if (t >= window->first && t < window->first + window->cols) continue;
        window->place[window->edges] = t % c->c_j * panel->phase + t / c->c_j;
        window->source[window->edges++] = cgc_pad_source(c->source.mode, c->c0 + t, c->source.w);
    }
    if (c->source.mode != CGCONV_PAD_CONSTANT) return;
    kernels->fill(cells, c->source.value, window->lines * panel->pitch);
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
    const cgc_correlation *c = window->c;
    const cgc_panel *panel = &window->panel;
    const ptrdiff_t size = c->source.size;
    for (int64_t from = 0, to; from < window->lines; from = to) {
        const int64_t row = window->line[from];
        to = from + 1;
        if (row < 0) continue;
        while (to < window->lines && window->line[to] == row + to - from) to++;
        const char *inside = cgc_at(plane, row * c->source.row + window->col * c->source.col, size);
        kernels->lines(to - from, window->cols, inside, c->source.row, c->source.col,
                       cgc_at(cells, from * panel->pitch, size), panel->pitch, window->first, c->c_j, panel->phase);
        for (int64_t line = from; line < to && window->edges; line++)
            fill_edges(window, cgc_at(plane, window->line[line] * c->source.row, size),
                       cgc_at(cells, line * panel->pitch, size));
    }
}
