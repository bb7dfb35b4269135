--- The names of PyTorch and Torch7 that are not ours, and what to write instead (internal). The
-- error of an unknown name, `help` and docs/names.md all read this table.
--
-- A line has names, two spaces, and what to write; or, after a dash, why there is nothing. In it
-- `x` is a tensor, `net` a module, `opt` an optimiser. Lines that begin with blanks go on.
-- @module perilune.help.torch

local torch = {}

-- What the texts below say is read when it is first asked for.
local texts, read = {}, {}

-- The lines of a text: {names = {"ndim", "ndimension"}, write = "x:dim()"}, or `why` for `write`.
local function rows(text)
  local list = {}
  for line in text:gsub("\n +", " "):gmatch "[^\n]+" do
    local names, meaning = line:match "^(.-)  +(.*)$"
    local row = {names = {}}
    for name in names:gmatch "[^ ,]+" do row.names[#row.names + 1] = name end
    row.why = meaning:match "^%- (.*)$"
    row.write = not row.why and meaning or nil
    list[#list + 1] = row
  end
  return list
end

--- Functions and methods that have PyTorch's name here.
torch.same = [[
abs acos add add_ addmm all allclose amax amin any arange argmax argmin argsort asin atan atan2
avg_pool2d backward batch_norm bernoulli_ binary_cross_entropy binary_cross_entropy_with_logits
bincount bitwise_and bitwise_not bitwise_or bitwise_xor bmm cat cdist ceil chunk clamp clone
contiguous conv2d conv_transpose2d copy_ corrcoef cos cosh cosine_similarity cov cross_entropy
cummax cummin cumprod cumsum detach diag dim div div_ dot dropout dtype einsum elu embedding empty
enable_grad eq equal erf exp expand expm1 eye fill_ flatten flip floor floor_divide fmod frac full
full_like gather ge gelu grad gru gt hardsigmoid hardswish hardtanh hessian histc huber_loss hvp
index_add index_select instance_norm is_contiguous is_leaf is_tensor isfinite isinf isnan item
jacobian jvp kl_div l1_loss layer_norm le leaky_relu lerp linear linspace load log log10 log1p log2
log_softmax logical_and logical_not logical_or logical_xor logsigmoid logsumexp lstm lt manual_seed
masked_fill masked_select matmul max max_pool2d maximum mean median meshgrid min minimum mish mm
mse_loss mul mul_ multinomial mv nan_to_num nanmean nansum narrow ne neg nll_loss no_grad nonzero
norm normal_ numel one_hot ones ones_like outer pad permute pow prod quantile rand rand_like randint
randn randn_like randperm reciprocal relu remainder repeat_interleave requires_grad requires_grad_
reshape roll round rsqrt save scatter_add searchsorted select selu sigmoid sign silu sin sinh size
smooth_l1_loss softmax softplus sort split sqrt square squeeze stack std stride sub sub_ sum t
take_along_dim tan tanh tensor tile to topk transpose tril triplet_margin_loss triu trunc unbind
uniform_ unique unsqueeze var var_mean view vjp where zero_ zeros zeros_like
]]

--- What has PyTorch's name in a section.
torch.present = {
  optim = [[
ASGD Adagrad Adam AdamW LBFGS Muon NAdam RAdam RMSprop SGD ChainedScheduler ConstantLR
CosineAnnealingLR CosineAnnealingWarmRestarts CyclicLR ExponentialLR LambdaLR LinearLR MultiStepLR
OneCycleLR PolynomialLR ReduceLROnPlateau SWALR SequentialLR StepLR update_bn clip_grad_norm_
clip_grad_value_
]],
}

-- What is written otherwise, or absent, of the functions and the methods of tensors.
texts.tensor = [[
shape  x:size()
ndim, ndimension, nDimension  x:dim()
nelement, nElement  x:numel()
T, mT, H, mH, adjoint  x:t() of a matrix, or x:transpose(-2, -1)
data  x:detach()
type  x:dtype(), or x:to("int32") to convert
float, double, half, bfloat16  x:to("real")
int, long, short  x:to("int32")
byte, bool, char  x:to("uint8")
type_as, typeAs  x:to(y:dtype())
is_floating_point  x:dtype() == "real"
numpy, tolist  x:totable()
as_tensor, asarray, from_numpy, scalar_tensor  pl.tensor(table)
frombuffer  pl.from_bytes(string, dtype)
Tensor, FloatTensor, DoubleTensor, HalfTensor  pl.tensor(table), or pl.empty(sizes)
IntTensor, LongTensor, ShortTensor  pl.tensor(table, "int32")
ByteTensor, BoolTensor, CharTensor  pl.tensor(table, "uint8")
float32, float64, float16, get_default_dtype, set_default_dtype, setdefaulttensortype  "real";
    which one it is was chosen when the program was built
int32, int64, int16, int8  "int32"
uint8  "uint8"
inf, nan, pi, e  math.huge, 0 / 0, math.pi, math.exp(1)
device, cuda, cpu, xpu, mps, get_device, is_cuda, is_cpu, pin_memory, is_pinned  - all tensors are
    in the computer's memory: leave it out
empty_like, empty_strided  pl.empty(x:size(), x:dtype())
new, new_empty, new_zeros, new_ones, new_full, new_tensor  pl.zeros(sizes, x:dtype()) and their like
range  pl.arange(first, last), which includes the last
jacrev, jacfwd  pl.jacobian(f, x)
vhp  pl.hvp(f, x, v)
set_detect_anomaly, anomaly_mode  pl.detect_anomaly(f, ...)
logspace  10 ^ pl.linspace(first, last, n)
normal  pl.randn(sizes) * std + mean
bernoulli  pl.empty(sizes):bernoulli_(p)
poisson, binomial, cauchy_, exponential_, geometric_, log_normal_, random_, random  - uniform_,
    normal_ and bernoulli_ are the distributions that there are
seed, initial_seed, manualSeed  pl.manual_seed(seed)
get_rng_state  pl.random_state()
set_rng_state  pl.set_random_state(state)
set_num_threads, get_num_threads, setnumthreads, getnumthreads  pl.threads(n)
set_printoptions, setprintoptions  pl.set_print {precision = 4}
set_grad_enabled, inference_mode, is_grad_enabled  pl.no_grad(f, ...) or pl.enable_grad(f, ...)
autograd  pl.grad(outputs, inputs), and pl.custom for one's own
grad_fn  x.is_leaf, which says whether no op made x
retain_grad, retains_grad  pl.grad(loss, x), which gives the gradient by any tensor
register_hook, register_post_accumulate_grad_hook  pl.custom(forward, backward)
detach_  x:detach()
view_as, reshape_as, viewAs, resize_as  x:reshape(y:size())
resize, resize_, resizeAs, resize_as_, set_, set  - a tensor keeps its size; write
    x:reshape(sizes) or pl.empty(sizes)
expand_as, expandAs  x:expand(y:size())
broadcast_to, broadcast_tensors  x:expand(sizes)
repeat, repeatTensor  x:tile(...); repeat is a word of Lua's
ravel  x:flatten()
unflatten  x:reshape(sizes)
swapaxes, swapdims, transpose_  x:transpose(a, b)
moveaxis, movedim  x:permute(dims)
concat, concatenate, hstack, vstack, dstack, column_stack, row_stack  pl.cat(list, dim), or
    pl.stack(list, dim)
tensor_split, hsplit, vsplit, dsplit, split_with_sizes  x:split(size, dim), or x:chunk(n, dim)
narrow_copy  x:narrow(dim, first, n):clone()
flipud, fliplr  x:flip(1), x:flip(2)
rot90  x:t():flip(1)
atleast_1d, atleast_2d, atleast_3d  x:unsqueeze(dim)
as_strided, unfold, fold  - views have the strides that slices and transpositions give
diagonal, diag_embed, diagflat  x:diag()
block_diag, cartesian_prod, combinations, tril_indices, triu_indices, vander  - made of
    pl.meshgrid, cat and tril
trace  x:diag():sum()
take  x:flatten()[indices]
index, indexSelect  x[indices], or x:index_select(indices, dim)
index_copy, index_copy_, index_fill, index_fill_, index_put, index_put_, indexCopy,
    indexFill  x[rows] = values
index_add_, indexAdd  x:index_add(...)
scatter, scatter_, scatter_reduce, index_reduce, segment_reduce  - scatter_add adds; x[rows] =
    values and x[mask] = values set
scatter_add_  x:scatter_add(...)
masked_scatter, masked_scatter_, maskedCopy  x[mask] = values
masked_fill_, maskedFill  x[mask] = value
maskedSelect  x:masked_select(mask)
select_scatter, slice_scatter, diagonal_scatter  x[{...}] = values
argwhere  x:nonzero()
count_nonzero  x:nonzero():size(1)
clip  x:clamp(min, max)
clamp_min, cmax  x:maximum(low)
clamp_max, cmin  x:minimum(high)
fmax, fmin  - maximum and minimum give NaN where one of the two is
absolute  x:abs()
negative  -x
positive  x
multiply, cmul  x * y
divide, true_divide, cdiv  x / y
subtract, csub  x - y
rsub  y - x
float_power, cpow  x ^ p
cinv  1 / x
greater  x:gt(y)
greater_equal  x:ge(y)
less  x:lt(y)
less_equal  x:le(y)
not_equal  x:ne(y)
arccos  x:acos()
arcsin  x:asin()
arctan  x:atan()
arctan2  x:atan2(y)
asinh, arcsinh  (x + (x * x + 1):sqrt()):log()
acosh, arccosh  (x + (x * x - 1):sqrt()):log()
atanh, arctanh  ((1 + x) / (1 - x)):log() / 2
fix  x:trunc()
sgn  x:sign()
exp2  2 ^ x
erfc  1 - x:erf()
logit  (x / (1 - x)):log()
logaddexp, logaddexp2  pl.stack {a, b}:logsumexp(1)
hypot  (a * a + b * b):sqrt()
deg2rad  x * (math.pi / 180)
rad2deg  x * (180 / math.pi)
isclose  (a - b):abs():le(b:abs() * rtol + atol)
isposinf, isneginf  x:eq(math.huge), x:eq(-math.huge)
is_nonzero  x:item() ~= 0
isin  - compare with eq, and join with maximum
addcmul  x + value * a * b
addcdiv  x + value * a / b
addmv  x + m:mv(v)
addr  x + pl.outer(a, b)
baddbmm, addbmm  x + a:bmm(b)
ger  pl.outer(a, b)
inner, vdot  pl.dot(a, b)
tensordot, kron, bilinear  pl.einsum(equation, a, b)
chain_matmul  a:matmul(b):matmul(c)
pdist  pl.cdist(x, x)
frobenius_norm, nuclear_norm  x:norm()
histogram, histogramdd  x:histc(bins, min, max)
gradient  x[{{2, -1}}] - x[{{1, -2}}], or pl.grad for derivatives
dist, pairwise_distance  (a - b):norm()
std_mean  x:std(dim), x:mean(dim)
aminmax  x:amin(dim), x:amax(dim)
msort  x:sort(1)
kthvalue  x:topk(k), or x:sort(dim)
inverse, pinverse  pl.linalg.inv(x), pl.linalg.pinv(x)
triangular_solve  pl.linalg.solve_triangular(a, b)
symeig  pl.linalg.eigh(x)
logdet  pl.linalg.slogdet(x), whose second result it is
cholesky_solve, cholesky_inverse  pl.linalg.solve(a, b)
eig, lu, lu_solve, lu_unpack, geqrf, orgqr, ormqr, matrix_power  - pl.linalg has cholesky, qr, eigh,
    svd and solve
bucketize  pl.searchsorted(edges, x)
unique_consecutive  x:unique()
randint_like  pl.randint(low, high, x:size())
bitwise_left_shift, bitwise_right_shift  x * (1 << n), x // (1 << n)
sum_to_size  x:sum {dim = dims, keepdim = true}
put  x[rows] = values
matrix_exp, unravel_index, mode, nanmedian, nanquantile, logcumsumexp, renorm, trapezoid, trapz,
    cumulative_trapezoid, cross  - a few lines of the others make them
diff  x[{{2, -1}}] - x[{{1, -2}}]
lgamma, digamma, polygamma, mvlgamma, igamma, igammac, erfinv, i0, sinc, xlogy, special,
    heaviside, gcd, lcm, ldexp, frexp, nextafter, copysign, signbit  - special functions other
    than erf are absent
kaiser_window, blackman_window, bartlett_window, real, imag, complex, angle, conj, polar,
    is_complex, view_as_real, view_as_complex, isreal, fft, stft, istft, hann_window,
    hamming_window  - there are no complex numbers
to_dense, to_sparse, sparse, sparse_coo_tensor, sparse_csr_tensor, coalesce, is_sparse,
    is_coalesced, to_sparse_coo, to_sparse_csr, sparse_csc_tensor, spmm, sparse_mask, indices,
    values, sspaddmm, smm  - there are no sparse tensors
quantize_per_tensor, dequantize, is_quantized, int_repr  - there are no quantised tensors
storage, untyped_storage, data_ptr, storage_offset, element_size, nbytes, itemsize,
    share_memory_, is_shared, isSetTo  - where the elements lie is no concern of scripts
apply, apply_, map, map_  pl.tensor(list) of what a loop over x:totable() gives; ops of whole
    tensors are faster
copy  x:copy_(y)
zero  x:zero_(), or pl.zeros(sizes)
fill  x:fill_(value), or pl.full(sizes, value)
uniform  x:uniform_(low, high)
isContiguous  x:is_contiguous()
isSameSizeAs, is_same_size  compare x:size(1), x:size(2), ...; x:equal(y) compares elements too
isTensor  pl.is_tensor(x)
Timer  pl.clock()
typename, result_type, promote_types, can_cast, finfo, iinfo  - x:dtype() is one of three: "real",
    "int32", "uint8"
names, rename, refine_names, align_to, align_as  - dims have numbers, not names
from_dlpack, to_dlpack  - memory is shared with C programs, by the C interface
jit, compile, autocast, vmap, func, onnx, distributed, multiprocessing, cond, while_loop  - Lua
    calls the ops one by one, on one machine
utils  pl.data
softmin  (-x):softmax(dim)
relu6  x:clamp(0, 6)
tanhshrink  x - x:tanh()
softsign  x / (1 + x:abs())
normalize  x / x:norm()
celu, prelu, rrelu, glu, hardshrink, softshrink, threshold, gumbel_softmax, alpha_dropout  -
    compose it: pl.where(x:gt(0), x, ...)
conv1d  pl.conv2d(x:unsqueeze(3), weight:unsqueeze(3)):squeeze(3)
max_pool1d, avg_pool1d  pl.max_pool2d(x:unsqueeze(3), {1, k}):squeeze(3)
conv_transpose1d  pl.conv_transpose2d(x:unsqueeze(3), weight:unsqueeze(3)):squeeze(3)
conv3d, conv_transpose3d, max_pool3d, avg_pool3d  - images have two dimensions
adaptive_avg_pool2d, adaptive_avg_pool1d  x:mean({3, 4}), for one value a channel
adaptive_max_pool2d, adaptive_max_pool1d  x:amax({3, 4}), for one value a channel
interpolate, upsample, upsample_nearest, upsample_bilinear, channel_shuffle,
    fractional_max_pool2d, max_unpool1d, lp_pool1d, grid_sample, affine_grid, pixel_shuffle,
    pixel_unshuffle, max_unpool2d, lp_pool2d, local_response_norm  - conv_transpose2d makes larger
    images, repeat_interleave repeats pixels
group_norm  - layer_norm, instance_norm and batch_norm are there; a reshape makes groups
rms_norm  x * (x:square():mean(-1, true) + eps):rsqrt()
scaled_dot_product_attention, multi_head_attention_forward  q:matmul(k:transpose(-2, -1) / d ^
    0.5):softmax(-1):matmul(v)
constant_pad_nd  pl.pad(...)
dropout1d, dropout2d, dropout3d, feature_dropout  pl.dropout(x, p, true)
rnn_tanh, rnn_relu, rnn_tanh_cell, rnn_relu_cell, gru_cell, lstm_cell  pl.nn.GRU(n, m), or
    pl.nn.LSTM(n, m)
embedding_bag  pl.embedding(weight, ids):sum(2)
ctc_loss, poisson_nll_loss, gaussian_nll_loss, hinge_embedding_loss, margin_ranking_loss,
    cosine_embedding_loss, multi_margin_loss, multilabel_margin_loss, soft_margin_loss  - a loss
    is a function of tensors that gives one number: write its formula
]]

-- Linear algebra.
texts.linalg = [[
norm, vector_norm, matrix_norm  x:norm(), the root of the sum of squares
cond  s[1] / s[-1] of s = pl.linalg.svdvals(x)
vecdot  (a * b):sum(-1)
multi_dot, matmul  a:matmul(b)
diagonal  x:diag()
cholesky_ex, inv_ex, solve_ex, lu_factor_ex, ldl_factor_ex  pcall(pl.linalg.inv, x), and their like
lu, lu_factor, lu_solve, ldl_factor, ldl_solve, householder_product  - solve, cholesky and qr are
    the
    factorisations that solve equations
eig, eigvals  - there are no complex numbers; pl.linalg.eigh is for symmetric matrices
matrix_power, matrix_exp, tensorinv, tensorsolve, vander, cross  - a few lines of the others make
    them
]]

-- Layers and losses.
texts.nn = [[
Parameter  nn.parameter(t)
ModuleList, ModuleDict, ParameterList, ParameterDict  a plain table: what is in it is found
LazyLinear, LazyConv1d, LazyConv2d, LazyConv3d, LazyConvTranspose1d, LazyConvTranspose2d,
    LazyConvTranspose3d, LazyBatchNorm1d, LazyBatchNorm2d, LazyBatchNorm3d, LazyInstanceNorm1d,
    LazyInstanceNorm2d, LazyInstanceNorm3d  - a layer is told its sizes when it is made
Container, Concat, ConcatTable, ParallelTable, JoinTable, CAddTable, CMulTable, SplitTable,
    SelectTable, gModule  nn.module {..., forward = function(self, x) ... end}
TemporalConvolution  nn.Conv1d(n, m, k)
TemporalMaxPooling  nn.MaxPool1d(k)
Conv3d, ConvTranspose3d, MaxPool3d, AvgPool3d, BatchNorm3d, VolumetricConvolution,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool3d, InstanceNorm3d, FractionalMaxPool3d, LPPool3d, MaxUnpool3d, ConstantPad3d,
    ZeroPad3d, ReflectionPad3d, ReplicationPad3d, CircularPad3d  - images have
    two dimensions
SpatialConvolution, SpatialConvolutionMM  nn.Conv2d(n, m, k)
SpatialFullConvolution  nn.ConvTranspose2d(n, m, k)
SpatialMaxPooling  nn.MaxPool2d(k)
SpatialAveragePooling  nn.AvgPool2d(k)
SpatialBatchNormalization  nn.BatchNorm2d(n)
BatchNormalization  nn.BatchNorm1d(n)
AdaptiveMaxPool2d, AdaptiveMaxPool1d  x:amax({3, 4}), for one value a channel
LocalResponseNorm, SyncBatchNorm  - there are LayerNorm, BatchNorm1d, BatchNorm2d, GroupNorm,
    InstanceNorm1d, InstanceNorm2d and RMSNorm
Dropout1d, Dropout3d, AlphaDropout  nn.Dropout(p), nn.Dropout2d(p) or nn.LockedDropout(p)
SpatialDropout  nn.Dropout2d(p)
StochasticDepth  nn.DropPath(p)
ReLU6, CELU, RReLU, Hardshrink, Softshrink, Softsign, Tanhshrink, Threshold,
    Softmin  nn.module {forward = function(_, x) return x:clamp(0, 6) end} and their like
Softmax2d, SpatialSoftMax  nn.Softmax(2)
SoftMax  nn.Softmax(dim)
LogSoftMax  nn.LogSoftmax(dim)
SoftPlus  nn.Softplus()
RNN, RNNCell  nn.GRU(n, m), or nn.LSTM(n, m)
MultiheadAttention, Transformer, TransformerEncoder, TransformerDecoder, TransformerEncoderLayer,
    TransformerDecoderLayer  - made of nn.Linear, matmul and softmax
EmbeddingBag  nn.Embedding(n, m), and sum
LookupTable  nn.Embedding(n, m)
Bilinear  pl.einsum("bi,oij,bj->bo", x, weight, y)
Reshape, View  nn.Unflatten(dim, sizes), or nn.Flatten()
ZeroPad2d, ConstantPad2d, SpatialZeroPadding, ReplicationPad2d  pl.pad, which puts zeros, or
    nn.ReflectionPad2d; a convolution has padding =
UpsamplingNearest2d, UpsamplingBilinear2d  nn.Upsample {scale_factor = 2, mode = "bilinear"}
ChannelShuffle, PixelUnshuffle, FractionalMaxPool2d, LPPool2d, MaxUnpool1d, Fold, Unfold,
    MaxUnpool2d  - reshape and permute rearrange; nn.ConvTranspose2d, nn.Upsample and
    nn.PixelShuffle make larger images
CrossEntropyCriterion  nn.CrossEntropyLoss()
MSECriterion  nn.MSELoss()
BCECriterion  nn.BCELoss()
ClassNLLCriterion  nn.NLLLoss()
AbsCriterion  nn.L1Loss()
SmoothL1Criterion  nn.SmoothL1Loss()
DistKLDivCriterion  nn.KLDivLoss()
CosineSimilarity  pl.cosine_similarity(x, y)
CTCLoss, PoissonNLLLoss, GaussianNLLLoss, MarginRankingLoss, HingeEmbeddingLoss,
    CosineEmbeddingLoss, MultiMarginLoss, SoftMarginLoss  - a loss is a function of tensors that
    gives one number: write its formula
PairwiseDistance  (a - b):norm()
DataParallel  - one machine: pl.threads(n) says how many threads
checkpoint_sequential  nn.checkpoint(part, x) for each part
utils  pl.optim.clip_grad_norm_(net:parameters(), bound)
]]

-- Optimisers and schedules.
texts.optim = [[
Optimizer  optim.new {...}
sgd, adam, rmsprop, lbfgs, adagrad, asgd  optim.SGD(net:parameters(), {lr = 0.1}) and their like
Adamax, adamax  optim.new {...}, whose comment has it as its example
Adadelta, Rprop, adadelta, rprop  - optim.new {...} makes an optimiser from a few lines; RMSprop and
    Adam have taken their place
Adafactor  - there are no factored second moments; Adam has whole ones, Lion none
SparseAdam  - there are no sparse gradients; Adam's are dense
lr_scheduler  optim.StepLR(opt, {step_size = 30}) and its like
LRScheduler  optim.LambdaLR(opt, function(t) return factor end)
MultiplicativeLR  optim.LambdaLR(opt, function(t) return factor end): the product of the factors
swa_utils, AveragedModel  optim.EMA(net) or optim.SWA(net), whose module it is
get_ema_multi_avg_fn, get_ema_avg_fn  optim.EMA(net, {decay = 0.999})
get_swa_multi_avg_fn, get_swa_avg_fn  optim.SWA(net)
]]

-- Data.
texts.data = [[
DataLoader  data.batches(set, {batch_size = 32})
Dataset, TensorDataset  a table of tensors: {images = x, labels = y}
Subset  data.subset(set, rows)
random_split  data.split(set, ...)
]]

-- torchvision.transforms, and its functions.
texts.image = [[
Compose  image.transform {{"resize", 64}, {"flip"}}
ToTensor, PILToTensor, to_tensor, pil_to_tensor, ToPILImage, to_pil_image  - images are tensors:
    image.read gives uint8, x:to("real") / 255 makes real ones
read_image, decode_image, decode_jpeg, decode_png, imread  image.read(path)
write_png, write_jpeg, save_image, imwrite  image.write(path, x)
make_grid  image.grid(x)
Resize  image.resize(x, size)
Crop  image.crop(x, top, left, height, width)
CenterCrop  image.center_crop(x, size)
resized_crop  image.resize(image.crop(x, top, left, height, width), size)
Pad  image.pad(x, padding, {mode = "reflect"})
hflip, horizontal_flip  image.flip(x)
vflip, vertical_flip  image.flip(x, "vertical")
Grayscale, RandomGrayscale, to_grayscale, rgb_to_grayscale  image.to_gray(x), image.random_gray(x)
Normalize, normalize  image.normalise(x, mean, std)
gaussian_blur, GaussianBlur  image.blur(x, kernel_size, {sigma = 1}), image.random_blur
ColorJitter, color_jitter  image.jitter(x, {brightness = 0.2, hue = 0.1})
adjust_brightness, adjust_contrast, adjust_saturation, adjust_hue  image.jitter(x, {brightness = {f,
    f}}), or contrast, saturation, hue
RandomCrop  image.random_crop(x, size, {padding = 4})
RandomResizedCrop  image.random_resized_crop(x, size)
RandomHorizontalFlip, random_horizontal_flip  image.random_flip(x)
RandomVerticalFlip, random_vertical_flip  image.random_flip(x, {direction = "vertical"})
RandomRotation, random_rotation  image.random_rotate(x, degrees)
RandomAffine  image.random_affine(x, degrees)
RandomErasing, random_erasing  image.random_erase(x)
MixUp, Mixup  image.mixup(x, y)
CutMix  image.cutmix(x, y)
RandomPerspective, perspective, ElasticTransform, elastic, FiveCrop, five_crop, TenCrop, ten_crop,
    AutoAugment, RandAugment, TrivialAugmentWide, AugMix  - write a function of images
]]

-- Methods of modules.
texts.module = [[
evaluate  net:eval()
cuda, cpu  - all tensors are in the computer's memory: leave it out
register_buffer  net.name = tensor: a tensor that needs no gradient is a buffer
register_parameter  net.name = nn.parameter(tensor)
register_module, add_module  net.name = module
named_children  net:named_modules()
register_backward_hook  net:register_full_backward_hook(f)
register_full_backward_pre_hook  the second list that net:register_full_backward_hook gives f
getParameters  net:parameters()
zeroGradParameters  net:zero_grad()
updateOutput  net(x)
updateGradInput, accGradParameters  loss:backward()
updateParameters  opt:step()
]]

-- Fields and methods of optimisers.
texts.optimizer = [[
param_groups  opt.groups
add_param_group  opt made of all groups at once: optim.SGD({{params = ...}, ...}, {lr = 0.1})
zeroGrad  opt:zero_grad()
get_last_lr  opt.lr
]]

-- Metrics, by scikit-learn's and torchmetrics' names.
texts.metrics = [[
accuracy_score, MulticlassAccuracy, BinaryAccuracy  metrics.accuracy(prediction, target)
balanced_accuracy_score  metrics.recall(prediction, target)
top_k_accuracy_score  metrics.top_k_accuracy(scores, target, {k = 3})
precision_score, MulticlassPrecision, BinaryPrecision  metrics.precision(prediction, target)
recall_score, MulticlassRecall, BinaryRecall  metrics.recall(prediction, target)
f1_score, F1Score, MulticlassF1Score, BinaryF1Score  metrics.f1(prediction, target)
classification_report, precision_recall_fscore_support  metrics.f1(prediction, target, {average =
    "none"}), and so precision and recall
ConfusionMatrixDisplay  metrics.plot_confusion_matrix(matrix, {classes = names})
MulticlassConfusionMatrix, BinaryConfusionMatrix  metrics.ConfusionMatrix()
roc, ROC  metrics.roc_curve(scores, target)
auc, roc_auc_score, auroc, AUROC  metrics.roc_auc(scores, target)
average_precision_score  metrics.average_precision(scores, target)
calibration_curve, MulticlassCalibrationError,
    BinaryCalibrationError  metrics.calibration_error(scores, target)
mean_absolute_error, MeanAbsoluteError  metrics.mae(prediction, target)
mean_squared_error, MeanSquaredError  metrics.rmse(prediction, target) ^ 2
root_mean_squared_error  metrics.rmse(prediction, target)
r2_score, R2Score  metrics.r2(prediction, target)
log_loss  pl.cross_entropy(logits, labels)
MetricCollection  a plain table of accumulators
]]

--- The sections, in the order of the page.
torch.sections = {
  {key = "tensor", title = "Functions and methods of tensors"}, {key = "linalg", title =
    "`pl.linalg`"},
  {key = "nn", title = "`pl.nn`"},
  {key = "module", title = "Methods of modules"}, {key = "optim", title = "`pl.optim`"},
  {key = "optimizer", title = "Methods of optimisers"}, {key = "data", title = "`pl.data`"},
  {key = "image", title = "`pl.image`, from torchvision"},
  {key = "metrics", title = "`pl.metrics`"},
}

--- The rows of a section.
-- @param section "tensor", "linalg", "nn", "optim", "data", "image", "metrics", "module" or
--   "optimizer"
-- @return list of {names = list, write = what to write} or {names = list, why = why it is absent}
function torch.rows(section)
  read[section] = read[section] or rows(texts[section])
  return read[section]
end

--- The row of a name.
-- @param section as in `torch.rows`
-- @param name of PyTorch or Torch7
-- @return the row, or nil
function torch.find(section, name)
  for _, row in ipairs(torch.rows(section)) do
    for _, known in ipairs(row.names) do
      if known == name then return row end
    end
  end
end

return torch
