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
#else
#define PL_SQRT  sqrtf
#define PL_POW   powf
#define PL_SIN   sinf
#define PL_COS   cosf
#define PL_FLOOR floorf
#endif

#endif
