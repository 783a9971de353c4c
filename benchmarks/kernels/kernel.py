"""What a kernel of the benchmark is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Sizes = Mapping[str, int]


@dataclass(frozen=True)
class Kernel:
    """A formula in tpc and in the ways of its peers.

    Attributes
    ----------
    program
        In tpc, with `{dtype}` for the format of entries.
    sizes
        By the words that are shown: some in cache, some beyond.
    operands
        `name -> dims` in the order of the program's parameters; the entries are normal.
    written
        In NumPy; the peers' functions are in `ways`, by name. What is missing there does without.
    traffic, work
        Bytes that must be read and written, in entries, and operations (an exponential counts as one), at given sizes.
    density
        The share of entries of the first operand that are not zero, where it is sparse.
    """

    name: str
    program: str
    sizes: Mapping[str, Sizes]
    operands: Mapping[str, tuple[str, ...]]
    written: Callable[..., Any]
    ways: Mapping[str, Callable[..., Any]]
    traffic: Callable[..., float]
    work: Callable[..., float]
    dtypes: tuple[str, ...] = ("f64", "f32")
    density: float | None = None

    def arrays(self, sizes: Sizes, dtype: str, seed: int) -> list[Any]:
        """Operands at sizes."""
        rng = np.random.default_rng(seed)
        kind = np.float64 if dtype == "f64" else np.float32
        shapes = [[sizes.get(d, 0) or int(d) for d in dims] for dims in self.operands.values()]
        first = []
        if self.density is not None:
            from benchmarks.kernels.sparse import matrix

            first = [matrix(shapes.pop(0)[0], self.density, seed, kind)]
        return [*first, *(rng.standard_normal(shape).astype(kind) for shape in shapes)]
