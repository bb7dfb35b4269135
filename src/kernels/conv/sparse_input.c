/*
** sparse_input.c: convolution back to its input through max pooling, whose gradient is a sparse
** matrix (sparse_weight.c). The entries of all channels in one window of the pooling reach the same
** few rows of the input, so these are summed in registers, and added to the image when the window
** is done:
**
**   rows of c += g weights of (k, c), shifted to where in the pooling window the argmax was
**
**   pooling window 2 x 2, window 5 x 5:     | w w w w w . |   | . . . . . . |
**   four shifts, each of six rows           | w w w w w . |   | . w w w w w |
**                                           | w w w w w . |   | . w w w w w |   ...
**                                           | w w w w w . |   | . w w w w w |
**                                           | w w w w w . |   | . w w w w w |
**                                           | . . . . . . |   | . w w w w w |
**
** The weights stand in a table in each of their shifts: from side to side in vectors of their own,
** up and down by rows of zeros around them. Compared with all multiply-adds it takes a quarter,
** with pooling windows of 2 x 2, of which a third is lost to zeros.
*/
#include <omp.h>

#include "../queue.h"
#include "algorithm.h"
#include "internal.h"
#include "microkernel.h"

enum { MIN_ROWS = PL_SPARSE_MIN_ROWS, MAX_ROWS = PL_SPARSE_MAX_ROWS };

typedef struct {
  pl_real g;
  int32_t at; /* its weights in a table */
} window_entry;

typedef struct {
  const pl_conv *p;
  const pl_prologue *back;
  const pl_real *w;
  pl_real *gx;
  int64_t windows;     /* of the pooling, in a channel */
  int64_t rows;        /* of the input that a window reaches */
  int64_t tall;        /* rows of a table for one channel of the input, zeros included */
  int64_t channels;    /* of the input in a tile */
  int64_t table;       /* elements of a table: [shift][k][channels][tall][LANES] */
  int64_t high, pitch; /* of the padded image */
  pl_real *tables;     /* of each tile of channels */
  int32_t *shift;      /* for each place of the result, where a table has weights so shifted */
} sparse_input_call;

/* The scratch memory of a thread. */
typedef struct {
  pl_real *image;
  window_entry *list; /* [window][k] */
  int32_t *n;         /* of each window */
} sparse_input_scratch;

/*
** The micro-kernel: sum[c][i] = sum of g table[at + (c tall + i)], added to the image
*/

typedef struct {
  const window_entry *list, *end;
  const pl_real *table;
  int64_t tall;
  pl_real *image;
  int64_t plane, pitch;
} window_tile_args;

INLINE void window_tile_body(int channels, int rows, const window_tile_args *t) {
  vec sum[2][MAX_ROWS] = {{{0}}};
  for (const window_entry *w = t->list; w < t->end; w++) {
    vec g = broadcast(w->g);
    const pl_real *from = t->table + w->at;
    UNROLL for (int c = 0; c < channels; c++) {
      UNROLL for (int i = 0; i < rows; i++) {
        sum[c][i] += g * load(from + (c * t->tall + i) * LANES);
      }
    }
  }
  UNROLL for (int c = 0; c < channels; c++) {
    UNROLL for (int i = 0; i < rows; i++) {
      pl_real *to = t->image + c * t->plane + i * t->pitch;
      store(to, load(to) + sum[c][i]);
    }
  }
}

#define WINDOW_TILE(channels, rows)                                        \
  static void window_tile_##channels##_##rows(const window_tile_args *t) { \
    window_tile_body(channels, rows, t);                                   \
  }
/* clang-format off */
WINDOW_TILE(1, 5) WINDOW_TILE(1, 6) WINDOW_TILE(1, 7) WINDOW_TILE(1, 8)
WINDOW_TILE(2, 5) WINDOW_TILE(2, 6)
#undef WINDOW_TILE
static void (*const window_tile_of[3][MAX_ROWS - MIN_ROWS + 1])(const window_tile_args *t) = {
    {NULL}, {window_tile_1_5, window_tile_1_6, window_tile_1_7, window_tile_1_8},
    {window_tile_2_5, window_tile_2_6}};
/* clang-format on */

/*
** Tables
*/

/* The weights of `channels` input channels from c on, in each shift from side to side. */
static void fill_table(const sparse_input_call *k, int64_t c, int64_t channels, pl_real *table) {
  const pl_conv *p = k->p;
  const pl_pool *pool = k->back->pool;
  const int64_t top = (pool->size[0] - 1) * p->stride[0];
  memset(table, 0, (size_t)k->table * sizeof *table);
  for (int64_t i = 0; i < pool->size[1] * p->k * channels; i++) {
    const int64_t shift = i / (p->k * channels), out = i / channels % p->k, in = i % channels;
    const pl_real *w = k->w + (out * p->c + c + in) * p->r * p->s;
    pl_real *to = table + (((shift * p->k + out) * k->channels + in) * k->tall + top) * LANES;
    for (int64_t t = 0; t < p->r * p->s; t++)
      to[t / p->s * p->dil[0] * LANES + t % p->s * p->dil[1] + shift * p->stride[1]] = w[t];
  }
}

static void fill_shifts(const sparse_input_call *k) {
  const pl_conv *p = k->p;
  const int64_t high = k->back->pool->size[0], wide = k->back->pool->size[1];
  for (int64_t i = 0; i < p->oh * p->ow; i++) {
    int64_t down = i / p->ow % high, right = i % p->ow % wide;
    k->shift[i] =
        (int32_t)((right * p->k * k->channels * k->tall + (high - 1 - down) * p->stride[0]) *
                  LANES);
  }
}

/*
** An image
*/

/* The entries of each pooling window over all output channels, without those whose gradient is
 * zero. False if one of them is not finite. */
static bool list_window_entries(const sparse_input_call *k, const sparse_input_scratch *t,
                                int64_t image) {
  const pl_conv *p = k->p;
  const int64_t from = image * p->k * k->windows;
  const int32_t *at = k->back->argmax + from;
  const masked pooled = masked_of(k->back), g = masked_at(&pooled, from);
  pl_real finite = 0; /* 0 times all gradients */
  memset(t->n, 0, (size_t)k->windows * sizeof *t->n);
  for (int64_t i = 0; i < p->k; i++) {
    const int32_t weights = (int32_t)(i * k->channels * k->tall * LANES);
    for (int64_t j = 0; j < k->windows; j++) {
      const pl_real v = masked_one(&g, i * k->windows + j);
      t->list[j * p->k + t->n[j]] =
          (window_entry){v, k->shift[at[i * k->windows + j] - 1] + weights};
      t->n[j] += v != 0;
      finite += v * 0;
    }
  }
  return finite == 0;
}

/* One entry after the other, without the zeros of the table: they would make NaN of a gradient that
 * is infinite. */
static void add_exactly(const sparse_input_call *k, const sparse_input_scratch *t, int64_t image) {
  const pl_conv *p = k->p;
  const masked g = masked_of(k->back);
  for (int64_t i = 0; i < p->k * k->windows; i++) {
    const int64_t from = image * p->k * k->windows + i, at = k->back->argmax[from] - 1;
    const int64_t corner = at / p->ow * p->stride[0] * k->pitch + at % p->ow * p->stride[1];
    const pl_real v = masked_one(&g, from), *w = k->w + i / k->windows * p->c * p->r * p->s;
    for (int64_t q = 0; v != 0 && q < p->c * p->r * p->s; q++) {
      const int64_t c = q / (p->r * p->s), y = q / p->s % p->r, x = q % p->s;
      t->image[(c * k->high + y * p->dil[0]) * k->pitch + corner + x * p->dil[1]] += v * w[q];
    }
  }
}

static void add_windows(const sparse_input_call *k, const sparse_input_scratch *t) {
  const pl_conv *p = k->p;
  const pl_pool *pool = k->back->pool;
  const int64_t down = pool->size[0] * p->stride[0] * k->pitch,
                right = pool->size[1] * p->stride[1];
  const int64_t plane = k->high * k->pitch;
  for (int64_t c = 0; c < p->c; c += k->channels) {
    const int64_t channels = PL_MIN(k->channels, p->c - c);
    for (int64_t j = 0; j < k->windows; j++)
      window_tile_of[channels][k->rows - MIN_ROWS](&(window_tile_args){
          .list = t->list + j * p->k,
          .end = t->list + j * p->k + t->n[j],
          .table = k->tables + c / k->channels * k->table,
          .tall = k->tall,
          .image = t->image + c * plane + j / pool->ow * down + j % pool->ow * right,
          .plane = plane,
          .pitch = k->pitch});
  }
}

/* The padded image into the gradient, which is zero where no window reaches. */
static void place_image(const sparse_input_call *k, const sparse_input_scratch *t, int64_t image) {
  const pl_conv *p = k->p;
  const int64_t w = PL_MAX(0, PL_MIN(p->w, k->pitch - p->pad[1]));
  for (int64_t c = 0; c < p->c; c++)
    for (int64_t y = 0; y < p->h; y++) {
      pl_real *to = k->gx + ((image * p->c + c) * p->h + y) * p->w;
      const bool reached = y + p->pad[0] < k->high;
      const pl_real *from = t->image + (c * k->high + y + p->pad[0]) * k->pitch + p->pad[1];
      const masked all = unmasked(from);
      if (reached) copy_row(to, &all, w);
      for (int64_t x = reached ? w : 0; x < p->w; x++) to[x] = 0;
    }
}

static void run_image(const sparse_input_call *k, const sparse_input_scratch *t, int64_t image) {
  memset(t->image, 0, (size_t)(k->p->c * k->high * k->pitch) * sizeof *t->image);
  if (list_window_entries(k, t, image)) add_windows(k, t);
  else add_exactly(k, t, image);
  place_image(k, t, image);
}

/*
** The call
*/

typedef struct {
  int64_t image, list, n, all; /* bytes */
} sparse_input_sizes;

static sparse_input_sizes scratch_sizes(const sparse_input_call *k) {
  sparse_input_sizes s = {
      .image = pl_round_up(k->p->c * k->high * k->pitch * (int64_t)sizeof(pl_real), 64),
      .list = pl_round_up(k->windows * k->p->k + 1, 64) * (int64_t)sizeof(window_entry),
      .n = pl_round_up(k->windows, 64) * (int64_t)sizeof(int32_t)};
  s.all = s.image + s.list + s.n;
  return s;
}

static void sparse_input_run(sparse_input_call *k, pl_range *queue, char *scratch) {
  const pl_conv *p = k->p;
  const int64_t tiles = (p->c + k->channels - 1) / k->channels;
  const sparse_input_sizes s = scratch_sizes(k);
  const bool many = p->n * p->k * k->windows * p->c * k->rows * LANES > PL_CONV_SPARSE_SERIAL;
#pragma omp parallel if (many)
  {
    const int id = omp_get_thread_num(), threads = omp_get_num_threads();
    char *mine = scratch + id * s.all;
    sparse_input_scratch t = {(pl_real *)mine, (window_entry *)(mine + s.image),
                              (int32_t *)(mine + s.image + s.list)};
    if (id == 0) pl_queue_fill(queue, threads, p->n), fill_shifts(k);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < tiles; i++)
      fill_table(k, i * k->channels, PL_MIN(k->channels, p->c - i * k->channels),
                 k->tables + i * k->table);
    for (int64_t i; (i = pl_queue_take(queue, threads, id)) >= 0;) run_image(k, &t, i);
  }
}

static bool sparse_input_grad(const pl_conv *p, const pl_prologue *back, const pl_real *w,
                              pl_real *gx) {
  const pl_pool *pool = back->pool;
  sparse_input_call k = {.p = p,
                         .back = back,
                         .w = w,
                         .gx = gx,
                         .windows = pool->oh * pool->ow,
                         .rows = pl_sparse_reach(p, pool, 0),
                         .tall = pl_sparse_table_rows(p, pool)};
  k.channels = pl_sparse_tile_channels(p, k.rows);
  k.table = pool->size[1] * p->k * k.channels * k.tall * LANES;
  k.high = (pool->oh - 1) * pool->size[0] * p->stride[0] + k.rows;
  k.pitch = (pool->ow - 1) * pool->size[1] * p->stride[1] + LANES;
  const int64_t tiles = (p->c + k.channels - 1) / k.channels, threads = omp_get_max_threads();
  const int64_t tables = pl_round_up(tiles * k.table * (int64_t)sizeof *w, 64);
  const int64_t shifts = pl_round_up(p->oh * p->ow * (int64_t)sizeof *k.shift, 64);
  pl_range *queue = pl_scratch((size_t)(threads * (int64_t)sizeof *queue + tables + shifts +
                                        threads * scratch_sizes(&k).all));
  if (!queue) return false;
  k.tables = (pl_real *)(queue + threads);
  k.shift = (int32_t *)((char *)k.tables + tables);
  sparse_input_run(&k, queue, (char *)k.shift + shifts);
  pl_scratch_free(queue);
  return true;
}

const pl_conv_kernels PL_ISA_NAME(pl_sparse_kernels) = {.input_grad = sparse_input_grad,
                                                        .weight_grad = k_sparse_weight_grad};
