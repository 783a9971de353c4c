"""Guards as limits of letters, and facts as guards: what is known to be zero is not gone through."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from tpc.backends.llvm.fusion.places import Sum
from tpc.backends.llvm.fusion.statement import Statement
from tpc.backends.llvm.fusion.terms import INSIDE, Term, call, cast, changed, fold, size
from tpc.ir.node import Fact, Node
from tpc.ir.types import BOOL, I64

Facts = Mapping[Node, Collection[Fact]]


def conjuncts(guard: Term) -> list[Term]:
    """The guards of which one is made."""
    if guard.kind == "call" and guard.data == "logical_and":
        return [g for a in guard.arguments for g in conjuncts(a)]
    return [guard]


def limits(guard: Term, name: str) -> list[tuple[int, Term]] | None:
    """A guard as `slope * letter + rest >= 0` with slopes of 1 and -1; None where it is nothing of the kind."""
    if guard.kind != "call" or guard.data not in ("lt", "le", "gt", "ge", "eq"):
        return None
    left, right = guard.arguments
    if left.dtype.kind != "i" or right.dtype.kind != "i":
        return None
    found = []
    for sign in (1, -1) if guard.data == "eq" else (1,) if guard.data in ("gt", "ge") else (-1,):
        total = Sum()
        total.add(left, sign)
        total.add(right, -sign)
        if guard.data in ("lt", "gt"):
            total.constant = total.constant - 1
        slope = total.slopes.pop(name, 0)
        if slope not in (1, -1) or total.opaque or any(not isinstance(s, int) for s in total.slopes.values()):
            return None
        found.append((int(slope), total.term()))
    return found


def bounded(statement: Statement, facts: Facts) -> Statement:
    """The statement with guards on sums where factors of what is added are zero; its loads are by axes.

    Zeros that are known are not multiplied, as in triangular products of libraries: what would be infinite or NaN there
    is left out.
    """

    def change(t: Term) -> Term | None:
        if t.kind != "fold" or t.data[0] != "sum":
            return None
        body, *guards = (changed(a, change, known) for a in t.arguments)
        letters = {name for name, _ in t.data[1]}
        for factor in _factors(body):
            for guard in _nonzero(factor, facts):
                if any(limits(guard, name) for name in letters & guard.free) and guard not in guards:
                    guards.append(guard)
        whole = guards[0] if guards else None
        for guard in guards[1:]:
            whole = call("logical_and", BOOL, whole, guard)  # type: ignore[arg-type]
        return fold("sum", t.dtype, t.data[1], body, whole)

    known: dict[Term, Term] = {}
    return replace(statement, body=changed(statement.body, change, known))


def _factors(term: Term) -> list[Term]:
    """What a term is a product of; it is zero where one of them is."""
    if term.kind == "call" and term.data in ("mul", "square", "neg", "cast"):
        return [f for a in term.arguments for f in _factors(a)]
    if term.kind == "call" and term.data == "div":
        return _factors(term.arguments[0])
    return [term]


def _nonzero(load: Term, facts: Facts) -> list[Term]:
    """Where an entry may be other than zero."""
    if load.kind != "load" or load.data[1] != INSIDE or load.data[2] < 2:
        return []
    row, column = (cast(i, I64) for i in load.arguments[-2:])
    found = []
    for fact in facts.get(load.data[0], ()):
        if fact.name == "diagonal":
            return [call("eq", BOOL, column, row)]
        if fact.name == "lower":
            found.append(call("le", BOOL, column, row))
        elif fact.name == "upper":
            found.append(call("ge", BOOL, column, row))
        elif fact.name == "banded":
            below, above = (cast(size(w), I64) for w in fact.arguments if not isinstance(w, float))
            found.append(call("ge", BOOL, call("add", I64, column, below), row))
            found.append(call("le", BOOL, column, call("add", I64, row, above)))
    return found
