/*
** stored.h: the dtypes of values in files, by the names of safetensors, and what becomes of them here.
**
**   in the file             here
**   F32 F64 F16 BF16        real
**   I32 I16 I8 U16          int32
**   I64 U64 U32             int32, where all values fit
**   U8 BOOL                 uint8
*/
#ifndef PERILUNE_STORED_H
#define PERILUNE_STORED_H

#include "../tensor/tensor.h"

/* Converts n values, or those before the first that does not fit; says how many. */
typedef int64_t pl_unpack(const void *in, void *out, int64_t n);

typedef struct {
  char name[8];
  int width;           /* bytes of a value in a file */
  pl_dtype dtype;      /* what it is here */
  pl_unpack *unpack;   /* NULL: the bytes are those of the dtype here */
  pl_unpack *convert;  /* to real, whatever the values are; NULL: all fit, or none may */
  const char *problem; /* of a value that does not fit, and the way out */
} pl_stored_dtype;

/* The one of that name; NULL if it cannot be read. */
const pl_stored_dtype *pl_stored_find(const char *name);
/* The name under which a dtype of ours is written. */
const char *pl_stored_name(pl_dtype dtype);
/* The value at `in` as text, as snprintf does; for those dtypes that have a `problem`. */
void pl_stored_print(const pl_stored_dtype *type, const void *in, char *text, size_t n);

/*
** Reading the values of a tensor (values.c)
*/

/* Gives the next n bytes; false with a message if they are not there. */
typedef bool pl_take(void *from, void *out, size_t n);

/* How they lie there. */
typedef struct {
  const pl_stored_dtype *type;
  pl_ints size;
  bool swapped; /* the bytes of a value are in the other order */
  bool columns; /* column by column: the first index runs fastest, as in Fortran */
} pl_stored_layout;

/* A value that does not fit. */
typedef struct {
  bool found;
  char place[21 * PL_MAX_RANK], value[32]; /* its indices, from 1: "2,1"; and what it is */
} pl_misfit;

/* With `convert` integers beyond int32 make the tensor real, and doubles beyond float are infinite.
   NULL without a message if a value does not fit, which is in *bad then. */
pl_tensor *pl_stored_read(const pl_stored_layout *layout, bool convert, pl_take *take, void *from,
                          pl_misfit *bad);
/* Puts the message of such a value into the slot: "PATH: WHAT has the I64 value ...", and, of one
   tensor among others, that 'skip' leaves it out. */
void pl_stored_refuse(const char *path, const char *what, const char *dtype,
                      const pl_stored_layout *layout, const pl_misfit *bad, bool among_others);

#endif
