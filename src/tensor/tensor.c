/*
** tensor.c: storage, tensors, scopes, and the plain queries of the public header.
*/
#include "tensor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void (*pl_history_drop)(pl_tensor *t);

/*
** Scopes
*/

enum { FIRST_ROOM = 256 };

static bool push(pl_tensor *t) {
  pl_context *c = PL_HERE;
  if (c->owned.n == c->owned.room) {
    const size_t room = c->owned.room ? 2 * c->owned.room : FIRST_ROOM;
    pl_tensor **v = realloc(c->owned.v, room * sizeof *v);
    if (!v) return pl_fail_as(PL_ERROR_MEMORY, "not enough memory for %zu bytes", room * sizeof *v);
    c->owned.v = v;
    c->owned.room = room;
  }
  c->owned.v[c->owned.n++] = t;
  return true;
}

void pl_scope_begin(void) { push(NULL); }

void pl_scope_end(void) {
  pl_context *c = PL_HERE;
  while (c->owned.n) {
    pl_tensor *t = c->owned.v[--c->owned.n];
    if (!t) break;
    pl_release(t);
  }
}

static void end_all(void) {
  while (PL_HERE->owned.n) pl_scope_end();
}

__attribute__((constructor)) static void start(void) { pl_scopes_end = end_all; }

pl_tensor *pl_scope_own(pl_tensor *t) {
  if (!t || push(t)) return t;
  pl_release(t);
  return NULL;
}

/*
** Life
*/

size_t pl_dtype_bytes(pl_dtype dtype) {
  static const size_t bytes[] = {sizeof(pl_real), sizeof(int32_t), sizeof(uint8_t)};
  return bytes[dtype];
}

const char *pl_dtype_name(pl_dtype dtype) {
  static const char *const names[] = {"real", "int32", "uint8"};
  return names[dtype];
}

static pl_tensor *shell(pl_dtype dtype, pl_ints size) {
  pl_tensor *t = pl_object_new(sizeof *t);
  if (!t) return NULL;
  t->owner = pl_tensor_begin();
  t->refs = 1;
  t->dtype = dtype;
  t->rank = size.n;
  int64_t step = 1;
  for (int d = size.n - 1; d >= 0; d--) {
    t->size[d] = size.v[d];
    t->stride[d] = step;
    step *= PL_MAX(size.v[d], 1);
  }
  return t;
}

pl_tensor *pl_retain(pl_tensor *t) {
  if (t) pl_refs_add(&t->refs, t->shared);
  return t;
}

/* Where only calls know a tensor nobody can ask for its gradient. It goes, for its history may lead
 * back to the tensor, and the two would keep each other. */
static void drop_grad(pl_tensor *t) {
  pl_tensor *grad = t->grad;
  t->grad = NULL;
  pl_release(grad); /* perhaps the end of t */
}

void pl_release(pl_tensor *t) {
  if (!t) return;
  const int left = pl_refs_drop(&t->refs, t->shared);
  if (left) {
    if (left == t->node_refs && !t->shared) drop_grad(t);
    return;
  }
  pl_release(t->grad);
  if (t->node) pl_history_drop(t);
  pl_storage_release(t->storage);
  pl_tensor_end(t->owner);
  pl_object_free(t, sizeof *t);
}

/*
** Creation
*/

int64_t pl_count(pl_ints size) {
  int64_t n = 1;
  for (int d = 0; d < size.n; d++) n *= size.v[d];
  return n;
}

/* False if the product of the sizes, 0 counted as 1, does not fit: then strides would not
 * either. */
static bool check_product(int64_t n, pl_ints size) {
  for (int d = 0; d < size.n; d++)
    if (__builtin_mul_overflow(n, PL_MAX(size.v[d], 1), &n))
      return pl_fail("sizes [%s] are too large", pl_size_text(size, (char[PL_TEXT]){0}, PL_TEXT));
  return true;
}

static bool check_size(pl_dtype dtype, pl_ints size) {
  if (size.n < 0 || size.n > PL_MAX_RANK)
    return pl_fail("a tensor has at most %d dimensions, not %d", PL_MAX_RANK, size.n);
  for (int d = 0; d < size.n; d++)
    if (size.v[d] < 0)
      return pl_fail("size of dim %d is %lld, expected 0 or more", d + 1, (long long)size.v[d]);
  return check_product((int64_t)pl_dtype_bytes(dtype), size);
}

pl_tensor *pl_empty(pl_dtype dtype, pl_ints size) {
  if (pl_error() || !check_size(dtype, size)) return NULL;
  pl_tensor *t = shell(dtype, size);
  if (!t) return NULL;
  t->storage = pl_storage_new((size_t)pl_count(size) * pl_dtype_bytes(dtype));
  if (t->storage) return pl_scope_own(t);
  pl_release(t);
  return NULL;
}

pl_tensor *pl_from(pl_dtype dtype, pl_ints size, const void *data) {
  pl_tensor *t = pl_empty(dtype, size);
  if (t && t->storage->bytes) memcpy(t->storage->data, data, t->storage->bytes);
  return t;
}

pl_tensor *pl_arange(pl_dtype dtype, double start, double step, int64_t n) {
  pl_tensor *t = pl_empty(dtype, pl_list(n));
  for (int64_t i = 0; t && i < n; i++) {
    const double value = start + step * (double)i;
    if (!pl_check_fits("arange", dtype, value, i) || !pl_set_at(t, i, value)) return NULL;
  }
  return t;
}

pl_tensor *pl_alias(pl_tensor *t, pl_ints size, const int64_t *stride, int64_t offset) {
  if (!t || pl_error() || !check_product(1, size)) return NULL;
  pl_tensor *v = shell(t->dtype, size);
  if (!v) return NULL;
  if (stride) memcpy(v->stride, stride, (size_t)size.n * sizeof *stride);
  v->offset = offset;
  v->storage = pl_storage_retain(t->storage);
  return pl_scope_own(v);
}

pl_tensor *pl_meta(const pl_tensor *t) {
  pl_tensor *v = shell(t->dtype, pl_size(t));
  return v;
}

pl_tensor *pl_detach(pl_tensor *t) {
  return t ? pl_cut(pl_alias(t, pl_size(t), t->stride, t->offset), t, "detach") : NULL;
}

pl_tensor *pl_cut(pl_tensor *y, pl_tensor *x, const char *by) {
  pl_tracer *tracer = PL_HERE->tracer;
  if (y && tracer && tracer->copied) tracer->copied(tracer, x, y);
  return pl_cut_of(y, x, by);
}

pl_tensor *pl_cut_of(pl_tensor *y, const pl_tensor *x, const char *by) {
  if (!y) return NULL;
  y->cut = x->requires_grad ? by : x->cut;
  y->cut_in_no_grad = !x->requires_grad && x->cut_in_no_grad;
  return y;
}

/*
** Memory of somebody else's, and memory that several threads read
*/

/* How far the elements reach before and behind the first, in elements; false if that is no number. */
static bool reach(pl_ints size, const int64_t *stride, int64_t *before, int64_t *behind) {
  *before = *behind = 0;
  for (int d = 0; d < size.n; d++) {
    int64_t step, *end = stride[d] < 0 ? before : behind;
    if (__builtin_mul_overflow(size.v[d] - 1, stride[d], &step) ||
        __builtin_add_overflow(*end, step < 0 ? -step : step, end) || *end > INT64_MAX / 16)
      return pl_fail("borrow: stride %lld of dim %d is too large", (long long)stride[d], d + 1);
  }
  return true;
}

static bool check_borrowed(const void *data, pl_dtype dtype, pl_ints size, const int64_t *stride,
                           size_t *bytes) {
  int64_t before = 0, behind = 0;
  const int64_t n = pl_count(size), width = (int64_t)pl_dtype_bytes(dtype);
  if (n && !data) return pl_fail("borrow: there is no memory for %lld elements", (long long)n);
  if ((uintptr_t)data % (size_t)width)
    return pl_fail("borrow: %s data at an address that is no multiple of %d bytes",
                   pl_dtype_name(dtype), (int)width);
  if (n && stride && !reach(size, stride, &before, &behind)) return false;
  *bytes = (size_t)((n == 0 ? 0 : stride ? before + behind + 1 : n) * width);
  return true;
}

pl_tensor *pl_borrow(void *data, pl_dtype dtype, pl_ints size, const int64_t *strides,
                     void (*release)(void *user), void *user) {
  size_t bytes = 0;
  if (pl_error() || !check_size(dtype, size) || !check_borrowed(data, dtype, size, strides, &bytes))
    return NULL;
  pl_tensor *t = shell(dtype, size);
  if (!t) return NULL;
  if (strides) memcpy(t->stride, strides, (size_t)size.n * sizeof *strides);
  t->storage = pl_storage_lent(data, bytes);
  if (!t->storage) return pl_release(t), NULL;
  if (!pl_scope_own(t)) return NULL;
  pl_storage_when_released(t->storage, release, user);
  return t;
}

/* Flags that are set are not written again: other threads may be reading them. */
pl_tensor *pl_open_to_threads(pl_tensor *t) {
  pl_tensor *s = pl_alias(t, pl_size(t), t->stride, t->offset);
  if (!s) return NULL;
  if (!s->storage->shared) s->storage->shared = true;
  s->shared = true;
  return s;
}

pl_tensor *pl_share(pl_tensor *t) {
  if (!t || (t->shared && t->storage->constant)) return t;
  pl_tensor *s = pl_open_to_threads(t);
  if (s && !s->storage->constant) s->storage->constant = true;
  return s;
}

bool pl_is_shared(const pl_tensor *t) { return t->storage && t->storage->constant; }

bool pl_check_writable(const char *what, const pl_tensor *t) {
  return !pl_is_shared(t) ||
         pl_fail("%s: %s is read only; change a clone of it", what, PL_DESCRIBE(t));
}

/*
** Queries
*/

pl_dtype pl_dtype_of(const pl_tensor *t) { return t->dtype; }

int pl_rank(const pl_tensor *t) { return t->rank; }

pl_ints pl_size(const pl_tensor *t) {
  pl_ints s = {.n = t->rank};
  memcpy(s.v, t->size, sizeof s.v);
  return s;
}

pl_ints pl_strides(const pl_tensor *t) {
  pl_ints s = {.n = t->rank};
  memcpy(s.v, t->stride, sizeof s.v);
  return s;
}

int64_t pl_numel(const pl_tensor *t) { return pl_count(pl_size(t)); }

bool pl_is_contiguous(const pl_tensor *t) {
  int64_t step = 1;
  for (int d = t->rank - 1; d >= 0; d--) {
    if (t->size[d] == 0) return true;
    if (t->size[d] > 1 && t->stride[d] != step) return false;
    step *= t->size[d];
  }
  return true;
}

/* True if two positions may share an element, so that writing to it has no one meaning: if, from the
 * smallest stride to the largest, one is not beyond all that those before it reach. */
bool pl_overlaps_itself(const pl_tensor *t) {
  int64_t reach = 0;
  if (pl_is_contiguous(t)) return false;
  for (unsigned done = 0;;) {
    int next = -1;
    for (int d = 0; d < t->rank; d++)
      if (t->size[d] > 1 && !(done >> d & 1) &&
          (next < 0 || llabs(t->stride[d]) < llabs(t->stride[next])))
        next = d;
    if (next < 0) return false;
    if (llabs(t->stride[next]) <= reach) return true;
    reach += (t->size[next] - 1) * llabs(t->stride[next]);
    done |= 1u << next;
  }
}

bool pl_same_size(const pl_tensor *a, const pl_tensor *b) {
  return a->rank == b->rank && !memcmp(a->size, b->size, (size_t)a->rank * sizeof *a->size);
}

void *pl_data(const pl_tensor *t) {
  return (char *)t->storage->data + (size_t)t->offset * pl_dtype_bytes(t->dtype);
}

void pl_bump_version(pl_tensor *t) {
  if (t->storage) t->storage->version++;
}

bool pl_resolve_dim(const char *what, int rank, int64_t *dim) {
  int64_t d = *dim < 0 ? *dim + rank : *dim;
  if (d < 0 || d >= rank)
    return pl_fail("%s: there is no dim %lld in a tensor of %d dims", what,
                   (long long)(*dim < 0 ? *dim : *dim + 1), rank);
  *dim = d;
  return true;
}

bool pl_resolve_dims(const char *what, int rank, pl_ints *dims, unsigned *mask) {
  *mask = 0;
  for (int i = 0; i < dims->n; i++) {
    if (!pl_resolve_dim(what, rank, &dims->v[i])) return false;
    if (*mask >> dims->v[i] & 1)
      return pl_fail("%s: dim %d is named twice", what, (int)dims->v[i] + 1);
    *mask |= 1u << dims->v[i];
  }
  return true;
}

char *pl_size_text(pl_ints size, char *buf, size_t n) {
  size_t at = 0;
  buf[0] = 0;
  for (int d = 0; d < size.n && at < n; d++)
    at += (size_t)snprintf(buf + at, n - at, d ? ",%lld" : "%lld", (long long)size.v[d]);
  return buf;
}

char *pl_describe(const pl_tensor *t, char *buf, size_t n) {
  snprintf(buf, n, "%s[%s]", pl_dtype_name(t->dtype),
           pl_size_text(pl_size(t), (char[PL_TEXT]){0}, PL_TEXT));
  return buf;
}
