/*
** scalar.h: the functions of one element that kernels and elementwise.def call, by names that do
** not depend on the precision: those of vecmath.h, and of the C library.
*/
#ifndef PERILUNE_SCALAR_H
#define PERILUNE_SCALAR_H

#include <math.h>

#include "vecmath.h"

#define PL_EXP      pl_exp_
#define PL_LOG      pl_log_
#define PL_LOG1P    pl_log1p_
#define PL_TANH     pl_tanh_
#define PL_SIGMOID  pl_sigmoid_
#define PL_SOFTPLUS pl_softplus_
#define PL_EXPM1    pl_expm1_
#define PL_ERF      pl_erf_
#define PL_PHI      pl_phi_
#ifdef PL_REAL_IS_DOUBLE
#define PL_SQRT  sqrt
#define PL_POW   pow
#define PL_SIN   sin
#define PL_COS   cos
#define PL_FLOOR floor
#define PL_CEIL  ceil
#define PL_RINT  rint
#define PL_TRUNC trunc
#define PL_FMOD  fmod
#define PL_TAN   tan
#define PL_ASIN  asin
#define PL_ACOS  acos
#define PL_ATAN  atan
#define PL_ATAN2 atan2
#define PL_SINH  sinh
#define PL_COSH  cosh
#define PL_LOG2  log2
#define PL_LOG10 log10
#else
#define PL_SQRT  sqrtf
#define PL_POW   powf
#define PL_SIN   sinf
#define PL_COS   cosf
#define PL_FLOOR floorf
#define PL_CEIL  ceilf
#define PL_RINT  rintf
#define PL_TRUNC truncf
#define PL_FMOD  fmodf
#define PL_TAN   tanf
#define PL_ASIN  asinf
#define PL_ACOS  acosf
#define PL_ATAN  atanf
#define PL_ATAN2 atan2f
#define PL_SINH  sinhf
#define PL_COSH  coshf
#define PL_LOG2  log2f
#define PL_LOG10 log10f
#endif

/* fmod with the sign of b */
static inline pl_real pl_remainder_(pl_real a, pl_real b) {
  const pl_real rest = PL_FMOD(a, b);
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}
#define PL_REMAINDER pl_remainder_

#endif
