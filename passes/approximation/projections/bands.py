"""Bands: a few diagonals beside each other. What is outside of them is dropped, which is the closest."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tpc.passes.approximation.lines import lengths, means
from tpc.passes.approximation.projected import Array, Projected, Term
from tpc.passes.approximation.target import Target

SAVED = 0.3  # share of the operations that may be left: diagonals are gone through one by one


def banded(target: Target) -> Iterator[Projected]:
    """As few diagonals as the budget allows, the main one among them."""
    A = target.values
    if not target.is_matrix or min(A.shape) < 8:
        return
    (m, n), most = A.shape, int(SAVED * min(A.shape))
    squares = means(np.abs(A) ** 2) * lengths(m, n)  # of the diagonals j - i = 1 - m, 2 - m, ..
    inside = np.append(0.0, np.cumsum(squares))
    # to all digits: of large numbers that nearly cancel, the difference is too small or too large
    enough = inside[-1] * (1 - 1e-12) - 2 * target.budget**2
    last = np.searchsorted(inside, inside[:-1] + enough)  # for each first diagonal, behind the last that is needed
    first = np.arange(len(last))
    low, high = np.minimum(first, m - 1), np.maximum(last, m)
    fits = last < len(inside)
    if not fits.any():
        return
    at = int(np.argmin(np.where(fits, high - low, m + n)))
    below, above = m - 1 - int(low[at]), int(high[at]) - m
    if below + above + 1 > most:
        return
    work = 2 * (below + above + 1) * m
    about = f"{below + above + 1} of {m + n - 1} diagonals"
    yield Projected(
        "banded", about, {"D": diagonals(A, below, above)}, (Term("banded", ("D",), (below, n)),), work, True
    )


def diagonals(A: Array, below: int, above: int) -> Array:
    """D[o, i] = A[i, i + o - below], zero where there is no such column."""
    m, n = A.shape
    found = np.zeros((below + above + 1, m), A.dtype)
    for o in range(len(found)):
        along = np.diagonal(A, o - below)
        start = max(0, below - o)
        found[o, start : start + len(along)] = along
    return found
