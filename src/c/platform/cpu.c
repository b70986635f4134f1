/* Asks the CPU what it can run. It must not know kernels, dtypes or environment variables. */
#include "cpu.h"

#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))

/* The compiler's own test looks at CPUID and at XGETBV: the registers count only if the system saves them. */
int cgc_cpu_has_fma(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("fma") != 0;
}

int cgc_cpu_has_avx2(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

int cgc_cpu_has_avx512(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("fma");
}

int cgc_cpu_has_neon(void) { return 0; }

#else

#include <math.h>

int cgc_cpu_has_fma(void) {
#if defined(__aarch64__) || defined(_M_ARM64) || (defined(FP_FAST_FMA) && defined(FP_FAST_FMAF))
    return 1;
#else
    return 0;
#endif
}

int cgc_cpu_has_avx2(void) { return 0; }

int cgc_cpu_has_avx512(void) { return 0; }

int cgc_cpu_has_neon(void) {
#if defined(__aarch64__) || defined(_M_ARM64)
    return 1;
#else
    return 0;
#endif
}

#endif
