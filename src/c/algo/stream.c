/* Large outputs, see stream.h. */
#include "stream.h"

#include "algo.h"

enum {
    SMALL_PLANE = 512,   /* cells, up to which it costs as much as it saves */
    LARGE_PLANE = 65536, /* from which on it pays even if rows are written downwards, which machines foresee */
    FEW_TAPS = 9,        /* so little work pays for it only upwards, in whole planes, */
    FEW_TAPS_PLANE = 2048, /* of so many cells, at least */
};

int cgc_stream_pays(double planes, double cells, double taps, int turned, double size) {
    if (planes * cells * size < CGC_FAR_BYTES) return 0;
    if (taps <= FEW_TAPS) return turned && cells > FEW_TAPS_PLANE && cells * size <= CGC_STREAM_BYTES;
    return cells > (turned ? SMALL_PLANE : LARGE_PLANE);
}

/* Sends output planes on to y: all that follow each other in memory at once. */
static void send(const cgc_kernels *kernels, const cgc_stencil *near, int64_t outputs, const cgc_stencil *far, char *y,
                 ptrdiff_t size) {
    const int64_t rows = far->y_pitch == near->y_pitch ? near->rows : 1;
    const int64_t planes = rows == near->rows && far->y_plane == near->y_plane ? outputs : 1;
    for (int64_t f = 0; f < outputs; f += planes)
        for (int64_t r = 0; r < near->rows; r += rows) {
            /* Turned, the last one has the lowest address. */
            const int64_t k = far->mirrored ? f + planes - 1 : f, i = far->mirrored ? r + rows - 1 : r;
            kernels->stream(cgc_at(y, k * far->y_plane + i * far->y_pitch, size),
                            cgc_at(near->y, k * near->y_plane + i * near->y_pitch, size), planes * rows * near->cols);
        }
}

void cgc_stream_planes(const cgc_kernels *kernels, const cgc_stencil *stencil, ptrdiff_t size, char *near) {
    const cgc_stencil *far = stencil;
    const int64_t cells = far->rows * far->cols, filters = far->filters;
    const int64_t most = CGC_STREAM_BYTES / (cells * filters * size);
    cgc_stencil call = *far;
    call.y_plane = far->mirrored ? -cells : cells;
    call.y_pitch = far->mirrored ? -far->cols : far->cols;
    for (int64_t done = 0; done < far->planes; done += call.planes) {
        call.planes = cgc_min(most, far->planes - done);
        call.x = cgc_at(far->x, done * far->x_plane, size);
        call.w = cgc_at(far->w, done * filters * far->w_filter, size);
        call.bias = far->bias ? cgc_at(far->bias, done * filters, size) : NULL;
        call.y = cgc_at(near, far->mirrored ? call.planes * filters * cells - far->cols : 0, size);
        kernels->stencil(&call);
        send(kernels, &call, call.planes * filters, far, cgc_at(far->y, done * filters * far->y_plane, size), size);
    }
}
