# The workspaces of all plans: one store, so that a run seldom allocates and many plans hold no more memory than one.
# It must not know what plans and runs are.

cimport cython
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc

cdef enum:
    KEPT = 64 << 20


cdef struct Block:
    # In front of a workspace: its size in bytes, and the next one while it waits for a run.
    Block *next
    size_t size


cdef class Workspaces:
    """A store of workspaces. Any number of threads may use it.

    Each run borrows one; what comes back waits for the next run of any plan. As many wait as were ever in use at
    once, but no more than KEPT bytes, or one if that one is larger.
    """

    cdef Block *waiting
    cdef size_t kept  # bytes

    cdef void *borrow(self, size_t size) except? NULL:
        """A workspace of `size` bytes or more, to be given back; NULL for 0."""
        cdef Block *block
        cdef Block **link = &self.waiting
        if size == 0:
            return NULL
        with cython.critical_section(self):
            while link[0] != NULL and link[0].size < size:
                link = &link[0].next
            if link[0] == NULL:  # all are too small: the first makes way, or each size would leave one behind
                link = &self.waiting
            block = link[0]
            if block != NULL:
                link[0] = block.next
                self.kept -= block.size
        if block != NULL and block.size < size:
            PyMem_RawFree(block)
            block = NULL
        if block == NULL:
            block = <Block *>PyMem_RawMalloc(sizeof(Block) + size)
            if block == NULL:
                raise MemoryError(f"no memory for a workspace of {size} bytes")
            block.size = size
        return block + 1

    cdef void give_back(self, void *workspace) noexcept:
        cdef Block *block = <Block *>workspace - 1
        cdef bint keep
        if workspace == NULL:
            return
        with cython.critical_section(self):
            keep = self.waiting == NULL or (block.size <= KEPT and self.kept <= KEPT - block.size)
            if keep:
                block.next = self.waiting
                self.waiting = block
                self.kept += block.size
        if not keep:
            PyMem_RawFree(block)


cdef Workspaces workspaces = Workspaces()


def workspaces_nbytes():
    """The bytes of all workspaces that wait for a run."""
    return workspaces.kept
