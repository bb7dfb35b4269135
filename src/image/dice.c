/*
** dice.c: the random numbers of a step, which depend on the key of the picture and the place of the
** step in the transform, and on nothing else.
*/
#include "transform.h"

enum { BITS = 24 }; /* of a float between 0 and 1 */

static uint32_t word(pl_dice *d) { return pl_philox_block(d->key, d->counter++).v[0]; }

float pl_dice_unit(pl_dice *d) { return (float)(word(d) >> (32 - BITS)) / (float)(1 << BITS); }

float pl_dice_between(pl_dice *d, double low, double high) {
  return (float)(low + (high - low) * (double)pl_dice_unit(d));
}

int pl_dice_int(pl_dice *d, int n) { return (int)((uint64_t)word(d) * (uint64_t)n >> 32); }
