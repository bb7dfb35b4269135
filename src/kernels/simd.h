/*
** simd.h: the vector type of the kernels, as wide as the instruction set has registers, and what
** all of them do with it. It uses GCC's vector extensions, so arithmetic is written with operators.
**
**   vec     | 0 | 1 | ... | LANES - 1 |      BLOCK = 2 LANES: a block of channels or columns
*/
#ifndef PERILUNE_SIMD_H
#define PERILUNE_SIMD_H

#include <string.h>

#include "perilune.h"

#if defined(VECTOR_BYTES) /* given to try out a width on a processor that lacks it */
#elif defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif
#ifdef PL_REAL_IS_DOUBLE
#define LANES (VECTOR_BYTES / 8)
typedef int64_t pl_lane;
#else
#define LANES (VECTOR_BYTES / 4)
typedef int32_t pl_lane;
#endif
#define BLOCK (2 * LANES) /* channels or columns that a micro-kernel has side by side */

typedef pl_real vec __attribute__((vector_size(VECTOR_BYTES)));
typedef pl_lane vec_mask __attribute__((vector_size(VECTOR_BYTES)));
typedef pl_real vec_anywhere
    __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(pl_real)), may_alias));

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 32")

INLINE vec load(const pl_real *p) { return *(const vec_anywhere *)p; }
INLINE vec broadcast(pl_real s) { return s - (vec){0}; } /* + would lose the sign of -0 */
INLINE void store(pl_real *p, vec v) { *(vec_anywhere *)p = v; }
INLINE vec select_by(vec_mask m, vec yes, vec no) {
  return (vec)(((vec_mask)yes & m) | ((vec_mask)no & ~m));
}
/* 0, 1, 2, ... */
INLINE vec_mask iota(void) {
  vec_mask v;
  for (int i = 0; i < LANES; i++) v[i] = i;
  return v;
}

/*
** Interleaving two vectors: element by element within each 128 bits, which costs one instruction
** (unpack), and 128 bits by 128 bits. QUARTER elements fill 128 bits.
*/
#ifdef PL_REAL_IS_DOUBLE
#define QUARTER 2
#else
#define QUARTER 4
#endif
#if LANES == 2
#define WITHIN_LOW  0, 2
#define WITHIN_HIGH 1, 3
#elif LANES == 4 && QUARTER == 4
#define WITHIN_LOW  0, 4, 1, 5
#define WITHIN_HIGH 2, 6, 3, 7
#elif LANES == 4
#define WITHIN_LOW  0, 4, 2, 6
#define WITHIN_HIGH 1, 5, 3, 7
#define ACROSS_LOW  0, 1, 4, 5
#define ACROSS_HIGH 2, 3, 6, 7
#elif LANES == 8 && QUARTER == 4
#define WITHIN_LOW  0, 8, 1, 9, 4, 12, 5, 13
#define WITHIN_HIGH 2, 10, 3, 11, 6, 14, 7, 15
#define ACROSS_LOW  0, 1, 2, 3, 8, 9, 10, 11
#define ACROSS_HIGH 4, 5, 6, 7, 12, 13, 14, 15
#elif LANES == 8
#define WITHIN_LOW  0, 8, 2, 10, 4, 12, 6, 14
#define WITHIN_HIGH 1, 9, 3, 11, 5, 13, 7, 15
#define ACROSS_LOW  0, 1, 8, 9, 2, 3, 10, 11
#define ACROSS_HIGH 4, 5, 12, 13, 6, 7, 14, 15
#else
#define WITHIN_LOW  0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29
#define WITHIN_HIGH 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31
#define ACROSS_LOW  0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23
#define ACROSS_HIGH 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31
#endif

/*
** Transposes LANES rows of LANES elements, in rounds that interleave row i with the row half a
** group further on: first the elements of each square of 128 bits, in groups of QUARTER rows, then
** the squares.
*/
INLINE void transpose(vec v[LANES]) {
  vec t[LANES];
  UNROLL for (int round = 1; round < QUARTER; round *= 2) {
    UNROLL for (int i = 0; i < LANES / 2; i++) {
      int from = i / (QUARTER / 2) * QUARTER + i % (QUARTER / 2);
      t[2 * i] = __builtin_shufflevector(v[from], v[from + QUARTER / 2], WITHIN_LOW);
      t[2 * i + 1] = __builtin_shufflevector(v[from], v[from + QUARTER / 2], WITHIN_HIGH);
    }
    UNROLL for (int i = 0; i < LANES; i++) v[i] = t[i];
  }
#ifdef ACROSS_LOW
  UNROLL for (int round = QUARTER; round < LANES; round *= 2) {
    UNROLL for (int i = 0; i < LANES / 2; i++) {
      int to = i / QUARTER * 2 * QUARTER + i % QUARTER;
      t[to] = __builtin_shufflevector(v[i], v[i + LANES / 2], ACROSS_LOW);
      t[to + QUARTER] = __builtin_shufflevector(v[i], v[i + LANES / 2], ACROSS_HIGH);
    }
    UNROLL for (int i = 0; i < LANES; i++) v[i] = t[i];
  }
#endif
}

#endif
