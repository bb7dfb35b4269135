/*
** loader.c: see loader.h.
**
** The thread that uses the batches takes memory for each and puts it into a ring; threads fill it, a
** few rows at a time. They keep no messages: a batch in which something failed is made again by the
** thread that uses it, which so meets the first failure in the order of the rows, and has it in its
** own error slot.
*/
#include "loader.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/random.h"
#include "tensor/tensor.h"

/*
** Rows
*/

typedef struct {
  int c, h, w;
} shape;

typedef struct {
  pl_tensor *out;
  int64_t first;     /* of the pass */
  int n, next, done; /* rows: all, the next for a thread, those that are done */
  bool failed;
} batch;

typedef struct {
  struct pl_loader *loader;
  pl_context *context;
  pthread_t thread;
  pl_reader reader;
} worker;

struct pl_loader {
  pl_loader_options o;
  int32_t *row;   /* a copy: a script may change the tensor while threads read it */
  uint32_t *turn; /* how often the row's picture came before in this pass; NULL: no transforms */
  int64_t n;      /* rows */
  unsigned version;
  pl_context *host;
  pid_t process;      /* a child of a fork has no threads */
  pl_reader reader;   /* of the thread that uses the batches */
  shape shape;        /* that the next batches probably have; c = 0: not known */
  pl_real value[256]; /* of each pixel value of a tensor without transforms */

  int started;
  worker *workers;
  bool has_lock;
  pthread_mutex_t lock; /* of all that follows */
  pthread_cond_t work, ready;
  bool stop;
  int64_t taken, posted; /* batches */
  batch *ring;           /* o.ahead + 1 of them */
};

static shape shape_of(const pl_picture *p) { return (shape){p->c, p->h, p->w}; }

static bool same(shape a, shape b) { return a.c == b.c && a.h == b.h && a.w == b.w; }

/* Each transform has a key of its own. */
static bool transform(const pl_loader *l, int64_t place, pl_picture *p) {
  if (!l->turn) return true;
  const uint64_t sample = (uint64_t)(uint32_t)l->row[place] | (uint64_t)l->turn[place] << 32;
  const pl_philox words = pl_philox_block(l->o.key, sample);
  for (int i = 0; i < PL_LOADER_TRANSFORMS; i++) {
    const uint64_t key = (uint64_t)words.v[2 * i] << 32 | words.v[2 * i + 1];
    if (l->o.transform[i] && !pl_transform_run(l->o.transform[i], p, key)) return false;
  }
  return true;
}

static void normalise(const pl_loader *l, pl_real *v, int64_t n) {
  if (l->o.mean == 0 && l->o.std == 1) return;
  for (int64_t i = 0; i < n; i++) v[i] = (pl_real)((v[i] - l->o.mean) / l->o.std);
}

static int64_t row_numel(shape s) { return (int64_t)s.c * s.h * s.w; }

static pl_real *row_of(const pl_tensor *out, shape s, int64_t i) {
  return pl_reals(out) + i * row_numel(s);
}

static void put_row(const pl_loader *l, const pl_picture *p, pl_real *out) {
  pl_picture_put(p, out, pl_layout_row(PL_REAL, p->h, p->w));
  normalise(l, out, row_numel(shape_of(p)));
}

/* As pl_image_batch has them, bit for bit. */
static void put_pixels(const pl_loader *l, int64_t i, pl_real *out) {
  const pl_pictures *s = l->o.pictures;
  const uint8_t *in = pl_pictures_pixels(s, i);
  const int64_t n = (int64_t)s->h * s->w;
  for (int k = 0; k < s->c; k++)
    for (int64_t j = 0; j < n; j++) *out++ = l->value[in[j * s->c + k]];
}

static bool is_plain(const pl_loader *l) { return l->o.pictures->images && !l->turn; }

static bool get_row(const pl_loader *l, int64_t place, pl_reader *r, pl_picture *p) {
  return pl_pictures_get(l->o.pictures, l->row[place] - 1, r, p) && transform(l, place, p);
}

/* For threads: false if it cannot be read, or has not the shape that the others should have. */
static bool make_row(const pl_loader *l, int64_t place, pl_reader *r, shape s, pl_real *out) {
  if (is_plain(l)) return put_pixels(l, l->row[place] - 1, out), true;
  pl_picture p = {0};
  const bool ok = get_row(l, place, r, &p) && same(shape_of(&p), s);
  if (ok) put_row(l, &p, out);
  pl_picture_free(&p);
  return ok;
}

/*
** Batches that are made by the thread that uses them
*/

static int batch_rows(const pl_loader *l, int64_t i) {
  return (int)PL_MIN(l->o.batch_size, l->n - i * l->o.batch_size);
}

/* "cat/1.jpg", or of a tensor "row 7". */
static const char *name_of(const pl_loader *l, int64_t place, char text[32]) {
  const int row = l->row[place];
  if (l->o.pictures->images) return snprintf(text, 32, "row %d", row), text;
  return l->o.pictures->files.v[row - 1];
}

static bool fail_shapes(const pl_loader *l, int64_t first, shape a, int64_t other, shape b) {
  char one[32], two[32];
  return pl_fail(
      "batches: %s is %d x %d with %d channels, but %s is %d x %d with %d; the options "
      "size and mode of data.folder make them equal, or a transform does",
      name_of(l, first, one), a.h, a.w, a.c, name_of(l, other, two), b.h, b.w, b.c);
}

static pl_tensor *new_batch(int n, shape s) { return pl_empty(PL_REAL, pl_list(n, s.c, s.h, s.w)); }

/* Row i of a batch, whose first row makes the tensor. */
static bool add_row(pl_loader *l, int64_t first, int n, int i, pl_picture *p, pl_tensor **out) {
  if (!pl_check_interrupt() || !get_row(l, first + i, &l->reader, p)) return false;
  if (i == 0) {
    l->shape = shape_of(p);
    *out = new_batch(n, l->shape);
  }
  if (!same(shape_of(p), l->shape)) return fail_shapes(l, first, l->shape, first + i, shape_of(p));
  if (*out) put_row(l, p, row_of(*out, l->shape, i));
  return *out != NULL;
}

static pl_tensor *make_pictures(pl_loader *l, int64_t first, int n) {
  pl_tensor *out = NULL;
  bool ok = true;
  for (int i = 0; i < n && ok; i++) {
    pl_picture p = {0};
    ok = add_row(l, first, n, i, &p, &out);
    pl_picture_free(&p);
  }
  return ok ? out : NULL;
}

static pl_tensor *make_plain(const pl_loader *l, int64_t first, int n) {
  pl_tensor *out = new_batch(n, l->shape);
  for (int i = 0; out && i < n; i++) put_pixels(l, l->row[first + i] - 1, row_of(out, l->shape, i));
  return out;
}

static pl_tensor *make_here(pl_loader *l, int64_t i) {
  const int64_t first = i * l->o.batch_size;
  const int n = batch_rows(l, i);
  return is_plain(l) ? make_plain(l, first, n) : make_pictures(l, first, n);
}

/*
** Threads
*/

/* With the lock: the oldest batch that has rows nobody makes. */
static batch *open_batch(const pl_loader *l) {
  for (int64_t i = l->taken; i < l->posted; i++) {
    batch *b = &l->ring[i % (l->o.ahead + 1)];
    if (b->next < b->n) return b;
  }
  return NULL;
}

/* So few rows that all threads end at about the same time. */
static int share_of(const pl_loader *l, const batch *b) {
  const int share = PL_MAX(1, PL_MIN(16, b->n / (8 * l->started)));
  return PL_MIN(share, b->n - b->next);
}

/* With the lock, which it gives up meanwhile. */
static void work_on(pl_loader *l, worker *w, batch *b) {
  const int from = b->next, n = share_of(l, b);
  const int64_t place = b->first + from;
  const pl_ints size = pl_size(b->out);
  const shape s = {(int)size.v[1], (int)size.v[2], (int)size.v[3]};
  pl_real *out = row_of(b->out, s, from);
  bool ok = !b->failed;
  b->next += n;
  pthread_mutex_unlock(&l->lock);
  for (int i = 0; i < n && ok; i++)
    ok = pl_check_interrupt() && make_row(l, place + i, &w->reader, s, out + i * row_numel(s));
  pl_error_clear();
  pthread_mutex_lock(&l->lock);
  b->failed = b->failed || !ok;
  b->done += n;
  if (b->done == b->n) pthread_cond_signal(&l->ready);
}

static void *work(void *arg) {
  worker *w = arg;
  pl_loader *l = w->loader;
  pl_here = w->context; /* and not by pl_context_enter, which would make a second one */
  pthread_mutex_lock(&l->lock);
  while (!l->stop) {
    batch *b = open_batch(l);
    if (b) work_on(l, w, b);
    else pthread_cond_wait(&l->work, &l->lock);
  }
  pthread_mutex_unlock(&l->lock);
  pl_here = NULL;
  return NULL;
}

/* It fails there, and again for the thread that uses the batch, where the limit ends the run. */
static void reached(pl_context *c, pl_status why) { (void)c, (void)why; }

/* The thread may touch the files that its host may, and its limit holds for each picture. */
static bool start_worker(pl_loader *l, worker *w) {
  w->loader = l;
  w->context = pl_context_open();
  if (!w->context) return false;
  w->context->access = l->host->access;
  w->context->bound = (pl_bound){.bytes = l->host->bound.bytes, .reached = reached};
  if (pthread_create(&w->thread, NULL, work, w) == 0) return true;
  pl_context_close(w->context);
  return false;
}

/* Of a host with a policy as many as its kernels may have, which its scripts cannot raise. */
static int most_threads(const pl_loader *l) {
  const int most = l->host->access ? pl_threads(0) : PL_LOADER_THREADS;
  return PL_MIN(l->o.workers, most - l->host->loader_threads);
}

/* Signals belong to the threads that the program has: a stop signal sent to a host's thread, say. Fewer
   threads than were asked for do the same. */
static void start_workers(pl_loader *l) {
  const int n = most_threads(l);
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  l->workers = n > 0 ? calloc((size_t)n, sizeof *l->workers) : NULL;
  /* They ask how many there are, with the lock. */
  pthread_mutex_lock(&l->lock);
  while (l->workers && l->started < n && start_worker(l, &l->workers[l->started])) l->started++;
  pthread_mutex_unlock(&l->lock);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  l->host->loader_threads += l->started;
  l->o.workers = l->started;
}

static void end_workers(pl_loader *l) {
  if (l->started && l->process == getpid()) {
    pthread_mutex_lock(&l->lock);
    l->stop = true;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
    for (int i = 0; i < l->started; i++) pl_context_interrupt(l->workers[i].context);
    for (int i = 0; i < l->started; i++) {
      pthread_join(l->workers[i].thread, NULL);
      pl_context_close(l->workers[i].context);
      free(l->workers[i].reader.bytes);
    }
  }
  l->host->loader_threads -= l->started;
  free(l->workers);
  l->workers = NULL;
  l->started = l->o.workers = 0;
}

static void drop_batches(pl_loader *l) {
  for (; l->posted > l->taken; l->posted--)
    pl_release(l->ring[(l->posted - 1) % (l->o.ahead + 1)].out);
}

/* A child has the batches that were used, and no threads to make others. What they had is lost. */
static void notice_fork(pl_loader *l) {
  if (l->process == getpid()) return;
  if (l->started) {
    end_workers(l);
    drop_batches(l);
    l->has_lock = false;
  }
  l->process = getpid();
}

/*
** Batches that threads make
*/

/* The shape of the next batch, by its first row; what is wrong with that comes out where the batch is
   made. */
static void guess_shape(pl_loader *l) {
  if (l->shape.c) return;
  pl_picture p = {0};
  if (get_row(l, l->taken * l->o.batch_size, &l->reader, &p)) l->shape = shape_of(&p);
  pl_picture_free(&p);
  pl_error_clear();
}

/* Memory for what is made ahead is taken only if there is some; no error is one of a later batch. */
static bool post(pl_loader *l) {
  const int n = batch_rows(l, l->posted);
  const int64_t bytes = n * row_numel(l->shape) * (int64_t)sizeof(pl_real);
  const bool needed = l->posted == l->taken;
  if (!needed && !pl_within_bound(l->host, bytes)) return false;
  pl_tensor *out = new_batch(n, l->shape);
  if (!out) {
    if (!needed) pl_error_clear();
    return false;
  }
  pl_retain(out);
  pthread_mutex_lock(&l->lock);
  l->ring[l->posted % (l->o.ahead + 1)] =
      (batch){.out = out, .first = l->posted * l->o.batch_size, .n = n};
  l->posted++;
  pthread_cond_broadcast(&l->work);
  pthread_mutex_unlock(&l->lock);
  return true;
}

static void post_all(pl_loader *l) {
  while (l->posted < l->o.batches && l->posted - l->taken <= l->o.ahead && post(l)) {
  }
}

enum { NANOSECONDS = 1000000000, LOOK = 20000000 }; /* between two looks for an interrupt */

static struct timespec soon(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  t.tv_nsec += LOOK;
  t.tv_sec += t.tv_nsec / NANOSECONDS;
  t.tv_nsec %= NANOSECONDS;
  return t;
}

static bool wait_for(pl_loader *l, const batch *b) {
  bool on = true;
  pthread_mutex_lock(&l->lock);
  while (b->done < b->n && (on = pl_check_interrupt())) {
    const struct timespec until = soon();
    pthread_cond_timedwait(&l->ready, &l->lock, &until);
  }
  pthread_mutex_unlock(&l->lock);
  return on;
}

static void take(pl_loader *l) {
  pthread_mutex_lock(&l->lock);
  l->taken++;
  pthread_mutex_unlock(&l->lock);
}

/* In the open scope; after an interrupt the batch stays. */
static pl_tensor *take_posted(pl_loader *l) {
  const batch *b = &l->ring[l->taken % (l->o.ahead + 1)];
  if (!wait_for(l, b)) return NULL;
  pl_tensor *out = b->failed ? make_here(l, l->taken) : pl_scope_own(pl_retain(b->out));
  if (!out && pl_interrupted()) return NULL;
  pl_release(b->out);
  take(l);
  return out;
}

/* One that was not posted. In the child of a fork nobody gives back the lock, and nobody else counts. */
static void skip(pl_loader *l) {
  if (l->started) pthread_mutex_lock(&l->lock);
  l->taken = ++l->posted;
  if (l->started) pthread_mutex_unlock(&l->lock);
}

static pl_tensor *next_here(pl_loader *l) {
  pl_tensor *out = make_here(l, l->taken);
  if (out || !pl_interrupted()) skip(l);
  return out;
}

/* Without a shape, of which only a failure keeps the first row, there is nothing to post. */
static pl_tensor *next_of_workers(pl_loader *l) {
  guess_shape(l);
  if (l->shape.c) post_all(l);
  if (pl_error()) return NULL;
  pl_tensor *out = l->posted > l->taken ? take_posted(l) : next_here(l);
  if (out) post_all(l);
  return out;
}

static bool check_unchanged(const pl_loader *l) {
  const pl_tensor *images = l->o.pictures->images;
  return !images || images->storage->version == l->version ||
         pl_fail("batches: the images were changed before all batches of them were used");
}

/* One that nobody wants any more, for its script was interrupted. */
static bool pass_over(pl_loader *l) {
  if (l->posted > l->taken) {
    const batch *b = &l->ring[l->taken % (l->o.ahead + 1)];
    if (!wait_for(l, b)) return false;
    pl_release(b->out);
    take(l);
  } else {
    skip(l);
  }
  return true;
}

static pl_tensor *next_batch(pl_loader *l, int64_t i) {
  notice_fork(l);
  if (!check_unchanged(l)) return NULL;
  while (l->taken < i)
    if (!pass_over(l)) return NULL;
  if (l->o.workers && !l->started) start_workers(l);
  return l->started ? next_of_workers(l) : next_here(l);
}

pl_tensor *pl_loader_next(pl_loader *l, int64_t i) {
  if (pl_error() || i >= l->o.batches) return NULL;
  if (i < l->taken) return pl_fail("batches: batch %lld was used", (long long)i + 1), NULL;
  const double began = pl_clock();
  pl_span span;
  pl_span_begin(&span, "batches", false);
  pl_tensor *out = next_batch(l, i);
  pl_span_end(&span, 0, 0);
  if (l->taken == l->o.batches) end_workers(l);
  l->host->data_seconds += pl_clock() - began;
  return out;
}

/*
** Opening and closing
*/

static bool check_rows(const pl_loader *l) {
  const int64_t n = l->o.pictures->n;
  for (int64_t i = 0; i < l->n; i++)
    if (l->row[i] < 1 || l->row[i] > n)
      return pl_fail("batches: row %lld is %d; 1 to %lld expected", (long long)i + 1, l->row[i],
                     (long long)n);
  return true;
}

static bool check_options(const pl_loader_options *o) {
  if (pl_dtype_of(o->rows) != PL_INT32 || pl_rank(o->rows) != 1)
    return pl_fail("batches: rows are %s; int32 [n] expected", PL_DESCRIBE(o->rows));
  if (!(o->std > 0)) return pl_fail("batches: std is %g; a positive number expected", o->std);
  if (o->batch_size < 1 || o->batch_size > INT32_MAX || o->ahead < 1 || o->skip < 0)
    return pl_fail("batches: batches of %lld rows, %d ahead, behind %lld others",
                   (long long)o->batch_size, o->ahead, (long long)o->skip);
  return o->batches <= pl_ceil_div(pl_numel(o->rows), o->batch_size) ||
         pl_fail("batches: %lld of %lld rows each, of %lld rows", (long long)o->batches,
                 (long long)o->batch_size, (long long)pl_numel(o->rows));
}

/* A picture that comes twice in a pass has other random numbers the second time. */
static bool count_turns(pl_loader *l) {
  if (!l->o.transform[0] && !l->o.transform[1]) return true;
  uint32_t *seen = calloc((size_t)l->o.pictures->n + 1, sizeof *seen);
  l->turn = malloc(((size_t)l->n + 1) * sizeof *l->turn);
  const bool ok = seen && l->turn;
  for (int64_t i = 0; ok && i < l->n; i++) l->turn[i] = seen[l->row[i]]++;
  free(seen);
  return ok;
}

static bool make_lock(pl_loader *l) {
  pthread_condattr_t clock;
  if (pthread_condattr_init(&clock) != 0) return false;
  pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
  l->has_lock = pthread_mutex_init(&l->lock, NULL) == 0 && pthread_cond_init(&l->work, NULL) == 0 &&
                pthread_cond_init(&l->ready, &clock) == 0;
  pthread_condattr_destroy(&clock);
  return l->has_lock;
}

static bool fail_memory(const pl_loader *l) {
  return pl_fail_as(PL_ERROR_MEMORY, "batches: not enough memory for %lld rows", (long long)l->n);
}

/* Takes hold of all that it was given. */
static bool hold(pl_loader *l) {
  pl_pictures_retain(l->o.pictures);
  for (int i = 0; i < PL_LOADER_TRANSFORMS; i++)
    if (l->o.transform[i]) pl_transform_retain(l->o.transform[i]);
  const pl_tensor *rows = pl_contiguous(l->o.rows);
  l->o.rows = NULL;
  if (!rows) return false;
  l->n = pl_numel(rows);
  l->row = malloc(((size_t)l->n + 1) * sizeof *l->row);
  if (!l->row) return fail_memory(l);
  memcpy(l->row, pl_int32s(rows), (size_t)l->n * sizeof *l->row);
  return true;
}

static bool begin(pl_loader *l) {
  const pl_pictures *s = l->o.pictures;
  if (!check_rows(l)) return false;
  l->ring = calloc((size_t)l->o.ahead + 1, sizeof *l->ring);
  if (!l->ring || !make_lock(l) || !count_turns(l)) return fail_memory(l);
  l->taken = l->posted = PL_MIN(l->o.skip, l->o.batches);
  if (s->images) l->version = s->images->storage->version;
  if (is_plain(l)) l->shape = (shape){s->c, s->h, s->w};
  for (int i = 0; i < 256; i++) l->value[i] = (pl_real)((i / 255.0 - l->o.mean) / l->o.std);
  return true;
}

pl_loader *pl_loader_open(const pl_loader_options *o) {
  if (!check_options(o)) return NULL;
  pl_loader *l = calloc(1, sizeof *l);
  if (!l) return pl_fail_as(PL_ERROR_MEMORY, "batches: not enough memory"), NULL;
  l->o = *o;
  l->host = PL_HERE;
  l->process = getpid();
  if (hold(l) && begin(l)) return l;
  pl_loader_close(l);
  return NULL;
}

/* In a child the threads that were waiting are gone, and to destroy what they waited for would wait
   for them. */
static void end_lock(pl_loader *l) {
  if (!l->has_lock || l->process != getpid()) return;
  pthread_cond_destroy(&l->ready);
  pthread_cond_destroy(&l->work);
  pthread_mutex_destroy(&l->lock);
}

void pl_loader_close(pl_loader *l) {
  if (!l) return;
  end_workers(l);
  if (l->ring) drop_batches(l);
  end_lock(l);
  free(l->row);
  pl_pictures_release(l->o.pictures);
  for (int i = 0; i < PL_LOADER_TRANSFORMS; i++) pl_transform_release(l->o.transform[i]);
  free(l->reader.bytes);
  free(l->turn);
  free(l->ring);
  free(l);
}
