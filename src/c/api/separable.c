/* The exported functions of separable plans: argument checks, then one call downstairs. */
#include "../plan/separable.h"

#include <stdlib.h>

#include "arguments.h"

cgconv_status cgconv_separable_create(const cgconv_plan *channelwise, const cgconv_plan *pointwise, char *why,
                                      size_t why_size, cgconv_separable **separable) {
    if (!separable) return CGCONV_INVALID_ARGUMENT;
    *separable = NULL;
    cgconv_separable made;
    const cgc_why reason = {why, why_size};
    const cgconv_status status = cgc_separable_init(&made, channelwise, pointwise, reason);
    if (status) return status;
    *separable = malloc(sizeof made);
    if (!*separable)
        return cgc_explain(reason, CGCONV_OUT_OF_MEMORY, "no memory for a plan of %d bytes", (int)sizeof made);
    **separable = made;
    return CGCONV_OK;
}

void cgconv_separable_destroy(cgconv_separable *separable) { free(separable); }

size_t cgconv_separable_workspace_size(const cgconv_separable *separable) {
    return separable ? separable->workspace : 0;
}

int cgconv_separable_threads(const cgconv_separable *separable) { return separable ? separable->threads : 0; }

cgconv_status cgconv_separable_forward(const cgconv_separable *separable, const void *x,
                                       const void *channelwise_weight, const void *channelwise_bias,
                                       const void *pointwise_weight, const void *pointwise_bias, void *y,
                                       void *workspace, size_t workspace_size) {
    if (!separable || workspace_size < separable->workspace) return CGCONV_INVALID_ARGUMENT;
    const cgc_stage *first = &separable->channelwise, *second = &separable->pointwise;
    const ptrdiff_t element = first->geometry.size;
    const cgc_argument arguments[] = {
        {x, separable->x, element, 0, 0},
        {channelwise_weight, first->weight, element, 0, 0},
        {channelwise_bias, first->bias, element, 0, 1},
        {pointwise_weight, second->weight, element, 0, 0},
        {pointwise_bias, second->bias, element, 0, 1},
        {y, separable->y, element, 1, 0},
        {workspace, {0, (int64_t)separable->workspace, 1}, 1, 1, 0},
    };
    if (!cgc_sound(arguments, (int)(sizeof arguments / sizeof arguments[0]))) return CGCONV_INVALID_ARGUMENT;
    const cgc_separable_run run = {
        .separable = separable,
        .x = cgc_array(x),
        .weight = {channelwise_weight, pointwise_weight},
        .bias = {channelwise_bias, pointwise_bias},
        .y = cgc_array(y),
        .memory = workspace,
    };
    cgc_separable_forward(&run);
    return CGCONV_OK;
}
