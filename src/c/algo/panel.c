/* Panels, see panel.h. */
#include "panel.h"

/* What stays in L1 beside the results. */
enum { CACHED_BYTES = 24576 };

/* Copying so many lines costs no more than copying the row of one term after the other. */
enum { LINES_A_TERM = 4 };

static int64_t least(int64_t count, int64_t step) { return count > 0 ? cgc_min(0, (count - 1) * step) : 0; }
static int64_t most(int64_t count, int64_t step) { return count > 0 ? cgc_max(0, (count - 1) * step) : 0; }

cgc_panel cgc_panel_of(const cgc_correlation *c, int64_t cols) {
    cgc_panel panel = {.rows = 1, .cols = cgc_max(1, cgc_min(cols, c->cols))};
    panel.u_low = least(c->ku, c->r_u);
    panel.v_low = least(c->kv, c->c_v);
    panel.lines = most(c->ku, c->r_u) - panel.u_low + 1;
    panel.phase = (ptrdiff_t)(panel.cols + (most(c->kv, c->c_v) - panel.v_low) / c->c_j);
    panel.pitch = (ptrdiff_t)(panel.phase * c->c_j);
    const int64_t planes = cgc_max(c->planes, 1);
    /* In doubles: these products may be out of range, and only their magnitude matters. */
    const double line = (double)planes * (double)panel.phase * (double)c->c_j;
    panel.by_lines = line * (double)panel.lines <= CGC_PANEL_ELEMENTS;
    if (panel.by_lines) {
        const double cached = (double)CACHED_BYTES / (double)c->source.size / line; /* lines */
        const int64_t more = (int64_t)((cached - (double)panel.lines) / (double)c->r_i);
        panel.rows = cgc_max(1, cgc_min(c->rows, 1 + more));
        /* Under a wide dilation most lines may be read by nobody. */
        panel.by_lines = panel.lines + (panel.rows - 1) * c->r_i <= LINES_A_TERM * panel.rows * c->ku;
    }
    if (!panel.by_lines) {
        panel.rows = 1;
        panel.cols = cgc_min(panel.cols, CGC_PANEL_ELEMENTS / cgc_max(1, c->planes * c->ku * c->kv));
        panel.pitch = (ptrdiff_t)panel.cols;
    }
    return panel;
}

/* One line of a plane: the phases that some column of the filter reads. */
static void fill_line(const cgc_panel *panel, const cgc_kernels *kernels, const cgc_correlation *c, const char *plane,
                      int64_t row, int64_t j, int64_t cols, char *line) {
    const int64_t first = c->c0 + j * c->c_j + panel->v_low;
    const int64_t length = cols + panel->phase - panel->cols;
    for (int64_t phase = 0; phase < c->c_j; phase++) {
        int read = 0;
        for (int64_t v = 0; v < c->kv && !read; v++) read = (v * c->c_v - panel->v_low) % c->c_j == phase;
        if (read)
            cgc_fetch(kernels, &c->source, plane, row, first + phase, c->c_j, length,
                      cgc_at(line, phase * panel->phase, c->source.size));
    }
}

static void fill_lines(const cgc_panel *panel, const cgc_kernels *kernels, const cgc_correlation *c,
                       const char *source, int64_t i, int64_t rows, int64_t j, int64_t cols, char *cells,
                       ptrdiff_t *offsets) {
    const int64_t lines = panel->lines + (rows - 1) * c->r_i;
    for (int64_t p = 0; p < c->planes; p++) {
        const char *plane = cgc_at(source, p * c->s_plane, c->source.size);
        for (int64_t line = 0; line < lines; line++)
            fill_line(panel, kernels, c, plane, c->r0 + i * c->r_i + panel->u_low + line, j, cols,
                      cgc_at(cells, (p * lines + line) * panel->pitch, c->source.size));
        for (int64_t u = 0; u < c->ku; u++)
            for (int64_t v = 0; v < c->kv; v++) {
                const int64_t line = p * lines + u * c->r_u - panel->u_low, col = v * c->c_v - panel->v_low;
                *offsets++ = (ptrdiff_t)(line * panel->pitch + col % c->c_j * panel->phase + col / c->c_j);
            }
    }
}

static void fill_terms(const cgc_panel *panel, const cgc_kernels *kernels, const cgc_correlation *c,
                       const char *source, int64_t i, int64_t j, int64_t cols, char *cells, ptrdiff_t *offsets) {
    const int64_t terms = c->planes * c->ku * c->kv;
    cgc_term term = {0, 0, 0};
    for (int64_t k = 0; k < terms; k++, cgc_next_term(c, &term)) {
        offsets[k] = (ptrdiff_t)(k * panel->pitch);
        cgc_fetch(kernels, &c->source, cgc_at(source, term.plane * c->s_plane, c->source.size),
                  c->r0 + i * c->r_i + term.u * c->r_u, c->c0 + j * c->c_j + term.v * c->c_v, c->c_j, cols,
                  cgc_at(cells, offsets[k], c->source.size));
    }
}

void cgc_panel_fill(const cgc_panel *panel, const cgc_kernels *kernels, const cgc_correlation *c, const char *source,
                    int64_t i, int64_t rows, int64_t j, int64_t cols, char *cells, ptrdiff_t *offsets) {
    if (panel->by_lines)
        fill_lines(panel, kernels, c, source, i, rows, j, cols, cells, offsets);
    else
        fill_terms(panel, kernels, c, source, i, j, cols, cells, offsets);
}

/* Cells a with 0 <= first + a*step + t*reach < extent for all t < taps. */
static cgc_inside inside(int64_t first, int64_t step, int64_t taps, int64_t reach, int64_t extent, int64_t count) {
    const int64_t low = first + least(taps, reach), room = extent - 1 - first - most(taps, reach);
    cgc_inside cells = {low >= 0 ? 0 : cgc_ceil_div(-low, step), room >= 0 ? room / step + 1 : 0};
    cells.to = cgc_min(cells.to, count);
    if (cells.from >= cells.to) cells.from = cells.to = 0;
    return cells;
}

cgc_inside cgc_inside_rows(const cgc_correlation *c) {
    return inside(c->r0, c->r_i, c->ku, c->r_u, c->source.h, c->rows);
}
cgc_inside cgc_inside_cols(const cgc_correlation *c) {
    return inside(c->c0, c->c_j, c->kv, c->c_v, c->source.w, c->cols);
}
