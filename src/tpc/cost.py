"""What a program costs: operations, bytes moved, the most memory held at one time, and predicted seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tpc.ir.dims import DimLike, dim_text, is_nonnegative, substitute
from tpc.ir.node import Program
from tpc.ir.sizes import with_sizes
from tpc.passes.choose.prices import Sizes
from tpc.passes.count import node_bytes, node_flops
from tpc.passes.kernels import predicted
from tpc.passes.memory.liveness import Liveness
from tpc.passes.memory.peaks import peaks

if TYPE_CHECKING:
    from tpc.passes.choose.prices import Prices


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a program: integers where all sizes are known, else polynomials of the sizes as text.

    Attributes
    ----------
    flops
        Operations that run, counted from the formulas of the ops. The passes of a loop with a test count as if all
        were made.
    bytes
        Bytes that are read and written, if each op reads its operands and writes its result.
    peak_bytes
        The most that arguments, results and values in between take together.
    seconds
        Predicted time, summed over the kernels; None where no prices are given or sizes are open.
    """

    flops: int | str
    bytes: int | str
    peak_bytes: int | str
    seconds: float | None = None


def cost(
    program: Program, sizes: Mapping[str, int] | None = None, prices: Prices | None = None, library: str = "numpy"
) -> Cost:
    """The cost of a program.

    Parameters
    ----------
    sizes
        Sizes by name, as far as they are known.
    prices
        Of kernels, such as `tpc.passes.cost.profile()`; they give the seconds, where all sizes are known.
    library
        What runs it: `numpy`, `torch` or `llvm`. Polynomials are those of NumPy.
    """
    known = dict(sizes or {})
    flops: DimLike = 0
    moved: DimLike = 0
    for node in program.nodes:
        flops += substitute(node_flops(node), known)
        moved += substitute(node_bytes(node), known)
    is_known = isinstance(moved, int) and isinstance(flops, int)
    if is_known:
        peak: int | str = live(program, library, known).peak
    else:
        peak = _most([substitute(p, known) for p in peaks(program, library)])
    seconds = predicted(program, prices, known) if prices is not None and is_known else None
    return Cost(shown(flops), shown(moved), peak, seconds)


def live(program: Program, library: str, sizes: Mapping[str, int], tight: bool = False) -> Liveness:
    """What a program holds at each step at given sizes, where a library runs it; `tight` as in `backends.contract`."""
    if library == "llvm":
        from tpc.backends.llvm.memory import live as native

        return native(with_sizes(program, dict(sizes)), tight=tight)
    return Liveness(program, library, Sizes(sizes))


def shown(dim: DimLike) -> int | str:
    """A count as a number, or as text where it depends on sizes."""
    return dim if isinstance(dim, int) else dim_text(dim)


def _most(steps: list[DimLike]) -> int | str:
    """The largest, or those of which any may be it."""
    largest: list[DimLike] = []
    for step in dict.fromkeys(steps):
        if any(is_nonnegative(known - step) for known in largest):
            continue
        largest = [known for known in largest if not is_nonnegative(step - known)] + [step]
    texts = [str(shown(step)) for step in largest]
    if len(largest) == 1:
        return shown(largest[0])
    return f"max({', '.join(texts[:4])}{', ...' if len(texts) > 4 else ''})" if texts else 0
