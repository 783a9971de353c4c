"""A matrix that is looked at, and what all families ask of it."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

# Rounding that a matrix of the dtype is forgiven, relative to its norm.
TOLERANCES = {"float16": 5e-3, "float32": 1e-4, "complex64": 1e-4}
EXACT = 1e-8
TILE = 512  # rows that are worked on at one time, so that they stay in the cache
SAMPLES = 256


class Subject:
    """A finite matrix in double precision.

    Attributes
    ----------
    values : array, shape (rows, columns)
        float64 or complex128.
    tolerance : float
        Largest relative error, in the Frobenius norm, of what is reported.
    """

    def __init__(self, values: Array, tolerance: float, kind: str, seed: int = 0) -> None:
        self.values = values
        self.tolerance = tolerance
        self.kind = kind  # as NumPy says it of the array that was given: b, i, u, f or c
        self.rows, self.columns = values.shape
        self.random = np.random.default_rng(seed)

    @property
    def square(self) -> bool:
        return bool(self.rows == self.columns)

    @property
    def complex(self) -> bool:
        return bool(self.values.dtype.kind == "c")

    @cached_property
    def norm(self) -> float:
        """The Frobenius norm."""
        return float(np.linalg.norm(self.values / self.largest)) * self.largest if self.largest else 0.0

    @cached_property
    def largest(self) -> float:
        """The largest absolute value."""
        if self.complex:
            return float(np.abs(self.values).max(initial=0.0))
        return float(max(self.values.max(initial=0.0), -self.values.min(initial=0.0)))

    @cached_property
    def pattern(self) -> Array:
        """Which entries are not zero, to the tolerance."""
        return np.abs(self.values) > self.tolerance * self.largest

    @cached_property
    def nonzeros(self) -> int:
        return int(np.count_nonzero(self.pattern))

    @cached_property
    def density(self) -> float:
        return self.nonzeros / max(self.values.size, 1)

    @cached_property
    def places(self) -> tuple[Array, Array]:
        """Rows and columns of the entries that are not zero."""
        flat = np.flatnonzero(self.pattern)
        return flat // self.columns, flat % self.columns

    @cached_property
    def dropped(self) -> float:
        """The relative error of taking everything outside of the pattern for zero."""
        if self.nonzeros == self.values.size:
            return 0.0
        return float(np.linalg.norm(self.values[~self.pattern])) / self.norm if self.norm else 0.0

    @cached_property
    def sampled(self) -> tuple[Array, Array]:
        """Rows and columns of entries, half of them anywhere and half of them where there is no zero."""
        i, j = self.random.integers(self.rows, size=SAMPLES), self.random.integers(self.columns, size=SAMPLES)
        if self.nonzeros:
            flat = self._some_nonzero(SAMPLES)
            i, j = np.concatenate([i, flat // self.columns]), np.concatenate([j, flat % self.columns])
        return i, j

    def _some_nonzero(self, count: int) -> Array:
        if self.density > 0.2:  # found by trying, without a list of all places
            tried = self.random.integers(self.values.size, size=40 * count)
            hits = tried[self.pattern.ravel()[tried]][:count]
            if len(hits):
                return hits
        i, j = self.places
        chosen = self.random.integers(len(i), size=count)
        flat: Array = i[chosen] * self.columns + j[chosen]
        return flat

    def error(self, approximation: Array) -> float:
        """The relative Frobenius distance of a matrix from this one, over all entries."""
        if not self.norm:
            return float(np.linalg.norm(approximation))
        total = 0.0
        for start in range(0, self.rows, TILE):
            rows = slice(start, start + TILE)
            total += float(np.linalg.norm((self.values[rows] - approximation[rows]) / self.largest)) ** 2
        return float(total**0.5) * self.largest / self.norm

    def same(self, left: Any, right: Any) -> bool:
        """Whether sampled entries are equal, with room for entries that are off by more than most."""
        return bool((np.abs(left - right) <= 10 * self.tolerance * self.largest).all())

    def probe(self, columns: int) -> Array:
        """Random vectors to multiply with."""
        return self.random.standard_normal((self.columns, columns))

    def replaced(self, values: Array) -> Subject:
        """Another matrix under the same conditions."""
        return Subject(values, self.tolerance, self.kind)
