/*
** test_conv.c: the convolution and pooling kernels of every instruction set that this
** processor has, against plain loops in higher precision, over odd shapes; and that the
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

#include "base/base.h"
#include "kernels/dispatch.h"
#include "passive.h"

/* More exact than what is tested. */
#ifdef PL_REAL_IS_DOUBLE
#define EPSILON DBL_EPSILON
typedef long double wide;
#else
#define EPSILON FLT_EPSILON
typedef double wide;
#endif

enum { GUARD = 64 }; /* elements behind an array that nobody may write */
static const pl_real guard_value = 12345;

/*
** Numbers
*/

static uint64_t state = 1;

static int64_t pick(int64_t low, int64_t high) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return low + (int64_t)((state >> 33) % (uint64_t)(high - low + 1));
}

/* n elements and one more, so that there is always an array. */
static void *zeros(int64_t n, size_t size) {
  assert_true(n >= 0);
  void *a = calloc((size_t)n + 1, size);
  assert_non_null(a);
  return a;
}

static pl_real *array(int64_t n) {
  pl_real *a = zeros(n + GUARD, sizeof *a);
  for (int64_t i = 0; i < n + GUARD; i++) a[i] = guard_value;
  return a;
}

/* Exactly n elements, so that a sanitizer sees a read past them. */
static pl_real *random_array(int64_t n) {
  pl_real *a = malloc((size_t)(n > 0 ? n : 1) * sizeof *a);
  assert_non_null(a);
  for (int64_t i = 0; i < n; i++) a[i] = (pl_real)pick(-1000, 1000) / 500;
  return a;
}

static void check_guard(const pl_real *a, int64_t n) {
  for (int64_t i = n; i < n + GUARD; i++) assert_true(a[i] == guard_value);
}

/* Sums, and the sums of their terms' sizes, which bound the rounding errors. */
typedef struct {
  int64_t n;
  wide *value;
  double *size;
} sums;

static sums sums_new(int64_t n) {
  return (sums){n, zeros(n, sizeof(wide)), zeros(n, sizeof(double))};
}

static void sums_free(sums *s) { free(s->value), free(s->size); }

static void add_term(sums *s, int64_t i, double term) {
  s->value[i] += (wide)term;
  s->size[i] += fabs(term);
}

static bool is_close(double got, wide want, double size) {
  return fabsl((long double)got - (long double)want) <= 8 * EPSILON * ((long double)size + 1);
}

/* shared: rounding errors are as large everywhere as where the terms are largest (Winograd). */
static void check_sums(const char *what, const char *shape, const pl_real *got, const sums *want,
                       bool shared) {
  double most = 0;
  for (int64_t i = 0; shared && i < want->n; i++) most = fmax(most, 2 * want->size[i]);
  for (int64_t i = 0; i < want->n; i++)
    if (!is_close((double)got[i], want->value[i], shared ? most : want->size[i]))
      fail_msg("%s %s: element %lld is %.9g, expected %.9g", what, shape, (long long)i,
               (double)got[i], (double)want->value[i]);
}

/*
** Plain convolutions
*/

/* A convolution and what it reads. */
typedef struct {
  pl_conv p;
  pl_real *x, *w, *bias, *bias_back, *g; /* biases: of the result, of the images, or NULL */
  int64_t nx, nw, ny;
  pl_real slope;
  char text[160];
} conv_case;

static int64_t out_size(int64_t n, int64_t window, int64_t stride, int64_t pad, int64_t dil) {
  int64_t room = n + 2 * pad - dil * (window - 1) - 1;
  return room < 0 ? 0 : room / stride + 1;
}

static conv_case conv_new(pl_conv p) {
  static const pl_real slopes[] = {1, 0, (pl_real)0.25};
  p.oh = out_size(p.h, p.r, p.stride[0], p.pad[0], p.dil[0]);
  p.ow = out_size(p.w, p.s, p.stride[1], p.pad[1], p.dil[1]);
  conv_case c = {.p = p, .slope = slopes[pick(0, 2)]};
  c.nx = p.n * p.c * p.h * p.w;
  c.nw = p.k * p.c * p.r * p.s;
  c.ny = p.n * p.k * p.oh * p.ow;
  c.x = random_array(c.nx);
  c.w = random_array(c.nw);
  c.bias = pick(0, 3) ? random_array(p.k) : NULL;
  c.bias_back = pick(0, 3) ? random_array(p.c) : NULL;
  c.g = random_array(c.ny);
  snprintf(c.text, sizeof c.text,
           "x[%d,%d,%d,%d] w[%d,.,%d,%d] stride %d,%d padding %d,%d dilation %d,%d slope %g",
           (int)p.n, (int)p.c, (int)p.h, (int)p.w, (int)p.k, (int)p.r, (int)p.s, (int)p.stride[0],
           (int)p.stride[1], (int)p.pad[0], (int)p.pad[1], (int)p.dil[0], (int)p.dil[1],
           (double)c.slope);
  return c;
}

static void conv_free(conv_case *c) {
  free(c->x), free(c->w), free(c->bias), free(c->bias_back), free(c->g);
}

/* y[i dy] += x[i dx] w for n elements: a row of one tap. */
static void add_row(int64_t n, wide *restrict y, double *restrict size, int64_t dy,
                    const pl_real *restrict x, int64_t dx, pl_real w) {
  for (int64_t i = 0; i < n; i++) {
    const wide term = (wide)x[i * dx] * (wide)w;
    y[i * dy] += term;
    size[i * dy] += fabs((double)term);
  }
}

static void add_dot(int64_t n, wide *y, double *size, const pl_real *restrict a,
                    const pl_real *restrict x, int64_t dx) {
  wide sum = 0;
  double total = 0;
  for (int64_t i = 0; i < n; i++) {
    const wide term = (wide)a[i] * (wide)x[i * dx];
    sum += term;
    total += fabs((double)term);
  }
  *y += sum;
  *size += total;
}

/* The rows of outputs that a tap reads within the image; at is where the first one reads. */
typedef struct {
  int64_t first, n, at, step;
} overlap;

static overlap overlap_of(const pl_conv *p, int axis, int64_t tap) {
  const int64_t size = axis ? p->w : p->h, outputs = axis ? p->ow : p->oh;
  overlap o = {.step = p->stride[axis]};
  for (int64_t i = 0; i < outputs; i++) {
    const int64_t at = i * o.step - p->pad[axis] + tap * p->dil[axis];
    if (at < 0 || at >= size) continue;
    if (!o.n++) o.first = i, o.at = at;
  }
  return o;
}

/* y += conv(x, w), gx += its adjoint of g, gw += that for the weights; NULL: not wanted. */
static void convolve(const conv_case *c, const pl_real *g, sums *y, sums *gx, sums *gw) {
  const pl_conv *p = &c->p;
  for (int64_t t = 0; t < p->k * p->c * p->r * p->s; t++) {
    const overlap rows = overlap_of(p, 0, t / p->s % p->r), cols = overlap_of(p, 1, t % p->s);
    const int64_t channel = t / p->s / p->r % p->c, k = t / p->s / p->r / p->c;
    for (int64_t n = 0; n < p->n; n++)
      for (int64_t i = 0; i < rows.n; i++) {
        const int64_t out = ((n * p->k + k) * p->oh + rows.first + i) * p->ow + cols.first;
        const int64_t in = ((n * p->c + channel) * p->h + rows.at + i * rows.step) * p->w + cols.at;
        if (y) add_row(cols.n, y->value + out, y->size + out, 1, c->x + in, cols.step, c->w[t]);
        if (gx) add_row(cols.n, gx->value + in, gx->size + in, cols.step, g + out, 1, c->w[t]);
        if (gw) add_dot(cols.n, gw->value + t, gw->size + t, g + out, c->x + in, cols.step);
      }
  }
}

/* The epilogue: planes of `plane` elements, of as many channels as there are biases. */
static void finish(sums *s, const pl_real *bias, int64_t channels, int64_t plane, pl_real slope) {
  for (int64_t i = 0; i < s->n; i++) {
    if (bias) add_term(s, i, (double)bias[i / plane % channels]);
    if (s->value[i] < 0) s->value[i] *= (wide)slope;
  }
}

/* What all kernels should give for a case, and what they are told of the result. */
typedef struct {
  sums y, gx, gw, gbias, transposed;
  pl_real *seen; /* the result as the gradients see it */
} expected;

/* g through the activation's derivative. */
static pl_real *mask_gradient(const pl_real *g, const pl_real *y, int64_t n, pl_real slope) {
  pl_real *masked = array(n);
  for (int64_t i = 0; i < n; i++) masked[i] = y[i] > 0 ? g[i] : slope * g[i];
  return masked;
}

static pl_real *rounded(const sums *s) {
  pl_real *y = array(s->n);
  for (int64_t i = 0; i < s->n; i++) y[i] = (pl_real)s->value[i];
  return y;
}

/* The gradients for g. */
static void expect_gradients(const conv_case *c, const pl_real *g, expected *e) {
  const int64_t plane = c->p.oh * c->p.ow;
  e->gx = sums_new(c->nx), e->gw = sums_new(c->nw), e->gbias = sums_new(c->p.k);
  convolve(c, g, NULL, &e->gx, &e->gw);
  for (int64_t i = 0; i < c->ny; i++) add_term(&e->gbias, i / plane % c->p.k, (double)g[i]);
}

static expected expect(const conv_case *c) {
  const pl_conv *p = &c->p;
  expected e = {.y = sums_new(c->ny), .transposed = sums_new(c->nx)};
  convolve(c, c->g, &e.y, &e.transposed, NULL);
  finish(&e.y, c->bias, p->k, p->oh * p->ow, c->slope);
  finish(&e.transposed, c->bias_back, p->c, p->h * p->w, c->slope);
  e.seen = rounded(&e.y);
  pl_real *g = mask_gradient(c->g, e.seen, c->ny, c->slope);
  expect_gradients(c, g, &e);
  free(g);
  return e;
}

static void expected_free(expected *e) {
  sums_free(&e->y), sums_free(&e->transposed);
  sums_free(&e->gx), sums_free(&e->gw), sums_free(&e->gbias);
  free(e->seen);
}

/* What flows back, seen by a result y. */
static pl_prologue prologue_of(const conv_case *c, const pl_real *y) {
  return (pl_prologue){.g = c->g, .y = c->slope == 1 ? NULL : y, .slope = c->slope};
}

static void check_gradients(const char *what, const pl_conv_kernels *k, const conv_case *c,
                            const pl_prologue *back, const expected *e, bool input, bool weight,
                            bool shared) {
  pl_real *gx = array(c->nx), *gw = array(c->nw), *gbias = array(c->p.k);
  char text[200];
  snprintf(text, sizeof text, "%s %s", what, c->text);
  if (input) {
    assert_true(k->input_grad(&c->p, back, c->w, gx));
    check_sums("gx", text, gx, &e->gx, shared);
  }
  if (weight) {
    assert_true(k->weight_grad(&c->p, c->x, back, gw, gbias));
    check_sums("gw", text, gw, &e->gw, shared);
    check_sums("gbias", text, gbias, &e->gbias, false);
  }
  check_guard(gx, c->nx), check_guard(gw, c->nw), check_guard(gbias, c->p.k);
  free(gx), free(gw), free(gbias);
}

/* shared: as in check_sums. */
static void check_conv(const pl_conv_kernels *k, const conv_case *c, const expected *e,
                       bool shared) {
  const pl_conv *p = &c->p;
  const pl_epilogue forward = {.bias = c->bias, .slope = c->slope};
  const pl_epilogue back = {.bias = c->bias_back, .slope = c->slope};
  const pl_prologue prologue = prologue_of(c, e->seen);
  pl_real *y = array(c->ny), *x = array(c->nx);
  assert_true(k->forward(p, c->x, c->w, &forward, y));
  check_sums("y", c->text, y, &e->y, shared);
  check_gradients("", k, c, &prologue, e, true, true, shared);
  if (p->oh && p->ow) {
    assert_true(k->transpose(p, c->g, c->w, &back, x));
    check_sums("transposed y", c->text, x, &e->transposed, shared);
  }
  check_guard(y, c->ny), check_guard(x, c->nx);
  free(y), free(x);
}

/*
** A convolution and the pooling after it in one: the same bits as one after the other, and the
** gradients of what the pooling gives back, by all multiply-adds and by the sparse ones alone.
*/

static pl_pool pool_of(const pl_conv *p, int64_t high, int64_t wide_) {
  return (pl_pool){p->n * p->k,   p->oh,         p->ow,         p->oh / high,
                   p->ow / wide_, {high, wide_}, {high, wide_}, {0, 0}};
}

static int sparse_seen; /* which sparse kernels were called */

static void check_pooled_forward(const pl_kernels *set, const pl_conv_kernels *k,
                                 const conv_case *c, const pl_pool *pool) {
  const int64_t n = pool->planes * pool->oh * pool->ow;
  pl_real *y = array(c->ny), *want = array(n), *got = array(n);
  int32_t *at = zeros(n, sizeof *at), *want_at = zeros(n, sizeof *at);
  pl_epilogue e = {.bias = c->bias, .slope = c->slope};
  assert_true(k->forward(&c->p, c->x, c->w, &e, y));
  set->pool->max_pool(pool, pool->planes, y, want, want_at);
  e.pool = pool, e.argmax = at;
  assert_true(k->forward(&c->p, c->x, c->w, &e, got));
  assert_memory_equal(want, got, (size_t)n * sizeof *got);
  assert_memory_equal(want_at, at, (size_t)n * sizeof *at);
  check_guard(got, n);
  free(y), free(want), free(got), free(at), free(want_at);
}

static void check_pooled(const pl_kernels *set, const conv_case *c, const pl_pool *pool,
                         const pl_prologue *back, const expected *e) {
  check_pooled_forward(set, set->direct, c, pool);
  check_gradients("pooled", set->direct, c, back, e, true, true, false);
  if (pl_conv_winograd_possible(&c->p, set->lanes)) {
    check_pooled_forward(set, set->winograd, c, pool);
    check_gradients("pooled", set->winograd, c, back, e, true, true, true);
  }
  const bool input = pl_conv_sparse_input_possible(&c->p, pool, set->lanes);
  const bool weight = pl_conv_sparse_weight_possible(&c->p, pool, set->lanes);
  sparse_seen |= input | weight << 1;
  check_gradients("sparse", set->sparse, c, back, e, input, weight, false);
}

/*
** The instruction sets
*/

static int winograd_seen; /* how often it was possible */

static void check_conv_everywhere(pl_conv p) {
  conv_case c = conv_new(p);
  expected e = expect(&c);
  const pl_kernels *set;
  for (int i = 0; (set = pl_kernels_at(i)); i++) {
    check_conv(set->direct, &c, &e, false);
    if (!pl_conv_winograd_possible(&c.p, set->lanes)) continue;
    check_conv(set->winograd, &c, &e, true);
    winograd_seen++;
  }
  expected_free(&e);
  conv_free(&c);
}

/* The gradients see the maxima of the expected result. */
static void check_pooled_everywhere(pl_conv p, int64_t high, int64_t wide_) {
  conv_case c = conv_new(p);
  const pl_pool pool = pool_of(&c.p, high, wide_);
  const int64_t n = pool.planes * pool.oh * pool.ow;
  const pl_kernels *set = pl_kernels_at(0);
  if (n) {
    expected e = {.y = sums_new(c.ny)};
    convolve(&c, NULL, &e.y, NULL, NULL);
    finish(&e.y, c.bias, c.p.k, c.p.oh * c.p.ow, c.slope);
    pl_real *y = rounded(&e.y), *g = array(c.ny);
    int32_t *at = zeros(n, sizeof *at);
    e.seen = array(n);
    set->pool->max_pool(&pool, pool.planes, y, e.seen, at);
    pl_real *masked = mask_gradient(c.g, e.seen, n, c.slope);
    set->pool->max_pool_grad(&pool, pool.planes, masked, at, g);
    expect_gradients(&c, g, &e);
    pl_prologue back = prologue_of(&c, e.seen);
    back.pool = &pool, back.argmax = at;
    for (int i = 0; (set = pl_kernels_at(i)); i++) check_pooled(set, &c, &pool, &back, &e);
    free(y), free(g), free(masked), free(at);
    expected_free(&e);
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

/* Windows of up to three taps, or twice as many with a stride of two, and what is cut: channels,
 * groups of images and shares of them, in the middle of a slice of a product. */
static void test_conv_winograd(void **unused) {
  (void)unused;
  winograd_seen = 0;
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
  assert_true(winograd_seen > 150);
}

/* What no window reads has no gradient at all. */
static void test_conv_unread(void **unused) {
  (void)unused;
  conv_case c = conv_new(CONV(3, 20, 10, 14, 20, 5, 3, 2, 2, 0, 0, 1, 1));
  pl_real *gx = array(c.nx);
  const pl_kernels *set;
  for (int i = 0; (set = pl_kernels_at(i)); i++) {
    const pl_prologue back = {.g = c.g};
    assert_true(set->winograd->input_grad(&c.p, &back, c.w, gx));
    for (int64_t j = 0; j < c.nx; j++)
      if (j % 14 == 13 || j / 14 % 10 == 9) assert_true(gx[j] == 0);
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
  sparse_seen = 0;
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
  assert_int_equal(sparse_seen, 3);
}

/* All results of a case, side by side; the last ones are those through pooling. */
static int64_t bits_size(const conv_case *c, const pl_pool *pool) {
  return c->ny + 2 * (c->nx + c->nw + c->p.k) + pool->planes * pool->oh * pool->ow;
}

static pl_real *conv_bits(const pl_kernels *set, const pl_conv_kernels *k, const conv_case *c,
                          int threads) {
  const pl_conv *p = &c->p;
  const pl_pool pool = pool_of(p, 2, 2);
  const int64_t pooled = pool.planes * pool.oh * pool.ow;
  const bool input = pl_conv_sparse_input_possible(p, &pool, set->lanes);
  const bool weight = pl_conv_sparse_weight_possible(p, &pool, set->lanes);
  pl_real *all = array(bits_size(c, &pool));
  pl_real *gx = all + c->ny, *gw = gx + c->nx, *y = gw + c->nw + p->k;
  int32_t *at = zeros(pooled, sizeof *at);
  omp_set_num_threads(threads);
  pl_epilogue e = {.bias = c->bias, .slope = c->slope};
  pl_prologue back = prologue_of(c, all);
  assert_true(k->forward(p, c->x, c->w, &e, all));
  assert_true(k->input_grad(p, &back, c->w, gx));
  assert_true(k->weight_grad(p, c->x, &back, gw, gw + c->nw));
  back = prologue_of(c, y);
  e.pool = back.pool = &pool, back.argmax = e.argmax = at;
  gx = y + pooled, gw = gx + c->nx;
  assert_true(k->forward(p, c->x, c->w, &e, y));
  assert_true((input ? set->sparse : k)->input_grad(p, &back, c->w, gx));
  assert_true((weight ? set->sparse : k)->weight_grad(p, c->x, &back, gw, gw + c->nw));
  free(at);
  return all;
}

static void check_bits(const pl_kernels *set, const pl_conv_kernels *k, const conv_case *c) {
  const pl_pool pool = pool_of(&c->p, 2, 2);
  const size_t bytes = (size_t)bits_size(c, &pool) * sizeof(pl_real);
  pl_real *one = conv_bits(set, k, c, 1);
  for (int threads = 2; threads <= 5; threads++) {
    pl_real *more = conv_bits(set, k, c, threads);
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
    const pl_kernels *set;
    for (int j = 0; (set = pl_kernels_at(j)); j++) {
      check_bits(set, set->direct, &c);
      if (pl_conv_winograd_possible(&c.p, set->lanes)) check_bits(set, set->winograd, &c);
    }
    conv_free(&c);
  }
  omp_set_num_threads(before);
}

static void test_conv_nan(void **unused) {
  (void)unused;
  const pl_kernels *set;
  for (int i = 0; (set = pl_kernels_at(i)); i++) {
    conv_case c = conv_new(CONV(2, 3, 10, 10, 5, 3, 3, 1, 1, 0, 0, 1, 1));
    pl_real *y = array(c.ny);
    c.x[c.nx - 1] = NAN;
    for (int act = 0; act < 3; act++) {
      const pl_epilogue e = {.slope = (pl_real)act / 2};
      assert_true(set->direct->forward(&c.p, c.x, c.w, &e, y));
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

static void check_max_pool(const pl_pool_kernels *k, const pl_pool *p, const pl_real *x,
                           const pl_real *g) {
  int64_t in = p->h * p->w, out = p->oh * p->ow, ny = p->planes * out, nx = p->planes * in;
  pl_real *y = array(ny), *gx = array(nx);
  int32_t *at = zeros(ny, sizeof *at);
  double *want = zeros(nx, sizeof *want);
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
    assert_true(is_close((double)gx[i], (wide)want[i], fabs(want[i])));
  assert_int_equal(at[ny], 77);
  check_guard(y, ny), check_guard(gx, nx);
  free(y), free(gx), free(at), free(want);
}

static void check_avg_pool(const pl_pool_kernels *k, const pl_pool *p, const pl_real *x,
                           const pl_real *g) {
  int64_t in = p->h * p->w, out = p->oh * p->ow, ny = p->planes * out, nx = p->planes * in;
  pl_real *y = array(ny), *gx = array(nx);
  sums mean = sums_new(ny), back = sums_new(nx);
  double area = (double)(p->size[0] * p->size[1]);
  k->avg_pool(p, x, y);
  for (int64_t i = 0; i < ny; i++) {
    for (int64_t t = 0; t < p->size[0] * p->size[1]; t++) {
      int64_t iy = i % out / p->ow * p->stride[0] - p->pad[0] + t / p->size[1];
      int64_t ix = i % p->ow * p->stride[1] - p->pad[1] + t % p->size[1];
      if (iy < 0 || iy >= p->h || ix < 0 || ix >= p->w) continue;
      add_term(&mean, i, (double)x[i / out * in + iy * p->w + ix] / area);
      add_term(&back, i / out * in + iy * p->w + ix, (double)g[i] / area);
    }
  }
  check_sums("avg_pool", "y", y, &mean, false);
  k->avg_pool_grad(p, g, gx);
  check_sums("avg_pool", "gx", gx, &back, false);
  check_guard(y, ny), check_guard(gx, nx);
  free(y), free(gx), sums_free(&mean), sums_free(&back);
}

static void check_pool(pl_pool p, bool nan) {
  p.oh = out_size(p.h, p.size[0], p.stride[0], p.pad[0], 1);
  p.ow = out_size(p.w, p.size[1], p.stride[1], p.pad[1], 1);
  int64_t nx = p.planes * p.h * p.w;
  pl_real *x = random_array(nx), *g = random_array(p.planes * p.oh * p.ow);
  const pl_kernels *set;
  for (int i = 0; (set = pl_kernels_at(i)); i++) check_avg_pool(set->pool, &p, x, g);
  for (int64_t i = 0; i < nx; i++) x[i] = (pl_real)pick(-4, 4); /* many equals */
  for (int64_t i = 0; nan && i < nx; i += 3) x[i] = NAN;
  for (int i = 0; (set = pl_kernels_at(i)); i++) check_max_pool(set->pool, &p, x, g);
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

static void check_one(const char *what, double got, const sums *want, int64_t i) {
  if (!is_close(got, want->value[i], want->size[i]))
    fail_msg("channel %s is %.9g, expected %.9g", what, got, (double)want->value[i]);
}

enum { SUM, SQUARES, BACK, DOT, TOTALS };

/* The channel is the second of three. */
static void check_channel(const pl_channel_kernels *k, pl_channel c, pl_real slope, bool maxima) {
  int64_t inner = c.inner, step = c.step = 3 * inner, all = c.n * step, outputs = inner / 2;
  int64_t g_step = maxima ? 3 * outputs : step;
  pl_real *x = random_array(all), *g = random_array(all), *y = array(all), *gx = array(all);
  pl_real *best = array(all);
  double *through = zeros(all, sizeof *through);
  int32_t *at = zeros(all, sizeof *at);
  pl_channel_grad b = {.g = g + (maxima ? outputs : inner),
                       .x = x + inner,
                       .y = best + outputs,
                       .maxima = outputs,
                       .g_step = g_step,
                       .scale = (pl_real)-1.5,
                       .shift = (pl_real)0.125,
                       .slope = slope,
                       .mean = (pl_real)0.25};
  if (maxima) b.argmax = at + outputs;
  sums total = sums_new(TOTALS);
  for (int64_t i = 0; i < c.n; i++)
    for (int64_t j = 0; j < (maxima ? outputs : inner); j++) {
      int64_t here = i * step + (maxima ? 2 * j + pick(0, 1) : j), from = i * g_step + j;
      if (maxima) at[outputs + from] = (int32_t)(here - i * step) + 1;
      best[outputs * maxima + from] = (b.x[here] - b.mean) * b.scale + b.shift;
      bool above = b.slope == 1 || ((double)b.x[here] - 0.25) * -1.5 + 0.125 > 0;
      through[here] = (double)b.g[from] * (above ? 1 : (double)slope);
      add_term(&total, BACK, through[here]);
      add_term(&total, DOT, through[here] * ((double)b.x[here] - 0.25));
    }
  double got, got_dot;
  k->dots(c, &b, &got, &got_dot);
  check_one("sum of gradients", got, &total, BACK);
  check_one("sum of products", got_dot, &total, DOT);
  k->scale(c, b.x, b.mean, b.scale, b.shift, slope, y + inner, step);
  k->blend(c, &b, 2, 3, (pl_real)0.5, gx + inner);
  for (int64_t i = 0; i < all; i++) {
    double v = ((double)x[i] - 0.25) * -1.5 + 0.125, act = v < 0 ? v * (double)slope : v;
    double want = i < inner ? 0 : 2 * through[i - inner] + 3 * ((double)x[i] - 0.25) + 0.5;
    bool mine = i / inner % 3 == 1;
    assert_true(is_close((double)y[i], mine ? (wide)act : (wide)guard_value, 2));
    assert_true(is_close((double)gx[i], mine ? (wide)want : (wide)guard_value, 9));
    if (!mine) continue;
    add_term(&total, SUM, (double)x[i]);
    add_term(&total, SQUARES, ((double)x[i] - 0.25) * ((double)x[i] - 0.25));
  }
  check_one("sum", k->sum(c, b.x), &total, SUM);
  check_one("sum of squares", k->squares(c, b.x, b.mean), &total, SQUARES);
  check_guard(y, all), check_guard(gx, all);
  free(x), free(g), free(y), free(gx), free(best), free(through), free(at), sums_free(&total);
}

static void test_channels(void **unused) {
  (void)unused;
  static const int64_t long_runs[] = {784, 4096, 4097, 9000};
  const pl_kernels *set;
  for (int s = 0; (set = pl_kernels_at(s)); s++) {
    for (int64_t inner = 1; inner <= 140; inner++)
      for (int i = 0; i < 6; i++)
        check_channel(set->channel, (pl_channel){pick(1, 4), inner, 0}, (pl_real)(i % 3) / 2,
                      i >= 3);
    for (int i = 0; i < 4; i++)
      check_channel(set->channel, (pl_channel){3, long_runs[i], 0}, 0, i % 2);
  }
}

int main(int argc, char **argv) {
  (void)argc;
  wait_passively(argv);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_conv_networks),   cmocka_unit_test(test_conv_channels),
      cmocka_unit_test(test_conv_random),     cmocka_unit_test(test_conv_corners),
      cmocka_unit_test(test_conv_winograd),   cmocka_unit_test(test_conv_unread),
      cmocka_unit_test(test_conv_pooled),     cmocka_unit_test(test_conv_threads),
      cmocka_unit_test(test_conv_nan),        cmocka_unit_test(test_channels),
      cmocka_unit_test(test_pool_two_by_two), cmocka_unit_test(test_pool_random),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
