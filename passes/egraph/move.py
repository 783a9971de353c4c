"""A step of the search that holds in general, and is no rule of text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tpc.passes.egraph.terms import Term


@dataclass(frozen=True, slots=True)
class Move:
    """What a term of a class may become.

    Attributes
    ----------
    name
        One of `moves.MOVES`.
    place
        Where in the term; with the term, `name` and `through` it tells a move from all others.
    through
        The terms of operands that it reads the term by.
    make
        The class that is equal to the one at hand, or None where there is none.
    """

    name: str
    place: tuple[object, ...]
    through: tuple[Term, ...]
    make: Callable[[], int | None]
