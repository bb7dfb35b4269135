/*
** values.c: reads the values of a tensor from a file, in whatever dtype, byte order and order of
** elements they lie there, and writes them in another dtype; see stored.h.
*/
#include "stored.h"

#include <stdio.h>
#include <string.h>

#include "io.h"

enum { CHUNK = 4096, PIECE = 1 << 20 };

/* Turns the bytes of n values around. */
static void swap(void *values, int width, int64_t n) {
  uint16_t *v2 = values;
  uint32_t *v4 = values;
  uint64_t *v8 = values;
  for (int64_t i = 0; width == 2 && i < n; i++) v2[i] = __builtin_bswap16(v2[i]);
  for (int64_t i = 0; width == 4 && i < n; i++) v4[i] = __builtin_bswap32(v4[i]);
  for (int64_t i = 0; width == 8 && i < n; i++) v8[i] = __builtin_bswap64(v8[i]);
}

static char *element(const pl_tensor *t, int64_t i) {
  return (char *)pl_data(t) + (size_t)i * pl_dtype_bytes(t->dtype);
}

/* Reads what lies in the file as it does in memory, but for the order of its bytes. */
static bool read_plain(const pl_stored_layout *l, pl_tensor *t, pl_take *take, void *from) {
  const int64_t all = pl_numel(t), piece = PIECE / l->type->width;
  for (int64_t done = 0; done < all; done += piece) {
    const int64_t n = PL_MIN(piece, all - done);
    if (!pl_check_interrupt() || !take(from, element(t, done), (size_t)(n * l->type->width)))
      return false;
    if (l->swapped) swap(element(t, done), l->type->width, n);
  }
  return true;
}

/* A real tensor with the first n values of t. */
static pl_tensor *as_real(pl_tensor *t, int64_t n) {
  if (t->dtype == PL_REAL) return t;
  pl_tensor *y = pl_empty(PL_REAL, pl_size(t));
  for (int64_t i = 0; y && i < n; i++) pl_reals(y)[i] = (pl_real)pl_int32s(t)[i];
  return y;
}

/* "2,1": the indices of the element that lies at a place, from 0, in the file. */
static void note(const pl_stored_layout *l, int64_t at, pl_misfit *bad) {
  const int rank = l->size.n;
  int64_t index[PL_MAX_RANK];
  for (int i = 0; i < rank; i++) {
    const int d = l->columns ? i : rank - 1 - i;
    index[d] = at % l->size.v[d] + 1;
    at /= l->size.v[d];
  }
  bad->found = true;
  bad->place[0] = 0;
  for (int d = 0; d < rank; d++) {
    const size_t used = strlen(bad->place);
    snprintf(bad->place + used, sizeof bad->place - used, "%s%lld", d ? "," : "",
             (long long)index[d]);
  }
}

/* From the first value on that does not fit, `convert` takes the place of the dtype's own. */
static pl_tensor *read_unpacked(const pl_stored_layout *l, pl_tensor *t, bool convert,
                                pl_take *take, void *from, pl_misfit *bad) {
  uint64_t in[CHUNK];
  pl_unpack *unpack = l->type->unpack, *other = convert ? l->type->convert : NULL;
  const int64_t all = pl_numel(t);
  for (int64_t done = 0; done < all; done += CHUNK) {
    const int64_t n = PL_MIN(CHUNK, all - done);
    if (!pl_check_interrupt() || !take(from, in, (size_t)(n * l->type->width))) return NULL;
    if (l->swapped) swap(in, l->type->width, n);
    int64_t good = unpack(in, element(t, done), n);
    if (good < n && other && unpack != other) {
      unpack = other;
      t = as_real(t, done);
      if (!t) return NULL;
      good = unpack(in, element(t, done), n);
    }
    if (good < n) {
      note(l, done + good, bad);
      pl_stored_print(l->type, (char *)in + good * l->type->width, bad->value, sizeof bad->value);
      return NULL;
    }
  }
  return t;
}

static pl_ints reversed(pl_ints size) {
  pl_ints r = {.n = size.n};
  for (int d = 0; d < size.n; d++) r.v[d] = size.v[size.n - 1 - d];
  return r;
}

/* Its dims in the other order, in row-major order again. */
static pl_tensor *transposed(pl_tensor *t) {
  const pl_ints strides = reversed(pl_strides(t));
  return pl_contiguous(pl_alias(t, reversed(pl_size(t)), strides.v, 0));
}

pl_tensor *pl_stored_read(const pl_stored_layout *layout, bool convert, pl_take *take, void *from,
                          pl_misfit *bad) {
  const bool turn = layout->columns && layout->size.n > 1;
  bad->found = false;
  pl_tensor *t = pl_empty(layout->type->dtype, turn ? reversed(layout->size) : layout->size);
  if (!t) return NULL;
  if (layout->type->unpack) t = read_unpacked(layout, t, convert, take, from, bad);
  else if (!read_plain(layout, t, take, from)) t = NULL;
  return t && turn ? transposed(t) : t;
}

void pl_stored_refuse(const char *path, const char *what, const char *dtype,
                      const pl_stored_layout *layout, const pl_misfit *bad, bool among_others) {
  pl_file_fail("%s: %s has the %s value %s at [%s], %s%s", path, what, dtype, bad->value,
               bad->place, layout->type->problem, among_others ? ", 'skip' leaves it out" : "");
}

bool pl_stored_write(const pl_stored_layout *layout, pl_tensor *t, bool convert, pl_give *give,
                     void *to, pl_misfit *bad) {
  uint64_t out[CHUNK];
  const pl_stored_dtype *type = layout->type;
  const int64_t all = pl_numel(t);
  pl_unpack *pack = convert && type->pack_any ? type->pack_any : type->pack;
  bad->found = false;
  if (!pack) return give(to, pl_data(t), (size_t)(all * type->width));
  for (int64_t done = 0; done < all; done += CHUNK) {
    const int64_t n = PL_MIN(CHUNK, all - done), good = pack(element(t, done), out, n);
    if (good < n) {
      note(layout, done + good, bad);
      snprintf(bad->value, sizeof bad->value, "%.9g", (double)pl_reals(t)[done + good]);
      return false;
    }
    if (!pl_check_interrupt() || !give(to, out, (size_t)(n * type->width))) return false;
  }
  return true;
}
