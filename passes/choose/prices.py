"""What steps cost at the sizes that a plan is chosen for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from tpc.ir.dims import DimLike, substitute
from tpc.ir.types import DType

USUAL = 300  # a size that nothing is known of


class Prices(Protocol):
    """Seconds of kernels; `passes.cost.Profile` is one."""

    def seconds(self, kernel: str, sizes: tuple[int, ...], dtype: DType, batch: int = 1) -> float: ...


class Sizes:
    """Sizes as numbers."""

    def __init__(self, at: Mapping[str, int]) -> None:
        self.at = dict(at)
        self.known: dict[DimLike, int] = {}

    def __call__(self, dim: DimLike) -> int:
        if isinstance(dim, int):
            return max(dim, 0)
        found = self.known.get(dim)
        if found is None:
            from tpc.ir.dims import names_of

            given = {n: self.at.get(n, USUAL) for n in names_of(dim)}
            value = substitute(dim, given)
            assert isinstance(value, int), dim
            found = self.known[dim] = max(value, 0)
        return found

    def product(self, dims: Iterable[DimLike]) -> int:
        total = 1
        for dim in dims:
            total *= self(dim)
        return total
