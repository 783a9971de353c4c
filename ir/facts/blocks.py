"""What a matrix of blocks has, from what its blocks have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tpc.ir.dims import Dim, DimLike, minimum
from tpc.ir.facts.closing import Reason
from tpc.ir.facts.lines import Known, Place, is_square
from tpc.ir.node import Fact

Grid = Sequence[Sequence[Known]]

# What a block diagonal matrix has if all blocks on its diagonal have it.
OF_DIAGONAL = ("lower", "upper", "symmetric", "skew", "psd", "spd", "orthogonal", "permutation", "nonsingular")


def joined(parts: Sequence[Known]) -> Iterator[tuple[Fact, Reason]]:
    """What the entries of arrays that are put one after the other have: the weakest of their bounds."""
    by_name = [{fact.name: fact for fact in known.facts} for known in parts]
    for name, weakest in (("at_least", min), ("at_most", max)):
        if all(name in facts for facts in by_name):
            premises = tuple((n, facts[name]) for n, facts in enumerate(by_name))
            bounds = [f.arguments[0] for _, f in premises if not isinstance(f.arguments[0], Dim)]
            yield Fact(name, (weakest(bounds),)), Reason(f"each part is {name}", premises)
    if all("nonzero" in facts for facts in by_name):
        yield Fact("nonzero"), Reason("each part is nonzero", tuple((n, Fact("nonzero")) for n in range(len(parts))))


def of_blocks(grid: Grid, nonnegative: Sequence[DimLike] = ()) -> Iterator[tuple[Fact, Reason]]:
    """What a matrix of blocks has; positions in the reasons count the blocks row by row."""
    place = Place({}, nonnegative=nonnegative)
    rows, columns = len(grid), len(grid[0])
    yield Fact("low_rank", (_rank(grid),)), Reason("no part has a larger rank")
    tall, wide = columns == 1, rows == 1
    for n, known in enumerate(block for row in grid for block in row):
        m, k = known.type.dims[-2:]
        if (tall and _has(known, "full_rank") and place.proves(m - k)) or (
            wide and _has(known, "full_rank") and place.proves(k - m)
        ):
            yield Fact("full_rank"), Reason("a part has the full rank", ((n, Fact("full_rank")),))
    if rows == columns and rows > 1 and all(is_square(grid[n][n].type) for n in range(rows)):
        yield from _square(grid)


def _has(known: Known, name: str) -> bool:
    return any(fact.name == name for fact in known.facts)


def _is_zero(known: Known) -> bool:
    return Fact("low_rank", (0,)) in known.facts


def _rank(grid: Grid) -> DimLike:
    """At most the sum of what the rows of blocks can have, and of what the columns can."""
    by_rows: DimLike = sum((_least(row, -2) for row in grid), 0)
    by_columns: DimLike = sum((_least(column, -1) for column in zip(*grid, strict=True)), 0)
    return minimum(by_rows, by_columns)


def _least(line: Sequence[Known], axis: int) -> DimLike:
    """The rank of a line of blocks: no more than the line is wide, and than its blocks have together."""
    total: DimLike = 0
    for known in line:
        ranks = [f.arguments[0] for f in known.facts if f.name == "low_rank"]
        total = total + (ranks[0] if ranks and not isinstance(ranks[0], float) else minimum(*known.type.dims[-2:]))
    return minimum(total, line[0].type.dims[axis])


def _square(grid: Grid) -> Iterator[tuple[Fact, Reason]]:
    size = len(grid)
    over = all(_is_zero(grid[i][j]) for i in range(size) for j in range(i))
    under = all(_is_zero(grid[i][j]) for i in range(size) for j in range(i + 1, size))

    def of_all(name: str) -> tuple[tuple[int, Fact], ...]:
        return tuple((n * (size + 1), Fact(name)) for n in range(size))

    def all_have(name: str) -> bool:
        return all(_has(grid[n][n], name) for n in range(size))

    if over and under:
        for name in OF_DIAGONAL:
            if all_have(name):
                yield Fact(name), Reason(f"it is block diagonal with blocks that are {name}", of_all(name))
        return
    for name, holds in (("upper", over), ("lower", under)):
        if holds and all_have(name):
            yield Fact(name), Reason(f"its blocks are {name}, with zeros on the other side", of_all(name))
        if holds and all_have("nonsingular"):
            yield Fact("nonsingular"), Reason("it is block triangular with nonsingular blocks", of_all("nonsingular"))
    if all_have("symmetric") and all(_mirrored(grid[i][j], grid[j][i]) for i in range(size) for j in range(i)):
        yield Fact("symmetric"), Reason("its blocks mirror each other", of_all("symmetric"))


def _mirrored(a: Known, b: Known) -> bool:
    return (a.transposed is not None and a.transposed == b.identity) or (
        _is_zero(a) and _is_zero(b) and a.type.dims[-2:] == b.type.dims[-2:][::-1]
    )


def is_aligned(grid: Grid) -> bool:
    """Whether the blocks of a column are of one width, and those of a row of one height."""
    widths = {tuple(known.type.dims[-1] for known in row) for row in grid}
    return len(widths) == 1 and all(len({known.type.dims[-2] for known in row}) == 1 for row in grid)
