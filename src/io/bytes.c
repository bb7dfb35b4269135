/*
** bytes.c: tensors from bytes that lie in memory.
*/
#include <string.h>

#include "io.h"
#include "stored.h"

/* What of them is still to be taken. */
typedef struct {
  const char *at;
} bytes;

static bool take(void *from, void *out, size_t n) {
  bytes *b = from;
  memcpy(out, b->at, n);
  b->at += n;
  return true;
}

static const pl_stored_dtype *find_dtype(const char *name) {
  for (int k = PL_REAL; k <= PL_UINT8; k++)
    if (strcmp(name, pl_dtype_name((pl_dtype)k)) == 0) name = pl_stored_own((pl_dtype)k)->name;
  return pl_stored_find(name);
}

/* Do as many values fit n bytes? */
static bool check_bytes(const char *dtype, const pl_stored_layout *l, size_t n) {
  int64_t need = l->type->width;
  for (int d = 0; d < l->size.n; d++)
    if (l->size.v[d] < 0 || __builtin_mul_overflow(need, l->size.v[d], &need))
      return pl_fail("from_bytes: size %lld of dim %d is not possible", (long long)l->size.v[d],
                     d + 1);
  char text[PL_TEXT];
  return need == (int64_t)n ||
         pl_fail("from_bytes: %s[%s] needs %lld bytes, got %zu", dtype,
                 pl_size_text(l->size, text, sizeof text), (long long)need, n);
}

pl_tensor *pl_from_bytes(const char *dtype, pl_ints size, const void *data, size_t n,
                         bool convert) {
  pl_stored_layout layout = {.type = find_dtype(dtype), .size = size};
  if (!layout.type)
    return pl_fail(
               "from_bytes: '%s' is no dtype; real, int32, uint8, F64, F32, F16, BF16, I64, I32, "
               "I16, "
               "I8, U64, U32, U16, U8 or BOOL expected",
               dtype),
           NULL;
  if (size.n < 0) { /* a vector of all there are */
    layout.size = pl_list((int64_t)n / layout.type->width);
    if (n % (size_t)layout.type->width)
      return pl_fail("from_bytes: %zu bytes are no whole number of %s, of %d bytes each", n, dtype,
                     layout.type->width),
             NULL;
  }
  if (!check_bytes(dtype, &layout, n)) return NULL;
  pl_misfit bad;
  bytes b = {data};
  pl_tensor *t = pl_stored_read(&layout, convert, take, &b, &bad);
  if (!t && bad.found)
    pl_fail("from_bytes: the %s value %s at [%s] is %s", dtype, bad.value, bad.place,
            layout.type->problem);
  return t;
}
