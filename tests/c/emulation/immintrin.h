/*
 * As much of AVX-512 as simd_avx512.h and simd_avx512_short.h speak, in plain C: it takes the place of the compiler's
 * <immintrin.h>, so that kernels_avx512.c runs on any machine. It must not know what a kernel computes.
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

/*
 * Integers only say where lanes come from, so any type that can count them will do, whatever their width: to widen
 * them is to copy them.
 */
#define EMULATE_INTEGERS(vector, count) \
    typedef struct vector { \
        int lane[count]; \
    } vector;

EMULATE_INTEGERS(__m128i, 4)
EMULATE_INTEGERS(__m256i, 8)
EMULATE_INTEGERS(__m512i, 16)
#define _mm512_setr_epi32(...) ((__m512i){{__VA_ARGS__}})
#define _mm512_setr_epi64(...) ((__m512i){{__VA_ARGS__}})

/* A function that reads or converts the first `lanes` integers. */
#define EMULATE_READ(name, lanes, vector) \
    static inline vector name(const void *p) { \
        vector v = {{0}}; \
        memcpy(v.lane, p, lanes * sizeof v.lane[0]); \
        return v; \
    }
#define EMULATE_WIDEN(name, lanes, vector, narrow) \
    static inline vector name(narrow a) { \
        vector v = {{0}}; \
        for (int l = 0; l < lanes; l++) v.lane[l] = a.lane[l]; \
        return v; \
    }
#define EMULATE_SIGNS(name, lanes, vector, mask) \
    static inline mask name(vector a) { \
        unsigned m = 0; \
        for (int l = 0; l < lanes; l++) m |= (unsigned)(a.lane[l] < 0) << l; \
        return (mask)m; \
    }

EMULATE_READ(_mm512_loadu_si512, 16, __m512i)
EMULATE_READ(_mm256_loadu_si256, 8, __m256i)
EMULATE_READ(_mm_loadu_si128, 4, __m128i)
EMULATE_READ(_mm_loadl_epi64, 2, __m128i)
EMULATE_WIDEN(_mm512_cvtepi32_epi64, 8, __m512i, __m256i)
EMULATE_WIDEN(_mm256_cvtepi32_epi64, 4, __m256i, __m128i)
EMULATE_WIDEN(_mm_cvtepi32_epi64, 2, __m128i, __m128i)
EMULATE_SIGNS(_mm512_movepi32_mask, 16, __m512i, __mmask16)
EMULATE_SIGNS(_mm256_movepi32_mask, 8, __m256i, __mmask8)
EMULATE_SIGNS(_mm_movepi32_mask, 4, __m128i, __mmask8)
EMULATE_SIGNS(_mm512_movepi64_mask, 8, __m512i, __mmask8)
EMULATE_SIGNS(_mm256_movepi64_mask, 4, __m256i, __mmask8)
EMULATE_SIGNS(_mm_movepi64_mask, 2, __m128i, __mmask8)

enum { _CMP_EQ_OQ = 0 };

/* The type of vectors of `real` and its functions mm_*_suffix; `fused` is the multiply-add of the C library. */
#define EMULATE(mm, suffix, real, lanes, vector, mask, integers, fused) \
    typedef struct vector { \
        real lane[lanes]; \
    } vector; \
    static inline vector mm##_set1_##suffix(real s) { \
        vector v; \
        for (int l = 0; l < lanes; l++) v.lane[l] = s; \
        return v; \
    } \
    static inline vector mm##_setzero_##suffix(void) { return mm##_set1_##suffix(0); } \
    static inline vector mm##_loadu_##suffix(const void *p) { \
        vector v; \
        memcpy(v.lane, p, sizeof v.lane); \
        return v; \
    } \
    static inline void mm##_storeu_##suffix(void *p, vector v) { memcpy(p, v.lane, sizeof v.lane); } \
    static inline vector mm##_maskz_loadu_##suffix(mask m, const void *p) { \
        vector v = mm##_setzero_##suffix(); \
        for (int l = 0; l < lanes; l++) \
            if (m >> l & 1) v.lane[l] = ((const real *)p)[l]; \
        return v; \
    } \
    static inline vector mm##_mask_loadu_##suffix(vector v, mask m, const void *p) { \
        for (int l = 0; l < lanes; l++) \
            if (m >> l & 1) v.lane[l] = ((const real *)p)[l]; \
        return v; \
    } \
    static inline void mm##_mask_storeu_##suffix(void *p, mask m, vector v) { \
        for (int l = 0; l < lanes; l++) \
            if (m >> l & 1) ((real *)p)[l] = v.lane[l]; \
    } \
    static inline vector mm##_add_##suffix(vector a, vector b) { \
        for (int l = 0; l < lanes; l++) a.lane[l] += b.lane[l]; \
        return a; \
    } \
    static inline vector mm##_fmadd_##suffix(vector a, vector b, vector c) { \
        for (int l = 0; l < lanes; l++) c.lane[l] = fused(a.lane[l], b.lane[l], c.lane[l]); \
        return c; \
    } \
    static inline vector mm##_max_##suffix(vector a, vector b) { \
        for (int l = 0; l < lanes; l++) b.lane[l] = a.lane[l] > b.lane[l] ? a.lane[l] : b.lane[l]; \
        return b; \
    } \
    static inline vector mm##_min_##suffix(vector a, vector b) { \
        for (int l = 0; l < lanes; l++) b.lane[l] = a.lane[l] < b.lane[l] ? a.lane[l] : b.lane[l]; \
        return b; \
    } \
    static inline mask mm##_cmp_##suffix##_mask(vector a, vector b, int equal) { \
        unsigned m = 0; \
        for (int l = 0; l < lanes && equal == _CMP_EQ_OQ; l++) m |= (unsigned)(a.lane[l] == b.lane[l]) << l; \
        return (mask)m; \
    } \
    static inline vector mm##_permutex2var_##suffix(vector a, integers from, vector b) { \
        vector v; \
        for (int l = 0; l < lanes; l++) \
            v.lane[l] = (from.lane[l] & lanes ? b : a).lane[from.lane[l] & (lanes - 1)]; \
        return v; \
    } \
    static inline vector mm##_mask_blend_##suffix(mask m, vector a, vector b) { \
        for (int l = 0; l < lanes; l++) \
            if (m >> l & 1) a.lane[l] = b.lane[l]; \
        return a; \
    } \
    static inline vector mm##_mask_permutexvar_##suffix(vector otherwise, mask m, integers from, vector a) { \
        return mm##_mask_blend_##suffix(m, otherwise, mm##_permutex2var_##suffix(a, from, a)); \
    } \
    static inline vector mm##_permutexvar_##suffix(integers from, vector a) { \
        return mm##_permutex2var_##suffix(a, from, a); \
    } \
    static inline vector mm##_maskz_permutexvar_##suffix(mask m, integers from, vector a) { \
        return mm##_mask_permutexvar_##suffix(mm##_setzero_##suffix(), m, from, a); \
    } \
    static inline vector mm##_maskz_permutex2var_##suffix(mask m, vector a, integers from, vector b) { \
        return mm##_mask_blend_##suffix(m, mm##_setzero_##suffix(), mm##_permutex2var_##suffix(a, from, b)); \
    }

EMULATE(_mm512, ps, float, 16, __m512, __mmask16, __m512i, fmaf)
EMULATE(_mm512, pd, double, 8, __m512d, __mmask8, __m512i, fma)
EMULATE(_mm256, ps, float, 8, __m256, __mmask8, __m256i, fmaf)
EMULATE(_mm256, pd, double, 4, __m256d, __mmask8, __m256i, fma)
EMULATE(_mm, ps, float, 4, __m128, __mmask8, __m128i, fmaf)
EMULATE(_mm, pd, double, 2, __m128d, __mmask8, __m128i, fma)

/* One vector of four lanes is permuted under another name, with its operands in another order. */
static inline __m128 _mm_mask_permutevar_ps(__m128 otherwise, __mmask8 m, __m128 a, __m128i from) {
    return _mm_mask_permutexvar_ps(otherwise, m, from, a);
}
static inline __m128 _mm_maskz_permutevar_ps(__mmask8 m, __m128 a, __m128i from) {
    return _mm_maskz_permutexvar_ps(m, from, a);
}

/* Quarters of a vector: putting them together, and taking every other lane of each. */
#define EMULATE_QUARTERS(suffix, lanes, vector, quarter, cast, insert) \
    static inline vector insert(vector v, quarter q, int place) { \
        memcpy(v.lane + place * lanes / 4, q.lane, sizeof q.lane); \
        return v; \
    } \
    static inline vector cast(quarter q) { return insert(_mm512_setzero_##suffix(), q, 0); } \
    static inline vector _mm512_unpack_##suffix(vector a, vector b, int from) { \
        vector v; \
        for (int l = 0; l < lanes; l++) \
            v.lane[l] = (l & 1 ? b : a).lane[l / (lanes / 4) * (lanes / 4) + l % (lanes / 4) / 2 + from]; \
        return v; \
    } \
    static inline vector _mm512_unpacklo_##suffix(vector a, vector b) { return _mm512_unpack_##suffix(a, b, 0); } \
    static inline vector _mm512_unpackhi_##suffix(vector a, vector b) { \
        return _mm512_unpack_##suffix(a, b, lanes / 8); \
    }

EMULATE_QUARTERS(ps, 16, __m512, __m128, _mm512_castps128_ps512, _mm512_insertf32x4)
EMULATE_QUARTERS(pd, 8, __m512d, __m128d, _mm512_castpd128_pd512, _mm512_insertf64x2)

/* Two lanes of each quarter of a, then two of b, by the bits of `which`. */
static inline __m512 _mm512_shuffle_ps(__m512 a, __m512 b, int which) {
    __m512 v;
    for (int l = 0; l < 16; l++) v.lane[l] = (l & 2 ? b : a).lane[l / 4 * 4 + (which >> l % 4 * 2 & 3)];
    return v;
}

/* The first lane of a vector, which alone is read from memory, in all lanes that a mask chooses. */
static inline __m128 _mm_load_ss(const float *p) { return _mm_maskz_loadu_ps(1, p); }
static inline __m128d _mm_load_sd(const double *p) { return _mm_maskz_loadu_pd(1, p); }
static inline __m512 _mm512_mask_broadcastss_ps(__m512 otherwise, __mmask16 m, __m128 a) {
    return _mm512_mask_blend_ps(m, otherwise, _mm512_set1_ps(a.lane[0]));
}
static inline __m512d _mm512_mask_broadcastsd_pd(__m512d otherwise, __mmask8 m, __m128d a) {
    return _mm512_mask_blend_pd(m, otherwise, _mm512_set1_pd(a.lane[0]));
}

/* The same bits as another vector, of the same length or shorter. */
#define EMULATE_CAST(name, to, from) \
    static inline to name(from a) { \
        to v; \
        memcpy(&v, &a, sizeof v); \
        return v; \
    }

EMULATE_CAST(_mm512_castps512_ps256, __m256, __m512)
EMULATE_CAST(_mm512_castpd512_pd256, __m256d, __m512d)
EMULATE_CAST(_mm512_castps_pd, __m512d, __m512)
EMULATE_CAST(_mm512_castpd_ps, __m512, __m512d)

#endif
