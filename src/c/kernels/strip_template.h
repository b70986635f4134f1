/*
 * The stencil kernel, see stencil.h, where registers are few: lines are laid down in a band of the first cache, with
 * what stands beyond their ends, and computed in strips of one or two vectors, for which lines have no ends. It must
 * not know where its lines come from.
 *
 * Parameters: those of stencil_template.h.
 *
 * A copy costs little beside a large filter, and saves what 16 registers are too few for: cells that are picked from
 * vectors at the ends, and weights at the same time. And it leaves one kernel for all padding modes, so that machines
 * can keep its code decoded. It costs too much beside 3 x 3 filters, see strip_place_template.h, of which only unusual
 * ones come here (outputs that stand in the padding, say), and at step 2, see strip_woven_template.h. What the stencil
 * says of the next plane, `ahead`, is not used: tiles call for what is laid next, if it is far.
 */
#include "strip_band_template.h"
#include "strip_place_template.h"
#include "strip_woven_template.h"
#include "strip_tile_template.h"

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
        default: K(strip_tile)(&s, kind, vectors == 3 ? 4 : 5); break; \
        } \
    }
TILE(strip_5_1_2, 5, 1, 1, 2)
TILE(strip_5_1_3, 5, 1, 1, 3)
TILE(strip_5_1_2_mirrored, 5, 1, -1, 2)
TILE(strip_5_1_3_mirrored, 5, 1, -1, 3)
TILE(strip_7_1_2, 7, 1, 1, 2)
TILE(strip_7_1_3, 7, 1, 1, 3)
TILE(strip_7_1_2_mirrored, 7, 1, -1, 2)
TILE(strip_7_1_3_mirrored, 7, 1, -1, 3)
TILE(strip_5_2_1, 5, 2, 0, 1)
TILE(strip_5_2_2, 5, 2, 0, 2)
#undef TILE

/* Only of narrow vectors there are more than five rows. */
#define COLUMN(name, size, step, apart, narrow) \
    static void K(name)(const K(strip) *strip, int rows) { \
        const K(strip) s = *strip; \
        const K(strip_kind) kind = {size, step, apart, 1, narrow}; \
        switch (rows) { \
        case 1: K(strip_column)(&s, kind, 1); break; \
        case 2: K(strip_column)(&s, kind, 2); break; \
        case 3: K(strip_column)(&s, kind, 3); break; \
        case 4: K(strip_column)(&s, kind, 4); break; \
        case 5: K(strip_column)(&s, kind, 5); break; \
        default: \
            if (narrow && rows == 6) \
                K(strip_column)(&s, kind, 6); \
            else if (narrow && rows == 7) \
                K(strip_column)(&s, kind, 7); \
            else if (narrow) \
                K(strip_column)(&s, kind, 8); \
            break; \
        } \
    }
COLUMN(strip_5_1_1, 5, 1, 1, 0)
COLUMN(strip_7_1_1, 7, 1, 1, 0)
COLUMN(strip_5_1_1_mirrored, 5, 1, -1, 0)
COLUMN(strip_7_1_1_mirrored, 7, 1, -1, 0)
COLUMN(strip_3_narrow, 3, 1, 1, 1)
COLUMN(strip_3_narrow_mirrored, 3, 1, -1, 1)
COLUMN(strip_5_narrow, 5, 1, 1, 1)
COLUMN(strip_7_narrow, 7, 1, 1, 1)
COLUMN(strip_5_narrow_mirrored, 5, 1, -1, 1)
COLUMN(strip_7_narrow_mirrored, 7, 1, -1, 1)
COLUMN(strip_3_2_narrow, 3, 2, K(strip_pitch), 1)
COLUMN(strip_5_2_narrow, 5, 2, K(strip_pitch), 1)
#undef COLUMN

/* A filter's kernels: of a vector that is narrow, of one, of two, and of three, if any; the most rows of each. */
enum { K(narrow), K(single), K(pair), K(triple), K(shapes) };
typedef struct K(strip_filter) {
    int size, step, mirrored;
    K(strip_fn) *run[K(shapes)];
    int rows[K(shapes)];
} K(strip_filter);

static const K(strip_filter) *K(strip_filter_of)(const cgc_stencil *s) {
    enum { ALL = K(band_cells) };
    static const K(strip_filter) filters[] = {
        {3, 1, 0, {K(strip_3_narrow), K(strip_3_1_1), K(strip_3_1_2), NULL}, {8, ALL, ALL, 0}},
        {3, 1, 1, {K(strip_3_narrow_mirrored), K(strip_3_1_1), K(strip_3_1_2), NULL}, {8, ALL, ALL, 0}},
        {3, 2, 0, {K(strip_3_2_narrow), K(strip_3_2_1), K(strip_3_2_2), NULL}, {8, ALL, ALL, 0}},
        {5, 1, 0, {K(strip_5_narrow), K(strip_5_1_1), K(strip_5_1_2), K(strip_5_1_3)}, {8, 5, 5, 4}},
        {5, 1, 1, {K(strip_5_narrow_mirrored), K(strip_5_1_1_mirrored), K(strip_5_1_2_mirrored),
                   K(strip_5_1_3_mirrored)}, {8, 5, 5, 4}},
        {5, 2, 0, {K(strip_5_2_narrow), K(strip_5_2_1), K(strip_5_2_2), NULL}, {8, 5, 5, 0}},
        {7, 1, 0, {K(strip_7_narrow), K(strip_7_1_1), K(strip_7_1_2), K(strip_7_1_3)}, {8, 5, 5, 4}},
        {7, 1, 1, {K(strip_7_narrow_mirrored), K(strip_7_1_1_mirrored), K(strip_7_1_2_mirrored),
                   K(strip_7_1_3_mirrored)}, {8, 5, 5, 4}},
    };
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++)
        if (filters[i].size == s->kh && filters[i].size == s->kw && filters[i].step == s->step &&
            filters[i].mirrored == (s->mirrored != 0))
            return &filters[i];
    return NULL;
}

/* Calls for as many cells to come as a tile of so many vectors writes. */
static ALWAYS_INLINE void K(strip_call)(K(strip) *s, int vectors) {
    if (s->ahead_next == 0)
        return;
    for (int cells = vectors * WIDTH; cells > 0; cells -= K(line_cells)) {
        PREFETCH(s->ahead);
        s->ahead += s->ahead_next;
    }
}

/* `rows` rows of `cols` columns, which begin at `cells` and `y`; in blocks of `widest` vectors, or less. */
static ALWAYS_INLINE void K(strip_across)(const K(strip_filter) *filter, K(strip) *s, const int widest, int64_t cols,
                                          const REAL *cells, REAL *y, int rows) {
    if (cols <= 2 * WIDTH) {
        s->second = cols - WIDTH;
        s->cells = cells;
        s->y = y;
        K(strip_call)(s, rows * 2);
        filter->run[widest](s, rows);
        return;
    }
    for (int64_t p = 0, left = cols; left > 0; left = cols - p) {
        const int shape = left <= WIDTH ? K(single) : left <= 2 * WIDTH ? K(pair) : widest;
        const int64_t width = shape * WIDTH;
        const int64_t from = left < width && shape != K(pair) ? cols - width : p; /* a part of one is moved back */
        s->second = left < width && shape == K(pair) ? left - WIDTH : WIDTH;
        s->cells = cells + from;
        s->y = y + from;
        K(strip_call)(s, rows * shape);
        filter->run[shape](s, rows);
        p += width;
    }
}

/* The same of any number of rows, cut evenly. */
static ALWAYS_INLINE void K(strip_all)(const K(strip_filter) *filter, K(strip) *s, int64_t cols, const REAL *cells,
                                       REAL *y, int64_t rows) {
    /* Of four vectors two pairs are less work than three and one; and less than three have no room to be moved back. */
    const int threes = filter->run[K(triple)] && (cols == 3 * WIDTH || cols > 4 * WIDTH);
    const int widest = cols <= WIDTH ? K(narrow) : threes ? K(triple) : K(pair), most = filter->rows[widest];
    int left = (int)rows;
    for (int tiles = left <= most ? 1 : (left + most - 1) / most; tiles > 1; tiles--) {
        const int now = left / tiles;
        K(strip_across)(filter, s, widest, cols, cells, y, now);
        left -= now;
        cells += now * s->down;
        y += now * s->y_pitch;
    }
    K(strip_across)(filter, s, widest, cols, cells, y, left);
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
    int64_t low, high; /* the lines that are no constants, of a whole plane */
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
    if (!filter || s->from || (!dense && s->kh != 3) || (s->cols <= WIDTH && !dense) ||
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
    cut->whole = s->dilation_h == 1 && cut->blocks == 1 && s->rows <= cut->rows;
    cut->low = 0, cut->high = (s->rows - 1) * s->step + s->kh;
    while (cut->whole && cut->low < cut->high && s->lines[cut->low] == CGC_CONSTANT_LINE)
        cut->low++;
    while (cut->whole && cut->high > cut->low && s->lines[cut->high - 1] == CGC_CONSTANT_LINE)
        cut->high--;
    for (int64_t t = cut->low; t < cut->high; t++)
        cut->whole &= s->lines[t] != CGC_CONSTANT_LINE;
    return lines >= s->kh && (cut->rows >= s->rows || cut->rows >= K(band_rows));
}

/* Whether a block can be read where it stands: then the lines, `count` of them, are a pitch apart. */
static int K(strip_in_place)(const K(band) *b, const ptrdiff_t *lines, int64_t count) {
    const ptrdiff_t apart = b->s->dilation_h;
    if (b->s->step == 2 || b->pads > 0 || b->s->cols <= K(band_cols) || lines[0] == CGC_CONSTANT_LINE ||
        lines[apart] == CGC_CONSTANT_LINE)
        return 0;
    const ptrdiff_t pitch = lines[apart] - lines[0];
    for (int64_t t = 1; t < count; t++)
        if (lines[t * apart] == CGC_CONSTANT_LINE || lines[t * apart] - lines[(t - 1) * apart] != pitch)
            return 0;
    return 1;
}

/* Where the source, the weights ... of a plane are. */
typedef struct K(strip_plane) {
    const REAL *x, *w, *bias;
    REAL *y;
} K(strip_plane);

static ALWAYS_INLINE K(strip_plane) K(strip_plane_at)(const cgc_stencil *s, int64_t p) {
    return (K(strip_plane)){
        (const REAL *)s->x + p * s->x_plane, (const REAL *)s->w + p * s->filters * s->w_filter,
        s->bias ? (const REAL *)s->bias + p * s->filters : NULL, (REAL *)s->y + p * s->filters * s->y_plane,
    };
}

/* `rows` rows of a block of columns, from `y` on, for all filters: of lines a pitch apart. */
static ALWAYS_INLINE void K(strip_rows)(const K(strip_filter) *filter, const K(band) *b, const K(strip_plane) *plane,
                                        const REAL *cells, ptrdiff_t pitch, int64_t rows, int64_t cols,
                                        K(strip) *strip, REAL *y) {
    const cgc_stencil *s = b->s;
    if (s->mirrored)
        cells += (s->kw - 1) * s->dilation_w;
    strip->pitch = pitch;
    strip->down = s->step * pitch;
    strip->apart = s->step == 2 ? b->half : s->mirrored ? -s->dilation_w : s->dilation_w;
    for (int64_t f = 0; f < s->filters; f++) {
        strip->w = plane->w + f * s->w_filter;
        strip->bias = plane->bias ? plane->bias[f] : 0;
        K(strip_all)(filter, strip, cols, cells, y + f * s->y_plane, rows);
    }
}

/* If sources are far, cells of plane p from line `line` on are called for from now on. */
static ALWAYS_INLINE void K(strip_foresee)(const cgc_stencil *s, int64_t p, int64_t line, K(strip) *strip) {
    if (!s->far)
        return;
    const ptrdiff_t from = s->lines[line];
    strip->ahead_next = 0;
    if (from == CGC_CONSTANT_LINE)
        return;
    strip->ahead = (const REAL *)s->x + p * s->x_plane + from + (s->mirrored ? s->width - 1 : 0);
    strip->ahead_next = s->mirrored ? -K(line_cells) : K(line_cells);
}

/*
 * All output planes, each of which is one band. While one is computed the next one is laid, if a band has room for
 * both: cells that were stored by parts cannot be loaded across them before they are in the cache. What narrow rows
 * write beyond their ends is overwritten later, see strip_place_template.h; so planes come in the order of memory.
 */
static void K(strip_whole)(const K(strip_filter) *filter, const K(band) *b, const K(strip_cuts) *cut, K(strip) *strip,
                           int pads, REAL *band) {
    const cgc_stencil *s = b->s;
    const int64_t cols = s->cols, count = (s->rows - 1) * s->step + s->kh, size = count * b->pitch;
    const int64_t exact = s->rows <= filter->rows[K(narrow)] ? K(place_exact)(s) : s->planes;
    const int ahead = 2 * size <= K(band_cells);
    REAL *now = band, *next = band + (ahead ? size : 0);
    for (int64_t i = -ahead; i < s->planes; i++) {
        if (i + ahead < s->planes) {
            const int64_t p = s->mirrored ? s->planes - 1 - i - ahead : i + ahead;
            K(band_lay)(b, (const REAL *)s->x + p * s->x_plane, s->lines + cut->low, cut->high - cut->low, pads,
                        next + cut->low * b->pitch);
        }
        if (i >= 0) {
            const int64_t after = K(least)(i + ahead + 1, s->planes - 1);
            K(strip_foresee)(s, s->mirrored ? s->planes - 1 - after : after, K(least)(cut->low, count - 1), strip);
            const K(strip_plane) plane = K(strip_plane_at)(s, s->mirrored ? s->planes - 1 - i : i);
            strip->cols = i < s->planes - exact ? WIDTH : cols;
            K(strip_rows)(filter, b, &plane, now, b->pitch, s->rows, cols, strip, plane.y);
        }
        REAL *last = now;
        now = next, next = last;
    }
}

/* A band of a block of columns. */
static void K(strip_part)(const K(strip_filter) *filter, const K(band) *b, const K(strip_plane) *plane,
                          const ptrdiff_t *lines, int64_t rows, int64_t cols, K(strip) *strip, REAL *y, int pads,
                          REAL *band) {
    const int64_t count = (rows - 1) * b->s->step + b->s->kh;
    const REAL *cells = band;
    ptrdiff_t pitch = b->pitch;
    if (K(strip_in_place)(b, lines, count)) {
        cells = plane->x + lines[0] + b->from;
        pitch = lines[b->s->dilation_h] - lines[0];
    } else {
        K(band_lay_any)(b, plane->x, lines, count, pads, band);
    }
    strip->cols = cols;
    K(strip_rows)(filter, b, plane, cells, pitch, rows, cols, strip, y);
}

/* All output planes, if they can be served. */
static int K(strip_planes)(const cgc_stencil *s) {
    _Alignas(64) REAL cells[K(band_cells) + WIDTH]; /* a short line is laid by a whole vector */
    const K(strip_filter) *filter = K(strip_filter_of)(s);
    K(strip_cuts) cut;
    K(band) b;
    if (K(place_planes)(s) || K(woven_planes)(s))
        return 1;
    if (!K(strip_serves)(s, filter, &cut, &b))
        return 0;
    K(band_fill)(cells, K(band_cells), (REAL)s->constant);
    int pads = cut.blocks > 1;
    for (int64_t i = 0; i < b.pads; i++)
        pads |= b.pad_from[i] != CGC_CONSTANT_COLUMN;
    K(strip) strip = {.y_pitch = s->dilation_h * s->y_pitch, .lo = (REAL)s->lo, .hi = (REAL)s->hi};
    strip.clamped = s->lo > -HUGE_VAL || s->hi < HUGE_VAL;
    if (cut.whole) {
        K(strip_whole)(filter, &b, &cut, &strip, pads, cells);
        return 1;
    }
    for (int64_t p = 0; p < s->planes; p++) {
        const K(strip_plane) plane = K(strip_plane_at)(s, p);
        for (int64_t first = 0; first < cut.classes; first++) {
            const int64_t rows = s->rows / s->dilation_h + (first < s->rows % s->dilation_h);
            const int64_t bands = (rows + cut.rows - 1) / cut.rows;
            for (int64_t k = 0, r = 0, end; k < bands; k++, r = end) {
                end = rows * (k + 1) / bands;
                const int64_t next = k + 1 < bands ? first + end * s->step * s->dilation_h : 0;
                K(strip_foresee)(s, k + 1 < bands ? p : K(least)(p + 1, s->planes - 1),
                                 next + s->kh / 2 * s->dilation_h, &strip);
                for (int64_t block = 0; block < cut.blocks; block++) {
                    const int64_t col = cut.start[block], cols = cut.start[block + 1] - col;
                    if (cut.blocks > 1)
                        K(band_open)(&b, s, col, cols);
                    K(strip_part)(filter, &b, &plane, s->lines + first + r * s->step * s->dilation_h, end - r, cols,
                                  &strip, plane.y + first * s->y_pitch + r * strip.y_pitch + col, pads, cells);
                }
            }
        }
    }
    return 1;
}
