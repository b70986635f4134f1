# Two plans as one: cgconv_separable. It must not know how plans are made.


cdef class Separable:
    """A channel-wise plan and the pointwise one that reads its result, run as one on the arrays that they plan for.

    Any number of threads may run it.
    """

    cdef cgconv_separable *separable
    cdef Plan channelwise, pointwise

    def __cinit__(self, Plan channelwise not None, Plan pointwise not None):
        cdef char[WHY_SIZE] why
        why[0] = 0
        check(cgconv_separable_create(channelwise.plan, pointwise.plan, why, WHY_SIZE, &self.separable), why)
        self.channelwise, self.pointwise = channelwise, pointwise

    def __dealloc__(self):
        cgconv_separable_destroy(self.separable)

    def threads(self):
        return cgconv_separable_threads(self.separable)

    def workspace_nbytes(self):
        return cgconv_separable_workspace_size(self.separable)

    cdef int call(self, const void *x, const void *channelwise_weight, const void *channelwise_bias,
                  const void *pointwise_weight, const void *pointwise_bias, const void *y) except -1:
        cdef size_t size = cgconv_separable_workspace_size(self.separable)
        cdef void *workspace = workspaces.borrow(size)
        cdef cgconv_status status
        with nogil:
            status = cgconv_separable_forward(self.separable, x, channelwise_weight, channelwise_bias,
                                              pointwise_weight, pointwise_bias, <void *>y, workspace, size)
        workspaces.give_back(workspace)
        return status

    def run(self, x, channelwise_weight, channelwise_bias, pointwise_weight, pointwise_bias, y):
        """Runs on NumPy arrays that stand as planned, as Plan.run does: returns y, or None with nothing done."""
        cdef Held held
        cdef Plan first = self.channelwise
        cdef Plan second = self.pointwise
        cdef const void *px = NULL
        cdef const void *pw1 = NULL
        cdef const void *pb1 = NULL
        cdef const void *pw2 = NULL
        cdef const void *pb2 = NULL
        cdef const void *py = NULL
        held.count = 0
        try:
            if not (first.take(&held, x, &first.x, False, &px) and
                    first.take(&held, channelwise_weight, &first.weight, False, &pw1) and
                    second.take(&held, pointwise_weight, &second.weight, False, &pw2)):
                return None
            if channelwise_bias is not None and not first.take(&held, channelwise_bias, &first.bias, False, &pb1):
                return None
            if pointwise_bias is not None and not second.take(&held, pointwise_bias, &second.bias, False, &pb2):
                return None
            if y is None and second.new_y is not None:
                y = second.new_y()
            if not second.take(&held, y, &second.y, True, &py):
                return None
            return y if self.call(px, pw1, pb1, pw2, pb2, py) == CGCONV_OK else None
        finally:
            while held.count > 0:
                held.count -= 1
                PyBuffer_Release(&held.views[held.count])

    def forward(self, x, channelwise_weight, channelwise_bias, pointwise_weight, pointwise_bias, y):
        """y = pointwise(channelwise(x)), on image arrays, whatever memory they come from."""
        if self.channelwise.dtype == CGCONV_FLOAT32:
            self.run_forward[float](x, channelwise_weight, channelwise_bias, pointwise_weight, pointwise_bias, y)
        else:
            self.run_forward[double](x, channelwise_weight, channelwise_bias, pointwise_weight, pointwise_bias, y)

    cdef int run_forward(self, const real[:, :, :, :] x, const real[:, :, :, ::1] channelwise_weight,
                         const real[::1] channelwise_bias, const real[:, :, :, ::1] pointwise_weight,
                         const real[::1] pointwise_bias, real[:, :, :, :] y) except -1:
        cdef Plan first = self.channelwise
        cdef Plan second = self.pointwise
        return check(<cgconv_status>self.call(
            first.image("x", x, first.x_shape, first.x_strides),
            first.weights("channelwise_weight", channelwise_weight),
            first.vector("channelwise_bias", channelwise_bias),
            second.weights("pointwise_weight", pointwise_weight), second.vector("pointwise_bias", pointwise_bias),
            second.image("y", y, second.y_shape, second.y_strides)), NULL)
