"""Sparse tensors of torch go to the sparse kernels, and results come back as tensors."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp

import tpc

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:Sparse")
rng = np.random.default_rng(8)
A = sp.random_array((300, 300), density=0.02, rng=rng, format="csr")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # torch says that these are new
    T = torch.sparse_csr_tensor(torch.tensor(A.indptr), torch.tensor(A.indices), torch.tensor(A.data), A.shape)
x = torch.from_numpy(rng.normal(size=300))


@pytest.mark.parametrize("layout", [torch.sparse_csr, torch.sparse_csc, torch.sparse_coo])
def test_layouts(layout):
    given = {torch.sparse_csr: T, torch.sparse_csc: T.to_sparse_csc(), torch.sparse_coo: T.to_sparse_coo()}[layout]
    f = tpc.compile("def f(S: f64[n, n], x: f64[n]) = S @ x, 2 * S\n")
    for _ in range(2):
        product, twice = f(given, x)
        assert np.allclose(product.numpy(), A @ x.numpy())
        assert twice.layout == torch.sparse_csr
        assert np.allclose(twice.to_dense().numpy(), 2 * A.toarray())
    assert "_spmm" in f.source


def test_derivatives_go_by_dense_tensors():
    f = tpc.compile("def f(S: f64[n, n], x: f64[n]) = sum((S @ x)^2)\n")
    y = x.clone().requires_grad_()
    f(T, y).backward()
    assert np.allclose(y.grad.numpy(), 2 * A.T @ (A @ x.numpy()))


def test_torch_code_takes_them_as_dense():
    f = tpc.compile("def f(S: f64[n, n], x: f64[n]) = S @ x\n", backend="torch")
    assert np.allclose(f(T, x).numpy(), A @ x.numpy())
