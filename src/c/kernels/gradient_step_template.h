/*
 * The tiles of gradient_template.h where columns are two apart: a vector of cells is every other one of two vectors.
 * They must not know where lines come from.
 *
 * Parameters: those of words_template.h; gradient_template.h comes before it.
 *
 * A tile has up to three filter columns, and two vectors of cells serve them all: the ones of even place, those of odd
 * place, and the latter moved by a lane, with one more cell in front. Where registers are few, there are none for
 * moving lanes: the third column loads two vectors of its own, which begin two cells before, and all are woven. If
 * lines are two apart as well, filter rows take turns to meet them, and a tile goes through two lines at a time; each
 * row of dy is loaded once for both.
 */
typedef struct K(step_kind) {
    int rows, cols, lines; /* lines: at a time */
} K(step_kind);

#define STEP_WOVEN (REGISTERS < 32)

/*
 * A block at an end of a row: the lanes of dy; of the cells in front and those of odd place, one behind the other, the
 * numbers of those that are moved by a lane; the constants among all cells, and which of them to load.
 */
typedef struct K(step_end) {
    MASK mask;
    INDEX moved;
    VEC fill[2];
    SPAN span[4]; /* of the first two vectors, and of those two cells before */
    int inside; /* whether the cell in front lies in the line */
} K(step_end);

/* From the order of lanes to that of sums, and back. */
static ALWAYS_INLINE VEC K(step_order)(VEC v) { return STEP_WOVEN ? V(weave)(v) : v; }
static ALWAYS_INLINE VEC K(step_reorder)(VEC v) { return STEP_WOVEN ? V(unweave)(v) : v; }

/* The filter column whose cells are those of even place. */
static ALWAYS_INLINE int K(step_even)(const K(step_kind) kind) { return kind.cols == 3; }

/* Adds the products of a vector of cells of line i, under column v of the tile, and rows first .. last-1 of dy. */
static ALWAYS_INLINE void K(step_products)(const K(step_kind) kind, const int first, const int last, const int i,
                                           const int v, const VEC *factor, VEC cell, VEC *sum) {
    cell = V(keep)(cell);
    UNROLL for (int j = first; j < last; j++) {
        const int u = j * kind.lines + i;
        if (u < kind.rows)
            sum[u * kind.cols + v] = V(fma)(factor[j], cell, sum[u * kind.cols + v]);
    }
}

/*
 * Adds block p of the lines x that rows first .. last-1 of dy meet. end: NULL inside. front: its cells are inside but
 * for those in front.
 */
static ALWAYS_INLINE void K(step_vector)(const K(gradient_tile) *t, const K(step_kind) kind, const int first,
                                         const int last, const int front, const K(step_end) *before,
                                         const REAL *const *x, const REAL *dy, int64_t p, INDEX moved, VEC *sum) {
    const K(step_end) *end = front ? NULL : before;
    const ptrdiff_t up = t->skew * t->s->dy_row;
    VEC factor[GRADIENT_MOST];
    UNROLL for (int j = first; j < last; j++) {
        const REAL *from = dy - j * up + p;
        factor[j] = V(keep)(K(step_order)(end ? V(load_first)(end->mask, from) : V(load)(from)));
    }
    if (first == 0)
        sum[kind.rows * kind.cols] = V(add)(sum[kind.rows * kind.cols], factor[0]);
    if (first == 0 && !STEP_WOVEN && t->s->ahead)
        PREFETCH(dy + p + t->s->dy_plane);
    UNROLL for (int i = 0; i < kind.lines; i++) {
        if (first * kind.lines + i >= kind.rows)
            continue;
        const REAL *from = x[i] + t->off[K(step_even)(kind)] + 2 * p;
        if (end && STEP_WOVEN)
            REFRESH(end); /* so that sums stay in registers, not spans */
        const VEC a = V(keep)(end ? V(load_span)(end->span[0], from, end->fill[0]) : V(load)(from));
        const VEC b = V(keep)(end ? V(load_span)(end->span[1], from + WIDTH, end->fill[1]) : V(load)(from + WIDTH));
        if (first == 0 && !STEP_WOVEN && t->s->ahead) {
            PREFETCH(from + t->s->x_plane);
            PREFETCH(from + WIDTH + t->s->x_plane);
        }
        const VEC even = STEP_WOVEN ? V(even_woven)(a, b) : V(even)(a, b);
        K(step_products)(kind, first, last, i, K(step_even)(kind), factor, even, sum);
        if (kind.cols == 1)
            continue;
        if (STEP_WOVEN) {
            K(step_products)(kind, first, last, i, kind.cols - 1, factor, V(odd_woven)(a, b), sum);
            if (kind.cols == 2)
                continue;
            from -= 2;
            if (before)
                REFRESH(before);
            const VEC c = before ? V(load_span)(before->span[2], from, before->fill[0]) : V(load)(from);
            const VEC d = end ? V(load_span)(before->span[3], from + WIDTH, before->fill[1]) : V(load)(from + WIDTH);
            K(step_products)(kind, first, last, i, 0, factor, V(odd_woven)(c, d), sum);
            continue;
        }
        const VEC odd = V(keep)(V(odd)(a, b));
        K(step_products)(kind, first, last, i, kind.cols - 1, factor, odd, sum);
        if (kind.cols == 2)
            continue;
        const VEC cell = V(set)(!end || end->inside ? from[-1] : (REAL)t->s->constant);
        const INDEX lanes = end ? end->moved : moved;
        K(step_products)(kind, first, last, i, 0, factor, V(pick2)(lanes, V(within)(lanes), cell, odd, V(zero)()),
                         sum);
    }
}

/* Adds the lines of step k, which rows first .. last-1 of dy meet. front: of the first block, see above. */
static ALWAYS_INLINE void K(step_lines)(const K(gradient_tile) *t, const K(step_kind) kind, const int first,
                                        const int last, int front, const K(step_end) *ends, int64_t k,
                                        const REAL *plane, const REAL *dy, INDEX moved, VEC *sum) {
    const REAL *x[2];
    int64_t block = 0, p = t->h * WIDTH;
    UNROLL for (int i = 0; i < kind.lines; i++) {
        if (first * kind.lines + i >= kind.rows)
            continue;
        const ptrdiff_t line = t->lines[k * t->step + i];
        x[i] = line == CGC_CONSTANT_LINE ? (const REAL *)t->s->constant_line : plane + line;
        for (int64_t at = p; first == 0 && STEP_WOVEN && t->s->ahead && at < t->s->cols; at += LANES) {
            PREFETCH(x[i] + 2 * at + t->s->x_plane);
            PREFETCH(x[i] + 2 * at + WIDTH + t->s->x_plane);
        }
    }
    dy += k * t->s->dy_row;
    for (int64_t at = p; first == 0 && STEP_WOVEN && t->s->ahead && at < t->s->cols; at += LANES)
        PREFETCH(dy + at + t->s->dy_plane);
    if (STEP_WOVEN && kind.cols == 3 && front) {
        K(step_vector)(t, kind, first, last, 1, ends++, x, dy, p, moved, sum);
        block++, p += LANES;
    }
    for (; block < t->left; block++, p += LANES)
        K(step_vector)(t, kind, first, last, 0, ends++, x, dy, p, moved, sum);
    for (; block < t->right; block++, p += LANES)
        K(step_vector)(t, kind, first, last, 0, NULL, x, dy, p, moved, sum);
    for (; block < t->blocks; block++, p += LANES)
        K(step_vector)(t, kind, first, last, 0, ends++, x, dy, p, moved, sum);
}

/* The numbers of the first lanes, so many of them, and none for the others. */
static ALWAYS_INLINE INDEX K(step_moved)(int64_t count) {
    int32_t lanes[WIDTH];
    for (int l = 0; l < WIDTH; l++)
        lanes[l] = l >= count ? -1 : l > 0 ? WIDTH + l - 1 : 0;
    return V(load_index)(lanes);
}

/* Readies a block at an end of a row. */
static ALWAYS_INLINE void K(step_ready)(const K(gradient_tile) *t, const K(step_kind) kind, int64_t block,
                                        K(step_end) *end) {
    const cgc_gradient *s = t->s;
    const int64_t p = block * LANES + t->h * WIDTH, column = t->off[K(step_even)(kind)] + 2 * p;
    REAL constant[WIDTH];
    for (int l = 0; l < WIDTH; l++)
        constant[l] = (REAL)s->constant;
    end->mask = V(first)(s->cols - p);
    end->moved = K(step_moved)(s->cols - p);
    end->inside = column >= 1 && column <= s->width;
    UNROLL for (int i = 0; i < 4; i++) {
        const int64_t wanted = 2 * (s->cols - p) - i % 2 * WIDTH, at = column - i / 2 * 2 + i % 2 * WIDTH;
        const int64_t room = s->width - at;
        end->fill[i % 2] = V(load_first)(V(first)(wanted), constant);
        end->span[i] = V(between)(-at, wanted < room ? wanted : room);
    }
}

/* A tile, for all planes. */
static ALWAYS_INLINE void K(step_planes)(const K(gradient_tile) *t_, const K(step_kind) kind) {
    const K(gradient_tile) tile = *t_, *t = &tile;
    const cgc_gradient *s = t->s;
    const int most = (kind.rows + kind.lines - 1) / kind.lines; /* rows of dy at a time */
    const int64_t rows = s->rows, skew = kind.lines == 2 ? 1 : t->skew;
    const ptrdiff_t pitch = s->pitch;
    const REAL *x = s->x, *dy = s->dy;
    REAL *sums = t->sums, *bias = t->bias;
    const INDEX moved = K(step_moved)(WIDTH);
    K(step_end) ends[GRADIENT_ENDS], *end = ends;
    for (int64_t block = 0; block < t->blocks; block++)
        if (block < t->left || block >= t->right)
            K(step_ready)(t, kind, block, end++);
    const int64_t column = t->off[K(step_even)(kind)] + 2 * t->h * WIDTH;
    const int front = t->left == 1 && s->cols >= (t->h + 1) * WIDTH && column >= 0 && column + 2 * WIDTH <= s->width;
    for (int64_t i = 0; i < s->planes; i++, x += s->x_plane, dy += s->dy_plane, sums += s->kh * s->kw * pitch) {
        VEC sum[3 * GRADIENT_MOST + 1];
        UNROLL for (int j = 0; j < kind.rows; j++)
            UNROLL for (int v = 0; v < kind.cols; v++)
                sum[j * kind.cols + v] = s->fresh ? V(zero)() : K(step_order)(V(load)(sums + j * t->down + v * pitch));
        sum[kind.rows * kind.cols] = bias && !s->fresh ? K(step_order)(V(load)(bias + i * pitch)) : V(zero)();
        UNROLL for (int j = 1; j < most; j++)
            for (int64_t k = (j - 1) * skew; k < j * skew; k++)
                K(step_lines)(t, kind, 0, j, front, ends, k, x, dy, moved, sum);
        for (int64_t k = (most - 1) * skew; k < rows; k++)
            K(step_lines)(t, kind, 0, most, front, ends, k, x, dy, moved, sum);
        UNROLL for (int j = 1; j < most; j++)
            for (int64_t k = rows + (j - 1) * skew; k < rows + j * skew; k++)
                K(step_lines)(t, kind, j, most, front, ends, k, x, dy, moved, sum);
        UNROLL for (int j = 0; j < kind.rows; j++)
            UNROLL for (int v = 0; v < kind.cols; v++)
                V(store)(sums + j * t->down + v * pitch, K(step_reorder)(sum[j * kind.cols + v]));
        if (bias)
            V(store)(bias + i * pitch, K(step_reorder)(sum[kind.rows * kind.cols]));
    }
}

/* KERNEL(rows, cols): tiles of this size, for one line and for two lines at a time. */
#define KERNEL(rows, cols) \
    static void K(step_1_##rows##cols)(const K(gradient_tile) *t) { \
        K(step_planes)(t, (K(step_kind)){rows, cols, 1}); \
    } \
    static void K(step_2_##rows##cols)(const K(gradient_tile) *t) { \
        K(step_planes)(t, (K(step_kind)){rows, cols, 2}); \
    }
#define ENTRY(rows, cols) {K(step_1_##rows##cols), K(step_2_##rows##cols)}
#define EACH(of, rows, and) of(rows, 1) and of(rows, 2) and of(rows, 3)
#if GRADIENT_MOST == 5
EACH(KERNEL, 1,) EACH(KERNEL, 2,) EACH(KERNEL, 3,) EACH(KERNEL, 5,)
#define ENTRIES {EACH(ENTRY, 1, COMMA)}, {EACH(ENTRY, 2, COMMA)}, {EACH(ENTRY, 3, COMMA)}, {EACH(ENTRY, 5, COMMA)}
#elif GRADIENT_MOST == 3
EACH(KERNEL, 1,) EACH(KERNEL, 2,) EACH(KERNEL, 3,)
#define ENTRIES {EACH(ENTRY, 1, COMMA)}, {EACH(ENTRY, 2, COMMA)}, {EACH(ENTRY, 3, COMMA)}
#else
KERNEL(1, 1)
#define ENTRIES {ENTRY(1, 1)}
#endif

static K(gradient_fn) *K(step_kernel)(int64_t rows, int64_t cols, int64_t lines) {
    static K(gradient_fn) *const kernels[][GRADIENT_MOST < 3 ? 1 : 3][2] = {ENTRIES};
    return kernels[rows == 5 ? 3 : rows - 1][cols - 1][lines - 1];
}

#undef STEP_WOVEN
#undef ENTRIES
#undef EACH
#undef ENTRY
#undef KERNEL
