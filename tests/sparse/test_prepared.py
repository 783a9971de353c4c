"""What depends on sparse parameters alone is done once: conversions, sums, factors."""

import numpy as np
import pytest
import scipy.sparse as sp

import tpc

rng = np.random.default_rng(9)
N = 1200
A = sp.csr_array(sp.random_array((N, N), density=0.002, rng=rng) + 4 * sp.eye_array(N))
b = rng.normal(size=N)


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    monkeypatch.setenv("TPC_CACHE", "off")


def test_factors_are_computed_once(monkeypatch):
    import scipy.sparse.linalg

    made = []
    splu = scipy.sparse.linalg.splu
    monkeypatch.setattr(scipy.sparse.linalg, "splu", lambda *given: made.append(1) or splu(*given))
    f = tpc.compile("def f(A: f64[n, n] is param and nonsingular, b: f64[n]) = A \\ b, A' \\ b, sum(A, axis=1) * b\n")
    given = A.copy()
    solve = f.prepare(A=given)
    given.data[:] = 1  # what was given may change afterwards
    for right in (b, 2 * b, 3 * b):
        first, second, product = solve(right)
        assert np.allclose(A @ first, right) and np.allclose(A.T @ second, right)
        assert np.allclose(product, A.sum(axis=1) * right)
    once = tpc.compile("def f(A: f64[n, n] is param and nonsingular, b: f64[n]) = A \\ b\n").prepare(A=A)
    made.clear()
    assert all(np.allclose(A @ once(right), right) for right in (b, 2 * b, 3 * b))
    assert len(made) == 1


def test_matrices_that_can_change_are_factored_at_each_call():
    f = tpc.compile("def f(A: f64[n, n] is nonsingular, b: f64[n]) = A \\ b\n")
    given = A.copy()
    for scale in (1, 2, 3):
        given.data[:] = scale * A.data
        assert np.allclose(f(given, b), f(A, b) / scale)


def test_an_array_that_is_declared_sparse_is_converted_once():
    f = tpc.compile("def f(W: f64[n, n] is param and sparse(0.01), x: f64[n]) = W @ x\n")
    dense = A.toarray()
    prepared = f.prepare(W=dense)
    assert np.allclose(prepared(b), A @ b) and np.allclose(prepared(2 * b), 2 * (A @ b))
    assert "_spmm" in prepared.source and "_to_csr" not in prepared.source
    assert prepared.bytes < dense.nbytes / 50
    many = tpc.compile("def f(W: f64[n, n] is param and sparse(1), x: f64[n]) = W @ x\n").prepare(W=dense)
    assert np.allclose(many(b), A @ b) and "_spmm" not in many.source


def test_sparse_matrices_are_not_written_to_files(tmp_path):
    prepared = tpc.compile("def f(A: f64[n, n] is param, x: f64[n]) = A @ x\n").prepare(A=A)
    with pytest.raises(tpc.TpcError, match="held as a sparse matrix"):
        prepared.save(tmp_path / "p.npz")
