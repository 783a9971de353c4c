"""A rule at thousands of points: drawn and evaluated many at once, where suspicion falls on one it is judged alone.

Modulo a prime the programs run as they are, on numbers that are vectors of residues (`residues`); in floats they have a
further axis (`many`).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING, Any

from tpc.dsl import syntax
from tpc.ir.dims import evaluate
from tpc.ir.reference import modular
from tpc.passes.rules.checker.draw import Numbers
from tpc.passes.rules.checker.expression import Undefined
from tpc.passes.rules.checker.residues import PRIME, Parted
from tpc.passes.rules.checker.setting import Point
from tpc.passes.rules.checker.values import apart, lacks

if TYPE_CHECKING:
    from tpc.passes.rules.checker import Report
    from tpc.passes.rules.checker.trial import Trial

SETTINGS = 6  # of sizes
CANDIDATES = 12  # settings that are tried, as the conditions may be met at few
TOGETHER = 1000  # points that are drawn at once
DRAWS = 8  # in the search for points that meet the conditions
JUDGED = 20  # points under suspicion that are looked at, of those drawn at once
SLOW = ("expm", "logm", "matpow", "sqrtm")  # computed by SciPy, matrix by matrix: a fiftieth of the points
EXTENTS = (1, 2, 3, 4, 5, 6)
MOST_EXTENT = 12  # of a matrix


def sweep_many(trial: Trial, report: Report, points: int, deep: bool = False) -> None:
    """Compare the sides at so many random points at each of some settings of sizes, none of them 0."""
    if not deep and any(node.op.name in SLOW for side in trial.sides for node in side.program.nodes):
        points //= 50
    settings = 0
    for number, sizes in enumerate(bulk_sizes(trial)):
        wanted = points if sizes else SETTINGS * points
        numbers = Numbers(trial.seed * 1000 + number, PRIME if trial.domain.prime else 0, min(TOGETHER, wanted))
        told = 0
        for draw in range(DRAWS):
            count, problem = _compared(trial, numbers, sizes, plain=(number + draw) % 2 == 0)
            told += count
            if problem:
                report.problems.append(f"{problem} at {sizes}")
                return
            if told >= wanted:
                settings += 1
                break
        report.points += told
        if settings == SETTINGS:
            break
    report.settings += settings


def bulk_sizes(trial: Trial) -> list[dict[str, int]]:
    """Settings of sizes: 1 first, then as rectangular as can be; one that is empty where there are no sizes."""
    names = trial.setting.shapes.free
    found = [dict(zip(names, choice)) for choice in product(EXTENTS[: 6 if len(names) == 1 else 3], repeat=len(names))]
    found = [sizes for sizes in found if trial.setting.allows(sizes) and _extent(trial, sizes) <= MOST_EXTENT]
    ones = [sizes for sizes in found if set(sizes.values()) == {1}]
    rest = [sizes for sizes in found if sizes not in ones]
    order = Numbers(trial.seed).rng.permutation(len(rest))
    rest = sorted((rest[k] for k in order), key=lambda sizes: -len(set(sizes.values())))
    return [*ones, *rest][:CANDIDATES]


def _extent(trial: Trial, sizes: dict[str, int]) -> int:
    shapes = trial.setting.shapes
    dims = [dim for shape in shapes.variables.values() for dim in shape] + list(shapes.sizes.values())
    return max((evaluate(dim, sizes) for dim in dims), default=1)


def _compared(trial: Trial, numbers: Numbers, sizes: dict[str, int], plain: bool) -> tuple[int, str]:
    """At how many points the sides were compared, and what is wrong."""
    try:
        if trial.domain.prime:
            return _in_field(trial, numbers, sizes, plain)
        return _in_floats(trial, numbers, sizes, plain)
    except (Undefined, Parted):  # where the sweep of single points looks
        return 0, ""


def _in_field(trial: Trial, numbers: Numbers, sizes: dict[str, int], plain: bool) -> tuple[int, str]:
    import numpy as np

    domain = modular(PRIME)
    point = trial.setting.point(numbers, sizes, domain, plain)
    if point is None:
        return 0, ""
    left, right = (np.asarray(side.value(point.arrays, sizes, domain), dtype=object) for side in trial.sides)
    if left.shape != right.shape:
        return 0, f"the left side has the shape {left.shape}, the right {right.shape}"
    try:
        same = all(a - b == 0 for a, b in zip(left.flat, right.flat, strict=True))
    except Parted:
        same = False
    return numbers.many or 1, "" if same else "the sides differ"


def _in_floats(trial: Trial, numbers: Numbers, sizes: dict[str, int], plain: bool) -> tuple[int, str]:
    point = trial.setting.point(numbers, sizes, trial.domain, plain)
    if point is None:
        return 0, ""
    values, sure = [], True
    for side in trial.sides:
        value, told = side.values(point.arrays, sizes, trial.domain)
        values.append(value)
        sure = sure & told
    count = int(sure.sum())  # type: ignore[attr-defined]
    for k in _suspicious(trial, point, [v[sure] for v in values]):
        problem = trial.compare(point.part(sure).part(k))
        if problem:
            return count, problem
    return count, ""


def _suspicious(trial: Trial, point: Point, values: list[Any]) -> Iterator[int]:
    import numpy as np

    rank = values[0].ndim - 1
    if isinstance(trial.law, syntax.RuleFact):
        marks = np.full(len(values[0]), bool(lacks(values[0], trial.concluded(point), rank)))
    elif values[0].shape != values[1].shape:
        marks = np.ones(len(values[0]), bool)
    elif values[0].dtype.kind in "bi":
        marks = (values[0] != values[1]).any(tuple(range(1, rank + 1)))
    else:
        marks = apart(values[0], values[1], rank).any(tuple(range(1, rank + 1)))
    yield from np.flatnonzero(marks)[:JUDGED]
