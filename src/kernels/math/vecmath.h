/*
** vecmath.h: exp, expm1, log, log1p, tanh, sigmoid, softplus and erf of single precision without
** branches, so that loops over them vectorise. Largest errors, measured by the tests over every
** 9973rd float: exp 1 ulp, log 1 ulp, the others 2 ulp. They give NaN for NaN, and the right
** infinities and zeros at the ends; results below 1.2e-38 may become 0. GELU and SiLU are products
** of these with x, so their errors are 2 ulp of x, not of a result that may be far smaller. The
** double build uses the C library, for it is the measure of the gradient tests.
**
** The polynomials are the classical minimax ones of Cephes (S. Moshier), as formulas; those of erf
** are minimax fits by reweighted least squares.
*/
#ifndef PERILUNE_VECMATH_H
#define PERILUNE_VECMATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "perilune.h"

#ifdef PL_REAL_IS_DOUBLE

#define pl_exp_   exp
#define pl_log_   log
#define pl_log1p_ log1p
#define pl_tanh_  tanh
#define pl_expm1_ expm1
#define pl_erf_   erf
static inline double pl_sigmoid_(double x) { return 1 / (1 + exp(-x)); }
static inline double pl_softplus_(double x) { return (x > 0 ? x : 0) + log1p(exp(-fabs(x))); }

#else

static inline int32_t pl_bits(float x) {
  int32_t i;
  memcpy(&i, &x, sizeof i);
  return i;
}

static inline float pl_from_bits(int32_t i) {
  float x;
  memcpy(&x, &i, sizeof x);
  return x;
}

/* 2^k; of a k that came from NaN it is anything. */
static inline float pl_power_of_2(int32_t k) {
  return pl_from_bits((int32_t)((uint32_t)(k + 127) << 23));
}

static inline float pl_abs_(float x) { return pl_from_bits(pl_bits(x) & 0x7fffffff); }

/* x = n ln 2 + r; gives n, and e^r - 1 */
typedef struct {
  int32_t n;
  float rest;
} pl_reduced;

static inline pl_reduced pl_reduce_exp(float x) {
  const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to a whole number */
  float c = x < -104.0f ? -104.0f : x;
  c = c > 89.0f ? 89.0f : c;
  const float shifted = c * 1.44269504088896341f + magic;
  const float n = shifted - magic;
  const float r = (c - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  return (pl_reduced){pl_bits(shifted) - pl_bits(magic), p * r * r + r};
}

/* 2^n e^r, where 2^n is two factors so that subnormals come out right */
static inline float pl_exp_(float x) {
  const pl_reduced e = pl_reduce_exp(x);
  const int32_t half = e.n >> 1;
  return (e.rest + 1) * pl_power_of_2(half) * pl_power_of_2(e.n - half);
}

/* 2^n (e^r - 1) + (2^n - 1), for x up to 88 */
static inline float pl_expm1_(float x) {
  const pl_reduced e = pl_reduce_exp(x);
  const int32_t half = e.n >> 1;
  const float scale = pl_power_of_2(half) * pl_power_of_2(e.n - half);
  return scale * e.rest + (scale - 1);
}

/* e ln 2 + log(1 + f), with 1 + f within sqrt(1/2) and sqrt(2) */
static inline float pl_log_near_1(float f, float e) {
  const float z = f * f;
  float p = 7.0376836292e-2f;
  p = p * f - 1.1514610310e-1f;
  p = p * f + 1.1676998740e-1f;
  p = p * f - 1.2420140846e-1f;
  p = p * f + 1.4249322787e-1f;
  p = p * f - 1.6668057665e-1f;
  p = p * f + 2.0000714765e-1f;
  p = p * f - 2.4999993993e-1f;
  p = p * f + 3.3333331174e-1f;
  p = p * f * z - e * 2.12194440e-4f - 0.5f * z;
  return f + p + e * 0.693359375f;
}

/* x = 2^e m with m within sqrt(1/2) and sqrt(2); log x = e ln 2 + log m */
static inline float pl_log_(float x) {
  const int32_t root_half = 0x3f3504f3;
  const float tiny = x < 1.17549435e-38f ? 8388608.0f : 1.0f;
  const int32_t i = (int32_t)((uint32_t)pl_bits(x * tiny) - (uint32_t)root_half);
  const float e = (float)(i >> 23) - (x < 1.17549435e-38f ? 23.0f : 0.0f);
  float y = pl_log_near_1(pl_from_bits((i & 0x7fffff) + root_half) - 1, e);
  y = x == 0 ? -INFINITY : y;
  y = x < 0 ? NAN : y;
  return x > 3.4028234e38f || x != x ? x : y; /* +inf and NaN give themselves */
}

/* Near 0 by itself, else the log of 1 + x and of what was lost when that was rounded. */
static inline float pl_log1p_(float x) {
  const float u = 1 + x, lost = x - (u - 1);
  const float far = pl_log_(u) + (u > 0 && u <= 3.4028234e38f ? lost / u : 0);
  const float near = pl_log_near_1(x, 0);
  const float y = x > -0.29289322f && x < 0.41421356f ? near : far;
  return x == 0 ? x : y; /* -0 gives itself */
}

static inline float pl_tanh_(float x) {
  const float a = pl_abs_(x), z = x * x;
  float p = -5.70498872745e-3f;
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  const float small = p * z * x + x;
  const float large = 1 - 2 / (pl_exp_(2 * a) + 1);
  return a < 0.625f ? small : x < 0 ? -large : large;
}

static inline float pl_sigmoid_(float x) { return 1 / (1 + pl_exp_(-x)); }

/* max(x, 0) + log(1 + t); 1 + t, which would be rounded, is not needed, only what it is above
   1, or its half above 1 */
static inline float pl_softplus_(float x) {
  const float t = pl_exp_(-pl_abs_(x)), half = t > 0.41421356f ? 1.0f : 0.0f;
  const float f = t > 0.41421356f ? 0.5f * t - 0.5f : t;
  return (x < 0 ? 0 : x) + pl_log_near_1(f, half);
}

/* Near 0, x + x times a polynomial of x^2; else 1 - exp of a polynomial, that of log(1 - erf). */
static inline float pl_erf_(float x) {
  const float z = x * x, a = pl_abs_(x), c = a > 4.0f ? 4.0f : a;
  float p = 8.513102512e-5f;
  p = p * z - 8.175639086e-4f;
  p = p * z + 5.203858949e-3f;
  p = p * z - 2.686050907e-2f;
  p = p * z + 1.128371507e-1f;
  p = p * z - 3.761263490e-1f;
  p = p * z + 1.283791661e-1f;
  float q = 1.982207032e-4f;
  q = q * c - 3.065499943e-3f;
  q = q * c + 2.231524885e-2f;
  q = q * c - 1.041137427e-1f;
  q = q * c - 6.369760036e-1f;
  q = q * c - 1.127797246e+0f;
  q = q * c - 1.664390729e-4f;
  const float far = 1 - pl_exp_(q);
  return a < 0.9f ? p * x + x : x < 0 ? -far : far;
}

#endif

/* the normal distribution function */
static inline pl_real pl_phi_(pl_real x) {
  return (pl_real)0.5 * (1 + pl_erf_(x * (pl_real)0.70710678118654752));
}

#endif
