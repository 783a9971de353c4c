"""Loops in which values of a letter make the lanes of vectors."""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from tpc.backends.llvm.nests.values import Lanes, Values
from tpc.ir.dims import DimLike

LONG = 8  # vectors of a loop from which on it pays that what is stored is aligned


def for_lanes(
    values: Values,
    name: str,
    begin: ir.Value,
    end: ir.Value,
    extent: DimLike | None,
    count: int,
    body: Callable[[], None],
    head: Callable[[], ir.Value] | None = None,
    is_past: Callable[[], ir.Value] | None = None,
) -> None:
    """A loop in which `count` values of a letter make the lanes of vectors; the last ones are masked.

    `head` gives how many values are to be masked at the begin, where the loop is long; then nothing may depend on the
    order of values. `is_past` tells behind these whether whole vectors are to be stored past the caches.
    """
    outer = values.lanes
    if head is not None and not (isinstance(extent, int) and extent < LONG * count):
        _for_aligned(values, name, begin, end, count, body, head, is_past)
    else:
        _for_all(values, name, begin, end, extent, count, body)
    values.lanes = outer
    values.letters.pop(name, None)


def _for_all(
    values: Values,
    name: str,
    begin: ir.Value,
    end: ir.Value,
    extent: DimLike | None,
    count: int,
    body: Callable[[], None],
) -> None:
    writer, b = values.writer, values.writer.builder
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


def _for_aligned(
    values: Values,
    name: str,
    begin: ir.Value,
    end: ir.Value,
    count: int,
    body: Callable[[], None],
    head: Callable[[], ir.Value],
    is_past: Callable[[], ir.Value] | None,
) -> None:
    """What is masked at both ends, which is written once, and then the rest."""
    writer, b = values.writer, values.writer.builder
    values.letters[name] = begin
    length = b.sub(end, begin)
    is_long = b.icmp_signed(">=", length, writer.integer(LONG * count))
    first = b.add(begin, b.select(is_long, head(), writer.integer(0)))
    whole = b.and_(b.sub(end, first), writer.integer(-count))
    last = writer.greater(b.add(first, whole), first)
    with writer.loop(f"{name}.end", writer.integer(0), writer.integer(2)) as number:
        is_first = b.icmp_signed("==", number, writer.integer(0))
        low, high = b.select(is_first, begin, last), b.select(is_first, first, end)
        with writer.when(b.icmp_signed("<", low, high), f"{name}.masked"):
            rest = b.sub(high, low)
            counted, mask = (
                b.icmp_unsigned("<", writer.count_up(count), writer.spread(r, count))
                for r in (rest, writer.opaque(rest))
            )
            values.letters[name], values.lanes = low, Lanes(name, count, mask, counted)
            body()

    def rest_of_all() -> None:
        with writer.loop(name, first, last, count) as counter:
            values.letters[name], values.lanes = counter, Lanes(name, count, None, None)
            body()

    if is_past is None:
        rest_of_all()
        return
    values.letters[name], values.lanes = first, None
    past = is_past()
    with writer.when(past, f"{name}.past"):
        values.is_past = True
        rest_of_all()
        values.is_past = False
    with writer.when(b.not_(past), f"{name}.cached"):
        rest_of_all()
