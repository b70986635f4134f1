/*
 * Channel-wise weight gradients of 3 x 3 filters with zeros beside the lines, where registers are few, see gradient.h:
 * these are read where they stand. It must not know what is above or below a plane.
 *
 * Parameters: those of words_template.h; gradient_template.h comes before it.
 *
 * All nine sums and that of dy are held. At step 1 a line meets three rows of dy, one row apart, the first filter row
 * the furthest ahead; at step 2 two lines meet two rows, and lanes are in the order of weave_. There are no loops in
 * rows of up to four blocks. Only the first block looks for the left end, and only under the left column; only the last
 * one looks for the right end, and for that of dy.
 */
enum { K(place_called) = 131072 }; /* bytes of a plane that is called for, at most */

typedef struct K(place_gradient) {
    const cgc_gradient *s;
    /* In the first plane; of x line 1, under the left filter column, or at step 2 the middle one, */
    const REAL *x, *dy;
    const REAL *top, *bottom; /* and the first and the last line */
    ptrdiff_t pitch, dy_row; /* from line to line, from row to row */
    ptrdiff_t top_plane, bottom_plane;
    REAL *sums, *bias; /* bias: or NULL */
    SPAN left;  /* the lanes of the first block inside a line under the left column, */
    SPAN right; /* those of the last one under the right column, */
    MASK last;  /* and the lanes of dy there; */
    SPAN pair[4]; /* at step 2, of the last block, those of its cells, and of the cells two columns before */
    int64_t end;  /* the last block's first column, from the first block on */
    /* Rows of x or dy that are called for with those of the first plane; their cells, 0: none. */
    const REAL *ahead;
    ptrdiff_t ahead_row, ahead_plane;
    int64_t called;
} K(place_gradient);

/* What a line is to a tile: the filter rows that meet it, a bit each. */
enum { K(row_0) = 1, K(row_1) = 2, K(row_2) = 4 };

/* Adds the products of a vector of cells under column v and the rows of dy that filter rows meet there. */
static ALWAYS_INLINE void K(place_cells)(const int rows, const int v, const VEC *factor, VEC cell, VEC *sum) {
    cell = V(keep)(cell);
    UNROLL for (int u = 0; u < 3; u++)
        if (rows >> u & 1)
            sum[u * 3 + v] = V(fma_here)(factor[u], cell, sum[u * 3 + v]);
}

static ALWAYS_INLINE VEC K(place_factor)(const K(place_gradient) *t, const int end, const REAL *dy) {
    return V(keep)(end ? V(load_first)(t->last, dy) : V(load)(dy));
}

/* Adds the products of a block of a line; `begin`, `end`: it is the first, the last one. */
static ALWAYS_INLINE void K(place_line_block)(const K(place_gradient) *t, const int begin, const int end,
                                              const int rows, const REAL *x, const REAL *dy, VEC *sum) {
    VEC factor[3];
    UNROLL for (int u = 0; u < 3; u++)
        if (rows >> u & 1)
            factor[u] = K(place_factor)(t, end, dy - u * t->dy_row);
    if (rows & K(row_0))
        sum[9] = V(add)(sum[9], factor[0]);
    UNROLL for (int v = 0; v < 3; v++)
        K(place_cells)(rows, v, factor,
                       begin && v == 0 ? V(load_span_or_zero)(t->left, x)
                       : !end          ? V(load)(x + v)
                       : v == 2        ? V(load_span_or_zero)(t->right, x + 2)
                                       : V(load_first)(t->last, x + v), sum);
}

/* Every other cell of a line. */
static ALWAYS_INLINE void K(place_others)(const K(place_gradient) *t, const int begin, const int end, const int rows,
                                          const REAL *x, const VEC *factor, VEC *sum) {
    const VEC a = V(keep)(end ? V(load_span_or_zero)(t->pair[0], x) : V(load)(x));
    const VEC b = V(keep)(end ? V(load_span_or_zero)(t->pair[1], x + WIDTH) : V(load)(x + WIDTH));
    K(place_cells)(rows, 1, factor, V(even_woven)(a, b), sum);
    K(place_cells)(rows, 2, factor, V(odd_woven)(a, b), sum);
    const VEC c = end     ? V(load_span_or_zero)(t->pair[2], x - 2)
                  : begin ? V(load_span_or_zero)(t->left, x - 2)
                          : V(load)(x - 2);
    const VEC d = end ? V(load_span_or_zero)(t->pair[3], x + WIDTH - 2) : V(load)(x + WIDTH - 2);
    K(place_cells)(rows, 0, factor, V(odd_woven)(c, d), sum);
}

/* The same at step 2: the line at x is for filter rows 0 and 2, the one behind it, if row 0 is here, for row 1. */
static ALWAYS_INLINE void K(place_pair_block)(const K(place_gradient) *t, const int begin, const int end,
                                              const int rows, const REAL *x, const REAL *behind, const REAL *dy,
                                              VEC *sum) {
    VEC factor[3] = {V(zero)(), V(zero)(), V(zero)()};
    if (rows & K(row_0)) {
        factor[0] = factor[1] = V(keep)(V(weave)(K(place_factor)(t, end, dy)));
        sum[9] = V(add)(sum[9], factor[0]);
    }
    if (rows & K(row_2))
        factor[2] = V(keep)(V(weave)(K(place_factor)(t, end, dy - t->dy_row)));
    K(place_others)(t, begin, end, rows, x, factor, sum);
    if (rows & K(row_0))
        K(place_others)(t, begin, end, K(row_1), behind, factor, sum);
}

/* What the compiler knows: the blocks of a row, 0 if it does not; the step. */
typedef struct K(place_shape) {
    int blocks, step;
} K(place_shape);

static ALWAYS_INLINE void K(place_row_block)(const K(place_gradient) *t, const K(place_shape) shape, const int begin,
                                             const int end, const int rows, const REAL *x, const REAL *behind,
                                             const REAL *dy, VEC *sum) {
    if (shape.step == 1)
        K(place_line_block)(t, begin, end, rows, x, dy, sum);
    else
        K(place_pair_block)(t, begin, end, rows, x, behind, dy, sum);
}

/* Adds the products of a line, or of two. */
static ALWAYS_INLINE void K(place_row)(const K(place_gradient) *t, const K(place_shape) shape, const int rows,
                                       const REAL *x, const REAL *behind, const REAL *dy, VEC *sum) {
    const int next = shape.step * LANES;
    if (shape.blocks > 0) {
        UNROLL for (int b = 0; b < shape.blocks; b++, x += next, behind += next, dy += LANES)
            K(place_row_block)(t, shape, b == 0, b == shape.blocks - 1, rows, x, behind, dy, sum);
        return;
    }
    const REAL *const end = dy + t->end;
    K(place_row_block)(t, shape, 1, 0, rows, x, behind, dy, sum);
    for (x += next, behind += next, dy += LANES; dy < end; x += next, behind += next, dy += LANES)
        K(place_row_block)(t, shape, 0, 0, rows, x, behind, dy, sum);
    K(place_row_block)(t, shape, 0, 1, rows, x, behind, dy, sum);
}

/* Calls for a row, so that no more is on its way at a time than machines can keep. */
static ALWAYS_INLINE void K(place_call)(const K(place_gradient) *t, const REAL *row) {
    for (int64_t i = 0; i < t->called; i += CGC_LINE_BYTES / (int64_t)sizeof(REAL))
        PREFETCH(row + i);
}

/* Sums as they are stored. */
static ALWAYS_INLINE VEC K(place_begin)(const K(place_shape) shape, int fresh, const REAL *from) {
    if (fresh)
        return V(zero)();
    return shape.step == 1 ? V(load)(from) : V(weave)(V(load)(from));
}

static ALWAYS_INLINE void K(place_finish)(const K(place_shape) shape, REAL *to, VEC sum) {
    V(store)(to, shape.step == 1 ? sum : V(unweave)(sum));
}

/* A vector of each block, for all planes. There are two rows or more. */
static ALWAYS_INLINE void K(place_part)(const K(place_gradient) *part, const K(place_shape) shape) {
    const K(place_gradient) t = *part;
    const cgc_gradient s = *t.s;
    const ptrdiff_t pitch = t.pitch, dy_row = s.dy_row, sums = s.pitch;
    const REAL *planes = t.x, *factors = t.dy, *top = t.top, *bottom = t.bottom, *ahead = t.ahead;
    REAL *to = t.sums, *bias = t.bias;
    for (int64_t plane = s.planes; plane > 0; plane--) {
        const REAL *x = planes, *dy = factors, *called = ahead;
        VEC sum[10];
        UNROLL for (int i = 0; i < 9; i++)
            sum[i] = K(place_begin)(shape, s.fresh, to + i * sums);
        sum[9] = K(place_begin)(shape, s.fresh || !bias, bias);
        K(place_call)(&t, called);
        K(place_row)(&t, shape, K(row_0), top, x, dy, sum);
        int64_t left = s.rows - 1;
        if (shape.step == 1) {
            called += t.ahead_row;
            K(place_call)(&t, called);
            K(place_row)(&t, shape, K(row_0) | K(row_1), x, x, dy += dy_row, sum);
            left--;
        }
        for (; left > 0; left--) {
            called += t.ahead_row;
            K(place_call)(&t, called);
            dy += dy_row;
            x += pitch;
            REFRESH(dy);
            REFRESH(x);
            if (shape.step == 1) {
                K(place_row)(&t, shape, K(row_0) | K(row_1) | K(row_2), x, x, dy, sum);
            } else {
                K(place_row)(&t, shape, K(row_0) | K(row_2), x, x + pitch, dy, sum);
                x += pitch;
            }
        }
        dy += dy_row;
        if (shape.step == 1)
            K(place_row)(&t, shape, K(row_1) | K(row_2), x + pitch, x, dy, sum), dy += dy_row;
        K(place_row)(&t, shape, K(row_2), bottom, bottom, dy, sum);
        UNROLL for (int i = 0; i < 9; i++)
            K(place_finish)(shape, to + i * sums, sum[i]);
        if (bias) {
            K(place_finish)(shape, bias, sum[9]);
            bias += sums;
        }
        to += 9 * sums;
        planes += s.x_plane;
        factors += s.dy_plane;
        top += t.top_plane;
        bottom += t.bottom_plane;
        ahead += t.ahead_plane;
    }
}

typedef void K(place_part_fn)(const K(place_gradient) *t);
#define PART(blocks, step) \
    static void K(place_part_##blocks##_##step)(const K(place_gradient) *t) { \
        K(place_part)(t, (K(place_shape)){blocks, step}); \
    }
#define PARTS(step) PART(0, step) PART(1, step) PART(2, step) PART(3, step) PART(4, step)
PARTS(1)
PARTS(2)
#undef PART
#undef PARTS

/* Whether the filter is one of these, beside zeros, and its lines are a pitch apart. */
static int K(gradient_place_serves)(const cgc_gradient *s) {
    const ptrdiff_t *lines = s->lines + 1;
    if (s->kh != 3 || s->kw != 3 || s->step > 2 || s->step != s->step_w || s->dilation != 1 || s->rows < 2 ||
        s->constant != 0 || signbit(s->constant) || s->off[0] < -1 || s->off[1] != s->off[0] + 1 ||
        s->off[2] != s->off[0] + 2 || s->off[2] + s->step * (s->cols - 1) > s->width)
        return 0;
    for (int64_t k = 0; k <= s->step * (s->rows - 1); k++)
        if (lines[k] == CGC_CONSTANT_LINE || (k > 1 && lines[k] - lines[k - 1] != lines[1] - lines[0]))
            return 0;
    return 1;
}

/* Readies what is before or behind the planes: a line of constants, or one of theirs. */
static const REAL *K(place_outer)(const cgc_gradient *s, ptrdiff_t line, ptrdiff_t column, ptrdiff_t *plane) {
    *plane = line == CGC_CONSTANT_LINE ? 0 : s->x_plane;
    return line == CGC_CONSTANT_LINE ? (const REAL *)s->constant_line + column : (const REAL *)s->x + line + column;
}

/* The lanes inside a line of cells from a column on, of those that `wanted` outputs read. */
static SPAN K(place_lanes)(const cgc_gradient *s, int64_t column, int64_t wanted) {
    const int64_t room = s->width - column;
    return V(between)(-column, wanted < room ? wanted : room);
}

/* Some planes, which stay in the nearest cache; as many behind them are called for if `after`. */
static void K(gradient_place_some)(const cgc_gradient *s, int after) {
    static K(place_part_fn) *const parts[2][5] = {
        {K(place_part_0_1), K(place_part_1_1), K(place_part_2_1), K(place_part_3_1), K(place_part_4_1)},
        {K(place_part_0_2), K(place_part_1_2), K(place_part_2_2), K(place_part_3_2), K(place_part_4_2)},
    };
    const ptrdiff_t *lines = s->lines;
    for (int64_t h = 0; h * WIDTH < s->pitch; h++) {
        const int64_t p = h * WIDTH, blocks = (s->cols - p + LANES - 1) / LANES, end = (blocks - 1) * LANES;
        const int64_t left = s->cols - p - end; /* in the last block */
        const int64_t column = s->off[s->step - 1] + s->step * p, last = column + s->step * end;
        K(place_gradient) t = {
            .s = s, .x = (const REAL *)s->x + lines[1] + column, .dy = (const REAL *)s->dy + p,
            .pitch = lines[2] - lines[1], .dy_row = s->dy_row, .end = end, .last = V(first)(left),
            .sums = (REAL *)s->sums + p, .bias = s->bias ? (REAL *)s->bias + p : NULL,
        };
        if (p >= s->cols) {
            if (s->fresh)
                K(gradient_clear)(s, h);
            continue;
        }
        t.top = K(place_outer)(s, lines[0], column, &t.top_plane);
        t.bottom = K(place_outer)(s, lines[s->step * (s->rows - 1) + 2], column, &t.bottom_plane);
        if (s->step == 1) {
            t.left = K(place_lanes)(s, column, blocks == 1 ? left : WIDTH);
            t.right = K(place_lanes)(s, last + 2, left);
        } else {
            t.left = K(place_lanes)(s, column - 2, WIDTH);
            for (int i = 0; i < 4; i++)
                t.pair[i] = K(place_lanes)(s, last + i % 2 * WIDTH - i / 2 * 2, 2 * left - i % 2 * WIDTH);
        }
        if (after && h < 2) {
            t.ahead = h == 0 ? (const REAL *)s->x + lines[1] : (const REAL *)s->dy;
            t.ahead_plane = h == 0 ? s->x_plane : s->dy_plane;
            t.ahead_row = h == 0 ? s->step * t.pitch : s->dy_row;
            t.ahead += s->planes * t.ahead_plane;
            t.called = h == 0 ? (s->step - 1) * t.pitch + s->width : s->cols;
        }
        parts[s->step - 1][blocks <= 4 ? blocks : 0](&t);
    }
}

/* All planes, if they can be served. */
static int K(gradient_place)(const cgc_gradient *s) {
    if (!K(gradient_place_serves)(s))
        return 0;
    const int64_t bytes = s->rows * (s->cols + s->step * s->width) * (int64_t)sizeof(REAL);
    const int64_t fit = GRADIENT_NEAR / bytes > 1 ? GRADIENT_NEAR / bytes : 1;
    cgc_gradient some = *s;
    for (int64_t left = s->planes; left > 0; left -= some.planes) {
        some.planes = fit < left ? fit : left;
        K(gradient_place_some)(&some, s->ahead && bytes <= K(place_called) && some.planes < left);
        some.x = (const REAL *)some.x + some.planes * s->x_plane;
        some.dy = (const REAL *)some.dy + some.planes * s->dy_plane;
        some.sums = (REAL *)some.sums + some.planes * 9 * s->pitch;
        if (some.bias) some.bias = (REAL *)some.bias + some.planes * s->pitch;
    }
    return 1;
}
