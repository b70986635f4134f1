/*
 * As much of AVX-512 as simd_avx512.h speaks, in plain C: it takes the place of the compiler's <immintrin.h>, so that
 * kernels_avx512.c runs on any machine. It must not know what a kernel computes.
 *
 * A vector is an array of lanes, and each function does to them what Intel's reference says of its name. An intrinsic
 * that is missing here stops the build.
 */
#ifndef EMULATED_IMMINTRIN_H
#define EMULATED_IMMINTRIN_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* From here on there is no assembly: keep_ would ask for a register that holds a vector. */
#define __asm__(...) ((void)0)

typedef uint16_t __mmask16;
typedef uint8_t __mmask8;

/* Integers only say where lanes come from, so any type that can count them will do, whatever their width. */
typedef struct __m512i {
    int lane[16];
} __m512i;
#define _mm512_setr_epi32(...) ((__m512i){{__VA_ARGS__}})
#define _mm512_setr_epi64(...) ((__m512i){{__VA_ARGS__}})

/* The type of vectors of `real` and its functions; `fused` is the multiply-add of the C library. */
#define EMULATE(suffix, real, lanes, vector, mask, fused) \
    typedef struct vector { \
        real lane[lanes]; \
    } vector; \
    static inline vector _mm512_set1_##suffix(real s) { \
        vector v; \
        for (int l = 0; l < lanes; l++) v.lane[l] = s; \
        return v; \
    } \
    static inline vector _mm512_setzero_##suffix(void) { return _mm512_set1_##suffix(0); } \
    static inline vector _mm512_loadu_##suffix(const void *p) { \
        vector v; \
        memcpy(v.lane, p, sizeof v.lane); \
        return v; \
    } \
    static inline void _mm512_storeu_##suffix(void *p, vector v) { memcpy(p, v.lane, sizeof v.lane); } \
    static inline vector _mm512_maskz_loadu_##suffix(mask m, const void *p) { \
        vector v = _mm512_setzero_##suffix(); \
        for (int l = 0; l < lanes; l++) \
            if (m >> l & 1) v.lane[l] = ((const real *)p)[l]; \
        return v; \
    } \
    static inline void _mm512_mask_storeu_##suffix(void *p, mask m, vector v) { \
        for (int l = 0; l < lanes; l++) \
            if (m >> l & 1) ((real *)p)[l] = v.lane[l]; \
    } \
    static inline vector _mm512_add_##suffix(vector a, vector b) { \
        for (int l = 0; l < lanes; l++) a.lane[l] += b.lane[l]; \
        return a; \
    } \
    static inline vector _mm512_fmadd_##suffix(vector a, vector b, vector c) { \
        for (int l = 0; l < lanes; l++) c.lane[l] = fused(a.lane[l], b.lane[l], c.lane[l]); \
        return c; \
    } \
    static inline vector _mm512_max_##suffix(vector a, vector b) { \
        for (int l = 0; l < lanes; l++) b.lane[l] = a.lane[l] > b.lane[l] ? a.lane[l] : b.lane[l]; \
        return b; \
    } \
    static inline vector _mm512_min_##suffix(vector a, vector b) { \
        for (int l = 0; l < lanes; l++) b.lane[l] = a.lane[l] < b.lane[l] ? a.lane[l] : b.lane[l]; \
        return b; \
    } \
    static inline vector _mm512_permutex2var_##suffix(vector a, __m512i from, vector b) { \
        vector v; \
        for (int l = 0; l < lanes; l++) \
            v.lane[l] = from.lane[l] < lanes ? a.lane[from.lane[l]] : b.lane[from.lane[l] - lanes]; \
        return v; \
    }

EMULATE(ps, float, 16, __m512, __mmask16, fmaf)
EMULATE(pd, double, 8, __m512d, __mmask8, fma)

#endif
