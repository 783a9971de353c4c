"""Sums of boxes: planted ones are found with about as many numbers as they have, others are refused."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import tpc
from tests.approximation.programs import Array, away, compiled
from tpc.ir.node import Program
from tpc.ir.reference import evaluate
from tpc.ir.types import F32, F64
from tpc.passes.approximation.projections.boxes import boxes, separated
from tpc.passes.approximation.target import Target

Box = tuple[int, int, int, int]


def draw(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def filled(m: int, n: int, ranges: list[Box], random: np.random.Generator) -> Array:
    """Boxes of top, bottom, left and right."""
    whole = np.zeros((m, n))
    for top, bottom, left, right in ranges:
        u, v = random.standard_normal(bottom - top), random.standard_normal(right - left)
        whole[top:bottom, left:right] += np.outer(u, v)
    return whole


def planted(count: int, random: np.random.Generator, least: float = 0.12, most: float = 0.5) -> tuple[Array, int]:
    """A matrix of random boxes, and how many numbers they have."""
    m, n = (int(k) for k in random.integers(80, 300, 2))
    ranges: list[Box] = []
    for _ in range(count):
        high, wide = (int(random.integers(int(least * k) + 1, int(most * k) + 1)) for k in (m, n))
        top, left = int(random.integers(m - high + 1)), int(random.integers(n - wide + 1))
        ranges.append((top, top + high, left, left + wide))
    return filled(m, n, ranges, random), sum(b - t + r - le for t, b, le, r in ranges)


def noisy(A: Array, random: np.random.Generator, share: float = 1e-4) -> Array:
    noise = random.standard_normal(A.shape)
    return A + share * np.linalg.norm(A) / np.linalg.norm(noise) * noise


@pytest.mark.parametrize("dtype", [F64, F32])
def test_six_planted_boxes_are_found(dtype: object) -> None:
    shares = []
    for seed in range(30):
        A, count = planted(6, draw(seed))
        A = noisy(A, draw(seed))
        target = Target(A, dtype, 1e-3)  # type: ignore[arg-type]
        (found,) = boxes(target)
        shares.append(found.work / 2 / count)
        assert found.about.startswith("6 of them") and found.stored <= 3 * found.work
        (value,) = evaluate(Program("meaning", [], [found.rounded(target.dtype).nodes("W", target.dtype)[-1]]), [])
        assert away(value, A) <= target.error(found.rounded(target.dtype).dense()) <= 1e-3
    assert max(shares) <= 1.2 and np.median(shares) <= 1.01


def tiles(starts: list[int]) -> list[Box]:
    return [(*rows, *columns) for rows in pairwise(starts) for columns in pairwise(starts)]


CASES: dict[str, list[Box]] = {
    "apart": [(0, 30, 50, 100), (40, 90, 0, 40)],
    "on the diagonal": [(k, k + 20, k, k + 20) for k in range(0, 100, 20)],
    "in tiles": tiles([0, 30, 60, 100]),
    "one within another": [(0, 100, 20, 40), (10, 30, 0, 100), (15, 25, 30, 36)],
    "the same rows": [(10, 40, 0, 30), (10, 40, 20, 60), (10, 40, 70, 100)],
    "of one row": [(5, 6, 0, 100), (0, 100, 7, 8)],
}


@pytest.mark.parametrize("name", CASES)
def test_special_cases_come_back(name: str) -> None:
    """With the ranges that they were made with, whatever else their vectors are."""
    A = filled(100, 100, CASES[name], draw(3))
    u, s, v = np.linalg.svd(A)
    rank = int((s > 1e-12 * s[0]).sum())
    U, V, rows, columns = separated(u[:, :rank] * s[:rank], v[:rank], 1e-7 * s[0])
    assert away(U @ V, A) <= 1e-12
    assert sorted((*r, *c) for r, c in zip(rows, columns, strict=True)) == sorted(CASES[name])


def test_what_boxes_do_not_spare_is_refused() -> None:
    random = draw()
    for A in (
        random.standard_normal((100, 100)),
        random.standard_normal((100, 6)) @ random.standard_normal((6, 80)),
        filled(100, 100, CASES["apart"], random)[random.permutation(100)][:, random.permutation(100)],
        np.eye(100),
        np.zeros((100, 100)),
    ):
        assert not list(boxes(Target(A, F64, 1e-3)))


def test_products_read_ranges_alone(tmp_path: Path) -> None:
    pytest.importorskip("llvmlite")
    random = draw(5)
    corners = [int(k) for k in random.integers(0, 1900, 40)]
    ranges = [(a, a + 100, b, b + 120) for a, b in zip(corners[::2], corners[1::2], strict=True)]
    W, x = noisy(filled(2000, 2020, ranges, random), random, 1e-5), random.standard_normal((2020, 8))
    text = "def f(x: f64[2020, 8]) -> f64[2000, 8]:\n    Ws ~= W within 1e-3\n    return Ws @ x\n"
    f = compiled(text, tmp_path, {"W": W}, backend="auto")
    assert away(f(x), W @ x) <= 1e-3
    assert f.certificates[0].spent[0].structure == "boxes" and "20 of them" in f.explain()


def test_they_are_those_of_the_language() -> None:
    A = filled(100, 100, CASES["one within another"], draw(4))
    u, s, v = np.linalg.svd(A)
    U, V, rows, columns = separated(u[:, :3] * s[:3], v[:3], 1e-7 * s[0])
    f = tpc.compile(
        "def f(W: boxes(top: [3], bottom: [3], left: [3], right: [3], u: [3, m], v: [3, n])) = W @ eye(n)\n"
    )
    (top, bottom), (left, right) = np.array(rows, float).T, np.array(columns, float).T
    np.testing.assert_allclose(f(top, bottom, left, right, U.T.copy(), V), A, atol=1e-12)
