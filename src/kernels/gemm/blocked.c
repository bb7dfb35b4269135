/*
** blocked.c: matrix products on all threads (Goto and van de Geijn 2008; the names are those of
** BLIS). b is packed into panels of NR columns; a is read where it lies if its rows are dense, else
** packed too, MR rows side by side. A tile of c stays in registers over a slice of the inner
** dimension, KC long. Slices are long beside the layers of small networks: most products need only
** one, and c is then written once and never read. An element has the same bits for any number of
** threads.
**
**                NC columns, in panels of NR
**              b |   |   |   |   |
**                |   |   |   |   | KC       by rows: an item is MC rows or fewer, all panels
**          KC    |   |   |   |   |          by columns: an item is a few panels, all rows
**   MC a |----|  |---|---|---|---| MR
**        |----|  |---|---|---|---|
**
** Items of c are queued for the threads: rows where there are more of them or a is transposed, else
** columns, whose vectors are shared out evenly. If they are rows, all panels are packed first, by
** all threads together, for each needs them all. If they are columns, a thread packs the panels of
** an item when it comes to it, rows of b while it multiplies by them for the first time, and
** meanwhile prefetches what the next ones are made of.
**
** A weight of a layer, [outputs, inputs], thus belongs to threads by its rows: forwards they are
** the columns of b, in its gradient rows of c. Only on the way back to the inputs would a thread
** need some columns of all rows, which other threads have written and will write again; where cores
** are far from each other that takes longer than the arithmetic. There the inner dimension is cut,
** each thread has the rows that are its own, and the parts of c are added up.
*/
#include <omp.h>

#include "../queue.h"
#include "microkernel.h"

#if VECTOR_BYTES >= 32 /* narrower ones are better served by the BLAS, which has its own choice */

/*
** MC rows of a slice of a fit into the second cache, NC columns of b into the third.
*/
enum { MC = 120, NC = 2048 };

enum { PREFETCH_A = 8 }; /* rows of a transposed a ahead, which the processor would not guess */

/*
** From OWNED elements of b on, the inner dimension is cut on the way back to the inputs: then b
** does not stay in the second caches between two steps. Up to SIDE slices are made at the same
** time, all but the first in memory of their own.
*/
enum { OWNED = 1 << 17, SIDE = 3 };

/* Items of c for each thread, and panels of an item, at most. */
enum { ITEMS = 6, PANELS = 4 };

/* Where part i of n begins, of `parts` of even lengths. */
static int64_t cut_at(int64_t n, int64_t parts, int64_t i) { return n * i / parts; }

/* Columns of a block, in panels from the first on. */
typedef struct {
  int64_t from, end;
} col_range;

static int64_t panel_count(col_range s) { return pl_ceil_div(s.end - s.from, NR); }

/* Part i of them, of whole panels but for the last one. */
static col_range part_of(col_range s, int64_t parts, int64_t i) {
  const int64_t n = panel_count(s);
  return (col_range){s.from + cut_at(n, parts, i) * NR,
                     PL_MIN(s.from + cut_at(n, parts, i + 1) * NR, s.end)};
}

/* Where the tiles of m <= MC rows begin. */
typedef struct {
  int64_t n, at[MC / MR + 1];
} tiling;

static tiling tiling_of(int64_t m) {
  tiling t = {.n = pl_ceil_div(m, MR)};
  for (int64_t i = 0; i <= t.n; i++) t.at[i] = cut_at(m, PL_MAX(t.n, 1), i);
  return t;
}

/* One pass: a block of columns of c, and a slice of the inner dimension. */
typedef struct {
  const pl_gemm_job *job; /* of that slice alone */
  int64_t left, columns;
  bool by_rows;      /* rows of c are dealt to the threads, not columns */
  pl_real *panels;   /* of b: all of the block if by_rows, else for each thread those of an item */
  int64_t room;      /* elements of an item's panels */
  pl_range *queue;   /* of items of c, a range for each thread */
  pl_real *packed_a; /* of a transposed a: for each thread MC rows */
} gemm_pass;

/* Elements of MC rows of a. */
static int64_t packed_a_size(const gemm_pass *s) { return MC * s->job->k; }

/* The tiles of `rows` rows of a transposed a: [tile][k][MR]; and their sums, the first time. */
static void pack_a(const gemm_pass *s, int64_t row, int64_t rows, pl_real *tiles) {
  const tiling t = tiling_of(rows);
  const int64_t k = s->job->k, summed = s->job->sums && s->left == 0 ? rows : 0;
  const pl_real *a = s->job->a + row;
  pl_real sum[MC] = {0};
  for (int64_t i = 0; i < k; i++, a += s->job->lda)
    for (int64_t j = 0; j < t.n; j++) {
      pl_real *out = tiles + (j * k + i) * MR;
      const int64_t high = t.at[j + 1] - t.at[j];
      __builtin_prefetch(a + PREFETCH_A * s->job->lda + t.at[j]);
      if (high == MR) memcpy(out, a + t.at[j], MR * sizeof *a);
      else memcpy(out, a + t.at[j], (size_t)high * sizeof *a);
      for (int64_t r = 0; summed && r < high; r++) sum[t.at[j] + r] += a[t.at[j] + r];
    }
  for (int64_t r = 0; r < summed; r++) s->job->sums[row + r] += sum[r];
}

/* Whether the first micro-kernel that needs the panel at this column packs it. */
static bool packed_by_microkernel(const gemm_pass *s, int64_t at, int64_t end) {
  return !s->by_rows && !s->job->tb && at + NR <= end;
}

static void pack_b(const gemm_pass *s, col_range c, pl_real *panels) {
  const pl_gemm_job *j = s->job;
  for (int64_t at = c.from; at < c.end; at += NR, panels += NR * j->k) {
    if (packed_by_microkernel(s, at, c.end)) continue;
    const int64_t column = s->left + at;
    pack_panel(j->k, PL_MIN(NR, c.end - at), j->b + (j->tb ? column * j->ldb : column), j->ldb,
               j->tb, panels);
  }
}

/* What is to be prefetched from b into the second cache, a few lines before each tile. */
typedef struct {
  const pl_real *line, *end; /* within a row of b */
  int64_t rows, length, ld;  /* rows that are left */
  int64_t quota;             /* lines a tile */
} prefetcher;

enum { LINE = 64 / sizeof(pl_real) };

/* The elements of these columns, while `tiles` tiles are made. */
static prefetcher prefetcher_of(const gemm_pass *s, col_range c, int64_t tiles) {
  const pl_gemm_job *j = s->job;
  const int64_t left = s->left + c.from, columns = c.end - c.from;
  if (columns <= 0) return (prefetcher){.rows = 0};
  prefetcher f = {.rows = j->tb ? columns : j->k, .length = j->tb ? j->k : columns, .ld = j->ldb};
  f.line = j->b + (j->tb ? left * j->ldb : left);
  f.end = f.line + f.length;
  f.quota = f.rows * pl_ceil_div(f.length, LINE) / PL_MAX(1, tiles) + 1;
  return f;
}

static void prefetch_some(prefetcher *f) {
  for (int64_t i = 0; i < f->quota && f->rows > 0; i++) {
    __builtin_prefetch(f->line, 0, 2);
    f->line += LINE;
    if (f->line < f->end) continue;
    f->rows--;
    f->line = f->end - f->length + f->ld;
    f->end += f->ld;
  }
}

/* rows <= MC of c from `row` on, and these columns, the first of whose panels is given. */
static void multiply_rows(const gemm_pass *s, int64_t row, int64_t rows, col_range c,
                          const pl_real *tiles, pl_real *panel, prefetcher *next) {
  const pl_gemm_job *j = s->job;
  const tiling t = tiling_of(rows);
  for (int64_t from = c.from; from < c.end; from += NR, panel += NR * j->k) {
    const int64_t column = s->left + from;
    c_tile to = {.ld = j->ldc,
                 .columns = PL_MIN(NR, c.end - from),
                 .add = j->accumulate,
                 .bias = j->epilogue && j->epilogue->bias ? j->epilogue->bias + column : NULL,
                 .slope = j->epilogue ? j->epilogue->slope : 1};
    for (int64_t i = 0; i < t.n; i++) {
      const int64_t at = t.at[i], high = t.at[i + 1] - at;
      prefetch_some(next);
      to.c = j->c + (row + at) * j->ldc + column;
      if (row + at == 0 && packed_by_microkernel(s, from, c.end))
        packing_microkernels[high](j->k, j->a, j->lda, j->b + column, j->ldb, panel, &to);
      else if (j->ta) packed_a_microkernels[high](j->k, tiles + i * j->k * MR, MR, panel, &to);
      else microkernels[high](j->k, j->a + (row + at) * j->lda, j->lda, panel, &to);
    }
  }
}

/* The columns that are thread i's. */
static col_range share_of(const gemm_pass *s, int threads, int64_t i) {
  const int64_t n = pl_ceil_div(s->columns, LANES);
  return (col_range){cut_at(n, threads, i) * LANES,
                     PL_MIN(cut_at(n, threads, i + 1) * LANES, s->columns)};
}

/* The most that a thread gets: rows of c in units of MR if by_rows, else panels. */
static int64_t largest_share(const gemm_pass *s, int threads) {
  return s->by_rows ? pl_ceil_div(pl_ceil_div(s->job->m, MR), threads)
                    : pl_ceil_div(pl_ceil_div(pl_ceil_div(s->columns, LANES), threads), 2);
}

/* The items of a thread, of even size and none larger than what it has room for; some may be
 * empty. */
static int64_t items_of(const gemm_pass *s, int threads) {
  const int64_t n = largest_share(s, threads), most = s->by_rows ? MC / MR : PANELS;
  return PL_MAX(pl_ceil_div(n, most), PL_MIN(ITEMS, n));
}

/* Rows of c from `row` on. */
static void rows_of(const gemm_pass *s, int64_t row, int64_t rows, int id) {
  prefetcher nothing = {.rows = 0};
  pl_real *tiles = s->packed_a + id * packed_a_size(s);
  if (s->job->ta) pack_a(s, row, rows, tiles);
  multiply_rows(s, row, rows, (col_range){0, s->columns}, tiles, s->panels, &nothing);
}

/* These columns of c; `next` are likely to be wanted after them. */
static void columns_of(const gemm_pass *s, col_range c, col_range next, int id) {
  const int64_t m = s->job->m;
  pl_real *panels = s->panels + id * s->room;
  prefetcher f = prefetcher_of(s, next, panel_count(c) * pl_ceil_div(m, MR));
  pack_b(s, c, panels);
  for (int64_t i = 0; i < m; i += MC) multiply_rows(s, i, PL_MIN(MC, m - i), c, NULL, panels, &f);
}

/* Item i of all. */
static void multiply_item(const gemm_pass *s, int64_t i, int id, int threads) {
  const int64_t items = items_of(s, threads), at = i % items;
  if (s->by_rows) {
    const int64_t n = pl_ceil_div(s->job->m, MR), all = threads * items;
    const int64_t row = cut_at(n, all, i) * MR;
    rows_of(s, row, PL_MIN(cut_at(n, all, i + 1) * MR, s->job->m) - row, id);
  } else {
    const col_range share = share_of(s, threads, i / items);
    columns_of(s, part_of(share, items, at), part_of(share, items, at + 1), id);
  }
}

static void queue_items(const gemm_pass *s, int threads) {
  pl_queue_fill(s->queue, threads, threads * items_of(s, threads));
}

/* What a thread does of a pass whose items were queued for `threads`; all do it together. */
static void work_on(const gemm_pass *s, int threads) {
  const int id = omp_get_thread_num(), present = omp_get_num_threads();
  if (s->by_rows) {
    const col_range mine = part_of((col_range){0, s->columns}, present, id);
    pack_b(s, mine, s->panels + mine.from * s->job->k);
#pragma omp barrier
  }
  for (int64_t i; (i = pl_queue_take(s->queue, threads, id)) >= 0;)
    multiply_item(s, i, id, threads);
}

/* Slice i of the inner dimension; the later ones add to the first, the last one has the
 * epilogue. */
static pl_gemm_job slice_of(const pl_gemm_job *job, int64_t slices, int64_t i) {
  const int64_t from = cut_at(job->k, slices, i);
  pl_gemm_job slice = *job;
  slice.k = cut_at(job->k, slices, i + 1) - from;
  slice.a += from * (job->ta ? job->lda : 1);
  slice.b += from * (job->tb ? 1 : job->ldb);
  slice.accumulate = job->accumulate || i > 0;
  if (i + 1 < slices) slice.epilogue = NULL;
  return slice;
}

/* The blocks, and of each all slices, one after the other; the first one is queued already. */
static void by_slices(gemm_pass *s, const pl_gemm_job *job, int64_t slices, int64_t columns,
                      int threads) {
  for (s->left = 0; s->left < job->n; s->left += columns) {
    s->columns = PL_MIN(columns, job->n - s->left);
    for (int64_t i = 0; i < slices; i++) {
      const pl_gemm_job slice = slice_of(job, slices, i);
      s->job = &slice;
      if (s->left > 0 || i > 0) {
#pragma omp barrier
#pragma omp single
        queue_items(s, threads);
      }
      work_on(s, threads);
    }
  }
}

/* Items of columns of a slice that is made beside the others. */
static int64_t side_items(const pl_gemm_job *job) {
  return pl_ceil_div(pl_ceil_div(job->n, NR), PANELS);
}

/* Slices at the same time, all but the first into places of their own, which are then added. */
static void side_by_side(gemm_pass *s, const pl_gemm_job *job, int64_t slices, pl_real *others,
                         int threads) {
  const int id = omp_get_thread_num();
  const int64_t size = job->m * job->n, items = side_items(job);
  const col_range all = {0, s->columns};
  for (int64_t p; (p = pl_queue_take(s->queue, threads, id)) >= 0;) {
    const int64_t i = p / items, at = p % items;
    pl_gemm_job slice = slice_of(job, slices, i);
    if (i > 0) slice.c = others + (i - 1) * size, slice.ldc = job->n, slice.accumulate = false;
    s->job = &slice;
    columns_of(s, part_of(all, items, at), part_of(all, items, at + 1), id);
  }
#pragma omp barrier
#pragma omp for schedule(static)
  for (int64_t r = 0; r < job->m; r++)
    for (int64_t i = 1; i < slices; i++) {
      const pl_real *from = others + (i - 1) * size + r * job->n;
      pl_real *to = job->c + r * job->ldc;
      for (int64_t j = 0; j < job->n; j++) to[j] += from[j];
    }
}

/* Whether b is a matrix whose rows belong to threads. */
static bool is_owned(const pl_gemm_job *job) {
  return !job->ta && !job->tb && !job->epilogue && job->m < job->n && job->k > 1 &&
         job->k * job->n >= OWNED;
}

static bool blocked_product(const pl_gemm_job *job, int threads) {
  gemm_pass s = {.job = job, .by_rows = job->m >= job->n || job->ta};
  const bool owned = is_owned(job);
  const int64_t slices = PL_MAX(owned ? 2 : 1, pl_ceil_div(job->k, KC)),
                depth = pl_ceil_div(job->k, slices);
  const bool apart = owned && threads > 1 && slices <= SIDE;
  const int64_t columns = s.by_rows ? PL_MIN(job->n, NC) : job->n;
  s.columns = columns;
  s.room = PANELS * NR * depth;
  const int64_t panels = s.by_rows ? pl_ceil_div(columns, NR) * NR * depth : threads * s.room;
  const int64_t tiles = job->ta ? threads * MC * depth : 0;
  const int64_t others = apart ? (slices - 1) * job->m * job->n : 0;
  const size_t bytes = (size_t)(panels + tiles + others) * sizeof(pl_real);
  pl_range *space = pl_scratch((size_t)threads * sizeof *space + bytes);
  if (!space) return false;
  s.queue = space;
  s.panels = (pl_real *)(space + threads);
  s.packed_a = s.panels + panels;
  if (job->sums) memset(job->sums, 0, (size_t)job->m * sizeof *job->sums);
  if (apart) pl_queue_fill(s.queue, threads, slices * side_items(job));
  else queue_items(&s, threads);
#pragma omp parallel num_threads(threads) firstprivate(s)
  if (apart) side_by_side(&s, job, slices, s.packed_a + tiles, threads);
  else by_slices(&s, job, slices, columns, threads);
  pl_scratch_free(space);
  return true;
}

const pl_gemm_kernels PL_ISA_NAME(pl_gemm_kernels) = {.product = blocked_product};

#else
const pl_gemm_kernels PL_ISA_NAME(pl_gemm_kernels) = {NULL};
#endif
