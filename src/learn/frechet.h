/*
** frechet.h: the Fréchet distance between two sets of features.
*/
#ifndef PERILUNE_FRECHET_H
#define PERILUNE_FRECHET_H

#include "perilune.h"

/*
** The squared Fréchet distance (also 2-Wasserstein distance) between the normal distributions
** with the means and covariances of the rows of a [n,d] and b [m,d], real, n and m at least 2:
**
**   |mean_a - mean_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2))      (Dowson and Landau 1982)
**
** False with a message if the shapes do not fit or a value is not finite.
*/
bool pl_frechet(pl_tensor *a, pl_tensor *b, double *distance);

#endif
