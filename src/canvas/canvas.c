/*
** canvas.c: a Cairo recording surface with a pen, and its replay to files. See canvas.h.
**
** Files are rendered into memory first and only then written, because Cairo's own
** file writers lose some errors (a full disk, for one) and leave half a file behind.
*/
#include "canvas.h"

#include <cairo-pdf.h>
#include <cairo-svg.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../io/io.h"

#define FAMILY      "DejaVu Sans" /* fontconfig puts its best sans in its place if it is missing */
#define LINE_HEIGHT 1.25          /* of the font size */
#define MAX_SIDE    14400.0       /* points; what PDF allows */
#define MAX_PIXELS  32767.0       /* what Cairo allows */

struct pl_canvas {
  cairo_surface_t *record;
  cairo_t *cr;
  double width, height;
  int depth; /* pushes not yet popped */
};

/* Cairo stores 24.8 bit fixed point; further away its numbers wrap around. */
static double fit(double v) { return v < -1e6 ? -1e6 : v > 1e6 ? 1e6 : v; }

static bool cairo_failed(const char *what, cairo_status_t status) {
  return pl_fail_as(status == CAIRO_STATUS_NO_MEMORY ? PL_ERROR_MEMORY : PL_ERROR, "%s: %s", what,
                    cairo_status_to_string(status));
}

static void set_up_pen(cairo_t *cr) {
  cairo_font_options_t *options = cairo_font_options_create();
  /* No rounding to a pixel grid: the record must look the same at every scale. */
  cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
  cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
  cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
  cairo_set_font_options(cr, options);
  cairo_font_options_destroy(options);
  cairo_set_source_rgb(cr, 1, 1, 1);
  cairo_paint(cr);
  cairo_set_source_rgb(cr, 0, 0, 0);
  cairo_set_line_width(cr, 1);
  cairo_set_line_cap(cr, CAIRO_LINE_CAP_ROUND);
  cairo_set_line_join(cr, CAIRO_LINE_JOIN_ROUND);
}

pl_canvas *pl_canvas_new(double width, double height) {
  if (!(width > 0 && height > 0 && width <= MAX_SIDE && height <= MAX_SIDE)) {
    pl_fail("canvas: the size must be from 0 to %g points, got %g x %g", MAX_SIDE, width, height);
    return NULL;
  }
  pl_canvas *c = calloc(1, sizeof *c);
  if (c == NULL) {
    pl_fail_as(PL_ERROR_MEMORY, "canvas: not enough memory");
    return NULL;
  }
  const cairo_rectangle_t page = {0, 0, width, height};
  c->width = width;
  c->height = height;
  c->record = cairo_recording_surface_create(CAIRO_CONTENT_COLOR_ALPHA, &page);
  c->cr = cairo_create(c->record);
  if (cairo_status(c->cr) != CAIRO_STATUS_SUCCESS) {
    cairo_failed("canvas", cairo_status(c->cr));
    pl_canvas_free(c);
    return NULL;
  }
  set_up_pen(c->cr);
  pl_canvas_font(c, 10, false);
  return c;
}

void pl_canvas_free(pl_canvas *c) {
  if (c == NULL) return;
  cairo_destroy(c->cr);
  cairo_surface_destroy(c->record);
  free(c);
}

void pl_canvas_size(const pl_canvas *c, double *width, double *height) {
  *width = c->width;
  *height = c->height;
}

/*
** State
*/

void pl_canvas_push(pl_canvas *c) {
  cairo_save(c->cr);
  c->depth++;
}

bool pl_canvas_pop(pl_canvas *c) {
  if (c->depth == 0) return pl_fail("canvas: pop without a push");
  cairo_restore(c->cr);
  c->depth--;
  return true;
}

void pl_canvas_color(pl_canvas *c, double r, double g, double b, double a) {
  cairo_set_source_rgba(c->cr, r, g, b, a);
}

void pl_canvas_line_width(pl_canvas *c, double width) { cairo_set_line_width(c->cr, width); }

bool pl_canvas_dash(pl_canvas *c, const double *lengths, int n) {
  double sum = 0;
  for (int i = 0; i < n; i++) {
    if (!(lengths[i] >= 0)) return pl_fail("canvas: dash lengths must not be negative");
    sum += lengths[i];
  }
  if (n > 0 && sum == 0) return pl_fail("canvas: dash lengths must not all be 0");
  cairo_set_dash(c->cr, lengths, n, 0);
  cairo_set_line_cap(c->cr, n > 0 ? CAIRO_LINE_CAP_BUTT : CAIRO_LINE_CAP_ROUND);
  return true;
}

void pl_canvas_font(pl_canvas *c, double size, bool bold) {
  cairo_select_font_face(c->cr, FAMILY, CAIRO_FONT_SLANT_NORMAL,
                         bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
  cairo_set_font_size(c->cr, size);
}

/*
** Paths
*/

void pl_canvas_move_to(pl_canvas *c, double x, double y) { cairo_move_to(c->cr, fit(x), fit(y)); }

void pl_canvas_line_to(pl_canvas *c, double x, double y) { cairo_line_to(c->cr, fit(x), fit(y)); }

void pl_canvas_curve_to(pl_canvas *c, double x1, double y1, double x2, double y2, double x,
                        double y) {
  cairo_curve_to(c->cr, fit(x1), fit(y1), fit(x2), fit(y2), fit(x), fit(y));
}

void pl_canvas_rect(pl_canvas *c, double x, double y, double width, double height) {
  double left = fit(x), top = fit(y);
  cairo_rectangle(c->cr, left, top, fit(x + width) - left, fit(y + height) - top);
}

void pl_canvas_circle(pl_canvas *c, double x, double y, double radius) {
  cairo_new_sub_path(c->cr);
  cairo_arc(c->cr, fit(x), fit(y), fit(radius), 0, 2 * M_PI);
  cairo_close_path(c->cr);
}

void pl_canvas_close_path(pl_canvas *c) { cairo_close_path(c->cr); }

void pl_canvas_stroke(pl_canvas *c) { cairo_stroke(c->cr); }

void pl_canvas_fill(pl_canvas *c) { cairo_fill(c->cr); }

void pl_canvas_clip(pl_canvas *c) { cairo_clip(c->cr); }

/*
** Text
*/

typedef struct {
  double ascent, capital, descent, line;
} metrics;

static metrics font_metrics(cairo_t *cr) {
  cairo_text_extents_t d, H, p;
  cairo_matrix_t m;
  cairo_text_extents(cr, "d", &d);
  cairo_text_extents(cr, "H", &H);
  cairo_text_extents(cr, "p", &p);
  cairo_get_font_matrix(cr, &m);
  return (metrics){-d.y_bearing, -H.y_bearing, p.height + p.y_bearing, LINE_HEIGHT * m.yy};
}

static bool is_continuation(unsigned char b) { return (b & 0xC0) == 0x80; }

/* Cairo goes into its error state for good on broken UTF-8, so it is refused before. */
static bool is_utf8(const char *text) {
  static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
  for (const unsigned char *s = (const unsigned char *)text; *s != 0;) {
    int n = *s < 0x80             ? 1
            : (*s & 0xE0) == 0xC0 ? 2
            : (*s & 0xF0) == 0xE0 ? 3
            : (*s & 0xF8) == 0xF0 ? 4
                                  : 0;
    if (n == 0) return false;
    uint32_t code = n == 1 ? *s : *s & (0x7Fu >> n);
    for (int i = 1; i < n; i++) {
      if (!is_continuation(s[i])) return false;
      code = code << 6 | (s[i] & 0x3Fu);
    }
    if (code < smallest[n] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return false;
    s += n;
  }
  return true;
}

/* Calls visit for each line; it may cut `text`, which is the caller's copy. */
typedef void line_visitor(pl_canvas *c, const char *line, int index, void *state);

static bool each_line(pl_canvas *c, const char *text, line_visitor *visit, void *state) {
  if (!is_utf8(text)) return pl_fail("canvas: the text is not valid UTF-8");
  char *copy = strdup(text);
  if (copy == NULL) return pl_fail_as(PL_ERROR_MEMORY, "canvas: not enough memory");
  int index = 0;
  for (char *line = copy, *end; line != NULL; line = end ? end + 1 : NULL) {
    end = strchr(line, '\n');
    if (end != NULL) *end = 0;
    visit(c, line, index++, state);
  }
  free(copy);
  return true;
}

typedef struct {
  double width;
  int lines;
} block;

static double line_width(pl_canvas *c, const char *line) {
  cairo_text_extents_t e;
  cairo_text_extents(c->cr, line, &e);
  return e.x_advance;
}

static void widen(pl_canvas *c, const char *line, int index, void *state) {
  block *b = state;
  b->width = fmax(b->width, line_width(c, line));
  b->lines = index + 1;
}

bool pl_canvas_measure(pl_canvas *c, const char *text, double *width, double *height) {
  block b = {0, 0};
  if (!each_line(c, text, widen, &b)) return false;
  metrics m = font_metrics(c->cr);
  *width = b.width;
  *height = m.ascent + (b.lines - 1) * m.line + m.descent;
  return true;
}

typedef struct {
  double y, line; /* first baseline, distance of the next */
  pl_halign align;
} placement;

static void show_line(pl_canvas *c, const char *line, int index, void *state) {
  const placement *p = state;
  double x = -0.5 * (double)p->align * line_width(c, line); /* PL_LEFT is 0, PL_RIGHT 2 */
  cairo_move_to(c->cr, x, p->y + index * p->line);
  cairo_show_text(c->cr, line);
}

bool pl_canvas_text(pl_canvas *c, const char *text, double x, double y, pl_halign h, pl_valign v,
                    double degrees) {
  block b = {0, 0};
  if (!each_line(c, text, widen, &b)) return false;
  metrics m = font_metrics(c->cr);
  double rest = (b.lines - 1) * m.line;
  placement p = {0, m.line, h};
  switch (v) {
    case PL_TOP: p.y = m.ascent; break;
    case PL_MIDDLE: p.y = (m.capital - rest) / 2; break;
    case PL_BASELINE: p.y = 0; break;
    case PL_BOTTOM: p.y = -m.descent - rest; break;
  }
  cairo_save(c->cr);
  cairo_translate(c->cr, fit(x), fit(y));
  cairo_rotate(c->cr, -degrees * M_PI / 180);
  bool ok = each_line(c, text, show_line, &p);
  cairo_restore(c->cr);
  cairo_new_path(c->cr);
  return ok;
}

/*
** Images
*/

/* Where the colours of a picture lie: element of (row, column, channel) in row-major order. */
typedef struct {
  int64_t height, width, row, column, channel;
} layout;

static bool image_layout(const pl_tensor *t, layout *l) {
  pl_ints s = pl_size(t);
  if (s.n == 2) *l = (layout){s.v[0], s.v[1], s.v[1], 1, 0};
  else if (s.n == 3 && s.v[2] == 3) *l = (layout){s.v[0], s.v[1], 3 * s.v[1], 3, 1};
  else if (s.n == 3 && (s.v[0] == 1 || s.v[0] == 3))
    *l = (layout){s.v[1], s.v[2], s.v[2], 1, s.v[0] == 3 ? s.v[1] * s.v[2] : 0};
  else return false;
  return l->height > 0 && l->width > 0 && l->height <= MAX_PIXELS && l->width <= MAX_PIXELS;
}

static uint32_t level(const pl_tensor *t, int64_t i) {
  double v = pl_at(t, i) * (pl_dtype_of(t) == PL_REAL ? 255 : 1);
  return v >= 255 ? 255 : v > 0 ? (uint32_t)lrint(v) : 0; /* NaN is black */
}

static cairo_surface_t *image_surface(const pl_tensor *t, const layout *l) {
  cairo_surface_t *s =
      cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)l->width, (int)l->height);
  if (cairo_surface_status(s) != CAIRO_STATUS_SUCCESS) return s;
  unsigned char *data = cairo_image_surface_get_data(s);
  for (int64_t y = 0; y < l->height; y++) {
    uint32_t *out = (uint32_t *)(data + y * cairo_image_surface_get_stride(s));
    for (int64_t x = 0; x < l->width; x++) {
      int64_t i = y * l->row + x * l->column;
      out[x] = level(t, i) << 16 | level(t, i + l->channel) << 8 | level(t, i + 2 * l->channel);
    }
  }
  cairo_surface_mark_dirty(s);
  return s;
}

bool pl_canvas_image(pl_canvas *c, const pl_tensor *t, double x, double y, double width,
                     double height) {
  layout l;
  if (!image_layout(t, &l)) {
    char have[128];
    return pl_fail("canvas: an image is [h,w], [h,w,3], [1,h,w] or [3,h,w], got %s",
                   pl_describe(t, have, sizeof have));
  }
  cairo_surface_t *s = image_surface(t, &l);
  bool shrinks = (double)l.width > 2 * width || (double)l.height > 2 * height;
  cairo_save(c->cr);
  pl_canvas_rect(c, x, y, width, height);
  cairo_clip(c->cr);
  cairo_translate(c->cr, fit(x), fit(y));
  cairo_scale(c->cr, width / (double)l.width, height / (double)l.height);
  cairo_set_source_surface(c->cr, s, 0, 0);
  cairo_pattern_set_filter(cairo_get_source(c->cr),
                           shrinks ? CAIRO_FILTER_GOOD : CAIRO_FILTER_NEAREST);
  cairo_paint(c->cr);
  cairo_restore(c->cr);
  cairo_surface_destroy(s);
  return true;
}

/*
** Replay
*/

static cairo_status_t replay(pl_canvas *c, cairo_surface_t *target, double scale) {
  cairo_status_t status = cairo_status(c->cr);
  if (status != CAIRO_STATUS_SUCCESS) return status;
  cairo_t *cr = cairo_create(target);
  cairo_scale(cr, scale, scale);
  cairo_set_source_surface(cr, c->record, 0, 0);
  cairo_paint(cr);
  status = cairo_status(cr);
  cairo_destroy(cr);
  return status;
}

static cairo_surface_t *render(pl_canvas *c, double scale) {
  double w = ceil(c->width * scale - 1e-6), h = ceil(c->height * scale - 1e-6);
  if (!(w >= 1 && h >= 1 && w <= MAX_PIXELS && h <= MAX_PIXELS)) {
    pl_fail("canvas: scale %g makes %g x %g pixels; 1 to %g a side can be drawn", scale, w, h,
            MAX_PIXELS);
    return NULL;
  }
  cairo_surface_t *s = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)w, (int)h);
  cairo_status_t status = cairo_surface_status(s);
  if (status == CAIRO_STATUS_SUCCESS) status = replay(c, s, scale);
  if (status == CAIRO_STATUS_SUCCESS) return s;
  cairo_failed("canvas", status);
  cairo_surface_destroy(s);
  return NULL;
}

pl_tensor *pl_canvas_pixels(pl_canvas *c, double scale) {
  cairo_surface_t *s = render(c, scale);
  if (s == NULL) return NULL;
  int w = cairo_image_surface_get_width(s), h = cairo_image_surface_get_height(s);
  pl_tensor *t = pl_empty(PL_UINT8, pl_list(h, w, 3));
  uint8_t *out = t ? pl_data(t) : NULL;
  cairo_surface_flush(s);
  for (int y = 0; out != NULL && y < h; y++) {
    const uint32_t *row = (const uint32_t *)(cairo_image_surface_get_data(s) +
                                             (ptrdiff_t)y * cairo_image_surface_get_stride(s));
    for (int x = 0; x < w; x++)
      for (int k = 0; k < 3; k++) *out++ = (uint8_t)(row[x] >> (16 - 8 * k));
  }
  cairo_surface_destroy(s);
  return t;
}

/*
** Bytes of a file, gathered in memory
*/

typedef struct {
  unsigned char *data;
  size_t size, room;
} bytes;

static cairo_status_t append(void *state, const unsigned char *data, unsigned int n) {
  bytes *b = state;
  if (b->room - b->size < n) {
    size_t room = 2 * (b->size + n);
    unsigned char *grown = realloc(b->data, room);
    if (grown == NULL) return CAIRO_STATUS_NO_MEMORY;
    b->data = grown;
    b->room = room;
  }
  memcpy(b->data + b->size, data, n);
  b->size += n;
  return CAIRO_STATUS_SUCCESS;
}

static bool encode_png(pl_canvas *c, double scale, bytes *out) {
  cairo_surface_t *s = render(c, scale);
  if (s == NULL) return false;
  cairo_status_t status = cairo_surface_write_to_png_stream(s, append, out);
  cairo_surface_destroy(s);
  return status == CAIRO_STATUS_SUCCESS || cairo_failed("canvas", status);
}

/* Draws the page on a vector surface and ends it, which completes the bytes. */
static bool encode_page(pl_canvas *c, cairo_surface_t *s) {
  cairo_status_t status = cairo_surface_status(s);
  if (status == CAIRO_STATUS_SUCCESS) status = replay(c, s, 1);
  cairo_surface_finish(s);
  if (status == CAIRO_STATUS_SUCCESS) status = cairo_surface_status(s);
  cairo_surface_destroy(s);
  return status == CAIRO_STATUS_SUCCESS || cairo_failed("canvas", status);
}

static bool encode_pdf(pl_canvas *c, double scale, bytes *out) {
  (void)scale;
  cairo_surface_t *s = cairo_pdf_surface_create_for_stream(append, out, c->width, c->height);
  /* An empty date is left out, so that equal pictures are equal files. */
  cairo_pdf_surface_set_metadata(s, CAIRO_PDF_METADATA_CREATE_DATE, "");
  return encode_page(c, s);
}

/*
** Cairo numbers the surfaces of a process and writes these numbers into SVG as names
** ("surface12" and "image7"; "source-12" from Cairo 1.18 on). They are counted afresh here, so
** that equal pictures are equal files, and images get the attribute that keeps their pixels
** sharp in browsers.
*/
typedef struct {
  unsigned long *seen;
  int n, room;
} serials;

static int serial(serials *s, unsigned long id) {
  for (int i = 0; i < s->n; i++)
    if (s->seen[i] == id) return i + 1;
  if (s->n == s->room) {
    int room = 2 * s->room + 16;
    unsigned long *grown = realloc(s->seen, (size_t)room * sizeof *grown);
    if (grown == NULL) return 0;
    s->seen = grown;
    s->room = room;
  }
  s->seen[s->n++] = id;
  return s->n;
}

/* The length of the word if a name such as "surface12" or #image7 begins at p, else 0. */
static size_t numbered_name(const char *p) {
  static const char *const words[] = {"surface", "image", "source-"};
  if (p[-1] != '"' && p[-1] != '#') return 0;
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    size_t n = strlen(words[i]);
    if (strncmp(p, words[i], n) == 0 && p[n] >= '0' && p[n] <= '9') return n;
  }
  return 0;
}

static bool tidy_svg(const char *svg, bytes *out) {
  static const char sharp[] = "<image style=\"image-rendering:pixelated\"";
  serials ids = {NULL, 0, 0};
  bool ok = true;
  for (const char *p = svg; ok && *p != 0;) {
    size_t n = p > svg ? numbered_name(p) : 0;
    if (n > 0) {
      char *end, name[32];
      int number = serial(&ids, strtoul(p + n, &end, 10));
      int length = snprintf(name, sizeof name, "%.*s%d", (int)n, p, number);
      ok = number > 0 && append(out, (unsigned char *)name, (unsigned)length) == 0;
      p = end;
    } else if (strncmp(p, "<image ", 7) == 0) {
      ok = append(out, (const unsigned char *)sharp, sizeof sharp - 1) == 0;
      p += 6;
    } else {
      ok = append(out, (const unsigned char *)p++, 1) == 0;
    }
  }
  free(ids.seen);
  return ok || pl_fail_as(PL_ERROR_MEMORY, "canvas: not enough memory");
}

static bool encode_svg(pl_canvas *c, double scale, bytes *out) {
  (void)scale;
  bytes raw = {NULL, 0, 0};
  bool ok = encode_page(c, cairo_svg_surface_create_for_stream(append, &raw, c->width, c->height));
  if (ok && append(&raw, (const unsigned char *)"", 1) != 0)
    ok = pl_fail_as(PL_ERROR_MEMORY, "canvas: not enough memory");
  ok = ok && tidy_svg((const char *)raw.data, out);
  free(raw.data);
  return ok;
}

/*
** Files
*/

typedef bool encoder(pl_canvas *c, double scale, bytes *out);

static encoder *encoder_for(const char *path) {
  static const struct {
    const char *ending;
    encoder *encode;
  } formats[] = {{".png", encode_png}, {".svg", encode_svg}, {".pdf", encode_pdf}};
  const char *dot = strrchr(path, '.');
  for (size_t i = 0; dot != NULL && i < sizeof formats / sizeof *formats; i++)
    if (strcasecmp(dot, formats[i].ending) == 0) return formats[i].encode;
  return NULL;
}

bool pl_canvas_save(pl_canvas *c, const char *path, double scale) {
  encoder *encode = encoder_for(path);
  if (encode == NULL) return pl_fail("%s: the name must end in .png, .svg or .pdf", path);
  bytes b = {NULL, 0, 0};
  bool ok = encode(c, scale, &b) && pl_file_write(path, b.data, b.size);
  free(b.data);
  return ok;
}
