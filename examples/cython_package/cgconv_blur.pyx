# cython: language_level=3
"""A 3x3 binomial blur: the C interface of cgconv, called from Cython without the GIL."""

from cgconv cimport (
    CGCONV_FORWARD, CGCONV_OK, CGCONV_PAD_SYMMETRIC_INCLUDE_EDGE, cgconv_forward, cgconv_plan, cgconv_plan_create,
    cgconv_plan_destroy, cgconv_plan_workspace_size, cgconv_spec, cgconv_spec_check, cgconv_spec_init, cgconv_status,
    cgconv_status_string,
)
from libc.stdlib cimport free, malloc

cdef float[9] WEIGHT = [1 / 16., 2 / 16., 1 / 16., 2 / 16., 4 / 16., 2 / 16., 1 / 16., 2 / 16., 1 / 16.]


def blur(const float[:, ::1] image, float[:, ::1] out):
    """Write the blurred `image` to `out`, an array of the same shape; beyond its edges the image is mirrored."""
    cdef cgconv_spec spec
    cdef cgconv_plan *plan = NULL
    cdef char[200] why
    if out.shape[0] != image.shape[0] or out.shape[1] != image.shape[1]:
        raise ValueError(f"out is {out.shape[0]} x {out.shape[1]}, the image {image.shape[0]} x {image.shape[1]}")

    cgconv_spec_init(&spec)
    spec.c = 1
    spec.h, spec.w = image.shape[0], image.shape[1]
    spec.kh = spec.kw = 3
    spec.pad_top = spec.pad_bottom = spec.pad_left = spec.pad_right = 1
    spec.pad_mode = CGCONV_PAD_SYMMETRIC_INCLUDE_EDGE
    if cgconv_spec_check(&spec, why, sizeof(why)) != CGCONV_OK:
        raise ValueError((<bytes>why).decode())

    cdef cgconv_status status = cgconv_plan_create(&spec, NULL, &plan)
    cdef size_t size
    cdef void *workspace
    if status == CGCONV_OK:
        size = cgconv_plan_workspace_size(plan, CGCONV_FORWARD)
        workspace = malloc(size + 1)  # malloc(0) may return NULL
        if workspace == NULL:
            cgconv_plan_destroy(plan)
            raise MemoryError
        with nogil:
            status = cgconv_forward(plan, &image[0, 0], WEIGHT, NULL, &out[0, 0], workspace, size)
        free(workspace)
        cgconv_plan_destroy(plan)
    if status != CGCONV_OK:
        raise ValueError(cgconv_status_string(status).decode())
