"""What derivatives cost beside what they are taken of: counted operations and factorizations of the plans."""

from __future__ import annotations

from collections import Counter

import numpy as np
import scipy.linalg

import tpc

HEAD = "w: f64[h, d], v: f64[h], X: f64[n, d], y: f64[n]"
NETWORK = f"def L({HEAD}) -> f64 = mean((tanh(X @ w') @ v - y)^2)\n\n"
SIZES = {"h": 50, "d": 40, "n": 500}
ONE = f"{NETWORK}def main({HEAD}) = grad(L, w, v)(w, v, X, y)\n"


def flops(text: str, **sizes: int) -> float:
    return float(tpc.compile(text, function="main", dims=sizes or SIZES, backend="numpy").cost.flops)


def test_a_hessian_vector_product_costs_at_most_four_gradients() -> None:
    product = f"{NETWORK}def main({HEAD}, a: f64[h, d], b: f64[h]) = hvp(L, w, v)(w, v, X, y, a, b)\n"
    assert flops(product) <= 4 * flops(ONE)


def test_the_gradient_of_the_norm_of_a_gradient_is_a_hessian_vector_product() -> None:
    text = f"{NETWORK}def N({HEAD}) -> f64:\n    a, b = grad(L, w, v)(w, v, X, y)\n"
    text += "    return (sum(a^2) + sum(b^2)) / 2\n\n"
    assert flops(f"{text}def main({HEAD}) = grad(N, w, v)(w, v, X, y)\n") <= 2.1 * flops(ONE)


def test_two_gradients_on_the_same_data_share_what_depends_on_data_alone() -> None:
    two = f"{NETWORK}def main({HEAD}, w2: f64[h, d], v2: f64[h]):\n    a, b = grad(L, w, v)(w, v, X, y)\n"
    two += "    c, e = grad(L, w, v)(w2, v2, X, y)\n    return a - c, b - e\n"
    assert flops(two) <= 2.05 * flops(ONE)


def test_a_frozen_factor_of_an_adapter_costs_nothing() -> None:
    head = "W: f64[n, n], A: f64[r, n], B: f64[n, r], X: f64[b, n], T: f64[b, n]"
    text = f"def f({head}) -> f64 = mean((tanh(X @ W') + X @ (B @ A)' - T)^2)\n\ndef main({head}) = "
    both, one = (flops(f"{text}grad(f, {by})(W, A, B, X, T)\n", n=512, r=8, b=64) for by in ("A, B", "B"))
    assert both - one >= 2 * 512 * 8 * 64


def test_a_combination_of_tangents_is_one() -> None:
    head = "x: f64[m, d], X: f64[n, d]"
    text = f"def F({head}) -> f64[n, m] = tanh(X @ x')\n\ndef main({head}, D: f64[8, m, d], c: f64[8]) = "
    one, merged = (
        flops(f"{text}{' + '.join(f'c[{k}] * jvp(F, x)(x, X, D[{k}])' for k in range(count))}\n", m=30, d=40, n=100)
        for count in (1, 8)
    )
    assert merged <= 1.1 * one


def factorizations(text: str) -> dict[str, int]:
    program = tpc.compile(text, function="main", dims={"n": 100}, backend="numpy").plan.program
    counted = Counter(node.op.name for node in program.walk())
    return {name: counted[name] for name in ("eigh", "sqrtm", "logm", "matpow", "cholesky") if counted[name]}


def test_functions_of_one_matrix_and_their_gradients_share_its_eigenvalues() -> None:
    head = "S: f64[n, n] is spd, G: f64[n, n]"
    text = f"def f({head}) -> f64 = trace(matpow(S, -0.5) @ G) + trace(logm(S) @ G)\n\n"
    assert factorizations(f"{text}def main({head}) = value_and_grad(f, S)(S, G)\n") == {"eigh": 1}


def test_the_distance_of_a_barycentre_takes_one_decomposition_for_each_matrix() -> None:
    head = "A: f64[n, n] is spd, B: f64[n, n] is spd"
    text = f"def f({head}) -> f64:\n    R = sqrtm(A)\n    return trace(A) + trace(B) - 2 * trace(sqrtm(R @ B @ R))\n\n"
    found = factorizations(f"{text}def main({head}) = value_and_grad(f, A)(A, B)\n")
    assert sum(found.get(name, 0) for name in ("eigh", "sqrtm", "matpow")) == 2


def test_the_gradient_of_a_root_solves_sylvesters_equation() -> None:
    text = "def f(S: f64[n, n] is spd, B: f64[n, n]) -> f64 = sum(sqrtm(S) * B)\n\n"
    text += "def main(S: f64[n, n] is spd, B: f64[n, n]) = grad(f, S)(S, B)\n"
    found = tpc.compile(text, function="main")
    rng = np.random.default_rng(0)
    G, B = rng.standard_normal((2, 20, 20))
    for S in (G @ G.T + np.eye(20), 3 * np.eye(20)):
        root = scipy.linalg.sqrtm(S).real
        wanted = scipy.linalg.solve_sylvester(root, root, (B + B.T) / 2)
        np.testing.assert_allclose(found(S, B), wanted, atol=1e-12 * np.abs(wanted).max())
