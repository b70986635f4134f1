/*
 * Separable plans, see separable.h. A tile of the channel-wise pass is a pass of its own, with fewer output rows and
 * columns, on the same input: its pads are counted from the tile's edges. A negative pad is a crop. So every padding
 * mode stays what it is, and no algorithm knows of tiles.
 */
#include "separable.h"

#include "../platform/memory.h"
#include "../platform/threads.h"

#define LL(x) ((long long)(x))

enum {
    TILE_BYTES = 524288,  /* of an intermediate that stays near while both passes go over it */
    MOST_BYTES = 2097152, /* the same, where weights are as large: each tile reads them anew */
    WHOLE_BYTES = 524288, /* of an intermediate, for each thread, that is not cut: it stays near enough */
    FEW = 128,             /* pixels of a tile, or two for each output, that are worth reading the weights anew */
    PIXELS = 16,           /* of a tile, at least, and a multiple of this: whole vectors */
    MANY = 4,              /* images a thread, which need not be as many for each thread */
    ROWS = 7,              /* rows of a tile are a multiple of this, that kernels need not compute some twice */
};

/* ---- tiles ----------------------------------------------------------------------------------------------------- */

/* Rows i .. i+rows-1, columns j .. j+cols-1 of the output planes of images n .. n+images-1. */
typedef struct tile {
    int64_t n, images, i, rows, j, cols;
} tile;

static int64_t tiles(const cgconv_separable *p) { return p->stacks * p->row_tiles * p->col_tiles; }

static tile tile_at(const cgconv_separable *p, int64_t index) {
    const int64_t row_tile = index / p->col_tiles % p->row_tiles, col_tile = index % p->col_tiles;
    tile t = {.i = row_tile * p->tile_rows, .j = col_tile * p->tile_cols};
    t.n = index / p->col_tiles / p->row_tiles * p->tile_images;
    t.images = cgc_min(p->tile_images, p->images - t.n);
    t.rows = cgc_min(p->tile_rows, p->rows - t.i);
    t.cols = cgc_min(p->tile_cols, p->cols - t.j);
    return t;
}

/* The strides of the intermediate, whose channels or pixels are neighbours. */
typedef struct cells {
    ptrdiff_t image, channel, row, col;
} cells;

/* So many cache lines that the next plane or pixel does not compete with this one for places in a cache. */
static ptrdiff_t odd_lines(int64_t elements, ptrdiff_t size) {
    const ptrdiff_t line = (ptrdiff_t)CGC_ALIGN / size;
    return ((ptrdiff_t)cgc_ceil_div(elements, line) | 1) * line;
}

static cells cells_of(const cgconv_separable *p, const tile *t) {
    const cgc_geometry *s = &p->channelwise.geometry;
    if (s->yc == 1 && s->yw != 1) {
        const ptrdiff_t col = (ptrdiff_t)s->oc, row = col * (ptrdiff_t)t->cols;
        return (cells){row * (ptrdiff_t)t->rows, 1, row, col};
    }
    const ptrdiff_t channel = odd_lines(t->rows * t->cols, s->size);
    return (cells){channel * (ptrdiff_t)s->oc, channel, (ptrdiff_t)t->cols, 1};
}

/* The pad behind an axis of `in` cells with `first` pad cells in front, for so many outputs; negative: a crop. */
static int64_t pad_behind(int64_t in, int64_t first, int64_t out, int64_t k, int64_t stride, int64_t dilation) {
    return (out - 1) * stride + (k - 1) * dilation + 1 - in - first;
}

static cgc_geometry channelwise_part(const cgconv_separable *p, const tile *t) {
    cgc_geometry s = p->channelwise.geometry;
    const cells to = cells_of(p, t);
    s.n = t->images, s.oh = t->rows, s.ow = t->cols;
    s.pt -= t->i * s.sh, s.pl -= t->j * s.sw;
    s.pb = pad_behind(s.h, s.pt, s.oh, s.kh, s.sh, s.dh);
    s.pr = pad_behind(s.w, s.pl, s.ow, s.kw, s.sw, s.dw);
    s.yn = to.image, s.yc = to.channel, s.yh = to.row, s.yw = to.col;
    return s;
}

static cgc_geometry pointwise_part(const cgconv_separable *p, const tile *t) {
    cgc_geometry s = p->pointwise.geometry;
    const cells from = cells_of(p, t);
    s.n = t->images, s.h = s.oh = t->rows, s.w = s.ow = t->cols;
    s.xn = from.image, s.xc = from.channel, s.xh = from.row, s.xw = from.col;
    return s;
}

/* ---- planning -------------------------------------------------------------------------------------------------- */

/* The extents of the intermediate as the caller knows them: n, c, h, w. */
static void caller_extents(const cgconv_plan *plan, int of_output, int64_t extents[4]) {
    const cgc_geometry *s = &plan->geometry;
    const int64_t high = of_output ? s->oh : s->h, wide = of_output ? s->ow : s->w;
    extents[0] = s->n, extents[1] = of_output ? s->oc : s->c;
    extents[2] = plan->exchanged ? wide : high, extents[3] = plan->exchanged ? high : wide;
}

static cgconv_status check(const cgconv_plan *channelwise, const cgconv_plan *pointwise, cgc_why why) {
    if (why.text && why.size) why.text[0] = 0;
    if (!channelwise || !pointwise) return cgc_explain(why, CGCONV_INVALID_ARGUMENT, "a plan is NULL");
    const cgc_geometry *a = &channelwise->geometry, *b = &pointwise->geometry;
    if (a->dtype != b->dtype)
        return cgc_explain(why, CGCONV_INVALID_ARGUMENT, "the two plans have different data types");
    if (channelwise->kernels != pointwise->kernels)
        return cgc_explain(why, CGCONV_INVALID_ARGUMENT, "the two plans have different instruction sets");
    if (a->cg != 1)
        return cgc_explain(why, CGCONV_INVALID_ARGUMENT,
                           "the first plan has groups=%lld for c=%lld: a channel-wise convolution has as many groups "
                           "as channels",
                           LL(a->g), LL(a->c));
    if (b->kh != 1 || b->kw != 1 || b->sh != 1 || b->sw != 1 || b->pt || b->pb || b->pl || b->pr)
        return cgc_explain(why, CGCONV_INVALID_ARGUMENT,
                           "the second plan is not pointwise: it needs filters of 1 x 1, strides of 1 and no padding");
    int64_t made[4], read[4];
    caller_extents(channelwise, 1, made);
    caller_extents(pointwise, 0, read);
    for (int axis = 0; axis < 4; axis++)
        if (made[axis] != read[axis])
            return cgc_explain(why, CGCONV_INVALID_ARGUMENT,
                               "the first plan makes an output with %c=%lld, the second reads an input with %c=%lld",
                               "nchw"[axis], LL(made[axis]), "nchw"[axis], LL(read[axis]));
    return CGCONV_OK;
}

/* A pointwise pass does not care which axis is called height. */
static cgc_geometry exchanged(cgc_geometry s) {
    const cgc_geometry a = s;
    s.h = a.w, s.w = a.h, s.oh = a.ow, s.ow = a.oh;
    s.xh = a.xw, s.xw = a.xh, s.yh = a.yw, s.yw = a.yh;
    return s;
}

/*
 * The size of the parts, at most `most` and a multiple of `step`, into which each of `rest` axes is cut: that with
 * which the thread that has most to do has least. A part takes the time of its size and of one more.
 */
static int64_t part_size(const cgconv_separable *p, int64_t extent, int64_t rest, int64_t most, int64_t step) {
    const int64_t largest = most / step * step;
    int64_t best = largest, least = INT64_MAX;
    for (int64_t size = largest; size > 0; size -= step) {
        const int64_t time = cgc_ceil_div(cgc_ceil_div(extent, size) * rest, p->threads) * (size + 1);
        if (time < least) best = size, least = time;
    }
    return best;
}

/* One tile, on which the passes share their work among the threads. */
static void leave_whole(cgconv_separable *p) {
    p->tile_images = cgc_max(1, p->images), p->tile_rows = p->rows, p->tile_cols = p->cols;
    p->row_tiles = p->col_tiles = 1;
    p->stacks = cgc_ceil_div(p->images, p->tile_images);
    p->crew = p->threads;
}

/* Pixels whose intermediate stays near, in bytes no less than the weights that each tile reads anew. */
static int64_t near_pixels(const cgconv_separable *p) {
    const cgc_geometry *s = &p->pointwise.geometry;
    const int64_t weights = s->oc * s->cg * (int64_t)s->size, pixel = s->c * (int64_t)s->size;
    const int64_t bytes = cgc_min(cgc_max(weights, TILE_BYTES), MOST_BYTES);
    return cgc_max(PIXELS, bytes / pixel / PIXELS * PIXELS);
}

/*
 * Tiles of whole images, or else of whole rows, or else of parts of a row, whose intermediate stays near. To cut rows
 * apart costs time, since filters reach across the seam: for a single thread what is small is left whole, as it is near
 * anyway. Several threads gain even there, as none has to fetch what another one wrote.
 */
static void cut(cgconv_separable *p) {
    const int64_t pixel = p->pointwise.geometry.c * (int64_t)p->pointwise.geometry.size; /* bytes */
    const int64_t image = p->rows * p->cols, all = p->images * image, most = near_pixels(p);
    const int small = all <= p->threads * (int64_t)WHOLE_BYTES / pixel;
    leave_whole(p);
    if (all == 0 || (p->threads == 1 && small)) return;
    p->crew = 1;
    if (image <= most && (p->images % p->threads == 0 || p->images >= MANY * (int64_t)p->threads)) {
        p->tile_images = part_size(p, p->images, 1, most / image, 1);
    } else {
        p->tile_images = 1;
        p->tile_cols = cgc_min(p->cols, most);
        p->col_tiles = cgc_ceil_div(p->cols, p->tile_cols);
        const int64_t rows = cgc_min(p->rows, most / p->tile_cols);
        p->tile_rows = part_size(p, p->rows, p->images * p->col_tiles, rows, rows < ROWS ? 1 : ROWS);
        p->row_tiles = cgc_ceil_div(p->rows, p->tile_rows);
    }
    p->stacks = cgc_ceil_div(p->images, p->tile_images);
    const int64_t least = cgc_max(FEW, 2 * p->pointwise.geometry.oc); /* pixels */
    if (small && (tiles(p) < p->threads || p->tile_images * p->tile_rows * p->tile_cols < least)) leave_whole(p);
}

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

static cgc_packing packing_of(const cgconv_separable *p, const cgc_stage *stage, const cgc_geometry *part) {
    return stage->algorithm->packing ? stage->algorithm->packing(part, p->kernels) : (cgc_packing){0, 0};
}

/* Books for a part of a pass, and sees to it that its algorithm serves it. */
static void book(cgconv_separable *p, cgc_stage *stage, const cgc_geometry *part) {
    if (!stage->algorithm->supports(part, p->kernels, CGCONV_FORWARD)) stage->algorithm = &cgc_grouped;
    const cgc_booking booking = stage->algorithm->book(part, p->kernels, CGCONV_FORWARD, p->crew);
    p->scratch.shared = larger(p->scratch.shared, booking.shared);
    p->scratch.per_thread = larger(p->scratch.per_thread, booking.per_thread);
}

/* Books for the tiles that differ: at either end of an axis and between. */
static void book_tiles(cgconv_separable *p) {
    const int64_t ends[3][3] = {{0, cgc_max(0, p->stacks - 1), 0},
                                {0, p->row_tiles > 1, p->row_tiles - 1},
                                {0, p->col_tiles > 1, p->col_tiles - 1}};
    for (int e = 0; e < 18; e++) {
        const int64_t index = ends[0][e / 9] * p->row_tiles + ends[1][e / 3 % 3];
        const tile t = tile_at(p, index * p->col_tiles + ends[2][e % 3]);
        const cgc_geometry first = channelwise_part(p, &t), second = pointwise_part(p, &t);
        p->intermediate = larger(p->intermediate, cgc_round_up((size_t)(t.images * first.yn * first.size)));
        book(p, &p->channelwise, &first);
        book(p, &p->pointwise, &second);
    }
    if (tiles(p) < 2) return;
    const tile t = tile_at(p, 0);
    const cgc_geometry first = channelwise_part(p, &t), second = pointwise_part(p, &t);
    p->channelwise.packing = packing_of(p, &p->channelwise, &first);
    p->pointwise.packing = packing_of(p, &p->pointwise, &second);
    p->packed = cgc_round_up(p->channelwise.packing.size) + cgc_round_up(p->pointwise.packing.size);
}

static cgc_stage stage_of(const cgconv_plan *plan) {
    return (cgc_stage){plan->geometry, plan->passes[CGCONV_FORWARD].algorithm, plan->extents.weight,
                       plan->extents.bias, {0, 0}, plan->passes[CGCONV_FORWARD].threads};
}

cgconv_status cgc_separable_init(cgconv_separable *separable, const cgconv_plan *channelwise,
                                 const cgconv_plan *pointwise, cgc_why why) {
    const cgconv_status status = check(channelwise, pointwise, why);
    if (status) return status;
    *separable = (cgconv_separable){
        .channelwise = stage_of(channelwise), .pointwise = stage_of(pointwise),
        .kernels = channelwise->kernels, .x = channelwise->extents.x, .y = pointwise->extents.y,
        .images = channelwise->geometry.n, .rows = channelwise->geometry.oh, .cols = channelwise->geometry.ow,
    };
    cgconv_separable *p = separable;
    p->threads = p->channelwise.threads > p->pointwise.threads ? p->channelwise.threads : p->pointwise.threads;
    if (channelwise->exchanged != pointwise->exchanged) p->pointwise.geometry = exchanged(p->pointwise.geometry);
    cut(p);
    book_tiles(p);
    p->local = p->intermediate + p->scratch.shared + p->scratch.per_thread * (size_t)p->crew;
    p->workspace = p->packed + p->local * (size_t)(p->threads / p->crew) + CGC_ALIGN - 1;
    return CGCONV_OK;
}

/* ---- running --------------------------------------------------------------------------------------------------- */

/* A part of a pass: from x to y. */
static void run_part(const cgconv_separable *p, const cgc_stage *stage, const cgc_geometry *part, const char *x,
                     const char *weight, const char *packed, const char *bias, char *y, char *scratch) {
    const int form = stage->packing.form;
    const cgc_run run = {
        .geometry = part,
        .kernels = p->kernels,
        .pass = CGCONV_FORWARD,
        .threads = cgc_allowed_threads(p->crew == 1 ? 1 : stage->threads),
        .x = (char *)x,
        .weight = (char *)weight,
        .bias = (char *)bias,
        .y = y,
        .packed = form && packing_of(p, stage, part).form == form ? packed : NULL, /* smaller tiles may differ */
        .shared = scratch,
        .local = scratch + p->scratch.shared,
        .local_size = p->scratch.per_thread,
    };
    stage->algorithm->run(&run);
}

/* The packed weights of the pointwise pass come behind those of the other. */
static char *packed_pointwise(const cgc_separable_run *run) {
    return run->memory + cgc_round_up(run->separable->channelwise.packing.size);
}

static void run_tile(void *context, int64_t task, int thread) {
    const cgc_separable_run *run = context;
    const cgconv_separable *p = run->separable;
    const tile t = tile_at(p, task);
    const cgc_geometry first = channelwise_part(p, &t), second = pointwise_part(p, &t);
    char *intermediate = run->memory + p->packed + (size_t)thread * p->local, *scratch = intermediate + p->intermediate;
    const char *x = cgc_at(run->x, t.n * first.xn, first.size);
    char *y = cgc_at(run->y, t.n * second.yn + t.i * second.yh + t.j * second.yw, second.size);
    run_part(p, &p->channelwise, &first, x, run->weight[0], run->memory, run->bias[0], intermediate, scratch);
    run_part(p, &p->pointwise, &second, intermediate, run->weight[1], packed_pointwise(run), run->bias[1], y, scratch);
}

/* Packs the weights of a pass for all tiles that read them in the form of the first. */
static void pack(const cgconv_separable *p, const cgc_stage *stage, const cgc_geometry *part, const char *weight,
                 char *packed) {
    if (stage->packing.form) stage->algorithm->pack(part, p->kernels, cgc_allowed_threads(p->threads), weight, packed);
}

void cgc_separable_forward(const cgc_separable_run *run) {
    const cgconv_separable *p = run->separable;
    cgc_separable_run aligned = *run;
    aligned.memory = cgc_align(run->memory);
    const tile t = tile_at(p, 0);
    const cgc_geometry first = channelwise_part(p, &t), second = pointwise_part(p, &t);
    pack(p, &p->channelwise, &first, run->weight[0], aligned.memory);
    pack(p, &p->pointwise, &second, run->weight[1], packed_pointwise(&aligned));
    if (tiles(p) == 1)
        run_tile(&aligned, 0, 0);
    else
        cgc_parallel(cgc_allowed_threads(p->threads), tiles(p), run_tile, &aligned);
}
