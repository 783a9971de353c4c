"""What the variables of a pattern stand for.

A matrix variable stands for a run of factors, a scalar for a product of numbers; both are kept as `Run` and become
classes only when a rule is applied.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tpc.ir.dims import DimLike
from tpc.passes.contraction.chain import Factor
from tpc.passes.egraph.terms import Number


@dataclass(frozen=True, slots=True)
class Run:
    """A product of factors, times scalars and a number."""

    factors: tuple[Factor, ...]
    scalars: tuple[int, ...] = ()
    coefficient: Number = 1


@dataclass(frozen=True, slots=True)
class Option:
    """An attribute of an op, such as an axis."""

    value: object


@dataclass(frozen=True, slots=True)
class Summands:
    """A part of a sum."""

    parts: tuple[tuple[Number, int], ...]
    turned: bool = False


Bound = Run | Option | Summands | DimLike
Bindings = Mapping[str, Bound]


def extended(bound: Bindings, name: str, value: Bound) -> Iterator[Bindings]:
    """The bindings with one more, or as they are where it is there; none where the name stands for something else."""
    known = bound.get(name)
    if known is None:
        yield {**bound, name: value}
    elif known == value:
        yield bound
