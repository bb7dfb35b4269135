/*
** norm.c: the norm of many tensors together, to clip gradients by.
*/
#include <math.h>

#include "../ops/ops.h"

bool pl_total_norm(int n, pl_tensor *const *ts, double *norm) {
  double total = 0, elements = 0;
  pl_span span;
  pl_span_begin(&span, "total_norm", false);
  for (int i = 0; i < n && !pl_error(); i++) {
    pl_tensor *t = pl_contiguous(ts[i]);
    if (t && t->dtype != PL_REAL)
      pl_fail("total_norm: tensor %d is %s, expected real", i + 1, PL_DESCRIBE(t));
    if (pl_error()) break;
    total += PL_KERNELS(reduce)->sum_squares(pl_numel(t), pl_reals(t));
    elements += (double)pl_numel(t);
  }
  pl_span_end(&span, 2 * elements, elements * sizeof(pl_real));
  *norm = sqrt(total);
  return !pl_error();
}
