/*
** canvas.h: drawing with Cairo. A canvas records what is drawn, in points (1/72 inch)
** from the top left corner, and replays the record to any format, so one picture is
** saved as PNG, SVG and PDF. The same calls give the same bytes.
**
** Drawing cannot fail call by call: Cairo keeps the first error, and pl_canvas_save and
** pl_canvas_pixels report it. What does fail leaves its message as perilune.h says.
** Coordinates must not be NaN; values far outside the page are drawn at its far outside.
*/
#ifndef PERILUNE_CANVAS_H
#define PERILUNE_CANVAS_H

#include "perilune.h"

typedef struct pl_canvas pl_canvas;

typedef enum { PL_LEFT, PL_CENTER, PL_RIGHT } pl_halign;
typedef enum { PL_TOP, PL_MIDDLE, PL_BASELINE, PL_BOTTOM } pl_valign;

/* A white page. */
pl_canvas *pl_canvas_new(double width, double height);
/* Accepts NULL. */
void pl_canvas_free(pl_canvas *c);
void pl_canvas_size(const pl_canvas *c, double *width, double *height);

/*
** State: colour, line, dashes, font and clip, all kept by push and brought back by pop
*/

void pl_canvas_push(pl_canvas *c);
/* False, with a message, if there was no push. */
bool pl_canvas_pop(pl_canvas *c);
/* Red, green, blue and opacity from 0 to 1. */
void pl_canvas_color(pl_canvas *c, double r, double g, double b, double a);
void pl_canvas_line_width(pl_canvas *c, double width);
/* Lengths on, off, on, ...; n == 0 is a solid line. Dashed lines have flat ends, others round. */
bool pl_canvas_dash(pl_canvas *c, const double *lengths, int n);
void pl_canvas_font(pl_canvas *c, double size, bool bold);

/*
** Paths; stroke, fill and clip use the path up and start a new one
*/

void pl_canvas_move_to(pl_canvas *c, double x, double y);
void pl_canvas_line_to(pl_canvas *c, double x, double y);
void pl_canvas_curve_to(pl_canvas *c, double x1, double y1, double x2, double y2, double x,
                        double y);
void pl_canvas_rect(pl_canvas *c, double x, double y, double width, double height);
void pl_canvas_circle(pl_canvas *c, double x, double y, double radius);
void pl_canvas_close_path(pl_canvas *c);
void pl_canvas_stroke(pl_canvas *c);
void pl_canvas_fill(pl_canvas *c);
void pl_canvas_clip(pl_canvas *c);

/*
** Text: UTF-8, lines parted by \n. PL_MIDDLE centres the capitals, PL_TOP and PL_BOTTOM
** count ascenders and descenders, PL_BASELINE is that of the first line.
*/

bool pl_canvas_measure(pl_canvas *c, const char *text, double *width, double *height);
/* The anchor (x, y) is also the centre of the turn: degrees, counter-clockwise. */
bool pl_canvas_text(pl_canvas *c, const char *text, double x, double y, pl_halign h, pl_valign v,
                    double degrees);

/*
** Draws [h,w], [h,w,3], [1,h,w] or [3,h,w] into a rectangle, without smoothing when it grows:
** uint8 from 0 to 255, real from 0 to 1.
*/
bool pl_canvas_image(pl_canvas *c, const pl_tensor *t, double x, double y, double width,
                     double height);

/*
** Results
*/

/* uint8 [h,w,3], `scale` pixels a point. */
pl_tensor *pl_canvas_pixels(pl_canvas *c, double scale);
/*
** Writes .png (at `scale` pixels a point), .svg or .pdf, as the name ends. The file appears
** complete or not at all; on failure an older one stays.
*/
bool pl_canvas_save(pl_canvas *c, const char *path, double scale);

#endif
