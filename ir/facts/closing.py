"""What facts of one value imply."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from tpc.ir.dims import DimLike
from tpc.ir.facts.lines import Known, Line, Place, lines
from tpc.ir.facts.vocabulary import IMPLICATIONS, covers, fits, is_empty
from tpc.ir.node import Fact
from tpc.ir.types import TensorType


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a fact holds: in words or by a line, and what the line was applied to.

    `premises` pairs positions of operands (None for the value itself) with facts of them.
    """

    how: str
    premises: tuple[tuple[int | None, Fact], ...] = ()


class Growing:
    """The facts of one value, each with the first reason found for it, and what they imply.

    Attributes
    ----------
    facts : set
        The strongest facts.
    reasons : dict
        In the order in which they were found, so that premises stand before conclusions; weaker facts stay in it.
    """

    def __init__(self, type: TensorType, nonnegative: Sequence[DimLike] = ()) -> None:
        self.type, self.nonnegative = type, nonnegative
        self.facts: set[Fact] = set()
        self.reasons: dict[Fact, Reason] = {}
        self._names: set[str] = set()  # of new facts, whose implications have not been looked at

    def add(self, fact: Fact, reason: Reason) -> None:
        """Note a fact, unless it is known already; what it makes superfluous is dropped."""
        if fact in self.facts or not fits(fact, self.type) or is_empty(fact, self.type):
            return
        if fact.arguments:
            if any(covers(known, fact) for known in self.facts):
                return
            self.facts = {known for known in self.facts if not covers(fact, known)}
        self.facts.add(fact)
        self.reasons.setdefault(fact, reason)
        self._names.add(fact.name)

    def close(self) -> None:
        """Add what the facts imply."""
        while self._names:
            touched, self._names = self._names, set()
            present = {fact.name for fact in self.facts}
            for line in _touched(frozenset(touched)):
                if line.asked <= present:
                    statement = line.statement
                    place = Place({"A": Known(self.type, frozenset(self.facts))}, nonnegative=self.nonnegative)
                    for fact, used in list(statement.conclusions(place)):
                        self.add(fact, Reason(statement.text, tuple((None, f) for _, f in used)))


@cache
def _touched(names: frozenset[str]) -> tuple[Line, ...]:
    """The implications that ask for a fact of one of these names."""
    return tuple(line for line in lines(IMPLICATIONS) if line.asked & names)


def closure(type: TensorType, facts: Iterable[Fact], nonnegative: tuple[DimLike, ...] = ()) -> frozenset[Fact]:
    """The facts with all that they imply; of facts with arguments the strongest are kept."""
    return _closure(type, frozenset(facts), nonnegative)


@lru_cache(maxsize=8192)
def _closure(type: TensorType, facts: frozenset[Fact], nonnegative: tuple[DimLike, ...]) -> frozenset[Fact]:
    growing = Growing(type, nonnegative)
    for fact in facts:
        growing.add(fact, Reason("given"))
    growing.close()
    return frozenset(growing.facts)
