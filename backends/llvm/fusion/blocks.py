"""Runs of statements that share their first letter, taken block by block of its values.

What one of them stores and only the others read lives for one block: a product of which each row is then reduced, or
weighs the rows of another matrix, is never there as a whole. Memory does not grow with the shared letter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tpc.backends.llvm.fusion import places
from tpc.backends.llvm.fusion.contraction import contraction
from tpc.backends.llvm.fusion.places import Sum
from tpc.backends.llvm.fusion.statement import Buffer, Loop, Statement
from tpc.backends.llvm.fusion.stream import Stream
from tpc.backends.llvm.fusion.terms import INSIDE, Term, parts
from tpc.ir.dims import DimLike, is_nonnegative, multiply, product

if TYPE_CHECKING:
    from tpc.backends.llvm.fusion.loop import Routine

WORTH = 1 << 20  # bytes of what may as well be stored as a whole


@dataclass(frozen=True, eq=False)
class Block:
    """Statements over ranges of their first letters, and the distance of rows in the buffers of one block; at the end
    there may be a routine on these rows."""

    statements: tuple[Statement, ...]
    rows: dict[Buffer, DimLike]
    routine: Routine | None = None

    @property
    def extent(self) -> DimLike:
        return self.statements[0].letters[0][1]

    @property
    def row_bytes(self) -> DimLike:
        return sum((d * b.tensor.dtype.size for b, d in self.rows.items()), 0)


def blocked(statements: Sequence[Statement | Stream], results: Sequence[Buffer]) -> list[Statement | Block | Stream]:
    """The statements with runs of them as blocks."""
    found: list[Statement | Block | Stream] = []
    last_read = {buffer: k for k, statement in enumerate(statements) for buffer in statement.reads}
    position = 0
    while position < len(statements):
        block = None
        for end in reversed(_ends(statements, position, last_read)):
            block = _block(statements[position:end], [*statements[:position], *statements[end:]], results)
            if block is not None:
                break
        found.append(block or statements[position])
        position += len(block.statements) if block else 1
    return found


def _ends(statements: Sequence[Statement | Stream], position: int, last_read: Mapping[Buffer, int]) -> list[int]:
    """Where runs from a position on may end: all values but the last are read before, and all have as many rows."""
    found = []
    until = 0
    extent = None
    for end, statement in enumerate(statements[position:], position + 1):
        if not isinstance(statement, Statement) or not statement.letters:
            break
        extent = extent or statement.letters[0]
        if statement.letters[0][1] != extent[1]:
            break
        if position + 1 < end and until < end:
            found.append(end)
        until = max(until, last_read.get(statement.target, len(statements)))
    return found


def _block(
    steps: Sequence[Statement | Stream], others: Sequence[Statement | Stream], results: Sequence[Buffer]
) -> Block | None:
    """A run as a block, if all of its values of no other use can live in it, and one of them is large."""
    run = [s for s in steps if isinstance(s, Statement)]
    if len(run) < len(steps) or any(not s.letters or s.letters[0][1] != run[0].letters[0][1] for s in run):
        return None
    if not any(_is_worth(s, run[-1].target) for s in run[:-1]):
        return None
    made = {s.target: s for s in run}
    rows: dict[Buffer, DimLike] = {}
    used = {b for s in others for b in s.reads}
    for statement in run:
        for load in statement.loads:
            source = made.get(load.data[0])
            if source is None:
                continue
            distance = _distance(source)
            if distance is None or not _within(load, statement, distance):
                return None
            if source.target not in used and source.target not in results:
                rows[source.target] = distance
    if any(s.target not in rows for s in run[:-1]) or run[-1].target in rows:
        return None
    return Block(tuple(run), rows)


def ended(statement: Statement, routine: Routine) -> Block | None:
    """A large product and a routine on each of its rows as a block; None where it is nothing of the kind."""
    (operand,), distance = routine.operands, _distance(statement)
    if operand.tensor.rank != 2 or distance != operand.tensor.dims[-1] or not _is_worth(statement, operand):
        return None
    return Block((statement,), {statement.target: distance}, replace(routine, operands=(statement.target,)))


def _is_worth(statement: Statement, last: Buffer) -> bool:
    """Whether a value is a large product, which is not computed where it is used.

    A matrix times its own transpose is half the work as a whole; so it is, where another of its size is stored anyway.
    """
    found = contraction(statement)
    size = product(e for _, e in statement.letters)
    small = isinstance(size, int) and size * statement.body.dtype.size < WORTH
    if found is None or not found.is_large or small:
        return False
    return not (found.is_gram and last.tensor.size == size)


def _distance(statement: Statement) -> DimLike | None:
    """How far the values of the first letter are apart in the target."""
    (name, _), *rest = statement.letters
    distance = places.slope(statement.place, name)
    return distance if distance == product(e for _, e in rest) else None


def _within(load: Term, reader: Statement, distance: DimLike) -> bool:
    """Whether a load reads at the reader's own value of the first letter alone."""
    if load.data[1] != INSIDE or not places.is_affine(load.arguments[0]):
        return False
    total = Sum()
    total.add(load.arguments[0])
    if total.slopes.pop(reader.letters[0][0], 0) != distance:
        return False
    extents = dict(_all_letters(reader))
    farthest = total.constant
    for name, slope in total.slopes.items():
        if not is_nonnegative(slope):
            return False
        farthest = farthest + multiply(slope, extents[name] - 1)
    return is_nonnegative(total.constant) and is_nonnegative(distance - 1 - farthest)


def _all_letters(statement: Statement) -> list[Loop]:
    folds = [t for t in parts(statement.body) if t.kind == "fold"]
    return [*statement.letters, *(loop for t in folds for loop in t.data[1])]
