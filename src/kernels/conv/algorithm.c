/*
** algorithm.c: which algorithm computes a convolution. All decisions are here, and their constants
** (those that others need too are in algorithm.h, the width of narrow results in ../dispatch.c);
** each is a comparison of costs in multiply-adds of one lane, or a limit of what an algorithm's
** tables or caches hold.
**
**   forward, transpose           winograd.c if that is cheaper, else direct.c
**   input and weight gradient    through max pooling: sparse_*.c if that suits, else as above
**   direct.c, weight.c           by blocks, rows or images: what fills the lanes best
**
** PERILUNE_CONV=direct, winograd or sparse forces an algorithm wherever it is possible (sparse:
** behind a pooling; elsewhere, and in the other directions, the choice is as usual), for
** measurements and tests. `perilune bench/fit.lua` measures BLOCK_COST and Winograd's two costs on
** the processor at hand, by forward passes, and shows whether the cheaper algorithm is chosen;
** those here were measured on two cores of a Zen 4 (docs/design.md). TILE_COST is an estimate. Limits
** (..._MAX) are sizes of caches and registers, and are not measured.
*/
#include "algorithm.h"

#include <omp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "../../base/base.h"
#include "../dispatch.h"

enum {
  /* Direct: multiply-adds of a lane that moving one element into a block or back costs. */
  BLOCK_COST = 6,
  /* Direct by images: elements that a thread's block of images may have, input and output: 1 MB,
   * a second-level cache. */
  IMAGES_MAX = 1 << 18,
  /* Direct weight gradient by rows: vectors whose multiply-adds take as long as the loads and
   * stores of a tile's sums. */
  TILE_COST = 8,

  /* Winograd: elements of an image in the transform domain, at most: 16 MB. */
  WINOGRAD_MAX = 1 << 22,

  /* Sparse weight gradient: elements of the sums of a share, which stay in the first cache. */
  SPARSE_SUMS_MAX = 1 << 14,
  /* Sparse input gradient: elements of a table of shifted weights, at most; and vectors of sums
   * that stay in registers. */
  SPARSE_TABLE_MAX = 1 << 14,
  SPARSE_REGISTERS = 12
};

/*
** Direct
*/

/* Counts the multiply-adds of all lanes, empty ones included, and of moving elements. */
pl_direct_method pl_conv_direct_method(const pl_conv_plan *p, int64_t images, int lanes) {
  const int64_t block = 2 * lanes, cols = p->x_whole.shortest;
  const int64_t both = p->in * p->h * p->w + p->out * p->out_plane;
  const int64_t whole_groups = pl_round_up(images, block * omp_get_max_threads());
  const double channels = (double)p->in * (double)p->out, out = (double)(p->out * p->out_plane);
  const double exact = channels * (double)p->y.terms * (double)p->x.terms * (double)images;
  const double whole = channels * (double)p->y.terms * (double)p->x_whole.terms * (double)images;
  double least = exact * (double)pl_round_up(p->out, block) / (double)p->out +
                 BLOCK_COST * out * (double)images;
  const double rows = whole * (double)pl_round_up(cols, lanes) / (double)cols;
  const double by_images =
      exact * (double)whole_groups / (double)images + BLOCK_COST * (double)(both * images);
  pl_direct_method best = PL_BY_BLOCKS;
  if (cols >= lanes && rows < least) best = PL_BY_ROWS, least = rows;
  if (both * block <= IMAGES_MAX && by_images < least) best = PL_BY_IMAGES;
  return best;
}

/* A row shorter than a vector is never done by rows. */
bool pl_conv_weight_by_rows(const pl_conv *p, int lanes) {
  const int64_t vectors = pl_ceil_div(p->ow, lanes), n = p->c * p->r * p->s;
  const double elements = (double)(p->k * p->oh * p->ow), terms = (double)n * elements;
  const double blocks =
      terms * (double)pl_round_up(p->k, 2 * lanes) / (double)p->k + BLOCK_COST * elements;
  const double slice = (double)PL_MIN(PL_VECTOR_SLICE, vectors * p->oh);
  const double rows = terms * (double)(vectors * lanes) / (double)p->ow * (1 + TILE_COST / slice) +
                      BLOCK_COST * elements / 2;
  return p->ow >= lanes && rows < blocks;
}

/*
** Winograd
*/

/* An axis: taps of the first phase, points of all phases, tiles, and multiply-adds of the direct
 * algorithm, those of the padding left out. */
typedef struct {
  int64_t taps, points, tiles;
  double terms;
} axis_cost;

static axis_cost axis_cost_of(const pl_conv *p, int d) {
  const int64_t window = d ? p->s : p->r, size = d ? p->w : p->h, outputs = d ? p->ow : p->oh;
  const int64_t stride = p->stride[d];
  axis_cost a = {.taps = pl_ceil_div(window, stride),
                 .tiles = pl_ceil_div(outputs, PL_WINOGRAD_TILE)};
  for (int64_t phase = 0; phase < PL_MIN(stride, window); phase++) {
    const bool full = pl_ceil_div(window - phase, stride) == PL_WINOGRAD_TAPS;
    a.points += full ? PL_WINOGRAD_POINTS : PL_WINOGRAD_POINTS - 1; /* nothing at infinity */
  }
  for (int64_t o = 0; o < outputs; o++) {
    const int64_t first = o * stride - p->pad[d];
    a.terms += (double)PL_MAX(0, PL_MIN(window, size - first) - PL_MAX(0, -first));
  }
  return a;
}

/* What the transform domain holds for an image: tiles, points of all phases, elements. */
typedef struct {
  axis_cost y, x;
  int64_t tiles, points, in, out, elements;
} winograd_cost;

/* False if the algorithm cannot compute it. */
static bool winograd_cost_of(const pl_conv *p, int lanes, winograd_cost *c) {
  if (p->n < 1 || p->c < 1 || p->k < 1 || p->oh < 1 || p->ow < 1) return false;
  for (int d = 0; d < 2; d++)
    if (p->dil[d] != 1 || p->stride[d] > PL_WINOGRAD_MAX_STRIDE) return false;
  c->y = axis_cost_of(p, 0), c->x = axis_cost_of(p, 1);
  if (c->y.taps > PL_WINOGRAD_TAPS || c->x.taps > PL_WINOGRAD_TAPS) return false;
  c->in = pl_round_up(p->c, 2 * lanes), c->out = pl_round_up(p->k, 2 * lanes);
  c->tiles = c->y.tiles * c->x.tiles;
  c->points = c->y.points * c->x.points;
  c->elements = c->tiles * (c->points * c->in + PL_WINOGRAD_POINTS * PL_WINOGRAD_POINTS * c->out);
  return c->elements <= WINOGRAD_MAX;
}

bool pl_conv_winograd_possible(const pl_conv *p, int lanes) {
  winograd_cost c;
  return winograd_cost_of(p, lanes, &c);
}

static bool winograd_suits(const pl_conv *p, int lanes) {
  winograd_cost c;
  if (!winograd_cost_of(p, lanes, &c)) return false;
  const double n = (double)p->n, rows = n * (double)c.tiles;
  const double cost =
      (double)c.points * (double)c.in * (double)c.out * (rows + PL_WINOGRAD_WEIGHT_COST) +
      PL_WINOGRAD_IMAGE_COST * n * (double)c.elements;
  const double width = (double)(p->k <= lanes ? p->k : c.out); /* by rows or images if narrow */
  return cost < n * c.y.terms * c.x.terms * (double)p->c * width;
}

/*
** Sparse: behind a max pooling only one gradient of each window is not zero
*/

int64_t pl_sparse_tile_channels(const pl_conv *p, int64_t rows) {
  return PL_MIN(p->c, rows * 2 <= SPARSE_REGISTERS ? 2 : 1);
}

/* A vector holds (a part of) a window's row, so at most two of them. */
bool pl_conv_sparse_weight_possible(const pl_conv *p, const pl_pool *pool, int lanes) {
  const int64_t width = pl_round_up(p->s, lanes);
  const int64_t padded = (p->h + 2 * p->pad[0]) * (p->w + 2 * p->pad[1]);
  (void)pool;
  return p->n && p->c && p->k && p->c * padded < PL_CONV_OFFSET_MAX && p->dil[1] == 1 &&
         width <= 2 * lanes && p->k * p->c * p->r * width <= SPARSE_SUMS_MAX;
}

/* A vector holds a row of what a pooling window reaches. */
bool pl_conv_sparse_input_possible(const pl_conv *p, const pl_pool *pool, int lanes) {
  const int64_t rows = pl_sparse_reach(p, pool, 0);
  return p->n && p->c && p->k && rows >= PL_SPARSE_MIN_ROWS && rows <= PL_SPARSE_MAX_ROWS &&
         pl_sparse_reach(p, pool, 1) <= lanes &&
         pool->size[1] * p->k * pl_sparse_tile_channels(p, rows) * pl_sparse_table_rows(p, pool) *
                 lanes <=
             SPARSE_TABLE_MAX;
}

/* One of `area` gradients is left, in vectors of `width` that hold s elements each: worth it if
 * that halves the work. */
static bool sparse_weight_suits(const pl_conv *p, const pl_pool *pool, int lanes) {
  const int64_t area = pool->size[0] * pool->size[1];
  return pl_conv_sparse_weight_possible(p, pool, lanes) &&
         area * p->s >= 2 * pl_round_up(p->s, lanes);
}

/* The same with vectors of a row each: worth it if that saves a third. */
static bool sparse_input_suits(const pl_conv *p, const pl_pool *pool, int lanes) {
  const int64_t area = pool->size[0] * pool->size[1];
  return pl_conv_sparse_input_possible(p, pool, lanes) &&
         2 * area * p->r * p->s >= 3 * pl_sparse_reach(p, pool, 0) * lanes;
}

/*
** The choice
*/

typedef enum { AUTOMATIC, DIRECT, WINOGRAD, SPARSE } algorithm;

/* Whichever threads come first, each reads the same. */
static algorithm forced(void) {
  static const char *const names[] = {"", "direct", "winograd", "sparse"};
  static atomic_int known = -1;
  int found = atomic_load_explicit(&known, memory_order_relaxed);
  if (found >= 0) return (algorithm)found;
  const char *wish = getenv("PERILUNE_CONV");
  found = AUTOMATIC;
  for (int i = DIRECT; wish && i <= SPARSE; i++)
    if (!strcmp(wish, names[i])) found = i;
  atomic_store_explicit(&known, found, memory_order_relaxed);
  return (algorithm)found;
}

/* The kernels for a result of `width` channels, or a filter gradient of as many. */
static const pl_conv_kernels *dense(const pl_conv *p, int64_t width) {
  const pl_kernels *k = pl_kernels_for(width);
  const bool winograd = forced() == WINOGRAD ? pl_conv_winograd_possible(p, k->lanes)
                                             : forced() != DIRECT && winograd_suits(p, k->lanes);
  return winograd ? k->winograd : k->direct;
}

typedef bool suits_pool(const pl_conv *p, const pl_pool *pool, int lanes);

/* The sparse kernels, or NULL. Their vectors hold rows of the window. */
static const pl_conv_kernels *sparse(const pl_conv *p, const pl_pool *pool, suits_pool *possible,
                                     suits_pool *suits) {
  const pl_kernels *k = pl_kernels_for(p->s);
  if (!pool || forced() == DIRECT || forced() == WINOGRAD) return NULL;
  return (forced() == SPARSE ? possible : suits)(p, pool, k->lanes) ? k->sparse : NULL;
}

bool pl_conv_forward(const pl_conv *p, const pl_real *x, const pl_real *w, const pl_epilogue *e,
                     pl_real *y) {
  return dense(p, p->k)->forward(p, x, w, e, y);
}

bool pl_conv_transpose(const pl_conv *p, const pl_real *x, const pl_real *w, const pl_epilogue *e,
                       pl_real *y) {
  return dense(p, p->c)->transpose(p, x, w, e, y);
}

bool pl_conv_input_grad(const pl_conv *p, const pl_prologue *back, const pl_real *w, pl_real *gx) {
  const pl_conv_kernels *k =
      sparse(p, back->pool, pl_conv_sparse_input_possible, sparse_input_suits);
  return (k ? k : dense(p, p->c))->input_grad(p, back, w, gx);
}

bool pl_conv_weight_grad(const pl_conv *p, const pl_real *x, const pl_prologue *back, pl_real *gw,
                         pl_real *gbias) {
  const pl_conv_kernels *k =
      sparse(p, back->pool, pl_conv_sparse_weight_possible, sparse_weight_suits);
  return (k ? k : dense(p, p->k))->weight_grad(p, x, back, gw, gbias);
}
