/*
** canvas.c: the binding of src/canvas. A canvas is a userdata whose drawing methods
** return the canvas, so that calls chain; coordinates are points from the top left.
*/
#include "../canvas/canvas.h"

#include <math.h>

#include "bind.h"

#define CANVAS     "perilune.canvas"
#define MAX_DASHES 8

static pl_canvas *check_canvas(lua_State *L) {
  pl_canvas **box = luaL_checkudata(L, 1, CANVAS);
  plb_arg_check(L, *box != NULL, 1, "the canvas is closed");
  return *box;
}

/* A coordinate. NaN and infinity have no place on a page. */
static double number(lua_State *L, int i) {
  double v = plb_number(L, i);
  plb_arg_check(L, isfinite(v), i, "a finite number expected");
  return v;
}

static double not_negative(lua_State *L, int i) {
  double v = number(L, i);
  plb_arg_check(L, v >= 0, i, "must not be negative");
  return v;
}

static int self(lua_State *L) {
  lua_settop(L, 1);
  return 1;
}

static int self_or_raise(lua_State *L, bool ok) { return ok ? self(L) : plb_raise(L); }

static int canvas_new(lua_State *L) {
  double width = number(L, 1), height = number(L, 2);
  pl_canvas **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  luaL_setmetatable(L, CANVAS);
  *box = pl_canvas_new(width, height);
  return *box ? 1 : plb_raise(L);
}

static int canvas_close(lua_State *L) {
  pl_canvas **box = luaL_checkudata(L, 1, CANVAS);
  pl_canvas_free(*box);
  *box = NULL;
  return 0;
}

static int canvas_tostring(lua_State *L) {
  double width, height;
  pl_canvas_size(check_canvas(L), &width, &height);
  lua_pushfstring(L, "canvas %f x %f points", width, height);
  return 1;
}

static int canvas_size(lua_State *L) {
  double width, height;
  pl_canvas_size(check_canvas(L), &width, &height);
  lua_pushnumber(L, width);
  lua_pushnumber(L, height);
  return 2;
}

static int canvas_push(lua_State *L) {
  pl_canvas_push(check_canvas(L));
  return self(L);
}

static int canvas_pop(lua_State *L) { return self_or_raise(L, pl_canvas_pop(check_canvas(L))); }

static int canvas_color(lua_State *L) {
  pl_canvas *c = check_canvas(L);
  pl_canvas_color(c, number(L, 2), number(L, 3), number(L, 4),
                  lua_isnoneornil(L, 5) ? 1 : number(L, 5));
  return self(L);
}

static int canvas_line_width(lua_State *L) {
  pl_canvas_line_width(check_canvas(L), not_negative(L, 2));
  return self(L);
}

static int canvas_dash(lua_State *L) {
  pl_canvas *c = check_canvas(L);
  double lengths[MAX_DASHES];
  int n = lua_gettop(L) - 1;
  plb_arg_check(L, n <= MAX_DASHES, MAX_DASHES + 2, "too many dash lengths");
  for (int i = 0; i < n; i++) lengths[i] = number(L, i + 2);
  return self_or_raise(L, pl_canvas_dash(c, lengths, n));
}

static int canvas_font(lua_State *L) {
  pl_canvas *c = check_canvas(L);
  pl_canvas_font(c, not_negative(L, 2), lua_toboolean(L, 3));
  return self(L);
}

static int canvas_move_to(lua_State *L) {
  pl_canvas_move_to(check_canvas(L), number(L, 2), number(L, 3));
  return self(L);
}

static int canvas_line_to(lua_State *L) {
  pl_canvas_line_to(check_canvas(L), number(L, 2), number(L, 3));
  return self(L);
}

static int canvas_curve_to(lua_State *L) {
  pl_canvas_curve_to(check_canvas(L), number(L, 2), number(L, 3), number(L, 4), number(L, 5),
                     number(L, 6), number(L, 7));
  return self(L);
}

static int canvas_rect(lua_State *L) {
  pl_canvas_rect(check_canvas(L), number(L, 2), number(L, 3), number(L, 4), number(L, 5));
  return self(L);
}

static int canvas_circle(lua_State *L) {
  pl_canvas_circle(check_canvas(L), number(L, 2), number(L, 3), not_negative(L, 4));
  return self(L);
}

static int canvas_close_path(lua_State *L) {
  pl_canvas_close_path(check_canvas(L));
  return self(L);
}

static int canvas_stroke(lua_State *L) {
  pl_canvas_stroke(check_canvas(L));
  return self(L);
}

static int canvas_fill(lua_State *L) {
  pl_canvas_fill(check_canvas(L));
  return self(L);
}

static int canvas_clip(lua_State *L) {
  pl_canvas_clip(check_canvas(L));
  return self(L);
}

static int canvas_measure(lua_State *L) {
  double width = 0, height = 0;
  if (!pl_canvas_measure(check_canvas(L), plb_text(L, 2, NULL), &width, &height))
    return plb_raise(L);
  lua_pushnumber(L, width);
  lua_pushnumber(L, height);
  return 2;
}

/* canvas:text(string, x, y, "left|center|right", "top|middle|baseline|bottom", degrees) */
static int canvas_text(lua_State *L) {
  static const char *const across[] = {"left", "center", "right", NULL};            /* pl_halign */
  static const char *const along[] = {"top", "middle", "baseline", "bottom", NULL}; /* pl_valign */
  pl_canvas *c = check_canvas(L);
  const char *text = plb_text(L, 2, NULL);
  double x = number(L, 3), y = number(L, 4);
  pl_halign h = (pl_halign)luaL_checkoption(L, 5, "left", across);
  pl_valign v = (pl_valign)luaL_checkoption(L, 6, "baseline", along);
  double degrees = lua_isnoneornil(L, 7) ? 0 : number(L, 7);
  return self_or_raise(L, pl_canvas_text(c, text, x, y, h, v, degrees));
}

static int canvas_image(lua_State *L) {
  pl_canvas *c = check_canvas(L);
  pl_tensor *t = plb_check(L, 2);
  plb_note_read(t);
  double x = number(L, 3), y = number(L, 4), width = number(L, 5), height = number(L, 6);
  plb_arg_check(L, width > 0, 5, "must be positive");
  plb_arg_check(L, height > 0, 6, "must be positive");
  return self_or_raise(L, pl_canvas_image(c, t, x, y, width, height));
}

static int canvas_pixels(lua_State *L) {
  pl_canvas *c = check_canvas(L);
  double scale = plb_opt_number(L, 2, 1);
  pl_tensor **box = plb_newbox(L);
  pl_scope_begin();
  pl_tensor *t = pl_canvas_pixels(c, scale);
  plb_fill(L, box, t);
  pl_scope_end();
  return t ? 1 : plb_raise(L);
}

static int canvas_save(lua_State *L) {
  pl_canvas *c = check_canvas(L);
  const char *path = plb_text(L, 2, NULL);
  if (!pl_canvas_save(c, path, plb_opt_number(L, 3, 2))) return plb_nil(L);
  lua_pushboolean(L, 1);
  return 1;
}

static const luaL_Reg methods[] = {
    {"size", canvas_size},
    {"push", canvas_push},
    {"pop", canvas_pop},
    {"color", canvas_color},
    {"line_width", canvas_line_width},
    {"dash", canvas_dash},
    {"font", canvas_font},
    {"move_to", canvas_move_to},
    {"line_to", canvas_line_to},
    {"curve_to", canvas_curve_to},
    {"rect", canvas_rect},
    {"circle", canvas_circle},
    {"close_path", canvas_close_path},
    {"stroke", canvas_stroke},
    {"fill", canvas_fill},
    {"clip", canvas_clip},
    {"measure", canvas_measure},
    {"text", canvas_text},
    {"image", canvas_image},
    {"pixels", canvas_pixels},
    {"save", canvas_save},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", canvas_close},
    {"__close", canvas_close},
    {"__tostring", canvas_tostring},
    {NULL, NULL},
};

static const plb_function functions[] = {{"canvas", canvas_new,
                                          "(width, height)\nA drawing of that many points, for "
                                          "PNG, SVG and PDF files. perilune.plot draws on it."},
                                         {NULL, NULL, NULL}};

/* Adds the constructor to the module. */
void plb_open_canvas(lua_State *L) {
  luaL_newmetatable(L, CANVAS);
  luaL_setfuncs(L, metamethods, 0);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1); /* metatable */
  plb_add(L, "Drawing", functions, NULL);
}
