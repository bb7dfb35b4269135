/*
** dims.c: a tensor seen from one of its dims.
**
**   [2,3,4] at dim 1:  outer 2, n 3, inner 4
*/
#include <string.h>

#include "ops.h"

pl_split pl_split_at(const pl_tensor *t, int64_t dim) {
  pl_split s = {1, t->rank ? t->size[dim] : 1, 1};
  for (int d = 0; d < t->rank; d++) {
    if (d < dim) s.outer *= t->size[d];
    if (d > dim) s.inner *= t->size[d];
  }
  return s;
}

pl_ints pl_without(pl_ints size, int64_t d, bool keepdim) {
  if (keepdim) {
    size.v[d] = 1;
    return size;
  }
  memmove(size.v + d, size.v + d + 1, (size_t)(size.n - d - 1) * sizeof *size.v);
  size.n--;
  return size;
}

bool pl_get_pair(const pl_args *c, int attr, const char *name, int64_t least, int64_t v[2]) {
  const pl_ints *a = &c->attr[attr].ints;
  v[0] = a->v[0];
  v[1] = a->v[a->n > 1];
  if (a->n == 1 || a->n == 2)
    if (v[0] >= least && v[1] >= least && v[0] <= INT32_MAX && v[1] <= INT32_MAX) return true;
  return pl_op_fail(c, "%s %lld,%lld: two integers of at least %lld expected", name,
                    (long long)v[0], (long long)v[1], (long long)least);
}
