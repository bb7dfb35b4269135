/*
** plan.h: a convolution as tables of offsets, in the manner of an indirection buffer (Dukhan, The
** Indirect Convolution Algorithm, 2019). The input gradient is such a plan too. Along each axis the
** outputs fall into runs that use the same taps (positions of the window): those at the edges lack
** the taps that lie in the padding, and where a gradient flows back through a stride, every
** stride-th output is alike. A row run and a column run make a tap class. Over a class, an output
** is a sum of multiply-adds at fixed distances from where its input starts, the same for all
** outputs: kernels walk tables of these and never see a zero of the padding or of a stride.
**
**   columns of the output, window of 3, padding 1:
**      | o | o   o   o   o | o |      three runs: taps {1,2}, {0,1,2}, {0,1}
**        0   1   2   3   4   5        with three row runs: nine tap classes
*/
#ifndef PERILUNE_CONV_PLAN_H
#define PERILUNE_CONV_PLAN_H

#include "conv.h"

/* Outputs first, first + step, ...; taps tap, tap + tap_step, ... */
typedef struct {
  int64_t outputs, first, step;
  int64_t taps, tap, tap_step;
  int64_t input, input_step; /* what the first output reads at its first tap, and at the next */
} pl_axis_run;

typedef struct {
  int64_t runs, advance; /* advance: from the input of an output to that of the next in its run */
  pl_axis_run *run;
  int64_t terms;    /* outputs times taps, over all runs */
  int64_t shortest; /* outputs of the shortest run */
} pl_conv_axis;

/*
** How the input lies in memory: rows of `stripes` stripes; column q is element q / stripes of
** stripe q % stripes, so that columns which a stride visits are neighbours.
*/
typedef struct {
  int64_t h, w, top, left;      /* the image, and the zeros above and left of it */
  int64_t rows, stripes, pitch; /* the padded copy; what does not fit is left out */
  int64_t plane;                /* elements of a channel */
  bool as_is;                   /* there is no copy: it is the image itself */
} pl_conv_layout;

typedef struct {
  int64_t in, out, h, w, out_w;  /* channels; size of the input; width of the output */
  int64_t out_plane;             /* elements of an output channel */
  int64_t weight_in, weight_out; /* steps of those channels in the weights */
  int64_t window, window_w;      /* elements of a window, and of its rows */
  pl_conv_axis y, x, x_whole;    /* x_whole: padding is not left out */
  pl_conv_layout input;
  void *memory;
} pl_conv_plan;

/* The two factors of a multiply-add, counted from where the input of an output starts, and from the
 * weights of its channel. */
typedef struct {
  int32_t x, w;
} pl_conv_offsets;

/* False: no memory. */
bool pl_conv_plan_forward(pl_conv_plan *plan, const pl_conv *p);
bool pl_conv_plan_back(pl_conv_plan *plan, const pl_conv *p);
void pl_conv_plan_free(pl_conv_plan *plan);

/* Lays the input out for the axes in use: y, and `x` in that many stripes. */
void pl_conv_lay_out(pl_conv_plan *plan, const pl_conv_axis *x, int64_t stripes, bool must_copy);

/*
** The multiply-adds of a tap class over `channels` input channels, channel by channel: w counts the
** weights [channel][window] in units of `unit`, x the input, whose channels are `channel_step`
** apart, in units of `scale`. Returns how many there are.
*/
int64_t pl_conv_fill_offsets(const pl_conv_plan *plan, const pl_axis_run *y, const pl_axis_run *x,
                             int64_t channels, int64_t channel_step, int64_t scale, int64_t unit,
                             pl_conv_offsets *offsets);

/* Where the outputs of a class lie: the first, and the steps to the next row and column. */
typedef struct {
  int64_t first, row, col;
} pl_conv_grid;
/* Their inputs, counted from that of the first. */
static inline pl_conv_grid pl_conv_input_grid(const pl_conv_plan *plan) {
  const pl_conv_layout *l = &plan->input;
  return (pl_conv_grid){0, plan->y.advance * l->stripes * l->pitch, plan->x.advance / l->stripes};
}
/* Their places in an output channel. */
static inline pl_conv_grid pl_conv_output_grid(const pl_conv_plan *plan, const pl_axis_run *y,
                                               const pl_axis_run *x) {
  return (pl_conv_grid){y->first * plan->out_w + x->first, y->step * plan->out_w, x->step};
}

#endif
