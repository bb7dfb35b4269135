/*
** plan.c: the tables of a convolution, which plan.h explains.
*/
#include "plan.h"

#include "../../base/base.h"

/* An axis as the caller states it. `back`: the outputs are the inputs of the convolution. */
typedef struct {
  int64_t window, stride, pad, dil, inputs, outputs;
  bool back, whole;
} axis_spec;

/* The input that output o reads at tap t; false if that is nothing. */
static bool reads(const axis_spec *j, int64_t o, int64_t t, int64_t *at) {
  *at = j->back ? o + j->pad - t * j->dil : o * j->stride + t * j->dil - j->pad;
  if (j->back && *at % j->stride) return false;
  if (j->back) *at /= j->stride;
  return j->whole || (*at >= 0 && *at < j->inputs);
}

/* The taps of one output are evenly spaced, since what they read is an interval. */
static pl_axis_run run_of_output(const axis_spec *j, int64_t o) {
  pl_axis_run s = {.outputs = 1, .first = o, .step = j->back ? j->stride : 1};
  for (int64_t t = 0, at; t < j->window; t++) {
    if (!reads(j, o, t, &at)) continue;
    if (s.taps == 1) s.tap_step = t - s.tap, s.input_step = at - s.input;
    if (!s.taps++) s.tap = t, s.input = at;
  }
  return s;
}

static bool same_taps(const pl_axis_run *a, const pl_axis_run *b) {
  return a->taps == b->taps && a->tap == b->tap && a->tap_step == b->tap_step;
}

static void fill_axis(const axis_spec *j, pl_conv_axis *a, pl_axis_run *room) {
  *a = (pl_conv_axis){.advance = j->back ? 1 : j->stride, .run = room, .shortest = INT64_MAX};
  int64_t step = j->back ? j->stride : 1;
  for (int64_t phase = 0; phase < PL_MIN(step, j->outputs); phase++)
    for (int64_t o = phase; o < j->outputs; o += step) {
      pl_axis_run s = run_of_output(j, o);
      if (o > phase && same_taps(&a->run[a->runs - 1], &s)) a->run[a->runs - 1].outputs++;
      else a->run[a->runs++] = s;
    }
  for (int64_t i = 0; i < a->runs; i++) {
    a->terms += a->run[i].outputs * a->run[i].taps;
    a->shortest = PL_MIN(a->shortest, a->run[i].outputs);
  }
}

static bool fill_axes(pl_conv_plan *plan, const axis_spec *y, axis_spec x) {
  size_t runs = (size_t)(y->outputs + 2 * x.outputs) + 1;
  pl_axis_run *room = plan->memory = pl_scratch(runs * sizeof *room);
  if (!room) return false;
  fill_axis(y, &plan->y, room);
  fill_axis(&x, &plan->x, room + y->outputs);
  x.whole = true;
  fill_axis(&x, &plan->x_whole, room + y->outputs + x.outputs);
  return true;
}

bool pl_conv_plan_forward(pl_conv_plan *plan, const pl_conv *p) {
  *plan = (pl_conv_plan){.in = p->c,
                         .out = p->k,
                         .h = p->h,
                         .w = p->w,
                         .out_w = p->ow,
                         .out_plane = p->oh * p->ow,
                         .weight_in = p->r * p->s,
                         .weight_out = p->c * p->r * p->s,
                         .window = p->r * p->s,
                         .window_w = p->s};
  axis_spec y = {p->r, p->stride[0], p->pad[0], p->dil[0], p->h, p->oh, false, false};
  axis_spec x = {p->s, p->stride[1], p->pad[1], p->dil[1], p->w, p->ow, false, false};
  return fill_axes(plan, &y, x);
}

bool pl_conv_plan_back(pl_conv_plan *plan, const pl_conv *p) {
  *plan = (pl_conv_plan){.in = p->k,
                         .out = p->c,
                         .h = p->oh,
                         .w = p->ow,
                         .out_w = p->w,
                         .out_plane = p->h * p->w,
                         .weight_in = p->c * p->r * p->s,
                         .weight_out = p->r * p->s,
                         .window = p->r * p->s,
                         .window_w = p->s};
  axis_spec y = {p->r, p->stride[0], p->pad[0], p->dil[0], p->oh, p->h, true, false};
  axis_spec x = {p->s, p->stride[1], p->pad[1], p->dil[1], p->ow, p->w, true, false};
  return fill_axes(plan, &y, x);
}

void pl_conv_plan_free(pl_conv_plan *plan) { pl_scratch_free(plan->memory); }

/* The zeros in front of the input and the size of all, from the first and the last element that is
 * read. */
static int64_t extent(const pl_conv_axis *a, int64_t *before) {
  int64_t least = 0, most = 0;
  for (int64_t i = 0; i < a->runs; i++) {
    const pl_axis_run *s = &a->run[i];
    if (!s->taps) continue;
    int64_t last = s->input + (s->taps - 1) * s->input_step, move = (s->outputs - 1) * a->advance;
    least = PL_MIN(least, PL_MIN(s->input, last));
    most = PL_MAX(most, PL_MAX(s->input, last) + move);
  }
  *before = -least;
  return most - least + 1;
}

void pl_conv_lay_out(pl_conv_plan *plan, const pl_conv_axis *x, int64_t stripes, bool must_copy) {
  pl_conv_layout *l = &plan->input;
  *l = (pl_conv_layout){.h = plan->h, .w = plan->w, .stripes = stripes};
  int64_t rows = extent(&plan->y, &l->top), cols = extent(x, &l->left);
  l->as_is = !must_copy && !l->top && !l->left && rows <= l->h && cols <= l->w && stripes == 1;
  l->rows = l->as_is ? l->h : rows;
  l->pitch = l->as_is ? l->w : (cols + stripes - 1) / stripes;
  l->plane = l->rows * stripes * l->pitch;
}

/* The offsets of one channel are computed; those of each further one lie at a fixed distance. */
int64_t pl_conv_fill_offsets(const pl_conv_plan *plan, const pl_axis_run *y, const pl_axis_run *x,
                             int64_t channels, int64_t channel_step, int64_t scale, int64_t unit,
                             pl_conv_offsets *offsets) {
  const pl_conv_layout *l = &plan->input;
  const pl_conv_offsets step = {(int32_t)(channel_step * scale), (int32_t)(plan->window * unit)};
  int64_t n = y->taps * x->taps;
  for (int64_t i = 0; i < n && channels; i++) {
    int64_t ty = i / x->taps, tx = i % x->taps;
    int64_t row = y->input + ty * y->input_step + l->top,
            col = x->input + tx * x->input_step + l->left;
    int64_t at = (row * l->stripes + col % l->stripes) * l->pitch + col / l->stripes;
    int64_t tap = (y->tap + ty * y->tap_step) * plan->window_w + x->tap + tx * x->tap_step;
    offsets[i] = (pl_conv_offsets){(int32_t)(at * scale), (int32_t)(tap * unit)};
  }
  for (int64_t i = n; i < n * channels; i++)
    offsets[i] = (pl_conv_offsets){offsets[i - n].x + step.x, offsets[i - n].w + step.w};
  return n * channels;
}
