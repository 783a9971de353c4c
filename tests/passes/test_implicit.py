"""Fixed points: their values, and their derivatives against closed forms, unrolled loops and complex steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tpc
from tpc.dsl.diagnostics import TpcError

EQUILIBRIUM = """
def F(x: f64[n], W: f64[n, n], b: f64[n]) -> f64[n] = tanh(W @ x + b)

def loss(W: f64[n, n], b: f64[n]) -> f64 = sum(fixed_point(F, x)(zeros(n), W, b)^2)

def slope(W: f64[n, n], b: f64[n]) -> (f64[n, n], f64[n]) = grad(loss, W, b)(W, b)

def bend(W: f64[n, n], b: f64[n]) -> f64[n, n] = hessian(loss, b)(W, b)

def along(W: f64[n, n], b: f64[n], v: f64[n]) -> f64 = jvp(loss, b)(W, b, v)
"""


def equilibrium(n: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    W = rng.standard_normal((n, n))
    return 0.5 * W / np.linalg.norm(W, 2), rng.standard_normal(n)


def unrolled(W: Any, b: Any) -> Any:
    x = np.zeros(len(b), complex)
    for _ in range(200):
        x = np.tanh(W @ x + b)
    return np.sum(x**2)


def by_complex_step(function: Any, x: Any) -> Any:
    units = np.eye(x.size).reshape(x.size, *x.shape)
    return np.array([function(x + 1e-30j * unit).imag / 1e-30 for unit in units]).reshape(x.shape)


@pytest.mark.parametrize("n", [1, 5, 40])  # 40 is more than GMRES makes in one round
@pytest.mark.parametrize("is_known", [True, False])  # directly, and by products alone
def test_gradient_of_an_equilibrium(n: int, is_known: bool) -> None:
    W, b = equilibrium(n)
    by_W, by_b = tpc.compile(EQUILIBRIUM, function="slope", dims={"n": n} if is_known else None)(W, b)
    expected = by_complex_step(lambda b: unrolled(W, b), b)
    np.testing.assert_allclose(by_b, expected, atol=1e-8)
    np.testing.assert_allclose(
        by_W[0], by_complex_step(lambda row: unrolled(np.vstack([row, W[1:]]), b), W[0]), atol=1e-8
    )


def test_further_derivatives_of_an_equilibrium() -> None:
    W, b = equilibrium(4)
    v = np.ones(4)
    slope = tpc.compile(EQUILIBRIUM, function="slope")
    whole = tpc.compile(EQUILIBRIUM, function="bend")(W, b)
    difference = (slope(W, b + 1e-5 * v)[1] - slope(W, b - 1e-5 * v)[1]) / 2e-5
    np.testing.assert_allclose(whole @ v, difference, atol=1e-6)
    np.testing.assert_allclose(whole, whole.T, atol=1e-9)
    assert tpc.compile(EQUILIBRIUM, function="along")(W, b, v) == pytest.approx(slope(W, b)[1] @ v, abs=1e-8)


RIDGE = """
def descend(w: f64[m], X: f64[n, m], y: f64[n], penalty: f64, rate: f64) -> f64[m]:
    return w - rate * (X' @ (X @ w - y) + penalty * w)

def loss(X: f64[n, m], y: f64[n], Z: f64[k, m], t: f64[k], penalty: f64, rate: f64) -> f64:
    w = fixed_point(descend, w)(zeros(m), X, y, penalty, rate)
    return sum((Z @ w - t)^2)

def main(X: f64[n, m], y: f64[n], Z: f64[k, m], t: f64[k], penalty: f64, rate: f64):
    return value_and_grad(loss, penalty)(X, y, Z, t, penalty, rate)
"""


def test_hypergradient_of_ridge_regression_is_its_closed_form() -> None:
    rng = np.random.default_rng(1)
    X, y, Z, t = (rng.standard_normal(s) for s in ((30, 6), 30, (9, 6), 9))
    S = X.T @ X + 0.7 * np.eye(6)
    w = np.linalg.solve(S, X.T @ y)
    value, slope = tpc.compile(RIDGE, function="main")(X, y, Z, t, 0.7, 0.005)
    assert value == pytest.approx(np.sum((Z @ w - t) ** 2), rel=1e-9)
    assert slope == pytest.approx(-2 * (Z @ w - t) @ Z @ np.linalg.solve(S, w), rel=1e-6)


SINKHORN = """
def sweep(u: f64[n], v: f64[m], K: f64[n, m], a: f64[n], b: f64[m]) -> (f64[n], f64[m]):
    r = a / (K @ v)
    return r, b / (K' @ r)

def transport(C: f64[n, m], a: f64[n], b: f64[m], e: f64) -> f64:
    K = exp(-C / e)
    u, v = fixed_point(sweep, u, v, tolerance=1e-12)(ones(n), ones(m), K, a, b)
    return sum(u * ((K * C) @ v))

def main(C: f64[n, m], a: f64[n], b: f64[m], e: f64) -> f64[n, m] = grad(transport, C)(C, a, b, e)
"""


def test_two_values_whose_scale_nothing_fixes() -> None:
    C = np.random.default_rng(2).random((4, 3))
    a, b = np.full(4, 1 / 4), np.full(3, 1 / 3)

    def value(C: Any) -> Any:
        K, v = np.exp(-C / 0.3), np.ones(3)
        for _ in range(1000):
            u = a / (K @ v)
            v = b / (K.T @ u)
        return np.sum(u * ((K * C) @ v))

    np.testing.assert_allclose(tpc.compile(SINKHORN)(C, a, b, 0.3), by_complex_step(value, C), atol=1e-9)


WANDERING = "def F(x: f64[n], p: f64) -> f64[n] = p * cos(x)\n\ndef main(x: f64[n], p: f64) -> f64[n] = {}(x, p)\n"


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_what_does_not_settle_is_told(backend: Any) -> None:
    compiled = tpc.compile(WANDERING.format("fixed_point(F, x, steps=50)"), backend=backend)
    np.testing.assert_allclose(compiled(np.ones(2), 0.5), 0.450183611, atol=1e-8)
    with pytest.raises(TpcError) as caught:
        compiled(np.ones(2), 2.0)
    assert caught.value.diagnostics[0].code == "E0815" and "fixed point" in caught.value.diagnostics[0].title


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("fixed_point(F, p)", "E0203"),
        ("fixed_point(F, x, tol=0.1)", "E0304"),
        ("fixed_point(F, x, tolerance=2.0)", "E0217"),
        ("fixed_point(F, x, steps=0)", "E0217"),
        ("grad(F, x, steps=1)", "E0304"),
    ],
)
def test_wrong_ones_are_told(written: str, code: str) -> None:
    with pytest.raises(TpcError) as caught:
        tpc.compile(WANDERING.format(written))
    assert caught.value.diagnostics[0].code == code


def test_torch_goes_through_it() -> None:
    torch = pytest.importorskip("torch")
    W, b = equilibrium(3)
    given = torch.tensor(b, requires_grad=True)
    tpc.compile(EQUILIBRIUM, function="loss", backend="torch")(torch.tensor(W), given).backward()
    np.testing.assert_allclose(given.grad, by_complex_step(lambda b: unrolled(W, b), b), atol=1e-8)
