"""Entries that depend on i - j, i + j or i xor j alone: the mean along each line is the closest (Pythagoras)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tpc.passes.approximation.lines import means, mixed, mixed_means, slid, turn_means, turned
from tpc.passes.approximation.projected import Array, Projected, Term
from tpc.passes.approximation.target import Target, measured


def transform(n: int) -> int:
    """Operations of a fast Fourier transform of n numbers."""
    return int(5 * n * max(np.log2(max(n, 2)), 1))


def shifts(target: Target) -> Iterator[Projected]:
    A = target.values
    if not target.is_matrix or min(A.shape) < 4:
        return
    m, n = A.shape
    if m == n:
        c = turn_means(A)
        if _is_near(target, turned(c)):
            yield Projected("circulant", f"of {n}", {"c": c}, (Term("circulant", ("c",)),), 3 * transform(n), True)
            return
        if n & (n - 1) == 0:
            f = mixed_means(A)
            if _is_near(target, mixed(f)):
                work = int(2 * n * np.log2(n)) + n
                yield Projected("xor-circulant", f"of {n}", {"f": f}, (Term("xor_circulant", ("f",)),), work, True)
                return
    t = means(A)
    if _is_near(target, slid(t, (m, n))[::-1]):
        terms = (Term("toeplitz", ("t",), (m, n)),)
        yield Projected("toeplitz", f"{m} by {n}", {"t": t[::-1]}, terms, 3 * transform(m + n - 1), True)
        return
    t = means(A[::-1])  # upside down it is a Toeplitz matrix
    if _is_near(target, slid(t, (m, n))):
        terms = (Term("hankel", ("t",), (m, n)),)
        yield Projected("hankel", f"{m} by {n}", {"t": t}, terms, 3 * transform(m + n - 1), True)


def _is_near(target: Target, near: Array) -> bool:
    return measured(target.values - near) <= target.budget
