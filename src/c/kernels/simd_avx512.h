/*
 * The SIMD vocabulary (see simd_scalar.h) in AVX-512: 512-bit vectors, 32 registers, a bit per lane as mask.
 * It must not know what a kernel computes.
 */
#ifndef CGC_SIMD_AVX512_H
#define CGC_SIMD_AVX512_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __GNUC__
#define KEEP(v) __asm__("" : "+v"(v))
#else
#define KEEP(v) ((void)0)
#endif

#define WIDTH_f32 16
typedef __m512 vec_f32;
typedef __mmask16 mask_f32;
static inline vec_f32 zero_f32(void) { return _mm512_setzero_ps(); }
static inline vec_f32 set_f32(float s) { return _mm512_set1_ps(s); }
static inline vec_f32 load_f32(const float *p) { return _mm512_loadu_ps(p); }
static inline void store_f32(float *p, vec_f32 v) { _mm512_storeu_ps(p, v); }
static inline mask_f32 first_f32(int64_t n) {
    const int64_t lanes = n < 0 ? 0 : n > WIDTH_f32 ? WIDTH_f32 : n;
    return (mask_f32)((UINT32_C(1) << lanes) - 1);
}
static inline vec_f32 load_first_f32(mask_f32 m, const float *p) { return _mm512_maskz_loadu_ps(m, p); }
static inline void store_first_f32(mask_f32 m, float *p, vec_f32 v) { _mm512_mask_storeu_ps(p, m, v); }
static inline void store_lanes_f32(float *p, vec_f32 v, int64_t from, int64_t count) {
    _mm512_mask_storeu_ps(p - from, (mask_f32)(((UINT32_C(1) << count) - 1) << from), v);
}
/* Lane quarter b of t[i] comes from row 4*b + i, so that quarters need no exchange afterwards. */
enum { TURNED_f32 = 4 };
static inline void load_turned_f32(const float *p, ptrdiff_t d, vec_f32 *v) {
    vec_f32 t[4];
    for (int i = 0; i < 4; i++, p += d) {
        t[i] = _mm512_castps128_ps512(_mm_loadu_ps(p));
        t[i] = _mm512_insertf32x4(t[i], _mm_loadu_ps(p + 4 * d), 1);
        t[i] = _mm512_insertf32x4(t[i], _mm_loadu_ps(p + 8 * d), 2);
        t[i] = _mm512_insertf32x4(t[i], _mm_loadu_ps(p + 12 * d), 3);
    }
    const __m512d a = _mm512_castps_pd(_mm512_unpacklo_ps(t[0], t[1]));
    const __m512d b = _mm512_castps_pd(_mm512_unpackhi_ps(t[0], t[1]));
    const __m512d e = _mm512_castps_pd(_mm512_unpacklo_ps(t[2], t[3]));
    const __m512d f = _mm512_castps_pd(_mm512_unpackhi_ps(t[2], t[3]));
    v[0] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, e));
    v[1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, e));
    v[2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, f));
    v[3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, f));
}
static inline vec_f32 keep_f32(vec_f32 v) {
    KEEP(v);
    return v;
}
static inline vec_f32 even_f32(vec_f32 a, vec_f32 b) {
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    return _mm512_permutex2var_ps(a, even, b);
}
static inline vec_f32 odd_f32(vec_f32 a, vec_f32 b) {
    const __m512i odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    return _mm512_permutex2var_ps(a, odd, b);
}
static inline vec_f32 even_woven_f32(vec_f32 a, vec_f32 b) { return _mm512_shuffle_ps(a, b, 0x88); }
static inline vec_f32 odd_woven_f32(vec_f32 a, vec_f32 b) { return _mm512_shuffle_ps(a, b, 0xdd); }
static inline vec_f32 weave_f32(vec_f32 v) {
    const __m512i order = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);
    return _mm512_castpd_ps(_mm512_permutexvar_pd(order, _mm512_castps_pd(v)));
}
static inline vec_f32 unweave_f32(vec_f32 v) {
    const __m512i order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
    return _mm512_castpd_ps(_mm512_permutexvar_pd(order, _mm512_castps_pd(v)));
}
static inline vec_f32 zip_low_f32(vec_f32 a, vec_f32 b) {
    const __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    return _mm512_permutex2var_ps(a, low, b);
}
static inline vec_f32 zip_high_f32(vec_f32 a, vec_f32 b) {
    const __m512i high = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    return _mm512_permutex2var_ps(a, high, b);
}
typedef __m512i index_f32;
static inline index_f32 load_index_f32(const int32_t *p) { return _mm512_loadu_si512(p); }
static inline mask_f32 within_f32(index_f32 i) { return (mask_f32)~_mm512_movepi32_mask(i); }
static inline vec_f32 pick_f32(index_f32 i, mask_f32 m, vec_f32 a, vec_f32 fill) {
    return _mm512_mask_permutexvar_ps(fill, m, i, a);
}
static inline vec_f32 pick_or_zero_f32(index_f32 i, mask_f32 m, vec_f32 a) {
    return _mm512_maskz_permutexvar_ps(m, i, a);
}
static inline vec_f32 pick_else_f32(index_f32 i, mask_f32 m, vec_f32 a, const float *p) {
    return _mm512_mask_broadcastss_ps(_mm512_permutexvar_ps(i, a), (mask_f32)~m, _mm_load_ss(p));
}
static inline vec_f32 pick2_f32(index_f32 i, mask_f32 m, vec_f32 a, vec_f32 b, vec_f32 fill) {
    return _mm512_mask_blend_ps(m, fill, _mm512_permutex2var_ps(a, i, b));
}
typedef mask_f32 span_f32;
static inline span_f32 between_f32(int64_t from, int64_t to) { return (span_f32)(first_f32(to) & ~first_f32(from)); }
static inline vec_f32 load_span_f32(span_f32 s, const float *p, vec_f32 fill) {
    return _mm512_mask_loadu_ps(fill, s, p);
}
static inline vec_f32 load_span_or_zero_f32(span_f32 s, const float *p) {
    return load_span_f32(s, p, zero_f32());
}
static inline vec_f32 add_f32(vec_f32 a, vec_f32 b) { return _mm512_add_ps(a, b); }
static inline vec_f32 fma_f32(vec_f32 a, vec_f32 b, vec_f32 c) { return _mm512_fmadd_ps(a, b, c); }
static inline int has_zero_f32(vec_f32 v) { return _mm512_cmp_ps_mask(v, zero_f32(), _CMP_EQ_OQ) != 0; }
/* MAXPS and MINPS give the second operand for NaN and for two zeros, as the definition does. */
static inline vec_f32 clamp_f32(vec_f32 v, vec_f32 lo, vec_f32 hi) {
    return _mm512_min_ps(hi, _mm512_max_ps(lo, v));
}

#define WIDTH_f64 8
typedef __m512d vec_f64;
typedef __mmask8 mask_f64;
static inline vec_f64 zero_f64(void) { return _mm512_setzero_pd(); }
static inline vec_f64 set_f64(double s) { return _mm512_set1_pd(s); }
static inline vec_f64 load_f64(const double *p) { return _mm512_loadu_pd(p); }
static inline void store_f64(double *p, vec_f64 v) { _mm512_storeu_pd(p, v); }
static inline mask_f64 first_f64(int64_t n) {
    const int64_t lanes = n < 0 ? 0 : n > WIDTH_f64 ? WIDTH_f64 : n;
    return (mask_f64)((UINT32_C(1) << lanes) - 1);
}
static inline vec_f64 load_first_f64(mask_f64 m, const double *p) { return _mm512_maskz_loadu_pd(m, p); }
static inline void store_first_f64(mask_f64 m, double *p, vec_f64 v) { _mm512_mask_storeu_pd(p, m, v); }
static inline void store_lanes_f64(double *p, vec_f64 v, int64_t from, int64_t count) {
    _mm512_mask_storeu_pd(p - from, (mask_f64)(((UINT32_C(1) << count) - 1) << from), v);
}
enum { TURNED_f64 = 2 };
static inline void load_turned_f64(const double *p, ptrdiff_t d, vec_f64 *v) {
    vec_f64 t[2];
    for (int i = 0; i < 2; i++) {
        const double *from = p + i * d;
        t[i] = _mm512_castpd128_pd512(_mm_loadu_pd(from));
        t[i] = _mm512_insertf64x2(t[i], _mm_loadu_pd(from + 2 * d), 1);
        t[i] = _mm512_insertf64x2(t[i], _mm_loadu_pd(from + 4 * d), 2);
        t[i] = _mm512_insertf64x2(t[i], _mm_loadu_pd(from + 6 * d), 3);
    }
    v[0] = _mm512_unpacklo_pd(t[0], t[1]);
    v[1] = _mm512_unpackhi_pd(t[0], t[1]);
}
static inline vec_f64 keep_f64(vec_f64 v) {
    KEEP(v);
    return v;
}
static inline vec_f64 even_f64(vec_f64 a, vec_f64 b) {
    return _mm512_permutex2var_pd(a, _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14), b);
}
static inline vec_f64 odd_f64(vec_f64 a, vec_f64 b) {
    return _mm512_permutex2var_pd(a, _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15), b);
}
static inline vec_f64 even_woven_f64(vec_f64 a, vec_f64 b) { return _mm512_unpacklo_pd(a, b); }
static inline vec_f64 odd_woven_f64(vec_f64 a, vec_f64 b) { return _mm512_unpackhi_pd(a, b); }
static inline vec_f64 weave_f64(vec_f64 v) {
    const __m512i order = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);
    return _mm512_permutexvar_pd(order, v);
}
static inline vec_f64 unweave_f64(vec_f64 v) {
    const __m512i order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
    return _mm512_permutexvar_pd(order, v);
}
static inline vec_f64 zip_low_f64(vec_f64 a, vec_f64 b) {
    return _mm512_permutex2var_pd(a, _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11), b);
}
static inline vec_f64 zip_high_f64(vec_f64 a, vec_f64 b) {
    return _mm512_permutex2var_pd(a, _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15), b);
}
typedef __m512i index_f64;
static inline index_f64 load_index_f64(const int32_t *p) {
    return _mm512_cvtepi32_epi64(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
static inline mask_f64 within_f64(index_f64 i) { return (mask_f64)~_mm512_movepi64_mask(i); }
static inline vec_f64 pick_f64(index_f64 i, mask_f64 m, vec_f64 a, vec_f64 fill) {
    return _mm512_mask_permutexvar_pd(fill, m, i, a);
}
static inline vec_f64 pick_or_zero_f64(index_f64 i, mask_f64 m, vec_f64 a) {
    return _mm512_maskz_permutexvar_pd(m, i, a);
}
static inline vec_f64 pick_else_f64(index_f64 i, mask_f64 m, vec_f64 a, const double *p) {
    return _mm512_mask_broadcastsd_pd(_mm512_permutexvar_pd(i, a), (mask_f64)~m, _mm_load_sd(p));
}
static inline vec_f64 pick2_f64(index_f64 i, mask_f64 m, vec_f64 a, vec_f64 b, vec_f64 fill) {
    return _mm512_mask_blend_pd(m, fill, _mm512_permutex2var_pd(a, i, b));
}
typedef mask_f64 span_f64;
static inline span_f64 between_f64(int64_t from, int64_t to) { return (span_f64)(first_f64(to) & ~first_f64(from)); }
static inline vec_f64 load_span_f64(span_f64 s, const double *p, vec_f64 fill) {
    return _mm512_mask_loadu_pd(fill, s, p);
}
static inline vec_f64 load_span_or_zero_f64(span_f64 s, const double *p) {
    return load_span_f64(s, p, zero_f64());
}
static inline vec_f64 add_f64(vec_f64 a, vec_f64 b) { return _mm512_add_pd(a, b); }
static inline vec_f64 fma_f64(vec_f64 a, vec_f64 b, vec_f64 c) { return _mm512_fmadd_pd(a, b, c); }
static inline int has_zero_f64(vec_f64 v) { return _mm512_cmp_pd_mask(v, zero_f64(), _CMP_EQ_OQ) != 0; }
static inline vec_f64 clamp_f64(vec_f64 v, vec_f64 lo, vec_f64 hi) {
    return _mm512_min_pd(hi, _mm512_max_pd(lo, v));
}

#endif
