"""Estimators, preconditioners and sketched least squares: functions of the language that every program can name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tpc

RNG = np.random.default_rng(0)


def definite(n: int) -> Any:
    G = RNG.standard_normal((n, n))
    return G @ G.T / n + np.eye(n)


@pytest.mark.parametrize("call, exact", [
    ("trace_estimate(A, Z)", np.trace),
    ("trace_estimate_deflated(A, Z[:, :10], Z[:, 10:])", np.trace),
    ("trace_estimate(inv(A), Z)", lambda A: np.trace(np.linalg.inv(A))),
    ("logdet_estimate(A, Z)", lambda A: np.linalg.slogdet(A)[1]),
])  # fmt: skip
def test_standard_errors_are_right_over_many_draws(call: str, exact: Any) -> None:
    n, draws = 40, 60
    program = tpc.compile(
        f"def main(A: f64[n, n] is spd, Z: f64[n, k]) where n > 20 and k > 20 = {call}".replace(" and k", ", k")
    )
    A = definite(n)
    off = []
    for _ in range(draws):
        value, error = program(A, RNG.choice([-1.0, 1.0], (n, 24)))
        off.append((value - exact(A)) / error)
    assert np.mean(np.abs(off) <= 3) >= 0.9  # t-distributed with 13 to 23 degrees of freedom
    assert 0.6 < np.std(off) < 1.7


def test_logdet_of_few_eigenvalues_is_exact_although_lanczos_ends_early() -> None:
    program = tpc.compile("def main(A: f64[n, n] is spd) = logdet_estimate(A, rademacher(n, 8, seed=1))")
    value, error = program(np.diag([2.0] * 15 + [3.0] * 15))
    assert value == pytest.approx(15 * np.log(6), rel=1e-12) and error <= 1e-10


@pytest.mark.parametrize("least", [-1e-3, 0.0, -5.0])
def test_logdet_of_what_is_not_definite_is_an_error(least: float) -> None:
    program = tpc.compile("def main(A: f64[n, n]) = logdet_estimate(A, rademacher(n, 8, seed=1))")
    with pytest.raises(tpc.TpcError, match="not positive definite"):
        program(np.diag([least, *np.linspace(1, 3, 29)]))


def test_inverse_roots_by_products_and_how_far_they_are_off() -> None:
    program = tpc.compile("def main(A: f64[n, n], v: f64[n]) = inverse_root_times(A, v)")
    v = RNG.standard_normal(100)
    for A in (definite(100), np.diag([2.0] * 60 + [3.0] * 40), np.diag(np.geomspace(1e-4, 1, 100))):
        values, vectors = np.linalg.eigh(A)
        exact = vectors @ (vectors.T @ v / np.sqrt(values))
        found, error = program(A, v)
        off = np.linalg.norm(found - exact) / np.linalg.norm(exact)
        assert off <= 1e-10 or off / 30 <= error <= 1
    assert not program(A, 0 * v)[0].any()
    with pytest.raises(tpc.TpcError, match="positive definite"):
        program(np.diag([-1.0, *np.linspace(1, 3, 99)]), v)


def test_a_cross_of_few_rows_and_columns() -> None:
    program = tpc.compile("def main(A: f64[m, n]) where m > 0, n > 0 = cross_approximation(A, eye(20))")
    A = RNG.standard_normal((500, 20)) @ RNG.standard_normal((20, 800))
    C, R = program(A)
    np.testing.assert_allclose(C @ R, A, atol=1e-10)
    noisy = A + RNG.standard_normal(A.shape)
    C, R = program(noisy)
    rows, columns = (np.abs(noisy - C @ R).max(axis) < 1e-9 for axis in (1, 0))  # where it is exact, it was read
    assert rows.sum() == columns.sum() == 20
    other = np.where(rows[:, None] | columns, noisy, RNG.standard_normal(A.shape))
    np.testing.assert_array_equal(program(other)[1], R)
    few = np.outer(A[:, 0], A[0])
    C, R = program(few)
    np.testing.assert_allclose(C @ R, few, atol=1e-10)


def test_diagonal_estimate() -> None:
    A = definite(30)
    value, error = tpc.compile("def main(A: f64[n, n]) = diag_estimate(A, rademacher(n, 50, seed=3))")(A)
    assert np.mean(np.abs(value - np.diag(A)) <= 3 * error) >= 0.9
    assert np.all(error < 1)


def test_scores_of_rows() -> None:
    A = RNG.standard_normal((120, 4))
    A[7] *= 50
    hat = A @ np.linalg.pinv(A)
    exact = tpc.compile("def main(A: f64[n, d]) where n >= d = leverage_scores(A)")(A)
    np.testing.assert_allclose(exact, np.diag(hat), atol=1e-12)
    text = "def main(A: f64[n, d]) where d < 60 = leverage_scores_sketched(A, sparse_sketch(60, n, seed=1))"
    assert np.all(np.abs(tpc.compile(text)(A) / exact - 1) < 1)
    weights = tpc.compile("def main(A: f64[n, d]) where n >= d = lewis_weights(A, 1.0)")(A)
    fixed = np.sqrt(np.einsum("ij,jk,ik->i", A, np.linalg.inv(A.T @ (A / weights[:, None])), A))
    np.testing.assert_allclose(weights, fixed, rtol=1e-6)
    assert weights.sum() == pytest.approx(4)


def test_a_sketch_makes_least_squares_easy_whatever_the_condition() -> None:
    rng = np.random.default_rng(5)
    U, _, Vt = np.linalg.svd(rng.standard_normal((800, 12)), full_matrices=False)
    A = U * np.logspace(0, -6, 12) @ Vt
    b = A @ rng.standard_normal(12) + 1e-3 * rng.standard_normal(800)
    text = """
def main(A: f64[n, d], b: f64[n]) -> (f64[d], f64[d], i64) where d < 100:
    _Q, R = qr(sparse_sketch(100, n, seed=1) @ A)
    x, _left, steps = solve(A, b, method=lsqr, precond=inv(R), report=true)
    return lstsq_sketched(A, b, sparse_sketch(100, n, seed=1)), x, steps
"""
    short, x, steps = tpc.compile(text)(A, b)
    expected = np.linalg.lstsq(A, b, rcond=None)[0]
    for found in (short, x):
        assert np.linalg.norm(A @ found - b) <= (1 + 1e-12) * np.linalg.norm(A @ expected - b)
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert steps <= 40


KERNEL = """
def main(K: f64[n, n] is psd, b: f64[n]) -> i64 where n > 40:
    _x, _r, k = solve(K + 1e-4 * eye(n), b, method=cg, tol=1e-8, {}report=true)
    return k
"""


def test_a_kernel_system_with_its_nystrom_preconditioner() -> None:
    t = np.arange(150) / 20
    K = np.exp(-((t[:, None] - t) ** 2))
    b = RNG.standard_normal(150)
    plain = tpc.compile(KERNEL.format(""))(K, b)
    fast = tpc.compile(KERNEL.format("precond=nystrom_preconditioner(K, normal(n, 40, seed=1), 1e-4), "))(K, b)
    assert fast <= 5 < 40 < plain


RECYCLED = """
def main(A: f64[n, n] is spd, Z: f64[n, c], b: f64[n]) -> (f64[n], i64, i64):
    _x, _r, plain = solve(A, b, method=cg, tol=1e-8, report=true)
    x, _s, fast = solve(A, b, method=cg, tol=1e-8, precond=deflation(A, Z), report=true)
    return x, plain, fast
"""


def test_a_deflation_space_takes_extreme_eigenvalues_out_even_if_it_comes_from_a_system_close_by() -> None:
    p = 14
    T = 2 * np.eye(p) - np.eye(p, k=1) - np.eye(p, k=-1)
    A = np.kron(T, np.eye(p)) + np.kron(np.eye(p), T)
    close = A + np.diag(1e-3 * RNG.random(p * p))
    Z = np.linalg.eigh(close)[1][:, :20]
    b = RNG.standard_normal(p * p)
    x, plain, fast = tpc.compile(RECYCLED)(A, Z, b)
    assert np.linalg.norm(A @ x - b) <= 1e-8 * np.linalg.norm(b)
    assert fast <= 0.6 * plain


CHEBYSHEV = """
def F(v: f64[n], A: f64[n, n], lo: f64, hi: f64) = A @ v, chebyshev(A, v, lo, hi)

def main(A: f64[n, n], b: f64[n], lo: f64, hi: f64) -> (f64[n], i64, i64):
    x, _r, k = solve(F, v, method=cg, tol=1e-8, report=true)(zeros(n), A, lo, hi, b)
    _x, _s, plain = solve(A, b, method=cg, tol=1e-8, report=true)
    return x, k, plain
"""


def test_polynomials_trade_reductions_for_products() -> None:
    p = 20
    T = 2 * np.eye(p) - np.eye(p, k=1) - np.eye(p, k=-1)
    A = np.kron(T, np.eye(p)) + np.kron(np.eye(p), T)
    values = np.linalg.eigvalsh(A)
    b = RNG.standard_normal(p * p)
    x, steps, plain = tpc.compile(CHEBYSHEV, dims={"n": p * p})(A, b, values[0], values[-1])
    assert np.linalg.norm(A @ x - b) <= 1e-8 * np.linalg.norm(b)
    assert steps <= plain / 3


def test_a_name_of_the_user_goes_before_the_library() -> None:
    text = "def nystrom(x: f64) -> f64 = 2 * x\n\ndef main(x: f64) -> f64 = nystrom(x)"
    assert tpc.compile(text)(3.0) == 6
