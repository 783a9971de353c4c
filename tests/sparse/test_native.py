"""Native sparse products are those of SciPy."""

import numpy as np
import pytest
import scipy.sparse as sp

from .zoo import entries

native = pytest.importorskip("tpc.backends.llvm.sparse")


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("columns", [0, 1, 2, 7, 16, 33, 71, 130])
def test_products(dtype, columns):
    dense, X, U = entries(9, 11, dtype), entries(11, columns, dtype, 1.0), entries(9, columns, dtype, 1.0)
    dense[3] = 0
    A = sp.csr_array(dense)
    tolerance = 1e-5 if dtype == np.float32 else 1e-13
    for right in (X, np.asfortranarray(X)):
        assert np.allclose(native.spmm(A, right), dense @ right, atol=tolerance)
    assert np.allclose(native.sddmm(A, U, X.T).toarray(), dense * (U @ X.T), atol=tolerance)


def test_what_it_does_not_take_is_left_to_scipy():
    A, X = sp.csr_array(entries(5, 5)), entries(5, 3, density=1.0)
    wide = A.copy()
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    for matrix in (A.tocsc(), A.astype(np.complex128), wide, A.astype(np.float32)):
        assert native.spmm(matrix, X) is None


def test_it_takes_the_place_of_a_helper_after_a_while():
    A, X = sp.csr_array(entries(5, 5)), entries(5, 3, density=1.0)
    called = []

    def plain(A, X):
        called.append(1)
        return A @ X

    helper = native.Replacing(plain, native.spmm)
    assert np.allclose(helper(A, X), A @ X)
    helper.seconds = 1.0
    assert np.allclose(helper(A, X), A @ X) and len(called) == 1
    assert np.allclose(helper(A.tocsc(), X), A @ X) and len(called) == 2
