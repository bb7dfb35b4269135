/*
** kernels.h: the tables of the hot loops, and how a compilation names its own. The files of this
** folder that hold loops are compiled once for each instruction set, each time with PL_ISA set to
** its name; each compilation exports one table of every kind, and dispatch.c picks a set of tables
** at start.
*/
#ifndef PERILUNE_KERNELS_H
#define PERILUNE_KERNELS_H

#include "conv/conv.h"
#include "gemm/gemm.h"
#include "math/math.h"
#include "nn/nn.h"

#define PL_PASTE2(a, b) a##b
#define PL_PASTE(a, b)  PL_PASTE2(a, b)
#define PL_ISA_NAME(x)  PL_PASTE(x##_, PL_ISA)

/* All tables: TABLE(type, name) is one of pl_<type>_kernels that a file exports as
 * pl_<name>_kernels_<isa>. */
#define PL_KERNEL_TABLES(TABLE) \
  TABLE(math, math)             \
  TABLE(reduce, reduce)         \
  TABLE(softmax, softmax)       \
  TABLE(norm, norm)             \
  TABLE(channel, channel)       \
  TABLE(pool, pool)             \
  TABLE(recurrent, recurrent)   \
  TABLE(optim, optim)           \
  TABLE(conv, direct)           \
  TABLE(conv, winograd)         \
  TABLE(conv, sparse)           \
  TABLE(gemm, gemm)             \
  TABLE(packed, packed)

#define PL_DECLARE(type, name)                                                            \
  extern const pl_##type##_kernels pl_##name##_kernels_generic, pl_##name##_kernels_avx2, \
      pl_##name##_kernels_avx512;
PL_KERNEL_TABLES(PL_DECLARE)
#undef PL_DECLARE

#endif
