/* How products are cut, what they cost and which they are, see product.h and product_division.h. */
#include "product_division.h"

#include <math.h>

#include "../platform/memory.h"
#include "product_inside.h"

enum {
    TERMS = 16384,        /* the most */
    WEIGHTS = 1 << 30,    /* of all groups, the most: they may have to be packed */
    COLUMNS = 512,        /* of a task, at most */
    SHEET_BYTES = 393216, /* the most */
    CACHED = 262144,      /* of a sheet, better: kernels read it from L2 while they compute */
    TURNED = 65536,       /* of one of pixels that are turned: their lines, many and far apart, pass through L2 too */
    ROWS = 4,             /* of a sheet, even if it is larger than that: few rows have many lines copied twice */
    SHORTEST = 64,        /* columns of a task, where they are cut for the threads' sake */
    TILE = 8,             /* outputs of a tile by pixels */
    PAGE = 4096,          /* bytes from one place in the first cache to the next that shares it, or a multiple */
    GATHERING = 48,       /* outputs, at least, for which the cells of a tile are gathered */
    GATHERED_LEAST = 32,  /* terms: what fewer ones read stays in the first cache anyway */
    GATHERED_MOST = 2048, /* terms: for more there is no room in the second one */
    MANY = 8,             /* tasks a thread, which need not be as many for each thread */
};

cgc_product_workspace cgc_product_workspace_of(const cgc_division *cut) {
    cgc_product_workspace at;
    at.scratch = cgc_round_up((3 + CGC_SHEET_LINES) * sizeof(int64_t));
    at.weights = at.scratch + CGC_SCRATCH_BYTES;
    at.sheet = at.weights + cgc_round_up(cut->phases[0].weights.local);
    at.room = at.sheet + cgc_round_up((size_t)(cut->elements * cut->s.size));
    at.end = at.room + cgc_round_up((size_t)(cut->gathered * cut->kernels->gathered));
    return at;
}

/* A 1x1 filter has no use for rows: where they lie one behind the other, a plane is one row. */
static cgc_geometry flatten(const cgc_geometry *geometry) {
    cgc_geometry s = *geometry;
    if (s.kh != 1 || s.kw != 1 || s.sh != 1 || s.sw != 1 || s.pt || s.pb || s.pl || s.pr) return s;
    if (s.h > 1 && (s.xh != s.w * s.xw || s.yh != s.ow * s.yw)) return s;
    s.w = s.ow = s.h * s.w;
    s.h = s.oh = 1;
    s.xh = s.w * s.xw, s.yh = s.ow * s.yw;
    return s;
}

/*
 * No output cell reads a padding cell, and the kernel can step through the source as it is. Where planes lie whole
 * pages apart, their cells and those of the results compete for places in the first cache whenever the next outputs
 * of a tile of pixels begin: then a copy costs less, unless there are many more planes than outputs.
 */
static int is_in_place(const cgc_geometry *s, const cgc_kernels *kernels, cgc_product_kind kind) {
    if (s->pt || s->pb || s->pl || s->pr || s->h < 1 || s->w < 1) return 0;
    if (kind == CGC_BY_OUTPUTS) return s->kh * s->kw == 1;
    if (s->sw != 1 || s->xw != 1 || s->xh < s->w || s->ow < kernels->width) return 0;
    return s->xc * s->size % PAGE || s->f <= TILE || s->cg * s->kh * s->kw >= 2 * s->f;
}

/* The terms whose cells are gathered: if none shares a cell with another, and enough outputs read them. */
static int64_t gathered_of(const cgc_division *cut) {
    const cgc_geometry *s = &cut->s;
    const int whole = s->yw == 1 && cut->col_phases == 1; /* all outputs are computed in one call of the kernel */
    if (!cut->kernels->gathered || cut->kind != CGC_BY_PIXELS || !whole || s->kh * s->kw != 1) return 0;
    return s->f >= GATHERING && s->cg >= GATHERED_LEAST && s->cg <= GATHERED_MOST ? s->cg : 0;
}

int64_t cgc_scratch_outputs(const cgc_division *cut) {
    const int64_t width = cut->kernels->width; /* to which columns are rounded up, see balance */
    return CGC_SCRATCH_BYTES / (cgc_ceil_div(cut->cols, width) * width * cut->col_phases * (int64_t)cut->s.size);
}

/*
 * Where channels are neighbours, they are turned a whole cache line at a time: so many groups, if a sheet of at least
 * a vector holds their planes, and the scratch their outputs if they are turned too.
 */
static int64_t gang_of(const cgc_division *cut, cgc_correlation c) {
    const cgc_geometry *s = &cut->s;
    const int64_t planes = c.planes, cols = cgc_min(cut->cols, cut->kernels->width);
    const int64_t together = cut->kind == CGC_BY_PIXELS ? cgc_min(s->cg, s->f) : s->cg;
    int64_t gang = cgc_min(s->g, cgc_ceil_div(CGC_LINE_BYTES / (int64_t)s->size, together));
    if (cut->kind == CGC_BY_PIXELS) gang = cgc_max(1, cgc_min(gang, cgc_scratch_outputs(cut) / s->f));
    for (; gang > 1; gang--) {
        c.planes = planes * gang;
        if (cgc_sheet_of(&c, 1, cols).elements <= SHEET_BYTES / s->size) break;
    }
    return gang;
}

/* Rows and columns of a tile whose sheet stays in cache. */
static void cut_sheet(cgc_division *cut, const cgc_correlation *c) {
    const int64_t most = SHEET_BYTES / c->source.size;
    const int64_t cached = (cut->gang > 1 ? TURNED : CACHED) / c->source.size;
    cgc_sheet one = cgc_sheet_of(c, 1, cut->cols);
    while (one.elements > most && cut->cols > 1) {
        cut->cols = (cut->cols + 1) / 2;
        one = cgc_sheet_of(c, 1, cut->cols);
    }
    const int64_t slack = one.elements - c->planes * one.plane, row = c->planes * one.plane / one.lines;
    const int64_t rows = cgc_max((cached - slack) / row, cgc_min((most - slack) / row, ROWS + one.lines - 1));
    cut->rows = cgc_min(rows, CGC_SHEET_LINES / one.row_phases) - (one.lines - 1);
    cut->rows = cgc_max(1, cgc_min(cut->rows, c->rows));
}

/* As many for each thread, unless there are many. */
static int even(int64_t tasks, int threads) { return tasks % threads == 0 || tasks >= MANY * (int64_t)threads; }

/*
 * From tiles that fit to tiles of equal size, as many for each thread unless there are many. Rows are cut as long as
 * that does not double the lines that are copied; then columns; then the outputs, each part of which copies the lines
 * again. But where there is more of weights than of the source, of which each thread would read all, it is the outputs.
 */
static void balance(cgc_division *cut, const cgc_correlation *c, int threads) {
    const cgc_geometry *s = &cut->s;
    const int64_t width = cut->kernels->width, whole = cgc_max(1, s->n * cgc_ceil_div(s->g, cut->gang));
    const int64_t col_tiles = cgc_ceil_div(s->ow, cut->cols), rest = whole * col_tiles;
    const int64_t least = cut->kind == CGC_BY_OUTPUTS ? 2 * width : 2 * TILE; /* outputs of a part */
    const int64_t parts = cut->gang > 1 ? 1 : cgc_ceil_div(s->f, least);      /* the most */
    const int heavy = s->f * s->kh * s->kw > s->h * s->w && cut->row_phases * cut->col_phases == 1 &&
                      (cut->kind == CGC_BY_OUTPUTS || cut->in_place) && whole * parts >= threads;
    int64_t tiles = cgc_ceil_div(s->oh, cut->rows);
    while (!heavy && !even(rest * tiles, threads) && s->oh >= s->kh * (tiles + 1)) tiles++;
    cut->rows = cgc_ceil_div(s->oh, tiles);
    cut->row_tiles = cgc_ceil_div(s->oh, cut->rows);
    tiles = heavy ? col_tiles : cgc_max(col_tiles, cgc_min(threads / (whole * cut->row_tiles), s->ow / SHORTEST));
    cut->cols = cgc_ceil_div(s->ow, tiles);
    const int64_t vectors = cgc_ceil_div(cut->cols, width) * width;
    const int64_t last = s->ow - (cgc_ceil_div(s->ow, vectors) - 1) * vectors; /* in place it must fill a vector */
    if (tiles > 1 && cut->kind == CGC_BY_PIXELS &&
        (cut->in_place ? last >= width : cgc_sheet_of(c, cut->rows, vectors).elements <= SHEET_BYTES / s->size))
        cut->cols = vectors;
    cut->col_tiles = cgc_ceil_div(s->ow, cut->cols);
    tiles = whole * cut->row_tiles * cut->col_tiles;
    while (cut->parts < parts && (heavy ? !even(tiles * cut->parts, threads) : tiles * cut->parts < threads))
        cut->parts++;
}

/* The correlations of the pass, and where the packed weights of each lie. */
static void set_phases(cgc_division *cut, const cgc_geometry *s, cgconv_pass pass) {
    const int64_t count = cgc_correlation_count(s, pass);
    const int often = count > 1 || s->n * cut->row_tiles * cut->col_tiles > 1;
    for (int64_t i = 0; i < count; i++) {
        cgc_phase *phase = &cut->phases[i];
        phase->c = cgc_correlation_at(s, pass, i);
        phase->weights = cgc_weight_blocks_of(&phase->c, cut->kernels, cut->kind, s->g, often);
        phase->packed = cut->shared;
        cut->shared += cgc_round_up(phase->weights.shared);
        cut->terms += phase->c.planes * phase->c.ku * phase->c.kv;
        cut->inside = cut->inside && cgc_inside_serves(&phase->c);
    }
}

cgc_division cgc_divide(const cgc_geometry *geometry, const cgc_kernels *kernels, cgc_product_kind kind,
                        cgconv_pass pass, int threads) {
    const cgc_geometry flat = flatten(geometry), window = cgc_window_geometry(&flat, pass), *s = &window;
    cgc_division cut = {.s = window, .kernels = kernels, .kind = kind, .gang = 1, .parts = 1};
    cut.window = cgc_forward_correlation(s);
    cut.col_phases = pass == CGCONV_FORWARD ? 1 : cgc_min(flat.sw, flat.w);
    cut.row_phases = cgc_correlation_count(&flat, pass) / cut.col_phases;
    cgc_correlation c = cut.window;
    cut.in_place = is_in_place(s, kernels, kind);
    cut.gathered = gathered_of(&cut);
    cut.cols = cgc_min(s->ow, COLUMNS / cut.col_phases);
    if (!cut.in_place && (kind == CGC_BY_PIXELS ? s->yw : s->xw) != 1) cut.gang = gang_of(&cut, c);
    c.planes *= cut.gang;
    if (cut.in_place) {
        cut.rows = cgc_max(1, cgc_min(s->oh, CACHED / (s->size * s->cg * cut.cols)));
    } else {
        cut_sheet(&cut, &c);
        const cgc_sheet whole = cgc_sheet_of(&c, cgc_min(s->oh, CGC_SHEET_LINES), cgc_min(s->ow, COLUMNS));
        cut.elements = cgc_min(whole.elements, SHEET_BYTES / s->size);
    }
    balance(&cut, &c, threads);
    if (!cut.in_place) cut.sheet = cgc_sheet_of(&c, cut.rows, cut.cols);
    /* A tile of a single column lacks an edge for the other that meets padding. */
    const int64_t last = s->ow - (cut.col_tiles - 1) * cut.cols;
    cut.inside = kind == CGC_BY_OUTPUTS && !cut.in_place && (cut.col_tiles == 1 || cgc_min(cut.cols, last) > 1);
    set_phases(&cut, &flat, pass);
    /* Channels last, pixels that lie a power of two apart would compete for places in caches. */
    if (cut.inside && cut.window.source.col == 1) cut.in_place = 1;
    return cut;
}

int cgc_product_serves(const cgc_geometry *geometry, cgconv_pass pass) {
    if (pass == CGCONV_BACKWARD_WEIGHT || (pass == CGCONV_BACKWARD_INPUT && (geometry->h < 1 || geometry->w < 1)))
        return 0;
    const int64_t planes = pass == CGCONV_FORWARD ? geometry->cg : geometry->f;
    if (planes > TERMS / geometry->kh / geometry->kw || cgc_correlation_count(geometry, pass) > CGC_MOST_PHASES)
        return 0;
    const cgc_geometry s = cgc_window_geometry(geometry, pass);
    const cgc_correlation c = cgc_forward_correlation(&s);
    if (!cgc_sheet_serves(&c) || (c.d_col != 1 && c.d_m != 1)) return 0;
    if ((double)s.g * (double)s.f * (double)(s.cg * geometry->kh * geometry->kw) > WEIGHTS) return 0;
    return cgc_sheet_of(&c, 1, 1).elements <= SHEET_BYTES / s.size;
}

cgc_booking cgc_product_book(const cgc_geometry *s, const cgc_kernels *kernels, cgc_product_kind kind,
                             cgconv_pass pass, int threads) {
    cgc_booking most = {0, 0};
    for (int t = 1; t <= threads; t++) { /* a run may get fewer threads than were planned, and is cut for those */
        const cgc_division cut = cgc_divide(s, kernels, kind, pass, t);
        const size_t shared = cut.shared + cgc_round_up((size_t)cut.terms * sizeof(ptrdiff_t)) +
                              (cut.inside ? cgc_round_up((size_t)cut.terms * (sizeof(ptrdiff_t) + 1)) : 0);
        const size_t local = cgc_product_workspace_of(&cut).end;
        if (shared > most.shared) most.shared = shared;
        if (local > most.per_thread) most.per_thread = local;
    }
    return most;
}

/*
 * The cost model. All costs are in multiply-adds of one vector, of which a core does one a cycle, or two of half the
 * length. What a problem needs whatever the kernel is left out.
 *   gemm_pixels: vectors run along lines of pixels, whose cells between rows are computed for nothing. A tile with
 *     few outputs loads too much: a load that is not aligned costs 1.5. Storing a vector that is not aligned and its
 *     share of the start of a tile were found to cost about 10.
 *   gemm_outputs: vectors run along the outputs of a group, and the last may be filled in part. A single vector loads
 *     too much; with few registers so do two, if each plane has one tap, and far more does an odd one of several taps,
 *     unless these go on from cell to cell, see product_cells_template.h. A vector's share of the start of a tile
 *     costs 6. Weights must be turned first, for about a third of a multiply-add a number, and so must results (or, by
 *     pixels, where the outputs are neighbours), for twice that. Terms that meet padding are left out.
 */
double cgc_product_cost(const cgc_geometry *geometry, const cgc_kernels *kernels, cgc_product_kind kind,
                        cgconv_pass pass) {
    const cgc_geometry flat = flatten(geometry), s = cgc_window_geometry(&flat, pass);
    const double phases = (double)cgc_correlation_count(&flat, pass);
    const double terms = (double)(s.cg * flat.kh * flat.kw), turn = 0.35, store = 10 * phases, start = 6 * phases;
    const double width = kernels->width, rows = (double)s.oh, cols = (double)s.ow, f = (double)s.f;
    const double pixels = rows * cols, turns = 2 * turn * pixels * f * phases;
    if (kind == CGC_BY_PIXELS) {
        const cgc_correlation c = cgc_forward_correlation(&s);
        const double pitch = is_in_place(&s, kernels, kind) ? (double)s.xh : (double)cgc_sheet_of(&c, 1, s.ow).pitch;
        const double line = ceil(((rows - 1) * pitch + cols) / width), apart = rows * ceil(cols / width);
        const double loads = 0.25 + 1.5 / (double)cgc_min(s.f, TILE); /* for each multiply-add */
        return f * (terms + store) * (line < apart ? line : apart) * (loads > 1 ? loads : 1) +
               (s.yw == 1 ? 0 : turns);
    }
    const cgc_correlation c = cgc_correlation_at(&flat, pass, 0);
    const double vectors = ceil(f / width), images = (double)cgc_max(s.n, 1), inside = terms * cgc_inside_share(&c);
    const int few = kernels->mr < TILE, onward = c.kv == 3 && (c.c_v == c.c_j || c.c_v == -c.c_j);
    double loads = s.f > kernels->width ? 1 : 1.02;
    if (few && s.kh * s.kw == 1)
        loads = s.xw == 1 ? 1.12 : loads;
    else if (few && !onward && (int64_t)vectors % 2)
        loads += 0.45 / vectors;
    return pixels * vectors * (inside + start) * loads + turn * f * terms / images + (s.yw == 1 ? turns : 0);
}
