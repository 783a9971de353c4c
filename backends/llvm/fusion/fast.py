"""What holds in exact arithmetic alone, and is done where the user allows it."""

from __future__ import annotations

from dataclasses import replace

from tpc.backends.llvm.fusion.statement import Statement, computed
from tpc.backends.llvm.fusion.terms import Term, call, changed, number


def with_reciprocals(statement: Statement) -> Statement:
    """Divisions by what a loop does not change, as products with a reciprocal that is computed before the loop."""
    loops = {t: len(around) for t, around in computed(statement.body, statement.letters)}

    def change(t: Term) -> Term | None:
        if t.kind != "call" or t.data != "div" or loops[t.arguments[1]] >= loops[t]:
            return None
        left, right = (changed(a, change, known) for a in t.arguments)
        return call("mul", t.dtype, left, call("div", t.dtype, number(1, t.dtype), right))

    known: dict[Term, Term] = {}
    return replace(statement, body=changed(statement.body, change, known))
