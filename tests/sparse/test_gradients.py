"""Gradients by a matrix that is declared sparse have its pattern, and are computed there alone."""

import numpy as np
import pytest
import scipy.sparse as sp

import tpc

from .zoo import entries

LOSSES = {
    "sum((S @ x)^2)": "_csr_scale",
    "sum((S @ X)^2)": "_sddmm",
    "sum(tanh(X' @ S))": "_sddmm",
    "sum(S^2)": "",
    "sum(tanh(S) * S)": "",
}


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_have_the_pattern(loss, always_sparse):
    types = "S: f64[n, n] is sparse(0.5), X: f64[n, k], x: f64[n]"
    f = tpc.compile(f"def loss({types}) -> f64 = {loss}\ndef g({types}) -> f64[n, n] = grad(loss, S)(S, X, x)\n")
    plain = types.replace(" is sparse(0.5)", "")
    whole = tpc.compile(f"def loss({plain}) -> f64 = {loss}\ndef g({plain}) -> f64[n, n] = grad(loss, S)(S, X, x)\n")
    S, X, x = entries(9, 9), entries(9, 3, density=1.0), entries(1, 9, density=1.0)[0]
    wanted = np.where(S != 0, whole(S, X, x), 0)
    assert np.allclose(f(S, X, x), wanted)
    found = f(sp.csr_array(S), X, x)
    assert sp.issparse(found) and found.nnz <= np.count_nonzero(S)
    assert np.allclose(found.toarray(), wanted)
    assert LOSSES[loss] in f.source


def test_zeros_that_are_stored_are_zeros(always_sparse):
    types = "S: f64[n, n] is sparse(0.5), x: f64[n]"
    f = tpc.compile(f"def loss({types}) -> f64 = sum((S @ x)^2)\ndef g({types}) -> f64[n, n] = grad(loss, S)(S, x)\n")
    S, x = entries(9, 9), entries(1, 9, density=1.0)[0]
    given = sp.csr_array(S)
    given.data[0] = 0
    assert np.allclose(f(given, x).toarray(), f(given.toarray(), x))
