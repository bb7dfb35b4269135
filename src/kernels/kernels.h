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
#define PL_KERNEL_TABLES(TABLE, isa) \
  TABLE(isa, math, math)             \
  TABLE(isa, reduce, reduce)         \
  TABLE(isa, softmax, softmax)       \
  TABLE(isa, norm, norm)             \
  TABLE(isa, channel, channel)       \
  TABLE(isa, pool, pool)             \
  TABLE(isa, recurrent, recurrent)   \
  TABLE(isa, optim, optim)           \
  TABLE(isa, conv, direct)           \
  TABLE(isa, conv, winograd)         \
  TABLE(isa, conv, sparse)           \
  TABLE(isa, gemm, gemm)             \
  TABLE(isa, packed, packed)

#endif
