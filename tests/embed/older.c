/*
** older.c: a program that was compiled against an older header means the same with today's library,
** although rows have gained inputs, attributes and outputs since.
*/
#define PERILUNE_OPS_H /* not today's */
#include "perilune.h"

#include "older_ops.h"

#include <math.h>
#include <stdio.h>

static int passed, failed;

static void check(const char *what, pl_tensor *t, double wanted) {
  double got = 0;
  pl_tensor *sum = pl_sum(t, pl_list(0), false); /* its last call is of one element */
  for (int d = 1; sum && d < pl_rank(t); d++) sum = pl_sum(sum, pl_list(0), false);
  const bool good = sum && pl_item(sum, &got) && fabs(got - wanted) <= 1e-5 * fabs(wanted);
  if (!good) printf("%s: %g, wanted %g: %s\n", what, got, wanted, pl_error() ? pl_error() : "");
  *(good ? &passed : &failed) += 1;
  pl_error_clear();
}

int main(void) {
  pl_scope_begin();
  const pl_ints one = pl_list(1, 1);
  pl_tensor *x = pl_full(PL_REAL, pl_list(1, 1, 4, 4), -1),
            *w = pl_full(PL_REAL, pl_list(1, 1, 2, 2), 1);
  check("conv2d: no pooling, no activation", pl_conv2d(x, w, NULL, one, pl_list(0, 0), one), -36);
  check("linear: no bias, no activation",
        pl_linear(pl_full(PL_REAL, pl_list(2, 3), -1), pl_full(PL_REAL, pl_list(4, 3), 1)), -24);
  pl_tensor *out[2] = {NULL, NULL};
  pl_lstm(pl_full(PL_REAL, pl_list(3, 2, 1), 1), pl_full(PL_REAL, pl_list(8, 1), 1),
          pl_full(PL_REAL, pl_list(8, 2), 1), out);
  double h = 0, c = 0, states = 0; /* of one unit: two alike in each of two sequences */
  for (int t = 0; t < 3; t++) {
    const double gate = 1 + 2 * h, open = 1 / (1 + exp(-gate));
    c = open * c + open * tanh(gate);
    h = open * tanh(c);
    states += h;
  }
  check("lstm: no biases, the states from zero on", out[0], 4 * states);
  check("lstm: the last state, not the last cell", out[1], 4 * h);
  pl_scope_end();
  printf("%d passed, %d failed\n", passed, failed);
  return failed != 0;
}
