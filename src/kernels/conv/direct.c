/*
** direct.c: convolution forwards and back to its input by all multiply-adds, in registers, without
** spreading images out into a matrix (direct convolution: Zhang, Franchetti and Low 2018;
** Georganas et al. 2018). Both directions are one sum once a plan has made tables of offsets
** (plan.h). Three methods, by what the lanes of a vector are:
**
**   by blocks   | k0 k1 k2 ... |   output channels; many channels
**   by rows     | x0 x1 x2 ... |   neighbours in an output row; few channels, wide images
**   by images   | n0 n1 n2 ... |   the same output of many images; few channels, small images
**
** algorithm.c picks the method. A tile of sums stays in registers; only the second method
** multiplies zeros of the padding. An output is summed in the same order by whichever method and
** thread, so its bits do not depend on how many threads there are.
*/
#include <omp.h>

#include "../queue.h"
#include "algorithm.h"
#include "internal.h"
#include "microkernel.h"

enum {
  TILE_CHANNELS = 6, /* output channels of a tile by rows or images, at most */
  TILE_VECTORS = 8,  /* vectors of one, at most */
  /* multiply-adds an output of a pass by blocks: its weights, 256 x BLOCK, fit the first cache */
  SLICE_TERMS = 256,
  BAND_SUMS = 1 << 18, /* elements of sums in a pass by blocks, over all channels: 1 MB */
  GROUP_ROWS = 1024,   /* rows of the micro-kernel in a pass by blocks */
};

/* Outputs of the same row run and column run, as tiles see them. */
typedef struct {
  const pl_axis_run *y, *x;
  int64_t n, rows; /* multiply-adds of a slice; tile rows, or vectors, of a group of images */
  pl_conv_offsets *offsets;
  tile_row *row;
} tap_class;

/* What all threads share. */
typedef struct {
  pl_conv_plan plan;
  pl_direct_method method;
  const pl_conv_axis *x;              /* the column runs in use */
  int64_t images, group, band, slice; /* group of images, output rows and channels of a pass */
  int64_t channel_step, image_step;   /* in the input as a pass sees it */
  int64_t classes;
  tap_class *class;
  pl_prologue input; /* the images, or on the way back the gradient */
  pl_epilogue epilogue;
  const pl_real *w;
  pl_real *out, *weights;
} direct_call;

/*
** An item of the queue, images and tiles of output channels, and the scratch memory of its thread;
** `out` is the result of the first image, `unpooled` its input before pooling.
*/
typedef struct {
  int64_t image, images_end, tile, tiles_end;
  pl_real *copy, *sums, *result, *unpooled, *out;
} direct_item;

/*
** The micro-kernel by rows or images: y[i][row[v].y + lane] = act(bias[i] + sum over j < n of
** w[offsets[j].w + i] x[row[v].x + offsets[j].x + lane])
*/

typedef struct {
  int64_t n;
  const pl_conv_offsets *offsets;
  const pl_real *w, *x;
  const pl_real *bias; /* of the first channel, or NULL */
  pl_real *y;
  int64_t y_step; /* from channel to channel */
  pl_real slope;
} row_tile;

/* `slope` is a constant where this is expanded for the usual ones: none of its tests is left. */
INLINE void put_tile(int channels, int vectors, vec sum[][TILE_VECTORS], pl_real *const *y,
                     int64_t y_step, pl_real slope) {
  UNROLL for (int i = 0; i < channels; i++) {
    UNROLL for (int v = 0; v < vectors; v++) store(y[v] + i * y_step, activate(sum[i][v], slope));
  }
}

INLINE void row_tile_body(int channels, int vectors, const row_tile *t, const tile_row *row) {
  vec sum[TILE_CHANNELS][TILE_VECTORS], x[TILE_VECTORS];
  const pl_real *from[TILE_VECTORS], *w = t->w;
  UNROLL for (int v = 0; v < vectors; v++) from[v] = t->x + row[v].x;
  UNROLL for (int i = 0; i < channels; i++) {
    UNROLL for (int v = 0; v < vectors; v++) sum[i][v] = t->bias ? broadcast(t->bias[i]) : (vec){0};
  }
  for (const pl_conv_offsets *p = t->offsets, *end = p + t->n; p < end; p++) {
    int64_t o = p->x, a = p->w;
    UNROLL for (int v = 0; v < vectors; v++) x[v] = load(from[v] + o);
    UNROLL for (int i = 0; i < channels; i++) {
      UNROLL for (int v = 0; v < vectors; v++) sum[i][v] += x[v] * w[a + i];
    }
  }
  pl_real *y[TILE_VECTORS];
  UNROLL for (int v = 0; v < vectors; v++) y[v] = t->y + row[v].y;
  if (t->slope == 1) put_tile(channels, vectors, sum, y, t->y_step, 1);
  else if (t->slope == 0) put_tile(channels, vectors, sum, y, t->y_step, 0);
  else put_tile(channels, vectors, sum, y, t->y_step, t->slope);
}

#define ROW_TILE(channels, vectors)                                                     \
  static void row_tile_##channels##_##vectors(const row_tile *t, const tile_row *row) { \
    row_tile_body(channels, vectors, t, row);                                           \
  }
/* clang-format off */
ROW_TILE(1, 2) ROW_TILE(2, 2) ROW_TILE(3, 2) ROW_TILE(4, 2) ROW_TILE(5, 2) ROW_TILE(6, 2)
ROW_TILE(1, 8) ROW_TILE(2, 5) ROW_TILE(3, 3) ROW_TILE(4, 3)
#undef ROW_TILE

/* By channels: a large tile, and one for the last two vectors. */
static const struct {
  void (*large)(const row_tile *t, const tile_row *row);
  void (*small)(const row_tile *t, const tile_row *row);
  int vectors; /* of a large one */
} row_tiles[] = {{NULL, NULL, 0},                 {row_tile_1_8, row_tile_1_2, 8},
                 {row_tile_2_5, row_tile_2_2, 5}, {row_tile_3_3, row_tile_3_2, 3},
                 {row_tile_4_3, row_tile_4_2, 3}, {row_tile_5_2, row_tile_5_2, 2},
                 {row_tile_6_2, row_tile_6_2, 2}};
/* clang-format on */

/*
** The tables of a method
*/

/* Tile rows of a class: each output of each image of a group. */
static int64_t block_rows(const direct_call *k, const tap_class *c, tile_row *row) {
  pl_conv_grid from = pl_conv_input_grid(&k->plan), to = pl_conv_output_grid(&k->plan, c->y, c->x);
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
static int64_t row_vectors(const direct_call *k, const tap_class *c, tile_row *row) {
  pl_conv_grid from = pl_conv_input_grid(&k->plan), to = pl_conv_output_grid(&k->plan, c->y, c->x);
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
static int64_t image_vectors(const direct_call *k, const tap_class *c, tile_row *row) {
  pl_conv_grid from = pl_conv_input_grid(&k->plan), to = pl_conv_output_grid(&k->plan, c->y, c->x);
  const tile_row *start = row;
  for (int64_t r = 0; r < c->y->outputs; r++)
    for (int64_t q = 0; q < c->x->outputs; q++)
      for (int64_t half = 0; half < BLOCK; half += LANES)
        *row++ = (tile_row){(r * from.row + q * from.col) * BLOCK + half,
                            (to.first + r * to.row + q * to.col) * BLOCK + half};
  return row - start;
}

static void fill_class(const direct_call *k, tap_class *c) {
  int64_t unit = k->method == PL_BY_BLOCKS ? BLOCK : TILE_CHANNELS;
  int64_t scale = k->method == PL_BY_IMAGES ? BLOCK : 1;
  c->n = pl_conv_fill_offsets(&k->plan, c->y, c->x, k->slice, k->channel_step, scale, unit,
                              c->offsets);
  c->rows = k->method == PL_BY_BLOCKS ? block_rows(k, c, c->row)
            : k->method == PL_BY_ROWS ? row_vectors(k, c, c->row)
                                      : image_vectors(k, c, c->row);
  for (int i = 0; i < TILE_VECTORS; i++) c->row[c->rows + i] = c->row[c->rows - 1];
}

/* Entries of the tables of all classes, and bytes of all. */
typedef struct {
  int64_t offsets, rows, bytes;
} table_sizes;

static table_sizes size_tables(const direct_call *k) {
  const pl_conv_axis *y = &k->plan.y, *x = k->x;
  table_sizes s = {.offsets = AHEAD};
  for (int64_t i = 0; i < k->classes; i++) {
    const pl_axis_run *a = &y->run[i / x->runs], *b = &x->run[i % x->runs];
    s.offsets += a->taps * b->taps * k->slice;
    s.rows += a->outputs * b->outputs * (k->method == PL_BY_IMAGES ? 2 : k->group) + TILE_VECTORS;
  }
  s.bytes = k->classes * (int64_t)sizeof(tap_class) + s.rows * (int64_t)sizeof(tile_row) +
            s.offsets * (int64_t)sizeof(pl_conv_offsets);
  s.bytes = pl_round_up(s.bytes, 64);
  return s;
}

/* Each thread has tables of its own: to make them takes less time than to read another's. */
static void fill_classes(direct_call *k, void *tables) {
  const pl_conv_axis *y = &k->plan.y, *x = k->x;
  k->class = tables;
  tile_row *row = (tile_row *)(k->class + k->classes);
  pl_conv_offsets *offsets = (pl_conv_offsets *)(row + size_tables(k).rows);
  for (int64_t i = 0; i < k->classes; i++) {
    tap_class *c = &k->class[i];
    *c = (tap_class){&y->run[i / x->runs], &x->run[i % x->runs], 0, 0, offsets, row};
    fill_class(k, c);
    offsets += c->n;
    row += c->rows + TILE_VECTORS;
  }
  memset(offsets, 0, AHEAD * sizeof *offsets);
}

/* How much a pass by blocks covers. The images of a thread are cut into groups of even size. */
static void direct_passes(direct_call *k) {
  const pl_conv_plan *p = &k->plan;
  int64_t taps = 1, threads = omp_get_max_threads(), mine = (k->images + threads - 1) / threads;
  int64_t row = p->out_w * pl_round_up(p->out, BLOCK), rows = p->out_plane / p->out_w;
  for (int64_t i = 0; i < p->y.runs * p->x.runs; i++)
    taps = PL_MAX(taps, p->y.run[i / p->x.runs].taps * p->x.run[i % p->x.runs].taps);
  k->slice = PL_MAX(1, PL_MIN(p->in, SLICE_TERMS / taps));
  k->band = PL_MAX(1, PL_MIN(rows, BAND_SUMS / row));
  int64_t most =
      k->band < rows ? 1 : PL_MAX(1, PL_MIN(BAND_SUMS / (row * rows), GROUP_ROWS / p->out_plane));
  int64_t groups = (mine + most - 1) / most;
  k->group = (mine + groups - 1) / groups;
}

static void choose_layout(direct_call *k) {
  pl_conv_plan *p = &k->plan;
  k->method = pl_conv_direct_method(p, k->images, LANES);
  k->x = k->method == PL_BY_ROWS ? &p->x_whole : &p->x;
  bool copied = k->input.y && !k->input.pool; /* the prologue needs a pass: the copy is it */
  pl_conv_lay_out(p, k->x, k->method == PL_BY_ROWS ? p->x.advance : 1,
                  copied && k->method != PL_BY_IMAGES);
  k->group = 1, k->slice = p->in, k->band = p->out_plane / p->out_w;
  if (k->method == PL_BY_BLOCKS) direct_passes(k);
  k->classes = p->y.runs * k->x->runs;
  k->channel_step = p->input.plane;
  k->image_step = p->in * k->channel_step;
}

/*
** Packed weights: [tile][input channel][window][channels of the tile]
*/

static int64_t tile_count(const direct_call *k) {
  int64_t most = k->method == PL_BY_BLOCKS ? BLOCK : TILE_CHANNELS;
  return (k->plan.out + most - 1) / most;
}

/* Output channels of a tile start here; tiles by rows and images are of even size. */
static int64_t tile_start(const direct_call *k, int64_t tile) {
  int64_t out = k->plan.out;
  return k->method == PL_BY_BLOCKS ? PL_MIN(out, tile * BLOCK) : out * tile / tile_count(k);
}

static pl_real *tile_weights(const direct_call *k, int64_t tile) {
  int64_t width = k->method == PL_BY_BLOCKS ? BLOCK : TILE_CHANNELS;
  return k->weights + tile * k->plan.in * k->plan.window * width;
}

static void pack_weights(const direct_call *k, int64_t tile) {
  const pl_conv_plan *p = &k->plan;
  const int64_t first = tile_start(k, tile), channels = tile_start(k, tile + 1) - first;
  const bool row = p->weight_in == p->window; /* the windows of an output channel are one */
  const int64_t n = row ? p->in * p->window : p->window, rows = row ? 1 : p->in;
  pl_real *to = tile_weights(k, tile);
  masked w = unmasked(k->w + first * p->weight_out);
  for (int64_t c = 0; c < rows; c++, w.g += p->weight_in)
    if (k->method == PL_BY_BLOCKS)
      block_from_planes(to + c * n * BLOCK, &w, p->weight_out, channels, n);
    else
      for (int64_t t = 0; t < n; t++, to += TILE_CHANNELS)
        for (int64_t i = 0; i < channels; i++) to[i] = w.g[i * p->weight_out + t];
}

/*
** By blocks
*/

/* The tile rows of a class for output rows from..to of `images` images. */
static int64_t rows_between(const direct_call *k, const tap_class *c, int64_t image, int64_t images,
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
** Output rows from..to of some images, for one slice of channels and one tile. A few images at a
** time, evenly: their inputs stay in the first-level cache while one class after the other uses
** them, and where a class has one output of an image, they fill a tile.
*/
static void slice_by_blocks(const direct_call *k, const pl_real *w, const pl_real *x, int64_t count,
                            int64_t channels, int64_t from, int64_t to, pl_real *sums) {
  const tap_class *end = k->class + k->classes;
  const tile_row *row = NULL;
  const int64_t turns = (count + TILE_ROWS - 1) / TILE_ROWS;
  for (int64_t t = 0; t < turns; t++)
    for (const tap_class *c = k->class; c < end; c++) {
      bool last = c + 1 == end;
      int64_t i = count * t / turns, next = count * (t + 1) / turns, then = last ? next : i, m = 0;
      if (then < count) m = rows_between(k, last ? k->class : c + 1, then, 1, from, to, &row);
      prefetch_sums(m, row, sums);
      m = rows_between(k, c, i, next - i, from, to, &row);
      multiply_tiles(m, c->y->taps * c->x->taps * channels, c->offsets, w, x, row, sums);
    }
}

/* Sums begin with the bias. */
static void start_sums(const direct_call *k, int64_t tile, pl_real *sums, int64_t outputs) {
  pl_real start[BLOCK] = {0};
  for (int64_t i = tile * BLOCK; k->epilogue.bias && i < PL_MIN(k->plan.out, (tile + 1) * BLOCK);
       i++)
    start[i - tile * BLOCK] = k->epilogue.bias[i];
  vec low = load(start), high = load(start + LANES);
  for (int64_t i = 0; i < outputs; i++, sums += BLOCK) store(sums, low), store(sums + LANES, high);
}

static void store_blocks(const direct_call *k, const direct_item *t, int64_t count, int64_t from,
                         int64_t to) {
  const pl_conv_plan *p = &k->plan;
  int64_t each = k->group * k->band * p->out_w * BLOCK, plane = (to - from) * p->out_w;
  for (int64_t b = t->tile; b < t->tiles_end; b++)
    for (int64_t i = 0; i < count; i++) {
      int64_t first = b * BLOCK, channel = i * p->out + first;
      planes_from_block(t->out + channel * p->out_plane + from * p->out_w, p->out_plane,
                        t->sums + (b - t->tile) * each + i * plane * BLOCK, k->epilogue.slope,
                        PL_MIN(BLOCK, p->out - first), plane);
    }
}

static void group_by_blocks(const direct_call *k, const direct_item *t, const pl_real *x,
                            int64_t count) {
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
    store_blocks(k, t, count, from, to);
  }
}

/*
** By rows and by images
*/

static void run_row_tiles(const tap_class *c, row_tile *r, int channels) {
  r->n = c->n;
  r->offsets = c->offsets;
  for (int64_t v = 0; v < c->rows;) {
    bool small = c->rows - v <= 2;
    (small ? row_tiles[channels].small : row_tiles[channels].large)(r, c->row + v);
    v += small ? 2 : row_tiles[channels].vectors;
  }
}

static row_tile row_tile_args(const direct_call *k, int64_t tile, const pl_real *x, pl_real *y,
                              int64_t y_step) {
  return (row_tile){.w = tile_weights(k, tile),
                    .x = x,
                    .y = y,
                    .y_step = y_step,
                    .slope = k->epilogue.slope,
                    .bias = k->epilogue.bias ? k->epilogue.bias + tile_start(k, tile) : NULL};
}

/* Outputs that are not neighbours in the result are computed aside and then copied there. */
static void scatter_outputs(const tap_class *c, pl_real *to, int64_t plane, int64_t width,
                            const pl_real *from, int64_t channels) {
  int64_t step = c->x->step;
  for (int64_t i = 0; i < channels; i++)
    for (int64_t r = 0; r < c->y->outputs; r++, from += c->x->outputs) {
      pl_real *row = to + i * plane + (c->y->first + r * c->y->step) * width + c->x->first;
      for (int64_t q = 0; q < c->x->outputs; q++) row[q * step] = from[q];
    }
}

static void image_by_rows(const direct_call *k, const direct_item *t, const pl_real *x) {
  const pl_conv_plan *p = &k->plan;
  for (int64_t b = t->tile; b < t->tiles_end; b++) {
    int64_t first = tile_start(k, b);
    int channels = (int)(tile_start(k, b + 1) - first);
    pl_real *out = t->out + first * p->out_plane;
    for (const tap_class *c = k->class; c < k->class + k->classes; c++) {
      bool direct = c->x->step == 1;
      row_tile r = row_tile_args(k, b, x, direct ? out : t->sums,
                                 direct ? p->out_plane : c->y->outputs * c->x->outputs);
      run_row_tiles(c, &r, channels);
      if (!direct) scatter_outputs(c, out, p->out_plane, p->out_w, t->sums, channels);
    }
  }
}

/* The images become lanes, and lanes images again. */
static void group_by_images(const direct_call *k, const direct_item *t, const masked *images,
                            int64_t count) {
  const pl_conv_plan *p = &k->plan;
  int64_t elements = p->in * p->h * p->w, first = tile_start(k, t->tile);
  int64_t results = (tile_start(k, t->tiles_end) - first) * p->out_plane;
  block_from_planes(t->copy, images, elements, count, elements);
  for (int64_t b = t->tile; b < t->tiles_end; b++) {
    int64_t start = tile_start(k, b), step = p->out_plane * BLOCK;
    row_tile r = row_tile_args(k, b, t->copy, t->sums + (start - first) * step, step);
    for (const tap_class *c = k->class; c < k->class + k->classes; c++)
      run_row_tiles(c, &r, (int)(tile_start(k, b + 1) - start));
  }
  planes_from_block(t->out + first * p->out_plane, p->out * p->out_plane, t->sums, 1, count,
                    results);
}

/*
** A thread's items, and the call around them
*/

static int64_t copy_size(const direct_call *k) {
  const pl_conv_plan *p = &k->plan;
  if (k->method == PL_BY_IMAGES) return p->in * p->h * p->w * BLOCK;
  return p->input.as_is ? 0 : k->group * k->image_step;
}

static int64_t sums_size(const direct_call *k) {
  const pl_conv_plan *p = &k->plan;
  if (k->method == PL_BY_IMAGES) return p->out * p->out_plane * BLOCK;
  if (k->method == PL_BY_ROWS) return TILE_CHANNELS * p->out_plane;
  return tile_count(k) * k->group * k->band * p->out_w * BLOCK;
}

/* Images of an item. */
static int64_t item_images(const direct_call *k) {
  return k->method == PL_BY_IMAGES ? BLOCK : k->group;
}

/* The input of some images, through its prologue. */
static masked input_of(const direct_call *k, const direct_item *t, int64_t count) {
  const pl_conv_plan *p = &k->plan;
  const pl_pool *pool = k->input.pool;
  const masked input = masked_of(&k->input);
  if (!pool) return masked_at(&input, t->image * p->in * p->h * p->w);
  const int64_t from = t->image * p->in * pool->oh * pool->ow;
  const masked pooled = masked_at(&input, from);
  k_unpool(pool, count * p->in, &pooled, k->input.argmax + from, t->unpooled);
  return unmasked(t->unpooled);
}

/* The maxima of what was computed aside. */
static void pool_result(const direct_call *k, const direct_item *t, int64_t count) {
  const pl_conv_plan *p = &k->plan;
  const pl_pool *pool = k->epilogue.pool;
  const int64_t first = tile_start(k, t->tile), planes = tile_start(k, t->tiles_end) - first;
  for (int64_t i = 0; i < count; i++) {
    int64_t to = ((t->image + i) * p->out + first) * pool->oh * pool->ow;
    k_max_pool(pool, planes, t->out + (i * p->out + first) * p->out_plane, k->out + to,
               k->epilogue.argmax + to);
  }
}

/* A group of images. */
static void direct_group(const direct_call *k, direct_item *t) {
  const pl_conv_plan *p = &k->plan;
  const int64_t count = t->images_end - t->image;
  const masked images = input_of(k, t, count);
  t->out = k->epilogue.pool ? t->result : k->out + t->image * p->out * p->out_plane;
  if (k->method == PL_BY_IMAGES) {
    group_by_images(k, t, &images, count);
  } else {
    const pl_real *x = p->input.as_is ? images.g : t->copy;
    if (!p->input.as_is) copy_planes(&p->input, t->copy, &images, count * p->in);
    if (k->method == PL_BY_ROWS) image_by_rows(k, t, x);
    else group_by_blocks(k, t, x, count);
  }
  if (k->epilogue.pool) pool_result(k, t, count);
}

/* Items are groups of images, and where there are too few of these, tiles of channels too. */
typedef struct {
  int64_t unit, images, tiles; /* images of a group; how many items along images, along tiles */
} direct_cuts;

static direct_cuts cuts_of(const direct_call *k, int threads) {
  direct_cuts c = {.unit = item_images(k)};
  c.images = (k->images + c.unit - 1) / c.unit;
  c.tiles = PL_MIN(tile_count(k), PL_MAX(1, threads / c.images));
  return c;
}

static void direct_run_item(const direct_call *k, const direct_cuts *c, int64_t item,
                            direct_item *t) {
  const int64_t tiles = tile_count(k), at = item / c->images;
  t->image = item % c->images * c->unit;
  t->images_end = PL_MIN(k->images, t->image + c->unit);
  t->tile = tiles * at / c->tiles;
  t->tiles_end = tiles * (at + 1) / c->tiles;
  direct_group(k, t);
}

/* The elements of a thread's scratch memory, and where its parts begin. */
static int64_t lay_out_scratch(const direct_call *k, pl_real *scratch, direct_item *t) {
  const pl_conv_plan *p = &k->plan;
  int64_t at[5] = {0, copy_size(k), sums_size(k),
                   k->epilogue.pool ? item_images(k) * p->out * p->out_plane : 0,
                   k->input.pool ? item_images(k) * p->in * p->h * p->w : 0};
  for (int i = 1; i < 5; i++) at[i] = at[i - 1] + pl_round_up(at[i], 16);
  if (scratch)
    *t = (direct_item){.copy = scratch,
                       .sums = scratch + at[1],
                       .result = scratch + at[2],
                       .unpooled = scratch + at[3]};
  return at[4];
}

static void direct_threads(const direct_call *shared, pl_range *ranges, pl_real *scratch,
                           int64_t each, char *tables) {
  const pl_conv_plan *p = &shared->plan;
  bool many = p->in * p->window * p->out * p->out_plane * shared->images > PL_CONV_SERIAL;
#pragma omp parallel if (many)
  {
    const int id = omp_get_thread_num(), threads = omp_get_num_threads();
    direct_call k = *shared;
    const direct_cuts c = cuts_of(&k, threads);
    direct_item t;
    fill_classes(&k, tables + size_tables(&k).bytes * id);
    lay_out_scratch(&k, scratch + each * id, &t);
    if (k.method == PL_BY_ROWS) memset(t.copy, 0, (size_t)copy_size(&k) * sizeof(pl_real));
    if (id == 0) pl_queue_fill(ranges, threads, c.images * c.tiles);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < tile_count(&k); i++) pack_weights(&k, i);
    for (int64_t i; (i = pl_queue_take(ranges, threads, id)) >= 0;) direct_run_item(&k, &c, i, &t);
  }
}

static bool direct_run(direct_call *k) {
  choose_layout(k);
  int64_t width = k->method == PL_BY_BLOCKS ? BLOCK : TILE_CHANNELS;
  int64_t weights = pl_round_up(tile_count(k) * k->plan.in * k->plan.window * width + 1, 16);
  int64_t each = lay_out_scratch(k, NULL, NULL);
  int threads = omp_get_max_threads();
  size_t bytes = (size_t)(weights + each * threads) * sizeof(pl_real);
  pl_range *ranges =
      pl_scratch((size_t)threads * (sizeof *ranges + (size_t)size_tables(k).bytes) + bytes);
  if (ranges) {
    k->weights = (pl_real *)(ranges + threads);
    direct_threads(k, ranges, k->weights + weights, each,
                   (char *)(k->weights + weights + each * threads));
  }
  pl_scratch_free(ranges);
  pl_conv_plan_free(&k->plan);
  return ranges != NULL;
}

static bool forward(const pl_conv *p, const pl_real *x, const pl_real *w, const pl_epilogue *e,
                    pl_real *y) {
  if (!p->n || !p->k || !p->oh || !p->ow) return true;
  direct_call k = {.images = p->n, .input = {.g = x}, .w = w, .epilogue = *e, .out = y};
  return pl_conv_plan_forward(&k.plan, p) && direct_run(&k);
}

static bool adjoint(const pl_conv *p, const pl_real *x, const pl_real *w, const pl_epilogue *e,
                    pl_real *y) {
  if (!p->n || !p->c || !p->h || !p->w) return true;
  direct_call k = {.images = p->n, .input = {.g = x}, .w = w, .epilogue = *e, .out = y};
  return pl_conv_plan_back(&k.plan, p) && direct_run(&k);
}

static bool input_grad(const pl_conv *p, const pl_prologue *back, const pl_real *w, pl_real *gx) {
  if (!p->n || !p->c || !p->h || !p->w) return true;
  direct_call k = {.images = p->n, .input = *back, .w = w, .epilogue = {.slope = 1}, .out = gx};
  if (p->oh && p->ow) return pl_conv_plan_back(&k.plan, p) && direct_run(&k);
  memset(gx, 0, (size_t)(p->n * p->c * p->h * p->w) * sizeof *gx);
  return true;
}

const pl_conv_kernels PL_ISA_NAME(pl_direct_kernels) = {.forward = forward,
                                                        .transpose = adjoint,
                                                        .input_grad = input_grad,
                                                        .weight_grad = k_direct_weight_grad};
