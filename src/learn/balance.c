/*
** balance.c: shares of classes that are as large as a class is meant to be in all. The prices
** are found by Sinkhorn's iteration (Cuturi, "Sinkhorn distances", NIPS 2013): each round
** moves the price of a class by the logarithm of how much its column is short.
*/
#include <math.h>
#include <string.h>

#include "../tensor/tensor.h"
#include "learn.h"

enum { SLABS = 16, MAX_ROUNDS = 500 };

typedef struct {
  int64_t n, k;
  const pl_real *score;
  double temperature;
  const double *price; /* [k] */
} job;

static void share_row(const job *j, int64_t i, double *p) {
  const pl_real *score = j->score + i * j->k;
  double most = -INFINITY, sum = 0;
  for (int64_t c = 0; c < j->k; c++) {
    p[c] = (score[c] + j->price[c]) / j->temperature;
    most = PL_MAX(most, p[c]);
  }
  for (int64_t c = 0; c < j->k; c++) sum += p[c] = exp(p[c] - most);
  for (int64_t c = 0; c < j->k; c++) p[c] /= sum;
}

static void column_sums(const job *j, double *sum) {
  double part[SLABS][j->k];
#pragma omp parallel for schedule(static)
  for (int64_t s = 0; s < SLABS; s++) {
    double p[j->k];
    memset(part[s], 0, sizeof part[s]);
    for (int64_t i = j->n * s / SLABS; i < j->n * (s + 1) / SLABS; i++) {
      share_row(j, i, p);
      for (int64_t c = 0; c < j->k; c++) part[s][c] += p[c];
    }
  }
  for (int64_t c = 0; c < j->k; c++) {
    sum[c] = 0;
    for (int s = 0; s < SLABS; s++) sum[c] += part[s][c];
  }
}

/* Moves the prices until each column is within a thousandth of its total. */
static bool find_prices(const job *j, const double *total, double *price) {
  double sum[j->k];
  for (int round = 0; round < MAX_ROUNDS && !pl_interrupted(); round++) {
    double worst = 0;
    column_sums(j, sum);
    for (int64_t c = 0; c < j->k; c++) {
      const double wanted = total[c] * (double)j->n;
      worst = PL_MAX(worst, fabs(sum[c] - wanted) / wanted);
      price[c] += j->temperature * log(wanted / PL_MAX(sum[c], 1e-9 * wanted));
    }
    if (worst < 1e-3) break;
  }
  return pl_check_interrupt();
}

static bool check_balance(const pl_tensor *score, const pl_tensor *total, const pl_tensor *prices,
                          double temperature) {
  if (score->dtype != PL_REAL || score->rank != 2 || score->size[1] < 1 ||
      score->size[1] > PL_MAX_CLASSES)
    return pl_fail("svm: scores are %s; real [n,k] expected", PL_DESCRIBE(score));
  const pl_tensor *lists[] = {prices, total};
  for (int i = 0; i < 2; i++)
    if (lists[i] && (lists[i]->dtype != PL_REAL || lists[i]->rank != 1 ||
                     lists[i]->size[0] != score->size[1] || !pl_is_contiguous(lists[i])))
      return pl_fail("svm: prices or totals are %s; dense real [%lld] expected",
                     PL_DESCRIBE(lists[i]), (long long)score->size[1]);
  if (!pl_check_writable("svm", prices)) return false;
  for (int64_t c = 0; total && c < score->size[1]; c++)
    if (!(pl_reals(total)[c] > 0))
      return pl_fail("svm: total %lld is %g; a positive number expected", (long long)c + 1,
                     (double)pl_reals(total)[c]);
  return temperature > 0 ||
         pl_fail("svm: temperature is %g; a positive number expected", temperature);
}

static void store_shares(const job *j, pl_real *out) {
#pragma omp parallel for schedule(static)
  for (int64_t s = 0; s < SLABS; s++) {
    double p[j->k];
    for (int64_t i = j->n * s / SLABS; i < j->n * (s + 1) / SLABS; i++) {
      share_row(j, i, p);
      for (int64_t c = 0; c < j->k; c++) out[i * j->k + c] = (pl_real)p[c];
    }
  }
}

pl_tensor *pl_balance(pl_tensor *score, pl_tensor *total, pl_tensor *prices, double temperature) {
  if (!check_balance(score, total, prices, temperature) || !(score = pl_contiguous(score)))
    return NULL;
  const int64_t k = score->size[1];
  double price[k], wanted[k];
  job j = {score->size[0], k, pl_reals(score), temperature, price};
  pl_tensor *shares = pl_empty(PL_REAL, pl_list(j.n, k));
  pl_values(prices, price);
  if (total) pl_values(total, wanted);
  if (!shares || (total && !find_prices(&j, wanted, price))) return NULL;
  for (int64_t c = 0; c < k; c++) pl_reals(prices)[c] = (pl_real)price[c];
  pl_bump_version(prices);
  store_shares(&j, pl_reals(shares));
  return shares;
}
