/*
** conv_weight.c: convolution back to its weights and bias: for each window position of each
** channel, a sum of products over the outputs of all images. Two ways, by what the lanes of
** a vector are:
**   by blocks  output channels, whose gradients are turned into blocks; many channels
**   by rows    neighbours in an output row, added up at the end; few channels, wide images
**
** Small weights: the images are cut into a fixed number of shares, each with its own sums,
** which are added in order at the end. Large weights: one share, of which a thread takes a block
** of output channels and a range of others at a time. So bits do not depend on the number of
** threads.
*/
#include <omp.h>

#include "conv_kernels.h"
#include "../deal.h"

enum {
  SHARES = 16,
  TURNS = 4,          /* parts of large weights for each thread, or more */
  LARGE = 1 << 14,    /* weights that are many enough to be cut among the threads */
  SLICE = 256,        /* outputs that a pass covers: their blocks stay in the first-level cache */
  VECTOR_SLICE = 128, /* the same by rows, in vectors */
  G_STEP = VECTOR_SLICE * LANES + 32, /* from channel to channel; a power of two would collide */
  TILE_CHANNELS = 3,                  /* of a tile by rows */
  TILE_POSITIONS = 4,
  MOVE = 6,      /* products that turning one number into a block costs */
  TILE_COST = 8, /* vectors whose products take as long as a tile's loads and stores */
  CHUNK = 4096,  /* numbers of images that a pass by blocks keeps in the first-level cache */
  FEW = 1 << 18, /* products that are not worth a second thread */
  FAR = 1 << 30, /* what 32 bits can index */
};

/* Window positions, rows or columns, that meet the same outputs. */
typedef struct {
  int64_t taps, tap, outputs, first;
} meeting;

/* Positions of the same row and column meeting, as tiles see them. */
typedef struct {
  const meeting *y, *x;
  pl_conv_pair *pair; /* the outputs, of all images of a group: in x, and in the block */
  tile_row *row;      /* the positions of all channels: in x, and in the sums */
} class;

typedef struct {
  const pl_conv *p;
  bool by_rows, large;
  int64_t window, n, outputs, lanes;  /* n: positions; lanes: output channels, in whole blocks */
  int64_t shares, group, band, chunk; /* images, output rows and channels of a pass by blocks */
  meeting *y, *x;
  int64_t ys, xs;
  class *class;
  pl_conv_layout source; /* by rows: the padded copy */
  int64_t *off, *base;   /* by rows: of positions; of vectors of outputs */
  void *tables;
  flow images, g;
  const pl_pool *unpool; /* g is that of pooling, and `at` says where to (NULL: it is not) */
  const int32_t *at;
  pl_real *sums; /* a share: by blocks [blocks][n][BLOCK], by rows [channels][n] */
  pl_real *bias; /* a share: [lanes]; NULL if it is not asked for */
} job;

/* What one thread does at a time: a share, source channels, and its scratch memory. */
typedef struct {
  int64_t share, image, images_end, block, blocks_end, channel, channels;
  pl_real *copy, *g, *sums, *unpooled;
} part;

/* The gradients of the result for some images, as they are or where pooling took them from. */
static flow gradients_of(const job *k, const part *t, int64_t image, int64_t count) {
  if (!k->unpool) return flow_at(&k->g, image * k->p->k * k->outputs);
  const int64_t from = image * k->p->k * k->unpool->oh * k->unpool->ow;
  const flow pooled = flow_at(&k->g, from);
  k_unpool(k->unpool, count * k->p->k, &pooled, k->at + from, t->unpooled);
  return (flow){t->unpooled, NULL, 0};
}

/*
** Tables by blocks
*/

/* The outputs for which position t of the window lies in the image. */
static meeting meeting_of(const pl_conv *p, int axis, int64_t t) {
  int64_t stride = p->stride[axis], at = t * p->dil[axis] - p->pad[axis];
  int64_t sources = axis ? p->w : p->h, outputs = axis ? p->ow : p->oh;
  int64_t first = at < 0 ? (stride - 1 - at) / stride : 0;
  int64_t end = sources - 1 - at < 0 ? 0 : PL_MIN(outputs, (sources - 1 - at) / stride + 1);
  return (meeting){1, t, PL_MAX(0, end - first), first};
}

static int64_t fill_meetings(const pl_conv *p, int axis, meeting *m) {
  int64_t n = 0, window = axis ? p->s : p->r;
  for (int64_t t = 0; t < window; t++) {
    meeting next = meeting_of(p, axis, t);
    if (n && m[n - 1].outputs == next.outputs && m[n - 1].first == next.first) m[n - 1].taps++;
    else m[n++] = next;
  }
  return n;
}

static int64_t fill_pairs(const job *k, const class *c, pl_conv_pair *pair) {
  const pl_conv *p = k->p;
  const pl_conv_pair *start = pair;
  for (int64_t i = 0; i < k->group; i++)
    for (int64_t y = c->y->first; y < c->y->first + c->y->outputs; y++)
      for (int64_t x = c->x->first; x < c->x->first + c->x->outputs; x++) {
        int64_t at = (i * p->c * p->h + y * p->stride[0]) * p->w + x * p->stride[1];
        *pair++ = (pl_conv_pair){(int32_t)at, (int32_t)((i * k->outputs + y * p->ow + x) * BLOCK)};
      }
  return pair - start;
}

static int64_t fill_rows(const job *k, const class *c, tile_row *row) {
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

static bool tables_by_blocks(job *k) {
  const pl_conv *p = k->p;
  size_t window = (size_t)k->window, pairs = window * (size_t)(k->group * k->outputs);
  k->tables = pl_scratch((size_t)(p->r + p->s) * sizeof(meeting) + window * sizeof(class) +
                         (size_t)k->n * sizeof(tile_row) + (pairs + AHEAD) * sizeof(pl_conv_pair));
  if (!(k->y = k->tables)) return false;
  k->x = k->y + p->r;
  k->class = (class *)(k->x + p->s);
  tile_row *row = (tile_row *)(k->class + k->window);
  pl_conv_pair *pair = (pl_conv_pair *)(row + k->n);
  k->ys = fill_meetings(p, 0, k->y);
  k->xs = fill_meetings(p, 1, k->x);
  for (int64_t i = 0; i < k->ys * k->xs; i++) {
    class *c = &k->class[i];
    *c = (class){&k->y[i / k->xs], &k->x[i % k->xs], pair, row};
    pair += fill_pairs(k, c, pair);
    row += fill_rows(k, c, row);
  }
  memset(pair, 0, AHEAD * sizeof *pair);
  return true;
}

/*
** By blocks
*/

/* The gradients of outputs first..first + m of `count` images, in one block of channels. */
static void gather_blocks(const job *k, const part *t, const flow *g, int64_t count, int64_t first,
                          int64_t m, int64_t block) {
  int64_t channels = PL_MIN(BLOCK, k->p->k - block * BLOCK);
  for (int64_t i = 0; i < count; i++) {
    flow f = flow_at(g, (i * k->p->k + block * BLOCK) * k->outputs + first);
    block_from_planes(t->g + i * m * BLOCK, &f, k->outputs, channels, m);
  }
}

/* Output rows from..to of `count` images and some channels; t->g has the gradients of one block. */
static void classes_by_blocks(const job *k, const part *t, const pl_real *x, int64_t channels,
                              int64_t count, int64_t from, int64_t to, pl_real *sums) {
  for (const class *c = k->class; c < k->class + k->ys * k->xs; c++) {
    int64_t first = PL_MAX(from, c->y->first), last = PL_MIN(to, c->y->first + c->y->outputs);
    int64_t n = count > 1 ? count * c->y->outputs : last - first;
    if (n <= 0) continue;
    block_tiles(channels * c->y->taps * c->x->taps, n * c->x->outputs,
                c->pair + (count > 1 ? 0 : first - c->y->first) * c->x->outputs,
                t->g - from * k->p->ow * BLOCK, x, c->row, sums);
  }
}

static void group_by_blocks(const job *k, const part *t, int64_t image, int64_t count) {
  const pl_conv *p = k->p;
  const pl_real *x = k->images.g + image * p->c * p->h * p->w;
  const flow g = gradients_of(k, t, image, count);
  int64_t end = t->channel + t->channels;
  for (int64_t b = t->block; b < t->blocks_end; b++) {
    pl_real *sums = k->sums + (t->share * k->lanes / BLOCK + b) * k->n * BLOCK;
    for (int64_t from = 0; from < p->oh; from += k->band) {
      int64_t to = PL_MIN(p->oh, from + k->band), m = (to - from) * p->ow;
      gather_blocks(k, t, &g, count, from * p->ow, m, b);
      for (int64_t c = t->channel; c < end; c += k->chunk)
        classes_by_blocks(k, t, x + c * p->h * p->w, PL_MIN(k->chunk, end - c), count, from, to,
                          sums + c * k->window * BLOCK);
      if (k->bias && !t->channel)
        sum_block(k->bias + t->share * k->lanes + b * BLOCK, t->g, count * m);
    }
  }
}

static void zero_sums(const job *k, const part *t) {
  for (int64_t b = t->block; b < t->blocks_end; b++) {
    int64_t at = (t->share * k->lanes / BLOCK + b) * k->n + t->channel * k->window;
    memset(k->sums + at * BLOCK, 0, (size_t)(t->channels * k->window * BLOCK) * sizeof(pl_real));
  }
}

/*
** By rows. The tile: sum[i][q] += g[i] * x[position[q]], vector by vector.
*/

typedef struct {
  int64_t n;            /* vectors */
  const pl_real *g, *x; /* g: [channels][n][LANES], channels g_step apart */
  int64_t g_step, position[TILE_POSITIONS];
  const int64_t *base; /* [n] */
  pl_real *sums;       /* [channels][positions][LANES], channels sums_step apart */
  int64_t sums_step, at[TILE_POSITIONS];
} row_job;

INLINE void row_tile_body(int channels, int positions, const row_job *t) {
  vec sum[TILE_CHANNELS][TILE_POSITIONS], g[TILE_CHANNELS];
  const pl_real *x[TILE_POSITIONS];
  UNROLL for (int q = 0; q < positions; q++) {
    x[q] = t->x + t->position[q];
    UNROLL for (int i = 0; i < channels; i++) {
      sum[i][q] = load(t->sums + i * t->sums_step + t->at[q]);
    }
  }
  for (int64_t j = 0; j < t->n; j++) {
    int64_t o = t->base[j];
    UNROLL for (int i = 0; i < channels; i++) g[i] = load(t->g + i * t->g_step + j * LANES);
    UNROLL for (int q = 0; q < positions; q++) {
      vec v = load(x[q] + o);
      UNROLL for (int i = 0; i < channels; i++) sum[i][q] += g[i] * v;
    }
  }
  UNROLL for (int q = 0; q < positions; q++) {
    UNROLL for (int i = 0; i < channels; i++) {
      store(t->sums + i * t->sums_step + t->at[q], sum[i][q]);
    }
  }
}

#define ROW_TILE(channels, positions)                               \
  static void row_tile_##channels##_##positions(const row_job *t) { \
    row_tile_body(channels, positions, t);                          \
  }
/* clang-format off */
ROW_TILE(1, 3) ROW_TILE(2, 3) ROW_TILE(3, 3) ROW_TILE(1, 4) ROW_TILE(2, 4) ROW_TILE(3, 4)
#undef ROW_TILE
static void (*const row_tile_of[][TILE_CHANNELS + 1])(const row_job *t) = {
    {NULL, row_tile_1_3, row_tile_2_3, row_tile_3_3},
    {NULL, row_tile_1_4, row_tile_2_4, row_tile_3_4}};
/* clang-format on */

/* Vectors of an output row; the last overlaps the one before. */
static int64_t row_vectors(const job *k) { return (k->p->ow + LANES - 1) / LANES; }

/* The padded copy, the offsets of positions in it, and those of vectors of outputs. */
static bool tables_by_rows(job *k) {
  const pl_conv *p = k->p;
  pl_conv_layout *l = &k->source;
  int64_t *at, cols = (p->ow - 1) * p->stride[1] + (p->s - 1) * p->dil[1] + 1;
  int64_t vectors = row_vectors(k);
  *l = (pl_conv_layout){
      .h = p->h, .w = p->w, .top = p->pad[0], .left = p->pad[1], .stripes = p->stride[1]};
  l->rows = (p->oh - 1) * p->stride[0] + (p->r - 1) * p->dil[0] + 1;
  l->pitch = (cols + l->stripes - 1) / l->stripes;
  l->plane = l->rows * l->stripes * l->pitch;
  k->tables = pl_scratch((size_t)(k->n + p->oh * vectors) * sizeof(int64_t));
  if (!(k->off = at = k->tables)) return false;
  for (int64_t i = 0; i < k->n; i++) {
    int64_t col = i % p->s * p->dil[1], row = i / p->s % p->r * p->dil[0];
    *at++ = i / k->window * l->plane + (row * l->stripes + col % l->stripes) * l->pitch +
            col / l->stripes;
  }
  k->base = at;
  for (int64_t v = 0; v < p->oh * vectors; v++)
    *at++ = v / vectors * p->stride[0] * l->stripes * l->pitch +
            PL_MIN(v % vectors * LANES, p->ow - LANES);
  return true;
}

/* m vectors of gradients of one channel. What a row's last repeats of the one before is 0. */
static void gather_channel(const job *k, pl_real *to, const flow *g, int64_t first, int64_t m) {
  int64_t vectors = row_vectors(k), width = k->p->ow, row = first / vectors * width;
  vec_mask fresh;
  for (int i = 0; i < LANES; i++) fresh[i] = i >= vectors * LANES - width ? -1 : 0;
  for (int64_t i = 0, v = first % vectors; i < m; row += width, v = 0) {
    for (; v < vectors - 1 && i < m; v++, i++, to += LANES)
      store(to, flow_load(g, row + v * LANES));
    if (i++ == m) break;
    store(to, choose(fresh, flow_load(g, row + width - LANES), (vec){0}));
    to += LANES;
  }
}

/* Four sums at once, so that none waits for the last. */
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

static void gather_vectors(const job *k, const part *t, const flow *g, int64_t first, int64_t m) {
  for (int64_t c = 0; c < k->p->k; c++) {
    flow channel = flow_at(g, c * k->outputs);
    gather_channel(k, t->g + c * G_STEP, &channel, first, m);
    if (k->bias) k->bias[t->share * k->lanes + c] += sum_vectors(t->g + c * G_STEP, m);
  }
}

/* All positions for a few channels; places of a tile that are left over repeat the last. */
static void positions_by_rows(const job *k, row_job *r, int channels) {
  int64_t tiles = (k->n + TILE_POSITIONS - 1) / TILE_POSITIONS;
  for (int64_t i = 0; i < tiles; i++) {
    int64_t first = k->n * i / tiles, m = k->n * (i + 1) / tiles - first;
    for (int q = 0; q < TILE_POSITIONS; q++) {
      int64_t at = PL_MIN(first + q, first + m - 1);
      r->position[q] = k->off[at];
      r->at[q] = at * LANES;
    }
    row_tile_of[m == TILE_POSITIONS][channels](r);
  }
}

static void image_by_rows(const job *k, const part *t, int64_t image) {
  const pl_conv *p = k->p;
  int64_t count = p->oh * row_vectors(k), tiles = (p->k + TILE_CHANNELS - 1) / TILE_CHANNELS;
  flow x = flow_at(&k->images, image * p->c * p->h * p->w);
  copy_planes(&k->source, t->copy, &x, p->c);
  const flow g = gradients_of(k, t, image, 1);
  for (int64_t v = 0; v < count; v += VECTOR_SLICE) {
    int64_t m = PL_MIN(VECTOR_SLICE, count - v);
    gather_vectors(k, t, &g, v, m);
    for (int64_t i = 0; i < tiles; i++) {
      int64_t first = p->k * i / tiles;
      row_job r = {.n = m,
                   .g = t->g + first * G_STEP,
                   .x = t->copy,
                   .base = k->base + v,
                   .g_step = G_STEP,
                   .sums = t->sums + first * k->n * LANES,
                   .sums_step = k->n * LANES};
      positions_by_rows(k, &r, (int)(p->k * (i + 1) / tiles - first));
    }
  }
}

static void add_lanes(const job *k, const part *t) {
  int64_t count = k->p->k * k->n;
  for (int64_t i = 0; i < count; i++) {
    pl_real sum = 0;
    for (int lane = 0; lane < LANES; lane++) sum += t->sums[i * LANES + lane];
    k->sums[t->share * count + i] = sum;
  }
}

/*
** A thread's work, and the job around it
*/

static void run_part(const job *k, const part *t) {
  if (k->bias && !t->channel)
    memset(k->bias + t->share * k->lanes + t->block * BLOCK, 0,
           (size_t)((t->blocks_end - t->block) * BLOCK) * sizeof(pl_real));
  if (!k->by_rows) {
    zero_sums(k, t);
    for (int64_t i = t->image; i < t->images_end; i += k->group)
      group_by_blocks(k, t, i, PL_MIN(k->group, t->images_end - i));
    return;
  }
  memset(t->sums, 0, (size_t)(k->p->k * k->n * LANES) * sizeof(pl_real));
  for (int64_t i = t->image; i < t->images_end; i++) image_by_rows(k, t, i);
  add_lanes(k, t);
}

/* The numbers of a share. */
static int64_t share_size(const job *k) { return (k->by_rows ? k->p->k : k->lanes) * k->n; }

/* The sums of all shares, into those of the first, and from there to the result. */
static void collect(const job *k, pl_real *gw, pl_real *gbias) {
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
    planes_from_block(gw + b * BLOCK * k->n, k->n, k->sums + b * BLOCK * k->n, &unchanged,
                      PL_MIN(BLOCK, k->p->k - b * BLOCK), k->n);
}

typedef struct {
  int64_t copy, g, sums, unpooled, all;
} sizes;

static sizes thread_sizes(const job *k) {
  sizes s = {0};
  if (k->by_rows) {
    s.copy = (k->p->c * k->source.plane + 15) / 16 * 16;
    s.g = k->p->k * G_STEP;
    s.sums = k->p->k * k->n * LANES;
  } else {
    s.g = k->group * k->band * k->p->ow * BLOCK;
  }
  if (k->unpool) s.unpooled = (k->by_rows ? 1 : k->group) * k->p->k * k->outputs;
  s.all = (s.copy + s.g + s.sums + s.unpooled + 15) / 16 * 16;
  return s;
}

/* Ranges of channels that large weights are cut into: each lays the gradients out once more. */
static int64_t ranges_of(const job *k, int threads) {
  int64_t blocks = k->lanes / BLOCK, most = k->p->c / SHARES;
  return PL_MAX(1, PL_MIN(most, (TURNS * threads + blocks - 1) / blocks));
}

/* A share of images, or a part of large weights. */
static void run_turn(const job *k, part *t, int64_t i, int64_t ranges) {
  *t = (part){.images_end = k->p->n,
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
  run_part(k, t);
}

static void run_thread(const job *k, pl_hand *hands, pl_real *scratch) {
  const int id = omp_get_thread_num(), threads = omp_get_num_threads();
  const int64_t ranges = ranges_of(k, threads);
  sizes size = thread_sizes(k);
  part t = {.copy = scratch + id * size.all};
  t.g = t.copy + size.copy;
  t.sums = t.g + size.g;
  t.unpooled = t.sums + size.sums;
  memset(t.copy, 0, (size_t)size.copy * sizeof(pl_real));
#pragma omp single
  pl_deal(hands, threads, k->large ? k->lanes / BLOCK * ranges : k->shares);
  for (int64_t i; (i = pl_take(hands, threads, id)) >= 0;) run_turn(k, &t, i, ranges);
#pragma omp barrier
}

static bool run(job *k, pl_real *gw, pl_real *gbias) {
  int64_t sums = k->shares * k->lanes * k->n, all = thread_sizes(k).all;
  int64_t shared = (sums + k->shares * k->lanes + 15) / 16 * 16;
  int threads = omp_get_max_threads();
  size_t bytes = (size_t)(shared + all * threads) * sizeof *k->sums;
  pl_hand *hands = pl_scratch((size_t)threads * sizeof *hands + bytes);
  if (!hands) return false;
  k->sums = (pl_real *)(hands + threads);
  if (gbias) k->bias = k->sums + sums;
  bool many = k->n * k->p->k * k->outputs * k->p->n > FEW;
#pragma omp parallel if (many)
  {
    run_thread(k, hands, k->sums + shared);
    collect(k, gw, gbias);
  }
  pl_scratch_free(hands);
  return true;
}

/*
** By rows where that spends fewer products of lanes, empty ones, rearranging and the loads and
** stores of a tile's sums included. A row shorter than a vector is never done by rows.
*/
static bool rows_are_better(const job *k) {
  const pl_conv *p = k->p;
  double numbers = (double)(p->k * k->outputs), products = (double)k->n * numbers;
  double blocks = products * (double)k->lanes / (double)p->k + MOVE * numbers;
  double slice = (double)PL_MIN(VECTOR_SLICE, row_vectors(k) * p->oh);
  int64_t lanes = row_vectors(k) * LANES; /* of an output row */
  double rows =
      products * (double)lanes / (double)p->ow * (1 + TILE_COST / slice) + MOVE * numbers / 2;
  return p->ow >= LANES && rows < blocks;
}

static void plan(job *k) {
  const pl_conv *p = k->p;
  k->by_rows = rows_are_better(k);
  k->large = !k->by_rows && k->n * p->k > LARGE && p->c >= SHARES;
  k->shares = k->large ? 1 : PL_MIN(SHARES, p->n);
  int64_t share = (p->n + k->shares - 1) / k->shares, image = PL_MAX(1, p->c * p->h * p->w);
  int64_t most = PL_MAX(1, PL_MIN(SLICE / k->outputs, FAR / image));
  int64_t groups = (share + most - 1) / most;
  k->group = (share + groups - 1) / groups;
  k->band = k->outputs <= SLICE ? p->oh : PL_MAX(1, SLICE / p->ow);
  int64_t rows = PL_MIN(p->h, k->band * p->stride[0] + p->r * p->dil[0]);
  int64_t sources = PL_MAX(1, k->group * rows * p->w);
  k->chunk = PL_MAX(1, CHUNK / (sources * TILE_ROWS)) * TILE_ROWS;
}

bool k_conv_weight_grad(const pl_conv *p, const pl_real *x, const pl_conv_back *back, pl_real *gw,
                        pl_real *gbias) {
  job k = {.p = p,
           .window = p->r * p->s,
           .n = p->c * p->r * p->s,
           .outputs = p->oh * p->ow,
           .lanes = (p->k + BLOCK - 1) / BLOCK * BLOCK,
           .images = {x, NULL, 0},
           .g = {back->g, back->y, back->slope},
           .unpool = back->pool,
           .at = back->at};
  if (!p->n || !p->k || !k.outputs) {
    memset(gw, 0, (size_t)(p->k * k.n) * sizeof *gw);
    if (gbias) memset(gbias, 0, (size_t)p->k * sizeof *gbias);
    return true;
  }
  plan(&k);
  bool ok = (k.by_rows ? tables_by_rows(&k) : tables_by_blocks(&k)) && run(&k, gw, gbias);
  pl_scratch_free(k.tables);
  return ok;
}
