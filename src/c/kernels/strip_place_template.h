/*
 * 3 x 3 filters on planes of one or two vectors a row with zeros around, see strip_template.h: lines are read where
 * they stand, without the lanes beyond their ends. It must not know other fillings.
 *
 * Parameters: those of stencil_template.h.
 *
 * So narrow a plane is done in less time than it takes to lay its lines. Weights are held, three rows are in progress.
 * An only vector looks for both ends under each filter column; of two, the first one for the left end under the left
 * column, the second one for the right end under the right one.
 */

/* Where strips are, and all else that they have to know. */
typedef struct K(place) {
    int64_t planes, rows;
    const REAL *x, *w, *bias; /* x: under the first output and filter column 0; bias: or NULL */
    const REAL *top, *bottom; /* instead of the first and of the last line, if not NULL */
    ptrdiff_t x_plane, w_plane, y_plane, bias_plane;
    ptrdiff_t pitch, apart; /* from line to line, from filter column to filter column */
    ptrdiff_t second;       /* from the first vector to the second */
    REAL *y;
    ptrdiff_t y_pitch;
    int64_t cols; /* of an only vector, the lanes that are stored */
    int clamped;
    REAL lo, hi;
    SPAN inside[3]; /* the lanes inside a line under each filter column, from the left one on */
} K(place);

/* What the compiler knows: the vectors of a row, one or two; whether columns are mirrored. */
typedef struct K(place_kind) {
    int vectors, mirrored;
} K(place_kind);

static ALWAYS_INLINE VEC K(place_cell)(const K(place_kind) kind, const SPAN *inside, const int v, const int i,
                                       const REAL *from) {
    const int outer = kind.mirrored ? 2 - v : v; /* 0: the leftmost column */
    const int end = kind.vectors == 1 || outer == 2 * i;
    return end ? V(load_span_or_zero)(inside[outer], from) : V(load)(from);
}

/* A line of cells: u_k are the sums to which filter row k belongs, or NULL. */
static ALWAYS_INLINE void K(place_line)(const K(place_kind) kind, const SPAN *inside, const REAL *cells,
                                        ptrdiff_t apart, ptrdiff_t second, const VEC *held, VEC *u_0, VEC *u_1,
                                        VEC *u_2) {
    UNROLL for (int v = 0; v < 3; v++)
        UNROLL for (int i = 0; i < kind.vectors; i++) {
            const VEC cell = V(keep)(K(place_cell)(kind, inside, v, i, cells + v * apart + i * second));
            if (u_2)
                u_2[i] = V(fma)(held[6 + v], cell, u_2[i]);
            if (u_1)
                u_1[i] = V(fma)(held[3 + v], cell, u_1[i]);
            if (u_0)
                u_0[i] = V(fma)(held[v], cell, u_0[i]);
        }
}

static ALWAYS_INLINE void K(place_store)(const K(place) *s, const K(place_kind) kind, const VEC *sum, REAL *y) {
    UNROLL for (int i = 0; i < kind.vectors; i++) {
        VEC ready = sum[i];
        if (s->clamped)
            ready = V(clamp)(ready, V(set)(s->lo), V(set)(s->hi));
        if (kind.vectors == 1 && s->cols < WIDTH)
            V(store_first)(V(first)(s->cols), y, ready);
        else
            V(store)(y + i * s->second, ready);
    }
}

static ALWAYS_INLINE void K(place_down)(const K(place) *place, const K(place_kind) kind) {
    const K(place) s = *place;
    const REAL *x = s.x, *w = s.w, *bias = s.bias;
    REAL *to = s.y;
    for (int64_t plane = s.planes; plane > 0; plane--) {
        const REAL *line = x, *last = s.bottom ? s.bottom : x + (s.rows + 1) * s.pitch;
        REAL *y = to;
        int64_t rows = s.rows;
        VEC held[9], a[2], b[2], c[2];
        const VEC first = V(set)(*bias);
        UNROLL for (int tap = 0; tap < 9; tap++)
            held[tap] = V(keep)(V(set)(w[tap]));
#define LINE(from, u_0, u_1, u_2) K(place_line)(kind, s.inside, from, s.apart, s.second, held, u_0, u_1, u_2)
#define BEGIN(sum) UNROLL for (int i = 0; i < kind.vectors; i++) sum[i] = first
#define END(sum) K(place_store)(&s, kind, sum, y), y += s.y_pitch
#define ROW(done, next, latest) \
        if (rows == 1) { \
            LINE(last, NULL, NULL, done); \
            END(done); \
            break; \
        } \
        line += s.pitch; \
        if (rows == 2) { \
            LINE(line, NULL, next, done); \
            END(done); \
            LINE(last, NULL, NULL, next); \
            END(next); \
            break; \
        } \
        BEGIN(latest); \
        LINE(line, latest, next, done); \
        END(done); \
        rows--
        BEGIN(a);
        BEGIN(b);
        LINE(s.top ? s.top : line, a, NULL, NULL);
        line += s.pitch;
        LINE(line, b, a, NULL);
        for (;;) {
            ROW(a, b, c);
            ROW(b, c, a);
            ROW(c, a, b);
        }
#undef LINE
#undef BEGIN
#undef END
#undef ROW
        x += s.x_plane;
        w += s.w_plane;
        to += s.y_plane;
        bias += s.bias_plane;
    }
}

typedef void K(place_fn)(const K(place) *s);
#define PLACE(name, ...) \
    static void K(name)(const K(place) *s) { K(place_down)(s, (K(place_kind)){__VA_ARGS__}); }
PLACE(place_only, .vectors = 1)
PLACE(place_both, .vectors = 2)
PLACE(place_only_mirrored, .vectors = 1, .mirrored = 1)
PLACE(place_both_mirrored, .vectors = 2, .mirrored = 1)
#undef PLACE

/* From line to line; where there is but one between constants, any will do. */
static ptrdiff_t K(place_pitch)(const cgc_stencil *s) {
    const ptrdiff_t *lines = s->lines, edge = s->kh / 2;
    return s->rows > 1 ? lines[edge + 1] - lines[edge]
           : lines[0] != CGC_CONSTANT_LINE ? lines[1] - lines[0]
           : lines[2] != CGC_CONSTANT_LINE ? lines[2] - lines[1] : 0;
}

/* Whether lines stand a pitch apart in the source, but those that no output is centred on, which may be constants. */
static int K(place_lines)(const cgc_stencil *s) {
    const int64_t edge = s->kh / 2, count = (s->rows - 1) * s->step + s->kh;
    for (int64_t t = edge; t < count - edge; t++)
        if (s->lines[t] == CGC_CONSTANT_LINE)
            return 0;
    const ptrdiff_t pitch = K(place_pitch)(s);
    for (int64_t t = 0; t < count; t++)
        if (s->lines[t] != CGC_CONSTANT_LINE && s->lines[t] - s->lines[edge] != (t - edge) * pitch)
            return 0;
    return 1;
}

/* The lanes inside a line of a vector from output column p on under the filter column that is v-th from the left. */
static SPAN K(place_inside)(const cgc_stencil *s, int64_t p, int v) {
    const int64_t column = s->first + p + v;
    return V(between)(-column, s->width - column);
}

/* Whether planes are so narrow, with zeros around, and reach beyond the ends only where a kernel looks for it. */
static int K(place_serves)(const cgc_stencil *s) {
    if (s->kh != 3 || s->kw != 3 || s->step != 1 || s->dilation_h != 1 || s->dilation_w != 1 || s->from ||
        s->constant != 0 || signbit(s->constant) || s->cols > 2 * WIDTH || !K(place_lines)(s))
        return 0;
    const int64_t end = s->first + s->cols + 2;
    for (int64_t t = s->first; t < end; t++)
        if ((t < 0 || t >= s->width) && K(band_source)(s, t) != CGC_CONSTANT_COLUMN)
            return 0;
    return s->cols <= WIDTH ||
           (s->first >= -1 && s->first + 2 + WIDTH <= s->width && s->first + s->cols >= WIDTH && end <= s->width + 1);
}

/*
 * Of rows of less than a vector whole vectors are stored, as long as there are rows to come, without gaps, which
 * overwrite what is too much. This is how many planes at the end must be stored as they are: all, if there are gaps.
 */
static int64_t K(place_exact)(const cgc_stencil *s) {
    const int64_t cells = s->rows * s->cols, over = WIDTH - s->cols;
    const int gaps = s->filters > 1 || s->y_pitch != (s->mirrored ? -s->cols : s->cols) ||
                     s->y_plane != s->rows * s->y_pitch;
    return over <= 0 || gaps ? s->planes : K(least)((over + cells - 1) / cells, s->planes);
}

/* Planes at.. of one filter each, whose lanes beyond a row are written too if `over`: mirrored, they stand in front. */
static void K(place_run)(const cgc_stencil *s, K(place) at, int64_t planes, int over) {
    const int64_t cols = s->cols, from = over && s->mirrored ? cols - WIDTH : 0;
    const int narrow = cols <= WIDTH;
    for (int v = 0; v < 3; v++)
        at.inside[v] = K(place_inside)(s, narrow || v == 0 ? from : cols - WIDTH, v);
    at.cols = over ? WIDTH : cols;
    at.planes = planes;
    at.x += from;
    at.y += from;
    if (narrow)
        (s->mirrored ? K(place_only_mirrored) : K(place_only))(&at);
    else
        (s->mirrored ? K(place_both_mirrored) : K(place_both))(&at);
}

/* All output planes, if they can be served. */
static int K(place_planes)(const cgc_stencil *s) {
    static const REAL zero;
    _Alignas(64) REAL zeros[4 * WIDTH] = {0};
    const int64_t cols = s->cols, filters = s->filters;
    if (!K(place_serves)(s))
        return 0;
    K(place) at = {
        .rows = s->rows, .x = (const REAL *)s->x + s->lines[1] - K(place_pitch)(s) + s->first + (s->mirrored ? 2 : 0),
        .top = s->lines[0] == CGC_CONSTANT_LINE ? zeros + WIDTH : NULL,
        .bottom = s->lines[s->rows + 1] == CGC_CONSTANT_LINE ? zeros + WIDTH : NULL,
        .x_plane = s->x_plane, .w_plane = s->w_filter * filters, .y_plane = s->y_plane * filters,
        .bias_plane = s->bias ? filters : 0, .pitch = K(place_pitch)(s), .apart = s->mirrored ? -1 : 1,
        .second = cols - WIDTH, .y_pitch = s->y_pitch, .clamped = s->lo > -HUGE_VAL || s->hi < HUGE_VAL,
        .lo = (REAL)s->lo, .hi = (REAL)s->hi,
    };
    const int64_t most = s->planes - K(place_exact)(s);
    for (int64_t f = 0; f < filters; f++) {
        at.w = (const REAL *)s->w + f * s->w_filter;
        at.bias = s->bias ? (const REAL *)s->bias + f : &zero;
        at.y = (REAL *)s->y + f * s->y_plane;
        if (most > 0)
            K(place_run)(s, at, most, 1);
        at.x += most * at.x_plane;
        at.w += most * at.w_plane;
        at.y += most * at.y_plane;
        at.bias += most * at.bias_plane;
        K(place_run)(s, at, s->planes - most, 0);
    }
    return 1;
}
