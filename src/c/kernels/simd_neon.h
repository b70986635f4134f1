/*
 * The SIMD vocabulary (see simd_scalar.h) in NEON, as every AArch64 has it: 128-bit vectors, 32 registers, no masks.
 * It must not know what a kernel computes.
 */
#ifndef CGC_SIMD_NEON_H
#define CGC_SIMD_NEON_H

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __GNUC__
#define KEEP(v) __asm__("" : "+w"(v))
#else
#define KEEP(v) ((void)0)
#endif

/* A mask is its number of lanes, and the chosen lanes are moved one by one. */

#define WIDTH_f32 4
typedef float32x4_t vec_f32;
typedef int64_t mask_f32;
static inline vec_f32 zero_f32(void) { return vdupq_n_f32(0); }
static inline vec_f32 set_f32(float s) { return vdupq_n_f32(s); }
static inline vec_f32 load_f32(const float *p) { return vld1q_f32(p); }
static inline void store_f32(float *p, vec_f32 v) { vst1q_f32(p, v); }
static inline mask_f32 first_f32(int64_t n) { return n; }
static inline vec_f32 load_first_f32(mask_f32 m, const float *p) {
    vec_f32 v = zero_f32();
    if (m > 0)
        v = vld1q_lane_f32(p, v, 0);
    if (m > 1)
        v = vld1q_lane_f32(p + 1, v, 1);
    if (m > 2)
        v = vld1q_lane_f32(p + 2, v, 2);
    if (m > 3)
        v = vld1q_lane_f32(p + 3, v, 3);
    return v;
}
static inline void store_first_f32(mask_f32 m, float *p, vec_f32 v) {
    if (m > 0)
        vst1q_lane_f32(p, v, 0);
    if (m > 1)
        vst1q_lane_f32(p + 1, v, 1);
    if (m > 2)
        vst1q_lane_f32(p + 2, v, 2);
    if (m > 3)
        vst1q_lane_f32(p + 3, v, 3);
}
static inline void store_lanes_f32(float *p, vec_f32 v, int64_t from, int64_t count) {
    float lane[WIDTH_f32];
    vst1q_f32(lane, v);
    for (int64_t l = 0; l < count; l++)
        p[l] = lane[from + l];
}
enum { TURNED_f32 = 4 };
static inline void load_turned_f32(const float *p, ptrdiff_t d, vec_f32 *v) {
    const float32x4_t r0 = vld1q_f32(p), r1 = vld1q_f32(p + d), r2 = vld1q_f32(p + 2 * d), r3 = vld1q_f32(p + 3 * d);
    const float64x2_t a = vreinterpretq_f64_f32(vtrn1q_f32(r0, r1)), b = vreinterpretq_f64_f32(vtrn2q_f32(r0, r1));
    const float64x2_t e = vreinterpretq_f64_f32(vtrn1q_f32(r2, r3)), f = vreinterpretq_f64_f32(vtrn2q_f32(r2, r3));
    v[0] = vreinterpretq_f32_f64(vtrn1q_f64(a, e));
    v[1] = vreinterpretq_f32_f64(vtrn1q_f64(b, f));
    v[2] = vreinterpretq_f32_f64(vtrn2q_f64(a, e));
    v[3] = vreinterpretq_f32_f64(vtrn2q_f64(b, f));
}
static inline vec_f32 keep_f32(vec_f32 v) {
    KEEP(v);
    return v;
}
static inline vec_f32 even_f32(vec_f32 a, vec_f32 b) { return vuzp1q_f32(a, b); }
static inline vec_f32 odd_f32(vec_f32 a, vec_f32 b) { return vuzp2q_f32(a, b); }
static inline vec_f32 even_woven_f32(vec_f32 a, vec_f32 b) { return even_f32(a, b); }
static inline vec_f32 odd_woven_f32(vec_f32 a, vec_f32 b) { return odd_f32(a, b); }
static inline vec_f32 weave_f32(vec_f32 v) { return v; }
static inline vec_f32 unweave_f32(vec_f32 v) { return v; }
static inline vec_f32 zip_low_f32(vec_f32 a, vec_f32 b) { return vzip1q_f32(a, b); }
static inline vec_f32 zip_high_f32(vec_f32 a, vec_f32 b) { return vzip2q_f32(a, b); }
/* Lanes are looked up byte by byte; what is out of range becomes 0. A mask has no lanes here: `within` is not used. */
typedef int32x4_t index_f32;
static inline index_f32 load_index_f32(const int32_t *p) { return vld1q_s32(p); }
static inline mask_f32 within_f32(index_f32 i) {
    (void)i;
    return WIDTH_f32;
}
static inline uint8x16_t bytes_f32(index_f32 i) {
    const uint32x4_t four = vdupq_n_u32(UINT32_C(0x04040404)), each = vdupq_n_u32(UINT32_C(0x03020100));
    return vreinterpretq_u8_u32(vmlaq_u32(each, vreinterpretq_u32_s32(i), four));
}
static inline vec_f32 pick_f32(index_f32 i, mask_f32 m, vec_f32 a, vec_f32 fill) {
    (void)m;
    const uint8x16_t lanes = vqtbl1q_u8(vreinterpretq_u8_f32(a), bytes_f32(i));
    return vbslq_f32(vcgezq_s32(i), vreinterpretq_f32_u8(lanes), fill);
}
static inline vec_f32 pick_or_zero_f32(index_f32 i, mask_f32 m, vec_f32 a) {
    return pick_f32(i, m, a, zero_f32());
}
static inline vec_f32 pick_else_f32(index_f32 i, mask_f32 m, vec_f32 a, const float *p) {
    return pick_f32(i, m, a, set_f32(*p));
}
static inline vec_f32 pick2_f32(index_f32 i, mask_f32 m, vec_f32 a, vec_f32 b, vec_f32 fill) {
    (void)m;
    const uint8x16x2_t both = {{vreinterpretq_u8_f32(a), vreinterpretq_u8_f32(b)}};
    return vbslq_f32(vcgezq_s32(i), vreinterpretq_f32_u8(vqtbl2q_u8(both, bytes_f32(i))), fill);
}
typedef struct span_f32 {
    int64_t from, to;
} span_f32;
static inline span_f32 between_f32(int64_t from, int64_t to) {
    return (span_f32){from > 0 ? from : 0, to < WIDTH_f32 ? to : WIDTH_f32};
}
static inline vec_f32 load_span_f32(span_f32 s, const float *p, vec_f32 fill) {
    float lane[WIDTH_f32];
    vst1q_f32(lane, fill);
    for (int64_t l = s.from; l < s.to; l++)
        lane[l] = p[l];
    return vld1q_f32(lane);
}
static inline vec_f32 load_span_or_zero_f32(span_f32 s, const float *p) {
    return load_span_f32(s, p, zero_f32());
}
static inline vec_f32 add_f32(vec_f32 a, vec_f32 b) { return vaddq_f32(a, b); }
static inline int has_zero_f32(vec_f32 v) { return vmaxvq_u32(vceqzq_f32(v)) != 0; }
static inline vec_f32 fma_f32(vec_f32 a, vec_f32 b, vec_f32 c) { return vfmaq_f32(c, a, b); }
/* FMAX and FMIN order two zeros, and give NaN for a bound that is one; the definition does neither. */
static inline vec_f32 clamp_f32(vec_f32 v, vec_f32 lo, vec_f32 hi) {
    const vec_f32 t = vbslq_f32(vcgtq_f32(lo, v), lo, v);
    return vbslq_f32(vcltq_f32(hi, t), hi, t);
}

#define WIDTH_f64 2
typedef float64x2_t vec_f64;
typedef int64_t mask_f64;
static inline vec_f64 zero_f64(void) { return vdupq_n_f64(0); }
static inline vec_f64 set_f64(double s) { return vdupq_n_f64(s); }
static inline vec_f64 load_f64(const double *p) { return vld1q_f64(p); }
static inline void store_f64(double *p, vec_f64 v) { vst1q_f64(p, v); }
static inline mask_f64 first_f64(int64_t n) { return n; }
static inline vec_f64 load_first_f64(mask_f64 m, const double *p) {
    vec_f64 v = zero_f64();
    if (m > 0)
        v = vld1q_lane_f64(p, v, 0);
    if (m > 1)
        v = vld1q_lane_f64(p + 1, v, 1);
    return v;
}
static inline void store_first_f64(mask_f64 m, double *p, vec_f64 v) {
    if (m > 0)
        vst1q_lane_f64(p, v, 0);
    if (m > 1)
        vst1q_lane_f64(p + 1, v, 1);
}
static inline void store_lanes_f64(double *p, vec_f64 v, int64_t from, int64_t count) {
    double lane[WIDTH_f64];
    vst1q_f64(lane, v);
    for (int64_t l = 0; l < count; l++)
        p[l] = lane[from + l];
}
enum { TURNED_f64 = 2 };
static inline void load_turned_f64(const double *p, ptrdiff_t d, vec_f64 *v) {
    const float64x2_t r0 = vld1q_f64(p), r1 = vld1q_f64(p + d);
    v[0] = vtrn1q_f64(r0, r1);
    v[1] = vtrn2q_f64(r0, r1);
}
static inline vec_f64 keep_f64(vec_f64 v) {
    KEEP(v);
    return v;
}
static inline vec_f64 even_f64(vec_f64 a, vec_f64 b) { return vuzp1q_f64(a, b); }
static inline vec_f64 odd_f64(vec_f64 a, vec_f64 b) { return vuzp2q_f64(a, b); }
static inline vec_f64 even_woven_f64(vec_f64 a, vec_f64 b) { return even_f64(a, b); }
static inline vec_f64 odd_woven_f64(vec_f64 a, vec_f64 b) { return odd_f64(a, b); }
static inline vec_f64 weave_f64(vec_f64 v) { return v; }
static inline vec_f64 unweave_f64(vec_f64 v) { return v; }
static inline vec_f64 zip_low_f64(vec_f64 a, vec_f64 b) { return vzip1q_f64(a, b); }
static inline vec_f64 zip_high_f64(vec_f64 a, vec_f64 b) { return vzip2q_f64(a, b); }
typedef int64x2_t index_f64;
static inline index_f64 load_index_f64(const int32_t *p) { return vmovl_s32(vld1_s32(p)); }
static inline mask_f64 within_f64(index_f64 i) {
    (void)i;
    return WIDTH_f64;
}
static inline uint8x16_t bytes_f64(index_f64 i) {
    const uint32x4_t low = vreinterpretq_u32_s64(i), twice = vtrn1q_u32(low, low);
    const uint32x4_t each = vreinterpretq_u32_u64(vdupq_n_u64(UINT64_C(0x0706050403020100)));
    return vreinterpretq_u8_u32(vmlaq_u32(each, twice, vdupq_n_u32(UINT32_C(0x08080808))));
}
static inline vec_f64 pick_f64(index_f64 i, mask_f64 m, vec_f64 a, vec_f64 fill) {
    (void)m;
    const uint8x16_t lanes = vqtbl1q_u8(vreinterpretq_u8_f64(a), bytes_f64(i));
    return vbslq_f64(vcgezq_s64(i), vreinterpretq_f64_u8(lanes), fill);
}
static inline vec_f64 pick_or_zero_f64(index_f64 i, mask_f64 m, vec_f64 a) {
    return pick_f64(i, m, a, zero_f64());
}
static inline vec_f64 pick_else_f64(index_f64 i, mask_f64 m, vec_f64 a, const double *p) {
    return pick_f64(i, m, a, set_f64(*p));
}
static inline vec_f64 pick2_f64(index_f64 i, mask_f64 m, vec_f64 a, vec_f64 b, vec_f64 fill) {
    (void)m;
    const uint8x16x2_t both = {{vreinterpretq_u8_f64(a), vreinterpretq_u8_f64(b)}};
    return vbslq_f64(vcgezq_s64(i), vreinterpretq_f64_u8(vqtbl2q_u8(both, bytes_f64(i))), fill);
}
typedef struct span_f64 {
    int64_t from, to;
} span_f64;
static inline span_f64 between_f64(int64_t from, int64_t to) {
    return (span_f64){from > 0 ? from : 0, to < WIDTH_f64 ? to : WIDTH_f64};
}
static inline vec_f64 load_span_f64(span_f64 s, const double *p, vec_f64 fill) {
    double lane[WIDTH_f64];
    vst1q_f64(lane, fill);
    for (int64_t l = s.from; l < s.to; l++)
        lane[l] = p[l];
    return vld1q_f64(lane);
}
static inline vec_f64 load_span_or_zero_f64(span_f64 s, const double *p) {
    return load_span_f64(s, p, zero_f64());
}
static inline vec_f64 add_f64(vec_f64 a, vec_f64 b) { return vaddq_f64(a, b); }
static inline int has_zero_f64(vec_f64 v) { return vmaxvq_u32(vreinterpretq_u32_u64(vceqzq_f64(v))) != 0; }
static inline vec_f64 fma_f64(vec_f64 a, vec_f64 b, vec_f64 c) { return vfmaq_f64(c, a, b); }
static inline vec_f64 clamp_f64(vec_f64 v, vec_f64 lo, vec_f64 hi) {
    const vec_f64 t = vbslq_f64(vcgtq_f64(lo, v), lo, v);
    return vbslq_f64(vcltq_f64(hi, t), hi, t);
}

#endif
