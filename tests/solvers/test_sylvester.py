"""Equations of Sylvester and Lyapunov: A @ X + X @ B = C."""

from typing import Any

import numpy as np
import pytest
import scipy.linalg
from tests.backends.contract import BACKENDS

import tpc

RNG = np.random.default_rng(3)
TEXT = "def f(A: f64[n, n], B: f64[m, m], C: f64[n, m]) -> f64[n, m] = sylvester(A, B, C)\n"
LOSS = "def loss(A: f64[n, n], B: f64[m, m], C: f64[n, m], W: f64[n, m]) -> f64 = sum(W * sylvester(A, B, C))\n"
GRADIENT = f"{LOSS}def main(A: f64[n, n], B: f64[m, m], C: f64[n, m], W: f64[n, m]) = grad(loss, A, B, C)(A, B, C, W)\n"


def normal(*shape: int) -> Any:
    return RNG.standard_normal(shape)


def residual(A: Any, B: Any, C: Any, X: Any) -> float:
    """The backward error: what is left, in units of what was added."""
    size = (np.linalg.norm(A) + np.linalg.norm(B)) * np.linalg.norm(X)
    return float(np.linalg.norm(A @ X + X @ B - C) / max(size, 1e-300))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("n, m", [(4, 3), (1, 5), (1, 1), (0, 3), (3, 0)])
def test_solutions(n: int, m: int, backend: str) -> None:
    f = tpc.compile(TEXT, backend=backend)  # type: ignore[arg-type]
    A, B, C = normal(n, n), normal(m, m), normal(n, m)
    for matrices in ((A, B), (A + A.T, B), (A + A.T, B + B.T)):
        X = f(*matrices, C)
        assert X.shape == (n, m) and residual(*matrices, C, X) < 1e-14


@pytest.mark.parametrize("backend", BACKENDS)
def test_lyapunov(backend: str) -> None:
    text = "def f(A: f64[n, n], Q: f64[n, n]) -> f64[n, n] = sylvester(A, A', Q)\n"
    A, Q = normal(5, 5), normal(5, 5)
    X = tpc.compile(text, backend=backend)(A, Q)  # type: ignore[arg-type]
    np.testing.assert_allclose(X, scipy.linalg.solve_continuous_lyapunov(A, Q), atol=1e-11)
    symmetric = "def f(A: f64[n, n], Q: f64[n, n] is symmetric) -> f64[n, n] is symmetric = sylvester(A, A', Q)\n"
    assert "symmetric" in str(tpc.compile(symmetric).explain()).splitlines()[3]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("n, m", [(4, 3), (1, 2), (2, 1)])
def test_derivatives(n: int, m: int, backend: str) -> None:
    A, B, C, W = 3 * np.eye(n) + 0.3 * normal(n, n), np.eye(m) + 0.3 * normal(m, m), normal(n, m), normal(n, m)
    found = tpc.compile(GRADIENT, backend=backend)(A, B, C, W)  # type: ignore[arg-type]
    for k, slope in enumerate(found):
        direction, step = normal(*slope.shape), 1e-6
        ahead, behind = (_moved((A, B, C), k, direction, s) for s in (step, -step))
        change = np.sum(W * (scipy.linalg.solve_sylvester(*ahead) - scipy.linalg.solve_sylvester(*behind)))
        np.testing.assert_allclose(np.sum(slope * direction), change / (2 * step), rtol=1e-6, atol=1e-8)


def _moved(matrices: tuple[Any, ...], k: int, direction: Any, step: float) -> list[Any]:
    return [X + step * direction if j == k else X for j, X in enumerate(matrices)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_common_eigenvalues_are_refused(backend: str) -> None:
    """SciPy gives numbers of 1e300 there."""
    f = tpc.compile(TEXT, backend=backend)  # type: ignore[arg-type]
    for A, B in ((np.eye(2), -np.eye(2)), (np.array([[1.0, 1], [0, 2]]), np.array([[-2.0, 1], [0, 3]]))):
        with pytest.raises(tpc.TpcError, match="an eigenvalue of A is minus one of B"):
            f(A, B, np.ones((2, 2)))
    with pytest.raises(tpc.TpcError, match="A has entries that are NaN"):
        f(np.full((2, 2), np.nan), np.eye(2), np.ones((2, 2)))
