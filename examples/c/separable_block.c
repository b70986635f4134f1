/*
 * A depthwise-separable block: a 3x3 channel-wise convolution with stride 2, "same" padding and ReLU6, then a 1x1
 * convolution to 16 channels, joined so that no array is needed between them. It knows cgconv.h only; the data are
 * made up.
 */
#include <cgconv.h>

#include <stdio.h>
#include <stdlib.h>

enum { CHANNELS = 8, SIDE = 57, OUTPUTS = 16 };

/* Small multiples of 1/8 in no particular order. */
static float *made_up(int64_t count) {
    float *values = malloc((size_t)count * sizeof *values);
    for (int64_t i = 0; values && i < count; i++) values[i] = (float)(i * 37 % 23 - 11) / 8;
    return values;
}

static cgconv_plan *plan_of(const char *name, const cgconv_spec *spec) {
    char why[200] = "";
    cgconv_options options;
    cgconv_options_init(&options);
    options.why = why;
    options.why_size = sizeof why;
    cgconv_plan *plan;
    cgconv_status status = cgconv_plan_create(spec, &options, &plan);
    if (status != CGCONV_OK)
        fprintf(stderr, "%s: %s: %s\n", name, cgconv_status_string(status), why);
    else
        printf("%s: algorithm %s\n", name, cgconv_plan_algorithm(plan, CGCONV_FORWARD));
    return plan;
}

/* The two plans as one, which needs them no longer. */
static cgconv_separable *block_of(const cgconv_spec *depthwise, const cgconv_spec *pointwise) {
    char why[200] = "";
    cgconv_separable *block = NULL;
    cgconv_plan *first = plan_of("depthwise", depthwise), *second = plan_of("pointwise", pointwise);
    if (first && second && cgconv_separable_create(first, second, why, sizeof why, &block) != CGCONV_OK)
        fprintf(stderr, "the block: %s\n", why);
    cgconv_plan_destroy(first);
    cgconv_plan_destroy(second);
    return block;
}

int main(void) {
    cgconv_spec depthwise, pointwise;
    cgconv_spec_init(&depthwise);
    depthwise.c = depthwise.groups = CHANNELS;
    depthwise.h = depthwise.w = SIDE;
    depthwise.kh = depthwise.kw = 3;
    depthwise.stride_h = depthwise.stride_w = 2;
    depthwise.clamp_lo = 0;
    depthwise.clamp_hi = 6;
    cgconv_spec_init(&pointwise);
    pointwise.c = CHANNELS;
    pointwise.filters_per_group = OUTPUTS;
    pointwise.kh = pointwise.kw = 1;
    if (cgconv_spec_pad_same(&depthwise) != CGCONV_OK ||
        cgconv_output_size(&depthwise, &pointwise.h, &pointwise.w) != CGCONV_OK)
        return 1;

    cgconv_separable *block = block_of(&depthwise, &pointwise);
    const int64_t outputs = OUTPUTS * pointwise.h * pointwise.w;
    float *x = made_up(CHANNELS * SIDE * SIDE), *y = malloc((size_t)outputs * sizeof *y);
    float *weight[2] = {made_up(CHANNELS * 3 * 3), made_up(OUTPUTS * CHANNELS)};
    float *bias[2] = {made_up(CHANNELS), made_up(OUTPUTS)};
    const size_t size = cgconv_separable_workspace_size(block);
    void *workspace = malloc(size + 1); /* malloc(0) may return NULL */
    cgconv_status status = CGCONV_OUT_OF_MEMORY;
    if (x && y && weight[0] && weight[1] && bias[0] && bias[1] && workspace)
        status = cgconv_separable_forward(block, x, weight[0], bias[0], weight[1], bias[1], y, workspace, size);
    double sum = 0;
    for (int64_t i = 0; status == CGCONV_OK && i < outputs; i++) sum += y[i];
    if (status == CGCONV_OK)
        printf("cgconv %s, %s: checksum %.6f\n", cgconv_version(), cgconv_isa(), sum);
    else
        fprintf(stderr, "the block: %s\n", cgconv_status_string(status));
    free(workspace);
    for (int i = 0; i < 2; i++) free(bias[i]), free(weight[i]);
    free(y);
    free(x);
    cgconv_separable_destroy(block);
    return status != CGCONV_OK;
}
