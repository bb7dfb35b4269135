/*
** queue.h: a work-stealing queue of ranges. Items 0..n are cut into one range of neighbours for
** each thread, which takes them from the front; who is done steals from the front of the others'
** ranges, so that a thread on a slow core, or on one that another program wants too, does not keep
** all waiting (Blumofe and Leiserson 1999, with a counter in the place of a deque). Which thread
** takes an item must not matter to its result.
**
**   items      0 1 2 3 | 4 5 6 7 | 8 9 10 11
**   range 0    ^next   ^end          thread 0 takes 0, 1, ...; then 4 or what is left from there
*/
#ifndef PERILUNE_QUEUE_H
#define PERILUNE_QUEUE_H

#include <stdatomic.h>
#include <stdint.h>

/* A thread's range, on a cache line of its own. */
typedef struct {
  _Alignas(64) atomic_llong next;
  int64_t end;
} pl_range;

/* One thread calls it, for all ranges, before any takes an item. */
static inline void pl_queue_fill(pl_range *ranges, int threads, int64_t items) {
  for (int i = 0; i < threads; i++) {
    atomic_store_explicit(&ranges[i].next, items * i / threads, memory_order_relaxed);
    ranges[i].end = items * (i + 1) / threads;
  }
}

/* The next item for thread `id`, or -1 when there is none left. */
static inline int64_t pl_queue_take(pl_range *ranges, int threads, int id) {
  for (int i = 0; i < threads; i++) {
    pl_range *range = &ranges[(id + i) % threads];
    if (atomic_load_explicit(&range->next, memory_order_relaxed) >= range->end) continue;
    const int64_t item = atomic_fetch_add_explicit(&range->next, 1, memory_order_relaxed);
    if (item < range->end) return item;
  }
  return -1;
}

#endif
