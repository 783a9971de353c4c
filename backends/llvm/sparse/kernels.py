"""Products with sparse matrices as native code: a kernel for each format, and each kind of right side.

Those of matrices by rows are in `rows`, and those that read less in `packed`. Rows are shared out to threads, and of
matrices by columns two parts of these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tpc.backends.llvm.signature import Array, Native, Signature
from tpc.backends.llvm.sparse.packed import by_bits_vector, by_patterns
from tpc.backends.llvm.sparse.rows import (
    AHEAD,
    BLOCK,
    CHAINS,
    TILES,
    blocked,
    by_rows,
    by_rows_vector,
    load_row,
    panelled,
    sampled,
    store_row,
)
from tpc.backends.llvm.sparse.text import GRAIN, SHORT, Text
from tpc.ir.dims import DimLike, named, names_of
from tpc.ir.formats import patterns
from tpc.ir.types import I8, DType

MANY = 50_000  # entries beyond one for each number of the product, from which on two threads pay
FEW = (5, 4, 2, 1)  # vectors of a row of a product that are held in registers at a time, for some rows
HIGH = 4  # rows of a block that are computed at a time
BLOCKS_AHEAD = 4  # blocks before they are needed are they fetched from memory


# ---- by columns


def by_columns(t: Text) -> None:
    """Y = A @ X for A by columns (CSC): each row of X goes to the rows of Y that its column of A names."""
    with _parts(t, t.mul("%rows", "%columns")) as (target, begin, end):
        for column, masks in t.columns(FEW):  # from the first, since rows of Y are read soon after they are written
            with t.loop(begin, end) as k:
                first, last = t.position("%starts", k), t.position("%starts", t.add(k, 1))
                given = load_row(t, "%X", t.add(t.mul(k, "%columns"), column), masks)
                with t.loop(first, last) as entry:
                    t.fetch(t.add(entry, AHEAD))
                    value = t.spread(t.number("%entries", entry))
                    start = t.add(t.mul(t.position("%places", entry), "%columns"), column)
                    sums = []
                    for x, y in zip(given, load_row(t, target, start, masks), strict=True):
                        product = t.let(f"fmul contract {t.vector} {value}, {x}")
                        sums.append(t.let(f"fadd contract {t.vector} {y}, {product}"))
                    store_row(t, sums, start, masks, target)


def by_columns_vector(t: Text) -> None:
    """y = A @ x for A by columns (CSC)."""
    with _parts(t, "%rows") as (target, begin, end), t.loop(begin, end) as k:
        first, last = t.position("%starts", k), t.position("%starts", t.add(k, 1))
        x = t.number("%X", k)
        with t.loop(first, last) as entry:
            t.add_product(t.at(target, t.position("%places", entry)), t.number("%entries", entry), x, t.scalar)


@contextmanager
def _parts(t: Text, size: str) -> Iterator[tuple[str, str, str]]:
    """Parts of the columns: where the sums of so many numbers are, which are zero first, and the columns.

    Each entry may go to any row, so that the second part has sums of its own.
    """
    with t.loop("%begin", "%end") as part:
        target = t.let(f"select i1 {t.let(f'icmp eq i64 {part}, 0')}, ptr %Y, ptr %workspace")
        with t.loop("0", size, t.lanes) as place:
            t.store("zeroinitializer", target, place, t.first_lanes(t.sub(size, place)))
        count = t.sub("%ends", 1)
        begin, end = (t.div(t.mul(count, at), "%count") for at in (part, t.add(part, 1)))
        yield target, begin, end


def _joined(t: Text, size: str) -> None:
    """Run two parts where there are threads and entries for them, and add up their sums."""
    is_large = t.let(f"icmp sge i64 %stored, {t.add(size, MANY)}")
    threads = t.call("i64", "tpc_threads")
    t.name("count", f"select i1 {is_large}, i64 {t.smallest(threads, '2')}, i64 1")
    t.run()
    with t.when(t.let("icmp eq i64 %count, 2")), t.loop("0", size, t.lanes) as place:
        mask = t.first_lanes(t.sub(size, place))
        sums = [t.load(base, place, mask) for base in ("%Y", "%workspace")]
        t.store(t.let(f"fadd {t.vector} {sums[0]}, {sums[1]}"), "%Y", place, mask)


# ---- in blocks, and by diagonals


def by_blocks(high: int, wide: int) -> Callable[[Text], None]:
    """Y = A @ X for A in blocks of high by wide, by rows of blocks (BSR): an entry of X is read once for some rows."""
    step = next(rows for rows in (HIGH, 3, 2, 1) if high % rows == 0)

    def write(t: Text) -> None:
        shift = t.shift("%X", "%columns")
        with t.loop("%begin", "%end") as row:
            first, last = t.position("%starts", row), t.position("%starts", t.add(row, 1))
            with t.loop("0", str(high), step) as inner:
                begin = t.add(t.mul(row, high), inner)
                offset = t.mul(inner, wide)
                for column, masks in t.columns(FEW, shift):
                    sums = [[t.variable(t.vector, "zeroinitializer") for _ in masks] for _ in range(step)]
                    with t.loop(first, last) as block:
                        start = t.add(t.mul(block, high * wide), offset)
                        if step < high:  # the next rows are far from these
                            for line in range(0, step * wide, t.lanes):
                                t.fetch_from("%entries", t.add(start, BLOCKS_AHEAD * high * wide + line))
                        place = t.mul(t.position("%places", block), wide)
                        with t.loop("0", str(wide)) as k:
                            x_row = t.mul(t.add(place, k), "%columns")
                            given = load_row(t, "%X", t.add(x_row, column), masks)
                            entry = t.add(start, k)
                            for number, of_row in enumerate(sums):
                                value = t.spread(t.number("%entries", t.add(entry, number * wide)))
                                for total, x in zip(of_row, given, strict=True):
                                    t.add_product(total, value, x)
                    for number, of_row in enumerate(sums):
                        target = t.mul(t.add(begin, number), "%columns")
                        found = [t.value(t.vector, total) for total in of_row]
                        store_row(t, found, t.add(target, column), masks)

    return write


def by_diagonals(t: Text) -> None:
    """Y = A @ X for the diagonals of A (DIA), whose numbers stand at their columns: no places are read."""
    bound, shift = t.smallest("%length", "%inner"), t.shift("%X", "%columns")
    with t.loop("%begin", "%end") as row:
        begin = t.mul(row, "%columns")
        for column, masks in t.columns(TILES, shift):
            sums = [t.variable(t.vector, "zeroinitializer") for _ in masks]
            with t.loop("0", "%diagonals") as d:
                place = t.add(row, t.position("%places", d))
                first = t.largest(place, "0")
                last = t.smallest(t.add(place, 1), bound)
                with t.loop(first, last) as k:  # once, or not at all
                    value = t.spread(t.number("%entries", t.add(t.mul(d, "%length"), k)))
                    start = t.mul(k, "%columns")
                    for total, x in zip(sums, load_row(t, "%X", t.add(start, column), masks), strict=True):
                        t.add_product(total, value, x)
            found = [t.value(t.vector, total) for total in sums]
            store_row(t, found, t.add(begin, column), masks)


def by_diagonals_vector(t: Text) -> None:
    """y = A @ x for the diagonals of A (DIA): some vectors of rows at a time."""
    bound = t.smallest("%length", "%inner")
    width = CHAINS * t.lanes
    with t.loop("%begin", "%end") as part:
        row = t.mul(part, width)
        sums = [t.variable(t.vector, "zeroinitializer") for _ in range(CHAINS)]
        with t.loop("0", "%diagonals") as d:
            start = t.add(row, t.position("%places", d))
            line = t.mul(d, "%length")
            for number, total in enumerate(sums):
                place = t.add(start, number * t.lanes)
                below, above = (
                    t.first_lanes(t.sub(0, place)),
                    t.first_lanes(t.sub(bound, place)),
                )
                outside = t.let(f"xor {t.mask} {below}, {t.all_lanes()}")
                mask = t.let(f"and {t.mask} {outside}, {above}")
                a = t.load("%entries", t.add(line, place), mask)
                t.add_product(total, a, t.load("%X", place, mask))
        for number, total in enumerate(sums):
            place = t.add(row, number * t.lanes)
            t.store(t.value(t.vector, total), "%Y", place, t.first_lanes(t.sub("%rows", place)))


# ---- signatures

ROWS, INNER, COLUMNS, STORED, MARKS, ENDS = map(named, ("rows", "inner", "columns", "stored", "marks", "ends"))
DIAGONALS, LENGTH, BYTES, GROUPS = map(named, ("diagonals", "length", "bytes", "groups"))


def native(kind: str, dtype: DType, index: DType, block: tuple[int, int] = (1, 1)) -> Native:
    """A kernel: `csr`, `csc`, `bsr` or `dia` for a product with a matrix, `csr_vector` and so on with a vector,
    `bits_vector`, `short_vector`, `groups`, or `sampled`.

    Its operands are the arrays of scipy's class of that name, and what stands on the right side; of the last ones what
    their formats store. `block` is the size of one, or how many entries there are of how many columns in a group.
    """
    format, is_vector = kind.removesuffix("_vector"), kind.endswith("_vector")
    t, before = Text(dtype, index.name, SHORT if format == "short" else ""), Text(dtype, index.name)
    matrix = [Array("entries", dtype, (STORED,)), Array("places", index, (MARKS,)), Array("starts", index, (ENDS,))]
    right = [Array("X", dtype, (INNER,) if is_vector else (INNER, COLUMNS))]
    rows, name = ENDS - 1, f"tpc_{kind}_{dtype.name}_{index.name}"
    count, grain = "sub i64 %ends, 1", GRAIN
    workspace: DimLike = 0
    match format:
        case "csr" | "short" if is_vector:
            by_rows_vector(t)
            blocked(before)
            count, grain = "", GRAIN // BLOCK
            if format == "short":
                matrix[1] = Array("places", I8, (STORED, 2))
        case "csr":
            by_rows(t)
            panelled(before, "%inner", before.smallest("%columns", str(TILES[0] * t.lanes)))
            count, grain = "", 1
        case "bits":
            by_bits_vector(t)
            matrix[1] = Array("places", I8, (ENDS - 1, BYTES))
        case "csc":
            (by_columns_vector if is_vector else by_columns)(t)
            _joined(before, "%rows" if is_vector else before.mul("%rows", "%columns"))
            rows, count, grain = ROWS, "", 1
            workspace = dtype.size * (ROWS if is_vector else ROWS * COLUMNS)
        case "bsr":
            by_blocks(*block)(t)
            matrix[0] = Array("entries", dtype, (STORED, *block))
            rows, name = block[0] * rows, f"{name}_{block[0]}_{block[1]}"
        case "groups":
            by_patterns(*block)(t)
            kinds = len(patterns(*block))
            matrix[0] = Array("entries", dtype, (MARKS, block[0]))
            matrix[2] = Array("counts", I8, (ENDS, GROUPS, kinds))
            rows, count, grain, name = ROWS, "add i64 %ends, 0", 1, f"{name}_{block[0]}_{block[1]}"
        case "dia":
            (by_diagonals_vector if is_vector else by_diagonals)(t)
            matrix = [Array("entries", dtype, (DIAGONALS, LENGTH)), Array("places", index, (DIAGONALS,))]
            width = CHAINS * t.lanes if is_vector else 1
            rows, count = ROWS, f"sdiv i64 {before.add('%rows', width - 1)}, {width}"
        case "sampled":
            sampled(t)
            panelled(before, "%columns", "%inner")
            count, grain = "", 1
            right = [Array("B", dtype, (ROWS, INNER)), Array("C", dtype, (COLUMNS, INNER))]
    if count:
        before.name("count", count)
    result = Array("Y", dtype, (rows,) if is_vector else (rows, COLUMNS))
    if format == "sampled":
        result = Array("Z", dtype, (STORED,))
    operands = (*matrix, *right)
    sizes = tuple(dict.fromkeys(n for a in (*operands, result) for dim in a.dims for n in sorted(names_of(dim))))
    text = t.function(name, sizes, [a.name for a in (*operands, result)], before, grain)
    symbols = ("tpc_parallel", "tpc_threads") if format == "csc" else ("tpc_parallel",)
    return Native(Signature(name, sizes, operands, (result,), workspace), text, symbols)
