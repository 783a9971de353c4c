"""How many singular values stand out of noise.

Those of independent entries of one variance follow a law that ends at an edge (V. Marchenko, L. Pastur, 1967), and
how far the largest goes beyond it is known as well (I. Johnstone, 2001). The variance is that of the middle of
the spectrum, which a few large values hardly move. Where the rest of it does not follow the law, nothing is said.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tpc.inspection.finding import Array

SIZES = (32, 1024)  # of the shorter side
BEYOND = 4.0  # of the scale on which the largest singular value of noise varies: a chance below 1e-3
SHARES = np.array([0.1, 0.25, 0.4, 0.6, 0.75])  # of the spectrum at which it is compared with the law
ALIKE = 0.08  # how far it may be off there
POINTS = 4001


@dataclass(frozen=True)
class Signal:
    """A rank that stands out of noise, and the relative error of what is left out with it."""

    rank: int
    error: float

    def __str__(self) -> str:
        values = "1 singular value stands" if self.rank == 1 else f"{self.rank} singular values stand"
        return f"{values} out of what is otherwise like noise: rank {self.rank} is within {self.error:.2g}"


def signal(A: Array) -> Signal | None:
    """What of a real or complex matrix stands out; None where nothing does, or what does not is unlike noise."""
    p, n = sorted(A.shape)
    if not SIZES[0] <= p <= SIZES[1]:
        return None
    wide = A if A.shape[0] == p else A.T
    largest = float(np.abs(wide).max(initial=0.0))
    if not largest:
        return None
    squares = np.linalg.eigvalsh((wide / largest) @ (wide / largest).conj().T)  # the smallest first
    ratio = p / n
    of_law = law(ratio, np.append(SHARES, 0.5))
    variance = float(np.median(squares)) / n / of_law[-1]
    seen = np.quantile(squares, SHARES) / n
    if variance <= 0 or (np.abs(seen - variance * of_law[:-1]) > ALIKE * variance).any():
        return None
    root = p**0.5 + n**0.5
    edge = variance * (root**2 + BEYOND * root * (p**-0.5 + n**-0.5) ** (1 / 3))
    rank = int((squares > edge).sum())
    left = float(np.sqrt(squares[: p - rank].clip(0).sum() / squares.sum()))
    return Signal(rank, left) if rank else None


def law(ratio: float, shares: Array) -> Array:
    """The squares below which so many of the singular values of noise are, over its variance and the longer side.

    The squares are those of 1 + ratio + 2 sqrt(ratio) cos(angle), on which the density has no edges.
    """
    angle = np.linspace(np.pi, 0, POINTS)
    squares = 1 + ratio + 2 * ratio**0.5 * np.cos(angle)
    density = np.sin(angle) ** 2 / np.maximum(squares, 1e-12)
    below = np.concatenate([[0.0], np.cumsum(density[1:] + density[:-1])])
    found: Array = np.interp(shares, below / below[-1], squares)
    return found
