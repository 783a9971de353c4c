"""Sums along the rows of a matrix and sums along its columns in one pass, in which the matrix is read once.

    r[i] = sum[j](A[i, j] * x[j])        c[j] = sum[i](v[i] * A[i, j])

Rows are taken in chunks of a fixed number. Each has sums of columns of its own, which whoever reads c adds up: so
threads share the rows, and the order of sums does not depend on them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tpc.backends.llvm.fusion import places
from tpc.backends.llvm.fusion.statement import Buffer, Loop, Statement, Temporary
from tpc.backends.llvm.fusion.terms import INSIDE, Term, changed, fold, letter, load, parts, renamed
from tpc.backends.llvm.fusion.together import Step, whole
from tpc.ir.dims import DimLike, divide, multiply
from tpc.ir.types import F32, F64, TensorType

ROWS = 256  # of a chunk
SHORT = 32  # values of a letter, up to which the matrix stays in the nearest cache anyway
BEYOND = 64  # entries behind each line of sums, where lanes beyond the last column go
CHUNK, AGAIN = "chunk.rows", "again.rows"


@dataclass(frozen=True)
class _Walk:
    """A sum in a step: along the rows of matrices, or along their columns. `matrices` are loads, with the letters of
    rows and columns renamed."""

    position: int
    term: Term
    own: Loop
    inner: Loop
    is_along: bool
    matrices: frozenset[Term]

    @property
    def sizes(self) -> tuple[DimLike, DimLike]:
        return (self.own[1], self.inner[1]) if self.is_along else (self.inner[1], self.own[1])

    @property
    def reads(self) -> set[Buffer]:
        return {t.data[0] for t in parts(self.term) if t.kind == "load"}


def crossed(steps: Sequence[Step]) -> list[Step]:
    """The steps with sums of both kinds of one matrix taken together."""
    found = list(steps)
    while (pair := _pair(found)) is not None:
        found = _joined(found, *pair)
    return found


def _pair(steps: Sequence[Step]) -> tuple[_Walk, _Walk] | None:
    """A sum along rows and one along columns, of which the later can be moved to the earlier."""
    walks = [w for position, step in enumerate(steps) for w in _walks(position, step)]
    for along in (w for w in walks if w.is_along):
        for down in (w for w in walks if not w.is_along and w.sizes == along.sizes and w.matrices & along.matrices):
            first, last = sorted((along, down), key=lambda w: w.position)
            between = steps[first.position : last.position]
            written = {s.target for step in between for w in whole(step) for s in w.together}
            if written.isdisjoint(last.reads):
                return along, down
    return None


def _walks(position: int, step: Step) -> Iterator[_Walk]:
    if not isinstance(step, Statement) or step.is_crossed or step.is_added or step.kept:
        return
    extents = dict(step.letters)
    for term in parts(*step.bodies):
        if term.kind != "fold" or term.data[0] != "sum" or len(term.arguments) != 1 or term.height > 1:
            continue
        if term.dtype not in (F32, F64) or len(term.data[1]) != 1 or len(term.free) != 1:
            continue
        (name,), (inner,) = term.free, term.data[1]
        if name not in extents or any(isinstance(e, int) and e <= SHORT for e in (extents[name], inner[1])):
            continue
        for is_along, row, column in ((True, name, inner[0]), (False, inner[0], name)):
            loads = [t for t in parts(*term.arguments) if t.kind == "load"]
            if all(_is_line(t, column) for t in loads):
                meant = {row: "row", column: "column"}
                matrices = frozenset(renamed(t, meant) for t in loads if {row, column} <= t.free)
                yield _Walk(position, term, (name, extents[name]), inner, is_along, matrices)


def _is_line(term: Term, column: str) -> bool:
    """Whether a load reads along a line of memory, or one entry for all of it."""
    (index, *_) = term.arguments
    return term.data[1] == INSIDE and places.is_affine(index) and places.slope(index, column) in (0, 1)


def _joined(steps: Sequence[Step], along: _Walk, down: _Walk) -> list[Step]:
    """Both sums in a step of their own, or in that of the rows, and what reads those of the columns."""
    made = list(steps)
    (row, rows), (column, columns) = along.own, along.inner
    position = min(along.position, down.position)
    main = made[along.position]
    assert isinstance(main, Statement)
    dims = (divide(rows + (ROWS - 1), ROWS), multiply(divide(columns + (2 * BEYOND - 1), BEYOND), BEYOND))
    sums = Temporary("columns", TensorType(down.term.dtype, dims))
    # in the letters of the other sum
    there = renamed(down.term, {down.own[0]: column, down.inner[0]: row})
    place = places.composed([letter(CHUNK), letter(column)], dims)
    beside = Statement(sums, ((CHUNK, dims[0]), (column, columns)), place, there)
    again = places.composed([letter(AGAIN), letter(down.own[0])], dims)
    known = {down.term: fold("sum", down.term.dtype, [(AGAIN, dims[0])], load(sums, down.term.dtype, [again]))}
    folds = [t for t in parts(*main.bodies) if t.kind == "fold"]
    if along.position == position and main.letters == (along.own,) and not main.beside and folds == [along.term]:
        made[position] = replace(main, beside=(beside,), is_crossed=True)
        made[down.position] = _changed(made[down.position], known)
        return made
    target = Temporary("rows", TensorType(along.term.dtype, [rows]))
    known[along.term] = load(target, along.term.dtype, [letter(row)])
    for n in {along.position, down.position}:
        made[n] = _changed(made[n], known)
    made.insert(position, Statement(target, (along.own,), letter(row), along.term, (beside,), is_crossed=True))
    return made


def _changed(step: Step, known: Mapping[Term, Term]) -> Statement:
    """A statement with other terms in the places of some."""
    assert isinstance(step, Statement)
    bodies: dict[Term, Term] = {}
    first, *others = (replace(s, beside=(), body=changed(s.body, known.get, bodies)) for s in step.together)
    return replace(first, beside=tuple(others))
