"""Entries that depend on i - j, i + j or i xor j alone: Toeplitz, circulant, Hankel, xor-circulant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tpc.inspection.finding import Finding
from tpc.inspection.subject import Array, Subject
from tpc.ir.node import Fact


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
        t, shape = _means(A[::-1]), A.shape  # upside down it is a Toeplitz matrix
        error = subject.error(_slid(t, shape))
        if error <= subject.tolerance:
            length = subject.rows + subject.columns - 1
            yield Finding(
                "hankel", "constant along every antidiagonal", error, (), "A[i, j] = t[i + j]", {"t": t},
                3 * transform(length), None, lambda parts: _slid(parts["t"], shape),
            )  # fmt: skip


def _slid(t: Array, shape: tuple[int, ...]) -> Array:
    """The matrix with t along its antidiagonals, the first first; a view."""
    view: Array = sliding_window_view(t, shape[1])[: shape[0]]
    return view


def _toeplitz(subject: Subject) -> Iterator[Finding]:
    A, shape, n = subject.values, subject.values.shape, subject.columns
    t = _means(A)
    i, j = subject.sampled
    if subject.square and subject.same(A[i, j], A[(i + 1) % n, (j + 1) % n]):
        # the two diagonals of equal i - j modulo n, weighted by their lengths
        weight = np.minimum(np.arange(1, 2 * n), np.arange(2 * n - 1, 0, -1))
        sums = t * weight
        c = sums[n - 1 :: -1].copy()
        c[1:] += sums[: n - 1 : -1]
        c /= n
        error = subject.error(_turned({"c": c}))
        if error <= subject.tolerance:
            yield Finding(
                "circulant", "each row the one above, turned right by one", error, (Fact("circulant"),),
                "A[i, j] = c[(i - j) mod n]", {"c": c}, 3 * transform(n), 3 * transform(n), _turned,
            )  # fmt: skip
    error = subject.error(_spread(t, shape))
    if error <= subject.tolerance:
        solve = 4 * n**2 if subject.square else None  # Levinson's recurrence
        yield Finding(
            "toeplitz", "constant along every diagonal", error, (Fact("toeplitz"),),
            f"A[i, j] = t[j - i + {subject.rows - 1}]", {"t": t}, 3 * transform(subject.rows + n - 1), solve,
            lambda parts: _spread(parts["t"], shape),
        )  # fmt: skip


def _means(A: Array) -> Array:
    """The mean of each diagonal, from the lowest to the highest."""
    m, n = A.shape
    padded = np.zeros((m, n + m), A.dtype)
    padded[:, :n] = A[::-1]
    # a row that is one shorter moves each row one to the right of the one before
    sums = padded.ravel()[: m * (n + m - 1)].reshape(m, n + m - 1).sum(0)
    k = np.arange(1, m + n)
    means: Array = sums / np.minimum(np.minimum(k, m + n - k), min(m, n))
    return means


def _spread(t: Array, shape: tuple[int, ...]) -> Array:
    """The matrix with t along its diagonals, the lowest first; a view."""
    return _slid(t, shape)[::-1]


def _turned(parts: Mapping[str, Array]) -> Array:
    back = np.roll(parts["c"][::-1], 1)  # the first row
    n = len(back)
    windows: Array = sliding_window_view(np.concatenate([back, back]), n)[n:0:-1]
    return windows


def exclusive_or(subject: Subject, found: list[Finding]) -> Iterator[Finding]:
    """Constant where i xor j is: diagonal after a Walsh-Hadamard transform."""
    A, n = subject.values, subject.rows
    if not subject.square or n < 4 or n & (n - 1) or not subject.nonzeros:
        return
    i, j = subject.sampled
    if not subject.same(A[i, j], A[i ^ j, 0]):
        return
    index = np.arange(n)
    f = np.mean([A[index ^ k, k] for k in range(n)], axis=0)
    error = subject.error(_mixed({"f": f}))
    if error <= subject.tolerance and not any(f.name in ("diagonal", "constant") for f in found):
        work = int(2 * n * np.log2(n)) + n
        yield Finding(
            "xor-circulant", "its entries depend on i xor j alone", error, (), "A[i, j] = f[i xor j]", {"f": f}, work,
            work, _mixed,
        )  # fmt: skip


def _mixed(parts: Mapping[str, Array]) -> Array:
    f = parts["f"]
    index = np.arange(len(f))
    mixed: Array = f[index[:, None] ^ index]
    return mixed
