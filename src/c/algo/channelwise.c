/*
 * The algorithm "channelwise": groups of one channel, any number of filters each, without im2col. It chooses among
 * the ways of channelwise.h; it must not know how they work.
 */
#include "channelwise.h"

#include "fold.h"
#include "gradient.h"
#include "panel.h"
#include "weight_gradient.h"

enum { WHOLE = 512 }; /* see fold.h: parts are small, and the rest is computed where it belongs */

/* The first way that serves, best first; the last one always does. */
static const cgc_way *way_of(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass) {
    static const cgc_way *const ways[] = {
        &cgc_flat, &cgc_over_channels, &cgc_turned, &cgc_pairs_way, &cgc_stencils, &cgc_planes,
    };
    const cgc_way *const *way = ways;
    while (!(*way)->serves(s, kernels, pass)) way++;
    return *way;
}

static int supports(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass) {
    (void)kernels;
    const int64_t filters = pass == CGCONV_BACKWARD_INPUT ? s->f : 1;
    return s->cg == 1 && s->kh <= CGC_PANEL_TERMS && s->kw <= CGC_PANEL_TERMS && filters <= CGC_PANEL_TERMS &&
           filters * s->kh * s->kw <= CGC_PANEL_TERMS;
}

static cgc_booking book_way(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass, int threads) {
    (void)threads;
    return (cgc_booking){0, way_of(s, kernels, pass)->workspace(s, kernels, pass)};
}

static void run_way(const cgc_run *run) { way_of(run->geometry, run->kernels, run->pass)->run(run); }

static const cgc_unfolded unfolded = {WHOLE, 1, NULL, book_way, run_way};

static cgc_booking book(const cgc_geometry *s, const cgc_kernels *kernels, cgconv_pass pass, int threads) {
    if (pass != CGCONV_BACKWARD_WEIGHT) return cgc_folded_book(s, kernels, pass, threads, &unfolded);
    if (cgc_channelwise_gradient_serves(s, kernels)) return cgc_channelwise_gradient_book(s, kernels, threads);
    const cgc_feed feed = cgc_pixels_feed(s, kernels);
    return cgc_weight_gradient_book(s, &feed, threads);
}

static void run_channelwise(const cgc_run *run) {
    if (run->pass != CGCONV_BACKWARD_WEIGHT) {
        cgc_folded_run(run, &unfolded);
        return;
    }
    if (cgc_channelwise_gradient_serves(run->geometry, run->kernels)) {
        cgc_channelwise_gradient_run(run);
        return;
    }
    const cgc_feed feed = cgc_pixels_feed(run->geometry, run->kernels);
    cgc_weight_gradient(run, &feed);
}

const cgc_algorithm cgc_channelwise = {"channelwise", supports, book, run_channelwise, NULL, NULL};
