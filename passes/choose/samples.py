"""Sizes to try plans at, where a program leaves them open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from tpc.ir.dims import DimLike, names_of, substitute
from tpc.ir.node import Constraint, Program

SMALL, LARGE = 30, 1500  # sizes are drawn between them, each factor of two as likely
MOST_ENTRIES = 2**27  # of an input
ALIKE = (3, 20, 300, 3000)  # for all sizes at once
USUAL, LONG = 400, 20_000  # beside one size that is 1, or long
LONE = 0.05  # how often a size is 1
SAME = 0.15  # how often one is that of the size before it
TRIES = 40  # for each sample, where constraints are hard to meet

Point = dict[str, int]


def open_sizes(program: Program) -> tuple[str, ...]:
    """The names of the sizes that a program leaves open, in order of appearance."""
    found: dict[str, None] = {}
    for node in (*program.inputs, *program.nodes):
        types = node.type if isinstance(node.type, tuple) else (node.type,)
        for type in types:
            for dim in type.dims:
                found.update(dict.fromkeys(sorted(names_of(dim))))
    return tuple(found)


def draw(program: Program, count: int, seed: int = 0) -> list[Point]:
    """Up to `count` sizes for a program, always the same: corners first, then at random.

    All meet the program's `where`. Where random sizes hardly ever do, there are fewer.
    """
    names = open_sizes(program)
    chance = Random(seed)
    found: dict[tuple[tuple[str, int], ...], Point] = {}
    candidates = (*_corners(names), *(_random(names, chance) for _ in range(count * TRIES)))
    for candidate in candidates:
        if len(found) == count:
            break
        point = _mended(program, candidate)
        if point is not None:
            found.setdefault(tuple(point.items()), point)
    return list(found.values())


def _corners(names: Sequence[str]) -> Iterator[Point]:
    """All sizes alike; then one size unlike all others: a vector, a tall or wide matrix."""
    for size in ALIKE:
        yield dict.fromkeys(names, size)
    for name in names:
        yield {**dict.fromkeys(names, USUAL), name: 1}
        yield {**dict.fromkeys(names, ALIKE[1]), name: LONG}


def _random(names: Sequence[str], chance: Random) -> Point:
    point: Point = {}
    last = 0
    for name in names:
        kind = chance.random()
        if kind < LONE:
            size = 1
        elif kind < LONE + SAME and last:
            size = last
        else:
            size = round(SMALL * (LARGE / SMALL) ** chance.random())
        point[name] = last = size
    return point


def _mended(program: Program, point: Point) -> Point | None:
    """The sizes, changed where an equation fixes one or two stand the wrong way round; None if they do not fit."""
    for constraint in program.where:
        if constraint.relation == "==":
            for side, other in ((constraint.left, constraint.right), (constraint.right, constraint.left)):
                name, value = _name(side), _value(other, point)
                if name is not None and value is not None and name not in names_of(other):
                    point = {**point, name: value}
                    break
        elif not _holds(constraint, point):
            left, right = _name(constraint.left), _name(constraint.right)
            if left is not None and right is not None:
                point = {**point, left: point[right], right: point[left]}
    if any(not _holds(constraint, point) for constraint in program.where):
        return None
    for node in program.inputs:
        entries = 1
        for dim in node.tensor.dims:
            size = _value(dim, point)
            if size is None or size < 0:
                return None
            entries *= size
        if entries > MOST_ENTRIES:
            return None
    return point


def _name(dim: DimLike) -> str | None:
    names = names_of(dim)
    return next(iter(names)) if len(names) == 1 and str(dim) in names else None


def _value(dim: DimLike, point: Point) -> int | None:
    try:
        found = substitute(dim, point)
    except ZeroDivisionError:
        return None
    return found if isinstance(found, int) else None


def _holds(constraint: Constraint, point: Point) -> bool:
    left, right = _value(constraint.left, point), _value(constraint.right, point)
    if left is None or right is None:
        return False
    match constraint.relation:
        case "==":
            return left == right
        case "!=":
            return left != right
        case "<":
            return left < right
        case "<=":
            return left <= right
        case ">":
            return left > right
    return left >= right
