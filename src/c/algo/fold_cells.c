/* Folding padding cell by cell, see fold.h: the gradient of one is a correlation like that of any other cell. */
#include "fold.h"

#include "../platform/memory.h"
#include "../platform/threads.h"
#include "gemm.h"

size_t cgc_fold_cells_workspace(const cgc_geometry *s, const cgc_kernels *kernels) {
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

/*
 * Adds m x count gradients from `from` of the segment on, those of padded row `row` from column `col` on, to
 * dx, run by run of columns that map evenly.
 */
static void scatter(const part *p, int64_t row, int64_t col, int64_t count, int64_t from) {
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
                                 cgc_at(p->segment, m * p->block.cells + from + done, s->size), length);
        }
    }
}

/*
 * The gradients of rows x cols padding cells from (row, col) on, to `to` of the segment, row by row: a phase of the
 * stride at a time. There are at most block.cells of them.
 */
static void compute(const part *p, int64_t row, int64_t rows, int64_t col, int64_t cols, int64_t to) {
    const cgc_geometry *s = p->run->geometry;
    const cgc_kernels *kernels = p->run->kernels;
    const ptrdiff_t size = s->size;
    cgc_block block = p->block;
    block.down = rows > cols;
    for (int64_t u = 0; u < cgc_min(s->sh, rows); u++)
        for (int64_t v = 0; v < cgc_min(s->sw, cols); v++) {
            const cgc_grid high = {row + u, s->sh, cgc_ceil_div(rows - u, s->sh)};
            const cgc_grid wide = {col + v, s->sw, cgc_ceil_div(cols - v, s->sw)};
            const cgc_correlation c = cgc_backward_correlation(s, high, wide);
            const char *sums = cgc_gemm_block(kernels, &block, &c, &p->image, p->g, p->m0, p->m, 0,
                                              high.count * wide.count, p->workspace);
            for (int64_t m = 0; m < p->m; m++) {
                char *cells = cgc_at(p->segment, m * block.cells + to + u * cols + v, size);
                const char *from = cgc_at(sums, m * block.cells, size);
                for (int64_t j = 0; j < wide.count && block.down; j++)
                    kernels->store(cgc_at(cells, j * s->sw, size), s->sh * cols, cgc_at(from, j * high.count, size),
                                   high.count, c.lo, c.hi);
                for (int64_t i = 0; i < high.count && !block.down; i++)
                    kernels->store(cgc_at(cells, i * s->sh * cols, size), s->sw, cgc_at(from, i * wide.count, size),
                                   wide.count, c.lo, c.hi);
            }
        }
}

/* Padding cells col0 .. col1-1 of padded row `row`, in ascending order, a segment at a time. */
static void fold_row(const part *p, int64_t row, int64_t col0, int64_t col1) {
    for (int64_t col = col0; col < col1; col += p->block.cells) {
        const int64_t count = cgc_min(p->block.cells, col1 - col);
        compute(p, row, 1, col, count, 0);
        scatter(p, row, col, count, 0);
    }
}

/* The padding left and right of rows row0 .. row1-1, which lie inside: as many rows together as a segment holds. */
static void fold_sides(const part *p, int64_t row0, int64_t row1) {
    const cgc_geometry *s = p->run->geometry;
    const int64_t both = s->pl + s->pr;
    if (both == 0) return;
    if (both > p->block.cells) {
        for (int64_t row = row0; row < row1; row++) {
            fold_row(p, row, -s->pl, 0);
            fold_row(p, row, s->w, s->w + s->pr);
        }
        return;
    }
    for (int64_t row = row0, rows; row < row1; row += rows) {
        rows = cgc_min(p->block.cells / both, row1 - row);
        const int64_t right = rows * s->pl;
        if (s->pl) compute(p, row, rows, -s->pl, s->pl, 0);
        if (s->pr) compute(p, row, rows, s->w, s->pr, right);
        for (int64_t r = 0; r < rows; r++) {
            scatter(p, row + r, -s->pl, s->pl, r * s->pl);
            scatter(p, row + r, s->w, s->pr, right + r * s->pr);
        }
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
    for (int64_t row = -s->pt; row < 0; row++) fold_row(&p, row, -s->pl, s->w + s->pr);
    fold_sides(&p, 0, s->h);
    for (int64_t row = s->h; row < s->h + s->pb; row++) fold_row(&p, row, -s->pl, s->w + s->pr);
}

void cgc_fold_cells(const cgc_run *run) {
    const cgc_geometry *s = run->geometry;
    const int64_t blocks = cgc_ceil_div(s->cg, cgc_block_of(run->kernels, s->cg).m);
    cgc_parallel(run->threads, s->n * s->g * blocks, fold_part, (void *)run);
}
