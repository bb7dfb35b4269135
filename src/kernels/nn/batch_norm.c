/*
** batch_norm.c: passes over one channel of a batch, for batch normalisation (Ioffe and Szegedy
** 2015): its statistics, y = act(scale (x - mean) + shift), and the gradient of that, which takes two sums
** and then is a weighted sum of g and x.
**
**   x [n,c,h,w]   c0 c1 c2 | c0 c1 c2 | c0 c1 c2     channel 1: n runs of h w elements,
**                    ^^         ^^         ^^                   `step` apart
**
** Sums stay in vectors over short runs, and are added up in double after PIECE elements.
*/
#include "../../base/base.h"
#include "../kernels.h"

enum {
  SUMS = 4,     /* vectors of sums, which hide the latency of an addition */
  PIECE = 4096, /* elements that are added up in single precision */
  CHUNK = 256   /* gradients of maxima at a time */
};

/* A run's last vector overlaps the one before: the lanes that this one did not have. */
INLINE vec_mask fresh_lanes(int64_t left) { return iota() >= (pl_lane)(LANES - left); }

INLINE double add_lanes(vec sum[SUMS]) {
  double total = 0;
  vec all = (sum[0] + sum[1]) + (sum[2] + sum[3]);
  for (int lane = 0; lane < LANES; lane++) total += (double)all[lane];
  for (int i = 0; i < SUMS; i++) sum[i] = (vec){0};
  return total;
}

/* The part of a run that starts at `at`. */
INLINE int64_t piece(const pl_channel *c, int64_t at) { return PL_MIN(PIECE, c->inner - at); }

/*
** Sums
*/

INLINE vec power(vec x, bool square) { return square ? x * x : x; }

/* Adds x - about, or its square, of n elements. */
INLINE double add_powers(int64_t n, const pl_real *x, pl_real about, bool square, vec sum[SUMS]) {
  double rest = 0;
  vec mean = broadcast(about);
  int64_t i = 0;
  for (; i + SUMS * LANES <= n; i += SUMS * LANES)
    UNROLL for (int k = 0; k < SUMS; k++) sum[k] += power(load(x + i + k * LANES) - mean, square);
  for (; i + LANES <= n; i += LANES) sum[0] += power(load(x + i) - mean, square);
  if (i < n && n >= LANES)
    sum[1] += select_by(fresh_lanes(n - i), power(load(x + n - LANES) - mean, square), (vec){0});
  for (; n < LANES && i < n; i++) {
    double d = (double)(x[i] - about);
    rest += square ? d * d : d;
  }
  return rest;
}

INLINE double channel_powers(pl_channel c, const pl_real *x, pl_real about, bool square) {
  double total = 0;
  vec sum[SUMS] = {{0}};
  int64_t held = 0;
  for (int64_t i = 0; i < c.n; i++, x += c.step)
    for (int64_t at = 0; at < c.inner; at += PIECE) {
      total += add_powers(piece(&c, at), x + at, about, square, sum);
      if ((held += piece(&c, at)) < PIECE) continue;
      total += add_lanes(sum);
      held = 0;
    }
  return total + add_lanes(sum);
}

static double channel_sum(pl_channel c, const pl_real *x) { return channel_powers(c, x, 0, false); }

static double channel_squares(pl_channel c, const pl_real *x, pl_real about) {
  return channel_powers(c, x, about, true);
}

/*
** Forward, and the gradient
*/

/* `slope` is a constant where this is expanded for the usual ones. */
INLINE void scale_run(int64_t n, const pl_real *x, pl_real mean, pl_real scale, pl_real shift,
                      pl_real slope, pl_real *y) {
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES)
    store(y + i, activate((load(x + i) - mean) * scale + shift, slope));
  if (i < n && n >= LANES)
    store(y + n - LANES, activate((load(x + n - LANES) - mean) * scale + shift, slope));
  for (; n < LANES && i < n; i++) y[i] = activate_one((x[i] - mean) * scale + shift, slope);
}

/* With the mean inside the product: the difference of two large ones would have few digits. */
static void channel_scale(pl_channel c, const pl_real *x, pl_real mean, pl_real scale,
                          pl_real shift, pl_real slope, pl_real *y, int64_t y_step) {
  for (int64_t i = 0; i < c.n; i++, x += c.step, y += y_step)
    if (slope == 0) scale_run(c.inner, x, mean, scale, shift, 0, y);
    else if (slope == 1) scale_run(c.inner, x, mean, scale, shift, 1, y);
    else scale_run(c.inner, x, mean, scale, shift, slope, y);
}

/* The prologue; what was before the activation, (x - mean) scale + shift, is computed once more. */
INLINE vec masked_by(const pl_channel_grad *b, vec g, vec x) {
  return b->slope == 1 ? g : mask((x - b->mean) * b->scale + b->shift, g, b->slope);
}
INLINE pl_real masked_one_by(const pl_channel_grad *b, pl_real g, pl_real x) {
  return b->slope == 1 ? g : mask_one((x - b->mean) * b->scale + b->shift, g, b->slope);
}

typedef struct {
  vec sum[SUMS], dot[SUMS];
  double rest_sum, rest_dot;
} dots;

INLINE void add_dot(const pl_channel_grad *b, vec g, vec x, vec_mask use, bool overlaps, vec *sum,
                    vec *dot) {
  vec v = masked_by(b, g, x), d = v * (x - b->mean);
  *sum += overlaps ? select_by(use, v, (vec){0}) : v;
  *dot += overlaps ? select_by(use, d, (vec){0}) : d;
}

INLINE void add_dots(int64_t n, const pl_channel_grad *b, const pl_real *g, const pl_real *x,
                     dots *s) {
  int64_t i = 0, last = n - LANES;
  for (; i + SUMS * LANES <= n; i += SUMS * LANES)
    UNROLL for (int k = 0; k < SUMS; k++)
        add_dot(b, load(g + i + k * LANES), load(x + i + k * LANES), (vec_mask){0}, false,
                &s->sum[k], &s->dot[k]);
  for (; i + LANES <= n; i += LANES)
    add_dot(b, load(g + i), load(x + i), (vec_mask){0}, false, &s->sum[0], &s->dot[0]);
  if (i < n && n >= LANES)
    add_dot(b, load(g + last), load(x + last), fresh_lanes(n - i), true, &s->sum[1], &s->dot[1]);
  for (; n < LANES && i < n; i++) {
    double v = (double)masked_one_by(b, g[i], x[i]);
    s->rest_sum += v;
    s->rest_dot += v * (double)(x[i] - b->mean);
  }
}

/* Gradients of a run's maxima, from the one at `first` on, through their prologue. */
INLINE void copy_gradients(const pl_channel_grad *b, int64_t run, int64_t first, int64_t n,
                           pl_real *g) {
  const int64_t at = run * b->g_step + first;
  const masked m = {b->g + at, b->slope == 1 ? NULL : b->y + at, b->slope};
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES) store(g + i, masked_load(&m, i));
  for (; i < n; i++) g[i] = masked_one(&m, i);
}

/* Adds up n elements, fewer than PIECE, of g, and of g (x - mean). */
INLINE void add_pairs(int64_t n, const pl_real *g, const pl_real *x, pl_real mean, double *sum,
                      double *dot) {
  vec sums = {0}, by_x = {0}, about = broadcast(mean);
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES) {
    vec v = load(g + i);
    sums += v;
    by_x += v * (load(x + i) - about);
  }
  for (; i < n; i++) *sum += (double)g[i], *dot += (double)(g[i] * (x[i] - mean));
  for (int lane = 0; lane < LANES; lane++) *sum += (double)sums[lane], *dot += (double)by_x[lane];
}

static void add_maxima(const pl_channel_grad *b, int64_t run, const pl_real *x, double *sum,
                       double *dot) {
  const int32_t *at = b->argmax + run * b->g_step;
  pl_real g[CHUNK], here[CHUNK];
  for (int64_t first = 0; first < b->maxima; first += CHUNK, at += CHUNK) {
    const int64_t n = PL_MIN(CHUNK, b->maxima - first);
    copy_gradients(b, run, first, n, g);
    for (int64_t i = 0; i < n; i++) here[i] = x[at[i] - 1];
    add_pairs(n, g, here, b->mean, sum, dot);
  }
}

static void channel_dots(pl_channel c, const pl_channel_grad *back, double *sum, double *dot) {
  const pl_channel_grad b = *back;
  dots s = {0};
  int64_t held = 0;
  *sum = *dot = 0;
  for (int64_t i = 0; b.argmax && i < c.n; i++) add_maxima(&b, i, b.x + i * c.step, sum, dot);
  for (int64_t i = 0; !b.argmax && i < c.n; i++)
    for (int64_t at = 0; at < c.inner; at += PIECE) {
      add_dots(piece(&c, at), &b, b.g + i * b.g_step + at, b.x + i * c.step + at, &s);
      if ((held += piece(&c, at)) < PIECE) continue;
      *sum += add_lanes(s.sum);
      *dot += add_lanes(s.dot);
      held = 0;
    }
  *sum += add_lanes(s.sum) + s.rest_sum;
  *dot += add_lanes(s.dot) + s.rest_dot;
}

/* to = by_g g' + by_x (x - mean) + plus; a g of NULL is 0, and so are the others together, whatever x is. */
INLINE void blend_run(int64_t n, const pl_channel_grad *b, const pl_real *g, const pl_real *x,
                      pl_real by_g, pl_real by_x, pl_real plus, pl_real *to) {
  int64_t j = 0, last = n - LANES;
  for (; j < n && n >= LANES; j += LANES) {
    int64_t at = PL_MIN(j, last);
    vec v = load(x + at), sum = by_x == 0 && plus == 0 ? (vec){0} : by_x * (v - b->mean) + plus;
    store(to + at, g ? sum + by_g * masked_by(b, load(g + at), v) : sum);
  }
  for (; j < n; j++) {
    const pl_real sum = by_x == 0 && plus == 0 ? 0 : by_x * (x[j] - b->mean) + plus;
    to[j] = g ? sum + by_g * masked_one_by(b, g[j], x[j]) : sum;
  }
}

/* to += by_g g' where the maxima were. */
static void scatter_maxima(const pl_channel_grad *b, int64_t run, pl_real by_g, pl_real *to) {
  const int32_t *at = b->argmax + run * b->g_step;
  pl_real g[CHUNK];
  for (int64_t first = 0; first < b->maxima; first += CHUNK, at += CHUNK) {
    const int64_t n = PL_MIN(CHUNK, b->maxima - first);
    copy_gradients(b, run, first, n, g);
    for (int64_t i = 0; i < n; i++) to[at[i] - 1] += by_g * g[i];
  }
}

static void channel_blend(pl_channel c, const pl_channel_grad *back, pl_real by_g, pl_real by_x,
                          pl_real plus, pl_real *gx) {
  const pl_channel_grad b = *back;
  for (int64_t i = 0; i < c.n; i++) {
    const pl_real *g = b.g + i * b.g_step, *x = b.x + i * c.step;
    pl_real *to = gx + i * c.step;
    if (!b.argmax) {
      blend_run(c.inner, &b, g, x, by_g, by_x, plus, to);
      continue;
    }
    blend_run(c.inner, &b, NULL, x, by_g, by_x, plus, to);
    scatter_maxima(&b, i, by_g, to);
  }
}

const pl_channel_kernels PL_ISA_NAME(pl_channel_kernels) = {.sum = channel_sum,
                                                            .squares = channel_squares,
                                                            .scale = channel_scale,
                                                            .dots = channel_dots,
                                                            .blend = channel_blend};
