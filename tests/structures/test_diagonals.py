"""Products with matrices by diagonals, and with bands, of few columns and of many."""

import numpy as np
import pytest

import tpc

draw = np.random.default_rng(0)
DIAGONALS = "def f(D: f64[w, m], B: f64[n, c]) = diagonals_matmul(D, B, below={below})\n"


def dense(D: np.ndarray, below: int, columns: int) -> np.ndarray:
    rows = D.shape[1]
    A = np.zeros((rows, columns))
    for o in range(len(D)):
        for i in range(max(0, below - o), min(rows, columns + below - o)):
            A[i, i + o - below] = D[o, i]
    return A


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("below", [0, 2, 7])
def test_products_of_many_columns_are_those_of_the_dense_matrix(below: int, order: str) -> None:
    f = tpc.compile(DIAGONALS.format(below=below), backend="numpy")
    for _ in range(60):
        w, m, n = (int(k) for k in draw.integers(1, (9, 150, 150)))
        D, B = draw.standard_normal((w, m)), draw.standard_normal((n, int(draw.choice([1, 15, 16, 40]))))
        np.testing.assert_allclose(f(D, np.asarray(B, order=order)), dense(D, below, n) @ B, atol=1e-12)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("columns", [3, 16, 64])
def test_products_with_bands(columns: int, order: str) -> None:
    f = tpc.compile("def f(A: f64[m, n], B: f64[n, c]) = band_matmul(A, B, 2, 1)\n", backend="numpy")
    for m, n in ((1, 1), (40, 40), (90, 70), (70, 90), (2, 50), (200, 200)):
        A, B = np.tril(np.triu(draw.standard_normal((m, n)), -2), 1), draw.standard_normal((n, columns))
        np.testing.assert_allclose(f(A, np.asarray(B, order=order)), A @ B, atol=1e-12)
