"""Prices that remember what they are prices of, so that they can be told at other sizes as well.

The menu of ways is made once, at some sizes. The numbers that it reckons with know the dims that they stand for, and
the seconds of a way know the kernels that they add up, so that nothing has to be enumerated again at other sizes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tpc.ir.dims import DimLike
from tpc.ir.types import DType
from tpc.passes.choose.prices import Prices, Sizes


@dataclass(frozen=True, slots=True)
class Step:
    """A kernel with its sizes as dims, run `batch` times in one call."""

    kernel: str
    sizes: tuple[DimLike, ...]
    dtype: DType
    batch: DimLike = 1


class Extent(int):
    """A size as a number that knows which dim it is."""

    dim: DimLike

    @classmethod
    def of(cls, value: int, dim: DimLike) -> Extent:
        made = cls(value)
        made.dim = dim
        return made

    def __add__(self, other: int) -> Extent:
        return Extent.of(int(self) + int(other), self.dim + dim_of(other))

    def __mul__(self, other: int) -> Extent:
        return Extent.of(int(self) * int(other), self.dim * dim_of(other))

    __radd__ = __add__
    __rmul__ = __mul__


def dim_of(value: int) -> DimLike:
    return value.dim if isinstance(value, Extent) else int(value)


class TracedSizes(Sizes):
    """Sizes as numbers that know their dims."""

    def __init__(self, at: Mapping[str, int]) -> None:
        super().__init__(at)
        self.extents: dict[DimLike, Extent] = {}

    def __call__(self, dim: DimLike) -> int:
        if isinstance(dim, int):
            return dim
        if dim not in self.extents:
            self.extents[dim] = Extent.of(super().__call__(dim), dim)
        return self.extents[dim]

    def product(self, dims: Iterable[DimLike]) -> int:
        total = 1
        for dim in dims:
            total = total * self(dim)
        return total


class Seconds(float):
    """Seconds that know how often they count which step."""

    steps: tuple[tuple[int, Step], ...]

    @classmethod
    def of(cls, value: float, steps: tuple[tuple[int, Step], ...]) -> Seconds:
        made = cls(value)
        made.steps = steps
        return made

    def __mul__(self, times: float) -> Seconds:
        count = int(times)
        return Seconds.of(float(self) * count, tuple((n * count, step) for n, step in self.steps))

    def __add__(self, other: float) -> Seconds:
        return Seconds.of(float(self) + float(other), (*self.steps, *steps_of(other)))

    __rmul__ = __mul__
    __radd__ = __add__


def steps_of(seconds: float) -> tuple[tuple[int, Step], ...]:
    """The steps that seconds add up; none for those that are the same at all sizes."""
    return seconds.steps if isinstance(seconds, Seconds) else ()


class TracedPrices:
    """Prices of which each knows its step."""

    def __init__(self, prices: Prices) -> None:
        self.prices = prices

    def seconds(self, kernel: str, sizes: Sequence[int], dtype: DType, batch: int = 1) -> float:
        plain = self.prices.seconds(kernel, tuple(map(int, sizes)), dtype, batch=int(batch))
        step = Step(kernel, tuple(map(dim_of, sizes)), dtype, dim_of(batch))
        return Seconds.of(plain, ((1, step),))
