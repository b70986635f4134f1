/*
 * The SIMD vocabulary (see simd_scalar.h) in AVX-512VL: vectors of a half and of a quarter of the lanes, for what is
 * too narrow for all of them. Only the words of narrow planes; it must not know what a kernel computes.
 */
#ifndef CGC_SIMD_AVX512_SHORT_H
#define CGC_SIMD_AVX512_SHORT_H

#include "simd_avx512.h"

/* The lanes of two vectors, one behind the other, by turns. */
static const int32_t zipped_8[16] = {0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15};
static const int32_t zipped_4[8] = {0, 4, 1, 5, 2, 6, 3, 7};
static const int32_t zipped_2[4] = {0, 2, 1, 3};

/*
 * SHORT(grade, lanes, vector, real, of intrinsics: the prefix, suffix, mask of negative numbers, index; and how to read
 * an index, and to pick from one vector, with a fill and with zeros).
 */
#define SHORT(grade, lanes, vector, real, mm, suffix, negative, integers, read_index, one_source, or_zero) \
    enum { WIDTH_##grade = lanes }; \
    typedef vector vec_##grade; \
    typedef __mmask8 mask_##grade; \
    typedef integers index_##grade; \
    static inline vec_##grade zero_##grade(void) { return mm##_setzero_##suffix(); } \
    static inline vec_##grade set_##grade(real s) { return mm##_set1_##suffix(s); } \
    static inline mask_##grade first_##grade(int64_t n) { \
        return (mask_##grade)((UINT32_C(1) << (n < 0 ? 0 : n > lanes ? lanes : n)) - 1); \
    } \
    static inline vec_##grade load_##grade(const real *p) { return mm##_loadu_##suffix(p); } \
    static inline vec_##grade load_first_##grade(mask_##grade m, const real *p) { \
        return mm##_maskz_loadu_##suffix(m, p); \
    } \
    static inline void store_##grade(real *p, vec_##grade v) { mm##_storeu_##suffix(p, v); } \
    static inline void store_first_##grade(mask_##grade m, real *p, vec_##grade v) { \
        mm##_mask_storeu_##suffix(p, m, v); \
    } \
    static inline vec_##grade keep_##grade(vec_##grade v) { \
        KEEP(v); \
        return v; \
    } \
    static inline index_##grade load_index_##grade(const int32_t *p) { return read_index; } \
    static inline vec_##grade zip_low_##grade(vec_##grade a, vec_##grade b) { \
        return mm##_permutex2var_##suffix(a, load_index_##grade(zipped_##lanes), b); \
    } \
    static inline vec_##grade zip_high_##grade(vec_##grade a, vec_##grade b) { \
        return mm##_permutex2var_##suffix(a, load_index_##grade(zipped_##lanes + lanes), b); \
    } \
    static inline mask_##grade within_##grade(index_##grade i) { return (mask_##grade)~negative(i); } \
    static inline vec_##grade pick2_##grade(index_##grade i, mask_##grade m, vec_##grade a, vec_##grade b, \
                                            vec_##grade fill) { \
        return mm##_mask_blend_##suffix(m, fill, mm##_permutex2var_##suffix(a, i, b)); \
    } \
    static inline vec_##grade pick_##grade(index_##grade i, mask_##grade m, vec_##grade a, vec_##grade fill) { \
        return one_source; \
    } \
    static inline vec_##grade pick_or_zero_##grade(index_##grade i, mask_##grade m, vec_##grade a) { \
        return or_zero; \
    } \
    static inline vec_##grade add_##grade(vec_##grade a, vec_##grade b) { return mm##_add_##suffix(a, b); } \
    typedef mask_##grade span_##grade; \
    static inline span_##grade between_##grade(int64_t from, int64_t to) { \
        return (span_##grade)(first_##grade(to) & ~first_##grade(from)); \
    } \
    static inline vec_##grade load_span_##grade(span_##grade s, const real *p, vec_##grade fill) { \
        return mm##_mask_loadu_##suffix(fill, s, p); \
    } \
    static inline vec_##grade load_span_or_zero_##grade(span_##grade s, const real *p) { \
        return load_span_##grade(s, p, zero_##grade()); \
    } \
    static inline vec_##grade fma_##grade(vec_##grade a, vec_##grade b, vec_##grade c) { \
        return mm##_fmadd_##suffix(a, b, c); \
    } \
    static inline vec_##grade clamp_##grade(vec_##grade v, vec_##grade lo, vec_##grade hi) { \
        return mm##_min_##suffix(hi, mm##_max_##suffix(lo, v)); \
    }

#define READ_256 _mm256_loadu_si256((const __m256i *)(const void *)p)
#define READ_128 _mm_loadu_si128((const __m128i *)(const void *)p)
#define READ_64 _mm_loadl_epi64((const __m128i *)(const void *)p)

SHORT(f32_half, 8, __m256, float, _mm256, ps, _mm256_movepi32_mask, __m256i, READ_256,
      _mm256_mask_permutexvar_ps(fill, m, i, a), _mm256_maskz_permutexvar_ps(m, i, a))
SHORT(f32_quarter, 4, __m128, float, _mm, ps, _mm_movepi32_mask, __m128i, READ_128,
      _mm_mask_permutevar_ps(fill, m, a, i), _mm_maskz_permutevar_ps(m, a, i))
SHORT(f64_half, 4, __m256d, double, _mm256, pd, _mm256_movepi64_mask, __m256i, _mm256_cvtepi32_epi64(READ_128),
      _mm256_mask_permutexvar_pd(fill, m, i, a), _mm256_maskz_permutexvar_pd(m, i, a))
SHORT(f64_quarter, 2, __m128d, double, _mm, pd, _mm_movepi64_mask, __m128i, _mm_cvtepi32_epi64(READ_64),
      _mm_mask_blend_pd(m, fill, _mm_permutex2var_pd(a, i, a)), _mm_maskz_permutex2var_pd(m, a, i, a))

/* The lower half of a vector. */
static inline vec_f32_half low_f32_half(vec_f32 v) { return _mm512_castps512_ps256(v); }
static inline vec_f64_half low_f64_half(vec_f64 v) { return _mm512_castpd512_pd256(v); }

#undef READ_256
#undef READ_128
#undef READ_64
#undef SHORT

#endif
