"""Expected values of layers, from PyTorch, as a Lua file that test_layers.lua reads:

    python3 tests/oracle_layers.py > tests/lua/oracle_layers.lua

In double precision. A case has the layer as a script writes it, its parameters by name, the input,
what comes out, and the gradients by the input and the parameters of the sum of all outputs, element
i (from 0, in row-major order) times cos(i). Inputs and parameters have two decimals, so their text
is exact.
"""

import torch
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(1)

EPSILON = 1e-8  # too small to be seen in what is written

# What a script writes, PyTorch's layer, the size of the input.
CASES = [
    ("nn.ReLU()", nn.ReLU(), (2, 5)),
    ("nn.LeakyReLU(0.2)", nn.LeakyReLU(0.2), (2, 5)),
    ("nn.Softplus()", nn.Softplus(), (2, 5)),
    ("nn.ELU()", nn.ELU(), (2, 5)),
    ("nn.ELU(0.5)", nn.ELU(0.5), (3, 4)),
    ("nn.SELU()", nn.SELU(), (2, 5)),
    ("nn.GELU()", nn.GELU(), (2, 5)),
    ("nn.SiLU()", nn.SiLU(), (2, 5)),
    ("nn.Mish()", nn.Mish(), (2, 5)),
    ("nn.Hardtanh()", nn.Hardtanh(), (2, 5)),
    ("nn.Hardtanh(-0.5, 0.75)", nn.Hardtanh(-0.5, 0.75), (2, 5)),
    ("nn.Hardsigmoid()", nn.Hardsigmoid(), (2, 5)),
    ("nn.Hardswish()", nn.Hardswish(), (2, 5)),
    ("nn.LogSigmoid()", nn.LogSigmoid(), (2, 5)),
    ("nn.PReLU()", nn.PReLU(), (2, 3)),
    ("nn.PReLU(3)", nn.PReLU(3), (2, 3, 2, 2)),
    ("nn.PReLU(3, 0.1)", nn.PReLU(3, 0.1), (4, 3)),
    ("nn.GLU()", nn.GLU(), (2, 6)),
    ("nn.GLU(2)", nn.GLU(1), (2, 4, 3)),
    ("nn.Conv1d(2, 3, 3)", nn.Conv1d(2, 3, 3), (2, 2, 6)),
    ("nn.Conv1d(3, 2, 2, {stride = 2, padding = 1, dilation = 2, bias = false})",
     nn.Conv1d(3, 2, 2, stride=2, padding=1, dilation=2, bias=False), (2, 3, 7)),
    ("nn.ConvTranspose1d(2, 3, 3)", nn.ConvTranspose1d(2, 3, 3), (2, 2, 4)),
    ("nn.ConvTranspose1d(3, 2, 3, {stride = 2, padding = 1, output_padding = 1})",
     nn.ConvTranspose1d(3, 2, 3, stride=2, padding=1, output_padding=1), (2, 3, 4)),
    ("nn.MaxPool1d(2)", nn.MaxPool1d(2), (2, 3, 7)),
    ("nn.MaxPool1d(3, {stride = 1, padding = 1})", nn.MaxPool1d(3, 1, 1), (2, 2, 5)),
    ("nn.AvgPool1d(2)", nn.AvgPool1d(2), (2, 3, 7)),
    ("nn.AvgPool1d(3, {stride = 2, padding = 1})", nn.AvgPool1d(3, 2, 1), (2, 2, 6)),
    ("nn.InstanceNorm1d(3)", nn.InstanceNorm1d(3), (2, 3, 5)),
    ("nn.InstanceNorm1d(2, {affine = true, eps = 0.1})",
     nn.InstanceNorm1d(2, affine=True, eps=0.1), (3, 2, 4)),
    ("nn.GroupNorm(2, 4)", nn.GroupNorm(2, 4), (2, 4, 3)),
    ("nn.GroupNorm(3, 6, {eps = 0.1})", nn.GroupNorm(3, 6, eps=0.1), (2, 6, 2, 2)),
    ("nn.GroupNorm(1, 4, {affine = false})", nn.GroupNorm(1, 4, affine=False), (3, 4)),
    ("nn.RMSNorm(4)", nn.RMSNorm(4, eps=EPSILON), (3, 4)),
    ("nn.RMSNorm({2, 3}, {eps = 0.1})", nn.RMSNorm((2, 3), eps=0.1), (2, 2, 3)),
    ("nn.RMSNorm(3, {elementwise_affine = false})",
     nn.RMSNorm(3, eps=EPSILON, elementwise_affine=False), (2, 2, 3)),
    ("nn.AdaptiveAvgPool1d(3)", nn.AdaptiveAvgPool1d(3), (2, 2, 7)),
    ("nn.AdaptiveAvgPool1d(5)", nn.AdaptiveAvgPool1d(5), (2, 2, 3)),
    ("nn.AdaptiveAvgPool2d(1)", nn.AdaptiveAvgPool2d(1), (2, 3, 2, 3)),
    ("nn.AdaptiveAvgPool2d({2, 3})", nn.AdaptiveAvgPool2d((2, 3)), (1, 2, 5, 7)),
    ("nn.Upsample {scale_factor = 2}", nn.Upsample(scale_factor=2), (1, 2, 2, 3)),
    ("nn.Upsample {size = {3, 5}}", nn.Upsample(size=(3, 5)), (1, 2, 2, 4)),
    ("nn.Upsample {scale_factor = 1.5}", nn.Upsample(scale_factor=1.5), (1, 2, 5)),
    ("nn.Upsample {scale_factor = 2, mode = \"linear\"}",
     nn.Upsample(scale_factor=2, mode="linear"), (2, 2, 3)),
    ("nn.Upsample {scale_factor = {2, 0.5}, mode = \"bilinear\"}",
     nn.Upsample(scale_factor=(2, 0.5), mode="bilinear"), (1, 2, 2, 4)),
    ("nn.Upsample {size = {4, 3}, mode = \"bilinear\", align_corners = true}",
     nn.Upsample(size=(4, 3), mode="bilinear", align_corners=True), (1, 2, 3, 5)),
    ("nn.Upsample {scale_factor = 1.7, mode = \"bilinear\"}",
     nn.Upsample(scale_factor=1.7, mode="bilinear"), (1, 1, 4, 5)),
    ("nn.PixelShuffle(2)", nn.PixelShuffle(2), (1, 8, 2, 3)),
    ("nn.ReflectionPad2d(2)", nn.ReflectionPad2d(2), (1, 2, 3, 4)),
    ("nn.ReflectionPad2d({1, 0, 2, 1})", nn.ReflectionPad2d((1, 0, 2, 1)), (1, 2, 3, 4)),
    ("nn.Softmax(2)", nn.Softmax(1), (2, 3, 2)),
    ("nn.LogSoftmax(-1)", nn.LogSoftmax(-1), (2, 3, 2)),
]


def rounded(t):
    return (t * 100).round() / 100


def text(t):
    numbers = ",".join("%.11g" % (v + 0.0) for v in t.detach().reshape(-1).tolist())
    return "{size={%s}, %s}" % (",".join(map(str, t.shape)), numbers)


def table(pairs):
    return "{%s}" % ", ".join('["%s"]=%s' % (name, text(t)) for name, t in pairs)


def case(make, layer, size):
    for p in layer.parameters():
        p.data = rounded(torch.rand(p.shape) * 2 - 1)
    x = rounded(torch.rand(size) * 4 - 2).requires_grad_()
    y = layer(x)
    (y.reshape(-1) * torch.cos(torch.arange(y.numel()))).sum().backward()
    return "{make='%s', state=%s, x=%s, y=%s, gx=%s, grads=%s}," % (
        make, table(layer.named_parameters()), text(x), text(y), text(x.grad),
        table((name, p.grad) for name, p in layer.named_parameters()))


print("-- Written by tests/oracle_layers.py; PyTorch %s.\n-- luacheck: no max line length\n\nreturn {"
      % torch.__version__)
for row in CASES:
    print(case(*row))
print("}")
