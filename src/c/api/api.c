/*
 * The exported functions: argument checks, then one call downstairs. It must not know algorithms, kernels or how
 * sizes are computed.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../algo/padding.h"
#include "../plan/packed.h"
#include "arguments.h"

void cgconv_spec_init(cgconv_spec *spec) {
    if (!spec) return;
    memset(spec, 0, sizeof *spec);
    spec->struct_size = sizeof *spec;
    spec->n = spec->groups = spec->filters_per_group = 1;
    spec->stride_h = spec->stride_w = spec->dilation_h = spec->dilation_w = 1;
    spec->clamp_lo = -HUGE_VAL;
    spec->clamp_hi = HUGE_VAL;
}

void cgconv_options_init(cgconv_options *options) {
    if (!options) return;
    memset(options, 0, sizeof *options);
    options->struct_size = sizeof *options;
}

cgconv_status cgconv_spec_check(const cgconv_spec *spec, char *why, size_t why_size) {
    cgc_geometry geometry;
    return cgc_geometry_init(spec, &geometry, NULL, (cgc_why){why, why_size});
}

cgconv_status cgconv_output_size(const cgconv_spec *spec, int64_t *oh, int64_t *ow) {
    cgc_geometry s;
    if (!oh || !ow) return CGCONV_INVALID_ARGUMENT;
    const cgconv_status status = cgc_geometry_init(spec, &s, NULL, (cgc_why){0});
    if (status) return status;
    *oh = cgc_is_exchanged(spec->layout) ? s.ow : s.oh;
    *ow = cgc_is_exchanged(spec->layout) ? s.oh : s.ow;
    return CGCONV_OK;
}

cgconv_status cgconv_spec_pad_same(cgconv_spec *spec) {
    if (!spec || spec->struct_size != sizeof *spec) return CGCONV_INVALID_ARGUMENT;
    /* Only what the pads depend on has to be set, and is checked. */
    cgconv_spec same;
    cgconv_spec_init(&same);
    same.c = 1;
    same.h = spec->h, same.w = spec->w;
    same.kh = spec->kh, same.kw = spec->kw;
    same.stride_h = spec->stride_h, same.stride_w = spec->stride_w;
    same.dilation_h = spec->dilation_h, same.dilation_w = spec->dilation_w;
    const cgconv_status status = cgc_pad_same(&same, (cgc_why){0});
    if (status) return status;
    spec->pad_top = same.pad_top, spec->pad_bottom = same.pad_bottom;
    spec->pad_left = same.pad_left, spec->pad_right = same.pad_right;
    return CGCONV_OK;
}

int64_t cgconv_pad_source(cgconv_pad_mode mode, int64_t position, int64_t extent) {
    return cgc_pad_source(mode, position, extent);
}

cgconv_status cgconv_plan_create(const cgconv_spec *spec, const cgconv_options *options, cgconv_plan **plan) {
    if (!plan) return CGCONV_INVALID_ARGUMENT;
    *plan = NULL;
    cgconv_options defaults;
    cgconv_options_init(&defaults);
    if (options && options->struct_size != sizeof *options) return CGCONV_INVALID_ARGUMENT;
    if (!options) options = &defaults;
    const cgc_why why = {options->why, options->why_size};

    cgconv_plan made;
    const cgconv_status status = cgc_plan_init(&made, spec, options, why);
    if (status) return status;
    *plan = malloc(sizeof made);
    if (!*plan) return cgc_explain(why, CGCONV_OUT_OF_MEMORY, "no memory for a plan of %d bytes", (int)sizeof made);
    **plan = made;
    return CGCONV_OK;
}

void cgconv_plan_destroy(cgconv_plan *plan) { free(plan); }

static int has_pass(const cgconv_plan *plan, cgconv_pass pass) { return plan && (unsigned)pass < CGC_PASSES; }

size_t cgconv_plan_workspace_size(const cgconv_plan *plan, cgconv_pass pass) {
    return has_pass(plan, pass) ? plan->passes[pass].workspace : 0;
}

const char *cgconv_plan_algorithm(const cgconv_plan *plan, cgconv_pass pass) {
    return has_pass(plan, pass) ? plan->passes[pass].algorithm->name : NULL;
}

const char *cgconv_plan_alternative(const cgconv_plan *plan, cgconv_pass pass, int index) {
    const cgc_algorithm *algorithm;
    if (!has_pass(plan, pass) || index < 0) return NULL;
    for (int i = 0; (algorithm = cgc_algorithm_at(i)); i++)
        if (algorithm->supports(&plan->geometry, plan->kernels, pass) && index-- == 0) return algorithm->name;
    return NULL;
}

int cgconv_plan_threads(const cgconv_plan *plan, cgconv_pass pass) {
    return has_pass(plan, pass) ? plan->passes[pass].threads : 0;
}

size_t cgconv_plan_packed_size(const cgconv_plan *plan) { return plan ? cgc_packed_size(plan) : 0; }

/* ---- runs ------------------------------------------------------------------------------------------------------ */

/* Whether a run may have these arrays; `weight` is of this extent, whatever the plan says. */
static int runs_on(const cgconv_plan *plan, cgconv_pass pass, const void *x, const void *weight,
                   cgc_extent weight_extent, const void *bias, const void *y, const void *workspace,
                   size_t workspace_size) {
    const ptrdiff_t element = plan->geometry.size;
    const cgc_argument arguments[] = {
        {x, plan->extents.x, element, pass == CGCONV_BACKWARD_INPUT, 0},
        {weight, weight_extent, element, pass == CGCONV_BACKWARD_WEIGHT, 0},
        {bias, plan->extents.bias, element, pass == CGCONV_BACKWARD_WEIGHT, 1},
        {y, plan->extents.y, element, pass == CGCONV_FORWARD, 0},
        {workspace, {0, (int64_t)plan->passes[pass].workspace, 1}, 1, 1, 0},
    };
    return workspace_size >= plan->passes[pass].workspace &&
           cgc_sound(arguments, (int)(sizeof arguments / sizeof arguments[0]));
}

static cgconv_status run(const cgconv_plan *plan, cgconv_pass pass, const void *x, const void *weight,
                         const void *bias, const void *y, void *workspace, size_t workspace_size) {
    if (!plan || !runs_on(plan, pass, x, weight, plan->extents.weight, bias, y, workspace, workspace_size))
        return CGCONV_INVALID_ARGUMENT;
    cgc_plan_run(plan, pass, x, weight, NULL, bias, y, workspace);
    return CGCONV_OK;
}

cgconv_status cgconv_forward(const cgconv_plan *plan, const void *x, const void *weight, const void *bias, void *y,
                             void *workspace, size_t workspace_size) {
    return run(plan, CGCONV_FORWARD, x, weight, bias, y, workspace, workspace_size);
}

cgconv_status cgconv_backward_input(const cgconv_plan *plan, const void *dy, const void *weight, void *dx,
                                    void *workspace, size_t workspace_size) {
    return run(plan, CGCONV_BACKWARD_INPUT, dx, weight, NULL, dy, workspace, workspace_size);
}

cgconv_status cgconv_backward_weight(const cgconv_plan *plan, const void *x, const void *dy, void *dw, void *db,
                                     void *workspace, size_t workspace_size) {
    return run(plan, CGCONV_BACKWARD_WEIGHT, x, dw, db, dy, workspace, workspace_size);
}

cgconv_status cgconv_pack(const cgconv_plan *plan, const void *weight, void *packed, size_t packed_size) {
    if (!plan || packed_size < cgc_packed_size(plan)) return CGCONV_INVALID_ARGUMENT;
    const cgc_argument arguments[] = {
        {weight, plan->extents.weight, plan->geometry.size, 0, 0},
        {packed, {0, (int64_t)cgc_packed_size(plan), 1}, plan->geometry.size, 1, 0},
    };
    if (!cgc_sound(arguments, 2)) return CGCONV_INVALID_ARGUMENT;
    cgc_pack(plan, weight, packed);
    return CGCONV_OK;
}

cgconv_status cgconv_forward_packed(const cgconv_plan *plan, const void *x, const void *packed, size_t packed_size,
                                    const void *bias, void *y, void *workspace, size_t workspace_size) {
    if (!plan || packed_size < cgc_packed_size(plan)) return CGCONV_INVALID_ARGUMENT;
    const cgc_extent extent = {0, (int64_t)cgc_packed_size(plan), 1};
    if (!runs_on(plan, CGCONV_FORWARD, x, packed, extent, bias, y, workspace, workspace_size) ||
        !cgc_packed_fits(plan, packed))
        return CGCONV_INVALID_ARGUMENT;
    cgc_packed_run(plan, x, packed, bias, y, workspace);
    return CGCONV_OK;
}
