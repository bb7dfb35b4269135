/*
** source.h: the bytes of a file from its beginning on, as they are or, of a file in gzip, unpacked.
*/
#ifndef PERILUNE_SOURCE_H
#define PERILUNE_SOURCE_H

#include "io.h"

enum { PL_DEFLATE_RATIO = 1032 }; /* no byte of deflate can become more bytes than this */

typedef struct pl_source pl_source;

pl_source *pl_source_open(const char *path);
/* Accepts NULL. */
void pl_source_close(pl_source *s);
/* Whether the file is in gzip, and the bytes that it has. */
bool pl_source_is_packed(const pl_source *s);
int64_t pl_source_length(const pl_source *s);
/* Reads up to n bytes; fewer at the end, at damage, and after an interrupt. */
size_t pl_source_read(pl_source *s, void *out, size_t n);
/* Why no more can be read, if that is not the end; NULL: it is. */
const char *pl_source_damage(const pl_source *s);
/* Whether there is anything behind what was read; also compares gzip's checksum, if not. */
bool pl_source_has_more(pl_source *s);
/* Back to the beginning. */
bool pl_source_rewind(pl_source *s);

#endif
