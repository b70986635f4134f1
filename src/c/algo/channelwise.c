/*
 * The algorithm "channelwise": groups of one channel, any number of filters each, without im2col. It chooses between
 * vectors over pixels and over channels; it must not know how they work.
 */
#include "channelwise.h"

#include "fold.h"
#include "panel.h"
#include "weight_gradient.h"

/* Channels are neighbours and pixels are not. */
static int over_channels(const cgc_geometry *s, cgconv_pass pass) {
    return (s->f == 1 || pass == CGCONV_FORWARD) && s->xc == 1 && s->yc == 1 && (s->xw != 1 || s->yw != 1);
}

static int supports(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass) {
    (void)kernels;
    const int64_t filters = pass == CGCONV_BACKWARD_INPUT ? s->f : 1;
    return s->cg == 1 && s->kh <= CGC_PANEL_TERMS && s->kw <= CGC_PANEL_TERMS && filters <= CGC_PANEL_TERMS &&
           filters * s->kh * s->kw <= CGC_PANEL_TERMS;
}

static cgc_booking book(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass, int threads) {
    if (pass == CGCONV_BACKWARD_WEIGHT) {
        const cgc_feed feed = cgc_pixels_feed(s, kernels);
        return cgc_weight_gradient_book(s, &feed, threads);
    }
    size_t local = cgc_flat_serves(s, kernels, pass)      ? cgc_flat_workspace(s)
                   : over_channels(s, pass)               ? cgc_pixels_workspace(s, kernels, pass)
                   : cgc_turned_serves(s, kernels, pass)  ? cgc_turned_workspace(s, kernels, pass)
                   : cgc_pairs_serves(s, pass)            ? cgc_pairs_workspace(s)
                   : cgc_stencil_serves(s, kernels, pass) ? cgc_stencil_workspace(s, kernels, pass)
                                                          : cgc_planes_workspace(s);
    if (pass == CGCONV_BACKWARD_INPUT && cgc_fold_workspace(s, kernels) > local)
        local = cgc_fold_workspace(s, kernels);
    return (cgc_booking){0, local};
}

static void run_channelwise(const cgc_run *run) {
    if (run->pass == CGCONV_BACKWARD_WEIGHT) {
        const cgc_feed feed = cgc_pixels_feed(run->geometry, run->kernels);
        cgc_weight_gradient(run, &feed);
        return;
    }
    if (cgc_flat_serves(run->geometry, run->kernels, run->pass))
        cgc_flat_run(run);
    else if (over_channels(run->geometry, run->pass))
        cgc_pixels_run(run);
    else if (cgc_turned_serves(run->geometry, run->kernels, run->pass))
        cgc_turned_run(run);
    else if (cgc_pairs_serves(run->geometry, run->pass))
        cgc_pairs_run(run);
    else if (cgc_stencil_serves(run->geometry, run->kernels, run->pass))
        cgc_stencil_run(run);
    else
        cgc_planes_run(run);
    if (run->pass == CGCONV_BACKWARD_INPUT) cgc_fold(run);
}

const cgc_algorithm cgc_channelwise = {"channelwise", supports, book, run_channelwise, NULL, NULL};
