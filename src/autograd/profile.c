/*
** profile.c: what a call of an op, or of its gradient, counts for in a profile.
*/
#include "node.h"

static double bytes_of(int n, pl_tensor *const *ts) {
  double sum = 0;
  for (int i = 0; i < n; i++)
    if (ts[i]) sum += (double)pl_numel(ts[i]) * (double)pl_dtype_bytes(ts[i]->dtype);
  return sum;
}

static double elements_of(int n, pl_tensor *const *ts) {
  double sum = 0;
  for (int i = 0; i < n; i++)
    if (ts[i]) sum += (double)pl_numel(ts[i]);
  return sum;
}

static double call_flops(const pl_span *s, const pl_args *c) {
  if (c->op->view) return 0;
  if (c->op->flops) return c->op->flops(c);
  return !c->op->forward || s->inner > 0 ? s->inner : elements_of(PL_MAX_OUT, c->out);
}

void pl_span_end_call(pl_span *s, const pl_args *c, bool ok) {
  double flops = 0, bytes = 0;
  if (s->name && ok) {
    flops = call_flops(s, c);
    bytes = c->op->view ? 0 : bytes_of(c->n_in, c->in) + bytes_of(PL_MAX_OUT, c->out);
  }
  pl_span_end(s, flops, bytes);
}

/*
** Of a matrix product y = x w, and of all that is made of such products, each of the two gradients
** takes as much as the product itself; x comes first, what follows are weights.
*/
static double gradient_flops(const pl_span *s, const pl_args *c, bool fused, unsigned needs_grad,
                             pl_tensor *const *gin) {
  if (fused && c->op->flops) return c->op->flops(c) * ((needs_grad & 1) + (needs_grad > 1));
  return s->inner > 0 ? s->inner : elements_of(PL_MIN(c->n_in, PL_MAX_IN), gin);
}

void pl_span_end_gradient(pl_span *s, const pl_args *c, bool fused, pl_tensor *const *gout,
                          unsigned needs_grad, pl_tensor *const *gin, bool ok) {
  double flops = 0, bytes = 0;
  if (s->name && ok && c->op->view) {
    flops = s->inner;
  } else if (s->name && ok) {
    flops = gradient_flops(s, c, fused, needs_grad, gin);
    bytes = bytes_of(c->n_in, c->in) + bytes_of(c->n_in, gin) + bytes_of(PL_MAX_OUT, gout);
  }
  pl_span_end(s, flops, bytes);
}
