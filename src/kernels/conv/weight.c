/*
** weight.c: convolution back to its weights and bias by all multiply-adds: for each tap of each
** channel, a sum over the outputs of all images (direct convolution: Georganas et al. 2018). Two
** methods, by what the lanes of a vector are:
**
**   by blocks   gw[tap][k0 k1 ...] += x[o + tap] g[o][k0 k1 ...]    output channels; many channels
**   by rows     gw[tap] += sum of x[o0 o1 ... + tap] g[o0 o1 ...]   outputs of a row; wide images
**
** algorithm.c picks the method. Small weights: the images are cut into a fixed number of shares,
** each with its own sums, which are added in order at the end. Large weights: one share, of which
** an item is a block of output channels and a range of input channels. So bits do not depend on the
** number of threads.
*/
#include <omp.h>

#include "../queue.h"
#include "algorithm.h"
#include "internal.h"
#include "microkernel.h"

enum {
  SHARES = 16,     /* of the images */
  LARGE = 1 << 14, /* weights, from which on they are cut among the threads, not the images */
  LARGE_ITEMS = 4, /* items of large weights for each thread, or more */
  SLICE = 256,     /* outputs of a pass by blocks: their gradients stay in the first-level cache */
  CHUNK = 4096,    /* elements of images that a pass by blocks keeps in the first-level cache */
  TILE_CHANNELS = 3, /* of a tile by rows */
  TILE_TAPS = 4,
  G_STEP = PL_VECTOR_SLICE * LANES + 32, /* between channels; a power of two would collide */
};

/* Taps along an axis, neighbours, that overlap the image in the same outputs. */
typedef struct {
  int64_t taps, tap, outputs, first;
} overlap;

/* Taps of the same row overlap and column overlap, as tiles see them. */
typedef struct {
  const overlap *y, *x;
  pl_conv_offsets *offsets; /* the outputs of all images of a group: in x, and in the block of g */
  tile_row *row;            /* the taps of all channels: in x, and in the sums */
} overlap_group;

typedef struct {
  const pl_conv *p;
  bool by_rows, large;
  int64_t window, n, outputs, lanes;  /* n: taps of all channels; lanes: output channels, padded */
  int64_t shares, group, band, chunk; /* images, output rows and channels of a pass by blocks */
  overlap *y, *x;
  int64_t ys, xs;
  overlap_group *groups;
  pl_conv_layout input;  /* by rows: the padded copy */
  int64_t *tap, *vector; /* by rows: where in the copy a tap begins, and a vector of outputs */
  void *tables;
  const pl_real *images;
  pl_prologue back;
  pl_real *sums; /* of a share: by blocks [blocks][n][BLOCK], by rows [channels][n] */
  pl_real *bias; /* of a share: [lanes]; NULL if it is not asked for */
} weight_call;

/* An item of the queue: a share, input channels; and the scratch memory of its thread. */
typedef struct {
  int64_t share, image, images_end, block, blocks_end, channel, channels;
  pl_real *copy, *g, *sums, *unpooled;
} weight_item;

/* The gradients of the result for some images, through their prologue. */
static masked gradients_of(const weight_call *k, const weight_item *t, int64_t image,
                           int64_t count) {
  const pl_pool *pool = k->back.pool;
  const masked g = masked_of(&k->back);
  if (!pool) return masked_at(&g, image * k->p->k * k->outputs);
  const int64_t from = image * k->p->k * pool->oh * pool->ow;
  const masked pooled = masked_at(&g, from);
  k_unpool(pool, count * k->p->k, &pooled, k->back.argmax + from, t->unpooled);
  return unmasked(t->unpooled);
}

/*
** Tables by blocks
*/

/* The outputs for which tap t lies in the image. */
static overlap overlap_of(const pl_conv *p, int axis, int64_t t) {
  int64_t stride = p->stride[axis], at = t * p->dil[axis] - p->pad[axis];
  int64_t inputs = axis ? p->w : p->h, outputs = axis ? p->ow : p->oh;
  int64_t first = at < 0 ? (stride - 1 - at) / stride : 0;
  int64_t end = inputs - 1 - at < 0 ? 0 : PL_MIN(outputs, (inputs - 1 - at) / stride + 1);
  return (overlap){1, t, PL_MAX(0, end - first), first};
}

static int64_t fill_overlaps(const pl_conv *p, int axis, overlap *m) {
  int64_t n = 0, window = axis ? p->s : p->r;
  for (int64_t t = 0; t < window; t++) {
    overlap next = overlap_of(p, axis, t);
    if (n && m[n - 1].outputs == next.outputs && m[n - 1].first == next.first) m[n - 1].taps++;
    else m[n++] = next;
  }
  return n;
}

static int64_t fill_offsets(const weight_call *k, const overlap_group *c,
                            pl_conv_offsets *offsets) {
  const pl_conv *p = k->p;
  const pl_conv_offsets *start = offsets;
  for (int64_t i = 0; i < k->group; i++)
    for (int64_t y = c->y->first; y < c->y->first + c->y->outputs; y++)
      for (int64_t x = c->x->first; x < c->x->first + c->x->outputs; x++) {
        int64_t at = (i * p->c * p->h + y * p->stride[0]) * p->w + x * p->stride[1];
        *offsets++ =
            (pl_conv_offsets){(int32_t)at, (int32_t)((i * k->outputs + y * p->ow + x) * BLOCK)};
      }
  return offsets - start;
}

static int64_t fill_rows(const weight_call *k, const overlap_group *c, tile_row *row) {
  const pl_conv *p = k->p;
  const tile_row *start = row;
  for (int64_t i = 0; i < p->c; i++)
    for (int64_t y = c->y->tap; y < c->y->tap + c->y->taps; y++)
      for (int64_t x = c->x->tap; x < c->x->tap + c->x->taps; x++) {
        int64_t iy = y * p->dil[0] - p->pad[0], ix = x * p->dil[1] - p->pad[1];
        *row++ = (tile_row){(i * p->h + iy) * p->w + ix, (i * k->window + y * p->s + x) * BLOCK};
      }
  return row - start;
}

static bool tables_by_blocks(weight_call *k) {
  const pl_conv *p = k->p;
  size_t window = (size_t)k->window, entries = window * (size_t)(k->group * k->outputs);
  k->tables =
      pl_scratch((size_t)(p->r + p->s) * sizeof(overlap) + window * sizeof(overlap_group) +
                 (size_t)k->n * sizeof(tile_row) + (entries + AHEAD) * sizeof(pl_conv_offsets));
  if (!(k->y = k->tables)) return false;
  k->x = k->y + p->r;
  k->groups = (overlap_group *)(k->x + p->s);
  tile_row *row = (tile_row *)(k->groups + k->window);
  pl_conv_offsets *offsets = (pl_conv_offsets *)(row + k->n);
  k->ys = fill_overlaps(p, 0, k->y);
  k->xs = fill_overlaps(p, 1, k->x);
  for (int64_t i = 0; i < k->ys * k->xs; i++) {
    overlap_group *c = &k->groups[i];
    *c = (overlap_group){&k->y[i / k->xs], &k->x[i % k->xs], offsets, row};
    offsets += fill_offsets(k, c, offsets);
    row += fill_rows(k, c, row);
  }
  memset(offsets, 0, AHEAD * sizeof *offsets);
  return true;
}

/*
** By blocks
*/

/* The gradients of outputs first..first + m of `count` images, in one block of channels. */
static void gather_blocks(const weight_call *k, const weight_item *t, const masked *g,
                          int64_t count, int64_t first, int64_t m, int64_t block) {
  int64_t channels = PL_MIN(BLOCK, k->p->k - block * BLOCK);
  for (int64_t i = 0; i < count; i++) {
    masked f = masked_at(g, (i * k->p->k + block * BLOCK) * k->outputs + first);
    block_from_planes(t->g + i * m * BLOCK, &f, k->outputs, channels, m);
  }
}

/* Output rows from..to of `count` images and some channels; t->g has the gradients of one block. */
static void groups_by_blocks(const weight_call *k, const weight_item *t, const pl_real *x,
                             int64_t channels, int64_t count, int64_t from, int64_t to,
                             pl_real *sums) {
  for (const overlap_group *c = k->groups; c < k->groups + k->ys * k->xs; c++) {
    int64_t first = PL_MAX(from, c->y->first), last = PL_MIN(to, c->y->first + c->y->outputs);
    int64_t n = count > 1 ? count * c->y->outputs : last - first;
    if (n <= 0) continue;
    multiply_tiles(channels * c->y->taps * c->x->taps, n * c->x->outputs,
                   c->offsets + (count > 1 ? 0 : first - c->y->first) * c->x->outputs,
                   t->g - from * k->p->ow * BLOCK, x, c->row, sums);
  }
}

static void grads_by_blocks(const weight_call *k, const weight_item *t, int64_t image,
                            int64_t count) {
  const pl_conv *p = k->p;
  const pl_real *x = k->images + image * p->c * p->h * p->w;
  const masked g = gradients_of(k, t, image, count);
  int64_t end = t->channel + t->channels;
  for (int64_t b = t->block; b < t->blocks_end; b++) {
    pl_real *sums = k->sums + (t->share * k->lanes / BLOCK + b) * k->n * BLOCK;
    for (int64_t from = 0; from < p->oh; from += k->band) {
      int64_t to = PL_MIN(p->oh, from + k->band), m = (to - from) * p->ow;
      gather_blocks(k, t, &g, count, from * p->ow, m, b);
      for (int64_t c = t->channel; c < end; c += k->chunk)
        groups_by_blocks(k, t, x + c * p->h * p->w, PL_MIN(k->chunk, end - c), count, from, to,
                         sums + c * k->window * BLOCK);
      if (k->bias && !t->channel)
        sum_block(k->bias + t->share * k->lanes + b * BLOCK, t->g, count * m);
    }
  }
}

static void zero_sums(const weight_call *k, const weight_item *t) {
  for (int64_t b = t->block; b < t->blocks_end; b++) {
    int64_t at = (t->share * k->lanes / BLOCK + b) * k->n + t->channel * k->window;
    memset(k->sums + at * BLOCK, 0, (size_t)(t->channels * k->window * BLOCK) * sizeof(pl_real));
  }
}

/*
** By rows. The micro-kernel: sum[channel i][tap q] += g[i] x[tap q], vector by vector.
*/

typedef struct {
  int64_t n;            /* vectors */
  const pl_real *g, *x; /* g: [channels][n][LANES], channels g_step apart */
  int64_t g_step, tap[TILE_TAPS];
  const int64_t *vector; /* [n] */
  pl_real *sums;         /* [channels][taps][LANES], channels sums_step apart */
  int64_t sums_step, at[TILE_TAPS];
} taps_tile;

INLINE void taps_tile_body(int channels, int taps, const taps_tile *t) {
  vec sum[TILE_CHANNELS][TILE_TAPS], g[TILE_CHANNELS];
  const pl_real *x[TILE_TAPS];
  UNROLL for (int q = 0; q < taps; q++) {
    x[q] = t->x + t->tap[q];
    UNROLL for (int i = 0; i < channels; i++) {
      sum[i][q] = load(t->sums + i * t->sums_step + t->at[q]);
    }
  }
  for (int64_t j = 0; j < t->n; j++) {
    int64_t o = t->vector[j];
    UNROLL for (int i = 0; i < channels; i++) g[i] = load(t->g + i * t->g_step + j * LANES);
    UNROLL for (int q = 0; q < taps; q++) {
      vec v = load(x[q] + o);
      UNROLL for (int i = 0; i < channels; i++) sum[i][q] += g[i] * v;
    }
  }
  UNROLL for (int q = 0; q < taps; q++) {
    UNROLL for (int i = 0; i < channels; i++) {
      store(t->sums + i * t->sums_step + t->at[q], sum[i][q]);
    }
  }
}

#define TAPS_TILE(channels, taps)                                 \
  static void taps_tile_##channels##_##taps(const taps_tile *t) { \
    taps_tile_body(channels, taps, t);                            \
  }
/* clang-format off */
TAPS_TILE(1, 3) TAPS_TILE(2, 3) TAPS_TILE(3, 3) TAPS_TILE(1, 4) TAPS_TILE(2, 4) TAPS_TILE(3, 4)
#undef TAPS_TILE
static void (*const taps_tile_of[][TILE_CHANNELS + 1])(const taps_tile *t) = {
    {NULL, taps_tile_1_3, taps_tile_2_3, taps_tile_3_3},
    {NULL, taps_tile_1_4, taps_tile_2_4, taps_tile_3_4}};
/* clang-format on */

/* Vectors of an output row; the last overlaps the one before. */
static int64_t vectors_of_row(const weight_call *k) { return (k->p->ow + LANES - 1) / LANES; }

/* The padded copy, where the taps begin in it, and where the vectors of outputs do. */
static bool tables_by_rows(weight_call *k) {
  const pl_conv *p = k->p;
  pl_conv_layout *l = &k->input;
  int64_t *at, cols = (p->ow - 1) * p->stride[1] + (p->s - 1) * p->dil[1] + 1;
  int64_t vectors = vectors_of_row(k);
  *l = (pl_conv_layout){
      .h = p->h, .w = p->w, .top = p->pad[0], .left = p->pad[1], .stripes = p->stride[1]};
  l->rows = (p->oh - 1) * p->stride[0] + (p->r - 1) * p->dil[0] + 1;
  l->pitch = (cols + l->stripes - 1) / l->stripes;
  l->plane = l->rows * l->stripes * l->pitch;
  k->tables = pl_scratch((size_t)(k->n + p->oh * vectors) * sizeof(int64_t));
  if (!(k->tap = at = k->tables)) return false;
  for (int64_t i = 0; i < k->n; i++) {
    int64_t col = i % p->s * p->dil[1], row = i / p->s % p->r * p->dil[0];
    *at++ = i / k->window * l->plane + (row * l->stripes + col % l->stripes) * l->pitch +
            col / l->stripes;
  }
  k->vector = at;
  for (int64_t v = 0; v < p->oh * vectors; v++)
    *at++ = v / vectors * p->stride[0] * l->stripes * l->pitch +
            PL_MIN(v % vectors * LANES, p->ow - LANES);
  return true;
}

/* m vectors of gradients of one channel. The last of a row overlaps the one before; the lanes that
 * it repeats are 0. */
static void gather_channel(const weight_call *k, pl_real *to, const masked *g, int64_t first,
                           int64_t m) {
  int64_t vectors = vectors_of_row(k), width = k->p->ow, row = first / vectors * width;
  vec_mask fresh;
  for (int i = 0; i < LANES; i++) fresh[i] = i >= vectors * LANES - width ? -1 : 0;
  for (int64_t i = 0, v = first % vectors; i < m; row += width, v = 0) {
    for (; v < vectors - 1 && i < m; v++, i++, to += LANES)
      store(to, masked_load(g, row + v * LANES));
    if (i++ == m) break;
    store(to, select_by(fresh, masked_load(g, row + width - LANES), (vec){0}));
    to += LANES;
  }
}

/* Four sums at once, to hide the latency of an addition. */
static pl_real sum_vectors(const pl_real *g, int64_t m) {
  vec sum[4] = {{0}};
  pl_real total = 0;
  int64_t i = 0;
  for (; i + 4 <= m; i += 4, g += 4 * LANES)
    UNROLL for (int k = 0; k < 4; k++) sum[k] += load(g + k * LANES);
  for (; i < m; i++, g += LANES) sum[0] += load(g);
  sum[0] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
  for (int lane = 0; lane < LANES; lane++) total += sum[0][lane];
  return total;
}

static void gather_vectors(const weight_call *k, const weight_item *t, const masked *g,
                           int64_t first, int64_t m) {
  for (int64_t c = 0; c < k->p->k; c++) {
    masked channel = masked_at(g, c * k->outputs);
    gather_channel(k, t->g + c * G_STEP, &channel, first, m);
    if (k->bias) k->bias[t->share * k->lanes + c] += sum_vectors(t->g + c * G_STEP, m);
  }
}

/* All taps for a few channels; a tile that has too few repeats its last. */
static void taps_by_rows(const weight_call *k, taps_tile *r, int channels) {
  int64_t tiles = (k->n + TILE_TAPS - 1) / TILE_TAPS;
  for (int64_t i = 0; i < tiles; i++) {
    int64_t first = k->n * i / tiles, m = k->n * (i + 1) / tiles - first;
    for (int q = 0; q < TILE_TAPS; q++) {
      int64_t at = PL_MIN(first + q, first + m - 1);
      r->tap[q] = k->tap[at];
      r->at[q] = at * LANES;
    }
    taps_tile_of[m == TILE_TAPS][channels](r);
  }
}

static void grads_by_rows(const weight_call *k, const weight_item *t, int64_t image) {
  const pl_conv *p = k->p;
  int64_t count = p->oh * vectors_of_row(k), tiles = (p->k + TILE_CHANNELS - 1) / TILE_CHANNELS;
  masked x = unmasked(k->images + image * p->c * p->h * p->w);
  copy_planes(&k->input, t->copy, &x, p->c);
  const masked g = gradients_of(k, t, image, 1);
  for (int64_t v = 0; v < count; v += PL_VECTOR_SLICE) {
    int64_t m = PL_MIN(PL_VECTOR_SLICE, count - v);
    gather_vectors(k, t, &g, v, m);
    for (int64_t i = 0; i < tiles; i++) {
      int64_t first = p->k * i / tiles;
      taps_tile r = {.n = m,
                     .g = t->g + first * G_STEP,
                     .x = t->copy,
                     .vector = k->vector + v,
                     .g_step = G_STEP,
                     .sums = t->sums + first * k->n * LANES,
                     .sums_step = k->n * LANES};
      taps_by_rows(k, &r, (int)(p->k * (i + 1) / tiles - first));
    }
  }
}

static void add_lanes(const weight_call *k, const weight_item *t) {
  int64_t count = k->p->k * k->n;
  for (int64_t i = 0; i < count; i++) {
    pl_real sum = 0;
    for (int lane = 0; lane < LANES; lane++) sum += t->sums[i * LANES + lane];
    k->sums[t->share * count + i] = sum;
  }
}

/*
** A thread's items, and the call around them
*/

static void add_item(const weight_call *k, const weight_item *t) {
  if (k->bias && !t->channel)
    memset(k->bias + t->share * k->lanes + t->block * BLOCK, 0,
           (size_t)((t->blocks_end - t->block) * BLOCK) * sizeof(pl_real));
  if (!k->by_rows) {
    zero_sums(k, t);
    for (int64_t i = t->image; i < t->images_end; i += k->group)
      grads_by_blocks(k, t, i, PL_MIN(k->group, t->images_end - i));
    return;
  }
  memset(t->sums, 0, (size_t)(k->p->k * k->n * LANES) * sizeof(pl_real));
  for (int64_t i = t->image; i < t->images_end; i++) grads_by_rows(k, t, i);
  add_lanes(k, t);
}

/* Elements of a share. */
static int64_t share_size(const weight_call *k) { return (k->by_rows ? k->p->k : k->lanes) * k->n; }

/* The sums of all shares, into those of the first, and from there to the result. */
static void weight_collect(const weight_call *k, pl_real *gw, pl_real *gbias) {
  const int64_t size = share_size(k);
#pragma omp for schedule(static)
  for (int64_t half = 0; half < 2; half++) {
    add_half(k->sums, k->shares, half, size);
    if (gbias) add_half(k->bias, k->shares, half, k->lanes);
  }
#pragma omp single
  {
    add_halves(k->sums, k->shares, size);
    if (gbias) add_halves(k->bias, k->shares, k->lanes);
    if (gbias) memcpy(gbias, k->bias, (size_t)k->p->k * sizeof *gbias);
    if (k->by_rows) memcpy(gw, k->sums, (size_t)size * sizeof *gw);
  }
#pragma omp for schedule(static)
  for (int64_t b = 0; b < (k->by_rows ? 0 : k->lanes / BLOCK); b++)
    planes_from_block(gw + b * BLOCK * k->n, k->n, k->sums + b * BLOCK * k->n, 1,
                      PL_MIN(BLOCK, k->p->k - b * BLOCK), k->n);
}

typedef struct {
  int64_t copy, g, sums, unpooled, all;
} weight_sizes;

static weight_sizes thread_sizes(const weight_call *k) {
  weight_sizes s = {0};
  if (k->by_rows) {
    s.copy = pl_round_up(k->p->c * k->input.plane, 16);
    s.g = k->p->k * G_STEP;
    s.sums = k->p->k * k->n * LANES;
  } else {
    s.g = k->group * k->band * k->p->ow * BLOCK;
  }
  if (k->back.pool) s.unpooled = (k->by_rows ? 1 : k->group) * k->p->k * k->outputs;
  s.all = pl_round_up(s.copy + s.g + s.sums + s.unpooled, 16);
  return s;
}

/* Ranges of input channels that large weights are cut into: each gathers the gradients anew. */
static int64_t ranges_of(const weight_call *k, int threads) {
  int64_t blocks = k->lanes / BLOCK, most = k->p->c / SHARES;
  return PL_MAX(1, PL_MIN(most, (LARGE_ITEMS * threads + blocks - 1) / blocks));
}

/* A share of images, or a block and a range of large weights. */
static void weight_run_item(const weight_call *k, weight_item *t, int64_t i, int64_t ranges) {
  *t = (weight_item){.images_end = k->p->n,
                     .blocks_end = k->lanes / BLOCK,
                     .channels = k->p->c,
                     .copy = t->copy,
                     .g = t->g,
                     .sums = t->sums,
                     .unpooled = t->unpooled};
  if (k->large) {
    t->block = i / ranges;
    t->blocks_end = t->block + 1;
    t->channel = k->p->c * (i % ranges) / ranges;
    t->channels = k->p->c * (i % ranges + 1) / ranges - t->channel;
  } else {
    t->share = i;
    t->image = k->p->n * i / k->shares;
    t->images_end = k->p->n * (i + 1) / k->shares;
  }
  add_item(k, t);
}

static void weight_thread(const weight_call *k, pl_range *queue, pl_real *scratch) {
  const int id = omp_get_thread_num(), threads = omp_get_num_threads();
  const int64_t ranges = ranges_of(k, threads);
  weight_sizes size = thread_sizes(k);
  weight_item t = {.copy = scratch + id * size.all};
  t.g = t.copy + size.copy;
  t.sums = t.g + size.g;
  t.unpooled = t.sums + size.sums;
  memset(t.copy, 0, (size_t)size.copy * sizeof(pl_real));
#pragma omp single
  pl_queue_fill(queue, threads, k->large ? k->lanes / BLOCK * ranges : k->shares);
  for (int64_t i; (i = pl_queue_take(queue, threads, id)) >= 0;) weight_run_item(k, &t, i, ranges);
#pragma omp barrier
}

static bool weight_run(weight_call *k, pl_real *gw, pl_real *gbias) {
  int64_t sums = k->shares * k->lanes * k->n, all = thread_sizes(k).all;
  int64_t shared = pl_round_up(sums + k->shares * k->lanes, 16);
  int threads = omp_get_max_threads();
  size_t bytes = (size_t)(shared + all * threads) * sizeof *k->sums;
  pl_range *queue = pl_scratch((size_t)threads * sizeof *queue + bytes);
  if (!queue) return false;
  k->sums = (pl_real *)(queue + threads);
  if (gbias) k->bias = k->sums + sums;
  bool many = k->n * k->p->k * k->outputs * k->p->n > PL_CONV_SERIAL;
#pragma omp parallel if (many)
  {
    weight_thread(k, queue, k->sums + shared);
    weight_collect(k, gw, gbias);
  }
  pl_scratch_free(queue);
  return true;
}

static void weight_passes(weight_call *k) {
  const pl_conv *p = k->p;
  k->by_rows = pl_conv_weight_by_rows(p, LANES);
  k->large = !k->by_rows && k->n * p->k > LARGE && p->c >= SHARES;
  k->shares = k->large ? 1 : PL_MIN(SHARES, p->n);
  int64_t share = (p->n + k->shares - 1) / k->shares, image = PL_MAX(1, p->c * p->h * p->w);
  int64_t most = PL_MAX(1, PL_MIN(SLICE / k->outputs, PL_CONV_OFFSET_MAX / image));
  int64_t groups = (share + most - 1) / most;
  k->group = (share + groups - 1) / groups;
  k->band = k->outputs <= SLICE ? p->oh : PL_MAX(1, SLICE / p->ow);
  int64_t rows = PL_MIN(p->h, k->band * p->stride[0] + p->r * p->dil[0]);
  int64_t inputs = PL_MAX(1, k->group * rows * p->w);
  k->chunk = PL_MAX(1, CHUNK / (inputs * TILE_ROWS)) * TILE_ROWS;
}

bool k_direct_weight_grad(const pl_conv *p, const pl_real *x, const pl_prologue *back, pl_real *gw,
                          pl_real *gbias) {
  weight_call k = {.p = p,
                   .window = p->r * p->s,
                   .n = p->c * p->r * p->s,
                   .outputs = p->oh * p->ow,
                   .lanes = pl_round_up(p->k, BLOCK),
                   .images = x,
                   .back = *back};
  if (!p->n || !p->k || !k.outputs) {
    memset(gw, 0, (size_t)(p->k * k.n) * sizeof *gw);
    if (gbias) memset(gbias, 0, (size_t)p->k * sizeof *gbias);
    return true;
  }
  weight_passes(&k);
  bool ok = (k.by_rows ? tables_by_rows(&k) : tables_by_blocks(&k)) && weight_run(&k, gw, gbias);
  pl_scratch_free(k.tables);
  return ok;
}
