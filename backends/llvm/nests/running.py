"""Running folds: `sum[k where k <= i](x[k])` for all i takes one step from each i to the next."""

from __future__ import annotations

from tpc.backends.llvm.fusion import places
from tpc.backends.llvm.fusion.limits import limits
from tpc.backends.llvm.fusion.statement import Statement
from tpc.backends.llvm.fusion.terms import Term, fold, letter, parts, renamed
from tpc.backends.llvm.nests.lanes import lane_count


def running_letter(statement: Statement) -> str | None:
    """The letter along which folds of a statement run, or None; folds inside of others with their letters do not."""
    letters = {name for name, _ in statement.letters}
    for term in parts(statement.body):
        if term.kind == "fold" and term.free <= letters and len(term.arguments) == 2 and len(term.data[1]) == 1:
            body, guard = term.arguments
            ((inner, extent),) = term.data[1]
            for name, whole in statement.letters:
                if whole == extent and name not in body.free and limits(guard, inner) == [(-1, letter(name))]:
                    return name
    return None


def step_of(term: Term, name: str) -> Term | None:
    """The fold of the one value that a running fold takes in at a letter; None for other terms."""
    if term.kind != "fold" or len(term.arguments) != 2 or len(term.data[1]) != 1:
        return None
    body, guard = term.arguments
    operator, ((inner, extent),) = term.data
    if name in body.free or operator.startswith("arg") or limits(guard, inner) != [(-1, letter(name))]:
        return None
    return fold(operator, term.dtype, [(f"{inner}.now", extent)], renamed(body, {inner: name}))


def ordered(statement: Statement, name: str) -> tuple[Statement, tuple[str, int] | None]:
    """The statement with the running letter innermost, and the lanes beside it that are stored side by side."""
    letters = [loop for loop in statement.letters if loop[0] != name]
    along = [loop for loop in letters if places.slope(statement.place, loop[0]) == 1]
    lane = None
    if along:
        lanes = lane_count(statement.body, along[0][1])
        lane = (along[0][0], lanes) if lanes > 1 else None
    order = (*(loop for loop in letters if loop not in along), *along, (name, dict(statement.letters)[name]))
    return Statement(statement.target, order, statement.place, statement.body), lane
