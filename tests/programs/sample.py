"""A program that was made, and arguments for it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tpc.ir.dims import DimLike, evaluate

from .values import Value


@dataclass
class Sample:
    """A program, and what is needed to run it."""

    text: str
    inputs: list[Value]
    least: dict[str, int]  # the smallest legal value of each size
    high: dict[str, DimLike]  # integer inputs that are positions: the size of the axis they point into
    dtype: str
    exact: bool  # made for exact arithmetic: no functions but field operations
    kinds: set[str] = field(default_factory=set)

    def sizes(self, seed: int, most: int = 4) -> dict[str, int]:
        """Legal sizes, 0 and 1 more often than others."""
        chosen = random.Random(seed)
        return {name: max(least, chosen.choice((0, 1, 1, *range(2, most + 1)))) for name, least in self.least.items()}

    def arrays(self, sizes: dict[str, int], seed: int) -> list[Any]:
        """Arguments of these sizes; of floats, multiples of 1/8 from -2 to 2."""
        rng = np.random.default_rng(seed)
        return [self._array(rng, value, tuple(evaluate(d, sizes) for d in value.dims), sizes) for value in self.inputs]

    def _array(self, rng: np.random.Generator, value: Value, shape: tuple[int, ...], sizes: dict[str, int]) -> Any:
        if value.kind == "b":
            return rng.random(shape) < 0.5
        if value.kind == "i":
            most = evaluate(self.high[value.text], sizes) if value.text in self.high else 4
            return rng.integers(0, max(most, 1), shape).astype(
                {"i64": "int64", "i32": "int32", "i8": "int8"}[value.dtype]
            )
        numbers = rng.integers(-16, 17, shape) / 8
        if value.kind == "c":
            return (numbers + 1j * rng.integers(-16, 17, shape) / 8).astype(
                "complex128" if value.dtype == "c128" else "complex64"
            )
        return np.asarray(numbers, {"f64": "float64", "f16": "float16"}.get(value.dtype, "float32"))
