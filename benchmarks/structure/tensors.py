"""Rows about arrays of several axes against TensorLy: arrays of factors, products with factors, and fits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.structure.row import Contender, Row

Generator = np.random.Generator
SIDE, RANK = 60, 8


def _factors(rng: Generator) -> tuple[Any, ...]:
    return tuple(rng.standard_normal((3, SIDE, RANK)))


def _planted(rng: Generator) -> tuple[Any, ...]:
    """An array near rank 8, and where a fit of it begins."""
    A, B, C = _factors(rng)
    T = np.einsum("ir,jr,kr->ijk", A, B, C) + 0.1 * rng.standard_normal((SIDE, SIDE, SIDE))
    return T, *rng.random((3, SIDE, RANK))


def _train(rng: Generator) -> tuple[Any, ...]:
    return tuple(rng.standard_normal(shape) for shape in ((24, 6), (6, 24, 6), (6, 24, 6), (6, 24)))


def _by(contender: Callable[..., Any]) -> Contender:
    """A call of TensorLy, which is its first argument."""

    def made(*operands: Any) -> Callable[[], Any]:
        import tensorly

        return lambda: contender(tensorly, *operands)

    return made


def _fitted_train(tl: Any, T: Any) -> Any:
    from tensorly.decomposition import tensor_train

    return tl.tt_to_tensor(tensor_train(T, [1, 6, 6, 6, 1]))


def _fitted_tucker(tl: Any, T: Any, *_: Any) -> Any:
    from tensorly.decomposition import tucker

    return tl.tucker_to_tensor(tucker(T, [RANK] * 3, n_iter_max=5, tol=0))


def _higher_svd(tl: Any, T: Any) -> Any:
    from tensorly.tenalg import multi_mode_dot, svd_interface

    bases = [svd_interface(tl.unfold(T, axis), n_eigenvecs=RANK)[0] for axis in range(3)]
    return tl.tucker_to_tensor((multi_mode_dot(T, bases, transpose=True), bases))


def _fitted_cp(tl: Any, T: Any, *start: Any) -> Any:
    from tensorly.decomposition import parafac

    init = tl.cp_tensor.CPTensor((np.ones(RANK), [factor.copy() for factor in start]))
    return tl.cp_to_tensor(parafac(T, RANK, n_iter_max=20, tol=0, init=init))


def _mttkrp(tl: Any, T: Any, *factors: Any) -> Any:
    from tensorly.tenalg import unfolding_dot_khatri_rao

    return unfolding_dot_khatri_rao(T, (None, list(factors)), 0)


CP = "T[i, j, k] = sum[s](A[i, s] * B[j, s] * C[k, s])"
FACTORS = f"A: f64[{SIDE}, {RANK}], B: f64[{SIDE}, {RANK}], C: f64[{SIDE}, {RANK}]"
WHOLE = f"T: f64[{SIDE}, {SIDE}, {SIDE}]"
PROJECTED = """\
    G[p, q, r] = sum[i, j, k](T[i, j, k] * A[i, p] * B[j, q] * C[k, r])
    R[i, j, k] = sum[p, q, r](G[p, q, r] * A[i, p] * B[j, q] * C[k, r])
    return R
"""
HIGHER_SVD = f"""
def basis(T: [{SIDE}, {SIDE}, {SIDE}]):
    U, _s, _V = svd(reshape(T, {SIDE}, {SIDE * SIDE}))
    return U[:, :{RANK}]

def f({WHOLE}):
    T2[j, i, k] = T[i, j, k]
    T3[k, i, j] = T[i, j, k]
    A, B, C = basis(T), basis(T2), basis(T3)
{PROJECTED}"""
TUCKER = f"""
def basis(T: [{SIDE}, {SIDE}, {SIDE}], B: [{SIDE}, {RANK}], C: [{SIDE}, {RANK}]):
    Y[i, q, r] = sum[j, k](T[i, j, k] * B[j, q] * C[k, r])
    U, _s, _V = svd(reshape(Y, {SIDE}, {RANK * RANK}))
    return U[:, :{RANK}]

def start(G: [{SIDE}, {SIDE}]):
    _l, U = eigh(G)
    return U[:, {SIDE - RANK}:]

def f({WHOLE}):
    G1[i, p] = sum[j, k](T[i, j, k] * T[p, j, k])
    G2[j, p] = sum[i, k](T[i, j, k] * T[i, p, k])
    G3[k, p] = sum[i, j](T[i, j, k] * T[i, j, p])
    A, B, C = start(G1), start(G2), start(G3)
    T2[j, i, k] = T[i, j, k]
    T3[k, i, j] = T[i, j, k]
    repeat 5:
        A = basis(T, B, C)
        B = basis(T2, A, C)
        C = basis(T3, A, B)
{PROJECTED}"""
FIT = f"""
def f({WHOLE}, {FACTORS}):
    repeat 20:
        M1[i, s] = sum[j, k](T[i, j, k] * B[j, s] * C[k, s])
        A = (((B' @ B) * (C' @ C)) \\ M1')'
        M2[j, s] = sum[i, k](T[i, j, k] * A[i, s] * C[k, s])
        B = (((A' @ A) * (C' @ C)) \\ M2')'
        M3[k, s] = sum[i, j](T[i, j, k] * A[i, s] * B[j, s])
        C = (((A' @ A) * (B' @ B)) \\ M3')'
    R[i, j, k] = sum[s](A[i, s] * B[j, s] * C[k, s])
    return R
"""
TRAIN = """
def f(T: f64[24, 24, 24, 24]):
    U1, s1, V1 = svd(reshape(T, 24, 13824))
    U2, s2, V2 = svd(reshape(diag(s1[:6]) @ V1[:6, :], 144, 576))
    U3, s3, V3 = svd(reshape(diag(s2[:6]) @ V2[:6, :], 144, 24))
    A, B, C, D = U1[:, :6], reshape(U2[:, :6], 6, 24, 6), reshape(U3[:, :6], 6, 24, 6), diag(s3[:6]) @ V3[:6, :]
    R[i, j, k, l] = sum[x, y, z](A[i, x] * B[x, j, y] * C[y, k, z] * D[z, l])
    return R
"""
CORES = "A: f64[24, 6], B: f64[6, 24, 6], C: f64[6, 24, 6], D: f64[6, 24]"


def _row(name: str, text: str, make: Any, contender: Callable[..., Any]) -> Row:
    return Row(name, text, make, {"tensorly": _by(contender)}, {"tensorly": 1}, error=1e-5, backend="auto")


ROWS = (
    _row(
        "peers: cp to array",
        f"def f({FACTORS}):\n    {CP}\n    return T\n",
        _factors,
        lambda tl, *factors: tl.cp_to_tensor((None, list(factors))),
    ),
    _row(
        "peers: train to array",
        f"def f({CORES}):\n"
        "    R[i, j, k, l] = sum[x, y, z](A[i, x] * B[x, j, y] * C[y, k, z] * D[z, l])\n    return R\n",
        _train,
        lambda tl, A, B, C, D: tl.tt_to_tensor([A[None], B, C, D[..., None]]),
    ),
    _row(
        "peers: products with three factors",
        f"def f({WHOLE}, {FACTORS}):\n"
        "    R[p, q, r] = sum[i, j, k](T[i, j, k] * A[i, p] * B[j, q] * C[k, r])\n    return R\n",
        _planted,
        lambda tl, T, *factors: tl.tenalg.multi_mode_dot(T, factors, transpose=True),
    ),
    _row(
        "peers: khatri-rao product with an array",
        f"def f({WHOLE}, {FACTORS}):\n    M[i, s] = sum[j, k](T[i, j, k] * B[j, s] * C[k, s])\n    return M\n",
        _planted,
        _mttkrp,
    ),
    _row("peers: cp fit, 20 sweeps", FIT, _planted, _fitted_cp),
    _row("peers: higher-order svd", HIGHER_SVD, lambda rng: _planted(rng)[:1], _higher_svd),
    _row("peers: tucker fit, 5 sweeps", TUCKER, lambda rng: _planted(rng)[:1], _fitted_tucker),
    _row(
        "peers: train fit",
        TRAIN,
        lambda rng: (np.einsum("ax,xby,ycz,zd->abcd", *_train(rng), optimize=True),),
        _fitted_train,
    ),
)
