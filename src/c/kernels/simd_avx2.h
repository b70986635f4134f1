/*
 * The SIMD vocabulary (see simd_scalar.h) in AVX2 and FMA: 256-bit vectors, 16 registers.
 * It must not know what a kernel computes.
 */
#ifndef CGC_SIMD_AVX2_H
#define CGC_SIMD_AVX2_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __GNUC__
#define KEEP(v) __asm__("" : "+x"(v))
#define NEEDED(v) __asm__ volatile("" : : "x"(v)) /* up to here, so that no result takes its register */
#else
#define KEEP(v) ((void)0)
#define NEEDED(v) ((void)0)
#endif

/* A mask of n lanes is read where the -1 end n lanes later. */
static const int32_t mask_table_f32[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
static const int64_t mask_table_f64[8] = {-1, -1, -1, -1, 0, 0, 0, 0};

#define WIDTH_f32 8
typedef __m256 vec_f32;
typedef __m256i mask_f32;
static inline vec_f32 zero_f32(void) { return _mm256_setzero_ps(); }
static inline vec_f32 set_f32(float s) { return _mm256_set1_ps(s); }
static inline vec_f32 load_f32(const float *p) { return _mm256_loadu_ps(p); }
static inline void store_f32(float *p, vec_f32 v) { _mm256_storeu_ps(p, v); }
/* Past the caches, to an aligned place; what follows streams_end is written after it. */
static inline void stream_f32(float *p, vec_f32 v) { _mm256_stream_ps(p, v); }
static inline void streams_end(void) { _mm_sfence(); }
static inline mask_f32 first_f32(int64_t n) {
    const int64_t lanes = n < 0 ? 0 : n > WIDTH_f32 ? WIDTH_f32 : n;
    return _mm256_loadu_si256((const __m256i *)(const void *)(mask_table_f32 + WIDTH_f32 - lanes));
}
static inline vec_f32 load_first_f32(mask_f32 m, const float *p) { return _mm256_maskload_ps(p, m); }
static const int32_t lane_table_f32[8] = {0, 1, 2, 3, 4, 5, 6, 7};
/*
 * Piece by piece: some processors take tens of cycles for a store by a mask. The second half of many lanes begins
 * inside the first.
 */
static inline void store_first_f32(mask_f32 m, float *p, vec_f32 v) {
    const int lanes = _mm256_movemask_ps(_mm256_castsi256_ps(m)); /* a bit each */
    __m128 part = _mm256_castps256_ps128(v);
    if (lanes & 0x80) {
        _mm256_storeu_ps(p, v);
        return;
    }
    if (lanes & 8) {
        const int over = (lanes >> 4 & 1) + (lanes >> 5 & 1) + (lanes >> 6 & 1);
        const __m256i last = _mm256_castsi128_si256(
            _mm_loadu_si128((const __m128i *)(const void *)(lane_table_f32 + over)));
        _mm_storeu_ps(p, part);
        _mm_storeu_ps(p + over, _mm256_castps256_ps128(_mm256_permutevar8x32_ps(v, last)));
        return;
    }
    if (lanes & 2) {
        _mm_storel_pi((__m64 *)(void *)p, part);
        part = _mm_movehl_ps(part, part);
        p += 2;
    }
    if (lanes & 1 && lanes != 3)
        _mm_store_ss(p, part);
}
static inline void store_lanes_f32(float *p, vec_f32 v, int64_t from, int64_t count) {
    const __m256i lanes = _mm256_loadu_si256((const __m256i *)(const void *)lane_table_f32);
    const __m256i moved = _mm256_add_epi32(lanes, _mm256_set1_epi32((int)from)); /* counted modulo 8 */
    store_first_f32(first_f32(count), p, _mm256_permutevar8x32_ps(v, moved));
}
/* Lane half b of t[i] comes from row 4*b + i, so that halves need no exchange afterwards. */
enum { TURNED_f32 = 4 };
static inline void turn_f32(const vec_f32 *t, vec_f32 *v) {
    const __m256d a = _mm256_castps_pd(_mm256_unpacklo_ps(t[0], t[1]));
    const __m256d b = _mm256_castps_pd(_mm256_unpackhi_ps(t[0], t[1]));
    const __m256d e = _mm256_castps_pd(_mm256_unpacklo_ps(t[2], t[3]));
    const __m256d f = _mm256_castps_pd(_mm256_unpackhi_ps(t[2], t[3]));
    v[0] = _mm256_castpd_ps(_mm256_unpacklo_pd(a, e));
    v[1] = _mm256_castpd_ps(_mm256_unpackhi_pd(a, e));
    v[2] = _mm256_castpd_ps(_mm256_unpacklo_pd(b, f));
    v[3] = _mm256_castpd_ps(_mm256_unpackhi_pd(b, f));
}
static inline void load_turned_f32(const float *p, ptrdiff_t d, vec_f32 *v) {
    vec_f32 t[4];
    for (int i = 0; i < 4; i++) {
        const float *from = p + i * d;
        t[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(from)), _mm_loadu_ps(from + 4 * d), 1);
    }
    turn_f32(t, v);
}
static inline void load_turned_from_f32(const float *p, const ptrdiff_t *from, vec_f32 *v) {
    vec_f32 t[4];
    for (int i = 0; i < 4; i++)
        t[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p + from[i])), _mm_loadu_ps(p + from[i + 4]),
                                    1);
    turn_f32(t, v);
}
static inline vec_f32 keep_f32(vec_f32 v) {
    KEEP(v);
    return v;
}
static inline vec_f32 even_f32(vec_f32 a, vec_f32 b) {
    const __m256d halves = _mm256_castps_pd(_mm256_shuffle_ps(a, b, 0x88));
    return _mm256_castpd_ps(_mm256_permute4x64_pd(halves, 0xd8));
}
static inline vec_f32 odd_f32(vec_f32 a, vec_f32 b) {
    const __m256d halves = _mm256_castps_pd(_mm256_shuffle_ps(a, b, 0xdd));
    return _mm256_castpd_ps(_mm256_permute4x64_pd(halves, 0xd8));
}
static inline vec_f32 even_woven_f32(vec_f32 a, vec_f32 b) { return _mm256_shuffle_ps(a, b, 0x88); }
static inline vec_f32 odd_woven_f32(vec_f32 a, vec_f32 b) { return _mm256_shuffle_ps(a, b, 0xdd); }
static inline vec_f32 unweave_f32(vec_f32 v) {
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(v), 0xd8));
}
static inline vec_f32 weave_f32(vec_f32 v) { return unweave_f32(v); }
static inline vec_f32 zip_low_f32(vec_f32 a, vec_f32 b) {
    return _mm256_permute2f128_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b), 0x20);
}
static inline vec_f32 zip_high_f32(vec_f32 a, vec_f32 b) {
    return _mm256_permute2f128_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b), 0x31);
}
typedef __m256i index_f32;
static inline index_f32 load_index_f32(const int32_t *p) {
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}
static inline mask_f32 within_f32(index_f32 i) { return _mm256_cmpgt_epi32(i, _mm256_set1_epi32(-1)); }
static inline vec_f32 pick_f32(index_f32 i, mask_f32 m, vec_f32 a, vec_f32 fill) {
    return _mm256_blendv_ps(fill, _mm256_permutevar8x32_ps(a, i), _mm256_castsi256_ps(m));
}
static inline vec_f32 pick_or_zero_f32(index_f32 i, mask_f32 m, vec_f32 a) {
    return _mm256_and_ps(_mm256_permutevar8x32_ps(a, i), _mm256_castsi256_ps(m));
}
static inline vec_f32 pick_else_f32(index_f32 i, mask_f32 m, vec_f32 a, const float *p) {
    return pick_f32(i, m, a, set_f32(*p));
}
static inline vec_f32 pick2_f32(index_f32 i, mask_f32 m, vec_f32 a, vec_f32 b, vec_f32 fill) {
    const __m256 second = _mm256_castsi256_ps(_mm256_cmpgt_epi32(i, _mm256_set1_epi32(7)));
    return _mm256_blendv_ps(pick_f32(i, m, a, fill), _mm256_permutevar8x32_ps(b, i), second);
}
typedef mask_f32 span_f32;
static inline span_f32 between_f32(int64_t from, int64_t to) {
    return _mm256_andnot_si256(first_f32(from), first_f32(to));
}
static inline vec_f32 load_span_or_zero_f32(span_f32 s, const float *p) { return load_first_f32(s, p); }
static inline vec_f32 load_span_f32(span_f32 s, const float *p, vec_f32 fill) {
    return _mm256_blendv_ps(fill, load_first_f32(s, p), _mm256_castsi256_ps(s));
}
static inline vec_f32 add_f32(vec_f32 a, vec_f32 b) { return _mm256_add_ps(a, b); }
static inline int has_zero_f32(vec_f32 v) {
    return _mm256_movemask_ps(_mm256_cmp_ps(v, zero_f32(), _CMP_EQ_OQ)) != 0;
}
static inline vec_f32 fma_f32(vec_f32 a, vec_f32 b, vec_f32 c) { return _mm256_fmadd_ps(a, b, c); }
static inline vec_f32 fma_here_f32(vec_f32 a, vec_f32 b, vec_f32 sum) {
#ifdef __GNUC__
    __asm__("vfmadd231ps %1, %2, %0" : "+x"(sum) : "xm"(a), "x"(b));
    return sum;
#else
    return fma_f32(a, b, sum);
#endif
}
static inline vec_f32 fma_at_f32(const float *p, vec_f32 b, vec_f32 sum) {
#ifdef __GNUC__
    __asm__("vfmadd231ps %1, %2, %0" : "+x"(sum) : "m"(*(const vec_f32 *)(const void *)p), "x"(b));
    return sum;
#else
    return fma_f32(load_f32(p), b, sum);
#endif
}
/* MAXPS and MINPS give the second operand for NaN and for two zeros, as the definition does. */
static inline vec_f32 clamp_f32(vec_f32 v, vec_f32 lo, vec_f32 hi) {
    return _mm256_min_ps(hi, _mm256_max_ps(lo, v));
}
static inline vec_f32 clamp_at_f32(vec_f32 v, const float *lo, const float *hi) {
#ifdef __GNUC__
    vec_f32 limit;
    __asm__("vmovups %2, %1\n\tvmaxps %0, %1, %0\n\tvmovups %3, %1\n\tvminps %0, %1, %0"
            : "+x"(v), "=&x"(limit)
            : "m"(*(const vec_f32 *)(const void *)lo), "m"(*(const vec_f32 *)(const void *)hi));
    return v;
#else
    return clamp_f32(v, load_f32(lo), load_f32(hi));
#endif
}

#define WIDTH_f64 4
typedef __m256d vec_f64;
typedef __m256i mask_f64;
static inline vec_f64 zero_f64(void) { return _mm256_setzero_pd(); }
static inline vec_f64 set_f64(double s) { return _mm256_set1_pd(s); }
static inline vec_f64 load_f64(const double *p) { return _mm256_loadu_pd(p); }
static inline void store_f64(double *p, vec_f64 v) { _mm256_storeu_pd(p, v); }
static inline void stream_f64(double *p, vec_f64 v) { _mm256_stream_pd(p, v); }
static inline mask_f64 first_f64(int64_t n) {
    const int64_t lanes = n < 0 ? 0 : n > WIDTH_f64 ? WIDTH_f64 : n;
    return _mm256_loadu_si256((const __m256i *)(const void *)(mask_table_f64 + WIDTH_f64 - lanes));
}
static inline vec_f64 load_first_f64(mask_f64 m, const double *p) { return _mm256_maskload_pd(p, m); }
static inline void store_first_f64(mask_f64 m, double *p, vec_f64 v) {
    const int lanes = _mm256_movemask_pd(_mm256_castsi256_pd(m));
    __m128d part = _mm256_castpd256_pd128(v);
    if (lanes & 8) {
        _mm256_storeu_pd(p, v);
        return;
    }
    if (lanes & 2) {
        _mm_storeu_pd(p, part);
        part = _mm256_extractf128_pd(v, 1);
        p += 2;
    }
    if (lanes == 1 || lanes == 7)
        _mm_store_sd(p, part);
}
static inline void store_lanes_f64(double *p, vec_f64 v, int64_t from, int64_t count) {
    const __m256i halves = _mm256_loadu_si256((const __m256i *)(const void *)lane_table_f32);
    const __m256i moved = _mm256_add_epi32(halves, _mm256_set1_epi32(2 * (int)from));
    store_first_f64(first_f64(count), p,
                    _mm256_castps_pd(_mm256_permutevar8x32_ps(_mm256_castpd_ps(v), moved)));
}
enum { TURNED_f64 = 2 };
static inline void load_turned_f64(const double *p, ptrdiff_t d, vec_f64 *v) {
    vec_f64 t[2];
    for (int i = 0; i < 2; i++) {
        const double *from = p + i * d;
        t[i] = _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(from)), _mm_loadu_pd(from + 2 * d), 1);
    }
    v[0] = _mm256_unpacklo_pd(t[0], t[1]);
    v[1] = _mm256_unpackhi_pd(t[0], t[1]);
}
static inline void load_turned_from_f64(const double *p, const ptrdiff_t *from, vec_f64 *v) {
    vec_f64 t[2];
    for (int i = 0; i < 2; i++)
        t[i] = _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(p + from[i])), _mm_loadu_pd(p + from[i + 2]),
                                    1);
    v[0] = _mm256_unpacklo_pd(t[0], t[1]);
    v[1] = _mm256_unpackhi_pd(t[0], t[1]);
}
static inline vec_f64 keep_f64(vec_f64 v) {
    KEEP(v);
    return v;
}
static inline vec_f64 even_f64(vec_f64 a, vec_f64 b) { return _mm256_permute4x64_pd(_mm256_unpacklo_pd(a, b), 0xd8); }
static inline vec_f64 odd_f64(vec_f64 a, vec_f64 b) { return _mm256_permute4x64_pd(_mm256_unpackhi_pd(a, b), 0xd8); }
static inline vec_f64 even_woven_f64(vec_f64 a, vec_f64 b) { return _mm256_unpacklo_pd(a, b); }
static inline vec_f64 odd_woven_f64(vec_f64 a, vec_f64 b) { return _mm256_unpackhi_pd(a, b); }
static inline vec_f64 unweave_f64(vec_f64 v) { return _mm256_permute4x64_pd(v, 0xd8); }
static inline vec_f64 weave_f64(vec_f64 v) { return unweave_f64(v); }
static inline vec_f64 zip_low_f64(vec_f64 a, vec_f64 b) {
    return _mm256_permute2f128_pd(_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b), 0x20);
}
static inline vec_f64 zip_high_f64(vec_f64 a, vec_f64 b) {
    return _mm256_permute2f128_pd(_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b), 0x31);
}
typedef __m256i index_f64;
static inline index_f64 load_index_f64(const int32_t *p) {
    return _mm256_cvtepi32_epi64(_mm_loadu_si128((const __m128i *)(const void *)p));
}
static inline mask_f64 within_f64(index_f64 i) { return _mm256_cmpgt_epi64(i, _mm256_set1_epi64x(-1)); }
/* A lane is moved as its halves, 2*i and 2*i + 1. */
static inline vec_f64 permute_f64(index_f64 i, vec_f64 a) {
    const __m256i low = _mm256_slli_epi64(i, 1), high = _mm256_slli_epi64(low, 32);
    const __m256i halves = _mm256_add_epi32(_mm256_blend_epi32(low, high, 0xaa), _mm256_set1_epi64x(INT64_C(1) << 32));
    return _mm256_castps_pd(_mm256_permutevar8x32_ps(_mm256_castpd_ps(a), halves));
}
static inline vec_f64 pick_f64(index_f64 i, mask_f64 m, vec_f64 a, vec_f64 fill) {
    return _mm256_blendv_pd(fill, permute_f64(i, a), _mm256_castsi256_pd(m));
}
static inline vec_f64 pick_or_zero_f64(index_f64 i, mask_f64 m, vec_f64 a) {
    return _mm256_and_pd(permute_f64(i, a), _mm256_castsi256_pd(m));
}
static inline vec_f64 pick_else_f64(index_f64 i, mask_f64 m, vec_f64 a, const double *p) {
    return pick_f64(i, m, a, set_f64(*p));
}
static inline vec_f64 pick2_f64(index_f64 i, mask_f64 m, vec_f64 a, vec_f64 b, vec_f64 fill) {
    const __m256d second = _mm256_castsi256_pd(_mm256_cmpgt_epi64(i, _mm256_set1_epi64x(3)));
    return _mm256_blendv_pd(pick_f64(i, m, a, fill), permute_f64(i, b), second);
}
typedef mask_f64 span_f64;
static inline span_f64 between_f64(int64_t from, int64_t to) {
    return _mm256_andnot_si256(first_f64(from), first_f64(to));
}
static inline vec_f64 load_span_or_zero_f64(span_f64 s, const double *p) { return load_first_f64(s, p); }
static inline vec_f64 load_span_f64(span_f64 s, const double *p, vec_f64 fill) {
    return _mm256_blendv_pd(fill, load_first_f64(s, p), _mm256_castsi256_pd(s));
}
static inline vec_f64 add_f64(vec_f64 a, vec_f64 b) { return _mm256_add_pd(a, b); }
static inline int has_zero_f64(vec_f64 v) {
    return _mm256_movemask_pd(_mm256_cmp_pd(v, zero_f64(), _CMP_EQ_OQ)) != 0;
}
static inline vec_f64 fma_f64(vec_f64 a, vec_f64 b, vec_f64 c) { return _mm256_fmadd_pd(a, b, c); }
static inline vec_f64 fma_here_f64(vec_f64 a, vec_f64 b, vec_f64 sum) {
#ifdef __GNUC__
    __asm__("vfmadd231pd %1, %2, %0" : "+x"(sum) : "xm"(a), "x"(b));
    return sum;
#else
    return fma_f64(a, b, sum);
#endif
}
static inline vec_f64 fma_at_f64(const double *p, vec_f64 b, vec_f64 sum) {
#ifdef __GNUC__
    __asm__("vfmadd231pd %1, %2, %0" : "+x"(sum) : "m"(*(const vec_f64 *)(const void *)p), "x"(b));
    return sum;
#else
    return fma_f64(load_f64(p), b, sum);
#endif
}
static inline vec_f64 clamp_f64(vec_f64 v, vec_f64 lo, vec_f64 hi) {
    return _mm256_min_pd(hi, _mm256_max_pd(lo, v));
}
static inline vec_f64 clamp_at_f64(vec_f64 v, const double *lo, const double *hi) {
#ifdef __GNUC__
    vec_f64 limit;
    __asm__("vmovupd %2, %1\n\tvmaxpd %0, %1, %0\n\tvmovupd %3, %1\n\tvminpd %0, %1, %0"
            : "+x"(v), "=&x"(limit)
            : "m"(*(const vec_f64 *)(const void *)lo), "m"(*(const vec_f64 *)(const void *)hi));
    return v;
#else
    return clamp_f64(v, load_f64(lo), load_f64(hi));
#endif
}

#endif
