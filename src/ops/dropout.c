/*
** dropout.c: dropout.
*/
#include "ops.h"

/*
** dropout (Srivastava et al. 2014): the mask is a tensor, so the gradient, of any order, is
** that of a product.
*/

static bool dropout_decompose(pl_args *c) {
  double p = c->attr[0].d;
  if (!pl_need_real(c, 0)) return false;
  if (!(p >= 0 && p <= 1)) return pl_op_fail(c, "probability %g is not within 0 and 1", p);
  c->out[0] = c->in[0];
  if (!c->attr[1].i || p == 0) return true;
  pl_tensor *mask = pl_empty(PL_REAL, pl_size(c->in[0]));
  if (!mask || !pl_dropout_mask(mask, p)) return false;
  c->out[0] = pl_mul(c->in[0], mask);
  return c->out[0] != NULL;
}

PL_OP(
    dropout, .group = PL_GROUP_LAYERS, .inputs = "x", .attrs = "p:real=0.5 training:bool=true",
    .doc =
        "in training, x with elements set to 0 with probability p and the others divided by 1 - p "
        "(Srivastava et al. 2014); else x",
    .onnx = "training and p > 0 and refuse 'it drops values at random' or x",
    .samples = "any[3,4] p=0.5; any[3,4] training=false", .decompose = dropout_decompose);
