"""Statements in the form in which they are written: loads by one index into the buffer, letters by depth."""

from __future__ import annotations

from dataclasses import replace

from tpc.backends.llvm.fusion import places
from tpc.backends.llvm.fusion.collapse import collapsed
from tpc.backends.llvm.fusion.places import Sum
from tpc.backends.llvm.fusion.statement import Buffer, Statement
from tpc.backends.llvm.fusion.terms import INSIDE, Term, changed, letter, load
from tpc.backends.llvm.fusion.translation import canonical


def finished(statement: Statement) -> Statement:
    """The statement in its last form."""
    kept = statement.kept
    terms = [*statement.bodies, *(term for term, _, _ in kept), *(place for _, _, place in kept)]
    body, *rest = canonical([_flat(term) for term in terms])
    beside = tuple(replace(s, body=other) for s, other in zip(statement.beside, rest, strict=False))
    rest = rest[len(beside) :]
    kept = tuple((rest[n], buffer, rest[n + len(kept)]) for n, (_, buffer, _) in enumerate(kept))
    made = replace(statement, body=body, beside=beside, kept=kept)
    return made if beside or kept else collapsed(made)


def _flat(body: Term) -> Term:
    """The body with plain loads by one index into the buffer."""

    def change(t: Term) -> Term | None:
        if t.kind != "load" or t.data[1] != INSIDE:
            return None
        buffer: Buffer = t.data[0]
        indices = [changed(a, change, known) for a in t.arguments]
        dims = buffer.tensor.dims if t.data[2] == buffer.tensor.rank else (buffer.tensor.size,)
        return load(buffer, t.dtype, [places.composed(indices, dims)])

    known: dict[Term, Term] = {}
    return changed(body, change, known)


def moved(term: Term, name: str, index: Term) -> Term:
    """The term with an index for a letter."""

    def change(t: Term) -> Term | None:
        if name not in t.free:
            return t
        if t.kind == "letter":
            return index
        if t.kind == "place":
            constant, slopes, factors = t.data
            total = Sum(constant)
            for letter_name, slope in slopes:
                total.add(index if letter_name == name else letter(letter_name), slope)
            for argument, factor in zip(t.arguments, factors, strict=True):
                total.add(changed(argument, change, known), factor)
            return total.term()
        return None

    known: dict[Term, Term] = {}
    return changed(term, change, known)
