"""The memory that routines need for themselves: copies by columns, and the workspaces of LAPACK.

A workspace is as large as LAPACK's own texts ask for where the blocks of its algorithms have `COLUMNS` columns: its
answer to the question would come at a call, when the memory of a program is planned.
"""

from __future__ import annotations

from collections.abc import Callable

from tpc.backends.llvm.routines import BUCKETS, ORDERING, PLACE
from tpc.ir.dims import DimLike, maximum, minimum
from tpc.ir.node import Node

COLUMNS = 64  # of a block
LEAF, LEVELS = 25, 20  # of the recursion for least squares: the order of its last parts, and more than it ever has
WHOLE = 4  # bytes of an integer of LAPACK

Counts = tuple[tuple[DimLike, ...], DimLike]  # entries of each array, and integers of LAPACK behind them


def counts(node: Node) -> Counts:
    """The arrays that a routine needs: the entries of each, and how many integers."""
    first = node.args[0].tensor
    if node.op.name in ORDERING:  # keys and places, twice; how often there is each byte
        return (*[first.dims[-1]] * 4, PLACE * BUCKETS), 0
    found = LAPACK.get(node.op.name)
    return ((), 0) if found is None else found(first.dims[-2], first.dims[-1], node)


def room(node: Node) -> DimLike:
    """The bytes of all of them."""
    entries, integers = counts(node)
    size = PLACE if node.op.name in ORDERING else node.args[0].tensor.dtype.size
    return sum(entries, start=0) * size + integers * WHOLE


def _factors(rows: DimLike, columns: DimLike, node: Node) -> Counts:
    return (rows * columns,), columns


def _qr(rows: DimLike, columns: DimLike, node: Node) -> Counts:
    return (rows * columns, minimum(rows, columns), columns * COLUMNS), 0


def _eigenvectors(rows: DimLike, columns: DimLike, node: Node) -> Counts:
    return (rows * rows, 2 * rows * rows + 6 * rows + 1), 5 * rows + 3


def _eigenvalues(rows: DimLike, columns: DimLike, node: Node) -> Counts:
    return (rows * rows, (COLUMNS + 2) * rows + 1), 1


def _singular_vectors(rows: DimLike, columns: DimLike, node: Node) -> Counts:
    rank = minimum(rows, columns)
    work = 4 * rank * rank + 7 * rank + (rows + columns) * COLUMNS
    return (rows * columns, work, rank, rows * rank, rank * columns), 8 * rank


def _singular_values(rows: DimLike, columns: DimLike, node: Node) -> Counts:
    rank = minimum(rows, columns)
    return (rows * columns, 10 * rank + (rows + columns) * (COLUMNS + 1), rank), 8 * rank


def _least_squares(rows: DimLike, columns: DimLike, node: Node) -> Counts:
    rank, right = minimum(rows, columns), node.args[1].tensor
    sides = right.dims[-1] if right.rank > 1 else 1
    work = (15 + 2 * LEAF + 8 * LEVELS + sides) * rank + (LEAF + 1) ** 2 + (rows + columns + sides) * COLUMNS
    return (rows * columns, work, rank, maximum(rows, columns) * sides), (11 + 3 * LEVELS) * rank


def _band(rows: DimLike, columns: DimLike, node: Node) -> Counts:
    right = node.args[1].tensor
    is_definite = node.op.name == "spd_band_solve"
    height = node["width"] + 1 if is_definite else 2 * node["below"] + node["above"] + 1
    sides = right.dims[-1] * columns if right.rank > 1 else 0  # a vector is solved for where the result is
    return (height * columns, sides), 0 if is_definite else columns


LAPACK: dict[str, Callable[[DimLike, DimLike, Node], Counts]] = {
    **dict.fromkeys(["lu_factor", "det", "logdet", "slogdet", "solve", "inv"], _factors),
    **dict.fromkeys(["qr", "qr_triangle"], _qr),
    "eigh": _eigenvectors,
    "eigvalsh": _eigenvalues,
    **dict.fromkeys(["svd", "pinv"], _singular_vectors),
    **dict.fromkeys(["svdvals", "cond", "matrix_rank"], _singular_values),
    "lstsq": _least_squares,
    **dict.fromkeys(["band_solve", "spd_band_solve"], _band),
}
