/*
** learn.h: support vector machines, and what the transductive one is made of. This floor
** knows tensors, BLAS, LAPACK and LIBSVM; it knows neither ops and gradients nor Lua.
**
** Everything is computed in double whatever real is; results are stored as real tensors.
** Work that can be told apart (a pair of classes, a block of rows) is spread over OpenMP's
** threads and added up in a fixed order, so results do not depend on the number of threads.
*/
#ifndef PERILUNE_LEARN_H
#define PERILUNE_LEARN_H

#include "perilune.h"

/*
** Examples (examples.c)
*/

/* Refuses all but real [n,d] with n, d >= 1 and finite values; names row and column of others. */
bool pl_examples_check(const char *who, const pl_tensor *x);
/* Refuses all but int32 [n] with values from 1 up to PL_MAX_LABEL. */
bool pl_labels_check(const char *who, const pl_tensor *labels, int64_t n);
enum { PL_MAX_LABEL = 100000, PL_MAX_CLASSES = 1000, PL_MAX_FEATURES = 20000 };
/* int32 [k]: the labels that occur, ascending. */
pl_tensor *pl_labels_list(pl_tensor *labels);
/* 1 / (d * variance of all values), scikit-learn's gamma = "scale"; 1 if all values are equal. */
bool pl_gamma_scale(pl_tensor *x, double *gamma);

/*
** Machines (machine.c): f(x) = map(x) weights + bias, one column an output
*/

typedef enum {
  PL_MAP_LINEAR,  /* x itself */
  PL_MAP_RBF,     /* exp(-gamma |x - p|^2) for each point p */
  PL_MAP_FOURIER, /* cos(x.p) / sqrt(r), then sin(x.p) / sqrt(r), for each of r points p */
} pl_map_kind;

typedef struct {
  pl_map_kind kind;
  double gamma;
  pl_tensor *points; /* real [r,d]; NULL for linear */
} pl_map;

/* Features of the map for inputs of d values. */
int64_t pl_map_features(const pl_map *map, int64_t d);
/* real [n,features] */
pl_tensor *pl_map_apply(pl_tensor *x, const pl_map *map);
/* real [n,outputs]; weights real [features,outputs], bias real [outputs]. */
pl_tensor *pl_machine_decide(pl_tensor *x, const pl_map *map, pl_tensor *weights, pl_tensor *bias);
/*
** int32 [n], the label of each row of decisions: that of the largest of k values, or the one
** with most votes of the k (k - 1) / 2 pairs (1,2), (1,3), ..., where a value above 0 is a vote
** for the first; among equals the first.
*/
pl_tensor *pl_machine_choose(pl_tensor *decisions, pl_tensor *classes, bool pairs);
/*
** real [r,d]: frequencies whose Fourier map approximates the RBF kernel: normal with variance
** 2 gamma, orthogonal in blocks of d. They depend on the key alone.
*/
pl_tensor *pl_fourier_points(int64_t r, int64_t d, double gamma, uint64_t key);

/*
** Training by LIBSVM (train.c)
*/

typedef struct {
  pl_map_kind kernel; /* linear or RBF */
  double cost, gamma, tolerance;
  bool pairs;    /* a machine for each pair of classes; else one for each class */
  double memory; /* bytes that the kernel matrix may take; beyond, LIBSVM computes rows of it */
} pl_svm_options;

typedef struct {
  pl_tensor *points; /* real [s,d]: the support vectors; NULL for the linear kernel */
  pl_tensor *weights, *bias;
  int64_t support; /* how many support vectors there are */
} pl_svm_result;

/* classes: what pl_labels_list gave, at least two. */
bool pl_svm_train(pl_tensor *x, pl_tensor *labels, pl_tensor *classes, const pl_svm_options *o,
                  pl_svm_result *result);

/*
** The primal L2-SVM (newton.c) and balanced labels (balance.c)
*/

typedef struct {
  int64_t steps, products; /* Newton steps; products with the Hessian, of all steps */
  double objective;        /* the sum over the classes */
} pl_newton_report;

/*
** Minimises, for each class k on its own,
**   1/2 (|w|^2 + b^2) + 1/2 sum_i cost_i (p_ik max(0, 1 - f_i)^2 + (1 - p_ik) max(0, 1 + f_i)^2)
** with f = features w + b, from the weights and bias given, in which the result is put:
** features real [n,d], share p real [n,k], cost real [n], weights real [d,k], bias real [k].
** Returns f, real [n,k].
*/
pl_tensor *pl_newton(pl_tensor *features, pl_tensor *share, pl_tensor *cost, pl_tensor *weights,
                     pl_tensor *bias, double tolerance, pl_newton_report *report);

/*
** Shares p real [n,k] of the classes in each row, with rows that add up to 1, columns to
** n * total_k, and the largest sum p * score + temperature * entropy(p): p_ik is proportional
** to exp((score_ik + price_k) / temperature). prices real [k] are the first guess, and the
** result. total NULL: no demand on the columns, prices as they are.
*/
pl_tensor *pl_balance(pl_tensor *score, pl_tensor *total, pl_tensor *prices, double temperature);

/*
** Neighbours and what spreads along them (graph.c)
*/

/* int32 [n,k], the nearest other examples of each, nearest first; real [n,k], squared distances. */
bool pl_neighbours(pl_tensor *x, int64_t k, pl_tensor **neighbours, pl_tensor **distances);
/*
** real [n,c]: the u with (D - keep W) u = source, source real [n,c], keep below 1: W has
** exp(-|x_i - x_j|^2 / (s_i s_j)) for neighbours, once for each direction, s_i the distance of
** i's last neighbour (Zelnik-Manor and Perona 2004), D the sums of its rows. With keep near 1
** and sources that add up to 0 this is Poisson learning (Calder et al. 2020).
*/
pl_tensor *pl_spread(pl_tensor *neighbours, pl_tensor *distances, pl_tensor *source, double keep);

#endif
