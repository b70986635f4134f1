/*
 * The last columns of a row of tiles, see stencil_walk_template.h, in vectors of half the lanes: for lines of which a
 * whole vector would compute half its lanes twice. It must not know which lines these are.
 *
 * Parameters: those of stencil_template.h, with GRADE the shorter vectors; WHOLE(word) is K(word) of the longer ones.
 */

/* The vector under filter column v: those from kind.right on reach beyond the end. */
static ALWAYS_INLINE VEC K(stencil_tail_cells)(const WHOLE(stencil_plane) *c, const WHOLE(stencil_kind) kind,
                                               const WHOLE(stencil_place) *at, const REAL *line, const int v) {
    const WHOLE(stencil_tail_end) *end = c->tail;
    if (v < kind.right)
        return V(load)(line + WHOLE(stencil_tap)(c, kind, at->p[0], v));
    const INDEX index = V(load_index)(end->lanes[v]);
    return V(pick)(index, V(within)(index), V(load)(line + end->a), V(set)(c->constant));
}

static ALWAYS_INLINE VEC K(stencil_tail_weight)(const WHOLE(stencil_kind) kind, const WHOLE(stencil_place) *at,
                                                const REAL *w, const int tap) {
    return tap < kind.held ? V(low)(at->common->held[tap]) : V(set)(w[tap]);
}

/* Adds the terms of filter column v on line t to the sums of rows first .. end-1. */
static ALWAYS_INLINE void K(stencil_tail_column)(const WHOLE(stencil_kind) kind, const WHOLE(stencil_place) *at,
                                                 const REAL *w, const int t, const int v, const int first,
                                                 const int end, VEC cells, VEC *sum) {
    UNROLL for (int j = first; j < end; j++)
        sum[j] = V(fma)(K(stencil_tail_weight)(kind, at, w, (t - j) * kind.kw + v), cells, sum[j]);
}

static ALWAYS_INLINE void K(stencil_tail)(const WHOLE(stencil_plane) *c, const WHOLE(stencil_kind) kind,
                                          WHOLE(stencil_place) *at) {
    VEC sum[8];
    REFRESH(at->line);
    UNROLL for (int j = 0; j < kind.rows; j++)
        sum[j] = V(set)(c->bias);
    if (c->from)
        UNROLL for (int j = 0; j < kind.rows; j++)
            sum[j] = V(load)(c->from + (at->r + j) * c->from_pitch + at->p[0]);
    UNROLL for (int t = 0; t < kind.rows - 1 + kind.kh; t++) {
        const REAL *w = c->w;
        REFRESH(w);
        UNROLL for (int v = 0; v < kind.kw; v++) {
            const VEC cells = V(keep)(K(stencil_tail_cells)(c, kind, at, at->line[t], v));
            K(stencil_tail_column)(kind, at, w, t, v, t < kind.kh ? 0 : t - kind.kh + 1,
                                   t < kind.rows ? t + 1 : kind.rows, cells, sum);
        }
    }
    if (c->clamped)
        UNROLL for (int j = 0; j < kind.rows; j++)
            sum[j] = V(clamp)(sum[j], V(set)(c->lo), V(set)(c->hi));
    REAL *y = c->y + at->r * c->y_pitch + at->p[0];
    UNROLL for (int j = 0; j < kind.rows; j++) {
        V(store)(y, sum[j]);
        y += c->y_pitch;
        REFRESH(y);
    }
}
