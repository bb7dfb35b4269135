/*
** perilune_op.h: ops of your own. Included by perilune.h.
**
** An op is registered once for the whole process, by a program or by a shared object that is loaded
** at run time (pl_load_ops; pl.load_ops in Lua). From then on it is like the library's own: pl_call
** and pl_op_call call it, gradients flow through it, scripts have it as a function, with help. Its
** texts have the notation of docs/ops.md, where the fields are explained:
**
**   static bool forward(pl_args *c) {
**     pl_tensor *x = pl_contiguous(pl_input(c, 0));
**     ...
**   }
**
**   const pl_op_spec spec = {.size = sizeof spec, .name = "mine.squash", .inputs = "x",
**                            .attrs = "k:real=1", .doc = "x / (k + |x|)", .samples = "any[3,4]",
**                            .shape = shape, .forward = forward, .gradient = gradient};
**   if (!pl_op_new(&spec)) fprintf(stderr, "%s\n", pl_error());
**
** examples/embed/plugin_op.c is a whole one.
*/
#ifndef PERILUNE_OP_H
#define PERILUNE_OP_H

/* One call of an op: what its functions see. */
typedef struct pl_args pl_args;

enum { PL_MAX_SAVED = 4 };

/* Values that the gradient does not look at, so the graph need not keep them; their shapes stay. */
typedef enum { PL_UNSAVED_IN = 1, PL_UNSAVED_OUT = 2, PL_UNSAVED_ALL = 3 } pl_unsaved;

/*
** The functions give false with the error slot set (pl_op_fail) where they fail. They may run on
** several threads at the same time, each call with its own arguments. What they make they need not
** release.
*/
typedef struct {
  size_t size;          /* sizeof(pl_op_spec); what is left out below is 0 */
  const char *name;     /* "swish", or "mine.swish": with a dot it is no method of tensors */
  const char *inputs;   /* "x weight bias?" */
  const char *attrs;    /* "dim:dim keepdim:bool=false" */
  const char *doc;      /* one line: what the result is */
  const char *samples;  /* for pl.testing.check_op and help: "any[3,4] dim=1; any[3,4]" */
  const char *group;    /* its heading in help */
  int outputs;          /* 0 stands for 1 */
  pl_integers integers; /* what becomes of int32 and uint8 */
  unsigned apart;       /* bits of the inputs that are no numbers of the result: masks, positions */
  unsigned unsaved;     /* of pl_unsaved */
  bool nograd;          /* there is no gradient */
  bool broadcast;       /* the functions see inputs of one size */
  /* Checks the inputs and creates the outputs with pl_out; where it is absent, forward does. */
  bool (*shape)(pl_args *c);
  /* Computes the values of the outputs, or makes them of other ops (pl_set_output), whose history
   * is then that of the call. */
  bool (*forward)(pl_args *c);
  /* Makes the outputs of other ops; one that has it needs neither forward nor gradient. */
  bool (*decompose)(pl_args *c);
  /* Fills gin[i] for the bits i of needs_grad with what flows back to input i: a tensor of its size,
   * or NULL for zero. gout[j] is NULL where nothing flows back to output j. Written in functions of
   * perilune_ops.h it has gradients itself. Of more than 32 inputs, in a list, all have theirs. */
  bool (*gradient)(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad, pl_tensor **gin);
  /* The same as one pass over bare values, for when no graph of the gradient is asked for. */
  bool (*fused_gradient)(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                         pl_tensor **gin);
  /* Additions and multiplications of a call, for profiles; without it one for each result. */
  double (*flops)(const pl_args *c);
  void *user;       /* what pl_user gives */
  const char *onnx; /* what a call becomes in an ONNX graph: "Div(x, Add(Abs(x), k))" */
} pl_op_spec;

/* Use pl_op_new. */
PL_API const pl_op *pl_op_register(const pl_op_spec *spec, size_t real);
/* Registers an op, which lives as long as the process; copies all of the spec. From any thread.
 * NULL, with a message, if a text cannot be read or an op has the name. */
static inline const pl_op *pl_op_new(const pl_op_spec *spec) {
  return pl_op_register(spec, sizeof(pl_real));
}

#define PL_PLUGIN PL_API /* the shared object's, not the library's */
/*
** What a shared object with ops has: a function that registers them, called once in a process. If it
** gives false, no op is registered.
*/
PL_PLUGIN bool pl_ops_open(void);
/* Loads a shared object, which is never unloaded, and calls its pl_ops_open; harmless if it was
 * loaded before. A path without a slash is looked for as the system looks for libraries. How many
 * ops it has, the first `room` of which are put into `ops`; -1, with a message, on failure. */
PL_API int pl_load_ops(const char *path, int room, const pl_op **ops);

/*
** What the functions may ask. Inputs, outputs and attributes count from 0.
*/

/* As many as there are names, or as there are tensors in the list. */
PL_API int pl_input_count(const pl_args *c);
/* NULL for one that may be missing, and is. Strides may be any: see pl_contiguous. */
PL_API pl_tensor *pl_input(const pl_args *c, int i);
PL_API const pl_attr *pl_attribute(const pl_args *c, int i);
PL_API pl_tensor *pl_output(const pl_args *c, int i);
/* What forward kept by pl_save. */
PL_API pl_tensor *pl_saved(const pl_args *c, int i);
/* The spec's. */
PL_API void *pl_user(const pl_args *c);

/* Creates output i, contiguous, without values. */
PL_API bool pl_out(pl_args *c, int i, pl_dtype dtype, pl_ints size);
/* Makes t output i; false if it is NULL. The last outputs of a call may be left NULL. */
PL_API bool pl_set_output(pl_args *c, int i, pl_tensor *t);
/* Keeps hidden tensor i, below PL_MAX_SAVED, for the gradient; false if it is NULL. */
PL_API bool pl_save(pl_args *c, int i, pl_tensor *t);

/* "op: message", with the op's name in front; false. */
PL_API bool pl_op_fail(const pl_args *c, const char *format, ...) PL_PRINTF(2, 3);
/* False, with a message, unless input i, if it is there, is real. */
PL_API bool pl_need_real(const pl_args *c, int i);
/* The same unless it has so many dims. */
PL_API bool pl_need_rank(const pl_args *c, int i, int rank);
/* The same unless it is real and of this size, which follows from input `of`. */
PL_API bool pl_need_size(const pl_args *c, int i, pl_ints size, int of);

#endif
