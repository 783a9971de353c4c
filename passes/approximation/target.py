"""An array that may be approximated, how far, and how the distance is measured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from tpc.ir.types import DType

Array = np.ndarray[Any, Any]
UNIT = 2.0**-53  # of double precision
DIRECT = 1200  # of the shorter side, up to which spectral norms are computed and not bounded by others


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
    measure
        The norm in which errors count, of `tpc.ir.ops.structure.NORMS`.
    slack
        How much larger an error may be in the Frobenius norm to be worth a measurement.
    """

    values: Array
    dtype: DType
    within: float
    rows: Array | None = None
    columns: Array | None = None
    measure: str = "frobenius"
    slack: float = 1.0

    @cached_property
    def norm(self) -> float:
        """That of the array, as it is measured; of large matrices a number that their spectral norm is not below."""
        values = self.weighted(self.values)
        match self.measure:
            case "spectral":
                return spectral(values)[0]
            case "max":
                return float(np.abs(values).max(initial=0.0))
        return measured(values)

    @property
    def allowed(self) -> float:
        """The absolute error that is allowed, the allowance for rounding taken off."""
        return self.norm * max(0.0, self.within - self.rounding)

    @property
    def budget(self) -> float:
        """The same as projections are given it, in the Frobenius norm."""
        return self.allowed * self.slack

    @property
    def slacks(self) -> tuple[Target, ...]:
        """The targets to look for: what has too large an error in the Frobenius norm may be near enough in another.

        An error that is like noise is larger in it by the root of half of the sides than in the spectral norm, and by
        that of a fifth of the entries than in its largest one. No error is smaller in it.
        """
        if self.measure == "frobenius":
            return (self,)
        sides = min(self.values.shape) ** 0.5 / 2 if self.measure == "spectral" else self.values.size**0.5 / 5
        return tuple(replace(self, slack=slack) for slack in sorted({max(1.0, sides), max(1.0, sides**0.5), 1.0})[::-1])

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
        return self if not self.is_weighted else replace(self, rows=None, columns=None)

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
        rest = self.weighted(self.values - approximation)
        match self.measure:
            case "spectral":
                found = spectral(rest)[1]
            case "max":
                found = float(np.abs(rest).max(initial=0.0))
            case _:
                found = measured(rest)
        return found / self.norm + self.rounding

    def rank(self, values: Array) -> int:
        """The least rank that is near enough, by the singular values."""
        if self.measure == "spectral":
            return int((values > self.allowed).sum())
        return kept(values**2, self.budget)

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


def spectral(A: Array) -> tuple[float, float]:
    """Numbers that the spectral norm is between; of large matrices by sums of powers of singular values s.

    sum(s^8) / sum(s^6) <= max(s)^2, and max(s)^8 <= sum(s^8).
    """
    largest = float(np.abs(A).max(initial=0.0))
    if not largest:
        return 0.0, 0.0
    allowance = 8 * max(A.shape) * UNIT
    if A.ndim == 1 or min(A.shape) <= DIRECT:
        norm = float(np.linalg.norm(A / largest, 2)) * largest
        return norm * (1 - allowance), norm * (1 + allowance)
    A = A / largest
    gram = A @ A.conj().T if A.shape[0] < A.shape[1] else A.conj().T @ A
    square = gram @ gram
    eighth, sixth = float(np.linalg.norm(square)) ** 2, float(np.vdot(gram, square).real)
    return (eighth / sixth) ** 0.5 * (1 - allowance) * largest, eighth**0.125 * (1 + allowance) * largest


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
