"""Sparse factors: the order of columns is found once for each pattern, and definite matrices take no pivots."""

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg

import tpc

N = 600
rng = np.random.default_rng(8)


@pytest.fixture
def orders(monkeypatch):
    """By which rules factorizations have ordered their columns."""
    found, splu = [], scipy.sparse.linalg.splu

    def noted(A, permc_spec="COLAMD", **options):
        found.append(permc_spec)
        return splu(A, permc_spec=permc_spec, **options)

    monkeypatch.setattr(scipy.sparse.linalg, "splu", noted)
    monkeypatch.setenv("TPC_CACHE", "off")
    return found


def matrices():
    pattern = sp.random_array((N, N), density=0.002, rng=rng, format="csr") + 3 * sp.eye_array(N, format="csr")
    for _ in range(3):
        A = sp.csr_array((rng.normal(size=pattern.nnz), pattern.indices, pattern.indptr), shape=pattern.shape)
        A.setdiag(6 * rng.choice([-1, 1], N))
        yield A


def test_the_order_is_found_once_for_a_pattern(orders):
    f = tpc.compile("def f(A: f64[n, n], b: f64[n], B: f64[n, k]) = A \\ b, A \\ B\n")
    g = tpc.compile("def g(A: f64[n, n], b: f64[n]) = A \\ b, logdet(A)\n")
    b, B = rng.normal(size=N), rng.normal(size=(N, 3))
    for A in matrices():
        orders.clear()
        x, found = g(A, b)
        sign, wanted = np.linalg.slogdet(A.toarray())
        assert np.allclose(A @ x, b, atol=1e-8)
        assert np.isclose(found, wanted) if sign > 0 else np.isnan(found)
    assert set(orders) == {"NATURAL"}
    for A in matrices():
        x, X = f(A, b, B)
        assert np.allclose(A @ x, b, atol=1e-6) and np.allclose(A @ X, B, atol=1e-6)


def test_another_pattern_has_another_order(orders):
    g = tpc.compile("def g(A: f64[n, n], b: f64[n]) = A \\ b\n")
    b = rng.normal(size=N)
    for A in (*matrices(), *matrices()):
        assert np.allclose(A @ g(A, b), b, atol=1e-8)
    assert orders == ["COLAMD", "NATURAL", "NATURAL"] * 2


def test_definite_matrices_are_ordered_as_such(orders):
    f = tpc.compile("def f(A: f64[n, n] is spd, b: f64[n]) = solve(A, b), logdet(A)\n")
    b = rng.normal(size=N)
    for A in matrices():
        S = sp.csr_array(A @ A.T + sp.eye_array(N))
        x, logdet = f(S, b)
        assert np.allclose(S @ x, b) and np.isclose(logdet, np.linalg.slogdet(S.toarray())[1])
    assert set(orders) == {"MMD_AT_PLUS_A"}
