"""Loads that step through lines of memory from lane to lane, turned into loads along vectors.

Where a letter inside of the lanes runs along those lines, some of its values are loaded at once for every lane and
transposed in registers into a small buffer, from which the loop reads vectors; a square as wide as the lanes stays in
registers. No column of a row-major array is ever walked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from llvmlite import ir

from tpc.backends.llvm.fusion import places
from tpc.backends.llvm.fusion.terms import INSIDE, Term, parts
from tpc.backends.llvm.nests.types import POINTER, constant, lanes_of, memory, shuffled, vector
from tpc.backends.llvm.nests.values import LINE, Values
from tpc.backends.llvm.nests.writer import Writer
from tpc.ir.types import BOOL

TILE = 8
MOST = 16  # rows of a square that is transposed at once
AHEAD = 3  # lines from where a row is read to what is asked for meanwhile: of so many rows no processor foresees it


def is_strided(load: Term, lane: str, along: str) -> bool:
    """Whether a load steps from lane to lane, and by one from value to value of another letter."""
    if load.kind != "load" or load.data[1] != INSIDE or load.dtype is BOOL:
        return False
    (index,) = load.arguments
    return places.is_affine(index) and places.slope(index, lane) not in (0, 1, None) and places.slope(index, along) == 1


def loop(
    values: Values, name: str, begin: ir.Value, end: ir.Value, terms: Iterable[Term], body: Callable[[], None]
) -> None:
    """A loop over a letter inside of the lanes."""
    writer, lanes = values.writer, values.lanes
    is_open = values.letters.keys() | {name}
    strided = [t for t in parts(*terms) if lanes and t.free <= is_open and is_strided(t, lanes.name, name)]
    if not strided or lanes is None or lanes.count < TILE:
        with writer.loop(name, begin, end) as counter:
            values.letters[name] = counter
            body()
        del values.letters[name]
        return
    # a line of the cache at a time, where it has not more entries than there are lanes
    side = min(LINE // max(t.dtype.size for t in strided), lanes.count, MOST)
    if side == lanes.count:
        begin = _squares(values, name, begin, end, strided, side, body)
    tiles = {t: writer.variable(vector(memory(t.dtype), side * lanes.count), "tile") for t in strided}
    with writer.loop(f"{name}.tile", begin, end, side) as first:
        values.letters[name] = first
        count = writer.lesser(writer.builder.sub(end, first), writer.integer(side))
        for term, tile in tiles.items():
            _pack(values, term, tile, side, count)
        with writer.loop(name, writer.integer(0), count) as step:
            for term, tile in tiles.items():
                type_ = memory(term.dtype)
                address = writer.address(tile, vector(type_, lanes.count), step)
                entries = writer.builder.load(address, typ=vector(type_, lanes.count))
                writer.known[-1][term] = values.opened(entries, term.dtype)
            values.letters[name] = writer.builder.add(first, step, flags=("nsw",))
            body()
    del values.letters[name]


def _squares(
    values: Values,
    name: str,
    begin: ir.Value,
    end: ir.Value,
    strided: Iterable[Term],
    side: int,
    body: Callable[[], None],
) -> ir.Value:
    """The whole squares of a loop, which stay in registers; gives where they end."""
    writer, b = values.writer, values.writer.builder
    whole = b.add(begin, b.and_(b.sub(end, begin), writer.integer(-side)))
    with writer.loop(f"{name}.square", begin, whole, side) as first:
        values.letters[name] = first
        columns = {t: transposed(b, _rows(values, t, range(side))) for t in strided}
        for offset in range(side):
            with writer.scope():
                writer.known[-1].update((t, values.opened(found[offset], t.dtype)) for t, found in columns.items())
                values.letters[name] = b.add(first, writer.integer(offset), flags=("nsw",))
                body()
    return writer.greater(whole, begin)


def _pack(values: Values, term: Term, tile: ir.Value, side: int, count: ir.Value) -> None:
    """Load `count` entries of every lane and store them so that those of all lanes lie side by side."""
    writer, lanes = values.writer, values.lanes
    assert lanes is not None
    b = writer.builder
    there = b.icmp_unsigned("<", writer.count_up(side), writer.spread(count, side))
    for group in range(0, lanes.count, side):
        rows = _rows(values, term, range(group, group + side), there)
        for position, piece in enumerate(transposed(b, rows)):
            place = writer.integer(position * lanes.count + group)
            b.store(piece, writer.address(tile, memory(term.dtype), place))


def _rows(values: Values, term: Term, group: range, there: ir.Value | None = None) -> list[ir.Value]:
    """As many entries of each of some lanes, from the open letter on; those alone that are `there`."""
    writer, lanes = values.writer, values.lanes
    assert lanes is not None
    b, type_ = writer.builder, memory(term.dtype)
    (index,) = term.arguments
    step = places.slope(index, lanes.name)
    assert step is not None
    distance, first = writer.dim(step), values.first_place(index)
    row, align = vector(type_, len(group)), ir.Constant(ir.IntType(32), term.dtype.size)
    rows = []
    for lane in group:
        place = b.add(first, b.mul(distance, writer.integer(lane))) if lane else first
        if lane and lanes.mask is not None:  # a lane that is not there reads what the first one does
            own = b.extract_element(lanes.mask, ir.Constant(ir.IntType(32), lane))
            place = b.select(own, place, first)
        address = writer.address(values.pointers[term.data[0]], type_, place)
        writer.fetch(b.gep(address, [writer.integer(AHEAD * LINE // term.dtype.size)], source_etype=type_))
        if there is None:
            rows.append(b.load(address, typ=row, align=term.dtype.size))
        else:
            arguments = [address, align, there, constant(row, 0)]
            rows.append(writer.intrinsic("llvm.masked.load", [row, POINTER], row, arguments))
    return rows


def transposed(b: ir.IRBuilder, rows: list[ir.Value]) -> list[ir.Value]:
    """The columns of a square of vectors: blocks are exchanged across the diagonal, ever larger ones."""
    rows = list(rows)
    side = len(rows)
    distance = 1
    while distance < side:
        for n in range(side):
            if not n & distance:
                rows[n], rows[n + distance] = _exchanged(b, rows[n], rows[n + distance], distance)
        distance *= 2
    return rows


def merged(
    writer: Writer, rows: list[ir.Value], combine: Callable[[ir.Value, ir.Value], ir.Value], neutral: ir.Constant
) -> ir.Value:
    """A vector of what the lanes of each row come to, together: blocks are combined where they would be exchanged."""
    b, side = writer.builder, len(rows)
    rows = [r if lanes_of(r) else writer.spread(r, 1) for r in rows]
    while (lanes := lanes_of(rows[0])) > side:
        halves = range(lanes // 2), range(lanes // 2, lanes)
        rows = [combine(*(shuffled(b, row, row, half) for half in halves)) for row in rows]
    if lanes < side:
        beyond = writer.spread(neutral, lanes)
        rows = [shuffled(b, row, beyond, [min(p, lanes) for p in range(side)]) for row in rows]
    distance = 1
    while distance < side:
        rows = [combine(*_exchanged(b, *pair, distance)) for pair in zip(rows[::2], rows[1::2], strict=True)]
        distance *= 2
    return rows[0]


def _exchanged(b: ir.IRBuilder, upper: ir.Value, lower: ir.Value, distance: int) -> tuple[ir.Value, ir.Value]:
    """Two vectors with blocks of the first in the places of blocks of the second that lie before them."""
    side = lanes_of(upper)
    low = [p if not p & distance else p - distance + side for p in range(side)]
    high = [p + distance if not p & distance else p + side for p in range(side)]
    return shuffled(b, upper, lower, low), shuffled(b, upper, lower, high)
