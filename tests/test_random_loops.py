"""Random loops, in all backends and at open and known sizes, against the reference; and their gradients.

More of them: `python -m tests.test_random_loops 1000` draws from that seed on until it is stopped.
"""

from __future__ import annotations

import sys
from itertools import count
from random import Random
from typing import Any

import numpy as np
import pytest

import tpc
from tests.programs.loops import PARAMETERS, loop
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.ir.reference import evaluate

BACKENDS = ("numpy", "torch", "llvm")
STEP = 1e-4


def drawn(seed: int) -> tuple[str, list[str], list[Any]]:
    """A program, its results, and operands of a small size."""
    random, draw = Random(seed), np.random.default_rng(seed)
    text, results = loop(random)
    n = random.choice([1, 2, 3, 3, 4])
    return (
        text,
        results,
        [*draw.standard_normal((4, n, n)), *draw.standard_normal((2, n)), float(draw.standard_normal())],
    )


def assert_agrees(seed: int, backend: Any) -> None:
    text, results, operands = drawn(seed)
    text += f"    return {', '.join(results)}\n"
    expected = evaluate(check(Source(text, "loop.tp")).programs["f"], operands)
    for dims in ({}, {"n": len(operands[0])}):
        found = tpc.compile(text, function="f", backend=backend, dims=dims)(*operands)
        for value, wanted in zip(found if isinstance(found, tuple) else [found], expected, strict=True):
            np.testing.assert_allclose(value, wanted, rtol=1e-6, atol=1e-6 * max(1, np.abs(wanted).max()), err_msg=text)


def assert_derives(seed: int, backend: Any) -> None:
    """A gradient against differences of fourth order along a line, no nearer than two of them are to each other."""
    text, results, operands = drawn(seed)
    text += f"    return {' + '.join(f'sum(sin({r}))' for r in results)}\n\n"
    place = Random(seed).randrange(5)
    text += f"def main({PARAMETERS}) = grad(f, {'ABXWv'[place]})(A, B, X, W, v, u, c)\n"
    program, line = check(Source(text, "loop.tp")).programs["f"], np.random.default_rng(seed).standard_normal

    way = line(operands[place].shape)

    def value(t: float) -> float:
        moved = [a + t * way if k == place else a for k, a in enumerate(operands)]
        return float(evaluate(program, moved)[0])

    def slope(h: float) -> float:
        return (8 * (value(h) - value(-h)) - (value(2 * h) - value(-2 * h))) / (12 * h)

    wanted, other = slope(STEP), slope(STEP / 3)
    found = float((np.asarray(tpc.compile(text, function="main", backend=backend)(*operands)) * way).sum())
    assert abs(found - wanted) <= 1e-5 * (1 + abs(wanted)) + 30 * abs(wanted - other), text


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("seed", [*range(10), 26])  # the last one failed once
def test_random_loops_agree(seed: int, backend: str) -> None:
    assert_agrees(seed, backend)


@pytest.mark.parametrize("seed", range(10))
def test_gradients_of_random_loops(seed: int) -> None:
    assert_derives(seed, BACKENDS[seed % 3])


if __name__ == "__main__":
    for seed in count(int(sys.argv[1]) if len(sys.argv) > 1 else 0):
        for backend in BACKENDS:
            assert_agrees(seed, backend)
        assert_derives(seed, BACKENDS[seed % 3])
        print(seed, flush=True)
