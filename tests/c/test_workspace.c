/*
 * The workspace: bounded, the same for any size of image, and enough. It must not know what lies in it.
 *
 * Usage: test_workspace [rounds]; CGCONV_TEST_ROUNDS does the same. In each round, 4 at most, a shape is run in another
 * layout.
 */
#include <stdio.h>

#include "problem.h"
#include "variants.h"

/* For each thread about 1 MiB, and once a little and the weights in another order, filled up to whole vectors. */
enum { PER_THREAD = (1 << 20) + (1 << 16), ONCE = 1 << 17 };

static cgconv_spec image(int64_t n, int64_t c, int64_t h, int64_t w, int64_t groups, int64_t filters, int64_t k) {
    cgconv_spec s;
    cgconv_spec_init(&s);
    s.n = n, s.c = c, s.h = h, s.w = w, s.groups = groups, s.filters_per_group = filters, s.kh = s.kw = k;
    s.pad_top = s.pad_bottom = s.pad_left = s.pad_right = k / 2;
    return s;
}

static cgconv_spec dilated(cgconv_spec s, int64_t dilation_h, int64_t dilation_w) {
    s.dilation_h = dilation_h, s.dilation_w = dilation_w;
    return s;
}

static void name_case(const cgconv_spec *s) {
    problem p = {.spec = *s};
    char line[1024];
    describe(&p, line, sizeof line);
    begin_case("%s", line);
}

/* ---- the size -------------------------------------------------------------------------------------------------- */

static void check_bound(void *context, const variant *v) {
    const cgconv_spec *s = context;
    const int64_t filters = s->filters_per_group + 15 - (s->filters_per_group + 15) % 16;
    const int64_t weights = s->groups * filters * (s->c / s->groups * s->kh * s->kw + 1);
    const size_t size = cgconv_plan_workspace_size(v->plan, v->pass);
    const size_t most = ONCE + (size_t)weights * (s->dtype == CGCONV_FLOAT64 ? 8 : 4) +
                        (size_t)cgconv_plan_threads(v->plan, v->pass) * PER_THREAD;
    CHECK(size <= most, "%s: %zu bytes, more than %zu", v->how, size, most);
}

static void test_the_workspace_is_bounded(void) {
    const cgconv_spec shapes[] = {
        image(1, 1, 4, 100000, 1, 1, 3),       image(1, 3, 100000, 4, 1, 8, 3),    image(1, 64, 8000, 8000, 64, 1, 3),
        image(1, 64, 8000, 8000, 1, 64, 3),    image(1000, 32, 56, 56, 32, 1, 5),  image(1000, 32, 56, 56, 4, 8, 5),
        image(1, 2048, 7, 7, 1, 2048, 1),      image(1, 2048, 7, 7, 1, 512, 3),    image(1, 512, 14, 14, 1, 512, 3),
        image(1, 96, 64, 64, 96, 1, 31),       image(1, 3, 1000, 1000, 1, 96, 11), image(1, 3, 500000, 3, 3, 1, 1),
        image(1, 1, 100000, 100000, 1, 1, 99), image(2, 4096, 3, 3, 4096, 1, 3),   image(1, 1, 5000, 5000, 1, 1, 501),
        image(1, 8, 1, 4000000, 8, 2, 7),      image(1, 20000, 5, 5, 20000, 1, 3), image(1, 1, 300, 300, 1, 3000, 3),
    };
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int choice = 0; choice < 32; choice++) {
            cgconv_spec s = shapes[i];
            s.dtype = (cgconv_dtype)(choice & 1);
            s.layout = (cgconv_layout)(choice >> 1 & 3);
            if (choice & 8) s.stride_h = s.stride_w = 2, s.dilation_w = 3, s.pad_right += 2 * s.kw;
            if (choice & 16) s.pad_mode = CGCONV_PAD_SYMMETRIC_INCLUDE_EDGE;
            name_case(&s);
            each_variant(&s, 1 + 3 * (choice & 1), check_bound, &s);
        }
}

typedef struct sizes {
    size_t size[256];
    int count;
} sizes;

static void note_size(void *context, const variant *v) {
    sizes *s = context;
    if (CHECK(s->count < 256, "too many variants"))
        s->size[s->count++] = cgconv_plan_workspace_size(v->plan, v->pass);
}

/* Four times the pixels and any number of images want the same workspace, once the image is large. */
static void test_the_workspace_does_not_depend_on_the_image(void) {
    static const int64_t shapes[][4] = {{64, 64, 1, 3}, {64, 4, 8, 3}, {64, 1, 32, 1}, {6, 3, 2, 7}, {16, 16, 2, 5}};
    for (int i = 0; i < 5; i++)
        for (int choice = 0; choice < 16; choice++) {
            sizes small = {{0}, 0}, large = {{0}, 0};
            cgconv_spec s = image(2, shapes[i][0], 2500, 2500, shapes[i][1], shapes[i][2], shapes[i][3]);
            s.dtype = (cgconv_dtype)(choice & 1);
            s.layout = (cgconv_layout)(choice >> 1 & 3);
            if (choice & 8) s.pad_mode = CGCONV_PAD_CIRCULAR, s.stride_h = s.stride_w = 2;
            name_case(&s);
            each_variant(&s, 4, note_size, &small);
            s.n = 999, s.h *= 2, s.w *= 2;
            each_variant(&s, 4, note_size, &large);
            CHECK(small.count == large.count, "not the same variants");
            for (int j = 0; j < small.count; j++)
                CHECK(small.size[j] == large.size[j], "variant %d: %zu bytes, and %zu for a larger image", j,
                      small.size[j], large.size[j]);
        }
}

/* ---- enough ---------------------------------------------------------------------------------------------------- */

static void run_on_exactly_that(void *context, const variant *v) {
    trial *t = context;
    CHECK(trial_run(t, v->plan, v->pass, AT_END) == CGCONV_OK, "%s: status", v->how);
    trial_check(t, v->pass, v->fused, v->how);
    if (v->pass != CGCONV_FORWARD) return;
    CHECK(trial_run_packed(t, v->plan, AT_END) == CGCONV_OK, "%s, packed weights: status", v->how);
    trial_check(t, v->pass, v->fused, v->how);
}

/* Shapes whose lines, filters or channels do not fit in one go, on a workspace that ends at a guard page. */
static void test_what_is_asked_for_is_enough(int64_t rounds) {
    enum { LAYOUTS = 4 };
    static trial t;
    cgconv_spec shapes[] = {
        image(1, 1, 2, 17000, 1, 1, 3),   image(1, 2, 1, 17000, 2, 2, 1), image(1, 1, 9000, 2, 1, 2, 3),
        image(1, 1, 20, 20, 1, 1, 31),    image(1, 1, 9, 9, 1, 1, 65),    image(1, 700, 3, 3, 1, 2, 3),
        image(1, 3000, 2, 2, 3000, 1, 3), image(1, 2, 4, 4, 1, 700, 1),   image(3000, 1, 3, 3, 1, 1, 3),
        image(1, 1, 3, 9000, 1, 1, 3),    image(1, 8, 24, 24, 8, 1, 7),   image(1, 300, 6, 6, 1, 3, 1),
        image(1, 1, 6, 6, 1, 300, 3),     image(1, 40, 6, 6, 2, 20, 3),   image(1, 5, 1, 5000, 1, 3, 1),
        image(1, 512, 4, 100, 1, 3, 3),   image(1, 4, 2, 700, 2, 40, 3),  image(1, 16, 2, 300, 16, 32, 3),
        image(1, 250, 3, 90, 1, 2, 5),    image(1, 1000, 2, 70, 1, 1, 3), image(1, 30, 2, 520, 10, 17, 1),
        dilated(image(1, 224, 12, 70, 4, 1, 5), 3, 3),   dilated(image(1, 8, 64, 63, 8, 1, 31), 3, 3),
        image(1, 900, 2, 100, 1, 4, 3),   image(1, 700, 2, 140, 1, 4, 3),   image(1, 2, 1, 20481, 1, 3, 1),
        dilated(image(1, 1, 602, 60, 1, 2, 3), 300, 1), dilated(image(1, 1, 1, 33000, 1, 1, 3), 1, 16500),
    };
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int64_t round = 0; round < rounds && round < LAYOUTS; round++) {
            const size_t layout = (i + i / LAYOUTS + (size_t)round) % LAYOUTS;
            problem p = {.seed = i * LAYOUTS + layout, .spec = shapes[i], .has_bias = 1};
            cgconv_spec *s = &p.spec;
            s->layout = (cgconv_layout)layout;
            s->dtype = (cgconv_dtype)((layout + i) % 2);
            if ((layout + i / 2) % 2) {
                s->pad_mode = (cgconv_pad_mode)(1 + i % 4);
                s->stride_w = 2, s->pad_bottom += s->kh;
                if (s->dilation_h == 1 && s->h > 2 * s->kh) s->dilation_h = 2;
            }
            char line[1024];
            describe(&p, line, sizeof line);
            begin_case("%s", line);
            trial_begin(&t, &p, unfused_exists());
            trial_place(&t, AT_END);
            each_variant(s, layout == 0 ? 2 : 1, run_on_exactly_that, &t);
            trial_end(&t);
        }
    trial_free(&t);
}

int main(int argc, char **argv) {
    test_the_workspace_is_bounded();
    test_the_workspace_does_not_depend_on_the_image();
    test_what_is_asked_for_is_enough(setting(argc, argv, 1, "CGCONV_TEST_ROUNDS", 4));
    return finish("test_workspace");
}
