"""Arrays that vectors would read in steps, again and again, as transposed copies that they read along lines."""

from __future__ import annotations

from dataclasses import replace

from tpc.backends.llvm.fusion import places
from tpc.backends.llvm.fusion.statement import Loop, Statement, Temporary, computed
from tpc.backends.llvm.fusion.terms import INSIDE, Term, changed, letter, load, parts, renamed
from tpc.ir.dims import DimLike, divide
from tpc.ir.types import BOOL, DType, TensorType

REUSED = 16  # how often entries are read for a copy to pay
CACHE_LINE = 64  # bytes
MANY = 256  # of a size that is not known


def along_lines(statement: Statement) -> list[Statement]:
    """The statement behind copies of what it reads; its loads are flat."""
    along = [name for name, _ in statement.letters if places.slope(statement.place, name) == 1]
    found = _stepped(statement, along[-1]) if along else {}
    copies, meant = [], {}
    for term, (line, lane) in found.items():
        target = Temporary("transposed", TensorType(term.dtype, [line[1], _distance(lane[1], term.dtype)]))
        own = {line[0]: "line", lane[0]: "entry"}
        place = places.composed([letter("line"), letter("entry")], target.tensor.dims)
        copies.append(Statement(target, (("line", line[1]), ("entry", lane[1])), place, renamed(term, own)))
        meant[term] = load(target, term.dtype, [renamed(place, {new: old for old, new in own.items()})])
    if not copies:
        return [statement]
    return [*copies, replace(statement, body=changed(statement.body, meant.get))]


def _stepped(statement: Statement, lane: str) -> dict[Term, tuple[Loop, Loop]]:
    """Loads that step through memory from one value of a letter to the next, and do so for many of other letters.

    Each with the letter that runs along memory, and the other; nothing, where loads remain that step through it.
    """
    folds = [t for t in parts(statement.body) if t.kind == "fold"]
    letters = dict([*statement.letters, *(loop for t in folds for loop in t.data[1])])
    found: dict[Term, tuple[Loop, Loop]] = {}
    for term, around in computed(statement.body, statement.letters):
        if term.kind != "load" or lane not in term.free:
            continue
        (index, *_) = term.arguments
        if term.data[1] != INSIDE or not places.is_affine(index):
            return {}
        if places.slope(index, lane) == 1:
            continue
        lines = [name for name in term.free - {lane} if places.slope(index, name) == 1]
        reused = max((extent for name, extent in around if name not in term.free), key=_guess, default=0)
        few = min(_guess(reused), _guess(letters[lane])) < REUSED
        if len(term.free) != 2 or not lines or few or term.dtype is BOOL:
            return {}
        found[term] = (lines[0], letters[lines[0]]), (lane, letters[lane])
    return found


def _distance(count: DimLike, dtype: DType) -> DimLike:
    """From line to line an odd number of lines of the cache, so that entries above each other are not in one place."""
    entries = CACHE_LINE // dtype.size
    return divide(count + (2 * entries - 1), 2 * entries) * (2 * entries) + entries


def _guess(extent: DimLike) -> int:
    return extent if isinstance(extent, int) else MANY
