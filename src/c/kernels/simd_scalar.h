/*
 * The SIMD vocabulary, spoken by plain C: a vector is one number. This file defines the words for all dialects
 * (simd_avx2.h, simd_avx512.h, simd_neon.h); it must not know what a kernel computes.
 *
 * For each dtype, f32 and f64:
 *   WIDTH_                     numbers in a vector
 *   vec_, mask_                types: a vector; a choice of its first few lanes
 *   zero_(), set_(s)           all lanes 0, all lanes s
 *   load_(p), store_(p, v)     WIDTH consecutive numbers at any address
 *   first_(n)                  the mask of the lanes l < n; n may be anything
 *   load_first_(m, p)          the chosen lanes; the others are 0, and their memory is not touched
 *   store_first_(m, p, v)      the same way out
 *   store_lanes_(p, v, l, n)   n lanes of v from lane l on, to n consecutive numbers; 1 <= n, l + n <= WIDTH
 *   load_turned_(p, d, v)      WIDTH rows of TURNED_ numbers, d apart: lane i of v[j] is p[i*d + j]; TURNED_ is a
 *                              divisor of WIDTH
 *   keep_(v)                   v, now in a register: compilers like to read memory again for every use
 *   add_(a, b), fma_(a, b, c)  a + b, a*b + c
 *   even_(a, b), odd_(a, b)    the lanes of even and of odd place of a, b one behind the other
 *   even_woven_(a, b), odd_woven_(a, b)   the same in the order of weave_, which costs less
 *   weave_(v), unweave_(v)     lanes put into that order, of which the first and the last stay, and back
 *   zip_low_(a, b)             lanes of a and b by turns, from the first ones on: the first half of all
 *   zip_high_(a, b)            the second half
 *   index_, load_index_(p)     a lane's number for each lane, read from WIDTH consecutive int32_t
 *   within_(i)                 the mask of the lanes whose number is not negative
 *   pick_(i, m, a, fill)       lanes i of a where m chooses, else those of fill
 *   pick_or_zero_(i, m, a)     the same with 0 as fill, at less cost
 *   pick_else_(i, m, a, p)     pick_ with the number at p as fill
 *   pick2_(i, m, a, b, fill)   the same of a, b one behind the other
 *   span_, between_(a, b)      a choice of lanes, a <= l < b; a and b may be anything
 *   load_span_(s, p, fill)     the chosen lanes; the others are those of fill, and their memory is not touched
 *   load_span_or_zero_(s, p)   the same with zeros
 *   clamp_(v, lo, hi)          t = lo > v ? lo : v; hi < t ? hi : t
 *   has_zero_(v)               whether a lane is 0 or -0
 * and with REGISTERS 16 (see stencil_template.h), where few are to spare:
 *   fma_here_(a, b, c)         fma_, in the register of c: compilers like to move sums about
 *   fma_at_(p, b, c)           the same with WIDTH numbers in memory
 *   clamp_at_(v, lo, hi)       clamp_ with such limits
 * and with STREAMS (see words_template.h):
 *   stream_(p, v)              stores past the caches, at a place that is aligned to a vector
 *   streams_end()              what was stored so comes before all that is stored after this
 *
 * CGC_NOFMA: if defined, a*b + c is rounded twice.
 */
#ifndef CGC_SIMD_SCALAR_H
#define CGC_SIMD_SCALAR_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#ifdef CGC_NOFMA
#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#endif
static inline float fma_f32(float a, float b, float c) {
    const float product = a * b;
    return product + c;
}
static inline double fma_f64(double a, double b, double c) {
    const double product = a * b;
    return product + c;
}
#else
static inline float fma_f32(float a, float b, float c) { return fmaf(a, b, c); }
static inline double fma_f64(double a, double b, double c) { return fma(a, b, c); }
#endif

#define WIDTH_f32 1
typedef float vec_f32;
typedef int mask_f32;
static inline float zero_f32(void) { return 0; }
static inline float set_f32(float s) { return s; }
static inline float load_f32(const float *p) { return *p; }
static inline void store_f32(float *p, float v) { *p = v; }
static inline int first_f32(int64_t n) { return n > 0; }
static inline float load_first_f32(int m, const float *p) { return m ? *p : 0; }
static inline void store_first_f32(int m, float *p, float v) {
    if (m)
        *p = v;
}
static inline void store_lanes_f32(float *p, float v, int64_t from, int64_t count) {
    (void)from, (void)count;
    *p = v;
}
enum { TURNED_f32 = 1 };
static inline void load_turned_f32(const float *p, ptrdiff_t d, float *v) {
    (void)d;
    v[0] = *p;
}
static inline float keep_f32(float v) { return v; }
static inline float zip_low_f32(float a, float b) {
    (void)b;
    return a;
}
static inline float zip_high_f32(float a, float b) {
    (void)a;
    return b;
}
static inline float even_f32(float a, float b) {
    (void)b;
    return a;
}
static inline float odd_f32(float a, float b) {
    (void)a;
    return b;
}
static inline float even_woven_f32(float a, float b) { return even_f32(a, b); }
static inline float odd_woven_f32(float a, float b) { return odd_f32(a, b); }
static inline float weave_f32(float v) { return v; }
static inline float unweave_f32(float v) { return v; }
typedef int32_t index_f32;
static inline int32_t load_index_f32(const int32_t *p) { return *p; }
static inline int within_f32(int32_t i) { return i >= 0; }
static inline float pick_f32(int32_t i, int m, float a, float fill) {
    (void)i;
    return m ? a : fill;
}
static inline float pick_or_zero_f32(int32_t i, int m, float a) { return pick_f32(i, m, a, 0); }
static inline float pick_else_f32(int32_t i, int m, float a, const float *p) { return pick_f32(i, m, a, *p); }
static inline float pick2_f32(int32_t i, int m, float a, float b, float fill) { return m ? i ? b : a : fill; }
typedef int span_f32;
static inline int between_f32(int64_t from, int64_t to) { return from <= 0 && to > 0; }
static inline float load_span_f32(int s, const float *p, float fill) { return s ? *p : fill; }
static inline float load_span_or_zero_f32(int s, const float *p) { return s ? *p : 0; }
static inline float add_f32(float a, float b) { return a + b; }
static inline int has_zero_f32(float v) { return v == 0; }
static inline float clamp_f32(float v, float lo, float hi) {
    const float t = lo > v ? lo : v;
    return hi < t ? hi : t;
}

#define WIDTH_f64 1
typedef double vec_f64;
typedef int mask_f64;
static inline double zero_f64(void) { return 0; }
static inline double set_f64(double s) { return s; }
static inline double load_f64(const double *p) { return *p; }
static inline void store_f64(double *p, double v) { *p = v; }
static inline int first_f64(int64_t n) { return n > 0; }
static inline double load_first_f64(int m, const double *p) { return m ? *p : 0; }
static inline void store_first_f64(int m, double *p, double v) {
    if (m)
        *p = v;
}
static inline void store_lanes_f64(double *p, double v, int64_t from, int64_t count) {
    (void)from, (void)count;
    *p = v;
}
enum { TURNED_f64 = 1 };
static inline void load_turned_f64(const double *p, ptrdiff_t d, double *v) {
    (void)d;
    v[0] = *p;
}
static inline double keep_f64(double v) { return v; }
static inline double zip_low_f64(double a, double b) {
    (void)b;
    return a;
}
static inline double zip_high_f64(double a, double b) {
    (void)a;
    return b;
}
static inline double even_f64(double a, double b) {
    (void)b;
    return a;
}
static inline double odd_f64(double a, double b) {
    (void)a;
    return b;
}
static inline double even_woven_f64(double a, double b) { return even_f64(a, b); }
static inline double odd_woven_f64(double a, double b) { return odd_f64(a, b); }
static inline double weave_f64(double v) { return v; }
static inline double unweave_f64(double v) { return v; }
typedef int32_t index_f64;
static inline int32_t load_index_f64(const int32_t *p) { return *p; }
static inline int within_f64(int32_t i) { return i >= 0; }
static inline double pick_f64(int32_t i, int m, double a, double fill) {
    (void)i;
    return m ? a : fill;
}
static inline double pick_or_zero_f64(int32_t i, int m, double a) { return pick_f64(i, m, a, 0); }
static inline double pick_else_f64(int32_t i, int m, double a, const double *p) { return pick_f64(i, m, a, *p); }
static inline double pick2_f64(int32_t i, int m, double a, double b, double fill) { return m ? i ? b : a : fill; }
typedef int span_f64;
static inline int between_f64(int64_t from, int64_t to) { return from <= 0 && to > 0; }
static inline double load_span_f64(int s, const double *p, double fill) { return s ? *p : fill; }
static inline double load_span_or_zero_f64(int s, const double *p) { return s ? *p : 0; }
static inline double add_f64(double a, double b) { return a + b; }
static inline int has_zero_f64(double v) { return v == 0; }
static inline double clamp_f64(double v, double lo, double hi) {
    const double t = lo > v ? lo : v;
    return hi < t ? hi : t;
}

#endif
