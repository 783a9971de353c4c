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


def test_sketch_and_solve_is_as_close_as_it_says_for_95_of_100_seeds() -> None:
    n, d, m = 1024, 10, 200
    A = RNG.standard_normal((n, d)) * np.logspace(0, 6, d)
    A[:5] *= 50  # rows that a sample without mixing would miss
    b = A @ RNG.standard_normal(d) + RNG.standard_normal(n)
    program = tpc.compile(SOLVED, backend="numpy")
    best = b - A @ np.linalg.lstsq(A, b, rcond=None)[0]
    found, said = [], []
    for _ in range(100):
        signs, places = RNG.choice([-1.0, 1.0], n), RNG.random(m)
        x = program(A, b[:, None], signs, places)
        r = b - A @ x
        found.append((r @ r) / (best @ best) - 1)
        # norm(M' r)^2 / smin(M)^2, M = A @ inv(R)
        mixed = tpc_rows(A, signs, places)
        M = A @ np.linalg.inv(np.linalg.qr(mixed)[1])
        said.append(np.linalg.norm(M.T @ r) ** 2 / np.linalg.svd(M)[1][-1] ** 2 / (best @ best))
    assert np.mean(np.array(found) <= 2 * d / m) >= 0.95 and np.mean(found) <= 1.5 * d / m
    assert np.all(np.array(found) <= np.array(said) * (1 + 1e-6))


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
    n, d, m = 3000, 5, 600
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

    assert np.percentile([distortion(scores) for _ in range(40)], 95) <= 0.35
    assert np.median([distortion(np.ones(n)) for _ in range(10)]) >= 0.99


def test_statistics_are_those_of_numpy() -> None:
    X = RNG.standard_normal((50, 4)) @ RNG.standard_normal((4, 4))
    text = "def main(X: f64[n, p], q: f64) where n > 1, p > 0 = cov(X), corr(X), quantile(X[:, 0], q)"
    program = tpc.compile(text, backend="numpy")
    for q in (0.0, 0.77, 1.0):
        C, R, x = program(X, q)
        np.testing.assert_allclose(C, np.cov(X.T), atol=1e-12)
        np.testing.assert_allclose(R, np.corrcoef(X.T), atol=1e-12)
        assert np.isclose(x, np.quantile(X[:, 0], q))


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
