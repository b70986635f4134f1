/*
 * The kernel of a channel-wise weight gradient with vectors over pixels, see gradient.h.
 * It must not know where its lines come from.
 *
 * Parameters: those of words_template.h, among them
 *   GRADE, REGISTERS, STENCIL_SHORT   as for stencil_template.h
 *
 * A tile is some filter rows by some filter columns, whose sums stay in registers for all of a plane. Lines come one
 * by one, and each vector of cells that is loaded meets one row of dy for each filter row: `skew` rows apart, the
 * first filter row the furthest ahead. So each sum gets its terms row by row, and each row from left to right.
 */

/* Blocks of LANES columns at the two ends of a row that reach beyond the line, and the last one. */
#define GRADIENT_ENDS (2 * CGC_GRADIENT_BEYOND / LANES + 1)

/* What the compiler knows of a tile: its size, the step between columns, and the blocks of a row (0: nothing). */
typedef struct K(gradient_kind) {
    int rows, cols, step, blocks;
} K(gradient_kind);

/* A block at an end of a row: the lanes of dy; the constant in those of the cells; and which of them to load. */
typedef struct K(gradient_end) {
    MASK mask;
    VEC fill[2];
    SPAN span[GRADIENT_MOST + 1];
} K(gradient_end);

typedef struct K(gradient_tile) {
    const cgc_gradient *s;
    const ptrdiff_t *lines; /* of row 0 under the tile's first row */
    int64_t step, skew;     /* from line to line; rows of dy from filter row to filter row */
    const ptrdiff_t *off;   /* of the tile's first column */
    int64_t h;              /* which vector of each block */
    int64_t left, right, blocks; /* blocks 0 .. left-1 and right .. blocks-1 of a row are ends */
    REAL *sums;             /* of the tile's first cell and vector h, in the first plane */
    ptrdiff_t down;         /* from row to row of the tile, in sums */
} K(gradient_tile);

/* The cells of a block under the filter columns of a tile. x: where its column 0 is under filter column 0. */
static ALWAYS_INLINE void K(gradient_cells)(const K(gradient_kind) kind, const ptrdiff_t *off,
                                            const K(gradient_end) *end, const REAL *x, VEC *cell) {
    if (kind.step == 1) {
        UNROLL for (int v = 0; v < kind.cols; v++)
            cell[v] = end ? V(load_span)(end->span[v], x + off[v], V(keep)(end->fill[0])) : V(load)(x + off[v]);
        return;
    }
#ifndef STENCIL_SHORT
    UNROLL for (int v = 0; v < kind.cols; v += 2) {
        const REAL *from = x + off[v];
        const VEC a = end ? V(load_span)(end->span[v], from, end->fill[0]) : V(load)(from);
        const VEC b = end ? V(load_span)(end->span[v + 1], from + WIDTH, end->fill[1]) : V(load)(from + WIDTH);
        cell[v] = V(even)(a, b);
        if (v + 1 < kind.cols) cell[v + 1] = V(odd)(a, b);
    }
#endif
}

/* Adds the products of one vector of cells and rows first .. last-1 of dy, from column p on. end: NULL inside. */
static ALWAYS_INLINE void K(gradient_vector)(const K(gradient_tile) *t, const K(gradient_kind) kind, const int first,
                                             const int last, const K(gradient_end) *end, const REAL *x,
                                             const REAL *dy, int64_t p, VEC *sum) {
    const ptrdiff_t up = t->skew * t->s->dy_row;
    VEC factor[GRADIENT_MOST], cell[GRADIENT_MOST + 1];
    UNROLL for (int j = first; j < last; j++) {
        const REAL *from = dy - j * up + p;
        factor[j] = V(keep)(end ? V(load_first)(end->mask, from) : V(load)(from));
    }
    K(gradient_cells)(kind, t->off, end, x + p * kind.step, cell);
    UNROLL for (int v = 0; v < kind.cols; v++) {
        const VEC c = V(keep)(cell[v]);
        UNROLL for (int j = first; j < last; j++)
            sum[j * kind.cols + v] = V(fma)(factor[j], c, sum[j * kind.cols + v]);
    }
}

/* Adds line k, which rows first .. last-1 of the tile meet. */
static ALWAYS_INLINE void K(gradient_line)(const K(gradient_tile) *t, const K(gradient_kind) kind, const int first,
                                           const int last, const K(gradient_end) *ends, int64_t k,
                                           const REAL *plane, const REAL *dy, VEC *sum) {
    const ptrdiff_t line = t->lines[k * t->step];
    const REAL *x = line == CGC_CONSTANT_LINE ? t->s->constant_line : plane + line;
    dy += k * t->s->dy_row;
    int64_t block = 0, p = t->h * WIDTH;
    if (kind.blocks) {
        UNROLL for (int e = 0; e < kind.blocks; e++)
            K(gradient_vector)(t, kind, first, last, &ends[e], x, dy, p + e * LANES, sum);
        return;
    }
    for (; block < t->left; block++, p += LANES)
        K(gradient_vector)(t, kind, first, last, ends++, x, dy, p, sum);
    for (; block < t->right; block++, p += LANES)
        K(gradient_vector)(t, kind, first, last, NULL, x, dy, p, sum);
    for (; block < t->blocks; block++, p += LANES)
        K(gradient_vector)(t, kind, first, last, ends++, x, dy, p, sum);
}

/* Readies the ends of a row. */
static ALWAYS_INLINE void K(gradient_ready)(const K(gradient_tile) *t, const K(gradient_kind) kind,
                                            K(gradient_end) *end) {
    const cgc_gradient *s = t->s;
    REAL constant[WIDTH];
    for (int l = 0; l < WIDTH; l++)
        constant[l] = (REAL)s->constant;
    for (int64_t block = 0; block < t->blocks; block++) {
        if (block == t->left && block < t->right) block = t->right;
        if (block == t->blocks) break;
        const int64_t p = block * LANES + t->h * WIDTH, cells = (s->cols - p) * kind.step;
        end->mask = V(first)(s->cols - p);
        UNROLL for (int i = 0; i < kind.step; i++)
            end->fill[i] = V(load_first)(V(first)(cells - i * WIDTH), constant);
        UNROLL for (int v = 0; v < (kind.cols + kind.step - 1) / kind.step * kind.step; v++) {
            const int64_t i = v % kind.step * WIDTH, column = t->off[v - v % kind.step] + p * kind.step + i;
            const int64_t room = s->width - column, wanted = cells - i;
            end->span[v] = V(between)(-column, wanted < room ? wanted : room);
        }
        end++;
    }
}

/* A tile, for all planes. There are rows enough that the last filter row begins before the first one ends. */
static ALWAYS_INLINE void K(gradient_planes)(const K(gradient_tile) *t_, const K(gradient_kind) kind) {
    const K(gradient_tile) tile = *t_, *t = &tile;
    const cgc_gradient *s = t->s;
    const int64_t rows = s->rows;
    const REAL *x = s->x, *dy = s->dy;
    REAL *sums = t->sums;
    K(gradient_end) ends[GRADIENT_ENDS];
    K(gradient_ready)(&tile, kind, ends);
    for (int64_t i = 0; i < s->planes; i++, x += s->x_plane, dy += s->dy_plane, sums += s->kh * s->kw * LANES) {
        VEC sum[GRADIENT_MOST * GRADIENT_MOST];
        int64_t k = 0;
        UNROLL for (int j = 0; j < kind.rows; j++)
            UNROLL for (int v = 0; v < kind.cols; v++)
                sum[j * kind.cols + v] = V(load)(sums + j * t->down + v * LANES);
        UNROLL for (int j = 1; j < kind.rows; j++)
            for (; k < j * t->skew; k++)
                K(gradient_line)(t, kind, 0, j, ends, k, x, dy, sum);
        for (; k < rows; k++)
            K(gradient_line)(t, kind, 0, kind.rows, ends, k, x, dy, sum);
        UNROLL for (int j = 1; j < kind.rows; j++)
            for (; k < rows + j * t->skew; k++)
                K(gradient_line)(t, kind, j, kind.rows, ends, k, x, dy, sum);
        UNROLL for (int j = 0; j < kind.rows; j++)
            UNROLL for (int v = 0; v < kind.cols; v++)
                V(store)(sums + j * t->down + v * LANES, sum[j * kind.cols + v]);
    }
}

/*
 * KERNEL(rows, cols): tiles of this size, by the blocks of a row; those of step 2 are small, and there are none for
 * short rows. No tile is four wide or high: what can be cut in two needs no code of its own.
 */
typedef void K(gradient_fn)(const K(gradient_tile) *t);

#define ONE(name, rows, cols, step, blocks) \
    static void K(name)(const K(gradient_tile) *t) { \
        K(gradient_planes)(t, (K(gradient_kind)){rows, cols, step, blocks}); \
    }
#ifdef STENCIL_SHORT
#define KERNEL(rows, cols) ONE(gradient_one_##rows##cols, rows, cols, 1, 1)
#define ENTRY(rows, cols) {K(gradient_one_##rows##cols)}
#else
#define KERNEL(rows, cols) \
    ONE(gradient_one_##rows##cols, rows, cols, 1, 1) \
    ONE(gradient_two_##rows##cols, rows, cols, 1, 2) \
    ONE(gradient_any_##rows##cols, rows, cols, 1, 0) \
    ONE(gradient_step_##rows##cols, rows < 3 ? rows : 3, cols < 3 ? cols : 3, 2, 0)
#define ENTRY(rows, cols) \
    {K(gradient_one_##rows##cols), K(gradient_two_##rows##cols), K(gradient_any_##rows##cols), \
     rows < 4 && cols < 4 ? K(gradient_step_##rows##cols) : NULL}
#endif

#define COMMA ,
#if GRADIENT_MOST == 5
#define EACH(of, rows, and) of(rows, 1) and of(rows, 2) and of(rows, 3) and of(rows, 5)
EACH(KERNEL, 1,) EACH(KERNEL, 2,) EACH(KERNEL, 3,) EACH(KERNEL, 5,)
#define ENTRIES {EACH(ENTRY, 1, COMMA)}, {EACH(ENTRY, 2, COMMA)}, {EACH(ENTRY, 3, COMMA)}, {EACH(ENTRY, 5, COMMA)}
#elif GRADIENT_MOST == 3
#define EACH(of, rows, and) of(rows, 1) and of(rows, 2) and of(rows, 3)
EACH(KERNEL, 1,) EACH(KERNEL, 2,) EACH(KERNEL, 3,)
#define ENTRIES {EACH(ENTRY, 1, COMMA)}, {EACH(ENTRY, 2, COMMA)}, {EACH(ENTRY, 3, COMMA)}
#else
#define EACH(of, rows, and) of(rows, 1)
EACH(KERNEL, 1,)
#define ENTRIES {EACH(ENTRY, 1, COMMA)}
#endif

/* The rows (or columns) of the next tile, of `left`, at most `limit`. */
static int64_t K(gradient_cut)(int64_t left, int64_t limit) {
    int64_t size = left < limit ? left : limit;
    if (size > GRADIENT_MOST) size = GRADIENT_MOST;
    if (size > 3 && (left == 6 || left == 9)) return 3;
    return size != 4 ? size : left == 4 ? 2 : 3;
}

/* The tiles of vector h of each block. A stride sorts filter rows by the lines that they meet. */
static void K(gradient_tiles)(const cgc_gradient *s, int64_t common, int64_t h) {
    static K(gradient_fn) *const kernels[][GRADIENT_MOST < 4 ? GRADIENT_MOST : 4][4] = {ENTRIES};
    const int64_t classes = s->step / common, skew = s->dilation / common, span = s->step_w * LANES;
    const int64_t high = s->step_w == 1 ? GRADIENT_MOST : 3, rooms = 1 + s->rows / skew;
    K(gradient_tile) t = {.s = s, .step = s->step, .skew = skew, .h = h, .down = classes * s->kw * LANES};
    t.blocks = (s->cols + LANES - 1) / LANES;
    const int64_t kind = s->step_w == 2 ? 3 : t.blocks < 3 ? t.blocks - 1 : 2;
    for (int64_t v = 0, cols; v < s->kw; v += cols) {
        cols = K(gradient_cut)(s->kw - v, high);
        t.off = s->off + v;
        const int64_t before = -t.off[0], last = t.off[(cols - 1) / s->step_w * s->step_w];
        const int64_t whole = s->width > last ? (s->width - last) / span : 0;
        t.left = before <= 0 ? 0 : (before + span - 1) / span;
        t.left = t.left < t.blocks ? t.left : t.blocks;
        t.right = whole < s->cols / LANES ? whole : s->cols / LANES;
        t.right = t.right > t.left ? t.right : t.left;
        if (kind < 2) t.left = t.right = t.blocks; /* all are ends */
        for (int64_t u0 = 0; u0 < classes && u0 < s->kh; u0++)
            for (int64_t u = u0, rows; u < s->kh; u += rows * classes) {
                rows = K(gradient_cut)((s->kh - u + classes - 1) / classes, high < rooms ? high : rooms);
                t.lines = s->lines + u * s->dilation;
                t.sums = (REAL *)s->sums + (u * s->kw + v) * LANES + h * WIDTH;
                kernels[rows == 5 ? 3 : rows - 1][cols == 5 ? 3 : cols - 1][kind](&t);
            }
    }
}

#undef COMMA
#undef ENTRIES
#undef EACH
#undef ENTRY
#undef KERNEL
#undef ONE

/* Vector h of each block of dy, added up; some planes side by side, since each sum waits for its last term. */
static ALWAYS_INLINE void K(gradient_bias)(const cgc_gradient *s, const int planes, int64_t first, int64_t h) {
    const REAL *dy = (const REAL *)s->dy + first * s->dy_plane;
    REAL *to = (REAL *)s->bias + first * LANES + h * WIDTH;
    const int64_t whole = s->cols / LANES * LANES;
    const MASK mask = V(first)(s->cols - whole - h * WIDTH);
    VEC sum[4];
    UNROLL for (int i = 0; i < planes; i++)
        sum[i] = V(load)(to + i * LANES);
    for (int64_t r = 0; r < s->rows; r++, dy += s->dy_row) {
        for (int64_t p = 0; p < whole; p += LANES)
            UNROLL for (int i = 0; i < planes; i++)
                sum[i] = V(add)(sum[i], V(load)(dy + i * s->dy_plane + p + h * WIDTH));
        if (whole < s->cols)
            UNROLL for (int i = 0; i < planes; i++)
                sum[i] = V(add)(sum[i], V(load_first)(mask, dy + i * s->dy_plane + whole + h * WIDTH));
    }
    UNROLL for (int i = 0; i < planes; i++)
        V(store)(to + i * LANES, sum[i]);
}

/* The greatest common divisor. */
static int64_t K(gradient_common)(int64_t a, int64_t b) { return b ? K(gradient_common)(b, a % b) : a; }

static void K(gradient_run)(const cgc_gradient *s) {
    const int64_t columns = s->cols < LANES ? s->cols : LANES;
    const int64_t common = K(gradient_common)(s->step, s->dilation);
    for (int64_t h = 0; h * WIDTH < columns; h++) {
        int64_t i = 0;
        K(gradient_tiles)(s, common, h);
        for (; s->bias && i + 4 <= s->planes; i += 4)
            K(gradient_bias)(s, 4, i, h);
        for (; s->bias && i < s->planes; i++)
            K(gradient_bias)(s, 1, i, h);
    }
}

#undef GRADIENT_ENDS
