/*
** gemm.c: matrix products on all threads. b is laid out in panels of BLOCK columns; a is read where
** it lies if its rows are dense, else laid out too, TILE rows side by side. A tile of c stays in
** registers over a slice of the inner dimension (the scheme of Goto and van de Geijn 2008). Slices
** are long beside the layers of small networks: most products need only one, and c is then written
** once and never read. An element has the same bits for any number of threads.
**
** Of c, pieces are dealt to the threads: rows where there are more of them or a is transposed, else
** columns, whose vectors are shared out evenly. If they are rows, all panels are laid out first, by
** all threads together, for each needs them all. If they are columns, a thread lays out the panels
** of a piece when it comes to it, rows of b while it multiplies by them for the first time, and
** meanwhile fetches what the next ones are made of.
**
** A weight of a layer, [outputs, inputs], thus belongs to threads by its rows: forwards they are
** the columns of b, in its gradient rows of c. Only on the way back to the inputs would a thread
** need some columns of all rows, which other threads have written and will write again; where cores
** are far from each other that takes longer than the arithmetic. There the inner dimension is cut,
** each thread has the rows that are its own, and the parts of c are added up.
*/
#include <omp.h>

#include "../deal.h"
#include "../kernels.h"
#include "panels.h"

#if VECTOR_BYTES >= 32 /* narrower ones are better served by the BLAS, which has its own choice */

/*
** A tile's rows of a fit into the first cache beside a stretch of a panel, ROWS rows of a into the
** second one, both DEPTH numbers long, and COLUMNS of b into the third. FETCH rows of a transposed
** a ahead, the processor would not guess what is read.
*/
enum { DEPTH = 704, ROWS = 120, COLUMNS = 2048, FETCH = 8 };

/*
** The inner dimension is cut, if b has so many numbers. Up to SIDE slices are then made at the same
** time, all but the first in memory of their own.
*/
enum { OWNED = 1 << 17, SIDE = 3 };

/* So many pieces of c a thread, but no more than so many panels a piece. */
enum { HANDFUL = 6, PANELS = 4 };

/* Where part i of n begins, of so many parts of even lengths. */
static int64_t part(int64_t n, int64_t parts, int64_t i) { return n * i / parts; }

/* Columns of a block, in panels from the first on. */
typedef struct {
  int64_t from, end;
} span;

static int64_t panels_in(span s) { return up(s.end - s.from, BLOCK); }

/* Part i of them, of whole panels but for the last one. */
static span part_of(span s, int64_t parts, int64_t i) {
  const int64_t n = panels_in(s);
  return (span){s.from + part(n, parts, i) * BLOCK,
                PL_MIN(s.from + part(n, parts, i + 1) * BLOCK, s.end)};
}

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
  bool by_rows;    /* rows of c are dealt to the threads, not columns */
  pl_real *panels; /* of b: all of the block if by_rows, else of each thread those of a piece */
  int64_t room;    /* numbers of a piece's panels */
  pl_hand *hands;  /* of pieces of c, one a thread */
  pl_real *tiles;  /* of a transposed a: of each thread ROWS rows */
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

/* Whether the first tile that needs the panel at this column lays it out. */
static bool laid_by_tile(const block *s, int64_t at, int64_t end) {
  return !s->by_rows && !s->job->tb && at + BLOCK <= end;
}

static void pack_panels(const block *s, span c, pl_real *panels) {
  const pl_gemm_job *j = s->job;
  for (int64_t at = c.from; at < c.end; at += BLOCK, panels += BLOCK * j->k) {
    if (laid_by_tile(s, at, c.end)) continue;
    const int64_t column = s->left + at;
    pack_panel(j->k, PL_MIN(BLOCK, c.end - at), j->b + (j->tb ? column * j->ldb : column), j->ldb,
               j->tb, panels);
  }
}

/* What is to be fetched from b into the second cache, a little before each tile. */
typedef struct {
  const pl_real *line, *end; /* within a row of b */
  int64_t rows, length, ld;  /* rows that are left */
  int64_t quota;             /* lines a tile */
} ahead;

enum { LINE = 64 / sizeof(pl_real) };

/* The numbers of these columns, during so many tiles. */
static ahead ahead_of(const block *s, span c, int64_t tiles) {
  const pl_gemm_job *j = s->job;
  const int64_t left = s->left + c.from, columns = c.end - c.from;
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

/* rows <= ROWS of c from `row` on, and these columns, the first of whose panels is given. */
static void multiply_rows(const block *s, int64_t row, int64_t rows, span c, const pl_real *tiles,
                          pl_real *panel, ahead *next) {
  const pl_gemm_job *j = s->job;
  const tiling t = tiling_of(rows);
  for (int64_t from = c.from; from < c.end; from += BLOCK, panel += BLOCK * j->k) {
    const int64_t column = s->left + from;
    target to = {.ld = j->ldc,
                 .columns = PL_MIN(BLOCK, c.end - from),
                 .add = j->accumulate,
                 .bias = j->finish && j->finish->bias ? j->finish->bias + column : NULL,
                 .slope = j->finish ? j->finish->slope : 1};
    for (int64_t i = 0; i < t.n; i++) {
      const int64_t at = t.at[i], high = t.at[i + 1] - at;
      fetch(next);
      to.c = j->c + (row + at) * j->ldc + column;
      if (row + at == 0 && laid_by_tile(s, from, c.end))
        laying_tiles[high](j->k, j->a, j->lda, j->b + column, j->ldb, panel, &to);
      else if (j->ta) packed_tiles[high](j->k, tiles + i * j->k * TILE, TILE, panel, &to);
      else tiles_of[high](j->k, j->a + (row + at) * j->lda, j->lda, panel, &to);
    }
  }
}

/* The columns that are thread i's. */
static span share_of(const block *s, int threads, int64_t i) {
  const int64_t n = up(s->columns, LANES);
  return (span){part(n, threads, i) * LANES, PL_MIN(part(n, threads, i + 1) * LANES, s->columns)};
}

/* How many tiles' heights of c a thread gets if by_rows, else panels, at most. */
static int64_t largest_share(const block *s, int threads) {
  return s->by_rows ? up(up(s->job->m, TILE), threads) : up(up(up(s->columns, LANES), threads), 2);
}

/* The pieces of a thread: a handful, of even size and none larger than what it has room for; some
 * may be empty. */
static int64_t pieces_of(const block *s, int threads) {
  const int64_t n = largest_share(s, threads), most = s->by_rows ? ROWS / TILE : PANELS;
  return PL_MAX(up(n, most), PL_MIN(HANDFUL, n));
}

/* Rows of c from `row` on. */
static void rows_of(const block *s, int64_t row, int64_t rows, int id) {
  ahead nothing = {.rows = 0};
  pl_real *tiles = s->tiles + id * tiles_size(s);
  if (s->job->ta) pack_tiles(s, row, rows, tiles);
  multiply_rows(s, row, rows, (span){0, s->columns}, tiles, s->panels, &nothing);
}

/* These columns of c; then the next are likely to be wanted. */
static void columns_of(const block *s, span c, span next, int id) {
  const int64_t m = s->job->m;
  pl_real *panels = s->panels + id * s->room;
  ahead f = ahead_of(s, next, panels_in(c) * up(m, TILE));
  pack_panels(s, c, panels);
  for (int64_t i = 0; i < m; i += ROWS)
    multiply_rows(s, i, PL_MIN(ROWS, m - i), c, NULL, panels, &f);
}

/* Piece i of all. */
static void multiply(const block *s, int64_t i, int id, int threads) {
  const int64_t pieces = pieces_of(s, threads), at = i % pieces;
  if (s->by_rows) {
    const int64_t n = up(s->job->m, TILE), all = threads * pieces;
    const int64_t row = part(n, all, i) * TILE;
    rows_of(s, row, PL_MIN(part(n, all, i + 1) * TILE, s->job->m) - row, id);
  } else {
    const span share = share_of(s, threads, i / pieces);
    columns_of(s, part_of(share, pieces, at), part_of(share, pieces, at + 1), id);
  }
}

static void deal(const block *s, int threads) {
  pl_deal(s->hands, threads, threads * pieces_of(s, threads));
}

/* What a thread does of a block that is dealt to so many; all do it together. */
static void work(const block *s, int threads) {
  const int id = omp_get_thread_num(), present = omp_get_num_threads();
  if (s->by_rows) {
    const span mine = part_of((span){0, s->columns}, present, id);
    pack_panels(s, mine, s->panels + mine.from * s->job->k);
#pragma omp barrier
  }
  for (int64_t i; (i = pl_take(s->hands, threads, id)) >= 0;) multiply(s, i, id, threads);
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

/* The blocks, and of each all slices, one after the other; the first one is dealt. */
static void by_slices(block *s, const pl_gemm_job *job, int64_t slices, int64_t columns,
                      int threads) {
  for (s->left = 0; s->left < job->n; s->left += columns) {
    s->columns = PL_MIN(columns, job->n - s->left);
    for (int64_t i = 0; i < slices; i++) {
      const pl_gemm_job slice = slice_of(job, slices, i);
      s->job = &slice;
      if (s->left > 0 || i > 0) {
#pragma omp barrier
#pragma omp single
        deal(s, threads);
      }
      work(s, threads);
    }
  }
}

/* How many pieces of columns a slice has that is made beside the others. */
static int64_t side_pieces(const pl_gemm_job *job) { return up(up(job->n, BLOCK), PANELS); }

/* Slices at the same time, all but the first into places of their own, which are then added. */
static void side_by_side(block *s, const pl_gemm_job *job, int64_t slices, pl_real *others,
                         int threads) {
  const int id = omp_get_thread_num();
  const int64_t size = job->m * job->n, pieces = side_pieces(job);
  const span all = {0, s->columns};
  for (int64_t p; (p = pl_take(s->hands, threads, id)) >= 0;) {
    const int64_t i = p / pieces, at = p % pieces;
    pl_gemm_job slice = slice_of(job, slices, i);
    if (i > 0) slice.c = others + (i - 1) * size, slice.ldc = job->n, slice.accumulate = false;
    s->job = &slice;
    columns_of(s, part_of(all, pieces, at), part_of(all, pieces, at + 1), id);
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
  return !job->ta && !job->tb && !job->finish && job->m < job->n && job->k > 1 &&
         job->k * job->n >= OWNED;
}

static bool product(const pl_gemm_job *job, int threads) {
  block s = {.job = job, .by_rows = job->m >= job->n || job->ta};
  const bool owned = is_owned(job);
  const int64_t slices = PL_MAX(owned ? 2 : 1, up(job->k, DEPTH)), depth = up(job->k, slices);
  const bool apart = owned && threads > 1 && slices <= SIDE;
  const int64_t columns = s.by_rows ? PL_MIN(job->n, COLUMNS) : job->n;
  s.columns = columns;
  s.room = PANELS * BLOCK * depth;
  const int64_t panels = s.by_rows ? up(columns, BLOCK) * BLOCK * depth : threads * s.room;
  const int64_t tiles = job->ta ? threads * ROWS * depth : 0;
  const int64_t others = apart ? (slices - 1) * job->m * job->n : 0;
  const size_t bytes = (size_t)(panels + tiles + others) * sizeof(pl_real);
  pl_hand *space = pl_scratch((size_t)threads * sizeof *space + bytes);
  if (!space) return false;
  s.hands = space;
  s.panels = (pl_real *)(space + threads);
  s.tiles = s.panels + panels;
  if (job->sums) memset(job->sums, 0, (size_t)job->m * sizeof *job->sums);
  if (apart) pl_deal(s.hands, threads, slices * side_pieces(job));
  else deal(&s, threads);
#pragma omp parallel num_threads(threads) firstprivate(s)
  if (apart) side_by_side(&s, job, slices, s.tiles + tiles, threads);
  else by_slices(&s, job, slices, columns, threads);
  pl_scratch_free(space);
  return true;
}

const pl_gemm_kernels PL_ISA_NAME(pl_gemm_kernels) = {.product = product};

#else
const pl_gemm_kernels PL_ISA_NAME(pl_gemm_kernels) = {NULL};
#endif
