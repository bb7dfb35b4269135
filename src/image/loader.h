/*
** loader.h: batches of pictures, made by threads ahead of who uses them. Which picture a row of a
** batch is, and what is done to it, is known when the loader is opened; so all batches have the same
** bits with any number of threads, also without any.
**
**   rows of the pass   7 2 9 4 | 1 8 3 6 | 5 ...
**                      batch 1   batch 2   batch 3
**                      is used   threads make these: file ─► picture ─► transforms ─► row
*/
#ifndef PERILUNE_LOADER_H
#define PERILUNE_LOADER_H

#include "pictures.h"

enum { PL_LOADER_TRANSFORMS = 2, PL_LOADER_THREADS = 64 };

typedef struct {
  pl_pictures *pictures;
  pl_transform *transform[PL_LOADER_TRANSFORMS]; /* done in turn; NULL: none */
  pl_tensor *rows; /* int32 [n]: which pictures a pass has, counted from 1, in order */
  int64_t batch_size, batches, skip; /* of the batches the first are not made */
  int workers;                       /* threads; 0: the one that uses the batches makes them */
  int ahead;                         /* batches that are made ahead */
  uint64_t key;                      /* on which, with a row's picture, its random numbers depend */
  double mean, std;                  /* what comes out is (value - mean) / std */
} pl_loader_options;

typedef struct pl_loader pl_loader;
/* A context has at most PL_LOADER_THREADS threads, and one with an access as many as its kernels may
   have; loaders beyond that have fewer than they asked for. */
pl_loader *pl_loader_open(const pl_loader_options *o);
/*
** Batch i, counted from 0, real [b,c,h,w]: the next one, or one further on; NULL at the end, or with a
** message. A picture that cannot be read, or is of another size than the first of its batch, is an
** error of that batch, after which others may be asked for.
*/
pl_tensor *pl_loader_next(pl_loader *l, int64_t i);
/* Ends the threads; accepts NULL. */
void pl_loader_close(pl_loader *l);

#endif
