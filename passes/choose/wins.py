"""Where a variant is the cheapest, in words: comparisons of sizes that tell most of its samples from the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import permutations
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[Any]

BOUNDS = (1, 30, 300)  # that single sizes are compared with
TELLING = 0.03  # how much better the words must become by a further comparison


def wins(columns: Mapping[str, Any], chosen: Mask) -> str:
    """Such as `41 % of sizes, mostly n < m and k > 30`; the words alone are a summary, the costs decide."""
    import numpy as np

    share = float(chosen.mean())
    text = f"{share:.0%} of sizes" if share >= 0.005 else "few sizes"
    tests = list(_tests(columns))
    held = np.ones(len(chosen), bool)
    words: list[str] = []
    score = _agreement(held, chosen)
    while tests and len(words) < 2 and 0 < share < 1:
        best, name, mask = max(((_agreement(held & m, chosen), n, m) for n, m in tests), key=lambda t: t[0])
        if best < score + TELLING:
            break
        score, held = best, held & mask
        words.append(name)
    return f"{text}, mostly {' and '.join(words)}" if words else text


def _tests(columns: Mapping[str, Any]) -> Iterator[tuple[str, Mask]]:
    for a, b in permutations(columns, 2):
        yield f"{a} < {b}", columns[a] < columns[b]
        yield f"4*{a} < {b}", 4 * columns[a] < columns[b]
        yield f"{a} < 4*{b}", columns[a] < 4 * columns[b]
    for name, column in columns.items():
        for bound in BOUNDS:
            yield f"{name} <= {bound}", column <= bound
            yield f"{name} > {bound}", column > bound


def _agreement(told: Mask, chosen: Mask) -> float:
    """The share of samples that the words put on the right side, both sides counting alike."""
    return float((told[chosen].mean() + (~told[~chosen]).mean()) / 2) if (~chosen).any() else 1.0
