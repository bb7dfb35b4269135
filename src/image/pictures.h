/*
** pictures.h: where the pictures of batches come from: files, or a tensor of images.
*/
#ifndef PERILUNE_PICTURES_H
#define PERILUNE_PICTURES_H

#include "image.h"

/* Nothing changes it once it is made, but for the references, which are its host's. */
typedef struct pl_pictures {
  int refs;
  int64_t n;
  pl_names files; /* or */
  pl_tensor *images;
  int c, h, w; /* of a tensor, or as of pl_pictures_in_files */
} pl_pictures;

/* Takes over the names, also when it fails; `channels` as of pl_picture_read. Each picture is scaled until
   it just covers h x w pixels, of which the middle stays; h = 0: it is as it is in its file. */
pl_pictures *pl_pictures_in_files(pl_names *files, int channels, int h, int w);
/* uint8 [n,h,w] or [n,h,w,c], which may lie in a file's memory. */
pl_pictures *pl_pictures_in_tensor(pl_tensor *images);
/* Each comes with one reference, the caller's. */
pl_pictures *pl_pictures_retain(pl_pictures *p);
void pl_pictures_release(pl_pictures *p); /* accepts NULL */
int64_t pl_pictures_count(const pl_pictures *p);
/* The first one from i on that cannot be read, with a message; the count if all can, and -1, with a
   message, if it was interrupted. */
int64_t pl_pictures_unreadable(const pl_pictures *p, int64_t i);

/* What a thread that reads pictures has for itself: the bytes of a file, freed with free(). */
typedef struct {
  void *bytes;
  size_t room;
} pl_reader;
/* Picture i, into an empty one; false with a message that names the file. From any thread. */
bool pl_pictures_get(const pl_pictures *p, int64_t i, pl_reader *r, pl_picture *picture);
/* Those of image i of a tensor. */
const uint8_t *pl_pictures_pixels(const pl_pictures *p, int64_t i);

#endif
