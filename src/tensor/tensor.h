/*
** tensor.h: the tensor as the engine's own files see it. This floor knows memory, shapes
** and strides; `node`, `output` and `grad` are carried for the autograd floor, which hooks
** pl_history_drop to learn of a tensor's end.
*/
#ifndef PERILUNE_TENSOR_H
#define PERILUNE_TENSOR_H

#include "../base/base.h"

struct pl_node;

struct pl_tensor {
  int refs;
  pl_dtype dtype;
  int rank;
  int node_refs; /* those of refs that calls hold, which have it as an input */
  bool requires_grad;
  bool shared; /* between threads: nothing here is written but refs, atomically */
  int64_t size[PL_MAX_RANK];
  int64_t stride[PL_MAX_RANK]; /* in elements; 0 repeats, negative runs backwards */
  int64_t offset;              /* of the first element, in elements */
  pl_context *owner;           /* which counts it */
  pl_storage *storage;         /* NULL: a meta tensor, which has a shape and a history only */
  struct pl_node *node;        /* the call that made it, or NULL */
  int output;                  /* which output of it */
  pl_tensor *grad;             /* of a leaf */
  const char *cut; /* what ended the history that its inputs had, "argmax" say; NULL: nothing */
  bool cut_in_no_grad;
};

extern void (*pl_history_drop)(pl_tensor *t);

size_t pl_dtype_bytes(pl_dtype dtype);
static inline pl_real *pl_reals(const pl_tensor *t) {
  return (pl_real *)t->storage->data + t->offset;
}
static inline int32_t *pl_int32s(const pl_tensor *t) {
  return (int32_t *)t->storage->data + t->offset;
}
static inline uint8_t *pl_uint8s(const pl_tensor *t) {
  return (uint8_t *)t->storage->data + t->offset;
}

/* Another tensor on the same storage, without history. */
pl_tensor *pl_alias(pl_tensor *t, pl_ints size, const int64_t *stride, int64_t offset);
/* The same without history, and with references that any thread may change. */
pl_tensor *pl_open_to_threads(pl_tensor *t);
/* The shape alone: storage NULL, history kept by the caller. */
pl_tensor *pl_meta(const pl_tensor *t);
/* y, which has the values of x: notes what ended the history of x, which is `by` if x has one. */
pl_tensor *pl_cut(pl_tensor *y, pl_tensor *x, const char *by);
/* The same of other values, made of those of x by what is no op. */
pl_tensor *pl_cut_of(pl_tensor *y, const pl_tensor *x, const char *by);
bool pl_same_size(const pl_tensor *a, const pl_tensor *b);
bool pl_overlaps_itself(const pl_tensor *t);
/* False with "what: ... is read only" if nobody may write into t's memory. */
bool pl_check_writable(const char *what, const pl_tensor *t);
/* Resolves a dimension counted from the end; false with "op: dim …" if out of range. */
bool pl_resolve_dim(const char *what, int rank, int64_t *dim);
/* Resolves all of a list, which may name each once; bit d of *mask: dim d is among them. */
bool pl_resolve_dims(const char *what, int rank, pl_ints *dims, unsigned *mask);
/* "64,10" */
char *pl_size_text(pl_ints size, char *buf, size_t n);
int64_t pl_count(pl_ints size);
/* Whether a dtype holds this value as it is; a real tensor holds any, rounded. */
bool pl_fits(pl_dtype dtype, double value);
/* The values in row-major order, converted: out has room for pl_numel of that dtype. */
void pl_gather_values(const pl_tensor *t, pl_dtype dtype, void *out);
/* Fills with 0 (probability p) and 1 / (1 - p). */
bool pl_dropout_mask(pl_tensor *t, double p);

/* Operands of one shape, dimensions merged where all strides allow it. */
typedef struct {
  int rank;
  int64_t size[PL_MAX_RANK];
  int64_t stride[3][PL_MAX_RANK];
} pl_loop;

/* Of up to three operands. */
pl_loop pl_loop_of(int rank, const int64_t *size, int n, const int64_t *const *stride);
/* Calls body for rows along the innermost dimension, on all threads, and for parts of a row if it
 * is the only one: how many elements, where each operand's begin and how far apart they are. */
typedef void pl_loop_body(void *context, int64_t n, const int64_t *offset, const int64_t *stride);
void pl_loop_run(const pl_loop *loop, pl_loop_body *body, void *context);

enum { PL_TEXT = 96 }; /* room for a description */
#define PL_DESCRIBE(t) pl_describe((t), (char[PL_TEXT]){0}, PL_TEXT)

#endif
