/*
 * A depthwise-separable block: a 3x3 channel-wise convolution with stride 2, "same" padding and ReLU6, then a 1x1
 * convolution to 16 channels. It knows cgconv.h only; the data are made up.
 */
#include <cgconv.h>

#include <stdio.h>
#include <stdlib.h>

/* Small multiples of 1/8 in no particular order. */
static float *made_up(int64_t count) {
    float *values = malloc((size_t)count * sizeof *values);
    for (int64_t i = 0; values && i < count; i++) values[i] = (float)(i * 37 % 23 - 11) / 8;
    return values;
}

/* y = conv(x) with made-up weights and bias; *y is the caller's to free. Returns 0 if all went well. */
static int convolve(const char *name, const cgconv_spec *spec, const float *x, float **y, int64_t *oh, int64_t *ow) {
    char why[200];
    cgconv_plan *plan = NULL;
    cgconv_status status = cgconv_spec_check(spec, why, sizeof why);
    if (status == CGCONV_OK) status = cgconv_output_size(spec, oh, ow);
    if (status == CGCONV_OK) status = cgconv_plan_create(spec, NULL, &plan);
    if (status != CGCONV_OK) {
        fprintf(stderr, "%s: %s: %s\n", name, cgconv_status_string(status), why);
        return 1;
    }
    int64_t channels = spec->groups * spec->filters_per_group;
    float *weight = made_up(channels * (spec->c / spec->groups) * spec->kh * spec->kw);
    float *bias = made_up(channels);
    size_t size = cgconv_plan_workspace_size(plan, CGCONV_FORWARD);
    void *workspace = malloc(size + 1); /* malloc(0) may return NULL */
    *y = malloc((size_t)(spec->n * channels * *oh * *ow) * sizeof **y);
    status = CGCONV_OUT_OF_MEMORY;
    if (weight && bias && workspace && *y) status = cgconv_forward(plan, x, weight, bias, *y, workspace, size);
    if (status == CGCONV_OK)
        printf("%s: %d x %d x %d -> %d x %d x %d, algorithm %s\n", name, (int)spec->c, (int)spec->h, (int)spec->w,
               (int)channels, (int)*oh, (int)*ow, cgconv_plan_algorithm(plan, CGCONV_FORWARD));
    else
        fprintf(stderr, "%s: %s\n", name, cgconv_status_string(status));
    free(workspace);
    free(bias);
    free(weight);
    cgconv_plan_destroy(plan);
    return status != CGCONV_OK;
}

int main(void) {
    cgconv_spec depthwise, pointwise;
    cgconv_spec_init(&depthwise);
    depthwise.c = depthwise.groups = 8;
    depthwise.h = depthwise.w = 57;
    depthwise.kh = depthwise.kw = 3;
    depthwise.stride_h = depthwise.stride_w = 2;
    depthwise.clamp_lo = 0;
    depthwise.clamp_hi = 6;
    cgconv_spec_init(&pointwise);
    pointwise.c = 8;
    pointwise.filters_per_group = 16;
    pointwise.kh = pointwise.kw = 1;

    float *x = made_up(8 * 57 * 57), *hidden = NULL, *y = NULL;
    int64_t oh = 0, ow = 0;
    int failed = !x || cgconv_spec_pad_same(&depthwise) != CGCONV_OK ||
                 convolve("depthwise", &depthwise, x, &hidden, &pointwise.h, &pointwise.w) ||
                 convolve("pointwise", &pointwise, hidden, &y, &oh, &ow);
    double sum = 0;
    for (int64_t i = 0; !failed && i < 16 * oh * ow; i++) sum += y[i];
    if (!failed) printf("cgconv %s, %s: checksum %.6f\n", cgconv_version(), cgconv_isa(), sum);
    free(y);
    free(hidden);
    free(x);
    return failed;
}
