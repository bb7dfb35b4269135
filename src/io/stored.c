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
#define F32_TO_REAL      f32_to_real
#define F64_TO_REAL      NULL
#define F64_TO_REAL_EVER NULL
#else
UNPACK(f64_to_real, double, pl_real, v, !isfinite(v) || isfinite((pl_real)v))
UNPACK(f64_to_real_ever, double, pl_real, v, true)
#define F32_TO_REAL      NULL
#define F64_TO_REAL      f64_to_real
#define F64_TO_REAL_EVER f64_to_real_ever
#endif

#define BEYOND_INT32 "beyond int32; 'convert' makes the tensor real"
#define BEYOND_FLOAT "beyond float; 'convert' makes it infinite"
#define NO_BOOL      "neither 0 nor 1"

static const pl_stored_dtype dtypes[] = {
    {"F32", 4, PL_REAL, F32_TO_REAL, NULL, NULL},
    {"F64", 8, PL_REAL, F64_TO_REAL, F64_TO_REAL_EVER, BEYOND_FLOAT},
    {"F16", 2, PL_REAL, half_to_real, NULL, NULL},
    {"BF16", 2, PL_REAL, bfloat16_to_real, NULL, NULL},
    {"I32", 4, PL_INT32, NULL, NULL, NULL},
    {"I64", 8, PL_INT32, i64_to_int32, i64_to_real, BEYOND_INT32},
    {"I16", 2, PL_INT32, i16_to_int32, NULL, NULL},
    {"I8", 1, PL_INT32, i8_to_int32, NULL, NULL},
    {"U8", 1, PL_UINT8, NULL, NULL, NULL},
    {"U16", 2, PL_INT32, u16_to_int32, NULL, NULL},
    {"U32", 4, PL_INT32, u32_to_int32, u32_to_real, BEYOND_INT32},
    {"U64", 8, PL_INT32, u64_to_int32, u64_to_real, BEYOND_INT32},
    {"BOOL", 1, PL_UINT8, bool_to_uint8, NULL, NO_BOOL}};
enum { N_DTYPES = sizeof dtypes / sizeof *dtypes };

const pl_stored_dtype *pl_stored_find(const char *name) {
  for (int i = 0; i < N_DTYPES; i++)
    if (strcmp(dtypes[i].name, name) == 0) return &dtypes[i];
  return NULL;
}

const char *pl_stored_name(pl_dtype dtype) {
  for (int i = 0; i < N_DTYPES; i++)
    if (dtypes[i].dtype == dtype && !dtypes[i].unpack) return dtypes[i].name;
  return NULL;
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
