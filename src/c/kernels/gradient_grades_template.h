/*
 * The gradients of one dtype, in all its vectors. It must not know the machine.
 *
 * Parameters: those of words_template.h.
 */
void K(gradient)(const cgc_gradient *s);
void K(gradient_pixels)(const cgc_pixel_gradient *s);
void K(lay)(int64_t count, int64_t vectors, const void *x, ptrdiff_t x_col, ptrdiff_t second, void *y,
            ptrdiff_t y_second);
void K(join)(void *y, const void *acc, int pitch, int64_t count);
void K(join_classes)(void *sums, int64_t columns, int64_t count);

/* The most rows and columns of a tile. */
#if REGISTERS >= 32
#define GRADIENT_MOST 5
#elif REGISTERS >= 16
#define GRADIENT_MOST 3
#else
#define GRADIENT_MOST 1
#endif

/* The most blocks of a row of dy that stays in registers. */
#define GRADIENT_BLOCKS 4

/* The bytes of planes that stay in the nearest cache. */
#define GRADIENT_NEAR 28672

#include "join_template.h"

#include "join_all_template.h"

#include "gradient_template.h"

/* Where registers are few. */
#if REGISTERS >= 16 && REGISTERS < 32
#define GRADIENT_LAID
#include "gradient_place_template.h"
#include "gradient_laid_template.h"
#endif

#include "gradient_pixels_template.h"

/* The first again, in vectors of half the lanes, which waste fewer on narrow planes. */
#ifdef STENCIL_GRADES
#define STENCIL_SHORT
#undef GRADE
#define GRADE EXPAND2(DTYPE, half)
#include "join_template.h"

#include "join_all_template.h"

#include "gradient_template.h"
#undef STENCIL_SHORT
#endif
#undef GRADE
#define GRADE DTYPE

void K(gradient)(const cgc_gradient *s) {
#ifdef GRADIENT_LAID
    if (K(gradient_place)(s) || K(gradient_laid)(s))
        return;
#endif
#ifdef STENCIL_GRADES
    if (s->lanes == WIDTH / 2)
        EXPAND4(cgc, gradient_run, EXPAND2(DTYPE, half), ISA)(s);
    else
#endif
        K(gradient_run)(s);
}

void K(join)(void *y, const void *acc, int pitch, int64_t count) {
    if (pitch == LANES)
        K(join_all)(y, acc, LANES / WIDTH, count);
    else
#if defined(STENCIL_GRADES)
        EXPAND4(cgc, join_all, EXPAND2(DTYPE, half), ISA)(y, acc, 1, count);
#else
        K(join_all)(y, acc, LANES / 2 / WIDTH, count);
#endif
}

#undef GRADIENT_LAID
#undef GRADIENT_NEAR
#undef GRADIENT_BLOCKS
#undef GRADIENT_MOST
