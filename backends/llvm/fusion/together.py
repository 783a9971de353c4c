"""Statements over the same letters in one nest: what several of them read is read once.

A value that a later one of them reads at its own letters is not read again at all.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import replace

from tpc.backends.llvm.fusion.blocks import Block
from tpc.backends.llvm.fusion.contraction import contraction
from tpc.backends.llvm.fusion.statement import Buffer, Statement
from tpc.backends.llvm.fusion.stream import Stream
from tpc.backends.llvm.fusion.terms import INSIDE, Term, changed, has_fold, parts, renamed

MUCH = 1.25  # what one nest may cost of what two would
MOST = 8  # statements in one nest
Step = Statement | Block | Stream


def together(steps: Sequence[Step], results: Sequence[Buffer]) -> list[Step]:
    """The steps with statements put beside an earlier one, where nothing between needs to come before them.

    What then is read nowhere and is no result is not stored.
    """
    made: list[Step] = []
    for step in steps:
        place, merged = None, None
        for position in range(len(made) - 1, -1, -1):
            earlier = made[position]
            if isinstance(step, Statement) and isinstance(earlier, Statement):
                merged = _merged(earlier, step)
                if merged is not None:
                    place = position
                    break
            if _depends(step, earlier):
                break
        if place is None or merged is None:
            made.append(step)
        else:
            made[place] = merged
    needed = {b for step in made for b in reads(step)}.union(results)
    return [_without(step, needed) if isinstance(step, Statement) else step for step in made]


def _without(statement: Statement, needed: Set[Buffer]) -> Statement:
    first, *others = (s for s in statement.together if s.target in needed)
    return replace(first, beside=tuple(replace(s, beside=()) for s in others))


def _merged(earlier: Statement, later: Statement) -> Statement | None:
    """Both in one nest, or None where they do not fit or have nothing to do with each other."""
    if [e for _, e in earlier.letters] != [e for _, e in later.letters] or len(earlier.together) >= MOST:
        return None
    if any(_goes_alone(s) for s in (*earlier.together, later)):
        return None
    if not later.reads & (earlier.reads | {s.target for s in earlier.together}):
        return None
    names = {old: new for (old, _), (new, _) in zip(later.letters, earlier.letters, strict=True)}
    made = {s.target: s for s in earlier.together}

    def known(t: Term) -> Term | None:
        source = made.get(t.data[0]) if t.kind == "load" and t.data[1] == INSIDE else None
        return source.body if source is not None and t.arguments[0] is source.place else None

    body = changed(renamed(later.body, names), known)
    if any(t.kind == "load" and t.data[0] in made for t in parts(body)):
        return None  # it needs values of other letters
    beside = Statement(later.target, earlier.letters, renamed(later.place, names), body)
    both = replace(earlier, beside=(*earlier.beside, beside))
    return both if gets_along(both, earlier, later) else None


def gets_along(both: Statement, *apart: Statement) -> bool:
    """Whether one nest suits folds of several: one along rows and one along columns are better off in their own."""
    return not all(any(map(has_fold, s.bodies)) for s in apart) or is_no_dearer(both, *apart)


def is_no_dearer(both: Statement, *apart: Statement) -> bool:
    """Whether one nest costs about what several do, each with the lanes that suit it: folds of short rows have none."""
    from tpc.backends.llvm.nests.lanes import least_expense

    return least_expense(both) <= MUCH * sum(map(least_expense, apart))


def _goes_alone(statement: Statement) -> bool:
    """Products are a library's; a fold with a guard may run along a letter."""
    found = contraction(statement)
    if found is not None and found.is_large:
        return True
    return any(t.kind == "fold" and len(t.arguments) > 1 for t in parts(statement.body)) and bool(
        statement.letters and "chunk" not in statement.letters[-1][0]
    )


def _depends(step: Step, earlier: Step) -> bool:
    written = {s.target for e in whole(earlier) for s in e.together}
    return not written.isdisjoint(reads(step))


def reads(step: Step) -> Set[Buffer]:
    """What a step reads that is stored before it, or within it."""
    return step.reads if not isinstance(step, Block) else {b for s in step.statements for b in s.reads}


def whole(step: Step) -> Sequence[Statement]:
    """The statements of a step, over all values of their letters."""
    if isinstance(step, Block):
        return step.statements
    return [step if isinstance(step, Statement) else step.whole]
