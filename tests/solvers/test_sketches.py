"""Sketches of rows, and functions of data."""

from __future__ import annotations

from typing import Any

import numpy as np

import tpc

RNG = np.random.default_rng(0)

SOLVED = """
def main(A: f64[n, d], b: f64[n, 1], signs: f64[n], places: f64[m]) -> f64[d] where m > d, n > 0:
    return lstsq(srdct(A, signs, places), squeeze(srdct(b, signs, places), 1))
"""


BOUNDED = """
def main(A: f64[n, d], b: f64[n, 1], signs: f64[n], places: f64[m]) -> (f64[d], f64) where m > d, n > 0:
    x, most = lstsq_of_sketch(A, squeeze(b, 1), srdct(A, signs, places), squeeze(srdct(b, signs, places), 1))
    return x, most
"""


def test_sketch_and_solve_is_as_close_as_it_says_for_95_of_100_seeds() -> None:
    n, d, m = 1024, 20, 200
    A = RNG.standard_normal((n, d)) * np.logspace(0, 6, d)
    A[:5] *= 50  # rows that a sample without mixing would miss
    b = A @ RNG.standard_normal(d) + RNG.standard_normal(n)
    program = tpc.compile(BOUNDED, backend="numpy")
    best = np.sum((b - A @ np.linalg.lstsq(A, b, rcond=None)[0]) ** 2)
    found, said = [], []
    for _ in range(100):
        x, most = program(A, b[:, None], RNG.choice([-1.0, 1.0], n), RNG.random(m))
        found.append(np.sum((b - A @ x) ** 2) / best - 1)
        said.append(most / best)
    assert np.mean(np.array(found) <= 2 * d / m) >= 0.95 and np.mean(found) <= 1.5 * d / m
    assert np.mean(np.array(found) <= np.array(said) * (1 + 1e-6)) >= 0.95
    assert np.median(np.array(said) / found) <= 5  # and says no more than that
    x, most = program(A, A @ np.ones((d, 1)), RNG.choice([-1.0, 1.0], n), RNG.random(m))
    assert most <= 1e-12 * best


def test_the_residual_of_a_sketch_is_longer_by_d_over_m_at_most() -> None:
    n, d = 32_768, 100
    A = RNG.standard_normal((n, d)) * np.logspace(0, 3, d)
    b = A @ RNG.standard_normal(d) + RNG.standard_normal(n)
    best = np.linalg.norm(b - A @ np.linalg.solve(A.T @ A, A.T @ b))
    program = tpc.compile(SOLVED, backend="numpy")
    for m, most in ((512, d / 512), (1024, d / 1024), (2000, 0.03), (4096, d / 4096)):
        draws = [(RNG.choice([-1.0, 1.0], n), RNG.random(m)) for _ in range(5)]
        found = [np.linalg.norm(b - A @ program(A, b[:, None], *draw)) for draw in draws]
        assert np.median(found) <= (1 + most) * best


SPARSE = """
def main(A: f64[n, d], b: f64[n]) -> (f64[60, d], f64[60], f64[d, 60]) where n > 60:
    S = sparse_sketch(60, n, s=3, seed=7)
    return S @ A, S @ b, (2 * A)' @ S'
"""


def test_products_with_a_sparse_sketch_take_its_entries_alone() -> None:
    n, d = 3000, 4
    A, b = RNG.standard_normal((n, d)), RNG.standard_normal(n)
    S = tpc.compile(f"def main() = sparse_sketch(60, {n}, s=3, seed=7)")()
    assert isinstance(S, np.ndarray) and np.all(np.sum(S != 0, axis=0) == 3)
    for dims in ({"n": n, "d": d}, {}):
        program = tpc.compile(SPARSE, dims=dims, backend="numpy")
        SA, Sb, back = program(A, b)
        for found, expected in ((SA, S @ A), (Sb, S @ b), (back, 2 * A.T @ S.T)):
            assert isinstance(found, np.ndarray)
            np.testing.assert_allclose(found, expected, atol=1e-10)
    assert tpc.compile(SPARSE, dims={"n": n, "d": d}).cost.peak_bytes < S.nbytes


COUNTED = """
def main(A: f64[n, 512], b: f64[n], signs: f64[n], places: f64[n]) -> f64[512]:
    row = cast(floor(2048 * places), i64)
    Q, R = qr(segment_sum(unsqueeze(signs, 1) * A, row, 2048))
    return R \\ (segment_sum(signs * b, row, 2048) @ Q)

def normal(A: f64[n, 512], b: f64[n]) -> f64[512] where n > 512 = inv(A' @ A) @ (A' @ b)
"""


def test_a_sketch_takes_fifteen_times_fewer_operations_than_normal_equations() -> None:
    sketched, normal = (
        tpc.compile(COUNTED, function=name, dims={"n": 2**17}, backend="numpy").cost.flops
        for name in ("main", "normal")
    )
    assert 15 * float(sketched) <= float(normal)


def tpc_rows(A: Any, signs: Any, places: Any) -> Any:
    """What `srdct` says, by SciPy."""
    from scipy.fft import dct

    n, m = len(A), len(places)
    return np.sqrt(n / m) * dct(signs[:, None] * A, axis=0, norm="ortho")[np.floor(n * places).astype(int)]


def test_the_cosine_sketch_is_what_it_says() -> None:
    A, signs, places = RNG.standard_normal((30, 3)), RNG.choice([-1.0, 1.0], 30), RNG.random(8)
    text = "def main(A: f64[n, d], signs: f64[n], places: f64[m]) where n > 0 = srdct(A, signs, places)"
    np.testing.assert_allclose(tpc.compile(text)(A, signs, places), tpc_rows(A, signs, places), atol=1e-12)


def test_rows_by_leverage_keep_a_subspace_where_even_ones_miss_it() -> None:
    n, d, m = 3000, 5, 1500
    A = RNG.standard_normal((n, d))
    A[:, 0] = 0
    A[7, 0] = 100  # one row has a direction for itself
    triangle = np.linalg.inv(np.linalg.qr(A)[1])
    text = "def main(A: f64[n, d], scores: f64[n], places: f64[m]) where n > 0 = sampled_rows(A, scores, places)"
    program = tpc.compile(text, backend="numpy")
    scores = np.sum(np.linalg.qr(A)[0] ** 2, axis=1)

    def distortion(weights: Any) -> float:
        S = program(A, weights, RNG.random(m))
        assert S.shape == (m, d)
        return float(np.abs(np.linalg.svd(S @ triangle)[1] ** 2 - 1).max())

    assert np.percentile([distortion(scores) for _ in range(40)], 95) <= 0.25
    assert np.median([distortion(np.ones(n)) for _ in range(10)]) >= 0.99


def test_statistics_are_those_of_numpy() -> None:
    X = RNG.standard_normal((50, 4)) @ RNG.standard_normal((4, 4))
    text = "def main(X: f64[n, p], q: f64) where n > 1, p > 0 = cov(X), corr(X), quantile(X[:, 0], q), quantile(X', q)"
    program = tpc.compile(text, backend="numpy")
    for q in (0.0, 0.77, 1.0):
        C, R, x, columns = program(X, q)
        np.testing.assert_allclose(C, np.cov(X.T), atol=1e-12)
        np.testing.assert_allclose(R, np.corrcoef(X.T), atol=1e-12)
        assert np.isclose(x, np.quantile(X[:, 0], q))
        np.testing.assert_allclose(columns, np.quantile(X, q, axis=0), atol=1e-12)


def test_an_index_made_of_integers_stays_one_beside_floats() -> None:
    text = """
def main(w: f64[n], t: f64[m]) -> f64[m] where n > 0:
    upto = cumsum(w)
    k[r] = minimum(sum[i](select(upto[i] < t[r], 1, 0)), n - 1)
    y[r] = w[k[r]] / t[r]
    return y
"""
    w, t = np.array([1.0, 2.0, 4.0]), np.array([0.5, 2.0, 9.0])
    for backend in ("numpy", "torch"):
        np.testing.assert_allclose(np.asarray(tpc.compile(text, backend=backend)(w, t)), np.array([1, 2, 4]) / t)
