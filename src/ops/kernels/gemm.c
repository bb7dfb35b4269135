/*
** gemm.c: matrix products on all threads. b is laid out in panels of BLOCK columns; a is read where
** it lies if its rows are dense, else laid out too, TILE rows side by side. A tile of c stays in
** registers over a slice of the inner dimension (the scheme of Goto and van de Geijn 2008). Slices
** are long beside the layers of small networks: most products need only one, and c is then written
** once and never read. An element has the same bits for any number of threads.
**
** Of c, pieces are dealt to the threads: rows where there are more of them, or where a transposed a
** is too large to be laid out whole, else columns. If they are rows, all panels are laid out first,
** by all threads together, for each needs them all. If they are columns, a thread lays out the
** panels of a piece when it comes to it, rows of b while it multiplies by them for the first time,
** and meanwhile fetches what the next ones are made of.
*/
#include <omp.h>

#include "deal.h"
#include "kernels.h"
#include "panels.h"

#if VECTOR_BYTES >= 32 /* narrower ones are better served by the BLAS, which has its own choice */

/*
** A tile's rows of a fit into the first cache beside a stretch of a panel, ROWS rows of a into the
** second one, both DEPTH numbers long, and COLUMNS of b into the third. Up to SHARED rows of a
** transposed a are laid out once for all threads. FETCH rows of it ahead, the processor would not
** guess what is read.
*/
enum { DEPTH = 704, ROWS = 120, COLUMNS = 2048, SHARED = 1536, FETCH = 8 };

/* So many pieces of c a thread, but no more than so many panels a piece. */
enum { HANDFUL = 6, PANELS = 4 };

/* Where part i of n begins, of so many parts of even lengths. */
static int64_t part(int64_t n, int64_t parts, int64_t i) { return n * i / parts; }

/* Where the tiles of m <= ROWS rows begin. */
typedef struct {
  int64_t n, at[ROWS / TILE + 1];
} tiling;

static tiling tiling_of(int64_t m) {
  tiling t = {.n = up(m, TILE)};
  for (int64_t i = 0; i <= t.n; i++) t.at[i] = part(m, PL_MAX(t.n, 1), i);
  return t;
}

/* A block of columns of c, and a slice of the inner dimension. */
typedef struct {
  const pl_gemm_job *job; /* of that slice alone */
  int64_t left, columns;
  bool by_rows;    /* rows of c are dealt to the threads, not panels */
  pl_real *panels; /* of b: all of the block if by_rows, else of each thread those of a piece */
  pl_hand *hands;  /* of pieces of c, one a thread */
  pl_real *tiles;  /* of a transposed a: of each thread ROWS rows, or all rows if each needs all */
} block;

/* Numbers of ROWS rows of a. */
static int64_t tiles_size(const block *s) { return ROWS * s->job->k; }

/* The tiles of `rows` rows of a transposed a: [tile][k][TILE]; and their sums, the first time. */
static void pack_tiles(const block *s, int64_t row, int64_t rows, pl_real *tiles) {
  const tiling t = tiling_of(rows);
  const int64_t k = s->job->k, summed = s->job->sums && s->left == 0 ? rows : 0;
  const pl_real *a = s->job->a + row;
  pl_real sum[ROWS] = {0};
  for (int64_t i = 0; i < k; i++, a += s->job->lda)
    for (int64_t j = 0; j < t.n; j++) {
      pl_real *out = tiles + (j * k + i) * TILE;
      const int64_t high = t.at[j + 1] - t.at[j];
      __builtin_prefetch(a + FETCH * s->job->lda + t.at[j]);
      if (high == TILE) memcpy(out, a + t.at[j], TILE * sizeof *a);
      else memcpy(out, a + t.at[j], (size_t)high * sizeof *a);
      for (int64_t r = 0; summed && r < high; r++) sum[t.at[j] + r] += a[t.at[j] + r];
    }
  for (int64_t r = 0; r < summed; r++) s->job->sums[row + r] += sum[r];
}

/* Whether the first tile that needs a panel lays it out. */
static bool laid_by_tile(const block *s, int64_t p) {
  return !s->by_rows && !s->job->tb && (p + 1) * BLOCK <= s->columns;
}

static void pack_panels(const block *s, int64_t first, int64_t end, pl_real *panels) {
  const pl_gemm_job *j = s->job;
  for (int64_t p = first; p < end; p++, panels += BLOCK * j->k) {
    const int64_t at = s->left + p * BLOCK, columns = PL_MIN(BLOCK, s->columns - p * BLOCK);
    if (laid_by_tile(s, p)) continue;
    pack_panel(j->k, columns, j->b + (j->tb ? at * j->ldb : at), j->ldb, j->tb, panels);
  }
}

/* What is to be fetched from b into the second cache, a little before each tile. */
typedef struct {
  const pl_real *line, *end; /* within a row of b */
  int64_t rows, length, ld;  /* rows that are left */
  int64_t quota;             /* lines a tile */
} ahead;

enum { LINE = 64 / sizeof(pl_real) };

/* The numbers of panels first..end, during so many tiles. */
static ahead ahead_of(const block *s, int64_t first, int64_t end, int64_t tiles) {
  const pl_gemm_job *j = s->job;
  const int64_t left = s->left + first * BLOCK;
  const int64_t columns = PL_MIN(s->columns - first * BLOCK, (end - first) * BLOCK);
  if (columns <= 0) return (ahead){.rows = 0};
  ahead f = {.rows = j->tb ? columns : j->k, .length = j->tb ? j->k : columns, .ld = j->ldb};
  f.line = j->b + (j->tb ? left * j->ldb : left);
  f.end = f.line + f.length;
  f.quota = f.rows * up(f.length, LINE) / PL_MAX(1, tiles) + 1;
  return f;
}

static void fetch(ahead *f) {
  for (int64_t i = 0; i < f->quota && f->rows > 0; i++) {
    __builtin_prefetch(f->line, 0, 2);
    f->line += LINE;
    if (f->line < f->end) continue;
    f->rows--;
    f->line = f->end - f->length + f->ld;
    f->end += f->ld;
  }
}

/* rows <= ROWS of c from `row` on, panels `first` up to `end`, the first of which is given. */
static void multiply_rows(const block *s, int64_t row, int64_t rows, int64_t first, int64_t end,
                          const pl_real *tiles, pl_real *panel, ahead *next) {
  const pl_gemm_job *j = s->job;
  const tiling t = tiling_of(rows);
  for (int64_t p = first; p < end; p++, panel += BLOCK * j->k) {
    const int64_t column = s->left + p * BLOCK;
    target to = {.ld = j->ldc,
                 .columns = PL_MIN(BLOCK, s->columns - p * BLOCK),
                 .add = j->accumulate,
                 .bias = j->finish && j->finish->bias ? j->finish->bias + column : NULL,
                 .slope = j->finish ? j->finish->slope : 1};
    for (int64_t i = 0; i < t.n; i++) {
      const int64_t at = t.at[i], high = t.at[i + 1] - at;
      fetch(next);
      to.c = j->c + (row + at) * j->ldc + column;
      if (row + at == 0 && laid_by_tile(s, p))
        laying_tiles[high](j->k, j->ta ? tiles : j->a, j->ta ? 1 : j->lda, j->ta ? TILE : 1,
                           j->b + column, j->ldb, panel, &to);
      else if (j->ta) packed_tiles[high](j->k, tiles + i * j->k * TILE, TILE, panel, &to);
      else tiles_of[high](j->k, j->a + (row + at) * j->lda, j->lda, panel, &to);
    }
  }
}

/* How many tiles' heights of c there are to deal if by_rows, else panels. */
static int64_t to_deal(const block *s) {
  return s->by_rows ? up(s->job->m, TILE) : up(s->columns, BLOCK);
}

/* A handful for each thread, of even size and none larger than what a thread has room for; some
 * may be empty. */
static int64_t pieces_of(const block *s, int threads) {
  const int64_t n = to_deal(s), most = s->by_rows ? ROWS / TILE : PANELS;
  return up(PL_MAX(up(n, most), PL_MIN(HANDFUL * threads, n)), threads) * threads;
}

/* Rows of c from `row` on. */
static void rows_of(const block *s, int64_t row, int64_t rows, int id) {
  ahead nothing = {.rows = 0};
  pl_real *tiles = s->tiles + id * tiles_size(s);
  if (s->job->ta) pack_tiles(s, row, rows, tiles);
  multiply_rows(s, row, rows, 0, up(s->columns, BLOCK), tiles, s->panels, &nothing);
}

/* Columns of c that make up panels first..end; then those up to `next` are likely to be wanted. */
static void columns_of(const block *s, int64_t first, int64_t end, int64_t next, int id) {
  const int64_t m = s->job->m, tiles = (end - first) * up(m, TILE);
  pl_real *panels = s->panels + id * PANELS * BLOCK * s->job->k;
  ahead f = ahead_of(s, end, next, tiles);
  pack_panels(s, first, end, panels);
  for (int64_t i = 0; i < m; i += ROWS)
    multiply_rows(s, i, PL_MIN(ROWS, m - i), first, end, s->tiles + i / ROWS * tiles_size(s),
                  panels, &f);
}

static void multiply(const block *s, int64_t piece, int id, int threads) {
  const int64_t n = to_deal(s), pieces = pieces_of(s, threads);
  const int64_t first = part(n, pieces, piece), end = part(n, pieces, piece + 1);
  const int64_t row = first * TILE, rows = PL_MIN(end * TILE, s->job->m) - row;
  if (s->by_rows) rows_of(s, row, rows, id);
  else columns_of(s, first, end, PL_MIN(n, part(n, pieces, piece + 2)), id);
}

/* What all need before they begin. */
static void lay_out(const block *s, int id, int threads) {
  const int64_t m = s->job->m, panels = up(s->columns, BLOCK), first = part(panels, threads, id);
  if (s->by_rows) {
    pack_panels(s, first, part(panels, threads, id + 1), s->panels + first * BLOCK * s->job->k);
    return;
  }
  for (int64_t i = ROWS * id; s->job->ta && i < m; i += ROWS * threads)
    pack_tiles(s, i, PL_MIN(ROWS, m - i), s->tiles + i / ROWS * tiles_size(s));
}

/* What thread `id` of `threads` does of a block; all call it together. */
static void work(const block *s, int id, int threads) {
  if (id == 0) pl_deal(s->hands, threads, pieces_of(s, threads));
  lay_out(s, id, threads);
#pragma omp barrier
  for (int64_t i; (i = pl_take(s->hands, threads, id)) >= 0;) multiply(s, i, id, threads);
#pragma omp barrier
}

/* Slice i of the inner dimension; the later ones add to the first, the last one finishes. */
static pl_gemm_job slice_of(const pl_gemm_job *job, int64_t slices, int64_t i) {
  const int64_t from = part(job->k, slices, i);
  pl_gemm_job slice = *job;
  slice.k = part(job->k, slices, i + 1) - from;
  slice.a += from * (job->ta ? job->lda : 1);
  slice.b += from * (job->tb ? 1 : job->ldb);
  slice.accumulate = job->accumulate || i > 0;
  if (i + 1 < slices) slice.finish = NULL;
  return slice;
}

static bool product(const pl_gemm_job *job, int threads) {
  block s = {.by_rows = job->m >= job->n || (job->ta && job->m > SHARED)};
  const int64_t slices = PL_MAX(1, up(job->k, DEPTH)), depth = up(job->k, slices);
  const int64_t columns = s.by_rows ? PL_MIN(job->n, COLUMNS) : job->n;
  const int64_t panels = (s.by_rows ? up(columns, BLOCK) : threads * PANELS) * BLOCK * depth;
  const int64_t tiles = !job->ta ? 0 : s.by_rows ? threads : up(job->m, ROWS);
  const size_t bytes = (size_t)(panels + tiles * ROWS * depth) * sizeof(pl_real);
  pl_hand *space = pl_scratch((size_t)threads * sizeof *space + bytes);
  if (!space) return false;
  s.hands = space;
  s.panels = (pl_real *)(space + threads);
  s.tiles = s.panels + panels;
  if (job->sums) memset(job->sums, 0, (size_t)job->m * sizeof *job->sums);
#pragma omp parallel num_threads(threads) firstprivate(s)
  for (s.left = 0; s.left < job->n; s.left += columns) {
    s.columns = PL_MIN(columns, job->n - s.left);
    for (int64_t i = 0; i < slices; i++) {
      const pl_gemm_job slice = slice_of(job, slices, i);
      s.job = &slice;
      work(&s, omp_get_thread_num(), omp_get_num_threads());
    }
  }
  pl_scratch_free(space);
  return true;
}

const pl_gemm_kernels PL_ISA_NAME(pl_gemm_kernels) = {.product = product};

#else
const pl_gemm_kernels PL_ISA_NAME(pl_gemm_kernels) = {NULL};
#endif
