# The functions that need no plan. They must not know problems.

def pad_sources(str pad_mode, int64_t[::1] sources, int64_t pad_before, int64_t extent):
    """Fills `sources` with the cell of an axis that stands at each padded position; -1 for a constant one."""
    cdef cgconv_pad_mode mode = PAD_MODES[pad_mode]
    cdef Py_ssize_t i
    for i in range(sources.shape[0]):
        sources[i] = cgconv_pad_source(mode, i - pad_before, extent)


LINE = CACHE_LINE


def bytes_to_line(const unsigned char[::1] memory not None):
    """How far behind the beginning of this memory the next cache line begins."""
    return -<size_t>&memory[0] % CACHE_LINE


cdef inline bint is_clear(word):
    return word is None or type(word) is int or type(word) is str


def are_clear(tuple words not None):
    """Whether two such words that are equal mean the same: all are int, str, None, or tuples of these."""
    for word in words:
        if type(word) is tuple:
            for item in <tuple>word:
                if not is_clear(item):
                    return False
        elif not is_clear(word):
            return False
    return True


def get_num_threads():
    return cgconv_get_num_threads()


def set_num_threads(int n):
    check(cgconv_set_num_threads(n), NULL)


def library():
    """What the library says about itself, by the names of cgconv.h."""
    isas = []
    while cgconv_isa_alternative(<int>len(isas)) != NULL:
        isas.append(cgconv_isa_alternative(<int>len(isas)).decode())
    return {
        "version": cgconv_version().decode(),
        "isa": cgconv_isa().decode(),
        "isa_alternatives": tuple(isas),
        "reproducible": bool(cgconv_reproducible()),
        "threading": cgconv_threading().decode(),
        "cuda": cgconv_cuda().decode(),
    }
