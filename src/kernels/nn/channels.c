/*
** channels.c: passes over one channel of a batch, for batch normalisation. Sums stay in vectors
** over short runs, and are added up in double after PIECE numbers.
*/
#include "../conv/conv_kernels.h"

enum { SUMS = 4, PIECE = 4096, CHUNK = 256 };

/* The lanes of a run's last vector, which overlaps the one before, that were not in that one. */
INLINE vec_mask fresh_lanes(int64_t left) { return lane_numbers() >= (pl_lane)(LANES - left); }

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

/* Adds x - about, or its square, of n numbers. */
INLINE double add_powers(int64_t n, const pl_real *x, pl_real about, bool square, vec sum[SUMS]) {
  double rest = 0;
  vec mean = every(about);
  int64_t i = 0;
  for (; i + SUMS * LANES <= n; i += SUMS * LANES)
    UNROLL for (int k = 0; k < SUMS; k++) sum[k] += power(load(x + i + k * LANES) - mean, square);
  for (; i + LANES <= n; i += LANES) sum[0] += power(load(x + i) - mean, square);
  if (i < n && n >= LANES)
    sum[1] += choose(fresh_lanes(n - i), power(load(x + n - LANES) - mean, square), (vec){0});
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

double k_channel_sum(pl_channel c, const pl_real *x) { return channel_powers(c, x, 0, false); }

double k_channel_squares(pl_channel c, const pl_real *x, pl_real about) {
  return channel_powers(c, x, about, true);
}

/*
** The activation and its gradient
*/

INLINE vec activated(vec v, pl_real slope) {
  return slope == 1 ? v : choose(v < 0, slope == 0 ? (vec){0} : v * slope, v);
}

/* `slope` is a constant where this is expanded for the usual ones. */
INLINE void scale_run(int64_t n, const pl_real *x, pl_real scale, pl_real shift, pl_real slope,
                      pl_real *y) {
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES) store(y + i, activated(load(x + i) * scale + shift, slope));
  if (i < n && n >= LANES)
    store(y + n - LANES, activated(load(x + n - LANES) * scale + shift, slope));
  for (; n < LANES && i < n; i++) {
    pl_real v = x[i] * scale + shift;
    y[i] = !(v < 0) ? v : slope == 0 ? 0 : v * slope;
  }
}

void k_channel_scale(pl_channel c, const pl_real *x, pl_real scale, pl_real shift, pl_real slope,
                     pl_real *y, int64_t y_step) {
  for (int64_t i = 0; i < c.n; i++, x += c.step, y += y_step)
    if (slope == 0) scale_run(c.inner, x, scale, shift, 0, y);
    else if (slope == 1) scale_run(c.inner, x, scale, shift, 1, y);
    else scale_run(c.inner, x, scale, shift, slope, y);
}

/* g through the activation, whose argument was x scale + shift. */
INLINE vec through(const pl_channel_back *b, vec g, vec x) {
  if (b->slope == 1) return g;
  return choose(x * b->scale + b->shift > 0, g, b->slope == 0 ? (vec){0} : g * b->slope);
}
INLINE pl_real through_one(const pl_channel_back *b, pl_real g, pl_real x) {
  if (b->slope == 1 || x * b->scale + b->shift > 0) return g;
  return b->slope == 0 ? 0 : g * b->slope;
}

typedef struct {
  vec sum[SUMS], dot[SUMS];
  double rest_sum, rest_dot;
} dots;

INLINE void add_dot(const pl_channel_back *b, vec g, vec x, vec_mask use, bool masked, vec *sum,
                    vec *dot) {
  vec v = through(b, g, x), d = v * (x - b->mean);
  *sum += masked ? choose(use, v, (vec){0}) : v;
  *dot += masked ? choose(use, d, (vec){0}) : d;
}

INLINE void add_dots(int64_t n, const pl_channel_back *b, const pl_real *g, const pl_real *x,
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
    double v = (double)through_one(b, g[i], x[i]);
    s->rest_sum += v;
    s->rest_dot += v * (double)(x[i] - b->mean);
  }
}

/* Gradients of a run's winners, from number `first` on, before the activation. */
INLINE void take_winners(const pl_channel_back *b, int64_t run, int64_t first, int64_t n,
                         pl_real *g) {
  const int64_t at = run * b->g_step + first;
  const flow f = {b->g + at, b->slope == 1 ? NULL : b->y + at, b->slope};
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES) store(g + i, flow_load(&f, i));
  for (; i < n; i++) g[i] = flow_one(&f, i);
}

/* Adds up n numbers, fewer than PIECE, of g, and of g (x - mean). */
INLINE void add_pairs(int64_t n, const pl_real *g, const pl_real *x, pl_real mean, double *sum,
                      double *dot) {
  vec sums = {0}, by_x = {0}, about = every(mean);
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES) {
    vec v = load(g + i);
    sums += v;
    by_x += v * (load(x + i) - about);
  }
  for (; i < n; i++) *sum += (double)g[i], *dot += (double)(g[i] * (x[i] - mean));
  for (int lane = 0; lane < LANES; lane++) *sum += (double)sums[lane], *dot += (double)by_x[lane];
}

static void add_winners(const pl_channel_back *b, int64_t run, const pl_real *x, double *sum,
                        double *dot) {
  const int32_t *at = b->at + run * b->g_step;
  pl_real g[CHUNK], here[CHUNK];
  for (int64_t first = 0; first < b->winners; first += CHUNK, at += CHUNK) {
    const int64_t n = PL_MIN(CHUNK, b->winners - first);
    take_winners(b, run, first, n, g);
    for (int64_t i = 0; i < n; i++) here[i] = x[at[i] - 1];
    add_pairs(n, g, here, b->mean, sum, dot);
  }
}

void k_channel_dots(pl_channel c, const pl_channel_back *back, double *sum, double *dot) {
  const pl_channel_back b = *back;
  dots s = {0};
  int64_t held = 0;
  *sum = *dot = 0;
  for (int64_t i = 0; b.at && i < c.n; i++) add_winners(&b, i, b.x + i * c.step, sum, dot);
  for (int64_t i = 0; !b.at && i < c.n; i++)
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

/* to = by_g g' + by_x x + plus; a g of NULL is 0, and so are the others together, whatever x is. */
INLINE void blend_run(int64_t n, const pl_channel_back *b, const pl_real *g, const pl_real *x,
                      pl_real by_g, pl_real by_x, pl_real plus, pl_real *to) {
  int64_t j = 0, last = n - LANES;
  for (; j < n && n >= LANES; j += LANES) {
    int64_t at = PL_MIN(j, last);
    vec v = load(x + at), sum = by_x == 0 && plus == 0 ? (vec){0} : by_x * v + plus;
    store(to + at, g ? sum + by_g * through(b, load(g + at), v) : sum);
  }
  for (; j < n; j++) {
    const pl_real sum = by_x == 0 && plus == 0 ? 0 : by_x * x[j] + plus;
    to[j] = g ? sum + by_g * through_one(b, g[j], x[j]) : sum;
  }
}

/* to += by_g g' where the winners were. */
static void spread_winners(const pl_channel_back *b, int64_t run, pl_real by_g, pl_real *to) {
  const int32_t *at = b->at + run * b->g_step;
  pl_real g[CHUNK];
  for (int64_t first = 0; first < b->winners; first += CHUNK, at += CHUNK) {
    const int64_t n = PL_MIN(CHUNK, b->winners - first);
    take_winners(b, run, first, n, g);
    for (int64_t i = 0; i < n; i++) to[at[i] - 1] += by_g * g[i];
  }
}

void k_channel_blend(pl_channel c, const pl_channel_back *back, pl_real by_g, pl_real by_x,
                     pl_real plus, pl_real *gx) {
  const pl_channel_back b = *back;
  for (int64_t i = 0; i < c.n; i++) {
    const pl_real *g = b.g + i * b.g_step, *x = b.x + i * c.step;
    pl_real *to = gx + i * c.step;
    if (!b.at) {
      blend_run(c.inner, &b, g, x, by_g, by_x, plus, to);
      continue;
    }
    blend_run(c.inner, &b, NULL, x, by_g, by_x, plus, to);
    spread_winners(&b, i, by_g, to);
  }
}
