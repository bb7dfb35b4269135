/*
** test_learn.c: the parts of the support vector machines against plain loops, and that every
** one of them stops when it is interrupted or when there is no memory.
*/
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "learn/learn.h"
#include "tensor/tensor.h"

enum { N = 150, D = 3, K = 3 };

static double value(const pl_tensor *t, int64_t i, int64_t j) {
  return (double)pl_reals(t)[i * t->size[1] + j];
}

static pl_tensor *normal(pl_ints size) {
  pl_tensor *t = pl_empty(PL_REAL, size);
  assert_true(pl_normal(t, 0, 1));
  return t;
}

static pl_tensor *labels_of(int64_t n) {
  pl_tensor *labels = pl_empty(PL_INT32, pl_list(n));
  for (int64_t i = 0; labels && i < n; i++) pl_int32s(labels)[i] = (int32_t)(i % K + 1);
  return labels;
}

static int set_up(void **state) {
  (void)state;
  pl_scope_begin();
  pl_seed(3);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  pl_scope_end();
  assert_null(pl_error());
  assert_int_equal(pl_memory_now().tensors, 0);
  return 0;
}

static double square_distance(const pl_tensor *x, int64_t i, int64_t j) {
  double sum = 0;
  for (int64_t c = 0; c < x->size[1]; c++) sum += pow(value(x, i, c) - value(x, j, c), 2);
  return sum;
}

/*
** Neighbours
*/

static void check_row(const pl_tensor *x, const pl_tensor *near, const pl_tensor *distances,
                      int64_t i, int64_t k) {
  bool listed[N] = {false};
  double last = 0;
  for (int64_t e = 0; e < k; e++) {
    const int64_t j = pl_int32s(near)[i * k + e] - 1;
    const double d = square_distance(x, i, j);
    assert_true(j >= 0 && j < N && j != i && !listed[j]);
    listed[j] = true;
    assert_true(d >= last - 1e-4);
    assert_true(fabs(d - value(distances, i, e)) < 1e-4);
    last = d;
  }
  for (int64_t j = 0; j < N; j++)
    if (j != i && !listed[j]) assert_true(square_distance(x, i, j) > last - 1e-4);
}

static void test_neighbours(void **state) {
  (void)state;
  const int64_t sizes[] = {1, 7, N - 1};
  pl_tensor *x = normal(pl_list(N, D)), *near, *distances;
  for (int s = 0; s < 3; s++) {
    assert_true(pl_neighbours(x, sizes[s], &near, &distances));
    for (int64_t i = 0; i < N; i++) check_row(x, near, distances, i, sizes[s]);
  }
  assert_false(pl_neighbours(x, N, &near, &distances));
  pl_error_clear();
}

/* (D - keep W) u = source, W built anew. */
static void test_spread(void **state) {
  (void)state;
  const int64_t k = 5;
  const double keep = 0.99;
  pl_tensor *x = normal(pl_list(N, D)), *near, *distances, *source = normal(pl_list(N, K));
  double(*w)[N] = calloc(N, sizeof *w);
  assert_true(pl_neighbours(x, k, &near, &distances));
  for (int64_t i = 0; i < N; i++)
    for (int64_t e = 0; e < k; e++) {
      const int64_t j = pl_int32s(near)[i * k + e] - 1;
      const double scale = sqrt(value(distances, i, k - 1) * value(distances, j, k - 1));
      const double weight = exp(-value(distances, i, e) / scale);
      w[i][j] += weight, w[j][i] += weight;
    }
  pl_tensor *u = pl_spread(near, distances, source, keep);
  assert_non_null(u);
  for (int64_t i = 0; i < N; i++)
    for (int64_t c = 0; c < K; c++) {
      double left = 0;
      for (int64_t j = 0; j < N; j++) left += w[i][j] * (value(u, i, c) - keep * value(u, j, c));
      assert_true(fabs(left - value(source, i, c)) < 1e-2);
    }
  free(w);
}

/*
** The Newton method
*/

static pl_tensor *shares_of(pl_tensor *labels) {
  pl_tensor *share = pl_full(PL_REAL, pl_list(N, K), 0.1);
  for (int64_t i = 0; i < N; i++) pl_reals(share)[i * K + pl_int32s(labels)[i] - 1] = (pl_real)0.9;
  return share;
}

/* The gradient of class c for unknown r (D: the bias), from the formula. */
static double gradient(const pl_tensor *x, const pl_tensor *share, const pl_tensor *cost,
                       const pl_tensor *w, const pl_tensor *b, int64_t c, int64_t r) {
  double g = r < D ? value(w, r, c) : (double)pl_reals(b)[c];
  for (int64_t i = 0; i < N; i++) {
    double f = (double)pl_reals(b)[c];
    for (int64_t j = 0; j < D; j++) f += value(x, i, j) * value(w, j, c);
    const double p = value(share, i, c), below = fmax(0, 1 - f), above = fmax(0, 1 + f);
    g += (double)pl_reals(cost)[i] * ((1 - p) * above - p * below) * (r < D ? value(x, i, r) : 1);
  }
  return g;
}

static void test_newton(void **state) {
  (void)state;
  pl_tensor *x = normal(pl_list(N, D)), *share = shares_of(labels_of(N));
  pl_tensor *cost = pl_full(PL_REAL, pl_list(N), 2);
  for (int64_t i = 0; i < N; i++) {
    pl_reals(cost)[i] = (pl_real)(i % 5); /* some examples weigh nothing */
    pl_reals(x)[i * D + i % K] += 2;
  }
  pl_tensor *w = normal(pl_list(D, K)), *b = normal(pl_list(K));
  pl_newton_report report;
  pl_tensor *f = pl_newton(x, share, cost, w, b, 1e-12, &report);
  assert_non_null(f);
  assert_true(report.steps > 0 && report.steps < 20);
  for (int64_t c = 0; c < K; c++)
    for (int64_t r = 0; r <= D; r++)
      assert_true(fabs(gradient(x, share, cost, w, b, c, r)) < 2e-3); /* w is rounded to real */
  for (int64_t i = 0; i < N; i++)
    for (int64_t c = 0; c < K; c++) {
      double sum = (double)pl_reals(b)[c];
      for (int64_t j = 0; j < D; j++) sum += value(x, i, j) * value(w, j, c);
      assert_true(fabs(sum - value(f, i, c)) < 1e-4);
    }
}

/* From the far side of all hinges, with costs that make the system hard. */
static void test_newton_from_far(void **state) {
  (void)state;
  pl_tensor *x = normal(pl_list(N, D)), *share = shares_of(labels_of(N));
  pl_newton_report near_report, far_report;
  for (double cost = 1e-6; cost < 1e7; cost *= 1000) {
    pl_tensor *costs = pl_full(PL_REAL, pl_list(N), cost);
    pl_tensor *w = pl_full(PL_REAL, pl_list(D, K), 0), *b = pl_full(PL_REAL, pl_list(K), 0);
    assert_non_null(pl_newton(x, share, costs, w, b, 1e-9, &near_report));
    pl_fill(w, 1e4);
    pl_fill(b, -1e4);
    assert_non_null(pl_newton(x, share, costs, w, b, 1e-9, &far_report));
    assert_true(fabs(far_report.objective - near_report.objective) < 1e-4 * near_report.objective);
  }
}

static void test_balance(void **state) {
  (void)state;
  pl_tensor *score = normal(pl_list(N, K)), *total = pl_full(PL_REAL, pl_list(K), 0);
  pl_tensor *prices = pl_full(PL_REAL, pl_list(K), 0);
  const double wanted[K] = {0.7, 0.2, 0.1};
  for (int c = 0; c < K; c++) pl_reals(total)[c] = (pl_real)wanted[c];
  for (double temperature = 2; temperature > 0.05; temperature /= 4) {
    pl_tensor *p = pl_balance(score, total, prices, temperature);
    assert_non_null(p);
    double sum[K] = {0};
    for (int64_t i = 0; i < N; i++) {
      double row = 0;
      for (int64_t c = 0; c < K; c++) sum[c] += value(p, i, c), row += value(p, i, c);
      assert_true(fabs(row - 1) < 1e-5);
      for (int64_t c = 1; c < K; c++) { /* shares are as the scores and prices say */
        const double gap = (value(score, i, c) + (double)pl_reals(prices)[c] - value(score, i, 0) -
                            (double)pl_reals(prices)[0]) /
                           temperature;
        if (value(p, i, 0) > 1e-3 && value(p, i, c) > 1e-3)
          assert_true(fabs(log(value(p, i, c) / value(p, i, 0)) - gap) < 1e-2);
      }
    }
    for (int c = 0; c < K; c++) assert_true(fabs(sum[c] / N - wanted[c]) < 2e-3 * wanted[c]);
  }
}

/* cos and sin features against the kernel. */
static void test_fourier(void **state) {
  (void)state;
  pl_tensor *x = normal(pl_list(40, D)), *points = pl_fourier_points(1000, D, 0.3, 1);
  const pl_map map = {PL_MAP_FOURIER, 0.3, points};
  pl_tensor *y = pl_map_apply(x, &map);
  assert_int_equal(y->size[1], 2000);
  for (int64_t i = 0; i < 40; i++)
    for (int64_t j = 0; j < 40; j++) {
      double product = 0;
      for (int64_t c = 0; c < 2000; c++) product += value(y, i, c) * value(y, j, c);
      assert_true(fabs(product - exp(-0.3 * square_distance(x, i, j))) < 0.1);
    }
  for (int64_t i = 0; i < D; i++) /* a block of frequencies is orthogonal */
    for (int64_t j = 0; j < i; j++) {
      double product = 0;
      for (int64_t c = 0; c < D; c++) product += value(points, i, c) * value(points, j, c);
      assert_true(fabs(product) < 1e-5);
    }
}

/*
** Interrupts and memory
*/

typedef bool call(void);

static bool call_train(void) {
  pl_svm_result r;
  const pl_svm_options o = {PL_MAP_RBF, 1, 1, 1e-3, true, 1e9};
  pl_tensor *labels = labels_of(N), *classes = labels ? pl_labels_list(labels) : NULL;
  pl_tensor *x = pl_full(PL_REAL, pl_list(N, D), 1);
  return x && classes && pl_svm_train(x, labels, classes, &o, &r);
}

static bool call_decide(void) {
  pl_tensor *x = pl_full(PL_REAL, pl_list(N, D), 1), *w = pl_full(PL_REAL, pl_list(2, K), 1);
  pl_tensor *b = pl_full(PL_REAL, pl_list(K), 1), *p = pl_full(PL_REAL, pl_list(2, D), 1);
  const pl_map map = {PL_MAP_RBF, 1, p};
  return x && w && b && p && pl_machine_decide(x, &map, w, b);
}

static bool call_features(void) {
  pl_tensor *x = pl_full(PL_REAL, pl_list(N, D), 1), *p = pl_fourier_points(5, D, 1, 1);
  const pl_map map = {PL_MAP_FOURIER, 1, p};
  return x && p && pl_map_apply(x, &map);
}

static bool call_newton(void) {
  pl_newton_report report;
  pl_tensor *x = pl_full(PL_REAL, pl_list(N, D), 1), *p = pl_full(PL_REAL, pl_list(N, K), 1);
  pl_tensor *cost = pl_full(PL_REAL, pl_list(N), 1), *w = pl_full(PL_REAL, pl_list(D, K), 0);
  pl_tensor *b = pl_full(PL_REAL, pl_list(K), 0);
  return x && p && cost && w && b && pl_newton(x, p, cost, w, b, 1e-6, &report);
}

static bool call_balance(void) {
  pl_tensor *score = pl_full(PL_REAL, pl_list(N, K), 1), *prices = pl_full(PL_REAL, pl_list(K), 0);
  pl_tensor *total = pl_full(PL_REAL, pl_list(K), 1.0 / K);
  return score && prices && total && pl_balance(score, total, prices, 1);
}

static bool call_graph(void) {
  pl_tensor *x = pl_full(PL_REAL, pl_list(N, D), 1), *near, *distances;
  pl_tensor *source = pl_full(PL_REAL, pl_list(N, K), 1);
  return x && source && pl_neighbours(x, 4, &near, &distances) &&
         pl_spread(near, distances, source, 0.9);
}

static call *const calls[] = {call_train,  call_decide,  call_features,
                              call_newton, call_balance, call_graph};

static void test_interrupts(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    assert_true(calls[i]());
    pl_interrupt();
    assert_false(calls[i]());
    pl_interrupt_clear();
    assert_string_equal(pl_error(), "interrupted");
    pl_error_clear();
  }
}

/* Each allocation of the engine fails once. */
static void test_no_memory(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    bool ok = false;
    for (int64_t n = 0; !ok && n < 200; n++) {
      pl_scope_begin();
      pl_memory_fail_after(n);
      ok = calls[i]();
      pl_memory_fail_after(-1);
      pl_scope_end();
      assert_true(ok == !pl_error());
      pl_error_clear();
    }
    assert_true(ok);
  }
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(neighbours), TEST(spread),  TEST(newton),     TEST(newton_from_far),
      TEST(balance),    TEST(fourier), TEST(interrupts), TEST(no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
