"""Products with matrices of which less is read: entries beside a bit for each place, or groups by their patterns."""

from __future__ import annotations

from collections.abc import Callable

from tpc.backends.llvm.sparse.rows import CHAINS, added, load_row, store_row
from tpc.backends.llvm.sparse.text import Text
from tpc.ir.formats import HIGH, patterns

FEW = (2, 1)  # vectors of each row of the other matrix that are held in registers at a time


def by_bits_vector(t: Text) -> None:
    """y = A @ x for the entries of A by rows, and a bit for each place of a row, that tells whether one is stored.

    As many entries as some bits tell are expanded to their lanes; no places are read, and nothing is gathered.
    """
    with t.loop("%begin", "%end") as row:
        place = t.variable("i64", t.position("%starts", row))
        bits = t.at("%places", t.mul(row, "%bytes"), "i8")
        sums = [t.variable(t.vector, "zeroinitializer") for _ in range(CHAINS)]

        def meet(column: str, total: str, place: str = place, bits: str = bits) -> None:
            word = t.let(f"load i{t.lanes}, ptr {t.at(bits, t.div(column, 8), 'i8')}, align 1")
            mask = t.let(f"bitcast i{t.lanes} {word} to {t.mask}")
            at = t.value("i64", place)
            given = ("ptr", t.at("%entries", at)), (t.mask, mask), (t.vector, "zeroinitializer")
            expanded = t.call(t.vector, f"llvm.masked.expandload.{t.suffix}", *given)
            t.add_product(total, expanded, t.load("%X", column, mask))
            count = t.call(f"i{t.lanes}", f"llvm.ctpop.i{t.lanes}", (f"i{t.lanes}", word))
            t.do(f"store i64 {t.add(at, t.let(f'zext i{t.lanes} {count} to i64'))}, ptr {place}")

        width = t.mul("%bytes", 8)
        middle = t.whole(width, CHAINS * t.lanes)
        with t.loop("0", middle, CHAINS * t.lanes) as column:
            for number, total in enumerate(sums):
                meet(t.add(column, number * t.lanes), total)
        with t.loop(middle, width, t.lanes) as column:
            meet(column, sums[0])
        t.store_number(t.total(added(t, sums)), "%Y", row)


def by_patterns(n: int, m: int) -> Callable[[Text], None]:
    """Y = A @ X for A with n entries in each group of m columns, some rows of which are ordered by their patterns.

    The rows of X that a group meets are read once for all of these rows. Which entry meets which is code: only the row
    of a group is read, in one byte.
    """
    order = patterns(n, m)

    def write(t: Text) -> None:
        kept = t.vectors(HIGH * FEW[0])  # what is in another order than rows are read is near each other here
        with t.loop("%begin", "%end") as part:
            first = t.mul(part, HIGH)
            high = t.smallest(t.sub("%rows", first), str(HIGH))
            for column, masks in t.columns(FEW):
                width = len(masks) * t.lanes
                whole: list[str | None] = [None] * len(masks)
                with t.loop("0", t.mul(high, width), width) as place:
                    store_row(t, ["zeroinitializer"] * len(masks), place, whole, kept)
                with t.loop("0", "%groups") as group:
                    line = t.add(t.mul(t.mul(group, m), "%columns"), column)
                    given = [load_row(t, "%X", t.add(line, t.mul("%columns", k)), masks) for k in range(m)]
                    begin = t.add(t.mul(first, "%groups"), t.mul(group, high))
                    counts = t.mul(t.add(t.mul(part, "%groups"), group), len(order))
                    for number, pattern in enumerate(order):
                        end = t.add(begin, t.byte("%counts", t.add(counts, number)))
                        with t.loop(begin, end) as block:
                            place, entry = t.mul(t.byte("%places", block), width), t.mul(block, n)
                            sums = load_row(t, kept, place, whole)
                            for value, k in enumerate(pattern):
                                a = t.spread(t.number("%entries", t.add(entry, value)))
                                sums = [t.plus_product(total, a, x) for total, x in zip(sums, given[k], strict=True)]
                            store_row(t, sums, place, whole, kept)
                        begin = end
                with t.loop("0", high) as row:
                    found = load_row(t, kept, t.mul(row, width), whole)
                    store_row(t, found, t.add(t.mul(t.add(first, row), "%columns"), column), masks)

    return write
