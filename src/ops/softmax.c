/*
** softmax.c: softmax and log_softmax along a dim. Rows are contiguous when they are
** computed; another dim is brought to the end and back.
*/
#include "ops.h"

typedef void row_kernel(ptrdiff_t n, pl_real *y, const pl_real *x);

static void log_softmax_row(ptrdiff_t n, pl_real *y, const pl_real *x) {
  PL_KERNELS(softmax)->log_softmax(n, y, x);
}

static void softmax_row(ptrdiff_t n, pl_real *y, const pl_real *x) {
  PL_KERNELS(softmax)->softmax(n, y, x);
}

static bool softmax_shape(pl_args *c) {
  int64_t dim = c->attr[0].i;
  return pl_need_real(c, 0) && pl_resolve_dim(c->op->name, c->in[0]->rank, &dim) &&
         pl_out(c, 0, PL_REAL, pl_size(c->in[0]));
}

static void each_row(int64_t rows, int64_t n, row_kernel *f, pl_real *y, const pl_real *x) {
  if (!n) return;
#pragma omp parallel for schedule(static) if (rows * n > PL_GRAIN / 4)
  for (int64_t r = 0; r < rows; r++) f(n, y + r * n, x + r * n);
}

static bool softmax_forward(pl_args *c) {
  row_kernel *f = c->op->data == NULL ? softmax_row : log_softmax_row;
  pl_tensor *x = c->in[0], *y = c->out[0];
  int64_t dim = c->attr[0].i;
  if (!pl_resolve_dim(c->op->name, x->rank, &dim)) return false;
  int64_t n = x->size[dim], rows = n ? pl_numel(x) / n : 0;
  if (dim == x->rank - 1) {
    if ((x = pl_contiguous(x))) each_row(rows, n, f, pl_reals(y), pl_reals(x));
    return x != NULL;
  }
  bool was = pl_grad_mode(false);
  pl_tensor *in = pl_contiguous(pl_transpose(x, (int)dim, -1));
  pl_tensor *out = in ? pl_empty(PL_REAL, pl_size(in)) : NULL;
  if (out) each_row(rows, n, f, pl_reals(out), pl_reals(in));
  bool ok = out && pl_copy(y, pl_transpose(out, (int)dim, -1));
  pl_grad_mode(was);
  return ok;
}

/* y (g - sum g y) */
static bool softmax_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                         pl_tensor **gin) {
  (void)needs_grad;
  pl_tensor *y = c->out[0], *gy = pl_mul(gout[0], y);
  gin[0] = pl_sub(gy, pl_mul(y, pl_sum(gy, pl_list(c->attr[0].i), true)));
  return gin[0] != NULL;
}

/* g - softmax sum g */
static bool log_softmax_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                             pl_tensor **gin) {
  (void)needs_grad;
  pl_tensor *sum = pl_sum(gout[0], pl_list(c->attr[0].i), true);
  gin[0] = pl_sub(gout[0], pl_mul(pl_exp(c->out[0]), sum));
  return gin[0] != NULL;
}

static const bool is_log = true;
#define SOFTMAX_SAMPLES "any[3,4] dim=2; any[2,3,2] dim=2; any[4] dim=1"
PL_OP(softmax, .group = PL_GROUP_ACTIVATIONS, .inputs = "x", .attrs = "dim:dim=-1",
      .doc = "exp(x) / sum of exp(x) along a dim, without overflow",
      .onnx = "Softmax(x, {axis = dim})", .samples = SOFTMAX_SAMPLES, .shape = softmax_shape,
      .forward = softmax_forward, .gradient = softmax_rule, .unsaved = PL_UNSAVED_IN);
PL_OP(log_softmax, .group = PL_GROUP_ACTIVATIONS, .inputs = "x", .attrs = "dim:dim=-1",
      .doc = "x - log of the sum of exp(x) along a dim", .onnx = "LogSoftmax(x, {axis = dim})",
      .samples = SOFTMAX_SAMPLES, .shape = softmax_shape, .forward = softmax_forward,
      .gradient = log_softmax_rule, .unsaved = PL_UNSAVED_IN, .data = &is_log);
