/*
** conv_minimal.c: convolutions of many channels with fewer products, by minimal filtering
** (Winograd, Arithmetic Complexity of Computations, 1980; Lavin and Gray 2016).
**
** Four outputs of a window of three in a row of six numbers are sums of twelve products. They are
** also, backwards, what a product of two polynomials is made of, which its values at five points
** and at infinity determine: six products. Along both axes, the outputs fall into patches of 4 x 4,
** and 36 points take the place of 144 products. A stride parts the window into phases: positions
** that are a stride apart, which are a window without a stride over numbers a stride apart. A phase
** with fewer than three positions is one whose last are zero, and nothing of it is left at
** infinity: 121 products for a window of 5 x 5 with stride 2, where there were 400.
**
** At each point, with a row for each patch of each image,
**   R [rows, outputs] = S [rows, phases x inputs] W [phases x inputs, outputs]
** are made of the result, the source and the weights of the convolution, and each of the three ways
** is one such product for each point, between a transform of two and the adjoint of the third's:
**   forward         R = S W      from the source and the weights to the result
**   to the source   S = R W'     from the result and the weights to the source
**   to the weights  W = S' R     from the source and the result to the weights
**
** The points are 0, 3/4, -3/4, 3/2 and -3/2, whose powers are exact; among such small fractions
** they have the smallest rounding errors. These are shared by the numbers of a patch, and so is a
** number that is infinite or none.
**
** An element of S, R and W is the same sum in the same order however the work is cut, so bits do
** not depend on the number of threads.
*/
#include <math.h>
#include <omp.h>

#include "conv_kernels.h"
#include "../deal.h"
#include "../gemm/panels.h"

enum {
  SIDE = 4,   /* of a patch */
  TAPS = 3,   /* positions of a phase along an axis */
  FINITE = 5, /* points along an axis, without that at infinity */
  POINTS = 6, /* with it */
  ALL = POINTS * POINTS,
  MOST_PHASES = 4,  /* of both axes */
  DEPTH = 704,      /* of a product: a tile's rows stay in the first-level cache */
  CHANNELS = 128,   /* whose weights are at the points at a time, in the second-level cache */
  GROUP = 1 << 20,  /* numbers at the points for a group of images, if it has several */
  MOST = 1 << 22,   /* for one image */
  SHARES = 8,       /* of images, each with its own sums of weights, */
  SHARE_ROWS = 128, /* if there are enough for so many rows in each */
  OUTPUT_PARTS = 4, /* pieces that these are for a block of channels, at most */
  WEIGHT_COST = 12, /* products that transforming a number takes */
  IMAGE_COST = 20,
};

typedef enum { FORWARD, TO_SOURCE, TO_WEIGHTS } way;

/* Along an axis. */
typedef struct {
  int64_t window, stride, pad, size, outputs;
  int64_t phases, patches;
} axis;

/* The positions y, y + stride, ... and x, ... of the window. */
typedef struct {
  int64_t y, x, high, wide;
} phase;

static axis axis_of(const pl_conv *p, int d) {
  axis a = {.window = d ? p->s : p->r,
            .stride = p->stride[d],
            .pad = p->pad[d],
            .size = d ? p->w : p->h,
            .outputs = d ? p->ow : p->oh};
  a.phases = PL_MIN(a.stride, a.window);
  a.patches = up(a.outputs, SIDE);
  return a;
}

static int64_t taps_of(const axis *a, int64_t first) {
  return (a->window - first + a->stride - 1) / a->stride;
}

/* So many numbers, in an odd number of cache lines: what is so far apart does not collide. */
static int64_t apart(int64_t n) {
  const int64_t line = 64 / (int64_t)sizeof(pl_real);
  return (up(n, line) | 1) * line;
}

/* Where the numbers of a point begin, and the next row's; at < 0: there are none. */
typedef struct {
  int64_t at, row;
} place;

typedef struct {
  const pl_conv *p;
  way way;
  axis y, x;
  int64_t phases, patches; /* of an image */
  int64_t in, out;         /* channels, in whole blocks */
  int64_t plane_in, plane_out, window;
  phase phase[MOST_PHASES];
  int64_t slots[ALL]; /* phases at a point; and which one of them a phase is there, or -1 */
  int64_t slot[MOST_PHASES][ALL];
  int64_t parts, group; /* the images fall into; images of a part at a time */
  int64_t s_lanes;      /* channels of a phase in S */
  int64_t share;        /* numbers of windows; the parts of images have their own */
  int64_t s_size, r_size;
  place s_at[ALL], r_at[ALL], source_at[MOST_PHASES][ALL];
  int32_t *source, *result; /* what a patch reads: [patch][phase][ALL], [patch][SIDE][SIDE] */
  pl_hand *hands;
  pl_real *windows, *bias_sums; /* [block][channel][window][BLOCK]; [image][out] */
  flow images, g;               /* what flows into S and R */
  const pl_real *w, *bias;
  finish end;
  const pl_pool *pool; /* of the result, or of g; NULL: none */
  int32_t *pooled_at;
  const int32_t *at;
  pl_real *to; /* result, source or weights */
} job;

/*
** What a thread works on: a group of images; the first of those that S and R have, or -1, and the
** channel from which on S has them, if not all; and its own memory: S, R, planes of a block of
** channels, an image of results, and weights at some points.
*/
typedef struct {
  int64_t image, images_end, s_image, r_image, s_channel;
  pl_real *s, *r, *planes, *result, *w;
} part;

/*
** Transforms along an axis, in place, of numbers that are `step` apart; a and b are the points.
*/

#define A  ((pl_real)0.75)
#define B  ((pl_real)1.5)
#define AA (A * A)
#define BB (B * B)
/* The products of the differences between a point and the others: at 0, a and b. */
#define N0 ((pl_real)(1 / (0.5625 * 2.25)))
#define NA ((pl_real)(1 / (2 * 0.5625 * (0.5625 - 2.25))))
#define NB ((pl_real)(1 / (2 * 2.25 * (2.25 - 0.5625))))

/* What a polynomial's even and odd powers make at a point and at the one opposite. */
typedef struct {
  vec even, odd;
} pair;

INLINE void put_pairs(vec *m, int step, pair a, pair b) {
  m[step] = a.even + a.odd;
  m[2 * step] = a.even - a.odd;
  m[3 * step] = b.even + b.odd;
  m[4 * step] = b.even - b.odd;
}

INLINE pair get_pair(const vec *m, int step, int at) {
  const vec here = m[at * step], opposite = m[(at + 1) * step];
  return (pair){here + opposite, here - opposite};
}

/* Six numbers of the source: at each point, the products of the other points' factors. */
INLINE void source_points(vec *m, int step) {
  const vec x0 = m[0], x1 = m[step], x2 = m[2 * step], x3 = m[3 * step], x4 = m[4 * step];
  m[0] = x4 - (AA + BB) * x2 + AA * BB * x0;
  put_pairs(m, step, (pair){x4 - BB * x2, A * (x3 - BB * x1)},
            (pair){x4 - AA * x2, B * (x3 - AA * x1)});
  m[5 * step] += AA * BB * x1 - (AA + BB) * x3;
}

INLINE void source_back(vec *m, int step) {
  const vec v0 = m[0], v5 = m[5 * step];
  pair a = get_pair(m, step, 1), b = get_pair(m, step, 3);
  a.odd *= A, b.odd *= B;
  m[0] = AA * BB * v0;
  m[step] = AA * BB * v5 - BB * a.odd - AA * b.odd;
  m[2 * step] = -(AA + BB) * v0 - BB * a.even - AA * b.even;
  m[3 * step] = a.odd + b.odd - (AA + BB) * v5;
  m[4 * step] = v0 + a.even + b.even;
}

/* Three weights: the values of their polynomial, divided by what the source's factors are there. */
INLINE void weight_points(vec *m, int step) {
  const vec g0 = m[0], g1 = m[step], g2 = m[2 * step];
  m[0] = N0 * g0;
  put_pairs(m, step, (pair){NA * (g0 + AA * g2), NA * A * g1},
            (pair){NB * (g0 + BB * g2), NB * B * g1});
  m[5 * step] = g2;
}

INLINE void weight_back(vec *m, int step) {
  const pair a = get_pair(m, step, 1), b = get_pair(m, step, 3);
  m[0] = N0 * m[0] + NA * a.even + NB * b.even;
  m[step] = NA * A * a.odd + NB * B * b.odd;
  m[2 * step] = NA * AA * a.even + NB * BB * b.even + m[5 * step];
}

/* Four numbers of the result: the values of their polynomial. */
INLINE void result_points(vec *m, int step) {
  const vec y0 = m[0], y1 = m[step], y2 = m[2 * step], y3 = m[3 * step];
  put_pairs(m, step, (pair){y0 + AA * y2, A * (y1 + AA * y3)},
            (pair){y0 + BB * y2, B * (y1 + BB * y3)});
  m[5 * step] = y3;
}

INLINE void result_back(vec *m, int step) {
  pair a = get_pair(m, step, 1), b = get_pair(m, step, 3);
  a.odd *= A, b.odd *= B;
  m[0] += a.even + b.even;
  m[step] = a.odd + b.odd;
  m[2 * step] = AA * a.even + BB * b.even;
  m[3 * step] = AA * a.odd + BB * b.odd + m[5 * step];
}

/* What the weights have for a row of points: as weight_points does it for one. */
static const pl_real by_weight[POINTS][TAPS] = {{N0, 0, 0},           {NA, NA *A, NA *AA},
                                                {NA, -NA *A, NA *AA}, {NB, NB *B, NB *BB},
                                                {NB, -NB *B, NB *BB}, {0, 0, 1}};

/* Along both, over so many columns and then so many rows, or rows and then columns. */
#define ALONG_BOTH(name, columns, rows)                            \
  static void name##_in_two(vec *m) {                              \
    UNROLL for (int i = 0; i < columns; i++) name(m + i, POINTS);  \
    UNROLL for (int i = 0; i < rows; i++) name(m + i * POINTS, 1); \
  }
ALONG_BOTH(source_points, POINTS, POINTS)
ALONG_BOTH(source_back, POINTS, POINTS)
ALONG_BOTH(result_points, SIDE, POINTS)
ALONG_BOTH(result_back, POINTS, SIDE)

/* The biases of a block of so many channels. */
static void get_bias(const job *k, int64_t first, int64_t channels, pl_real *bias) {
  for (int64_t i = 0; i < BLOCK; i++) bias[i] = k->bias && i < channels ? k->bias[first + i] : 0;
}

INLINE void put_points(const place *p, pl_real *to, int64_t row, const vec *m) {
  UNROLL for (int i = 0; i < ALL; i++) {
    if (p[i].at >= 0) store(to + p[i].at + row * p[i].row, m[i]);
  }
}

INLINE void get_points(const place *p, const pl_real *from, int64_t row, vec *m) {
  UNROLL for (int i = 0; i < ALL; i++) {
    m[i] = p[i].at < 0 ? (vec){0} : load(from + p[i].at + row * p[i].row);
  }
}

/*
** Images: a block of channels at a time becomes [number][lane], with one more number for what lies
** outside of the image.
*/

/* Channels first..end of an image, into rows of S. */
static void source_to_points(const job *k, const part *t, int64_t image, int64_t first,
                             int64_t end) {
  const pl_conv *p = k->p;
  const int64_t row = (image - t->image) * k->patches;
  for (int64_t c = first; c < end; c += BLOCK) {
    const flow f = flow_at(&k->images, (image * p->c + c) * k->plane_in);
    block_from_planes(t->planes, &f, k->plane_in, PL_MIN(BLOCK, p->c - c), k->plane_in);
    memset(t->planes + k->plane_in * BLOCK, 0, BLOCK * sizeof(pl_real));
    const int32_t *at = k->source;
    for (int64_t i = 0; i < k->patches; i++)
      for (int64_t j = 0; j < k->phases; j++, at += ALL)
        for (int64_t half = 0; half < BLOCK; half += LANES) {
          vec m[ALL];
          UNROLL for (int n = 0; n < ALL; n++) m[n] = load(t->planes + at[n] * BLOCK + half);
          source_points_in_two(m);
          put_points(k->source_at[j], t->s + c - first + half, row + i, m);
        }
  }
}

/* A block of channels, from S. */
static void source_from_points(const job *k, const part *t, int64_t image, int64_t block) {
  const pl_conv *p = k->p;
  const int64_t row = (image - t->image) * k->patches, first = block * BLOCK;
  const int64_t channels = PL_MIN(BLOCK, p->c - first);
  pl_real bias[BLOCK];
  get_bias(k, first, channels, bias);
  for (int64_t i = 0; i < k->plane_in; i++)
    memcpy(t->planes + i * BLOCK, bias, BLOCK * sizeof *bias);
  const int32_t *at = k->source;
  for (int64_t i = 0; i < k->patches; i++)
    for (int64_t j = 0; j < k->phases; j++, at += ALL)
      for (int64_t half = 0; half < BLOCK; half += LANES) {
        vec m[ALL];
        get_points(k->source_at[j], t->s + half, row + i, m);
        source_back_in_two(m);
        UNROLL for (int n = 0; n < ALL; n++) {
          pl_real *sum = t->planes + at[n] * BLOCK + half;
          store(sum, load(sum) + m[n]);
        }
      }
  planes_from_block(k->to + (image * p->c + first) * k->plane_in, k->plane_in, t->planes, &k->end,
                    channels, k->plane_in);
}

/* An image of g, as it is or where pooling took it from. */
static flow result_of(const job *k, const part *t, int64_t image) {
  const pl_conv *p = k->p;
  if (!k->pool) return flow_at(&k->g, image * p->k * k->plane_out);
  const int64_t from = image * p->k * k->pool->oh * k->pool->ow;
  const flow pooled = flow_at(&k->g, from);
  k_unpool(k->pool, p->k, &pooled, k->at + from, t->result);
  return (flow){t->result, NULL, 0};
}

/* All channels of an image of g; and, if asked for, their sums. */
static void result_to_points(const job *k, const part *t, int64_t image, pl_real *sums) {
  const pl_conv *p = k->p;
  const int64_t row = (image - t->image) * k->patches;
  const flow g = result_of(k, t, image);
  for (int64_t c = 0; c < k->out; c += BLOCK) {
    const flow f = flow_at(&g, c * k->plane_out);
    block_from_planes(t->planes, &f, k->plane_out, PL_MIN(BLOCK, p->k - c), k->plane_out);
    memset(t->planes + k->plane_out * BLOCK, 0, BLOCK * sizeof(pl_real));
    if (sums) sum_block(sums + image * k->out + c, t->planes, k->plane_out);
    const int32_t *at = k->result;
    for (int64_t i = 0; i < k->patches; i++, at += SIDE * SIDE)
      for (int64_t half = 0; half < BLOCK; half += LANES) {
        vec m[ALL];
        UNROLL for (int n = 0; n < SIDE * SIDE; n++) {
          m[n / SIDE * POINTS + n % SIDE] = load(t->planes + at[n] * BLOCK + half);
        }
        result_points_in_two(m);
        put_points(k->r_at, t->r + c + half, row + i, m);
      }
  }
}

/* A block of channels, from R. */
static void result_from_points(const job *k, const part *t, int64_t image, int64_t block) {
  const pl_conv *p = k->p;
  const int64_t row = (image - t->image) * k->patches, first = block * BLOCK;
  const int64_t channels = PL_MIN(BLOCK, p->k - first);
  pl_real *to = k->pool ? t->result : k->to + (image * p->k + first) * k->plane_out, bias[BLOCK];
  get_bias(k, first, channels, bias);
  const int32_t *at = k->result;
  for (int64_t i = 0; i < k->patches; i++, at += SIDE * SIDE)
    for (int64_t half = 0; half < BLOCK; half += LANES) {
      vec m[ALL], start = load(bias + half);
      get_points(k->r_at, t->r + half, row + i, m);
      result_back_in_two(m);
      UNROLL for (int n = 0; n < SIDE * SIDE; n++) {
        store(t->planes + at[n] * BLOCK + half, m[n / SIDE * POINTS + n % SIDE] + start);
      }
    }
  planes_from_block(to, k->plane_out, t->planes, &k->end, channels, k->plane_out);
  if (!k->pool) return;
  const int64_t pooled = (image * p->k + first) * k->pool->oh * k->pool->ow;
  k_max_pool(k->pool, channels, to, k->to + pooled, k->pooled_at + pooled);
}

/*
** Weights. The lanes of a block are channels of the result, or of the source on the way to it; the
** others come one after the other.
*/

static int64_t lane_blocks(const job *k) { return (k->way == TO_SOURCE ? k->in : k->out) / BLOCK; }

static int64_t depth_channels(const job *k) { return k->way == TO_SOURCE ? k->p->k : k->p->c; }

static pl_real *windows_at(const job *k, int64_t share, int64_t block, int64_t channel) {
  return k->windows + share * k->share + (block * depth_channels(k) + channel) * k->window * BLOCK;
}

/* The windows of a block from the weights, or into them. */
static void weight_block(const job *k, int64_t block) {
  const pl_conv *p = k->p;
  const int64_t lane = block * BLOCK, windows = p->c * k->window;
  pl_real *own = windows_at(k, 0, block, 0);
  if (k->way == TO_SOURCE) {
    for (int64_t o = 0; o < p->k; o++, own += k->window * BLOCK) {
      const flow w = {k->w + o * windows + lane * k->window, NULL, 0};
      block_from_planes(own, &w, k->window, PL_MIN(BLOCK, p->c - lane), k->window);
    }
  } else if (k->way == FORWARD) {
    const flow w = {k->w + lane * windows, NULL, 0};
    block_from_planes(own, &w, windows, PL_MIN(BLOCK, p->k - lane), windows);
  } else {
    for (int64_t s = 1; s < k->parts; s++)
      for (int64_t i = 0; i < windows * BLOCK; i += LANES)
        store(own + i, load(own + i) + load(own + s * k->share + i));
    planes_from_block(k->to + lane * windows, windows, own, &unchanged, PL_MIN(BLOCK, p->k - lane),
                      windows);
  }
}

/* Where a phase of a window begins, for half of a block. */
static inline int64_t phase_at(const job *k, const phase *f, int64_t half) {
  return (f->y * k->x.window + f->x) * BLOCK + half;
}

/* Meanwhile what is read next, so far ahead, is fetched. */
INLINE vec load_early(const pl_real *p, int64_t next) {
  __builtin_prefetch(p + next);
  return load(p);
}

/* Of channel i of `count`, the weights at a row of points; to[point] has [slot][count][BLOCK]. */
static void window_to_points(const job *k, const pl_real *window, int64_t row, int64_t i,
                             int64_t count, pl_real *const *to) {
  const pl_real *by = by_weight[row];
  const int64_t down = k->y.stride * k->x.window * BLOCK, right = k->x.stride * BLOCK;
  const int64_t next = k->window * BLOCK;
  for (int64_t j = 0; j < k->phases; j++) {
    const phase *f = &k->phase[j];
    const int64_t *slot = k->slot[j] + row * POINTS;
    if (row == FINITE && f->high < TAPS) continue;
    for (int64_t half = 0; half < BLOCK; half += LANES) {
      const pl_real *from = window + phase_at(k, f, half);
      vec m[POINTS];
      UNROLL for (int v = 0; v < TAPS; v++, from += right) {
        m[v] = (vec){0};
        if (v >= f->wide) continue;
        m[v] = by[0] * load_early(from, next);
        if (f->high > 1) m[v] += by[1] * load_early(from + down, next);
        if (f->high > 2) m[v] += by[2] * load_early(from + 2 * down, next);
      }
      weight_points(m, 1);
      UNROLL for (int n = 0; n < POINTS; n++) {
        if (slot[n] >= 0) store(to[n] + (slot[n] * count + i) * BLOCK + half, m[n]);
      }
    }
  }
}

/* The adjoint, added to the window. */
static void window_from_points(const job *k, pl_real *window, int64_t row, int64_t i, int64_t count,
                               pl_real *const *from) {
  const pl_real *by = by_weight[row];
  const int64_t down = k->y.stride * k->x.window * BLOCK, right = k->x.stride * BLOCK;
  for (int64_t j = 0; j < k->phases; j++) {
    const phase *f = &k->phase[j];
    const int64_t *slot = k->slot[j] + row * POINTS;
    if (row == FINITE && f->high < TAPS) continue;
    for (int64_t half = 0; half < BLOCK; half += LANES) {
      pl_real *to = window + phase_at(k, f, half);
      vec m[POINTS];
      UNROLL for (int n = 0; n < POINTS; n++) {
        m[n] = slot[n] < 0 ? (vec){0} : load(from[n] + (slot[n] * count + i) * BLOCK + half);
      }
      weight_back(m, 1);
      UNROLL for (int v = 0; v < TAPS; v++, to += right) {
        if (v >= f->wide) continue;
        store(to, load(to) + by[0] * m[v]);
        if (f->high > 1) store(to + down, load(to + down) + by[1] * m[v]);
        if (f->high > 2) store(to + 2 * down, load(to + 2 * down) + by[2] * m[v]);
      }
    }
  }
}

/*
** Products
*/

/* c [m, BLOCK] = (add ? c : 0) + a [m, n] b [n, BLOCK]; a's rows and columns have steps. */
static void multiply(int64_t m, int64_t n, const pl_real *a, int64_t row, int64_t step,
                     const pl_real *b, int64_t ldb, pl_real *c, int64_t ldc, bool add) {
  const int64_t slices = PL_MAX(1, up(n, DEPTH)), tiles = up(m, TILE);
  for (int64_t s = 0; s < slices; s++) {
    const int64_t from = n * s / slices, depth = n * (s + 1) / slices - from;
    for (int64_t i = 0, at = 0; i < tiles; i++) {
      const int64_t end = m * (i + 1) / tiles;
      const target to = {c + at * ldc, ldc, BLOCK, add || s > 0, NULL, 1};
      free_tiles[end - at](depth, a + at * row + from * step, row, step, b + from * ldb, ldb, &to);
      at = end;
    }
  }
}

/* A block of R, for so many rows, from some channels of the source. */
static void point_forward(const job *k, const part *t, int point, int64_t first, int64_t count,
                          int64_t rows, const pl_real *w) {
  const place s = k->s_at[point], r = k->r_at[point];
  const bool whole = count == k->s_lanes; /* then the phases' are neighbours */
  const int64_t parts = whole ? k->slots[point] > 0 : k->slots[point];
  const int64_t depth = whole ? count * k->slots[point] : count;
  for (int64_t i = 0; i < parts; i++)
    multiply(rows, depth, t->s + s.at + i * k->s_lanes + first, s.row, 1, w + i * count * BLOCK,
             BLOCK, t->r + r.at, r.row, first > 0 || i > 0);
}

/* Of S, from some channels of the result. */
static void point_to_source(const job *k, const part *t, int point, int64_t first, int64_t count,
                            int64_t rows, const pl_real *w) {
  const place s = k->s_at[point], r = k->r_at[point];
  for (int64_t i = 0; i < k->slots[point]; i++)
    multiply(rows, count, t->r + r.at + first, r.row, 1, w + i * count * BLOCK, BLOCK,
             t->s + s.at + i * k->s_lanes, s.row, first > 0);
}

/* Of the weights of `count` channels, which S has, and a block of R from a column on. */
static void point_to_weights(const job *k, const part *t, int point, int64_t column, int64_t count,
                             int64_t rows, pl_real *w) {
  const place s = k->s_at[point], r = k->r_at[point];
  for (int64_t i = 0; i < k->slots[point]; i++)
    multiply(count, rows, t->s + s.at + i * k->s_lanes, 1, s.row, t->r + r.at + column, r.row,
             w + i * count * BLOCK, BLOCK, false);
}

/* Where the weights of a row of points lie, of `count` channels. */
static void weight_places(const job *k, const part *t, int64_t row, int64_t count, pl_real **at) {
  at[0] = t->w;
  for (int j = 1; j < POINTS; j++)
    at[j] = at[j - 1] + apart(k->slots[row * POINTS + j - 1] * count * BLOCK);
}

/* A row of points of a block: some channels of its weights at a time, times S or R. */
static void multiply_row(const job *k, const part *t, int64_t block, int64_t row) {
  pl_real *at[POINTS];
  const int64_t channels = depth_channels(k);
  const int64_t rows = (t->images_end - t->image) * k->patches;
  for (int64_t c = 0; c < channels; c += CHANNELS) {
    const int64_t count = PL_MIN(CHANNELS, channels - c);
    weight_places(k, t, row, count, at);
    for (int64_t i = 0; i < count; i++)
      window_to_points(k, windows_at(k, 0, block, c + i), row, i, count, at);
    for (int j = 0; j < POINTS; j++)
      (k->way == FORWARD ? point_forward : point_to_source)(k, t, (int)row * POINTS + j, c, count,
                                                            rows, at[j]);
  }
}

/* What a row of points adds to a share of the weights: those of channels first..end of the source,
 * which S has, and a block of outputs. */
static void multiply_weights(const job *k, const part *t, int64_t share, int64_t block, int64_t row,
                             int64_t first, int64_t end) {
  pl_real *at[POINTS], *windows = windows_at(k, share, block, first);
  const int64_t rows = (t->images_end - t->image) * k->patches, count = end - first;
  weight_places(k, t, row, count, at);
  for (int j = 0; j < POINTS; j++)
    point_to_weights(k, t, (int)row * POINTS + j, block * BLOCK, count, rows, at[j]);
  for (int64_t i = 0; i < count; i++)
    window_from_points(k, windows + i * k->window * BLOCK, row, i, count, at);
}

/*
** The job
*/

/* Where the points' numbers lie, for so many rows, and channels of S and R. */
static void lay_out(job *k, int64_t rows, int64_t s_lanes, int64_t r_lanes) {
  k->s_lanes = s_lanes;
  for (int i = 0; i < ALL; i++) {
    k->s_at[i] = (place){k->s_size, apart(k->slots[i] * s_lanes)};
    k->r_at[i] = (place){k->slots[i] ? k->r_size : -1, apart(r_lanes)};
    for (int64_t f = 0; f < k->phases; f++) {
      const int64_t slot = k->slot[f][i];
      k->source_at[f][i] = (place){slot < 0 ? -1 : k->s_size + slot * s_lanes, k->s_at[i].row};
    }
    if (!k->slots[i]) continue;
    k->s_size += apart(rows * k->s_at[i].row);
    k->r_size += apart(rows * k->r_at[i].row);
  }
}

/* Numbers that a phase of a patch reads along an axis, for the outputs that the patch has. */
static int64_t reach(const axis *a, int64_t patch, int64_t taps) {
  return PL_MIN(SIDE, a->outputs - patch * SIDE) + taps - 1;
}

/* The numbers that the patches read, those that none reads or that lie outside being the last. */
static void fill_tables(job *k) {
  int32_t *at = k->source;
  for (int64_t i = 0; i < k->patches * k->phases * ALL; i++) {
    const phase *f = &k->phase[i / ALL % k->phases];
    const int64_t patch = i / ALL / k->phases, py = patch / k->x.patches, px = patch % k->x.patches;
    const int64_t j = i % ALL / POINTS, n = i % POINTS;
    const int64_t y = (py * SIDE + j) * k->y.stride + f->y - k->y.pad;
    const int64_t x = (px * SIDE + n) * k->x.stride + f->x - k->x.pad;
    const bool inside = y >= 0 && y < k->y.size && x >= 0 && x < k->x.size;
    const bool read = j < reach(&k->y, py, f->high) && n < reach(&k->x, px, f->wide);
    *at++ = (int32_t)(inside && read ? y * k->x.size + x : k->plane_in);
  }
  at = k->result;
  for (int64_t i = 0; i < k->patches * SIDE * SIDE; i++) {
    const int64_t patch = i / (SIDE * SIDE), j = i % (SIDE * SIDE);
    const int64_t y = patch / k->x.patches * SIDE + j / SIDE;
    const int64_t x = patch % k->x.patches * SIDE + j % SIDE;
    const bool inside = y < k->y.outputs && x < k->x.outputs;
    *at++ = (int32_t)(inside ? y * k->x.outputs + x : k->plane_out);
  }
}

static job job_of(const pl_conv *p, way which) {
  job k = {.p = p,
           .way = which,
           .y = axis_of(p, 0),
           .x = axis_of(p, 1),
           .in = up(p->c, BLOCK) * BLOCK,
           .out = up(p->k, BLOCK) * BLOCK,
           .plane_in = p->h * p->w,
           .plane_out = p->oh * p->ow,
           .window = p->r * p->s};
  k.phases = k.y.phases * k.x.phases;
  k.patches = k.y.patches * k.x.patches;
  for (int64_t f = 0; f < k.phases; f++) {
    const int64_t y = f / k.x.phases, x = f % k.x.phases;
    k.phase[f] = (phase){y, x, taps_of(&k.y, y), taps_of(&k.x, x)};
    for (int i = 0; i < ALL; i++) {
      const bool none = (i / POINTS == FINITE && k.phase[f].high < TAPS) ||
                        (i % POINTS == FINITE && k.phase[f].wide < TAPS);
      k.slot[f][i] = none ? -1 : k.slots[i]++;
    }
  }
  return k;
}

/* Numbers that all points have for one of each phase. */
static int64_t all_slots(const job *k) {
  int64_t n = 0;
  for (int i = 0; i < ALL; i++) n += k->slots[i];
  return n;
}

static int64_t numbers_of_image(const job *k) {
  return k->patches * (all_slots(k) * k->in + ALL * k->out);
}

/*
** A piece of work is a block of the lanes and a part of the images; the pieces of a part follow one
** another. What they share, S or R, a thread brings to the points for itself, once for as many of
** them as it has: it need not wait for another, or read what one has just written. With few parts
** more threads make the same, with many the weights are brought to the points more often.
*/
static int64_t best_parts(const job *k, int64_t threads) {
  const int64_t slots = all_slots(k), rows = k->p->n * k->patches, blocks = lane_blocks(k);
  const double both = (double)(slots * k->in) * (double)k->out;
  const double shared = (double)rows * (double)(k->way == FORWARD ? slots * k->in : ALL * k->out);
  double least = INFINITY;
  int64_t best = 1;
  for (int64_t i = 1; i <= PL_MIN(k->p->n, threads); i++) {
    const int64_t others = PL_MIN(blocks, up(threads, i)); /* threads at one part */
    const double time = both * (double)rows / (double)(i * others) +
                        IMAGE_COST * shared / (double)i + WEIGHT_COST * both / (double)others;
    if (time < least) least = time, best = i;
  }
  return best;
}

/* To the weights, shares of images have their own sums if blocks are few, and as many on any number
 * of threads. */
static int64_t shares(const job *k) {
  const int64_t most = PL_MIN(k->p->n, k->p->n * k->patches / SHARE_ROWS);
  return PL_MAX(1, PL_MIN(most, SHARES / (k->in / BLOCK)));
}

/* Parts, groups, and where what they have at the points lies. */
static void plan(job *k, int64_t threads) {
  const int64_t s_lanes = k->way == FORWARD ? k->in : BLOCK;
  const int64_t r_lanes = k->way == FORWARD ? BLOCK : k->out;
  const int64_t numbers = k->patches * (all_slots(k) * s_lanes + ALL * r_lanes);
  const int64_t most = PL_MAX(1, GROUP / numbers);
  if (k->way == TO_WEIGHTS) k->parts = shares(k);
  else k->parts = PL_MAX(best_parts(k, threads), up(k->p->n, most));
  const int64_t images = up(k->p->n, k->parts);
  k->group = up(images, up(images, most));
  k->share = apart(lane_blocks(k) * BLOCK * depth_channels(k) * k->window);
  lay_out(k, k->group * k->patches, s_lanes, r_lanes);
}

/* Deals pieces, when all that was dealt before is done. */
static void deal(const job *k, int64_t pieces) {
#pragma omp barrier
  if (omp_get_thread_num() == 0) pl_deal(k->hands, omp_get_num_threads(), pieces);
#pragma omp barrier
}

static int64_t take(const job *k) {
  return pl_take(k->hands, omp_get_num_threads(), omp_get_thread_num());
}

static void weight_blocks(const job *k) {
  deal(k, lane_blocks(k));
  for (int64_t i; (i = take(k)) >= 0;) weight_block(k, i);
}

/* S for the images of a part, from some channels, or R; if the thread does not have it yet. */
static void need_source(const job *k, part *t, int64_t channel) {
  if (t->s_image == t->image && t->s_channel == channel) return;
  for (int64_t n = t->image; n < t->images_end; n++)
    source_to_points(k, t, n, channel, channel + k->s_lanes);
  t->s_image = t->image, t->s_channel = channel;
}

static void need_result(const job *k, part *t, pl_real *sums) {
  if (t->r_image == t->image && !sums) return;
  for (int64_t n = t->image; n < t->images_end; n++) result_to_points(k, t, n, sums);
  t->r_image = t->image;
}

/* A block of R from S for a part of the images, or of S from R. */
static void run_piece(const job *k, part *t, int64_t piece) {
  const int64_t block = piece % lane_blocks(k), i = piece / lane_blocks(k);
  t->image = k->p->n * i / k->parts;
  t->images_end = k->p->n * (i + 1) / k->parts;
  if (k->way == FORWARD) need_source(k, t, 0);
  else need_result(k, t, NULL);
  for (int64_t row = 0; row < POINTS; row++) multiply_row(k, t, block, row);
  for (int64_t n = t->image; n < t->images_end; n++)
    if (k->way == FORWARD) result_from_points(k, t, n, block);
    else source_from_points(k, t, n, block);
}

/* Blocks of channels of the source, and parts of those of the result. */
static int64_t weight_parts(const job *k) { return PL_MIN(k->out / BLOCK, OUTPUT_PARTS); }
static int64_t weight_pieces(const job *k) { return k->in / BLOCK * weight_parts(k); }

/* The weights between such parts, of a group of a part of the images. */
static void run_weights(const job *k, part *t, int64_t piece, int64_t group) {
  const int64_t i = piece / weight_pieces(k), at = piece % weight_pieces(k),
                parts = weight_parts(k);
  const int64_t c = at / parts * BLOCK, last = PL_MIN(k->p->c, c + BLOCK), blocks = k->out / BLOCK;
  const int64_t block = blocks * (at % parts) / parts, end = blocks * (at % parts + 1) / parts;
  t->image = k->p->n * i / k->parts + group * k->group;
  t->images_end = PL_MIN(k->p->n * (i + 1) / k->parts, t->image + k->group);
  for (int64_t b = block; b < end && !group; b++)
    memset(windows_at(k, i, b, c), 0, (size_t)((last - c) * k->window * BLOCK) * sizeof(pl_real));
  if (t->image >= t->images_end) return;
  need_source(k, t, c);
  need_result(k, t, at ? NULL : k->bias_sums);
  for (int64_t row = 0; row < POINTS; row++)
    for (int64_t b = block; b < end; b++) multiply_weights(k, t, i, b, row, c, last);
}

static void to_weights(const job *k, part *t) {
  for (int64_t group = 0; group * k->group < up(k->p->n, k->parts); group++) {
    deal(k, k->parts * weight_pieces(k));
    for (int64_t i; (i = take(k)) >= 0;) run_weights(k, t, i, group);
  }
  weight_blocks(k);
}

static void from_weights(const job *k, part *t) {
  weight_blocks(k);
  deal(k, k->parts * lane_blocks(k));
  for (int64_t i; (i = take(k)) >= 0;) run_piece(k, t, i);
}

/* The sums of g, image after image. */
static void sum_bias(const job *k, pl_real *gbias) {
  for (int64_t c = 0; c < k->p->k; c++) {
    gbias[c] = 0;
    for (int64_t i = 0; i < k->p->n; i++) gbias[c] += k->bias_sums[i * k->out + c];
  }
}

/* gbias: where the sums of g go, or NULL. */
static bool run(job *k, pl_real *gbias) {
  const pl_conv *p = k->p;
  const int threads = omp_get_max_threads();
  plan(k, threads);
  const int64_t windows = k->share * (k->way == TO_WEIGHTS ? k->parts : 1);
  const int64_t sums = gbias ? p->n * k->out : 0;
  const int64_t planes = apart(BLOCK * (PL_MAX(k->plane_in, k->plane_out) + 1));
  const int64_t result = k->pool ? apart(PL_MAX(BLOCK, p->k) * k->plane_out) : 0;
  const int64_t each =
      k->s_size + k->r_size + planes + result + POINTS * apart(CHANNELS * k->phases * BLOCK);
  const int64_t tables = k->patches * (k->phases * ALL + SIDE * SIDE);
  const int64_t reals = windows + threads * each + sums;
  k->hands = pl_scratch((size_t)threads * sizeof *k->hands + (size_t)reals * sizeof(pl_real) +
                        (size_t)tables * sizeof(int32_t));
  if (!k->hands) return false;
  k->windows = (pl_real *)(k->hands + threads);
  pl_real *own = k->windows + windows, *end = own + threads * each;
  k->bias_sums = gbias ? end : NULL;
  k->source = (int32_t *)(end + sums);
  k->result = k->source + k->patches * k->phases * ALL;
  fill_tables(k);
  if (gbias) memset(k->bias_sums, 0, (size_t)sums * sizeof *k->bias_sums);
#pragma omp parallel
  {
    part t = {.s_image = -1, .r_image = -1, .s = own + omp_get_thread_num() * each};
    t.r = t.s + k->s_size;
    t.planes = t.r + k->r_size;
    t.result = t.planes + planes;
    t.w = t.result + result;
    (k->way == TO_WEIGHTS ? to_weights : from_weights)(k, &t);
  }
  if (gbias) sum_bias(k, gbias);
  pl_scratch_free(k->hands);
  return true;
}

/* Products without those of the padding, along an axis. */
static double products_along(const axis *a) {
  int64_t n = 0;
  for (int64_t o = 0; o < a->outputs; o++) {
    const int64_t first = o * a->stride - a->pad;
    n += PL_MAX(0, PL_MIN(a->window, a->size - first) - PL_MAX(0, -first));
  }
  return (double)n;
}

static bool begin(const pl_conv *p, job *k) {
  if (p->n < 1 || p->c < 1 || p->k < 1 || p->oh < 1 || p->ow < 1) return false;
  for (int d = 0; d < 2; d++) {
    const axis a = axis_of(p, d);
    if (p->dil[d] != 1 || a.stride > 2 || taps_of(&a, 0) > TAPS) return false;
  }
  *k = job_of(p, FORWARD);
  return numbers_of_image(k) <= MOST;
}

bool k_minimal_possible(const pl_conv *p) {
  job k;
  return begin(p, &k);
}

bool k_minimal_suits(const pl_conv *p) {
  job k;
  if (!begin(p, &k)) return false;
  const double n = (double)p->n, rows = n * (double)k.patches;
  const double points = (double)all_slots(&k) * (double)k.in * (double)k.out;
  const double fewer =
      points * (rows + WEIGHT_COST) + IMAGE_COST * n * (double)numbers_of_image(&k);
  const double lanes = (double)(p->k <= BLOCK / 2 ? p->k : k.out);
  return fewer < n * products_along(&k.y) * products_along(&k.x) * (double)p->c * lanes;
}

bool k_minimal_forward(const pl_conv *p, const pl_real *x, const pl_real *w, const pl_conv_end *end,
                       pl_real *y) {
  job k = job_of(p, FORWARD);
  k.images = (flow){x, NULL, 0};
  k.w = w;
  k.bias = end->bias;
  k.end = (finish){end->act, end->slope};
  k.pool = end->pool;
  k.pooled_at = end->at;
  k.to = y;
  return run(&k, NULL);
}

bool k_minimal_transpose(const pl_conv *p, const pl_real *x, const pl_real *w,
                         const pl_conv_end *end, pl_real *y) {
  job k = job_of(p, TO_SOURCE);
  k.g = (flow){x, NULL, 0};
  k.w = w;
  k.bias = end->bias;
  k.end = (finish){end->act, end->slope};
  k.to = y;
  return run(&k, NULL);
}

/* What flows into the result. */
static void take_back(job *k, const pl_conv_back *back) {
  k->g = (flow){back->g, back->y, back->slope};
  k->pool = back->pool;
  k->at = back->at;
}

bool k_minimal_input_grad(const pl_conv *p, const pl_conv_back *back, const pl_real *w,
                          pl_real *gx) {
  job k = job_of(p, TO_SOURCE);
  take_back(&k, back);
  k.w = w;
  k.to = gx;
  return run(&k, NULL);
}

bool k_minimal_weight_grad(const pl_conv *p, const pl_real *x, const pl_conv_back *back,
                           pl_real *gw, pl_real *gbias) {
  job k = job_of(p, TO_WEIGHTS);
  take_back(&k, back);
  k.images = (flow){x, NULL, 0};
  k.to = gw;
  return run(&k, gbias);
}
