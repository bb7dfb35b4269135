/*
** dtype.c: what dtype a call works in: one rule for all rows, which say by `integers` what becomes
** of int32 and uint8.
**
**   uint8 < int32 < real: inputs of several dtypes are converted to the highest
*/
#include <math.h>

#include "autograd.h"

static bool is_apart(const pl_op *op, int i) { return op->apart >> PL_MIN(i, 31) & 1; }

pl_dtype pl_joined(const pl_op *op, int n_in, pl_tensor *const *in) {
  bool some = false;
  pl_dtype joined = op->integers == PL_INTEGERS_COUNTED ? PL_INT32 : PL_UINT8;
  for (int i = 0; i < n_in; i++) {
    if (!in[i] || is_apart(op, i)) continue;
    some = true;
    if (in[i]->dtype < joined) joined = in[i]->dtype; /* real is the first of pl_dtype */
  }
  return some ? joined : PL_REAL;
}

/* A row that takes any number of tensors converts them itself. */
bool pl_joins(const pl_op *op) {
  return !op->signature->variadic && op->integers != PL_INTEGERS_REFUSED &&
         op->integers != PL_INTEGERS_READ;
}

bool pl_join_inputs(const pl_op *op, int n_in, pl_tensor **in) {
  if (!pl_joins(op)) return true;
  const pl_dtype dtype = op->integers == PL_INTEGERS_REAL ? PL_REAL : pl_joined(op, n_in, in);
  for (int i = 0; i < n_in; i++)
    if (in[i] && !is_apart(op, i) && !(in[i] = pl_to(in[i], dtype))) return false;
  return true;
}

/*
** Numbers
*/

static pl_tensor *real_number(double value) { return pl_full(PL_REAL, PL_ALL_DIMS, value); }

/* A real number that compares with every int32 as the value does, which a float may not hold. */
static pl_tensor *comparable(const pl_op *op, double value) {
  if (value > INT32_MAX) return real_number(INFINITY);
  if (value < INT32_MIN) return real_number(-INFINITY);
  if (value == floor(value)) return pl_full(PL_INT32, PL_ALL_DIMS, value);
  const double between = floor(value) + 0.5;
  if (isnan(value) || (double)(pl_real)between == between) return real_number(between);
  return pl_fail("%s: a real tensor cannot hold %.17g; compare with an integer", op->name, value),
         NULL;
}

pl_tensor *pl_op_number(const pl_op *op, int n_in, pl_tensor *const *in, int k, double value,
                        bool whole) {
  const pl_dtype beside = is_apart(op, k) ? PL_INT32 : pl_joined(op, n_in, in);
  if (beside == PL_REAL) return real_number(value);
  switch (op->integers) {
    case PL_INTEGERS_READ: return comparable(op, value);
    case PL_INTEGERS_COUNTED:
    case PL_INTEGERS_MOVED: break;
    default: return real_number(value);
  }
  if (!whole) return real_number(value);
  if (!pl_check_fits(op->name, PL_INT32, value, -1)) return NULL;
  return pl_full(pl_fits(beside, value) ? beside : PL_INT32, PL_ALL_DIMS, value);
}
