/*
** image.h: pictures, one at a time, and what is done to them on their way from a file into a batch.
** Nothing here knows gradients or Lua. Everything works on any thread: nothing is taken from the
** context of another, and a failure stands in the error slot of the thread that met it.
**
**   file ── pl_picture_read ──► picture ── pl_transform_run ──► picture ── pl_picture_put ──► row
**
** Steps are done by what transform.h lists: one table that knows names, parameters and defaults.
*/
#ifndef PERILUNE_IMAGE_H
#define PERILUNE_IMAGE_H

#include "../io/io.h"

/*
** Pictures (picture.c)
*/

/* Planes [c][h][w], c of 1 (grey), 3 (red, green, blue) or 4 (with alpha); values from 0 to 1, until
   a step makes others of them. Of a JPEG that was read smaller, the window is what its image covers;
   pl_picture_resize takes the new size from that, and of all others it is the whole. */
typedef struct {
  int c, h, w;
  pl_window window;
  float *v; /* of malloc; pl_picture_free frees it */
} pl_picture;

/*
** Reads a PNG or JPEG file, told apart by content. `channels` is 1, 3 or 4, or 0 for those of the
** file: 1 if it is grey, else 3, with transparency laid on white. A JPEG may come smaller, by halves,
** quarters or eighths, as long as its shorter side keeps `least` pixels; 0 asks for all of them. The
** picture must be empty; false with a message that names the file leaves it so.
*/
bool pl_picture_read(pl_picture *p, const char *path, int channels, int least);
/* The same of a file's bytes; `name` stands in messages. */
bool pl_picture_decode(pl_picture *p, const char *name, const void *file, size_t n, int channels,
                       int least);
/* Empties it; an empty one (v is NULL) is fine. */
void pl_picture_free(pl_picture *p);
/* Takes memory for a picture; what is in it is undefined. */
bool pl_picture_new(pl_picture *p, int c, int h, int w);

/* Where pictures lie in memory: real or uint8, and how many elements apart the planes, lines and
   pixels are. */
typedef struct {
  pl_dtype dtype;
  int64_t plane, line, pixel;
} pl_layout;
/* That of a row [c,h,w] of a batch. */
pl_layout pl_layout_row(pl_dtype dtype, int h, int w);
/* What lies there, as a picture: uint8 from 0 to 255 becomes 0 to 1, real stays as it is. */
bool pl_picture_get(pl_picture *p, int c, int h, int w, const void *memory, pl_layout at);
/* And back: as uint8 what is outside 0 and 1 is cut, NaN is 0. */
void pl_picture_put(const pl_picture *p, void *memory, pl_layout at);

/*
** Transforms (transform.c)
*/

/* Steps that are done to a picture one after the other. Nothing changes it once it is made, so
   threads share it. */
typedef struct pl_transform pl_transform;

/* Numbers given to a parameter of a step: by its name, or NULL for the next one in order. A choice
   ("bicubic") is given as text, with n = 0; false and true are 0 and 1. Neither: the default. */
typedef struct {
  const char *name;
  int n;
  const double *v;
  const char *text;
  bool boolean; /* the number was false or true */
} pl_argument;
typedef struct {
  const char *name; /* "resize" */
  int n;
  const pl_argument *arguments;
} pl_step_call;

/* One reference, the caller's; NULL, with a message that begins with the name of the step. */
pl_transform *pl_transform_new(int n, const pl_step_call *steps);
/* From any thread. */
pl_transform *pl_transform_retain(pl_transform *t);
void pl_transform_release(pl_transform *t); /* accepts NULL */
/* "resize(size = 64), random_flip(p = 0.5)": as much of it as has room, as snprintf does it. */
int pl_transform_text(const pl_transform *t, char *text, size_t room);
/* Whether values of 0 to 1 come out as others, so that no uint8 can be made of them. */
bool pl_transform_leaves_range(const pl_transform *t);

/*
** The picture becomes what the steps make of it. Its random numbers depend on `key` alone, which
** belongs to the sample: the same bits come of any number of threads, in any order. False with a
** message; the picture is whole or empty (v is NULL) then.
*/
bool pl_transform_run(const pl_transform *t, pl_picture *p, uint64_t key);

/*
** Tensors of images (images.c)
*/

/*
** Transforms each image of a tensor, on all threads: [h,w], [h,w,3], [h,w,4], [n,h,w], [n,h,w,3],
** [n,h,w,4], and channels first [n,1,h,w], [n,3,h,w], [n,4,h,w]; uint8, or real. The layout stays;
** uint8 stays too unless the transform leaves the range of 0 to 1. Each image has a key of its own
** from the context's random stream, of which one number an image is taken.
*/
pl_tensor *pl_transform_images(const pl_transform *t, pl_tensor *images);

#endif
