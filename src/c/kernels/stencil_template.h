/*
 * The stencil kernel, see stencil.h: each vector of source cells that is read feeds every output row that uses it.
 * It must not know where its lines come from.
 *
 * Parameters: those of words_template.h, among them
 *   GRADE               the dtype, or one of its shorter vectors
 *   REGISTERS           of the machine; less than 16: plain numbers, for which no filter is worth a kernel of its own
 *   STENCIL_SHORT       if defined, GRADE has shorter vectors, which serve narrow planes alone
 *
 * A plane is cut into tiles. Weights are held in registers while it lasts, as many as fit beside the sums; each other
 * is broadcast once for a tile's line. Tiles at the ends are moved back: outputs computed twice get the same bits
 * twice.
 */
#include "stencil_walk_template.h"

/*
 * KERNEL(name, what is known): computes everything, or nothing if it cannot serve. It works on a copy of what it is
 * told, which no store to y can change.
 */
typedef int K(stencil_fn)(const cgc_stencil *s);

#define KERNEL(name, ...) \
    static int K(name)(const cgc_stencil *stencil) { \
        const cgc_stencil s = *stencil; \
        return K(stencil_planes)(&s, (K(stencil_kind)){__VA_ARGS__}); \
    }

#define FILTER(k, s) .kh = k, .kw = k, .step = s
#define BEYOND(l, r) .left = l, .right = r
#define TILE(r, v) .rows = r, .vectors = v

#if REGISTERS >= 32
#define TALL 7
#define HELD(n) .held = n
#else
#define TALL 6
#define HELD(n) .held = 0
#endif

#if REGISTERS >= 16
KERNEL(centred_3_1, .narrow = 1, .centred = 1, .dense = 1, FILTER(3, 1), TILE(7, 1), HELD(9))
KERNEL(centred_5_1, .narrow = 1, .centred = 1, .dense = 1, FILTER(5, 1), TILE(7, 1))
KERNEL(centred_7_1, .narrow = 1, .centred = 1, .dense = 1, FILTER(7, 1), TILE(7, 1))
KERNEL(narrow_3_1, .narrow = 1, .dense = 1, FILTER(3, 1), TILE(7, 1), HELD(9))
KERNEL(narrow_3_2, .narrow = 1, .dense = 1, FILTER(3, 2), TILE(7, 1), HELD(9))
KERNEL(narrow_5_1, .narrow = 1, .dense = 1, FILTER(5, 1), TILE(7, 1))
KERNEL(narrow_5_2, .narrow = 1, .dense = 1, FILTER(5, 2), TILE(7, 1))
KERNEL(narrow_7_1, .narrow = 1, .dense = 1, FILTER(7, 1), TILE(7, 1))
#endif
KERNEL(narrow_any_1, .narrow = 1, .step = 1, TILE(4, 1))
KERNEL(narrow_any_2, .narrow = 1, .step = 2, TILE(2, 1))

#ifndef STENCIL_SHORT
#if REGISTERS >= 16
KERNEL(wide_3_1, FILTER(3, 1), TILE(TALL, 1), BEYOND(1, 2), .dense = 1, HELD(9))
KERNEL(wide_3_dilated, FILTER(3, 1), TILE(TALL - 1, 1), BEYOND(1, 2), HELD(9))
KERNEL(wide_3_dilated_tall, FILTER(3, 1), TILE(TALL, 1), BEYOND(1, 2), HELD(9))
KERNEL(wide_3_2, FILTER(3, 2), TILE(TALL, 1), BEYOND(1, 3), .dense = 1, HELD(9))
KERNEL(wide_3_2_valid, FILTER(3, 2), TILE(TALL, 1), BEYOND(0, 2), .dense = 1, HELD(9))
KERNEL(wide_5_1, FILTER(5, 1), TILE(TALL, 1), BEYOND(2, 3), .dense = 1, HELD(12))
KERNEL(wide_5_2, FILTER(5, 2), TILE(TALL, 1), BEYOND(2, 4), .dense = 1, HELD(12))
KERNEL(wide_5_2_valid, FILTER(5, 2), TILE(TALL, 1), BEYOND(1, 3), .dense = 1, HELD(12))
KERNEL(wide_7_1, FILTER(7, 1), TILE(TALL, 1), BEYOND(3, 4), .dense = 1, HELD(10))
#endif
KERNEL(wide_tall_1, .step = 1, TILE(TALL, 2))
KERNEL(wide_any_1, .step = 1, TILE(4, 2))
KERNEL(wide_any_2, .step = 2, TILE(2, 2))
#endif
#undef KERNEL
#undef FILTER
#undef BEYOND
#undef TILE
#undef HELD

static K(stencil_fn) *K(stencil_choose_narrow)(const cgc_stencil *s) {
#if REGISTERS >= 16
    const int size = s->kh == s->kw && s->dilation_h == 1 && s->dilation_w == 1 ? (int)K(least)(s->kh, 9) : 0;
    /* Where a constant has no lane it must be what a pick leaves out. */
    const int picks = s->step == 2 || s->width < WIDTH || (s->constant == 0 && !signbit(s->constant));
    const int centred = s->step == 1 && s->first == -(s->kw / 2) && s->cols == s->width;
    if (size == 3 && picks)
        return s->step == 2 ? K(narrow_3_2) : centred ? K(centred_3_1) : K(narrow_3_1);
    if (size == 5 && picks)
        return s->step == 2 ? K(narrow_5_2) : centred ? K(centred_5_1) : K(narrow_5_1);
    if (size == 7 && picks && s->step == 1)
        return centred ? K(centred_7_1) : K(narrow_7_1);
#endif
    return s->step == 1 ? K(narrow_any_1) : K(narrow_any_2);
}

#ifndef STENCIL_SHORT
#if REGISTERS >= 16
/* A 3x3 filter dilated, whose rows fall into classes: in tiles as high as leave the fewest rows over. */
static int K(stencil_run_dilated)(const cgc_stencil *s) {
    const int64_t rows = s->rows / s->dilation_h, over_tall = (TALL - rows % TALL) % TALL;
    const int64_t over = (TALL - 1 - rows % (TALL - 1)) % (TALL - 1);
    return (over_tall > over ? K(wide_3_dilated) : K(wide_3_dilated_tall))(s) || K(wide_3_dilated)(s);
}

/* If there is a kernel that knows the filter. */
static int K(stencil_run_known)(const cgc_stencil *s) {
    static const struct { /* best first */
        int size, step;
        K(stencil_fn) *run;
    } known[] = {
        {3, 1, K(wide_3_1)}, {3, 2, K(wide_3_2)}, {3, 2, K(wide_3_2_valid)}, {5, 1, K(wide_5_1)},
        {5, 2, K(wide_5_2)}, {5, 2, K(wide_5_2_valid)}, {7, 1, K(wide_7_1)},
    };
    if (s->kh != s->kw)
        return 0;
    if (s->dilation_h != 1 || s->dilation_w != 1)
        return s->kh == 3 && s->step == 1 && K(stencil_run_dilated)(s);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (s->kh == known[i].size && s->step == known[i].step && known[i].run(s))
            return 1;
    return 0;
}
#endif

static void K(stencil_run_wide)(const cgc_stencil *s) {
#if REGISTERS >= 16
    if (K(stencil_run_known)(s))
        return;
#endif
    (s->step == 2 ? K(wide_any_2) : s->kh >= 6 ? K(wide_tall_1) : K(wide_any_1))(s);
}
#endif

static void K(stencil_run)(const cgc_stencil *s) {
#ifndef STENCIL_SHORT
    if (!s->narrow) {
        K(stencil_run_wide)(s);
        return;
    }
#endif
    K(stencil_choose_narrow)(s)(s);
}
#undef TALL
