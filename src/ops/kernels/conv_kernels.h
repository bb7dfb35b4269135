/*
** conv_kernels.h: the functions behind pl_conv_kernels, which several files hold. Each
** compilation gives them its own names.
*/
#ifndef PERILUNE_CONV_KERNELS_H
#define PERILUNE_CONV_KERNELS_H

#include "conv_tile.h"

#define k_conv_forward     PL_ISA_NAME(pl_k_conv_forward)
#define k_conv_input_grad  PL_ISA_NAME(pl_k_conv_input_grad)
#define k_conv_weight_grad PL_ISA_NAME(pl_k_conv_weight_grad)
#define k_max_pool         PL_ISA_NAME(pl_k_max_pool)
#define k_max_pool_grad    PL_ISA_NAME(pl_k_max_pool_grad)
#define k_avg_pool         PL_ISA_NAME(pl_k_avg_pool)
#define k_avg_pool_grad    PL_ISA_NAME(pl_k_avg_pool_grad)

bool k_conv_forward(const pl_conv *p, const pl_real *x, const pl_real *w, const pl_real *bias,
                    pl_activation act, pl_real slope, pl_real *y);
bool k_conv_input_grad(const pl_conv *p, const pl_real *g, const pl_real *y, pl_real slope,
                       const pl_real *w, pl_real *gx);
bool k_conv_weight_grad(const pl_conv *p, const pl_real *x, const pl_real *g, const pl_real *y,
                        pl_real slope, pl_real *gw, pl_real *gbias);
void k_max_pool(const pl_pool *p, const pl_real *x, pl_real *y, int32_t *at);
void k_max_pool_grad(const pl_pool *p, const pl_real *g, const int32_t *at, pl_real *gx);
void k_avg_pool(const pl_pool *p, const pl_real *x, pl_real *y);
void k_avg_pool_grad(const pl_pool *p, const pl_real *g, pl_real *gx);

#endif
