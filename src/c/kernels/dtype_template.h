/*
 * All kernels of one dtype and their table. It must not know the machine.
 *
 * Parameters: those of tables_template.h.
 */
#include "gemm_template.h"

#include "channelwise_template.h"

#include "stencil_template.h"

#include "reduce_template.h"

#include "moves_template.h"

static const cgc_kernels K(table) = {
    .isa = EXPAND_QUOTE(ISA),
    .fused = FUSED,
    .lanes = LANES,
    .mr = GEMM_ROWS,
    .nr = GEMM_VECTORS * WIDTH,
    .gemm = K(gemm),
    .taps = K(taps),
    .channels = K(channels),
    .stencil = K(stencil),
    .lines = K(lines),
    .reduce = K(reduce),
    .join = K(join),
    .gather = K(gather),
    .fill = K(fill),
    .store = K(store),
    .add = K(add),
};
