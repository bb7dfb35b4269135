/*
** dispatch.h: the kernels of the instruction set that was picked at start.
*/
#ifndef PERILUNE_DISPATCH_H
#define PERILUNE_DISPATCH_H

#include "kernels.h"

typedef struct pl_kernels pl_kernels;
struct pl_kernels {
  const char *isa;
  int lanes;                /* elements of a vector */
  const pl_kernels *narrow; /* the set for what would not fill these vectors */
#define PL_MEMBER(isa, type, name) const pl_##type##_kernels *name;
  PL_KERNEL_TABLES(PL_MEMBER, )
#undef PL_MEMBER
};

const pl_kernels *pl_kernels_now(void);
/* Set i of those that this processor runs, the widest first, or NULL. */
const pl_kernels *pl_kernels_at(int i);
/* For a result of `width` channels, a filter gradient of `width` output channels, or pooling of
 * rows of `width` elements. */
const pl_kernels *pl_kernels_for(int64_t width);

/* A table of the set: PL_KERNELS(softmax)->log_softmax(...). */
#define PL_KERNELS(table) (pl_kernels_now()->table)

#endif
