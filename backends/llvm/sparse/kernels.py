"""Products with sparse matrices as native code: a kernel for each format, and each kind of right side.

A row of a product stays in registers, some vectors of columns at a time, while the entries of a row of the sparse
matrix are walked over. Rows are shared out to threads.
"""

from __future__ import annotations

from collections.abc import Callable

from tpc.backends.llvm.signature import Array, Native, Signature
from tpc.backends.llvm.sparse.text import Text
from tpc.ir.dims import named, names_of
from tpc.ir.types import DType

VECTORS = 8  # of a row of a product that are held in registers at a time
CHAINS = 4  # sums of a row that are made at a time, where it has one column
SHORT = 8  # entries of a row for which vectors do not pay
AHEAD = 128  # entries before they are needed are they fetched from memory
HIGH = 4  # rows of a block that are computed at a time


def by_rows(t: Text) -> None:
    """Y = A @ X for A by rows (CSR)."""
    with t.loop("%begin", "%end") as row:
        first, last = t.position("%starts", row), t.position("%starts", t.let(f"add i64 {row}, 1"))
        begin = t.let(f"mul i64 {row}, %columns")
        for column, count, mask in t.columns(VECTORS):
            chains = max(1, CHAINS // count)  # sums that do not wait for each other
            sums = [[t.variable(t.vector, "zeroinitializer") for _ in range(count)] for _ in range(chains)]

            def add(entry: str, chain: list[str], column: str = column, mask: str | None = mask) -> None:
                value = t.spread(t.number("%entries", entry))
                start = t.let(f"mul i64 {t.position('%places', entry)}, %columns")
                _add_row(t, chain, value, "%X", t.let(f"add i64 {start}, {column}"), mask)

            middle = t.let(f"add i64 {first}, {t.whole(t.let(f'sub i64 {last}, {first}'), chains)}")
            with t.loop(first, middle, chains) as entry:
                t.fetch(t.let(f"add i64 {entry}, {AHEAD}"))
                for number, chain in enumerate(sums):
                    add(t.let(f"add i64 {entry}, {number}"), chain)
            with t.loop(middle, last) as entry:
                add(entry, sums[0])
            found = [_added(t, list(parts)) for parts in zip(*sums, strict=True)]
            _store_row(t, found, t.let(f"add i64 {begin}, {column}"), mask)


def _add_row(t: Text, sums: list[str], value: str, base: str, start: str, mask: str | None) -> None:
    """sums += value * a part of a row"""
    for number, total in enumerate(sums):
        t.add_product(total, value, t.load(base, t.let(f"add i64 {start}, {number * t.lanes}"), mask))


def _store_row(t: Text, found: list[str], start: str, mask: str | None) -> None:
    for number, vector in enumerate(found):
        t.store(vector, "%Y", t.let(f"add i64 {start}, {number * t.lanes}"), mask)


def by_rows_vector(t: Text) -> None:
    """y = A @ x for A by rows (CSR): several entries of a row at a time, with what they meet gathered from x.

    A row of few entries is walked over one by one.
    """
    with t.loop("%begin", "%end") as row:
        first, last = t.position("%starts", row), t.position("%starts", t.let(f"add i64 {row}, 1"))
        count = t.let(f"sub i64 {last}, {first}")
        result = t.variable(t.scalar, "0.0")
        with t.when(t.let(f"icmp slt i64 {count}, {SHORT}")), t.loop(first, last) as entry:
            x = t.number("%X", t.position("%places", entry))
            t.add_product(result, t.number("%entries", entry), x, t.scalar)
        with t.when(t.let(f"icmp sge i64 {count}, {SHORT}")):
            sums = [t.variable(t.vector, "zeroinitializer") for _ in range(CHAINS)]
            middle = t.let(f"add i64 {first}, {t.whole(count, CHAINS * t.lanes)}")
            with t.loop(first, middle, CHAINS * t.lanes) as entry:
                for number, total in enumerate(sums):
                    place = t.let(f"add i64 {entry}, {number * t.lanes}")
                    t.fetch(t.let(f"add i64 {place}, {AHEAD}"))
                    t.add_product(total, t.load("%entries", place), t.gather("%X", t.places("%places", place)))
            with t.loop(middle, last, t.lanes) as entry:
                mask = t.first_lanes(t.let(f"sub i64 {last}, {entry}"))
                x = t.gather("%X", t.places("%places", entry, mask), mask)
                t.add_product(sums[0], t.load("%entries", entry, mask), x)
            t.do(f"store {t.scalar} {t.total(_added(t, sums))}, ptr {result}")
        t.store_number(t.value(t.scalar, result), "%Y", row)


def _added(t: Text, sums: list[str]) -> str:
    """The sum of some sums, which are variables."""
    found = t.value(t.vector, sums[0])
    for other in sums[1:]:
        found = t.let(f"fadd {t.vector} {found}, {t.value(t.vector, other)}")
    return found


def by_columns(t: Text) -> None:
    """Y = A @ X for A by columns (CSC): each row of X goes to the rows of Y that its column of A names."""
    for column, count, mask in t.columns(VECTORS // 2):
        with t.loop("0", "%rows") as row:
            start = t.let(f"add i64 {t.let(f'mul i64 {row}, %columns')}, {column}")
            for number in range(count):
                t.store("zeroinitializer", "%Y", t.let(f"add i64 {start}, {number * t.lanes}"), mask)
        with t.loop("0", t.let("sub i64 %ends, 1")) as k:
            first, last = t.position("%starts", k), t.position("%starts", t.let(f"add i64 {k}, 1"))
            start = t.let(f"add i64 {t.let(f'mul i64 {k}, %columns')}, {column}")
            given = [t.load("%X", t.let(f"add i64 {start}, {number * t.lanes}"), mask) for number in range(count)]
            with t.loop(first, last) as entry:
                t.fetch(t.let(f"add i64 {entry}, {AHEAD}"))
                value = t.spread(t.number("%entries", entry))
                row = t.let(f"mul i64 {t.position('%places', entry)}, %columns")
                target = t.let(f"add i64 {row}, {column}")
                for number, x in enumerate(given):
                    place = t.let(f"add i64 {target}, {number * t.lanes}")
                    product = t.let(f"fmul contract {t.vector} {value}, {x}")
                    t.store(
                        t.let(f"fadd contract {t.vector} {t.load('%Y', place, mask)}, {product}"), "%Y", place, mask
                    )


def by_columns_vector(t: Text) -> None:
    """y = A @ x for A by columns (CSC)."""
    with t.loop("0", "%rows") as row:
        t.store_number("0.0", "%Y", row)
    with t.loop("0", t.let("sub i64 %ends, 1")) as k:
        first, last = t.position("%starts", k), t.position("%starts", t.let(f"add i64 {k}, 1"))
        x = t.number("%X", k)
        with t.loop(first, last) as entry:
            target = t.at("%Y", t.position("%places", entry))
            t.add_product(target, t.number("%entries", entry), x, t.scalar)


def sampled(t: Text) -> None:
    """Z = A * (B @ C') at the entries of A by rows; the rows of B and C follow each other in memory."""
    whole = t.whole("%inner", t.lanes)
    mask = t.first_lanes(t.let(f"sub i64 %inner, {whole}"))
    with t.loop("%begin", "%end") as row:
        first, last = t.position("%starts", row), t.position("%starts", t.let(f"add i64 {row}, 1"))
        left = t.let(f"mul i64 {row}, %inner")
        with t.loop(first, last) as entry:
            right = t.let(f"mul i64 {t.position('%places', entry)}, %inner")
            sums = t.variable(t.vector, "zeroinitializer")

            def meet(k: str, mask: str | None = None, left: str = left, right: str = right, sums: str = sums) -> None:
                a = t.load("%B", t.let(f"add i64 {left}, {k}"), mask)
                t.add_product(sums, a, t.load("%C", t.let(f"add i64 {right}, {k}"), mask))

            with t.loop("0", whole, t.lanes) as k:
                meet(k)
            with t.loop(whole, "%inner", t.lanes) as k:
                meet(k, mask)
            value = t.number("%entries", entry)
            found = t.let(f"fmul {t.scalar} {value}, {t.total(t.value(t.vector, sums))}")
            t.store_number(found, "%Z", entry)


def by_blocks(high: int, wide: int) -> Callable[[Text], None]:
    """Y = A @ X for A in blocks of high by wide, by rows of blocks (BSR): an entry of X is read once for some rows."""
    step = next(rows for rows in (HIGH, 3, 2, 1) if high % rows == 0)

    def write(t: Text) -> None:
        with t.loop("%begin", "%end") as row:
            first, last = t.position("%starts", row), t.position("%starts", t.let(f"add i64 {row}, 1"))
            with t.loop("0", str(high), step) as inner:
                begin = t.let(f"add i64 {t.let(f'mul i64 {row}, {high}')}, {inner}")
                offset = t.let(f"mul i64 {inner}, {wide}")
                for column, count, mask in t.columns(VECTORS // 2):
                    sums = [[t.variable(t.vector, "zeroinitializer") for _ in range(count)] for _ in range(step)]
                    with t.loop(first, last) as block:
                        start = t.let(f"add i64 {t.let(f'mul i64 {block}, {high * wide}')}, {offset}")
                        place = t.let(f"mul i64 {t.position('%places', block)}, {wide}")
                        with t.loop("0", str(wide)) as k:
                            x_row = t.let(f"mul i64 {t.let(f'add i64 {place}, {k}')}, %columns")
                            x_start = t.let(f"add i64 {x_row}, {column}")
                            places = [t.let(f"add i64 {x_start}, {n * t.lanes}") for n in range(count)]
                            given = [t.load("%X", at, mask) for at in places]
                            entry = t.let(f"add i64 {start}, {k}")
                            for number, of_row in enumerate(sums):
                                value = t.spread(t.number("%entries", t.let(f"add i64 {entry}, {number * wide}")))
                                for total, x in zip(of_row, given, strict=True):
                                    t.add_product(total, value, x)
                    for number, of_row in enumerate(sums):
                        target = t.let(f"mul i64 {t.let(f'add i64 {begin}, {number}')}, %columns")
                        found = [t.value(t.vector, total) for total in of_row]
                        _store_row(t, found, t.let(f"add i64 {target}, {column}"), mask)

    return write


def by_diagonals(t: Text) -> None:
    """Y = A @ X for the diagonals of A (DIA), whose numbers stand at their columns: no places are read."""
    bound = t.call("i64", "llvm.smin.i64", ("i64", "%length"), ("i64", "%inner"))
    with t.loop("%begin", "%end") as row:
        begin = t.let(f"mul i64 {row}, %columns")
        for column, count, mask in t.columns(VECTORS):
            sums = [t.variable(t.vector, "zeroinitializer") for _ in range(count)]
            with t.loop("0", "%diagonals") as d:
                place = t.let(f"add i64 {row}, {t.position('%places', d)}")
                first = t.call("i64", "llvm.smax.i64", ("i64", place), ("i64", "0"))
                last = t.call("i64", "llvm.smin.i64", ("i64", t.let(f"add i64 {place}, 1")), ("i64", bound))
                with t.loop(first, last) as k:  # once, or not at all
                    value = t.spread(t.number("%entries", t.let(f"add i64 {t.let(f'mul i64 {d}, %length')}, {k}")))
                    start = t.let(f"mul i64 {k}, %columns")
                    _add_row(t, sums, value, "%X", t.let(f"add i64 {start}, {column}"), mask)
            found = [t.value(t.vector, total) for total in sums]
            _store_row(t, found, t.let(f"add i64 {begin}, {column}"), mask)


def by_diagonals_vector(t: Text) -> None:
    """y = A @ x for the diagonals of A (DIA): some vectors of rows at a time."""
    bound = t.call("i64", "llvm.smin.i64", ("i64", "%length"), ("i64", "%inner"))
    width = CHAINS * t.lanes
    with t.loop("%begin", "%end") as part:
        row = t.let(f"mul i64 {part}, {width}")
        sums = [t.variable(t.vector, "zeroinitializer") for _ in range(CHAINS)]
        with t.loop("0", "%diagonals") as d:
            start = t.let(f"add i64 {row}, {t.position('%places', d)}")
            line = t.let(f"mul i64 {d}, %length")
            for number, total in enumerate(sums):
                place = t.let(f"add i64 {start}, {number * t.lanes}")
                below, above = (
                    t.first_lanes(t.let(f"sub i64 0, {place}")),
                    t.first_lanes(t.let(f"sub i64 {bound}, {place}")),
                )
                outside = t.let(f"xor {t.mask} {below}, {t.all_lanes()}")
                mask = t.let(f"and {t.mask} {outside}, {above}")
                a = t.load("%entries", t.let(f"add i64 {line}, {place}"), mask)
                t.add_product(total, a, t.load("%X", place, mask))
        for number, total in enumerate(sums):
            place = t.let(f"add i64 {row}, {number * t.lanes}")
            t.store(t.value(t.vector, total), "%Y", place, t.first_lanes(t.let(f"sub i64 %rows, {place}")))


# ---- signatures

ROWS, INNER, COLUMNS, STORED, MARKS, ENDS = map(named, ("rows", "inner", "columns", "stored", "marks", "ends"))
DIAGONALS, LENGTH = named("diagonals"), named("length")
BY_STARTS = "  %count = sub i64 %ends, 1"


def native(kind: str, dtype: DType, index: DType, block: tuple[int, int] = (1, 1)) -> Native:
    """A kernel: `csr`, `csc`, `bsr` or `dia` for a product with a matrix, `csr_vector` and so on with a vector, or
    `sampled`.

    Its operands are the arrays of scipy's class of that name, and what stands on the right side.
    """
    format, is_vector = kind.removesuffix("_vector"), kind.endswith("_vector")
    t = Text(dtype, index.name)
    matrix = [Array("entries", dtype, (STORED,)), Array("places", index, (MARKS,)), Array("starts", index, (ENDS,))]
    right = [Array("X", dtype, (INNER,) if is_vector else (INNER, COLUMNS))]
    rows, count, name = ENDS - 1, BY_STARTS, f"tpc_{kind}_{dtype.name}_{index.name}"
    match format:
        case "csr":
            (by_rows_vector if is_vector else by_rows)(t)
        case "csc":
            (by_columns_vector if is_vector else by_columns)(t)
            rows, count = ROWS, "  %count = add i64 0, 1"  # each entry may go to any row
        case "bsr":
            by_blocks(*block)(t)
            matrix[0] = Array("entries", dtype, (STORED, *block))
            rows, name = block[0] * rows, f"{name}_{block[0]}_{block[1]}"
        case "dia":
            (by_diagonals_vector if is_vector else by_diagonals)(t)
            matrix = [Array("entries", dtype, (DIAGONALS, LENGTH)), Array("places", index, (DIAGONALS,))]
            width = CHAINS * t.lanes if is_vector else 1
            rows, count = ROWS, f"  %padded = add i64 %rows, {width - 1}\n  %count = sdiv i64 %padded, {width}"
        case "sampled":
            sampled(t)
            right = [Array("B", dtype, (ROWS, INNER)), Array("C", dtype, (COLUMNS, INNER))]
    result = Array("Y", dtype, (rows,) if is_vector else (rows, COLUMNS))
    if format == "sampled":
        result = Array("Z", dtype, (STORED,))
    operands = (*matrix, *right)
    sizes = tuple(dict.fromkeys(n for a in (*operands, result) for dim in a.dims for n in sorted(names_of(dim))))
    text = t.function(name, sizes, [a.name for a in (*operands, result)], count)
    return Native(Signature(name, sizes, operands, (result,)), text, ("tpc_parallel",))
