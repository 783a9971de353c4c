"""Sums along rows and along columns of one matrix: in one pass where neither needs the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tpc.backends.llvm.fusion.statement import Statement
from tpc.backends.llvm.lower import _sequence
from tpc.ir.node import Program

from .calls import Function, program

FORMATS: dict[str, type[Any]] = {"f64": np.float64, "f32": np.float32}
ROOM = {"f64": 1e-12, "f32": 2e-4}
# Nothing, one; one less and one more than rows side by side, lanes, and a chunk.
SHAPES = [(0, 3), (3, 0), (1, 1), (7, 8), (9, 7), (8, 33), (17, 15), (255, 16), (257, 65), (513, 31)]
TOGETHER: dict[str, tuple[str, Callable[..., tuple[Any, ...]]]] = {
    "rows first": (
        "def f(A: T[m, n], x: T[n], v: T[m]):\n    return tanh(A @ x), 2 * (v @ A)\n",
        lambda A, x, v: (np.tanh(A @ x), 2 * (v @ A)),
    ),
    "columns first": (
        "def f(A: T[m, n], x: T[n], v: T[m]):\n    return 2 * (v @ A), tanh(A @ x) + v\n",
        lambda A, x, v: (2 * (v @ A), np.tanh(A @ x) + v),
    ),
    "of one result": (
        "def f(A: T[n, n], x: T[n], v: T[n]) = tanh(A @ x) + tanh(v @ A)",
        lambda A, x, v: (np.tanh(A @ x) + np.tanh(v @ A),),
    ),
    "sums": (
        "def f(A: T[m, n], x: T[n]):\n    return sum(A, axis=0) * x, sum(A * A, axis=1)\n",
        lambda A, x: (A.sum(0) * x, (A * A).sum(1)),
    ),
}
APART = {
    "one needs the other": "def f(A: f64[m, n], x: f64[n]) = tanh(A @ x) @ A",
    "two matrices": "def f(A: f64[m, n], B: f64[m, n], x: f64[n], v: f64[m]):\n    return tanh(A @ x), tanh(v @ B)\n",
    "both along rows": "def f(A: f64[m, n], x: f64[n], y: f64[n]):\n    return tanh(A @ x), tanh(A @ y)\n",
}


def is_crossed(made: Program) -> bool:
    return any(isinstance(step, Statement) and step.is_crossed for step in _sequence(made, False)[1].steps)


@pytest.mark.parametrize("dtype", ["f64", "f32"])
@pytest.mark.parametrize("name", TOGETHER)
def test_a_matrix_is_read_once(name: str, dtype: str) -> None:
    text, meaning = TOGETHER[name]
    made = program(text.replace("T[", f"{dtype}["))
    assert is_crossed(made)
    function = Function(made)
    draw = np.random.default_rng(0)
    for m, n in SHAPES:
        m = n if name == "of one result" else m
        given = [draw.standard_normal(s).astype(FORMATS[dtype]) for s in ((m, n), n, m)][: len(made.inputs)]
        for one, other in zip(function(given), meaning(*given), strict=True):
            np.testing.assert_allclose(one, other, rtol=ROOM[dtype], atol=50 * ROOM[dtype])


@pytest.mark.parametrize("name", APART)
def test_what_is_not_taken_together(name: str) -> None:
    assert not is_crossed(program(APART[name]))
