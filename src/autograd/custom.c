/*
** custom.c: functions whose values and gradient come from outside of the op table.
*/
#include <string.h>

#include "node.h"

static bool custom_forward(pl_args *c) {
  for (int i = 0; i < PL_MAX_OUT && c->custom->values[i]; i++) {
    pl_tensor *v = c->custom->values[i];
    if (!(c->out[i] = pl_alias(v, pl_size(v), v->stride, v->offset))) return false;
  }
  return true;
}

static bool custom_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                        pl_tensor **gin) {
  return c->custom->backward(c->custom->context, gout, needs_grad, gin) ||
         !pl_fail("custom: the gradient failed");
}

static const pl_signature signature = {.n_in = 1, .variadic = true, .in = {{"xs", false}}};

/* The number of its outputs is the call's, at most PL_MAX_OUT. */
static const pl_op op_custom = {.name = "custom",
                                .signature = &signature,
                                .outputs = PL_MAX_OUT,
                                .forward = custom_forward,
                                .gradient = custom_rule};

bool pl_custom_call(pl_custom *custom, int n_in, pl_tensor *const *in, pl_tensor **out) {
  if (pl_error() || n_in < 1 || n_in > PL_MAX_IN) {
    pl_custom_release(custom);
    return pl_fail("custom: 1 to %d tensors expected, not %d", PL_MAX_IN, n_in);
  }
  bool ok = pl_apply_custom(&op_custom, n_in, in, custom, out);
  pl_custom_release(custom);
  return ok;
}

void pl_custom_release(pl_custom *custom) {
  if (custom && --custom->refs == 0) custom->release(custom);
}
