"""What steps cost at the sizes that a plan is chosen for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
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
            return dim
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


# Operations of the kernels, as the textbooks count them.
FLOPS: dict[str, Callable[..., float]] = {
    "gemm": lambda m, n, k: 2 * m * n * k,
    "syrk": lambda n, k: n * (n + 1) * k,
    "gemv": lambda m, n: 2 * m * n,
    "gevm": lambda m, n: 2 * m * n,
    "dot": lambda n: 2 * n,
    "ger": lambda m, n: m * n,
    "trmm": lambda n, m: n * n * m,
    "trmv": lambda n: n * n,
    "trsm": lambda n, m: n * n * m,
    "trsv": lambda n: n * n,
    "potrf": lambda n: n**3 / 3,
    "potrs": lambda n, m: 2 * n * n * m,
    "potri": lambda n: 2 * n**3 / 3,
    "trtri": lambda n: n**3 / 3,
    "getrf": lambda n: 2 * n**3 / 3,
    "getrs": lambda n, m: 2 * n * n * m,
    "getri": lambda n: 2 * n**3,
    "sytrf": lambda n: n**3 / 3,
    "sytrs": lambda n, m: 2 * n * n * m,
    "geqrf": lambda m, n: 4 * m * n * min(m, n),
    "gesdd": lambda m, n: 14 * max(m, n) * min(m, n) ** 2 + 8 * min(m, n) ** 3,
    "gesdd_values": lambda m, n: 4 * m * n * min(m, n),
    "syevd": lambda n: 9 * n**3,
    "syevd_values": lambda n: 4 * n**3 / 3,
    "geev": lambda n: 25 * n**3,
    "band_matmul": lambda n, m, width: 2 * n * m * width,
    "band_solve": lambda n, m, width: 2 * n * m * width + 2 * n * width * width,
    "elementwise": lambda entries, operands, weight: entries * weight,
    "reduce": lambda entries, results: entries,
    "copy": lambda entries: 0,
    "transpose_copy": lambda rows, columns: 0,
    "gather": lambda entries: 0,
    "einsum": lambda flops, moved: flops,
    "other": lambda flops, moved: flops,
}


def flops(kernel: str, sizes: Sequence[int], batch: int = 1) -> float:
    return float(FLOPS[kernel](*sizes)) * batch
