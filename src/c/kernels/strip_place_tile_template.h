/*
 * The blocks of strip_place_template.h: one or two vectors of outputs by some rows of a 3 x 3 filter. It must not know
 * how a plane was cut, or what stands beyond the ends of its lines.
 *
 * Parameters: those of stencil_template.h.
 *
 * Weights are held, three rows are in progress. Sixteen registers are just enough for that, as long as no sum is moved
 * from one to another: so sums are added to where they are, and what few rows need, or none, stays in memory.
 */

/* Where cells are, or, beyond an end, the one that stands there: on the first line, on those below it, on the last. */
typedef struct K(place_source) {
    const REAL *top, *line, *bottom;
    ptrdiff_t pitch;                            /* from line to line, */
    ptrdiff_t top_next, line_next, bottom_next; /* and from block to block */
} K(place_source);

/* Where blocks are, one beside the other or in one plane after the other, and all else that they have to know. */
typedef struct K(place) {
    int64_t blocks, rows;
    K(place_source) cells;   /* under the first output and filter column 0 */
    K(place_source) fill[2]; /* beyond the left and the right end */
    const REAL *w, *bias;
    const REAL *from; /* sums to begin with instead, as y lies */
    ptrdiff_t w_next, y_next, bias_next;
    ptrdiff_t apart;  /* from filter column to filter column */
    ptrdiff_t second; /* from the first vector to the second */
    REAL *y;
    ptrdiff_t y_pitch, from_pitch;
    const REAL *ahead;    /* cells to come, which are called for in the order of memory, */
    ptrdiff_t ahead_next; /* a line of the cache at a time */
    int64_t cols; /* of a narrow row, the lanes that are stored */
    int clamped;
    REAL lo, hi;
    SPAN inside[3]; /* the lanes inside a line under each filter column, from the left one on */
} K(place);

/*
 * What the compiler knows: the vectors; which ends they look for; whether a row is narrow, so that its only vector does
 * under all columns; whether lanes beyond an end are filled, or 0; `apart`, or 0 if it does not know; whether the
 * leftmost column is the filter's last; whether sums begin with others; and whether cells to come are called for.
 */
typedef struct K(place_kind) {
    int vectors, left, right, narrow, filled, apart, mirrored, partial, far;
} K(place_kind);

/* Where the lines of a row in progress are. */
typedef struct K(place_line) {
    const REAL *cells, *fill[2];
} K(place_line);

/* What is not held in a register. */
typedef struct K(place_memory) {
    REAL begin[WIDTH], last[WIDTH]; /* the bias, the last weight */
    REAL lo[WIDTH], hi[WIDTH];
} K(place_memory);

static ALWAYS_INLINE VEC K(place_cell)(const K(place) *s, const K(place_kind) kind, K(place_line) line, const int v,
                                       const int i) {
    const int outer = kind.mirrored ? 2 - v : v; /* 0: the leftmost column */
    const int left = kind.left && outer == 0 && i == 0, right = kind.right && outer == 2 && i == kind.vectors - 1;
    const REAL *from = line.cells + v * (kind.apart ? kind.apart : s->apart) + i * s->second;
    if (!left && !right && !kind.narrow)
        return V(load)(from);
    if (kind.filled && (left || right))
        return V(load_span)(s->inside[outer], from, V(set)(*line.fill[right]));
    return V(load_span_or_zero)(s->inside[outer], from);
}

/*
 * A line of cells: u_k are the sums to which filter row k belongs, or NULL. With u_0 they begin, those at `from` if
 * they are partial.
 */
static ALWAYS_INLINE void K(place_add)(const K(place) *s, const K(place_kind) kind, K(place_line) line, const VEC *held,
                                       const K(place_memory) *memory, const REAL *from, VEC *u_0, VEC *u_1,
                                       VEC *u_2) {
    UNROLL for (int v = 0; v < 3; v++)
        UNROLL for (int i = 0; i < kind.vectors; i++) {
            const VEC cell = V(keep)(K(place_cell)(s, kind, line, v, i));
            if (u_2)
                u_2[i] = v < 2 ? V(fma_here)(held[6 + v], cell, u_2[i]) : V(fma_at)(memory->last, cell, u_2[i]);
            if (u_1)
                u_1[i] = V(fma_here)(held[3 + v], cell, u_1[i]);
            if (u_0 && v == 0)
                u_0[i] = V(fma)(held[0], cell, V(load)(kind.partial ? from + i * s->second : memory->begin));
            else if (u_0)
                u_0[i] = V(fma_here)(held[v], cell, u_0[i]);
        }
}

static ALWAYS_INLINE void K(place_store)(const K(place) *s, const K(place_kind) kind, const K(place_memory) *memory,
                                         const VEC *sum, REAL *y) {
    UNROLL for (int i = 0; i < kind.vectors; i++) {
        VEC ready = sum[i];
        if (s->clamped)
            ready = V(clamp_at)(ready, memory->lo, memory->hi);
        if (kind.narrow && s->cols < WIDTH)
            V(store_first)(V(first)(s->cols), y, ready);
        else
            V(store)(y + i * s->second, ready);
    }
    if (!kind.narrow)
        PREFETCH(y + 2 * kind.vectors * WIDTH); /* of a block to come: machines foresee only what lies in rows */
}

static ALWAYS_INLINE void K(place_down)(K(place) *place, const K(place_kind) kind) {
    K(place) s = *place;
    for (int64_t block = s.blocks; block > 0; block--) {
        K(place_line) line = {s.cells.line, {s.fill[0].line, s.fill[1].line}};
        K(place_line) top = {s.cells.top, {s.fill[0].top, s.fill[1].top}};
        K(place_line) bottom = {s.cells.bottom, {s.fill[0].bottom, s.fill[1].bottom}};
        const REAL *begin = s.from;
        REAL *y = s.y;
        int64_t rows = s.rows;
        K(place_memory) memory;
        const K(place_memory) *at = &memory;
        VEC held[8], a[2], b[2], c[2];
        V(store)(memory.begin, V(set)(*s.bias));
        V(store)(memory.last, V(set)(s.w[8]));
        V(store)(memory.lo, V(set)(s.lo));
        V(store)(memory.hi, V(set)(s.hi));
        UNROLL for (int tap = 0; tap < 8; tap++)
            held[tap] = V(keep)(V(set)(s.w[tap]));
/* What is refreshed are pointers of which compilers would keep several, one to each cell, and what is in memory. */
#define LINE(from, u_0, u_1, u_2) \
        REFRESH(from.cells); \
        REFRESH(at); \
        K(place_add)(&s, kind, from, held, at, begin, u_0, u_1, u_2)
#define NEXT() \
        line.cells += s.cells.pitch; \
        line.fill[0] += s.fill[0].pitch; \
        line.fill[1] += s.fill[1].pitch; \
        begin += s.from_pitch
#define END(sum) \
        K(place_store)(&s, kind, at, sum, y); \
        y += s.y_pitch; \
        REFRESH(y)
#define ROW(done, next, latest) \
        if (rows <= 2) { \
            if (rows == 2) { \
                LINE(line, NULL, next, done); \
                END(done); \
                LINE(bottom, NULL, NULL, next); \
                END(next); \
            } else { \
                LINE(bottom, NULL, NULL, done); \
                END(done); \
            } \
            break; \
        } \
        if (kind.far) { \
            PREFETCH(s.ahead); \
            s.ahead += s.ahead_next; \
        } \
        LINE(line, latest, next, done); \
        END(done); \
        NEXT(); \
        rows--
        LINE(top, a, NULL, NULL);
        begin += rows > 1 ? s.from_pitch : 0; /* an only row has no next one */
        LINE(line, b, a, NULL);
        NEXT();
        for (;;) {
            ROW(a, b, c);
            ROW(b, c, a);
            ROW(c, a, b);
        }
#undef LINE
#undef NEXT
#undef END
#undef ROW
        for (int i = 0; i < 3; i++) {
            K(place_source) *source = i < 2 ? &s.fill[i] : &s.cells;
            source->top += source->top_next;
            source->line += source->line_next;
            source->bottom += source->bottom_next;
        }
        s.w += s.w_next;
        s.y += s.y_next;
        s.from += s.y_next;
        s.bias += s.bias_next;
    }
    if (kind.far)
        place->ahead = s.ahead;
}

/* Blocks: a narrow row; a row of up to two vectors; two vectors at the left end, between, at the right end; or one. */
enum {
    K(place_narrow), K(place_both), K(place_left), K(place_between), K(place_right), K(place_last), K(place_shapes),
};
typedef void K(place_fn)(K(place) *s);

#define PLACE(name, ...) \
    static void K(name##_narrow)(K(place) *s) { K(place_down)(s, (K(place_kind)){1, 1, 1, 1, __VA_ARGS__}); } \
    static void K(name##_both)(K(place) *s) { K(place_down)(s, (K(place_kind)){2, 1, 1, 0, __VA_ARGS__}); } \
    static void K(name##_left)(K(place) *s) { K(place_down)(s, (K(place_kind)){2, 1, 0, 0, __VA_ARGS__}); } \
    static void K(name##_between)(K(place) *s) { K(place_down)(s, (K(place_kind)){2, 0, 0, 0, __VA_ARGS__}); } \
    static void K(name##_right)(K(place) *s) { K(place_down)(s, (K(place_kind)){2, 0, 1, 0, __VA_ARGS__}); } \
    static void K(name##_last)(K(place) *s) { K(place_down)(s, (K(place_kind)){1, 0, 1, 0, __VA_ARGS__}); } \
    static K(place_fn) *const K(name)[K(place_shapes)] = { \
        K(name##_narrow), K(name##_both), K(name##_left), K(name##_between), K(name##_right), K(name##_last), \
    };
PLACE(place_zeros, 0, 1, 0, 0, 0)
PLACE(place_zeros_mirrored, 0, -1, 1, 0, 0)
PLACE(place_filled, 1, 0, 0, 0, 0)
PLACE(place_filled_mirrored, 1, 0, 1, 0, 0)
PLACE(place_partial_mirrored, 0, -1, 1, 1, 0)
PLACE(place_far, 0, 1, 0, 0, 1)
PLACE(place_far_mirrored, 0, -1, 1, 0, 1)
#undef PLACE
static void K(place_apart)(K(place) *s) { K(place_down)(s, (K(place_kind)){2, 0, 0, 0, 0, 0, 0, 0, 1}); }
static void K(place_apart_mirrored)(K(place) *s) { K(place_down)(s, (K(place_kind)){2, 0, 0, 0, 0, 0, 1, 0, 1}); }
