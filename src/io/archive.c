/*
** archive.c: named tensors in one file, in whichever format: tells them apart by what they have.
*/
#include "archive.h"

#include <stdlib.h>
#include <string.h>

pl_archive *pl_archive_open(const char *path) {
  const pl_file_kind *kind = pl_file_kind_of(path);
  if (!kind) return NULL;
  return strcmp(kind->name, "npz") == 0 ? pl_npz_open(path) : pl_safetensors_open(path);
}

void pl_archive_close(pl_archive *a) {
  if (a) a->format->close(a);
}

int pl_archive_count(const pl_archive *a) { return a->format->count(a); }

const char *pl_archive_name(const pl_archive *a, int i) { return a->format->name(a, i); }

pl_named_text pl_archive_text(const pl_archive *a, int i) { return a->format->text(a, i); }

pl_tensor *pl_archive_tensor(pl_archive *a, int i, bool convert, bool *unfit) {
  return a->format->tensor(a, i, convert, unfit);
}

/*
** What is written
*/

static int by_name(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void *pl_sorted_by_name(const void *list, int n, size_t width) {
  void *copy = malloc((size_t)n * width + 1);
  if (!copy) return pl_fail_as(PL_ERROR_MEMORY, "not enough memory for %d names", n), NULL;
  if (n > 0) memcpy(copy, list, (size_t)n * width);
  qsort(copy, (size_t)n, width, by_name);
  return copy;
}

bool pl_archive_check_text(const char *path, const char *what, const char *name, const char *text) {
  const int64_t at = pl_utf8_check(text);
  return at < 0 || pl_fail("%s: %s '%s' is not UTF-8 (byte 0x%02X at %lld)", path, what, name,
                           (unsigned char)text[at], (long long)at + 1);
}

bool pl_archive_check_names(const char *path, int n, const pl_named_tensor *t) {
  for (int i = 0; i < n; i++) {
    if (!t[i].tensor) return pl_fail("%s: tensor '%s' is missing", path, t[i].name);
    if (!pl_archive_check_text(path, "the name of tensor", t[i].name, t[i].name)) return false;
    if (i > 0 && strcmp(t[i].name, t[i - 1].name) == 0)
      return pl_fail("%s: two tensors are named '%s'", path, t[i].name);
  }
  return true;
}
