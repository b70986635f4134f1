# The C interface of cgconv for Cython: a mirror of cgconv.h, which documents every name. It knows no Python.
#
# It is installed as cgconv/__init__.pxd, so that `cimport cgconv` works in your own extension: put
# cgconv.get_include() on the include path and link against the library in cgconv.get_library_dir().

from libc.stddef cimport size_t
from libc.stdint cimport int64_t


cdef extern from "cgconv.h" nogil:
    const char *CGCONV_VERSION

    ctypedef enum cgconv_status:
        CGCONV_OK
        CGCONV_INVALID_ARGUMENT
        CGCONV_UNSUPPORTED
        CGCONV_SIZE_OVERFLOW
        CGCONV_OUT_OF_MEMORY

    ctypedef enum cgconv_dtype:
        CGCONV_FLOAT32
        CGCONV_FLOAT64

    ctypedef enum cgconv_layout:
        CGCONV_NCHW
        CGCONV_NHWC
        CGCONV_NCWH
        CGCONV_NWHC

    ctypedef enum cgconv_pad_mode:
        CGCONV_PAD_CONSTANT
        CGCONV_PAD_SYMMETRIC_INCLUDE_EDGE
        CGCONV_PAD_SYMMETRIC_EXCLUDE_EDGE
        CGCONV_PAD_REPLICATE
        CGCONV_PAD_CIRCULAR

    ctypedef enum cgconv_pass:
        CGCONV_FORWARD
        CGCONV_BACKWARD_INPUT
        CGCONV_BACKWARD_WEIGHT

    ctypedef struct cgconv_spec:
        size_t struct_size
        cgconv_dtype dtype
        cgconv_layout layout
        int64_t n
        int64_t c
        int64_t h
        int64_t w
        int64_t groups
        int64_t filters_per_group
        int64_t kh
        int64_t kw
        int64_t stride_h
        int64_t stride_w
        int64_t dilation_h
        int64_t dilation_w
        int64_t pad_top
        int64_t pad_bottom
        int64_t pad_left
        int64_t pad_right
        cgconv_pad_mode pad_mode
        double pad_value
        double clamp_lo
        double clamp_hi
        int64_t x_strides[4]
        int64_t y_strides[4]

    void cgconv_spec_init(cgconv_spec *spec)
    cgconv_status cgconv_spec_check(const cgconv_spec *spec, char *why, size_t why_size)
    cgconv_status cgconv_spec_pad_same(cgconv_spec *spec)
    cgconv_status cgconv_output_size(const cgconv_spec *spec, int64_t *oh, int64_t *ow)
    int64_t cgconv_pad_source(cgconv_pad_mode mode, int64_t position, int64_t extent)

    ctypedef struct cgconv_plan:
        pass

    ctypedef struct cgconv_options:
        size_t struct_size
        int threads
        const char *algorithm
        const char *isa
        char *why
        size_t why_size

    void cgconv_options_init(cgconv_options *options)
    cgconv_status cgconv_plan_create(const cgconv_spec *spec, const cgconv_options *options, cgconv_plan **plan)
    void cgconv_plan_destroy(cgconv_plan *plan)
    size_t cgconv_plan_workspace_size(const cgconv_plan *plan, cgconv_pass which)
    const char *cgconv_plan_algorithm(const cgconv_plan *plan, cgconv_pass which)
    const char *cgconv_plan_alternative(const cgconv_plan *plan, cgconv_pass which, int index)
    int cgconv_plan_threads(const cgconv_plan *plan, cgconv_pass which)
    size_t cgconv_plan_packed_size(const cgconv_plan *plan)

    cgconv_status cgconv_forward(const cgconv_plan *plan, const void *x, const void *weight, const void *bias,
                                 void *y, void *workspace, size_t workspace_size)
    cgconv_status cgconv_pack(const cgconv_plan *plan, const void *weight, void *packed, size_t packed_size)
    cgconv_status cgconv_forward_packed(const cgconv_plan *plan, const void *x, const void *packed, size_t packed_size,
                                        const void *bias, void *y, void *workspace, size_t workspace_size)
    cgconv_status cgconv_backward_input(const cgconv_plan *plan, const void *dy, const void *weight, void *dx,
                                        void *workspace, size_t workspace_size)
    cgconv_status cgconv_backward_weight(const cgconv_plan *plan, const void *x, const void *dy, void *dw, void *db,
                                         void *workspace, size_t workspace_size)

    ctypedef struct cgconv_separable:
        pass

    cgconv_status cgconv_separable_create(const cgconv_plan *channelwise, const cgconv_plan *pointwise, char *why,
                                          size_t why_size, cgconv_separable **separable)
    void cgconv_separable_destroy(cgconv_separable *separable)
    size_t cgconv_separable_workspace_size(const cgconv_separable *separable)
    int cgconv_separable_threads(const cgconv_separable *separable)
    cgconv_status cgconv_separable_forward(const cgconv_separable *separable, const void *x,
                                           const void *channelwise_weight, const void *channelwise_bias,
                                           const void *pointwise_weight, const void *pointwise_bias, void *y,
                                           void *workspace, size_t workspace_size)

    int cgconv_get_num_threads()
    cgconv_status cgconv_set_num_threads(int n)
    const char *cgconv_status_string(cgconv_status status)
    const char *cgconv_version()
    const char *cgconv_isa()
    const char *cgconv_threading()
    const char *cgconv_cuda()
    const char *cgconv_isa_alternative(int index)
    int cgconv_reproducible()
