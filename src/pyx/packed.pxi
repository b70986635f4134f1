# Packed weights: memory that is written once, and lives as long as its object. It must not know what lies in it.

cdef class PackedWeight:
    """Weights as cgconv_pack has packed them: they cannot change, and any number of runs may read them at once."""

    cdef void *block
    cdef char *memory  # in the block, on a cache line
    cdef size_t size  # bytes
    cdef readonly tuple shape
    """(F*G, C/G, kh, kw)"""
    cdef readonly str dtype
    cdef readonly str algorithm
    """The algorithm of the plan that packed them."""

    def __init__(self):
        raise TypeError("PackedWeight is made by Plan.pack")

    def __dealloc__(self):
        PyMem_RawFree(self.block)

    @property
    def nbytes(self):
        """The bytes that they take."""
        return self.size

    def __repr__(self):
        return f"<cgconv.PackedWeight {self.shape}, {self.dtype}, {self.algorithm}, {self.size} bytes>"


cdef PackedWeight new_packed(size_t size):
    """One of so many bytes, to be filled."""
    cdef PackedWeight new = PackedWeight.__new__(PackedWeight)
    new.block = PyMem_RawMalloc(size + CACHE_LINE)
    if new.block == NULL:
        raise MemoryError(f"no memory for packed weights of {size} bytes")
    new.memory, new.size = <char *>new.block + -<size_t>new.block % CACHE_LINE, size
    return new


cdef PackedWeight packed(weight):
    """These weights if they are packed, else None."""
    return <PackedWeight>weight if type(weight) is PackedWeight else None
