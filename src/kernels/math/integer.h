/*
** integer.h: the functions of integers that elementwise.def calls, in 64 bits.
*/
#ifndef PERILUNE_INTEGER_H
#define PERILUNE_INTEGER_H

#include <stdint.h>

/* What a division by 0 gives: it fits no int32. */
#define PL_NO_INTEGER INT64_MAX

static inline int64_t pl_integer_fmod(int64_t a, int64_t b) {
  return b == 0 ? PL_NO_INTEGER : a % b;
}

static inline int64_t pl_integer_remainder(int64_t a, int64_t b) {
  const int64_t rest = pl_integer_fmod(a, b);
  return rest != 0 && b != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

static inline int64_t pl_integer_floor_divide(int64_t a, int64_t b) {
  return b == 0 ? PL_NO_INTEGER : (a - pl_integer_remainder(a, b)) / b;
}

#define PL_INTEGER_FMOD         pl_integer_fmod
#define PL_INTEGER_REMAINDER    pl_integer_remainder
#define PL_INTEGER_FLOOR_DIVIDE pl_integer_floor_divide

#endif
