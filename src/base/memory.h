/*
** memory.h: storage with a cache. Freed blocks go to lists by size class, so the
** allocations of a training step are served by those of the step before.
*/
#ifndef PERILUNE_MEMORY_H
#define PERILUNE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 64-byte aligned; NULL with the error slot set when there is no memory. */
void *pl_scratch(size_t bytes);
/* Accepts NULL. */
void pl_scratch_free(void *block);

/* The memory of tensors, which is counted as live bytes. It is one block with its data. */
typedef struct {
  int refs;
  unsigned version; /* counts changes in place */
  size_t bytes;
  void *data;
  struct pl_context *owner; /* which counts it */
} pl_storage;
/* One reference, the caller's. */
pl_storage *pl_storage_new(size_t bytes);
void pl_storage_release(pl_storage *s);

/*
** Small objects (tensors, nodes), all zero. The context keeps some of those that are freed; it must
** be told their size again.
*/
void *pl_object_new(size_t bytes);
void pl_object_free(void *object, size_t bytes);

/* Counts a tensor in the context, which is returned: pl_tensor_end takes it out again. */
struct pl_context *pl_tensor_begin(void);
void pl_tensor_end(struct pl_context *owner);

#endif
