"""What a class of equal values may be written as.

    term = leaf | op over classes | contraction of classes | sum of multiples of classes

Sums are multisets and contractions are arranged, so that associativity and commutativity need no rules: two that
differ only in that are the same term.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tpc.ir.node import Node, Type
from tpc.ir.op import Op
from tpc.passes.contraction import Contraction

Number = int | float | Fraction


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value that is taken as it is: an input, a constant, a literal."""

    node: Node
    children: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Applied:
    """An op that is not multilinear, over classes."""

    op: Op
    children: tuple[int, ...]
    attributes: tuple[tuple[str, Any], ...]
    type: Type

    def __getitem__(self, name: str) -> Any:
        for key, value in self.attributes:
            if key == name:
                return value
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class Contract:
    form: Contraction
    children: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Sum:
    """Multiples of classes of one type; a single one is a multiple of a class."""

    coefficients: tuple[Number, ...]
    children: tuple[int, ...]


Term = Leaf | Applied | Contract | Sum
