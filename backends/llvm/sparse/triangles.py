"""Systems with sparse triangles as native code: substitution by rows (CSR) or by columns (CSC).

Rows wait for those before them, so that a vector is for one thread; of more right sides each thread takes some. The
entries of a line are in order, each once. Those on the other side of the diagonal are passed over, as their places are
not part of the triangle. A diagonal with a zero ends it: the status tells.
"""

from __future__ import annotations

from collections.abc import Iterator

from tpc.backends.llvm.signature import Array, Failure, Native, Signature
from tpc.backends.llvm.sparse.kernels import COLUMNS, ENDS, INNER, STORED
from tpc.backends.llvm.sparse.rows import AHEAD, STEP, added, load_row, store_row
from tpc.backends.llvm.sparse.text import Text
from tpc.ir.types import DType

ZERO = Failure("LinAlgError", "a triangular matrix has a zero on its diagonal")
TILES = (4, 2, 1)  # vectors of a row that are held in registers at a time


def triangle(name: str, dtype: DType, index: DType) -> Native:
    """The native function of `csr_lower`, `csr_upper`, `csc_lower`, `csc_upper`, or one with `_vector` for one right
    side: entries, places, starts and B to X with A @ X = B."""
    format, side, *rest = name.split("_")
    is_vector = bool(rest)
    t, before = Text(dtype, index.name), Text(dtype, index.name)
    before.name("lines", "sub i64 %ends, 1")
    if is_vector:
        before.name("count", "add i64 0, 1")
        (_by_rows_vector if format == "csr" else _by_columns_vector)(t, side == "lower")
    else:
        before.name("count", f"sdiv i64 {before.add('%columns', t.lanes - 1)}, {t.lanes}")
        (_by_rows if format == "csr" else _by_columns)(t, side == "lower")
    dims = (INNER,) if is_vector else (INNER, COLUMNS)
    parts = Array("entries", dtype, (STORED,)), Array("places", index, (STORED,)), Array("starts", index, (ENDS,))
    operands, result = (*parts, Array("B", dtype, dims)), Array("X", dtype, dims)
    sizes = ("stored", "ends", "inner") if is_vector else ("stored", "ends", "inner", "columns")
    called = f"tpc_{name}_{dtype.name}_{index.name}"
    text = t.function(called, sizes, [a.name for a in (*operands, result)], before, grain=1)
    return Native(Signature(called, sizes, operands, (result,), errors=(ZERO,)), text, ("tpc_parallel",))


class _Lines:
    """The rows or columns in the order in which they are solved, each with what a step needs of it."""

    def __init__(self, t: Text, ascending: bool, last_is_diagonal: bool) -> None:
        self.t, self.ascending, self.last_is_diagonal = t, ascending, last_is_diagonal

    def number(self, step: str) -> str:
        return step if self.ascending else self.t.sub(self.t.sub("%lines", 1), step)

    def parts(self, line: str) -> tuple[str, str, str]:
        """Where the entries beside the diagonal begin and end, and that on the diagonal, which is seen not to be zero.

        In a triangle the diagonal is at an end; from there it is looked for past entries that are not of it.
        """
        t = self.t
        first, last = t.position("%starts", line), t.position("%starts", t.add(line, 1))
        step, beyond, compare = (-1, t.sub(first, 1), "sgt") if self.last_is_diagonal else (1, last, "slt")
        at = t.variable("i64", t.sub(last, 1) if self.last_is_diagonal else first)
        diagonal = t.variable(t.scalar, "0.0")
        with t.repeated() as again:
            place = t.value("i64", at)
            is_inside = t.let(f"icmp ne i64 {place}, {beyond}")
            column = t.variable("i64", line)
            with t.when(is_inside):
                t.do(f"store i64 {t.position('%places', place)}, ptr {column}")
            found = t.value("i64", column)
            goes_on = t.let(f"and i1 {is_inside}, {t.let(f'icmp {compare} i64 {found}, {line}')}")
            with t.when(goes_on):
                t.do(f"store i64 {t.add(place, step)}, ptr {at}")
            is_met = t.let(f"and i1 {is_inside}, {t.let(f'icmp eq i64 {found}, {line}')}")
            with t.when(is_met):
                t.do(f"store {t.scalar} {t.number('%entries', place)}, ptr {diagonal}")
            again(goes_on)
        value, place = t.value(t.scalar, diagonal), t.value("i64", at)
        t.fail(t.let(f"fcmp oeq {t.scalar} {value}, 0.0"), 1)
        return (first, place, value) if self.last_is_diagonal else (t.add(place, 1), last, value)


def _by_rows_vector(t: Text, is_lower: bool) -> None:
    lines = _Lines(t, is_lower, is_lower)
    with t.loop("0", "%lines") as step:
        row = lines.number(step)
        first, last, diagonal = lines.parts(row)
        sums = [t.variable(t.scalar, "0.0") for _ in range(STEP)]

        def add(entry: str, total: str) -> None:
            t.add_product(total, t.number("%entries", entry), t.number("%X", t.position("%places", entry)), t.scalar)

        middle = t.add(first, t.whole(t.sub(last, first), STEP))
        t.fetch(t.add(first, AHEAD))
        with t.loop(first, middle, STEP) as entry:
            for number, total in enumerate(sums):
                add(t.add(entry, number), total)
        with t.loop(middle, last) as entry:
            add(entry, sums[0])
        rest = t.let(f"fsub {t.scalar} {t.number('%B', row)}, {added(t, sums, t.scalar)}")
        t.store_number(t.let(f"fdiv {t.scalar} {rest}, {diagonal}"), "%X", row)


def _by_columns_vector(t: Text, is_lower: bool) -> None:
    lines = _Lines(t, is_lower, not is_lower)
    with t.loop("0", "%lines") as row:
        t.store_number(t.number("%B", row), "%X", row)
    with t.loop("0", "%lines") as step:
        column = lines.number(step)
        first, last, diagonal = lines.parts(column)
        x = t.let(f"fdiv {t.scalar} {t.number('%X', column)}, {diagonal}")
        t.store_number(x, "%X", column)
        minus = t.let(f"fneg {t.scalar} {x}")
        t.fetch(t.add(first, AHEAD))
        with t.loop(first, last) as entry:
            t.add_product(t.at("%X", t.position("%places", entry)), t.number("%entries", entry), minus, t.scalar)


def _by_rows(t: Text, is_lower: bool) -> None:
    lines = _Lines(t, is_lower, is_lower)
    for start, masks in _tiles(t):
        with t.loop("0", "%lines") as step:
            row = lines.number(step)
            first, last, diagonal = lines.parts(row)
            sums = [t.variable(t.vector, "zeroinitializer") for _ in masks]
            with t.loop(first, last) as entry:
                value = t.spread(t.number("%entries", entry))
                place = t.add(t.mul(t.position("%places", entry), "%columns"), start)
                for total, x in zip(sums, load_row(t, "%X", place, masks), strict=True):
                    t.add_product(total, value, x)
            own, divisor = t.add(t.mul(row, "%columns"), start), t.spread(diagonal)
            rests = [
                t.let(f"fsub {t.vector} {b}, {added(t, [total])}")
                for b, total in zip(load_row(t, "%B", own, masks), sums, strict=True)
            ]
            store_row(t, [t.let(f"fdiv {t.vector} {rest}, {divisor}") for rest in rests], own, masks, "%X")


def _by_columns(t: Text, is_lower: bool) -> None:
    lines = _Lines(t, is_lower, not is_lower)
    for start, masks in _tiles(t):
        with t.loop("0", "%lines") as row:
            own = t.add(t.mul(row, "%columns"), start)
            store_row(t, load_row(t, "%B", own, masks), own, masks, "%X")
        with t.loop("0", "%lines") as step:
            column = lines.number(step)
            first, last, diagonal = lines.parts(column)
            own, divisor = t.add(t.mul(column, "%columns"), start), t.spread(diagonal)
            solved = [t.let(f"fdiv {t.vector} {x}, {divisor}") for x in load_row(t, "%X", own, masks)]
            store_row(t, solved, own, masks, "%X")
            with t.loop(first, last) as entry:
                minus = t.spread(t.let(f"fneg {t.scalar} {t.number('%entries', entry)}"))
                place = t.add(t.mul(t.position("%places", entry), "%columns"), start)
                rests = [
                    t.plus_product(rest, minus, x)
                    for rest, x in zip(load_row(t, "%X", place, masks), solved, strict=True)
                ]
                store_row(t, rests, place, masks, "%X")


def _tiles(t: Text) -> Iterator[tuple[str, list[str | None]]]:
    """The columns of this part, which begins and ends with whole vectors."""
    last = t.smallest(t.mul("%end", t.lanes), "%columns")
    return t.columns(TILES, first=t.mul("%begin", t.lanes), last=last)
