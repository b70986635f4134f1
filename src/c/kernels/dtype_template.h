/*
 * All kernels of one dtype and their table. It must not know the machine.
 *
 * Parameters: those of words_template.h.
 */
#include "gemm_template.h"

#include "product_template.h"

#include "channelwise_template.h"

void K(stencil)(const cgc_stencil *s);   /* of stencils_template.h */
void K(gradient)(const cgc_gradient *s); /* of gradients_template.h */
void K(gradient_pixels)(const cgc_pixel_gradient *s);
void K(lay)(int64_t count, int64_t vectors, const void *x, ptrdiff_t x_col, ptrdiff_t second, void *y,
            ptrdiff_t y_second);
void K(join)(void *y, const void *acc, int pitch, int64_t count);
void K(join_classes)(void *sums, int64_t columns, int64_t count);

#include "pairs_template.h"

#include "pixels_template.h"

#include "flat_template.h"

#include "join_template.h"

#include "reduce_template.h"

#include "reduce_outputs_template.h"

#include "reduce_turn_template.h"

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
    .gathered = K(gemm_gathered),
    .gemm_outputs = K(gemm_outputs),
    .finite = K(finite),
    .transpose = K(transpose),
    .taps = K(taps),
    .pixels = K(pixels),
    .pack = K(pack),
    .flat = K(flat),
    .stencil = K(stencil),
    .pairs = K(pairs),
#ifdef STENCIL_GRADES
    .stencil_lanes = {WIDTH, WIDTH / 2, WIDTH / 4},
#else
    .stencil_lanes = {WIDTH},
#endif
    .lines = K(lines),
    .weave = K(weave),
    .gradient = K(gradient),
    .gradient_pixels = K(gradient_pixels),
    .gradient_lays = REGISTERS >= 16 && REGISTERS < 32,
    .lay = K(lay),
    .join_classes = K(join_classes),
    .reduce_pixels = K(reduce_pixels),
    .reduce_outputs = K(reduce_outputs),
    .turn = K(turn_rows),
    .join = K(join),
    .gather = K(gather),
    .fill = K(fill),
    .store = K(store),
#ifdef STREAMS
    .stream = K(stream),
#endif
    .add = K(add),
    .add_lines = K(add_lines),
    .spread = K(spread),
};
