"""What is known of a value while a program is written, and what texts say about its dims."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tpc.ir.dims import DimLike, dim_text, evaluate, names_of


@dataclass(frozen=True)
class Value:
    """What a text stands for. `size` bounds the logarithm (base 10) of its entries; `raw` ones are exact."""

    text: str
    dtype: str
    dims: tuple[DimLike, ...] = ()
    size: float = 0.3
    raw: bool = False

    @property
    def rank(self) -> int:
        return len(self.dims)

    @property
    def kind(self) -> str:
        return "b" if self.dtype == "bool" else self.dtype[0] if self.dtype[0] in "ic" else "f"

    @property
    def type(self) -> str:
        """The type, as a program writes it."""
        return f"{self.dtype}[{listed(self.dims)}]" if self.dims else self.dtype


def listed(dims: Iterable[DimLike]) -> str:
    return ", ".join(dim_text(d) for d in dims)


def real(dtype: str) -> str:
    """The format of the real part."""
    return {"c128": "f64", "c64": "f32"}.get(dtype, dtype)


def small(dim: DimLike) -> bool:
    """Whether an axis stays short at the sizes of the tests."""
    return evaluate(dim, dict.fromkeys(names_of(dim), 4)) <= 64
