"""Letters that run through memory as one become one: an elementwise statement is a single loop over all entries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tpc.backends.llvm.fusion import places
from tpc.backends.llvm.fusion.places import Sum
from tpc.backends.llvm.fusion.statement import Loop, Statement
from tpc.backends.llvm.fusion.terms import INSIDE, Term, changed, fold, load, parts
from tpc.ir.dims import multiply


def collapsed(statement: Statement) -> Statement:
    """The statement with letters joined where every load and the store treat them as one."""
    place, body = statement.place, _folds(statement.body)
    letters = list(statement.letters)
    position = len(letters) - 2
    while position >= 0:
        outer, inner = letters[position : position + 2]
        if _joined([body], outer, inner) and _steps([place], outer, inner):
            joined = (outer[0] + inner[0], multiply(outer[1], inner[1]))
            body, place = _rewritten(body, outer[0], inner[0], joined[0]), _index(place, outer[0], inner[0], joined[0])
            letters[position : position + 2] = [joined]
        position -= 1
    return replace(statement, letters=tuple(letters), place=place, body=body)


def _folds(body: Term) -> Term:
    """The same for the letters of folds."""

    def change(t: Term) -> Term | None:
        if t.kind != "fold" or len(t.data[1]) < 2 or t.data[0].startswith("arg"):
            return None
        arguments = [changed(a, change, known) for a in t.arguments]
        letters = list(t.data[1])
        position = len(letters) - 2
        while position >= 0:
            outer, inner = letters[position : position + 2]
            if _joined(arguments, outer, inner):
                name = f"{outer[0].partition('.')[0]}{inner[0]}"
                arguments = [_rewritten(a, outer[0], inner[0], name) for a in arguments]
                letters[position : position + 2] = [(name, multiply(outer[1], inner[1]))]
            position -= 1
        return fold(t.data[0], t.dtype, letters, *arguments)

    known: dict[Term, Term] = {}
    return changed(body, change, known)


def _joined(terms: Sequence[Term], outer: Loop, inner: Loop) -> bool:
    indices = [t.arguments[0] for t in parts(*terms) if t.kind == "load" and t.data[1] == INSIDE]
    return _steps(indices, outer, inner) and not _used_elsewhere(terms, {outer[0], inner[0]})


def _steps(indices: Sequence[Term], outer: Loop, inner: Loop) -> bool:
    """Whether a step of the outer letter is as far as all steps of the inner one, in every index."""
    for index in indices:
        far, near = places.slope(index, outer[0]), places.slope(index, inner[0])
        if far is None or near is None or far != multiply(near, inner[1]):
            return False
    return True


def _used_elsewhere(terms: Sequence[Term], names: set[str]) -> bool:
    """Whether letters are used outside of the indices of plain loads."""
    done: set[Term] = set()
    stack = list(terms)
    while stack:
        term = stack.pop()
        if term in done or not term.free & names:
            continue
        done.add(term)
        if term.kind in ("letter", "place"):
            return True
        if term.kind == "load" and term.data[1] == INSIDE:
            index = term.arguments[0]
            stack.extend(index.arguments if index.kind == "place" else () if index.kind == "letter" else (index,))
        else:
            stack.extend(term.arguments)
    return False


def _rewritten(term: Term, outer: str, inner: str, joined: str) -> Term:
    def change(t: Term) -> Term | None:
        if t.kind != "load" or t.data[1] != INSIDE:
            return None
        return load(t.data[0], t.dtype, [_index(t.arguments[0], outer, inner, joined)])

    return changed(term, change)


def _index(index: Term, outer: str, inner: str, joined: str) -> Term:
    if not {outer, inner} & index.free:
        return index
    total = Sum()
    total.add(index)
    total.slopes.pop(outer, None)
    total.slopes = {joined if name == inner else name: slope for name, slope in total.slopes.items()}
    return total.term()
