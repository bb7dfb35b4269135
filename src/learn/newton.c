/*
** newton.c: linear L2-SVMs for several classes at once, in the primal, by the modified finite
** Newton method of Keerthi and DeCoste, "A modified finite Newton method for fast solution
** of large scale linear SVMs", JMLR 6, 2005.
**
** With z = (w, b) and features that end in a 1, the objective of a class is
**   J(z) = 1/2 |z|^2 + 1/2 sum_i cost_i (p_i max(0, 1 - f_i)^2 + (1 - p_i) max(0, 1 + f_i)^2)
** where f_i = z.x_i. It is convex with a gradient that is linear in pieces:
**   g = z + sum_i cost_i (-p_i max(0, 1 - f_i) + (1 - p_i) max(0, 1 + f_i)) x_i
**   H = 1 + sum_i h_i x_i x_i',  h_i = cost_i (p_i [f_i < 1] + (1 - p_i) [f_i > -1])
** A step solves H s = -g by conjugate gradients and goes to the minimum of J on the line,
** which exists for any s that descends, so J falls until it cannot. All classes share one
** preconditioner, the Cholesky factor of 1 + sum_i (mean h_i over the classes) x_i x_i', and
** each pass over the features: a block of rows is turned to double, multiplied with all
** classes' vectors, weighted, and multiplied back while it is in the cache.
*/
#include <cblas.h>
#include <math.h>
#include <omp.h>
#include <string.h>

#include "../tensor/tensor.h"
#include "learn.h"

extern void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info);
extern void dpotrs_(const char *uplo, const int *n, const int *nrhs, const double *a,
                    const int *lda, double *b, const int *ldb, int *info);

enum {
  BLOCK = 64,      /* rows at a time */
  SLABS = 16,      /* parts of the rows, each with sums of its own, added in order */
  TILE = 128,      /* columns of a tile of the preconditioner */
  GRAM_ROWS = 256, /* rows at a time for it */
  MAX_STEPS = 30,
  MAX_PRODUCTS = 40, /* of one step */
  MAX_TRIALS = 30,   /* of the line search */
  LONGEST_STEP = 4,
  REFRESH = 10, /* steps with one preconditioner */
};

/* Of each class at t along the step: the objective, its slope, its curvature. */
typedef struct {
  double value, slope, curvature;
} on_line;

typedef struct {
  int64_t n, k, m; /* rows, classes, unknowns of a class: features and 1 */
  const pl_real *x, *share, *cost;
  double *z, *gradient, *step;                     /* [k,m] */
  double *residual, *solved, *direction, *product; /* [k,m], of conjugate gradients */
  double *f, *along, *u;     /* [n,k]: decision values, along the step, along the direction */
  double *part;              /* [SLABS,k,m]: sums of the slabs */
  on_line *line;             /* [SLABS,k]: sums of the slabs, for the line search */
  double *factor;            /* [m,m] */
  double *block;             /* [threads,BLOCK,m + 2 k] */
  const pl_context *context; /* that of the call */
} problem;

static int64_t slab_start(const problem *p, int64_t s) { return p->n * s / SLABS; }

/*
** Passes over the features
*/

/* m rows from `from` as doubles, each with a 1 behind it. */
static void read_rows(const problem *p, int64_t from, int64_t rows, double *out) {
  const int64_t d = p->m - 1;
  for (int64_t i = 0; i < rows; i++, out += p->m) {
    const pl_real *in = p->x + (from + i) * d;
    for (int64_t c = 0; c < d; c++) out[c] = in[c];
    out[d] = 1;
  }
}

/* u [rows,k] = x v', v [k,m] */
static void forward(const problem *p, int64_t rows, const double *x, const double *v, double *u) {
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)rows, (blasint)p->k, (blasint)p->m,
              1, x, (blasint)p->m, v, (blasint)p->m, 0, u, (blasint)p->k);
}

/* sum [k,m] += g' x, g [rows,k] */
static void backward(const problem *p, int64_t rows, const double *x, const double *g,
                     double *sum) {
  cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (blasint)p->k, (blasint)p->m, (blasint)rows,
              1, g, (blasint)p->k, x, (blasint)p->m, 1, sum, (blasint)p->m);
}

/* d loss / d f, and d^2 loss / d f^2 where h is not NULL, of the classes in a row. */
static void slopes(const problem *p, int64_t i, double *g, double *h) {
  const double *f = p->f + i * p->k, cost = p->cost[i];
  for (int64_t c = 0; c < p->k; c++) {
    const double share = p->share[i * p->k + c];
    if (g) g[c] = cost * ((1 - share) * PL_MAX(0, 1 + f[c]) - share * PL_MAX(0, 1 - f[c]));
    if (h) h[c] = cost * (share * (f[c] < 1) + (1 - share) * (f[c] > -1));
  }
}

typedef enum { DECIDE, GRADIENT, HESSIAN } pass;

/* u = x v, and then for GRADIENT and HESSIAN the sum over rows of what comes back, into out. */
static bool run_pass(problem *p, pass what, const double *v, double *u, double *out) {
  const int64_t size = p->k * p->m;
  if (out) memset(p->part, 0, (size_t)(SLABS * size) * sizeof(double));
#pragma omp parallel for schedule(static)
  for (int64_t s = 0; s < SLABS; s++) {
    double *x = p->block + omp_get_thread_num() * BLOCK * (p->m + 2 * p->k);
    double *g = x + BLOCK * p->m, *h = g + BLOCK * p->k;
    const int64_t end = slab_start(p, s + 1);
    for (int64_t from = slab_start(p, s); from < end && !pl_context_interrupted(p->context);
         from += BLOCK) {
      const int64_t rows = PL_MIN(BLOCK, end - from);
      read_rows(p, from, rows, x);
      if (v) forward(p, rows, x, v, u + from * p->k);
      for (int64_t i = 0; i < rows && what != DECIDE; i++)
        slopes(p, from + i, what == GRADIENT ? g + i * p->k : NULL,
               what == HESSIAN ? h + i * p->k : NULL);
      if (what == HESSIAN)
        for (int64_t i = 0; i < rows * p->k; i++) g[i] = h[i] * u[from * p->k + i];
      if (what != DECIDE) backward(p, rows, x, g, p->part + s * size);
    }
  }
  for (int64_t i = 0; out && i < size; i++) {
    out[i] = v ? v[i] : p->z[i];
    for (int64_t s = 0; s < SLABS; s++) out[i] += p->part[s * size + i];
  }
  return pl_check_interrupt();
}

/*
** The preconditioner
*/

/* Columns [from, from + n) of some rows as doubles, each row times its h where that is given. */
static void read_columns(const problem *p, int64_t row, int64_t rows, int64_t from, int64_t n,
                         const double *h, double *out) {
  for (int64_t r = row; r < row + rows; r++, out += n) {
    const pl_real *x = p->x + r * (p->m - 1) + from;
    const double scale = h ? h[r] : 1;
    for (int64_t c = 0; c < n; c++) out[c] = scale * x[c];
  }
}

/* factor = sum over rows of h x x', for rows [i, i + TILE) and columns [j, j + TILE) of it. */
static void gram_tile(const problem *p, int64_t i, int64_t j, const double *h, double *scratch) {
  const int64_t d = p->m - 1, ni = PL_MIN(TILE, d - i), nj = PL_MIN(TILE, d - j);
  double *a = scratch, *b = a + GRAM_ROWS * TILE;
  for (int64_t from = 0; from < p->n && !pl_context_interrupted(p->context); from += GRAM_ROWS) {
    const int64_t rows = PL_MIN(GRAM_ROWS, p->n - from);
    read_columns(p, from, rows, i, ni, h, a);
    read_columns(p, from, rows, j, nj, NULL, b);
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (blasint)ni, (blasint)nj, (blasint)rows, 1,
                a, (blasint)ni, b, (blasint)nj, 1, p->factor + i * p->m + j, (blasint)p->m);
  }
}

/* The last column: sum of h x, and of h. */
static void gram_border(const problem *p, const double *h) {
  const int64_t d = p->m - 1;
  double *sum = p->product; /* free now; [m] */
  memset(sum, 0, (size_t)p->m * sizeof *sum);
  for (int64_t i = 0; i < p->n; i++) {
    for (int64_t c = 0; c < d; c++) sum[c] += h[i] * p->x[i * d + c];
    sum[d] += h[i];
  }
  for (int64_t c = 0; c < p->m; c++) p->factor[c * p->m + d] = sum[c];
}

static void mean_curvature(const problem *p, double *h) {
  double row[p->k];
  for (int64_t i = 0; i < p->n; i++) {
    h[i] = 0;
    slopes(p, i, NULL, row);
    for (int64_t c = 0; c < p->k; c++) h[i] += row[c] / (double)p->k;
  }
}

static void gram(const problem *p, const double *h, double *scratch) {
  const int64_t tiles = (p->m - 1 + TILE - 1) / TILE;
  memset(p->factor, 0, (size_t)(p->m * p->m) * sizeof(double));
#pragma omp parallel for schedule(dynamic)
  for (int64_t t = 0; t < tiles * tiles; t++)
    if (t / tiles <= t % tiles)
      gram_tile(p, t / tiles * TILE, t % tiles * TILE, h,
                scratch + omp_get_thread_num() * 2 * GRAM_ROWS * TILE);
  gram_border(p, h);
  for (int64_t i = 0; i < p->m; i++) p->factor[i * p->m + i] += 1;
}

/*
** The upper triangle, in row-major order, then its Cholesky factor. Outside of parallel regions
** OpenBLAS takes as many threads as OpenMP says, and other bits come out for another number.
*/
static bool precondition(problem *p) {
  const int threads = omp_get_max_threads(), m = (int)p->m;
  double *h = pl_scratch((size_t)p->n * sizeof *h);
  double *scratch = pl_scratch((size_t)(threads * 2 * GRAM_ROWS * TILE) * sizeof *scratch);
  const bool ok = h && scratch;
  if (ok) {
    mean_curvature(p, h);
    gram(p, h, scratch);
  }
  pl_scratch_free(h);
  pl_scratch_free(scratch);
  if (!ok || !pl_check_interrupt()) return false;
  int info = 0;
  pl_blas_begin();
  dpotrf_("L", &m, p->factor, &m, &info); /* row-major upper is column-major lower */
  pl_blas_end(threads);
  return info == 0 || pl_fail("svm: the Newton system is singular: costs are too large");
}

/* solved = the preconditioner applied to the residual */
static void solve(problem *p) {
  const int m = (int)p->m, k = (int)p->k, threads = pl_blas_begin();
  int info;
  memcpy(p->solved, p->residual, (size_t)(p->m * p->k) * sizeof(double));
  dpotrs_("L", &m, &k, p->factor, &m, p->solved, &m, &info);
  pl_blas_end(threads);
}

/*
** A step
*/

static double dot(int64_t n, const double *a, const double *b) {
  const int threads = pl_blas_begin();
  const double sum = cblas_ddot((blasint)n, a, 1, b, 1);
  pl_blas_end(threads);
  return sum;
}

static void axpy(int64_t n, double t, const double *x, double *y) {
  const int threads = pl_blas_begin();
  cblas_daxpy((blasint)n, t, x, 1, y, 1);
  pl_blas_end(threads);
}

/* One direction of conjugate gradients for the classes that are not done; rho [k] = r.M^-1 r. */
static bool direct(problem *p, double *rho, const double *enough, bool *done) {
  if (!run_pass(p, HESSIAN, p->direction, p->u, p->product)) return false;
  double t[p->k];
  for (int64_t c = 0; c < p->k; c++) {
    const int64_t at = c * p->m;
    const double curvature = dot(p->m, p->direction + at, p->product + at);
    t[c] = done[c] || curvature <= 0 ? 0 : rho[c] / curvature;
    axpy(p->m, t[c], p->direction + at, p->step + at);
    axpy(p->m, -t[c], p->product + at, p->residual + at);
  }
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < p->n; i++)
    for (int64_t c = 0; c < p->k; c++) p->along[i * p->k + c] += t[c] * p->u[i * p->k + c];
  solve(p);
  for (int64_t c = 0; c < p->k; c++) {
    const int64_t at = c * p->m;
    const double next = dot(p->m, p->residual + at, p->solved + at);
    const double beta = rho[c] > 0 ? next / rho[c] : 0;
    done[c] = done[c] || t[c] == 0 || next <= enough[c];
    for (int64_t i = at; i < at + p->m; i++)
      p->direction[i] = p->solved[i] + beta * p->direction[i];
    rho[c] = next;
  }
  return true;
}

static bool all_of(const bool *flags, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    if (!flags[i]) return false;
  return true;
}

/* step = about -H^-1 gradient, along = its decision values; decrement [k] = gradient.M^-1
 * gradient */
static bool newton_step(problem *p, double *decrement, pl_newton_report *report) {
  const int64_t size = p->k * p->m;
  double rho[p->k], enough[p->k];
  bool done[p->k];
  memset(p->step, 0, (size_t)size * sizeof(double));
  memset(p->along, 0, (size_t)(p->n * p->k) * sizeof(double));
  for (int64_t i = 0; i < size; i++) p->residual[i] = -p->gradient[i];
  solve(p);
  memcpy(p->direction, p->solved, (size_t)size * sizeof(double));
  for (int64_t c = 0; c < p->k; c++) {
    decrement[c] = rho[c] = dot(p->m, p->residual + c * p->m, p->solved + c * p->m);
    enough[c] = 1e-3 * rho[c];
    done[c] = rho[c] <= 0;
  }
  for (int i = 0; i < MAX_PRODUCTS && !all_of(done, p->k); i++, report->products++)
    if (!direct(p, rho, enough, done)) return false;
  return true;
}

static void add_losses(const problem *p, int64_t s, const double *t, on_line *sum) {
  for (int64_t i = slab_start(p, s); i < slab_start(p, s + 1); i++)
    for (int64_t c = 0; c < p->k; c++) {
      const double a = p->along[i * p->k + c], f = p->f[i * p->k + c] + t[c] * a;
      const double cost = p->cost[i], yes = cost * p->share[i * p->k + c], no = cost - yes;
      const double below = PL_MAX(0, 1 - f), above = PL_MAX(0, 1 + f);
      sum[c].value += (yes * below * below + no * above * above) / 2;
      sum[c].slope += (no * above - yes * below) * a;
      sum[c].curvature += (yes * (below > 0) + no * (above > 0)) * a * a;
    }
}

static void measure(const problem *p, const double *t, on_line *at) {
#pragma omp parallel for schedule(static)
  for (int64_t s = 0; s < SLABS; s++) {
    memset(p->line + s * p->k, 0, (size_t)p->k * sizeof *p->line);
    add_losses(p, s, t, p->line + s * p->k);
  }
  for (int64_t c = 0; c < p->k; c++) {
    const double *z = p->z + c * p->m, *step = p->step + c * p->m;
    const double zs = dot(p->m, z, step), ss = dot(p->m, step, step);
    at[c].value = dot(p->m, z, z) / 2 + t[c] * zs + t[c] * t[c] * ss / 2;
    at[c].slope = zs + t[c] * ss;
    at[c].curvature = ss;
    for (int s = 0; s < SLABS; s++) {
      at[c].value += p->line[s * p->k + c].value;
      at[c].slope += p->line[s * p->k + c].slope;
      at[c].curvature += p->line[s * p->k + c].curvature;
    }
  }
}

/*
** t [k], where the slope along the step is 0: Newton's method in one dimension, kept between
** the nearest t known to be too small and too large. The slope is linear in pieces and grows,
** so a few rounds are enough; the number of rounds and the longest step are bounded.
*/
static void search_line(const problem *p, double *t) {
  double low[PL_MAX_CLASSES], high[PL_MAX_CLASSES], start[PL_MAX_CLASSES];
  on_line at[PL_MAX_CLASSES];
  bool done[PL_MAX_CLASSES];
  for (int64_t c = 0; c < p->k; c++) low[c] = t[c] = 0, high[c] = LONGEST_STEP;
  measure(p, t, at);
  for (int64_t c = 0; c < p->k; c++) {
    start[c] = at[c].slope;
    done[c] = !(start[c] < 0);
    t[c] = done[c] ? 0 : 1;
  }
  for (int i = 0; i < MAX_TRIALS && !all_of(done, p->k); i++) {
    measure(p, t, at);
    for (int64_t c = 0; c < p->k; c++) {
      if (done[c] || (done[c] = fabs(at[c].slope) <= 1e-3 * -start[c])) continue;
      *(at[c].slope < 0 ? low + c : high + c) = t[c];
      const double next = t[c] - at[c].slope / at[c].curvature;
      t[c] = next > low[c] && next < high[c] ? next : (low[c] + high[c]) / 2;
    }
  }
}

static void take_step(problem *p, const double *t) {
  for (int64_t c = 0; c < p->k; c++) axpy(p->m, t[c], p->step + c * p->m, p->z + c * p->m);
  for (int64_t i = 0; i < p->n; i++)
    for (int64_t c = 0; c < p->k; c++) p->f[i * p->k + c] += t[c] * p->along[i * p->k + c];
}

/* Steps until the fall of the objective that the next one promises is small for every class. */
static bool minimise(problem *p, double tolerance, pl_newton_report *report) {
  double t[PL_MAX_CLASSES], decrement[PL_MAX_CLASSES];
  on_line at[PL_MAX_CLASSES];
  if (!run_pass(p, DECIDE, p->z, p->f, NULL)) return false;
  for (; report->steps < MAX_STEPS; report->steps++) {
    if (report->steps % REFRESH == 0 && !precondition(p)) return false;
    if (!run_pass(p, GRADIENT, NULL, NULL, p->gradient)) return false;
    if (!newton_step(p, decrement, report)) return false;
    memset(t, 0, sizeof t);
    measure(p, t, at);
    bool enough = true;
    report->objective = 0;
    for (int64_t c = 0; c < p->k; c++) {
      enough = enough && decrement[c] <= tolerance * at[c].value;
      report->objective += at[c].value;
    }
    if (enough) break;
    search_line(p, t);
    take_step(p, t);
  }
  return isfinite(report->objective) || pl_fail("svm: the objective is not finite");
}

/*
** The function
*/

static bool check_newton(const pl_tensor *x, const pl_tensor *share, const pl_tensor *cost,
                         const pl_tensor *weights, const pl_tensor *bias) {
  const pl_tensor *all[] = {x, share, cost, weights, bias};
  static const int rank[] = {2, 2, 1, 2, 1};
  for (int i = 0; i < 5; i++)
    if (all[i]->dtype != PL_REAL || all[i]->rank != rank[i] || !pl_is_contiguous(all[i]))
      return pl_fail("svm: %s; dense real [n,d], [n,k], [n], [d,k], [k] expected",
                     PL_DESCRIBE(all[i]));
  if (x->size[0] < 1 || share->size[0] != x->size[0] || cost->size[0] != x->size[0] ||
      weights->size[0] != x->size[1] || weights->size[1] != share->size[1] ||
      bias->size[0] != share->size[1])
    return pl_fail("svm: features %s, shares %s, costs %s, weights %s, bias %s do not fit",
                   PL_DESCRIBE(x), PL_DESCRIBE(share), PL_DESCRIBE(cost), PL_DESCRIBE(weights),
                   PL_DESCRIBE(bias));
  if (!pl_check_writable("svm", weights) || !pl_check_writable("svm", bias)) return false;
  if (share->size[1] < 1 || share->size[1] > PL_MAX_CLASSES)
    return pl_fail("svm: %lld classes; 1 to %d expected", (long long)share->size[1],
                   PL_MAX_CLASSES);
  if (x->size[1] >= PL_MAX_FEATURES)
    return pl_fail("svm: %lld features; at most %d expected", (long long)x->size[1],
                   PL_MAX_FEATURES - 1);
  return true;
}

static double *take(double **memory, int64_t n) {
  double *start = *memory;
  *memory += (n + 7) / 8 * 8;
  return start;
}

/* All arrays in one block, which is returned. */
static double *problem_begin(problem *p) {
  const int64_t vector = p->k * p->m, values = p->n * p->k;
  const int64_t block = omp_get_max_threads() * BLOCK * (p->m + 2 * p->k);
  const int64_t total =
      (7 + SLABS) * (vector + 8) + 3 * (values + 8) + p->m * p->m + block + 64 + 3 * SLABS * p->k;
  double *memory = pl_scratch((size_t)total * sizeof *memory), *at = memory;
  if (!memory) return NULL;
  double **vectors[] = {&p->z,      &p->gradient,  &p->step,   &p->residual,
                        &p->solved, &p->direction, &p->product};
  for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) *vectors[i] = take(&at, vector);
  p->f = take(&at, values);
  p->along = take(&at, values);
  p->u = take(&at, values);
  p->part = take(&at, SLABS * vector);
  p->line = (on_line *)take(&at, 3 * SLABS * p->k);
  p->factor = take(&at, p->m * p->m);
  p->block = take(&at, block);
  return memory;
}

static void load_start(problem *p, const pl_tensor *weights, const pl_tensor *bias) {
  for (int64_t c = 0; c < p->k; c++) {
    for (int64_t i = 0; i < p->m - 1; i++) p->z[c * p->m + i] = pl_reals(weights)[i * p->k + c];
    p->z[c * p->m + p->m - 1] = pl_reals(bias)[c];
  }
}

static void store_result(const problem *p, pl_tensor *weights, pl_tensor *bias, pl_tensor *f) {
  for (int64_t c = 0; c < p->k; c++) {
    for (int64_t i = 0; i < p->m - 1; i++)
      pl_reals(weights)[i * p->k + c] = (pl_real)p->z[c * p->m + i];
    pl_reals(bias)[c] = (pl_real)p->z[c * p->m + p->m - 1];
  }
  for (int64_t i = 0; i < p->n * p->k; i++) pl_reals(f)[i] = (pl_real)p->f[i];
  pl_bump_version(weights);
  pl_bump_version(bias);
}

pl_tensor *pl_newton(pl_tensor *features, pl_tensor *share, pl_tensor *cost, pl_tensor *weights,
                     pl_tensor *bias, double tolerance, pl_newton_report *report) {
  *report = (pl_newton_report){0};
  if (!check_newton(features, share, cost, weights, bias)) return NULL;
  problem p = {.n = features->size[0],
               .k = share->size[1],
               .m = features->size[1] + 1,
               .x = pl_reals(features),
               .share = pl_reals(share),
               .cost = pl_reals(cost),
               .context = PL_HERE};
  pl_tensor *f = pl_empty(PL_REAL, pl_list(p.n, p.k));
  double *memory = f ? problem_begin(&p) : NULL;
  if (!memory) return NULL;
  pl_blas_one_thread();
  load_start(&p, weights, bias);
  const bool ok = minimise(&p, tolerance, report);
  if (ok) store_result(&p, weights, bias, f);
  pl_scratch_free(memory);
  return ok ? f : NULL;
}
