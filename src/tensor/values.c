/*
** values.c: reading and writing elements: conversion, copies, filling.
*/
#include "tensor.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SHORT = 16 }; /* rows for which a loop is faster than memcpy */

/* Where element i of the row-major order lies. */
static int64_t place(const pl_tensor *t, int64_t i) {
  int64_t at = t->offset;
  for (int d = t->rank - 1; d >= 0; d--) {
    at += i % t->size[d] * t->stride[d];
    i /= t->size[d];
  }
  return at;
}

static double read(const void *data, pl_dtype dtype, int64_t at) {
  switch (dtype) {
    case PL_REAL: return (double)((const pl_real *)data)[at];
    case PL_INT32: return ((const int32_t *)data)[at];
    default: return ((const uint8_t *)data)[at];
  }
}

/* Of a value in the dtype's range; rounds towards zero. */
static void write(void *data, pl_dtype dtype, int64_t at, double x) {
  switch (dtype) {
    case PL_REAL: ((pl_real *)data)[at] = (pl_real)x; break;
    case PL_INT32: ((int32_t *)data)[at] = (int32_t)x; break;
    default: ((uint8_t *)data)[at] = (uint8_t)x;
  }
}

/*
** What fits. The ends of a range are exclusive, so that what rounds into it counts.
*/

static bool in_range(pl_dtype dtype, double x) {
  switch (dtype) {
    case PL_REAL: return true;
    case PL_INT32: return x > INT32_MIN - 1.0 && x < INT32_MAX + 1.0;
    default: return x > -1 && x < 256;
  }
}

bool pl_fits(pl_dtype dtype, double x) {
  return in_range(dtype, x) && (dtype == PL_REAL || x == trunc(x));
}

/* "nan" has no sign, which some C libraries print. */
static bool misfit(const char *what, pl_dtype dtype, double x, int64_t i) {
  char place[48] = "";
  if (i >= 0) snprintf(place, sizeof place, " at position %lld", (long long)i + 1);
  return pl_fail("%s: %.14g%s does not fit %s, whole numbers from %s", what, isnan(x) ? NAN : x,
                 place, pl_dtype_name(dtype),
                 dtype == PL_UINT8 ? "0 to 255" : "-2147483648 to 2147483647");
}

bool pl_check_fits(const char *what, pl_dtype dtype, double x, int64_t i) {
  return pl_fits(dtype, x) || misfit(what, dtype, x, i);
}

/* Whether all values fit, or, if they may be rounded, are in the range. */
static bool check_values(const char *what, pl_dtype dtype, pl_tensor *t, bool rounded) {
  if (dtype == PL_REAL || dtype == t->dtype || (dtype == PL_INT32 && t->dtype == PL_UINT8))
    return true;
  t = pl_contiguous(t);
  const int64_t n = t ? pl_numel(t) : 0;
  for (int64_t i = 0; i < n; i++) {
    const double x = read(t->storage->data, t->dtype, t->offset + i);
    if (!(rounded ? in_range(dtype, x) : pl_fits(dtype, x))) return misfit(what, dtype, x, i);
  }
  return t != NULL;
}

double pl_at(const pl_tensor *t, int64_t i) {
  return read(t->storage->data, t->dtype, place(t, i));
}

bool pl_set_at(pl_tensor *t, int64_t i, double value) {
  if (!t) return pl_fail("the tensor to set is missing");
  if (i < 0 || i >= pl_numel(t))
    return pl_fail("there is no element %lld in %s", (long long)i + 1, PL_DESCRIBE(t));
  if (!pl_check_fits("set", t->dtype, value, i) || !pl_check_writable("set", t)) return false;
  write(t->storage->data, t->dtype, place(t, i), value);
  t->storage->version++;
  return true;
}

bool pl_item(const pl_tensor *t, double *value) {
  if (!t) return pl_fail("item: the tensor is missing");
  if (pl_numel(t) != 1)
    return pl_fail("item: %s has %lld elements; one expected", PL_DESCRIBE(t),
                   (long long)pl_numel(t));
  *value = pl_at(t, 0);
  return true;
}

static bool close_to(double a, double b, double rtol, double atol, bool equal_nan) {
  if (isnan(a) || isnan(b)) return equal_nan && isnan(a) && isnan(b);
  return a == b || fabs(a - b) <= atol + (isinf(b) ? 0 : rtol * fabs(b));
}

bool pl_allclose(const pl_tensor *a, const pl_tensor *b, double rtol, double atol, bool equal_nan) {
  if (!pl_same_size(a, b)) return false;
  for (int64_t i = 0; i < pl_numel(a); i++)
    if (!pl_goes_on(i) || !close_to(pl_at(a, i), pl_at(b, i), rtol, atol, equal_nan)) return false;
  return true;
}

/* What a copy between two layouts of one shape reads and writes. */
typedef struct {
  const void *in;
  void *out;
  pl_dtype from, to;
  int64_t in_offset, out_offset;
} copy_job;

/* One row of n elements, with strides and conversion; the result is the first operand. */
static void copy_row(void *context, int64_t n, const int64_t *offset, const int64_t *step) {
  const copy_job *k = context;
  const int64_t to = k->out_offset + offset[0], from = k->in_offset + offset[1];
  if (k->to == PL_REAL && k->from == PL_REAL && (n < SHORT || step[0] != 1 || step[1] != 1)) {
    pl_real *o = (pl_real *)k->out + to;
    const pl_real *x = (const pl_real *)k->in + from;
    for (int64_t i = 0; i < n; i++) o[i * step[0]] = x[i * step[1]];
  } else if (k->to == k->from && step[0] == 1 && step[1] == 1) {
    size_t b = pl_dtype_bytes(k->to);
    memcpy((char *)k->out + (size_t)to * b, (const char *)k->in + (size_t)from * b, (size_t)n * b);
  } else {
    for (int64_t i = 0; i < n; i++)
      write(k->out, k->to, to + i * step[0], read(k->in, k->from, from + i * step[1]));
  }
}

static void copy_strided(int rank, const int64_t *size, copy_job *job, const int64_t *out_stride,
                         const int64_t *in_stride) {
  const pl_loop l = pl_loop_of(rank, size, 2, (const int64_t *[]){out_stride, in_stride});
  pl_loop_run(&l, copy_row, job);
}

void pl_gather_values(const pl_tensor *t, pl_dtype dtype, void *out) {
  int64_t stride[PL_MAX_RANK], step = 1;
  for (int d = t->rank - 1; d >= 0; d--) {
    stride[d] = step;
    step *= t->size[d];
  }
  copy_job job = {
      .in = t->storage->data, .out = out, .from = t->dtype, .to = dtype, .in_offset = t->offset};
  copy_strided(t->rank, t->size, &job, stride, t->stride);
}

pl_tensor *pl_contiguous(pl_tensor *t) {
  if (!t || pl_error()) return NULL;
  if (pl_is_contiguous(t)) return t;
  pl_tensor *copy = pl_empty(t->dtype, pl_size(t));
  if (copy) pl_gather_values(t, t->dtype, copy->storage->data);
  return copy;
}

pl_tensor *pl_to(pl_tensor *t, pl_dtype dtype) {
  if (!t || pl_error() || t->dtype == dtype) return t;
  if (!check_values("to", dtype, t, true)) return NULL;
  pl_tensor *copy = pl_empty(dtype, pl_size(t));
  if (copy) pl_gather_values(t, dtype, copy->storage->data);
  return pl_cut(copy, t, "to");
}

pl_tensor *pl_clone(pl_tensor *t) {
  if (!t || pl_error()) return NULL;
  pl_tensor *copy = pl_empty(t->dtype, pl_size(t));
  if (copy) pl_gather_values(t, t->dtype, copy->storage->data);
  return pl_cut(copy, t, "clone");
}

void pl_values(const pl_tensor *t, double *out) {
  int64_t n = pl_numel(t);
  if (t->dtype == PL_REAL && pl_is_contiguous(t))
    for (int64_t i = 0; i < n; i++) out[i] = (double)pl_reals(t)[i];
  else
    for (int64_t i = 0; i < n; i++) out[i] = pl_at(t, i);
}

bool pl_fill(pl_tensor *t, double value) {
  if (!t) return pl_fail("the tensor to fill is missing");
  if (!pl_check_fits("fill", t->dtype, value, -1) || !pl_check_writable("fill", t)) return false;
  int64_t n = pl_numel(t);
  bool whole = pl_is_contiguous(t);
  t->storage->version++;
  if (whole && value == 0 && !signbit(value)) {
    memset(pl_data(t), 0, (size_t)n * pl_dtype_bytes(t->dtype));
  } else if (whole && t->dtype == PL_REAL) {
    pl_real *x = pl_reals(t), v = (pl_real)value;
    for (int64_t i = 0; i < n; i++) x[i] = v;
  } else {
    for (int64_t i = 0; i < n; i++) write(t->storage->data, t->dtype, place(t, i), value);
  }
  return true;
}

pl_tensor *pl_full(pl_dtype dtype, pl_ints size, double value) {
  if (pl_error() || !pl_check_fits("full", dtype, value, -1)) return NULL;
  pl_tensor *t = pl_empty(dtype, size);
  if (t) pl_fill(t, value);
  return t;
}

/* Strides of src seen at dst's shape; false if it does not broadcast to it. */
static bool broadcast_strides(const pl_tensor *dst, const pl_tensor *src, int64_t *stride) {
  int lead = dst->rank - src->rank;
  if (lead < 0) return false;
  for (int d = 0; d < dst->rank; d++) {
    int64_t n = d < lead ? 1 : src->size[d - lead];
    if (n != dst->size[d] && n != 1) return false;
    stride[d] = n == 1 ? 0 : src->stride[d - lead];
  }
  return true;
}

bool pl_copy(pl_tensor *dst, pl_tensor *src) {
  if (!dst || !src || pl_error()) return false;
  int64_t stride[PL_MAX_RANK];
  if (!broadcast_strides(dst, src, stride))
    return pl_fail("copy: %s does not broadcast to %s", PL_DESCRIBE(src), PL_DESCRIBE(dst));
  if (!pl_check_writable("copy", dst) || !check_values("copy", dst->dtype, src, false))
    return false;
  if (pl_overlaps_itself(dst)) return pl_fail("copy: the target %s is expanded", PL_DESCRIBE(dst));
  if (dst->storage == src->storage && !(src = pl_contiguous(src))) return false;
  if (dst->storage == src->storage) { /* contiguous and shared: copy by way of a buffer */
    pl_tensor *other = pl_empty(src->dtype, pl_size(src));
    if (!other) return false;
    pl_gather_values(src, src->dtype, other->storage->data);
    src = other;
  }
  if (!broadcast_strides(dst, src, stride)) return false;
  dst->storage->version++;
  copy_job job = {.in = src->storage->data,
                  .out = dst->storage->data,
                  .from = src->dtype,
                  .to = dst->dtype,
                  .in_offset = src->offset,
                  .out_offset = dst->offset};
  copy_strided(dst->rank, dst->size, &job, dst->stride, stride);
  return true;
}
