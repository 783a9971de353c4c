"""Small sizes at which a program can be evaluated."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tpc.ir.dims import evaluate
from tpc.ir.node import Program
from tpc.ir.sizes import free_sizes
from tpc.sizes import RELATIONS

RANGES = ((2, 4), (2, 3), (1, 2), (2, 5), (3, 7), (1, 9), (4, 12), (12, 32))  # tried in this order
TRIES = 12
MOST = 2  # settings of sizes


def small_sizes(
    program: Program, seed: int, accepts: Callable[[dict[str, int]], bool] = lambda sizes: True
) -> list[dict[str, int]]:
    """A few settings of the open sizes that the program allows and `accepts` does, different sizes where that can be.

    Fixed sizes stay; then there is one setting, which is empty.
    """
    names = free_sizes(program)
    if not names:
        return [{}]
    rng = Random(seed)
    found: list[dict[str, int]] = []
    for low, high in RANGES:
        for _ in range(TRIES):
            spread = range(low, high + 1)
            alike = len(names) > len(spread)
            sizes = dict(zip(names, rng.choices(spread, k=len(names)) if alike else rng.sample(spread, len(names))))
            if sizes not in found and allows(program, sizes) and accepts(sizes):
                found.append(sizes)
            if len(found) == MOST:
                return found
    return found


def allows(program: Program, sizes: dict[str, int]) -> bool:
    """Whether sizes are as the program wants them."""
    try:
        return all(RELATIONS[c.relation](evaluate(c.left, sizes), evaluate(c.right, sizes)) for c in program.where)
    except ZeroDivisionError:
        return False
