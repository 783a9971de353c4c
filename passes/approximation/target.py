"""An array that may be approximated, how far, and how the distance is measured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from tpc.ir.types import DType

Array = np.ndarray[Any, Any]
UNIT = 2.0**-53  # of double precision


@dataclass(frozen=True, eq=False)
class Target:
    """What projections are asked for.

    Attributes
    ----------
    values
        The array, in double precision.
    dtype
        The format that its parts will have.
    within
        The relative error that is allowed.
    rows, columns
        Square roots of the Gram matrices of data that multiplies the array from the left or from the right: what is
        measured is norm(rows @ A @ columns'). None where every entry counts alike.
    """

    values: Array
    dtype: DType
    within: float
    rows: Array | None = None
    columns: Array | None = None

    @cached_property
    def norm(self) -> float:
        """That of the array, as it is measured (Frobenius)."""
        return measured(self.weighted(self.values))

    @property
    def budget(self) -> float:
        """The absolute error that is allowed, the allowance for rounding taken off."""
        return self.norm * max(0.0, self.within - self.rounding)

    def at(self, within: float) -> Target:
        """The same within another error; what was computed of it stays."""
        other = replace(self, within=within)
        for name in ("norm", "singular"):
            if name in self.__dict__:
                other.__dict__[name] = self.__dict__[name]
        return other

    @cached_property
    def plain(self) -> Target:
        """The same where every entry counts alike."""
        return self if not self.is_weighted else Target(self.values, self.dtype, self.within)

    @property
    def rounding(self) -> float:
        """Relative error that the arithmetic of a certificate may have itself."""
        return 8 * max(self.values.shape, default=1) * UNIT

    @property
    def is_matrix(self) -> bool:
        return self.values.ndim == 2

    @property
    def is_weighted(self) -> bool:
        return self.rows is not None or self.columns is not None

    def weighted(self, values: Array) -> Array:
        """An array as the data shows it."""
        if self.rows is not None:
            values = self.rows @ values
        if self.columns is not None:
            values = values @ self.columns.conj().T
        return values

    def error(self, approximation: Array) -> float:
        """The relative error of an array in the place of this one, with the allowance for rounding."""
        return measured(self.weighted(self.values - approximation)) / self.norm + self.rounding

    @cached_property
    def singular(self) -> tuple[Array, Array, Array]:
        """U, s, V' of the matrix, as the data shows it."""
        from scipy.linalg import svd

        u, s, v = svd(self.weighted(self.values), full_matrices=False, check_finite=False)
        return u, s, v


def measured(values: Array) -> float:
    """The Frobenius norm, where squares would overflow or vanish, too."""
    largest = float(np.abs(values).max(initial=0.0))
    return float(np.linalg.norm(values / largest)) * largest if largest else 0.0


def tails(squares: Array) -> Array:
    """What is left of squares, in decreasing order, when the first 0, 1, 2 ... are kept: the root of the sum."""
    left: Array = np.sqrt(np.append(np.cumsum(squares[::-1])[::-1], 0.0))
    return left


def kept(squares: Array, budget: float) -> int:
    """How many of squares, in decreasing order, must be kept so that the rest is within a budget."""
    return int(np.argmax(tails(squares) <= budget))


def split(A: Array, budget: float) -> tuple[Array, Array]:
    """An orthonormal basis and what it is multiplied with to be within a budget of a matrix, as small as can be.

    Of wide matrices it is found by the Gram matrix, where half of the digits are enough.
    """
    rows, columns = A.shape
    if 2 * rows > columns or budget < 1e-6 * measured(A):
        u, values, v = np.linalg.svd(A, full_matrices=False)
        rank = max(1, kept(values**2, budget))
        return u[:, :rank], values[:rank, None] * v[:rank]
    squares, u = np.linalg.eigh(A @ A.conj().T)
    rank = max(1, kept(np.maximum(squares[::-1], 0), 0.999 * budget))
    basis: Array = u[:, ::-1][:, :rank]
    return basis, basis.conj().T @ A
