# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, freethreading_compatible=True
"""The binding: the spec and the plan of cgconv.h as two classes, and the functions of the library.

It must not know data formats, defaults, or how an argument was spelled: it takes checked numbers, and arrays that it
compares with what was planned.
"""
cimport cython
from cpython.buffer cimport (PyBUF_FORMAT, PyBUF_STRIDES, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer)
from libc.stdint cimport int64_t

from cgconv cimport *

import numpy

ctypedef fused real:
    float
    double

cdef enum:
    WHY_SIZE = 512
    MOST_AXES = 32
    CACHE_LINE = 64  # bytes

cdef type ndarray = numpy.ndarray

DTYPES = {"float32": CGCONV_FLOAT32, "float64": CGCONV_FLOAT64}
LAYOUTS = {"NCHW": CGCONV_NCHW, "NHWC": CGCONV_NHWC, "NCWH": CGCONV_NCWH, "NWHC": CGCONV_NWHC}
PAD_MODES = {
    "constant": CGCONV_PAD_CONSTANT,
    "symmetric-include-edge": CGCONV_PAD_SYMMETRIC_INCLUDE_EDGE,
    "symmetric-exclude-edge": CGCONV_PAD_SYMMETRIC_EXCLUDE_EDGE,
    "replicate": CGCONV_PAD_REPLICATE,
    "circular": CGCONV_PAD_CIRCULAR,
}
FORWARD, BACKWARD_INPUT, BACKWARD_WEIGHT = CGCONV_FORWARD, CGCONV_BACKWARD_INPUT, CGCONV_BACKWARD_WEIGHT


class Unsupported(ValueError):
    """A legal problem that nothing serves: such strides, or an algorithm or instruction set asked for by name."""


cdef int check(cgconv_status status, const char *why) except -1:
    """The one place where a status becomes an exception."""
    if status == CGCONV_OK:
        return 0
    cdef bytes sentence = why if why != NULL and why[0] != 0 else cgconv_status_string(status)
    text = sentence.decode("utf-8", "replace")
    if status == CGCONV_OUT_OF_MEMORY:
        raise MemoryError(text)
    if status == CGCONV_UNSUPPORTED:
        raise Unsupported(text)
    raise ValueError(text)


cdef class Spec:
    """What is to be computed, as cgconv_spec; layout and strides are given to the plan."""

    cdef cgconv_spec spec

    def __cinit__(self, str dtype, shape, kernel, int64_t groups, int64_t filters_per_group, stride, dilation, pads,
                  str pad_mode, double pad_value, double clamp_lo, double clamp_hi):
        cgconv_spec_init(&self.spec)
        self.spec.dtype = DTYPES[dtype]
        self.spec.n, self.spec.c, self.spec.h, self.spec.w = shape
        self.spec.kh, self.spec.kw = kernel
        self.spec.groups, self.spec.filters_per_group = groups, filters_per_group
        self.spec.stride_h, self.spec.stride_w = stride
        self.spec.dilation_h, self.spec.dilation_w = dilation
        self.spec.pad_mode, self.spec.pad_value = PAD_MODES[pad_mode], pad_value
        self.spec.clamp_lo, self.spec.clamp_hi = clamp_lo, clamp_hi
        cdef char[WHY_SIZE] why
        cdef cgconv_status status
        if pads is None:
            status = cgconv_spec_pad_same(&self.spec)
            if status != CGCONV_OK:
                check(cgconv_spec_check(&self.spec, why, WHY_SIZE), why)
                check(status, NULL)
        else:
            self.spec.pad_top, self.spec.pad_bottom, self.spec.pad_left, self.spec.pad_right = pads

    @property
    def pads(self):
        """Top, bottom, left, right; pads=None has been resolved to "same"."""
        return self.spec.pad_top, self.spec.pad_bottom, self.spec.pad_left, self.spec.pad_right

    def output_size(self):
        """Output height and width; ValueError for whatever is wrong with the spec."""
        cdef char[WHY_SIZE] why
        cdef int64_t oh, ow
        check(cgconv_spec_check(&self.spec, why, WHY_SIZE), why)
        check(cgconv_output_size(&self.spec, &oh, &ow), NULL)
        return oh, ow


include "workspaces.pxi"
include "packed.pxi"


cdef struct Standing:
    # How an array of the caller stands that runs where it is; its strides are in bytes. No axes: never.
    int ndim
    Py_ssize_t[MOST_AXES] shape
    Py_ssize_t[MOST_AXES] strides


cdef int set_standing(Standing *standing, shape, strides) except -1:
    if len(shape) > MOST_AXES:  # more than a data format has
        return 0
    for i in range(len(shape)):
        standing.shape[i], standing.strides[i] = shape[i], strides[i]
    standing.ndim = <int>len(shape)
    return 0


cdef struct Held:
    # The memory of the arrays of one run, until they are released.
    int count
    Py_buffer[6] views


cdef class Plan:
    """How it is computed: cgconv_plan.

    It runs on 4-D arrays with the axes n, c, h, w, of the planned shape and strides; or, by `run`, on arrays of any
    axes that stand as `x` and `y` say: each is a shape, strides in bytes and a function that makes such an array.
    Any number of threads may run one plan.
    """

    cdef cgconv_plan *plan
    cdef int dtype
    cdef Py_ssize_t itemsize
    cdef int64_t[4] x_shape, x_strides, y_shape, y_strides, w_shape
    cdef Standing x, y, weight, bias
    cdef object new_x, new_y

    def __cinit__(self, Spec spec not None, str layout, int64_t n, x_strides, y_strides, int threads=0,
                  algorithm=None, isa=None, x=None, y=None):
        cdef char[WHY_SIZE] why
        cdef cgconv_options options
        cdef cgconv_spec s = spec.spec
        cdef int64_t oh, ow
        s.layout, s.n = LAYOUTS[layout], n
        for i in range(4):
            s.x_strides[i], s.y_strides[i] = x_strides[i], y_strides[i]
        cgconv_options_init(&options)
        options.threads, options.why, options.why_size = threads, why, WHY_SIZE
        cdef bytes algorithm_bytes = algorithm.encode() if algorithm is not None else None
        cdef bytes isa_bytes = isa.encode() if isa is not None else None
        if algorithm_bytes is not None:
            options.algorithm = algorithm_bytes
        if isa_bytes is not None:
            options.isa = isa_bytes
        why[0] = 0
        check(cgconv_plan_create(&s, &options, &self.plan), why)
        check(cgconv_output_size(&s, &oh, &ow), NULL)
        self.dtype, self.itemsize = s.dtype, 4 if s.dtype == CGCONV_FLOAT32 else 8
        self.x_shape = [s.n, s.c, s.h, s.w]
        self.y_shape = [s.n, s.groups * s.filters_per_group, oh, ow]
        self.w_shape = [self.y_shape[1], s.c // s.groups, s.kh, s.kw]
        self.x_strides, self.y_strides = s.x_strides, s.y_strides
        cdef Py_ssize_t row = self.itemsize * s.kw
        set_standing(&self.weight, self.w_shape, (self.w_shape[1] * s.kh * row, s.kh * row, row, self.itemsize))
        set_standing(&self.bias, (self.w_shape[0],), (self.itemsize,))
        if x is not None:
            shape, strides, self.new_x = x
            set_standing(&self.x, shape, strides)
        if y is not None:
            shape, strides, self.new_y = y
            set_standing(&self.y, shape, strides)

    def __dealloc__(self):
        cgconv_plan_destroy(self.plan)

    def algorithm(self, cgconv_pass which):
        return cgconv_plan_algorithm(self.plan, which).decode()

    def algorithms(self, cgconv_pass which):
        """The names of the algorithms that could serve this pass, best first."""
        names = []
        while cgconv_plan_alternative(self.plan, which, <int>len(names)) != NULL:
            names.append(cgconv_plan_alternative(self.plan, which, <int>len(names)).decode())
        return tuple(names)

    def threads(self, cgconv_pass which):
        return cgconv_plan_threads(self.plan, which)

    def workspace_nbytes(self, cgconv_pass which):
        return cgconv_plan_workspace_size(self.plan, which)

    def pack(self, weight):
        """The weights as the forward pass wants them."""
        cdef const void *given
        if self.dtype == CGCONV_FLOAT32:
            given = self.weights[float]("weight", weight)
        else:
            given = self.weights[double]("weight", weight)
        cdef PackedWeight new = new_packed(cgconv_plan_packed_size(self.plan))
        new.shape, new.dtype = tuple(weight.shape), weight.dtype.name
        new.algorithm = self.algorithm(CGCONV_FORWARD)
        cdef cgconv_status status
        with nogil:
            status = cgconv_pack(self.plan, given, new.memory, new.size)
        check(status, NULL)
        return new

    cdef int call(self, cgconv_pass which, const void *x, const void *weight, PackedWeight ready, const void *bias,
                  const void *y) except -1:
        """The one place where a pass is run: on pointers that are named by their meaning in the spec.

        If `ready` is not None it stands for the weights of the forward pass.
        """
        cdef size_t size = cgconv_plan_workspace_size(self.plan, which)
        cdef void *workspace = workspaces.borrow(size)
        cdef cgconv_status status
        cdef size_t ready_size = 0
        if ready is not None:
            weight, ready_size = ready.memory, ready.size
        with nogil:
            if ready_size > 0:
                status = cgconv_forward_packed(self.plan, x, weight, ready_size, bias, <void *>y, workspace, size)
            elif which == CGCONV_FORWARD:
                status = cgconv_forward(self.plan, x, weight, bias, <void *>y, workspace, size)
            elif which == CGCONV_BACKWARD_INPUT:
                status = cgconv_backward_input(self.plan, y, weight, <void *>x, workspace, size)
            else:
                status = cgconv_backward_weight(self.plan, x, y, <void *>weight, <void *>bias, workspace, size)
        workspaces.give_back(workspace)
        return status

    # Arrays of the caller where they stand: the short way, which most calls take.

    def run(self, cgconv_pass which, x, weight, bias, y):
        """Runs a pass on NumPy arrays that stand as planned, named as in `call`, and returns the one that it wrote.

        Backward input without x and forward without y make a new one; both dw and db stand for the gradients of the
        weights, of which dw is returned. The weights of the forward pass may be packed. None, with nothing done, if
        an array is no such or shares memory with another: the caller then has to see what it is.
        """
        cdef Held held
        cdef PackedWeight ready = packed(weight)
        cdef const void *px = NULL
        cdef const void *pw = NULL
        cdef const void *pb = NULL
        cdef const void *py = NULL
        cdef bint writes_x = which == CGCONV_BACKWARD_INPUT
        cdef bint writes_w = which == CGCONV_BACKWARD_WEIGHT
        cdef bint writes_y = which == CGCONV_FORWARD
        held.count = 0
        try:
            # What is read comes first: nothing is made for a run that cannot be.
            if not (writes_x or self.take(&held, x, &self.x, False, &px)):
                return None
            if not (writes_y or self.take(&held, y, &self.y, False, &py)):
                return None
            if ready is not None:
                if not writes_y:
                    return None
            elif not self.take(&held, weight, &self.weight, writes_w, &pw):
                return None
            if bias is not None and not self.take(&held, bias, &self.bias, writes_w, &pb):
                return None
            if writes_x:
                if x is None and self.new_x is not None:
                    x = self.new_x()
                if not self.take(&held, x, &self.x, True, &px):
                    return None
            elif writes_y:
                if y is None and self.new_y is not None:
                    y = self.new_y()
                if not self.take(&held, y, &self.y, True, &py):
                    return None
            if self.call(which, px, pw, ready, pb, py) != CGCONV_OK:
                return None
            return x if writes_x else y if writes_y else weight
        finally:
            while held.count > 0:
                held.count -= 1
                PyBuffer_Release(&held.views[held.count])

    cdef bint take(self, Held *held, a, const Standing *planned, bint written, const void **address) except -1:
        """Whether this is a NumPy array that stands as planned; then it has this address until it is released."""
        cdef Py_buffer *view = &held.views[held.count]
        cdef int i
        if planned.ndim == 0 or type(a) is not ndarray:
            return False
        try:
            PyObject_GetBuffer(a, view, PyBUF_FORMAT | PyBUF_STRIDES | (PyBUF_WRITABLE if written else 0))
        except (BufferError, ValueError):  # it is read-only, or of a type that the protocol does not know
            return False
        held.count += 1
        if view.ndim != planned.ndim or <size_t>view.buf % <size_t>self.itemsize != 0:
            return False
        if view.format[0] != (c"f" if self.dtype == CGCONV_FLOAT32 else c"d") or view.format[1] != 0:
            return False
        for i in range(planned.ndim):
            if view.shape[i] != planned.shape[i]:
                return False
            if view.strides[i] != planned.strides[i] and planned.shape[i] > 1:
                return False
        address[0] = view.buf
        return True

    # Image arrays, whatever memory they come from: the long way, on what the caller has copied or taken apart.

    def forward(self, x, weight, bias, y):
        """y = clamp(conv(x, weight) + bias). The weights may be packed; ValueError if that was for another plan."""
        if self.dtype == CGCONV_FLOAT32:
            self.run_forward[float](x, None if type(weight) is PackedWeight else weight, packed(weight), bias, y)
        else:
            self.run_forward[double](x, None if type(weight) is PackedWeight else weight, packed(weight), bias, y)

    cdef int run_forward(self, const real[:, :, :, :] x, const real[:, :, :, ::1] weight, PackedWeight ready,
                         const real[::1] bias, real[:, :, :, :] y) except -1:
        cdef const void *pw = NULL
        cdef const char *why = b"these weights were packed for another plan"  # all the rest has been compared
        if ready is None:
            pw, why = self.weights("weight", weight), NULL
        return check(<cgconv_status>self.call(
            CGCONV_FORWARD, self.image("x", x, self.x_shape, self.x_strides), pw, ready, self.vector("bias", bias),
            self.image("y", y, self.y_shape, self.y_strides)), why)

    def backward_input(self, dy, weight, dx):
        """dx = the adjoint of the forward map, applied to dy."""
        if self.dtype == CGCONV_FLOAT32:
            self.run_backward_input[float](dy, weight, dx)
        else:
            self.run_backward_input[double](dy, weight, dx)

    cdef int run_backward_input(self, const real[:, :, :, :] dy, const real[:, :, :, ::1] weight,
                                 real[:, :, :, :] dx) except -1:
        return check(<cgconv_status>self.call(
            CGCONV_BACKWARD_INPUT, self.image("dx", dx, self.x_shape, self.x_strides),
            self.weights("weight", weight), None, NULL, self.image("dy", dy, self.y_shape, self.y_strides)), NULL)

    def backward_weight(self, x, dy, dw, db):
        """dw = the gradient of the weights, db = that of the bias; db may be None."""
        if self.dtype == CGCONV_FLOAT32:
            self.run_backward_weight[float](x, dy, dw, db)
        else:
            self.run_backward_weight[double](x, dy, dw, db)

    cdef int run_backward_weight(self, const real[:, :, :, :] x, const real[:, :, :, :] dy, real[:, :, :, ::1] dw,
                                  real[::1] db) except -1:
        return check(<cgconv_status>self.call(
            CGCONV_BACKWARD_WEIGHT, self.image("x", x, self.x_shape, self.x_strides), self.weights("dw", dw),
            None, self.vector("db", db), self.image("dy", dy, self.y_shape, self.y_strides)), NULL)

    # The last line of defence: nothing that reaches C differs from what was planned.

    cdef const void *image(self, str name, const real[:, :, :, :] a, const int64_t *shape,
                           const int64_t *strides) except? NULL:
        """The address of cell (0, 0, 0, 0). The stride of an axis that is never stepped along is free."""
        cdef bint empty = False
        for i in range(4):
            if a.shape[i] != shape[i]:
                raise ValueError(f"{name}.shape[{i}]={a.shape[i]}, planned for {shape[i]}")
            empty |= shape[i] == 0
        if not empty:
            for i in range(4):
                if shape[i] > 1 and a.strides[i] != strides[i] * self.itemsize:
                    raise ValueError(f"{name}.strides[{i}]={a.strides[i]}, planned for {strides[i] * self.itemsize}")
        return &a[0, 0, 0, 0]

    cdef const void *weights(self, str name, const real[:, :, :, ::1] a) except? NULL:
        for i in range(4):
            if a.shape[i] != self.w_shape[i]:
                raise ValueError(f"{name}.shape[{i}]={a.shape[i]}, planned for {self.w_shape[i]}")
        return &a[0, 0, 0, 0]

    cdef const void *vector(self, str name, const real[::1] a) except? NULL:
        if a is None:
            return NULL
        if a.shape[0] != self.w_shape[0]:
            raise ValueError(f"{name}.shape[0]={a.shape[0]}, planned for {self.w_shape[0]}")
        return &a[0]


include "separable.pxi"
include "library.pxi"
