/*
 * What the strips of a band, see strip_template.h, are made of: one to three vectors of outputs by some rows. It must
 * not know how the band was laid.
 *
 * Parameters: those of stencil_template.h.
 *
 * Each sum gets its terms in the order (u, v). There are three kinds of tiles, for as few instructions as can be: where
 * a multiply-add cannot broadcast a weight, one that is not held is worth sharing.
 */

/* Where a strip is, and all else that it has to know. */
typedef struct K(strip) {
    const REAL *cells; /* under the first output and filter column 0 */
    ptrdiff_t pitch;   /* from line to line, */
    ptrdiff_t down;    /* and to the first line of the next row */
    ptrdiff_t apart;   /* from filter column to filter column; at step 2 from the even to the odd ones */
    ptrdiff_t second;  /* from the first vector to the second */
    const REAL *w;
    REAL *y;
    ptrdiff_t y_pitch;
    int64_t cols; /* of a row that are written, if narrow; behind fewer than WIDTH nothing is */
    int clamped;
    REAL bias, lo, hi;
    const REAL *ahead;    /* cells to come, which are called for in the order of memory, */
    ptrdiff_t ahead_next; /* a line of the cache at a time, or not if 0 */
} K(strip);

/*
 * What the compiler knows: the filter's size; the step; `apart`, or 0 if it does not know; how many vectors; whether
 * only `cols` lanes are stored.
 */
typedef struct K(strip_kind) {
    int size, step, apart, vectors, narrow;
} K(strip_kind);

/* From the cells under filter column 0 to those under filter column v. */
static ALWAYS_INLINE ptrdiff_t K(strip_under)(const K(strip) *s, const K(strip_kind) kind, const int v) {
    const ptrdiff_t apart = kind.apart ? kind.apart : s->apart;
    return kind.step == 2 ? v / 2 + v % 2 * apart : v * apart;
}

static ALWAYS_INLINE void K(strip_begin)(const K(strip) *s, const int count, VEC *sum) {
    UNROLL for (int i = 0; i < count; i++)
        sum[i] = V(set)(s->bias);
}

/* The sums of a row are ready. */
static ALWAYS_INLINE void K(strip_end)(const K(strip) *s, const K(strip_kind) kind, const VEC *sum, REAL *y) {
    UNROLL for (int i = 0; i < kind.vectors; i++) {
        VEC ready = sum[i];
        if (s->clamped)
            ready = V(clamp)(ready, V(set)(s->lo), V(set)(s->hi));
        if (kind.narrow && s->cols < WIDTH)
            V(store_first)(V(first)(s->cols), y, ready);
        else
            V(store)(y + i * s->second, ready);
    }
}

/* ---- filters of 3 x 3: weights are held, and strips are as high as the band ------------------------------------- */

/* A line of cells: u_k are the sums to which filter row k belongs, or NULL. */
static ALWAYS_INLINE void K(strip_line)(const K(strip) *s, const K(strip_kind) kind, const REAL *cells, const VEC *held,
                                        VEC *u_0, VEC *u_1, VEC *u_2) {
    UNROLL for (int v = 0; v < 3; v++)
        UNROLL for (int i = 0; i < kind.vectors; i++) {
            const VEC cell = V(keep)(V(load)(cells + K(strip_under)(s, kind, v) + i * s->second));
            if (u_2)
                u_2[i] = V(fma)(held[6 + v], cell, u_2[i]);
            if (u_1)
                u_1[i] = V(fma)(held[3 + v], cell, u_1[i]);
            if (u_0)
                u_0[i] = V(fma)(held[v], cell, u_0[i]);
        }
}

static ALWAYS_INLINE void K(strip_held)(const K(strip) *s, VEC *held) {
    UNROLL for (int tap = 0; tap < 9; tap++)
        held[tap] = V(keep)(V(set)(s->w[tap]));
}

/*
 * Step 1: three rows are in progress, of which those in `done` get their last line. All steps are written out, as a
 * loop that can end between them is one that compilers unroll as far as they may.
 */
static ALWAYS_INLINE void K(strip_down)(const K(strip) *s, const K(strip_kind) kind, int rows) {
    const ptrdiff_t pitch = s->pitch, y_pitch = s->y_pitch;
    const REAL *cells = s->cells;
    REAL *y = s->y;
    VEC held[9], a[2], b[2], c[2];
    K(strip_held)(s, held);
    K(strip_begin)(s, kind.vectors, a);
    K(strip_line)(s, kind, cells, held, a, NULL, NULL);
    cells += pitch;
    K(strip_begin)(s, kind.vectors, b);
    K(strip_line)(s, kind, cells, held, b, a, NULL);
#define ROW(done, next, last) \
    cells += pitch; \
    K(strip_begin)(s, kind.vectors, last); \
    K(strip_line)(s, kind, cells, held, last, next, done); \
    K(strip_end)(s, kind, done, y); \
    PREFETCH(y + 2 * kind.vectors * WIDTH); /* of a strip to come: machines foresee only what lies in rows */ \
    y += y_pitch; \
    if (--rows == 0) \
        return
    for (;;) {
        ROW(a, b, c);
        ROW(b, c, a);
        ROW(c, a, b);
    }
#undef ROW
}

/* Step 2: two rows are. */
static ALWAYS_INLINE void K(strip_down_2)(const K(strip) *s, const K(strip_kind) kind, int rows) {
    const ptrdiff_t pitch = s->pitch, y_pitch = s->y_pitch;
    const REAL *cells = s->cells;
    REAL *y = s->y;
    VEC held[9], a[2], b[2];
    K(strip_held)(s, held);
    K(strip_begin)(s, kind.vectors, a);
    K(strip_line)(s, kind, cells, held, a, NULL, NULL);
#define ROW(done, next) \
    K(strip_line)(s, kind, cells + pitch, held, NULL, done, NULL); \
    cells += 2 * pitch; \
    K(strip_begin)(s, kind.vectors, next); \
    K(strip_line)(s, kind, cells, held, next, NULL, done); \
    K(strip_end)(s, kind, done, y); \
    PREFETCH(y + 2 * kind.vectors * WIDTH); /* of a strip to come: machines foresee only what lies in rows */ \
    y += y_pitch; \
    if (--rows == 0) \
        return
    for (;;) {
        ROW(a, b);
        ROW(b, a);
    }
#undef ROW
}

/* ---- larger filters: a line's cells are loaded once for all rows that read it ----------------------------------- */

static ALWAYS_INLINE void K(strip_tile)(const K(strip) *s, const K(strip_kind) kind, const int rows) {
    const REAL *cells = s->cells, *w = s->w;
    REAL *y = s->y;
    VEC sum[12];
    K(strip_begin)(s, rows * kind.vectors, sum);
    UNROLL for (int t = 0; t < (rows - 1) * kind.step + kind.size; t++) {
        const int first = t < kind.size ? 0 : (t - kind.size) / kind.step + 1;
        const int end = t < (rows - 1) * kind.step ? t / kind.step + 1 : rows;
        REFRESH(w);
        UNROLL for (int v = 0; v < kind.size; v++) {
            VEC cell[3];
            UNROLL for (int i = 0; i < kind.vectors; i++)
                cell[i] = V(keep)(V(load)(cells + K(strip_under)(s, kind, v) + i * s->second));
            UNROLL for (int j = first; j < end; j++) {
                const VEC weight = V(set)(w[(t - j * kind.step) * kind.size + v]);
                UNROLL for (int i = 0; i < kind.vectors; i++)
                    sum[j * kind.vectors + i] = V(fma)(weight, cell[i], sum[j * kind.vectors + i]);
            }
        }
        cells += s->pitch;
        REFRESH(cells);
    }
    UNROLL for (int j = 0; j < rows; j++) {
        K(strip_end)(s, kind, sum + j * kind.vectors, y);
        y += s->y_pitch;
    }
}

/* ---- one vector: each weight is broadcast once for all rows ----------------------------------------------------- */

static ALWAYS_INLINE void K(strip_column)(const K(strip) *s, const K(strip_kind) kind, const int rows) {
    const ptrdiff_t pitch = kind.narrow ? kind.step * K(strip_pitch) : s->pitch;
    const REAL *cells = s->cells, *w = s->w;
    REAL *y = s->y;
    VEC sum[8];
    K(strip_begin)(s, rows, sum);
    for (int u = 0; u < kind.size; u++, w += kind.size, cells += pitch) {
        REFRESH(cells); /* lest cells be kept, for which there are no registers, instead of being loaded again */
        UNROLL for (int v = 0; v < kind.size; v++) {
            const VEC weight = V(keep)(V(set)(w[v]));
            UNROLL for (int j = 0; j < rows; j++)
                sum[j] = V(fma)(weight, V(load)(cells + j * kind.step * pitch + K(strip_under)(s, kind, v)), sum[j]);
        }
    }
    /* In the order of memory: what lanes write beyond a row is overwritten by the next one. */
    if (kind.apart < 0)
        y += (rows - 1) * s->y_pitch;
    UNROLL for (int j = 0; j < rows; j++) {
        K(strip_end)(s, kind, sum + (kind.apart < 0 ? rows - 1 - j : j), y);
        y += kind.apart < 0 ? -s->y_pitch : s->y_pitch;
    }
}
