/*
** archive.h: what the formats of archives have in common: each gives these functions, and a struct
** that begins with pl_archive.
*/
#ifndef PERILUNE_ARCHIVE_H
#define PERILUNE_ARCHIVE_H

#include "io.h"

enum { PL_ARCHIVE_NAME = 160 }; /* room for a name in a message; a longer one is cut */

typedef struct {
  void (*close)(pl_archive *a);
  int (*count)(const pl_archive *a);
  const char *(*name)(const pl_archive *a, int i);
  pl_tensor *(*tensor)(pl_archive *a, int i, bool convert, bool *unfit);
  pl_named_text (*text)(const pl_archive *a, int i);
} pl_archive_format;

struct pl_archive {
  const pl_archive_format *format;
};

/* Copies n structs that begin with a name, in the order of the names; freed with free(). */
void *pl_sorted_by_name(const void *list, int n, size_t width);
/* Fails with "PATH: WHAT 'NAME' is not UTF-8 ..." where the text is not, which other readers refuse. */
bool pl_archive_check_text(const char *path, const char *what, const char *name, const char *text);
/* The same of all names; each must be there once, with a tensor. Sorted. */
bool pl_archive_check_names(const char *path, int n, const pl_named_tensor *t);

pl_archive *pl_safetensors_open(const char *path);
pl_archive *pl_npz_open(const char *path);

#endif
