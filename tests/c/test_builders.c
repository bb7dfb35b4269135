/*
** test_builders.c: every function of perilune_ops.h gives what a call of its row gives. The calls
** are written from the rows when the library is built, as the functions are.
*/
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "op_calls.h"
#include "samples.h"

static void check_equal(const char *name, pl_tensor *a, pl_tensor *b) {
  char text[2][96];
  const int64_t n = pl_numel(b);
  assert_string_equal(pl_describe(a, text[0], 96), pl_describe(b, text[1], 96));
  for (int64_t i = 0; i < n; i++) {
    const double x = pl_at(a, i), y = pl_at(b, i);
    if (!(x == y || (x != x && y != y))) fail_msg("%s: element %d: %g, %g", name, (int)i, x, y);
  }
}

/* Each call has inputs of its own, of which batch norm moves some. */
static void call_sample(const pl_op *op, const sample *s) {
  pl_tensor *wanted[PL_MAX_OUT], *got[PL_MAX_OUT], *in[16];
  int k = 0;
  while (strcmp(op_calls[k].name, pl_op_name(op)) != 0) k++;
  for (int i = 0; i < s->n; i++) in[i] = s->in[i] ? pl_clone(s->in[i]) : NULL;
  pl_seed(1);
  assert_true(pl_call(op, s->n, s->in, s->attr, wanted));
  pl_seed(1);
  assert_true(op_calls[k].f(s->n, in, s->attr, got));
  for (int i = 0; i < pl_op_outputs(op) && (got[i] || wanted[i]); i++)
    check_equal(pl_op_name(op), got[i], wanted[i]);
  for (int i = 0; i < s->n; i++)
    if (in[i]) check_equal(pl_op_name(op), in[i], s->in[i]);
}

static void test_every_builder(void **state) {
  (void)state;
  for (int i = 0; pl_op_at(i); i++) each_sample(pl_op_at(i), call_sample);
}

/*
** Callers that know another table than this one
*/

static void test_fewer_attributes(void **state) {
  (void)state;
  pl_scope_begin();
  pl_tensor *x = pl_empty(PL_REAL, pl_list(1, 1, 4, 4)),
            *w = pl_empty(PL_REAL, pl_list(1, 1, 3, 3));
  pl_normal(x, 0, 1), pl_normal(w, 0, 1); /* results of both signs, values in no order */
  pl_tensor *in[] = {x, w}, *y = NULL;
  const pl_attr attr[] = {{.ints = pl_list(1, 1)}, {.ints = pl_list(1, 1)}};
  assert_true(pl_op_call("conv2d", 2, in, 2, attr, 1, &y)); /* no bias, dilation, activation, ... */
  check_equal(
      "conv2d", y,
      pl_conv2d(x, w, NULL, pl_list(1, 1), pl_list(1, 1), pl_list(1, 1), PL_ACT_NONE, 0, 1));
  pl_tensor *values = NULL, *both[2];
  assert_true(pl_op_call("sort", 1, &x, 0, NULL, 1, &values)); /* the values alone */
  assert_true(pl_sort(x, -1, false, both));
  check_equal("sort", values, both[0]);
  pl_scope_end();
}

static void check_refused(const char *name, int n_in, int n_attr, int n_out, const char *message) {
  pl_tensor *in[16] = {pl_full(PL_REAL, pl_list(2), 1)}, *out[16];
  const pl_attr attr[16] = {{0}};
  assert_false(pl_op_call(name, n_in, in, n_attr, attr, n_out, out));
  assert_non_null(strstr(pl_error(), message));
  pl_error_clear();
  for (int i = 0; i < n_out; i++) assert_null(out[i]);
}

static void test_newer_callers(void **state) {
  (void)state;
  pl_scope_begin();
  check_refused("antigravity", 1, 0, 1, "there is no op 'antigravity' in Perilune " PL_VERSION);
  check_refused("exp", 1, 1, 1, "exp: the program was built for a newer Perilune than " PL_VERSION);
  check_refused("exp", 2, 0, 1, "exp: the program was built for a newer Perilune");
  check_refused("exp", 1, 0, 2, "exp: the program was built for a newer Perilune");
  pl_scope_end();
}

/* Values that Lua cannot give, and a builder can. */
static void check_message(const pl_tensor *y, const char *message) {
  assert_null(y);
  assert_non_null(pl_error());
  assert_non_null(strstr(pl_error(), message));
  pl_error_clear();
}

static void test_values_out_of_range(void **state) {
  (void)state;
  pl_scope_begin();
  pl_tensor *x = pl_full(PL_REAL, pl_list(1, 1, 4, 4), 1), *m = pl_full(PL_REAL, pl_list(2, 2), 1);
  check_message(pl_linear(m, m, NULL, 1000, 0), "linear: activation 1000 is not known");
  check_message(pl_linear(m, m, NULL, -1, 0), "linear: activation -1 is not known");
  check_message(pl_avg_pool2d(x, pl_list(2, 2, 2), pl_list(2), pl_list(0)),
                "size 2,2: two integers of at least 1 expected");
  check_message(pl_avg_pool2d(x, PL_ALL_DIMS, pl_list(2), pl_list(0)), "avg_pool2d: size");
  pl_scope_end();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_builder),
      cmocka_unit_test(test_fewer_attributes),
      cmocka_unit_test(test_newer_callers),
      cmocka_unit_test(test_values_out_of_range),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
