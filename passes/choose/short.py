"""A kernel's time as a short polynomial of its sizes: cheap enough to choose by at every call.

The calibrated model of a kernel has many terms, with thresholds and levels of cache. Here it is fitted by the few
products of sizes that carry it, over all sizes that matter. Plans are compared by the model itself when they are
compiled; the polynomials only tell which of the plans that were kept suits a call.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product as combinations
from typing import Any

from tpc.ir.dims import DimLike, divide, evaluate, maximum, minimum, named, power, product
from tpc.ir.types import DType
from tpc.passes.choose.prices import Prices
from tpc.passes.kernels import Kernel

Polynomial = tuple[tuple[DimLike, float], ...]
"""Products of sizes, each with its seconds; the size 1 has those of the calls."""

SIDES = (1, 4, 16, 50, 150, 400, 1000, 2500)  # of matrices
ENTRIES = (1, 100, 2_000, 20_000, 200_000, 1_000_000, 5_000_000)
WALKS = ("elementwise", "reduce", "copy", "gather", "einsum", "other")  # kernels whose sizes count entries
VECTORS = ("transpose_copy", "dot", "ger", "gemv", "gevm")


class Shortener:
    """Polynomials for steps; each kernel is fitted once."""

    def __init__(self, prices: Prices) -> None:
        self.prices = prices
        self.fits: dict[tuple[str, DType, tuple[int | None, ...]], tuple[tuple[tuple[int, ...], float], ...]] = {}

    def polynomial(self, kernels: Mapping[Kernel, float], constant: float) -> dict[DimLike, float]:
        """The seconds of kernels, each of them so many times, as a sum."""
        total: dict[DimLike, float] = {1: constant} if constant else {}
        for kernel, times in kernels.items():
            for monomial, seconds in self._of_kernel(kernel):
                total[monomial] = total.get(monomial, 0.0) + times * kernel.share * seconds
        return total

    def _of_kernel(self, kernel: Kernel) -> Iterator[tuple[DimLike, float]]:
        fixed = tuple(size if isinstance(size, int) else None for size in kernel.sizes)
        key = (kernel.name, kernel.dtype, fixed)
        if key not in self.fits:
            self.fits[key] = self._fit(*key)
        open_sizes = [size for size in kernel.sizes if not isinstance(size, int)]
        for powers, seconds in self.fits[key]:
            monomial = product(power(size, p) for size, p in zip(open_sizes, powers))
            batch = kernel.batch if any(powers) else 1
            whole = product([monomial, batch, kernel.times])
            yield from _terms(whole, seconds)

    def _fit(
        self, kernel: str, dtype: DType, fixed: tuple[int | None, ...]
    ) -> tuple[tuple[tuple[int, ...], float], ...]:
        count = fixed.count(None)
        points = list(combinations(ENTRIES if kernel in WALKS else SIDES, repeat=count))
        seconds = []
        for point in points:
            rest = iter(point)
            sizes = tuple(next(rest) if size is None else size for size in fixed)
            seconds.append(self.prices.seconds(kernel, sizes, dtype))
        powers = list(_powers(kernel, count))
        terms = [[_product(point, p) for p in powers] for point in points]
        return tuple((p, c) for p, c in zip(powers, _nonnegative_fit(terms, seconds)) if c > 0)


def _terms(dim: DimLike, seconds: float) -> Iterator[tuple[DimLike, float]]:
    """A multiple of a dim, term by term, so that equal products of sizes add up."""
    if isinstance(dim, int):
        yield 1, seconds * dim
        return
    for monomial, coefficient in dim.terms:
        atom = product(power(_atom(a), p) for a, p in monomial)
        yield atom, seconds * coefficient


def _atom(atom: Any) -> DimLike:
    if isinstance(atom, str):
        return named(atom)
    if atom.kind == "div":
        return divide(atom.left, atom.right)
    return (minimum if atom.kind == "min" else maximum)(atom.left, atom.right)


def _powers(kernel: str, count: int) -> Iterator[tuple[int, ...]]:
    """The products of open sizes that a kernel's time is made of, by their powers."""
    most = 1 if kernel in (*WALKS, *VECTORS) or count > 2 else 3 if count == 1 else 2
    for powers in combinations(range(most + 1), repeat=count):
        if sum(powers) <= 3:
            yield powers


def _product(point: Sequence[int], powers: Sequence[int]) -> float:
    total = 1.0
    for size, p in zip(point, powers):
        total *= float(size) ** p
    return total


def _nonnegative_fit(terms: Sequence[Sequence[float]], seconds: Sequence[float]) -> list[float]:
    """Nonnegative coefficients with a small sum of squares of relative errors.

    Least squares, again and again without the terms that came out negative.
    """
    import numpy as np

    scaled = np.array(terms) / np.array(seconds)[:, None]
    scale = scaled.max(axis=0)
    scaled /= scale
    kept = list(range(scaled.shape[1]))
    found = np.zeros(scaled.shape[1])
    while kept:
        solution = np.linalg.lstsq(scaled[:, kept], np.ones(len(scaled)), rcond=None)[0]
        if solution.min() >= 0:
            found[kept] = solution
            break
        kept = [k for k, c in zip(kept, solution) if c > 0]
    return [float(c) for c in found / scale]


def cheapest(choices: Sequence[Polynomial], sizes: Mapping[str, int]) -> int:
    """The number of the smallest polynomial at some sizes; the first of equal ones."""
    if len(choices) == 1:
        return 0
    seconds = [sum(c * evaluate(dim, sizes) for dim, c in terms) for terms in choices]
    return seconds.index(min(seconds))
