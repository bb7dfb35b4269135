/*
** reduce.h: how a sum is made whose bits depend neither on the width of vectors nor on how the
** caller cuts the work, at multiples of SUM_BLOCK: SUM_LANES partial sums in a block of SUM_BLOCK
** elements, and the blocks in double (Higham, The Accuracy of Floating Point Summation, 1993).
**
**   block   | 0 1 ... 31 | 32 33 ... 63 | ...      lane j adds up elements j, j + 32, ...
*/
#ifndef PERILUNE_REDUCE_H
#define PERILUNE_REDUCE_H

#include "perilune.h"

enum { SUM_LANES = 32, SUM_BLOCK = 4096 };

/* Defines a function with these arguments, n among them, that sums term(k) for k < n. */
#define REDUCTION(name, args, term)                                             \
  static double name args {                                                     \
    double total = 0;                                                           \
    for (ptrdiff_t start = 0; start < n; start += SUM_BLOCK) {                  \
      ptrdiff_t end = start + SUM_BLOCK < n ? start + SUM_BLOCK : n, i = start; \
      pl_real lane[SUM_LANES] = {0};                                            \
      for (; i + SUM_LANES <= end; i += SUM_LANES)                              \
        for (int j = 0; j < SUM_LANES; j++) {                                   \
          const ptrdiff_t k = i + j;                                            \
          lane[j] += (term);                                                    \
        }                                                                       \
      double sum = 0;                                                           \
      for (ptrdiff_t k = i; k < end; k++) sum += (double)(term);                \
      for (int j = 0; j < SUM_LANES; j++) sum += (double)lane[j];               \
      total += sum;                                                             \
    }                                                                           \
    return total;                                                               \
  }

#endif
