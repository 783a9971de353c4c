"""Indices as affine functions of letters, and of terms that are none: where in its buffer a load reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tpc.backends.llvm.fusion.terms import Term, letter, number_of, place, size
from tpc.ir.dims import DimLike, multiply, product
from tpc.ir.types import I64, INT


@dataclass
class Sum:
    """`constant + sum of slope * letter + sum of slope * term`, while it is being made."""

    constant: DimLike = 0
    slopes: dict[str, DimLike] = field(default_factory=dict)
    opaque: dict[Term, DimLike] = field(default_factory=dict)

    def add(self, term: Term, factor: DimLike = 1) -> None:
        """Add a multiple of a term, taken apart as far as it is affine."""
        value = number_of(term)
        if value is not None:
            self.constant = self.constant + multiply(int(value), factor)
        elif term.kind == "size":
            self.constant = self.constant + multiply(term.data, factor)
        elif term.kind == "letter":
            self.slopes[term.data] = self.slopes.get(term.data, 0) + factor
        elif term.kind == "place":
            constant, slopes, others = term.data
            self.constant = self.constant + multiply(constant, factor)
            for name, slope in slopes:
                self.slopes[name] = self.slopes.get(name, 0) + multiply(slope, factor)
            for other, slope in zip(term.arguments, others, strict=True):
                self.add(other, multiply(slope, factor))
        elif (
            term.kind == "call" and term.data == "cast" and all(t.dtype in (I64, INT) for t in (term, *term.arguments))
        ):
            self.add(term.arguments[0], factor)
        elif term.kind == "call" and term.data in ("add", "sub", "neg"):
            first, *second = term.arguments
            self.add(first, -factor if term.data == "neg" else factor)
            for other in second:
                self.add(other, factor if term.data == "add" else -factor)
        elif term.kind == "call" and term.data == "mul" and (scaled := _scaled(term)) is not None:
            self.add(scaled[0], multiply(scaled[1], factor))
        else:
            self.opaque[term] = self.opaque.get(term, 0) + factor

    def term(self) -> Term:
        """The sum as the simplest term that says it."""
        slopes = {name: slope for name, slope in self.slopes.items() if slope != 0}
        opaque = [(term, slope) for term, slope in self.opaque.items() if slope != 0]
        if not slopes and not opaque:
            return size(self.constant)
        if self.constant == 0 and not opaque and list(slopes.values()) == [1]:
            return letter(next(iter(slopes)))
        if self.constant == 0 and not slopes and [slope for _, slope in opaque] == [1]:
            return opaque[0][0]
        return place(self.constant, slopes, opaque)


def _scaled(term: Term) -> tuple[Term, DimLike] | None:
    """A product as a term and a size."""
    for one, other in (term.arguments, term.arguments[::-1]):
        value = number_of(one)
        if isinstance(value, int):
            return other, value
        if one.kind == "size":
            return other, one.data
    return None


def index(term: Term) -> Term:
    """An index in the one form in which equal indices are equal terms."""
    total = Sum()
    total.add(term)
    return total.term()


def composed(indices: Sequence[Term], dims: Sequence[DimLike]) -> Term:
    """The row-major position of indices in axes of these sizes."""
    total = Sum()
    for position, term in enumerate(indices):
        total.add(term, product(dims[position + 1 :]))
    return total.term()


def is_affine(term: Term) -> bool:
    """Whether an index is an affine function of letters alone."""
    return term.kind in ("letter", "size", "number") or (term.kind == "place" and not term.arguments)


def slope(term: Term, name: str) -> DimLike | None:
    """How much an index grows from one value of a letter to the next; None where that is no constant."""
    if name not in term.free:
        return 0
    if term.kind == "letter":
        return 1
    if term.kind == "place" and not any(name in a.free for a in term.arguments):
        found: DimLike = dict(term.data[1])[name]
        return found
    return None
