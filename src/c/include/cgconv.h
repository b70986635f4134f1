/*
 * cgconv.h - 2-D grouped convolution on CPUs: forward, gradient of the input, gradient of the weights.
 *
 * This is the only header a user includes. It knows C11 and nothing else: no Python, no framework, no global state
 * beyond the default thread count.
 *
 *   spec       what is to be computed: a plain struct that the caller fills in
 *   plan       how: checked sizes, the algorithm of each pass, the layout of the workspace; immutable, shareable
 *   workspace  where: one block of memory that the caller owns and lends to a run
 *   pass       forward, backward_input, backward_weight
 *
 *     cgconv_spec spec;
 *     cgconv_spec_init(&spec);
 *     spec.n = 1; spec.c = 32; spec.h = spec.w = 112;
 *     spec.groups = 32; spec.kh = spec.kw = 3;
 *     spec.pad_top = spec.pad_bottom = spec.pad_left = spec.pad_right = 1;
 *     cgconv_plan *plan;
 *     if (cgconv_plan_create(&spec, NULL, &plan) == CGCONV_OK) {
 *         size_t size = cgconv_plan_workspace_size(plan, CGCONV_FORWARD);
 *         void *workspace = malloc(size);
 *         cgconv_forward(plan, x, weight, bias, y, workspace, size);
 *         free(workspace);
 *         cgconv_plan_destroy(plan);
 *     }
 *
 * The operation, for group g, filter f of the group, and output pixel (i, j):
 *
 *     y[n, g*F+f, i, j] = clamp(b[g*F+f] + sum over (c, u, v) of
 *             w[g*F+f, c, u, v] * xp[n, g*C/G+c, i*stride_h + u*dilation_h, j*stride_w + v*dilation_w])
 *
 * where xp is the padded input. It is cross-correlation: the filter is not flipped.
 *
 * Every output is one chain of fused multiply-adds, in the order (c, u, v), in the precision of the arrays. So the
 * result has the same bits for every algorithm, instruction set, thread count, batch size and layout (see
 * cgconv_reproducible). In the two exchanged layouts the order is (c, v, u).
 *
 * Errors: functions that can fail return a cgconv_status. Where a `why` buffer is given, it gets a sentence that
 * names the attempt, the value and the rule. Nothing is printed, and nothing is written to an output array before
 * every argument has been checked.
 *
 * Threads: every function may be called from any thread at any time. A plan may be used by several threads at once if
 * each brings its own workspace and outputs.
 */
#ifndef CGCONV_H
#define CGCONV_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this header; cgconv_version() gives the version of the library. */
#define CGCONV_VERSION "0.1.0"

#ifndef CGCONV_API
#if defined(_WIN32) && defined(CGCONV_SHARED)
#ifdef CGCONV_BUILDING
#define CGCONV_API __declspec(dllexport)
#else
#define CGCONV_API __declspec(dllimport)
#endif
#elif defined(__GNUC__)
#define CGCONV_API __attribute__((visibility("default")))
#else
#define CGCONV_API
#endif
#endif

typedef enum cgconv_status {
    CGCONV_OK = 0,
    CGCONV_INVALID_ARGUMENT, /* an argument breaks a rule of this header */
    CGCONV_UNSUPPORTED,      /* legal, but no algorithm serves it: such strides, or an algorithm asked for by name */
    CGCONV_SIZE_OVERFLOW,    /* a size does not fit in memory's address range */
    CGCONV_OUT_OF_MEMORY
} cgconv_status;

/* IEEE 754 binary32 and binary64. */
typedef enum cgconv_dtype { CGCONV_FLOAT32 = 0, CGCONV_FLOAT64 = 1 } cgconv_dtype;

/*
 * The order of an image array's axes in memory, outermost first. The two exchanged layouts serve column-major arrays:
 * an array of MATLAB's shape (H, W, C, N) is NCWH in memory. Weights are O, C/G, KH, KW, dense, in every layout.
 */
typedef enum cgconv_layout { CGCONV_NCHW = 0, CGCONV_NHWC = 1, CGCONV_NCWH = 2, CGCONV_NWHC = 3 } cgconv_layout;

/*
 * What stands in the cells around the input, on the row [a b c d]:
 *   CONSTANT                 v v | a b c d | v v    v = pad_value
 *   SYMMETRIC_INCLUDE_EDGE   b a | a b c d | d c    the edge is repeated
 *   SYMMETRIC_EXCLUDE_EDGE   c b | a b c d | c b    an axis of length 1 repeats its cell
 *   REPLICATE                a a | a b c d | d d
 *   CIRCULAR                 c d | a b c d | a b
 * A pad longer than the axis goes on reflecting or wrapping.
 */
typedef enum cgconv_pad_mode {
    CGCONV_PAD_CONSTANT = 0,
    CGCONV_PAD_SYMMETRIC_INCLUDE_EDGE = 1,
    CGCONV_PAD_SYMMETRIC_EXCLUDE_EDGE = 2,
    CGCONV_PAD_REPLICATE = 3,
    CGCONV_PAD_CIRCULAR = 4
} cgconv_pad_mode;

typedef enum cgconv_pass { CGCONV_FORWARD = 0, CGCONV_BACKWARD_INPUT = 1, CGCONV_BACKWARD_WEIGHT = 2 } cgconv_pass;

/* ---- spec ------------------------------------------------------------------------------------------------------ */

/*
 * What is to be computed. Call cgconv_spec_init first, then set what differs from the defaults. Extents and pads are
 * in cells, strides of arrays in elements. Index 0..3 of an array's strides stands for n, c, h, w in every layout.
 *
 * Strides that are all 0 mean "dense in this layout". Otherwise the innermost axis of the layout (w for NCHW, c for
 * NHWC) must have stride 1 unless its extent is 1; the others may be anything for an array that is only read (a crop,
 * a flipped or repeated axis), and must not let two cells share memory for one that is written. The pointers that are
 * given to a run point to cell (0, 0, 0, 0).
 */
typedef struct cgconv_spec {
    size_t struct_size; /* sizeof(cgconv_spec), set by cgconv_spec_init */

    cgconv_dtype dtype;   /* of every array; default CGCONV_FLOAT32 */
    cgconv_layout layout; /* of the input and the output; default CGCONV_NCHW */

    int64_t n;                 /* images; 0 is legal; default 1 */
    int64_t c;                 /* input channels, a multiple of groups; required */
    int64_t h, w;              /* input height and width; required; 0 is legal if constant padding covers the filter */
    int64_t groups;            /* default 1; groups == c is a channel-wise (depthwise) convolution */
    int64_t filters_per_group; /* default 1; output channels = groups * filters_per_group */

    int64_t kh, kw;                                     /* filter height and width; required */
    int64_t stride_h, stride_w;                         /* step of the filter; default 1 */
    int64_t dilation_h, dilation_w;                     /* step inside the filter; default 1 */
    int64_t pad_top, pad_bottom, pad_left, pad_right;   /* cells, not negative; default 0 */
    cgconv_pad_mode pad_mode;                           /* default CGCONV_PAD_CONSTANT */
    double pad_value;                                   /* of CGCONV_PAD_CONSTANT, converted to dtype; default 0 */

    double clamp_lo, clamp_hi; /* forward only: y = min(max(y, lo), hi), NaN stays NaN; default -inf, inf: none */

    int64_t x_strides[4]; /* of x and dx */
    int64_t y_strides[4]; /* of y and dy */
} cgconv_spec;

/* Fills in the defaults. c, h, w, kh and kw are left at 0, which cgconv_spec_check refuses for c, kh and kw. */
CGCONV_API void cgconv_spec_init(cgconv_spec *spec);

/*
 * Checks every field. `why` (may be NULL) gets at most why_size bytes: a sentence that ends in a NUL, empty if all is
 * well. Returns CGCONV_OK, CGCONV_INVALID_ARGUMENT, CGCONV_UNSUPPORTED (strides) or CGCONV_SIZE_OVERFLOW.
 */
CGCONV_API cgconv_status cgconv_spec_check(const cgconv_spec *spec, char *why, size_t why_size);

/*
 * Sets the four pads to "same": per axis out = ceil(in / stride), and the total pad max(0, (out-1)*stride +
 * (k-1)*dilation + 1 - in) is split into floor(half) at top and left and the rest at bottom and right. Needs h, w,
 * kernel, stride and dilation to be set; leaves the pads alone and returns an error if those are refused.
 */
CGCONV_API cgconv_status cgconv_spec_pad_same(cgconv_spec *spec);

/* Output height and width: floor((in + pads - ((k-1)*dilation + 1)) / stride) + 1. Errors as cgconv_spec_check. */
CGCONV_API cgconv_status cgconv_output_size(const cgconv_spec *spec, int64_t *oh, int64_t *ow);

/*
 * The padding map along one axis: which cell of an axis of length `extent` stands at `position`, where 0 <= position
 * < extent are the axis itself and others are padding. Returns -1 for a cell of constant padding, and for an empty
 * axis.
 */
CGCONV_API int64_t cgconv_pad_source(cgconv_pad_mode mode, int64_t position, int64_t extent);

/* ---- plan ------------------------------------------------------------------------------------------------------ */

typedef struct cgconv_plan cgconv_plan;

typedef struct cgconv_options {
    size_t struct_size;    /* sizeof(cgconv_options), set by cgconv_options_init */
    int threads;           /* at most so many threads per run; 0: cgconv_get_num_threads(); default 0 */
    const char *algorithm; /* a name from cgconv_plan_alternative, for the passes it can serve; NULL: the best */
    const char *isa;       /* a name from cgconv_isa_alternative: exactly this one; NULL: the best */
    char *why;             /* gets a sentence when cgconv_plan_create fails; may be NULL */
    size_t why_size;
} cgconv_options;

CGCONV_API void cgconv_options_init(cgconv_options *options);

/*
 * Makes a plan of all three passes. `options` may be NULL. On success *plan is the caller's, to be given to
 * cgconv_plan_destroy; on failure it is NULL. Only this and cgconv_separable_create allocate; the spec is copied.
 * Returns what cgconv_spec_check returns, CGCONV_INVALID_ARGUMENT for options that break a rule, CGCONV_UNSUPPORTED if
 * the named algorithm or instruction set cannot serve this spec on this CPU, or CGCONV_OUT_OF_MEMORY.
 */
CGCONV_API cgconv_status cgconv_plan_create(const cgconv_spec *spec, const cgconv_options *options, cgconv_plan **plan);

/* Frees a plan; NULL is allowed. No run of it may be in progress. */
CGCONV_API void cgconv_plan_destroy(cgconv_plan *plan);

/*
 * Bytes of workspace that a run of this pass needs; may be 0. It depends on the plan's thread count, not on the
 * image.
 */
CGCONV_API size_t cgconv_plan_workspace_size(const cgconv_plan *plan, cgconv_pass pass);

/* The name of the algorithm that this pass uses, a static string; NULL for a pass that does not exist. */
CGCONV_API const char *cgconv_plan_algorithm(const cgconv_plan *plan, cgconv_pass pass);

/* The name of the index-th algorithm that could serve this pass, best first; NULL past the end. */
CGCONV_API const char *cgconv_plan_alternative(const cgconv_plan *plan, cgconv_pass pass, int index);

/* The most threads that a run of this pass uses: 1 where the work is too small to share. */
CGCONV_API int cgconv_plan_threads(const cgconv_plan *plan, cgconv_pass pass);

/*
 * Bytes of the weights of this plan, packed by cgconv_pack; at least those of the weights as they are given.
 */
CGCONV_API size_t cgconv_plan_packed_size(const cgconv_plan *plan);

/* ---- runs ------------------------------------------------------------------------------------------------------ */

/*
 * All arrays are the caller's, of the spec's dtype, aligned to their element, and live until the call returns:
 *   x, dx    N x C x H x W          in the spec's layout and x_strides
 *   y, dy    N x (G*F) x OH x OW    in the spec's layout and y_strides
 *   weight   (G*F) x (C/G) x KH x KW, dense; dw the same
 *   bias     G*F, or NULL for none; db the same
 * `workspace` has `workspace_size` bytes, at least cgconv_plan_workspace_size of the pass, at any address; it may be
 * NULL if that is 0. The span of memory of an output must not overlap that of an input, of another output or the
 * workspace. An array without elements may be NULL.
 *
 * Return CGCONV_OK, or CGCONV_INVALID_ARGUMENT if a pointer is missing or misaligned, the workspace is too small or
 * memory overlaps; then nothing has been written.
 */

/* y = conv(x, weight) + bias, clamped. */
CGCONV_API cgconv_status cgconv_forward(const cgconv_plan *plan, const void *x, const void *weight, const void *bias,
                                        void *y, void *workspace, size_t workspace_size);

/*
 * The same with weights that were packed beforehand, for weights that stay as they are during many runs: what
 * cgconv_forward does with them at each run, to have them in the order of the algorithm, is done once. The results have
 * the same bits. An algorithm that reads weights as they are given makes a copy of them.
 *
 * cgconv_pack writes cgconv_plan_packed_size bytes to `packed`, which has packed_size bytes and is aligned to an
 * element (best to 64 bytes). They are the caller's, hold no pointers, and may be copied or kept in a file for this
 * version of the library; `weight` is not needed any more. Runs only read them, so any number may share them at the
 * same time.
 *
 * They fit the plan that they were packed for and every plan that orders the same weights alike: of the same dtype,
 * groups, filters, channels, kernel, algorithm and instruction set, whatever its images. cgconv_forward_packed returns
 * CGCONV_INVALID_ARGUMENT for others, and for memory that holds no packed weights: it compares their first 64 bytes.
 */
CGCONV_API cgconv_status cgconv_pack(const cgconv_plan *plan, const void *weight, void *packed, size_t packed_size);
CGCONV_API cgconv_status cgconv_forward_packed(const cgconv_plan *plan, const void *x, const void *packed,
                                               size_t packed_size, const void *bias, void *y, void *workspace,
                                               size_t workspace_size);

/*
 * dx = the adjoint of the forward map, applied to dy: the gradient of a padding cell is added to the cell it was
 * copied from. The clamp is not part of it: give dy with the clamped places already set to zero. A cell of the padded
 * plane is one chain in the order (oc, u, v), where dy counts as 0 outside its extent; a cell of dx is its own sum,
 * plus those of its copies in row-major order.
 */
CGCONV_API cgconv_status cgconv_backward_input(const cgconv_plan *plan, const void *dy, const void *weight, void *dx,
                                               void *workspace, size_t workspace_size);

/*
 * dw = correlation of the padded x with dy, db = sum of dy over images and pixels; db may be NULL. Overwrites both.
 * Output rows are summed in chunks that the shape alone fixes, so the bits do not depend on the number of threads.
 */
CGCONV_API cgconv_status cgconv_backward_weight(const cgconv_plan *plan, const void *x, const void *dy, void *dw,
                                                void *db, void *workspace, size_t workspace_size);

/* ---- separable convolutions ------------------------------------------------------------------------------------ */

/*
 * A channel-wise convolution and the pointwise one (1 x 1) that reads its result, run as one, forward: some rows or
 * images at a time, so that what lies between them never leaves the cache, and no array is needed for it. The result
 * has the bits of the two runs one after the other, clamps included. What lies between is not cut where it is small.
 */
typedef struct cgconv_separable cgconv_separable;

/*
 * Joins two plans. The first has as many groups as channels, any number of filters for each; the second has filters
 * of 1 x 1, strides of 1, no padding, any number of groups, and reads an input of the shape of the first's output.
 * Both have the same data type and instruction set, and may differ in layout. Their algorithms are used, and their
 * thread counts (the larger one, where the work is cut into tiles); the strides of the array between them are not.
 * All that is needed is copied: the plans may be destroyed.
 *
 * `why` (may be NULL) gets at most why_size bytes: a sentence that ends in a NUL, empty if all is well. On success
 * *separable is the caller's, to be given to cgconv_separable_destroy; on failure it is NULL. Returns CGCONV_OK,
 * CGCONV_INVALID_ARGUMENT or CGCONV_OUT_OF_MEMORY.
 */
CGCONV_API cgconv_status cgconv_separable_create(const cgconv_plan *channelwise, const cgconv_plan *pointwise,
                                                 char *why, size_t why_size, cgconv_separable **separable);

/* Frees it; NULL is allowed. No run of it may be in progress. */
CGCONV_API void cgconv_separable_destroy(cgconv_separable *separable);

/*
 * Bytes of workspace that a run needs. It depends on the channels and on the thread count, not on the image: for each
 * thread a tile of what lies between the two, of at most 2 MiB or 16 pixels, and what the two need for themselves; and
 * once the weights in another order.
 */
CGCONV_API size_t cgconv_separable_workspace_size(const cgconv_separable *separable);

/* The most threads that a run uses. */
CGCONV_API int cgconv_separable_threads(const cgconv_separable *separable);

/*
 * y = pointwise(channelwise(x)): x is that of the first plan, y that of the second; each has weights and a bias, which
 * may be NULL. Arrays, workspace, errors and threads as for cgconv_forward.
 */
CGCONV_API cgconv_status cgconv_separable_forward(const cgconv_separable *separable, const void *x,
                                                  const void *channelwise_weight, const void *channelwise_bias,
                                                  const void *pointwise_weight, const void *pointwise_bias, void *y,
                                                  void *workspace, size_t workspace_size);

/* ---- the library ----------------------------------------------------------------------------------------------- */

/*
 * Threads of a run whose options do not say: what cgconv_set_num_threads set, else CGCONV_NUM_THREADS, else what
 * OpenMP gives (OMP_NUM_THREADS, else the processors). A limit put on OpenMP at run time (omp_set_num_threads) is
 * kept to. In a child after fork() the answer is 1. set takes n >= 1; n = 0 goes back to the default; negative n is
 * refused.
 */
CGCONV_API int cgconv_get_num_threads(void);
CGCONV_API cgconv_status cgconv_set_num_threads(int n);

/* Static strings. An unknown status gives "unknown status". */
CGCONV_API const char *cgconv_status_string(cgconv_status status);
CGCONV_API const char *cgconv_version(void);   /* "0.1.0" */
CGCONV_API const char *cgconv_isa(void);       /* the instruction set in use: "avx512"; CGCONV_ISA caps it */
CGCONV_API const char *cgconv_threading(void); /* "openmp" or "serial" */
CGCONV_API const char *cgconv_cuda(void);      /* what the build found of CUDA, in words */

/*
 * The index-th instruction set that this CPU and build can run, best first; NULL past the end. CGCONV_ISA does not
 * cap it.
 */
CGCONV_API const char *cgconv_isa_alternative(int index);

/*
 * 1 if results have the bits of the fused chain above; 0 on a CPU without fused multiply-add, which multiplies, then
 * adds.
 */
CGCONV_API int cgconv_reproducible(void);

#ifdef __cplusplus
}
#endif

#endif
