/*
** npy.h: NumPy arrays as they lie in files, by themselves (npy.c) and within archives (npz.c).
*/
#ifndef PERILUNE_NPY_H
#define PERILUNE_NPY_H

#include "stored.h"

/* Where an array is read from. */
typedef struct {
  const char *path, *what; /* "the array", "array 'w'": for messages */
  bool among_others;       /* it may be left out */
  int64_t bytes;           /* of header and values, all that there is */
  pl_take *take;
  void *from;
} pl_npy_source;

/* What a header says. */
typedef struct {
  char dtype[8]; /* as in the file: "<f8" */
  pl_stored_layout layout;
  int64_t begin; /* where the values begin */
} pl_npy_header;

/* Reads and checks the header: as many values follow as it says. *unfit says of a failure that
   the array is whole, but of a dtype that has no place here. */
bool pl_npy_read_header(const pl_npy_source *s, pl_npy_header *h, bool *unfit);
/* Reads the values behind it; *unfit as above. */
pl_tensor *pl_npy_read_values(const pl_npy_source *s, const pl_npy_header *h, bool convert,
                              bool *unfit);

/* The bytes of a header for a tensor, with which it is a file of its own; says how many. */
enum { PL_NPY_HEADER = 512 };
size_t pl_npy_header_of(const pl_tensor *t, char text[PL_NPY_HEADER]);

#endif
