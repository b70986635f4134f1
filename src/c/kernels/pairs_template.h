/*
 * The pairs kernel, see cgc_pairs in kernels.h: rows whose even and odd columns are sums of their own, over the same
 * lines. It must not know where its lines come from.
 *
 * Parameters: those of words_template.h.
 *
 * A tile is a few rows by a vector of pairs: its even columns, its odd ones, which are interleaved as they are stored.
 */

#if REGISTERS >= 32
#define PAIR_ROWS 4
#else
#define PAIR_ROWS 2
#endif

/* Where a masked load costs no more than another one, it finds the ends of lines. */
#if REGISTERS == 16
#define PAIR_SPANS
enum { K(pairs_backs) = 3 }; /* columns before that of the first pair, from 0 on, whose lanes are kept */
#endif

/* What the compiler knows of a kernel when it writes it; ku and kw: both, or neither (0). */
typedef struct K(pairs_kind) {
    int ku, kw, odd;
} K(pairs_kind);

#ifdef PAIR_SPANS
/* The left end and another place: their first pairs, and the lanes inside a line so many columns before these. */
typedef struct K(pairs_ends) {
    int64_t q[2];
    SPAN inside[2][K(pairs_backs)];
} K(pairs_ends);
#endif

/* Where a tile is, of a plane that begins at x, w and y; and of a known filter the lines and the weights. */
typedef struct K(pairs_place) {
    const cgc_pairs *s;
    const REAL *x, *w;
    REAL *y;
    int64_t r, q; /* its first row and its first pair */
#ifdef PAIR_SPANS
    K(pairs_ends) *ends;
    const SPAN *inside; /* of the ends, those of this place */
#else
    const int32_t *shifted; /* lanes 0 ... WIDTH-1, between -1 */
#endif
    const REAL *line[3 * PAIR_ROWS];
    VEC held[15];
} K(pairs_place);

/* The cells of a line from `back` columns before `column` on, that of the first pair; those beyond its ends are 0. */
static ALWAYS_INLINE VEC K(pairs_cells)(const K(pairs_place) *at, const int inside, const REAL *line, int64_t column,
                                        int64_t back) {
    const int64_t first = column - back, width = at->s->width;
    if (inside)
        return V(load)(line + first);
#ifdef PAIR_SPANS
    return V(load_span_or_zero)(back < K(pairs_backs) ? at->inside[back] : V(between)(-first, width - first),
                                line + first);
#else
    const int64_t last = width < WIDTH ? 0 : width - WIDTH, from = first < 0 ? 0 : first > last ? last : first;
    const int64_t shift = first - from < -WIDTH ? -WIDTH : first - from > WIDTH ? WIDTH : first - from;
    const VEC cells = width < WIDTH ? V(load_first)(V(first)(width), line) : V(load)(line + from);
    const INDEX index = V(load_index)(at->shifted + WIDTH + shift);
    return V(pick_or_zero)(index, V(within)(index), cells);
#endif
}

/* Adds the terms of row u of a known filter. */
static ALWAYS_INLINE void K(pairs_known_line)(const K(pairs_place) *at, const K(pairs_kind) kind, const int rows,
                                              const int inside, const int u, VEC *sum) {
    int64_t column = at->q + at->s->first;
    VEC cells[PAIR_ROWS];
#ifdef PAIR_SPANS
    if (!inside)
        REFRESH(column); /* lest addresses that both tiles have be made before either, for which there is no room */
#endif
    UNROLL for (int v = 0; v < kind.kw; v++) {
        const int column_of_pair = (v + kind.odd) % 2;
        UNROLL for (int j = 0; j < rows; j++) {
            if (v == 0 || column_of_pair == 0)
                cells[j] = V(keep)(K(pairs_cells)(at, inside, at->line[u * PAIR_ROWS + j], column,
                                                  (v + kind.odd) / 2));
            VEC *to = &sum[2 * j + column_of_pair];
            *to = V(fma)(at->held[u * kind.kw + v], cells[j], *to);
        }
    }
}

/* Where line u of row r of the k-th source begins. */
static ALWAYS_INLINE const REAL *K(pairs_line)(const K(pairs_place) *at, int64_t k, int64_t r, int64_t u) {
    const ptrdiff_t offset = at->s->lines[r * at->s->ku + u];
    return offset == CGC_CONSTANT_LINE ? at->s->zeros : at->x + k * at->s->x_source + offset;
}

/* Adds the terms of row u of any filter on the k-th source. */
static ALWAYS_INLINE void K(pairs_any_line)(const K(pairs_place) *at, const K(pairs_kind) kind, const int rows,
                                            const int inside, int64_t k, int64_t u, VEC *sum) {
    const cgc_pairs *s = at->s;
    const REAL *w = at->w + k * s->w_source + u * s->w_u, *line[PAIR_ROWS];
    const int64_t column = at->q + s->first;
    UNROLL for (int j = 0; j < rows; j++)
        line[j] = K(pairs_line)(at, k, at->r + j, u);
    UNROLL for (int b = 0; b < 2; b++)
        for (int64_t v = (b + kind.odd) % 2; v < s->kw; v += 2) {
            const VEC weight = V(set)(w[v * s->w_v]);
            UNROLL for (int j = 0; j < rows; j++)
                sum[2 * j + b] = V(fma)(weight, K(pairs_cells)(at, inside, line[j], column, (v + kind.odd) / 2),
                                        sum[2 * j + b]);
        }
}

static ALWAYS_INLINE void K(pairs_tile)(const K(pairs_place) *at, const K(pairs_kind) kind, const int rows,
                                        const int inside) {
    const cgc_pairs *s = at->s;
    VEC sum[2 * PAIR_ROWS];
    UNROLL for (int i = 0; i < 2 * rows; i++)
        sum[i] = V(zero)();
    if (kind.ku)
        UNROLL for (int u = 0; u < kind.ku; u++)
            K(pairs_known_line)(at, kind, rows, inside, u, sum);
    else
        for (int64_t k = 0; k < s->sources; k++)
            for (int64_t u = 0; u < s->ku; u++)
                K(pairs_any_line)(at, kind, rows, inside, k, u, sum);
    REAL *y = at->y + at->r * s->y_pitch + 2 * at->q;
    const int64_t count = s->cols - 2 * at->q;
    const ptrdiff_t ahead = s->cols > 4 * WIDTH ? 4 * s->y_pitch : 0; /* where machines do not foresee rows of pairs */
    UNROLL for (int j = 0; j < rows; j++, y += s->y_pitch) {
        if (inside)
            PREFETCH(y + ahead);
        const VEC low = V(zip_low)(sum[2 * j], sum[2 * j + 1]), high = V(zip_high)(sum[2 * j], sum[2 * j + 1]);
        if (inside || count >= 2 * WIDTH) {
            V(store)(y, low);
            V(store)(y + WIDTH, high);
        } else {
            V(store_first)(V(first)(count), y, low);
            if (count > WIDTH)
                V(store_first)(V(first)(count - WIDTH), y + WIDTH, high);
        }
    }
}

#ifdef PAIR_SPANS
/* Finds the ends of lines from where a tile begins: rows have them at the same two places, mostly. */
static ALWAYS_INLINE const SPAN *K(pairs_look)(const cgc_pairs *s, K(pairs_ends) *ends, int64_t q) {
    const int place = q > 0;
    for (int back = 0; ends->q[place] != q && back < K(pairs_backs); back++) {
        const int64_t column = q + s->first - back;
        ends->inside[place][back] = V(between)(-column, s->width - column);
    }
    ends->q[place] = q;
    return ends->inside[place];
}
#endif

/*
 * The tiles of `rows` rows from row r on. Those that need not look for ends are the ones that begin with pairs low ..
 * high-1.
 */
static ALWAYS_INLINE void K(pairs_row)(K(pairs_place) *at, const K(pairs_kind) kind, const int rows, int64_t r,
                                       int64_t low, int64_t high) {
    const int64_t pairs = (at->s->cols + 1) / 2;
    at->r = r;
    UNROLL for (int u = 0; u < kind.ku; u++)
        UNROLL for (int j = 0; j < rows; j++)
            at->line[u * PAIR_ROWS + j] = K(pairs_line)(at, 0, r + j, u);
    for (at->q = 0; at->q < pairs; at->q += WIDTH) {
        if (at->q + WIDTH > pairs && pairs > WIDTH) /* the last ones move back, to end with the row */
            at->q = pairs - WIDTH;
        if (rows > 1 && at->q >= low && at->q < high) {
            K(pairs_tile)(at, kind, rows, 1);
            continue;
        }
#ifdef PAIR_SPANS
        at->inside = K(pairs_look)(at->s, at->ends, at->q);
#endif
        K(pairs_tile)(at, kind, rows, 0);
    }
}

static ALWAYS_INLINE void K(pairs_planes)(const cgc_pairs *s, const K(pairs_kind) kind) {
    const int64_t low = (s->kw - 1 + kind.odd) / 2 - s->first, end = s->width - s->first, whole = s->cols / 2;
    const int64_t high = (end < whole ? end : whole) - WIDTH + 1;
    K(pairs_place) at = {.s = s, .x = s->x, .w = s->w, .y = s->y};
#ifdef PAIR_SPANS
    K(pairs_ends) ends = {.q = {-1, -1}};
    at.ends = &ends;
#else
    int32_t shifted[3 * WIDTH];
    for (int i = 0; i < 3 * WIDTH; i++)
        shifted[i] = i >= WIDTH && i < 2 * WIDTH ? i - WIDTH : -1;
    at.shifted = shifted;
#endif
    for (int64_t p = 0; p < s->planes; p++, at.x += s->x_plane, at.w += s->w_plane, at.y += s->y_plane) {
        UNROLL for (int i = 0; i < kind.ku * kind.kw; i++)
            at.held[i] = V(keep)(V(set)(at.w[i / kind.kw * s->w_u + i % kind.kw * s->w_v]));
        if (s->rows < PAIR_ROWS)
            for (int64_t r = 0; r < s->rows; r++)
                K(pairs_row)(&at, kind, 1, r, low, high);
        else
            for (int64_t r = 0; r < s->rows; r += PAIR_ROWS)
                K(pairs_row)(&at, kind, PAIR_ROWS, r + PAIR_ROWS > s->rows ? s->rows - PAIR_ROWS : r, low, high);
    }
}

typedef void K(pairs_fn)(const cgc_pairs *);

#define KERNEL(name, ku, kw, odd) \
    static void K(name)(const cgc_pairs *call) { \
        const cgc_pairs s = *call; /* which no store to y can change */ \
        K(pairs_planes)(&s, (K(pairs_kind)){ku, kw, odd}); \
    }
KERNEL(pairs_any, 0, 0, 0)
KERNEL(pairs_any_odd, 0, 0, 1)
#if REGISTERS >= 16
KERNEL(pairs_1x3, 1, 3, 0)
KERNEL(pairs_1x3_odd, 1, 3, 1)
KERNEL(pairs_2x3, 2, 3, 0)
KERNEL(pairs_2x3_odd, 2, 3, 1)
KERNEL(pairs_2x5, 2, 5, 0)
KERNEL(pairs_2x5_odd, 2, 5, 1)
KERNEL(pairs_3x5, 3, 5, 0)
KERNEL(pairs_3x5_odd, 3, 5, 1)
#endif
#undef KERNEL
#undef PAIR_ROWS
#undef PAIR_SPANS

static void K(pairs)(const cgc_pairs *s) {
#if REGISTERS >= 16
    static const struct {
        int ku, kw;
        K(pairs_fn) *run[2];
    } known[] = {
        {1, 3, {K(pairs_1x3), K(pairs_1x3_odd)}}, {2, 3, {K(pairs_2x3), K(pairs_2x3_odd)}},
        {2, 5, {K(pairs_2x5), K(pairs_2x5_odd)}}, {3, 5, {K(pairs_3x5), K(pairs_3x5_odd)}},
    };
    for (size_t i = 0; s->sources == 1 && i < sizeof known / sizeof known[0]; i++)
        if (s->ku == known[i].ku && s->kw == known[i].kw) {
            known[i].run[s->odd](s);
            return;
        }
#endif
    (s->odd ? K(pairs_any_odd) : K(pairs_any))(s);
}
