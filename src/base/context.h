/*
** context.h: all that one user of the engine changes. A thread works in the context that is entered
** there; no two threads are in the same one at a time. What is not in it is constant once the
** library is loaded, or set once: scripts/statics.py proves it.
**
**   thread 1   pl_here --> its own context            entered from the first call on
**   thread 2   pl_here --> context of a host          its own waits for the host to be left
**
** Each part belongs to the file that is named beside it, and nobody else looks at it.
*/
#ifndef PERILUNE_CONTEXT_H
#define PERILUNE_CONTEXT_H

#include <stdatomic.h>

#include "perilune.h"

struct pl_args; /* a call of an op, perilune_op.h */

enum { PL_BLOCK_CLASSES = 4 * 48, PL_OBJECT_CLASSES = 8 };

/*
** The account of tensors and their storage. A tensor may end elsewhere than where it was made: in
** the context of another thread, or after its own was closed. Such ends are counted apart, with
** atomic operations, which the usual ones need not pay (Choi et al., "Biased reference counting",
** PACT 2018). `left` begins at 0, loses one for each end elsewhere, and gets what there was when the
** context is closed: whoever brings it to 0 then frees the context.
*/
typedef struct {
  int64_t tensors, storages, bytes, peak_bytes;
  int64_t held_bytes; /* of storage that recorded calls hold */
  atomic_llong tensors_elsewhere, bytes_elsewhere, held_elsewhere, left;
} pl_account;

/*
** Limits of all that the context's user has: tensors with their headers, scratch memory and cache,
** and what somebody else counts here, as a Lua state does; files that are held open. Whoever reaches
** one is told, and fails.
*/
typedef struct {
  int64_t bytes, files; /* 0: no limit */
  int64_t others;       /* bytes */
  void (*reached)(struct pl_context *c, pl_status why);
} pl_bound;

typedef struct {
  bool on;
  int owner;
  pl_profile_row *rows;
  size_t n, room;
  size_t *slot; /* index + 1, 0 is free; 2 * room of them */
  struct pl_span *innermost;
} pl_profile;

/*
** What follows a computation. While the context has one, each call of an op that is not part of
** another one comes here with its inputs and outputs, and so does what becomes of tensors outside of
** ops, and each gradient of a call. Nothing is computed otherwise for it. What is NULL is not asked.
*/
typedef struct pl_tracer {
  /* by pl_fail it may end the call */
  void (*called)(struct pl_tracer *t, const struct pl_args *c, int n_out, pl_tensor *const *out);
  /* `to` has the numbers of `from`, maybe in another dtype */
  void (*copied)(struct pl_tracer *t, pl_tensor *from, pl_tensor *to);
  /* a number of x becomes one of the program's */
  void (*read)(struct pl_tracer *t, pl_tensor *x);
  /* `what` changes x in place, by the numbers of y, or NULL */
  void (*changed)(struct pl_tracer *t, const char *what, pl_tensor *x, pl_tensor *y);
  /* before a call: a number for where it is made, of which its gradient will be told */
  int (*calling)(struct pl_tracer *t);
  /* the gradients of the inputs are gin, NULL where there is none; as `called` it may end the pass */
  void (*went_back)(struct pl_tracer *t, const struct pl_args *c, int place, pl_tensor *const *gout,
                    pl_tensor *const *gin);
  bool whole; /* no call is told of by the ops that it is made of */
} pl_tracer;

struct pl_context {
  /* error.c */
  bool failed;
  pl_status status; /* these two stay when the slot is cleared */
  char message[512];
  atomic_bool interrupted; /* set by signal handlers and other threads too */

  /* context.c */
  int threads;                 /* of the kernels, as of when it was left; 0: as the thread has it */
  struct pl_part *parts;       /* what hangs on it */
  struct plb_state *lua_state; /* of the binding: one of these */

  /* io/access.c: the files that may be touched, of the host's; NULL: any */
  const struct pl_access *access;

  /* random.c */
  pl_random_state stream;

  /* memory.c */
  pl_account account;
  int64_t cached_bytes, fail_after;
  int64_t most_bytes; /* that may be live; 0: any number */
  int64_t scratch_bytes;
  pl_bound bound;
  atomic_llong files; /* files.c: held open */
  void (*reclaim)(size_t bytes);
  struct pl_block *blocks[PL_BLOCK_CLASSES];
  struct {
    struct pl_object *list;
    int n;
  } objects[PL_OBJECT_CLASSES];

  /* profile.c */
  pl_profile profile;
  bool timeless; /* clocks stand still */

  /* tensor/tensor.c: scopes, one stack of owned tensors; a NULL entry marks where a scope begins */
  struct {
    pl_tensor **v;
    size_t n, room;
  } owned;
  /* tensor/print.c */
  pl_print_options print;

  /* autograd/call.c */
  uint64_t serial;       /* of the newest node */
  struct pl_node *dying; /* nodes that are being released, when `draining` */
  pl_tracer *tracer;     /* NULL, but while a computation is traced */
  int place;             /* of the call that is being traced */
  bool recording_off, draining;
  bool recomputing; /* what was computed before: running statistics stay as they are */

  /* image/loader.c */
  int loader_threads;
  double data_seconds; /* that batches were waited for */

  /* ops/load.c: the ops of the library whose pl_ops_open runs, a pl_waiting */
  void *opening;
};

/* A thread's own, found without a call where the library's text is shared; the library has little
 * of it, so that it also fits where modules are loaded at run time. */
#define PL_THREAD_LOCAL _Thread_local __attribute__((tls_model("initial-exec")))

/* The context that is entered on this thread; NULL before the first call of the engine. */
extern PL_THREAD_LOCAL pl_context *pl_here;
/* Enters the thread's own. */
pl_context *pl_context_first(void);
#define PL_HERE (__builtin_expect(pl_here != NULL, 1) ? pl_here : pl_context_first())

/* Ends what belongs to the scopes of the context that is entered; of the floor of tensors. */
extern void (*pl_scopes_end)(void);

/* Memory of a higher floor, all zero, that lives as long as the context; NULL if there is none. */
void *pl_context_hang(pl_context *c, size_t bytes);

/* For the kernel threads of a call, which have no context: whether that of the call is to stop. */
static inline bool pl_context_interrupted(const pl_context *c) {
  return atomic_load_explicit(&c->interrupted, memory_order_relaxed);
}

/* The files of this floor alone call these. */
void pl_context_free(pl_context *c);
void pl_memory_begin(pl_context *c);
/* Gives back what is cached; true if no tensor is left. */
bool pl_memory_end(pl_context *c);
void pl_profile_end(pl_context *c);
/* Of all rows together. */
double pl_profile_seconds(const pl_profile *p);
void pl_random_begin(pl_context *c);
/* This thread's OpenMP as the engine needs it. */
void pl_threads_begin(void);

#endif
