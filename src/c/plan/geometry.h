/*
 * spec -> geometry: every check of a spec, and the sizes that follow from it. It must not know algorithms or kernels.
 */
#ifndef CGC_PLAN_GEOMETRY_H
#define CGC_PLAN_GEOMETRY_H

#include "../algo/geometry.h"
#include "explain.h"

/*
 * Where an array lies: bytes from its cell (0, 0, 0, 0) to its lowest byte and behind its highest; no cells: both 0.
 */
typedef struct cgc_extent {
    int64_t low, high;
    int distinct; /* no two cells can share memory, so it may be written */
} cgc_extent;

typedef struct cgc_extents {
    cgc_extent x, y, weight, bias;
} cgc_extents;

/* Whether the geometry has height and width exchanged. */
static inline int cgc_is_exchanged(cgconv_layout layout) { return layout == CGCONV_NCWH || layout == CGCONV_NWHC; }

/*
 * Checks the spec and fills in both; `extents` may be NULL. On failure neither is of use, and `why` says what was
 * wrong.
 */
cgconv_status cgc_geometry_init(const cgconv_spec *spec, cgc_geometry *geometry, cgc_extents *extents, cgc_why why);

/* Sets the pads of a spec that has none yet as cgconv_spec_pad_same says; on failure they are of no use. */
cgconv_status cgc_pad_same(cgconv_spec *spec, cgc_why why);

#endif
