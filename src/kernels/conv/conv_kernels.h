/*
** conv_kernels.h: the functions behind pl_conv_kernels, which several files hold. Each
** compilation gives them its own names.
*/
#ifndef PERILUNE_CONV_KERNELS_H
#define PERILUNE_CONV_KERNELS_H

#include "conv_tile.h"

#define k_conv_forward        PL_ISA_NAME(pl_k_conv_forward)
#define k_conv_input_grad     PL_ISA_NAME(pl_k_conv_input_grad)
#define k_conv_weight_grad    PL_ISA_NAME(pl_k_conv_weight_grad)
#define k_winners_suit_weight PL_ISA_NAME(pl_k_winners_suit_weight)
#define k_winners_suit_input  PL_ISA_NAME(pl_k_winners_suit_input)
#define k_winners_weight_grad PL_ISA_NAME(pl_k_winners_weight_grad)
#define k_winners_input_grad  PL_ISA_NAME(pl_k_winners_input_grad)
#define k_minimal_possible    PL_ISA_NAME(pl_k_minimal_possible)
#define k_minimal_suits       PL_ISA_NAME(pl_k_minimal_suits)
#define k_minimal_forward     PL_ISA_NAME(pl_k_minimal_forward)
#define k_minimal_transpose   PL_ISA_NAME(pl_k_minimal_transpose)
#define k_minimal_input_grad  PL_ISA_NAME(pl_k_minimal_input_grad)
#define k_minimal_weight_grad PL_ISA_NAME(pl_k_minimal_weight_grad)
#define k_max_pool            PL_ISA_NAME(pl_k_max_pool)
#define k_max_pool_grad       PL_ISA_NAME(pl_k_max_pool_grad)
#define k_unpool              PL_ISA_NAME(pl_k_unpool)
#define k_channel_sum         PL_ISA_NAME(pl_k_channel_sum)
#define k_channel_squares     PL_ISA_NAME(pl_k_channel_squares)
#define k_channel_scale       PL_ISA_NAME(pl_k_channel_scale)
#define k_channel_dots        PL_ISA_NAME(pl_k_channel_dots)
#define k_channel_blend       PL_ISA_NAME(pl_k_channel_blend)
#define k_avg_pool            PL_ISA_NAME(pl_k_avg_pool)
#define k_avg_pool_grad       PL_ISA_NAME(pl_k_avg_pool_grad)

bool k_conv_forward(const pl_conv *p, const pl_real *x, const pl_real *w, const pl_conv_end *end,
                    pl_real *y);
bool k_conv_input_grad(const pl_conv *p, const pl_conv_back *back, const pl_real *w, pl_real *gx);
bool k_conv_weight_grad(const pl_conv *p, const pl_real *x, const pl_conv_back *back, pl_real *gw,
                        pl_real *gbias);
bool k_winners_suit_weight(const pl_conv *p, const pl_pool *pool);
bool k_winners_suit_input(const pl_conv *p, const pl_pool *pool);
bool k_winners_weight_grad(const pl_conv *p, const pl_real *x, const pl_conv_back *back,
                           pl_real *gw, pl_real *gbias);
bool k_winners_input_grad(const pl_conv *p, const pl_conv_back *back, const pl_real *w,
                          pl_real *gx);
bool k_minimal_possible(const pl_conv *p);
bool k_minimal_suits(const pl_conv *p);
bool k_minimal_forward(const pl_conv *p, const pl_real *x, const pl_real *w, const pl_conv_end *end,
                       pl_real *y);
bool k_minimal_transpose(const pl_conv *p, const pl_real *x, const pl_real *w,
                         const pl_conv_end *end, pl_real *y);
bool k_minimal_input_grad(const pl_conv *p, const pl_conv_back *back, const pl_real *w,
                          pl_real *gx);
bool k_minimal_weight_grad(const pl_conv *p, const pl_real *x, const pl_conv_back *back,
                           pl_real *gw, pl_real *gbias);
void k_max_pool(const pl_pool *p, int64_t planes, const pl_real *x, pl_real *y, int32_t *at);
void k_max_pool_grad(const pl_pool *p, int64_t planes, const pl_real *g, const int32_t *at,
                     pl_real *gx);
/* max_pool_grad of a gradient on its way back through an activation. */
void k_unpool(const pl_pool *p, int64_t planes, const flow *f, const int32_t *at, pl_real *gx);
void k_avg_pool(const pl_pool *p, const pl_real *x, pl_real *y);
void k_avg_pool_grad(const pl_pool *p, const pl_real *g, pl_real *gx);
double k_channel_sum(pl_channel c, const pl_real *x);
double k_channel_squares(pl_channel c, const pl_real *x, pl_real about);
void k_channel_scale(pl_channel c, const pl_real *x, pl_real scale, pl_real shift, pl_real slope,
                     pl_real *y, int64_t y_step);
void k_channel_dots(pl_channel c, const pl_channel_back *b, double *sum, double *dot);
void k_channel_blend(pl_channel c, const pl_channel_back *b, pl_real by_g, pl_real by_x,
                     pl_real plus, pl_real *gx);

#endif
