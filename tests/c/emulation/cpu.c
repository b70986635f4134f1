/*
 * The platform/cpu.c of a machine that has AVX-512 and nothing else, for a library whose AVX-512 is emulated, see
 * immintrin.h. It must not know the machine on which it runs.
 */
#include "../../../src/c/platform/cpu.h"

int cgc_cpu_has_fma(void) { return 1; }

int cgc_cpu_has_avx2(void) { return 0; }

int cgc_cpu_has_avx512(void) { return 1; }

int cgc_cpu_has_neon(void) { return 0; }
