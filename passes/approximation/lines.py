"""Matrices that are constant along lines: where i - j, i - j modulo n, i + j or i xor j is the same."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

Array = np.ndarray[Any, Any]


def means(A: Array) -> Array:
    """The mean of each diagonal, from the lowest to the highest."""
    m, n = A.shape
    padded = np.zeros((m, n + m), A.dtype)
    padded[:, :n] = A[::-1]
    # a row that is one shorter moves each row one to the right of the one before
    sums = padded.ravel()[: m * (n + m - 1)].reshape(m, n + m - 1).sum(0)
    found: Array = sums / lengths(m, n)
    return found


def lengths(m: int, n: int) -> Array:
    """Those of the diagonals."""
    k = np.arange(1, m + n)
    return np.minimum(np.minimum(k, m + n - k), min(m, n))


def slid(t: Array, shape: tuple[int, ...]) -> Array:
    """The matrix with t along its antidiagonals, the first first; a view."""
    view: Array = sliding_window_view(t, shape[1])[: shape[0]]
    return view


def turn_means(A: Array) -> Array:
    """The mean along the lines of equal i - j modulo n: two diagonals together, weighted by their lengths."""
    n = len(A)
    sums = means(A) * lengths(n, n)
    c: Array = sums[n - 1 :: -1].copy()
    c[1:] += sums[: n - 1 : -1]
    return c / n


def turned(c: Array) -> Array:
    """The circulant matrix with c as its first column; a view."""
    back = np.roll(c[::-1], 1)  # the first row
    n = len(back)
    windows: Array = sliding_window_view(np.concatenate([back, back]), n)[n:0:-1]
    return windows


def mixed_means(A: Array) -> Array:
    index = np.arange(len(A))
    found: Array = np.mean([A[index ^ k, k] for k in range(len(A))], axis=0)
    return found


def mixed(f: Array) -> Array:
    index = np.arange(len(f))
    found: Array = f[index[:, None] ^ index]
    return found
