/*
** stored.h: the dtypes of values in files, by the names of safetensors, and what becomes of them here.
**
**   in the file             here
**   F32 F64 F16 BF16        real
**   I32 I16 I8 U16          int32
**   I64 U64 U32             int32, where all values fit
**   U8 BOOL                 uint8
**
** Reals are written as F32, F64, F16 or BF16, rounded to the nearest, of two the even one.
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
  pl_unpack *pack;     /* from real; NULL: the bytes are those here, or it is not written */
  pl_unpack *pack_any; /* the same, with infinity for what is beyond it; NULL: nothing is */
} pl_stored_dtype;

/* The one of that name; NULL if it cannot be read. */
const pl_stored_dtype *pl_stored_find(const char *name);
/* The one whose bytes are those of a dtype of ours. */
const pl_stored_dtype *pl_stored_own(pl_dtype dtype);
/* The one as which reals are written; NULL, with a message, if there is none of that name. */
const pl_stored_dtype *pl_stored_for_reals(const char *name);
/* The value at `in` as text, as snprintf does; for those dtypes that have a `problem`. */
void pl_stored_print(const pl_stored_dtype *type, const void *in, char *text, size_t n);

/*
** Reading and writing the values of a tensor (values.c)
*/

/* Gives the next n bytes; false with a message if they are not there. */
typedef bool pl_take(void *from, void *out, size_t n);

/* Takes n bytes; false with a message if it cannot. */
typedef bool pl_give(void *to, const void *data, size_t n);

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

/* Gives the values of a contiguous tensor in the layout's dtype, in row-major order. With `convert`
   those beyond the dtype are infinite; otherwise false without a message for one, which is in *bad. */
bool pl_stored_write(const pl_stored_layout *layout, pl_tensor *t, bool convert, pl_give *give,
                     void *to, pl_misfit *bad);

#endif
