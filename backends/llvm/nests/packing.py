"""Loads that step through lines of memory from lane to lane, turned into loads along vectors.

Where a letter inside of the lanes runs along those lines, eight of its values are loaded at once for every lane and
transposed in registers into a small buffer, from which the loop reads vectors. No column of a row-major array is ever
walked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from llvmlite import ir

from tpc.backends.llvm.fusion import places
from tpc.backends.llvm.fusion.terms import INSIDE, Term, parts
from tpc.backends.llvm.nests.types import POINTER, constant, memory, vector
from tpc.backends.llvm.nests.values import Values
from tpc.ir.types import BOOL

TILE = 8
LINE = 64  # bytes
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
    tiles = {t: writer.variable(vector(memory(t.dtype), TILE * lanes.count), "tile") for t in strided}
    with writer.loop(f"{name}.tile", begin, end, TILE) as first:
        values.letters[name] = first
        count = writer.lesser(writer.builder.sub(end, first), writer.integer(TILE))
        for term, tile in tiles.items():
            _pack(values, term, tile, count)
        with writer.loop(name, writer.integer(0), count) as step:
            for term, tile in tiles.items():
                type_ = memory(term.dtype)
                address = writer.address(tile, vector(type_, lanes.count), step)
                entries = writer.builder.load(address, typ=vector(type_, lanes.count))
                writer.known[-1][term] = values.opened(entries, term.dtype)
            values.letters[name] = writer.builder.add(first, step, flags=("nsw",))
            body()
    del values.letters[name]


def _pack(values: Values, term: Term, tile: ir.Value, count: ir.Value) -> None:
    """Load `count` entries of every lane and store them so that those of all lanes lie side by side."""
    writer, lanes = values.writer, values.lanes
    assert lanes is not None
    b, type_ = writer.builder, memory(term.dtype)
    (index,) = term.arguments
    step = places.slope(index, lanes.name)
    assert step is not None
    distance = writer.dim(step)
    first = values.first_place(index)
    row = vector(type_, TILE)
    there = b.icmp_unsigned("<", writer.count_up(TILE), writer.spread(count, TILE))
    rows = []
    for lane in range(lanes.count):
        mask = there
        if lanes.mask is not None:
            own = b.extract_element(lanes.mask, ir.Constant(ir.IntType(32), lane))
            mask = b.and_(there, writer.spread(own, TILE))
        place = b.add(first, b.mul(distance, writer.integer(lane))) if lane else first
        address = writer.address(values.pointers[term.data[0]], type_, place)
        align = ir.Constant(ir.IntType(32), term.dtype.size)
        if term.dtype.size * TILE == LINE:
            writer.fetch(b.gep(address, [writer.integer(AHEAD * TILE)], source_etype=type_))
        rows.append(writer.intrinsic("llvm.masked.load", [row, POINTER], row, [address, align, mask, constant(row, 0)]))
    for group in range(0, lanes.count, TILE):
        for position, piece in enumerate(transposed(b, rows[group : group + TILE])):
            place = writer.integer(position * lanes.count + group)
            b.store(piece, writer.address(tile, type_, place))


def transposed(b: ir.IRBuilder, rows: list[ir.Value]) -> list[ir.Value]:
    """The columns of a square of vectors: blocks are exchanged across the diagonal, ever larger ones."""
    rows = list(rows)
    distance = 1
    while distance < len(rows):
        low = [p if not p & distance else p - distance + TILE for p in range(TILE)]
        high = [p + distance if not p & distance else p + TILE for p in range(TILE)]
        for n in range(TILE):
            if not n & distance:
                upper, lower = rows[n], rows[n + distance]
                rows[n] = _shuffled(b, upper, lower, low)
                rows[n + distance] = _shuffled(b, upper, lower, high)
        distance *= 2
    return rows


def _shuffled(b: ir.IRBuilder, left: ir.Value, right: ir.Value, lanes: list[int]) -> ir.Value:
    mask = ir.Constant(vector(ir.IntType(32), len(lanes)), [ir.Constant(ir.IntType(32), n) for n in lanes])
    return b.shuffle_vector(left, right, mask)
