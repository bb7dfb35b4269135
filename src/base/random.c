/*
** random.c: the context's random stream. Filling tensors is in the tensor floor.
*/
#include "random.h"

#include "base.h"

enum { USUAL_SEED = 0x5EED };

void pl_random_begin(pl_context *c) { c->stream.key = USUAL_SEED; }

void pl_seed(uint64_t seed) { PL_HERE->stream = (pl_random_state){seed, 0}; }

pl_random_state pl_random_get(void) { return PL_HERE->stream; }

void pl_random_set(pl_random_state s) { PL_HERE->stream = s; }

pl_random_state pl_random_take(int64_t n) {
  pl_random_state *stream = &PL_HERE->stream, first = *stream;
  stream->counter += (uint64_t)n;
  return first;
}

/* Lemire's multiply-shift on 64 random bits: the bias is below n / 2^64. */
int64_t pl_random_int(int64_t n) {
  pl_random_state s = pl_random_take(1);
  pl_philox p = pl_philox_block(s.key, s.counter);
  uint64_t word = (uint64_t)p.v[0] << 32 | p.v[1];
  return (int64_t)(((unsigned __int128)word * (uint64_t)n) >> 64);
}
