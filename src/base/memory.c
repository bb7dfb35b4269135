/*
** memory.c: blocks in size classes, four to an octave, each with a list of free blocks.
** A block carries a 64-byte header before its data, so data stay aligned and freeing
** needs no table. Cached bytes are capped at what was once live at the same time.
** Small objects have lists of their own, in each thread.
*/
#include "base.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64, CLASSES = 4 * 48, SMALLEST_CACHE = 64 << 20 };

typedef struct block {
  pl_storage storage; /* of a tensor; in its place, so that it costs nothing */
  struct block *next;
  void *start; /* as malloc gave it */
  size_t capacity;
  int class;
} block;
_Static_assert(sizeof(block) <= ALIGN, "the header must fit before the data");

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static block *free_list[CLASSES];
static int64_t tensors, live_bytes, peak_bytes, cached_bytes;
static int64_t fail_after = -1;
static void (*reclaim)(size_t bytes);

/* The smallest class that holds `bytes`: capacity = (4 + quarter) << octave, in units of 64. */
static int class_of(size_t bytes, size_t *capacity) {
  size_t units = (bytes + ALIGN - 1) / ALIGN;
  if (units < 4) units = 4;
  int octave = 0;
  while ((units - 1) >> octave >= 8) octave++;
  size_t quarter = (units + ((size_t)1 << octave) - 1) >> octave; /* 4..8 */
  if (quarter == 8) quarter = 4, octave++;
  *capacity = (quarter << octave) * ALIGN;
  return octave * 4 + (int)quarter - 4;
}

static void trim_locked(void) {
  for (int c = 0; c < CLASSES; c++)
    for (block *b = free_list[c]; b;) {
      block *next = b->next;
      free(b->start);
      b = next;
    }
  memset(free_list, 0, sizeof free_list);
  cached_bytes = 0;
}

/* Test aid: counts down, then refuses everything. */
static bool refused(void) {
  if (fail_after < 0) return false;
  if (fail_after > 0) return fail_after--, false;
  return true;
}

/*
** malloc and a little more, not aligned_alloc: glibc before 2.38 does not find a freed aligned
** block again for a request of the same size, and the heap grows with each.
*/
static block *new_block(size_t capacity, int class) {
  void *start = malloc(capacity + 2 * ALIGN);
  if (!start) return NULL;
  block *b = (block *)(((uintptr_t)start + ALIGN - 1) / ALIGN * ALIGN);
  *b = (block){.start = start, .capacity = capacity, .class = class};
  return b;
}

static void *try_alloc(size_t bytes) {
  size_t capacity;
  if (bytes > (size_t)1 << 46) return NULL;
  int class = class_of(bytes, &capacity);
  pthread_mutex_lock(&lock);
  const bool refuse = refused();
  block *b = refuse ? NULL : free_list[class];
  if (b) {
    free_list[class] = b->next;
    cached_bytes -= (int64_t)b->capacity;
  } else if (!refuse) {
    b = new_block(capacity, class);
  }
  pthread_mutex_unlock(&lock);
  return b ? (char *)b + ALIGN : NULL;
}

static void *alloc(size_t bytes) {
  void *p = try_alloc(bytes);
  if (p) return p;
  if (reclaim) reclaim(bytes);
  pl_memory_trim();
  if ((p = try_alloc(bytes))) return p;
  pl_fail("not enough memory for %zu bytes", bytes);
  return NULL;
}

static void give_back(void *p) {
  block *b = (block *)((char *)p - ALIGN);
  pthread_mutex_lock(&lock);
  int64_t cap = PL_MAX(peak_bytes, (int64_t)SMALLEST_CACHE);
  if (cached_bytes + (int64_t)b->capacity > cap) {
    free(b->start);
  } else {
    b->next = free_list[b->class];
    free_list[b->class] = b;
    cached_bytes += (int64_t)b->capacity;
  }
  pthread_mutex_unlock(&lock);
}

void *pl_scratch(size_t bytes) { return alloc(bytes); }

void pl_scratch_free(void *p) {
  if (p) give_back(p);
}

pl_storage *pl_storage_new(size_t bytes) {
  void *p = alloc(PL_MAX(bytes, 1));
  if (!p) return NULL;
  live_bytes += (int64_t)PL_MAX(bytes, 1);
  peak_bytes = PL_MAX(peak_bytes, live_bytes);
  pl_storage *s = &((block *)((char *)p - ALIGN))->storage;
  *s = (pl_storage){.refs = 1, .bytes = bytes, .data = p};
  return s;
}

void pl_storage_release(pl_storage *s) {
  if (!s || --s->refs) return;
  live_bytes -= (int64_t)PL_MAX(s->bytes, 1);
  give_back(s->data);
}

/*
** The end of a thread
*/

static PL_THREAD_LOCAL struct {
  void (*f[PL_ENDS])(void);
  int n;
} ends;
static pthread_key_t end_of_thread;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void call_ends(void *unused) {
  (void)unused;
  while (ends.n) ends.f[--ends.n]();
}

static void make_key(void) { pthread_key_create(&end_of_thread, call_ends); }

void pl_at_thread_end(void (*f)(void)) {
  pthread_once(&once, make_key);
  pthread_setspecific(end_of_thread, &ends);
  if (ends.n < PL_ENDS) ends.f[ends.n++] = f;
}

/*
** Small objects
*/

/* The address sanitizer must see each one end. */
#if defined(__SANITIZE_ADDRESS__)
#define WATCHED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WATCHED 1
#endif
#endif
#ifndef WATCHED
#define WATCHED 0
#endif

enum {
  STEP = 64,
  SIZES = 8,
  MOST_KEPT = WATCHED ? 0 : 1024
}; /* sizes are multiples of STEP bytes */

typedef struct object {
  struct object *next;
} object;

static PL_THREAD_LOCAL struct {
  object *list;
  int n;
} kept[SIZES];
static PL_THREAD_LOCAL bool end_noted;

static void free_kept(void) {
  for (int i = 0; i < SIZES; i++)
    for (object *o; (o = kept[i].list); free(o)) kept[i].list = o->next;
}

static size_t size_class(size_t bytes) { return (bytes - 1) / STEP; }

static void *try_object(size_t bytes) {
  const size_t c = size_class(bytes);
  if (refused()) return NULL;
  object *o = c < SIZES ? kept[c].list : NULL;
  if (!o) return calloc(c + 1, STEP);
  kept[c].list = o->next;
  kept[c].n--;
  return memset(o, 0, bytes);
}

void *pl_object_new(size_t bytes) {
  void *p = try_object(bytes);
  if (!p && reclaim) {
    reclaim(bytes);
    p = try_object(bytes);
  }
  if (!p) pl_fail("not enough memory for %zu bytes", bytes);
  return p;
}

void pl_object_free(void *p, size_t bytes) {
  const size_t c = size_class(bytes);
  if (c >= SIZES || kept[c].n >= MOST_KEPT) {
    free(p);
    return;
  }
  if (!end_noted) pl_at_thread_end(free_kept), end_noted = true;
  object *o = p;
  o->next = kept[c].list;
  kept[c].list = o;
  kept[c].n++;
}

void pl_count_tensor(int delta) { tensors += delta; }

pl_memory pl_memory_now(void) { return (pl_memory){tensors, live_bytes, cached_bytes}; }

void pl_memory_trim(void) {
  pthread_mutex_lock(&lock);
  trim_locked();
  pthread_mutex_unlock(&lock);
}

void pl_memory_on_shortage(void (*f)(size_t bytes)) { reclaim = f; }

void pl_memory_fail_after(int64_t n) { fail_after = n; }
