/*
** conv_plan.h: a convolution as tables, of which its input gradient is one too. Along each
** axis the outputs fall into spans that use the same window positions: those at the edges
** lack the positions that lie in the padding, and where a gradient flows back through a
** stride, every stride-th output is alike. A row span and a column span make a class. Over
** a class, a number of the result is a sum of products that lie at fixed distances, the same
** for all its outputs: the kernels walk tables of these and never see a zero of the padding
** or of a stride.
*/
#ifndef PERILUNE_CONV_PLAN_H
#define PERILUNE_CONV_PLAN_H

#include "../kernels.h"

/* Outputs first, first + step, ...; window positions tap, tap + tap_step, ... */
typedef struct {
  int64_t outputs, first, step;
  int64_t taps, tap, tap_step;
  int64_t at, at_step; /* the source that the first output reads at the first position, and so on */
} pl_conv_span;

typedef struct {
  int64_t spans, move; /* move: from the source of an output to that of the next in its span */
  pl_conv_span *span;
  int64_t products; /* outputs times positions, over all spans */
  int64_t least;    /* outputs of the shortest span */
} pl_conv_axis;

/*
** How the source lies in memory: rows of `stripes` stripes; column q is number q / stripes of
** stripe q % stripes, so columns that a stride visits can be neighbours.
*/
typedef struct {
  int64_t h, w, top, left;      /* the image, and the zeros above and left of it */
  int64_t rows, stripes, pitch; /* the copy; what does not fit is left out */
  int64_t plane;                /* numbers in one channel */
  bool as_is;                   /* it is the image itself */
} pl_conv_layout;

typedef struct {
  int64_t in, out, h, w, out_w;  /* channels; source; width of the result */
  int64_t out_plane;             /* numbers in a channel of the result */
  int64_t weight_in, weight_out; /* steps of those channels in the weights */
  int64_t window, window_w;      /* numbers in a window, and in its rows */
  pl_conv_axis y, x, x_whole;    /* x_whole: padding is not left out */
  pl_conv_layout source;
  void *memory;
} pl_conv_plan;

/* Where a product finds its factors, counted from where the source of an output starts. */
typedef struct {
  int32_t x, a;
} pl_conv_pair;

/* False: no memory. */
bool pl_conv_plan_forward(pl_conv_plan *plan, const pl_conv *p);
bool pl_conv_plan_back(pl_conv_plan *plan, const pl_conv *p);
void pl_conv_plan_free(pl_conv_plan *plan);

/* Lays the source out for the axes in use: y, and `x` in that many stripes. */
void pl_conv_lay_out(pl_conv_plan *plan, const pl_conv_axis *x, int64_t stripes, bool must_copy);

/*
** The products of a class over `channels` source channels, channel by channel: a counts the
** weights [channel][window] in units of `unit`, x the source, whose channels are
** `channel_step` apart, in units of `scale`. Returns how many there are.
*/
int64_t pl_conv_pairs(const pl_conv_plan *plan, const pl_conv_span *y, const pl_conv_span *x,
                      int64_t channels, int64_t channel_step, int64_t scale, int64_t unit,
                      pl_conv_pair *pairs);

/* Where the outputs of a class lie: the first, and the steps to the next row and column. */
typedef struct {
  int64_t first, row, col;
} pl_conv_grid;
/* Their sources, counted from that of the first. */
static inline pl_conv_grid pl_conv_sources(const pl_conv_plan *plan) {
  const pl_conv_layout *l = &plan->source;
  return (pl_conv_grid){0, plan->y.move * l->stripes * l->pitch, plan->x.move / l->stripes};
}
/* Their places in a channel of the result. */
static inline pl_conv_grid pl_conv_places(const pl_conv_plan *plan, const pl_conv_span *y,
                                          const pl_conv_span *x) {
  return (pl_conv_grid){y->first * plan->out_w + x->first, y->step * plan->out_w, x->step};
}

#endif
