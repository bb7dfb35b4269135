/*
** jpeg.c: JPEG images to and from tensors, through libjpeg-turbo.
**
** libjpeg leaves by longjmp when something is wrong. It goes no further than `guarded`, below which
** nothing is held but by the struct that the caller frees. What libjpeg only warns of, data that end
** too soon say, is a failure here: part of a picture is none.
*/
#include "images.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

#include "exif.h"

enum {
  MOST_SCANS = 200,   /* of a progressive file: each goes over all of the picture */
  PIXELS_A_BYTE = 512 /* a block of 8 x 8 takes a bit at least */
};

typedef struct {
  struct jpeg_error_mgr errors;
  struct jpeg_progress_mgr progress;
  jmp_buf out;
  const char *path;
  const char *doing; /* "damaged JPEG" */
} guard;

/* libjpeg calls these with what hangs on the guard. */

static _Noreturn void leave(j_common_ptr j) {
  guard *g = (guard *)j->err;
  char text[JMSG_LENGTH_MAX];
  g->errors.format_message(j, text);
  pl_file_fail("%s: %s (%s)", g->path, g->doing, text);
  longjmp(g->out, 1);
}

/* Levels from 0 on are for people who look on. Two warnings are about markers and no picture. */
static void warned(j_common_ptr j, int level) {
  const int code = j->err->msg_code;
  if (level < 0 && code != JWRN_JFIF_MAJOR && code != JWRN_ADOBE_XFORM) leave(j);
}

static void no_output(j_common_ptr j) { (void)j; }

static void progressed(j_common_ptr j) {
  guard *g = (guard *)j->err;
  const j_decompress_ptr d = (j_decompress_ptr)j;
  bool ok = pl_check_interrupt();
  if (ok && j->is_decompressor && d->input_scan_number > MOST_SCANS)
    ok = pl_file_fail("%s: the JPEG has more than %d scans", g->path, MOST_SCANS);
  if (!ok) longjmp(g->out, 1);
}

static struct jpeg_error_mgr *begin_guard(guard *g, const char *path, const char *doing) {
  jpeg_std_error(&g->errors);
  g->errors.error_exit = leave;
  g->errors.emit_message = warned;
  g->errors.output_message = no_output;
  g->progress.progress_monitor = progressed;
  g->path = path;
  g->doing = doing;
  return &g->errors;
}

/* Whether the body came to its end. */
static bool guarded(guard *g, bool (*body)(void *), void *user) {
  if (setjmp(g->out)) return false;
  return body(user);
}

/*
** Reading
*/

typedef struct {
  struct jpeg_decompress_struct j;
  guard guard;
  const unsigned char *file;
  size_t n;
  bool grey;
  int least, turn; /* as EXIF counts */
  pl_tensor *lines;
  unsigned char *cmyk; /* a line of it */
} reader;

static int orientation(const struct jpeg_decompress_struct *j) {
  for (jpeg_saved_marker_ptr m = j->marker_list; m; m = m->next)
    if (m->data_length >= 6 && memcmp(m->data, "Exif\0", 6) == 0)
      return pl_exif_orientation(m->data, m->data_length);
  return 1;
}

/* The smallest of 8/8, 4/8, 2/8 and 1/8 that keeps the least. */
static void choose_scale(reader *r) {
  const int64_t side = r->j.image_width < r->j.image_height ? r->j.image_width : r->j.image_height;
  r->j.scale_num = r->j.scale_denom = 8;
  for (unsigned part = 4; r->least > 0 && part && side * part >= (int64_t)r->least * 8; part /= 2)
    r->j.scale_num = part;
}

static bool check_header(const reader *r) {
  const char *path = r->guard.path;
  const int64_t h = r->j.image_height, w = r->j.image_width;
  if (!pl_image_check_size(path, h, w)) return false;
  if (r->j.arith_code)
    return pl_file_fail("%s: a JPEG in arithmetic coding; Huffman coding expected", path);
  return h * w / PIXELS_A_BYTE <= (int64_t)r->n ||
         pl_file_fail("%s: damaged JPEG (%lld x %lld pixels cannot be in %zu bytes)", path,
                      (long long)w, (long long)h, r->n);
}

static bool read_header(void *user) {
  reader *r = user;
  jpeg_create_decompress(&r->j);
  r->j.progress = &r->guard.progress;
  jpeg_mem_src(&r->j, r->file, (unsigned long)r->n);
  jpeg_save_markers(&r->j, JPEG_APP0 + 1, 0xffff);
  jpeg_read_header(&r->j, TRUE);
  if (!check_header(r)) return false;
  const bool ink = r->j.jpeg_color_space == JCS_CMYK || r->j.jpeg_color_space == JCS_YCCK,
             grey = r->j.jpeg_color_space == JCS_GRAYSCALE || (r->grey && !ink);
  r->j.out_color_space = ink ? JCS_CMYK : grey ? JCS_GRAYSCALE : JCS_RGB;
  r->turn = orientation(&r->j);
  choose_scale(r);
  jpeg_calc_output_dimensions(&r->j);
  return true;
}

/* Adobe's programs, whose marker there is then, write ink the other way round. */
static void from_ink(const reader *r, unsigned char *rgb) {
  const int inverted = r->j.saw_Adobe_marker ? 0 : 255;
  const unsigned char *ink = r->cmyk;
  for (unsigned x = 0; x < r->j.output_width; x++, ink += 4, rgb += 3)
    for (int k = 0; k < 3; k++)
      rgb[k] = (unsigned char)(((ink[k] ^ inverted) * (ink[3] ^ inverted) + 127) / 255);
}

static bool read_lines(void *user) {
  reader *r = user;
  const pl_ints size = pl_size(r->lines);
  const size_t line = (size_t)size.v[1] * (size.n == 2 ? 1 : 3);
  jpeg_start_decompress(&r->j);
  while (r->j.output_scanline < r->j.output_height) {
    unsigned char *to = (unsigned char *)pl_data(r->lines) + r->j.output_scanline * line;
    JSAMPROW row = r->cmyk ? r->cmyk : to;
    if (!pl_check_interrupt()) return false;
    jpeg_read_scanlines(&r->j, &row, 1);
    if (r->cmyk) from_ink(r, to);
  }
  jpeg_finish_decompress(&r->j);
  return true;
}

/* Of the file's picture, by orientation: where line 1 and column 1 of the upright one are. */
static const bool from_bottom[] = {0, 0, 0, 1, 1, 0, 1, 1, 0},
                  from_right[] = {0, 0, 1, 1, 0, 0, 0, 1, 1};

/* A smaller picture's last line and column, in the file, may stand for fewer pixels than others. */
static pl_window upright_window(const reader *r) {
  const double part = (double)r->j.scale_num / r->j.scale_denom, h = part * r->j.image_height,
               w = part * r->j.image_width, top = from_bottom[r->turn] ? r->j.output_height - h : 0,
               left = from_right[r->turn] ? r->j.output_width - w : 0;
  return r->turn < 5 ? (pl_window){top, left, h, w} : (pl_window){left, top, w, h};
}

/*
** Line y, column x of the upright picture lies at first + y * down + x * right in the file's, which is
** mirrored (2, 4, 5, 7), upside down (3, 4) or on its side (5 to 8).
*/
typedef struct {
  int64_t first, down, right;
} walk;

static walk walk_of(int turn, int64_t h, int64_t w, int64_t c) {
  const int64_t line = w * c, by_line = from_bottom[turn] ? -line : line,
                by_pixel = from_right[turn] ? -c : c;
  const int64_t first =
      (from_bottom[turn] ? (h - 1) * line : 0) + (from_right[turn] ? line - c : 0);
  return turn < 5 ? (walk){first, by_line, by_pixel} : (walk){first, by_pixel, by_line};
}

static pl_tensor *upright(pl_tensor *t, int turn) {
  if (turn == 1) return t;
  const pl_ints size = pl_size(t);
  const int c = size.n == 2 ? 1 : 3;
  const walk at = walk_of(turn, size.v[0], size.v[1], c);
  const int64_t h = size.v[turn >= 5], w = size.v[turn < 5];
  pl_tensor *y = pl_empty(PL_UINT8, c == 1 ? pl_list(h, w) : pl_list(h, w, 3));
  if (!y) return NULL;
  const unsigned char *from = pl_data(t);
  unsigned char *to = pl_data(y);
  for (int64_t i = 0; i < h; i++)
    for (int64_t j = 0; j < w; j++)
      for (int k = 0; k < c; k++) *to++ = from[at.first + i * at.down + j * at.right + k];
  return y;
}

static pl_tensor *decode(reader *r) {
  if (!guarded(&r->guard, read_header, r)) return NULL;
  const int64_t h = r->j.output_height, w = r->j.output_width;
  const bool grey = r->j.out_color_space == JCS_GRAYSCALE;
  r->lines = pl_empty(PL_UINT8, grey ? pl_list(h, w) : pl_list(h, w, 3));
  if (!r->lines) return NULL;
  if (r->j.out_color_space == JCS_CMYK && !(r->cmyk = malloc((size_t)w * 4)))
    return pl_fail_as(PL_ERROR_MEMORY, "%s: not enough memory for a line", r->guard.path), NULL;
  return guarded(&r->guard, read_lines, r) ? upright(r->lines, r->turn) : NULL;
}

pl_tensor *pl_jpeg_decode(const char *path, const void *file, size_t n, bool grey, int least,
                          pl_window *window) {
  reader r = {.file = file, .n = n, .grey = grey, .least = least};
  r.j.err = begin_guard(&r.guard, path, "damaged JPEG");
  pl_tensor *t = decode(&r);
  if (t) *window = upright_window(&r);
  jpeg_destroy_decompress(&r.j);
  free(r.cmyk);
  return t;
}

/*
** Writing
*/

typedef struct {
  struct jpeg_compress_struct j;
  guard guard;
  pl_tensor *image;
  int quality;
  unsigned char *file;
  unsigned long n;
} writer;

static bool write_lines(void *user) {
  writer *w = user;
  const pl_ints size = pl_size(w->image);
  const int c = size.n == 2 ? 1 : 3;
  jpeg_create_compress(&w->j);
  jpeg_mem_dest(&w->j, &w->file, &w->n);
  w->j.image_height = (JDIMENSION)size.v[0];
  w->j.image_width = (JDIMENSION)size.v[1];
  w->j.input_components = c;
  w->j.in_color_space = c == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&w->j);
  jpeg_set_quality(&w->j, w->quality, TRUE);
  jpeg_start_compress(&w->j, TRUE);
  while (w->j.next_scanline < w->j.image_height) {
    const size_t line = (size_t)size.v[1] * (size_t)c;
    JSAMPROW row = (unsigned char *)pl_data(w->image) + w->j.next_scanline * line;
    if (!pl_check_interrupt()) return false;
    jpeg_write_scanlines(&w->j, &row, 1);
  }
  jpeg_finish_compress(&w->j);
  return true;
}

bool pl_jpeg_write(const char *path, pl_tensor *image, int quality) {
  writer w = {.image = image, .quality = quality};
  const pl_ints size = pl_size(image);
  if (size.v[0] > JPEG_MAX_DIMENSION || size.v[1] > JPEG_MAX_DIMENSION)
    return pl_fail("%s: %lld x %lld pixels; a JPEG has at most %ld each way", path,
                   (long long)size.v[1], (long long)size.v[0], JPEG_MAX_DIMENSION);
  w.j.err = begin_guard(&w.guard, path, "cannot write the JPEG");
  const bool whole = guarded(&w.guard, write_lines, &w);
  if (!whole && w.file)
    w.j.dest->term_destination(&w.j); /* which says where the bytes are by now */
  const bool ok = whole && pl_file_write(path, w.file, w.n);
  jpeg_destroy_compress(&w.j);
  free(w.file);
  return ok;
}
