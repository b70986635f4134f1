/*
 * Channel-wise weight gradients of 3 x 3 filters at step 1 with zeros beside the lines, where registers are few, see
 * gradient.h: these are read where they stand. It must not know what is above or below a plane.
 *
 * Parameters: those of words_template.h; gradient_template.h comes before it.
 *
 * All nine sums and that of dy are held. A line meets three rows of dy, one row apart, the first filter row the furthest
 * ahead; there are no loops in rows of up to four blocks. Only the first block looks for the left end, and only under
 * the left column; only the last one looks for the right end, and for that of dy.
 */
enum { K(place_called) = 131072 }; /* bytes of a plane that is called for, at most */

typedef struct K(place_gradient) {
    const cgc_gradient *s;
    const REAL *x, *dy;      /* of the first plane, under the left filter column, and line 1 */
    const REAL *top, *bottom; /* lines 0 and rows + 1 */
    ptrdiff_t pitch;
    ptrdiff_t top_plane, bottom_plane;
    REAL *sums, *bias; /* bias: or NULL */
    SPAN left;         /* the lanes of the first block inside a line under the left column, */
    SPAN right;        /* those of the last one under the right column, */
    MASK last;         /* and the lanes of dy there; */
    int64_t end;       /* its first column, from the first block on */
    /* Rows of x or dy that are called for with those of the first plane; their cells, 0: none. */
    const REAL *ahead;
    ptrdiff_t ahead_row, ahead_plane;
    int64_t called;
} K(place_gradient);

/* Adds the products of a block of a line and rows first .. last-1 of dy; `begin`, `end`: it is the first, the last one. */
static ALWAYS_INLINE void K(place_block_products)(const K(place_gradient) *t, const int begin, const int end,
                                                  const int first, const int last, const REAL *x, const REAL *dy,
                                                  ptrdiff_t dy_row, VEC *sum) {
    VEC factor[3];
    UNROLL for (int j = first; j < last; j++)
        factor[j] = V(keep)(end ? V(load_first)(t->last, dy - j * dy_row) : V(load)(dy - j * dy_row));
    if (first == 0)
        sum[9] = V(add)(sum[9], factor[0]);
    UNROLL for (int v = 0; v < 3; v++) {
        const VEC cell = V(keep)(begin && v == 0 ? V(load_span_or_zero)(t->left, x)
                                 : !end          ? V(load)(x + v)
                                 : v == 2        ? V(load_span_or_zero)(t->right, x + 2)
                                                 : V(load_first)(t->last, x + v));
        UNROLL for (int j = first; j < last; j++)
            sum[j * 3 + v] = V(fma_here)(factor[j], cell, sum[j * 3 + v]);
    }
}

/* Those of a line; blocks: 0 if the compiler does not know. */
static ALWAYS_INLINE void K(place_products)(const K(place_gradient) *t, const int blocks, const int first,
                                            const int last, const REAL *x, const REAL *dy, ptrdiff_t dy_row,
                                            VEC *sum) {
    if (blocks == 0) {
        const REAL *const end = dy + t->end;
        K(place_block_products)(t, 1, 0, first, last, x, dy, dy_row, sum);
        for (x += LANES, dy += LANES; dy < end; x += LANES, dy += LANES)
            K(place_block_products)(t, 0, 0, first, last, x, dy, dy_row, sum);
        K(place_block_products)(t, 0, 1, first, last, x, dy, dy_row, sum);
        return;
    }
    UNROLL for (int b = 0; b < blocks; b++, x += LANES, dy += LANES)
        K(place_block_products)(t, b == 0, b == blocks - 1, first, last, x, dy, dy_row, sum);
}

/* Calls for a row, so that no more is on its way at a time than machines can keep. */
static ALWAYS_INLINE void K(place_call)(const K(place_gradient) *t, const REAL *row) {
    for (int64_t i = 0; i < t->called; i += CGC_LINE_BYTES / (int64_t)sizeof(REAL))
        PREFETCH(row + i);
}

/* A vector of each block, for all planes. There are two rows or more. */
static ALWAYS_INLINE void K(place_part)(const K(place_gradient) *part, const int blocks) {
    const K(place_gradient) t = *part;
    const cgc_gradient *s = t.s;
    const ptrdiff_t dy_row = s->dy_row, pitch = t.pitch, sums = s->pitch, dy_plane = s->dy_plane, x_plane = s->x_plane;
    const int64_t rows = s->rows;
    const int fresh = s->fresh;
    const REAL *planes = t.x, *factors = t.dy, *top = t.top, *bottom = t.bottom, *ahead = t.ahead;
    REAL *to = t.sums, *bias = t.bias;
    for (int64_t plane = s->planes; plane > 0; plane--) {
        const REAL *x = planes, *dy = factors, *called = ahead;
        VEC sum[10];
        UNROLL for (int i = 0; i < 9; i++)
            sum[i] = fresh ? V(zero)() : V(load)(to + i * sums);
        sum[9] = fresh || !bias ? V(zero)() : V(load)(bias);
        K(place_call)(&t, called);
        K(place_products)(&t, blocks, 0, 1, top, dy, dy_row, sum);
        dy += dy_row;
        called += t.ahead_row;
        K(place_call)(&t, called);
        K(place_products)(&t, blocks, 0, 2, x, dy, dy_row, sum);
        for (int64_t k = 2; k < rows; k++) {
            dy += dy_row;
            x += pitch;
            called += t.ahead_row;
            K(place_call)(&t, called);
            REFRESH(dy);
            REFRESH(x);
            K(place_products)(&t, blocks, 0, 3, x, dy, dy_row, sum);
        }
        K(place_products)(&t, blocks, 1, 3, x + pitch, dy + dy_row, dy_row, sum);
        K(place_products)(&t, blocks, 2, 3, bottom, dy + 2 * dy_row, dy_row, sum);
        UNROLL for (int i = 0; i < 9; i++)
            V(store)(to + i * sums, sum[i]);
        if (bias) {
            V(store)(bias, sum[9]);
            bias += sums;
        }
        to += 9 * sums;
        planes += x_plane;
        factors += dy_plane;
        top += t.top_plane;
        bottom += t.bottom_plane;
        ahead += t.ahead_plane;
    }
}

static void K(place_part_any)(const K(place_gradient) *t) { K(place_part)(t, 0); }
static void K(place_part_1)(const K(place_gradient) *t) { K(place_part)(t, 1); }
static void K(place_part_2)(const K(place_gradient) *t) { K(place_part)(t, 2); }
static void K(place_part_3)(const K(place_gradient) *t) { K(place_part)(t, 3); }
static void K(place_part_4)(const K(place_gradient) *t) { K(place_part)(t, 4); }

/* Whether the filter is one of these, beside zeros, and its lines are a pitch apart. */
static int K(gradient_place_serves)(const cgc_gradient *s) {
    const ptrdiff_t *lines = s->lines + 1;
    if (s->kh != 3 || s->kw != 3 || s->step != 1 || s->dilation != 1 || s->step_w != 1 || s->rows < 2 ||
        s->constant != 0 || signbit(s->constant) || s->off[0] < -1 ||
        s->off[1] != s->off[0] + 1 || s->off[2] != s->off[0] + 2 || s->off[2] + s->cols > s->width + 1)
        return 0;
    for (int64_t k = 0; k < s->rows; k++)
        if (lines[k] == CGC_CONSTANT_LINE || lines[k] - lines[0] != k * (lines[1] - lines[0]))
            return 0;
    return 1;
}

/* Some planes, which stay in the nearest cache; as many behind them are called for if `after`. */
static void K(gradient_place_some)(const cgc_gradient *s, int after) {
    static void (*const parts[])(const K(place_gradient) *) = {
        K(place_part_any), K(place_part_1), K(place_part_2), K(place_part_3), K(place_part_4),
    };
    const ptrdiff_t *lines = s->lines, top = lines[0], bottom = lines[s->rows + 1];
    for (int64_t h = 0; h * WIDTH < s->pitch; h++) {
        const int64_t p = h * WIDTH, column = s->off[0] + p, blocks = (s->cols - p + LANES - 1) / LANES;
        const int64_t end = (blocks - 1) * LANES, left = s->cols - p - end;
        const REAL *x = (const REAL *)s->x + column, *constants = (const REAL *)s->constant_line + column;
        K(place_gradient) t = {
            .s = s, .x = x + lines[1], .dy = (const REAL *)s->dy + p, .pitch = lines[2] - lines[1],
            .top = top == CGC_CONSTANT_LINE ? constants : x + top,
            .top_plane = top == CGC_CONSTANT_LINE ? 0 : s->x_plane,
            .bottom = bottom == CGC_CONSTANT_LINE ? constants : x + bottom,
            .bottom_plane = bottom == CGC_CONSTANT_LINE ? 0 : s->x_plane,
            .sums = (REAL *)s->sums + p, .bias = s->bias ? (REAL *)s->bias + p : NULL,
            .left = V(between)(-column, blocks == 1 ? left : WIDTH), .last = V(first)(left), .end = end,
            .right = V(between)(0, left < s->width - column - 2 - end ? left : s->width - column - 2 - end),
        };
        if (p >= s->cols) {
            if (s->fresh)
                K(gradient_clear)(s, h);
            continue;
        }
        if (after && h < 2) {
            t.ahead = h == 0 ? (const REAL *)s->x + lines[1] : (const REAL *)s->dy;
            t.ahead_plane = h == 0 ? s->x_plane : s->dy_plane;
            t.ahead_row = h == 0 ? t.pitch : s->dy_row;
            t.ahead += s->planes * t.ahead_plane;
            t.called = h == 0 ? s->width : s->cols;
        }
        parts[blocks <= 4 ? blocks : 0](&t);
    }
}

/* All planes, if they can be served. */
static int K(gradient_place)(const cgc_gradient *s) {
    if (!K(gradient_place_serves)(s))
        return 0;
    const int64_t bytes = s->rows * (s->cols + s->width) * (int64_t)sizeof(REAL);
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
