"""Matrices with a structure planted in them, and matrices without any."""

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.fft
import scipy.linalg

from tpc.passes.approximation.projections.transforms import Transform

Random = np.random.Generator
Array = np.ndarray[Any, Any]
NOISE = 1e-10


def noisy(A: Array, random: Random) -> Array:
    """With noise in every entry, relative to the root mean square."""
    noise = random.standard_normal(A.shape)
    if np.iscomplexobj(A):
        noise = noise + 1j * random.standard_normal(A.shape)
    return A + NOISE * np.linalg.norm(A) / A.size**0.5 * noise


def _between(random: Random, low: int, high: int) -> int:
    return int(random.integers(low, high + 1))


def _orthogonal(random: Random, n: int) -> Array:
    return np.linalg.qr(random.standard_normal((n, n)))[0]


def _shuffled(A: Array, random: Random) -> Array:
    return A[random.permutation(len(A))][:, random.permutation(A.shape[1])]


def _symmetric(r: Random) -> Array:
    G = r.standard_normal((n := _between(r, 5, 60), n))
    return G + G.T


def _skew(r: Random) -> Array:
    G = r.standard_normal((n := _between(r, 5, 60), n))
    return G - G.T


def _hermitian(r: Random) -> Array:
    n = _between(r, 5, 60)
    G = r.standard_normal((n, n)) + 1j * r.standard_normal((n, n))
    return G + G.conj().T


def _definite(r: Random) -> Array:
    n = _between(r, 5, 60)
    Q = _orthogonal(r, n)
    return (Q * r.uniform(0.1, 10, n)) @ Q.T


def _semidefinite(r: Random) -> Array:
    n = _between(r, 8, 60)
    G = r.standard_normal((n, _between(r, 1, n - 3)))
    return G @ G.T


def _projection(r: Random) -> Array:
    n = _between(r, 8, 60)
    Q = _orthogonal(r, n)[:, : _between(r, 2, n - 2)]
    return Q @ Q.T


def _diagonal(r: Random) -> Array:
    return np.diag(r.standard_normal(_between(r, 4, 60)))


def _lower(r: Random) -> Array:
    return np.tril(r.standard_normal((n := _between(r, 4, 60), n)))


def _unit_upper(r: Random) -> Array:
    n = _between(r, 4, 60)
    return np.triu(r.standard_normal((n, n)), 1) + np.eye(n)


def _banded(r: Random) -> Array:
    n, below, above = _between(r, 20, 60), _between(r, 0, 3), _between(r, 1, 3)
    return np.tril(np.triu(r.standard_normal((n, n)), -below), above) + 2 * np.eye(n)


def _reordered_band(r: Random) -> Array:
    n = _between(r, 30, 60)
    A = np.tril(np.triu(r.uniform(1, 2, (n, n)), -1), 1)
    order = r.permutation(n)
    return A[np.ix_(order, order)]


def _blocks(r: Random) -> Array:
    return scipy.linalg.block_diag(
        *(r.standard_normal((_between(r, 2, 9), _between(r, 2, 9))) for _ in range(_between(r, 2, 6)))
    )


def _permutation(r: Random) -> Array:
    return np.eye(n := _between(r, 8, 60))[_derangement(r, n)]


def _derangement(r: Random, n: int) -> Array:
    return np.roll(r.permutation(n), 1) if n < 2 else np.argsort(r.permutation(n))


def _scaled_permutation(r: Random) -> Array:
    return r.uniform(1, 2, (n := _between(r, 8, 60), 1)) * np.eye(n)[r.permutation(n)]


def _low_rank(r: Random) -> Array:
    m, n = _between(r, 12, 80), _between(r, 12, 80)
    rank = _between(r, 1, min(m, n) // 4)
    return r.standard_normal((m, rank)) @ r.standard_normal((rank, n))


def _low_rank_plus_diagonal(r: Random) -> Array:
    n = _between(r, 24, 80)
    rank = _between(r, 1, n // 10)
    return r.standard_normal((n, rank)) @ r.standard_normal((rank, n)) + np.diag(r.standard_normal(n))


def _sparse(r: Random) -> Array:
    m, n = _between(r, 12, 80), _between(r, 12, 80)
    A = r.standard_normal((m, n)) * (r.random((m, n)) < r.uniform(0.05, 0.4))
    A[0, 0] = 1
    return A


def _two_of_four(r: Random) -> Array:
    groups = r.uniform(1, 2, (_between(r, 8, 30), _between(r, 4, 12), 4))
    np.put_along_axis(groups, np.argsort(r.random(groups.shape))[..., :2], 0, -1)
    return groups.reshape(len(groups), -1)


def _block_sparse(r: Random) -> Array:
    used = r.random((_between(r, 8, 12), _between(r, 8, 12))) < 0.3
    used[0, 0], used[0, 1] = True, False
    return np.kron(used, np.ones((4, 4))) * r.standard_normal((4 * used.shape[0], 4 * used.shape[1]))


def _toeplitz(r: Random) -> Array:
    return scipy.linalg.toeplitz(r.standard_normal(_between(r, 5, 60)), r.standard_normal(_between(r, 5, 60)))


def _hankel(r: Random) -> Array:
    return scipy.linalg.hankel(r.standard_normal(_between(r, 5, 60)), r.standard_normal(_between(r, 5, 60)))


def _circulant(r: Random) -> Array:
    return scipy.linalg.circulant(r.standard_normal(_between(r, 5, 60)))


def _xor(r: Random) -> Array:
    index = np.arange(n := 2 ** _between(r, 3, 6))
    return r.standard_normal(n)[index[:, None] ^ index]


def _kronecker(r: Random) -> Array:
    sizes = [(_between(r, 2, 5), _between(r, 2, 5)) for _ in range(_between(r, 2, 3))]
    sizes[0] = _between(r, 4, 8), _between(r, 4, 8)
    A = np.ones((1, 1))
    for shape in sizes:
        A = np.kron(A, r.standard_normal(shape))
    return A


def _kronecker_terms(r: Random) -> Array:
    p, m = _between(r, 7, 9), _between(r, 7, 9)
    return sum(np.kron(r.standard_normal((p, p)), r.standard_normal((m, m))) for _ in range(2))  # type: ignore[return-value]


def _kronecker_sum(r: Random) -> Array:
    p, q = _between(r, 3, 9), _between(r, 3, 9)
    return np.kron(r.standard_normal((p, p)), np.eye(q)) + np.kron(np.eye(p), r.standard_normal((q, q)))


def _monarch(r: Random, rank: int = 1) -> Array:
    p, m, q, n = (_between(r, 5, 8) if rank == 1 else _between(r, 8, 10) for _ in range(4))
    L, R = r.standard_normal((m, p, q, rank)), r.standard_normal((q, m, n, rank))
    return np.einsum("jiks,kjls->ijkl", L, R).reshape(p * m, q * n)


def _butterflies(r: Random) -> Array:
    levels = _between(r, 7, 8)
    columns = [levels - 1]
    for t in reversed(range(levels - 1)):
        columns = [*columns, t] if r.random() < 0.5 else [t, *columns]
    parts = tuple(r.standard_normal((2,) * (levels + 1)) for _ in range(levels))
    found = Transform(parts, tuple(columns))
    return found.term.dense(found.parts)


def _fourier(r: Random) -> Array:
    n = _between(r, 5, 60)
    return _shuffled(scipy.fft.fft(np.eye(n)), r) * r.uniform(1, 2, n) * r.uniform(1, 2, (n, 1))


def _walsh(r: Random) -> Array:
    n = 2 ** _between(r, 3, 6)
    return _shuffled(scipy.linalg.hadamard(n), r) * r.uniform(1, 2, n) * r.uniform(1, 2, (n, 1))


def _cosine(r: Random) -> Array:
    n = _between(r, 8, 60)
    rows = scipy.fft.dct(np.eye(n), norm="ortho", axis=0)
    return r.uniform(1, 2, (n, 1)) * rows[r.permutation(n)]


def _sine(r: Random) -> Array:
    n = _between(r, 8, 60)
    return scipy.fft.dst(np.eye(n), type=1, norm="ortho", axis=0)[r.permutation(n)]


def _repeated(r: Random) -> Array:
    rows = _between(r, 3, 9)
    index = np.concatenate([np.arange(rows), r.integers(0, rows, 30)])
    return r.standard_normal((rows, _between(r, 5, 40)))[r.permutation(index)]


def _stochastic(r: Random) -> Array:
    A = r.uniform(0.1, 1, (_between(r, 4, 40), _between(r, 4, 40)))
    return A / A.sum(1, keepdims=True)


PLANTED: dict[str, tuple[str, Callable[[Random], Array]]] = {
    f"{make.__name__}{note}": (name, change)
    for name, make, note, change in (
        *((n, f, "", f) for n, f in (
            ("symmetric", _symmetric), ("skew", _skew), ("hermitian", _hermitian), ("diagonal", _diagonal),
            ("lower triangular", _lower), ("unit upper triangular", _unit_upper), ("banded", _banded),
            ("banded after a permutation", _reordered_band), ("block diagonal", _blocks), ("permutation", _permutation),
            ("scaled permutation", _scaled_permutation), ("low rank", _low_rank), ("sparse", _sparse),
            ("low rank plus diagonal", _low_rank_plus_diagonal), ("2:4 sparse", _two_of_four),
            ("block sparse", _block_sparse), ("toeplitz", _toeplitz), ("hankel", _hankel), ("circulant", _circulant),
            ("xor-circulant", _xor), ("kronecker product", _kronecker), ("kronecker sum", _kronecker_sum),
            ("sum of kronecker products", _kronecker_terms), ("monarch", _monarch), ("fourier transform", _fourier),
            ("fast transform", _butterflies),
            ("walsh-hadamard transform", _walsh), ("cosine (type 2) transform", _cosine),
            ("sine (type 1) transform", _sine), ("repeated rows", _repeated), ("row stochastic", _stochastic),
            ("positive definite", _definite), ("positive semidefinite", _semidefinite), ("projection", _projection),
        )),
        ("orthogonal", _orthogonal, "", lambda r: _orthogonal(r, _between(r, 4, 60))),
        ("block tensor train", _monarch, " of rank 2", lambda r: _monarch(r, 2)),
        ("block diagonal after a permutation", _blocks, " permuted", lambda r: _shuffled(_blocks(r), r)),
        ("repeated columns", _repeated, " turned", lambda r: _repeated(r).T),
        ("integers", _kronecker, " rounded", lambda r: np.round(5 * r.standard_normal((_between(r, 4, 30), 12)))),
        ("constant", _kronecker, " constant", lambda r: np.full((_between(r, 4, 30), _between(r, 4, 30)), 2.5)),
    )
}  # fmt: skip


def symmetrised(name: str, A: Array) -> Array:
    """With noise that a symmetric matrix keeps; a definite one is no longer that after any other."""
    return (A + A.T) / 2 if name in ("positive definite", "positive semidefinite", "projection") else A


def _gaussian(r: Random, m: int, n: int) -> Array:
    return r.standard_normal((m, n))


def _uniform(r: Random, m: int, n: int) -> Array:
    return r.uniform(-1, 1, (m, n))


def _scattered(r: Random, m: int, n: int) -> Array:
    return r.standard_normal((m, n)) * (r.random((m, n)) < 0.7)


UNSTRUCTURED = (_gaussian, _uniform, _scattered)


def unstructured(random: Random) -> Array:
    """A random matrix, or the product of two."""
    m, k, n = (_between(random, 12, 72) for _ in range(3))
    if random.random() < 0.6:
        n = m
    first, second = random.choice(len(UNSTRUCTURED), 2)
    if random.random() < 0.5:
        return UNSTRUCTURED[first](random, m, n)
    k = max(m, n) + k  # as many columns as do not make the rank low
    return UNSTRUCTURED[first](random, m, k) @ UNSTRUCTURED[second](random, k, n)
