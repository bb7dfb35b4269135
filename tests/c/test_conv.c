/*
** test_conv.c: the convolution and pooling kernels of every instruction set that this
** processor has, against plain loops in double precision, over odd shapes; and that the
** bits of their results do not depend on the number of threads.
*/
#include <float.h>
#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/kernels.h"

#ifdef PL_REAL_IS_DOUBLE
#define EPSILON DBL_EPSILON
#else
#define EPSILON FLT_EPSILON
#endif

enum { GUARD = 64 }; /* numbers behind an array that nobody may write */
static const pl_real guard_value = 12345;

/*
** Numbers
*/

static uint64_t state = 1;

static int64_t pick(int64_t low, int64_t high) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return low + (int64_t)((state >> 33) % (uint64_t)(high - low + 1));
}

static pl_real *array(int64_t n) {
  pl_real *a = malloc((size_t)(n + GUARD) * sizeof *a);
  assert_non_null(a);
  for (int64_t i = 0; i < n + GUARD; i++) a[i] = guard_value;
  return a;
}

/* Exactly n numbers, so that a sanitizer sees a read past them. */
static pl_real *random_array(int64_t n) {
  pl_real *a = malloc((size_t)(n ? n : 1) * sizeof *a);
  assert_non_null(a);
  for (int64_t i = 0; i < n; i++) a[i] = (pl_real)pick(-1000, 1000) / 500;
  return a;
}

static void check_guard(const pl_real *a, int64_t n) {
  for (int64_t i = n; i < n + GUARD; i++) assert_true(a[i] == guard_value);
}

/* A sum, more exact than what is tested, and the sum of its terms' sizes, which bounds the rounding
 * error. */
typedef struct {
  long double value, size;
} sum;

static void add_term(sum *s, double term) {
  s->value += term;
  s->size += fabs(term);
}

static void check_sum(const char *what, const char *shape, int64_t i, double got, sum want) {
  if (fabsl(got - want.value) <= 8 * EPSILON * (want.size + 1)) return;
  fail_msg("%s %s: number %lld is %.9g, expected %.9g", what, shape, (long long)i, got,
           (double)want.value);
}

/*
** Plain convolutions
*/

typedef struct {
  pl_conv p;
  pl_real *x, *w, *bias, *g;
  int64_t nx, nw, ny;
  pl_activation act;
  pl_real slope;
  char text[160];
} conv_case;

static int64_t out_size(int64_t n, int64_t window, int64_t stride, int64_t pad, int64_t dil) {
  int64_t room = n + 2 * pad - dil * (window - 1) - 1;
  return room < 0 ? 0 : room / stride + 1;
}

static conv_case conv_new(pl_conv p) {
  p.oh = out_size(p.h, p.r, p.stride[0], p.pad[0], p.dil[0]);
  p.ow = out_size(p.w, p.s, p.stride[1], p.pad[1], p.dil[1]);
  conv_case c = {.p = p, .act = (pl_activation)pick(0, 2), .slope = (pl_real)0.25};
  c.nx = p.n * p.c * p.h * p.w;
  c.nw = p.k * p.c * p.r * p.s;
  c.ny = p.n * p.k * p.oh * p.ow;
  c.x = random_array(c.nx);
  c.w = random_array(c.nw);
  c.bias = pick(0, 3) ? random_array(p.k) : NULL;
  c.g = random_array(c.ny);
  snprintf(c.text, sizeof c.text,
           "x[%d,%d,%d,%d] w[%d,.,%d,%d] stride %d,%d padding %d,%d dilation %d,%d act %d",
           (int)p.n, (int)p.c, (int)p.h, (int)p.w, (int)p.k, (int)p.r, (int)p.s, (int)p.stride[0],
           (int)p.stride[1], (int)p.pad[0], (int)p.pad[1], (int)p.dil[0], (int)p.dil[1],
           (int)c.act);
  return c;
}

static void conv_free(conv_case *c) {
  free(c->x);
  free(c->w);
  free(c->bias);
  free(c->g);
}

/* Calls visit for each product of the convolution: numbers of x, w and y. */
typedef void visitor(void *context, int64_t x, int64_t w, int64_t y);

static void each_product(const pl_conv *p, visitor *visit, void *context) {
  for (int64_t y = 0; y < p->n * p->k * p->oh * p->ow; y++) {
    int64_t ox = y % p->ow, oy = y / p->ow % p->oh, k = y / p->ow / p->oh % p->k;
    int64_t n = y / p->ow / p->oh / p->k;
    for (int64_t t = 0; t < p->c * p->r * p->s; t++) {
      int64_t s = t % p->s, r = t / p->s % p->r, c = t / p->s / p->r;
      int64_t iy = oy * p->stride[0] - p->pad[0] + r * p->dil[0];
      int64_t ix = ox * p->stride[1] - p->pad[1] + s * p->dil[1];
      if (iy < 0 || iy >= p->h || ix < 0 || ix >= p->w) continue;
      visit(context, ((n * p->c + c) * p->h + iy) * p->w + ix, k * p->c * p->r * p->s + t, y);
    }
  }
}

typedef struct {
  const pl_real *x, *w, *g;
  sum *y, *gx, *gw;
} products;

static void visit_product(void *context, int64_t x, int64_t w, int64_t y) {
  products *p = context;
  add_term(&p->y[y], (double)p->x[x] * (double)p->w[w]);
  add_term(&p->gx[x], (double)p->g[y] * (double)p->w[w]);
  add_term(&p->gw[w], (double)p->g[y] * (double)p->x[x]);
}

static double activated(const conv_case *c, double v) {
  return v > 0 || c->act == PL_NONE ? v : c->act == PL_RELU ? 0 : v * (double)c->slope;
}

/* g through the activation's derivative, as the kernels see it from its result. */
static pl_real *flowing_back(const conv_case *c, const pl_real *y, pl_real slope) {
  pl_real *g = random_array(c->ny);
  for (int64_t i = 0; i < c->ny; i++) g[i] = y && !(y[i] > 0) ? slope * c->g[i] : c->g[i];
  return g;
}

static pl_conv_end end_of(const conv_case *c, const pl_real *bias) {
  return (pl_conv_end){.bias = bias, .act = c->act, .slope = c->slope};
}

/* What flows back, seen by an activation's result y. */
static pl_conv_back back_of(const conv_case *c, const pl_real *g, const pl_real *y) {
  return (pl_conv_back){
      .g = g, .y = c->act == PL_NONE ? NULL : y, .slope = c->act == PL_RELU ? 0 : c->slope};
}

/* With fewer products, rounding errors are shared: they are as large as where terms are largest. */
static void share_sizes(const pl_conv_kernels *k, sum *s, int64_t n) {
  long double most = 0;
  if (k->conv_forward != k->minimal_forward) return;
  for (int64_t i = 0; i < n; i++)
    if (s[i].size > most) most = s[i].size;
  for (int64_t i = 0; i < n; i++) s[i].size = 2 * most;
}

/* The kernels, their ways with fewer products in the place of those with all. */
static pl_conv_kernels with_fewer(const pl_conv_kernels *k) {
  pl_conv_kernels fewer = *k;
  fewer.conv_forward = k->minimal_forward;
  fewer.conv_transpose = k->minimal_transpose;
  fewer.conv_input_grad = k->minimal_input_grad;
  fewer.conv_weight_grad = k->minimal_weight_grad;
  return fewer;
}

static void check_conv(const pl_conv_kernels *k, const conv_case *c) {
  const pl_conv *p = &c->p;
  pl_conv_end end = end_of(c, c->bias);
  pl_real *y = array(c->ny), *gx = array(c->nx), *gw = array(c->nw), *gbias = array(p->k);
  assert_true(k->conv_forward(p, c->x, c->w, &end, y));
  pl_conv_back back = back_of(c, c->g, y);
  pl_real *g = flowing_back(c, back.y, back.slope);
  products all = {c->x,
                  c->w,
                  g,
                  calloc((size_t)c->ny + 1, sizeof(sum)),
                  calloc((size_t)c->nx + 1, sizeof(sum)),
                  calloc((size_t)c->nw + 1, sizeof(sum))};
  sum *bias = calloc((size_t)p->k + 1, sizeof *bias);
  each_product(p, visit_product, &all);
  share_sizes(k, all.y, c->ny), share_sizes(k, all.gx, c->nx), share_sizes(k, all.gw, c->nw);
  for (int64_t i = 0; i < c->ny; i++) {
    int64_t channel = i / (p->oh * p->ow) % p->k;
    add_term(&bias[channel], (double)g[i]);
    if (c->bias) add_term(&all.y[i], (double)c->bias[channel]);
    all.y[i].value = activated(c, (double)all.y[i].value);
    check_sum("y", c->text, i, (double)y[i], all.y[i]);
  }
  assert_true(k->conv_input_grad(p, &back, c->w, gx));
  for (int64_t i = 0; i < c->nx; i++) check_sum("gx", c->text, i, (double)gx[i], all.gx[i]);
  assert_true(k->conv_weight_grad(p, c->x, &back, gw, gbias));
  for (int64_t i = 0; i < c->nw; i++) check_sum("gw", c->text, i, (double)gw[i], all.gw[i]);
  for (int64_t i = 0; i < p->k; i++) check_sum("gbias", c->text, i, (double)gbias[i], bias[i]);
  check_guard(y, c->ny), check_guard(gx, c->nx), check_guard(gw, c->nw), check_guard(gbias, p->k);
  free(y), free(gx), free(gw), free(gbias), free(g);
  free(all.y), free(all.gx), free(all.gw), free(bias);
}

/*
** A convolution and the pooling after it in one: the same bits as one after the other, and the
** gradients of what the pooling gives back, by all products and by those of the winners alone.
*/

static void check_back(const char *what, const conv_case *c, const products *all, const sum *bias,
                       const pl_real *gx, const pl_real *gw, const pl_real *gbias) {
  char name[32];
  for (int64_t i = 0; gx && i < c->nx; i++) {
    snprintf(name, sizeof name, "%s gx", what);
    check_sum(name, c->text, i, (double)gx[i], all->gx[i]);
  }
  for (int64_t i = 0; gw && i < c->nw; i++) {
    snprintf(name, sizeof name, "%s gw", what);
    check_sum(name, c->text, i, (double)gw[i], all->gw[i]);
  }
  for (int64_t i = 0; gbias && i < c->p.k; i++) {
    snprintf(name, sizeof name, "%s gbias", what);
    check_sum(name, c->text, i, (double)gbias[i], bias[i]);
  }
}

static pl_pool pool_of(const pl_conv *p, int64_t high, int64_t wide) {
  return (pl_pool){p->n * p->k,  p->oh,        p->ow,        p->oh / high,
                   p->ow / wide, {high, wide}, {high, wide}, {0, 0}};
}

static int winners_seen; /* how often the kernels for winners were called */

static void check_pooled(const pl_conv_kernels *k, const conv_case *c, int64_t high, int64_t wide) {
  const pl_conv *p = &c->p;
  pl_pool pool = pool_of(p, high, wide);
  int64_t n = pool.planes * pool.oh * pool.ow;
  if (!n) return;
  pl_real *y = array(c->ny), *want = array(n), *got = array(n), *g = array(c->ny);
  pl_real *gx = array(c->nx), *gw = array(c->nw), *gbias = array(p->k);
  int32_t *at = calloc((size_t)n, sizeof *at), *want_at = calloc((size_t)n, sizeof *at);
  pl_conv_end end = end_of(c, c->bias);
  assert_true(k->conv_forward(p, c->x, c->w, &end, y));
  k->max_pool(&pool, pool.planes, y, want, want_at);
  end.pool = &pool, end.at = at;
  assert_true(k->conv_forward(p, c->x, c->w, &end, got));
  assert_memory_equal(want, got, (size_t)n * sizeof *got);
  assert_memory_equal(want_at, at, (size_t)n * sizeof *at);
  pl_conv_back back = back_of(c, c->g, got);
  pl_real *through = flowing_back(c, NULL, 0);
  for (int64_t i = 0; back.y && i < n; i++)
    if (!(got[i] > 0)) through[i] *= back.slope;
  k->max_pool_grad(&pool, pool.planes, through, at, g);
  back.pool = &pool, back.at = at;
  products all = {c->x,
                  c->w,
                  g,
                  calloc((size_t)c->ny + 1, sizeof(sum)),
                  calloc((size_t)c->nx + 1, sizeof(sum)),
                  calloc((size_t)c->nw + 1, sizeof(sum))};
  sum *bias = calloc((size_t)p->k + 1, sizeof *bias);
  each_product(p, visit_product, &all);
  share_sizes(k, all.gx, c->nx), share_sizes(k, all.gw, c->nw);
  for (int64_t i = 0; i < c->ny; i++) add_term(&bias[i / (p->oh * p->ow) % p->k], (double)g[i]);
  assert_true(k->conv_input_grad(p, &back, c->w, gx));
  assert_true(k->conv_weight_grad(p, c->x, &back, gw, gbias));
  check_back("pooled", c, &all, bias, gx, gw, gbias);
  if (k->winners_suit_input(p, &pool)) {
    winners_seen |= 1;
    assert_true(k->winners_input_grad(p, &back, c->w, gx));
    check_back("winners'", c, &all, bias, gx, NULL, NULL);
  }
  if (k->winners_suit_weight(p, &pool)) {
    winners_seen |= 2;
    assert_true(k->winners_weight_grad(p, c->x, &back, gw, gbias));
    check_back("winners'", c, &all, bias, NULL, gw, gbias);
  }
  check_guard(got, n), check_guard(gx, c->nx), check_guard(gw, c->nw), check_guard(gbias, p->k);
  free(y), free(want), free(got), free(g), free(through), free(gx), free(gw), free(gbias);
  free(at), free(want_at), free(all.y), free(all.gx), free(all.gw), free(bias);
}

/* The transposed convolution of g, with a bias for each channel of x, against the adjoint. */
static void check_transpose(const pl_conv_kernels *k, const conv_case *c) {
  const pl_conv *p = &c->p;
  if (!p->oh || !p->ow) return;
  pl_real *bias = pick(0, 3) ? random_array(p->c) : NULL, *y = array(c->nx);
  products all = {c->x,
                  c->w,
                  c->g,
                  calloc((size_t)c->ny + 1, sizeof(sum)),
                  calloc((size_t)c->nx + 1, sizeof(sum)),
                  calloc((size_t)c->nw + 1, sizeof(sum))};
  each_product(p, visit_product, &all);
  share_sizes(k, all.gx, c->nx);
  pl_conv_end end = end_of(c, bias);
  assert_true(k->conv_transpose(p, c->g, c->w, &end, y));
  for (int64_t i = 0; i < c->nx; i++) {
    if (bias) add_term(&all.gx[i], (double)bias[i / (p->h * p->w) % p->c]);
    all.gx[i].value = activated(c, (double)all.gx[i].value);
    check_sum("transposed y", c->text, i, (double)y[i], all.gx[i]);
  }
  check_guard(y, c->nx);
  free(y), free(bias);
  free(all.y), free(all.gx), free(all.gw);
}

/*
** The instruction sets
*/

static const struct {
  const char *name;
  const pl_conv_kernels *kernels;
} sets[] = {
    {"generic", &pl_conv_kernels_generic},
#ifdef PL_HAVE_X86
    {"avx2", &pl_conv_kernels_avx2},
    {"avx512", &pl_conv_kernels_avx512},
#endif
};
enum { SETS = sizeof sets / sizeof *sets };

static bool runs_here(const char *name) {
#ifdef PL_HAVE_X86
  if (!strcmp(name, "avx2")) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (!strcmp(name, "avx512"))
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
#endif
  return !strcmp(name, "generic");
}

static int fewer_seen; /* how often there were ways with fewer products */

static void check_conv_everywhere(pl_conv p) {
  conv_case c = conv_new(p);
  for (int i = 0; i < SETS; i++) {
    if (!runs_here(sets[i].name)) continue;
    check_conv(sets[i].kernels, &c), check_transpose(sets[i].kernels, &c);
    if (!sets[i].kernels->minimal_possible(&c.p)) continue;
    const pl_conv_kernels fewer = with_fewer(sets[i].kernels);
    check_conv(&fewer, &c), check_transpose(&fewer, &c);
    fewer_seen++;
  }
  conv_free(&c);
}

static void check_pooled_everywhere(pl_conv p, int64_t high, int64_t wide) {
  conv_case c = conv_new(p);
  for (int i = 0; i < SETS; i++) {
    if (!runs_here(sets[i].name)) continue;
    check_pooled(sets[i].kernels, &c, high, wide);
    if (!sets[i].kernels->minimal_possible(&c.p)) continue;
    const pl_conv_kernels fewer = with_fewer(sets[i].kernels);
    check_pooled(&fewer, &c, high, wide);
  }
  conv_free(&c);
}

/*
** Tests of convolution
*/

/* n c h w  k r s  stride padding dilation */
#define CONV(n, c, h, w, k, r, s, sy, sx, py, px, dy, dx) \
  ((pl_conv){n, c, h, w, k, r, s, 0, 0, {sy, sx}, {py, px}, {dy, dx}})

static void test_conv_networks(void **unused) {
  (void)unused;
  static const int64_t images[] = {1, 3, 19};
  for (int i = 0; i < 3; i++) {
    int64_t n = images[i];
    check_conv_everywhere(CONV(n, 1, 28, 28, 6, 5, 5, 1, 1, 2, 2, 1, 1));
    check_conv_everywhere(CONV(n, 6, 14, 14, 16, 5, 5, 1, 1, 0, 0, 1, 1));
    check_conv_everywhere(CONV(n, 1, 28, 28, 20, 5, 5, 2, 2, 2, 2, 1, 1));
    check_conv_everywhere(CONV(n, 20, 7, 7, 40, 5, 5, 2, 2, 2, 2, 1, 1));
    check_conv_everywhere(CONV(n, 16, 5, 5, 30, 5, 5, 1, 1, 0, 0, 1, 1));
    check_conv_everywhere(CONV(n, 3, 16, 16, 8, 3, 3, 1, 1, 1, 1, 1, 1));
    check_conv_everywhere(CONV(n, 17, 9, 9, 17, 1, 1, 1, 1, 0, 0, 1, 1));
  }
}

static void test_conv_channels(void **unused) {
  (void)unused;
  for (int64_t k = 1; k <= 20; k++)
    for (int64_t w = 3; w <= 19; w += 4)
      check_conv_everywhere(CONV(2, 21 - k, 4, w, k, 2, 3, 1, 1, 0, 1, 1, 1));
}

static void test_conv_random(void **unused) {
  (void)unused;
  for (int i = 0; i < 400; i++) {
    pl_conv p =
        CONV(pick(1, 4), pick(1, 20), pick(1, 12), pick(1, 34), pick(1, 20), pick(1, 5), pick(1, 5),
             pick(1, 4), pick(1, 4), pick(0, 4), pick(0, 4), pick(1, 3), pick(1, 3));
    check_conv_everywhere(p);
  }
}

/* Windows of up to three positions, or twice as many with a stride of two, and what is cut:
 * channels, groups of images and shares of them, in the middle of a slice of a product. */
static void test_conv_fewer(void **unused) {
  (void)unused;
  fewer_seen = 0;
  for (int i = 0; i < 150; i++) {
    int64_t sy = pick(1, 2), sx = pick(1, 2);
    check_conv_everywhere(CONV(pick(1, 3), pick(1, 18), pick(1, 10), pick(1, 10), pick(1, 36),
                               pick(1, 3 * sy), pick(1, 3 * sx), sy, sx, pick(0, 4), pick(0, 4), 1,
                               1));
  }
  check_conv_everywhere(CONV(2, 300, 5, 5, 3, 3, 3, 1, 1, 1, 1, 1, 1));
  check_conv_everywhere(CONV(2, 3, 7, 5, 300, 5, 5, 2, 2, 2, 2, 1, 1));
  check_conv_everywhere(CONV(90, 2, 20, 20, 3, 3, 3, 1, 1, 1, 1, 1, 1));
  check_conv_everywhere(CONV(40, 2, 20, 20, 20, 4, 4, 2, 2, 1, 1, 1, 1));
  assert_true(fewer_seen > 150);
}

/* What no window reads has no gradient at all. */
static void test_conv_unread(void **unused) {
  (void)unused;
  conv_case c = conv_new(CONV(3, 20, 10, 14, 20, 5, 3, 2, 2, 0, 0, 1, 1));
  pl_real *gx = array(c.nx);
  for (int set = 0; set < SETS; set++) {
    if (!runs_here(sets[set].name)) continue;
    const pl_conv_back back = {.g = c.g};
    assert_true(sets[set].kernels->minimal_input_grad(&c.p, &back, c.w, gx));
    for (int64_t i = 0; i < c.nx; i++)
      if (i % 14 == 13 || i / 14 % 10 == 9) assert_true(gx[i] == 0);
  }
  free(gx);
  conv_free(&c);
}

static void test_conv_corners(void **unused) {
  (void)unused;
  check_conv_everywhere(CONV(0, 2, 5, 5, 3, 3, 3, 1, 1, 0, 0, 1, 1)); /* no images */
  check_conv_everywhere(CONV(2, 2, 3, 3, 3, 5, 5, 1, 1, 0, 0, 1, 1)); /* no outputs */
  check_conv_everywhere(CONV(2, 2, 0, 5, 3, 1, 3, 1, 1, 2, 0, 1, 1)); /* padding only */
  check_conv_everywhere(CONV(2, 2, 3, 0, 40, 1, 1, 1, 1, 0, 5, 1, 1));
  check_conv_everywhere(CONV(2, 0, 5, 5, 3, 3, 3, 1, 1, 0, 0, 1, 1)); /* no channels */
  check_conv_everywhere(CONV(2, 2, 5, 5, 0, 3, 3, 1, 1, 0, 0, 1, 1));
  check_conv_everywhere(CONV(2, 3, 1, 1, 4, 1, 1, 7, 9, 5, 4, 1, 1));   /* all but one in padding */
  check_conv_everywhere(CONV(2, 3, 30, 40, 4, 2, 2, 7, 9, 0, 0, 1, 1)); /* strides beyond windows */
  check_conv_everywhere(CONV(1, 2, 3, 70, 3, 1, 33, 1, 1, 0, 0, 1, 2));
  check_conv_everywhere(CONV(1, 1, 2, 300, 2, 1, 3, 1, 1, 0, 1, 1, 1));
  check_conv_everywhere(CONV(1, 2, 40, 40, 33, 3, 3, 1, 1, 1, 1, 1, 1)); /* several passes */
  check_conv_everywhere(CONV(3, 70, 4, 4, 70, 3, 3, 2, 2, 1, 1, 1, 1));
}

static void test_conv_pooled(void **unused) {
  (void)unused;
  winners_seen = 0;
  for (int64_t n = 1; n <= 19; n += 9) {
    check_pooled_everywhere(CONV(n, 1, 28, 28, 6, 5, 5, 1, 1, 2, 2, 1, 1), 2, 2);
    check_pooled_everywhere(CONV(n, 6, 14, 14, 16, 5, 5, 1, 1, 0, 0, 1, 1), 2, 2);
    check_pooled_everywhere(CONV(n, 3, 17, 15, 20, 7, 7, 1, 1, 3, 3, 1, 1), 2, 2);
    check_pooled_everywhere(CONV(n, 3, 17, 15, 20, 3, 3, 1, 1, 1, 1, 1, 1), 3, 3);
    check_pooled_everywhere(CONV(n, 5, 9, 13, 40, 4, 3, 1, 1, 1, 1, 1, 1), 2, 2);
  }
  check_pooled_everywhere(CONV(0, 2, 5, 5, 3, 3, 3, 1, 1, 0, 0, 1, 1), 2, 2); /* no images */
  check_pooled_everywhere(CONV(2, 2, 5, 5, 3, 2, 3, 1, 1, 3, 4, 1, 1), 2, 3); /* much padding */
  check_pooled_everywhere(CONV(1, 2, 40, 40, 33, 3, 3, 1, 1, 1, 1, 1, 1), 2,
                          2); /* several passes */
  for (int i = 0; i < 400; i++) {
    pl_conv p =
        CONV(pick(1, 4), pick(1, 6), pick(1, 12), pick(1, 34), pick(1, 20), pick(1, 6), pick(1, 5),
             pick(1, 2), pick(1, 2), pick(0, 3), pick(0, 3), pick(1, 2), pick(1, 2));
    check_pooled_everywhere(p, pick(1, 3), pick(1, 3));
  }
  assert_int_equal(winners_seen, 3);
}

/* All results of a case, side by side; the last ones are those through pooling. */
static pl_real *conv_bits(const pl_conv_kernels *k, const conv_case *c, int threads) {
  const pl_conv *p = &c->p;
  pl_pool pool = pool_of(p, 2, 2);
  int64_t back_size = c->nx + c->nw + p->k, pooled = pool.planes * pool.oh * pool.ow;
  pl_real *all = array(c->ny + 2 * back_size + pooled);
  pl_real *gx = all + c->ny, *gw = gx + c->nx, *y = gw + c->nw + p->k;
  int32_t *at = calloc((size_t)pooled, sizeof *at);
  omp_set_num_threads(threads);
  pl_conv_end end = end_of(c, c->bias);
  pl_conv_back back = {.g = c->g, .y = all, .slope = c->slope};
  assert_true(k->conv_forward(p, c->x, c->w, &end, all));
  assert_true(k->conv_input_grad(p, &back, c->w, gx));
  assert_true(k->conv_weight_grad(p, c->x, &back, gw, gw + c->nw));
  end.pool = back.pool = &pool, back.at = end.at = at, back.y = y;
  gx = y + pooled, gw = gx + c->nx;
  assert_true(k->conv_forward(p, c->x, c->w, &end, y));
  assert_true((k->winners_suit_input(p, &pool) ? k->winners_input_grad : k->conv_input_grad)(
      p, &back, c->w, gx));
  assert_true((k->winners_suit_weight(p, &pool) ? k->winners_weight_grad : k->conv_weight_grad)(
      p, c->x, &back, gw, gw + c->nw));
  free(at);
  return all;
}

static void check_bits(const pl_conv_kernels *k, const conv_case *c, size_t bytes) {
  pl_real *one = conv_bits(k, c, 1);
  for (int threads = 2; threads <= 5; threads++) {
    pl_real *more = conv_bits(k, c, threads);
    if (memcmp(one, more, bytes) != 0) fail_msg("%s: %d threads give other bits", c->text, threads);
    free(more);
  }
  free(one);
}

static void test_conv_threads(void **unused) {
  (void)unused;
  static const pl_conv shapes[] = {CONV(9, 1, 28, 28, 6, 5, 5, 1, 1, 2, 2, 1, 1),
                                   CONV(20, 6, 14, 14, 16, 5, 5, 1, 1, 0, 0, 1, 1),
                                   CONV(5, 17, 7, 7, 70, 5, 5, 2, 2, 2, 2, 1, 1),
                                   CONV(1, 20, 9, 9, 40, 3, 3, 1, 1, 1, 1, 1, 1),
                                   CONV(90, 3, 16, 16, 70, 3, 3, 1, 1, 1, 1, 1, 1)};
  int before = omp_get_max_threads();
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    conv_case c = conv_new(shapes[i]);
    pl_pool pool = pool_of(&c.p, 2, 2);
    int64_t back_size = c.nx + c.nw + c.p.k, pooled = pool.planes * pool.oh * pool.ow;
    size_t bytes = (size_t)(c.ny + 2 * back_size + pooled) * sizeof(pl_real);
    for (int set = 0; set < SETS; set++) {
      if (!runs_here(sets[set].name)) continue;
      const pl_conv_kernels *k = sets[set].kernels, fewer = with_fewer(k);
      check_bits(k, &c, bytes);
      if (k->minimal_possible(&c.p)) check_bits(&fewer, &c, bytes);
    }
    conv_free(&c);
  }
  omp_set_num_threads(before);
}

static void test_conv_nan(void **unused) {
  (void)unused;
  for (int set = 0; set < SETS; set++) {
    if (!runs_here(sets[set].name)) continue;
    conv_case c = conv_new(CONV(2, 3, 10, 10, 5, 3, 3, 1, 1, 0, 0, 1, 1));
    pl_real *y = array(c.ny);
    c.x[c.nx - 1] = NAN;
    for (int act = 0; act < 3; act++) {
      pl_conv_end end = {.act = (pl_activation)act};
      assert_true(sets[set].kernels->conv_forward(&c.p, c.x, c.w, &end, y));
      assert_true(isnan((double)y[c.ny - 1]) && !isnan((double)y[0]));
    }
    free(y);
    conv_free(&c);
  }
}

/*
** Pooling
*/

static bool better(pl_real a, pl_real best) { return a > best || (isnan(a) && !isnan(best)); }

static void check_max_pool(const pl_conv_kernels *k, const pl_pool *p, const pl_real *x,
                           const pl_real *g) {
  int64_t in = p->h * p->w, out = p->oh * p->ow, ny = p->planes * out, nx = p->planes * in;
  pl_real *y = array(ny), *gx = array(nx);
  int32_t *at = malloc((size_t)(ny + 1) * sizeof *at);
  double *want = calloc((size_t)nx + 1, sizeof *want);
  at[ny] = 77;
  k->max_pool(p, p->planes, x, y, at);
  for (int64_t i = 0; i < ny; i++) {
    const pl_real *plane = x + i / out * in;
    int64_t best = -1;
    for (int64_t t = 0; t < p->size[0] * p->size[1]; t++) {
      int64_t iy = i % out / p->ow * p->stride[0] - p->pad[0] + t / p->size[1];
      int64_t ix = i % p->ow * p->stride[1] - p->pad[1] + t % p->size[1];
      if (iy < 0 || iy >= p->h || ix < 0 || ix >= p->w) continue;
      if (best < 0 || better(plane[iy * p->w + ix], plane[best])) best = iy * p->w + ix;
    }
    assert_int_equal(at[i], best + 1);
    assert_memory_equal(&y[i], &plane[best], sizeof *y);
    want[i / out * in + best] += (double)g[i];
  }
  k->max_pool_grad(p, p->planes, g, at, gx);
  for (int64_t i = 0; i < nx; i++)
    check_sum("max_pool", "gx", i, (double)gx[i], (sum){want[i], fabs(want[i])});
  assert_int_equal(at[ny], 77);
  check_guard(y, ny), check_guard(gx, nx);
  free(y), free(gx), free(at), free(want);
}

static void check_avg_pool(const pl_conv_kernels *k, const pl_pool *p, const pl_real *x,
                           const pl_real *g) {
  int64_t in = p->h * p->w, out = p->oh * p->ow, ny = p->planes * out, nx = p->planes * in;
  pl_real *y = array(ny), *gx = array(nx);
  sum *back = calloc((size_t)(nx > 0 ? nx : 0) + 1, sizeof *back); /* gcc 14 thinks of nx < 0 */
  double area = (double)(p->size[0] * p->size[1]);
  k->avg_pool(p, x, y);
  for (int64_t i = 0; i < ny; i++) {
    sum mean = {0, 0};
    for (int64_t t = 0; t < p->size[0] * p->size[1]; t++) {
      int64_t iy = i % out / p->ow * p->stride[0] - p->pad[0] + t / p->size[1];
      int64_t ix = i % p->ow * p->stride[1] - p->pad[1] + t % p->size[1];
      if (iy < 0 || iy >= p->h || ix < 0 || ix >= p->w) continue;
      add_term(&mean, (double)x[i / out * in + iy * p->w + ix] / area);
      add_term(&back[i / out * in + iy * p->w + ix], (double)g[i] / area);
    }
    check_sum("avg_pool", "y", i, (double)y[i], mean);
  }
  k->avg_pool_grad(p, g, gx);
  for (int64_t i = 0; i < nx; i++) check_sum("avg_pool", "gx", i, (double)gx[i], back[i]);
  check_guard(y, ny), check_guard(gx, nx);
  free(y), free(gx), free(back);
}

static void check_pool(pl_pool p, bool nan) {
  p.oh = out_size(p.h, p.size[0], p.stride[0], p.pad[0], 1);
  p.ow = out_size(p.w, p.size[1], p.stride[1], p.pad[1], 1);
  int64_t nx = p.planes * p.h * p.w;
  pl_real *x = random_array(nx), *g = random_array(p.planes * p.oh * p.ow);
  for (int i = 0; i < SETS; i++)
    if (runs_here(sets[i].name)) check_avg_pool(sets[i].kernels, &p, x, g);
  for (int64_t i = 0; i < nx; i++) x[i] = (pl_real)pick(-4, 4); /* many equals */
  for (int64_t i = 0; nan && i < nx; i += 3) x[i] = NAN;
  for (int i = 0; i < SETS; i++)
    if (runs_here(sets[i].name)) check_max_pool(sets[i].kernels, &p, x, g);
  free(x);
  free(g);
}

static void test_pool_two_by_two(void **unused) {
  (void)unused;
  for (int64_t h = 1; h <= 9; h++)
    for (int64_t w = 1; w <= 40; w++)
      check_pool((pl_pool){pick(1, 7), h, w, 0, 0, {2, 2}, {2, 2}, {0, 0}}, w % 3 == 0);
  check_pool((pl_pool){300, 28, 28, 0, 0, {2, 2}, {2, 2}, {0, 0}}, false);
  check_pool((pl_pool){700, 10, 10, 0, 0, {2, 2}, {2, 2}, {0, 0}}, true);
}

static void test_pool_random(void **unused) {
  (void)unused;
  check_pool((pl_pool){0, 4, 4, 0, 0, {2, 2}, {2, 2}, {0, 0}}, false);
  check_pool((pl_pool){2, 4, 4, 0, 0, {5, 5}, {1, 1}, {0, 0}}, false);
  for (int i = 0; i < 200; i++) {
    pl_pool p = {pick(1, 5),
                 pick(1, 12),
                 pick(1, 20),
                 0,
                 0,
                 {pick(1, 4), pick(1, 4)},
                 {pick(1, 3), pick(1, 3)},
                 {0, 0}};
    for (int d = 0; d < 2; d++) p.pad[d] = pick(0, p.size[d] - 1);
    check_pool(p, i % 4 == 0);
  }
}

/*
** Passes over a channel
*/

/* The channel is the second of three. */
static void check_channel(const pl_conv_kernels *k, pl_channel c, pl_real slope, bool winners) {
  int64_t inner = c.inner, step = c.step = 3 * inner, all = c.n * step, outputs = inner / 2;
  int64_t g_step = winners ? 3 * outputs : step;
  pl_real *x = random_array(all), *g = random_array(all), *y = array(all), *gx = array(all);
  pl_real *best = array(all);
  double *through = calloc((size_t)all + 1, sizeof *through);
  int32_t *at = calloc((size_t)all + 1, sizeof *at);
  pl_channel_back b = {.g = g + (winners ? outputs : inner),
                       .x = x + inner,
                       .y = best + outputs,
                       .winners = outputs,
                       .g_step = g_step,
                       .scale = (pl_real)-1.5,
                       .shift = (pl_real)0.125,
                       .slope = slope,
                       .mean = (pl_real)0.25};
  if (winners) b.at = at + outputs;
  sum total = {0, 0}, squares = {0, 0}, back = {0, 0}, dot = {0, 0};
  for (int64_t i = 0; i < all; i++) y[i] = gx[i] = guard_value;
  for (int64_t i = 0; i < c.n; i++)
    for (int64_t j = 0; j < (winners ? outputs : inner); j++) {
      int64_t here = i * step + (winners ? 2 * j + pick(0, 1) : j), from = i * g_step + j;
      if (winners) at[outputs + from] = (int32_t)(here - i * step) + 1;
      best[outputs * winners + from] = b.x[here] * b.scale + b.shift;
      bool above = b.slope == 1 || (double)b.x[here] * -1.5 + 0.125 > 0;
      through[here] = (double)b.g[from] * (above ? 1 : (double)slope);
      add_term(&back, through[here]);
      add_term(&dot, through[here] * ((double)b.x[here] - 0.25));
    }
  double got, got_dot;
  k->channel_dots(c, &b, &got, &got_dot);
  check_sum("dots", "sum", inner, got, back);
  check_sum("dots", "dot", inner, got_dot, dot);
  k->channel_scale(c, b.x, b.scale, b.shift, slope, y + inner, step);
  k->channel_blend(c, &b, 2, 3, (pl_real)0.5, gx + inner);
  for (int64_t i = 0; i < all; i++) {
    double v = (double)x[i] * -1.5 + 0.125, act = v < 0 ? v * (double)slope : v;
    double want = i < inner ? 0 : 2 * through[i - inner] + 3 * (double)x[i] + 0.5;
    bool mine = i / inner % 3 == 1;
    check_sum("scale", "y", i, (double)y[i], (sum){mine ? act : (double)guard_value, 2});
    check_sum("blend", "gx", i, (double)gx[i], (sum){mine ? want : (double)guard_value, 9});
    if (!mine) continue;
    add_term(&total, (double)x[i]);
    add_term(&squares, ((double)x[i] - 0.25) * ((double)x[i] - 0.25));
  }
  check_sum("channel", "sum", inner, k->channel_sum(c, b.x), total);
  check_sum("channel", "squares", inner, k->channel_squares(c, b.x, b.mean), squares);
  free(x), free(g), free(y), free(gx), free(best), free(through), free(at);
}

static void test_channels(void **unused) {
  (void)unused;
  static const int64_t long_runs[] = {784, 4096, 4097, 9000};
  for (int set = 0; set < SETS; set++) {
    if (!runs_here(sets[set].name)) continue;
    for (int64_t inner = 1; inner <= 140; inner++)
      for (int i = 0; i < 6; i++)
        check_channel(sets[set].kernels, (pl_channel){pick(1, 4), inner, 0}, (pl_real)(i % 3) / 2,
                      i >= 3);
    for (int i = 0; i < 4; i++)
      check_channel(sets[set].kernels, (pl_channel){3, long_runs[i], 0}, 0, i % 2);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_conv_networks),   cmocka_unit_test(test_conv_channels),
      cmocka_unit_test(test_conv_random),     cmocka_unit_test(test_conv_corners),
      cmocka_unit_test(test_conv_fewer),      cmocka_unit_test(test_conv_unread),
      cmocka_unit_test(test_conv_pooled),     cmocka_unit_test(test_conv_threads),
      cmocka_unit_test(test_conv_nan),        cmocka_unit_test(test_channels),
      cmocka_unit_test(test_pool_two_by_two), cmocka_unit_test(test_pool_random),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
