/*
 * A tile of the stencil kernel, see stencil_template.h: a few output rows by one or two vectors, whose sums stay in
 * registers. It must not know which tiles a plane is made of.
 *
 * Parameters: those of stencil_template.h.
 *
 * A tile takes its lines one by one, in the order of u, so each row gets its terms in the order (u, v).
 */

/*
 * How the vectors of half the lanes are picked in which the last columns are computed, see stencil_tail_template.h:
 * from which of the cells at column a, under each filter column.
 */
typedef struct K(stencil_tail_end) {
    int64_t a;
    int32_t lanes[7][WIDTH];
} K(stencil_tail_end);

/* One output plane; of a dilated one, the rows that share lines. */
typedef struct K(stencil_plane) {
    const cgc_stencil *s;
    const REAL *x, *w, *from;
    const REAL *ahead; /* in the next plane, or NULL */
    const ptrdiff_t *lines;
    REAL *y;
    ptrdiff_t y_pitch, from_pitch;
    int64_t rows;
    int64_t under, apart; /* the column under output column 0 and filter column 0, and how far the next one's is */
    int clamped;
    REAL bias, constant, lo, hi;
    const K(stencil_tail_end) *tail; /* NULL: the last columns are computed like all others */
} K(stencil_plane);

/*
 * What the compiler knows of a kernel when it writes it: whether planes are narrow; whether output columns stand under
 * the source columns of the same number, as many; whether fringes have cells at the other end (step 2); the filter (0:
 * nothing); the step; whether the dilation is 1; how
 * many weights are held; how high tiles are; and which columns of the filter reach beyond the ends: those before `left`
 * at the left one, those from `right` on at the right one.
 *
 * At step 2 a line is loaded once, as the even and the odd cells of two vectors, for columns left and left + 1 of the
 * filter. Those before and behind are the same cells a lane further on, but for one. Cells and sums are woven, see
 * simd_scalar.h, until the sums are stored.
 */
typedef struct K(stencil_kind) {
    int narrow, centred, rings, kh, kw, step, dense, held, rows, left, right;
} K(stencil_kind);

/*
 * Of a tile's vectors, the first may reach beyond the left end of the lines, the last beyond the right one; or, of a
 * filter of which nothing is known, any beyond any.
 */
enum K(stencil_ends) { K(stencil_inside) = 0, K(stencil_left) = 1, K(stencil_right) = 2, K(stencil_any) = 4 };

/* How the vectors that reach beyond an end are picked, under those columns of a known filter where they do. */
typedef struct K(stencil_end) {
    INDEX index[7];
    MASK within[7];
    int64_t a, b; /* step 1: the columns of the vectors from which */
    int both;
    int64_t cell[5]; /* step 2: the column of the one cell */
} K(stencil_end);

/*
 * What is the same for all tiles: how vectors are picked at the ends; whether any has to be (`from_left`, `to_right`),
 * and the last output column from which none has to be; the column behind those of the tiles between the ends; of a
 * narrow plane, where all vectors are picked as at the left end, the lanes a and b from which; the weights that are
 * held.
 */
typedef struct K(stencil_common) {
    K(stencil_end) left, right;
    int from_left, to_right;
    int64_t last_inside, end;
    INDEX up, down; /* where the lane before and the lane behind are, woven; -1: nowhere */
    SPAN a, b;
    VEC held[12];
} K(stencil_common);

/* Where a tile is: its first row, the output columns of its vectors, and of a known filter the lines that it reads. */
typedef struct K(stencil_place) {
    int64_t r, p[2];
    const REAL *const *line;
    const K(stencil_common) *common;
} K(stencil_place);

#define STENCIL_LINES 19 /* of a tile, at most */

static ALWAYS_INLINE int64_t K(least)(int64_t a, int64_t b) { return a < b ? a : b; }

static ALWAYS_INLINE const REAL *K(stencil_line_at)(const K(stencil_plane) *c, const K(stencil_kind) kind,
                                                    int64_t line) {
    const ptrdiff_t offset = c->lines[kind.dense ? line : line * c->s->dilation_h];
    return offset == CGC_CONSTANT_LINE ? (const REAL *)c->s->constant_line : c->x + offset;
}

/* The v-th source column from the left that output column p reads. */
static ALWAYS_INLINE int64_t K(stencil_under)(const cgc_stencil *s, const K(stencil_kind) kind, int64_t p, int64_t v) {
    return s->first + p * kind.step + (kind.dense ? v : v * s->dilation_w);
}

/* The source column under output column p and filter column v. */
static ALWAYS_INLINE int64_t K(stencil_tap)(const K(stencil_plane) *c, const K(stencil_kind) kind, int64_t p,
                                            int64_t v) {
    return kind.step == 2 ? K(stencil_under)(c->s, kind, p, v) : c->under + p + v * c->apart;
}

static ALWAYS_INLINE INDEX K(stencil_index)(const cgc_fringe *fringe, const int step, int64_t column) {
    const int64_t t = column - fringe->first;
    return V(load_index)(fringe->cells + (step == 1 ? t : t / 2 + t % 2 * fringe->odd));
}

/* A line that a tile reads; if narrow, with the two vectors from which all others are picked. */
typedef struct K(stencil_source) {
    const REAL *cells;
    VEC a, b;
} K(stencil_source);

static ALWAYS_INLINE K(stencil_source) K(stencil_open)(const K(stencil_plane) *c, const K(stencil_kind) kind,
                                                       const K(stencil_place) *at, int64_t t) {
    K(stencil_source) line;
    line.cells = kind.kh ? at->line[t] : K(stencil_line_at)(c, kind, at->r * kind.step + t);
    line.a = line.b = V(zero)();
    if (kind.narrow) {
        line.a = V(keep)(V(load_span)(at->common->a, line.cells, V(set)(c->constant)));
        if (kind.step == 2)
            line.b = V(keep)(V(load_span)(at->common->b, line.cells + WIDTH, V(set)(c->constant)));
    }
#ifndef STENCIL_SHORT
    if (!kind.narrow && kind.kw && kind.step == 2) {
        const REAL *from = line.cells + K(stencil_under)(c->s, kind, at->p[0], kind.left);
        const VEC a = V(load)(from), b = V(load)(from + WIDTH);
        line.a = V(keep)(V(even_woven)(a, b));
        line.b = V(keep)(V(odd_woven)(a, b));
    }
#endif
    return line;
}

#ifndef STENCIL_SHORT

/* The source column of an entry. */
static ALWAYS_INLINE int64_t K(stencil_column_of)(const cgc_fringe *fringe, int32_t e) {
    if (e < 0)
        return CGC_CONSTANT_COLUMN;
    return e < WIDTH ? fringe->a + e : e < 2 * WIDTH ? fringe->b + e - WIDTH : fringe->far + e - 2 * WIDTH;
}

/* Step 1: the vector under column v of a known filter that reaches beyond an end. */
static ALWAYS_INLINE VEC K(stencil_picked)(const K(stencil_plane) *c, const K(stencil_end) *end, const REAL *line,
                                           int64_t v) {
    const VEC constant = V(set)(c->constant), a = V(load)(line + end->a);
    if (LIKELY(!end->both))
        return V(pick)(end->index[v], end->within[v], a, constant);
    return V(pick2)(end->index[v], end->within[v], a, V(load)(line + end->b), constant);
}

/* Step 2: the vector under column v of a known filter. */
static ALWAYS_INLINE VEC K(stencil_shifted)(const K(stencil_plane) *c, const K(stencil_kind) kind, const int ends,
                                            const K(stencil_place) *at, const K(stencil_source) *line, int64_t v) {
    const K(stencil_common) *common = at->common;
    const VEC near = (v + kind.left) % 2 ? line->b : line->a;
    if (v >= kind.left && v < kind.right)
        return near;
    const int before = v < kind.left;
    const K(stencil_end) *end = before ? &common->left : &common->right;
    const INDEX index = before ? common->up : common->down;
    const REAL *cell = line->cells + K(stencil_under)(c->s, kind, at->p[0], v) + (before ? 0 : 2 * (WIDTH - 1));
    if (ends & (before ? K(stencil_left) : K(stencil_right)))
        cell = end->cell[v] == CGC_CONSTANT_COLUMN ? &c->constant : line->cells + end->cell[v];
    return V(pick_else)(index, V(within)(index), near, cell);
}

/* The vector at `column`, step 2, lane by lane. */
static ALWAYS_INLINE VEC K(stencil_gathered)(const K(stencil_plane) *c, const cgc_fringe *fringe, const REAL *line,
                                             int64_t column) {
    const int64_t t = column - fringe->first;
    const int32_t *entries = fringe->cells + t / 2 + t % 2 * fringe->odd;
    REAL lanes[WIDTH];
    for (int i = 0; i < WIDTH; i++)
        lanes[i] = entries[i] < 0 ? c->constant : line[K(stencil_column_of)(fringe, entries[i])];
    return V(load)(lanes);
}

/* The vector at `column`, which may reach beyond an end. */
static ALWAYS_INLINE VEC K(stencil_checked)(const K(stencil_plane) *c, const K(stencil_kind) kind, const REAL *line,
                                            int64_t column) {
    const cgc_stencil *s = c->s;
    if (LIKELY(column >= 0 && column + kind.step * WIDTH <= s->width)) {
        const VEC a = V(load)(line + column);
        return kind.step == 1 ? a : V(even)(a, V(load)(line + column + WIDTH));
    }
    const cgc_fringe *fringe = column < 0 ? &s->left : &s->right;
    if (kind.rings)
        return K(stencil_gathered)(c, fringe, line, column);
    const INDEX index = K(stencil_index)(fringe, kind.step, column);
    const VEC constant = V(set)(c->constant), a = V(load)(line + fringe->a);
    if (!fringe->both) /* a line of constants may end before b */
        return V(pick)(index, V(within)(index), a, constant);
    return V(pick2)(index, V(within)(index), a, V(load)(line + fringe->b), constant);
}

static ALWAYS_INLINE VEC K(stencil_wide_cells)(const K(stencil_plane) *c, const K(stencil_kind) kind, const int ends,
                                               const K(stencil_place) *at, const K(stencil_source) *line, const int i,
                                               int64_t v) {
    const int64_t column = K(stencil_tap)(c, kind, at->p[i], v);
    if (ends & K(stencil_any))
        return K(stencil_checked)(c, kind, line->cells, column);
    if (kind.kw && kind.step == 2)
        return K(stencil_shifted)(c, kind, ends, at, line, v);
    if ((ends & K(stencil_left)) && v < kind.left)
        return K(stencil_picked)(c, &at->common->left, line->cells, v);
    if ((ends & K(stencil_right)) && v >= kind.right)
        return K(stencil_picked)(c, &at->common->right, line->cells, v);
    const VEC a = V(load)(line->cells + column);
    return kind.step == 1 ? a : V(even)(a, V(load)(line->cells + column + WIDTH));
}

#endif

/* The vector of cells under column v of the filter for the tile's i-th vector of outputs. */
static ALWAYS_INLINE VEC K(stencil_cells)(const K(stencil_plane) *c, const K(stencil_kind) kind, const int ends,
                                          const K(stencil_place) *at,
                                          const K(stencil_source) *line, const int i, int64_t v) {
#ifndef STENCIL_SHORT
    if (!kind.narrow)
        return K(stencil_wide_cells)(c, kind, ends, at, line, i, v);
#endif
    (void)ends;
    if (kind.centred && v == kind.kw / 2)
        return line->a;
    const K(stencil_end) *end = &at->common->left;
    const INDEX index = kind.kw ? end->index[v]
                                : K(stencil_index)(&c->s->left, kind.step, K(stencil_tap)(c, kind, at->p[i], v));
    const MASK within = kind.kw ? end->within[v] : V(within)(index);
    if (kind.step == 2)
        return V(pick2)(index, within, line->a, line->b, V(set)(c->constant));
    return kind.kw ? V(pick_or_zero)(index, within, line->a)
                   : V(pick)(index, within, line->a, V(set)(c->constant));
}

/* Adds the terms of filter column v on line t to the sums of rows first .. end-1 of the tile, which read that line. */
static ALWAYS_INLINE void K(stencil_column)(const K(stencil_plane) *c, const K(stencil_kind) kind, const int vectors,
                                            const int ends, const K(stencil_place) *at,
                                            const K(stencil_source) *line, const REAL *w, int64_t t, int64_t v,
                                            const int first, const int end, VEC *sum) {
    const int64_t kw = kind.kw ? kind.kw : c->s->kw;
    VEC cells[2];
    UNROLL for (int i = 0; i < vectors; i++)
        cells[i] = V(keep)(K(stencil_cells)(c, kind, ends, at, line, i, v));
    UNROLL for (int j = first; j < end; j++) {
        const int64_t tap = (t - j * kind.step) * kw + v;
        const VEC weight = kind.kh && tap < kind.held ? at->common->held[tap] : V(set)(w[tap]);
        UNROLL for (int i = 0; i < vectors; i++) {
            sum[j * vectors + i] = V(fma)(weight, cells[i], sum[j * vectors + i]);
            if (!kind.kh)
                sum[j * vectors + i] = V(keep)(sum[j * vectors + i]); /* in a register, however short these seem */
        }
    }
}

/* The same for all columns. */
static ALWAYS_INLINE void K(stencil_line)(const K(stencil_plane) *c, const K(stencil_kind) kind, const int vectors,
                                          const int ends, const K(stencil_place) *at, int64_t t, const int first,
                                          const int end, VEC *sum) {
    const K(stencil_source) line = K(stencil_open)(c, kind, at, t);
    const REAL *w = c->w;
    if (kind.held < kind.kh * kind.kw || !kind.kh)
        REFRESH(w);
    if (kind.kw) {
        UNROLL for (int v = 0; v < kind.kw; v++)
            K(stencil_column)(c, kind, vectors, ends, at, &line, w, t, v, first, end, sum);
    } else {
        for (int64_t v = 0; v < c->s->kw; v++)
            K(stencil_column)(c, kind, vectors, ends, at, &line, w, t, v, first, end, sum);
    }
}

/* Term by term, for filters too flat for the rows of a tile to share lines. */
static ALWAYS_INLINE void K(stencil_terms)(const K(stencil_plane) *c, const K(stencil_kind) kind, const int rows,
                                           const int vectors, const int ends, const K(stencil_place) *at, VEC *sum) {
    for (int64_t u = 0; u < c->s->kh; u++)
        for (int64_t v = 0; v < c->s->kw; v++)
            UNROLL for (int j = 0; j < rows; j++) {
                const int64_t t = j * kind.step + u;
                const K(stencil_source) line = K(stencil_open)(c, kind, at, t);
                K(stencil_column)(c, kind, vectors, ends, at, &line, c->w, t, v, j, j + 1, sum);
            }
}

static ALWAYS_INLINE void K(stencil_sums)(const K(stencil_plane) *c, const K(stencil_kind) kind, const int rows,
                                          const int vectors, const int ends, const K(stencil_place) *at, VEC *sum) {
    const int apart = (rows - 1) * kind.step;
    const int64_t kh = c->s->kh;
    if (kind.kh) {
        UNROLL for (int t = 0; t < apart + kind.kh; t++)
            K(stencil_line)(c, kind, vectors, ends, at, t, t < kind.kh ? 0 : (t - kind.kh) / kind.step + 1,
                            t < apart ? t / kind.step + 1 : rows, sum);
    } else if (kh >= apart) { /* no row ends before all began */
        UNROLL for (int t = 0; t < apart; t++)
            K(stencil_line)(c, kind, vectors, ends, at, t, 0, t / kind.step + 1, sum);
        for (int64_t t = apart; t < kh; t++)
            K(stencil_line)(c, kind, vectors, ends, at, t, 0, rows, sum);
        UNROLL for (int t = 0; t < apart; t++)
            K(stencil_line)(c, kind, vectors, ends, at, kh + t, t / kind.step + 1, rows, sum);
    } else {
        K(stencil_terms)(c, kind, rows, vectors, ends, at, sum);
    }
}

/* The sums begin where others left off. */
static ALWAYS_INLINE void K(stencil_resume)(const K(stencil_plane) *c, const K(stencil_kind) kind, const int rows,
                                            const int vectors, const int ends, const K(stencil_place) *at, VEC *sum) {
    (void)kind, (void)ends;
    const int64_t cols = c->s->cols;
    const REAL *from = c->from + at->r * c->from_pitch;
    UNROLL for (int j = 0; j < rows; j++) {
        UNROLL for (int i = 0; i < vectors; i++) {
#ifndef STENCIL_SHORT
            if (!kind.narrow && !((ends & K(stencil_any)) && cols < WIDTH)) {
                const VEC begun = V(load)(from + at->p[i]);
                sum[j * vectors + i] = kind.kw && kind.step == 2 ? V(weave)(begun) : begun;
                continue;
            }
#endif
            sum[j * vectors + i] = V(load_first)(V(first)(cols), from + at->p[i]);
        }
        from += c->from_pitch;
        REFRESH(from);
    }
}

static ALWAYS_INLINE void K(stencil_tile)(const K(stencil_plane) *c, const K(stencil_kind) kind, const int rows,
                                          const int vectors, const int ends, K(stencil_place) *at) {
    const int64_t cols = c->s->cols;
    VEC sum[16];
    REFRESH(at->line); /* lest their addresses fill the registers */
    UNROLL for (int i = 0; i < rows * vectors; i++)
        sum[i] = V(set)(c->bias);
    if (c->from)
        K(stencil_resume)(c, kind, rows, vectors, ends, at, sum);
    K(stencil_sums)(c, kind, rows, vectors, ends, at, sum);
    if (c->clamped) { /* where bounds are, they take the time of two multiply-adds */
        const VEC lo = V(set)(c->lo), hi = V(set)(c->hi);
        UNROLL for (int i = 0; i < rows * vectors; i++)
            sum[i] = V(clamp)(sum[i], lo, hi);
    }
#ifndef STENCIL_SHORT
    if (!kind.narrow && kind.kw && kind.step == 2)
        UNROLL for (int i = 0; i < rows * vectors; i++)
            sum[i] = V(unweave)(sum[i]);
#endif
    REAL *y = c->y + at->r * c->y_pitch;
    UNROLL for (int j = 0; j < rows; j++) {
        UNROLL for (int i = 0; i < vectors; i++) {
            if ((kind.narrow || ends & K(stencil_any)) && cols < WIDTH)
                V(store_first)(V(first)(cols), y + at->p[i], sum[j * vectors + i]);
            else
                V(store)(y + at->p[i], sum[j * vectors + i]);
        }
        y += c->y_pitch;
        REFRESH(y);
    }
}
