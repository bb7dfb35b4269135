/*
** node.h: the memory of one call, private to the autograd floor.
*/
#ifndef PERILUNE_NODE_H
#define PERILUNE_NODE_H

#include "autograd.h"

typedef struct pl_node {
  int refs;  /* one for each output tensor that lives, one for each input slot that names it */
  int place; /* what a tracer called the place of the call; 0: none did */
  uint64_t serial; /* order of creation is topological order */
  struct pl_node *next;
  const pl_op *op;
  int owner; /* in a profile: of the gradient, as it was of the call */
  int n_in, n_out;
  bool freed;                 /* its buffers were released by a backward pass */
  bool busy;                  /* its rule is running; nothing may free or enter it */
  pl_attr *attr;              /* as many as the row has */
  pl_tensor *out[PL_MAX_OUT]; /* values without history, or meta tensors: no cycle */
  unsigned out_version[PL_MAX_OUT];
  pl_tensor *saved[PL_MAX_SAVED];
  pl_custom *custom;
  unsigned *version; /* of each input's storage when the call was made */
  pl_tensor *in[];
} pl_node;

void pl_node_free_buffers(pl_node *node);
void pl_node_release(pl_node *node);

#endif
