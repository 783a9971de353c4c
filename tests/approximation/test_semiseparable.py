"""Triangles that decay from row to row, found in constants."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.approximation.programs import Array, away, compiled
from tpc.ir.node import Program
from tpc.ir.reference import evaluate
from tpc.ir.types import F64
from tpc.passes.approximation.projections.semiseparable import semiseparable
from tpc.passes.approximation.target import Target


def exponential(n: int, draw: np.random.Generator) -> Array:
    """A kernel of points in order."""
    points = np.sort(draw.random(n)) * n / 5
    return np.exp(-np.abs(points[:, None] - points))


def inverse_of_tridiagonal(n: int, draw: np.random.Generator) -> Array:
    beside = draw.random((2, n - 1)) - 1.5
    return np.linalg.inv(np.diag(3 + draw.random(n)) + np.diag(beside[0], 1) + np.diag(beside[1], -1))


def rows_apart(n: int, draw: np.random.Generator) -> Array:
    """Of two parts that have nothing in common, with factors of both signs; the upper triangle is zero."""
    half = n // 2
    logs = np.cumsum(draw.random(half))
    one = np.tril(np.outer(draw.standard_normal(half), draw.standard_normal(half)) * np.exp(logs - logs[:, None]))
    return np.kron(np.eye(2), one)


@pytest.mark.parametrize("make", [exponential, inverse_of_tridiagonal, rows_apart])
@pytest.mark.parametrize("noise", [0, 1e-5])
@pytest.mark.parametrize("n", [16, 120])
def test_what_is_planted_is_found_to_the_digits_that_it_has(make: object, noise: float, n: int) -> None:
    draw = np.random.default_rng(n)
    A = make(n, draw)  # type: ignore[operator]
    rest = draw.standard_normal((n, n))
    A = A + noise * np.linalg.norm(A) / np.linalg.norm(rest) * rest
    (found,) = semiseparable(Target(A, F64, 3 * noise or 1e-12))
    assert away(found.dense(), A) <= (1.7 * noise or 1e-13)
    (meaning,) = evaluate(Program("meaning", [], [found.nodes("W", F64)[-1]]), [])
    assert away(meaning, found.dense()) <= 1e-13
    assert found.stored <= 7 * n


def test_others_are_declined() -> None:
    draw = np.random.default_rng(0)
    A = exponential(64, draw)
    order = draw.permutation(64)
    for other in (
        draw.standard_normal((64, 64)),
        A[order][:, order],
        A[:40],
        A[:8, :8],
        np.triu(A, 1) + draw.random((64, 64)),
    ):
        assert not any(
            Target(other, F64, 1e-2).error(found.dense()) <= 1e-2 for found in semiseparable(Target(other, F64, 1e-2))
        )
    assert not list(semiseparable(Target(np.zeros((32, 32)), F64, 1e-2)))


def test_programs_go_row_after_row(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    W, x = np.tril(exponential(1024, draw)), draw.standard_normal((512, 1024))
    text = "def f(x: f64[512, 1024]) -> f64[512, 1024]:\n    Ws ~= W within 1e-9\n    return x @ Ws'\n"
    f = compiled(text, tmp_path, {"W": W})
    assert away(f(x), x @ W.T) <= 1e-9
    assert f.certificates[0].spent[0].structure == "semiseparable"
    assert f.certificates[0].bytes[1] <= 30 * 1024
