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
  bool shared;              /* between threads: refs are counted atomically */
  bool constant;            /* nobody may write */
  bool lent;                /* the memory is somebody else's */
  uint8_t class;            /* of memory.c */
  int nodes;                /* how many recorded calls hold it */
} pl_storage;
/* One reference, the caller's. */
pl_storage *pl_storage_new(size_t bytes);
/* Of somebody else's memory. */
pl_storage *pl_storage_lent(void *data, size_t bytes);
/* Has release(user) called when nobody needs lent memory any more, on whichever thread that is. */
void pl_storage_when_released(pl_storage *s, void (*release)(void *user), void *user);
pl_storage *pl_storage_retain(pl_storage *s);
void pl_storage_release(pl_storage *s);
/* A recorded call begins (1) or ends (-1) to hold it; NULL is nothing. */
void pl_storage_hold(pl_storage *s, int change);

/* Counts of references are plain, and atomic once what they count is shared between threads. */
static inline void pl_refs_add(int *refs, bool shared) {
  if (shared) __atomic_add_fetch(refs, 1, __ATOMIC_RELAXED);
  else ++*refs;
}
/* How many are left. */
static inline int pl_refs_drop(int *refs, bool shared) {
  return shared ? __atomic_sub_fetch(refs, 1, __ATOMIC_ACQ_REL) : --*refs;
}

/*
** Small objects (tensors, nodes), all zero. The context keeps some of those that are freed; it must
** be told their size again.
*/
void *pl_object_new(size_t bytes);
void pl_object_free(void *object, size_t bytes);

/* Whether so many bytes more are within the context's bound, perhaps without its cache. */
bool pl_within_bound(struct pl_context *c, int64_t bytes);

/* Counts a tensor in the context, which is returned: pl_tensor_end takes it out again. */
struct pl_context *pl_tensor_begin(void);
void pl_tensor_end(struct pl_context *owner);

#endif
