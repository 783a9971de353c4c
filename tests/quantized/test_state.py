"""State of an optimizer in four bits: eigenvectors, which one step of Bjorck brings near to orthogonal again."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest

import tpc
from tpc.settings import BackendName

STATE = """
def encoded(U: f64[n, 64 * g]) -> (i8[n, g, 32], f32[n, g]):
    G = reshape(U, n, g, 64)
    s[i, k] = max[l](abs(G[i, k, l])) / 7
    C[i, k, l] = round(G[i, k, l] / s[i, k])
    return i8(C[:, :, :32] + 8 + 16 * C[:, :, 32:]), f32(s)

def roots(l: f64[n], codes: i8[n, g, 32], scales: f32[n, g]) where n == 64 * g:
    U = f64(dequantize(codes, scales, packed=true))
    V = 1.5 * U - 0.5 * U @ (U' @ U)
    return U @ diag(l ^ -0.25) @ U', V @ diag(l ^ -0.25) @ V'
"""


@pytest.mark.parametrize("backend", ["numpy", "torch", "llvm"])
def test_eigenvectors_in_four_bits_keep_a_root(backend: str) -> None:
    """State bytes at most 1/7 of f32, and A^(-1/4) of condition 1e6 within 0.1."""
    pytest.importorskip("torch" if backend == "torch" else "llvmlite")
    encoded, roots = (
        tpc.compile(STATE, function=name, backend=cast(BackendName, backend)) for name in ("encoded", "roots")
    )
    n = 256
    U = np.linalg.qr(np.random.default_rng(0).standard_normal((n, n)))[0]
    values = np.logspace(0, -6, n)
    root = U * values**-0.25 @ U.T
    codes, scales = encoded(U)
    assert (codes.nbytes + scales.nbytes) * 7 <= 4 * n * n
    plain, restored = (np.linalg.norm(found - root) / np.linalg.norm(root) for found in roots(values, codes, scales))
    assert restored <= 0.1 < plain
