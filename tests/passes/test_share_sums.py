"""Sums that have summands in common."""

import random

import numpy as np
import pytest

from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.ir.node import Program
from tpc.ir.reference import EXACT, evaluate
from tpc.passes.share_sums import share_sums


def program(results: str) -> Program:
    text = f"def f(A: f64[n, n], B: f64[n, n], C: f64[n, n], D: f64[n, n], x: f64[n]) = {results}\n"
    checked = check(Source(text, "test.tp"))
    assert not checked.diagnostics.errors, checked.diagnostics.errors[0].title
    return checked.programs["f"]


def additions(p: Program) -> int:
    return sum(n.op.name in ("add", "sub") for n in p.nodes)


SHARED = [
    ("A' + B + C, B + C + D, B' + A + C", 6, 5),
    ("A + B + C, D + C + A", 4, 3),
    ("A - B + C, D - B + A", 4, 3),
    ("(A + B + C) @ (A + D + C)", 4, 3),
    ("A + B, A + B + C, A + B + C + D", 3, 3),  # each is a part of the next as it is written
    ("A + C, A + B + C", 3, 2),
    ("(A + B + C) @ x, C + A + (A + B + C)", 4, 3),
]


@pytest.mark.parametrize(("text", "before", "after"), SHARED)
def test_common_summands_are_added_once(text: str, before: int, after: int) -> None:
    p = program(text)
    assert additions(p) == before
    assert additions(share_sums(p)) == after


@pytest.mark.parametrize("text", ["A + B + C, D + x", "A + A, A + A + A", "-A - B, -A - B - C", "A + B, C - D"])
def test_sums_that_share_nothing_stay(text: str) -> None:
    p = program(text)
    assert additions(share_sums(p)) <= additions(p)
    assert share_sums(share_sums(p)) is share_sums(p)


@pytest.mark.parametrize("seed", range(20))
def test_values_stay(seed: int) -> None:
    rng = random.Random(seed)
    names = ["A", "B", "C", "D", "A'", "B'", "(A @ B)", "x"]
    text = ", ".join("".join(rng.choice("+-") + rng.choice(names) for _ in range(rng.randint(2, 6))) for _ in range(4))
    p = program(text)
    q = share_sums(p)
    assert additions(q) <= additions(p)
    for n in (2, 1, 0):
        draw = np.random.default_rng(seed)
        operands = [draw.integers(-9, 9, s) for s in [(n, n)] * 4 + [(n,)]]
        for expected, found in zip(*(evaluate(r, operands, {"n": n}, EXACT) for r in (p, q)), strict=True):
            assert np.array_equal(expected, found), (text, str(q))
