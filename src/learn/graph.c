/*
** graph.c: the graph of nearest neighbours and the spreading of labels along its edges.
**
** Neighbours are exact: all distances are computed, a block of rows against a block of
** columns at a time, as matrix products of floats about the common mean, which is enough to
** tell neighbours apart.
*/
#include <cblas.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "../tensor/tensor.h"
#include "learn.h"

enum { ROWS = 64, COLUMNS = 1024, GROUP = 32, SLABS = 16, MAX_ROUNDS = 300 };

/*
** Neighbours
*/

typedef struct {
  int64_t n, d, k;
  float *x;      /* [n,d], the mean of each column taken off */
  float *square; /* [n] */
  int32_t *neighbour;
  float *distance; /* [n,k], ascending; squares, without the row's own */
} search;

static void centre(search *s, const pl_real *x) {
  double *mean = (double *)s->distance; /* free for now; [d] is checked to fit */
  for (int64_t c = 0; c < s->d; c++) mean[c] = 0;
  for (int64_t i = 0; i < s->n; i++)
    for (int64_t c = 0; c < s->d; c++) mean[c] += x[i * s->d + c];
  for (int64_t c = 0; c < s->d; c++) mean[c] /= (double)s->n;
  for (int64_t i = 0; i < s->n; i++) {
    double square = 0;
    for (int64_t c = 0; c < s->d; c++) {
      const double v = x[i * s->d + c] - mean[c];
      s->x[i * s->d + c] = (float)v;
      square += v * v;
    }
    s->square[i] = (float)square;
  }
}

/* Puts j into the ascending list of row i. Columns come in order, so of equals the first stays. */
static void insert(search *s, int64_t i, int64_t j, float distance) {
  float *d = s->distance + i * s->k;
  int32_t *at = s->neighbour + i * s->k;
  int64_t place = s->k - 1;
  for (; place > 0 && d[place - 1] > distance; place--) {
    d[place] = d[place - 1];
    at[place] = at[place - 1];
  }
  d[place] = distance;
  at[place] = (int32_t)j;
}

/* Columns [from, from + n) of row i; dots are the products with them. */
static void scan(search *s, int64_t i, int64_t from, int64_t n, const float *dots) {
  const float *worst = s->distance + i * s->k + s->k - 1, *square = s->square + from;
  for (int64_t start = 0; start < n; start += GROUP) {
    const int64_t end = PL_MIN(start + GROUP, n);
    const float limit = *worst;
    int hit = 0;
    for (int64_t j = start; j < end; j++) hit |= square[j] - 2 * dots[j] < limit;
    for (int64_t j = start; hit && j < end; j++) {
      const float distance = square[j] - 2 * dots[j];
      if (distance < *worst && from + j != i) insert(s, i, from + j, distance);
    }
  }
}

static bool search_all(search *s, float *dots) {
  const pl_context *here = PL_HERE;
#pragma omp parallel for schedule(dynamic)
  for (int64_t i = 0; i < s->n; i += ROWS) {
    const int64_t rows = PL_MIN(ROWS, s->n - i);
    float *out = dots + omp_get_thread_num() * ROWS * COLUMNS;
    for (int64_t e = 0; e < rows * s->k; e++) {
      s->distance[i * s->k + e] = INFINITY;
      s->neighbour[i * s->k + e] = -1;
    }
    for (int64_t j = 0; j < s->n && !pl_context_interrupted(here); j += COLUMNS) {
      const int64_t columns = PL_MIN(COLUMNS, s->n - j);
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)rows, (blasint)columns,
                  (blasint)s->d, 1, s->x + i * s->d, (blasint)s->d, s->x + j * s->d, (blasint)s->d,
                  0, out, COLUMNS);
      for (int64_t r = 0; r < rows; r++) scan(s, i + r, j, columns, out + r * COLUMNS);
    }
  }
  return pl_check_interrupt();
}

bool pl_neighbours(pl_tensor *x, int64_t k, pl_tensor **neighbours, pl_tensor **distances) {
  if (!pl_examples_check("svm", x) || !(x = pl_contiguous(x))) return false;
  search s = {.n = x->size[0], .d = x->size[1], .k = k};
  if (k < 1 || k >= s.n || s.n > INT32_MAX)
    return pl_fail("svm: %lld neighbours of %lld examples", (long long)k, (long long)s.n);
  *neighbours = pl_empty(PL_INT32, pl_list(s.n, k));
  *distances = pl_empty(PL_REAL, pl_list(s.n, k));
  const int64_t room = PL_MAX(s.n * k, 2 * s.d);
  s.x = pl_scratch((size_t)(s.n * (s.d + 1) + room + 1) * sizeof(float));
  float *dots = pl_scratch((size_t)(omp_get_max_threads() * ROWS * COLUMNS) * sizeof(float));
  bool ok = *neighbours && *distances && s.x && dots;
  if (ok) {
    s.distance = s.x + (s.n * s.d + 1) / 2 * 2; /* aligned for doubles */
    s.square = s.distance + room;
    s.neighbour = pl_int32s(*neighbours);
    centre(&s, pl_reals(x));
    pl_blas_one_thread();
    ok = search_all(&s, dots);
    for (int64_t e = 0; e < s.n * k; e++) {
      pl_reals(*distances)[e] = (pl_real)PL_MAX(0, s.distance[e] + s.square[e / k]);
      if (s.neighbour[e] < 0) ok = pl_fail("svm: squares of the values of x are no float numbers");
      s.neighbour[e] += 1;
    }
  }
  pl_scratch_free(s.x);
  pl_scratch_free(dots);
  return ok;
}

/*
** Spreading
*/

/* The edges of row i are [start[i], start[i + 1]), each pair of neighbours in both rows. */
typedef struct {
  int64_t n, edges, *start;
  int32_t *to;
  double *weight;
  double *degree; /* [n]: sums of a row's weights */
} graph;

static void graph_end(graph *g) {
  free(g->start);
  free(g->to);
  free(g->weight);
  free(g->degree);
}

/* exp(-distance^2 / (s_i s_j)), s_i the distance of i's last neighbour. */
static double edge_weight(const pl_tensor *distances, int64_t i, int64_t e, int64_t j) {
  const int64_t k = distances->size[1];
  const pl_real *d = pl_reals(distances);
  const double scale = sqrt((double)d[i * k + k - 1] * (double)d[j * k + k - 1]);
  return scale > 0 ? PL_MAX(exp(-(double)d[i * k + e] / scale), 1e-6) : 1;
}

/* An edge of both directions is entered twice, and so weighs twice. */
static bool graph_begin(graph *g, const pl_tensor *neighbours, const pl_tensor *distances) {
  const int64_t k = neighbours->size[1];
  const int32_t *to = pl_int32s(neighbours);
  *g = (graph){.n = neighbours->size[0], .edges = 2 * neighbours->size[0] * k};
  g->start = calloc((size_t)g->n + 2, sizeof *g->start);
  g->to = malloc((size_t)g->edges * sizeof *g->to);
  g->weight = malloc((size_t)g->edges * sizeof *g->weight);
  g->degree = malloc((size_t)g->n * sizeof *g->degree);
  if (!g->start || !g->to || !g->weight || !g->degree)
    return pl_fail_as(PL_ERROR_MEMORY, "svm: not enough memory for a graph");
  int64_t *at = g->start + 1; /* counts, then where a row begins, then where it ends */
  for (int64_t e = 0; e < g->n * k; e++) at[e / k + 1]++, at[to[e]]++;
  for (int64_t i = 0; i < g->n; i++) at[i + 1] += at[i];
  for (int64_t e = 0; e < g->n * k; e++) {
    const int64_t i = e / k, j = to[e] - 1;
    const double w = edge_weight(distances, i, e % k, j);
    g->to[at[i]] = (int32_t)j, g->weight[at[i]++] = w;
    g->to[at[j]] = (int32_t)i, g->weight[at[j]++] = w;
  }
  for (int64_t i = 0; i < g->n; i++) {
    g->degree[i] = 0;
    for (int64_t e = g->start[i]; e < g->start[i + 1]; e++) g->degree[i] += g->weight[e];
  }
  return true;
}

/* Conjugate gradients for the columns of u at once, all [n,k]. */
typedef struct {
  const graph *g;
  int64_t k;
  double keep;
  double *u, *residual, *direction, *product;
} linear_system;

/* sum [k] = of each column a.b, where b is divided by the degrees if `scaled`. */
static void column_dots(const linear_system *s, const double *a, const double *b, bool scaled,
                        double *sum) {
  double part[SLABS][s->k];
#pragma omp parallel for schedule(static)
  for (int64_t slab = 0; slab < SLABS; slab++) {
    memset(part[slab], 0, sizeof part[slab]);
    for (int64_t i = s->g->n * slab / SLABS; i < s->g->n * (slab + 1) / SLABS; i++) {
      const double scale = scaled ? 1 / s->g->degree[i] : 1;
      for (int64_t c = 0; c < s->k; c++) part[slab][c] += scale * a[i * s->k + c] * b[i * s->k + c];
    }
  }
  for (int64_t c = 0; c < s->k; c++) {
    sum[c] = 0;
    for (int slab = 0; slab < SLABS; slab++) sum[c] += part[slab][c];
  }
}

/* product = (D - keep W) direction */
static void apply(const linear_system *s) {
  const graph *g = s->g;
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < g->n; i++) {
    double *out = s->product + i * s->k;
    for (int64_t c = 0; c < s->k; c++) out[c] = 0;
    for (int64_t e = g->start[i]; e < g->start[i + 1]; e++) {
      const double *in = s->direction + g->to[e] * s->k;
      for (int64_t c = 0; c < s->k; c++) out[c] += g->weight[e] * in[c];
    }
    for (int64_t c = 0; c < s->k; c++)
      out[c] = g->degree[i] * s->direction[i * s->k + c] - s->keep * out[c];
  }
}

/* The step along the direction, then the next direction; false when all columns are done. */
static bool iterate(const linear_system *s, double *rho, const double *enough) {
  double curvature[s->k], step[s->k], next[s->k], beta[s->k];
  bool more = false;
  apply(s);
  column_dots(s, s->direction, s->product, false, curvature);
  for (int64_t c = 0; c < s->k; c++)
    step[c] = rho[c] > enough[c] && curvature[c] > 0 ? rho[c] / curvature[c] : 0;
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < s->g->n; i++)
    for (int64_t c = 0, at = i * s->k; c < s->k; c++, at++) {
      s->u[at] += step[c] * s->direction[at];
      s->residual[at] -= step[c] * s->product[at];
    }
  column_dots(s, s->residual, s->residual, true, next);
  for (int64_t c = 0; c < s->k; c++) {
    beta[c] = rho[c] > 0 ? next[c] / rho[c] : 0;
    rho[c] = next[c];
    more = more || (step[c] != 0 && next[c] > enough[c]);
  }
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < s->g->n; i++)
    for (int64_t c = 0, at = i * s->k; c < s->k; c++, at++)
      s->direction[at] = s->residual[at] / s->g->degree[i] + beta[c] * s->direction[at];
  return more;
}

static bool solve(const linear_system *s) {
  double rho[s->k], enough[s->k];
  for (int64_t i = 0; i < s->g->n; i++)
    for (int64_t c = 0, at = i * s->k; c < s->k; c++, at++)
      s->direction[at] = s->residual[at] / s->g->degree[i];
  column_dots(s, s->residual, s->residual, true, rho);
  for (int64_t c = 0; c < s->k; c++) enough[c] = 1e-8 * rho[c];
  for (int round = 0; round < MAX_ROUNDS && !pl_interrupted(); round++)
    if (!iterate(s, rho, enough)) break;
  return pl_check_interrupt();
}

static bool check_graph(const pl_tensor *neighbours, const pl_tensor *distances,
                        const pl_tensor *source) {
  if (neighbours->dtype != PL_INT32 || neighbours->rank != 2 || distances->dtype != PL_REAL ||
      !pl_same_size(neighbours, distances) || source->dtype != PL_REAL || source->rank != 2 ||
      source->size[0] != neighbours->size[0] || source->size[1] > PL_MAX_CLASSES ||
      !pl_is_contiguous(neighbours) || !pl_is_contiguous(distances))
    return pl_fail("svm: neighbours %s, distances %s and sources %s do not fit",
                   PL_DESCRIBE(neighbours), PL_DESCRIBE(distances), PL_DESCRIBE(source));
  for (int64_t e = 0; e < pl_numel(neighbours); e++)
    if (pl_int32s(neighbours)[e] < 1 || pl_int32s(neighbours)[e] > neighbours->size[0])
      return pl_fail("svm: neighbour %d of %lld", pl_int32s(neighbours)[e],
                     (long long)neighbours->size[0]);
  return true;
}

pl_tensor *pl_spread(pl_tensor *neighbours, pl_tensor *distances, pl_tensor *source, double keep) {
  if (!check_graph(neighbours, distances, source)) return NULL;
  if (!(keep >= 0 && keep < 1)) return pl_fail("svm: keep is %g; 0 to 1 expected", keep), NULL;
  const int64_t n = source->size[0], k = source->size[1];
  graph g;
  pl_tensor *result = pl_empty(PL_REAL, pl_list(n, k));
  double *values = pl_scratch((size_t)(4 * n * k + 1) * sizeof *values);
  bool ok = graph_begin(&g, neighbours, distances) && result && values;
  if (ok) {
    const linear_system s = {
        &g, k, keep, values, values + n * k, values + 2 * n * k, values + 3 * n * k};
    memset(s.u, 0, (size_t)(n * k) * sizeof *s.u);
    pl_values(source, s.residual);
    ok = solve(&s);
    for (int64_t i = 0; i < n * k; i++) pl_reals(result)[i] = (pl_real)s.u[i];
  }
  graph_end(&g);
  pl_scratch_free(values);
  return ok ? result : NULL;
}
