/*
** conv.c: convolution forwards and back to its input, which are one sum once a plan has made
** tables of them. Three ways to compute it, by what the lanes of a vector are:
**   by blocks  output channels: many channels
**   by rows    neighbours in an output row: few channels, wide images
**   by images  the same output of many images: few channels, and images too small for that
** All keep a tile of sums in registers and read tables of where the factors lie. None spreads
** images out into a matrix, and only the second multiplies zeros of the padding.
**
** An output is summed in the same order by whichever way and thread, so its bits do not
** depend on how many threads there are.
*/
#include <omp.h>

#include "conv_kernels.h"
#include "../deal.h"

typedef enum { BY_BLOCKS, BY_ROWS, BY_IMAGES } way;

enum {
  MOST_CHANNELS = 6, /* of a tile by rows or images */
  MOST_VECTORS = 8,
  SLICE = 256,     /* products of a pass by blocks: its weights stay in the first-level cache */
  SUMS = 1 << 18,  /* sums of a pass by blocks, over all channels */
  ROWS = 1024,     /* rows of tiles of a pass by blocks */
  ASIDE = 1 << 18, /* numbers that a thread may rearrange for the way by images */
  MOVE = 6,        /* products that rearranging one number costs */
  FEW = 1 << 18,   /* products that are not worth a second thread */
};

/* Outputs of the same row and column span, as tiles see them. */
typedef struct {
  const pl_conv_span *y, *x;
  int64_t n, rows; /* products of a slice; rows of tiles, or vectors, of a group of images */
  pl_conv_pair *pair;
  tile_row *row;
} class;

/* What all threads share. */
typedef struct {
  pl_conv_plan plan;
  way way;
  const pl_conv_axis *x;              /* the column spans in use */
  int64_t images, group, band, slice; /* group of images, output rows and channels of a pass */
  int64_t channel_step, image_step;   /* in the source as a pass sees it */
  int64_t classes;
  class *class;
  flow source;
  const pl_pool
      *unpool; /* the source is that of pooling, and `at` says where to (NULL: it is not) */
  const int32_t *at;
  const pl_real *w, *bias; /* bias: NULL for none */
  finish end;
  const pl_pool *pool; /* of the result; NULL: none */
  int32_t *pooled_at;
  pl_real *out, *weights;
} job;

/*
** A piece of work, images and tiles of output channels, and the scratch memory of its thread;
** `out` is the result of the first image, `unpooled` is for sources.
*/
typedef struct {
  int64_t image, images_end, tile, tiles_end;
  pl_real *copy, *sums, *result, *unpooled, *out;
} part;

/*
** The tile by rows or images: y[i][row[v].to + lane] = finished(bias[i] + sum over j < n of
** w[pair[j].a + i] * x[row[v].x + pair[j].x + lane])
*/

typedef struct {
  int64_t n;
  const pl_conv_pair *pair;
  const pl_real *w, *x;
  const pl_real *bias; /* of the first channel, or NULL */
  pl_real *y;
  int64_t y_step; /* from channel to channel */
  finish end;
} row_job;

/* `end` is a constant where this is expanded, so that none of its tests is left. */
INLINE void put_tile(int channels, int vectors, vec sum[][MOST_VECTORS], pl_real *const *y,
                     int64_t y_step, const finish end) {
  UNROLL for (int i = 0; i < channels; i++) {
    UNROLL for (int v = 0; v < vectors; v++) store(y[v] + i * y_step, finished(&end, sum[i][v]));
  }
}

INLINE void row_tile_body(int channels, int vectors, const row_job *t, const tile_row *row) {
  vec sum[MOST_CHANNELS][MOST_VECTORS], x[MOST_VECTORS];
  const pl_real *from[MOST_VECTORS], *w = t->w;
  UNROLL for (int v = 0; v < vectors; v++) from[v] = t->x + row[v].x;
  UNROLL for (int i = 0; i < channels; i++) {
    UNROLL for (int v = 0; v < vectors; v++) sum[i][v] = t->bias ? every(t->bias[i]) : (vec){0};
  }
  for (const pl_conv_pair *p = t->pair, *end = p + t->n; p < end; p++) {
    int64_t o = p->x, a = p->a;
    UNROLL for (int v = 0; v < vectors; v++) x[v] = load(from[v] + o);
    UNROLL for (int i = 0; i < channels; i++) {
      UNROLL for (int v = 0; v < vectors; v++) sum[i][v] += x[v] * w[a + i];
    }
  }
  pl_real *y[MOST_VECTORS];
  UNROLL for (int v = 0; v < vectors; v++) y[v] = t->y + row[v].to;
  switch (t->end.act) {
    case PL_NONE: put_tile(channels, vectors, sum, y, t->y_step, unchanged); break;
    case PL_RELU: put_tile(channels, vectors, sum, y, t->y_step, (finish){PL_RELU, 0}); break;
    default: put_tile(channels, vectors, sum, y, t->y_step, (finish){PL_LEAKY_RELU, t->end.slope});
  }
}

#define ROW_TILE(channels, vectors)                                                    \
  static void row_tile_##channels##_##vectors(const row_job *t, const tile_row *row) { \
    row_tile_body(channels, vectors, t, row);                                          \
  }
/* clang-format off */
ROW_TILE(1, 2) ROW_TILE(2, 2) ROW_TILE(3, 2) ROW_TILE(4, 2) ROW_TILE(5, 2) ROW_TILE(6, 2)
ROW_TILE(1, 8) ROW_TILE(2, 5) ROW_TILE(3, 3) ROW_TILE(4, 3)
#undef ROW_TILE

/* By channels: a large tile, and one for the last two vectors. */
static const struct {
  void (*large)(const row_job *t, const tile_row *row);
  void (*small)(const row_job *t, const tile_row *row);
  int vectors; /* of a large one */
} row_tiles[] = {{NULL, NULL, 0},                 {row_tile_1_8, row_tile_1_2, 8},
                 {row_tile_2_5, row_tile_2_2, 5}, {row_tile_3_3, row_tile_3_2, 3},
                 {row_tile_4_3, row_tile_4_2, 3}, {row_tile_5_2, row_tile_5_2, 2},
                 {row_tile_6_2, row_tile_6_2, 2}};
/* clang-format on */

/*
** The way, and the tables that go with it
*/

static int64_t rounded_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/* The way that spends the fewest products of lanes, empty lanes and rearranging included. */
static way pick_way(const pl_conv_plan *p, int64_t images) {
  double channels = (double)p->in * (double)p->out, out = (double)(p->out * p->out_plane);
  double exact = channels * (double)p->y.products * (double)p->x.products * (double)images;
  double whole = channels * (double)p->y.products * (double)p->x_whole.products * (double)images;
  int64_t cols = p->x_whole.least, both = p->in * p->h * p->w + p->out * p->out_plane;
  int64_t whole_groups = rounded_up(images, (int64_t)BLOCK * omp_get_max_threads());
  double blocks =
      exact * (double)rounded_up(p->out, BLOCK) / (double)p->out + MOVE * out * (double)images;
  double rows = whole * (double)rounded_up(cols, LANES) / (double)cols;
  double by_images = exact * (double)whole_groups / (double)images + MOVE * (double)(both * images);
  way best = BY_BLOCKS;
  if (cols >= LANES && rows < blocks) best = BY_ROWS, blocks = rows;
  if (both * BLOCK <= ASIDE && by_images < blocks) best = BY_IMAGES;
  return best;
}

/* Rows of tiles of a class: each output of each image of a group. */
static int64_t block_rows(const job *k, const class *c, tile_row *row) {
  pl_conv_grid from = pl_conv_sources(&k->plan), to = pl_conv_places(&k->plan, c->y, c->x);
  const tile_row *start = row;
  for (int64_t i = 0; i < k->group; i++)
    for (int64_t r = 0; r < c->y->outputs; r++) {
      int64_t x = i * k->image_step + r * from.row;
      int64_t at = i * k->plan.out_plane + to.first + r * to.row;
      for (int64_t q = 0; q < c->x->outputs; q++, x += from.col, at += to.col)
        *row++ = (tile_row){x, at * BLOCK};
    }
  return row - start;
}

/* Vectors along the rows of a class; the last of a row overlaps the one before. */
static int64_t row_vectors(const job *k, const class *c, tile_row *row) {
  pl_conv_grid from = pl_conv_sources(&k->plan), to = pl_conv_places(&k->plan, c->y, c->x);
  const tile_row *start = row;
  int64_t cols = c->x->outputs;
  if (to.col > 1) to = (pl_conv_grid){0, cols, 1}; /* computed aside */
  for (int64_t r = 0; r < c->y->outputs; r++)
    for (int64_t v = 0; v < cols; v += LANES) {
      int64_t q = PL_MIN(v, cols - LANES);
      *row++ = (tile_row){r * from.row + q, to.first + r * to.row + q};
    }
  return row - start;
}

/* Two vectors of images for each output of a class. */
static int64_t image_vectors(const job *k, const class *c, tile_row *row) {
  pl_conv_grid from = pl_conv_sources(&k->plan), to = pl_conv_places(&k->plan, c->y, c->x);
  const tile_row *start = row;
  for (int64_t r = 0; r < c->y->outputs; r++)
    for (int64_t q = 0; q < c->x->outputs; q++)
      for (int64_t half = 0; half < BLOCK; half += LANES)
        *row++ = (tile_row){(r * from.row + q * from.col) * BLOCK + half,
                            (to.first + r * to.row + q * to.col) * BLOCK + half};
  return row - start;
}

static void fill_class(const job *k, class *c) {
  int64_t unit = k->way == BY_BLOCKS ? BLOCK : MOST_CHANNELS;
  int64_t scale = k->way == BY_IMAGES ? BLOCK : 1;
  c->n = pl_conv_pairs(&k->plan, c->y, c->x, k->slice, k->channel_step, scale, unit, c->pair);
  c->rows = k->way == BY_BLOCKS ? block_rows(k, c, c->row)
            : k->way == BY_ROWS ? row_vectors(k, c, c->row)
                                : image_vectors(k, c, c->row);
  for (int i = 0; i < MOST_VECTORS; i++) c->row[c->rows + i] = c->row[c->rows - 1];
}

/* Pairs, rows and classes. */
typedef struct {
  int64_t pairs, rows, bytes;
} table_sizes;

static table_sizes size_tables(const job *k) {
  const pl_conv_axis *y = &k->plan.y, *x = k->x;
  table_sizes s = {.pairs = AHEAD};
  for (int64_t i = 0; i < k->classes; i++) {
    const pl_conv_span *a = &y->span[i / x->spans], *b = &x->span[i % x->spans];
    s.pairs += a->taps * b->taps * k->slice;
    s.rows += a->outputs * b->outputs * (k->way == BY_IMAGES ? 2 : k->group) + MOST_VECTORS;
  }
  s.bytes = k->classes * (int64_t)sizeof(class) + s.rows * (int64_t)sizeof(tile_row) +
            s.pairs * (int64_t)sizeof(pl_conv_pair);
  s.bytes = rounded_up(s.bytes, 64);
  return s;
}

/* Each thread has tables of its own: to make them takes less time than to read another's. */
static void fill_classes(job *k, void *tables) {
  const pl_conv_axis *y = &k->plan.y, *x = k->x;
  k->class = tables;
  tile_row *row = (tile_row *)(k->class + k->classes);
  pl_conv_pair *pair = (pl_conv_pair *)(row + size_tables(k).rows);
  for (int64_t i = 0; i < k->classes; i++) {
    class *c = &k->class[i];
    *c = (class){&y->span[i / x->spans], &x->span[i % x->spans], 0, 0, pair, row};
    fill_class(k, c);
    pair += c->n;
    row += c->rows + MOST_VECTORS;
  }
  memset(pair, 0, AHEAD * sizeof *pair);
}

/* How much a pass by blocks covers. As many images as a thread has are cut into groups of even
 * size. */
static void size_passes(job *k) {
  const pl_conv_plan *p = &k->plan;
  int64_t taps = 1, threads = omp_get_max_threads(), mine = (k->images + threads - 1) / threads;
  int64_t row = p->out_w * rounded_up(p->out, BLOCK), rows = p->out_plane / p->out_w;
  for (int64_t i = 0; i < p->y.spans * p->x.spans; i++)
    taps = PL_MAX(taps, p->y.span[i / p->x.spans].taps * p->x.span[i % p->x.spans].taps);
  k->slice = PL_MAX(1, PL_MIN(p->in, SLICE / taps));
  k->band = PL_MAX(1, PL_MIN(rows, SUMS / row));
  int64_t most = k->band < rows ? 1 : PL_MAX(1, PL_MIN(SUMS / (row * rows), ROWS / p->out_plane));
  int64_t groups = (mine + most - 1) / most;
  k->group = (mine + groups - 1) / groups;
}

static void prepare(job *k) {
  pl_conv_plan *p = &k->plan;
  k->way = pick_way(p, k->images);
  k->x = k->way == BY_ROWS ? &p->x_whole : &p->x;
  bool masked = k->source.y && !k->unpool; /* an activation's gradient is taken by copying */
  pl_conv_lay_out(p, k->x, k->way == BY_ROWS ? p->x.move : 1, masked && k->way != BY_IMAGES);
  k->group = 1, k->slice = p->in, k->band = p->out_plane / p->out_w;
  if (k->way == BY_BLOCKS) size_passes(k);
  k->classes = p->y.spans * k->x->spans;
  k->channel_step = p->source.plane;
  k->image_step = p->in * k->channel_step;
}

/*
** Weights in the order of use: [tile][source channel][window][channels of the tile]
*/

static int64_t tile_count(const job *k) {
  int64_t most = k->way == BY_BLOCKS ? BLOCK : MOST_CHANNELS;
  return (k->plan.out + most - 1) / most;
}

/* Output channels of a tile start here; tiles by rows and images are of even size. */
static int64_t tile_start(const job *k, int64_t tile) {
  int64_t out = k->plan.out;
  return k->way == BY_BLOCKS ? PL_MIN(out, tile * BLOCK) : out * tile / tile_count(k);
}

static pl_real *tile_weights(const job *k, int64_t tile) {
  int64_t width = k->way == BY_BLOCKS ? BLOCK : MOST_CHANNELS;
  return k->weights + tile * k->plan.in * k->plan.window * width;
}

static void pack_weights(const job *k, int64_t tile) {
  const pl_conv_plan *p = &k->plan;
  const int64_t first = tile_start(k, tile), channels = tile_start(k, tile + 1) - first;
  const bool row = p->weight_in == p->window; /* the windows of an output channel are one */
  const int64_t n = row ? p->in * p->window : p->window, rows = row ? 1 : p->in;
  pl_real *to = tile_weights(k, tile);
  flow w = {k->w + first * p->weight_out, NULL, 0};
  for (int64_t c = 0; c < rows; c++, w.g += p->weight_in)
    if (k->way == BY_BLOCKS) block_from_planes(to + c * n * BLOCK, &w, p->weight_out, channels, n);
    else
      for (int64_t t = 0; t < n; t++, to += MOST_CHANNELS)
        for (int64_t i = 0; i < channels; i++) to[i] = w.g[i * p->weight_out + t];
}

/*
** By blocks
*/

/* The rows of tiles of a class for output rows from..to of `images` images. */
static int64_t rows_between(const job *k, const class *c, int64_t image, int64_t images,
                            int64_t from, int64_t to, const tile_row **row) {
  int64_t first = 0, last = c->y->outputs, step = c->y->step;
  if (to - from < k->plan.out_plane / k->plan.out_w) { /* a band, of one image */
    first = PL_MAX(0, (from - c->y->first + step - 1) / step);
    last = PL_MIN(last, (to - c->y->first + step - 1) / step);
  }
  int64_t m = PL_MAX(0, last - first) * c->x->outputs;
  *row = c->row + image * m + first * c->x->outputs;
  return images * m;
}

/*
** Output rows from..to of some images, for one slice of channels and one tile. A few images at
** a time, evenly: their sources stay in the first-level cache while one class after the other uses
** them, and where a class has one output of an image, they fill a tile.
*/
static void slice_by_blocks(const job *k, const pl_real *w, const pl_real *x, int64_t count,
                            int64_t channels, int64_t from, int64_t to, pl_real *sums) {
  const class *end = k->class + k->classes;
  const tile_row *row = NULL;
  const int64_t turns = (count + TILE_ROWS - 1) / TILE_ROWS;
  for (int64_t t = 0; t < turns; t++)
    for (const class *c = k->class; c < end; c++) {
      bool last = c + 1 == end;
      int64_t i = count * t / turns, next = count * (t + 1) / turns, then = last ? next : i, m = 0;
      if (then < count) m = rows_between(k, last ? k->class : c + 1, then, 1, from, to, &row);
      fetch_sums(m, row, sums);
      m = rows_between(k, c, i, next - i, from, to, &row);
      block_tiles(m, c->y->taps * c->x->taps * channels, c->pair, w, x, row, sums);
    }
}

/* Sums begin with the bias. */
static void start_sums(const job *k, int64_t tile, pl_real *sums, int64_t outputs) {
  pl_real start[BLOCK] = {0};
  for (int64_t i = tile * BLOCK; k->bias && i < PL_MIN(k->plan.out, (tile + 1) * BLOCK); i++)
    start[i - tile * BLOCK] = k->bias[i];
  vec low = load(start), high = load(start + LANES);
  for (int64_t i = 0; i < outputs; i++, sums += BLOCK) store(sums, low), store(sums + LANES, high);
}

static void place_blocks(const job *k, const part *t, int64_t count, int64_t from, int64_t to) {
  const pl_conv_plan *p = &k->plan;
  int64_t each = k->group * k->band * p->out_w * BLOCK, plane = (to - from) * p->out_w;
  for (int64_t b = t->tile; b < t->tiles_end; b++)
    for (int64_t i = 0; i < count; i++) {
      int64_t first = b * BLOCK, channel = i * p->out + first;
      planes_from_block(t->out + channel * p->out_plane + from * p->out_w, p->out_plane,
                        t->sums + (b - t->tile) * each + i * plane * BLOCK, &k->end,
                        PL_MIN(BLOCK, p->out - first), plane);
    }
}

static void group_by_blocks(const job *k, const part *t, const pl_real *x, int64_t count) {
  const pl_conv_plan *p = &k->plan;
  int64_t rows = p->out_plane / p->out_w, each = k->group * k->band * p->out_w * BLOCK;
  for (int64_t from = 0; from < rows; from += k->band) {
    int64_t to = PL_MIN(rows, from + k->band);
    for (int64_t b = t->tile; b < t->tiles_end; b++)
      start_sums(k, b, t->sums + (b - t->tile) * each, count * (to - from) * p->out_w);
    for (int64_t c = 0; c < p->in; c += k->slice)
      for (int64_t b = t->tile; b < t->tiles_end; b++)
        slice_by_blocks(k, tile_weights(k, b) + c * p->window * BLOCK, x + c * k->channel_step,
                        count, PL_MIN(k->slice, p->in - c), from, to,
                        t->sums + (b - t->tile) * each - from * p->out_w * BLOCK);
    place_blocks(k, t, count, from, to);
  }
}

/*
** By rows and by images
*/

static void run_row_tiles(const class *c, row_job *r, int channels) {
  r->n = c->n;
  r->pair = c->pair;
  for (int64_t v = 0; v < c->rows;) {
    bool small = c->rows - v <= 2;
    (small ? row_tiles[channels].small : row_tiles[channels].large)(r, c->row + v);
    v += small ? 2 : row_tiles[channels].vectors;
  }
}

static row_job row_job_of(const job *k, int64_t tile, const pl_real *x, pl_real *y,
                          int64_t y_step) {
  return (row_job){.w = tile_weights(k, tile),
                   .x = x,
                   .y = y,
                   .y_step = y_step,
                   .end = k->end,
                   .bias = k->bias ? k->bias + tile_start(k, tile) : NULL};
}

/* Outputs that are not neighbours in the result are computed aside and then put there. */
static void spread(const class *c, pl_real *to, int64_t plane, int64_t width, const pl_real *from,
                   int64_t channels) {
  int64_t step = c->x->step;
  for (int64_t i = 0; i < channels; i++)
    for (int64_t r = 0; r < c->y->outputs; r++, from += c->x->outputs) {
      pl_real *row = to + i * plane + (c->y->first + r * c->y->step) * width + c->x->first;
      for (int64_t q = 0; q < c->x->outputs; q++) row[q * step] = from[q];
    }
}

static void image_by_rows(const job *k, const part *t, const pl_real *x) {
  const pl_conv_plan *p = &k->plan;
  for (int64_t b = t->tile; b < t->tiles_end; b++) {
    int64_t first = tile_start(k, b);
    int channels = (int)(tile_start(k, b + 1) - first);
    pl_real *out = t->out + first * p->out_plane;
    for (const class *c = k->class; c < k->class + k->classes; c++) {
      bool direct = c->x->step == 1;
      row_job r = row_job_of(k, b, x, direct ? out : t->sums,
                             direct ? p->out_plane : c->y->outputs * c->x->outputs);
      run_row_tiles(c, &r, channels);
      if (!direct) spread(c, out, p->out_plane, p->out_w, t->sums, channels);
    }
  }
}

/* The images become lanes, and lanes images again. */
static void group_by_images(const job *k, const part *t, const flow *images, int64_t count) {
  const pl_conv_plan *p = &k->plan;
  int64_t numbers = p->in * p->h * p->w, first = tile_start(k, t->tile);
  int64_t results = (tile_start(k, t->tiles_end) - first) * p->out_plane;
  block_from_planes(t->copy, images, numbers, count, numbers);
  for (int64_t b = t->tile; b < t->tiles_end; b++) {
    int64_t start = tile_start(k, b), step = p->out_plane * BLOCK;
    row_job r = row_job_of(k, b, t->copy, t->sums + (start - first) * step, step);
    for (const class *c = k->class; c < k->class + k->classes; c++)
      run_row_tiles(c, &r, (int)(tile_start(k, b + 1) - start));
  }
  planes_from_block(t->out + first * p->out_plane, p->out * p->out_plane, t->sums, &unchanged,
                    count, results);
}

/*
** A thread's work, and the job around it
*/

static int64_t copy_size(const job *k) {
  const pl_conv_plan *p = &k->plan;
  if (k->way == BY_IMAGES) return p->in * p->h * p->w * BLOCK;
  return p->source.as_is ? 0 : k->group * k->image_step;
}

static int64_t sums_size(const job *k) {
  const pl_conv_plan *p = &k->plan;
  if (k->way == BY_IMAGES) return p->out * p->out_plane * BLOCK;
  if (k->way == BY_ROWS) return MOST_CHANNELS * p->out_plane;
  return tile_count(k) * k->group * k->band * p->out_w * BLOCK;
}

/* Images that a piece of work holds. */
static int64_t piece_images(const job *k) { return k->way == BY_IMAGES ? BLOCK : k->group; }

/* What flows in, as it is or brought back to where pooling took it from. */
static flow source_of(const job *k, const part *t, int64_t count) {
  const pl_conv_plan *p = &k->plan;
  if (!k->unpool) return flow_at(&k->source, t->image * p->in * p->h * p->w);
  const int64_t from = t->image * p->in * k->unpool->oh * k->unpool->ow;
  const flow pooled = flow_at(&k->source, from);
  k_unpool(k->unpool, count * p->in, &pooled, k->at + from, t->unpooled);
  return (flow){t->unpooled, NULL, 0};
}

/* The maxima of what was computed aside. */
static void pool_part(const job *k, const part *t, int64_t count) {
  const pl_conv_plan *p = &k->plan;
  const int64_t first = tile_start(k, t->tile), planes = tile_start(k, t->tiles_end) - first;
  for (int64_t i = 0; i < count; i++) {
    int64_t to = ((t->image + i) * p->out + first) * k->pool->oh * k->pool->ow;
    k_max_pool(k->pool, planes, t->out + (i * p->out + first) * p->out_plane, k->out + to,
               k->pooled_at + to);
  }
}

/* A group of images. */
static void run_part(const job *k, part *t) {
  const pl_conv_plan *p = &k->plan;
  const int64_t count = t->images_end - t->image;
  const flow images = source_of(k, t, count);
  t->out = k->pool ? t->result : k->out + t->image * p->out * p->out_plane;
  if (k->way == BY_IMAGES) {
    group_by_images(k, t, &images, count);
  } else {
    const pl_real *x = p->source.as_is ? images.g : t->copy;
    if (!p->source.as_is) copy_planes(&p->source, t->copy, &images, count * p->in);
    if (k->way == BY_ROWS) image_by_rows(k, t, x);
    else group_by_blocks(k, t, x, count);
  }
  if (k->pool) pool_part(k, t, count);
}

/* Groups of images are dealt to the threads; where there are too few, tiles of channels too. */
typedef struct {
  int64_t unit, images, tiles; /* images of a group; how many pieces along images, along tiles */
} cuts;

static cuts cuts_of(const job *k, int threads) {
  cuts c = {.unit = piece_images(k)};
  c.images = (k->images + c.unit - 1) / c.unit;
  c.tiles = PL_MIN(tile_count(k), PL_MAX(1, threads / c.images));
  return c;
}

static void run_piece(const job *k, const cuts *c, int64_t piece, part *t) {
  const int64_t tiles = tile_count(k), at = piece / c->images;
  t->image = piece % c->images * c->unit;
  t->images_end = PL_MIN(k->images, t->image + c->unit);
  t->tile = tiles * at / c->tiles;
  t->tiles_end = tiles * (at + 1) / c->tiles;
  run_part(k, t);
}

/* The numbers of a thread's scratch memory, and where its parts begin. */
static int64_t lay_out_part(const job *k, pl_real *scratch, part *t) {
  const pl_conv_plan *p = &k->plan;
  int64_t at[5] = {0, copy_size(k), sums_size(k),
                   k->pool ? piece_images(k) * p->out * p->out_plane : 0,
                   k->unpool ? piece_images(k) * p->in * p->h * p->w : 0};
  for (int i = 1; i < 5; i++) at[i] = at[i - 1] + rounded_up(at[i], 16);
  if (scratch)
    *t = (part){.copy = scratch,
                .sums = scratch + at[1],
                .result = scratch + at[2],
                .unpooled = scratch + at[3]};
  return at[4];
}

static void run_threads(const job *shared, pl_hand *hands, pl_real *scratch, int64_t each,
                        char *tables) {
  const pl_conv_plan *p = &shared->plan;
  bool many = p->in * p->window * p->out * p->out_plane * shared->images > FEW;
#pragma omp parallel if (many)
  {
    const int id = omp_get_thread_num(), threads = omp_get_num_threads();
    job k = *shared;
    const cuts c = cuts_of(&k, threads);
    part t;
    fill_classes(&k, tables + size_tables(&k).bytes * id);
    lay_out_part(&k, scratch + each * id, &t);
    if (k.way == BY_ROWS) memset(t.copy, 0, (size_t)copy_size(&k) * sizeof(pl_real));
    if (id == 0) pl_deal(hands, threads, c.images * c.tiles);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < tile_count(&k); i++) pack_weights(&k, i);
    for (int64_t i; (i = pl_take(hands, threads, id)) >= 0;) run_piece(&k, &c, i, &t);
  }
}

static bool run(job *k) {
  prepare(k);
  int64_t width = k->way == BY_BLOCKS ? BLOCK : MOST_CHANNELS;
  int64_t weights = rounded_up(tile_count(k) * k->plan.in * k->plan.window * width + 1, 16);
  int64_t each = lay_out_part(k, NULL, NULL);
  int threads = omp_get_max_threads();
  size_t bytes = (size_t)(weights + each * threads) * sizeof(pl_real);
  pl_hand *hands =
      pl_scratch((size_t)threads * (sizeof *hands + (size_t)size_tables(k).bytes) + bytes);
  if (hands) {
    k->weights = (pl_real *)(hands + threads);
    run_threads(k, hands, k->weights + weights, each,
                (char *)(k->weights + weights + each * threads));
  }
  pl_scratch_free(hands);
  pl_conv_plan_free(&k->plan);
  return hands != NULL;
}

static job forward_job(int64_t images, const pl_real *x, const pl_real *w, const pl_conv_end *end,
                       pl_real *y) {
  return (job){.images = images,
               .source = {x, NULL, 0},
               .w = w,
               .bias = end->bias,
               .end = {end->act, end->slope},
               .pool = end->pool,
               .pooled_at = end->at,
               .out = y};
}

bool k_conv_forward(const pl_conv *p, const pl_real *x, const pl_real *w, const pl_conv_end *end,
                    pl_real *y) {
  if (!p->n || !p->k || !p->oh || !p->ow) return true;
  job k = forward_job(p->n, x, w, end, y);
  return pl_conv_plan_forward(&k.plan, p) && run(&k);
}

bool k_conv_input_grad(const pl_conv *p, const pl_conv_back *back, const pl_real *w, pl_real *gx) {
  if (!p->n || !p->c || !p->h || !p->w) return true;
  job k = {.images = p->n,
           .source = {back->g, back->y, back->slope},
           .unpool = back->pool,
           .at = back->at,
           .w = w,
           .out = gx};
  if (p->oh && p->ow) return pl_conv_plan_back(&k.plan, p) && run(&k);
  memset(gx, 0, (size_t)(p->n * p->c * p->h * p->w) * sizeof *gx);
  return true;
}

static bool k_conv_transpose(const pl_conv *p, const pl_real *x, const pl_real *w,
                             const pl_conv_end *end, pl_real *y) {
  if (!p->n || !p->c || !p->h || !p->w) return true;
  job k = forward_job(p->n, x, w, end, y);
  return pl_conv_plan_back(&k.plan, p) && run(&k);
}

const pl_conv_kernels PL_ISA_NAME(pl_conv_kernels) = {
    .conv_forward = k_conv_forward,
    .conv_transpose = k_conv_transpose,
    .conv_input_grad = k_conv_input_grad,
    .conv_weight_grad = k_conv_weight_grad,
    .winners_input_grad = k_winners_input_grad,
    .winners_weight_grad = k_winners_weight_grad,
    .winners_suit_input = k_winners_suit_input,
    .winners_suit_weight = k_winners_suit_weight,
    .minimal_forward = k_minimal_forward,
    .minimal_transpose = k_minimal_transpose,
    .minimal_input_grad = k_minimal_input_grad,
    .minimal_weight_grad = k_minimal_weight_grad,
    .minimal_possible = k_minimal_possible,
    .minimal_suits = k_minimal_suits,
    .max_pool = k_max_pool,
    .max_pool_grad = k_max_pool_grad,
    .avg_pool = k_avg_pool,
    .avg_pool_grad = k_avg_pool_grad,
    .channel_sum = k_channel_sum,
    .channel_squares = k_channel_squares,
    .channel_scale = k_channel_scale,
    .channel_dots = k_channel_dots,
    .channel_blend = k_channel_blend,
};
