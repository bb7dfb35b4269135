/*
** scalar.h: the functions of one element that kernels and elementwise.def call, by names that do
** not depend on the precision: those of vecmath.h, and of the C library (libm.h).
*/
#ifndef PERILUNE_SCALAR_H
#define PERILUNE_SCALAR_H

#include <math.h>

#include "integer.h"
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
#define PL_SIN      pl_sin_
#define PL_COS      pl_cos_
#define PL_POW      pl_pow_

#ifdef PL_REAL_IS_DOUBLE
#define PL_LIBM(name) name
#else
#define PL_LIBM(name) name##f
#endif
#include "libm.h"

/* fmod with the sign of b */
static inline pl_real pl_remainder_(pl_real a, pl_real b) {
  const pl_real rest = PL_FMOD(a, b);
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}
#define PL_REMAINDER pl_remainder_

/* The floor of the exact quotient, which a / b may have rounded up to a whole number. */
static inline pl_real pl_floor_divide_(pl_real a, pl_real b) {
  const pl_real rest = PL_FMOD(a, b), whole = PL_RINT((a - rest) / b);
  return b == 0 ? a / b : rest != 0 && (rest < 0) != (b < 0) ? whole - 1 : whole;
}
#define PL_FLOOR_DIVIDE pl_floor_divide_

#endif
