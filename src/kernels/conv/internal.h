/*
** internal.h: what the files of one compilation share. Each compilation gives the functions names
** of its own.
*/
#ifndef PERILUNE_CONV_INTERNAL_H
#define PERILUNE_CONV_INTERNAL_H

#include "../kernels.h"

#define k_direct_weight_grad PL_ISA_NAME(pl_k_direct_weight_grad)
#define k_sparse_weight_grad PL_ISA_NAME(pl_k_sparse_weight_grad)
#define k_max_pool           PL_ISA_NAME(pl_k_max_pool)
#define k_unpool             PL_ISA_NAME(pl_k_unpool)

/* weight.c and sparse_weight.c, for the tables in direct.c and sparse_input.c */
bool k_direct_weight_grad(const pl_conv *p, const pl_real *x, const pl_prologue *back, pl_real *gw,
                          pl_real *gbias);
bool k_sparse_weight_grad(const pl_conv *p, const pl_real *x, const pl_prologue *back, pl_real *gw,
                          pl_real *gbias);

/* nn/pool.c: as in pl_pool_kernels; and the gradient of max pooling for a masked gradient */
void k_max_pool(const pl_pool *p, int64_t planes, const pl_real *x, pl_real *y, int32_t *argmax);
void k_unpool(const pl_pool *p, int64_t planes, const masked *g, const int32_t *argmax,
              pl_real *gx);

#endif
