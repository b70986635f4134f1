/* Weights of forward products, see product_weights.h. */
#include "product_weights.h"

/* The most bytes that a thread packs for itself. */
enum { LOCAL = 393216 };

static int64_t terms_of(const cgc_correlation *c) { return c->planes * c->ku * c->kv; }

/* Terms follow each other in memory. */
static int in_order(const cgc_correlation *c) {
    return c->w_v == 1 && c->w_u == c->kv && c->w_plane == c->ku * c->kv;
}

cgc_weight_blocks cgc_weight_blocks_of(const cgc_correlation *c, const cgc_kernels *kernels, cgc_product_kind kind,
                                       int64_t groups, int often) {
    cgc_weight_blocks w = {.kind = kind, .m = c->m, .blocks = 1};
    int64_t wide = c->m;
    w.packed = kind == CGC_BY_OUTPUTS || !in_order(c);
    if (kind == CGC_BY_OUTPUTS) {
        w.m = 2 * kernels->width;
        w.blocks = cgc_ceil_div(c->m, w.m);
        wide = cgc_ceil_div(c->m, kernels->width) * kernels->width;
    }
    w.tasks = groups * w.blocks;
    w.group = (ptrdiff_t)(wide * (terms_of(c) + 1));
    const size_t block = (size_t)(cgc_min(wide, w.m) * (terms_of(c) + 1) * c->source.size);
    if (!w.packed) return w;
    if (kind == CGC_BY_OUTPUTS && !often && block <= LOCAL)
        w.local = block;
    else
        w.shared = (size_t)groups * (size_t)w.group * (size_t)c->source.size;
    return w;
}

static void pack_outputs(const cgc_weight_blocks *w, const cgc_kernels *kernels, const cgc_correlation *c,
                         const cgc_image *image, int64_t g, int64_t b, char *to) {
    const ptrdiff_t size = c->source.size;
    const int64_t m0 = b * w->m, m = cgc_min(w->m, c->m - m0), terms = terms_of(c);
    const int64_t wide = cgc_ceil_div(m, kernels->width) * kernels->width;
    const char *weight = cgc_at(image->weight, c->w0 + g * c->w_group + m0 * c->w_m, size);
    kernels->fill(to, 0, m < wide ? (terms + 1) * wide : wide);
    if (image->bias) kernels->gather(to, cgc_at(image->bias, g * c->m + m0, size), 1, m);
    to = cgc_at(to, wide, size);
    if (in_order(c)) {
        kernels->transpose(m, terms, weight, c->w_m, to, wide);
        return;
    }
    cgc_term term = {0, 0, 0};
    for (int64_t k = 0; k < terms; k++, cgc_next_term(c, &term))
        kernels->gather(cgc_at(to, k * wide, size), cgc_at(weight, cgc_term_weight(c, &term) - c->w0, size), c->w_m,
                        m);
}

static void pack_pixels(const cgc_kernels *kernels, const cgc_correlation *c, const cgc_image *image, int64_t g,
                        char *to) {
    const ptrdiff_t size = c->source.size;
    for (int64_t m = 0; m < c->m; m++)
        for (int64_t plane = 0; plane < c->planes; plane++)
            for (int64_t u = 0; u < c->ku; u++, to = cgc_at(to, c->kv, size))
                kernels->gather(to, cgc_at(image->weight, c->w0 + g * c->w_group + m * c->w_m + plane * c->w_plane +
                                                              u * c->w_u, size), c->w_v, c->kv);
}

void cgc_pack_weights(const cgc_weight_blocks *w, const cgc_kernels *kernels, const cgc_correlation *c,
                      const cgc_image *image, char *shared, int64_t task) {
    const int64_t g = task / w->blocks, b = task % w->blocks;
    char *group = cgc_at(shared, g * w->group, c->source.size);
    if (w->kind == CGC_BY_PIXELS)
        pack_pixels(kernels, c, image, g, group);
    else
        pack_outputs(w, kernels, c, image, g, b, cgc_at(group, b * w->m * (terms_of(c) + 1), c->source.size));
}

const char *cgc_weight_block(const cgc_weight_blocks *w, const cgc_kernels *kernels, const cgc_correlation *c,
                             const cgc_image *image, const char *shared, char *local, int64_t g, int64_t b) {
    if (w->shared) return cgc_at(shared, g * w->group + b * w->m * (terms_of(c) + 1), c->source.size);
    pack_outputs(w, kernels, c, image, g, b, local);
    return local;
}

const char *cgc_weights_of_group(const cgc_weight_blocks *w, const cgc_correlation *c, const cgc_image *image,
                                 const char *shared, int64_t g, ptrdiff_t *w_m) {
    *w_m = w->packed ? (ptrdiff_t)terms_of(c) : c->w_m;
    return w->packed ? cgc_at(shared, g * w->group, c->source.size)
                     : cgc_at(image->weight, c->w0 + g * c->w_group, c->source.size);
}
