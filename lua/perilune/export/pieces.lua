--- The functions of C that exported networks are made of, each with what it needs (internal).
-- `NAME` stands for the network's name.
-- @module perilune.export.pieces

local pieces = {}

--- In the order in which they stand in a file: `name`, and `text`. `math` says that it calls
-- functions of math.h.
pieces.list = {
  {
    name = "window",
    text = [[
/* How a kernel moves over maps. */
typedef struct NAME_moves {
  int channels, height, width;             /* of the input */
  int out_channels, out_height, out_width; /* of the result */
  int kernel_height, kernel_width;
  int stride_down, stride_right;
  int padding_above, padding_left;
  int dilation_down, dilation_right;
} NAME_moves;
]],
  }, {
    name = "linear",
    text = [[
/* y = x W' + b for each of `rows` rows; the weight is n_out rows of n_in numbers. */
static void NAME_linear(const float *x, float *y, int rows, int n_in, int n_out,
                        const float *weight, const float *bias)
{
  for (int r = 0; r < rows; r++, x += n_in) {
    const float *w = weight;
    for (int o = 0; o < n_out; o++) {
      float sum = bias ? bias[o] : 0.0f;
      for (int i = 0; i < n_in; i++) sum += *w++ * x[i];
      *y++ = sum;
    }
  }
}
]],
  }, {
    name = "conv2d",
    text = [[
/* The sum of one window in all channels of x times a kernel; what lies outside counts as 0. */
static float NAME_conv2d_at(const float *x, const NAME_moves *w, const float *kernel, int top,
                            int left)
{
  float sum = 0.0f;
  for (int c = 0; c < w->channels; c++, x += w->height * w->width) {
    for (int i = 0; i < w->kernel_height; i++, kernel += w->kernel_width) {
      const int row = top + i * w->dilation_down;
      if (row < 0 || row >= w->height) continue;
      for (int j = 0; j < w->kernel_width; j++) {
        const int column = left + j * w->dilation_right;
        if (column < 0 || column >= w->width) continue;
        sum += kernel[j] * x[row * w->width + column];
      }
    }
  }
  return sum;
}

/* A convolution; the weight is out_channels kernels of channels x kernel_height x kernel_width. */
static void NAME_conv2d(const float *x, float *y, const NAME_moves *w, const float *weight,
                        const float *bias)
{
  const int kernel_size = w->channels * w->kernel_height * w->kernel_width;
  for (int o = 0; o < w->out_channels; o++, weight += kernel_size) {
    for (int i = 0; i < w->out_height; i++) {
      for (int j = 0; j < w->out_width; j++) {
        *y++ = (bias ? bias[o] : 0.0f)
               + NAME_conv2d_at(x, w, weight, i * w->stride_down - w->padding_above,
                                j * w->stride_right - w->padding_left);
      }
    }
  }
}
]],
  }, {
    name = "max_pool2d", math = true,
    text = [[
/* The greatest number of one window of a map. */
static float NAME_max_at(const float *x, const NAME_moves *w, int top, int left)
{
  float greatest = -INFINITY;
  for (int i = 0; i < w->kernel_height; i++) {
    for (int j = 0; j < w->kernel_width; j++) {
      const int row = top + i, column = left + j;
      if (row < 0 || row >= w->height || column < 0 || column >= w->width) continue;
      const float value = x[row * w->width + column];
      if (value > greatest || isnan(value)) greatest = value;
    }
  }
  return greatest;
}

static void NAME_max_pool2d(const float *x, float *y, const NAME_moves *w)
{
  for (int c = 0; c < w->channels; c++, x += w->height * w->width) {
    for (int i = 0; i < w->out_height; i++) {
      for (int j = 0; j < w->out_width; j++) {
        *y++ = NAME_max_at(x, w, i * w->stride_down - w->padding_above,
                           j * w->stride_right - w->padding_left);
      }
    }
  }
}
]],
  }, {
    name = "avg_pool2d",
    text = [[
/* The sum of one window of a map; what lies outside counts as 0. */
static float NAME_sum_at(const float *x, const NAME_moves *w, int top, int left)
{
  float sum = 0.0f;
  for (int i = 0; i < w->kernel_height; i++) {
    for (int j = 0; j < w->kernel_width; j++) {
      const int row = top + i, column = left + j;
      if (row < 0 || row >= w->height || column < 0 || column >= w->width) continue;
      sum += x[row * w->width + column];
    }
  }
  return sum;
}

static void NAME_avg_pool2d(const float *x, float *y, const NAME_moves *w)
{
  const float area = (float)(w->kernel_height * w->kernel_width);
  for (int c = 0; c < w->channels; c++, x += w->height * w->width) {
    for (int i = 0; i < w->out_height; i++) {
      for (int j = 0; j < w->out_width; j++) {
        *y++ = NAME_sum_at(x, w, i * w->stride_down - w->padding_above,
                           j * w->stride_right - w->padding_left) / area;
      }
    }
  }
}
]],
  }, {
    name = "copy",
    text = [[
static void NAME_copy(const float *x, float *y, int n)
{
  for (int i = 0; i < n; i++) y[i] = x[i];
}
]],
  }, {
    name = "batch_norm",
    text = [[
/* Batch norm in evaluation mode: each channel of `size` numbers is scaled and shifted. */
static void NAME_batch_norm(float *x, int channels, int size, const float *scale,
                            const float *shift)
{
  for (int c = 0; c < channels; c++, x += size) {
    for (int i = 0; i < size; i++) x[i] = x[i] * scale[c] + shift[c];
  }
}
]],
  }, {
    name = "layer_norm", math = true,
    text = [[
/* Each of `rows` rows less its mean, divided by its standard deviation, times the weight, and the
** bias. */
static void NAME_layer_norm(float *x, int rows, int n, float eps, const float *weight,
                            const float *bias)
{
  for (int r = 0; r < rows; r++, x += n) {
    float mean = 0.0f, square = 0.0f;
    for (int i = 0; i < n; i++) mean += x[i] / (float)n;
    for (int i = 0; i < n; i++) square += (x[i] - mean) * (x[i] - mean) / (float)n;
    const float scale = 1.0f / sqrtf(square + eps);
    for (int i = 0; i < n; i++) {
      x[i] = (x[i] - mean) * scale * (weight ? weight[i] : 1.0f) + (bias ? bias[i] : 0.0f);
    }
  }
}
]],
  }, {
    name = "relu",
    text = [[
static void NAME_relu(float *x, int n)
{
  for (int i = 0; i < n; i++) {
    if (x[i] < 0.0f) x[i] = 0.0f;
  }
}
]],
  }, {
    name = "leaky_relu",
    text = [[
static void NAME_leaky_relu(float *x, int n, float slope)
{
  for (int i = 0; i < n; i++) {
    if (x[i] < 0.0f) x[i] *= slope;
  }
}
]],
  }, {
    name = "tanh", math = true,
    text = [[
static void NAME_tanh(float *x, int n)
{
  for (int i = 0; i < n; i++) x[i] = tanhf(x[i]);
}
]],
  }, {
    name = "sigmoid", math = true,
    text = [[
static void NAME_sigmoid(float *x, int n)
{
  for (int i = 0; i < n; i++) x[i] = 1.0f / (1.0f + expf(-x[i]));
}
]],
  }, {
    name = "softplus", math = true,
    text = [[
static void NAME_softplus(float *x, int n)
{
  for (int i = 0; i < n; i++) x[i] = fmaxf(x[i], 0.0f) + log1pf(expf(-fabsf(x[i])));
}
]],
  }, {
    name = "log_softmax", math = true,
    text = [[
/* log softmax over the second of three dims: outer x n x inner. */
static void NAME_log_softmax(float *x, int outer, int n, int inner)
{
  for (int o = 0; o < outer; o++, x += n * inner) {
    for (int k = 0; k < inner; k++) {
      float greatest = x[k], sum = 0.0f;
      for (int i = 1; i < n; i++) greatest = fmaxf(greatest, x[i * inner + k]);
      for (int i = 0; i < n; i++) sum += expf(x[i * inner + k] - greatest);
      for (int i = 0; i < n; i++) x[i * inner + k] -= greatest + logf(sum);
    }
  }
}
]],
  }, {
    name = "softmax", math = true,
    text = [[
/* Softmax over the second of three dims: outer x n x inner. */
static void NAME_softmax(float *x, int outer, int n, int inner)
{
  for (int o = 0; o < outer; o++, x += n * inner) {
    for (int k = 0; k < inner; k++) {
      float greatest = x[k], sum = 0.0f;
      for (int i = 1; i < n; i++) greatest = fmaxf(greatest, x[i * inner + k]);
      for (int i = 0; i < n; i++) {
        x[i * inner + k] = expf(x[i * inner + k] - greatest);
        sum += x[i * inner + k];
      }
      for (int i = 0; i < n; i++) x[i * inner + k] /= sum;
    }
  }
}
]],
  },
}

return pieces
