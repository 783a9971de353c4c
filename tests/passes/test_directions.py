"""Products with Jacobians and Hessians: what is computed, and what is not."""

from __future__ import annotations

import numpy as np
import pytest

import tpc

RECURRENT = """
def F(x: f64[n], W: f64[m, n], k: f64) -> f64[m]:
    s = W @ x
    repeat 5:
        s = tanh(s + k * s^2)
    return s

def f(x: f64[n], W: f64[m, n], k: f64) -> f64 = sum(F(x, W, k)^3)

"""
HEAD = "def main(x: f64[n], W: f64[m, n], k: f64, v: f64[n], u: f64[m]) = "
J, H = "jacobian(F, x)(x, W, k)", "hessian(f, x)(x, W, k)"
PRODUCTS = {
    f"{J} @ v": lambda J, H, u, v: J @ v,
    f"u @ {J}": lambda J, H, u, v: J.T @ u,
    f"{J}' @ ({J} @ v)": lambda J, H, u, v: J.T @ (J @ v),
    f"{J} @ ones(n) - {J} @ v": lambda J, H, u, v: J @ (1 - v),
    f"({J})' @ (2 * u) + {H} @ v": lambda J, H, u, v: 2 * J.T @ u + H @ v,
    f"v @ {H}": lambda J, H, u, v: H @ v,
}
KEPT = {
    f"{J} @ v, trace({J}' @ {J})": lambda J, H, u, v: (J @ v, np.sum(J * J)),
    f"diag({H}) + {H} @ v": lambda J, H, u, v: np.diag(H) + H @ v,
}


def operands() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.standard_normal(4), rng.standard_normal((3, 4)) / 3, np.array(0.3), *map(rng.standard_normal, (4, 3))]


def compiled(body: str) -> tpc.Compiled:
    return tpc.compile(f"{RECURRENT}{HEAD}{body}\n", function="main", backend="numpy")


@pytest.mark.parametrize("body", [*PRODUCTS, *KEPT])
def test_products_are_derivatives_along_directions(body: str) -> None:
    given = operands()
    matrices = compiled(f"{J}, {H}")(*given)
    made = compiled(body)
    expected = (PRODUCTS | KEPT)[body](*matrices, given[4], given[3])
    for found, wanted in zip(made(*given), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)
    # where a matrix is made, it is by a loop over directions
    extents = {str(n["extent"]) for n in made.plan.program.walk() if n.op.name == "scan"}
    assert bool(extents & {"n", "m"}) is (body in KEPT)
