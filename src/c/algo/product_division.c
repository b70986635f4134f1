/* How forward products are cut, what they cost and which they are, see product.h and product_division.h. */
#include "product_division.h"

#include <math.h>

#include "../platform/memory.h"

enum {
    TERMS = 16384,        /* the most */
    WEIGHTS = 1 << 30,    /* of all groups, the most: they may have to be packed */
    COLUMNS = 512,        /* of a task, at most */
    SHEET_BYTES = 393216, /* the most */
    CACHED = 262144,      /* of a sheet, better: kernels read it from L2 while they compute */
    ROWS = 4,             /* of a sheet, even if it is larger than that: few rows have many lines copied twice */
    SHORTEST = 64,        /* columns of a task, where they are cut for the threads' sake */
    MANY = 8,             /* tasks a thread, which need not be as many for each thread */
};

cgc_product_workspace cgc_product_workspace_of(const cgc_division *cut) {
    cgc_product_workspace at;
    at.scratch = cgc_round_up((2 + CGC_SHEET_LINES) * sizeof(int64_t));
    at.weights = at.scratch + CGC_SCRATCH_BYTES;
    at.sheet = at.weights + cgc_round_up(cut->weights.local);
    at.end = at.sheet + cgc_round_up((size_t)(cut->elements * cut->s.size));
    return at;
}

/* A 1x1 filter has no use for rows: where they lie one behind the other, a plane is one row. */
static cgc_geometry flatten(const cgc_geometry *geometry) {
    cgc_geometry s = *geometry;
    if (s.kh != 1 || s.kw != 1 || s.sh != 1 || s.sw != 1 || s.pt || s.pb || s.pl || s.pr) return s;
    if (s.xh != s.w * s.xw || s.yh != s.ow * s.yw) return s;
    s.w = s.ow = s.h * s.w;
    s.h = s.oh = 1;
    return s;
}

/* No output cell reads a padding cell, and the kernel can step through the source as it is. */
static int is_in_place(const cgc_geometry *s, const cgc_kernels *kernels, cgc_product_kind kind) {
    if (s->pt || s->pb || s->pl || s->pr || s->h < 1 || s->w < 1) return 0;
    if (kind == CGC_BY_OUTPUTS) return s->kh * s->kw == 1;
    return s->sw == 1 && s->xw == 1 && s->xh >= s->w && s->ow >= kernels->width;
}

int64_t cgc_scratch_outputs(const cgc_division *cut) {
    const int64_t width = cut->kernels->width; /* to which columns are rounded up, see balance */
    return CGC_SCRATCH_BYTES / (cgc_ceil_div(cut->cols, width) * width * (int64_t)cut->s.size);
}

/*
 * Where channels are neighbours, they are turned a whole vector at a time: so many groups, if the scratch holds their
 * outputs and a sheet of at least a vector their planes.
 */
static int64_t gang_of(const cgc_division *cut, cgc_correlation c) {
    const cgc_geometry *s = &cut->s;
    const int64_t planes = c.planes, cols = cgc_min(cut->cols, cut->kernels->width);
    int64_t gang = cgc_min(s->g, cgc_ceil_div(cut->kernels->width, cgc_min(s->cg, s->f)));
    gang = cgc_max(1, cgc_min(gang, cgc_scratch_outputs(cut) / s->f));
    for (; gang > 1; gang--) {
        c.planes = planes * gang;
        if (cgc_sheet_of(&c, 1, cols).elements <= SHEET_BYTES / s->size) break;
    }
    return gang;
}

/* Rows and columns of a tile whose sheet stays in cache. */
static void cut_sheet(cgc_division *cut, const cgc_correlation *c) {
    const int64_t most = SHEET_BYTES / c->source.size, cached = CACHED / c->source.size;
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

/*
 * From tiles that fit to tiles of equal size, as many for each thread unless there are many. Rows are cut as long as
 * that does not double the lines that are copied; then columns; then the outputs, each part of which copies the lines
 * again.
 */
static void balance(cgc_division *cut, const cgc_correlation *c, int threads) {
    const cgc_geometry *s = &cut->s;
    const int64_t width = cut->kernels->width, whole = cgc_max(1, s->n * cgc_ceil_div(s->g, cut->gang));
    const int64_t col_tiles = cgc_ceil_div(s->ow, cut->cols), rest = whole * col_tiles;
    int64_t tiles = cgc_ceil_div(s->oh, cut->rows);
    while (rest * tiles < MANY * (int64_t)threads && rest * tiles % threads && s->oh >= s->kh * (tiles + 1)) tiles++;
    cut->rows = cgc_ceil_div(s->oh, tiles);
    cut->row_tiles = cgc_ceil_div(s->oh, cut->rows);
    tiles = cgc_max(col_tiles, cgc_min(threads / (whole * cut->row_tiles), s->ow / SHORTEST));
    cut->cols = cgc_ceil_div(s->ow, tiles);
    const int64_t vectors = cgc_ceil_div(cut->cols, width) * width;
    if (tiles > 1 && cut->kind == CGC_BY_PIXELS &&
        (cut->in_place || cgc_sheet_of(c, cut->rows, vectors).elements <= SHEET_BYTES / s->size))
        cut->cols = vectors;
    cut->col_tiles = cgc_ceil_div(s->ow, cut->cols);
    tiles = whole * cut->row_tiles * cut->col_tiles;
    if (cut->kind == CGC_BY_OUTPUTS && tiles < threads)
        cut->parts = cgc_min(cgc_ceil_div(s->f, 2 * width), cgc_ceil_div(threads, tiles));
}

cgc_division cgc_divide(const cgc_geometry *geometry, const cgc_kernels *kernels, cgc_product_kind kind,
                        int threads) {
    cgc_division cut = {.s = flatten(geometry), .kernels = kernels, .kind = kind, .gang = 1, .parts = 1};
    const cgc_geometry *s = &cut.s;
    cgc_correlation c = cgc_forward_correlation(s);
    cut.in_place = is_in_place(s, kernels, kind);
    cut.cols = cgc_min(s->ow, COLUMNS);
    if (kind == CGC_BY_PIXELS && s->yw != 1 && !cut.in_place) cut.gang = gang_of(&cut, c);
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
    c.planes /= cut.gang;
    cut.weights = cgc_weight_blocks_of(&c, kernels, kind, s->g, s->n * cut.row_tiles * cut.col_tiles > 1);
    return cut;
}

int cgc_product_serves(const cgc_geometry *s, cgc_product_kind kind) {
    (void)kind;
    const cgc_correlation c = cgc_forward_correlation(s);
    if (s->cg > TERMS / s->kh / s->kw || !cgc_sheet_serves(&c) || (c.d_col != 1 && c.d_m != 1)) return 0;
    if ((double)s->g * (double)s->f * (double)(s->cg * s->kh * s->kw) > WEIGHTS) return 0;
    return cgc_sheet_of(&c, 1, 1).elements <= SHEET_BYTES / s->size;
}

cgc_booking cgc_product_book(const cgc_geometry *s, const cgc_kernels *kernels, cgc_product_kind kind, int threads) {
    const cgc_division cut = cgc_divide(s, kernels, kind, threads);
    const size_t offsets = (size_t)(s->cg * s->kh * s->kw) * sizeof(ptrdiff_t);
    return (cgc_booking){
        .shared = cgc_round_up(cut.weights.shared) + cgc_round_up(offsets),
        .per_thread = cgc_product_workspace_of(&cut).end,
    };
}

/*
 * The cost model. All costs are in multiply-adds of one vector, of which a core does one a cycle, or two of half the
 * length. What a problem needs whatever the kernel is left out.
 *   gemm_pixels: vectors run along lines of pixels, whose cells between rows are computed for nothing. A tile with
 *     few outputs loads too much: a load that is not aligned costs 1.5. Storing a vector that is not aligned and its
 *     share of the start of a tile were found to cost about 10.
 *   gemm_outputs: vectors run along the outputs of a group, and the last may be filled in part. A single vector loads
 *     too much. A vector's share of the start of a tile costs 6. Weights must be turned first, for about a third of a
 *     multiply-add a number, and so must results (or, by pixels, where the outputs are neighbours), for twice that.
 */
double cgc_product_cost(const cgc_geometry *geometry, const cgc_kernels *kernels, cgc_product_kind kind) {
    const cgc_geometry s = flatten(geometry);
    const double width = kernels->width, terms = (double)(s.cg * s.kh * s.kw), turn = 0.35, store = 10, start = 6;
    const double rows = (double)s.oh, cols = (double)s.ow, pixels = rows * cols, f = (double)s.f;
    if (kind == CGC_BY_PIXELS) {
        const cgc_correlation c = cgc_forward_correlation(&s);
        const double pitch = is_in_place(&s, kernels, kind) ? (double)s.xh : (double)cgc_sheet_of(&c, 1, s.ow).pitch;
        const double line = ceil(((rows - 1) * pitch + cols) / width), apart = rows * ceil(cols / width);
        const double loads = 0.25 + 1.5 / (double)cgc_min(s.f, 8); /* for each multiply-add */
        return f * (terms + store) * (line < apart ? line : apart) * (loads > 1 ? loads : 1) +
               (s.yw == 1 ? 0 : 2 * turn * pixels * f);
    }
    const double vectors = ceil(f / width), images = (double)cgc_max(s.n, 1);
    return pixels * vectors * (terms + start) * (s.f > kernels->width ? 1 : 1.02) + turn * f * terms / images +
           (s.yw == 1 ? 2 * turn * pixels * f : 0);
}
