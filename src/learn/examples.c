/*
** examples.c: what examples and labels must be, and what is read off them.
*/
#include <math.h>
#include <stdlib.h>

#include "../tensor/tensor.h"
#include "learn.h"

static bool check_values(const char *who, const pl_tensor *x) {
  const long long d = x->size[1], n = pl_numel(x);
  for (long long i = 0; i < n; i++) {
    const double v = pl_is_contiguous(x) ? pl_reals(x)[i] : pl_at(x, i);
    const long long row = i / d + 1, column = i % d + 1;
    if (!pl_goes_on(i)) return false;
    if (!isfinite(v))
      return pl_fail("%s: row %lld, column %lld is %s; finite numbers expected", who, row, column,
                     isnan(v) ? "nan" : "infinite");
  }
  return true;
}

bool pl_examples_check(const char *who, const pl_tensor *x) {
  if (x->dtype != PL_REAL || x->rank != 2)
    return pl_fail("%s: examples are %s; real [n,d] expected", who, PL_DESCRIBE(x));
  if (x->size[0] < 1 || x->size[1] < 1)
    return pl_fail("%s: examples are %s; at least one row and one column expected", who,
                   PL_DESCRIBE(x));
  return check_values(who, x);
}

bool pl_labels_check(const char *who, const pl_tensor *labels, int64_t n) {
  if (labels->dtype != PL_INT32 || labels->rank != 1)
    return pl_fail("%s: labels are %s; int32 [n] expected", who, PL_DESCRIBE(labels));
  if (labels->size[0] != n)
    return pl_fail("%s: %lld labels for %lld examples", who, (long long)labels->size[0],
                   (long long)n);
  for (int64_t i = 0; i < n; i++) {
    const double v = pl_at(labels, i);
    if (!pl_goes_on(i)) return false;
    if (v < 1 || v > PL_MAX_LABEL)
      return pl_fail("%s: label %lld is %.0f; 1 to %d expected", who, (long long)i + 1, v,
                     PL_MAX_LABEL);
  }
  return true;
}

pl_tensor *pl_labels_list(pl_tensor *labels) {
  unsigned char *seen = calloc(PL_MAX_LABEL + 1, 1);
  if (!seen)
    return pl_fail_as(PL_ERROR_MEMORY, "svm: not enough memory for a list of labels"), NULL;
  int64_t k = 0;
  for (int64_t i = 0; i < pl_numel(labels) && pl_goes_on(i); i++) {
    const int v = (int)pl_at(labels, i);
    k += !seen[v];
    seen[v] = 1;
  }
  pl_tensor *list = pl_error() ? NULL : pl_empty(PL_INT32, pl_list(k));
  for (int v = 1, at = 0; list && v <= PL_MAX_LABEL; v++)
    if (seen[v]) pl_int32s(list)[at++] = v;
  free(seen);
  return list;
}

bool pl_gamma_scale(pl_tensor *x, double *gamma) {
  const int64_t n = pl_numel(x);
  if (!(x = pl_contiguous(x))) return false;
  double mean = 0, variance = 0;
  for (int64_t i = 0; i < n; i++) mean += pl_reals(x)[i];
  mean /= (double)n;
  for (int64_t i = 0; i < n; i++) {
    const double v = pl_reals(x)[i] - mean;
    variance += v * v;
  }
  variance /= (double)n;
  *gamma = variance > 0 ? 1 / ((double)x->size[1] * variance) : 1;
  return true;
}
