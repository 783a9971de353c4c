"""Singular matrices between regular ones.

Random matrices are never singular. But where a determinant has another sign at one point than at another, it is zero
on the way from one to the other, and the way stays among the operands that are allowed where these are convex sets.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from tpc.dsl import syntax
from tpc.passes.rules.checker.draw import Numbers
from tpc.passes.rules.checker.expression import Doubtful, Undefined
from tpc.passes.rules.checker.setting import Point
from tpc.passes.rules.trees import called

if TYPE_CHECKING:
    from tpc.passes.rules.checker.trial import Trial

CONVEX = frozenset(
    ["symmetric", "psd", "spd", "skew", "diagonal", "lower", "upper", "banded", "toeplitz", "circulant"]
    + ["positive", "nonnegative", "negative", "nonpositive", "row_stochastic"]
)
REGULAR = ("nonsingular", "full_rank")
DRAWS = 8
HALVINGS = 60


def singular_between(trial: Trial, numbers: Numbers, sizes: dict[str, int]) -> str:
    """What is wrong at a point where a matrix is singular that a fact says to be regular; nothing if none is found."""
    setting, law = trial.setting, trial.law
    asked = {fact for facts in setting.facts.values() for fact in facts}
    if not isinstance(law, syntax.RuleFact) or called(law.conclusion) not in REGULAR or setting.guards:
        return ""
    if not asked <= CONVEX or not sizes:
        return ""
    signs = [(point, sign) for point in trial.draws(numbers, sizes, DRAWS) if (sign := _sign(trial, point))]
    above, below = ([point for point, own in signs if own == sign] for sign in (1, -1))
    for start, stop in product(above[:1], below[:2]):
        for _ in range(HALVINGS):
            middle = Point(sizes, [(a + b) / 2 for a, b in zip(start.arrays, stop.arrays)], trial.domain)
            if _sign(trial, middle) == 1:
                start = middle
            else:
                stop = middle
        problem = trial.compare(stop)
        if problem:
            return problem
    return ""


def _sign(trial: Trial, point: Point) -> int:
    """The sign of the determinant; 0 where there is none."""
    import numpy as np

    try:
        value = trial.sides[0].value(point.arrays, point.sizes, point.domain)
    except (Undefined, Doubtful):
        return 0
    return int(np.linalg.slogdet(value)[0]) if value.ndim == 2 and value.shape[0] == value.shape[1] else 0
