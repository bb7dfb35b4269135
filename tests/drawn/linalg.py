"""Linear algebra: what is determined of a matrix, with gradients."""

import torch

from case import Case, lua


def square(d):
    """A well-conditioned stack of matrices: a drawn one, a multiple of the identity added."""
    n = d.integer(1, 6) if d.chance(0.95) else 0
    a = d.tensor(d.full_shape(most=2, elements=6) + (n, n), layout=True)
    return a, lambda: a() + 4 * torch.eye(n), "(%s + 4 * pl.eye(%d))" % (a.text, n)


def one(d):
    a, f, text = square(d)
    name = d.choice(["inv", "det", "slogdet", "pinv", "qr"])
    g = getattr(torch.linalg, name)
    if name == "qr":  # up to the signs of the columns
        return Case(
            "local q, r = pl.linalg.qr(%s)\nreturn q:matmul(r), r:square()" % text,
            lambda: (lambda q, r: (q @ r, r.square()))(*g(f())),
        )
    return Case("return pl.linalg.%s(%s)" % (name, text), lambda: g(f()))


def symmetric(d):
    """Values, and what does not depend on the signs of vectors."""
    a, _, _ = square(d)
    n = a.shape()[-1]
    f = lambda: a() + a().transpose(-1, -2) + torch.diag(8.0 * torch.arange(n))
    text = "(%s + %s:transpose(-1, -2) + pl.diag(8 * pl.arange(0, %d)))" % (a.text, a.text, n - 1)
    if n == 0:
        return one(d)
    name = d.choice(["eigvalsh", "eigh", "cholesky", "svdvals", "svd"])
    if name == "eigvalsh" or name == "svdvals":
        return Case(
            "return pl.linalg.%s(%s)" % (name, text), lambda: getattr(torch.linalg, name)(f())
        )
    if name == "eigh":
        return Case(
            "local w, v = pl.linalg.eigh(%s)\nreturn w, v:square()" % text,
            lambda: (lambda w, v: (w, v.square()))(*torch.linalg.eigh(f())),
        )
    if name == "svd":
        return Case(
            "local u, s, v = pl.linalg.svd(%s)\nreturn u:square(), s, v:square()" % text,
            lambda: (lambda u, s, v: (u.square(), s, v.square()))(*torch.linalg.svd(f(), False)),
        )
    upper = d.flag()
    return Case(
        "local m = %s\nreturn pl.linalg.cholesky(m:matmul(m:transpose(-1, -2)) + pl.eye(%d), %s)"
        % (text, n, lua(upper)),
        lambda: torch.linalg.cholesky(f() @ f().transpose(-1, -2) + torch.eye(n), upper=upper),
    )


def solved(d):
    a, f, text = square(d)
    shape = a.shape()
    b = d.tensor(shape[:-1] + (d.integer(1, 4),))
    name = d.choice(["solve", "solve_triangular", "vector"])
    if name == "vector":
        b = d.tensor((shape[-1],))
        return Case(
            "return pl.linalg.solve(%s, %s)" % (text, b.text),
            lambda: (
                torch.linalg.solve(f(), b().expand(shape[:-1]))
                if len(shape) > 2
                else torch.linalg.solve(f(), b())
            ),
        )
    if name == "solve":
        return Case(
            "return pl.linalg.solve(%s, %s)" % (text, b.text), lambda: torch.linalg.solve(f(), b())
        )
    upper, left, unit = d.flag(), d.flag(), d.flag()
    if not left:
        b = d.tensor(shape[:-2] + (d.integer(1, 4), shape[-1]))
    return Case(
        "return pl.linalg.solve_triangular(%s, %s, %s, %s, %s)"
        % (text, b.text, lua(upper), lua(left), lua(unit)),
        lambda: torch.linalg.solve_triangular(f(), b(), upper=upper, left=left, unitriangular=unit),
    )


def least_squares(d):
    m, n, k = d.integer(1, 7), d.integer(1, 5), d.integer(1, 3)
    a, b = d.tensor((m, n)), d.tensor((m, k))
    rank = min(m, n)
    eye = lambda: torch.eye(m, n) * 4
    if d.flag():
        return Case(
            "return pl.linalg.lstsq(%s + 4 * pl.eye(%d, %d), %s)" % (a.text, m, n, b.text),
            lambda: torch.linalg.lstsq(a() + eye(), b(), driver="gelsd").solution,
            1,
        )
    return Case(
        "return pl.linalg.matrix_rank(%s + 4 * pl.eye(%d, %d)), %d" % (a.text, m, n, rank),
        lambda: (torch.linalg.matrix_rank(a() + eye()), torch.tensor(rank)),
        0,
    )


KINDS = [(one, 4), (symmetric, 4), (solved, 4), (least_squares, 2)]
