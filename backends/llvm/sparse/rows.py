"""Products with matrices by rows (CSR), and products of which only the entries of such a matrix are needed.

A row of a product stays in registers, some vectors of columns at a time, while the entries of a row of the sparse
matrix are walked over. Where the other matrix is too large for a cache, entries are taken in panels of columns, and
many rows at a time: a place is kept for each row, at which its next panel begins.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tpc.backends.llvm.host import host
from tpc.backends.llvm.sparse.text import GRAIN, Text

TILES = (8, 5, 4, 3, 2, 1)  # vectors of a row of a product that are held in registers at a time
CHAINS = 4  # vectors of sums that are made at a time, where a row has fewer
PAIR = 2  # the same for a vector, whose rows may be short
SHORT = 32  # entries of a row for which vectors do not pay
BLOCK, ABREAST = 8, 4  # rows of which it is seen whether they have as many entries, and that are then taken together
STEP = 4  # entries that are taken in one round of a loop
AHEAD = 128  # entries before they are needed are they fetched from memory
LEAST = 8  # entries of a row in a panel, for which it pays to come back to the row
HIGH = 1024  # rows that are taken at a time, where there are panels
TOGETHER = (4, 2, 1)  # products of rows with rows that are made at a time, of those that are left


# ---- panels


def panelled(t: Text, width: str, line: str) -> None:
    """Columns of a panel as %wide, rows that are taken at a time as %high, and how often that is, as %count.

    `width` are the columns of the sparse matrix, and `line` are the numbers that each entry reads of the other.
    """
    line = t.largest(t.mul(line, t.size), "1")
    cache = host().caches[1]
    rows = t.sub("%ends", 1)
    needed = t.add(t.div(t.mul(t.mul(width, rows), LEAST), t.largest("%stored", "1")), 1)
    wide = t.largest(t.div(str(cache // 2), line), needed)
    is_small = t.let(f"icmp sle i64 {t.mul(width, line)}, {cache}")
    is_whole = t.let(f"or i1 {is_small}, {t.let(f'icmp sge i64 {t.mul(wide, 2)}, {width}')}")
    t.name("wide", f"select i1 {is_whole}, i64 {t.largest(width, '1')}, i64 {wide}")
    t.name("high", f"select i1 {is_whole}, i64 {GRAIN}, i64 {HIGH}")
    t.name("count", f"sdiv i64 {t.add(rows, t.sub('%high', 1))}, %high")


@contextmanager
def _together(t: Text) -> Iterator[tuple[str, str]]:
    """The rows that are taken at a time: from one to the one before the other."""
    with t.loop("%begin", "%end") as chunk:
        first = t.mul(chunk, "%high")
        yield first, t.smallest(t.add(first, "%high"), t.sub("%ends", 1))


@contextmanager
def _visits(t: Text, rows: tuple[str, str], width: str, kept: str) -> Iterator[tuple[str, str, str, str]]:
    """A row, its entries in a panel from one to the one before the other, and where the panel begins.

    `kept` is memory for the entries at which rows go on.
    """
    with t.loop(*rows) as row:
        own = t.at(kept, t.sub(row, rows[0]), "i64")
        t.do(f"store i64 {t.position('%starts', row)}, ptr {own}")
    with t.loop("0", t.largest(width, "1"), "%wide") as low:
        limit = t.add(low, "%wide")
        is_last = t.let(f"icmp sge i64 {limit}, {width}")
        with t.loop(*rows) as row:
            own = t.at(kept, t.sub(row, rows[0]), "i64")
            first, last = t.let(f"load i64, ptr {own}"), t.position("%starts", t.add(row, 1))
            stop = t.variable("i64", last)
            with t.unless(is_last):
                _walk(t, stop, first, last, limit)
                t.fetch(t.value("i64", stop))
                t.do(f"store i64 {t.value('i64', stop)}, ptr {own}")
            yield row, first, t.value("i64", stop), low


def _walk(t: Text, place: str, first: str, last: str, limit: str) -> None:
    """Move a place to the first entry that is not left of a column. What is not in order is met in the last panel."""
    t.do(f"store i64 {first}, ptr {place}")
    bound = t.spread(limit if t.index == "i64" else t.let(f"trunc i64 {limit} to i32"), t.index)
    with t.repeated() as again:
        at = t.value("i64", place)
        mask = t.first_lanes(t.sub(last, at))
        columns = t.places("%places", at, mask)
        left = t.let(f"and {t.mask} {mask}, {t.let(f'icmp slt <{t.lanes} x {t.index}> {columns}, {bound}')}")
        beyond = t.let(f"bitcast {t.mask} {t.let(f'xor {t.mask} {left}, {t.all_lanes()}')} to i{t.lanes}")
        count = t.call(f"i{t.lanes}", f"llvm.cttz.i{t.lanes}", (f"i{t.lanes}", beyond), ("i1", "false"))
        moved = t.let(f"zext i{t.lanes} {count} to i64")
        t.do(f"store i64 {t.add(at, moved)}, ptr {place}")
        again(t.let(f"icmp eq i{t.lanes} {beyond}, 0"))


# ---- kernels


def by_rows(t: Text) -> None:
    """Y = A @ X for A by rows."""
    shift, kept = t.shift("%X", "%columns"), t.room(HIGH)
    with _together(t) as rows:
        for column, masks in t.columns(TILES, shift):
            with _visits(t, rows, "%inner", kept) as (row, first, last, low):
                start = t.add(t.mul(row, "%columns"), column)
                sums = [t.variable(t.vector, "zeroinitializer") for _ in masks]
                with t.when(t.let(f"icmp ne i64 {low}, 0")):
                    for total, found in zip(sums, load_row(t, "%Y", start, masks), strict=True):
                        t.do(f"store {t.vector} {found}, ptr {total}")
                store_row(t, _row(t, sums, masks, column, first, last), start, masks)


def _row(t: Text, sums: list[str], masks: list[str | None], column: str, first: str, last: str) -> list[str]:
    """Sums, and what the entries of a row add to them."""
    count = max(1, CHAINS // len(masks))  # sums that do not wait for each other
    chains = [sums, *([t.variable(t.vector, "zeroinitializer") for _ in masks] for _ in range(count - 1))]

    def add(entry: str, chain: list[str]) -> None:
        value = t.spread(t.number("%entries", entry))
        start = t.mul(t.position("%places", entry), "%columns")
        for total, x in zip(chain, load_row(t, "%X", t.add(start, column), masks), strict=True):
            t.add_product(total, value, x)

    middle = t.add(first, t.whole(t.sub(last, first), STEP))
    with t.loop(first, middle, STEP) as entry:
        t.fetch(t.add(entry, AHEAD))
        for number in range(STEP):
            add(t.add(entry, number), chains[number % count])
    with t.loop(middle, last) as entry:
        add(entry, sums)
    return [added(t, list(parts)) for parts in zip(*chains, strict=True)]


def load_row(t: Text, base: str, start: str, masks: list[str | None]) -> list[str]:
    """A part of a row, as vectors."""
    return [t.load(base, t.add(start, k * t.lanes), mask) for k, mask in enumerate(masks)]


def store_row(t: Text, found: list[str], start: str, masks: list[str | None], base: str = "%Y") -> None:
    """Vectors as a part of a row."""
    for number, (vector, mask) in enumerate(zip(found, masks, strict=True)):
        t.store(vector, base, t.add(start, number * t.lanes), mask)


def by_rows_vector(t: Text) -> None:
    """y = A @ x for A by rows: several entries of a row at a time, with what they meet gathered from x.

    A row of few entries is walked over one by one, and so is what is left of others. Rows of as many entries, as grids
    have them, are walked over together: few entries give too few sums that do not wait for each other.
    """
    rows = t.sub("%ends", 1)
    last = t.smallest(t.mul("%end", BLOCK), rows)
    with t.loop(t.mul("%begin", BLOCK), last, "%step") as block:
        end = t.smallest(t.add(block, "%step"), last)
        left = t.variable("i64", block)
        with t.when(t.let(f"icmp eq i64 {t.sub(end, block)}, {BLOCK}")), t.when(_are_alike(t, block)):
            with t.loop(block, end, ABREAST) as row:
                _by_rows_abreast(t, row)
            t.do(f"store i64 {end}, ptr {left}")
        with t.loop(t.value("i64", left), end) as row:
            _by_row_vector(t, row)


def blocked(t: Text) -> None:
    """The blocks of rows as %count, which parts are made of, and as %step the rows that are looked at together: those
    of a block, or all where some at one place are not alike.

    So a row is summed in the same order, however many threads there are.
    """
    rows = t.sub("%ends", 1)
    t.name("count", f"sdiv i64 {t.add(rows, BLOCK - 1)}, {BLOCK}")
    step = t.variable("i64", t.largest(rows, "1"))
    with t.when(t.let(f"icmp sge i64 {rows}, {BLOCK}")):
        block = t.mul(t.div(t.mul(t.div(rows, BLOCK), 8), 13), BLOCK)  # at no end of a line of the usual grids
        with t.when(_are_alike(t, block)):
            t.do(f"store i64 {BLOCK}, ptr {step}")
    t.name("step", f"load i64, ptr {step}")


def _are_alike(t: Text, block: str) -> str:
    """Whether the rows of a block have as many entries, which are few."""
    kind = f"<{BLOCK} x {t.index}>"
    first, last = (
        t.let(f"load {kind}, ptr {t.at('%starts', t.add(block, k), t.index)}, align {int(t.index[1:]) // 8}")
        for k in (0, 1)
    )
    counts = t.let(f"sub {kind} {last}, {first}")
    one = t.let(f"extractelement {kind} {counts}, i32 0")
    same = t.let(f"icmp eq {kind} {counts}, {t.spread(one, t.index, BLOCK)}")
    every = t.call("i1", f"llvm.vector.reduce.and.v{BLOCK}i1", (f"<{BLOCK} x i1>", same))
    return t.let(f"and i1 {every}, {t.let(f'icmp slt {t.index} {one}, {SHORT}')}")


def _by_rows_abreast(t: Text, row: str) -> None:
    """Entries of y = A @ x, by rows that have as many entries."""
    starts = [t.position("%starts", t.add(row, k)) for k in range(ABREAST)]
    sums = [t.variable(t.scalar, "0.0") for _ in starts]
    with t.loop("0", t.sub(starts[1], starts[0])) as k:
        for first, total in zip(starts, sums, strict=True):
            _add_entry(t, total, t.add(first, k))
    for number, total in enumerate(sums):
        t.store_number(t.value(t.scalar, total), "%Y", t.add(row, number))


def _by_row_vector(t: Text, row: str) -> None:
    """An entry of y = A @ x."""
    first, last = t.position("%starts", row), t.position("%starts", t.add(row, 1))
    result, rest = t.variable(t.scalar, "0.0"), t.variable("i64", first)
    if _gathers_pay():
        with t.unless(t.let(f"icmp slt i64 {t.sub(last, first)}, {SHORT}")):
            end = _gathered(t, result, first, last)
            t.do(f"store i64 {end}, ptr {rest}")
    t.store_number(_walked(t, result, t.value("i64", rest), last), "%Y", row)


def _add_entry(t: Text, total: str, entry: str) -> None:
    """Add the product of an entry and what it meets to a sum."""
    t.add_product(total, t.number("%entries", entry), t.number("%X", t.position("%places", entry)), t.scalar)


def _gathers_pay() -> bool:
    """Whether numbers at many places are loaded faster by one instruction: on processors of AMD it is made of many."""
    return not host().cpu.startswith("znver")


def _gathered(t: Text, result: str, first: str, last: str) -> str:
    """Add whole vectors of entries, with what they meet, to a sum; the first entry that is left."""
    count = t.sub(last, first)
    sums = [t.variable(t.vector, "zeroinitializer") for _ in range(PAIR)]
    middle = t.add(first, t.whole(count, PAIR * t.lanes))
    with t.loop(first, middle, PAIR * t.lanes) as entry:
        for number, total in enumerate(sums):
            place = t.add(entry, number * t.lanes)
            t.fetch(t.add(place, AHEAD))
            t.add_product(total, t.load("%entries", place), t.gather("%X", t.places("%places", place)))
    end = t.add(first, t.whole(count, t.lanes))
    with t.loop(middle, end, t.lanes) as entry:
        t.add_product(sums[0], t.load("%entries", entry), t.gather("%X", t.places("%places", entry)))
    t.do(f"store {t.scalar} {t.total(added(t, sums))}, ptr {result}")
    return end


def _walked(t: Text, result: str, first: str, last: str) -> str:
    """A sum with the products of entries and what they meet, one by one, in sums that do not wait for each other."""
    sums = [result, *(t.variable(t.scalar, "0.0") for _ in range(STEP - 1))]

    def walk(first: str, last: str, sums: list[str]) -> str:
        end = t.add(first, t.whole(t.sub(last, first), len(sums)))
        with t.loop(first, end, len(sums)) as entry:
            if len(sums) > 1:
                t.fetch(t.add(entry, AHEAD))
            for number, total in enumerate(sums):
                _add_entry(t, total, t.add(entry, number))
        return end

    rest = t.variable("i64", first)
    with t.unless(t.let(f"icmp slt i64 {t.sub(last, first)}, {2 * STEP}")):
        more = [t.variable(t.scalar, "0.0") for _ in sums]
        t.do(f"store i64 {walk(first, last, [*sums, *more])}, ptr {rest}")
        for total, other in zip(sums, more, strict=True):
            found = t.let(f"fadd {t.scalar} {t.value(t.scalar, total)}, {t.value(t.scalar, other)}")
            t.do(f"store {t.scalar} {found}, ptr {total}")
    walk(walk(t.value("i64", rest), last, sums), last, [result])
    return added(t, sums, t.scalar)


def added(t: Text, sums: list[str], type: str = "") -> str:
    """The sum of some sums, which are variables: of pairs, and of these again."""
    type = type or t.vector
    found = [t.value(type, total) for total in sums]
    while len(found) > 1:
        pairs = [t.let(f"fadd {type} {a}, {b}") for a, b in zip(found[::2], found[1::2])]
        found = [*pairs, *found[2 * len(pairs) :]]
    return found[0]


def sampled(t: Text) -> None:
    """Z = A * (B @ C') at the entries of A by rows; the rows of B and C follow each other in memory."""
    shift = t.shift("%C", "%inner")
    start = t.sub(0, shift)
    inside = t.let(f"xor {t.mask} {t.first_lanes(shift)}, {t.all_lanes()}")
    head = t.let(f"and {t.mask} {inside}, {t.first_lanes(t.add(shift, '%inner'))}")
    begin = t.add(start, t.lanes)
    end = t.add(begin, t.whole(t.largest(t.sub("%inner", begin), "0"), t.lanes))
    tail = t.first_lanes(t.sub("%inner", end))

    def products(row: str, first: str, count: int) -> list[str]:
        """The products of a row of B with the rows of C that some entries name."""
        left = t.mul(row, "%inner")
        places = [t.position("%places", t.add(first, number)) for number in range(count)]
        rights = [t.mul(place, "%inner") for place in places]
        sums = [t.variable(t.vector, "zeroinitializer") for _ in rights]

        def meet(k: str, mask: str | None = None) -> None:
            b = t.load("%B", t.add(left, k), mask)
            for total, right in zip(sums, rights, strict=True):
                t.add_product(total, b, t.load("%C", t.add(right, k), mask))

        meet(start, head)
        with t.loop(begin, end, t.lanes) as k:
            meet(k)
        with t.loop(end, "%inner", t.lanes) as k:
            meet(k, tail)
        return [t.value(t.vector, total) for total in sums]

    kept = t.room(HIGH)
    with _together(t) as rows, _visits(t, rows, "%columns", kept) as (row, first, last, _):
        for count in TOGETHER:
            middle = t.add(first, t.whole(t.sub(last, first), count))
            with t.loop(first, middle, count) as entry:
                several = f"<{count} x {t.scalar}>"
                totals = t.totals(products(row, entry, count))
                given = t.let(f"load {several}, ptr {t.at('%entries', entry)}, align {t.size}")
                found = t.let(f"fmul {several} {given}, {totals}")
                t.do(f"store {several} {found}, ptr {t.at('%Z', entry)}, align {t.size}")
            first = middle
