#!/usr/bin/env python3
"""The workloads of workloads.lua in PyTorch, eager mode, for a side-by-side.

usage: peer.py [--threads 2] [--seconds 6] [NAME ...]
"""

import argparse
import resource
import time

import torch
from torch import nn
from torch.nn import functional as F


def lenet(norm=False, drop=0.0, batch=64):
    def bn(make, n):
        return [make(n)] if norm else []

    net = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), *bn(nn.BatchNorm2d, 6), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), *bn(nn.BatchNorm2d, 16), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), *bn(nn.BatchNorm1d, 120), nn.ReLU(), nn.Dropout(drop),
        nn.Linear(120, 84), nn.ReLU(), nn.Dropout(drop), nn.Linear(84, 10))
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    x, y = torch.rand(batch, 1, 28, 28), torch.randint(0, 10, (batch,))

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step, batch


class LanguageModel(nn.Module):
    def __init__(self, cell, drop, words=10000, n=200, layers=2):
        super().__init__()
        self.embedding = nn.Embedding(words, n)
        self.drop = nn.Dropout(drop)
        self.rnn = getattr(nn, cell)(n, n, layers, dropout=drop)
        self.out = nn.Linear(n, words)

    def forward(self, x, state):
        y, state = self.rnn(self.drop(self.embedding(x)), state)
        return self.out(self.drop(y)), state


def ptb(cell, drop=0.0, batch=20, steps=35, words=10000):
    net = LanguageModel(cell, drop)
    parameters = list(net.parameters())
    optimizer = torch.optim.SGD(parameters, 0.01)
    x, y = torch.randint(0, words, (steps, batch)), torch.randint(0, words, (steps, batch))
    state = None

    def step():
        nonlocal state
        optimizer.zero_grad(set_to_none=True)
        logits, last = net(x, state)
        loss = F.cross_entropy(logits.view(-1, words), y.view(-1))
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 5.0)
        optimizer.step()
        state = tuple(t.detach() for t in last) if cell == "LSTM" else last.detach()
        return loss.item()

    return step, batch * steps


def vae(batch=100, latent=50, hidden=600):
    def layers(n):
        return nn.Linear(n, hidden), nn.Softplus(), nn.Linear(hidden, hidden), nn.Softplus()

    encoder = nn.Sequential(*layers(784))
    mean, log_var = nn.Linear(hidden, latent), nn.Linear(hidden, latent)
    decoder = nn.Sequential(*layers(latent), nn.Linear(hidden, 784))
    parameters = [p for part in (encoder, mean, log_var, decoder) for p in part.parameters()]
    optimizer = torch.optim.Adam(parameters, 3e-4)
    x = torch.rand(batch, 784)

    def step():
        optimizer.zero_grad(set_to_none=True)
        h = encoder(x)
        m, v = mean(h), log_var(h)
        logits = decoder(m + torch.exp(0.5 * v) * torch.randn_like(m))
        loss = (F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
                - 0.5 * (1 + v - m * m - v.exp()).sum()) / batch
        loss.backward()
        optimizer.step()
        return loss.item()

    return step, batch


class Generator(nn.Module):
    def __init__(self, d=64):
        super().__init__()
        self.d = d
        self.linear = nn.Linear(128, 16 * 4 * d)
        self.conv1 = nn.ConvTranspose2d(4 * d, 2 * d, 5, 2, 2, 1)
        self.conv2 = nn.ConvTranspose2d(2 * d, d, 5, 2, 2, 1)
        self.conv3 = nn.ConvTranspose2d(d, 1, 5, 2, 2, 1)

    def forward(self, z):
        h = F.relu(self.linear(z)).view(-1, 4 * self.d, 4, 4)
        h = F.relu(self.conv1(h))[:, :, :7, :7]
        return torch.sigmoid(self.conv3(F.relu(self.conv2(h))))


def critic(d=64):
    return nn.Sequential(
        nn.Conv2d(1, d, 5, 2, 2), nn.LeakyReLU(0.2), nn.Conv2d(d, 2 * d, 5, 2, 2), nn.LeakyReLU(0.2),
        nn.Conv2d(2 * d, 4 * d, 5, 2, 2), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(16 * 4 * d, 1))


def wgan_gp(batch=50):
    """A step of the critic with gradient penalty: five of these go to one step of the generator."""
    G, D = Generator(), critic()
    optimizer = torch.optim.Adam(D.parameters(), 1e-4, betas=(0.5, 0.9))
    real = torch.rand(batch, 1, 28, 28)

    def step():
        with torch.no_grad():
            fake = G(torch.randn(batch, 128))
        a = torch.rand(batch, 1, 1, 1)
        mix = (a * real + (1 - a) * fake).requires_grad_(True)
        g, = torch.autograd.grad(D(mix).sum(), mix, create_graph=True)
        penalty = ((g.flatten(1).norm(2, dim=1) - 1) ** 2).mean()
        loss = D(fake).mean() - D(real).mean() + 10 * penalty
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step, batch


def dcgan(batch=50):
    """A step of the discriminator and one of the generator."""
    G, D = Generator(), critic()
    optimizer_g = torch.optim.Adam(G.parameters(), 2e-4, betas=(0.5, 0.999))
    optimizer_d = torch.optim.Adam(D.parameters(), 2e-4, betas=(0.5, 0.999))
    real = torch.rand(batch, 1, 28, 28)
    one, zero = torch.ones(batch, 1), torch.zeros(batch, 1)
    bce = F.binary_cross_entropy_with_logits

    def step():
        fake = G(torch.randn(batch, 128))
        optimizer_d.zero_grad(set_to_none=True)
        loss_d = bce(D(real), one) + bce(D(fake.detach()), zero)
        loss_d.backward()
        optimizer_d.step()
        optimizer_g.zero_grad(set_to_none=True)
        loss_g = bce(D(fake), one)
        loss_g.backward()
        optimizer_g.step()
        return loss_g.item()

    return step, batch


WORKLOADS = {
    "lenet": lenet,
    "lenet-bn": lambda: lenet(norm=True),
    "lenet-drop": lambda: lenet(drop=0.5),
    "lstm": lambda: ptb("LSTM"),
    "lstm-drop": lambda: ptb("LSTM", drop=0.25),
    "gru": lambda: ptb("GRU"),
    "vae": vae,
    "wgan-gp": wgan_gp,
    "dcgan": dcgan,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    print("torch", torch.__version__, "threads", torch.get_num_threads())
    for name in options.names or WORKLOADS:
        step, n = WORKLOADS[name]()
        for _ in range(3):
            step()
        start, k = time.perf_counter(), 0
        while time.perf_counter() - start < options.seconds:
            step()
            k += 1
        dt = time.perf_counter() - start
        rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(f"{name:12s} {k/dt:9.2f} steps/s {k*n/dt:11.0f} samples/s  {1e3*dt/k:9.3f} ms/step"
              f"  rss {rss} MiB", flush=True)


if __name__ == "__main__":
    main()
