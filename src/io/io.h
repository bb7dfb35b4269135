/*
** io.h: files in and out. Tensors from IDX, PNG, JPEG, safetensors, NumPy and CSV files, the few file
** operations that a run needs, and batches of images. Knows neither Lua nor gradients.
**
** Every function that fails says in the error slot which file it was and what was
** expected of it. Whatever a file claims is checked before memory is taken for it.
** A file is written whole or not at all: to a temporary file beside it, synced, renamed.
** Whoever is killed in between leaves the old file, and a `NAME.PID.tmp` beside it.
*/
#ifndef PERILUNE_IO_H
#define PERILUNE_IO_H

#include <stdio.h>

#include "perilune.h"

/* A failure that lies in a file, or in what the system lets be done with it. */
#define pl_file_fail(...) pl_fail_as(PL_ERROR_FILE, __VA_ARGS__)

/*
** Files (file.c)
*/

/* Opens an existing regular file for reading. */
FILE *pl_file_open(const char *path, int64_t *size);
/* Reads a file of at most `limit` bytes; the result is freed with free(). */
void *pl_file_read(const char *path, size_t limit, size_t *n);
/* The same into a block of malloc, or NULL, that has room for so many bytes, and grows. */
bool pl_file_read_into(const char *path, size_t limit, void **data, size_t *room, size_t *n);
/* Puts n bytes into the place of whatever the file had. */
bool pl_file_write(const char *path, const void *data, size_t n);
/* Adds n bytes; gives the new length. On failure the file has its old length. Bytes that were
   added without sync are on the disk after the next call with it. */
bool pl_file_append(const char *path, const void *data, size_t n, bool sync, int64_t *length);
bool pl_file_size(const char *path, int64_t *size);
/* Cuts the file to `size` bytes, at most what it has. */
bool pl_file_truncate(const char *path, int64_t size);
/* Makes the folder and those above it; one that exists is fine. */
bool pl_folder_make(const char *path);
/* Keeps other processes from locking the folder, until this one ends; where the file system has no
   locks, nothing is kept. */
bool pl_folder_lock(const char *path);
/* As remove, rename and fopen of the C library. */
bool pl_file_remove(const char *path);
bool pl_file_rename(const char *from, const char *to);
FILE *pl_file_stream(const char *path, const char *mode);

/*
** Folders (folder.c)
*/

/* Each is of malloc. */
typedef struct {
  int64_t n, room;
  char **v;
} pl_names;
/* Copies the name. */
bool pl_names_add(pl_names *names, const char *name);
void pl_names_free(pl_names *names);
/* The names in a folder that do not begin with a point, each list in the order of their bytes, behind
   what is in them. All that are no folders count as files. A link is what it leads to, or, where an
   access checks, a file that will not open. On failure too the lists are to be freed. */
bool pl_folder_list(const char *path, pl_names *folders, pl_names *files);
/* The paths below the folder of the files in it and in all below, in the order of their folders'
   paths, and of their names: z, a/z, a-/b, a/b/c. A link back to where it lies is not followed. */
bool pl_folder_find(const char *path, pl_names *files);

/*
** A file in the making: nothing is at its path until it is committed. Commit and
** discard both end it. A path that names a device is written directly.
*/
typedef struct pl_newfile pl_newfile;
pl_newfile *pl_newfile_open(const char *path);
bool pl_newfile_write(pl_newfile *f, const void *data, size_t n);
bool pl_newfile_commit(pl_newfile *f);
/* Accepts NULL. */
void pl_newfile_discard(pl_newfile *f);

/*
** Kinds of files (kind.c)
*/

typedef struct {
  const char *name; /* "npy"; "" of a file that begins like none we know */
  const char *what; /* "a NumPy array"; NULL of such a file */
  const char *hint; /* "pl.load reads it", or NULL */
} pl_file_kind;
/* By its first bytes; NULL, with a message, if it cannot be read. */
const pl_file_kind *pl_file_kind_of(const char *path);
/* Fails with "PATH: not a PNG image, but a NumPy array; pl.load reads it". */
bool pl_file_fail_kind(const char *path, const char *expected);
/* The same of a file's bytes. */
bool pl_bytes_fail_kind(const char *path, const char *expected, const void *file, size_t n);

/*
** IDX (idx.c): the format of MNIST and Fashion-MNIST, plain or in gzip
*/

/* uint8 or int32, with the sizes that the file states. */
pl_tensor *pl_idx_read(const char *path);

/*
** Images (images.c), as PNG (png.c) or JPEG (jpeg.c): read by content, written by the ending of the
** name
*/

enum { PL_MOST_PIXELS = 100000000 };

/* A part of an image, in its pixels: where it begins, and its size. */
typedef struct {
  double top, left, h, w;
} pl_window;

/*
** uint8 [h,w] or [h,w,c]. `channels` is 1 (grey), 3 (colour) or 4 (with alpha), or 0 for what the file
** has: [h,w] if it is grey, else [h,w,3]. Unless alpha is wanted, transparency is laid on white. 16
** bits are reduced to 8. A JPEG is turned as its EXIF data say, and may come smaller, by halves,
** quarters or eighths, as long as its shorter side keeps `least` pixels; 0 asks for all. The last of
** such pixels may lie beyond the border in part: *window is what the file's image covers of what came,
** all of it otherwise; it may be NULL. Images of more than 100 megapixels are refused.
*/
pl_tensor *pl_image_read(const char *path, int channels, int least, pl_window *window);
/* The same of the bytes of a file, whose name stands in messages. */
pl_tensor *pl_image_decode(const char *name, const void *file, size_t n, int channels, int least,
                           pl_window *window);
/* Grey [h,w], colour [h,w,3] or, as PNG alone, with alpha [h,w,4]: uint8, or real with 0 for black and
   1 for full. `quality` is that of JPEG, 1 to 100. */
bool pl_image_write(const char *path, pl_tensor *image, int quality);

/*
** Text (utf8.c)
*/

/* The place of the first byte that is not UTF-8, or -1. */
int64_t pl_utf8_check(const char *text);
/* Puts a point into a number that printf wrote, where the locale has another sign, of one byte or of
   several (decimal.c). */
void pl_decimal_point(char *text);

/*
** Checksums (checksum.c)
*/

/* The CRC-32 of n bytes that follow those whose CRC-32 is given; 0 for none. */
uint32_t pl_crc32(uint32_t crc, const void *data, size_t n);

/*
** Archives (archive.c): named tensors in one file, and in a safetensors file (safetensors.c) named
** texts. Real tensors are F32 or F64 in the file, unless fewer bits are asked for. Files of others may have more dtypes: stored.h says
** what becomes of them. What is written has a checksum of header and data among its texts, which
** is compared when the archive is opened; one that others wrote has none. Zip archives of NumPy
** arrays (npz.c) are read as they are.
*/

typedef struct {
  const char *name;
  pl_tensor *tensor;
} pl_named_tensor;

typedef struct {
  const char *name, *text;
} pl_named_text;

/* How reals are written. */
typedef struct {
  const char *dtype; /* "F32", "F64", "F16", "BF16", rounded to the nearest; NULL: as here */
  bool convert;      /* what is beyond it becomes infinite, and is no failure */
} pl_archive_reals;

/* Whether reals can be written as that dtype; the message if not. */
bool pl_archive_writes(const char *dtype);
/* Writes the tensors in the order of their names; the same values give the same bytes. `reals` may be
   NULL. */
bool pl_archive_save(const char *path, int n, const pl_named_tensor *tensors, int n_texts,
                     const pl_named_text *texts, const pl_archive_reals *reals);
/* The same without texts, as numpy.savez does it, or numpy.savez_compressed. */
bool pl_npz_save(const char *path, int n, const pl_named_tensor *tensors, bool compress);

typedef struct pl_archive pl_archive;
/* Reads and checks the header; the tensors follow one at a time. */
pl_archive *pl_archive_open(const char *path);
/* Accepts NULL. */
void pl_archive_close(pl_archive *a);
int pl_archive_count(const pl_archive *a);
/* Names come sorted and live as long as the archive is open. */
const char *pl_archive_name(const pl_archive *a, int i);
/* *unfit says of a failure that the tensor's dtype, or a value in it, has no place here; with
   `convert` integers beyond int32 are read as real, and doubles beyond float as infinity. */
pl_tensor *pl_archive_tensor(pl_archive *a, int i, bool convert, bool *unfit);
/* The i-th text, or a NULL name past the end. */
pl_named_text pl_archive_text(const pl_archive *a, int i);

/*
** NumPy arrays (npy.c)
*/

/* `convert` as of pl_archive_tensor. */
pl_tensor *pl_npy_read(const char *path, bool convert);
/* The file's own memory, read only: nothing is read before it is used. Only dtypes that lie there as
   they do here. */
pl_tensor *pl_npy_map(const char *path);
bool pl_npy_write(const char *path, pl_tensor *t);

/*
** Bytes (bytes.c)
*/

/* The values that lie in n bytes, of a dtype of ours or of safetensors ("I64"), in row-major order. */
pl_tensor *pl_from_bytes(const char *dtype, pl_ints size, const void *bytes, size_t n,
                         bool convert);

/*
** Batches (batch.c)
*/

/*
** real [b,c,h,w] from some rows (int32 [b], counted from 1) of uint8 images [n,h,w] or
** [n,h,w,c]: (pixel / 255 - mean) / std. `flip` mirrors left and right with probability
** 1/2, `shift` moves by up to so many pixels each way and fills with zero pixels. One
** random number an image, drawn in order; none if neither is asked for.
*/
pl_tensor *pl_image_batch(pl_tensor *images, pl_tensor *rows, double mean, double std, bool flip,
                          int shift);

#endif
