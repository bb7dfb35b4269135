/*
** pool.c: pooling over windows of each plane. The window that everybody uses, 2 x 2 with a stride
** of 2, is done a vector of outputs at a time; all others by plain loops.
**
**   row 2i      a0 b0 a1 b1 a2 b2 ...     even and odd columns of two rows become
**   row 2i + 1  c0 d0 c1 d1 c2 d2 ...     four vectors, of which the maximum is taken
*/
#include "../../base/base.h"
#include "../conv/internal.h"

/* The elements of two vectors at even and at odd places, and the interleaving of two such. */
#if LANES == 2
#define EVEN     0, 2
#define ODD      1, 3
#define ZIP_LOW  0, 2
#define ZIP_HIGH 1, 3
#elif LANES == 4
#define EVEN     0, 2, 4, 6
#define ODD      1, 3, 5, 7
#define ZIP_LOW  0, 4, 1, 5
#define ZIP_HIGH 2, 6, 3, 7
#elif LANES == 8
#define EVEN     0, 2, 4, 6, 8, 10, 12, 14
#define ODD      1, 3, 5, 7, 9, 11, 13, 15
#define ZIP_LOW  0, 8, 1, 9, 2, 10, 3, 11
#define ZIP_HIGH 4, 12, 5, 13, 6, 14, 7, 15
#else
#define EVEN     0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define ODD      1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#define ZIP_LOW  0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define ZIP_HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#endif

typedef int32_t positions __attribute__((vector_size(4 * LANES)));
typedef int32_t positions_anywhere
    __attribute__((vector_size(4 * LANES), aligned(sizeof(int32_t)), may_alias));

INLINE vec_mask load_positions(const int32_t *p) {
  return __builtin_convertvector((positions) * (const positions_anywhere *)p, vec_mask);
}
INLINE void store_positions(int32_t *p, vec_mask v) {
  *(positions_anywhere *)p = __builtin_convertvector(v, positions);
}

static bool is_two_by_two(const pl_pool *p) {
  return p->size[0] == 2 && p->size[1] == 2 && p->stride[0] == 2 && p->stride[1] == 2 &&
         !p->pad[0] && !p->pad[1];
}

/* Rows of a window, or columns, that lie within the plane. */
INLINE int64_t clip_low(int64_t start) { return start < 0 ? -start : 0; }
INLINE int64_t clip_high(int64_t start, int64_t size, int64_t n) { return PL_MIN(size, n - start); }

/*
** max
*/

/* The first of equals is kept, and NaN before all else. */
INLINE bool is_better(pl_real a, pl_real best) { return a > best || (a != a && best == best); }

/* One output; the position counts from 1 in its plane. */
static void max_of_window(const pl_pool *p, const pl_real *x, int64_t row, int64_t col, pl_real *y,
                          int32_t *argmax) {
  int64_t top = row * p->stride[0] - p->pad[0], left = col * p->stride[1] - p->pad[1];
  int64_t bottom = clip_high(top, p->size[0], p->h), right = clip_high(left, p->size[1], p->w);
  int64_t best = -1;
  for (int64_t i = clip_low(top); i < bottom; i++)
    for (int64_t j = clip_low(left); j < right; j++) {
      int64_t here = (top + i) * p->w + left + j;
      if (best < 0 || is_better(x[here], x[best])) best = here;
    }
  *y = x[best];
  *argmax = (int32_t)best + 1;
}

INLINE void keep_better(vec *best, vec_mask *argmax, vec v, vec_mask here) {
  vec_mask better = ~(v <= *best) & (*best == *best); /* a comparison with NaN is false */
  *best = select_by(better, v, *best);
  *argmax = (here & better) | (*argmax & ~better);
}

/* LANES outputs from the row at x, whose first position is `first`, and the one `next` further on,
 * of rows of w. */
INLINE void max_vector(const pl_real *x, int64_t w, int64_t next, int64_t first, pl_real *y,
                       int32_t *argmax) {
  vec a0 = load(x), a1 = load(x + LANES), b0 = load(x + next), b1 = load(x + next + LANES);
  vec best = __builtin_shufflevector(a0, a1, EVEN);
  vec_mask start = iota() * 2 + (pl_lane)first, here = start;
  keep_better(&best, &here, __builtin_shufflevector(a0, a1, ODD), start + 1);
  keep_better(&best, &here, __builtin_shufflevector(b0, b1, EVEN), start + (pl_lane)w);
  keep_better(&best, &here, __builtin_shufflevector(b0, b1, ODD), start + (pl_lane)(w + 1));
  store(y, best);
  store_positions(argmax, here);
}

/* A row of outputs that is shorter than a vector, where nothing may be read or written past it. */
static void max_short_row(const pl_pool *p, const pl_real *x, int64_t first, pl_real *y,
                          int32_t *argmax) {
  pl_real rows[4 * LANES] = {0}, best[LANES];
  int32_t where[LANES];
  for (int64_t i = 0; i < 2 * p->ow; i++) rows[i] = x[i], rows[2 * LANES + i] = x[p->w + i];
  max_vector(rows, p->w, 2 * LANES, first, best, where);
  for (int64_t i = 0; i < p->ow; i++) y[i] = best[i], argmax[i] = where[i];
}

/*
** A row's last vector overlaps the one before. Where there is but one, it may run past the row's
** end, in x as in y: what it writes there is written again when the next row comes. Only the last
** rows of all have no room for that.
*/
static void max_two_by_two(const pl_pool *p, const pl_real *x, pl_real *y, int32_t *argmax,
                           int64_t planes) {
  int64_t in = p->h * p->w, out = p->oh * p->ow;
  for (int64_t plane = 0; plane < planes; plane++)
    for (int64_t row = 0; row < p->oh; row++) {
      int64_t to = plane * out + row * p->ow, top = 2 * row * p->w, from = plane * in + top;
      bool room = to + LANES <= planes * out && from + p->w + 2 * LANES <= planes * in;
      if (p->ow < LANES && !room) max_short_row(p, x + from, top + 1, y + to, argmax + to);
      for (int64_t i = 0; i < p->ow && (p->ow >= LANES || room); i += LANES) {
        int64_t col = PL_MAX(0, PL_MIN(i, p->ow - LANES));
        max_vector(x + from + 2 * col, p->w, p->w, top + 2 * col + 1, y + to + col,
                   argmax + to + col);
      }
    }
}

void k_max_pool(const pl_pool *p, int64_t planes, const pl_real *x, pl_real *y, int32_t *argmax) {
  if (is_two_by_two(p)) {
    max_two_by_two(p, x, y, argmax, planes);
    return;
  }
  for (int64_t i = 0; i < planes; i++, x += p->h * p->w)
    for (int64_t row = 0; row < p->oh; row++)
      for (int64_t col = 0; col < p->ow; col++) max_of_window(p, x, row, col, y++, argmax++);
}

/* 2 * LANES elements of a row, the first at position `first`: v where a maximum was, else 0. */
INLINE void back_vector(vec v, const int32_t *argmax, int64_t first, pl_real *gx) {
  vec_mask here = iota() * 2 + (pl_lane)first, where = load_positions(argmax);
  vec even = select_by(where == here, v, (vec){0}), odd = select_by(where == here + 1, v, (vec){0});
  store(gx, __builtin_shufflevector(even, odd, ZIP_LOW));
  store(gx + LANES, __builtin_shufflevector(even, odd, ZIP_HIGH));
}

/* As in max_two_by_two, a row's last vector overlaps, or may run past its end. */
static void back_two_by_two(const pl_pool *p, const masked *g, const int32_t *argmax, pl_real *gx,
                            int64_t planes) {
  int64_t in = p->h * p->w, out = p->oh * p->ow;
  for (int64_t plane = 0; plane < planes; plane++)
    for (int64_t y = 0; y < p->h; y++) {
      int64_t from = plane * out + y / 2 * p->ow, to = plane * in + y * p->w, first = y * p->w + 1;
      int64_t outputs = y / 2 < p->oh ? p->ow : 0, i = 0;
      bool room = from + LANES <= planes * out && to + 2 * LANES <= planes * in;
      for (; i < outputs && (outputs >= LANES || room); i += LANES) {
        int64_t col = PL_MAX(0, PL_MIN(i, outputs - LANES));
        back_vector(masked_load(g, from + col), argmax + from + col, first + 2 * col,
                    gx + to + 2 * col);
      }
      for (; i < outputs; i++)
        for (int64_t j = 2 * i; j < 2 * i + 2; j++)
          gx[to + j] = argmax[from + i] == first + j ? masked_one(g, from + i) : 0;
      for (int64_t j = 2 * outputs; j < p->w; j++) gx[to + j] = 0;
    }
}

void k_unpool(const pl_pool *p, int64_t planes, const masked *g, const int32_t *argmax,
              pl_real *gx) {
  int64_t in = p->h * p->w, out = p->oh * p->ow;
  if (is_two_by_two(p)) {
    back_two_by_two(p, g, argmax, gx, planes);
    return;
  }
  memset(gx, 0, (size_t)(planes * in) * sizeof *gx);
  for (int64_t i = 0; i < planes; i++)
    for (int64_t j = i * out; j < (i + 1) * out; j++)
      gx[i * in + argmax[j] - 1] += masked_one(g, j);
}

static void max_pool_grad(const pl_pool *p, int64_t planes, const pl_real *g, const int32_t *argmax,
                          pl_real *gx) {
  const masked all = unmasked(g);
  k_unpool(p, planes, &all, argmax, gx);
}

/*
** mean: the padding counts as zeros
*/

/* Outputs whose window position j, along one axis, lies in the plane. */
static int64_t from_output(int64_t j, int64_t stride, int64_t pad) {
  return j >= pad ? 0 : (pad - j + stride - 1) / stride;
}
static int64_t to_output(int64_t j, int64_t stride, int64_t pad, int64_t size, int64_t outputs) {
  int64_t last = size - 1 + pad - j;
  return last < 0 ? 0 : PL_MIN(outputs, last / stride + 1);
}

/* One plane, forwards or back: each window position is a loop over the outputs it serves. */
static void mean_plane(const pl_pool *p, pl_real *image, pl_real *out, bool back) {
  pl_real scale = 1 / (pl_real)(p->size[0] * p->size[1]);
  for (int64_t i = 0; i < p->size[0]; i++) {
    int64_t last = to_output(i, p->stride[0], p->pad[0], p->h, p->oh);
    for (int64_t row = from_output(i, p->stride[0], p->pad[0]); row < last; row++)
      for (int64_t j = 0; j < p->size[1]; j++) {
        int64_t start = from_output(j, p->stride[1], p->pad[1]), step = p->stride[1];
        int64_t n = to_output(j, step, p->pad[1], p->w, p->ow) - start;
        pl_real *a =
            image + (row * p->stride[0] + i - p->pad[0]) * p->w + start * step + j - p->pad[1];
        pl_real *b = out + row * p->ow + start;
        for (int64_t k = 0; !back && k < n; k++) b[k] += scale * a[k * step];
        for (int64_t k = 0; back && k < n; k++) a[k * step] += scale * b[k];
      }
  }
}

static void avg_pool(const pl_pool *p, const pl_real *x, pl_real *y) {
  int64_t in = p->h * p->w, out = p->oh * p->ow;
#pragma omp parallel for schedule(static) if (p->planes * in > PL_GRAIN)
  for (int64_t i = 0; i < p->planes; i++) {
    memset(y + i * out, 0, (size_t)out * sizeof *y);
    mean_plane(p, (pl_real *)x + i * in, y + i * out, false); /* which only reads x */
  }
}

static void avg_pool_grad(const pl_pool *p, const pl_real *g, pl_real *gx) {
  int64_t in = p->h * p->w, out = p->oh * p->ow;
#pragma omp parallel for schedule(static) if (p->planes * in > PL_GRAIN)
  for (int64_t i = 0; i < p->planes; i++) {
    memset(gx + i * in, 0, (size_t)in * sizeof *gx);
    mean_plane(p, gx + i * in, (pl_real *)g + i * out, true); /* which only reads g */
  }
}

const pl_pool_kernels PL_ISA_NAME(pl_pool_kernels) = {.max_pool = k_max_pool,
                                                      .max_pool_grad = max_pool_grad,
                                                      .avg_pool = avg_pool,
                                                      .avg_pool_grad = avg_pool_grad};
