"""Sums of few Kronecker products: an svd of the matrix with rows and columns regrouped (Van Loan, Pitsianis 1993)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tpc.passes.approximation.projected import Array, Projected, Term
from tpc.passes.approximation.projections.low_rank import random_range
from tpc.passes.approximation.projections.monarch import divisors
from tpc.passes.approximation.target import Target, kept, split

SAVED = 0.8
TERMS = 16  # products, at most
DIRECT = 600  # of the shorter side of the regrouped matrix, up to which all singular values are computed
TRIED = 8  # sizes of factors, those that promise the least work first
DRAWN = 32  # rows and columns that are looked at first
PRODUCT, SUM = Term("ij,kl->ik,jl", ("B", "C")), Term("sij,skl->ik,jl", ("B", "C"))
CHANCE = 4.0  # how much more of the error they may have than their share


def operations(left: tuple[int, int], right: tuple[int, int]) -> int:
    """Of a product of kron(B, C) with a vector, in the cheaper order."""
    (p, q), (m, n) = left, right
    return min(2 * p * q * n + 2 * p * m * n, 2 * m * n * q + 2 * p * q * m)


def regrouped(A: Array, p: int, q: int) -> Array:
    """The axes i and j of a first factor of p by q, then k and l of the second one, of A[(i k), (j l)]; a view."""
    rows, columns = A.shape
    return A.reshape(p, rows // p, q, columns // q).transpose(0, 2, 1, 3)


def kronecker_sums(target: Target) -> Iterator[Projected]:
    if not target.is_matrix:
        return
    rows, columns = target.values.shape
    sizes = [(p, q) for p in divisors(rows) for q in divisors(columns) if 1 < p * q < rows * columns]
    # a column times a row is a low rank
    sizes = [(p, q) for p, q in sizes if not (p == 1 and q == columns or q == 1 and p == rows)]
    each = {(p, q): operations((p, q), (rows // p, columns // q)) for p, q in sizes}
    best = SAVED * 2 * target.values.size
    likely = [(fewest(target, p, q) * each[p, q], p, q) for p, q in sizes if each[p, q] < best]
    for work, p, q in sorted(likely)[:TRIED]:
        most = min(TERMS, int(best / each[p, q]), p * q, rows * columns // (p * q))
        if most < 1 or work > most * each[p, q]:
            continue
        found = projected(target, p, q, most, each[p, q])
        if found is not None and found.work < best:
            best = found.work
            yield found


def fewest(target: Target, p: int, q: int) -> int:
    """How many products some rows and columns of the regrouped matrix show to be needed.

    Of all of it any number leaves no less than of a part; and about as much for each entry, with room for chance.
    """
    m, n = target.values.shape[0] // p, target.values.shape[1] // q
    draw = np.random.default_rng(0)
    i, j = (np.unique(draw.integers(size, size=DRAWN)) for size in (p * q, m * n))
    corner = target.values[(i // q * m)[:, None] + j // n, (i % q * n)[:, None] + j % n]
    values = np.linalg.svd(corner, compute_uv=False)
    return max(1, kept(values**2, target.budget / max(1.0, (target.values.size / corner.size) ** 0.5 / CHANCE)))


def projected(target: Target, p: int, q: int, most: int, each: int) -> Projected | None:
    rows, columns = target.values.shape
    m, n = rows // p, columns // q
    flat = regrouped(target.values, p, q).reshape(p * q, m * n)
    if min(flat.shape) <= DIRECT:
        is_tall = flat.shape[0] > flat.shape[1]
        basis, inner = split(flat.T if is_tall else flat, target.budget)
        left, right = (inner.T, basis.T) if is_tall else (basis, inner)
    else:
        found = random_range(flat, target.budget, most)
        if found is None:
            return None
        left, right = found
    terms = len(right)
    if terms > most:
        return None
    B, C = left.T.reshape(terms, p, q), right.reshape(terms, m, n)
    sizes = f"{p} by {q} and {m} by {n}"
    name, about = "kronecker product", f"of factors of {sizes}"
    parts, meaning = {"B": B[0], "C": C[0]}, PRODUCT
    if terms > 1:
        name, about = "sum of kronecker products", f"{terms} products, of factors of {sizes}"
        parts, meaning = {"B": B, "C": C}, SUM
    return Projected(name, about, parts, (meaning,), terms * each, optimal=min(flat.shape) <= DIRECT)
