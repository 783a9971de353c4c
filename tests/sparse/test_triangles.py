"""Sparse triangles in native code solve what dense ones solve."""

import numpy as np
import pytest
import scipy.sparse as sp

import tpc

from .zoo import entries

native = pytest.importorskip("tpc.backends.llvm.sparse")

SYSTEMS = {"L \\ b": False, "inv(L) @ b": False, "L' \\ b": True, "inv(L)' @ b": True, "inv(L') @ b": True}


def triangle(n, lower, dtype=np.float64, density=0.3):
    dense = entries(n, n, dtype, density)
    return (np.tril if lower else np.triu)(dense, -1 if lower else 1) + 2 * np.eye(n, dtype=dtype)


@pytest.mark.parametrize("places", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("lower", [True, False])
def test_solutions(lower, dtype, places):
    tolerance = 1e-4 if dtype == np.float32 else 1e-12
    for n in (1, 2, 7, 40):
        dense = triangle(n, lower, dtype)
        if n > 5:
            dense[5] = 0.1 * (np.tri(n)[5] if lower else np.tri(n).T[5]).astype(dtype)  # a row that has them all
            dense[5, 5] = 2
        for columns in (None, 0, 1, 5, 16, 33, 70):
            B = entries(n, columns or 1, dtype, 1.0)[:, 0] if columns is None else entries(n, columns, dtype, 1.0)
            wanted = np.linalg.solve(dense, B)
            for kind in (sp.csr_array, sp.csc_array):
                A = kind(dense)
                A.indices, A.indptr = A.indices.astype(places), A.indptr.astype(places)
                for right in (B, np.asfortranarray(B)):
                    found = native.solve_triangular(A, right, lower)
                    assert found.dtype == dtype and np.allclose(found, wanted, tolerance, tolerance), (n, columns)
                assert not wanted.size or not np.allclose(found, wanted + 1, tolerance, tolerance)


@pytest.mark.parametrize("lower", [True, False])
def test_entries_on_the_other_side_are_passed_over(lower):
    full = entries(30, 30, density=0.5) + 2 * np.eye(30)
    part = (np.tril if lower else np.triu)(full)
    for kind in (sp.csr_array, sp.csc_array):
        for B in (np.ones(30), np.ones((30, 3))):
            assert np.allclose(native.solve_triangular(kind(full), B, lower), np.linalg.solve(part, B))


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("place", [0, 4, 8])
def test_zeros_on_the_diagonal_are_told(lower, place):
    for is_stored in (True, False):
        dense = triangle(9, lower)
        dense[place, place] = np.nan if is_stored else 0
        for kind in (sp.csr_array, sp.csc_array):
            A = kind(dense)
            A.data[np.isnan(A.data)] = 0
            for B in (np.ones(9), np.ones((9, 2)), np.ones((9, 40))):
                assert native.solve_triangular(A, B, lower) is None
    f = tpc.compile("def f(L: f64[n, n] is lower and nonsingular, b: f64[n]) = L \\ b\n", backend="llvm")
    L = triangle(9, True)
    for entry in (2, 0, 2, 0):
        L[place, place] = entry
        if entry:
            assert np.allclose(f(sp.csr_array(L), np.ones(9)), np.linalg.solve(L, np.ones(9)))
            continue
        with pytest.raises(tpc.TpcError, match="a triangular matrix has a zero on its diagonal"):
            f(sp.csr_array(L), np.ones(9))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_thread_for_some_of_the_columns(dtype):
    from tpc.backends.llvm import engine

    dense, tolerance = triangle(300, True, dtype, 0.02), 1e-4 if dtype == np.float32 else 1e-12
    A, B = sp.csr_array(dense), entries(300, 250, dtype, 1.0)
    wanted = np.linalg.solve(dense, B)
    try:
        for threads in (1, 2):
            engine.set_threads(threads)
            for _ in range(10):
                assert np.allclose(native.solve_triangular(A, B, True), wanted, tolerance, tolerance)
                assert np.allclose(native.solve_triangular(A.tocsc(), B, True), wanted, tolerance, tolerance)
    finally:
        engine.set_threads(None)


def test_what_it_does_not_take_is_left_to_scipy():
    A, b = sp.csr_array(triangle(5, True)), np.ones(5)
    for matrix in (A.tolil(), A.tocoo(), A.astype(np.complex128), A.astype(np.float32)):
        assert native.solve_triangular(matrix, b, True) is None
    assert native.solve_triangular(A, np.ones(4), True) is None
    disordered = A.copy()
    disordered.indices, disordered.data = disordered.indices[::-1].copy(), disordered.data[::-1].copy()
    assert (
        native.solve_triangular(sp.csr_array((disordered.data, disordered.indices, A.indptr), (5, 5)), b, True) is None
    )


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
@pytest.mark.parametrize("text", [*SYSTEMS, "b @ inv(L)", "b @ inv(L')"])
def test_systems_with_a_triangle_or_its_transpose(text, backend, always_sparse):
    """From the left and from the right; always by substitution."""
    L, b = triangle(12, True), entries(1, 12, density=1.0)[0]
    is_turned = SYSTEMS.get(text, text == "b @ inv(L)")
    f = tpc.compile(f"def f(L: f64[n, n] is lower and nonsingular, b: f64[n]) = {text}\n", backend=backend)
    for kind in (sp.csr_array, sp.csc_array, sp.csr_matrix):
        for _ in range(2):
            assert np.allclose(f(kind(L), b), np.linalg.solve(L.T if is_turned else L, b), rtol=1e-12)
    assert "return _csr_solve_triangular(" in f.source


@pytest.mark.parametrize("text", ["B' @ inv(U)", "inv(U)' @ B"])
def test_systems_with_many_right_sides(text, always_sparse):
    U, B = triangle(12, False), entries(12, 5, density=1.0)
    f = tpc.compile(f"def f(U: f64[n, n] is upper and nonsingular, B: f64[n, k]) = {text}\n", backend="llvm")
    wanted = np.linalg.solve(U.T, B)
    for _ in range(2):
        assert np.allclose(f(sp.csr_array(U), B), wanted.T if text[0] == "B" else wanted, rtol=1e-12)
    assert "_csr_solve_triangular(" in f.source
