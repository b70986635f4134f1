/*
 * How the stencil kernel, see stencil_template.h, goes over its planes tile by tile, and readies what is the same for
 * all of them. It must not know which filters have a kernel of their own.
 *
 * Parameters: those of stencil_template.h.
 */
#include "stencil_tile_template.h"

#if defined STENCIL_GRADES && !defined STENCIL_SHORT
#define WHOLE(word) EXPAND4(cgc, word, DTYPE, ISA)
#define TAIL(word) EXPAND4(cgc, word, EXPAND2(DTYPE, half), ISA)
#undef GRADE
#define GRADE EXPAND2(DTYPE, half)
#include "stencil_tail_template.h"
#undef GRADE
#define GRADE DTYPE
#endif

/* Goes to `rows` rows from r on. */
static ALWAYS_INLINE void K(stencil_move_down)(const K(stencil_plane) *c, const K(stencil_kind) kind, const int rows,
                                               int64_t r, K(stencil_place) *at, const REAL **line) {
    at->r = r;
    at->line = line;
    if (kind.kh)
        UNROLL for (int t = 0; t < (rows - 1) * kind.step + kind.kh; t++)
            line[t] = K(stencil_line_at)(c, kind, r * kind.step + t);
}

/* Goes to the tile whose first vector is at `col`. */
static ALWAYS_INLINE void K(stencil_move_to)(K(stencil_place) *at, int64_t col, int64_t cols) {
    const int64_t last = cols < WIDTH ? 0 : cols - WIDTH;
    at->p[0] = K(least)(col, last);
    at->p[1] = K(least)(col + WIDTH, last);
}

/* Readies an end of the lines for the vector from output column p on, if it is needed; any lanes will do if not. */
static ALWAYS_INLINE void K(stencil_ready)(const K(stencil_plane) *c, const K(stencil_kind) kind,
                                           const cgc_fringe *fringe, const int needed, int64_t p, const int from,
                                           const int to, K(stencil_end) *end) {
    end->a = fringe->a, end->b = fringe->b, end->both = fringe->both;
    UNROLL for (int v = from; v < to; v++) {
        end->index[v] = K(stencil_index)(fringe, kind.step,
                                         needed ? K(stencil_tap)(c, kind, p, v) : fringe->first);
        end->within[v] = V(within)(end->index[v]);
    }
}

#ifndef STENCIL_SHORT

/* Readies the shifts of woven vectors by a lane. */
static ALWAYS_INLINE void K(stencil_ready_shifts)(K(stencil_common) *common) {
    REAL lane[WIDTH];
    int32_t place[WIDTH], up[WIDTH], down[WIDTH];
    for (int i = 0; i < WIDTH; i++)
        lane[i] = (REAL)i;
    V(store)(lane, V(weave)(V(load)(lane)));
    for (int i = 0; i < WIDTH; i++)
        place[(int)lane[i]] = i;
    for (int i = 0; i < WIDTH; i++) {
        up[place[i]] = i > 0 ? place[i - 1] : -1;
        down[place[i]] = i < WIDTH - 1 ? place[i + 1] : -1;
    }
    common->up = V(load_index)(up);
    common->down = V(load_index)(down);
}

/* The same at step 2, where only one cell of each vector lies beyond the end: that of output column p. */
static ALWAYS_INLINE void K(stencil_ready_cells)(const cgc_stencil *s, const K(stencil_kind) kind,
                                                 const cgc_fringe *fringe, const int needed, int64_t p, const int from,
                                                 const int to, K(stencil_end) *end) {
    UNROLL for (int v = from; v < to; v++) {
        const int64_t t = needed ? K(stencil_under)(s, kind, p, v) - fringe->first : 0;
        end->cell[v] = K(stencil_column_of)(fringe, fringe->cells[t / 2 + t % 2 * fringe->odd]);
    }
}

#endif

/* All tiles of a narrow plane. */
static ALWAYS_INLINE void K(stencil_walk_narrow)(const K(stencil_plane) *c, const K(stencil_kind) kind,
                                                 K(stencil_common) *common) {
    const cgc_stencil *s = c->s;
    const REAL *line[STENCIL_LINES];
    K(stencil_place) at = {.common = common};
    for (int64_t col = 0; col < s->cols; col += WIDTH) {
        K(stencil_move_to)(&at, col, s->cols);
        if (s->cols > WIDTH)
            K(stencil_ready)(c, kind, &s->left, 1, at.p[0], 0, kind.kw, &common->left);
        if (c->rows < kind.rows)
            for (int64_t row = 0; row < c->rows; row++) {
                K(stencil_move_down)(c, kind, 1, row, &at, line);
                K(stencil_tile)(c, kind, 1, 1, K(stencil_inside), &at);
            }
        else
            for (int64_t row = 0; row < c->rows; row += kind.rows) {
                K(stencil_move_down)(c, kind, kind.rows, K(least)(row, c->rows - kind.rows), &at, line);
                K(stencil_tile)(c, kind, kind.rows, 1, K(stencil_inside), &at);
            }
    }
}

#ifndef STENCIL_SHORT

/* Whether the vectors from output columns p .. q on are read inside the lines under every column of any filter. */
static ALWAYS_INLINE int K(stencil_is_inside)(const cgc_stencil *s, const K(stencil_kind) kind, int64_t p, int64_t q) {
    return K(stencil_under)(s, kind, p, 0) >= 0 &&
           K(stencil_under)(s, kind, q, s->kw - 1) + kind.step * WIDTH <= s->width;
}

/* One tile of `vectors` vectors from column `col` on; returns the column behind it. */
static ALWAYS_INLINE int64_t K(stencil_step)(const K(stencil_plane) *c, const K(stencil_kind) kind, const int rows,
                                             const int vectors, const int ends, int64_t col, K(stencil_place) *at) {
    K(stencil_move_to)(at, col, c->s->cols);
    K(stencil_tile)(c, kind, rows, vectors, ends, at);
    return col + vectors * WIDTH;
}

/* The last column that the vectors from output column p on need, inside the lines, of a known filter. */
static ALWAYS_INLINE int64_t K(stencil_highest)(const cgc_stencil *s, const K(stencil_kind) kind, int64_t p) {
    const int64_t last = K(stencil_under)(s, kind, p, kind.kw - 1) + kind.step * (WIDTH - 1);
    const int64_t loaded = K(stencil_under)(s, kind, p, kind.left) + 2 * WIDTH - 1;
    return kind.step == 2 && loaded > last ? loaded : last;
}

/*
 * Whether the kernel of a known filter can serve: there are rows enough, and the vectors that reach beyond an end are
 * those of the first and the last tile, under those columns of the filter that it picks, from cells that it loads.
 */
static ALWAYS_INLINE int K(stencil_fits)(const cgc_stencil *s, const K(stencil_kind) kind, K(stencil_common) *common) {
    const int64_t last = s->cols - WIDTH, span = kind.step * WIDTH;
    const int64_t first_inside = s->first < 0 ? (kind.step - 1 - s->first) / kind.step : 0;
    const int64_t room = s->width - 1 - K(stencil_highest)(s, kind, 0);
    if ((kind.dense ? s->rows : s->rows / s->dilation_h) < kind.rows || last < 0 || room < 0)
        return 0;
    common->from_left = s->first < 0;
    common->to_right = room / kind.step < last;
    common->last_inside = common->to_right ? room / kind.step : last;
    common->end = common->to_right ? last : s->cols;
    if (common->from_left) {
        const int64_t before = K(stencil_under)(s, kind, 0, kind.left - 1);
        if (kind.left == 0 || K(stencil_under)(s, kind, 0, kind.left) < 0)
            return 0;
        if (kind.step == 1 ? before > 0 : s->first < -2)
            return 0;
    }
    if (common->to_right) {
        const int64_t loaded = K(stencil_under)(s, kind, last, kind.step == 1 ? kind.right - 1 : kind.left);
        const int64_t picked = K(stencil_under)(s, kind, last, kind.right);
        if (kind.right == kind.kw || loaded + span > s->width || last < first_inside ||
            last - common->last_inside > WIDTH)
            return 0;
        if (kind.step == 1 ? picked < s->width - span
                           : K(stencil_under)(s, kind, last, kind.kw - 1) + 2 * (WIDTH - 2) >= s->width)
            return 0;
    }
    return first_inside <= (common->from_left ? WIDTH : 0) && first_inside <= common->last_inside;
}

#ifdef TAIL
/*
 * Readies the tail of a known filter, and returns it: if a vector of half the lanes is enough for what whole ones leave
 * over, and all that it picks stands in the last such vector of a line. Else NULL.
 */
static ALWAYS_INLINE K(stencil_tail_end) *K(stencil_ready_tail)(const K(stencil_plane) *c, const K(stencil_kind) kind,
                                                                K(stencil_common) *common, K(stencil_tail_end) *tail) {
    enum { HALF = WIDTH / 2 };
    const cgc_stencil *s = c->s;
    const cgc_fringe *fringe = s->mirrored ? &s->left : &s->right;
    const int64_t over = s->cols % WIDTH, end = s->cols - HALF;
    const int first = s->mirrored ? 0 : HALF; /* of the fringe's lanes */
    if (!common->to_right || over == 0 || over > HALF || common->last_inside + WIDTH < end)
        return NULL;
    for (int v = kind.right; v < kind.kw; v++)
        for (int i = 0; i < HALF; i++) {
            const int64_t column = K(stencil_tap)(c, kind, s->mirrored ? 0 : end, v) + i;
            const int32_t e = fringe->cells[column - fringe->first];
            if (e >= 0 && (e < first || e >= first + HALF))
                return NULL;
            tail->lanes[v][i] = e < 0 ? -1 : e - first;
        }
    tail->a = fringe->a + first;
    common->to_right = 0;
    common->end = end;
    return tail;
}

static ALWAYS_INLINE void K(stencil_step_tail)(const K(stencil_plane) *c, const K(stencil_kind) kind,
                                               K(stencil_place) *at) {
    at->p[0] = c->s->mirrored ? 0 : at->common->end;
    TAIL(stencil_tail)(c, kind, at);
}

/* The last columns of all rows: a pass of its own, where registers are too short for both kinds of tiles in one. */
static ALWAYS_INLINE void K(stencil_walk_tail)(const K(stencil_plane) *c, const K(stencil_kind) kind,
                                               K(stencil_place) *at, const REAL **line) {
    for (int64_t row = 0; row < c->rows; row += kind.rows) {
        K(stencil_move_down)(c, kind, kind.rows, K(least)(row, c->rows - kind.rows), at, line);
        K(stencil_step_tail)(c, kind, at);
    }
}
#endif

/*
 * The tiles of the rows where `at` is, of a known filter: from left to right, or mirrored, from right to left. So the
 * first tile is always the one under whose first filter columns vectors reach beyond an end.
 */
static ALWAYS_INLINE void K(stencil_walk_row)(const K(stencil_plane) *c, const K(stencil_kind) kind,
                                              K(stencil_place) *at) {
    const int64_t last = c->s->cols - WIDTH, last_inside = at->common->last_inside, end = at->common->end;
    const int mirrored = kind.step == 1 && c->s->mirrored;
    int64_t col = 0;
    if (at->common->from_left) {
        at->p[0] = mirrored ? last : 0;
        K(stencil_tile)(c, kind, kind.rows, 1, K(stencil_left), at);
        col = WIDTH;
    }
    while (col < end) {
        col = K(least)(col, last_inside);
        at->p[0] = mirrored ? last - col : col;
        K(stencil_tile)(c, kind, kind.rows, 1, K(stencil_inside), at);
        col += WIDTH;
    }
    if (at->common->to_right) {
        at->p[0] = mirrored ? 0 : last;
        K(stencil_tile)(c, kind, kind.rows, 1, K(stencil_right), at);
    }
#ifdef TAIL
    if (!kind.dense && c->tail)
        K(stencil_step_tail)(c, kind, at);
#endif
}

/* The same of any filter. */
static ALWAYS_INLINE void K(stencil_walk_any_row)(const K(stencil_plane) *c, const K(stencil_kind) kind,
                                                  K(stencil_place) *at) {
    const cgc_stencil *s = c->s;
    const int64_t cols = s->cols;
    int64_t col = 0;
    while (col + WIDTH < cols)
        if (K(stencil_is_inside)(s, kind, col, K(least)(col + WIDTH, cols - WIDTH)))
            col = K(stencil_step)(c, kind, kind.rows, 2, K(stencil_inside), col, at);
        else
            col = K(stencil_step)(c, kind, kind.rows, 2, K(stencil_any), col, at);
    while (col < cols)
        col = K(stencil_step)(c, kind, kind.rows, 1, K(stencil_any), col, at);
}

/* Brings the share of `rows` rows from r on of the next plane nearer. */
static void K(stencil_prefetch)(const K(stencil_plane) *c, int64_t r, int rows) {
    enum { LINE = 64 }; /* bytes of a line of the cache */
    const int64_t bytes = c->s->ahead_bytes, end = bytes * K(least)(r + rows, c->rows) / c->rows;
    for (int64_t at = bytes * r / c->rows / LINE * LINE; at < end; at += LINE)
        PREFETCH((const char *)c->ahead + at);
}

static ALWAYS_INLINE void K(stencil_walk)(const K(stencil_plane) *c, const K(stencil_kind) kind,
                                          K(stencil_common) *common) {
    const REAL *line[STENCIL_LINES];
    K(stencil_place) at = {.common = common};
    if (!kind.kh && c->rows < kind.rows) {
        for (int64_t row = 0; row < c->rows; row++) {
            K(stencil_move_down)(c, kind, 1, row, &at, line);
            for (int64_t col = 0; col < c->s->cols;)
                col = K(stencil_step)(c, kind, 1, 1, K(stencil_any), col, &at);
        }
        return;
    }
    for (int64_t row = 0; row < c->rows; row += kind.rows) {
        if (!LIKELY(c->ahead == NULL))
            K(stencil_prefetch)(c, row, kind.rows);
        K(stencil_move_down)(c, kind, kind.rows, K(least)(row, c->rows - kind.rows), &at, line);
        if (kind.kh)
            K(stencil_walk_row)(c, kind, &at);
        else
            K(stencil_walk_any_row)(c, kind, &at);
    }
#ifdef TAIL
    if (kind.kh && kind.step == 1 && kind.dense && c->tail)
        K(stencil_walk_tail)(c, kind, &at, line);
#endif
}

#endif

/* One output plane: rows that share lines, after one another. */
static ALWAYS_INLINE void K(stencil_one)(K(stencil_plane) *c, const K(stencil_kind) kind, REAL *y, int64_t rows,
                                         int64_t more, K(stencil_common) *common) {
    const cgc_stencil *s = c->s;
    if (kind.held)
        UNROLL for (int tap = 0; tap < kind.held; tap++)
            common->held[tap] = V(keep)(V(set)(c->w[tap]));
    for (int64_t first = 0; first < (kind.dense ? 1 : K(least)(s->dilation_h, s->rows)); first++) {
        c->lines = s->lines + first;
        c->y = y + first * s->y_pitch;
        c->from = s->from ? (const REAL *)s->from + first * s->from_pitch : NULL;
        c->rows = rows + (first < more);
#ifndef STENCIL_SHORT
        if (!kind.narrow)
            K(stencil_walk)(c, kind, common);
        else
#endif
            K(stencil_walk_narrow)(c, kind, common);
    }
}

/* All output planes, if the kernel can serve them. */
static ALWAYS_INLINE int K(stencil_planes)(const cgc_stencil *s, const K(stencil_kind) kind) {
    K(stencil_common) common;
#ifdef TAIL
    K(stencil_tail_end) tail;
#endif
    K(stencil_plane) c = {
        .s = s, .w = s->w, .x = s->x,
        .y_pitch = kind.dense ? s->y_pitch : s->dilation_h * s->y_pitch,
        .from_pitch = kind.dense ? s->from_pitch : s->dilation_h * s->from_pitch,
        .under = s->mirrored ? s->first + (s->kw - 1) * s->dilation_w : s->first,
        .apart = s->mirrored ? -s->dilation_w : s->dilation_w,
        .clamped = s->lo > -HUGE_VAL || s->hi < HUGE_VAL,
        .constant = (REAL)s->constant, .lo = (REAL)s->lo, .hi = (REAL)s->hi,
    };
    const int64_t rows = kind.dense ? s->rows : s->rows / s->dilation_h; /* that share lines, and one */
    const int64_t more = kind.dense ? 0 : s->rows % s->dilation_h;       /* more in so many cases */
    common.a = V(between)(0, s->width);
    common.b = V(between)(0, s->width - WIDTH);
    if (kind.narrow)
        K(stencil_ready)(&c, kind, &s->left, 1, 0, 0, kind.kw, &common.left);
#ifndef STENCIL_SHORT
    if (kind.kw && !kind.narrow) {
        cgc_stencil walked = *s;
        if (s->mirrored)
            walked.first = s->width - s->cols - (s->kw - 1) * s->dilation_w - s->first;
        if (!K(stencil_fits)(&walked, kind, &common))
            return 0;
        if (kind.step == 1) {
            const int64_t last = s->cols - WIDTH;
            K(stencil_ready)(&c, kind, s->mirrored ? &s->right : &s->left, common.from_left, s->mirrored ? last : 0, 0,
                             kind.left, &common.left);
            K(stencil_ready)(&c, kind, s->mirrored ? &s->left : &s->right, common.to_right, s->mirrored ? 0 : last,
                             kind.right, kind.kw, &common.right);
#ifdef TAIL
            c.tail = K(stencil_ready_tail)(&c, kind, &common, &tail);
#endif
        } else {
            K(stencil_ready_shifts)(&common);
            K(stencil_ready_cells)(s, kind, &s->left, common.from_left, 0, 0, kind.left, &common.left);
            K(stencil_ready_cells)(s, kind, &s->right, common.to_right, s->cols - 1, kind.right, kind.kw,
                                   &common.right);
        }
    }
#endif
    REAL *y = s->y;
    const REAL *bias = s->bias;
    for (int64_t plane = 0; plane < s->planes; plane++, c.x += s->x_plane)
        for (int64_t f = 0; f < s->filters; f++, c.w += s->w_filter, y += s->y_plane) {
            c.bias = bias ? *bias++ : 0;
            if (!kind.narrow)
                c.ahead = f == 0 && s->ahead_bytes && plane + 1 < s->planes ? c.x + s->x_plane + s->ahead : NULL;
            K(stencil_one)(&c, kind, y, rows, more, &common);
        }
    return 1;
}
#undef WHOLE
#undef TAIL
