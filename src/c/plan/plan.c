/* Planning and running, see plan.h. */
#include "plan.h"

#include <string.h>

#include "../platform/memory.h"
#include "../platform/threads.h"

/*
 * Multiply-adds that are worth a further thread: waking one costs a few microseconds, in which a core does about so
 * many.
 */
#define WORK_PER_THREAD 200000.0

static int threads_for(const cgc_geometry *s, int wanted) {
    const double work =
        (double)s->n * (double)s->oc * (double)s->oh * (double)s->ow * (double)s->cg * (double)s->kh * (double)s->kw;
    const double useful = 1 + work / WORK_PER_THREAD;
    return useful < wanted ? (int)useful : wanted;
}

/* Is there an algorithm of this name? */
static int known(const char *name) {
    for (int i = 0; cgc_algorithm_at(i); i++)
        if (strcmp(cgc_algorithm_at(i)->name, name) == 0) return 1;
    return 0;
}

/* The best algorithm for this pass, or the one of this name; NULL if it cannot serve the pass. */
static const cgc_algorithm *choose(const cgconv_plan *plan, cgconv_pass pass, const char *name) {
    const cgc_algorithm *algorithm;
    for (int i = 0; (algorithm = cgc_algorithm_at(i)); i++)
        if ((!name || strcmp(algorithm->name, name) == 0) &&
            algorithm->supports(&plan->geometry, plan->kernels, pass))
            break;
    return algorithm;
}

cgconv_status cgc_plan_init(cgconv_plan *plan, const cgconv_spec *spec, const cgconv_options *options, cgc_why why) {
    const char *name = options->algorithm;
    const cgconv_status status = cgc_geometry_init(spec, &plan->geometry, &plan->extents, why);
    if (status) return status;
    plan->exchanged = cgc_is_exchanged(spec->layout);
    if (options->threads < 0)
        return cgc_explain(why, CGCONV_INVALID_ARGUMENT, "threads=%d must not be negative", options->threads);
    if (name && !known(name))
        return cgc_explain(why, CGCONV_INVALID_ARGUMENT, "algorithm=\"%s\" is not the name of an algorithm", name);
    if (cgc_unknown_isa())
        return cgc_explain(why, CGCONV_INVALID_ARGUMENT,
                           "CGCONV_ISA=%s is not an instruction set that this library knows", cgc_unknown_isa());
    plan->kernels = cgc_select_kernels(spec->dtype, options->isa);
    if (!plan->kernels)
        return cgc_explain(why, CGCONV_UNSUPPORTED, "isa=\"%s\" cannot run on this CPU or is not in this build",
                           options->isa);

    const int asked = options->threads ? options->threads : cgc_default_threads();
    const int wanted = asked < cgc_most_threads() ? asked : cgc_most_threads();
    int served = !name;
    for (int p = 0; p < CGC_PASSES; p++) {
        const cgconv_pass pass = (cgconv_pass)p;
        cgc_pass_plan *chosen = &plan->passes[p];
        chosen->algorithm = choose(plan, pass, name);
        served |= chosen->algorithm != NULL;
        if (!chosen->algorithm) chosen->algorithm = choose(plan, pass, NULL);
        chosen->threads = threads_for(&plan->geometry, wanted);
        chosen->booking = chosen->algorithm->book(&plan->geometry, plan->kernels, pass, chosen->threads);
        const size_t size = chosen->booking.shared + chosen->booking.per_thread * (size_t)chosen->threads;
        chosen->workspace = size ? size + CGC_ALIGN - 1 : 0;
    }
    if (!served)
        return cgc_explain(why, CGCONV_UNSUPPORTED, "algorithm=\"%s\" cannot serve this problem", name);
    return CGCONV_OK;
}

void cgc_plan_run(const cgconv_plan *plan, cgconv_pass pass, const void *x, const void *weight, const char *packed,
                  const void *bias, const void *y, void *workspace) {
    const cgc_pass_plan *chosen = &plan->passes[pass];
    char *memory = chosen->workspace ? cgc_align(workspace) : NULL;
    const cgc_run run = {
        .geometry = &plan->geometry,
        .kernels = plan->kernels,
        .pass = pass,
        .threads = cgc_allowed_threads(chosen->threads),
        .x = cgc_array(x),
        .weight = (char *)weight,
        .bias = (char *)bias,
        .y = cgc_array(y),
        .packed = packed,
        .shared = memory,
        .local = memory ? memory + chosen->booking.shared : NULL,
        .local_size = chosen->booking.per_thread,
    };
    chosen->algorithm->run(&run);
}
