/*
** test_engine.c: the engine as a program that embeds it sees it: through perilune.h alone.
** Scopes, errors, gradients, the op table, random numbers, and what happens when an
** allocation fails, for every op. After each test as many tensors and bytes live as before.
*/
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "perilune.h"
#include "samples.h"

static pl_memory before;

static int set_up(void **state) {
  (void)state;
  before = pl_memory_now();
  pl_scope_begin();
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  pl_scope_end();
  pl_memory after = pl_memory_now();
  assert_null(pl_error());
  assert_int_equal(after.tensors, before.tensors);
  assert_int_equal(after.live_bytes, before.live_bytes);
  return 0;
}

static pl_tensor *row(int n, const double *values) {
  pl_tensor *t = pl_empty(PL_REAL, pl_list(n));
  for (int i = 0; i < n; i++) pl_set_at(t, i, values[i]);
  return t;
}
#define ROW(...) \
  row((int)(sizeof((double[]){__VA_ARGS__}) / sizeof(double)), (double[]){__VA_ARGS__})

static pl_tensor *leaf(pl_tensor *t) {
  assert_true(pl_set_requires_grad(t, true));
  return t;
}

static void check_values(const pl_tensor *t, int n, const double *want) {
  assert_non_null(t);
  assert_int_equal(pl_numel(t), n);
  for (int i = 0; i < n; i++) {
    double got = pl_at(t, i);
    if (fabs(got - want[i]) > 1e-5 * (1 + fabs(want[i])))
      fail_msg("element %d is %.9g, expected %.9g", i, got, want[i]);
  }
}
#define CHECK(t, ...) \
  check_values(t, (int)(sizeof((double[]){__VA_ARGS__}) / sizeof(double)), (double[]){__VA_ARGS__})

static void check_error(const char *want) {
  assert_non_null(pl_error());
  if (!strstr(pl_error(), want)) fail_msg("the message is: %s", pl_error());
  pl_error_clear();
}

/*
** Scopes and memory
*/

static void test_scopes(void **state) {
  (void)state;
  pl_memory start = pl_memory_now();
  pl_scope_begin();
  pl_tensor *kept = pl_retain(pl_full(PL_REAL, pl_list(10), 1));
  pl_scope_begin();
  pl_tensor *inner = pl_add(kept, kept);
  CHECK(pl_sum(inner, PL_ALL_DIMS, false), 20);
  assert_int_equal(pl_memory_now().tensors, start.tensors + 3);
  pl_scope_end();
  assert_int_equal(pl_memory_now().tensors, start.tensors + 1);
  pl_scope_end();
  assert_int_equal(pl_memory_now().tensors, start.tensors + 1);
  assert_int_equal(pl_memory_now().live_bytes, start.live_bytes + 10 * (int64_t)sizeof(pl_real));
  pl_release(kept);
  pl_release(NULL);
  assert_null(pl_retain(NULL));
  assert_int_equal(pl_memory_now().live_bytes, start.live_bytes);
}

static void test_views_share_storage(void **state) {
  (void)state;
  pl_tensor *t = pl_arange(PL_REAL, 1, 1, 6);
  pl_memory start = pl_memory_now();
  pl_tensor *m = pl_transpose(pl_reshape(t, pl_list(2, 3)), 0, 1);
  assert_int_equal(pl_memory_now().live_bytes, start.live_bytes);
  CHECK(m, 1, 4, 2, 5, 3, 6);
  assert_false(pl_is_contiguous(m));
  assert_int_equal(pl_strides(m).v[0], 1);
  assert_int_equal(pl_strides(m).v[1], 3);
  assert_true(pl_fill(pl_select(m, 0, -1), 0));
  CHECK(t, 1, 2, 0, 4, 5, 0);
  ((pl_real *)pl_data(m))[pl_strides(m).v[0]] = 7;
  pl_bump_version(m);
  assert_true(pl_at(t, 1) == 7);
  assert_true(pl_is_contiguous(pl_contiguous(m)));
  assert_ptr_equal(pl_contiguous(t), t);
}

static void test_the_cache(void **state) {
  (void)state;
  pl_memory_trim();
  assert_int_equal(pl_memory_now().cached_bytes, 0);
  pl_scope_begin();
  assert_non_null(pl_empty(PL_REAL, pl_list(1000, 100)));
  pl_scope_end();
  int64_t cached = pl_memory_now().cached_bytes;
  assert_true(cached >= 100000 * (int64_t)sizeof(pl_real));
  assert_non_null(pl_empty(PL_REAL, pl_list(1000, 100)));
  assert_int_equal(pl_memory_now().cached_bytes, 0); /* taken out of it */
  pl_memory_trim();
}

static size_t short_of;
static pl_tensor *spare;

static void reclaim(size_t bytes) {
  short_of = bytes;
  pl_memory_fail_after(-1);
  pl_release(spare);
  spare = NULL;
}

static void test_shortage_asks_once(void **state) {
  (void)state;
  pl_scope_begin();
  spare = pl_retain(pl_full(PL_REAL, pl_list(100), 1));
  pl_scope_end();
  pl_memory_on_shortage(reclaim);
  pl_memory_fail_after(1);
  pl_tensor *t = pl_empty(PL_UINT8, pl_list(12345));
  pl_memory_on_shortage(NULL);
  pl_memory_fail_after(-1);
  assert_non_null(t); /* the second try succeeded */
  assert_true(short_of > 0);
  assert_null(spare);
}

/*
** Tensors
*/

static void test_creation(void **state) {
  (void)state;
  CHECK(pl_full(PL_INT32, pl_list(2), -3), -3, -3);
  CHECK(pl_from(PL_INT32, pl_list(3), (int32_t[]){1, -2, 3}), 1, -2, 3);
  CHECK(pl_from(PL_UINT8, pl_list(2), (uint8_t[]){0, 255}), 0, 255);
  CHECK(pl_arange(PL_REAL, 1, -0.5, 3), 1, 0.5, 0);
  CHECK(pl_full(PL_REAL, PL_ALL_DIMS, 2), 2);
  assert_int_equal(pl_numel(pl_empty(PL_REAL, pl_list(3, 0))), 0);
  assert_int_equal(pl_rank(pl_empty(PL_REAL, pl_list(1, 1, 1, 1, 1, 1, 1, 1))), 8);
  assert_null(pl_empty(PL_REAL, (pl_ints){.n = 9}));
  check_error("a tensor has at most 8 dimensions, not 9");
  assert_null(pl_empty(PL_REAL, pl_list(2, -1)));
  check_error("size of dim 2 is -1, expected 0 or more");
  assert_null(pl_empty(PL_REAL, pl_list((int64_t)1 << 40, (int64_t)1 << 40)));
  check_error("are too large");
  assert_null(pl_empty(PL_REAL, pl_list((int64_t)1 << 55)));
  check_error("not enough memory for");
}

static void test_queries(void **state) {
  (void)state;
  char text[64], small[8];
  double v = 0, values[4];
  pl_tensor *t = pl_from(PL_UINT8, pl_list(2, 2), (uint8_t[]){1, 2, 3, 4});
  assert_int_equal(pl_dtype_of(t), PL_UINT8);
  assert_string_equal(pl_dtype_name(PL_INT32), "int32");
  assert_string_equal(pl_describe(t, text, sizeof text), "uint8[2,2]");
  assert_int_equal(pl_print(t, NULL, 0), strlen("uint8[2,2]\n[[1 2]\n [3 4]]"));
  pl_print(t, text, sizeof text);
  assert_string_equal(text, "uint8[2,2]\n[[1 2]\n [3 4]]");
  pl_print(t, small, sizeof small);
  assert_string_equal(small, "uint8[2");
  pl_values(pl_transpose(t, 0, 1), values);
  assert_true(values[1] == 3 && values[2] == 2);
  assert_true(pl_item(pl_full(PL_REAL, pl_list(1, 1), 5), &v) && v == 5);
  assert_false(pl_item(t, &v));
  check_error("item: uint8[2,2] has 4 elements; one expected");
  assert_true(pl_set_at(t, 3, 255) && pl_at(t, 3) == 255);
  assert_false(pl_set_at(t, 3, 300));
  check_error("set: 300 at position 4 does not fit uint8, whole numbers from 0 to 255");
  assert_false(pl_set_at(t, 4, 0));
  check_error("there is no element 5 in uint8[2,2]");
}

static void test_copies(void **state) {
  (void)state;
  pl_tensor *t = pl_full(PL_REAL, pl_list(2, 3), 0);
  assert_true(pl_copy(t, pl_from(PL_INT32, pl_list(3), (int32_t[]){1, 2, 3})));
  CHECK(t, 1, 2, 3, 1, 2, 3);
  assert_true(pl_copy(pl_slice(t, 1, 1, 2, 1), pl_slice(t, 1, 0, 2, 1))); /* overlapping */
  CHECK(t, 1, 1, 2, 1, 1, 2);
  assert_false(pl_copy(t, ROW(1, 2)));
  check_error("copy: real[2] does not broadcast to real[2,3]");
  assert_false(pl_copy(pl_expand(ROW(1), pl_list(3)), ROW(1, 2, 3)));
  check_error("copy: the target real[3] is expanded");
  pl_tensor *c = pl_clone(t);
  assert_true(pl_fill(c, 9) && pl_at(t, 0) == 1);
  CHECK(pl_to(ROW(1.9, -1.9, -0.9), PL_INT32), 1, -1, 0);
  assert_null(pl_to(ROW(1, NAN), PL_INT32));
  check_error(
      "to: nan at position 2 does not fit int32, whole numbers from -2147483648 to 2147483647");
  assert_false(pl_copy(pl_full(PL_UINT8, pl_list(2), 7), ROW(1, 0.5)));
  check_error("copy: 0.5 at position 2 does not fit uint8, whole numbers from 0 to 255");
  assert_ptr_equal(pl_to(t, PL_REAL), t);
}

/*
** Errors
*/

static void test_errors_are_values(void **state) {
  (void)state;
  pl_tensor *a = ROW(1, 2), *b = ROW(1, 2, 3);
  double v = 7;
  pl_tensor *y = pl_sum(pl_exp(pl_mul(pl_add(a, b), a)), PL_ALL_DIMS, false);
  assert_null(y);
  assert_string_equal(pl_error(),
                      "add: real[2] and real[3] do not broadcast: dim 1 has 2 against 3");
  assert_null(pl_add(a, a)); /* while the slot is set nothing is done */
  assert_false(pl_item(y, &v));
  assert_false(pl_backward(y, NULL, false, false));
  assert_false(pl_fill(NULL, 1));
  assert_false(pl_copy(NULL, a));
  assert_null(pl_clone(y));
  assert_null(pl_contiguous(y));
  assert_null(pl_to(y, PL_INT32));
  assert_null(pl_detach(y));
  assert_false(pl_fail("a second message"));
  assert_true(v == 7);
  check_error("add: real[2] and real[3]");
  assert_non_null(pl_add(a, a));
}

static void test_missing_inputs(void **state) {
  (void)state;
  pl_tensor *a = pl_full(PL_REAL, pl_list(2, 2), 1), *out[PL_MAX_OUT], *grads[1];
  assert_null(pl_add(a, NULL));
  check_error("add: b is missing");
  assert_false(pl_call(pl_op_find("add"), 2, (pl_tensor *[]){a, NULL}, NULL, out));
  check_error("add: b is missing");
  assert_null(pl_cat(2, (pl_tensor *[]){a, NULL}, 0));
  check_error("cat: xs is missing");
  assert_null(pl_cat(0, NULL, 0));
  check_error("cat: no tensors given");
  assert_non_null(pl_linear(a, a, NULL, PL_ACT_NONE, 0)); /* a bias may be absent */
  assert_false(
      pl_grad(1, (pl_tensor *[]){NULL}, NULL, 1, (pl_tensor *[]){leaf(a)}, grads, false, false));
  check_error("gradient: an output is missing");
  assert_false(pl_grad(1, &a, NULL, 1, (pl_tensor *[]){NULL}, grads, false, false));
  check_error("grad: input 1 is missing");
  assert_false(pl_item(NULL, &(double){0}));
  check_error("item: the tensor is missing");
}

static void test_interrupt(void **state) {
  (void)state;
  pl_tensor *a = leaf(ROW(1, 2)), *y = pl_sum(pl_mul(a, a), PL_ALL_DIMS, false);
  assert_false(pl_interrupted());
  pl_interrupt();
  assert_true(pl_interrupted());
  assert_null(pl_add(a, a));
  check_error("interrupted");
  assert_false(pl_backward(y, NULL, false, false));
  check_error("interrupted");
  pl_interrupt_clear();
  assert_true(pl_backward(y, NULL, false, false));
  CHECK(pl_grad_of(a), 2, 4);
}

static void test_threads(void **state) {
  (void)state;
  int was = pl_threads(0);
  assert_int_equal(pl_threads(2), 2);
  assert_int_equal(pl_threads(0), 2);
  pl_tensor *x = pl_arange(PL_REAL, 0, 1, 100000);
  double two = pl_at(pl_mean(x, PL_ALL_DIMS, false), 0);
  assert_int_equal(pl_threads(1), 1);
  assert_true(pl_at(pl_mean(x, PL_ALL_DIMS, false), 0) == two);
  pl_threads(was);
  assert_non_null(strstr("avx512 avx2 generic", pl_isa()));
  assert_non_null(strstr(pl_blas(), "OpenBLAS"));
}

/*
** Gradients
*/

static void test_backward(void **state) {
  (void)state;
  pl_tensor *x = leaf(ROW(1, 2, 3)), *w = leaf(ROW(4, 5, 6)), *c = ROW(7, 8, 9);
  pl_tensor *y = pl_sum(pl_mul(pl_mul(x, w), c), PL_ALL_DIMS, false);
  assert_true(pl_is_leaf(x) && !pl_is_leaf(y) && pl_requires_grad(y) && !pl_requires_grad(c));
  assert_true(pl_backward(y, NULL, true, false));
  CHECK(pl_grad_of(x), 28, 40, 54);
  CHECK(pl_grad_of(w), 7, 16, 27);
  assert_null(pl_grad_of(c));
  assert_true(pl_backward(y, NULL, false, false));
  CHECK(pl_grad_of(w), 14, 32, 54);
  assert_false(pl_backward(y, NULL, false, false));
  check_error(
      "sum: the graph was freed by an earlier backward pass; pass retain_graph=true to that one");
  pl_set_grad(w, NULL);
  assert_null(pl_grad_of(w));
  assert_false(pl_set_requires_grad(y, false));
  check_error("requires_grad: real[] is the result of an op; detach it first");
}

static void test_grad(void **state) {
  (void)state;
  pl_tensor *x = leaf(ROW(1, 2)), *w = leaf(ROW(3, 4)), *unused = leaf(ROW(5)), *grads[3];
  pl_tensor *y = pl_mul(x, w), *z = pl_sum(x, PL_ALL_DIMS, false);
  assert_true(pl_grad(2, (pl_tensor *[]){y, z}, (pl_tensor *[]){ROW(1, 10), NULL}, 3,
                      (pl_tensor *[]){x, w, unused}, grads, false, false));
  CHECK(grads[0], 4, 41);
  CHECK(grads[1], 1, 20);
  assert_null(grads[2]);
  assert_null(pl_grad_of(x));
}

/* y = sum x^3: the first, second and third derivatives. */
static void test_higher_orders(void **state) {
  (void)state;
  pl_tensor *x = leaf(ROW(1, 2)), *g, *h, *k;
  pl_tensor *y = pl_sum(pl_mul(pl_mul(x, x), x), PL_ALL_DIMS, false);
  assert_true(pl_grad(1, &y, NULL, 1, &x, &g, false, true));
  CHECK(g, 3, 12);
  assert_true(pl_requires_grad(g));
  pl_tensor *sum = pl_sum(g, PL_ALL_DIMS, false);
  assert_true(pl_grad(1, &sum, NULL, 1, &x, &h, false, true));
  CHECK(h, 6, 12);
  sum = pl_sum(h, PL_ALL_DIMS, false);
  assert_true(pl_grad(1, &sum, NULL, 1, &x, &k, false, false));
  CHECK(k, 6, 6);
  assert_false(pl_requires_grad(k));
}

static void test_grad_mode(void **state) {
  (void)state;
  pl_tensor *x = leaf(ROW(1, 2));
  assert_true(pl_grad_mode(false));
  pl_tensor *y = pl_mul(x, x);
  assert_false(pl_requires_grad(y));
  assert_false(pl_grad_mode(true));
  assert_true(pl_requires_grad(pl_mul(x, x)));
  assert_false(pl_requires_grad(pl_detach(pl_mul(x, x))));
  assert_false(pl_may_change("test", x));
  check_error("test: real[2] requires a gradient; change it inside no_grad, or detach it");
  pl_tensor *t = ROW(3, 4);
  assert_true(pl_grad_enabled() && pl_may_write("test", t, ROW(1, 2)));
  assert_false(pl_may_write("test", t, x));
  pl_error_clear();
  assert_false(pl_add_in_place(t, 1, x, 1));
  pl_error_clear();
  CHECK(t, 3, 4);
  pl_grad_mode(false);
  assert_true(!pl_grad_enabled() && pl_may_write("test", t, x) && pl_add_in_place(t, 1, x, 1));
  pl_grad_mode(true);
  CHECK(t, 4, 6);
}

static void test_changes_in_place_are_noticed(void **state) {
  (void)state;
  pl_tensor *x = leaf(ROW(1, 2)), *y = pl_sum(pl_mul(x, x), PL_ALL_DIMS, false);
  ((pl_real *)pl_data(x))[0] = 5;
  pl_bump_version(x);
  assert_false(pl_backward(y, NULL, false, false));
  check_error(
      "mul: input 1, real[2], was changed in place since; its gradient needs the old values");
  assert_null(pl_grad_of(x));
}

static void test_a_failed_pass_leaves_gradients_alone(void **state) {
  (void)state;
  pl_tensor *x = leaf(ROW(1, 2));
  for (int64_t n = 0;; n++) {
    pl_scope_begin();
    pl_tensor *y = pl_sum(pl_exp(pl_mul(x, x)), PL_ALL_DIMS, false);
    pl_memory_fail_after(n);
    bool ok = pl_backward(y, NULL, false, false);
    pl_memory_fail_after(-1);
    pl_scope_end();
    if (ok) break;
    check_error("not enough memory");
    assert_null(pl_grad_of(x));
  }
  CHECK(pl_grad_of(x), 2 * exp(1), 4 * exp(4));
}

static void test_training(void **state) {
  (void)state;
  pl_seed(1);
  pl_tensor *x = pl_empty(PL_REAL, pl_list(64, 3)), *w = leaf(pl_full(PL_REAL, pl_list(1, 3), 0));
  pl_normal(x, 0, 1);
  pl_tensor *y = pl_matmul(x, pl_reshape(ROW(1, -2, 0.5), pl_list(3, 1)));
  double loss = 0;
  for (int step = 0; step < 100; step++) {
    pl_scope_begin();
    pl_tensor *l = pl_mse_loss(pl_linear(x, w, NULL, PL_ACT_NONE, 0), y, 0);
    assert_true(pl_backward(l, NULL, false, false) && pl_item(l, &loss));
    assert_true(pl_sgd(1, &w, (pl_tensor *[]){pl_grad_of(w)}, NULL, NULL,
                       &(pl_sgd_step){.size = sizeof(pl_sgd_step), .lr = 0.2}));
    pl_set_grad(w, NULL);
    pl_scope_end();
  }
  assert_true(loss < 1e-6);
  CHECK(w, 1, -2, 0.5);
}

/*
** Random numbers: the known answers of Philox 4x32-10 (Salmon et al. 2011, kat_vectors), which
** check the generator below, and that one the engine's.
*/

static void philox(uint32_t c[4], uint32_t k0, uint32_t k1) {
  for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
    uint64_t a = (uint64_t)0xD2511F53u * c[0], b = (uint64_t)0xCD9E8D57u * c[2];
    uint32_t next[4] = {(uint32_t)(b >> 32) ^ c[1] ^ k0, (uint32_t)b,
                        (uint32_t)(a >> 32) ^ c[3] ^ k1, (uint32_t)a};
    memcpy(c, next, sizeof next);
  }
}

static void test_known_answers(void **state) {
  (void)state;
  static const uint32_t known[3][10] = {
      {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
      {~0u, ~0u, ~0u, ~0u, ~0u, ~0u, 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
      {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09,
       0x94fdcceb, 0x5001e420, 0x24126ea1}};
  for (int i = 0; i < 3; i++) {
    uint32_t c[4];
    memcpy(c, known[i], sizeof c);
    philox(c, known[i][4], known[i][5]);
    assert_memory_equal(c, known[i] + 6, sizeof c);
  }
}

/* The words of the stream as real numbers, and the first and the third of each block as integers. */
static pl_tensor *words(uint64_t key, uint64_t counter, pl_dtype dtype, int64_t n) {
  pl_random_set((pl_random_state){key, counter});
  pl_tensor *t = pl_empty(dtype, pl_list(n));
  if (dtype == PL_REAL) assert_true(pl_uniform(t, 0, 0x1p32));
  else assert_true(pl_randint(t, INT32_MIN, INT32_MAX));
  return t;
}

static uint32_t word(uint64_t key, uint64_t block, int which) {
  uint32_t c[4] = {(uint32_t)block, (uint32_t)(block >> 32), 0, 0};
  philox(c, (uint32_t)key, (uint32_t)(key >> 32));
  return c[which];
}

static void test_the_stream(void **state) {
  (void)state;
  pl_random_state was = pl_random_get();
  static const uint64_t starts[][2] = {
      {0, 0}, {1, 0}, {0x0123456789abcdef, 42}, {~(uint64_t)0, 0xffffffff}, {7, 0x123456789abc}};
  for (size_t s = 0; s < sizeof starts / sizeof *starts; s++) {
    uint64_t key = starts[s][0], at = starts[s][1];
    pl_tensor *t = words(key, at, PL_REAL, 11);
    assert_int_equal(pl_random_get().counter, at + 3);
    for (uint64_t i = 0; i < 11; i++)
      assert_true(pl_at(t, (int64_t)i) == (double)(pl_real)word(key, at + i / 4, (int)i % 4));
    t = words(key, at, PL_INT32, 11);
    assert_int_equal(pl_random_get().counter, at + 6);
    for (uint64_t i = 0; i < 11; i++)
      assert_int_equal((int32_t)pl_at(t, (int64_t)i),
                       (int32_t)(word(key, at + i / 2, (int)i % 2 * 2) - 0x80000000u));
  }
  pl_seed(5);
  assert_int_equal(pl_random_get().key, 5);
  assert_int_equal(pl_random_get().counter, 0);
  for (int i = 0; i < 1000; i++) {
    int64_t v = pl_random_int(7);
    assert_true(v >= 0 && v < 7);
  }
  assert_int_equal(pl_random_int(1), 0);
  pl_random_set(was);
}

/*
** The table: every op by its samples, with every allocation failing in its turn
*/

/* The op, and then its gradients by all inputs that have one. */
static bool run_op(const pl_op *op, const sample *s, bool create_graph) {
  pl_tensor *out[PL_MAX_OUT], *real[PL_MAX_OUT], *seeds[PL_MAX_OUT], *in[16], *grads[16];
  int n_out = 0, n_in = 0;
  if (!pl_call(op, s->n, s->in, s->attr, out)) return false;
  for (int i = 0; i < pl_op_outputs(op); i++) {
    if (!out[i] || !pl_requires_grad(out[i])) continue;
    real[n_out] = out[i];
    if (!(seeds[n_out++] = pl_full(PL_REAL, pl_size(out[i]), 1))) return false;
  }
  for (int i = 0; i < s->n; i++)
    if (s->wanted[i]) in[n_in++] = s->in[i];
  if (!n_out) return true;
  return pl_grad(n_out, real, seeds, n_in, in, grads, false, create_graph);
}

static int fail_one_by_one(const pl_op *op, const sample *s, bool create_graph) {
  for (int64_t n = 0;; n++) {
    pl_memory start = pl_memory_now();
    pl_scope_begin();
    pl_memory_fail_after(n);
    bool ok = run_op(op, s, create_graph);
    pl_memory_fail_after(-1);
    pl_scope_end();
    pl_memory end = pl_memory_now();
    if (end.tensors != start.tensors || end.live_bytes != start.live_bytes)
      fail_msg("%s: failure %lld leaves %lld tensors and %lld bytes", pl_op_name(op), (long long)n,
               (long long)(end.tensors - start.tensors),
               (long long)(end.live_bytes - start.live_bytes));
    if (ok != !pl_error())
      fail_msg("%s: failure %lld: result %d, message %s", pl_op_name(op), (long long)n, ok,
               pl_error() ? pl_error() : "none");
    if (ok) return (int)n;
    if (!strstr(pl_error(), "not enough memory"))
      fail_msg("%s: failure %lld: %s", pl_op_name(op), (long long)n, pl_error());
    pl_error_clear();
  }
}

static void fail_sample(const pl_op *op, const sample *s) {
  assert_true(fail_one_by_one(op, s, false) > 0);
  fail_one_by_one(op, s, true);
}

static void test_failing_allocations(void **state) {
  (void)state;
  for (int i = 0; pl_op_at(i); i++) each_sample(pl_op_at(i), fail_sample);
}

/* Absent required inputs, one after the other, and every interrupt. */
static void spoil_sample(const pl_op *op, const sample *s) {
  pl_tensor *out[PL_MAX_OUT];
  const pl_signature *row = pl_op_signature(op);
  for (int i = 0; i < s->n; i++) {
    sample spoilt = *s;
    spoilt.in[i] = NULL;
    bool optional = !row->variadic && row->in[i].optional;
    bool ok = pl_call(op, s->n, spoilt.in, s->attr, out);
    if (!optional && ok) fail_msg("%s runs without input %d", pl_op_name(op), i + 1);
    assert_true(ok == !pl_error());
    pl_error_clear();
  }
  pl_interrupt();
  assert_false(pl_call(op, s->n, s->in, s->attr, out));
  pl_interrupt_clear();
  check_error("interrupted");
}

static void test_spoilt_calls(void **state) {
  (void)state;
  for (int i = 0; pl_op_at(i); i++) each_sample(pl_op_at(i), spoil_sample);
}

static void test_the_table(void **state) {
  (void)state;
  pl_tensor *out[PL_MAX_OUT], *x = ROW(3, 1, 2);
  assert_null(pl_op_find("nothing"));
  assert_null(pl_op_at(-1));
  const pl_op *sort = pl_op_find("sort");
  assert_string_equal(pl_op_name(sort), "sort");
  const pl_signature *row = pl_op_signature(sort);
  assert_int_equal(row->n_in, 1);
  assert_string_equal(row->in[0].name, "x");
  assert_string_equal(pl_op_group(sort), "Reductions");
  assert_int_equal(pl_op_outputs(sort), 2);
  assert_true(pl_op_differentiable(sort) && !pl_op_differentiable(pl_op_find("eq")));
  assert_int_equal(row->n_attr, 2);
  assert_string_equal(row->attr[1].name, "descending");
  assert_true(row->attr[1].optional && row->attr[1].type == PL_ATTR_BOOL);
  assert_false(row->attr[1].fallback.i);
  assert_true(pl_call(sort, 1, &x, NULL, out));
  CHECK(out[0], 1, 2, 3);
  CHECK(out[1], 2, 3, 1);
  pl_attr attrs[PL_MAX_ATTR] = {{.i = 0}, {.i = true}};
  assert_true(pl_call(sort, 1, &x, attrs, out));
  CHECK(out[0], 3, 2, 1);
  for (int i = 0; pl_op_at(i); i++) {
    assert_ptr_equal(pl_op_find(pl_op_name(pl_op_at(i))), pl_op_at(i)); /* no name twice */
    assert_true(strlen(pl_op_doc(pl_op_at(i))) > 1 && strlen(pl_op_samples(pl_op_at(i))) > 2);
  }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(scopes),
      TEST(views_share_storage),
      TEST(the_cache),
      TEST(shortage_asks_once),
      TEST(creation),
      TEST(queries),
      TEST(copies),
      TEST(errors_are_values),
      TEST(missing_inputs),
      TEST(interrupt),
      TEST(threads),
      TEST(backward),
      TEST(grad),
      TEST(higher_orders),
      TEST(grad_mode),
      TEST(changes_in_place_are_noticed),
      TEST(a_failed_pass_leaves_gradients_alone),
      TEST(training),
      TEST(known_answers),
      TEST(the_stream),
      TEST(failing_allocations),
      TEST(spoilt_calls),
      TEST(the_table),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
