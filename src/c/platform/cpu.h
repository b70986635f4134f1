/* What this CPU can run. It must not know kernels, dtypes or environment variables. */
#ifndef CGC_CPU_H
#define CGC_CPU_H

/* Each is 1 if both the CPU and the operating system support it. The answer never changes. */
int cgc_cpu_has_fma(void);    /* a fused multiply-add in hardware, so that fma() is cheap */
int cgc_cpu_has_avx2(void);   /* AVX2 and FMA */
int cgc_cpu_has_avx512(void); /* AVX-512 F, VL, DQ and BW */
int cgc_cpu_has_neon(void);   /* NEON with numbers of 64 bits: AArch64 */

#endif
