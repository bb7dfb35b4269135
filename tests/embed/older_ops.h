/*
** older_ops.h: some functions of perilune_ops.h as an older library's copy would have them, before
** conv2d could pool and linear had an activation, and when lstm gave no last cell.
*/
#ifndef OLDER_OPS_H
#define OLDER_OPS_H

static inline pl_tensor *pl_sum(pl_tensor *x, pl_ints dim, bool keepdim) {
  pl_tensor *in[1] = {x};
  pl_tensor *out = NULL;
  pl_attr attr[2];
  attr[0].ints = dim;
  attr[1].i = keepdim;
  return pl_op_call("sum", 1, in, 2, attr, 1, &out) ? out : NULL;
}

static inline pl_tensor *pl_conv2d(pl_tensor *x, pl_tensor *weight, pl_tensor *bias, pl_ints stride,
                                   pl_ints padding, pl_ints dilation) {
  pl_tensor *in[3] = {x, weight, bias};
  pl_tensor *out = NULL;
  pl_attr attr[3];
  attr[0].ints = stride;
  attr[1].ints = padding;
  attr[2].ints = dilation;
  return pl_op_call("conv2d", 3, in, 3, attr, 1, &out) ? out : NULL;
}

static inline pl_tensor *pl_linear(pl_tensor *x, pl_tensor *weight) {
  pl_tensor *in[2] = {x, weight};
  pl_tensor *out = NULL;
  return pl_op_call("linear", 2, in, 0, NULL, 1, &out) ? out : NULL;
}

static inline bool pl_lstm(pl_tensor *x, pl_tensor *weight_ih, pl_tensor *weight_hh,
                           pl_tensor *out[2]) {
  pl_tensor *in[3] = {x, weight_ih, weight_hh};
  return pl_op_call("lstm", 3, in, 0, NULL, 2, out);
}

#endif
