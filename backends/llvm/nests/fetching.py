"""How far ahead of its loads a loop asks for memory: processors foresee what is read only within a page."""

from __future__ import annotations

from collections.abc import Collection

from llvmlite import ir

from tpc.backends.llvm.fusion import places
from tpc.backends.llvm.fusion.terms import Term, has_fold
from tpc.backends.llvm.nests.values import Ahead, Values
from tpc.ir.dims import DimLike, multiply
from tpc.ir.types import DType

LONG = 16384  # entries of a fold that are no more in the nearest cache
AHEAD = 1024  # bytes from where these are read to what is asked for meanwhile
ROW = 1 << 15  # bytes of a row that the nearest cache holds beside another


def ahead(values: Values, body: Term, own: Collection[str], extent: DimLike) -> Ahead | None:
    """That of a fold's loop, which has letters of its `own`: so many bytes for each load.

    While a row is gone through again, which is in the nearest cache by then, it is the row behind it that is asked for.
    """
    writer, b = values.writer, values.builder
    if isinstance(extent, int) and extent >= LONG:
        return lambda index, dtype: writer.integer(AHEAD)
    around = [name for name in values.letters if name in body.free and name not in own]
    if not around or not has_fold(body):
        return None

    def next_row(index: Term, dtype: DType) -> ir.Value | None:
        step = places.slope(index, around[-1])
        if step is None or step == 0:
            return None
        bytes_ = writer.dim(step * dtype.size)
        return b.select(b.icmp_unsigned("<=", bytes_, writer.integer(ROW)), bytes_, writer.integer(0))

    return next_row


def lines(values: Values, letter: str, count: int) -> Ahead:
    """That of loads which step from line to line with a letter: so many lines."""
    writer = values.writer

    def beyond(index: Term, dtype: DType) -> ir.Value | None:
        step = places.slope(index, letter)
        return None if step in (None, 0, 1) else writer.dim(multiply(step, count * dtype.size))

    return beyond
