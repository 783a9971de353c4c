"""Entries that depend on i - j, i + j or i xor j alone: Toeplitz, circulant, Hankel, xor-circulant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from tpc.inspection.finding import Finding
from tpc.inspection.subject import Array, Subject
from tpc.ir.node import Fact
from tpc.passes.approximation.lines import means, mixed, mixed_means, slid, turn_means, turned


def transform(n: int) -> int:
    """Operations of a fast Fourier transform of n complex numbers."""
    return int(5 * n * max(np.log2(max(n, 2)), 1))


def shifts(subject: Subject, found: list[Finding]) -> Iterator[Finding]:
    """Constant along diagonals, along antidiagonals, or along both and round the corner."""
    A = subject.values
    if min(A.shape) < 2 or A.size < 6 or not subject.nonzeros:
        return
    i, j = subject.sampled
    i, j = np.minimum(i, subject.rows - 2), np.maximum(j, 1)
    if subject.same(A[i, j - 1], A[i + 1, j]):
        yield from _toeplitz(subject)
    if subject.same(A[i, j], A[i + 1, j - 1]):
        t, shape = means(A[::-1]), A.shape  # upside down it is a Toeplitz matrix
        error = subject.error(slid(t, shape))
        if error <= subject.tolerance:
            length = subject.rows + subject.columns - 1
            yield Finding(
                "hankel", "constant along every antidiagonal", error, (), "A[i, j] = t[i + j]", {"t": t},
                3 * transform(length), None, lambda parts: slid(parts["t"], shape),
            )  # fmt: skip


def _toeplitz(subject: Subject) -> Iterator[Finding]:
    A, shape, n = subject.values, subject.values.shape, subject.columns
    t = means(A)
    i, j = subject.sampled
    if subject.square and subject.same(A[i, j], A[(i + 1) % n, (j + 1) % n]):
        c = turn_means(A)
        error = subject.error(_turned({"c": c}))
        if error <= subject.tolerance:
            yield Finding(
                "circulant", "each row the one above, turned right by one", error, (Fact("circulant"),),
                "A[i, j] = c[(i - j) mod n]", {"c": c}, 3 * transform(n), 3 * transform(n), _turned,
            )  # fmt: skip
    error = subject.error(slid(t, shape)[::-1])
    if error <= subject.tolerance:
        solve = 4 * n**2 if subject.square else None  # Levinson's recurrence
        yield Finding(
            "toeplitz", "constant along every diagonal", error, (Fact("toeplitz"),),
            f"A[i, j] = t[j - i + {subject.rows - 1}]", {"t": t}, 3 * transform(subject.rows + n - 1), solve,
            lambda parts: slid(parts["t"], shape)[::-1],
        )  # fmt: skip


def _turned(parts: Mapping[str, Array]) -> Array:
    return turned(parts["c"])


def exclusive_or(subject: Subject, found: list[Finding]) -> Iterator[Finding]:
    """Constant where i xor j is: diagonal after a Walsh-Hadamard transform."""
    A, n = subject.values, subject.rows
    if not subject.square or n < 4 or n & (n - 1) or not subject.nonzeros:
        return
    i, j = subject.sampled
    if not subject.same(A[i, j], A[i ^ j, 0]):
        return
    f = mixed_means(A)
    error = subject.error(_mixed({"f": f}))
    if error <= subject.tolerance and not any(f.name in ("diagonal", "constant") for f in found):
        work = int(2 * n * np.log2(n)) + n
        yield Finding(
            "xor-circulant", "its entries depend on i xor j alone", error, (), "A[i, j] = f[i xor j]", {"f": f}, work,
            work, _mixed,
        )  # fmt: skip


def _mixed(parts: Mapping[str, Array]) -> Array:
    return mixed(parts["f"])
