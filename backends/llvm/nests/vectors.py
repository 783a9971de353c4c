"""Loops in which values of a letter make the lanes of vectors."""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from tpc.backends.llvm.nests.values import Lanes, Values
from tpc.ir.dims import DimLike


def for_lanes(
    values: Values,
    name: str,
    begin: ir.Value,
    end: ir.Value,
    extent: DimLike | None,
    count: int,
    body: Callable[[], None],
) -> None:
    """A loop in which `count` values of a letter make the lanes of vectors; the last ones are masked."""
    writer, b = values.writer, values.writer.builder
    outer = values.lanes
    starts_at_0 = isinstance(begin, ir.Constant) and begin.constant == 0
    whole = isinstance(end, ir.Constant) and starts_at_0 and isinstance(extent, int) and end.constant == extent
    length = b.sub(end, begin)
    full = (
        b.add(begin, b.and_(length, writer.integer(-count)))
        if not whole
        else writer.integer(end.constant // count * count)
    )
    if not (whole and full.constant == 0):
        with writer.loop(name, begin, full, count) as counter:
            values.letters[name], values.lanes = counter, Lanes(name, count, None, None)
            body()
    if not (whole and full.constant == end.constant):
        # below begin, where the range is empty, nothing is left either
        with writer.when(b.icmp_signed("<", writer.greater(full, begin) if not whole else full, end), f"{name}.tail"):
            start = full if whole else writer.greater(full, begin)
            rest = b.sub(end, start)
            counted, mask = (
                b.icmp_unsigned("<", writer.count_up(count), writer.spread(r, count))
                for r in (rest, writer.opaque(rest))
            )
            values.letters[name], values.lanes = start, Lanes(name, count, mask, counted)
            body()
    values.lanes = outer
    values.letters.pop(name, None)
