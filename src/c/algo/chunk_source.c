/* Where the terms of a chunk are read, see chunk_source.h. */
#include "chunk_source.h"

enum { FEW_PIXELS = 512 }; /* of a chunk: any order of them stays in a near cache */

/* What is booked for `elements`, at most `most`, of which a whole problem would have `all`. */
static int64_t booked(int64_t elements, int64_t most, double all) {
    return cgc_max(elements, all < (double)most ? (int64_t)all : most);
}

/*
 * Row after row; or class after class, so that each is read in one go, where there are more pixels than few and a
 * class is not read in a few long vectors.
 */
static cgc_lay lay_of(const cgc_kernels *kernels, cgc_source_kind wanted, int64_t rows, int64_t cols) {
    const int64_t lanes = kernels->lanes, each = cgc_ceil_div(cols, lanes);
    if (wanted == CGC_TURNED) return (cgc_lay){0, cgc_max(1, rows * each), 1};
    if (kernels->width == lanes || rows * cols <= FEW_PIXELS) return (cgc_lay){cols, 1, lanes};
    return (cgc_lay){each, rows * each, 1};
}

/* Whether columns are neighbours and no cell is padding. */
static int are_in_place(const cgc_correlation *c) {
    const int64_t bottom = c->r0 + (c->rows - 1) * c->r_i + (c->ku - 1) * c->r_u;
    const int64_t right = c->c0 + (c->cols - 1) * c->c_j + (c->kv - 1) * c->c_v;
    return c->c_j * c->source.col == 1 && c->r0 >= 0 && c->c0 >= 0 && bottom < c->source.h && right < c->source.w;
}

cgc_chunk_source cgc_chunk_source_of(const cgc_correlation *c, const cgc_kernels *kernels, int64_t images,
                                     int64_t groups, cgc_source_kind wanted, int64_t most) {
    const cgc_chunks cut = cgc_cut_of(images, c->rows, c->cols);
    const int64_t taps = c->ku * c->kv;
    cgc_chunk_source s = {.kind = CGC_IN_PLACE};
    s.rows = cgc_min(cut.rows, images * c->rows);
    s.pixels = cgc_max(1, s.rows * cut.cols);
    s.terms = cgc_min(CGC_CHUNK_TERMS, c->planes * taps);
    const double all_pixels = (double)images * (double)c->rows * (double)c->cols;
    s.lay = lay_of(kernels, wanted, s.rows, cut.cols);
    s.laid = s.lay.col == 1 ? s.pixels : cgc_min(cgc_max(1, cut.cols), kernels->lanes) * s.lay.col;
    s.booked_pixels = all_pixels < CGC_MAX_PIXELS ? cgc_max(s.laid, (int64_t)all_pixels) : CGC_MAX_PIXELS;
    if (wanted == CGC_IN_PLACE) {
        s.col = c->cols > 1 ? c->c_j * c->source.col : 1; /* the stride of an only column may be any number */
        s.next = c->cols > kernels->lanes ? kernels->lanes * s.col : s.col;
        return s;
    }
    if (wanted == CGC_TURNED) {
        const cgc_source_kind kind = are_in_place(c) ? CGC_IN_PLACE : CGC_IN_SHEETS;
        cgc_chunk_source turned = cgc_chunk_source_of(c, kernels, images, 1, kind, most);
        turned.turned = turned.kind;
        turned.turned_at = turned.booked;
        turned.kind = CGC_TURNED;
        turned.lay = s.lay;
        turned.laid = s.laid;
        turned.booked_pixels = s.booked_pixels;
        /* Cut evenly: few terms have as much of dy to read as many. */
        const int64_t k = cgc_max(1, cgc_min(turned.terms, most / s.booked_pixels));
        turned.terms = cgc_max(1, cgc_ceil_div(c->planes, cgc_max(1, cgc_ceil_div(c->planes, k))));
        turned.col = (ptrdiff_t)s.lay.col;
        turned.next = 1;
        turned.booked += booked(turned.terms * s.laid, most, all_pixels * (double)c->planes);
        return turned;
    }
    if (wanted == CGC_LAID_OUT) {
        s.kind = CGC_LAID_OUT;
        s.terms = cgc_max(1, cgc_min(s.terms, most / s.booked_pixels));
        s.col = (ptrdiff_t)(s.terms * s.lay.col);
        s.next = (ptrdiff_t)(s.terms * s.lay.next);
        s.booked = booked(s.terms * s.laid, most, all_pixels * (double)c->planes);
        return s;
    }

    s.col = 1;
    s.next = kernels->lanes;
    if (cgc_sheet_serves(c) && taps <= CGC_CHUNK_TERMS) {
        cgc_correlation one = *c;
        one.planes = 1;
        s.sheet = cgc_sheet_of(&one, cgc_min(cut.rows, c->rows), cut.cols);
        const int64_t met = cgc_max(1, cgc_min(images, (cut.rows + c->rows - 2) / c->rows + 1)); /* images */
        const int64_t slack = s.sheet.elements - s.sheet.plane, fit = (most / met - slack) / s.sheet.plane;
        const int64_t all = cgc_min(c->planes, CGC_CHUNK_TERMS / taps), planes = groups > 1 ? all : cgc_min(all, fit);
        if (planes > 0 && groups * planes <= fit && (groups == 1 || planes == c->planes) &&
            s.sheet.lines * s.sheet.row_phases <= CGC_SHEET_LINES) {
            s.kind = CGC_IN_SHEETS;
            s.terms = planes * taps;
            s.image = groups * planes * s.sheet.plane + slack;
            s.booked = booked(met * s.image, most,
                              all_pixels * (double)(groups * c->planes * s.sheet.row_phases * s.sheet.col_phases));
            return s;
        }
    }
    s.kind = CGC_BY_TERMS;
    s.terms = cgc_max(1, cgc_min(s.terms, most / s.booked_pixels));
    s.booked = booked(s.terms * s.pixels, most, all_pixels * (double)(c->planes * taps));
    return s;
}

/* Rows of a chunk that belong to one image. */
typedef struct piece {
    int64_t n, i, rows; /* the image, the first of its rows, how many */
} piece;

static piece piece_at(const cgc_correlation *c, cgc_chunk chunk, int64_t row) {
    const int64_t i = row % c->rows;
    return (piece){row / c->rows, i, cgc_min(c->rows - i, chunk.row1 - row)};
}

/* All planes of the terms, a sheet for each image. */
static void fill_sheets(const cgc_chunk_source *s, const cgc_kernels *kernels, const cgc_correlation *c,
                        const char *x, ptrdiff_t x_n, cgc_chunk chunk, const cgc_chunk_terms *terms, int again,
                        char *memory, int64_t *map, cgc_chunk_ready *ready) {
    const ptrdiff_t size = c->source.size;
    const int64_t taps = c->ku * c->kv;
    cgc_correlation one = *c, all = *c;
    one.planes = terms->k / taps;
    all.planes = one.planes * terms->groups;
    const cgc_sheet sheet = cgc_sheet_of(&all, s->sheet.rows, s->sheet.cols);
    ptrdiff_t at = 0, *row = ready->row;
    piece part;
    for (int64_t r = chunk.row0; r < chunk.row1; r += part.rows, at += (ptrdiff_t)s->image) {
        part = piece_at(c, chunk, r);
        const char *source = cgc_at(x, part.n * x_n + terms->k0 / taps * c->s_plane, size);
        cgc_sheet_fill(&sheet, kernels, &all, source, part.i, part.rows, chunk.col0, chunk.col1 - chunk.col0, again,
                       cgc_at(memory, at, size), map);
        for (int64_t l = 0; l < part.rows; l++) *row++ = at + (ptrdiff_t)l * sheet.pitch;
    }
    cgc_sheet_offsets(&sheet, &one, &one, ready->off);
    ready->base = memory;
    ready->group = (ptrdiff_t)one.planes * sheet.plane;
}

/* Each term's cells, row after row. */
static void gather_terms(const cgc_chunk_source *s, const cgc_kernels *kernels, const cgc_correlation *c,
                         const char *x, ptrdiff_t x_n, cgc_chunk chunk, const cgc_chunk_terms *terms, char *memory,
                         cgc_chunk_ready *ready) {
    const ptrdiff_t size = c->source.size;
    const int64_t cols = chunk.col1 - chunk.col0;
    cgc_term term = cgc_term_at(c, terms->k0);
    for (int64_t k = 0; k < terms->k; k++, cgc_next_term(c, &term)) {
        ready->off[k] = (ptrdiff_t)(k * s->pixels);
        for (int64_t r = chunk.row0; r < chunk.row1; r++) {
            const ptrdiff_t at = (ptrdiff_t)((r - chunk.row0) * cols);
            const char *plane = cgc_at(x, r / c->rows * x_n + term.plane * c->s_plane, size);
            cgc_fetch(kernels, &c->source, plane, c->r0 + r % c->rows * c->r_i + term.u * c->r_u,
                      c->c0 + chunk.col0 * c->c_j + term.v * c->c_v, c->c_j, cols,
                      cgc_at(memory, ready->off[k] + at, size));
            ready->row[r - chunk.row0] = at;
        }
    }
    ready->base = memory;
}

/* Neighbouring pixels from `from` on. */
static void lay_pixels(const cgc_pixels *x, const cgc_kernels *kernels, const char *from, int64_t count,
                       int64_t planes, char *y, ptrdiff_t pitch) {
    if (x->plane == 1)
        kernels->lines(count, planes, from, x->col, 1, y, pitch, 0, 1, 0);
    else
        kernels->transpose(planes, count, from, x->plane, y, pitch);
}

/* A row of pixels, class by class. */
static void lay_classes(const cgc_lay *lay, const cgc_pixels *x, const cgc_kernels *kernels, const char *from,
                        int64_t row, int64_t cols, int64_t planes, char *y, int64_t pitch) {
    const int64_t lanes = kernels->lanes, each = cgc_ceil_div(cols, lanes), longer = cols - (each - 1) * lanes;
    const ptrdiff_t col = (ptrdiff_t)(lay->col * pitch);
    for (int64_t j = 0; j < each; j++, from = cgc_at(from, lanes * x->col, x->size)) {
        lay_pixels(x, kernels, from, longer, planes, cgc_at(y, (row * each + j) * pitch, x->size), col);
        if (longer < lanes && j + 1 < each)
            lay_pixels(x, kernels, cgc_at(from, longer * x->col, x->size), lanes - longer, planes,
                       cgc_at(y, longer * col + (row * (each - 1) + j) * pitch, x->size), col);
    }
}

void cgc_chunk_lay_out(const cgc_lay *lay, const cgc_pixels *x, const cgc_kernels *kernels, cgc_chunk chunk,
                       int64_t planes, char *y, int64_t pitch, ptrdiff_t *y_row) {
    const int64_t cols = chunk.col1 - chunk.col0, together = lay->col == 1 ? cols : kernels->lanes;
    for (int64_t r = chunk.row0, rows; r < chunk.row1; r += rows) {
        const int64_t at = (r - chunk.row0) * lay->row * pitch;
        const char *from = cgc_at(x->at, r / x->rows * x->n + r % x->rows * x->row + chunk.col0 * x->col, x->size);
        /* Rows that lie one behind the other go together. */
        const int one = lay->col == 1 && lay->row == cols && x->row == cols * x->col;
        rows = one ? cgc_min(x->rows - r % x->rows, chunk.row1 - r) : 1;
        if (lay->row == 0) {
            lay_classes(lay, x, kernels, from, r - chunk.row0, cols, planes, y, pitch);
            continue;
        }
        for (int64_t l = 0; l < rows; l++) *y_row++ = (ptrdiff_t)(at + l * lay->row * pitch);
        for (int64_t p = 0; p < cols; p += together)
            lay_pixels(x, kernels, cgc_at(from, p * x->col, x->size),
                       one ? rows * cols : cgc_min(together, cols - p), planes,
                       cgc_at(y, at + p / kernels->lanes * lay->next * pitch, x->size), (ptrdiff_t)(lay->col * pitch));
    }
}

/* Filters of one cell: terms are planes. */
static void lay_out(const cgc_chunk_source *s, const cgc_kernels *kernels, const cgc_correlation *c, const char *x,
                    ptrdiff_t x_n, cgc_chunk chunk, const cgc_chunk_terms *terms, char *memory,
                    cgc_chunk_ready *ready) {
    const ptrdiff_t size = c->source.size;
    const cgc_pixels pixels = {cgc_at(x, terms->k0 * c->s_plane, size), c->rows, x_n, c->r_i * c->source.row,
                               c->c_j * c->source.col, c->s_plane, size};
    cgc_chunk_lay_out(&s->lay, &pixels, kernels, chunk, terms->k, memory, s->terms, ready->row);
    for (int64_t k = 0; k < terms->k; k++) ready->off[k] = (ptrdiff_t)k;
    ready->base = memory;
}

static void point_into(const cgc_correlation *c, const char *x, ptrdiff_t x_n, cgc_chunk chunk,
                       const cgc_chunk_terms *terms, cgc_chunk_ready *ready) {
    cgc_term term = cgc_term_at(c, terms->k0);
    for (int64_t k = 0; k < terms->k; k++, cgc_next_term(c, &term))
        ready->off[k] = (ptrdiff_t)(term.plane * c->s_plane + term.u * c->r_u * c->source.row +
                                    term.v * c->c_v * c->source.col);
    for (int64_t r = chunk.row0; r < chunk.row1; r++)
        ready->row[r - chunk.row0] = (ptrdiff_t)(r / c->rows * x_n + r % c->rows * c->r_i * c->source.row +
                                                 chunk.col0 * c->c_j * c->source.col);
    ready->base = x;
    ready->group = c->s_group;
}

/* Turns terms that are ready, each to where its classes lie one behind the other. */
static void turn(const cgc_chunk_source *s, const cgc_kernels *kernels, cgc_chunk chunk, int64_t terms, ptrdiff_t size,
                 char *memory, cgc_chunk_ready *ready) {
    const int64_t lanes = kernels->lanes, rows = chunk.row1 - chunk.row0, cols = chunk.col1 - chunk.col0;
    const int64_t each = cgc_ceil_div(cols, lanes), longer = cols - (each - 1) * lanes;
    ptrdiff_t from[2][CGC_MAX_PIXELS / CGC_LANES_F64]; /* the pixels of long classes, and of the others */
    for (int64_t r = 0; r < rows; r++)
        for (int64_t j = 0; j < each; j++) {
            from[0][r * each + j] = ready->row[r] + (ptrdiff_t)(j * lanes);
            if (j + 1 < each) from[1][r * (each - 1) + j] = from[0][r * each + j];
        }
    for (int64_t k = 0; k < terms; k++) {
        const char *x = cgc_at(ready->base, ready->off[k], size);
        char *y = cgc_at(memory, k * s->laid, size);
        kernels->turn(rows * each, longer, x, from[0], y, s->col);
        if (longer < lanes && each > 1)
            kernels->turn(rows * (each - 1), lanes - longer, cgc_at(x, longer, size), from[1],
                          cgc_at(y, longer * s->col, size), s->col);
        ready->off[k] = (ptrdiff_t)(k * s->laid);
    }
    ready->base = memory;
    ready->row = NULL;
}

void cgc_chunk_source_fill(const cgc_chunk_source *source, const cgc_kernels *kernels, const cgc_correlation *c,
                           const char *x, ptrdiff_t x_n, cgc_chunk chunk, const cgc_chunk_terms *terms, int again,
                           char *memory, int64_t *map, cgc_chunk_ready *ready) {
    x = cgc_at(x, terms->g * c->s_group, c->source.size);
    switch (source->kind == CGC_TURNED ? source->turned : source->kind) {
    case CGC_IN_PLACE: point_into(c, x, x_n, chunk, terms, ready); break;
    case CGC_IN_SHEETS:
        fill_sheets(source, kernels, c, x, x_n, chunk, terms, again, memory, map, ready);
        break;
    case CGC_LAID_OUT: lay_out(source, kernels, c, x, x_n, chunk, terms, memory, ready); break;
    case CGC_BY_TERMS: gather_terms(source, kernels, c, x, x_n, chunk, terms, memory, ready); break;
    case CGC_TURNED: break; /* nothing is turned twice */
    }
    if (source->kind == CGC_TURNED)
        turn(source, kernels, chunk, terms->k, c->source.size, cgc_at(memory, source->turned_at, c->source.size),
             ready);
}
