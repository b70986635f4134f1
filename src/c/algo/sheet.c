/* Sheets, see sheet.h. */
#include "sheet.h"

#include <string.h>

/* So many lines a row and tap are no waste. */
enum { LINES_A_TAP = 4 };

enum {
    MOST_EDGES = 128, /* padding cells of a line */
    MOST_STRIPS = 16,
    MOST_REACH = 65536, /* columns from the first tap to the last */
};

/* Tap t falls into phase (t * reach) % step; the phases repeat after so many taps. */
static int64_t period(int64_t step, int64_t reach) { return step / cgc_gcd(step, reach); }

int cgc_sheet_serves(const cgc_correlation *c) {
    if (c->planes < 1 || c->ku < 1 || c->kv < 1 || c->r_u < 1 || c->c_v < 1 || c->r_i < 1) return 0;
    const int64_t phases = cgc_min(c->ku, period(c->r_i, c->r_u));
    const int64_t lines = (c->ku - 1) * c->r_u / c->r_i + 1;
    const int64_t right = c->c0 + (c->cols - 1) * c->c_j + (c->kv - 1) * c->c_v + c->c_j - c->source.w;
    return lines <= LINES_A_TAP * c->ku && lines * phases <= CGC_SHEET_LINES &&
           (c->kv - 1) * c->c_v / c->c_j <= MOST_REACH && period(c->c_j, c->c_v) <= MOST_STRIPS &&
           cgc_max(-c->c0, 0) + cgc_max(right, 0) <= MOST_EDGES;
}

/* Right pad cells of a line that are left pad cells of the next. */
static int64_t shared(const cgc_correlation *c, int64_t cols) {
    if (c->c_j != 1 || cols != c->cols || c->source.mode != CGCONV_PAD_CONSTANT) return 0;
    const int64_t right = c->c0 + cols - 1 + (c->kv - 1) * c->c_v + 1 - c->source.w;
    return cgc_max(0, cgc_min(cgc_min(-c->c0, right), (c->kv - 1) * c->c_v));
}

cgc_sheet cgc_sheet_of(const cgc_correlation *c, int64_t rows, int64_t cols) {
    cgc_sheet sheet = {.rows = rows, .cols = cols};
    sheet.row_phases = cgc_min(c->ku, period(c->r_i, c->r_u));
    sheet.col_phases = cgc_min(c->kv, period(c->c_j, c->c_v));
    sheet.lines = rows + (c->ku - 1) * c->r_u / c->r_i;
    sheet.pitch = (ptrdiff_t)(cols + (c->kv - 1) * c->c_v / c->c_j - shared(c, cols));
    sheet.phase = (ptrdiff_t)(sheet.lines * sheet.pitch);
    sheet.plane = (ptrdiff_t)(sheet.phase * sheet.row_phases * sheet.col_phases);
    sheet.elements = c->planes * sheet.plane + shared(c, cols) + CGC_MAX_LANES;
    return sheet;
}

void cgc_sheet_offsets(const cgc_sheet *sheet, const cgc_correlation *window, const cgc_correlation *c,
                       ptrdiff_t *offsets) {
    const cgc_correlation *w = window;
    for (int64_t tap_u = 0; tap_u < c->ku; tap_u++)
        for (int64_t tap_v = 0; tap_v < c->kv; tap_v++) {
            const int64_t u = (c->r0 + tap_u * c->r_u - w->r0) / w->r_u;
            const int64_t v = (c->c0 + tap_v * c->c_v - w->c0) / w->c_v;
            offsets[tap_u * c->kv + tap_v] =
                (ptrdiff_t)((u % sheet->row_phases * sheet->col_phases + v % sheet->col_phases) * sheet->phase +
                            u * w->r_u / w->r_i * sheet->pitch + v * w->c_v / w->c_j);
        }
    const int64_t taps = c->ku * c->kv;
    for (int64_t k = taps; k < c->planes * taps; k++) offsets[k] = offsets[k - taps] + sheet->plane;
}

/*
 * A strip: cells t = 0, 1, ... of each line, which come from source columns col + t*stride and go to place
 * base + t % step * phase + t / step. One strip takes all column phases if they lie in their order, else each has its
 * own.
 */
typedef struct strip {
    int64_t col, stride, step, count;
    int64_t first, inside; /* cells inside the source: `inside` of them from `first` on */
    ptrdiff_t base;
    int64_t edges;                              /* cells outside it */
    ptrdiff_t place[MOST_EDGES], from[MOST_EDGES]; /* of each, and of the cell of the source row that it copies */
} strip;

/* What filling does again and again. */
typedef struct filling {
    const cgc_sheet *sheet;
    const cgc_kernels *kernels;
    const cgc_correlation *c;
    int64_t lines; /* in use */
    int constants; /* pads are constant */
    int padded;    /* and in their place */
    char constant[sizeof(uint64_t)];
} filling;

static int64_t strips(const cgc_sheet *sheet, const cgc_correlation *c) {
    const int together = sheet->col_phases == c->c_j && c->c_v % c->c_j == 1 % c->c_j && c->source.col == 1;
    return together ? 1 : sheet->col_phases;
}

static strip strip_at(const cgc_sheet *sheet, const cgc_correlation *c, int64_t index, int64_t j, int64_t cols) {
    const int together = strips(sheet, c) == 1 && sheet->col_phases > 1;
    strip s = {.step = together ? c->c_j : 1, .stride = together ? 1 : c->c_j};
    s.col = c->c0 + j * c->c_j + (together ? 0 : index * c->c_v % c->c_j);
    s.base = (ptrdiff_t)index * sheet->phase;
    s.count = together ? (cols - 1) * c->c_j + (c->kv - 1) * c->c_v + 1
                       : cols + (c->kv - 1) * c->c_v / c->c_j;
    s.first = s.col < 0 ? cgc_min(s.count, cgc_ceil_div(-s.col, s.stride)) : 0;
    const int64_t end = s.col < c->source.w ? (c->source.w - 1 - s.col) / s.stride + 1 : 0;
    s.inside = cgc_max(0, cgc_min(end, s.count) - s.first);
    /* Pads that are shared are written as the left pads of the next line. */
    if (s.step == 1) s.count = cgc_min(s.count, sheet->pitch);
    for (int64_t t = s.first ? 0 : s.inside; t < s.count && s.edges < MOST_EDGES; t++) {
        if (t == s.first) t += s.inside;
        if (t >= s.count) break;
        s.place[s.edges] = s.base + (ptrdiff_t)(t % s.step * sheet->phase + t / s.step);
        s.from[s.edges++] =
            (ptrdiff_t)cgc_pad_source(c->source.mode, s.col + t * s.stride, c->source.w) * c->source.col;
    }
    return s;
}

/* The edges of `lines` lines from `line` on, whose source rows begin at `row`. */
static inline void fill_edges_of(const filling *f, const strip *s, int64_t lines, const char *row, char *line,
                                 const size_t size) {
    const ptrdiff_t next = (ptrdiff_t)size * f->c->r_i * f->c->source.row, pitch = (ptrdiff_t)size * f->sheet->pitch;
    char constant[sizeof(uint64_t)];
    memcpy(constant, f->constant, size);
    for (int64_t e = 0; e < s->edges; e++) {
        char *to = line + (ptrdiff_t)size * s->place[e];
        const char *from = row + (ptrdiff_t)size * s->from[e];
        if (f->constants)
            for (int64_t l = 0; l < lines; l++, to += pitch) memcpy(to, constant, size);
        else
            for (int64_t l = 0; l < lines; l++, to += pitch, from += next) memcpy(to, from, size);
    }
}

static void fill_edges(const filling *f, const strip *s, int64_t lines, const char *row, char *line) {
    if (f->c->source.size == sizeof(uint32_t))
        fill_edges_of(f, s, lines, row, line, sizeof(uint32_t));
    else
        fill_edges_of(f, s, lines, row, line, sizeof(uint64_t));
}

/* A line of constants in every column phase. */
static void fill_constant(const filling *f, char *line) {
    for (int64_t q = 0; q < f->sheet->col_phases; q++)
        f->kernels->fill(cgc_at(line, q * f->sheet->phase, f->c->source.size), f->c->source.value, f->sheet->pitch);
}

/* The lines of a row phase of one plane; lines that follow each other in the source go together. */
static void fill_plane(const filling *f, const strip *s, int64_t count, const int64_t *map, const char *plane,
                       char *cells) {
    const cgc_correlation *c = f->c;
    const ptrdiff_t size = c->source.size, pitch = f->sheet->pitch;
    for (int64_t from = 0, to; from < f->lines; from = to) {
        to = from + 1;
        if (map[from] < 0) {
            if (!f->padded) fill_constant(f, cgc_at(cells, from * pitch, size));
            continue;
        }
        while (to < f->lines && map[to] == map[to - 1] + c->r_i) to++;
        for (int64_t q = 0; q < count; q++) {
            if (s[q].inside)
                f->kernels->lines(to - from, s[q].inside,
                                  cgc_at(plane, map[from] * c->source.row +
                                                    (s[q].col + s[q].first * s[q].stride) * c->source.col, size),
                                  c->r_i * c->source.row, s[q].stride * c->source.col,
                                  cgc_at(cells, s[q].base + from * pitch, size), pitch, s[q].first, s[q].step,
                                  f->sheet->phase);
            if (s[q].edges && !f->padded)
                fill_edges(f, &s[q], to - from, cgc_at(plane, map[from] * c->source.row, size),
                           cgc_at(cells, from * pitch, size));
        }
    }
}

/* The lines of a row phase of all planes where these are neighbours in the source: pixels become columns. */
static void fill_neighbours(const filling *f, const strip *s, int64_t count, const int64_t *map, const char *source,
                            char *cells) {
    const cgc_correlation *c = f->c;
    const ptrdiff_t size = c->source.size, plane = f->sheet->plane;
    for (int64_t l = 0; l < f->lines; l++) {
        char *line = cgc_at(cells, l * f->sheet->pitch, size);
        if (map[l] < 0) {
            for (int64_t p = 0; p < c->planes && !f->padded; p++) fill_constant(f, cgc_at(line, p * plane, size));
            continue;
        }
        const char *row = cgc_at(source, map[l] * c->source.row, size);
        for (int64_t q = 0; q < count; q++) {
            f->kernels->transpose(s[q].inside, c->planes,
                                  cgc_at(row, (s[q].col + s[q].first * s[q].stride) * c->source.col, size),
                                  s[q].stride * c->source.col, cgc_at(line, s[q].base + s[q].first, size), plane);
            for (int64_t p = 0; p < c->planes && !f->constants; p++)
                fill_edges(f, &s[q], 1, cgc_at(row, p, size), cgc_at(line, p * plane, size));
        }
    }
    for (int64_t p = 0; p < c->planes && f->constants && !f->padded; p++)
        for (int64_t q = 0; q < count; q++) fill_edges(f, &s[q], f->lines, source, cgc_at(cells, p * plane, size));
}

/* Where lines are not used, the right pad of the last that is. */
static void fill_last_pads(const filling *f, const cgc_sheet *sheet, char *cells) {
    const cgc_correlation *c = f->c;
    const int64_t shares = shared(c, sheet->cols), phases = sheet->row_phases * sheet->col_phases;
    if (f->lines == sheet->lines || !shares) return;
    for (int64_t phase = 0; phase < c->planes * phases; phase++)
        f->kernels->fill(cgc_at(cells, phase * sheet->phase + f->lines * sheet->pitch, c->source.size),
                         c->source.value, shares);
}

void cgc_sheet_fill(const cgc_sheet *sheet, const cgc_kernels *kernels, const cgc_correlation *c, const char *source,
                    int64_t i, int64_t rows, int64_t j, int64_t cols, int again, char *cells, int64_t *map) {
    const ptrdiff_t size = c->source.size;
    strip s[MOST_STRIPS];
    filling f = {.sheet = sheet, .kernels = kernels, .c = c, .lines = sheet->lines - (sheet->rows - rows)};
    f.constants = c->source.mode == CGCONV_PAD_CONSTANT;
    f.padded = f.constants && again;
    kernels->fill(f.constant, c->source.value, 1);
    for (int64_t a = 0; a < sheet->row_phases; a++)
        for (int64_t l = 0; l < f.lines; l++)
            map[a * sheet->lines + l] = c->source.w < 1 ? -1 : cgc_pad_source(
                c->source.mode, c->r0 + (i + l) * c->r_i + a * c->r_u % c->r_i, c->source.h);
    const int64_t count = strips(sheet, c);
    for (int64_t q = 0; q < count; q++) s[q] = strip_at(sheet, c, q, j, cols);
    const int neighbours = c->s_plane == 1 && c->source.col != 1;
    for (int64_t a = 0; a < sheet->row_phases; a++) {
        char *phase = cgc_at(cells, a * sheet->col_phases * sheet->phase, size);
        if (neighbours) {
            fill_neighbours(&f, s, count, map + a * sheet->lines, source, phase);
            continue;
        }
        for (int64_t p = 0; p < c->planes; p++)
            fill_plane(&f, s, count, map + a * sheet->lines, cgc_at(source, p * c->s_plane, size),
                       cgc_at(phase, p * sheet->plane, size));
    }
    if (f.padded) return;
    fill_last_pads(&f, sheet, cells);
    /* What lies behind the last line: shared pads, and cells that are read to fill a vector. */
    kernels->fill(cgc_at(cells, c->planes * sheet->plane, size), c->source.value,
                  sheet->elements - c->planes * sheet->plane);
}
