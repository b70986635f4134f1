/*
 * The stencil kernel, see stencil.h, where registers are few: lines are laid down in a band of the first cache, with
 * what stands beyond their ends, and computed in strips of one or two vectors, for which lines have no ends. It must
 * not know where its lines come from.
 *
 * Parameters: those of stencil_template.h.
 *
 * A copy costs little beside a filter, and saves what 16 registers are too few for: cells that are picked from vectors
 * at the ends, and weights at the same time. And it leaves one kernel for all padding modes, so that the machine can
 * keep its code decoded. What the stencil says of the next plane, `ahead`, is not used: laying brings it nearer.
 */
#include "strip_tile_template.h"

enum {
    K(band_cells) = 3072, /* of all lines */
    K(band_cols) = 128,   /* output columns at a time, at most: wide lines have more */
    K(band_blocks) = 24,  /* of columns, at most */
    K(band_pads) = 64,    /* cells beyond the ends of a line, at most */
    K(band_rows) = 4,     /* output rows at a time, at least, if there are as many */
};

/*
 * What lines of a band are made of: `count` source columns from `from` on, which stand at cell `at`, and cells beyond
 * the ends. At step 2 even columns come first, and the odd ones `half` cells further on.
 */
typedef struct K(band) {
    const cgc_stencil *s;
    int64_t from, count;
    ptrdiff_t at, pitch, half;
    int64_t pads;
    ptrdiff_t pad_at[K(band_pads)];
    int64_t pad_from[K(band_pads)]; /* a source column, or CGC_CONSTANT_COLUMN */
} K(band);

/* The source column that stands at column t, which lies beyond an end. */
static int64_t K(band_source)(const cgc_stencil *s, int64_t t) {
    const cgc_fringe *fringe = s->narrow || t < 0 ? &s->left : &s->right;
    const int64_t i = t - fringe->first;
    const int64_t e = fringe->cells[s->step == 1 ? i : i / 2 + i % 2 * fringe->odd];
    const int64_t column = e < s->lanes ? fringe->a + e
                           : e < 2 * s->lanes ? fringe->b + e - s->lanes : fringe->far + e - 2 * s->lanes;
    return e < 0 || column >= s->width ? CGC_CONSTANT_COLUMN : column;
}

/* Readies a band for output columns col .. col+cols-1; 0 if it cannot be. */
static int K(band_open)(K(band) *b, const cgc_stencil *s, int64_t col, int64_t cols) {
    const int64_t first = s->first + col * s->step, span = (cols - 1) * s->step + (s->kw - 1) * s->dilation_w + 1;
    const int64_t low = first < 0 ? 0 : first, high = first + span < s->width ? first + span : s->width;
    enum { LINE = 64 / sizeof(REAL) }; /* cells of a line of the cache */
    int64_t cells = (cols < WIDTH ? WIDTH : cols) + (s->kw - 1) * s->dilation_w / s->step;
    if (s->step == 2)
        cells += WIDTH; /* a line is cut in vectors, the last of which may be short */
    b->s = s;
    b->from = low;
    b->count = high > low ? high - low : 0;
    b->at = b->count ? low - first : 0;
    b->half = cols <= WIDTH && cells <= K(strip_pitch) ? K(strip_pitch) : (cells + LINE - 1) / LINE * LINE;
    b->pitch = s->step * b->half;
    b->pads = 0;
    if (span - b->count > K(band_pads))
        return 0;
    for (int64_t i = 0; i < span; i++) {
        if (i == b->at)
            i += b->count;
        if (i == span)
            break;
        b->pad_at[b->pads] = s->step == 1 ? i : i / 2 + i % 2 * b->half;
        b->pad_from[b->pads++] = K(band_source)(s, first + i);
    }
    return 1;
}

static void K(band_fill)(REAL *to, int64_t count, REAL value) {
    for (int64_t i = 0; i < count; i += WIDTH)
        V(store)(to + i, V(set)(value));
}

/* Cells to `to`; behind them, up to a vector of constants. */
static ALWAYS_INLINE void K(band_copy)(const REAL *from, const int64_t count, REAL *to, SPAN few, VEC constant) {
    if (count < WIDTH) {
        V(store)(to, V(load_span)(few, from, constant));
        return;
    }
    for (int64_t i = 0; i + WIDTH < count; i += WIDTH)
        V(store)(to + i, V(load)(from + i));
    V(store)(to + count - WIDTH, V(load)(from + count - WIDTH));
}

/* Cells by turns to `even` and to `odd`; behind them, up to a vector of constants. */
static ALWAYS_INLINE void K(band_split)(const REAL *from, const int64_t count, REAL *even, REAL *odd, SPAN few,
                                        SPAN more, VEC constant) {
    int64_t i = 0;
    for (; i + 2 * WIDTH <= count; i += 2 * WIDTH) {
        const VEC a = V(load)(from + i), b = V(load)(from + i + WIDTH);
        V(store)(even + i / 2, V(even)(a, b));
        V(store)(odd + i / 2, V(odd)(a, b));
    }
    if (i == count)
        return;
    const VEC a = V(load_span)(few, from + i, constant), b = V(load_span)(more, from + i + WIDTH, constant);
    V(store)(even + i / 2, V(even)(a, b));
    V(store)(odd + i / 2, V(odd)(a, b));
}

/* Lays `count` lines of a plane, none of constants, with the cells beyond their ends if `pads`. */
static ALWAYS_INLINE void K(band_lay_lines)(const K(band) *b, const int step, const REAL *x, const ptrdiff_t *lines,
                                            int64_t count, ptrdiff_t apart, int pads, REAL *to) {
    const int64_t cells = b->count, over = step == 1 ? cells : cells % (2 * WIDTH);
    const ptrdiff_t pitch = b->pitch, at = b->at, half = b->half;
    const REAL constant = (REAL)b->s->constant;
    const VEC beyond = V(set)(constant);
    const SPAN few = V(between)(0, over), more = V(between)(0, over - WIDTH);
    REAL *even = to + (step == 1 ? at : at / 2 + at % 2 * half), *odd = to + (at + 1) / 2 + (at + 1) % 2 * half;
    x += b->from;
    for (int64_t t = 0; t < count; t++, lines += apart, even += pitch, odd += pitch) {
        if (step == 1)
            K(band_copy)(x + *lines, cells, even, few, beyond);
        else
            K(band_split)(x + *lines, cells, even, odd, few, more, beyond);
        if (pads) {
            const REAL *line = x - b->from + *lines;
            for (int64_t i = 0; i < b->pads; i++)
                to[t * pitch + b->pad_at[i]] = b->pad_from[i] == CGC_CONSTANT_COLUMN ? constant : line[b->pad_from[i]];
        }
    }
}

/* Lays `count` lines of a plane; those of constants if `constants`, else they are there already. */
static void K(band_lay)(const K(band) *b, const REAL *x, const ptrdiff_t *lines, int64_t count, int pads,
                        int constants, REAL *to) {
    const ptrdiff_t apart = b->s->dilation_h;
    for (int64_t t = 0, end; t < count; t = end) {
        const int constant = lines[t * apart] == CGC_CONSTANT_LINE;
        REAL *at = to + t * b->pitch;
        end = t + 1;
        while (end < count && (lines[end * apart] == CGC_CONSTANT_LINE) == constant)
            end++;
        if (!constant && b->s->step == 1)
            K(band_lay_lines)(b, 1, x, lines + t * apart, end - t, apart, pads, at);
        else if (!constant)
            K(band_lay_lines)(b, 2, x, lines + t * apart, end - t, apart, pads, at);
        else if (constants)
            K(band_fill)(at, (end - t) * b->pitch, (REAL)b->s->constant);
    }
}

/* ---- the kernels: they work on a copy of what they are told, which no store to y can change ---------------------- */

typedef void K(strip_fn)(const K(strip) *s, int rows);

#define DOWN(name, step, down, vectors) \
    static void K(name)(const K(strip) *strip, int rows) { \
        const K(strip) s = *strip; \
        K(down)(&s, (K(strip_kind)){3, step, 0, vectors, 0}, rows); \
    }
DOWN(strip_3_1_1, 1, strip_down, 1)
DOWN(strip_3_1_2, 1, strip_down, 2)
DOWN(strip_3_2_1, 2, strip_down_2, 1)
DOWN(strip_3_2_2, 2, strip_down_2, 2)
#undef DOWN

#define TILE(name, size, step, apart, vectors) \
    static void K(name)(const K(strip) *strip, int rows) { \
        const K(strip) s = *strip; \
        const K(strip_kind) kind = {size, step, apart, vectors, 0}; \
        switch (rows) { \
        case 1: K(strip_tile)(&s, kind, 1); break; \
        case 2: K(strip_tile)(&s, kind, 2); break; \
        case 3: K(strip_tile)(&s, kind, 3); break; \
        case 4: K(strip_tile)(&s, kind, 4); break; \
        default: K(strip_tile)(&s, kind, 5); break; \
        } \
    }
TILE(strip_5_1_1, 5, 1, 1, 1)
TILE(strip_5_1_2, 5, 1, 1, 2)
TILE(strip_5_1_1_mirrored, 5, 1, -1, 1)
TILE(strip_5_1_2_mirrored, 5, 1, -1, 2)
TILE(strip_7_1_1, 7, 1, 1, 1)
TILE(strip_7_1_2, 7, 1, 1, 2)
TILE(strip_7_1_1_mirrored, 7, 1, -1, 1)
TILE(strip_7_1_2_mirrored, 7, 1, -1, 2)
TILE(strip_5_2_1, 5, 2, 0, 1)
TILE(strip_5_2_2, 5, 2, 0, 2)
#undef TILE

#define NARROW(name, size, step, apart) \
    static void K(name)(const K(strip) *strip, int rows) { \
        const K(strip) s = *strip; \
        const K(strip_kind) kind = {size, step, apart, 1, 1}; \
        switch (rows) { \
        case 1: K(strip_narrow)(&s, kind, 1); break; \
        case 2: K(strip_narrow)(&s, kind, 2); break; \
        case 3: K(strip_narrow)(&s, kind, 3); break; \
        case 4: K(strip_narrow)(&s, kind, 4); break; \
        case 5: K(strip_narrow)(&s, kind, 5); break; \
        case 6: K(strip_narrow)(&s, kind, 6); break; \
        case 7: K(strip_narrow)(&s, kind, 7); break; \
        default: K(strip_narrow)(&s, kind, 8); break; \
        } \
    }
NARROW(strip_5_narrow, 5, 1, 1)
NARROW(strip_7_narrow, 7, 1, 1)
NARROW(strip_5_narrow_mirrored, 5, 1, -1)
NARROW(strip_7_narrow_mirrored, 7, 1, -1)
NARROW(strip_3_2_narrow, 3, 2, K(strip_pitch))
NARROW(strip_5_2_narrow, 5, 2, K(strip_pitch))
#undef NARROW

/* The kernels of a filter: of one vector, of two, and of one that is narrow, if any; and the most rows they take. */
typedef struct K(strip_filter) {
    int size, step, mirrored;
    K(strip_fn) *run[3];
    int rows, narrow_rows;
} K(strip_filter);

static const K(strip_filter) *K(strip_filter_of)(const cgc_stencil *s) {
    static const K(strip_filter) filters[] = {
        {3, 1, 0, {K(strip_3_1_1), K(strip_3_1_2), NULL}, K(band_cells), 0},
        {3, 1, 1, {K(strip_3_1_1), K(strip_3_1_2), NULL}, K(band_cells), 0},
        {3, 2, 0, {K(strip_3_2_1), K(strip_3_2_2), K(strip_3_2_narrow)}, K(band_cells), 8},
        {5, 1, 0, {K(strip_5_1_1), K(strip_5_1_2), K(strip_5_narrow)}, 5, 8},
        {5, 1, 1, {K(strip_5_1_1_mirrored), K(strip_5_1_2_mirrored), K(strip_5_narrow_mirrored)}, 5, 8},
        {5, 2, 0, {K(strip_5_2_1), K(strip_5_2_2), K(strip_5_2_narrow)}, 5, 8},
        {7, 1, 0, {K(strip_7_1_1), K(strip_7_1_2), K(strip_7_narrow)}, 5, 8},
        {7, 1, 1, {K(strip_7_1_1_mirrored), K(strip_7_1_2_mirrored), K(strip_7_narrow_mirrored)}, 5, 8},
    };
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++)
        if (filters[i].size == s->kh && filters[i].size == s->kw && filters[i].step == s->step &&
            filters[i].mirrored == (s->mirrored != 0))
            return &filters[i];
    return NULL;
}

/* `rows` rows of `cols` columns, which begin at `cells` and `y`. */
static void K(strip_across)(const K(strip_filter) *filter, K(strip) *s, int64_t cols, const REAL *cells, REAL *y,
                            int rows) {
    enum { SINGLE, PAIR, NARROW };
    for (int64_t p = 0, now; p < cols; p += now) {
        const int shape = cols <= WIDTH ? NARROW : cols - p > WIDTH ? PAIR : SINGLE;
        now = cols - p < 2 * WIDTH ? cols - p : 2 * WIDTH;
        const int64_t from = shape == SINGLE ? cols - WIDTH : p; /* a part of a vector is moved back */
        s->second = shape == PAIR ? now - WIDTH : 0;
        s->cols = now;
        s->cells = cells + from;
        s->y = y + from;
        filter->run[shape](s, rows);
    }
}

/* The same of any number of rows, cut evenly. */
static void K(strip_all)(const K(strip_filter) *filter, K(strip) *s, int64_t cols, const REAL *cells, REAL *y,
                         int64_t rows) {
    const int most = cols <= WIDTH ? filter->narrow_rows : filter->rows;
    int left = (int)rows;
    for (int tiles = (left + most - 1) / most; tiles > 0; tiles--) {
        const int now = tiles == 1 ? left : left / tiles;
        K(strip_across)(filter, s, cols, cells, y, now);
        left -= now;
        cells += now * s->down;
        y += now * s->y_pitch;
    }
}

/* ---- planes ----------------------------------------------------------------------------------------------------- */

/*
 * How planes are cut: in rows that share lines, bands of rows, and blocks of columns, block k from column start[k] on.
 * If a plane is not cut, the constants around it are those around the next one.
 */
typedef struct K(strip_cuts) {
    int64_t classes, rows, blocks;
    int64_t start[K(band_blocks) + 1];
    int whole;
} K(strip_cuts);

/* Cuts columns so that ends of wide lines are blocks of their own: what lies between need not be copied. */
static int K(strip_cut_columns)(const cgc_stencil *s, K(strip_cuts) *cut) {
    int64_t k = 0, at = 0;
    if (s->cols > K(band_cols)) {
        const int64_t last = 2 * WIDTH + s->cols % (2 * WIDTH);
        if (s->first < 0) {
            cut->start[k++] = 0;
            at = 2 * WIDTH;
        }
        for (; at < s->cols - last && k < K(band_blocks) - 1; at += K(band_cols))
            cut->start[k++] = at;
        at = s->cols - last;
    }
    cut->start[k++] = at;
    cut->blocks = k;
    cut->start[k] = s->cols;
    return k < K(band_blocks);
}

/* Whether the filter is one of those above, and planes can be cut. */
static int K(strip_serves)(const cgc_stencil *s, const K(strip_filter) *filter, K(strip_cuts) *cut, K(band) *b) {
    const int dense = s->dilation_h == 1 && s->dilation_w == 1;
    int64_t lines = K(band_cells);
    if (!filter || s->from || (!dense && s->kh != 3) || (s->cols <= WIDTH && !filter->run[2]) ||
        !K(strip_cut_columns)(s, cut))
        return 0;
    for (int64_t k = 0; k < cut->blocks; k++) {
        if (!K(band_open)(b, s, cut->start[k], cut->start[k + 1] - cut->start[k]))
            return 0;
        if (K(band_cells) / b->pitch < lines)
            lines = K(band_cells) / b->pitch;
    }
    cut->classes = s->dilation_h < s->rows ? s->dilation_h : s->rows;
    cut->rows = (lines - s->kh) / s->step + 1;
    cut->whole = cut->classes == 1 && cut->blocks == 1 && s->rows <= cut->rows;
    return lines >= s->kh && (cut->rows >= s->rows || cut->rows >= K(band_rows));
}

/* Whether a block can be read where it stands: then the lines, `count` of them, are a pitch apart. */
static int K(strip_in_place)(const K(band) *b, const ptrdiff_t *lines, int64_t count) {
    const ptrdiff_t apart = b->s->dilation_h, pitch = lines[apart] - lines[0];
    if (b->s->step == 2 || b->pads > 0 || b->s->cols <= K(band_cols) || lines[0] == CGC_CONSTANT_LINE)
        return 0;
    for (int64_t t = 1; t < count; t++)
        if (lines[t * apart] == CGC_CONSTANT_LINE || lines[t * apart] - lines[(t - 1) * apart] != pitch)
            return 0;
    return 1;
}

/* `rows` rows of a block of columns, for all filters. */
static void K(strip_rows)(const K(strip_filter) *filter, const K(band) *b, const REAL *x, const ptrdiff_t *lines,
                          int64_t rows, int64_t cols, K(strip) *strip, const REAL *w, const REAL *bias, REAL *y,
                          int pads, int constants, REAL *band) {
    const cgc_stencil *s = b->s;
    const int64_t count = (rows - 1) * s->step + s->kh;
    const REAL *cells = band;
    strip->pitch = b->pitch;
    if (K(strip_in_place)(b, lines, count)) {
        cells = x + lines[0] + b->from;
        strip->pitch = lines[s->dilation_h] - lines[0];
    } else {
        K(band_lay)(b, x, lines, count, pads, constants, band);
    }
    if (s->mirrored)
        cells += (s->kw - 1) * s->dilation_w;
    strip->down = s->step * strip->pitch;
    strip->apart = s->step == 2 ? b->half : s->mirrored ? -s->dilation_w : s->dilation_w;
    for (int64_t f = 0; f < s->filters; f++) {
        strip->w = w + f * s->w_filter;
        strip->bias = bias ? bias[f] : 0;
        K(strip_all)(filter, strip, cols, cells, y + f * s->y_plane, rows);
    }
}

/* All output planes, if they can be served. */
static int K(strip_planes)(const cgc_stencil *s) {
    _Alignas(64) REAL cells[K(band_cells) + WIDTH]; /* a short line is laid by a whole vector */
    const K(strip_filter) *filter = K(strip_filter_of)(s);
    K(strip_cuts) cut;
    K(band) b;
    if (!K(strip_serves)(s, filter, &cut, &b))
        return 0;
    K(band_fill)(cells, K(band_cells), (REAL)s->constant);
    int pads = cut.blocks > 1;
    for (int64_t i = 0; i < b.pads; i++)
        pads |= b.pad_from[i] != CGC_CONSTANT_COLUMN;
    K(strip) strip = {.y_pitch = s->dilation_h * s->y_pitch, .lo = (REAL)s->lo, .hi = (REAL)s->hi};
    strip.clamped = s->lo > -HUGE_VAL || s->hi < HUGE_VAL;
    for (int64_t p = 0; p < s->planes; p++) {
        const REAL *x = (const REAL *)s->x + p * s->x_plane, *w = (const REAL *)s->w + p * s->filters * s->w_filter;
        const REAL *bias = s->bias ? (const REAL *)s->bias + p * s->filters : NULL;
        REAL *y = (REAL *)s->y + p * s->filters * s->y_plane;
        if (cut.whole) {
            K(strip_rows)(filter, &b, x, s->lines, s->rows, s->cols, &strip, w, bias, y, pads, p == 0, cells);
            continue;
        }
        for (int64_t first = 0; first < cut.classes; first++) {
            const int64_t rows = s->rows / s->dilation_h + (first < s->rows % s->dilation_h);
            const int64_t bands = (rows + cut.rows - 1) / cut.rows;
            for (int64_t k = 0, r = 0, end; k < bands; k++, r = end) {
                end = rows * (k + 1) / bands;
                for (int64_t block = 0; block < cut.blocks; block++) {
                    const int64_t col = cut.start[block], cols = cut.start[block + 1] - col;
                    if (cut.blocks > 1)
                        K(band_open)(&b, s, col, cols);
                    K(strip_rows)(filter, &b, x, s->lines + first + r * s->step * s->dilation_h, end - r, cols, &strip,
                                  w, bias, y + first * s->y_pitch + r * strip.y_pitch + col, pads, 1, cells);
                }
            }
        }
    }
    return 1;
}
