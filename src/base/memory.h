/*
** memory.h: storage with a cache. Freed blocks go to lists by size class, so the
** allocations of a training step are served by those of the step before.
*/
#ifndef PERILUNE_MEMORY_H
#define PERILUNE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 64-byte aligned; NULL with the error slot set when there is no memory. Thread-safe. */
void *pl_scratch(size_t bytes);
/* Accepts NULL. */
void pl_scratch_free(void *block);

/* The same for tensors' storage, which is counted as live bytes. */
void *pl_storage_alloc(size_t bytes);
void pl_storage_free(void *block, size_t bytes);

/* Small objects (tensors, nodes): calloc with the same failure rules, not cached. */
void *pl_new_object(size_t bytes);

/* Live objects, for pl_memory_now and the tests. */
void pl_count_tensor(int delta);

#endif
