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
from tpc.passes.count import predicted
from tpc.passes.sparse.lowering import lowered

MOST = 4  # inputs of which every choice is looked at; of more it is all or none


def sparse(program: Program, given: Mapping[str, float], at: Mapping[str, int], prices: Prices) -> Program:
    """The program on sparse inputs.

    Parameters
    ----------
    given
        The inputs that come in sparse, with the share of their entries that are stored, at most.
    at
        Sizes to choose for, where they are open.
    """
    inputs = {node: given[node["name"]] for node in program.inputs if node["name"] in given}
    if not inputs:
        return program
    whole, formats = lowered(program, inputs, inputs, at)
    best, least = whole, predicted(whole, prices, at)
    for kept in _choices(list(inputs)):
        other, _ = lowered(program, inputs, {node: inputs[node] for node in kept}, at, formats)
        seconds = predicted(other, prices, at)
        if seconds < least:
            best, least = other, seconds
    return best


def _choices(inputs: list[Node]) -> list[tuple[Node, ...]]:
    """Inputs that could be kept sparse, all of them together left out."""
    sizes = range(len(inputs)) if len(inputs) <= MOST else (0,)
    return [kept for size in sizes for kept in combinations(inputs, size)]
