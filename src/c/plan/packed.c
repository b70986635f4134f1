/* Packed weights, see packed.h. */
#include "packed.h"

#include <string.h>

#include "../platform/memory.h"

/* All that the numbers depend on but the weights themselves; compared as a whole, so it has no gaps. */
typedef struct tag {
    uint64_t magic;
    int32_t form, width, dtype, exchanged;
    int64_t g, f, cg, kh, kw;
} tag;

/* Where the numbers begin: on the next cache line, if the tag is on one. */
#define NUMBERS CGC_ALIGN
_Static_assert(sizeof(tag) <= NUMBERS, "the tag has no room");

static cgc_packing packing_of(const cgconv_plan *plan) {
    const cgc_algorithm *algorithm = plan->passes[CGCONV_FORWARD].algorithm;
    cgc_packing packing = {0, 0};
    if (algorithm->packing) packing = algorithm->packing(&plan->geometry, plan->kernels);
    if (packing.form == 0) packing.size = (size_t)plan->extents.weight.high;
    return packing;
}

static tag tag_of(const cgconv_plan *plan) {
    const cgc_geometry *s = &plan->geometry;
    const cgc_packing packing = packing_of(plan);
    return (tag){
        .magic = UINT64_C(0x3177766e6f636763), /* "cgconvw1", if the first byte is the lowest */
        .form = packing.form,
        .width = packing.form == 0 ? 0 : plan->kernels->width,
        .dtype = (int32_t)s->dtype,
        .exchanged = s->wu < s->wv,
        .g = s->g, .f = s->f, .cg = s->cg, .kh = s->kh, .kw = s->kw,
    };
}

size_t cgc_packed_size(const cgconv_plan *plan) { return NUMBERS + packing_of(plan).size; }

void cgc_pack(const cgconv_plan *plan, const void *weight, void *packed) {
    char *numbers = (char *)packed + NUMBERS;
    const cgc_packing packing = packing_of(plan);
    const tag mine = tag_of(plan);
    memset(packed, 0, NUMBERS);
    memcpy(packed, &mine, sizeof mine);
    if (packing.form == 0)
        memcpy(numbers, weight, packing.size);
    else
        plan->passes[CGCONV_FORWARD].algorithm->pack(&plan->geometry, plan->kernels, 1, weight, numbers);
}

int cgc_packed_fits(const cgconv_plan *plan, const void *packed) {
    const tag mine = tag_of(plan);
    return memcmp(packed, &mine, sizeof mine) == 0;
}

void cgc_packed_run(const cgconv_plan *plan, const void *x, const void *packed, const void *bias, const void *y,
                    void *workspace) {
    const char *numbers = (const char *)packed + NUMBERS;
    if (packing_of(plan).form == 0)
        cgc_plan_run(plan, CGCONV_FORWARD, x, numbers, NULL, bias, y, workspace);
    else
        cgc_plan_run(plan, CGCONV_FORWARD, x, NULL, numbers, bias, y, workspace);
}
