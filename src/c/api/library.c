/* The exported functions about the library itself. It must not know specs and plans. */
#include "../include/cgconv.h"
#include "../kernels/kernels.h"
#include "../platform/threads.h"

#ifndef CGCONV_CUDA_TEXT
#define CGCONV_CUDA_TEXT "not looked for"
#endif

int cgconv_get_num_threads(void) { return cgc_default_threads(); }

cgconv_status cgconv_set_num_threads(int n) {
    if (n < 0) return CGCONV_INVALID_ARGUMENT;
    cgc_set_default_threads(n);
    return CGCONV_OK;
}

const char *cgconv_status_string(cgconv_status status) {
    switch (status) {
    case CGCONV_OK: return "ok";
    case CGCONV_INVALID_ARGUMENT: return "invalid argument";
    case CGCONV_UNSUPPORTED: return "unsupported";
    case CGCONV_SIZE_OVERFLOW: return "a size does not fit in memory";
    case CGCONV_OUT_OF_MEMORY: return "out of memory";
    }
    return "unknown status";
}

const char *cgconv_version(void) { return CGCONV_VERSION; }

const char *cgconv_isa(void) { return cgc_select_kernels(CGCONV_FLOAT32, NULL)->isa; }

const char *cgconv_isa_alternative(int index) { return cgc_kernels_name(index); }

const char *cgconv_threading(void) { return cgc_threading(); }

const char *cgconv_cuda(void) { return CGCONV_CUDA_TEXT; }

int cgconv_reproducible(void) { return cgc_select_kernels(CGCONV_FLOAT32, NULL)->fused; }
