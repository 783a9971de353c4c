"""A stored value: `target[letters] = body`, and how often what is in it is computed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from tpc.backends.llvm.fusion.terms import Term, parts
from tpc.ir.dims import DimLike, product
from tpc.ir.node import Node
from tpc.ir.scalar import SCALARS
from tpc.ir.types import TensorType

Loop = tuple[str, DimLike]


@dataclass(frozen=True, eq=False)
class Temporary:
    """A buffer for what is no value of the program."""

    name: str
    tensor: TensorType


Buffer = Node | Temporary


@dataclass(frozen=True, eq=False)
class Statement:
    """The entries of a buffer. `place` is where in it the entry of the letters lies; those beside share the nest.

    Where it `is_added`, the body is added to what the buffer holds. What is `kept` are terms inside of folds that are
    stored as soon as they are computed, each in a buffer at a place. Where it `is_crossed`, the one beside sums the
    same matrix across its letter (see `crossing`).
    """

    target: Buffer
    letters: tuple[Loop, ...]
    place: Term
    body: Term
    beside: tuple[Statement, ...] = ()
    is_added: bool = False
    kept: tuple[tuple[Term, Buffer, Term], ...] = ()
    is_crossed: bool = False

    @property
    def together(self) -> tuple[Statement, ...]:
        return (self, *self.beside)

    @property
    def bodies(self) -> tuple[Term, ...]:
        return tuple(s.body for s in self.together)

    @cached_property
    def loads(self) -> tuple[Term, ...]:
        return tuple(t for t in parts(*self.bodies) if t.kind == "load")

    @cached_property
    def reads(self) -> frozenset[Buffer]:
        return frozenset(t.data[0] for t in self.loads)


def around(term: Term, loops: Sequence[Loop]) -> tuple[Loop, ...]:
    """The loops in which a term is computed: up to the innermost whose letter it depends on."""
    inner = max((n for n, (letter, _) in enumerate(loops, 1) if letter in term.free), default=0)
    return tuple(loops[:inner])


def computed(body: Term, loops: Sequence[Loop]) -> Iterator[tuple[Term, tuple[Loop, ...]]]:
    """Every different part of a body, with the loops in which it is computed as seldom as it can be."""
    done: set[Term] = set()
    stack = [(body, tuple(loops))]
    while stack:
        term, outer = stack.pop()
        if term in done:
            continue
        done.add(term)
        own = around(term, outer)
        yield term, own
        inner = (*own, *term.data[1]) if term.kind == "fold" else outer
        stack.extend((a, inner) for a in term.arguments)


def times(loops: Sequence[Loop]) -> DimLike:
    return product(extent for _, extent in loops)


def flops(term: Term, letter: str | None = None) -> int:
    """Operations of one evaluation, without those of folds; of those alone that depend on a letter, if it is given."""
    return sum(_price(t) for t in parts(term) if letter is None or letter in t.free)


def _price(term: Term) -> int:
    if term.kind != "call" or term.data == "cast":
        return 0
    return SCALARS[term.data].flops
