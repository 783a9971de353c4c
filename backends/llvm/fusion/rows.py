"""Rows that are needed twice: what a fold computes of every entry is kept until it is needed.

In `exp(x[i,j] - m[i]) / sum[k](exp(x[i,k] - m[i]))` each exponential is computed once, stored, and divided.
"""

from __future__ import annotations

from tpc.backends.llvm.fusion import places
from tpc.backends.llvm.fusion.statement import Buffer, Statement, flops
from tpc.backends.llvm.fusion.terms import HALVES, Term, changed, letter, load, parts, renamed

WORTH = 8  # flops of what is rather kept than computed again


def kept_row(statement: Statement, row: Buffer) -> tuple[Statement, dict[Term, Term]]:
    """The statement that reads entries from a buffer for one row, and where in it folds must store them."""
    if statement.body.dtype in HALVES:
        return statement, {}  # it would be rounded in between
    if not statement.letters or places.slope(statement.place, statement.letters[-1][0]) != 1:
        return statement, {}
    name, extent = statement.letters[-1]
    letters = {n for n, _ in statement.letters}
    own = dict.fromkeys(parts(statement.body))
    folds = [t for t in own if t.kind == "fold" and name not in t.free and len(t.arguments) == 1]
    candidates: list[tuple[int, Term, Term, str]] = []
    for term in folds:
        if len(term.data[1]) > 1 or term.data[1][0][1] != extent:
            continue
        ((inner, _),) = term.data[1]
        for part in parts(term.arguments[0]):
            if inner not in part.free or part.kind != "call" or part.dtype is not statement.body.dtype:
                continue
            again = renamed(part, {inner: name})
            # a fold around both would come back to the row when it holds the result
            # what is the same for all of the row is not computed again
            work = flops(part, inner)
            if again in own and again.free == letters and work >= WORTH:
                candidates.append((work, part, again, inner))
    if not candidates:
        return statement, {}
    _, part, again, inner = max(candidates, key=lambda found: found[0])
    entry = load(row, part.dtype, [letter(name)])
    body = changed(statement.body, lambda t: entry if t is again else None)
    kept = Statement(statement.target, statement.letters, statement.place, body)
    return kept, {part: letter(inner)}
