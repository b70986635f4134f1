/*
 * A band of padded lines in the first cache, see strip_template.h: how lines of the source are laid down in it, with
 * what stands beyond their ends. It must not know what is computed from them.
 *
 * Parameters: those of stencil_template.h.
 */

enum {
    K(band_cells) = 3072, /* of all lines */
    K(band_cols) = 128,   /* output columns at a time, at most: wide lines have more */
    K(band_blocks) = 24,  /* of columns, at most */
    K(band_pads) = 64,    /* cells beyond the ends of a line, at most */
    K(band_rows) = 4,     /* output rows at a time, at least, if there are as many */
    K(line_cells) = CGC_LINE_BYTES / sizeof(REAL), /* of a line of the cache */
    K(strip_pitch) = 4 * WIDTH, /* of narrow lines; at step 2 of each half of them */
};

/*
 * What lines of a band are made of: `count` source columns from `from` on, which stand at cell `at`, and cells beyond
 * the ends. At step 2 even columns come first, and the odd ones `half` cells further on.
 */
typedef struct K(band) {
    const cgc_stencil *s;
    int64_t from, count;
    ptrdiff_t at, pitch, half;
    ptrdiff_t even, odd; /* cells of a line where what is laid begins */
    SPAN few, more;      /* of its last vectors, the lanes that are laid */
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
    int64_t cells = (cols < WIDTH ? WIDTH : cols) + (s->kw - 1) * s->dilation_w / s->step;
    if (s->step == 2)
        cells += WIDTH; /* a line is cut in vectors, the last of which may be short */
    b->s = s;
    b->from = low;
    b->count = high > low ? high - low : 0;
    b->at = b->count ? low - first : 0;
    const int64_t lines = (cells + K(line_cells) - 1) / K(line_cells);
    b->half = cols <= WIDTH && cells <= K(strip_pitch) ? K(strip_pitch) : lines * K(line_cells);
    b->pitch = s->step * b->half;
    b->even = s->step == 1 ? b->at : b->at / 2 + b->at % 2 * b->half;
    b->odd = (b->at + 1) / 2 + (b->at + 1) % 2 * b->half;
    b->few = V(between)(0, b->count % (s->step * WIDTH));
    b->more = V(between)(0, b->count % (s->step * WIDTH) - WIDTH);
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

static ALWAYS_INLINE void K(band_copy)(const REAL *from, const int64_t count, REAL *to) {
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

/* Lays `count` lines of a plane, none of constants. */
static void K(band_lay_lines)(const K(band) *b, const REAL *x, const ptrdiff_t *lines, int64_t count, REAL *to) {
    const int64_t cells = b->count;
    ptrdiff_t pitch = b->pitch, apart = b->s->dilation_h;
    const VEC beyond = V(set)((REAL)b->s->constant);
    const SPAN few = b->few, more = b->more;
    REAL *even = to + b->even, *odd = to + b->odd;
    x += b->from;
    if (b->s->mirrored && apart == 1) { /* in the order of memory, which machines foresee */
        even += (count - 1) * pitch;
        lines += (count - 1) * apart;
        pitch = -pitch, apart = -apart;
    }
    if (b->s->step == 2)
        for (; count > 0; count--, lines += apart, even += pitch, odd += pitch)
            K(band_split)(x + *lines, cells, even, odd, few, more, beyond);
    else if (cells < WIDTH)
        for (; count > 0; count--, lines += apart, even += pitch)
            V(store)(even, V(load_span)(few, x + *lines, beyond));
    else if (cells <= 2 * WIDTH)
        for (; count > 0; count--, lines += apart, even += pitch) {
            const REAL *from = x + *lines;
            V(store)(even, V(load)(from));
            V(store)(even + cells - WIDTH, V(load)(from + cells - WIDTH));
        }
    else
        for (; count > 0; count--, lines += apart, even += pitch)
            K(band_copy)(x + *lines, cells, even);
}

/* The cells beyond the ends of these lines. */
static void K(band_lay_ends)(const K(band) *b, const REAL *x, const ptrdiff_t *lines, int64_t count, REAL *to) {
    const REAL constant = (REAL)b->s->constant;
    for (int64_t t = 0; t < count; t++, lines += b->s->dilation_h, to += b->pitch)
        for (int64_t i = 0; i < b->pads; i++)
            to[b->pad_at[i]] = b->pad_from[i] == CGC_CONSTANT_COLUMN ? constant : x[*lines + b->pad_from[i]];
}

/* Lays `count` lines of a plane, none of constants, with what stands beyond their ends if `pads`. */
static void K(band_lay)(const K(band) *b, const REAL *x, const ptrdiff_t *lines, int64_t count, int pads, REAL *to) {
    K(band_lay_lines)(b, x, lines, count, to);
    if (pads)
        K(band_lay_ends)(b, x, lines, count, to);
}

/* The same of any lines. */
static void K(band_lay_any)(const K(band) *b, const REAL *x, const ptrdiff_t *lines, int64_t count, int pads,
                            REAL *to) {
    const ptrdiff_t apart = b->s->dilation_h;
    for (int64_t t = 0, end; t < count; t = end) {
        const int constant = lines[t * apart] == CGC_CONSTANT_LINE;
        REAL *at = to + t * b->pitch;
        end = t + 1;
        while (end < count && (lines[end * apart] == CGC_CONSTANT_LINE) == constant)
            end++;
        if (constant)
            K(band_fill)(at, (end - t) * b->pitch, (REAL)b->s->constant);
        else
            K(band_lay)(b, x, lines + t * apart, end - t, pads, at);
    }
}
