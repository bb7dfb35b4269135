/*
** sparse_weight.c: convolution back to its weights and bias through max pooling. Of each window of
** the pooling one gradient is left, that of the maximum (argmax); all others are zero, so the
** gradient is a sparse matrix and its products are sums over its entries. The rows of a weight's
** window lie side by side in the image, so an entry adds its gradient times a few vectors:
**
**   gw[k][c][r] += g x[c][row of the argmax + r]
**
**   x  . . . . . . .     the window of an argmax, 3 x 3: three vectors, each
**      . [x x x] . .     (a part of) a row of the window
**      . [x x x] . .
**      . [x x x] . .
**
** which takes a quarter of the multiply-adds, with pooling windows of 2 x 2, though its vectors are
** not full. What a ReLU has stopped is left out too. (Sparse products of this kind: Park et al.,
** Faster CNNs with Direct Sparse Convolutions and Guided Pruning, 2017, there for sparse weights.)
** The images are cut into a fixed number of shares, as in weight.c, so bits do not depend on the
** number of threads.
*/
#include <omp.h>

#include "../queue.h"
#include "algorithm.h"
#include "internal.h"
#include "microkernel.h"

enum {
  SHARES = 16,   /* of the images */
  MAX_ROWS = 10, /* of a tile of one vector a row; of two it has half as many */
};

typedef struct {
  pl_real g;
  int32_t x; /* where its window starts in a channel of the padded copy */
} grad_entry;

typedef struct {
  const pl_conv *p;
  const pl_prologue *back;
  const pl_real *x;
  int64_t outputs, shares; /* of a channel, after pooling */
  int64_t width;           /* elements of a window's row, in whole vectors */
  int64_t size;            /* elements of a share's sums: [k][c][r][width] */
  pl_conv_layout input;    /* the padded copy */
  int32_t *start;          /* of the window of each output before pooling */
  int32_t *row;            /* of the windows of all channels: where it lies, from the start */
  int64_t tiles;
  int32_t *tile;        /* their first rows */
  pl_real *sums, *bias; /* bias: [shares][k][LANES] */
} sparse_weight_call;

/* The scratch memory of a thread. */
typedef struct {
  pl_real *copy, *g;
  grad_entry *list;
} sparse_weight_scratch;

/*
** The micro-kernel: sum[i][v] += g x[at[i] + v], over all entries of a channel, for some rows of
** windows of one or more channels of x. Where these are few, two entries at a time have sums of
** their own, which hides the latency of multiply-add.
*/

INLINE void add_entry(int rows, int vectors, const grad_entry *w, const pl_real *const *from,
                      vec sum[][2]) {
  vec g = broadcast(w->g);
  int64_t o = w->x;
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int v = 0; v < vectors; v++) sum[i][v] += g * load(from[i] + o + v * LANES);
  }
}

INLINE void entries_tile_body(int rows, int vectors, const grad_entry *w, const grad_entry *end,
                              const pl_real *x, const int32_t *at, pl_real *sums) {
  vec sum[MAX_ROWS][2], more[MAX_ROWS][2];
  const pl_real *from[MAX_ROWS];
  const bool twice = rows * vectors <= MAX_ROWS / 2;
  UNROLL for (int i = 0; i < rows; i++) {
    from[i] = x + at[i];
    UNROLL for (int v = 0; v < vectors; v++) {
      sum[i][v] = load(sums + (i * vectors + v) * LANES);
      more[i][v] = (vec){0};
    }
  }
  for (; twice && w + 1 < end; w += 2) {
    add_entry(rows, vectors, w, from, sum);
    add_entry(rows, vectors, w + 1, from, more);
  }
  for (; w < end; w++) add_entry(rows, vectors, w, from, sum);
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int v = 0; v < vectors; v++) {
      if (twice) sum[i][v] += more[i][v];
      store(sums + (i * vectors + v) * LANES, sum[i][v]);
    }
  }
}

typedef void entries_tile(const grad_entry *w, const grad_entry *end, const pl_real *x,
                          const int32_t *at, pl_real *sums);
#define ENTRIES_TILE(rows, vectors)                                                       \
  static void entries_tile_##rows##_##vectors(const grad_entry *w, const grad_entry *end, \
                                              const pl_real *x, const int32_t *at,        \
                                              pl_real *sums) {                            \
    entries_tile_body(rows, vectors, w, end, x, at, sums);                                \
  }
/* clang-format off */
ENTRIES_TILE(1, 1) ENTRIES_TILE(2, 1) ENTRIES_TILE(3, 1) ENTRIES_TILE(4, 1) ENTRIES_TILE(5, 1)
ENTRIES_TILE(6, 1) ENTRIES_TILE(7, 1) ENTRIES_TILE(8, 1) ENTRIES_TILE(9, 1) ENTRIES_TILE(10, 1)
ENTRIES_TILE(1, 2) ENTRIES_TILE(2, 2) ENTRIES_TILE(3, 2) ENTRIES_TILE(4, 2) ENTRIES_TILE(5, 2)
#undef ENTRIES_TILE
static entries_tile *const entries_tile_of[2][MAX_ROWS + 1] = {
    {NULL, entries_tile_1_1, entries_tile_2_1, entries_tile_3_1, entries_tile_4_1, entries_tile_5_1,
     entries_tile_6_1, entries_tile_7_1, entries_tile_8_1, entries_tile_9_1, entries_tile_10_1},
    {NULL, entries_tile_1_2, entries_tile_2_2, entries_tile_3_2, entries_tile_4_2, entries_tile_5_2}};
/* clang-format on */

/* All rows of the windows of all channels of x, in tiles of even height. */
static void fill_tables(sparse_weight_call *k) {
  const pl_conv *p = k->p;
  const int64_t rows = p->c * p->r, most = MAX_ROWS * LANES / k->width;
  k->tiles = (rows + most - 1) / most;
  for (int64_t i = 0; i < rows; i++)
    k->row[i] = (int32_t)(i / p->r * k->input.plane + i % p->r * p->dil[0] * k->input.pitch);
  for (int64_t i = 0; i <= k->tiles; i++) k->tile[i] = (int32_t)(rows * i / k->tiles);
  for (int64_t i = 0; i < p->oh * p->ow; i++)
    k->start[i] = (int32_t)(i / p->ow * p->stride[0] * k->input.pitch + i % p->ow * p->stride[1]);
}

/*
** Entries
*/

/* The gradients through their prologue; adds them up in the lanes of `sum`. */
static void copy_gradients(const masked *m, int64_t n, pl_real *g, pl_real *sum) {
  vec total = load(sum);
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES) {
    vec v = masked_load(m, i);
    total += v;
    store(g + i, v);
  }
  store(sum, total);
  for (; i < n; i++) *sum += g[i] = masked_one(m, i);
}

/* The entries of a channel, without those whose gradient is zero; returns their end. */
static const grad_entry *list_entries(int64_t n, const pl_real *restrict g,
                                      const int32_t *restrict at, const int32_t *restrict start,
                                      grad_entry *restrict list) {
  for (int64_t i = 0; i < n; i++) {
    *list = (grad_entry){g[i], start[at[i] - 1]};
    list += g[i] != 0;
  }
  return list;
}

static void add_image(const sparse_weight_call *k, const sparse_weight_scratch *t, int64_t image,
                      pl_real *sums, pl_real *bias) {
  const pl_conv *p = k->p;
  const masked x = unmasked(k->x + image * p->c * p->h * p->w);
  const masked g = masked_of(k->back);
  entries_tile *const *of = entries_tile_of[k->width / LANES - 1];
  copy_planes(&k->input, t->copy, &x, p->c);
  for (int64_t i = 0; i < p->k; i++) {
    const int64_t from = (image * p->k + i) * k->outputs;
    const masked channel = masked_at(&g, from);
    copy_gradients(&channel, k->outputs, t->g, bias + i * LANES);
    const grad_entry *end =
        list_entries(k->outputs, t->g, k->back->argmax + from, k->start, t->list);
    pl_real *to = sums + i * p->c * p->r * k->width;
    for (const int32_t *tile = k->tile; tile < k->tile + k->tiles; tile++)
      of[tile[1] - tile[0]](t->list, end, t->copy, k->row + tile[0], to + tile[0] * k->width);
  }
}

/*
** The call
*/

static void sum_share(const sparse_weight_call *k, const sparse_weight_scratch *t, int64_t share) {
  pl_real *sums = k->sums + share * k->size, *bias = k->bias + share * k->p->k * LANES;
  memset(sums, 0, (size_t)k->size * sizeof *sums);
  memset(bias, 0, (size_t)(k->p->k * LANES) * sizeof *bias);
  int64_t end = k->p->n * (share + 1) / k->shares;
  for (int64_t i = k->p->n * share / k->shares; i < end; i++) add_image(k, t, i, sums, bias);
}

/* The sums of all shares, into the first's, and from there to the result. */
static void sparse_weight_collect(const sparse_weight_call *k, pl_real *gw, pl_real *gbias) {
  const pl_conv *p = k->p;
  add_halves(k->sums, k->shares, k->size);
  add_halves(k->bias, k->shares, p->k * LANES);
  for (int64_t i = 0; i < p->k * p->c * p->r; i++)
    memcpy(gw + i * p->s, k->sums + i * k->width, (size_t)p->s * sizeof *gw);
  for (int64_t i = 0; gbias && i < p->k; i++) {
    gbias[i] = 0;
    for (int64_t lane = 0; lane < LANES; lane++) gbias[i] += k->bias[i * LANES + lane];
  }
}

static void sparse_weight_run(sparse_weight_call *k, pl_range *queue, pl_real *scratch,
                              int64_t each) {
  const pl_conv *p = k->p;
  bool many = p->n * p->k * k->outputs * p->c * p->r * k->width > PL_CONV_SPARSE_SERIAL;
  fill_tables(k);
#pragma omp parallel if (many)
  {
    const int id = omp_get_thread_num(), threads = omp_get_num_threads();
    sparse_weight_scratch t = {.copy = scratch + id * each};
    t.g = t.copy + pl_round_up(p->c * k->input.plane + k->width, 16);
    t.list = (grad_entry *)(t.g + pl_round_up(k->outputs, 16));
    memset(t.copy, 0, (size_t)(p->c * k->input.plane + k->width) * sizeof *t.copy);
#pragma omp single
    pl_queue_fill(queue, threads, k->shares);
    for (int64_t i; (i = pl_queue_take(queue, threads, id)) >= 0;) sum_share(k, &t, i);
#pragma omp barrier
#pragma omp for schedule(static)
    for (int64_t half = 0; half < 2; half++) {
      add_half(k->sums, k->shares, half, k->size);
      add_half(k->bias, k->shares, half, p->k * LANES);
    }
  }
}

bool k_sparse_weight_grad(const pl_conv *p, const pl_real *x, const pl_prologue *back, pl_real *gw,
                          pl_real *gbias) {
  sparse_weight_call k = {.p = p,
                          .back = back,
                          .x = x,
                          .outputs = back->pool->oh * back->pool->ow,
                          .shares = PL_MIN(SHARES, p->n),
                          .width = pl_round_up(p->s, LANES)};
  k.size = p->k * p->c * p->r * k.width;
  k.input =
      (pl_conv_layout){.h = p->h, .w = p->w, .top = p->pad[0], .left = p->pad[1], .stripes = 1};
  k.input.rows = (p->oh - 1) * p->stride[0] + (p->r - 1) * p->dil[0] + 1;
  k.input.pitch = (p->ow - 1) * p->stride[1] + p->s;
  k.input.plane = k.input.rows * k.input.pitch;
  const int threads = omp_get_max_threads();
  const int64_t list =
      pl_round_up((int64_t)sizeof(grad_entry) / (int64_t)sizeof(pl_real) * (k.outputs + 1), 16);
  const int64_t each =
      pl_round_up(p->c * k.input.plane + k.width, 16) + pl_round_up(k.outputs, 16) + list;
  const int64_t shared = pl_round_up(k.shares * (k.size + p->k * LANES), 16);
  const int64_t tables = p->oh * p->ow + 2 * p->c * p->r + 1;
  pl_range *queue =
      pl_scratch((size_t)threads * sizeof *queue + (size_t)(shared + each * threads) * sizeof *x +
                 (size_t)tables * sizeof *k.start);
  if (!queue) return false;
  k.sums = (pl_real *)(queue + threads);
  k.bias = k.sums + k.shares * k.size;
  k.start = (int32_t *)(k.sums + shared + each * threads);
  k.row = k.start + p->oh * p->ow;
  k.tile = k.row + p->c * p->r;
  sparse_weight_run(&k, queue, k.sums + shared, each);
  sparse_weight_collect(&k, gw, gbias);
  pl_scratch_free(queue);
  return true;
}
