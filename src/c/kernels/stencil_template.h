/*
 * The stencil kernel, see stencil.h: each vector of source cells that is read feeds every output row that uses it.
 * It must not know where its lines come from.
 *
 * Parameters: those of words_template.h, among them
 *   GRADE               the dtype, or one of its shorter vectors
 *   REGISTERS           of the machine; 16: strip_template.h serves most filters; less: plain numbers, for which no
 *                       filter is worth a kernel of its own
 *   STENCIL_SHORT       if defined, GRADE has shorter vectors, which serve narrow planes alone
 *
 * A plane is cut into tiles. Weights are held in registers while it lasts, as many as fit beside the sums; each other
 * is broadcast once for a tile's line. Tiles at the ends are moved back: outputs computed twice get the same bits
 * twice.
 */
#include "stencil_walk_template.h"

#if REGISTERS == 16
#include "strip_template.h"
#endif

typedef int K(stencil_fn)(const cgc_stencil *s);

#if REGISTERS >= 32
/* Rows that tiles of so many compute twice, of all rows that share lines. */
static ALWAYS_INLINE int64_t K(stencil_over)(const cgc_stencil *s, int64_t tile) {
    const int64_t rows = s->rows / s->dilation_h;
    return (tile - rows % tile) % tile;
}
#endif

/*
 * KERNEL(name, what is known): computes everything, or nothing if it cannot serve. It works on a copy of what it is
 * told, which no store to y can change. EITHER(name, a, b, ...): in tiles a rows high, or b if those leave fewer over.
 */
#define KERNEL(name, ...) \
    static int K(name)(const cgc_stencil *stencil) { \
        const cgc_stencil s = *stencil; \
        return K(stencil_planes)(&s, (K(stencil_kind)){__VA_ARGS__}); \
    }
#define EITHER(name, a, b, ...) \
    KERNEL(name##_##a, .rows = a, __VA_ARGS__) \
    KERNEL(name##_##b, .rows = b, __VA_ARGS__) \
    static int K(name)(const cgc_stencil *s) { \
        return (K(stencil_over)(s, b) < K(stencil_over)(s, a) ? K(name##_##b) : K(name##_##a))(s); \
    }

#define FILTER(k, s) .kh = k, .kw = k, .step = s
#define BEYOND(l, r) .left = l, .right = r

#if REGISTERS >= 32
#define TALL 7
#define HELD(n) .held = n
#define CENTRED(name, ...) EITHER(name, 7, 8, .narrow = 1, .centred = 1, .dense = 1, __VA_ARGS__)
#define DENSE(name, ...) EITHER(name, 7, 8, .dense = 1, __VA_ARGS__)
#define DILATED(name, ...) EITHER(name, 7, 6, __VA_ARGS__)
#else
#define TALL 6
#define HELD(n) .held = 0
#define CENTRED(name, ...) KERNEL(name, .narrow = 1, .centred = 1, .dense = 1, .rows = 7, __VA_ARGS__)
#endif

#if REGISTERS >= 16
CENTRED(centred_3_1, FILTER(3, 1), HELD(9))
KERNEL(narrow_3_1, .narrow = 1, .dense = 1, FILTER(3, 1), .rows = 7, HELD(9))
#endif
#if REGISTERS >= 32
CENTRED(centred_5_1, FILTER(5, 1))
CENTRED(centred_7_1, FILTER(7, 1))
KERNEL(narrow_3_2, .narrow = 1, .dense = 1, FILTER(3, 2), .rows = 7, HELD(9))
KERNEL(narrow_5_1, .narrow = 1, .dense = 1, FILTER(5, 1), .rows = 7)
KERNEL(narrow_5_2, .narrow = 1, .dense = 1, FILTER(5, 2), .rows = 7)
KERNEL(narrow_7_1, .narrow = 1, .dense = 1, FILTER(7, 1), .rows = 7)
#endif
KERNEL(narrow_any_1, .narrow = 1, .step = 1, .rows = 4)
KERNEL(narrow_any_2, .narrow = 1, .step = 2, .rows = 2)

#ifndef STENCIL_SHORT
#if REGISTERS >= 32
DENSE(wide_3_1, FILTER(3, 1), BEYOND(1, 2), HELD(9))
DENSE(wide_5_1, FILTER(5, 1), BEYOND(2, 3), HELD(12))
DENSE(wide_7_1, FILTER(7, 1), BEYOND(3, 4), HELD(10))
KERNEL(wide_3_full, FILTER(3, 1), .rows = TALL, BEYOND(2, 1), .dense = 1, HELD(9))
KERNEL(wide_5_full, FILTER(5, 1), .rows = TALL, BEYOND(4, 1), .dense = 1, HELD(12))
KERNEL(wide_7_full, FILTER(7, 1), .rows = TALL, BEYOND(6, 1), .dense = 1, HELD(10))
DILATED(wide_3_dilated, FILTER(3, 1), BEYOND(1, 2), HELD(9))
KERNEL(wide_3_2, FILTER(3, 2), .rows = TALL, BEYOND(1, 3), .dense = 1, HELD(9))
KERNEL(wide_3_2_valid, FILTER(3, 2), .rows = TALL, BEYOND(0, 2), .dense = 1, HELD(9))
KERNEL(wide_5_2, FILTER(5, 2), .rows = TALL, BEYOND(2, 4), .dense = 1, HELD(12))
KERNEL(wide_5_2_valid, FILTER(5, 2), .rows = TALL, BEYOND(1, 3), .dense = 1, HELD(12))
#endif
KERNEL(wide_tall_1, .step = 1, .rows = TALL)
KERNEL(wide_any_1, .step = 1, .rows = 4)
KERNEL(wide_any_2, .step = 2, .rows = 2)
KERNEL(wide_rings, .step = 2, .rows = 2, .rings = 1)
#endif
#undef TALL
#undef KERNEL
#undef EITHER
#undef CENTRED
#undef DENSE
#undef DILATED
#undef FILTER
#undef BEYOND
#undef HELD

static K(stencil_fn) *K(stencil_choose_narrow)(const cgc_stencil *s) {
#if REGISTERS >= 16
    const int size = s->kh == s->kw && s->dilation_h == 1 && s->dilation_w == 1 ? (int)K(least)(s->kh, 9) : 0;
    /* Where a constant has no lane it must be what a pick leaves out. */
    const int picks = s->step == 2 || s->width < WIDTH || (s->constant == 0 && !signbit(s->constant));
    const int centred = s->step == 1 && s->first == -(s->kw / 2) && s->cols == s->width;
    if (size == 3 && picks && s->step == 1)
        return centred ? K(centred_3_1) : K(narrow_3_1);
#endif
#if REGISTERS >= 32
    if (size == 3 && picks)
        return K(narrow_3_2);
    if (size == 5 && picks)
        return s->step == 2 ? K(narrow_5_2) : centred ? K(centred_5_1) : K(narrow_5_1);
    if (size == 7 && picks && s->step == 1)
        return centred ? K(centred_7_1) : K(narrow_7_1);
#endif
    return s->step == 1 ? K(narrow_any_1) : K(narrow_any_2);
}

#ifndef STENCIL_SHORT
#if REGISTERS >= 32
/* If there is a kernel that knows the filter. */
static int K(stencil_run_known)(const cgc_stencil *s) {
    static const struct { /* best first */
        int size, step;
        K(stencil_fn) *run;
    } known[] = {
        {3, 1, K(wide_3_1)}, {3, 2, K(wide_3_2)}, {3, 2, K(wide_3_2_valid)}, {5, 1, K(wide_5_1)},
        {5, 2, K(wide_5_2)}, {5, 2, K(wide_5_2_valid)}, {7, 1, K(wide_7_1)},
        {3, 1, K(wide_3_full)}, {5, 1, K(wide_5_full)}, {7, 1, K(wide_7_full)},
    };
    if (s->kh != s->kw)
        return 0;
    if (s->dilation_h != 1 || s->dilation_w != 1)
        return s->kh == 3 && s->step == 1 && K(wide_3_dilated)(s);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (s->kh == known[i].size && s->step == known[i].step && known[i].run(s))
            return 1;
    return 0;
}
#endif

static void K(stencil_run_wide)(const cgc_stencil *s) {
#if REGISTERS >= 32
    if (K(stencil_run_known)(s))
        return;
#endif
    if (s->left.rings || s->right.rings) {
        K(wide_rings)(s);
        return;
    }
    (s->step == 2 ? K(wide_any_2) : s->kh >= 6 ? K(wide_tall_1) : K(wide_any_1))(s);
}
#endif

static void K(stencil_run)(const cgc_stencil *s) {
#if REGISTERS == 16
    if (K(strip_planes)(s))
        return;
#endif
#ifndef STENCIL_SHORT
    if (!s->narrow) {
        K(stencil_run_wide)(s);
        return;
    }
#endif
    K(stencil_choose_narrow)(s)(s);
}
