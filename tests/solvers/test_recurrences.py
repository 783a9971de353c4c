"""Functions of the library that go over a tree or a tridiagonal matrix once or twice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg

import tpc

TREE = "def main(parent: i64[n], length: f64[n], x: f64[n]) = tree_product(parent, length, x)"
COUNT = "def main(d: T[n], e: T[n - 1], s: T) = eigenvalues_below(d, e, s)"


def tree(n: int) -> tuple[Any, Any, Any]:
    """Parents, lengths of the edges to them, and the distances between all nodes."""
    draw = np.random.default_rng(n)
    parent = np.array([0, *(draw.integers(max(0, k - 20), k) for k in range(1, n))])
    length, distance = draw.random(n), np.zeros((n, n))
    for k in range(1, n):
        distance[k, :k] = distance[:k, k] = distance[parent[k], :k] + length[k]
    return parent, length, distance


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
@pytest.mark.parametrize("n", [1, 2, 40, 300])
def test_a_product_with_the_distances_in_a_tree_takes_two_passes(n: int, backend: str) -> None:
    parent, length, distance = tree(n)
    x = np.random.default_rng(0).standard_normal(n)
    found = tpc.compile(TREE, backend=backend)(parent, length, x)
    np.testing.assert_allclose(found, np.exp(-distance) @ x, rtol=0, atol=1e-12 * np.linalg.norm(x))


def test_operations_of_a_large_tree() -> None:
    """8 for each edge are the two passes, and 17 its exponential and whether the parents come before their children."""
    program = tpc.compile(TREE, dims={"n": 3000})
    assert program.cost.flops <= 25 * 3000
    parent, length, distance = tree(3000)
    x = np.random.default_rng(0).standard_normal(3000)
    np.testing.assert_allclose(program(parent, length, x), np.exp(-distance) @ x, rtol=0, atol=1e-12 * 3000**0.5)


@pytest.mark.parametrize("wrong", [2, -1, 3])
def test_a_parent_that_does_not_come_before_is_an_error(wrong: int) -> None:
    with pytest.raises(tpc.TpcError, match="does not come after its parent"):
        tpc.compile(TREE)(np.array([0, 0, wrong]), np.ones(3), np.ones(3))


def test_eigenvalues_of_tridiagonal_matrices_are_counted() -> None:
    draw, program = np.random.default_rng(0), tpc.compile(COUNT.replace("T", "f64"))
    for k in range(1000):
        n = int(draw.integers(1, 40))
        is_whole = k % 2  # many equal numbers, minors that vanish, blocks
        d, e = (draw.integers(-3, 4, m) if is_whole else draw.standard_normal(m) for m in (n, n - 1))
        s = draw.choice([0.5, -1.5, np.pi]) if is_whole else draw.standard_normal()
        values = scipy.linalg.eigvalsh_tridiagonal(d.astype(float), e.astype(float)) if n > 1 else d
        if np.abs(values - s).min() > 1e-12:
            assert program(d.astype(float), e.astype(float), float(s)) == np.sum(values < s)


@pytest.mark.parametrize("dtype", ["f64", "f32"])
@pytest.mark.parametrize("backend", ["numpy", "llvm"])
def test_minors_that_vanish_are_counted(backend: str, dtype: str) -> None:
    """2 on the diagonal and -1 beside it: every third minor at 1 is zero, and a third of the eigenvalues is below."""
    program = tpc.compile(COUNT.replace("T", dtype), backend=backend)
    form = {"f64": np.float64, "f32": np.float32}[dtype]
    for n in (1, 3, 10, 3000):
        assert program(np.full(n, 2, form), np.full(n - 1, -1, form), 1.0) == n // 3
