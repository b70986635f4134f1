/*
 * The words in which all templates are written. It must not know the machine, only the words of the SIMD vocabulary,
 * see simd_scalar.h.
 *
 * Parameters, which isa_*.h defines after it has chosen the vocabulary:
 *   ISA                            the name of the instruction set, a word
 *   FUSED                          1 if fma_ rounds once
 *   GEMM_ROWS, GEMM_VECTORS        see gemm_template.h
 *   PRODUCT_REGISTERS, PRODUCT_OUTPUTS, PRODUCT_GATHERS   see product_pixels_template.h
 *   PRODUCT_PIXELS                 see product_template.h
 *   PRODUCT_CELLS                  if defined, there are the tiles of product_cells_template.h
 *   REDUCE_TERMS                   see reduce_template.h
 *   STREAMS                        if defined, the vocabulary has stores that pass the caches by, and they pay
 *   STENCIL_GRADES                 if defined, the vocabulary has vectors of half and of a quarter of the lanes
 *   REGISTERS                      vectors that the machine holds; less than 16: it has no vectors
 *
 * What the templates find defined:
 *   REAL      float or double
 *   LANES     CGC_LANES_F32 or CGC_LANES_F64
 *   GRADE     DTYPE; in stencil_ and gradient_template.h also the dtype's shorter vectors
 *   V(word)   that word of the vocabulary in this grade; VEC, MASK, INDEX, SPAN, WIDTH, TURNED are V(vec), V(mask) ...
 *   K(word)   the name of a kernel in this grade and instruction set: K(gemm) is cgc_gemm_f32_avx2
 *   UNROLL, ALWAYS_INLINE   with them the loops of a constant count vanish, and the arrays they index become registers
 */
#include <math.h>

#include "kernels.h"

#define JOIN2(a, b) a##_##b
#define JOIN4(a, b, c, d) a##_##b##_##c##_##d
#define EXPAND2(a, b) JOIN2(a, b)
#define EXPAND4(a, b, c, d) JOIN4(a, b, c, d)
#define QUOTE(word) #word
#define EXPAND_QUOTE(word) QUOTE(word)

#define GRADE DTYPE
#define V(word) EXPAND2(word, GRADE)
#define K(word) EXPAND4(cgc, word, GRADE, ISA)
#define VEC V(vec)
#define MASK V(mask)
#define INDEX V(index)
#define SPAN V(span)
#define WIDTH V(WIDTH)
#define TURNED V(TURNED)

/* Makes the compiler load anew what p points at, where it would keep more of it than fits the registers. */
#ifdef __GNUC__
#define REFRESH(p) __asm__ volatile("" : "+r"(p))
#else
#define REFRESH(p) ((void)0)
#endif

#ifdef __GNUC__
#define LIKELY(condition) __builtin_expect(condition, 1)
#else
#define LIKELY(condition) (condition)
#endif

/* Brings the cache line at p nearer; p may be any address. */
#ifdef __GNUC__
#define PREFETCH(p) __builtin_prefetch(p, 0, 2)
#else
#define PREFETCH(p) ((void)(p))
#endif

#if defined(__SANITIZE_ADDRESS__) || (defined(__GNUC__) && !defined(__OPTIMIZE__))
/* Instrumented or not optimised, tiles written out take minutes to compile. */
#define UNROLL
#define ALWAYS_INLINE __attribute__((noinline))
#elif defined(__clang__)
#define UNROLL _Pragma("unroll")
#define ALWAYS_INLINE inline __attribute__((always_inline))
#elif defined(__GNUC__)
#define UNROLL _Pragma("GCC unroll 32")
#define ALWAYS_INLINE inline __attribute__((always_inline))
#else
#define UNROLL
#define ALWAYS_INLINE inline
#endif
