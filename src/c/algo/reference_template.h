/*
 * The definition of the three passes, as plain as it can be written. Every other algorithm equals it bit for bit.
 *
 * Parameters: T the dtype, FMA its fused multiply-add, LANES its lane count, NAME(x) the name of x for this dtype.
 */

/* The padded cell (row, col) of a plane. */
static T NAME(cell)(const cgc_geometry *s, const T *plane, int64_t row, int64_t col) {
    int64_t i = cgc_pad_source(s->mode, row, s->h), j = cgc_pad_source(s->mode, col, s->w);
    return i < 0 || j < 0 ? (T)s->value : plane[i * s->xh + j * s->xw];
}

/* Plane `task` of y, of n*oc. */
static void NAME(forward)(void *context, int64_t task, int thread) {
    (void)thread;
    const cgc_run *run = context;
    const cgc_geometry *s = run->geometry;
    const int64_t n = task / s->oc, oc = task % s->oc, c0 = oc / s->f * s->cg;
    const T *w = (const T *)run->weight + oc * s->wo;
    const T lo = (T)s->lo, hi = (T)s->hi;
    for (int64_t i = 0; i < s->oh; i++)
        for (int64_t j = 0; j < s->ow; j++) {
            T sum = run->bias ? ((const T *)run->bias)[oc] : 0;
            for (int64_t c = 0; c < s->cg; c++) {
                const T *x = (const T *)run->x + n * s->xn + (c0 + c) * s->xc;
                for (int64_t u = 0; u < s->kh; u++)
                    for (int64_t v = 0; v < s->kw; v++)
                        sum =
                            FMA(w[c * s->wc + u * s->wu + v * s->wv],
                                NAME(cell)(s, x, i * s->sh + u * s->dh - s->pt, j * s->sw + v * s->dw - s->pl), sum);
            }
            sum = lo > sum ? lo : sum;
            ((T *)run->y)[n * s->yn + oc * s->yc + i * s->yh + j * s->yw] = hi < sum ? hi : sum;
        }
}

/* The gradient of the padded cell (row, col) of plane (n, c): one chain over (oc, u, v), where dy is 0 outside. */
static T NAME(gradient)(const cgc_run *run, int64_t n, int64_t c, int64_t row, int64_t col) {
    const cgc_geometry *s = run->geometry;
    const int64_t oc0 = c / s->cg * s->f;
    const T *w = (const T *)run->weight + oc0 * s->wo + c % s->cg * s->wc;
    T sum = 0;
    for (int64_t f = 0; f < s->f; f++) {
        const T *dy = (const T *)run->y + n * s->yn + (oc0 + f) * s->yc;
        for (int64_t u = 0; u < s->kh; u++)
            for (int64_t v = 0; v < s->kw; v++) {
                const int64_t a = row + s->pt - u * s->dh, b = col + s->pl - v * s->dw;
                if (a % s->sh || b % s->sw) continue;
                const int inside = a >= 0 && a / s->sh < s->oh && b >= 0 && b / s->sw < s->ow;
                sum = FMA(w[f * s->wo + u * s->wu + v * s->wv],
                          inside ? dy[a / s->sh * s->yh + b / s->sw * s->yw] : 0, sum);
            }
    }
    return sum;
}

/* Plane `task` of dx, of n*c: each cell's own chain, then those of its copies in row-major order. */
static void NAME(backward_input)(void *context, int64_t task, int thread) {
    (void)thread;
    const cgc_run *run = context;
    const cgc_geometry *s = run->geometry;
    const int64_t n = task / s->c, c = task % s->c;
    T *dx = (T *)run->x + n * s->xn + c * s->xc;
    for (int64_t i = 0; i < s->h; i++)
        for (int64_t j = 0; j < s->w; j++) dx[i * s->xh + j * s->xw] = NAME(gradient)(run, n, c, i, j);
    if (s->mode == CGCONV_PAD_CONSTANT) return;
    for (int64_t row = -s->pt; row < s->h + s->pb; row++)
        for (int64_t col = -s->pl; col < s->w + s->pr; col++) {
            if (row >= 0 && row < s->h && col >= 0 && col < s->w) continue;
            const int64_t i = cgc_pad_source(s->mode, row, s->h), j = cgc_pad_source(s->mode, col, s->w);
            dx[i * s->xh + j * s->xw] += NAME(gradient)(run, n, c, row, col);
        }
}

/* The sum of the lanes by halves. */
static T NAME(join)(T *lanes) {
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++) lanes[l] += lanes[l + half];
    return lanes[0];
}

/*
 * Sum over all pixels, in the chunks of reduction.h, of dy of plane oc times x of plane c under filter cell (u, v);
 * times 1 if c < 0.
 */
static T NAME(correlate)(const cgc_run *run, int64_t oc, int64_t c, int64_t u, int64_t v) {
    const cgc_geometry *s = run->geometry;
    const cgc_chunks cut = cgc_cut(s);
    T sum = 0;
    for (int64_t k = 0; k < cut.count; k++) {
        const cgc_chunk chunk = cgc_chunk_at(s, &cut, k);
        T lanes[LANES] = {0};
        for (int64_t row = chunk.row0; row < chunk.row1; row++) {
            const int64_t n = row / s->oh, i = row % s->oh, cols = chunk.col1 - chunk.col0;
            const T *dy = (const T *)run->y + n * s->yn + oc * s->yc + i * s->yh;
            const T *x = (const T *)run->x + n * s->xn + (c < 0 ? 0 : c) * s->xc;
            for (int64_t p = 0; p % LANES || p < cols; p++) {
                const int64_t j = chunk.col0 + p;
                T a = 0, b = 0;
                if (p < cols) {
                    a = dy[j * s->yw];
                    b = c < 0 ? 1 : NAME(cell)(s, x, i * s->sh + u * s->dh - s->pt, j * s->sw + v * s->dw - s->pl);
                }
                lanes[p % LANES] = FMA(a, b, lanes[p % LANES]);
            }
        }
        sum += NAME(join)(lanes);
    }
    return sum;
}

/* The weights and the bias of output channel `task`, of oc. */
static void NAME(backward_weight)(void *context, int64_t task, int thread) {
    (void)thread;
    const cgc_run *run = context;
    const cgc_geometry *s = run->geometry;
    T *dw = (T *)run->weight + task * s->wo;
    for (int64_t c = 0; c < s->cg; c++)
        for (int64_t u = 0; u < s->kh; u++)
            for (int64_t v = 0; v < s->kw; v++)
                dw[c * s->wc + u * s->wu + v * s->wv] = NAME(correlate)(run, task, task / s->f * s->cg + c, u, v);
    if (run->bias) ((T *)run->bias)[task] = NAME(correlate)(run, task, -1, 0, 0);
}
