/*
** deal.h: pieces of work dealt to threads. Each thread has a hand of neighbouring pieces, which
** it goes through in order; who is done helps the others, so that a thread on a slow core, or on
** one that another program wants too, does not keep all waiting. Which thread does a piece must
** not matter to its result.
*/
#ifndef PERILUNE_DEAL_H
#define PERILUNE_DEAL_H

#include <stdatomic.h>
#include <stdint.h>

/* A thread's hand, on a cache line of its own. */
typedef struct {
  _Alignas(64) atomic_llong next;
  int64_t end;
} pl_hand;

/* One thread calls it, for all hands, before any takes a piece. */
static inline void pl_deal(pl_hand *hands, int threads, int64_t pieces) {
  for (int i = 0; i < threads; i++) {
    atomic_store_explicit(&hands[i].next, pieces * i / threads, memory_order_relaxed);
    hands[i].end = pieces * (i + 1) / threads;
  }
}

/* The next piece for thread `id`, or -1 when there is none left. */
static inline int64_t pl_take(pl_hand *hands, int threads, int id) {
  for (int i = 0; i < threads; i++) {
    pl_hand *hand = &hands[(id + i) % threads];
    if (atomic_load_explicit(&hand->next, memory_order_relaxed) >= hand->end) continue;
    const int64_t piece = atomic_fetch_add_explicit(&hand->next, 1, memory_order_relaxed);
    if (piece < hand->end) return piece;
  }
  return -1;
}

#endif
