/*
** npz.c: archives of NumPy arrays, which numpy.savez and numpy.savez_compressed write: a zip archive
** whose members are .npy files.
*/
#include <stdlib.h>
#include <string.h>

#include "archive.h"
#include "npy.h"
#include "zip.h"

#define ENDING ".npy"

/*
** Reading
*/

typedef struct {
  pl_archive archive;
  pl_zip *zip;
  char **names; /* of the members, without their ending, and NULL */
} npz;

static void close_file(pl_archive *archive) {
  npz *a = (npz *)archive;
  for (int i = 0; a->names && i < pl_zip_count(a->zip); i++) free(a->names[i]);
  free(a->names);
  pl_zip_close(a->zip);
  free(a);
}

static int count(const pl_archive *a) { return pl_zip_count(((const npz *)a)->zip); }

static const char *name_of(const pl_archive *a, int i) { return ((const npz *)a)->names[i]; }

static pl_named_text text_of(const pl_archive *a, int i) {
  (void)a, (void)i;
  return (pl_named_text){NULL, NULL};
}

static bool is_array(const char *name) {
  const size_t n = strlen(name);
  return n >= sizeof ENDING - 1 && strcmp(name + n - (sizeof ENDING - 1), ENDING) == 0;
}

static pl_tensor *read_member(npz *a, int i, bool convert, bool *unfit) {
  char what[PL_ARCHIVE_NAME];
  snprintf(what, sizeof what, "array '%s'", a->names[i]);
  const pl_npy_source s = {.path = pl_zip_path(a->zip),
                           .what = what,
                           .among_others = true,
                           .bytes = pl_zip_size(a->zip, i),
                           .take = pl_zip_take,
                           .from = a->zip};
  pl_npy_header h;
  if (!pl_npy_read_header(&s, &h, unfit)) return NULL;
  pl_tensor *t = pl_npy_read_values(&s, &h, convert, unfit);
  return t && pl_zip_end(a->zip) ? t : NULL;
}

static pl_tensor *tensor(pl_archive *archive, int i, bool convert, bool *unfit) {
  npz *a = (npz *)archive;
  *unfit = !is_array(pl_zip_name(a->zip, i));
  if (*unfit)
    return pl_file_fail("%s: '%s' is not named as NumPy arrays are; 'skip' leaves it out",
                        pl_zip_path(a->zip), a->names[i]),
           NULL;
  return pl_zip_begin(a->zip, i, unfit) ? read_member(a, i, convert, unfit) : NULL;
}

static bool make_names(npz *a) {
  const int n = pl_zip_count(a->zip);
  a->names = calloc((size_t)n + 1, sizeof *a->names);
  for (int i = 0; a->names && i < n; i++) {
    const char *name = pl_zip_name(a->zip, i);
    a->names[i] = strndup(name, strlen(name) - (is_array(name) ? sizeof ENDING - 1 : 0));
    if (!a->names[i]) return false;
  }
  return a->names;
}

/* Two names may differ by their endings alone. */
static bool check_names(const npz *a) {
  for (int i = 1; a->names[i - 1] && a->names[i]; i++)
    if (strcmp(a->names[i], a->names[i - 1]) == 0)
      return pl_file_fail("%s: two arrays are named '%s'", pl_zip_path(a->zip), a->names[i]);
  return true;
}

pl_archive *pl_npz_open(const char *path) {
  static const pl_archive_format format = {close_file, count, name_of, tensor, text_of};
  pl_zip *zip = pl_zip_open(path);
  if (!zip) return NULL;
  npz *a = calloc(1, sizeof *a);
  if (a) *a = (npz){.archive = {&format}, .zip = zip};
  const bool ok = (a && make_names(a)) ||
                  pl_fail_as(PL_ERROR_MEMORY, "%s: not enough memory for its names", path);
  if (ok && check_names(a)) return &a->archive;
  if (a) close_file(&a->archive);
  else pl_zip_close(zip);
  return NULL;
}

/*
** Writing
*/

static bool write_bytes(void *file, const void *data, size_t n) {
  return pl_newfile_write(file, data, n);
}

static bool add_bytes(void *entry, const void *data, size_t n) {
  pl_zip_entry *e = entry;
  e->crc = pl_crc32(e->crc, data, n);
  e->size += (int64_t)n;
  e->packed = e->size;
  return true;
}

/* Gives the bytes of a .npy file to a file, a packer or a checksum. */
static bool pour(pl_give *give, void *to, pl_tensor *t) {
  char header[PL_NPY_HEADER];
  pl_scope_begin(); /* one packed copy at a time */
  t = pl_contiguous(t);
  const size_t n = t ? pl_npy_header_of(t, header) : 0;
  const bool ok = t && pl_check_interrupt() && give(to, header, n) &&
                  give(to, pl_data(t), (size_t)pl_numel(t) * pl_dtype_bytes(pl_dtype_of(t)));
  pl_scope_end();
  return ok;
}

static bool pack(pl_newfile *f, pl_tensor *t, pl_zip_entry *e) {
  pl_zip_packer *p = pl_zip_pack_open(f, e);
  const bool ok = p && pour(pl_zip_pack, p, t) && pl_zip_pack_end(p);
  pl_zip_pack_close(p);
  return ok;
}

static bool write_all(pl_newfile *f, int n, const pl_named_tensor *t, pl_zip_entry *e) {
  int64_t offset = 0;
  for (int i = 0; i < n; i++) {
    if (!pl_zip_write_member(f, &e[i], offset)) return false;
    if (!(e[i].deflated ? pack(f, t[i].tensor, &e[i]) : pour(write_bytes, f, t[i].tensor)))
      return false;
    offset += pl_zip_overhead(&e[i]) + e[i].packed;
  }
  return pl_zip_write_directory(f, n, e, offset);
}

static bool save(const char *path, int n, const pl_named_tensor *t, pl_zip_entry *e) {
  for (int i = 0; i < n; i++)
    if (!e[i].deflated && !pour(add_bytes, &e[i], t[i].tensor)) return false;
  pl_newfile *f = pl_newfile_open(path);
  if (!f) return false;
  if (write_all(f, n, t, e)) return pl_newfile_commit(f);
  pl_newfile_discard(f);
  return false;
}

enum { MAX_NAME = 60000 }; /* bytes; zip has 16 bits for their number */

/* NAME.npy, a copy. */
static char *member_name(const char *path, const char *name) {
  char *text = NULL;
  const size_t n = strlen(name);
  if (n > MAX_NAME)
    return pl_fail("%s: the name of a tensor has %zu bytes; %d can be", path, n, MAX_NAME), NULL;
  if (asprintf(&text, "%s" ENDING, name) >= 0) return text;
  return pl_fail_as(PL_ERROR_MEMORY, "not enough memory for a name"), NULL;
}

static bool save_sorted(const char *path, int n, const pl_named_tensor *t, pl_zip_entry *e) {
  bool ok = pl_archive_check_names(path, n, t);
  for (int i = 0; ok && i < n; i++) ok = (e[i].name = member_name(path, t[i].name));
  ok = ok && save(path, n, t, e);
  for (int i = 0; i < n; i++) free((char *)e[i].name);
  return ok;
}

bool pl_npz_save(const char *path, int n, const pl_named_tensor *tensors, bool compress) {
  pl_named_tensor *t = pl_sorted_by_name(tensors, n, sizeof *t);
  pl_zip_entry *e = calloc((size_t)n + 1, sizeof *e);
  if (!e) pl_fail_as(PL_ERROR_MEMORY, "not enough memory for %d names", n);
  for (int i = 0; e && i < n; i++) e[i].deflated = compress;
  const bool ok = t && e && save_sorted(path, n, t, e);
  free(e);
  free(t);
  return ok;
}
