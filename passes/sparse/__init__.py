"""Sparse operands in a plan: which values are stored by their nonzeros, by which kernels, and whether that pays.

A call says which inputs come in sparse (`Options.sparse`). From there on patterns are followed through the program:
what is zero wherever its operands are stays sparse, and what is not is dense. Whether a result is sparse so follows
from the text and from the formats of the inputs, never from numbers. With which kernels it is computed is a question of
time: where too many entries are stored for sparse kernels to pay, the inputs give way to dense arrays at once, and
results that are to be sparse become so at the end. Every change of format is an op of its own, with a price.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

from tpc.ir.node import Node, Program
from tpc.passes.choose.prices import Prices
from tpc.passes.sparse.constants import SKETCH, declared
from tpc.passes.sparse.lowering import lowered
from tpc.passes.sparse.storing import Formats, as_given
from tpc.passes.stages.times import given_uses, seconds_each

MOST = 4  # sparse values of which every choice is looked at; of more it is all or none


def sparse(
    program: Program,
    given: Mapping[str, float],
    at: Mapping[str, int],
    prices: Prices,
    native: bool = False,
    calls: int = 1,
) -> Program:
    """The program on sparse inputs and constants.

    Parameters
    ----------
    given
        The inputs that come in sparse, with the share of their entries that are stored, at most.
    at
        Sizes to choose for, where they are open.
    native
        Whether there will be native code for products, for which constants may be stored in other formats.
    calls
        With the same parameters; what depends on these alone is done once for all of them.
    """
    dense = {node: density for node, density in declared(program, calls).items() if node.get("name") not in given}
    dense |= {node: 1.0 for node in program.nodes if node.op.name == SKETCH}
    sources = [node for node in program.inputs if node["name"] in given]
    sources += [node for node in program.nodes if node.op.name == "sparse_matrix"]
    best, formats = program, [False] * len(program.outputs)
    if sources:
        best, formats = lowered(program, given, dict.fromkeys(sources, 1.0), at)
    formats_of = Formats(at)

    def seconds_of(program: Program) -> float:
        return predicted(program, prices, at, calls) - (formats_of.saved(program, prices) if native else 0.0)

    least = seconds_of(best)
    for kept in _choices([*sources, *dense], sources):
        other, _ = lowered(program, given, {node: dense.get(node, 1.0) for node in kept}, at, formats)
        seconds = seconds_of(other)
        if seconds < least:
            best, least = other, seconds
    return formats_of.stored(as_given(best)) if native else best


def seconds_by_entries(
    program: Program, kept: Mapping[Node, float], prices: Prices, at: Mapping[str, int], native: bool
) -> tuple[float, float]:
    """The predicted seconds of a call, as it is, and with some arrays stored by their entries, whose densities these
    are."""
    other, _ = lowered(program, {}, kept, at)
    saved = Formats(at).saved(other, prices) if native else 0.0
    return predicted(program, prices, at), predicted(other, prices, at) - saved


def predicted(program: Program, prices: Prices, at: Mapping[str, int], calls: int = 1) -> float:
    """The seconds of a call; what depends on constants and parameters alone is done once for all of them."""
    return seconds_each(program, prices, at, given_uses(program, calls))


def _choices(values: list[Node], first: list[Node]) -> list[tuple[Node, ...]]:
    """Values that could be sparse, but for the choice that is looked at first; where there are many, all or none."""
    sizes = range(len(values) + 1) if len(values) <= MOST else (0, len(values))
    return [kept for size in sizes for kept in combinations(values, size) if list(kept) != first]
