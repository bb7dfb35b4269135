/*
** vecmath.h: exp, expm1, log, log1p, tanh, sigmoid, softplus, erf, sin, cos and pow of single
** precision without branches, so that loops over them vectorise, and an element's bits depend on
** nothing but itself. Largest errors, measured by the tests over every 9973rd float, and for pow
** over random pairs: exp, log and pow 1 ulp, the others 2 ulp. They give NaN for NaN, and the right
** infinities and zeros at the ends; results below 1.2e-38 may become 0. GELU and SiLU are products
** of these with x, so their errors are 2 ulp of x, not of a result that may be far smaller. The
** double build uses the C library, for it is the measure of the gradient tests.
**
** The polynomials are the classical minimax ones of Cephes (S. Moshier), as formulas; those of erf
** are minimax fits by reweighted least squares; those of sin, cos and pow are minimax in the relative
** error of the function, by Remez's exchange (E. Remez 1934) in 200 bits.
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
#define pl_sin_   sin
#define pl_cos_   cos
#define pl_pow_   pow
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

static inline int64_t pl_bits_wide(double x) {
  int64_t i;
  memcpy(&i, &x, sizeof i);
  return i;
}

static inline double pl_from_bits_wide(int64_t i) {
  double x;
  memcpy(&x, &i, sizeof x);
  return x;
}

/* The number of quarter turns to the nearest whole one, of which the last bits count, and the rest
 * in radians. */
typedef struct {
  uint32_t quarters;
  float rest;
} pl_angle;

/* x 2/pi in double precision, without the multiples of 4, which are whole turns (Payne and Hanek
 * 1983). A float is m 2^e with m a whole number below 2^24, so of 2/pi only the bits from 2^(2-e)
 * down count. They are given from 2^0, 2^-26, 2^-52 and 2^-78 down, each time as a sum of 29 bits,
 * whose product with x is exact, of 28, so that what is left of the first and their product add up
 * exactly where that cancels, and of 53. The error is 2^-54 quarters and far less near a whole
 * one, to which no float comes nearer than 2^-31. */
static inline pl_angle pl_reduce_angle(float x) {
  const double magic = 6755399441055744.0; /* 1.5 * 2^52: adding it rounds to a whole number */
  const double w = (double)x, size = fabs(w);
  const bool near = size < 0x1p50, mid = size < 0x1p76, far = size < 0x1p102;
  const double a = near  ? 0x1.45f306e0p-1
                   : mid ? 0x1.b9391050p-26
                   : far ? 0x1.529fc270p-52
                         : 0x1.d5f47d50p-78;
  const double b = near  ? -0x1.b1bbeae0p-32
                   : mid ? 0x1.29fc2760p-56
                   : far ? 0x1.5f47d4e0p-82
                         : -0x1.6447e4a0p-109;
  const double c = near  ? 0x1.3f84eafa3ea6ap-61
                   : mid ? -0x1.05c1596447e49p-85
                   : far ? -0x1.911f924eb5336p-111
                         : 0x1.8a5664f10e410p-138;
  const double first = w * a, whole = first + magic;
  const double second = first - (whole - magic) + w * b, shifted = second + magic;
  const double rest = second - (shifted - magic) + w * c;
  const uint32_t quarters = (uint32_t)pl_bits_wide(whole) + (uint32_t)pl_bits_wide(shifted);
  return (pl_angle){quarters, (float)(rest * 1.57079632679489662)};
}

/* The sine of an angle: that of the rest or its cosine, and the sign, by quarter. Relative errors of
 * the polynomials: 2^-28 and 2^-33. */
static inline float pl_sin_of(pl_angle a) {
  const float r = a.rest, z = r * r;
  float p = -1.9515251348e-4f;
  p = p * z + 8.3321605341e-3f;
  p = p * z - 1.6666654606e-1f;
  float q = 2.4433121538e-5f;
  q = q * z - 1.3887315952e-3f;
  q = q * z + 4.1666645677e-2f;
  const float sine = p * z * r + r, cosine = q * z * z - 0.5f * z + 1;
  const float y = a.quarters & 1 ? cosine : sine;
  return pl_from_bits(pl_bits(y) ^ (int32_t)((a.quarters & 2) << 30));
}

static inline float pl_sin_(float x) {
  const float y = pl_sin_of(pl_reduce_angle(x));
  return x == 0 ? x : y; /* -0 gives itself */
}

/* The sine of a quarter turn more. */
static inline float pl_cos_(float x) {
  const pl_angle a = pl_reduce_angle(x);
  return pl_sin_of((pl_angle){a.quarters + 1, a.rest});
}

/* With vectors of two doubles it takes 7.6 ns an element, where powf takes 5.7 (PERILUNE_ISA=generic,
 * bench/ops.lua pow). */
#ifdef __AVX2__

/* log2 of a, which is not negative: a = 2^e m, as in pl_log_; log2 m = s p(s^2), s = f / (2 + f), by
 * a polynomial of relative error 2^-38. As doubles the subnormal floats are like all others. */
static inline double pl_log2_wide(double a) {
  const uint64_t root_half = 0x3fe6a09e00000000, bias = 1024, two_52 = 0x4330000000000000;
  const uint64_t i = (uint64_t)pl_bits_wide(a) - root_half + (bias << 52);
  const double e = pl_from_bits_wide((int64_t)(i >> 52 | two_52)) - (0x1p52 + 1024);
  const double f = pl_from_bits_wide((int64_t)((i & 0xfffffffffffff) + root_half)) - 1;
  const double s = f / (2 + f), z = s * s;
  double p = 0.340730183871576821;
  p = p * z + 0.411672714395407712;
  p = p * z + 0.577083585047739259;
  p = p * z + 0.961796673341393251;
  p = p * z + 2.88539008179008611;
  return p * s + (a == 0 ? -INFINITY : a <= 3.4028235e38 ? e : a); /* infinite or NaN: a */
}

/* 2^t, rounded once, to float: 2^n 2^r with n whole; the polynomial's relative error is 2^-29 */
static inline float pl_exp2_wide(double t) {
  const double magic = 6755399441055744.0;
  double c = t < -160 ? -160 : t;
  c = c > 130 ? 130 : c;
  const double shifted = c + magic, r = c - (shifted - magic);
  double p = 0.000153534397081438949;
  p = p * r + 0.0013398874378373852;
  p = p * r + 0.00961843708229849102;
  p = p * r + 0.0555033247169952698;
  p = p * r + 0.240226479156958016;
  p = p * r + 0.693147202854590247;
  /* the last bits of the sum are n, the others leave by the shift */
  const uint64_t scale = ((uint64_t)pl_bits_wide(shifted) + 1023) << 52;
  return (float)((p * r + 1) * pl_from_bits_wide((int64_t)scale));
}

/* |x|^y in double precision, and the sign. The power is limited to 2^33, which is even and gives
 * infinity, 0 or 1, for infinity times log2(1) would be NaN; by its bits, for of a choice between
 * floats the compiler would make branches. */
static inline float pl_pow_(float x, float y) {
  const double magic = 6755399441055744.0;
  const int32_t limit = 0x50000000, size = pl_bits(y) & 0x7fffffff;
  const float a = pl_abs_(x);
  const float c = pl_from_bits((size < limit ? size : limit) | (pl_bits(y) & INT32_MIN));
  const double shifted = (double)c + magic;
  const float power = pl_exp2_wide(pl_log2_wide((double)a) * (double)c);
  const uint32_t odd = (uint32_t)pl_bits_wide(shifted) << 31;
  const float of_whole = pl_from_bits(pl_bits(power) ^ (pl_bits(x) & (int32_t)odd));
  const float of_fraction = x < 0 && a <= 3.4028234e38f ? NAN : power;
  float z = (float)(shifted - magic) == c ? of_whole : of_fraction;
  z = y != y ? y : z;
  return x == 1 || y == 0 ? 1 : z;
}

#else
#define pl_pow_ powf
#endif

#endif

/* the normal distribution function */
static inline pl_real pl_phi_(pl_real x) {
  return (pl_real)0.5 * (1 + pl_erf_(x * (pl_real)0.70710678118654752));
}

#endif
