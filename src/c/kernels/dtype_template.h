/*
 * All kernels of one dtype and their table. It must not know the machine.
 *
 * Parameters: those of tables_template.h.
 */
#include "gemm_template.h"

#include "product_template.h"

#include "channelwise_template.h"

#include "stencil_template.h"

/* The stencil again, in shorter vectors, which waste fewer lanes on narrow planes. */
#ifdef STENCIL_GRADES
#define STENCIL_SHORT
#undef GRADE
#define GRADE EXPAND2(DTYPE, half)
#include "stencil_template.h"
#undef GRADE
#define GRADE EXPAND2(DTYPE, quarter)
#include "stencil_template.h"
#undef STENCIL_SHORT
#endif
#undef GRADE
#define GRADE DTYPE

static void K(stencil)(const cgc_stencil *s) {
#ifdef STENCIL_GRADES
    if (s->lanes == WIDTH / 4)
        EXPAND4(cgc, stencil_run, EXPAND2(DTYPE, quarter), ISA)(s);
    else if (s->lanes == WIDTH / 2)
        EXPAND4(cgc, stencil_run, EXPAND2(DTYPE, half), ISA)(s);
    else
#endif
        K(stencil_run)(s);
}

#include "pixels_template.h"

#include "flat_template.h"

#include "reduce_template.h"

#include "moves_template.h"

static const cgc_kernels K(table) = {
    .isa = EXPAND_QUOTE(ISA),
    .fused = FUSED,
    .lanes = LANES,
    .mr = GEMM_ROWS,
    .nr = GEMM_VECTORS * WIDTH,
    .width = WIDTH,
    .gemm = K(gemm),
    .gemm_pixels = K(gemm_pixels),
    .gemm_outputs = K(gemm_outputs),
    .transpose = K(transpose),
    .taps = K(taps),
    .pixels = K(pixels),
    .pack = K(pack),
    .flat = K(flat),
    .stencil = K(stencil),
#ifdef STENCIL_GRADES
    .stencil_lanes = {WIDTH, WIDTH / 2, WIDTH / 4},
#else
    .stencil_lanes = {WIDTH},
#endif
    .lines = K(lines),
    .reduce = K(reduce),
    .join = K(join),
    .gather = K(gather),
    .fill = K(fill),
    .store = K(store),
    .add = K(add),
    .spread = K(spread),
};
