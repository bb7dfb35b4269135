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
