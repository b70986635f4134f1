/*
 * The kernel `reduce_outputs` of the weight gradient, see kernels.h: vectors over outputs. It must not know which
 * pixels it is given.
 *
 * A lane of the definition is a class of columns here: every LANES-th one. A tile sums a few classes at a time in
 * registers, joins them there, and goes on with the next few in the order in which halves are joined, so that a few
 * unfinished sums wait in a stack beside it. Waiting costs a store and a load, so few rows want many classes.
 *
 * Parameters: those of words_template.h, among them
 *   PRODUCT_PIXELS   the most terms of a tile of two vectors of outputs
 */
enum {
    K(reduce_most) = PRODUCT_PIXELS < 7 ? 2 * PRODUCT_PIXELS : 14, /* terms of a tile of one vector */
    /* Cache lines that are called for with each group of classes: they fit beside one another. */
    K(reduce_called) = PRODUCT_PIXELS < 7 ? 8 : 16,
    K(reduce_waiting) = 5, /* log2(LANES) + 1 */
    K(reduce_together) = PRODUCT_PIXELS < 7 ? 8 : 1, /* tiles at a time that read the same class, at most, */
    K(reduce_near) = 256,  /* if there are more pixels than so many */
    K(reduce_held) = 7,    /* offsets that fit the registers beside all else; others are read again at every step */
    /* Where registers are few: */
    K(reduce_turn) = 4,   /* pixels of a turn of a loop, */
    K(reduce_short) = 10, /* if a class has more than so many */
    K(reduce_run) = 3,    /* terms that share a register for where they lie, if there is none for each */
    /* Of a class: so many, or less, are summed two classes together; where registers are few that is too few terms. */
    K(reduce_few_pixels) = PRODUCT_PIXELS < 7 ? 0 : 40,
};

/* Classes first, first + apart ... that are summed together, and how many sums theirs is joined with afterwards. */
typedef struct K(reduce_group) {
    int first, apart, count, joins;
} K(reduce_group);

/* Where a pixel lies, in bytes: so no register is needed for what is added to it. */
typedef struct K(reduce_pixel) {
    ptrdiff_t a, b;
} K(reduce_pixel);

/*
 * The groups in the order in which they are summed. The pixels of a class are the same steps from its first: those of
 * a class with as many columns as any, and of one with one less.
 */
typedef struct K(reduce_classes) {
    int count;
    K(reduce_group) group[LANES];
    int runs;         /* terms are runs of neighbours, see reduce_run */
    int turns[2];     /* whether a turn has several pixels, as below */
    ptrdiff_t next;   /* bytes from pixel to pixel of a, if all are one behind the other; else 0 */
    int64_t steps[2]; /* with one less, with all */
    K(reduce_pixel) step[2][CGC_MAX_PIXELS / LANES];
} K(reduce_classes);

/*
 * Adds groups of at most `most` classes for the sum of classes first, first + apart ...: of its two halves, those an
 * even number of steps from the first and the others. Classes without columns are zeros, which need not be added: see
 * kernels.h.
 */
static void K(reduce_group_classes)(K(reduce_classes) *classes, int64_t cols, int first, int apart, int most) {
    const int last = first + (LANES - 1 - first) / apart * apart, end = cols < LANES ? (int)cols : LANES;
    const int count = (end - first + apart - 1) / apart, rest = (int)((cols - 1) % LANES);
    if (count <= most && (cols <= LANES || first > rest || last <= rest)) { /* as many columns in each */
        classes->group[classes->count++] = (K(reduce_group)){first, apart, count, 0};
        return;
    }
    K(reduce_group_classes)(classes, cols, first, 2 * apart, most);
    if (first + apart < end) {
        K(reduce_group_classes)(classes, cols, first + apart, 2 * apart, most);
        classes->group[classes->count - 1].joins++;
    }
}

#ifdef PRODUCT_CELLS
/* Whether terms are runs of neighbours, as the columns of a filter can be. */
static int K(reduce_are_runs)(const cgc_reduction *c) {
    for (int64_t i = 0; c->b && i < c->k; i++)
        if (i % K(reduce_run) != 0 && c->off[i] != c->off[i - 1] + 1)
            return 0;
    return c->k % K(reduce_run) == 0;
}
#endif

static void K(reduce_set_steps)(K(reduce_classes) *classes, const cgc_reduction *c) {
    const int64_t most = (c->cols + LANES - 1) / LANES;
    for (int all = 0; all < 2; all++) {
        int64_t count = 0;
        for (int64_t r = 0; r < c->rows; r++)
            for (int64_t p = 0; p < most - !all; p++, count++) {
                const ptrdiff_t a = c->a_row ? c->a_row[r] + p * c->a_next : count * c->a_next;
                const ptrdiff_t b = !c->b ? 0 : c->a_row ? c->b_row[r] + p * c->b_next : count;
                classes->step[all][count].a = a * (ptrdiff_t)sizeof(REAL);
                classes->step[all][count].b = b * (ptrdiff_t)sizeof(REAL);
            }
        classes->steps[all] = count;
        classes->turns[all] = count > K(reduce_short);
    }
}

#ifdef PRODUCT_CELLS
/* Products of one pixel: a, and what lies `by` bytes behind each of `at`, which are the first of `run` terms each. */
static ALWAYS_INLINE void K(reduce_pixel_step)(const char *a, const char *const *at, ptrdiff_t by, const int vectors,
                                               const int terms, const int run, const int ones, VEC *part) {
    VEC factor[2];
    UNROLL for (int v = 0; v < vectors; v++)
        factor[v] = V(load)((const REAL *)(const void *)a + v * WIDTH);
    UNROLL for (int t = 0; t < terms; t++) {
        const VEC x = ones ? V(set)(1) : V(set)(((const REAL *)(const void *)(at[t / run] + by))[t % run]);
        UNROLL for (int v = 0; v < vectors; v++)
            part[t * vectors + v] = V(fma)(x, factor[v], part[t * vectors + v]);
        NEEDED(x);
    }
    UNROLL for (int v = 0; v < vectors; v++)
        NEEDED(factor[v]);
}

/*
 * The sums of one class where there are few registers: each run of terms has one for where it lies, and several pixels
 * share what a turn of the loop needs beside its products. `next`: see reduce_classes.
 */
static ALWAYS_INLINE void K(reduce_sum_class)(const char *a, const char *b, const K(reduce_pixel) *step, int64_t steps,
                                              const int vectors, const int terms, const int run, const int ones,
                                              const ptrdiff_t *off, ptrdiff_t next, VEC *part) {
    const char *at[PRODUCT_PIXELS];
    UNROLL for (int t = 0; t < terms; t += run) {
        at[t / run] = ones ? NULL : b + off[t] * (ptrdiff_t)sizeof(REAL);
        REFRESH(at[t / run]);
    }
    if (next && run == 1) {
        const ptrdiff_t size = sizeof(REAL);
        ptrdiff_t by = 0;
        if (vectors == 2)
            next = 2 * WIDTH * size;
        for (; steps >= K(reduce_turn); steps -= K(reduce_turn), a += K(reduce_turn) * next) {
            UNROLL for (int u = 0; u < K(reduce_turn); u++)
                K(reduce_pixel_step)(a + u * next, at, by + u * size, vectors, terms, run, ones, part);
            by += K(reduce_turn) * size;
        }
        for (; steps > 0; steps--, a += next, by += size)
            K(reduce_pixel_step)(a, at, by, vectors, terms, run, ones, part);
        return;
    }
    for (; steps >= K(reduce_turn); steps -= K(reduce_turn), step += K(reduce_turn))
        UNROLL for (int u = 0; u < K(reduce_turn); u++)
            K(reduce_pixel_step)(a + step[u].a, at, step[u].b, vectors, terms, run, ones, part);
    for (; steps > 0; steps--, step++)
        K(reduce_pixel_step)(a + step->a, at, step->b, vectors, terms, run, ones, part);
}
#endif

/* The joined sums of `count` classes of a group, of terms at `off`. */
static ALWAYS_INLINE void K(reduce_sum_group)(const cgc_reduction *c, const K(reduce_classes) *classes,
                                              const K(reduce_group) *group, const int count, const int vectors,
                                              const int terms, const int ones, const ptrdiff_t *off, VEC *sum) {
    const int all = group->first <= (c->cols - 1) % LANES, sums = terms * vectors;
    const char *a0 = (const char *)((const REAL *)c->a + group->first * c->a_col);
    const char *b0 = ones ? NULL : (const char *)((const REAL *)c->b + group->first * c->b_col);
    const ptrdiff_t a_apart = group->apart * c->a_col, b_apart = group->apart * c->b_col;
    REFRESH(a0);
    REFRESH(b0);
    const K(reduce_pixel) *step = classes->step[all], *const end = step + classes->steps[all];
    ptrdiff_t held[K(reduce_held)];
    VEC part[2 * PRODUCT_PIXELS];
    UNROLL for (int t = 0; t < terms && t < K(reduce_held); t++)
        held[t] = ones ? 0 : off[t];
    UNROLL for (int t = 0; t < count * sums; t++)
        part[t] = V(zero)();
#ifdef PRODUCT_CELLS
    const int run = terms <= PRODUCT_PIXELS ? 1 : K(reduce_run);
    if (count == 1 && terms % run == 0 && classes->turns[all] && (run == 1 || classes->runs))
        K(reduce_sum_class)(a0, b0, step, end - step, vectors, terms, run, ones, off, classes->next, part);
    else
#endif
    for (; step < end; step++) {
        const REAL *a = (const REAL *)(a0 + step->a), *b = ones ? NULL : (const REAL *)(b0 + step->b);
        UNROLL for (int q = 0; q < count; q++, a += a_apart, b += ones ? 0 : b_apart) {
            VEC factor[2];
            REFRESH(b);
            if (terms > K(reduce_held))
                REFRESH(off);
            UNROLL for (int v = 0; v < vectors; v++)
                factor[v] = V(load)(a + v * WIDTH);
            UNROLL for (int t = 0; t < terms; t++) {
                const VEC x = ones ? V(set)(1) : V(set)(b[t < K(reduce_held) ? held[t] : off[t]]);
                UNROLL for (int v = 0; v < vectors; v++)
                    part[q * sums + t * vectors + v] = V(fma)(x, factor[v], part[q * sums + t * vectors + v]);
            }
        }
    }
    UNROLL for (int t = 0; t < sums; t++) {
        sum[t] = part[t];
        if (count == 2)
            sum[t] = V(add)(sum[t], part[sums + t]);
    }
}

/*
 * Adds sums, [term][pitch], of the first `terms` of WIDTH terms to y, where terms are neighbours. They are put there
 * now and then, not all at the end: so memory has time to take them.
 */
static ALWAYS_INLINE void K(reduce_put)(const cgc_reduction *c, const REAL *sums, const int pitch, const int whole,
                                        int64_t terms, REAL *y) {
    const MASK mask = V(first)(terms);
    for (int64_t j = 0; j < c->m; j += TURNED) {
        VEC sum[TURNED];
        V(load_turned)(sums + j, pitch, sum);
        UNROLL for (int l = 0; l < TURNED; l++, y += c->y_m) {
            if (j + l >= c->m)
                break;
            VEC before = V(zero)();
            if (!c->fresh)
                before = whole ? V(load)(y) : V(load_first)(mask, y);
            if (whole)
                V(store)(y, V(add)(before, sum[l]));
            else
                V(store_first)(mask, y, V(add)(before, sum[l]));
        }
    }
}

/* Groups of classes: group .. end-1. Their sums go on top of a stack, from which those before them are `down` apart. */
typedef struct K(reduce_stack) {
    const K(reduce_group) *group, *end;
    REAL *top;
    ptrdiff_t down;
} K(reduce_stack);

/* The sums of terms i .. i+terms-1 of `vectors` vectors of outputs, [term][vector][WIDTH]. `ones`: b is 1. */
static ALWAYS_INLINE void K(reduce_outputs_tile)(const cgc_reduction *c, const K(reduce_classes) *classes,
                                                 const int vectors, const int terms, const int ones, int64_t i,
                                                 const K(reduce_stack) *stack) {
    const int sums = terms * vectors;
    const ptrdiff_t *off = ones ? NULL : c->off + i;
    REAL *top = stack->top;
    for (const K(reduce_group) *group = stack->group; group < stack->end; group++) {
        VEC sum[2 * PRODUCT_PIXELS];
        K(reduce_call)(c->ahead, K(reduce_called));
        if (group->count == 2 && 2 * sums <= 2 * PRODUCT_PIXELS)
            K(reduce_sum_group)(c, classes, group, 2 * sums <= 2 * PRODUCT_PIXELS ? 2 : 1, vectors, terms, ones, off,
                                sum);
        else
            K(reduce_sum_group)(c, classes, group, 1, vectors, terms, ones, off, sum);
        for (int join = 0; join < group->joins; join++) {
            top -= stack->down;
            UNROLL for (int t = 0; t < sums; t++)
                sum[t] = V(add)(sum[t], V(load)(top + t * WIDTH));
        }
        REFRESH(top);
        UNROLL for (int t = 0; t < sums; t++)
            V(store)(top + t * WIDTH, sum[t]);
        top += stack->down;
    }
}

#define REDUCE_TILE(v, t) \
    case t: \
        if (t * v <= 2 * PRODUCT_PIXELS) \
            K(reduce_outputs_tile)(c, classes, v, t * v <= 2 * PRODUCT_PIXELS ? t : 1, 0, i, stack); \
        break
#define REDUCE_TILES(v) \
    static void K(reduce_outputs_##v)(const cgc_reduction *c, const K(reduce_classes) *classes, int64_t terms, \
                                      int64_t i, const K(reduce_stack) *stack) { \
        switch (terms) { \
        case 0: K(reduce_outputs_tile)(c, classes, v, 1, 1, 0, stack); break; \
            REDUCE_TILE(v, 1); \
            REDUCE_TILE(v, 2); \
            REDUCE_TILE(v, 3); \
            REDUCE_TILE(v, 4); \
            REDUCE_TILE(v, 5); \
            REDUCE_TILE(v, 6); \
            REDUCE_TILE(v, 7); \
            REDUCE_TILE(v, 8); \
            REDUCE_TILE(v, 9); \
            REDUCE_TILE(v, 10); \
            REDUCE_TILE(v, 11); \
            REDUCE_TILE(v, 12); \
            REDUCE_TILE(v, 13); \
            REDUCE_TILE(v, 14); \
        default: break; \
        } \
    }
REDUCE_TILES(1)
REDUCE_TILES(2)

/*
 * All terms of `vectors` vectors of outputs, those from `first` on; at most `most` terms at a time. Where the pixels of
 * a class are all in different places, what one tile has read of them is read by some more before the next class.
 */
static void K(reduce_terms)(const cgc_reduction *all, const K(reduce_classes) *classes, int64_t first, int vectors,
                            int64_t most) {
    static void (*const tile[])(const cgc_reduction *, const K(reduce_classes) *, int64_t, int64_t,
                                const K(reduce_stack) *) = {
        K(reduce_outputs_1), K(reduce_outputs_2),
    };
    const int64_t tiles = all->b ? (all->k + most - 1) / most : 1;
    const int far = all->b_col != 1 && all->rows * all->cols > K(reduce_near);
    const int64_t together = far ? K(reduce_together) : 1;
    const int64_t unit = K(reduce_few_pixels) == 0 && classes->runs ? K(reduce_run) : 1; /* runs are not cut */
    const int pitch = vectors * WIDTH;
    REAL sums[2 * (2 * WIDTH + K(reduce_waiting) * K(reduce_together) * PRODUCT_PIXELS) * WIDTH];
    int64_t ready = 0; /* terms in sums, which wait until there is a whole vector of them */
    REAL *y = (REAL *)all->y + first * all->y_m;
    cgc_reduction c = *all;
    c.a = (const REAL *)all->a + first;
    c.m = all->m - first < pitch ? all->m - first : pitch;
    for (int64_t t0 = 0, t1; t0 < tiles; t0 = t1) {
        t1 = tiles - t0 < together ? tiles : t0 + together;
        int64_t at[K(reduce_together) + 1]; /* where tiles begin */
        for (int64_t t = t0; t <= t1; t++)
            at[t - t0] = c.k / unit * t / tiles * unit;
        const int64_t terms = c.b ? at[t1 - t0] - at[0] : 1;
        K(reduce_stack) stack = {.group = classes->group, .down = terms * pitch};
        REAL *top = sums + ready * pitch;
        const int step = t1 - t0 > 1 ? 1 : classes->count;
        for (int g = 0; g < classes->count; g += step, top += stack.down) {
            stack.group = classes->group + g;
            stack.end = stack.group + step;
            for (int64_t t = 0; t < t1 - t0; t++) {
                stack.top = top + (at[t] - at[0]) * pitch;
                tile[vectors - 1](&c, classes, c.b ? at[t + 1] - at[t] : 0, at[t], &stack);
            }
            top -= classes->group[g].joins * stack.down;
        }
        ready += terms;
        const REAL *from = sums;
        for (; ready >= WIDTH; ready -= WIDTH, from += WIDTH * pitch, y += WIDTH)
            K(reduce_put)(&c, from, pitch, 1, WIDTH, y);
        for (int64_t e = 0; from > sums && e < ready * pitch; e += WIDTH)
            V(store)(sums + e, V(load)(from + e));
    }
    if (ready > 0)
        K(reduce_put)(&c, sums, pitch, 0, ready, y);
}

static void K(reduce_outputs)(const cgc_reduction *c) {
    /* Many classes are summed two together, a vector of outputs at a time: so half as many sums wait. */
    const int few = (c->cols + LANES - 1) / LANES * c->rows <= K(reduce_few_pixels);
    const int vectors = c->m > WIDTH && !few ? 2 : 1;
    const int64_t held = c->m > WIDTH || few ? PRODUCT_PIXELS : 2 * PRODUCT_PIXELS;
    const int64_t most = held < K(reduce_most) ? held : K(reduce_most);
    K(reduce_classes) classes;
    if (c->m < 1 || c->cols < 1)
        return;
    classes.count = 0;
    K(reduce_group_classes)(&classes, c->cols, 0, 1, few ? 2 : 1);
    K(reduce_set_steps)(&classes, c);
#ifdef PRODUCT_CELLS
    classes.next = c->a_row ? 0 : c->a_next * (ptrdiff_t)sizeof(REAL);
    classes.runs = vectors == 1 && K(reduce_are_runs)(c);
#endif
    for (int64_t first = 0; first < c->m; first += vectors * WIDTH)
        K(reduce_terms)(c, &classes, first, vectors, most);
}

#undef REDUCE_TILE
#undef REDUCE_TILES
