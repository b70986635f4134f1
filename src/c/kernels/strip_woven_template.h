/*
 * 3 x 3 and 5 x 5 filters at step 2 with zeros around, see strip_template.h: lines are read where they stand, without
 * the lanes beyond their ends. It must not know other fillings.
 *
 * Parameters: those of stencil_template.h.
 *
 * Columns are sorted as they are loaded, but not across the halves of a vector: sums stand in this woven order until
 * they are stored. That is less work than to lay sorted lines down and to load them again. Two rows are in progress,
 * or three. Strips begin where a vector does, so that each asks for whole lines of the cache; wide planes are gone
 * through in bands of few rows, whose memory machines foresee if it is not far.
 */

enum {
    K(woven_plane) = 16384, /* bytes of a plane that is one band, at most: it stays in the first cache */
    K(woven_rows) = 4,      /* of a band of others */
    K(woven_far) = 8,       /* of a band of far planes, whose next one is called for by strips */
};

/* Where planes are, and all else that a kernel has to know. */
typedef struct K(woven) {
    int64_t planes, rows, cols; /* cols: of rows of less than a vector, the lanes that are stored */
    int64_t band;               /* rows at a time */
    int far;                    /* see stencil.h */
    const REAL *x, *w, *bias;   /* x: under the first output and filter column 0, in line 0; bias: or NULL */
    const REAL *top[2], *bottom[2]; /* instead of lines, the outermost ones first, if not NULL */
    ptrdiff_t x_plane, w_plane, y_plane, bias_plane, pitch, y_pitch;
    REAL *y;
    int clamped;
    REAL lo, hi;
    SPAN inside[3], all; /* see K(woven_strip) */
} K(woven);

/* What the compiler knows: the filter's size; the vectors of a strip, one or two; whether rows are less than one. */
typedef struct K(woven_kind) {
    int size, vectors, narrow;
} K(woven_kind);

/* A strip of a band. */
typedef struct K(woven_strip) {
    const REAL *cells; /* x, as above */
    const REAL *top[2], *bottom[2]; /* its outermost lines, wherever they are */
    ptrdiff_t second;  /* from the first vector to the second */
    const REAL *w;
    REAL *y;
    int64_t rows;
    SPAN inside[3]; /* the lanes inside a line: of the first load; if narrow, of the one behind it; of the last one */
} K(woven_strip);

/* A line of cells: s_k are the sums to which filter row u - 2*k belongs, or NULL. Filters of 3 x 3 are held. */
static ALWAYS_INLINE void K(woven_line)(const K(woven_strip) *s, const K(woven_kind) kind, const REAL *line,
                                        const REAL *w, const VEC *held, const int u, VEC *s_0, VEC *s_1, VEC *s_2) {
    const int size = kind.size;
    VEC a[2], b[2], cell[2];
    UNROLL for (int v = 0; v < size; v++) {
        /* Two vectors from an even column on, if the filter is centred: fewer loads go across lines of the cache. */
        const int at = size == 3 ? (v + 1) / 2 : v / 2 * 2, odd = size == 3 ? v == 2 : v % 2;
        const int first = at == 0, last = at == (size == 3 ? 1 : 4);
        UNROLL for (int i = 0; i < kind.vectors; i++) {
            const REAL *from = line + at + 2 * i * s->second;
            if (!odd) {
                a[i] = first && i == 0 ? V(load_span_or_zero)(s->inside[0], from) : V(load)(from);
                b[i] = last && i == kind.vectors - 1 ? V(load_span_or_zero)(s->inside[2], from + WIDTH)
                       : kind.narrow ? V(load_span_or_zero)(s->inside[1], from + WIDTH) : V(load)(from + WIDTH);
            }
            cell[i] = V(keep)(odd ? V(odd_woven)(a[i], b[i]) : V(even_woven)(a[i], b[i]));
        }
#define FEED(k, sum) \
        if (sum) { \
            const VEC weight = size == 3 ? held[(u - 2 * k) * size + v] : V(set)(w[(u - 2 * k) * size + v]); \
            UNROLL for (int i = 0; i < kind.vectors; i++) \
                sum[i] = V(fma)(weight, cell[i], sum[i]); \
        }
        FEED(0, s_0)
        FEED(1, s_1)
        FEED(2, s_2)
#undef FEED
    }
}

static ALWAYS_INLINE void K(woven_end)(const K(woven) *s, const K(woven_kind) kind, ptrdiff_t second, const VEC *sum,
                                       REAL *y) {
    UNROLL for (int i = 0; i < kind.vectors; i++) {
        VEC ready = V(unweave)(sum[i]);
        if (s->clamped)
            ready = V(clamp)(ready, V(set)(s->lo), V(set)(s->hi));
        if (kind.narrow && s->cols < WIDTH)
            V(store_first)(V(first)(s->cols), y, ready);
        else
            V(store)(y + i * second, ready);
    }
}

static ALWAYS_INLINE void K(woven_down)(const K(woven) *s, const K(woven_kind) kind, const K(woven_strip) *strip,
                                        const VEC *held, const VEC begin) {
    const K(woven_strip) t = *strip;
    const REAL *x = t.cells, *w = t.w;
    REAL *y = t.y;
    int64_t rows = t.rows;
    VEC a[2], b[2], c[2];
#define LINE(line, u, s_0, s_1, s_2) K(woven_line)(&t, kind, line, w, held, u, s_0, s_1, s_2)
#define BEGIN(sum) UNROLL for (int i = 0; i < kind.vectors; i++) sum[i] = begin
#define END(done) \
    x += 2 * s->pitch; \
    REFRESH(x); /* lest there be a pointer for each line, for which there are no registers */ \
    K(woven_end)(s, kind, t.second, done, y); \
    y += s->y_pitch; \
    if (--rows == 0) \
        return
#define ROW_3(done, next) \
    LINE(x, 1, done, NULL, NULL); \
    BEGIN(next); \
    LINE(rows == 1 ? t.bottom[0] : x + s->pitch, 2, done, next, NULL); \
    END(done)
#define ROW_5(done, next, latest) \
    REFRESH(w); \
    LINE(rows == 1 ? t.bottom[1] : x, 3, done, next, NULL); \
    BEGIN(latest); \
    LINE(rows == 1 ? t.bottom[0] : x + s->pitch, 4, done, next, latest); \
    END(done)
    BEGIN(a);
    LINE(t.top[0], 0, a, NULL, NULL);
    x += s->pitch;
    if (kind.size == 3)
        for (;;) {
            ROW_3(a, b);
            ROW_3(b, a);
        }
    LINE(t.top[1], 1, a, NULL, NULL);
    x += s->pitch;
    BEGIN(b);
    LINE(x, 2, a, b, NULL);
    x += s->pitch;
    for (;;) {
        ROW_5(a, b, c);
        ROW_5(b, c, a);
        ROW_5(c, a, b);
    }
#undef LINE
#undef BEGIN
#undef END
#undef ROW_3
#undef ROW_5
}

/* Rows r.. of a plane that begins at x and y. */
static ALWAYS_INLINE void K(woven_across)(const K(woven) *s, const int size, const int narrow, const REAL *x,
                                          const REAL *w, const VEC *held, const VEC begin, int64_t r, REAL *y) {
    const int64_t rows = s->rows - r < s->band ? s->rows - r : s->band;
    K(woven_strip) t = {.w = w, .rows = rows, .inside = {s->inside[0], s->inside[1], s->all}};
    const REAL *ahead = x + 2 * (r + rows) * s->pitch;
    for (int64_t col = 0; col < s->cols; col += 2 * WIDTH) {
        for (int64_t cells = s->far ? 8 * WIDTH * rows : 0; cells > 0; cells -= K(line_cells), ahead += K(line_cells))
            PREFETCH(ahead);
        const int64_t left = s->cols - col, from = narrow || left > WIDTH ? col : s->cols - WIDTH;
        t.cells = x + 2 * r * s->pitch + 2 * from;
        t.y = y + r * s->y_pitch + from;
        t.second = left < 2 * WIDTH ? left - WIDTH : WIDTH;
        for (int i = 0; i < size / 2; i++) {
            t.top[i] = r == 0 && s->top[i] ? s->top[i] : t.cells + i * s->pitch;
            t.bottom[i] = r + rows == s->rows && s->bottom[i] ? s->bottom[i]
                                                              : t.cells + (2 * rows + size - 3 - i) * s->pitch;
        }
        if (left <= 2 * WIDTH)
            t.inside[2] = s->inside[2];
        if (narrow || left <= WIDTH)
            K(woven_down)(s, (K(woven_kind)){size, 1, narrow}, &t, held, begin);
        else
            K(woven_down)(s, (K(woven_kind)){size, 2, 0}, &t, held, begin);
        t.inside[0] = s->all;
        if (narrow)
            return;
    }
}

static ALWAYS_INLINE void K(woven_all)(const K(woven) *woven, const int size, const int narrow) {
    const K(woven) s = *woven; /* which no store to y can change */
    const REAL *x = s.x, *w = s.w, *bias = s.bias;
    REAL *y = s.y;
    for (int64_t plane = s.planes; plane > 0; plane--) {
        const VEC begin = V(set)(*bias);
        VEC held[9];
        if (size == 3)
            UNROLL for (int tap = 0; tap < 9; tap++)
                held[tap] = V(keep)(V(set)(w[tap]));
        for (int64_t r = 0; r < s.rows; r += s.band)
            K(woven_across)(&s, size, narrow, x, w, held, begin, r, y);
        x += s.x_plane;
        w += s.w_plane;
        y += s.y_plane;
        bias += s.bias_plane;
    }
}

static void K(woven_3_narrow)(const K(woven) *s) { K(woven_all)(s, 3, 1); }
static void K(woven_3)(const K(woven) *s) { K(woven_all)(s, 3, 0); }
static void K(woven_5)(const K(woven) *s) { K(woven_all)(s, 5, 0); }

/* From line to line; there are two rows or more. */
static ptrdiff_t K(woven_pitch)(const cgc_stencil *s) { return s->lines[s->kh / 2 + 1] - s->lines[s->kh / 2]; }

/* Whether lines stand a pitch apart in the source, but those that no output is centred on, which may be constants. */
static int K(woven_lines)(const cgc_stencil *s) {
    const int64_t edge = s->kh / 2, count = (s->rows - 1) * s->step + s->kh;
    if (!K(place_centres)(s))
        return 0;
    for (int64_t t = 0; t < count; t++)
        if (s->lines[t] != CGC_CONSTANT_LINE && s->lines[t] - s->lines[edge] != (t - edge) * K(woven_pitch)(s))
            return 0;
    return 1;
}

/*
 * Whether zeros are around, and lines reach beyond their ends only where a kernel looks for it. Of many filters it is
 * better to sort once.
 */
static int K(woven_serves)(const cgc_stencil *s) {
    const int64_t size = s->kh, end = s->first + 2 * (s->cols - 1) + size;
    if (s->filters > 1 || s->step != 2 || s->kw != size || (size != 3 && size != 5) || s->from || s->constant != 0 ||
        signbit(s->constant) || s->rows < 2 || s->first < -(size / 2) || end > s->width + 1 ||
        (s->cols < WIDTH && (size == 5 || s->first + 1 + WIDTH > s->width)))
        return 0;
    for (int64_t t = s->first; t < end; t++)
        if ((t < 0 || t >= s->width) && K(band_source)(s, t) != CGC_CONSTANT_COLUMN)
            return 0;
    return K(woven_lines)(s);
}

/* The lanes inside a line of a vector from a column on. */
static SPAN K(woven_inside)(const cgc_stencil *s, int64_t column) { return V(between)(-column, s->width - column); }

/* All output planes, if they can be served. */
static int K(woven_planes)(const cgc_stencil *s) {
    static const REAL zero;
    _Alignas(64) const REAL zeros[6 * WIDTH] = {0};
    if (!K(woven_serves)(s))
        return 0;
    const int64_t edge = s->kh / 2, lines = 2 * (s->rows - 1) + s->kh;
    const ptrdiff_t pitch = K(woven_pitch)(s);
    const int64_t last = s->first + (s->cols > WIDTH ? 2 * (s->cols - WIDTH) : 0);
    const int64_t bytes = 2 * s->rows * s->width * (int64_t)sizeof(REAL), most = s->planes - K(place_exact)(s);
    K(woven) at = {
        .rows = s->rows, .far = s->far,
        .band = bytes <= K(woven_plane) ? s->rows : s->far ? K(woven_far) : K(woven_rows),
        .x_plane = s->x_plane, .w_plane = s->w_filter, .y_plane = s->y_plane, .bias_plane = s->bias != NULL,
        .pitch = pitch, .y_pitch = s->y_pitch,
        .clamped = s->lo > -HUGE_VAL || s->hi < HUGE_VAL, .lo = (REAL)s->lo, .hi = (REAL)s->hi,
        .inside = {K(woven_inside)(s, s->first), K(woven_inside)(s, s->first + WIDTH),
                   K(woven_inside)(s, last + (s->kh == 3 ? 1 : 4) + WIDTH)},
        .all = V(between)(0, WIDTH),
    };
    for (int i = 0; i < edge; i++) {
        at.top[i] = s->lines[i] == CGC_CONSTANT_LINE ? zeros : NULL;
        at.bottom[i] = s->lines[lines - 1 - i] == CGC_CONSTANT_LINE ? zeros : NULL;
    }
    for (int64_t p = 0; p < s->planes; p += at.planes) {
        at.planes = p < most ? most : s->planes - p;
        at.cols = p < most ? WIDTH : s->cols;
        at.x = (const REAL *)s->x + p * s->x_plane + s->lines[edge] - edge * pitch + s->first;
        at.w = (const REAL *)s->w + p * s->w_filter;
        at.bias = s->bias ? (const REAL *)s->bias + p : &zero;
        at.y = (REAL *)s->y + p * s->y_plane;
        (s->kh == 5 ? K(woven_5) : s->cols < WIDTH ? K(woven_3_narrow) : K(woven_3))(&at);
    }
    return 1;
}
