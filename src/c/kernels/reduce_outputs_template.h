/*
 * The kernel `reduce_outputs` of the weight gradient, see kernels.h: vectors over outputs. It must not know which
 * pixels it is given.
 *
 * A lane of the definition is a class of columns here: every LANES-th one. A tile sums one class after the other in
 * registers, in the order in which halves are joined, so that a few unfinished sums wait in a stack beside it.
 *
 * Parameters: those of words_template.h, among them
 *   PRODUCT_PIXELS   the most terms of a tile of two vectors of outputs
 */
enum {
    K(reduce_most) = PRODUCT_PIXELS < 7 ? 2 * PRODUCT_PIXELS : 14, /* terms of a tile of one vector */
    K(reduce_waiting) = 5, /* log2(LANES) + 1 */
    K(reduce_held) = 7,    /* offsets that fit the registers beside all else; others are read again at every step */
};

/*
 * The classes in the order in which they are summed, and how many sums each is joined with afterwards. The pixels of
 * a class are the same steps from its first: those of a class with as many columns as any, and of one with one less.
 */
typedef struct K(reduce_classes) {
    int count;
    int first[LANES], joins[LANES];
    int64_t steps[2]; /* with one less, with all */
    struct {
        ptrdiff_t a, b;
    } step[2][CGC_MAX_PIXELS / LANES];
} K(reduce_classes);

/* Classes without columns are zeros, which need not be added: see kernels.h. */
static void K(reduce_order_classes)(K(reduce_classes) *classes, int64_t cols) {
    classes->count = 0;
    int waiting = 0, level[2 * LANES], some[2 * LANES]; /* whether there are any columns */
    for (int i = 0; i < LANES; i++) {
        int l = 0;
        for (int bit = 1; bit < LANES; bit *= 2)
            l += i & bit ? LANES / 2 / bit : 0;
        level[waiting] = 0;
        some[waiting++] = l < cols;
        if (l < cols) {
            classes->joins[classes->count] = 0;
            classes->first[classes->count++] = l;
        }
        for (; waiting > 1 && level[waiting - 1] == level[waiting - 2]; waiting--) {
            level[waiting - 2]++;
            if (some[waiting - 1])
                classes->joins[classes->count - 1]++; /* the left half has columns if the right has */
        }
    }
}

static void K(reduce_set_steps)(K(reduce_classes) *classes, const cgc_reduction *c) {
    const int64_t most = (c->cols + LANES - 1) / LANES;
    for (int all = 0; all < 2; all++) {
        int64_t count = 0;
        for (int64_t r = 0; r < c->rows; r++)
            for (int64_t p = 0; p < most - !all; p++, count++) {
                classes->step[all][count].a = c->a_row[r] + p * LANES * c->a_col;
                classes->step[all][count].b = c->b ? c->b_row[r] + p * LANES * c->b_col : 0;
            }
        classes->steps[all] = count;
    }
}

/* Terms i .. i+terms-1 of `vectors` vectors of outputs; the last has the lanes of `mask`. `ones`: b is 1. */
static ALWAYS_INLINE void K(reduce_outputs_tile)(const cgc_reduction *c, const K(reduce_classes) *classes,
                                                 const int vectors, const int terms, const int ones, int64_t i,
                                                 int masked, MASK mask) {
    REAL stack[K(reduce_waiting)][2 * PRODUCT_PIXELS][WIDTH];
    const ptrdiff_t *off = ones ? NULL : c->off + i;
    ptrdiff_t held[K(reduce_held)];
    int waiting = 0;
    UNROLL for (int t = 0; t < terms && t < K(reduce_held); t++)
        held[t] = ones ? 0 : off[t];
    for (int class = 0; class < classes->count; class++) {
        const int first = classes->first[class], all = first <= (c->cols - 1) % LANES;
        const REAL *a0 = (const REAL *)c->a + first * c->a_col;
        const REAL *b0 = ones ? NULL : (const REAL *)c->b + first * c->b_col;
        VEC sum[2 * PRODUCT_PIXELS];
        UNROLL for (int t = 0; t < terms * vectors; t++)
            sum[t] = V(zero)();
        for (int64_t s = 0; s < classes->steps[all]; s++) {
            const REAL *a = a0 + classes->step[all][s].a, *b = ones ? NULL : b0 + classes->step[all][s].b;
            VEC factor[2];
            REFRESH(b);
            if (terms > K(reduce_held))
                REFRESH(off);
            UNROLL for (int v = 0; v < vectors; v++)
                factor[v] = V(load)(a + v * WIDTH);
            UNROLL for (int t = 0; t < terms; t++) {
                const VEC x = ones ? V(set)(1) : V(set)(b[t < K(reduce_held) ? held[t] : off[t]]);
                UNROLL for (int v = 0; v < vectors; v++)
                    sum[t * vectors + v] = V(fma)(x, factor[v], sum[t * vectors + v]);
            }
        }
        for (int join = 0; join < classes->joins[class]; join++) {
            waiting--;
            UNROLL for (int t = 0; t < terms * vectors; t++)
                sum[t] = V(add)(sum[t], V(load)(stack[waiting][t]));
        }
        UNROLL for (int t = 0; t < terms * vectors; t++)
            V(store)(stack[waiting][t], sum[t]);
        waiting++;
    }
    REAL *y = (REAL *)c->y + i * c->y_k;
    for (int t = 0; t < terms; t++, y += c->y_k)
        UNROLL for (int v = 0; v < vectors; v++) {
            const VEC sum = V(load)(stack[0][t * vectors + v]);
            if (masked && v == vectors - 1)
                V(store_first)(mask, y + v * WIDTH, V(add)(V(load_first)(mask, y + v * WIDTH), sum));
            else
                V(store)(y + v * WIDTH, V(add)(V(load)(y + v * WIDTH), sum));
        }
}

#define REDUCE_TILE(v, t) \
    case t: \
        if (t * v <= 2 * PRODUCT_PIXELS) \
            K(reduce_outputs_tile)(c, classes, v, t * v <= 2 * PRODUCT_PIXELS ? t : 1, 0, i, masked, mask); \
        break
#define REDUCE_TILES(v) \
    static void K(reduce_outputs_##v)(const cgc_reduction *c, const K(reduce_classes) *classes, int64_t terms, \
                                      int64_t i) { \
        const int masked = c->m < v * WIDTH; \
        const MASK mask = V(first)(c->m - (v - 1) * WIDTH); \
        switch (terms) { \
        case 0: K(reduce_outputs_tile)(c, classes, v, 1, 1, 0, masked, mask); break; \
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

static void K(reduce_outputs)(const cgc_reduction *c) {
    const int64_t most = c->m > WIDTH ? PRODUCT_PIXELS : K(reduce_most);
    const int64_t tiles = c->b ? (c->k + most - 1) / most : 1;
    K(reduce_classes) classes;
    if (c->m < 1 || c->cols < 1)
        return;
    K(reduce_order_classes)(&classes, c->cols);
    K(reduce_set_steps)(&classes, c);
    for (int64_t t = 0; t < tiles; t++) {
        const int64_t i = c->k * t / tiles, terms = c->b ? c->k * (t + 1) / tiles - i : 0;
        if (c->m > WIDTH)
            K(reduce_outputs_2)(c, &classes, terms, i);
        else
            K(reduce_outputs_1)(c, &classes, terms, i);
    }
}

#undef REDUCE_TILE
#undef REDUCE_TILES
