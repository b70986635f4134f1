/* Arguments, see arguments.h. */
#include "arguments.h"

static int overlap(const cgc_argument *a, const cgc_argument *b) {
    const uintptr_t p = (uintptr_t)a->pointer, q = (uintptr_t)b->pointer;
    const uintptr_t a0 = p + (uintptr_t)a->extent.low, a1 = p + (uintptr_t)a->extent.high;
    const uintptr_t b0 = q + (uintptr_t)b->extent.low, b1 = q + (uintptr_t)b->extent.high;
    return a0 < b1 && b0 < a1 && a0 < a1 && b0 < b1;
}

int cgc_sound(const cgc_argument *arguments, int count) {
    for (int i = 0; i < count; i++) {
        const cgc_argument *a = &arguments[i];
        const int empty = a->extent.low == a->extent.high;
        if (!a->pointer && !empty && !a->optional) return 0;
        if ((uintptr_t)a->pointer % (uintptr_t)a->element) return 0;
        if (a->written && !a->extent.distinct) return 0;
        for (int j = 0; j < i; j++)
            if ((a->written || arguments[j].written) && a->pointer && arguments[j].pointer &&
                overlap(a, &arguments[j]))
                return 0;
    }
    return 1;
}
