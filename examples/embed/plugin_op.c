/*
** plugin_op.c: an op of one's own, in a shared object that scripts load (plugin_op.lua):
**
**   cc -O2 -fPIC -shared plugin_op.c -o libplugin_op.so $(pkg-config --cflags perilune)
**
** It is not linked with Perilune: its functions are found in the program that loads it.
**
** The op is mine.squash, y = x / (k + |x|): one pass over memory, where a composition of ops would
** take three. Its gradient, k / (k + |x|)^2, is written in ops, so that it has gradients itself.
*/
#include "perilune.h"

/* Refuses what does not fit, and creates the output. */
static bool shape(pl_args *c) {
  const double k = pl_attribute(c, 0)->d;
  if (!(k > 0)) return pl_op_fail(c, "k is %g; a number above 0 expected", k);
  return pl_need_real(c, 0) && pl_out(c, 0, PL_REAL, pl_size(pl_input(c, 0)));
}

/* The output is contiguous; the input may be a view with any strides. */
static bool forward(pl_args *c) {
  pl_tensor *in = pl_contiguous(pl_input(c, 0)), *out = pl_output(c, 0);
  if (!in) return false;
  const pl_real k = (pl_real)pl_attribute(c, 0)->d, *x = pl_data(in);
  pl_real *y = pl_data(out);
  const int64_t n = pl_numel(in);
  for (int64_t i = 0; i < n; i++) {
    y[i] = x[i] / (k + (x[i] < 0 ? -x[i] : x[i]));
    if (i % 1000000 == 0 && !pl_check_interrupt()) return false; /* Ctrl-C, pl_host_stop */
  }
  return true;
}

static bool gradient(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                     pl_tensor **gin) {
  const double k = pl_attribute(c, 0)->d;
  pl_tensor *below = pl_affine(pl_abs(pl_input(c, 0)), 1, k); /* k + |x| */
  (void)needs_grad;                                           /* there is but one input */
  gin[0] = pl_div(pl_affine(gout[0], k, 0), pl_square(below));
  return gin[0] != NULL;
}

bool pl_ops_open(void) {
  const pl_op_spec squash = {
      .size = sizeof squash,
      .name = "mine.squash",
      .inputs = "x",
      .attrs = "k:real=1",
      .doc = "x / (k + |x|), between -1 and 1; k, above 0, is where it is half",
      .samples = "any[3,4]; any[2,3] k=0.5",
      .onnx = "Div(x, Add(Abs(x), k))",
      .integers = PL_INTEGERS_REAL,
      .unsaved = PL_UNSAVED_OUT, /* the gradient reads x alone */
      .shape = shape,
      .forward = forward,
      .gradient = gradient,
  };
  return pl_op_new(&squash) != NULL;
}
