"""Products of a vector with matrices of which less is read: entries beside a bit for each place, or short columns."""

from __future__ import annotations

from tpc.backends.llvm.sparse.rows import CHAINS, added
from tpc.backends.llvm.sparse.text import Text


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
