"""Which letter makes the lanes of vectors, and how many there are: by a count of what is loaded and computed."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tpc.backends.llvm.fusion import places
from tpc.backends.llvm.fusion.chunks import UNEVEN
from tpc.backends.llvm.fusion.statement import Loop, Statement, computed
from tpc.backends.llvm.fusion.terms import Term, parts
from tpc.backends.llvm.host import host
from tpc.backends.llvm.nests.lookup import lookup, lookup_lanes
from tpc.backends.llvm.nests.types import register_bytes
from tpc.ir.dims import DimLike
from tpc.ir.scalar import SCALARS

ASSUMED = 256  # of a size that is not known when code is made
VECTORS = 4  # computed side by side, so that one need not wait for the result of the one before
MANY = 60  # flops of a body that has enough to do with fewer
PACKED = 4.0  # what a vector costs that is transposed in registers
MERGE = 10.0  # what it costs to put the lanes of a fold together
GATHER, SCATTER = 1.5, 6.0  # what a lane costs that is loaded or stored by itself, in units of one vector load
NEAR = 4  # entries that may lie from lane to lane, where loading what is between is better than gathering


def lane_count(body: Term, extent: DimLike, vectors: int = VECTORS) -> int:
    """How many lanes: several vectors of the machine of the widest format, and no more than a power of two can use."""
    formats = [t.dtype for t in parts(body) if t.kind in ("load", "call", "fold") and not t.dtype.is_weak]
    widest = max(map(register_bytes, formats), default=8)
    work = sum(_flops(t) for t in parts(body))
    lanes = host().vector_bits // (8 * widest) * (vectors if work <= MANY else (vectors + 1) // 2)
    if isinstance(extent, int):
        lanes = min(lanes, 1 << max(extent - 1, 0).bit_length())
    return lanes


def fold_lane(term: Term, vectors: int = VECTORS) -> tuple[str, int] | None:
    """The letter of a fold that makes its lanes; None where it is better off without."""
    body = term.arguments[0]
    extents = dict(term.data[1])
    best = min(extents, key=lambda name: expense(body, term.data[1], name))
    lanes = lane_count(body, extents[best], vectors)
    return (best, lanes) if lanes > 1 else None


def statement_lane(statement: Statement, vectors: int = VECTORS) -> tuple[str, int] | None:
    """The letter of a statement that makes its lanes; the last of equally good ones."""
    extents = dict(statement.letters)
    if not extents:
        return None

    fit = [name for name in reversed(extents) if not name.startswith(UNEVEN)]
    best = min([*fit, None], key=lambda name: _total(statement, name))
    if best is None:
        return None  # its folds have lanes of their own
    # what is only transposed has nothing to wait for, and takes long to compile
    vectors = 1 if all(_is_stepped(body, best) for body in statement.bodies) else vectors
    lanes = min(lane_count(body, extents[best], vectors) for body in statement.bodies)
    return (best, lanes) if lanes > 1 else None


def _is_stepped(body: Term, lane: str) -> bool:
    """Whether a body is a load alone that steps through memory from lane to lane."""
    return body.kind == "load" and all(places.slope(index, lane) not in (0, 1) for index in body.arguments)


def least_expense(statement: Statement) -> float:
    """Vector operations of a statement with the lanes that suit it best."""
    return min(_total(statement, name) for name in [*(n for n, _ in statement.letters), None])


def _total(statement: Statement, lane: str | None) -> float:
    return sum(expense(s.body, statement.letters, lane, s.place) for s in statement.together)


def expense(body: Term, loops: Sequence[Loop], lane: str | None, place: Term | None = None) -> float:
    """Vector operations of a nest in which a letter makes lanes; a fold outside of its loop finds lanes of its own."""
    width = host().vector_bits // 64
    total = 0.0
    for term, own in computed(body, loops):
        names = [name for name, _ in own]
        here: str | None = lane
        if lane not in names:
            here = names[-1] if names and "." in names[-1] else None
        runs = math.prod(guess(extent) for _, extent in own) / (width if here else 1)
        if term.kind == "fold" and lane not in term.arguments[0].free:
            total += runs * MERGE
        total += runs * _price(term, here, names, width)
    if place is not None:
        runs = math.prod(guess(extent) for _, extent in loops) / (width if lane else 1)
        total += runs * (1.0 if lane is None or places.slope(place, lane) == 1 else SCATTER * width)
    return total


def guess(extent: DimLike) -> int:
    return extent if isinstance(extent, int) else ASSUMED


def _price(term: Term, lane: str | None, around: Sequence[str], width: int) -> float:
    if term.kind == "load":
        table = lookup(term)
        if table is not None and lane not in table.first.free and lookup_lanes(term.dtype):
            return 1.0
        return max(_access(a, lane, around, width) for a in term.arguments)
    return 0.5 * _flops(term)


def _access(index: Term, lane: str | None, around: Sequence[str], width: int) -> float:
    step = places.slope(index, lane) if lane is not None else 0
    if step in (0, 1):
        return 1.0
    if isinstance(step, int) and 0 < step <= NEAR:
        return float(step)
    return PACKED if any(places.slope(index, name) == 1 for name in around) else GATHER * width


def _flops(term: Term) -> int:
    if term.kind == "fold":
        return 20 if term.data[0] == "logsumexp" else 1
    return SCALARS[term.data].flops if term.kind == "call" and term.data != "cast" else 0
