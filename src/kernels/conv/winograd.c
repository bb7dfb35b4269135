/*
** winograd.c: convolutions of many channels with fewer multiply-adds, by minimal filtering F(4 x 4,
** 3 x 3) (Winograd, Arithmetic Complexity of Computations, 1980; Lavin and Gray, Fast Algorithms
** for Convolutional Neural Networks, 2016).
**
** Four outputs of a window of three over six inputs take twelve multiply-adds. They are also,
** transposed, a product of two polynomials, which its values at five points and at infinity
** determine: six multiply-adds. Along both axes the outputs fall into tiles of 4 x 4, and 36 points
** take the place of 144 multiply-adds. A stride parts the window into phases: taps that are a
** stride apart, which are a window without a stride over inputs a stride apart. A phase with fewer
** than three taps is one whose last are zero, and nothing of it is left at infinity: 121
** multiply-adds for a window of 5 x 5 with stride 2, where there were 400.
**
**   input 6 x 6 . . . . . .      V = B'dB        output 4 x 4 y y y y
**               . d d d d .      U = GgG'                     y y y y    tiles overlap by two
**               . d d d d .      M = sum of U V               y y y y    inputs
**               . . . . . .      Y = A'MA                     y y y y
**
** At each point of the transform domain, with a row for each tile of each image,
**   M [rows, outputs] = V [rows, phases x inputs] U [phases x inputs, outputs]
** are made of the output, the input and the weights (the filter), and each algorithm is one such
** matrix product for each point, between a transform of two and the adjoint of the third's:
**   FORWARD     M = V U      input transform, filter transform, output transform
**   TO_INPUT    dV = dM U'   adjoint of the output's, filter transform, adjoint of the input's
**   TO_WEIGHTS  dU = V' dM   input transform, adjoint of the output's, adjoint of the filter's
**
** The points are 0, 3/4, -3/4, 3/2 and -3/2, whose powers are exact; among such small fractions
** they have the smallest rounding errors. All elements of a tile share these errors, and if one is
** infinite or NaN, all of the tile may be.
**
** An element of V, M and U is the same sum in the same order however the work is cut, so bits do
** not depend on the number of threads.
*/
#include <math.h>
#include <omp.h>

#include "../queue.h"
#include "../gemm/microkernel.h"
#include "algorithm.h"
#include "internal.h"
#include "microkernel.h"

enum {
  SIDE = PL_WINOGRAD_TILE,
  TAPS = PL_WINOGRAD_TAPS,
  POINTS = PL_WINOGRAD_POINTS,
  FINITE = POINTS - 1, /* points without the one at infinity, which is the last */
  ALL = POINTS * POINTS,
  MAX_PHASES = PL_WINOGRAD_MAX_STRIDE * PL_WINOGRAD_MAX_STRIDE,
  CHANNELS = 128,   /* whose weights are transformed at a time, into the second-level cache */
  GROUP = 1 << 20,  /* elements of a group of several images in the transform domain: 4 MB */
  SHARES = 8,       /* of images, each with its own sums of weights, */
  SHARE_ROWS = 128, /* if each then has at least this many rows */
  OUTPUT_PARTS = 4, /* items that the output channels are for a block of input channels, at most */
};

typedef enum { FORWARD, TO_INPUT, TO_WEIGHTS } winograd_algorithm;

/* An axis of the convolution. */
typedef struct {
  int64_t window, stride, pad, size, outputs;
  int64_t phases, tiles;
} winograd_axis;

/* The taps y, y + stride, ... and x, ... of the window. */
typedef struct {
  int64_t y, x, high, wide;
} phase;

static winograd_axis winograd_axis_of(const pl_conv *p, int d) {
  winograd_axis a = {.window = d ? p->s : p->r,
                     .stride = p->stride[d],
                     .pad = p->pad[d],
                     .size = d ? p->w : p->h,
                     .outputs = d ? p->ow : p->oh};
  a.phases = PL_MIN(a.stride, a.window);
  a.tiles = pl_ceil_div(a.outputs, SIDE);
  return a;
}

static int64_t taps_of(const winograd_axis *a, int64_t first) {
  return (a->window - first + a->stride - 1) / a->stride;
}

/* At least n elements, in an odd number of cache lines: arrays that far apart do not collide. */
static int64_t pad_lines(int64_t n) {
  const int64_t line = 64 / (int64_t)sizeof(pl_real);
  return (pl_ceil_div(n, line) | 1) * line;
}

/* Where the elements of a point begin, and how far the next row is; at < 0: there are none. */
typedef struct {
  int64_t at, row;
} point_place;

typedef struct {
  const pl_conv *p;
  winograd_algorithm algorithm;
  winograd_axis y, x;
  int64_t phases, tiles; /* tiles of an image */
  int64_t in, out;       /* channels, in whole blocks */
  int64_t plane_in, plane_out, window;
  phase phase[MAX_PHASES];
  int64_t slots[ALL]; /* phases at a point; and which one of them a phase is there, or -1 */
  int64_t slot[MAX_PHASES][ALL];
  int64_t parts, group; /* the images fall into; images of a part at a time */
  int64_t v_lanes;      /* channels of a phase in V */
  int64_t share;        /* elements of all windows; the parts of images have their own */
  int64_t v_size, m_size;
  point_place v_at[ALL], m_at[ALL], input_at[MAX_PHASES][ALL];
  int32_t *input, *output; /* what a tile reads: [tile][phase][ALL], [tile][SIDE][SIDE] */
  pl_range *queue;
  pl_real *windows, *bias_sums; /* [block][channel][window][BLOCK]; [image][out] */
  const pl_real *images, *w;
  pl_prologue back; /* the gradient that becomes dM */
  pl_epilogue epilogue;
  pl_real *to; /* output, input gradient or weight gradient */
} winograd_call;

/*
** What a thread works on: a group of images; the first of those that V and M hold, or -1, and the
** channel from which on V holds them, if not all; and its own memory: V, M, planes of a block of
** channels, an image of outputs, and U at some points.
*/
typedef struct {
  int64_t image, images_end, v_image, m_image, v_channel;
  pl_real *v, *m, *planes, *output, *u;
} winograd_item;

/*
** Transforms along an axis, in place, of elements that are `step` apart; A and B are the points.
*/

#define A  ((pl_real)0.75)
#define B  ((pl_real)1.5)
#define AA (A * A)
#define BB (B * B)
/* 1 / the product of the differences between a point and the other finite ones: at 0, A and B. */
#define N0 ((pl_real)(1 / (0.5625 * 2.25)))
#define NA ((pl_real)(1 / (2 * 0.5625 * (0.5625 - 2.25))))
#define NB ((pl_real)(1 / (2 * 2.25 * (2.25 - 0.5625))))

/* The sums of a polynomial's even and of its odd powers at a point, which give its values at the
 * point and at the opposite one. */
typedef struct {
  vec even, odd;
} even_odd;

INLINE void store_pairs(vec *m, int step, even_odd a, even_odd b) {
  m[step] = a.even + a.odd;
  m[2 * step] = a.even - a.odd;
  m[3 * step] = b.even + b.odd;
  m[4 * step] = b.even - b.odd;
}

INLINE even_odd load_pair(const vec *m, int step, int at) {
  const vec here = m[at * step], opposite = m[(at + 1) * step];
  return (even_odd){here + opposite, here - opposite};
}

/* B'd: six inputs. At each point, the coefficients are those of the product of (x - other
 * point). */
INLINE void input_transform(vec *m, int step) {
  const vec x0 = m[0], x1 = m[step], x2 = m[2 * step], x3 = m[3 * step], x4 = m[4 * step];
  m[0] = x4 - (AA + BB) * x2 + AA * BB * x0;
  store_pairs(m, step, (even_odd){x4 - BB * x2, A * (x3 - BB * x1)},
              (even_odd){x4 - AA * x2, B * (x3 - AA * x1)});
  m[5 * step] += AA * BB * x1 - (AA + BB) * x3;
}

/* The adjoint. */
INLINE void input_adjoint(vec *m, int step) {
  const vec v0 = m[0], v5 = m[5 * step];
  even_odd a = load_pair(m, step, 1), b = load_pair(m, step, 3);
  a.odd *= A, b.odd *= B;
  m[0] = AA * BB * v0;
  m[step] = AA * BB * v5 - BB * a.odd - AA * b.odd;
  m[2 * step] = -(AA + BB) * v0 - BB * a.even - AA * b.even;
  m[3 * step] = a.odd + b.odd - (AA + BB) * v5;
  m[4 * step] = v0 + a.even + b.even;
}

/* Gg: three weights. The values of their polynomial, divided by what the input's product is
 * there. */
INLINE void filter_transform(vec *m, int step) {
  const vec g0 = m[0], g1 = m[step], g2 = m[2 * step];
  m[0] = N0 * g0;
  store_pairs(m, step, (even_odd){NA * (g0 + AA * g2), NA * A * g1},
              (even_odd){NB * (g0 + BB * g2), NB * B * g1});
  m[5 * step] = g2;
}

/* The adjoint. */
INLINE void filter_adjoint(vec *m, int step) {
  const even_odd a = load_pair(m, step, 1), b = load_pair(m, step, 3);
  m[0] = N0 * m[0] + NA * a.even + NB * b.even;
  m[step] = NA * A * a.odd + NB * B * b.odd;
  m[2 * step] = NA * AA * a.even + NB * BB * b.even + m[5 * step];
}

/* The adjoint of the output transform: four outputs, the values of their polynomial. */
INLINE void output_adjoint(vec *m, int step) {
  const vec y0 = m[0], y1 = m[step], y2 = m[2 * step], y3 = m[3 * step];
  store_pairs(m, step, (even_odd){y0 + AA * y2, A * (y1 + AA * y3)},
              (even_odd){y0 + BB * y2, B * (y1 + BB * y3)});
  m[5 * step] = y3;
}

/* A'm. */
INLINE void output_transform(vec *m, int step) {
  even_odd a = load_pair(m, step, 1), b = load_pair(m, step, 3);
  a.odd *= A, b.odd *= B;
  m[0] += a.even + b.even;
  m[step] = a.odd + b.odd;
  m[2 * step] = AA * a.even + BB * b.even;
  m[3 * step] = AA * a.odd + BB * b.odd + m[5 * step];
}

/* G, row by row: as filter_transform computes it. */
static const pl_real filter_rows[POINTS][TAPS] = {{N0, 0, 0},           {NA, NA *A, NA *AA},
                                                  {NA, -NA *A, NA *AA}, {NB, NB *B, NB *BB},
                                                  {NB, -NB *B, NB *BB}, {0, 0, 1}};

/* Along both axes: over `columns` columns, then over `rows` rows. */
#define ALONG_BOTH(name, columns, rows)                            \
  static void name##_2d(vec *m) {                                  \
    UNROLL for (int i = 0; i < columns; i++) name(m + i, POINTS);  \
    UNROLL for (int i = 0; i < rows; i++) name(m + i * POINTS, 1); \
  }
ALONG_BOTH(input_transform, POINTS, POINTS)
ALONG_BOTH(input_adjoint, POINTS, POINTS)
ALONG_BOTH(output_adjoint, SIDE, POINTS)
ALONG_BOTH(output_transform, POINTS, SIDE)

/* The biases of a block, of which there are `channels`. */
static void get_bias(const winograd_call *k, int64_t first, int64_t channels, pl_real *bias) {
  for (int64_t i = 0; i < BLOCK; i++)
    bias[i] = k->epilogue.bias && i < channels ? k->epilogue.bias[first + i] : 0;
}

INLINE void put_points(const point_place *p, pl_real *to, int64_t row, const vec *m) {
  UNROLL for (int i = 0; i < ALL; i++) {
    if (p[i].at >= 0) store(to + p[i].at + row * p[i].row, m[i]);
  }
}

INLINE void get_points(const point_place *p, const pl_real *from, int64_t row, vec *m) {
  UNROLL for (int i = 0; i < ALL; i++) {
    m[i] = p[i].at < 0 ? (vec){0} : load(from + p[i].at + row * p[i].row);
  }
}

/*
** Images: a block of channels at a time becomes [element][lane], with one more element for what
** lies outside of the image.
*/

/* The input transform: channels first..end of an image, into rows of V. */
static void v_from_input(const winograd_call *k, const winograd_item *t, int64_t image,
                         int64_t first, int64_t end) {
  const pl_conv *p = k->p;
  const int64_t row = (image - t->image) * k->tiles;
  for (int64_t c = first; c < end; c += BLOCK) {
    const masked f = unmasked(k->images + (image * p->c + c) * k->plane_in);
    block_from_planes(t->planes, &f, k->plane_in, PL_MIN(BLOCK, p->c - c), k->plane_in);
    memset(t->planes + k->plane_in * BLOCK, 0, BLOCK * sizeof(pl_real));
    const int32_t *at = k->input;
    for (int64_t i = 0; i < k->tiles; i++)
      for (int64_t j = 0; j < k->phases; j++, at += ALL)
        for (int64_t half = 0; half < BLOCK; half += LANES) {
          vec m[ALL];
          UNROLL for (int n = 0; n < ALL; n++) m[n] = load(t->planes + at[n] * BLOCK + half);
          input_transform_2d(m);
          put_points(k->input_at[j], t->v + c - first + half, row + i, m);
        }
  }
}

/* Its adjoint: a block of channels, from V. */
static void input_from_v(const winograd_call *k, const winograd_item *t, int64_t image,
                         int64_t block) {
  const pl_conv *p = k->p;
  const int64_t row = (image - t->image) * k->tiles, first = block * BLOCK;
  const int64_t channels = PL_MIN(BLOCK, p->c - first);
  pl_real bias[BLOCK];
  get_bias(k, first, channels, bias);
  for (int64_t i = 0; i < k->plane_in; i++)
    memcpy(t->planes + i * BLOCK, bias, BLOCK * sizeof *bias);
  const int32_t *at = k->input;
  for (int64_t i = 0; i < k->tiles; i++)
    for (int64_t j = 0; j < k->phases; j++, at += ALL)
      for (int64_t half = 0; half < BLOCK; half += LANES) {
        vec m[ALL];
        get_points(k->input_at[j], t->v + half, row + i, m);
        input_adjoint_2d(m);
        UNROLL for (int n = 0; n < ALL; n++) {
          pl_real *sum = t->planes + at[n] * BLOCK + half;
          store(sum, load(sum) + m[n]);
        }
      }
  planes_from_block(k->to + (image * p->c + first) * k->plane_in, k->plane_in, t->planes,
                    k->epilogue.slope, channels, k->plane_in);
}

/* The gradient of an image's output, through its prologue. */
static masked gradient_of(const winograd_call *k, const winograd_item *t, int64_t image) {
  const pl_conv *p = k->p;
  const pl_pool *pool = k->back.pool;
  const masked g = masked_of(&k->back);
  if (!pool) return masked_at(&g, image * p->k * k->plane_out);
  const int64_t from = image * p->k * pool->oh * pool->ow;
  const masked pooled = masked_at(&g, from);
  k_unpool(pool, p->k, &pooled, k->back.argmax + from, t->output);
  return unmasked(t->output);
}

/* The adjoint of the output transform: all channels of a gradient, into M; and, if asked for, their
 * sums. */
static void m_from_output(const winograd_call *k, const winograd_item *t, int64_t image,
                          pl_real *sums) {
  const pl_conv *p = k->p;
  const int64_t row = (image - t->image) * k->tiles;
  const masked g = gradient_of(k, t, image);
  for (int64_t c = 0; c < k->out; c += BLOCK) {
    const masked f = masked_at(&g, c * k->plane_out);
    block_from_planes(t->planes, &f, k->plane_out, PL_MIN(BLOCK, p->k - c), k->plane_out);
    memset(t->planes + k->plane_out * BLOCK, 0, BLOCK * sizeof(pl_real));
    if (sums) sum_block(sums + image * k->out + c, t->planes, k->plane_out);
    const int32_t *at = k->output;
    for (int64_t i = 0; i < k->tiles; i++, at += SIDE * SIDE)
      for (int64_t half = 0; half < BLOCK; half += LANES) {
        vec m[ALL];
        UNROLL for (int n = 0; n < SIDE * SIDE; n++) {
          m[n / SIDE * POINTS + n % SIDE] = load(t->planes + at[n] * BLOCK + half);
        }
        output_adjoint_2d(m);
        put_points(k->m_at, t->m + c + half, row + i, m);
      }
  }
}

/* The output transform: a block of channels, from M. */
static void output_from_m(const winograd_call *k, const winograd_item *t, int64_t image,
                          int64_t block) {
  const pl_conv *p = k->p;
  const int64_t row = (image - t->image) * k->tiles, first = block * BLOCK;
  const int64_t channels = PL_MIN(BLOCK, p->k - first);
  const pl_pool *pool = k->epilogue.pool;
  pl_real *to = pool ? t->output : k->to + (image * p->k + first) * k->plane_out, bias[BLOCK];
  get_bias(k, first, channels, bias);
  const int32_t *at = k->output;
  for (int64_t i = 0; i < k->tiles; i++, at += SIDE * SIDE)
    for (int64_t half = 0; half < BLOCK; half += LANES) {
      vec m[ALL], start = load(bias + half);
      get_points(k->m_at, t->m + half, row + i, m);
      output_transform_2d(m);
      UNROLL for (int n = 0; n < SIDE * SIDE; n++) {
        store(t->planes + at[n] * BLOCK + half, m[n / SIDE * POINTS + n % SIDE] + start);
      }
    }
  planes_from_block(to, k->plane_out, t->planes, k->epilogue.slope, channels, k->plane_out);
  if (!pool) return;
  const int64_t pooled = (image * p->k + first) * pool->oh * pool->ow;
  k_max_pool(pool, channels, to, k->to + pooled, k->epilogue.argmax + pooled);
}

/*
** Weights. The lanes of a block are output channels, or TO_INPUT input channels; the other channels
** come one after the other.
*/

static int64_t lane_blocks(const winograd_call *k) {
  return (k->algorithm == TO_INPUT ? k->in : k->out) / BLOCK;
}

static int64_t depth_channels(const winograd_call *k) {
  return k->algorithm == TO_INPUT ? k->p->k : k->p->c;
}

static pl_real *windows_at(const winograd_call *k, int64_t share, int64_t block, int64_t channel) {
  return k->windows + share * k->share + (block * depth_channels(k) + channel) * k->window * BLOCK;
}

/* The windows of a block from the weights, or TO_WEIGHTS into them. */
static void transpose_windows(const winograd_call *k, int64_t block) {
  const pl_conv *p = k->p;
  const int64_t lane = block * BLOCK, windows = p->c * k->window;
  pl_real *own = windows_at(k, 0, block, 0);
  if (k->algorithm == TO_INPUT) {
    for (int64_t o = 0; o < p->k; o++, own += k->window * BLOCK) {
      const masked w = unmasked(k->w + o * windows + lane * k->window);
      block_from_planes(own, &w, k->window, PL_MIN(BLOCK, p->c - lane), k->window);
    }
  } else if (k->algorithm == FORWARD) {
    const masked w = unmasked(k->w + lane * windows);
    block_from_planes(own, &w, windows, PL_MIN(BLOCK, p->k - lane), windows);
  } else {
    for (int64_t s = 1; s < k->parts; s++)
      for (int64_t i = 0; i < windows * BLOCK; i += LANES)
        store(own + i, load(own + i) + load(own + s * k->share + i));
    planes_from_block(k->to + lane * windows, windows, own, 1, PL_MIN(BLOCK, p->k - lane), windows);
  }
}

/* Where a phase of a window begins, for half of a block. */
static inline int64_t phase_at(const winograd_call *k, const phase *f, int64_t half) {
  return (f->y * k->x.window + f->x) * BLOCK + half;
}

/* Loads, and prefetches what is `next` elements further on. */
INLINE vec load_ahead(const pl_real *p, int64_t next) {
  __builtin_prefetch(p + next);
  return load(p);
}

/* The filter transform of channel i of `count`, at a row of points: to[point] has
 * [slot][count][BLOCK]. */
static void u_from_window(const winograd_call *k, const pl_real *window, int64_t row, int64_t i,
                          int64_t count, pl_real *const *to) {
  const pl_real *by = filter_rows[row];
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
        m[v] = by[0] * load_ahead(from, next);
        if (f->high > 1) m[v] += by[1] * load_ahead(from + down, next);
        if (f->high > 2) m[v] += by[2] * load_ahead(from + 2 * down, next);
      }
      filter_transform(m, 1);
      UNROLL for (int n = 0; n < POINTS; n++) {
        if (slot[n] >= 0) store(to[n] + (slot[n] * count + i) * BLOCK + half, m[n]);
      }
    }
  }
}

/* Its adjoint, added to the window. */
static void window_from_u(const winograd_call *k, pl_real *window, int64_t row, int64_t i,
                          int64_t count, pl_real *const *from) {
  const pl_real *by = filter_rows[row];
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
      filter_adjoint(m, 1);
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
** The products at a point
*/

/* c [m, BLOCK] = (add ? c : 0) + a [m, n] b [n, BLOCK]; a's rows are `row` apart, its columns
 * `step`. */
static void multiply_slices(int64_t m, int64_t n, const pl_real *a, int64_t row, int64_t step,
                            const pl_real *b, int64_t ldb, pl_real *c, int64_t ldc, bool add) {
  const int64_t slices = PL_MAX(1, pl_ceil_div(n, KC)), tiles = pl_ceil_div(m, MR);
  for (int64_t s = 0; s < slices; s++) {
    const int64_t from = n * s / slices, depth = n * (s + 1) / slices - from;
    for (int64_t i = 0, at = 0; i < tiles; i++) {
      const int64_t end = m * (i + 1) / tiles;
      const c_tile to = {c + at * ldc, ldc, BLOCK, add || s > 0, NULL, 1};
      strided_microkernels[end - at](depth, a + at * row + from * step, row, step, b + from * ldb,
                                     ldb, &to);
      at = end;
    }
  }
}

/* M = V U: a block of output channels, from `count` input channels. */
static void m_from_v(const winograd_call *k, const winograd_item *t, int point, int64_t first,
                     int64_t count, int64_t rows, const pl_real *u) {
  const point_place v = k->v_at[point], m = k->m_at[point];
  const bool whole = count == k->v_lanes; /* then the phases' are neighbours */
  const int64_t parts = whole ? k->slots[point] > 0 : k->slots[point];
  const int64_t depth = whole ? count * k->slots[point] : count;
  for (int64_t i = 0; i < parts; i++)
    multiply_slices(rows, depth, t->v + v.at + i * k->v_lanes + first, v.row, 1,
                    u + i * count * BLOCK, BLOCK, t->m + m.at, m.row, first > 0 || i > 0);
}

/* dV = dM U': a block of input channels, from `count` output channels. */
static void v_from_m(const winograd_call *k, const winograd_item *t, int point, int64_t first,
                     int64_t count, int64_t rows, const pl_real *u) {
  const point_place v = k->v_at[point], m = k->m_at[point];
  for (int64_t i = 0; i < k->slots[point]; i++)
    multiply_slices(rows, count, t->m + m.at + first, m.row, 1, u + i * count * BLOCK, BLOCK,
                    t->v + v.at + i * k->v_lanes, v.row, first > 0);
}

/* dU = V' dM: `count` input channels, which V holds, and a block of output channels. */
static void u_from_v_and_m(const winograd_call *k, const winograd_item *t, int point,
                           int64_t column, int64_t count, int64_t rows, pl_real *u) {
  const point_place v = k->v_at[point], m = k->m_at[point];
  for (int64_t i = 0; i < k->slots[point]; i++)
    multiply_slices(count, rows, t->v + v.at + i * k->v_lanes, 1, v.row, t->m + m.at + column,
                    m.row, u + i * count * BLOCK, BLOCK, false);
}

/* Where U lies for a row of points, of `count` channels. */
static void u_places(const winograd_call *k, const winograd_item *t, int64_t row, int64_t count,
                     pl_real **at) {
  at[0] = t->u;
  for (int j = 1; j < POINTS; j++)
    at[j] = at[j - 1] + pad_lines(k->slots[row * POINTS + j - 1] * count * BLOCK);
}

/* A row of points of a block: U for some channels at a time, times V or M. */
static void multiply_row(const winograd_call *k, const winograd_item *t, int64_t block,
                         int64_t row) {
  pl_real *at[POINTS];
  const int64_t channels = depth_channels(k);
  const int64_t rows = (t->images_end - t->image) * k->tiles;
  for (int64_t c = 0; c < channels; c += CHANNELS) {
    const int64_t count = PL_MIN(CHANNELS, channels - c);
    u_places(k, t, row, count, at);
    for (int64_t i = 0; i < count; i++)
      u_from_window(k, windows_at(k, 0, block, c + i), row, i, count, at);
    for (int j = 0; j < POINTS; j++)
      (k->algorithm == FORWARD ? m_from_v : v_from_m)(k, t, (int)row * POINTS + j, c, count, rows,
                                                      at[j]);
  }
}

/* What a row of points adds to a share of the weights: those between input channels first..end,
 * which V holds, and a block of output channels. */
static void multiply_weights(const winograd_call *k, const winograd_item *t, int64_t share,
                             int64_t block, int64_t row, int64_t first, int64_t end) {
  pl_real *at[POINTS], *windows = windows_at(k, share, block, first);
  const int64_t rows = (t->images_end - t->image) * k->tiles, count = end - first;
  u_places(k, t, row, count, at);
  for (int j = 0; j < POINTS; j++)
    u_from_v_and_m(k, t, (int)row * POINTS + j, block * BLOCK, count, rows, at[j]);
  for (int64_t i = 0; i < count; i++)
    window_from_u(k, windows + i * k->window * BLOCK, row, i, count, at);
}

/*
** The call
*/

/* Where the elements of the points lie, for `rows` rows, and channels of V and M. */
static void lay_out_points(winograd_call *k, int64_t rows, int64_t v_lanes, int64_t m_lanes) {
  k->v_lanes = v_lanes;
  for (int i = 0; i < ALL; i++) {
    k->v_at[i] = (point_place){k->v_size, pad_lines(k->slots[i] * v_lanes)};
    k->m_at[i] = (point_place){k->slots[i] ? k->m_size : -1, pad_lines(m_lanes)};
    for (int64_t f = 0; f < k->phases; f++) {
      const int64_t slot = k->slot[f][i];
      k->input_at[f][i] = (point_place){slot < 0 ? -1 : k->v_size + slot * v_lanes, k->v_at[i].row};
    }
    if (!k->slots[i]) continue;
    k->v_size += pad_lines(rows * k->v_at[i].row);
    k->m_size += pad_lines(rows * k->m_at[i].row);
  }
}

/* Inputs that a phase of a tile reads along an axis, for the outputs that the tile has. */
static int64_t reach(const winograd_axis *a, int64_t tile, int64_t taps) {
  return PL_MIN(SIDE, a->outputs - tile * SIDE) + taps - 1;
}

/* The elements that the tiles read. What none reads or lies outside is the one after the plane. */
static void fill_reads(winograd_call *k) {
  int32_t *at = k->input;
  for (int64_t i = 0; i < k->tiles * k->phases * ALL; i++) {
    const phase *f = &k->phase[i / ALL % k->phases];
    const int64_t tile = i / ALL / k->phases, py = tile / k->x.tiles, px = tile % k->x.tiles;
    const int64_t j = i % ALL / POINTS, n = i % POINTS;
    const int64_t y = (py * SIDE + j) * k->y.stride + f->y - k->y.pad;
    const int64_t x = (px * SIDE + n) * k->x.stride + f->x - k->x.pad;
    const bool inside = y >= 0 && y < k->y.size && x >= 0 && x < k->x.size;
    const bool read = j < reach(&k->y, py, f->high) && n < reach(&k->x, px, f->wide);
    *at++ = (int32_t)(inside && read ? y * k->x.size + x : k->plane_in);
  }
  at = k->output;
  for (int64_t i = 0; i < k->tiles * SIDE * SIDE; i++) {
    const int64_t tile = i / (SIDE * SIDE), j = i % (SIDE * SIDE);
    const int64_t y = tile / k->x.tiles * SIDE + j / SIDE;
    const int64_t x = tile % k->x.tiles * SIDE + j % SIDE;
    const bool inside = y < k->y.outputs && x < k->x.outputs;
    *at++ = (int32_t)(inside ? y * k->x.outputs + x : k->plane_out);
  }
}

static winograd_call call_of(const pl_conv *p, winograd_algorithm algorithm) {
  winograd_call k = {.p = p,
                     .algorithm = algorithm,
                     .y = winograd_axis_of(p, 0),
                     .x = winograd_axis_of(p, 1),
                     .in = pl_ceil_div(p->c, BLOCK) * BLOCK,
                     .out = pl_ceil_div(p->k, BLOCK) * BLOCK,
                     .plane_in = p->h * p->w,
                     .plane_out = p->oh * p->ow,
                     .window = p->r * p->s};
  k.phases = k.y.phases * k.x.phases;
  k.tiles = k.y.tiles * k.x.tiles;
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

/* Elements that all points have together for one channel, those of all phases. */
static int64_t all_slots(const winograd_call *k) {
  int64_t n = 0;
  for (int i = 0; i < ALL; i++) n += k->slots[i];
  return n;
}

/*
** An item of the queue is a block of the lanes and a part of the images; the items of a part follow
** one another. The V or M that they share is transformed by each thread for itself, once for as
** many items as it takes: it need not wait for another, or read what one has just written. With few
** parts more threads transform the same images, with many the weights are transformed more often.
*/
static int64_t best_parts(const winograd_call *k, int64_t threads) {
  const int64_t slots = all_slots(k), rows = k->p->n * k->tiles, blocks = lane_blocks(k);
  const double both = (double)(slots * k->in) * (double)k->out;
  const double shared =
      (double)rows * (double)(k->algorithm == FORWARD ? slots * k->in : ALL * k->out);
  double least = INFINITY;
  int64_t best = 1;
  for (int64_t i = 1; i <= PL_MIN(k->p->n, threads); i++) {
    const int64_t others = PL_MIN(blocks, pl_ceil_div(threads, i)); /* threads at one part */
    const double time = both * (double)rows / (double)(i * others) +
                        PL_WINOGRAD_IMAGE_COST * shared / (double)i +
                        PL_WINOGRAD_WEIGHT_COST * both / (double)others;
    if (time < least) least = time, best = i;
  }
  return best;
}

/* TO_WEIGHTS, shares of images have their own sums if blocks are few: as many on any number of
 * threads. */
static int64_t winograd_shares(const winograd_call *k) {
  const int64_t most = PL_MIN(k->p->n, k->p->n * k->tiles / SHARE_ROWS);
  return PL_MAX(1, PL_MIN(most, SHARES / (k->in / BLOCK)));
}

/* Parts, groups, and where their elements of the transform domain lie. */
static void cut_images(winograd_call *k, int64_t threads) {
  const int64_t v_lanes = k->algorithm == FORWARD ? k->in : BLOCK;
  const int64_t m_lanes = k->algorithm == FORWARD ? BLOCK : k->out;
  const int64_t elements = k->tiles * (all_slots(k) * v_lanes + ALL * m_lanes);
  const int64_t most = PL_MAX(1, GROUP / elements);
  if (k->algorithm == TO_WEIGHTS) k->parts = winograd_shares(k);
  else k->parts = PL_MAX(best_parts(k, threads), pl_ceil_div(k->p->n, most));
  const int64_t images = pl_ceil_div(k->p->n, k->parts);
  k->group = pl_ceil_div(images, pl_ceil_div(images, most));
  k->share = pad_lines(lane_blocks(k) * BLOCK * depth_channels(k) * k->window);
  lay_out_points(k, k->group * k->tiles, v_lanes, m_lanes);
}

/* Fills the queue, when all items of before are done. */
static void queue_items(const winograd_call *k, int64_t items) {
#pragma omp barrier
  if (omp_get_thread_num() == 0) pl_queue_fill(k->queue, omp_get_num_threads(), items);
#pragma omp barrier
}

static int64_t take_item(const winograd_call *k) {
  return pl_queue_take(k->queue, omp_get_num_threads(), omp_get_thread_num());
}

static void all_windows(const winograd_call *k) {
  queue_items(k, lane_blocks(k));
  for (int64_t i; (i = take_item(k)) >= 0;) transpose_windows(k, i);
}

/* V for the images of a part, from some channels, or M; if the thread does not have it yet. */
static void need_v(const winograd_call *k, winograd_item *t, int64_t channel) {
  if (t->v_image == t->image && t->v_channel == channel) return;
  for (int64_t n = t->image; n < t->images_end; n++)
    v_from_input(k, t, n, channel, channel + k->v_lanes);
  t->v_image = t->image, t->v_channel = channel;
}

static void need_m(const winograd_call *k, winograd_item *t, pl_real *sums) {
  if (t->m_image == t->image && !sums) return;
  for (int64_t n = t->image; n < t->images_end; n++) m_from_output(k, t, n, sums);
  t->m_image = t->image;
}

/* A block of M from V for a part of the images, or of V from M. */
static void run_block(const winograd_call *k, winograd_item *t, int64_t item) {
  const int64_t block = item % lane_blocks(k), i = item / lane_blocks(k);
  t->image = k->p->n * i / k->parts;
  t->images_end = k->p->n * (i + 1) / k->parts;
  if (k->algorithm == FORWARD) need_v(k, t, 0);
  else need_m(k, t, NULL);
  for (int64_t row = 0; row < POINTS; row++) multiply_row(k, t, block, row);
  for (int64_t n = t->image; n < t->images_end; n++)
    if (k->algorithm == FORWARD) output_from_m(k, t, n, block);
    else input_from_v(k, t, n, block);
}

/* Items are blocks of input channels, and parts of the output channels. */
static int64_t output_parts(const winograd_call *k) { return PL_MIN(k->out / BLOCK, OUTPUT_PARTS); }
static int64_t weight_items(const winograd_call *k) { return k->in / BLOCK * output_parts(k); }

/* The weights between two such, of a group of a part of the images. */
static void run_weight_block(const winograd_call *k, winograd_item *t, int64_t item,
                             int64_t group) {
  const int64_t i = item / weight_items(k), at = item % weight_items(k), parts = output_parts(k);
  const int64_t c = at / parts * BLOCK, last = PL_MIN(k->p->c, c + BLOCK), blocks = k->out / BLOCK;
  const int64_t block = blocks * (at % parts) / parts, end = blocks * (at % parts + 1) / parts;
  t->image = k->p->n * i / k->parts + group * k->group;
  t->images_end = PL_MIN(k->p->n * (i + 1) / k->parts, t->image + k->group);
  for (int64_t b = block; b < end && !group; b++)
    memset(windows_at(k, i, b, c), 0, (size_t)((last - c) * k->window * BLOCK) * sizeof(pl_real));
  if (t->image >= t->images_end) return;
  need_v(k, t, c);
  need_m(k, t, at ? NULL : k->bias_sums);
  for (int64_t row = 0; row < POINTS; row++)
    for (int64_t b = block; b < end; b++) multiply_weights(k, t, i, b, row, c, last);
}

static void items_to_weights(const winograd_call *k, winograd_item *t) {
  for (int64_t group = 0; group * k->group < pl_ceil_div(k->p->n, k->parts); group++) {
    queue_items(k, k->parts * weight_items(k));
    for (int64_t i; (i = take_item(k)) >= 0;) run_weight_block(k, t, i, group);
  }
  all_windows(k);
}

static void items_from_weights(const winograd_call *k, winograd_item *t) {
  all_windows(k);
  queue_items(k, k->parts * lane_blocks(k));
  for (int64_t i; (i = take_item(k)) >= 0;) run_block(k, t, i);
}

/* The sums of g, image after image. */
static void sum_bias(const winograd_call *k, pl_real *gbias) {
  for (int64_t c = 0; c < k->p->k; c++) {
    gbias[c] = 0;
    for (int64_t i = 0; i < k->p->n; i++) gbias[c] += k->bias_sums[i * k->out + c];
  }
}

/* gbias: where the sums of g go, or NULL. */
static bool winograd_run(winograd_call *k, pl_real *gbias) {
  const pl_conv *p = k->p;
  const int threads = omp_get_max_threads();
  cut_images(k, threads);
  const int64_t windows = k->share * (k->algorithm == TO_WEIGHTS ? k->parts : 1);
  const int64_t sums = gbias ? p->n * k->out : 0;
  const int64_t planes = pad_lines(BLOCK * (PL_MAX(k->plane_in, k->plane_out) + 1));
  const bool pooled = k->epilogue.pool || k->back.pool;
  const int64_t output = pooled ? pad_lines(PL_MAX(BLOCK, p->k) * k->plane_out) : 0;
  const int64_t each =
      k->v_size + k->m_size + planes + output + POINTS * pad_lines(CHANNELS * k->phases * BLOCK);
  const int64_t tables = k->tiles * (k->phases * ALL + SIDE * SIDE);
  const int64_t reals = windows + threads * each + sums;
  k->queue = pl_scratch((size_t)threads * sizeof *k->queue + (size_t)reals * sizeof(pl_real) +
                        (size_t)tables * sizeof(int32_t));
  if (!k->queue) return false;
  k->windows = (pl_real *)(k->queue + threads);
  pl_real *own = k->windows + windows, *end = own + threads * each;
  k->bias_sums = gbias ? end : NULL;
  k->input = (int32_t *)(end + sums);
  k->output = k->input + k->tiles * k->phases * ALL;
  fill_reads(k);
  if (gbias) memset(k->bias_sums, 0, (size_t)sums * sizeof *k->bias_sums);
#pragma omp parallel
  {
    winograd_item t = {.v_image = -1, .m_image = -1, .v = own + omp_get_thread_num() * each};
    t.m = t.v + k->v_size;
    t.planes = t.m + k->m_size;
    t.output = t.planes + planes;
    t.u = t.output + output;
    (k->algorithm == TO_WEIGHTS ? items_to_weights : items_from_weights)(k, &t);
  }
  if (gbias) sum_bias(k, gbias);
  pl_scratch_free(k->queue);
  return true;
}

static bool winograd_forward(const pl_conv *p, const pl_real *x, const pl_real *w,
                             const pl_epilogue *e, pl_real *y) {
  winograd_call k = call_of(p, FORWARD);
  k.images = x;
  k.w = w;
  k.epilogue = *e;
  k.to = y;
  return winograd_run(&k, NULL);
}

static bool winograd_transpose(const pl_conv *p, const pl_real *x, const pl_real *w,
                               const pl_epilogue *e, pl_real *y) {
  winograd_call k = call_of(p, TO_INPUT);
  k.back.g = x;
  k.w = w;
  k.epilogue = *e;
  k.to = y;
  return winograd_run(&k, NULL);
}

static bool winograd_input_grad(const pl_conv *p, const pl_prologue *back, const pl_real *w,
                                pl_real *gx) {
  winograd_call k = call_of(p, TO_INPUT);
  k.back = *back;
  k.w = w;
  k.epilogue.slope = 1;
  k.to = gx;
  return winograd_run(&k, NULL);
}

static bool winograd_weight_grad(const pl_conv *p, const pl_real *x, const pl_prologue *back,
                                 pl_real *gw, pl_real *gbias) {
  winograd_call k = call_of(p, TO_WEIGHTS);
  k.back = *back;
  k.images = x;
  k.to = gw;
  return winograd_run(&k, gbias);
}

const pl_conv_kernels PL_ISA_NAME(pl_winograd_kernels) = {.forward = winograd_forward,
                                                          .transpose = winograd_transpose,
                                                          .input_grad = winograd_input_grad,
                                                          .weight_grad = winograd_weight_grad};
