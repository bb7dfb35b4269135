/*
** conv_winners.c: convolution back to its weights and bias where each window of a pooling kept
** one number of the result, the winner, and all others have no gradient. The rows of a weight's
** window lie side by side in the image, so a winner adds its gradient times a few vectors:
**
**   gw[k][c][r] += g x[c][row of the winner + r]     a vector holds (a part of) a window's row
**
** which takes a quarter of the products, with windows of 2 x 2, though its vectors are not full.
** What a ReLU has stopped is left out too. The images are cut into a fixed number of shares, as in
** conv_weight.c, so bits do not depend on the number of threads.
*/
#include <omp.h>

#include "conv_kernels.h"
#include "../deal.h"

enum {
  SHARES = 16,
  MOST_SUMS = 1 << 14, /* numbers of a share, which stay in the cache */
  MOST_ROWS = 10,      /* of a tile of one vector a row; of two it has half as many */
  FAR = 1 << 30,       /* what 32 bits can index */
  FEW = 1 << 16,       /* products that are not worth a second thread */
};

typedef struct {
  pl_real g;
  int32_t x; /* where its window starts in a channel of the padded copy */
} winner;

typedef struct {
  const pl_conv *p;
  const pl_conv_back *back;
  const pl_real *x;
  int64_t outputs, shares; /* of a channel, after pooling */
  int64_t width;           /* numbers of a window's row, in whole vectors */
  int64_t numbers;         /* of a share's sums: [k][c][r][width] */
  pl_conv_layout source;   /* the padded copy */
  int32_t *start;          /* of the window of each output before pooling */
  int32_t *row;            /* of the windows of all channels: where it lies, from the start */
  int64_t tiles;
  int32_t *tile;        /* their first rows */
  pl_real *sums, *bias; /* bias: [shares][k][LANES] */
} job;

/* The scratch memory of a thread. */
typedef struct {
  pl_real *copy, *g;
  winner *list;
} part;

static int64_t rounded_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

bool k_winners_suit_weight(const pl_conv *p, const pl_pool *pool) {
  int64_t width = rounded_up(p->s, LANES), area = pool->size[0] * pool->size[1];
  int64_t padded = (p->h + 2 * p->pad[0]) * (p->w + 2 * p->pad[1]);
  return p->n && p->c && p->k && p->c * padded < FAR && p->dil[1] == 1 && width <= BLOCK &&
         area * p->s >= 2 * width && p->k * p->c * p->r * width <= MOST_SUMS;
}

/*
** The tile: sum[i][v] += g x[at[i] + v], over all winners of a channel, for some rows of windows of
** one or more channels of x. Where these are few, two winners at a time have sums of their own,
** which hides the latency of multiply-add.
*/

INLINE void add_winner(int rows, int vectors, const winner *w, const pl_real *const *from,
                       vec sum[][2]) {
  vec g = every(w->g);
  int64_t o = w->x;
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int v = 0; v < vectors; v++) sum[i][v] += g * load(from[i] + o + v * LANES);
  }
}

INLINE void winners_tile_body(int rows, int vectors, const winner *w, const winner *end,
                              const pl_real *x, const int32_t *at, pl_real *sums) {
  vec sum[MOST_ROWS][2], more[MOST_ROWS][2];
  const pl_real *from[MOST_ROWS];
  const bool twice = rows * vectors <= MOST_ROWS / 2;
  UNROLL for (int i = 0; i < rows; i++) {
    from[i] = x + at[i];
    UNROLL for (int v = 0; v < vectors; v++) {
      sum[i][v] = load(sums + (i * vectors + v) * LANES);
      more[i][v] = (vec){0};
    }
  }
  for (; twice && w + 1 < end; w += 2) {
    add_winner(rows, vectors, w, from, sum);
    add_winner(rows, vectors, w + 1, from, more);
  }
  for (; w < end; w++) add_winner(rows, vectors, w, from, sum);
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int v = 0; v < vectors; v++) {
      if (twice) sum[i][v] += more[i][v];
      store(sums + (i * vectors + v) * LANES, sum[i][v]);
    }
  }
}

typedef void winners_tile(const winner *w, const winner *end, const pl_real *x, const int32_t *at,
                          pl_real *sums);
#define WINNERS_TILE(rows, vectors)                                                             \
  static void winners_tile_##rows##_##vectors(                                                  \
      const winner *w, const winner *end, const pl_real *x, const int32_t *at, pl_real *sums) { \
    winners_tile_body(rows, vectors, w, end, x, at, sums);                                      \
  }
/* clang-format off */
WINNERS_TILE(1, 1) WINNERS_TILE(2, 1) WINNERS_TILE(3, 1) WINNERS_TILE(4, 1) WINNERS_TILE(5, 1)
WINNERS_TILE(6, 1) WINNERS_TILE(7, 1) WINNERS_TILE(8, 1) WINNERS_TILE(9, 1) WINNERS_TILE(10, 1)
WINNERS_TILE(1, 2) WINNERS_TILE(2, 2) WINNERS_TILE(3, 2) WINNERS_TILE(4, 2) WINNERS_TILE(5, 2)
#undef WINNERS_TILE
static winners_tile *const tile_of[2][MOST_ROWS + 1] = {
    {NULL, winners_tile_1_1, winners_tile_2_1, winners_tile_3_1, winners_tile_4_1, winners_tile_5_1,
     winners_tile_6_1, winners_tile_7_1, winners_tile_8_1, winners_tile_9_1, winners_tile_10_1},
    {NULL, winners_tile_1_2, winners_tile_2_2, winners_tile_3_2, winners_tile_4_2, winners_tile_5_2}};
/* clang-format on */

/* All rows of the windows of all channels of x, in tiles of even height. */
static void fill_tables(job *k) {
  const pl_conv *p = k->p;
  const int64_t rows = p->c * p->r, most = MOST_ROWS * LANES / k->width;
  k->tiles = (rows + most - 1) / most;
  for (int64_t i = 0; i < rows; i++)
    k->row[i] = (int32_t)(i / p->r * k->source.plane + i % p->r * p->dil[0] * k->source.pitch);
  for (int64_t i = 0; i <= k->tiles; i++) k->tile[i] = (int32_t)(rows * i / k->tiles);
  for (int64_t i = 0; i < p->oh * p->ow; i++)
    k->start[i] = (int32_t)(i / p->ow * p->stride[0] * k->source.pitch + i % p->ow * p->stride[1]);
}

/*
** Winners
*/

/* Gradients before the activation; adds them up in the lanes of `sum`. */
static void take_gradients(const flow *f, int64_t n, pl_real *g, pl_real *sum) {
  vec total = load(sum);
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES) {
    vec v = flow_load(f, i);
    total += v;
    store(g + i, v);
  }
  store(sum, total);
  for (; i < n; i++) *sum += g[i] = flow_one(f, i);
}

/* Those of a channel with a gradient; returns how many. */
static const winner *list_winners(int64_t n, const pl_real *restrict g, const int32_t *restrict at,
                                  const int32_t *restrict start, winner *restrict list) {
  for (int64_t i = 0; i < n; i++) {
    *list = (winner){g[i], start[at[i] - 1]};
    list += g[i] != 0;
  }
  return list;
}

static void add_image(const job *k, const part *t, int64_t image, pl_real *sums, pl_real *bias) {
  const pl_conv *p = k->p;
  const flow x = {k->x + image * p->c * p->h * p->w, NULL, 0};
  const flow g = {k->back->g, k->back->y, k->back->slope};
  winners_tile *const *of = tile_of[k->width / LANES - 1];
  copy_planes(&k->source, t->copy, &x, p->c);
  for (int64_t i = 0; i < p->k; i++) {
    const int64_t from = (image * p->k + i) * k->outputs;
    const flow channel = flow_at(&g, from);
    take_gradients(&channel, k->outputs, t->g, bias + i * LANES);
    const winner *end = list_winners(k->outputs, t->g, k->back->at + from, k->start, t->list);
    pl_real *to = sums + i * p->c * p->r * k->width;
    for (const int32_t *tile = k->tile; tile < k->tile + k->tiles; tile++)
      of[tile[1] - tile[0]](t->list, end, t->copy, k->row + tile[0], to + tile[0] * k->width);
  }
}

/*
** The job
*/

static void sum_share(const job *k, const part *t, int64_t share) {
  pl_real *sums = k->sums + share * k->numbers, *bias = k->bias + share * k->p->k * LANES;
  memset(sums, 0, (size_t)k->numbers * sizeof *sums);
  memset(bias, 0, (size_t)(k->p->k * LANES) * sizeof *bias);
  int64_t end = k->p->n * (share + 1) / k->shares;
  for (int64_t i = k->p->n * share / k->shares; i < end; i++) add_image(k, t, i, sums, bias);
}

/* The sums of all shares, into the first's, and from there to the result. */
static void collect(const job *k, pl_real *gw, pl_real *gbias) {
  const pl_conv *p = k->p;
  add_halves(k->sums, k->shares, k->numbers);
  add_halves(k->bias, k->shares, p->k * LANES);
  for (int64_t i = 0; i < p->k * p->c * p->r; i++)
    memcpy(gw + i * p->s, k->sums + i * k->width, (size_t)p->s * sizeof *gw);
  for (int64_t i = 0; gbias && i < p->k; i++) {
    gbias[i] = 0;
    for (int64_t lane = 0; lane < LANES; lane++) gbias[i] += k->bias[i * LANES + lane];
  }
}

static void run(job *k, pl_hand *hands, pl_real *scratch, int64_t each) {
  const pl_conv *p = k->p;
  bool many = p->n * p->k * k->outputs * p->c * p->r * k->width > FEW;
  fill_tables(k);
#pragma omp parallel if (many)
  {
    const int id = omp_get_thread_num(), threads = omp_get_num_threads();
    part t = {.copy = scratch + id * each};
    t.g = t.copy + rounded_up(p->c * k->source.plane + k->width, 16);
    t.list = (winner *)(t.g + rounded_up(k->outputs, 16));
    memset(t.copy, 0, (size_t)(p->c * k->source.plane + k->width) * sizeof *t.copy);
#pragma omp single
    pl_deal(hands, threads, k->shares);
    for (int64_t i; (i = pl_take(hands, threads, id)) >= 0;) sum_share(k, &t, i);
#pragma omp barrier
#pragma omp for schedule(static)
    for (int64_t half = 0; half < 2; half++) {
      add_half(k->sums, k->shares, half, k->numbers);
      add_half(k->bias, k->shares, half, p->k * LANES);
    }
  }
}

bool k_winners_weight_grad(const pl_conv *p, const pl_real *x, const pl_conv_back *back,
                           pl_real *gw, pl_real *gbias) {
  job k = {.p = p,
           .back = back,
           .x = x,
           .outputs = back->pool->oh * back->pool->ow,
           .shares = PL_MIN(SHARES, p->n),
           .width = rounded_up(p->s, LANES)};
  k.numbers = p->k * p->c * p->r * k.width;
  k.source =
      (pl_conv_layout){.h = p->h, .w = p->w, .top = p->pad[0], .left = p->pad[1], .stripes = 1};
  k.source.rows = (p->oh - 1) * p->stride[0] + (p->r - 1) * p->dil[0] + 1;
  k.source.pitch = (p->ow - 1) * p->stride[1] + p->s;
  k.source.plane = k.source.rows * k.source.pitch;
  const int threads = omp_get_max_threads();
  const int64_t list =
      rounded_up((int64_t)sizeof(winner) / (int64_t)sizeof(pl_real) * (k.outputs + 1), 16);
  const int64_t each =
      rounded_up(p->c * k.source.plane + k.width, 16) + rounded_up(k.outputs, 16) + list;
  const int64_t shared = rounded_up(k.shares * (k.numbers + p->k * LANES), 16);
  const int64_t tables = p->oh * p->ow + 2 * p->c * p->r + 1;
  pl_hand *hands =
      pl_scratch((size_t)threads * sizeof *hands + (size_t)(shared + each * threads) * sizeof *x +
                 (size_t)tables * sizeof *k.start);
  if (!hands) return false;
  k.sums = (pl_real *)(hands + threads);
  k.bias = k.sums + k.shares * k.numbers;
  k.start = (int32_t *)(k.sums + shared + each * threads);
  k.row = k.start + p->oh * p->ow;
  k.tile = k.row + p->c * p->r;
  run(&k, hands, k.sums + shared, each);
  collect(&k, gw, gbias);
  pl_scratch_free(hands);
  return true;
}
