/*
** zip.h: zip archives, read and written one member at a time, as it is or deflated.
*/
#ifndef PERILUNE_ZIP_H
#define PERILUNE_ZIP_H

#include <stdbool.h>
#include <stdint.h>

#include "io.h"

typedef struct pl_zip pl_zip;

/* Reads and checks the directory: sizes are possible, members do not overlap. */
pl_zip *pl_zip_open(const char *path);
/* Accepts NULL. */
void pl_zip_close(pl_zip *z);
const char *pl_zip_path(const pl_zip *z);
int pl_zip_count(const pl_zip *z);
/* Sorted by name. */
const char *pl_zip_name(const pl_zip *z, int i);
/* Bytes of the i-th member, unpacked, as the directory states them. */
int64_t pl_zip_size(const pl_zip *z, int i);
/* Begins to read the i-th member; *unfit says of a failure that it is encrypted, or packed in a way
   that is not known. */
bool pl_zip_begin(pl_zip *z, int i, bool *unfit);
/* The next n bytes of it, a pl_take. */
bool pl_zip_take(void *zip, void *out, size_t n);
/* To be called when all was taken: compares the checksum. */
bool pl_zip_end(pl_zip *z);

/*
** Writing: every member is announced, filled, and listed at the end
*/

typedef struct {
  const char *name;
  bool deflated; /* its sizes and checksum stand behind it, and are known when it has been packed */
  uint32_t crc;
  int64_t size, packed, offset;
} pl_zip_entry;

/* Begins a member; of one that is not deflated, sizes and checksum are known. Notes where it is. */
bool pl_zip_write_member(pl_newfile *f, pl_zip_entry *e, int64_t offset);
/* The bytes that it takes without its content. */
int64_t pl_zip_overhead(const pl_zip_entry *e);

typedef struct pl_zip_packer pl_zip_packer;
/* Begins the content of a member that is deflated. */
pl_zip_packer *pl_zip_pack_open(pl_newfile *f, pl_zip_entry *e);
/* The next n bytes of it, a pl_give. */
bool pl_zip_pack(void *packer, const void *data, size_t n);
/* Ends the content, and notes and writes its sizes and checksum. */
bool pl_zip_pack_end(pl_zip_packer *p);
/* Accepts NULL. */
void pl_zip_pack_close(pl_zip_packer *p);
/* The directory, behind the last member. */
bool pl_zip_write_directory(pl_newfile *f, int n, const pl_zip_entry *entries, int64_t offset);

#endif
