/*
** perilune.h: tensors, gradients of any order, and layer primitives, in plain C.
**
** Three rules hold for the whole engine.
**
** Errors are values. A function that fails returns NULL or false and leaves one
** message in the error slot of the context; the first message stays until
** pl_error_clear. A builder called while the slot is set returns NULL at once, so
** expressions nest without tests and one look at the end is enough. An absent
** optional input is NULL too, with the slot clear.
**
** Results belong to scopes. Every tensor that a function returns belongs to the
** innermost open scope of the context and lives until pl_scope_end; pl_retain makes
** it outlive the scope, pl_release ends that.
**
** Indices stored in tensors (labels, token ids, what argmax gives) count from 1, as
** the scripts do. Dimensions and positions passed as C arguments count from 0;
** negative ones count from the end.
**
** Any number of threads may use the engine, each in a context of its own (see Contexts), and each
** with OpenMP threads of its own inside.
*/
#ifndef PERILUNE_H
#define PERILUNE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PL_VERSION  "0.2.0"   /* read by meson.build too */
#define PL_NO_DIM   INT32_MIN /* of a dim that may be left out, and was */
#define PL_MAX_RANK 8         /* dimensions of a tensor */

/* `real` is fixed when the library is built; an installed copy of this header says which:
   @PL_REAL_IS_FIXED@ */
#ifdef PL_REAL_IS_DOUBLE
typedef double pl_real;
/* What passes memory that holds reals has another name with doubles, so that a program that was
   compiled for the other real does not link, or is not loaded, with this library. */
#define pl_from   pl_from_double
#define pl_data   pl_data_double
#define pl_borrow pl_borrow_double
#else
typedef float pl_real;
#endif

#if defined(__GNUC__)
#define PL_API          __attribute__((visibility("default")))
#define PL_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define PL_API
#define PL_PRINTF(f, a)
#endif

typedef struct pl_tensor pl_tensor;
typedef struct pl_op pl_op;

typedef enum { PL_REAL, PL_INT32, PL_UINT8 } pl_dtype;

/* What these were called in version 0.1. */
#define pl_kind      pl_dtype
#define pl_kind_of   pl_dtype_of
#define pl_kind_name pl_dtype_name
#define pl_none      PL_ALL_DIMS
#define pl_packed    pl_contiguous
#define pl_touch     pl_bump_version

/* A list of sizes or dimensions passed by value: pl_list(2, 3, 4). */
typedef struct {
  int n;
  int64_t v[PL_MAX_RANK];
} pl_ints;
#ifndef __cplusplus
#define pl_list(...) \
  ((pl_ints){(int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), {__VA_ARGS__}})
#define PL_ALL_DIMS ((pl_ints){0, {0}}) /* for reductions: all dimensions */
#else
#define PL_ALL_DIMS (pl_ints())
extern "C++" template <typename... T>
inline pl_ints pl_list(T... v) {
  return pl_ints{static_cast<int>(sizeof...(v)), {static_cast<int64_t>(v)...}};
}
#endif

/*
** The library that the program got, which may be a newer one than it was compiled against, where
** PL_VERSION is of the header.
*/

/* "0.2.0" */
PL_API const char *pl_version(void);
/* sizeof(pl_real) as the library has it, for those who call it without this header. */
PL_API size_t pl_real_size(void);

/*
** A struct of options that the program fills begins with its size:
**
**   pl_sgd_step o = {.size = sizeof o, .lr = 0.1};
**
** So it may grow at its end: what a program does not know of is 0 for the library, which means as
** before. Of what the library does not know nothing may be set.
*/

/*
** Contexts. All that a user of the engine changes is in one: the error slot, the interrupt, scopes,
** the gradient mode, the random stream, the account of memory with its cache, the profile, how
** tensors are printed, the number of OpenMP threads. Each thread has a context of its own, from its
** first call to its end; another can be entered in its place, by one thread at a time:
**
**   pl_context *mine = pl_context_open(), *before = pl_context_enter(mine);
**   ...
**   pl_context_enter(before);
**   pl_context_close(mine);
**
** A tensor and what is computed from it are used by one thread at a time. They may be used, and
** released, in another context than where they were made, which still counts them, even after it was
** closed. One that pl_share gave is used by any number of threads at the same time.
*/

typedef struct pl_context pl_context;
/* NULL if memory is short. */
PL_API pl_context *pl_context_open(void);
/* Accepts NULL. Of one that was opened, while no thread is in it; tensors stay valid. */
PL_API void pl_context_close(pl_context *c);
/* From now on this thread works in c; returns where it was, to be entered again at the end. */
PL_API pl_context *pl_context_enter(pl_context *c);
/* The one that this thread is in. */
PL_API pl_context *pl_context_now(void);

/*
** Errors, interruption, threads
*/

/* What kind of failure it was. More kinds may come; those that a program does not know are errors
   like PL_ERROR. */
typedef enum {
  PL_OK,                /* none */
  PL_ERROR,             /* it cannot be done with these shapes, dtypes, values */
  PL_ERROR_MEMORY,      /* memory is short */
  PL_ERROR_INTERRUPTED, /* somebody asked it to stop */
  PL_ERROR_FILE,        /* a file cannot be read or written, or is not what it should be */
  PL_ERROR_UNSUPPORTED, /* this library was built without it */
  PL_ERROR_SYNTAX,      /* of hosts: the text is no Lua */
  PL_ERROR_SCRIPT,      /* of hosts: any other error of a script */
  PL_ERROR_BYTES,       /* of hosts: a limit of pl_limits was reached, as the next five */
  PL_ERROR_DEADLINE,
  PL_ERROR_INSTRUCTIONS,
  PL_ERROR_OUTPUT,
  PL_ERROR_FILES,
  PL_ERROR_DEPTH
} pl_status;

/* The message in the slot, or NULL. */
PL_API const char *pl_error(void);
/* What kind of failure it tells of; PL_OK without a message. */
PL_API pl_status pl_error_code(void);
PL_API void pl_error_clear(void);
/* Puts a message of kind PL_ERROR into the slot unless one is there; always returns false. */
PL_API bool pl_fail(const char *format, ...) PL_PRINTF(1, 2);
/* The same, of another kind; PL_OK stands for PL_ERROR. */
PL_API bool pl_fail_as(pl_status code, const char *format, ...) PL_PRINTF(2, 3);
/* Asks what is computed in a context to stop: every op fails with "interrupted" until cleared there.
 * From any thread, and async-signal-safe. */
PL_API void pl_context_interrupt(pl_context *c);
/* The same in the context that this thread is in, if it is in one. */
PL_API void pl_interrupt(void);
PL_API bool pl_interrupted(void);
PL_API void pl_interrupt_clear(void);
/* False, with "interrupted" in the slot, once a stop was asked for: for long loops. */
PL_API bool pl_check_interrupt(void);
/* Number of OpenMP threads of this thread's kernels; n < 1 only asks. Returns the number in use,
   at most what the environment allows (OMP_THREAD_LIMIT). */
PL_API int pl_threads(int n);
/* "avx512", "avx2" or "generic": the kernels in use (environment variable PERILUNE_ISA
 * overrides). */
PL_API const char *pl_isa(void);
/* The BLAS library and the core that it was tuned for, for instance "OpenBLAS 0.3.21 (Zen)". */
PL_API const char *pl_blas(void);

/*
** Memory
*/

PL_API void pl_scope_begin(void);
PL_API void pl_scope_end(void);
PL_API pl_tensor *pl_retain(pl_tensor *t);
/* Accepts NULL. */
PL_API void pl_release(pl_tensor *t);
/* Gives one reference, the caller's, to the innermost scope; NULL, and the reference is gone, if
   there is no memory. */
PL_API pl_tensor *pl_scope_own(pl_tensor *t);

typedef struct {
  int64_t tensors;      /* live tensors */
  int64_t live_bytes;   /* bytes of their storage, shared storage counted once */
  int64_t cached_bytes; /* freed storage kept for reuse */
} pl_memory;
PL_API pl_memory pl_memory_now(void);
/* What a context's memory is for, and where its time went. */
typedef struct {
  size_t size;          /* sizeof(pl_stats), set before: so much is filled in */
  int64_t tensors;      /* live ones */
  int64_t tensor_bytes; /* of their storage, shared storage counted once, borrowed memory too */
  int64_t graph_bytes;  /* among these: what calls recorded for gradients hold, parameters too */
  int64_t peak_bytes;   /* the most that tensor_bytes were, since pl_peak_reset */
  int64_t cached_bytes; /* freed storage kept for reuse */
  int64_t lua_bytes;    /* of a host's Lua state; otherwise 0 */
  double op_seconds;   /* in ops and their gradients, since pl_profile_start; 0 without a profile */
  double data_seconds; /* that data.batches waited for pictures */
} pl_stats;
/* Of this context. False, and an error, if the size is none. */
PL_API bool pl_stats_now(pl_stats *stats);
/* From here on the peak is counted anew. */
PL_API void pl_peak_reset(void);
/* Gives the cached storage back to the system. */
PL_API void pl_memory_trim(void);
/* Called with the bytes that could not be had, before any op changes state; may free tensors. */
PL_API void pl_memory_on_shortage(void (*reclaim)(size_t bytes));
/* Sets how many bytes of tensors may be live, beyond which calls fail; 0: any number, as at first; a
 * negative number only asks. Returns the limit there was. */
PL_API int64_t pl_memory_limit(int64_t bytes);
/* Test aid: the n-th storage allocation from now fails, as do all after it; n < 0 turns it off. */
PL_API void pl_memory_fail_after(int64_t n);

/*
** Tensors
*/

PL_API pl_tensor *pl_empty(pl_dtype dtype, pl_ints size);
PL_API pl_tensor *pl_full(pl_dtype dtype, pl_ints size, double value);
/* Copies `data`, sizes in row-major order. */
PL_API pl_tensor *pl_from(pl_dtype dtype, pl_ints size, const void *data);
/*
** A tensor in memory of the caller's, without a copy: elements are `strides` apart, counted in
** elements (NULL: row-major order), the first at `data`. What is written into one is seen in the
** other. `release(user)` (may be NULL) is called once, when the last tensor on this memory ends, on
** the thread that ends it; until then the memory must stay. Not called if this fails.
**
**   static float frame[480][640];
**   pl_tensor *x = pl_borrow(frame, PL_REAL, pl_list(480, 640), NULL, NULL, NULL);
*/
PL_API pl_tensor *pl_borrow(void *data, pl_dtype dtype, pl_ints size, const int64_t *strides,
                            void (*release)(void *user), void *user);
/* start, start + step, ... : n values. */
PL_API pl_tensor *pl_arange(pl_dtype dtype, double start, double step, int64_t n);

PL_API pl_dtype pl_dtype_of(const pl_tensor *t);
PL_API const char *pl_dtype_name(pl_dtype dtype);
PL_API pl_ints pl_size(const pl_tensor *t);
PL_API int pl_rank(const pl_tensor *t);
PL_API int64_t pl_numel(const pl_tensor *t);
PL_API pl_ints pl_strides(const pl_tensor *t);
PL_API bool pl_is_contiguous(const pl_tensor *t);
/* The first element. Elements follow pl_strides. Writing? call pl_bump_version afterwards. */
PL_API void *pl_data(const pl_tensor *t);
/* Notes that the values changed in place, so that a gradient which saved them refuses. */
PL_API void pl_bump_version(pl_tensor *t);
/* The element at position i in row-major order, whatever the dtype. */
PL_API double pl_at(const pl_tensor *t, int64_t i);
PL_API bool pl_set_at(pl_tensor *t, int64_t i, double value);
/* Whether both have one shape, and |a - b| <= atol + rtol |b| everywhere. */
PL_API bool pl_allclose(const pl_tensor *a, const pl_tensor *b, double rtol, double atol,
                        bool equal_nan);
/* The single value of a tensor with one element. */
PL_API bool pl_item(const pl_tensor *t, double *value);
/* t itself if it is contiguous, else a copy in row-major order; no gradient. */
PL_API pl_tensor *pl_contiguous(pl_tensor *t);
/* Whether a dtype has the value: int32 and uint8 have whole numbers of their range. If not, fails
   with "what: 300 does not fit uint8, ...", and the position of element i unless that is negative. */
PL_API bool pl_check_fits(const char *what, pl_dtype dtype, double value, int64_t i);
/* Copies values of any dtype and broadcastable shape into dst, in place; fails, and changes
   nothing, if one does not fit dst. */
PL_API bool pl_copy(pl_tensor *dst, pl_tensor *src);
PL_API bool pl_fill(pl_tensor *dst, double value);
/* A copy of its own, dense, without history. */
PL_API pl_tensor *pl_clone(pl_tensor *t);
/* Converts to another dtype, rounding towards zero; t itself if it has it. Fails if a value is
   then out of range, or NaN. No gradient but to itself. */
PL_API pl_tensor *pl_to(pl_tensor *t, pl_dtype dtype);
/* The values in row-major order, as doubles: out has room for pl_numel. */
PL_API void pl_values(const pl_tensor *t, double *out);
/* Writes "real[2,3]" style text; returns buf. */
PL_API char *pl_describe(const pl_tensor *t, char *buf, size_t n);
/* Writes the shape, the dtype, whether there is a gradient, and the rounded values, as snprintf
 * does. */
PL_API size_t pl_print(const pl_tensor *t, char *buf, size_t n);
/* How it writes: at most so many decimals, lines of `width` characters, and of a tensor with more
 * elements than the threshold the first and last edge_items (1 or more) of each dimension. */
typedef struct {
  int precision, threshold, width, edge_items;
} pl_print_options;
PL_API pl_print_options pl_get_print(void);
PL_API void pl_set_print(pl_print_options options);

/*
** Between threads, and between libraries
*/

/* The same values in the same memory, for many threads at the same time: each may compute with it,
   take views of it, retain and release it. From now on nobody may change this memory, neither by this
   tensor nor by others; trying fails. No history, no gradient. t itself if it is shared. */
PL_API pl_tensor *pl_share(pl_tensor *t);
/* Whether t's memory is shared, and so read only. */
PL_API bool pl_is_shared(const pl_tensor *t);

/*
** DLPack (dmlc.github.io/dlpack), how array libraries hand over memory without copies; dlpack/dlpack.h
** defines the structs. What is given has a `deleter` that whoever takes it calls once, on any thread.
** What is taken belongs to the tensor, which calls the deleter when its memory is needed no more; a
** failure leaves it with the caller. Memory of the CPU alone; real tensors are floats of pl_real's
** size, and bools become uint8. The versioned struct (DLPack 1.0) can say that memory is read only,
** which the other one cannot, so shared tensors are refused there.
*/
struct DLManagedTensor;
struct DLManagedTensorVersioned;
PL_API struct DLManagedTensor *pl_to_dlpack(pl_tensor *t);
PL_API struct DLManagedTensorVersioned *pl_to_dlpack_versioned(pl_tensor *t);
PL_API pl_tensor *pl_from_dlpack(struct DLManagedTensor *managed);
PL_API pl_tensor *pl_from_dlpack_versioned(struct DLManagedTensorVersioned *managed);

/*
** Random numbers: Philox 4x32-10 (Salmon et al. 2011), one stream for each context
*/

PL_API void pl_seed(uint64_t seed);
typedef struct {
  uint64_t key, counter;
} pl_random_state;
PL_API pl_random_state pl_random_get(void);
PL_API void pl_random_set(pl_random_state s);
/* A uniform integer in [0, n); advances the stream. */
PL_API int64_t pl_random_int(int64_t n);
/* Fill in place: uniform in [low, high), normal, 1 with probability p else 0. */
PL_API bool pl_uniform(pl_tensor *t, double low, double high);
PL_API bool pl_normal(pl_tensor *t, double mean, double std);
PL_API bool pl_bernoulli(pl_tensor *t, double p);
/* Uniform integers from low to high, both among them. */
PL_API bool pl_randint(pl_tensor *t, int64_t low, int64_t high);
/* int32 [n]: a random order of 1..n. */
PL_API pl_tensor *pl_randperm(int64_t n);
/* int32 [n]: positions, from 1, drawn with probabilities that are proportional to weights [k]. */
PL_API pl_tensor *pl_multinomial(pl_tensor *weights, int64_t n, bool replacement);

/*
** Gradients
*/

PL_API bool pl_requires_grad(const pl_tensor *t);
/* Whether no op made it, as far as gradients know. */
PL_API bool pl_is_leaf(const pl_tensor *t);
/* Only real tensors that no op made may be changed. */
PL_API bool pl_set_requires_grad(pl_tensor *t, bool on);
/* The accumulated gradient of a leaf, or NULL; borrowed. */
PL_API pl_tensor *pl_grad_of(const pl_tensor *t);
PL_API void pl_set_grad(pl_tensor *t, pl_tensor *grad);
/* Turns recording on or off; returns what it was. */
PL_API bool pl_grad_mode(bool on);
/* Whether recording is on. */
PL_API bool pl_grad_enabled(void);
/* The same values without their history. */
PL_API pl_tensor *pl_detach(pl_tensor *t);
/* Adds d output / d leaf, times `seed` (NULL: ones, output must have one element), to every leaf's
 * grad. */
PL_API bool pl_backward(pl_tensor *output, pl_tensor *seed, bool retain_graph, bool create_graph);
/*
** The same, the graph being freed; and while it goes on, each of n leaves is reported as soon as
** its grad is complete and no node reads its values any more, by itself or by another tensor in
** the same memory: ready(context, m, which), `which` being numbers from 0 into `leaves`. It may
** change the leaf and take its grad away, which is still in the caches then. Leaves whose grad is
** not reached are not reported; false ends the pass, with the error slot set. Interrupts wait for
** the end.
*/
typedef bool pl_ready(void *context, int m, const int *which);
PL_API bool pl_backward_each(pl_tensor *output, pl_tensor *seed, int n, pl_tensor *const *leaves,
                             pl_ready *ready, void *context);
/* The leaves that require a gradient and that the outputs depend on, each once: as many as there is
 * room for, in no order that counts. Gives how many there are; -1: no memory. */
PL_API int pl_leaves(int n, pl_tensor *const *outputs, int room, pl_tensor **leaves);
/*
** grads[i] = sum over o of seeds[o] * d outputs[o] / d inputs[i], NULL where there is no path.
** seeds may be NULL. create_graph makes the results differentiable and keeps the graph.
*/
PL_API bool pl_grad(int n_out, pl_tensor *const *outputs, pl_tensor *const *seeds, int n_in,
                    pl_tensor *const *inputs, pl_tensor **grads, bool retain_graph,
                    bool create_graph);

/*
** A function with a gradient of its own. `values` are what it gave (computed without recording);
** out[i] are these with a history, whose gradient `backward` gives: gin[i] for the bits of need
** from gout[j] (NULL: nothing flows back), by ops, so that it has a gradient itself where one
** is asked for. pl_custom_call takes the reference that refs = 1 stands for; `release` is
** called when no graph needs the function any more.
*/
typedef struct pl_custom {
  int refs;
  void *context;
  bool (*backward)(void *context, pl_tensor *const *gout, unsigned need, pl_tensor **gin);
  void (*release)(struct pl_custom *custom);
  pl_tensor *values[4]; /* the unused ones NULL */
} pl_custom;
PL_API bool pl_custom_call(pl_custom *custom, int n_in, pl_tensor *const *in, pl_tensor **out);

/*
** Profile: how often each op ran and each gradient of an op was made, and what it took. Work that
** an op hands on to other ops counts as its own.
*/

typedef struct {
  const char *name;
  bool gradient; /* the gradient of the op, not the op */
  int owner;     /* what pl_profile_owner was set to when the op ran */
  int64_t calls;
  double seconds;
  double flops; /* by formula: 2 m n k of a matrix product, 1 an element of what has no formula */
  double bytes; /* of all tensors that go in and come out, once each */
} pl_profile_row;
/* Forgets what was there and begins. */
PL_API void pl_profile_start(void);
PL_API void pl_profile_stop(void);
/* From now on ops belong to this owner, a number of the caller's; returns the one before. */
PL_API int pl_profile_owner(int owner);
/* Valid until the next op runs or the profile starts again. */
PL_API const pl_profile_row *pl_profile_rows(size_t *n);

/*
** Ops: a table of rows. perilune_ops.h, included below and written from the rows when the library
** is built, has one C function a row.
*/

/* What an attribute can be: its word in a row, its C type, its member in pl_attr. */
#define PL_ATTR_TYPES(X)                                               \
  X(INT, int, int64_t, i)                                              \
  X(REAL, real, double, d)                                             \
  X(BOOL, bool, bool, i)                                               \
  X(DIM, dim, int, i)          /* a dimension, from 0 */               \
  X(INDEX, index, int64_t, i)  /* a position in a dimension, from 0 */ \
  X(DIMS, dims, pl_ints, ints) /* a list of dimensions; empty: all */  \
  X(INTS, ints, pl_ints, ints) /* a list of integers; may be empty */  \
  X(PAIR, pair, pl_ints, ints) /* two integers: height and width */    \
  X(CHOICE, choice, int, i)    /* one of some words: its place among them */

typedef enum {
#define PL_ATTR_ENUM(type, ...) PL_ATTR_##type,
  PL_ATTR_TYPES(PL_ATTR_ENUM)
#undef PL_ATTR_ENUM
} pl_attr_type;

typedef union {
  int64_t i;
  double d;
  pl_ints ints;
} pl_attr;

typedef struct {
  const char *name;
  bool optional;
} pl_input_spec;

typedef struct {
  const char *name;
  pl_attr_type type;
  bool optional; /* `fallback` is used when it is not given */
  pl_attr fallback;
  const char *text; /* as written: default, or the words of a choice: "mean|sum" */
} pl_attr_spec;

enum { PL_MAX_IN = 8, PL_MAX_OUT = 4, PL_MAX_ATTR = 8 };

/* What a row takes. */
typedef struct {
  int n_in, n_attr;
  bool variadic; /* any number of tensors stand for the one input */
  pl_input_spec in[PL_MAX_IN];
  pl_attr_spec attr[PL_MAX_ATTR];
} pl_signature;

/* What becomes of int32 and uint8 tensors in a row. Where inputs of several dtypes meet, real goes
   before int32 before uint8. */
typedef enum {
  PL_INTEGERS_REFUSED, /* real tensors only, but for positions, labels and masks */
  PL_INTEGERS_REAL,    /* they are converted to real */
  PL_INTEGERS_COUNTED, /* int32 gives int32, uint8 is taken as int32; what does not fit fails */
  PL_INTEGERS_MOVED,   /* elements are chosen or moved, and keep their dtype */
  PL_INTEGERS_READ     /* taken as they are; the dtype of the result is always the same */
} pl_integers;

/* All ops: the table, row by row, then those that were registered (perilune_op.h), in that order;
 * NULL past the end. */
PL_API const pl_op *pl_op_at(int i);
/* How many there are. */
PL_API int pl_op_count(void);
PL_API const pl_op *pl_op_find(const char *name);
PL_API const char *pl_op_name(const pl_op *op);
/* What the row is for, as a heading: "Reductions". */
PL_API const char *pl_op_group(const pl_op *op);
PL_API const char *pl_op_doc(const pl_op *op);
PL_API const pl_signature *pl_op_signature(const pl_op *op);
/* Argument lists that the gradient tests use; see docs/ops.md for the notation. */
PL_API const char *pl_op_samples(const pl_op *op);
PL_API pl_integers pl_op_integers(const pl_op *op);
/* A tensor of rank 0 that stands for input k, a number, beside the others (numbers are NULL). A
   `whole` one, an integer of the script's, is int32 beside integers, or uint8 where a row moves
   elements and it fits; others are real. */
PL_API pl_tensor *pl_op_number(const pl_op *op, int n_in, pl_tensor *const *in, int k, double value,
                               bool whole);
PL_API bool pl_op_differentiable(const pl_op *op);
/* What a call becomes in an ONNX graph (docs/ops.md); NULL: the ops that it is made of, or nothing. */
PL_API const char *pl_op_onnx(const pl_op *op);
PL_API int pl_op_outputs(const pl_op *op);
/* Calls an op; out has room for pl_op_outputs(op) tensors. attrs: one a spec, or NULL for the
 * defaults. */
PL_API bool pl_call(const pl_op *op, int n_in, pl_tensor *const *in, const pl_attr *attrs,
                    pl_tensor **out);
/*
** The same by name, for the functions of perilune_ops.h: the caller gives the inputs, attributes
** and outputs that it knows of; what the row has more gets its defaults, and is not returned.
*/
PL_API bool pl_op_call(const char *name, int n_in, pl_tensor *const *in, int n_attr,
                       const pl_attr *attr, int n_out, pl_tensor **out);

#ifdef PL_SCAN_ROWS /* scripts/ops.py is reading */
#define PL_SCAN_TYPE(type, word, c_type, member) @attr type #word #c_type member @
PL_ATTR_TYPES(PL_SCAN_TYPE)
#else
#include "perilune_ops.h"
#endif
#include "perilune_op.h"
#include "perilune_optim.h"

#ifdef __cplusplus
}
#endif
#endif
