/*
** random.h: Philox 4x32-10, a counter-based generator: block i of a stream is a pure
** function of (key, i), so a parallel fill does not depend on the number of threads.
** Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
*/
#ifndef PERILUNE_RANDOM_H
#define PERILUNE_RANDOM_H

#include "perilune.h"

typedef struct {
  uint32_t v[4];
} pl_philox;

/* Four random words of block `counter` of stream `key`. */
static inline pl_philox pl_philox_block(uint64_t key, uint64_t counter) {
  uint32_t c0 = (uint32_t)counter, c1 = (uint32_t)(counter >> 32), c2 = 0, c3 = 0;
  uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
  for (int round = 0; round < 10; round++) {
    uint64_t a = (uint64_t)0xD2511F53u * c0, b = (uint64_t)0xCD9E8D57u * c2;
    uint32_t n0 = (uint32_t)(b >> 32) ^ c1 ^ k0, n2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
    c0 = n0, c1 = (uint32_t)b, c2 = n2, c3 = (uint32_t)a;
    k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
  }
  return (pl_philox){{c0, c1, c2, c3}};
}

/* Reserves n blocks of the context's stream; returns the state whose counter is the first. */
pl_random_state pl_random_take(int64_t n);

#endif
