#!/usr/bin/env python3
"""Writes what tests and docs/book/data.md read as PyTorch's: states of random networks as safetensors files,
and in expected.lua what these give, and numbers in fewer bits. Run by hand, with PyTorch:

usage: fixtures.py
"""

from pathlib import Path

import torch

from networks import NETWORKS, write

HERE = Path(__file__).resolve().parent


def random_network(make, x):
    """With statistics of some batches."""
    torch.manual_seed(1)
    net = make()
    with torch.no_grad():
        for p in net.parameters():
            p.uniform_(-0.5, 1.5) if p.dim() == 1 else p.mul_(3)  # far from what they begin with
        if not any(isinstance(m, torch.nn.Embedding) for m in net.modules()):
            for _ in range(3):
                net(torch.randn_like(x))
    return net.eval()


def flat(t):
    return "{" + ",".join(f"{v:.9g}" for v in t.flatten().tolist()) + "}"


def bits(t):
    return "{" + ",".join(f"0x{v & 0xffff:04x}" for v in t.view(torch.int16).tolist()) + "}"


def edges():
    """Numbers around which rounding to 16 bits turns."""
    ends = [2.0**-25, 2.0**-24, 3 * 2.0**-25, 2.0**-15, 2.0**-14, 1.0, 2049.0, 2051.0, 65504.0, 65519.0, 1e-40, 0.0]
    x = torch.tensor(ends)
    near = torch.cat([torch.nextafter(x, torch.full_like(x, v)) for v in (0.0, float("inf"))])
    x = torch.cat([x, near, torch.linspace(0.9, 1.1, 41), torch.tensor([1 + 2.0**-8, 1 + 3 * 2.0**-8, 1 + 2.0**-11])])
    return torch.cat([x, -x])


def main():
    lines = ["-- Written by tests/torch/fixtures.py: what PyTorch gives.", "return {"]
    for name, (make, x) in NETWORKS.items():
        net = random_network(make, x)
        write(HERE / f"{name}.safetensors", net.state_dict())
        with torch.no_grad():
            lines.append(f"  {name} = {flat(net(x))},")
    x = edges()
    lines.append("  values = {" + ",".join(v.hex() for v in x.tolist()) + "},")
    lines.append(f"  F16 = {bits(x.half())},")
    lines.append(f"  BF16 = {bits(x.bfloat16())},")
    (HERE / "expected.lua").write_text("\n".join(lines + ["}"]) + "\n")


if __name__ == "__main__":
    main()
