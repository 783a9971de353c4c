"""Classes of equal values, and the steps by which they were found equal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tpc.ir.node import Fact, Node, Type
from tpc.ir.types import TensorType
from tpc.passes.egraph.terms import Contract, Number, Sum, Term


@dataclass(frozen=True, slots=True)
class Step:
    """Why two classes are equal: a rule or a move, the term that it was applied to, and the conditions that held.

    Attributes
    ----------
    bound
        What the variables of the rule stand for; None for a move.
    is_reversed
        Whether the rule was read from right to left.
    through
        The terms that a move read operands of the term by.
    """

    rule: str
    before: Term
    conditions: tuple[str, ...] = ()
    bound: tuple[tuple[str, Any], ...] | None = None
    is_reversed: bool = False
    through: tuple[Term, ...] = ()


@dataclass(slots=True)
class Class:
    """Values that are equal, by the terms that say them."""

    id: int
    type: Type
    terms: dict[Term, None] = field(default_factory=dict)
    users: dict[Term, None] = field(default_factory=dict)
    facts: frozenset[Fact] = frozenset()
    known: frozenset[str] = frozenset()  # the names of the facts
    product: Contract | None = None  # what stands for it inside of a larger contraction
    sum: Sum | None = None  # ... inside of a larger sum
    literal: Number | None = None
    node: Node | None = None  # the value as it was written
    order: float = 0  # a class is put together from classes of lower order
    depth: int = 0  # how many steps of the search lead to it

    @property
    def tensor(self) -> TensorType:
        assert isinstance(self.type, TensorType)
        return self.type

    @property
    def multiple(self) -> tuple[Number, int] | None:
        """Of which class this is a multiple."""
        if self.sum is not None and len(self.sum.children) == 1:
            return self.sum.coefficients[0], self.sum.children[0]
        return None


class Full(Exception):
    """A graph has as many classes, or as much work was done on it, as may be: it says which."""
