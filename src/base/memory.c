/*
** memory.c: blocks in size classes, four to an octave, each with a list of free blocks.
** A block carries a 64-byte header before its data, so data stay aligned and freeing
** needs no table. Cached bytes are capped at what was once live at the same time.
** Small objects have lists of their own. All lists are the context's, so nothing is locked.
*/
#include "base.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64, SMALLEST_CACHE = 64 << 20 };

typedef struct pl_block {
  pl_storage storage; /* of a tensor; in its place, so that it costs nothing */
  struct pl_block *next;
  void *start; /* as malloc gave it */
  size_t capacity;
} block;
_Static_assert(sizeof(block) <= ALIGN, "the header must fit before the data");

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

static void trim(pl_context *c) {
  for (int i = 0; i < PL_BLOCK_CLASSES; i++)
    for (block *b; (b = c->blocks[i]); free(b->start)) c->blocks[i] = b->next;
  c->cached_bytes = 0;
}

/* Test aid: counts down, then refuses everything. */
static bool refused(pl_context *c) {
  if (c->fail_after < 0) return false;
  if (c->fail_after > 0) return c->fail_after--, false;
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
  *b = (block){.storage.class = (uint8_t) class, .start = start, .capacity = capacity};
  return b;
}

static int64_t live_bytes(const pl_context *c) {
  return c->account.bytes - atomic_load_explicit(&c->account.bytes_elsewhere, memory_order_relaxed);
}

static pl_memory memory_of(const pl_context *c) {
  const pl_account *a = &c->account;
  return (pl_memory){a->tensors - atomic_load_explicit(&a->tensors_elsewhere, memory_order_relaxed),
                     live_bytes(c), c->cached_bytes};
}

/* Of a tensor beside its values: its header, and the call that made it. */
enum { TENSOR_BYTES = 512 };

bool pl_within_bound(pl_context *c, int64_t bytes) {
  const pl_memory m = memory_of(c);
  const int64_t used =
      m.live_bytes + m.tensors * TENSOR_BYTES + c->scratch_bytes + c->bound.others + bytes;
  if (!c->bound.bytes || used + c->cached_bytes <= c->bound.bytes) return true;
  if (c->cached_bytes) trim(c);
  return used <= c->bound.bytes;
}

static void *try_alloc(pl_context *c, size_t bytes) {
  size_t capacity;
  if (bytes > (size_t)1 << 46 || refused(c)) return NULL;
  const int class = class_of(bytes, &capacity);
  block *b = c->blocks[class];
  if (b) {
    c->blocks[class] = b->next;
    c->cached_bytes -= (int64_t)b->capacity;
  } else {
    b = new_block(capacity, class);
  }
  return b ? (char *)b + ALIGN : NULL;
}

/* The same once there is less garbage; tells of it if not. */
static bool may_alloc(pl_context *c, size_t bytes) {
  const int64_t more = (int64_t)PL_MIN(bytes, (size_t)INT64_MAX / 2);
  if (pl_within_bound(c, more)) return true;
  if (c->reclaim) c->reclaim(bytes);
  if (pl_within_bound(c, more)) return true;
  c->bound.reached(c, PL_ERROR_BYTES);
  pl_fail_as(PL_ERROR_BYTES, "%zu bytes more are beyond the limit of %lld bytes", bytes,
             (long long)c->bound.bytes);
  return false;
}

static void *alloc(pl_context *c, size_t bytes) {
  if (c->bound.bytes && !may_alloc(c, bytes)) return NULL;
  void *p = try_alloc(c, bytes);
  if (p) return p;
  if (c->reclaim) c->reclaim(bytes);
  trim(c);
  if ((p = try_alloc(c, bytes))) return p;
  pl_fail_as(PL_ERROR_MEMORY, "not enough memory for %zu bytes", bytes);
  return NULL;
}

static void give_back(pl_context *c, void *p) {
  block *b = (block *)((char *)p - ALIGN);
  const int64_t cap = PL_MAX(c->account.peak_bytes, (int64_t)SMALLEST_CACHE);
  if (c->cached_bytes + (int64_t)b->capacity > cap) {
    free(b->start);
  } else {
    b->next = c->blocks[b->storage.class];
    c->blocks[b->storage.class] = b;
    c->cached_bytes += (int64_t)b->capacity;
  }
}

static int64_t capacity_of(void *p) { return (int64_t)((block *)((char *)p - ALIGN))->capacity; }

void *pl_scratch(size_t bytes) {
  pl_context *c = PL_HERE;
  void *p = alloc(c, bytes);
  if (p) c->scratch_bytes += capacity_of(p);
  return p;
}

void pl_scratch_free(void *p) {
  pl_context *c = PL_HERE;
  if (!p) return;
  c->scratch_bytes -= capacity_of(p);
  give_back(c, p);
}

/*
** The account
*/

/* A tensor, or storage of so many bytes, of another context ends. */
static void end_elsewhere(pl_context *owner, int tensors, int64_t bytes) {
  pl_account *a = &owner->account;
  atomic_fetch_add_explicit(&a->tensors_elsewhere, tensors, memory_order_relaxed);
  atomic_fetch_add_explicit(&a->bytes_elsewhere, bytes, memory_order_relaxed);
  if (atomic_fetch_sub(&a->left, 1) == 1) pl_context_free(owner);
}

pl_context *pl_tensor_begin(void) {
  pl_context *c = PL_HERE;
  c->account.tensors++;
  return c;
}

void pl_tensor_end(pl_context *owner) {
  if (owner == PL_HERE) owner->account.tensors--;
  else end_elsewhere(owner, 1, 0);
}

/* What ended elsewhere is taken off when it matters: when there seems to be more than ever. */
static void note_peak(pl_account *a) {
  a->bytes -= atomic_exchange_explicit(&a->bytes_elsewhere, 0, memory_order_relaxed);
  a->peak_bytes = PL_MAX(a->peak_bytes, a->bytes);
}

static void begin_storage(pl_context *c, size_t bytes) {
  c->account.storages++;
  c->account.bytes += (int64_t)PL_MAX(bytes, 1);
  if (c->account.bytes > c->account.peak_bytes) note_peak(&c->account);
}

static bool fits(const pl_context *c, size_t bytes) {
  const int64_t room = c->most_bytes - live_bytes(c);
  return room >= 0 && bytes <= (size_t)room;
}

/* Whether so many bytes more are within the limit, perhaps once there is less garbage. */
static bool within_limit(pl_context *c, size_t bytes) {
  if (!c->most_bytes || fits(c, bytes)) return true;
  if (c->reclaim) c->reclaim(bytes);
  if (fits(c, bytes)) return true;
  pl_fail_as(PL_ERROR_MEMORY, "%zu bytes more are beyond the limit of %lld bytes", bytes,
             (long long)c->most_bytes);
  return false;
}

pl_storage *pl_storage_new(size_t bytes) {
  pl_context *c = PL_HERE;
  void *p = within_limit(c, bytes) ? alloc(c, PL_MAX(bytes, 1)) : NULL;
  if (!p) return NULL;
  pl_storage *s = &((block *)((char *)p - ALIGN))->storage;
  *s = (pl_storage){.refs = 1, .bytes = bytes, .data = p, .owner = c, .class = s->class};
  begin_storage(c, bytes);
  return s;
}

typedef struct {
  pl_storage storage; /* first */
  void (*release)(void *user);
  void *user;
} lent;

pl_storage *pl_storage_lent(void *data, size_t bytes) {
  lent *l = pl_object_new(sizeof *l);
  if (!l) return NULL;
  l->storage =
      (pl_storage){.refs = 1, .bytes = bytes, .data = data, .owner = PL_HERE, .lent = true};
  begin_storage(l->storage.owner, bytes);
  return &l->storage;
}

void pl_storage_when_released(pl_storage *s, void (*release)(void *user), void *user) {
  lent *l = (lent *)s;
  l->release = release;
  l->user = user;
}

pl_storage *pl_storage_retain(pl_storage *s) {
  if (s) pl_refs_add(&s->refs, s->shared);
  return s;
}

static void end_lent(pl_storage *s) {
  const lent l = *(lent *)s;
  pl_object_free(s, sizeof(lent));
  if (l.release) l.release(l.user);
}

void pl_storage_release(pl_storage *s) {
  if (!s || pl_refs_drop(&s->refs, s->shared)) return;
  pl_context *c = PL_HERE, *owner = s->owner;
  const int64_t bytes = (int64_t)PL_MAX(s->bytes, 1);
  if (s->lent) end_lent(s);
  else give_back(c, s->data);
  if (owner == c) c->account.storages--, c->account.bytes -= bytes;
  else end_elsewhere(owner, 0, bytes);
}

void pl_storage_hold(pl_storage *s, int change) {
  if (!s) return;
  const int before = s->shared ? __atomic_fetch_add(&s->nodes, change, __ATOMIC_RELAXED) : s->nodes;
  if (!s->shared) s->nodes += change;
  if (before != 0 && before + change != 0) return;
  pl_account *a = &s->owner->account;
  const int64_t bytes = (before ? -1 : 1) * (int64_t)s->bytes;
  if (s->owner == PL_HERE) a->held_bytes += bytes;
  else atomic_fetch_add_explicit(&a->held_elsewhere, bytes, memory_order_relaxed);
}

pl_memory pl_memory_now(void) { return memory_of(PL_HERE); }

/* As much as the caller knows of; the rest is zero to one who knows more. */
static bool copy_stats(pl_stats *to, const pl_stats *all) {
  const size_t size = to->size;
  if (size < sizeof size || size > 4096)
    return pl_fail("stats: the size of the struct is %zu; %zu expected", size, sizeof *all);
  memset(to, 0, size);
  memcpy(to, all, PL_MIN(size, sizeof *all));
  to->size = size;
  return true;
}

bool pl_stats_now(pl_stats *stats) {
  const pl_context *c = PL_HERE;
  const pl_account *a = &c->account;
  const pl_memory m = pl_memory_now();
  const int64_t held =
      a->held_bytes + atomic_load_explicit(&a->held_elsewhere, memory_order_relaxed);
  const pl_stats all = {.tensors = m.tensors,
                        .tensor_bytes = m.live_bytes,
                        .graph_bytes = held,
                        .peak_bytes = a->peak_bytes,
                        .cached_bytes = m.cached_bytes,
                        .op_seconds = pl_profile_seconds(&c->profile),
                        .data_seconds = c->data_seconds};
  return copy_stats(stats, &all);
}

void pl_peak_reset(void) {
  pl_account *a = &PL_HERE->account;
  a->peak_bytes = 0;
  note_peak(a);
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

enum { STEP = 64, MOST_KEPT = WATCHED ? 0 : 1024 }; /* sizes are multiples of STEP bytes */

typedef struct pl_object {
  struct pl_object *next;
} object;

static void free_objects(pl_context *c) {
  for (int i = 0; i < PL_OBJECT_CLASSES; i++)
    for (object *o; (o = c->objects[i].list); free(o)) c->objects[i].list = o->next;
}

static size_t size_class(size_t bytes) { return (bytes - 1) / STEP; }

static void *try_object(pl_context *c, size_t bytes) {
  const size_t k = size_class(bytes);
  if (refused(c)) return NULL;
  object *o = k < PL_OBJECT_CLASSES ? c->objects[k].list : NULL;
  if (!o) return calloc(k + 1, STEP);
  c->objects[k].list = o->next;
  c->objects[k].n--;
  return memset(o, 0, bytes);
}

void *pl_object_new(size_t bytes) {
  pl_context *c = PL_HERE;
  void *p = try_object(c, bytes);
  if (!p && c->reclaim) {
    c->reclaim(bytes);
    p = try_object(c, bytes);
  }
  if (!p) pl_fail_as(PL_ERROR_MEMORY, "not enough memory for %zu bytes", bytes);
  return p;
}

void pl_object_free(void *p, size_t bytes) {
  pl_context *c = PL_HERE;
  const size_t k = size_class(bytes);
  if (k >= PL_OBJECT_CLASSES || c->objects[k].n >= MOST_KEPT) {
    free(p);
    return;
  }
  object *o = p;
  o->next = c->objects[k].list;
  c->objects[k].list = o;
  c->objects[k].n++;
}

/*
** The context's part
*/

void pl_memory_begin(pl_context *c) { c->fail_after = -1; }

bool pl_memory_end(pl_context *c) {
  const int64_t there = c->account.tensors + c->account.storages;
  trim(c);
  free_objects(c);
  return atomic_fetch_add(&c->account.left, there) + there == 0;
}

void pl_memory_trim(void) { trim(PL_HERE); }

void pl_memory_on_shortage(void (*f)(size_t bytes)) { PL_HERE->reclaim = f; }

int64_t pl_memory_limit(int64_t bytes) {
  pl_context *c = PL_HERE;
  const int64_t before = c->most_bytes;
  if (bytes >= 0) c->most_bytes = bytes;
  return before;
}

void pl_memory_fail_after(int64_t n) { PL_HERE->fail_after = n; }
