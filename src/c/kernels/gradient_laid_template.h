/*
 * Channel-wise weight gradients where registers are few, see gradient.h: lines of planes are laid down in the first
 * cache, with the constant beyond their ends, and tiles of all filter columns read them there. So no vector of cells
 * has to look for an end, and none of every other column is made more than once. It must not know where lines come
 * from.
 *
 * Parameters: those of words_template.h; gradient_template.h comes before it.
 *
 * As in gradient_template.h a line meets a row of dy for each filter row of a tile, one row apart, the first filter
 * row the furthest ahead. At step 2 filter rows take turns to meet lines; the even columns of a line that is laid come
 * first, and the odd ones `half` cells further on.
 */
enum {
    K(laid_cells) = 24576 / sizeof(REAL), /* that are laid at a time */
    K(laid_rows) = 8,                     /* of dy that they serve, at least, if there are as many */
    K(laid_narrow) = 8,                   /* columns of a row that is read where it stands, if lines need no split */
};

/* What the compiler knows of a tile: the number of its filter rows and columns, the first of these, the step. */
typedef struct K(laid_kind) {
    int rows, cols, first, step;
} K(laid_kind);

/* Whether there is a register for the sum of dy. */
#define LAID_BIAS(rows, cols) ((rows) * (cols) < 12)

/* Planes that are laid, or a band of one, and a tile. */
typedef struct K(laid) {
    const cgc_gradient *s;
    int64_t planes, rows; /* rows: of dy */
    const REAL *dy, *cells;
    ptrdiff_t pitch, half, plane; /* of cells: from line to line, to odd columns, from plane to plane */
    ptrdiff_t shift;              /* cells of a line before its first one */
    ptrdiff_t down;               /* from filter row to filter row of the tile, in sums */
    REAL *sums, *bias;            /* of the tile's first cell; bias: NULL if it is not wanted */
    int fresh;
    /* Cells of x and of dy that are called for with each plane: those of a plane that is laid next. NULL: none. */
    const REAL *ahead[2];
    int64_t called[2];
} K(laid);

/* Adds the products of a vector of cells and rows first .. last-1 of dy. */
static ALWAYS_INLINE void K(laid_products)(const K(laid_kind) kind, const int first, const int last, const int masked,
                                           MASK mask, const REAL *dy, ptrdiff_t dy_row, const REAL *x, ptrdiff_t half,
                                           VEC *sum) {
    VEC factor[3];
    UNROLL for (int j = first; j < last; j++)
        factor[j] = V(keep)(masked ? V(load_first)(mask, dy - j * dy_row) : V(load)(dy - j * dy_row));
    if (first == 0 && LAID_BIAS(kind.rows, kind.cols))
        sum[kind.rows * kind.cols] = V(add)(sum[kind.rows * kind.cols], factor[0]);
    UNROLL for (int v = 0; v < kind.cols; v++) {
        const int at = kind.first + v;
        const REAL *from = x + (kind.step == 1 ? at : at / 2 + at % 2 * half);
        VEC cell = masked ? V(load_first)(mask, from) : V(load)(from);
        if (last - first > 1)
            cell = V(keep)(cell);
        UNROLL for (int j = first; j < last; j++)
            sum[j * kind.cols + v] = V(fma)(factor[j], cell, sum[j * kind.cols + v]);
    }
}

/* Vector h of each block of a line: `full` vectors, and if `part` is not 0, one that the mask cuts. */
static ALWAYS_INLINE void K(laid_line)(const K(laid_kind) kind, const int first, const int last, int64_t full,
                                       int part, MASK mask, const REAL *dy, ptrdiff_t dy_row, const REAL *x,
                                       ptrdiff_t half, VEC *sum) {
    for (int64_t block = 0; block < full; block++, dy += LANES, x += LANES)
        K(laid_products)(kind, first, last, 0, mask, dy, dy_row, x, half, sum);
    if (part)
        K(laid_products)(kind, first, last, 1, mask, dy, dy_row, x, half, sum);
}

/* Vector h of each block of a tile, for all planes. */
static ALWAYS_INLINE void K(laid_part)(const K(laid) *t, const K(laid_kind) kind, int64_t h, int64_t full, int part) {
    const cgc_gradient *s = t->s;
    const int sums = kind.rows * kind.cols, fresh = t->fresh;
    const int64_t rows = t->rows;
    const MASK mask = V(first)(s->cols - h * WIDTH - full * LANES);
    const ptrdiff_t pitch = s->pitch, dy_row = s->dy_row, next = s->step * t->pitch, half = t->half, down = t->down;
    const REAL *dys = t->dy + h * WIDTH, *cells = t->cells + h * WIDTH, *ahead = h < 2 ? t->ahead[h] : NULL;
    REAL *to = t->sums + h * WIDTH, *bias = t->bias ? t->bias + h * WIDTH : NULL;
    for (int64_t plane = t->planes; plane > 0; plane--) {
        const REAL *dy = dys, *x = cells;
        VEC sum[13];
        if (ahead) {
            for (int64_t i = 0; i < t->called[h]; i += CGC_LINE_BYTES / (int64_t)sizeof(REAL))
                PREFETCH(ahead + i);
            ahead += h == 0 ? s->x_plane : s->dy_plane;
        }
        UNROLL for (int i = 0; i < sums; i++)
            sum[i] = fresh ? V(zero)() : V(load)(to + i / kind.cols * down + i % kind.cols * pitch);
        if (LAID_BIAS(kind.rows, kind.cols))
            sum[sums] = bias && !fresh ? V(load)(bias) : V(zero)();
        UNROLL for (int j = 1; j < kind.rows; j++, dy += dy_row, x += next)
            K(laid_line)(kind, 0, j, full, part, mask, dy, dy_row, x, half, sum);
        for (int64_t k = kind.rows - 1; k < rows; k++, dy += dy_row, x += next)
            K(laid_line)(kind, 0, kind.rows, full, part, mask, dy, dy_row, x, half, sum);
        UNROLL for (int j = 1; j < kind.rows; j++, dy += dy_row, x += next)
            K(laid_line)(kind, j, kind.rows, full, part, mask, dy, dy_row, x, half, sum);
        UNROLL for (int i = 0; i < sums; i++)
            V(store)(to + i / kind.cols * down + i % kind.cols * pitch, sum[i]);
        if (LAID_BIAS(kind.rows, kind.cols) && bias) {
            V(store)(bias, sum[sums]);
            bias += pitch;
        }
        dys += s->dy_plane;
        cells += t->plane;
        to += s->kh * s->kw * pitch;
    }
}

/* A tile. An only vector of a row needs no loop. */
static ALWAYS_INLINE void K(laid_tile)(const K(laid) *t, const K(laid_kind) kind) {
    const K(laid) tile = *t;
    for (int64_t h = 0; h * WIDTH < t->s->pitch && h * WIDTH < t->s->cols; h++) {
        const int64_t left = t->s->cols - h * WIDTH, full = (left + LANES - WIDTH) / LANES;
        const int part = left > full * LANES;
        if (full == 1 && !part)
            K(laid_part)(&tile, kind, h, 1, 0);
        else if (full == 0)
            K(laid_part)(&tile, kind, h, 0, 1);
        else
            K(laid_part)(&tile, kind, h, full, part);
    }
}

/* TILE(rows, cols, first): a tile, for both steps. */
typedef void K(laid_fn)(const K(laid) *t);
#define TILE(rows, cols, first) \
    static void K(laid_1_##rows##cols##first)(const K(laid) *t) { \
        K(laid_tile)(t, (K(laid_kind)){rows, cols, first, 1}); \
    } \
    static void K(laid_2_##rows##cols##first)(const K(laid) *t) { \
        K(laid_tile)(t, (K(laid_kind)){rows, cols, first, 2}); \
    }
#define TILES(rows) TILE(rows, 3, 0) TILE(rows, 4, 0) TILE(rows, 3, 4)
TILES(1) TILES(2) TILES(3) TILE(1, 5, 0) TILE(2, 5, 0)
#define ROWS(step, cols, first) K(laid_##step##_1##cols##first), K(laid_##step##_2##cols##first)
#define ALL(step, cols, first) {ROWS(step, cols, first), K(laid_##step##_3##cols##first)}

/* All tiles. One of seven columns is cut in two. */
static void K(laid_tiles)(K(laid) *t, const REAL *cells, REAL *sums) {
    static K(laid_fn) *const kernels[2][4][3] = {
        {ALL(1, 3, 0), {ROWS(1, 5, 0)}, ALL(1, 4, 0), ALL(1, 3, 4)},
        {ALL(2, 3, 0), {ROWS(2, 5, 0)}, ALL(2, 4, 0), ALL(2, 3, 4)},
    };
    const cgc_gradient *s = t->s;
    K(laid_fn) *const(*kernel)[3] = kernels[s->step - 1] + (s->kw - 3) / 2;
    const int64_t sorts = s->step, most = s->kw == 5 ? 2 : 3;
    t->down = sorts * s->kw * s->pitch;
    for (int64_t u0 = 0; u0 < sorts && u0 < s->kh; u0++)
        for (int64_t u = u0, rows; u < s->kh; u += rows * sorts) {
            const int64_t left = (s->kh - u + sorts - 1) / sorts, room = most < 1 + t->rows ? most : 1 + t->rows;
            rows = left < room ? left : left == 4 && room == 3 ? 2 : room;
            t->cells = cells + u * t->pitch;
            t->sums = sums + u * s->kw * s->pitch;
            kernel[0][rows - 1](t);
            t->ahead[0] = t->ahead[1] = NULL;
            if (LAID_BIAS(rows, s->kw == 7 ? 4 : s->kw))
                t->bias = NULL;
            if (s->kw < 7)
                continue;
            t->sums += 4 * s->pitch;
            kernel[1][rows - 1](t);
            t->bias = NULL;
        }
}
#undef TILE
#undef TILES
#undef ROWS
#undef ALL
#undef LAID_BIAS

/* Of a line: where its cells come from, how many, where they are laid, and the lanes of its last two vectors. */
typedef struct K(laying) {
    int64_t from, count;
    ptrdiff_t even, odd; /* at step 1: even */
    SPAN few, more;
} K(laying);

static ALWAYS_INLINE void K(lay_split)(VEC a, VEC b, REAL *even, REAL *odd) {
    V(store)(even, V(even)(a, b));
    V(store)(odd, V(odd)(a, b));
}

/* Lays lines, none of constants. The last vectors of a line move back to end with it, if they can. */
static void K(lay_lines)(const K(laying) *l, int64_t step, const REAL *x, const ptrdiff_t *lines, int64_t count,
                         ptrdiff_t pitch, VEC constant, REAL *to) {
    const int64_t cells = l->count;
    const SPAN few = l->few, more = l->more;
    const int back = cells >= 2 * WIDTH && cells % 2 == 0;
    REAL *even = to + l->even, *odd = to + l->odd;
    x += l->from;
    for (; step == 2 && count > 0; count--, lines++, even += pitch, odd += pitch) {
        const REAL *from = x + *lines;
        int64_t i = 0;
        for (; i + 2 * WIDTH <= cells; i += 2 * WIDTH)
            K(lay_split)(V(load)(from + i), V(load)(from + i + WIDTH), even + i / 2, odd + i / 2);
        if (i < cells && back) {
            i = cells - 2 * WIDTH;
            K(lay_split)(V(load)(from + i), V(load)(from + i + WIDTH), even + i / 2, odd + i / 2);
        } else if (i < cells)
            K(lay_split)(V(load_span)(few, from + i, constant), V(load_span)(more, from + i + WIDTH, constant),
                         even + i / 2, odd + i / 2);
    }
    for (; cells < WIDTH && count > 0; count--, lines++, even += pitch)
        V(store)(even, V(load_span)(few, x + *lines, constant));
    for (; count > 0; count--, lines++, even += pitch) {
        const REAL *from = x + *lines;
        for (int64_t i = 0; i + WIDTH < cells; i += WIDTH)
            V(store)(even + i, V(load)(from + i));
        V(store)(even + cells - WIDTH, V(load)(from + cells - WIDTH));
    }
}

static void K(lay_constants)(REAL *to, int64_t count, VEC constant) {
    for (int64_t i = 0; i < count; i += WIDTH)
        V(store)(to + i, constant);
}

/* Lays the planes; those lines of constants too that may have been others before. */
static void K(lay_planes)(const K(laid) *t, const K(laying) *l, const REAL *x, const ptrdiff_t *lines, int64_t count,
                          VEC constant, REAL *cells) {
    for (int64_t k = 0, end; k < count; k = end) {
        const int beyond = lines[k] == CGC_CONSTANT_LINE;
        REAL *to = cells + k * t->pitch;
        for (end = k + 1; end < count && (lines[end] == CGC_CONSTANT_LINE) == beyond;)
            end++;
        for (int64_t i = 0; i < t->planes; i++, to += t->plane)
            if (!beyond)
                K(lay_lines)(l, t->s->step, x + i * t->s->x_plane, lines + k, end - k, t->pitch, constant,
                             to + t->shift);
            else if (t->rows < t->s->rows)
                K(lay_constants)(to, (end - k) * t->pitch, constant);
    }
}

/* Calls for the planes behind those that are laid, where they are runs of lines. */
static void K(laid_ahead)(K(laid) *t, const REAL *x, const ptrdiff_t *lines, int64_t count) {
    int64_t first = 0, last = count - 1;
    while (first < last && lines[first] == CGC_CONSTANT_LINE)
        first++;
    while (first < last && lines[last] == CGC_CONSTANT_LINE)
        last--;
    t->ahead[0] = x + t->planes * t->s->x_plane + lines[first];
    t->called[0] = lines[last] - lines[first] + t->s->width;
    t->ahead[1] = t->dy + t->planes * t->s->dy_plane;
    t->called[1] = (t->rows - 1) * t->s->dy_row + t->s->cols;
}

/* Whether it pays: wide lines that few filter columns read are read where they stand, too. */
static int K(laid_pays)(const cgc_gradient *s) {
    return (s->kw == 3 || s->kw == 5 || s->kw == 7) && s->off[s->kw - 1] == s->off[0] + s->kw - 1 &&
           s->step == s->step_w && s->dilation == 1 && (s->step == 2 || s->cols > K(laid_narrow)) &&
           (s->kw > 3 || s->cols <= 2 * LANES);
}

static int64_t K(laid_round)(int64_t cells) { return (cells + WIDTH - 1) / WIDTH * WIDTH; }

/* Readies all but planes and rows. Each line begins where the first of its cells, or the second one, is aligned. */
static void K(laid_open)(const cgc_gradient *s, K(laid) *t, K(laying) *l) {
    const int64_t span = (s->cols - 1) * s->step + s->kw, wanted = s->off[0] + span;
    const int64_t from = s->off[0] < 0 ? 0 : s->off[0], end = wanted < s->width ? wanted : s->width;
    const int64_t count = end > from ? end - from : 0, each = count / s->step, cells = (span + s->step - 1) / s->step;
    const ptrdiff_t at = count ? from - s->off[0] : 0;
    const int exact = each >= WIDTH && count % s->step == 0; /* else lines end with a whole vector */
    const int64_t last = (at + s->step - 1) / s->step + (exact ? each : K(laid_round)(each + 1));
    t->s = s;
    t->shift = K(laid_round)(at / s->step) - at / s->step;
    t->half = K(laid_round)(t->shift + (last > cells ? last : cells));
    t->pitch = s->step * t->half;
    l->from = count ? from : 0;
    l->count = count;
    l->even = s->step == 1 ? at : at / 2 + at % 2 * t->half;
    l->odd = (at + 1) / 2 + (at + 1) % 2 * t->half;
    l->few = V(between)(0, count % (s->step * WIDTH));
    l->more = V(between)(0, count % (s->step * WIDTH) - WIDTH);
}

/* All planes, if it pays and there is room. */
static int K(gradient_laid)(const cgc_gradient *s) {
    _Alignas(CGC_LINE_BYTES) REAL memory[K(laid_cells)];
    if (!K(laid_pays)(s))
        return 0;
    K(laid) t;
    K(laying) l;
    K(laid_open)(s, &t, &l);
    const int64_t tall = s->kh - s->step; /* lines beside `step` a row */
    const int64_t room = (K(laid_cells) / t.pitch - tall) / s->step, rows = room < s->rows ? room : s->rows;
    if (rows < s->rows && rows < K(laid_rows))
        return 0;
    t.plane = (rows * s->step + tall) * t.pitch;
    const int64_t together = K(laid_cells) / t.plane;
    const VEC constant = V(set)((REAL)s->constant);
    K(lay_constants)(memory, (together < s->planes ? together : s->planes) * t.plane, constant);
    for (int64_t i = 0; i < s->planes; i += t.planes) {
        const REAL *x = (const REAL *)s->x + i * s->x_plane;
        t.planes = s->planes - i < together ? s->planes - i : together;
        for (int64_t r = 0; r < s->rows; r += t.rows) {
            const ptrdiff_t *lines = s->lines + r * s->step;
            t.rows = s->rows - r < rows ? s->rows - r : rows;
            t.dy = (const REAL *)s->dy + i * s->dy_plane + r * s->dy_row;
            t.fresh = s->fresh && r == 0;
            t.bias = s->bias ? (REAL *)s->bias + i * s->pitch : NULL;
            t.ahead[0] = t.ahead[1] = NULL;
            K(lay_planes)(&t, &l, x, lines, t.rows * s->step + tall, constant, memory);
            if (s->ahead && t.rows == s->rows && i + t.planes < s->planes)
                K(laid_ahead)(&t, x, lines, t.rows * s->step + tall);
            K(laid_tiles)(&t, memory + t.shift, (REAL *)s->sums + i * s->kh * s->kw * s->pitch);
        }
    }
    for (int64_t h = 0; s->fresh && h * WIDTH < s->pitch; h++)
        if (h * WIDTH >= s->cols)
            K(gradient_clear)(s, h);
    return 1;
}
