/* The adjoint of padding, see fold.h. The gradient of a padding cell is a correlation like that of any other cell. */
#include "fold.h"

#include "../platform/memory.h"
#include "../platform/threads.h"
#include "gemm.h"

static int needed(const cgc_geometry *s) {
    return s->mode != CGCONV_PAD_CONSTANT && (s->pt || s->pb || s->pl || s->pr);
}

size_t cgc_fold_workspace(const cgc_geometry *s, const cgc_kernels *kernels) {
    if (!needed(s)) return 0;
    const cgc_block block = cgc_block_of(kernels, s->cg);
    return cgc_round_up((size_t)(block.m * block.cells * s->size)) + cgc_gemm_workspace(&block, s->size);
}

/* A task: some channels of one group of one image. */
typedef struct part {
    const cgc_run *run;
    cgc_block block;
    cgc_image image;
    int64_t g, m0, m;
    char *segment, *workspace;
} part;

/* Adds m x count gradients of padded row `row` from column `col` on to dx, run by run of columns that map evenly. */
static void scatter(const part *p, int64_t row, int64_t col, int64_t count) {
    const cgc_geometry *s = p->run->geometry;
    const int64_t i = cgc_pad_source(s->mode, row, s->h);
    for (int64_t done = 0, length; done < count; done += length) {
        const int64_t j = cgc_pad_source(s->mode, col + done, s->w);
        int64_t step = 0;
        for (length = 1; done + length < count; length++) {
            const int64_t next = cgc_pad_source(s->mode, col + done + length, s->w);
            if (length == 1) step = next - j;
            if (next != j + length * step) break;
        }
        for (int64_t m = 0; m < p->m; m++) {
            const ptrdiff_t at = (p->g * s->cg + p->m0 + m) * s->xc + i * s->xh + j * s->xw;
            p->run->kernels->add(cgc_at(p->image.destination, at, s->size), step * s->xw,
                                 cgc_at(p->segment, m * p->block.cells + done, s->size), length);
        }
    }
}

/* Padding cells col0 .. col1-1 of padded row `row`, in ascending order, a segment at a time. */
static void fold_columns(const part *p, int64_t row, int64_t col0, int64_t col1) {
    const cgc_geometry *s = p->run->geometry;
    const cgc_kernels *kernels = p->run->kernels;
    for (int64_t col = col0; col < col1; col += p->block.cells) {
        const int64_t count = cgc_min(p->block.cells, col1 - col);
        for (int64_t phase = 0; phase < cgc_min(s->sw, count); phase++) {
            const cgc_grid cols = {col + phase, s->sw, cgc_ceil_div(count - phase, s->sw)};
            const cgc_correlation c = cgc_backward_correlation(s, (cgc_grid){row, s->sh, 1}, cols);
            const char *sums =
                cgc_gemm_block(kernels, &p->block, &c, &p->image, p->g, p->m0, p->m, 0, cols.count, p->workspace);
            for (int64_t m = 0; m < p->m; m++)
                kernels->store(cgc_at(p->segment, m * p->block.cells + phase, s->size), s->sw,
                               cgc_at(sums, m * p->block.cells, s->size), cols.count, c.lo, c.hi);
        }
        scatter(p, row, col, count);
    }
}

static void fold_part(void *context, int64_t task, int thread) {
    const cgc_run *run = context;
    const cgc_geometry *s = run->geometry;
    part p = {.run = run, .block = cgc_block_of(run->kernels, s->cg)};
    const int64_t blocks = cgc_ceil_div(s->cg, p.block.m);
    p.image = cgc_image_at(run, task / blocks / s->g);
    p.g = task / blocks % s->g;
    p.m0 = task % blocks * p.block.m;
    p.m = cgc_min(p.block.m, s->cg - p.m0);
    p.segment = run->local + (size_t)thread * run->local_size;
    p.workspace = p.segment + cgc_round_up((size_t)(p.block.m * p.block.cells * s->size));
    for (int64_t row = -s->pt; row < s->h + s->pb; row++) {
        const int inside = row >= 0 && row < s->h;
        fold_columns(&p, row, -s->pl, inside ? 0 : s->w + s->pr);
        if (inside) fold_columns(&p, row, s->w, s->w + s->pr);
    }
}

void cgc_fold(const cgc_run *run) {
    const cgc_geometry *s = run->geometry;
    if (!needed(s)) return;
    const int64_t blocks = cgc_ceil_div(s->cg, cgc_block_of(run->kernels, s->cg).m);
    cgc_parallel(run->threads, s->n * s->g * blocks, fold_part, (void *)run);
}
