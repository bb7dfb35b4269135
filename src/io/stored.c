/*
** stored.c: see stored.h.
*/
#include "stored.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Defines a pl_unpack: `result` of each value v, as long as it `fits`. */
#define UNPACK(name, from, to, result, fits)                  \
  static int64_t name(const void *in, void *out, int64_t n) { \
    const from *x = in;                                       \
    to *y = out;                                              \
    for (int64_t i = 0; i < n; i++) {                         \
      const from v = x[i];                                    \
      if (!(fits)) return i;                                  \
      y[i] = (to)(result);                                    \
    }                                                         \
    return n;                                                 \
  }

static float float_of_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static float bfloat16(uint16_t v) { return float_of_bits((uint32_t)v << 16); }

/* IEEE 754 binary16: a sign, 5 bits of an exponent with bias 15, 10 bits of a fraction. */
static float half(uint16_t v) {
  const uint32_t sign = (v & 0x8000u) << 16, exponent = v >> 10 & 31, fraction = v & 1023u;
  if (exponent == 0) return (sign ? -1.0f : 1.0f) * (float)fraction * 0x1p-24f;
  return float_of_bits(sign | (exponent == 31 ? 255 : exponent + 112) << 23 | fraction << 13);
}

/*
** Fewer bits: to the nearest value, of two the one whose last bit is 0
*/

static uint32_t bits_of_float(float v) {
  uint32_t bits;
  memcpy(&bits, &v, sizeof bits);
  return bits;
}

/* A float that rounds to fewer bits as the value does: what a float has no room for is in its last
 * bit ("rounding to odd": Boldo and Melquiond 2008), for to the nearest twice is not once. */
static float odd_float(pl_real v) {
  const float f = (float)v;
  if ((pl_real)f == v || isnan(v)) return f;
  const bool away = fabs((double)f) > fabs((double)v);
  return float_of_bits((bits_of_float(f) - away) | 1);
}

/* Bits of a float without its sign, the last `n` of them rounded. */
static uint32_t rounded(uint32_t bits, int n) {
  return (bits + (1u << (n - 1)) - 1 + (bits >> n & 1)) >> n;
}

enum { FLOAT_INF = 0x7f800000, HALF_INF = 0x7c00, QUIET_NAN = 0x200, BFLOAT_QUIET_NAN = 0x40 };

static uint16_t bfloat16_of(pl_real v) {
  const uint32_t bits = bits_of_float(odd_float(v)), sign = bits >> 16 & 0x8000u;
  const uint32_t size = bits & 0x7fffffffu;
  if (size > FLOAT_INF) return (uint16_t)(sign | FLOAT_INF >> 16 | BFLOAT_QUIET_NAN);
  return (uint16_t)(sign | rounded(size, 16));
}

static uint16_t half_of(pl_real v) {
  const uint32_t bits = bits_of_float(odd_float(v)), sign = bits >> 16 & 0x8000u;
  const uint32_t size = bits & 0x7fffffffu, least = 113u << 23, most = 143u << 23; /* 2^-14, 2^16 */
  if (size > FLOAT_INF) return (uint16_t)(sign | HALF_INF | QUIET_NAN);
  if (size >= most) return (uint16_t)(sign | HALF_INF);
  if (size < least) /* a multiple of 2^-24, which is the last bit of floats from 0.5 on */
    return (uint16_t)(sign | (bits_of_float(float_of_bits(size) + 0.5f) - bits_of_float(0.5f)));
  return (uint16_t)(sign | rounded(size - (112u << 23), 13));
}

/* Half of a step below the power of 2 that comes after the greatest value. */
#define HALF_FITS(v)     (!isfinite(v) || fabs((double)(v)) < 0x1.ffep15)
#define BFLOAT16_FITS(v) (!isfinite(v) || fabs((double)(v)) < 0x1.ffp127)

UNPACK(real_to_half, pl_real, uint16_t, half_of(v), HALF_FITS(v))
UNPACK(real_to_half_any, pl_real, uint16_t, half_of(v), true)
UNPACK(real_to_bfloat16, pl_real, uint16_t, bfloat16_of(v), BFLOAT16_FITS(v))
UNPACK(real_to_bfloat16_any, pl_real, uint16_t, bfloat16_of(v), true)

/*
** As they are read
*/

UNPACK(half_to_real, uint16_t, pl_real, half(v), true)
UNPACK(bfloat16_to_real, uint16_t, pl_real, bfloat16(v), true)
UNPACK(i8_to_int32, int8_t, int32_t, v, true)
UNPACK(i16_to_int32, int16_t, int32_t, v, true)
UNPACK(u16_to_int32, uint16_t, int32_t, v, true)
UNPACK(u32_to_int32, uint32_t, int32_t, v, v <= INT32_MAX)
UNPACK(u64_to_int32, uint64_t, int32_t, v, v <= INT32_MAX)
UNPACK(i64_to_int32, int64_t, int32_t, v, v >= INT32_MIN && v <= INT32_MAX)
UNPACK(u32_to_real, uint32_t, pl_real, v, true)
UNPACK(u64_to_real, uint64_t, pl_real, v, true)
UNPACK(i64_to_real, int64_t, pl_real, v, true)
UNPACK(bool_to_uint8, uint8_t, uint8_t, v, v <= 1)

#ifdef PL_REAL_IS_DOUBLE
UNPACK(f32_to_real, float, pl_real, v, true)
#define F32_TO_REAL f32_to_real
UNPACK(real_to_f32, pl_real, float, v, !isfinite(v) || isfinite((float)v))
UNPACK(real_to_f32_any, pl_real, float, v, true)
#define F64_TO_REAL      NULL
#define F64_TO_REAL_EVER NULL
#define REAL_TO_F32      real_to_f32, real_to_f32_any
#define REAL_TO_F64      NULL, NULL
#else
UNPACK(f64_to_real, double, pl_real, v, !isfinite(v) || isfinite((pl_real)v))
UNPACK(f64_to_real_ever, double, pl_real, v, true)
UNPACK(real_to_f64, pl_real, double, v, true)
#define F32_TO_REAL      NULL
#define F64_TO_REAL      f64_to_real
#define F64_TO_REAL_EVER f64_to_real_ever
#define REAL_TO_F32      NULL, NULL
#define REAL_TO_F64      real_to_f64, NULL
#endif

#define BEYOND_INT32 "beyond int32; 'convert' makes the tensor real"
#define BEYOND_FLOAT "beyond float; 'convert' makes it infinite"
#define NO_BOOL      "neither 0 nor 1"

static const pl_stored_dtype dtypes[] = {
    {"F32", 4, PL_REAL, F32_TO_REAL, NULL, NULL, REAL_TO_F32},
    {"F64", 8, PL_REAL, F64_TO_REAL, F64_TO_REAL_EVER, BEYOND_FLOAT, REAL_TO_F64},
    {"F16", 2, PL_REAL, half_to_real, NULL, NULL, real_to_half, real_to_half_any},
    {"BF16", 2, PL_REAL, bfloat16_to_real, NULL, NULL, real_to_bfloat16, real_to_bfloat16_any},
    {"I32", 4, PL_INT32, NULL, NULL, NULL, NULL, NULL},
    {"I64", 8, PL_INT32, i64_to_int32, i64_to_real, BEYOND_INT32, NULL, NULL},
    {"I16", 2, PL_INT32, i16_to_int32, NULL, NULL, NULL, NULL},
    {"I8", 1, PL_INT32, i8_to_int32, NULL, NULL, NULL, NULL},
    {"U8", 1, PL_UINT8, NULL, NULL, NULL, NULL, NULL},
    {"U16", 2, PL_INT32, u16_to_int32, NULL, NULL, NULL, NULL},
    {"U32", 4, PL_INT32, u32_to_int32, u32_to_real, BEYOND_INT32, NULL, NULL},
    {"U64", 8, PL_INT32, u64_to_int32, u64_to_real, BEYOND_INT32, NULL, NULL},
    {"BOOL", 1, PL_UINT8, bool_to_uint8, NULL, NO_BOOL, NULL, NULL}};
enum { N_DTYPES = sizeof dtypes / sizeof *dtypes };

const pl_stored_dtype *pl_stored_find(const char *name) {
  for (int i = 0; i < N_DTYPES; i++)
    if (strcmp(dtypes[i].name, name) == 0) return &dtypes[i];
  return NULL;
}

const pl_stored_dtype *pl_stored_own(pl_dtype dtype) {
  for (int i = 0; i < N_DTYPES; i++)
    if (dtypes[i].dtype == dtype && !dtypes[i].unpack) return &dtypes[i];
  return NULL;
}

const pl_stored_dtype *pl_stored_for_reals(const char *name) {
  const pl_stored_dtype *type = pl_stored_find(name);
  if (type && type->dtype == PL_REAL) return type;
  return pl_fail("dtype: F32, F64, F16 or BF16 expected, got '%s'", name), NULL;
}

void pl_stored_print(const pl_stored_dtype *type, const void *in, char *text, size_t n) {
  union {
    double d;
    int64_t i;
    uint64_t u;
  } v = {.u = 0};
  memcpy(&v, in, (size_t)type->width);
  if (type->name[0] == 'F') snprintf(text, n, "%.9g", v.d);
  else if (type->name[0] == 'I') snprintf(text, n, "%lld", (long long)v.i);
  else snprintf(text, n, "%llu", (unsigned long long)v.u);
}
