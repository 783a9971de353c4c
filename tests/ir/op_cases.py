"""One call or more of every op: name, operands, attributes, and the value expected (or None)."""

from typing import Any

import numpy as np
from scipy.special import log_softmax, softmax

from tpc.ir.types import I64

from .quantized_cases import QUANTIZED_CASES
from .structured_cases import STRUCTURED_CASES

rng = np.random.default_rng(0)
A = rng.standard_normal((3, 4))
B = rng.standard_normal((4, 2))
S = rng.standard_normal((3, 3))
x = rng.standard_normal(4)
y = rng.standard_normal(4)
b = rng.standard_normal((2, 3, 4))
long = rng.standard_normal(83)


def normalized(x: Any) -> Any:
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)


def recurrence(a: Any, b: Any, x: Any) -> Any:
    states = [x]
    for factor, term in zip(a, b, strict=True):
        states.append(factor * states[-1] + term)
    return np.stack(states)


CASES: list[tuple[Any, ...]] = [
    *STRUCTURED_CASES,
    *QUANTIZED_CASES,
    ("add", (A, x), {}, A + x),
    ("after", (A, x), {}, A),
    ("after", (x, B > 0), {}, x),
    ("require", (A, np.bool_(True)), {}, A),
    ("require", (x, np.bool_(True)), {"because": "converged"}, x),
    ("exp", (A,), {}, np.exp(A)),
    ("select", (A > 0, A, x), {}, np.where(A > 0, A, x)),
    ("neg", (x,), {}, -x),
    ("clip", (A, np.float64(-0.5), np.float64(0.5)), {}, A.clip(-0.5, 0.5)),
    ("mod", (A, x), {}, np.mod(A, x)),
    ("cast", (A,), {"dtype": I64}, A.astype(int)),
    ("matmul", (A, B), {}, A @ B),
    ("matmul", (b, B), {}, b @ B),
    ("matvec", (b, x), {}, b @ x),
    ("vecmat", (x, B), {}, x @ B),
    ("dot", (x, y), {}, x @ y),
    ("vdot", (x + 1j * y, y * 1j), {}, np.vdot(x + 1j * y, y * 1j)),
    ("outer", (x, y), {}, np.outer(x, y)),
    ("kron", (A, B), {}, np.kron(A, B)),
    ("kron", (x, y), {}, np.kron(x, y)),
    ("khatri_rao", (A, rng.standard_normal((2, 4))), {}, None),
    ("transpose", (b,), {}, b.swapaxes(-1, -2)),
    ("adjoint", (b * 1j,), {}, -1j * b.swapaxes(-1, -2)),
    ("permute", (b,), {"axes": (2, 0, 1)}, b.transpose(2, 0, 1)),
    ("trace", (S,), {}, np.trace(S)),
    ("diag", (x,), {}, np.diag(x)),
    ("diag", (b,), {}, np.diagonal(b, 0, -2, -1)),
    ("tril", (A,), {"k": -1}, np.tril(A, -1)),
    ("triu", (b,), {"k": 1}, np.triu(b, 1)),
    ("tril", (A,), {}, np.tril(A)),
    ("vec", (A,), {}, A.reshape(-1)),
    ("unvec", (np.arange(6.0),), {"i": 2, "j": 3}, np.arange(6.0).reshape(2, 3)),
    (
        "from_diagonals",
        (A,),
        {"below": 1, "n": 3},
        np.array([[A[1, 0], A[2, 0], 0], [A[0, 1], A[1, 1], A[2, 1]], [0, A[0, 2], A[1, 2]], [0, 0, A[0, 3]]]),
    ),
    ("from_diagonals", (A[:, :1],), {"below": 0, "n": 5}, np.array([[*A[:, 0], 0, 0]])),
    ("from_diagonals", (A[:0],), {"below": 2, "n": 2}, np.zeros((4, 2))),
    ("cross", (A[:, :3], S), {}, np.cross(A[:, :3], S)),
    ("cross", (A[0, :3], S), {}, np.cross(A[0, :3], S)),
    *[("conv", (x, B[:3, 0]), {"mode": m}, np.convolve(x, B[:3, 0], m)) for m in ("valid", "full", "same")],
    *[("conv", (x, B[:2, 0]), {"mode": m}, np.convolve(x, B[:2, 0], m)) for m in ("valid", "full", "same")],
    *[
        ("correlate", (x, B[:k, 0]), {"mode": m}, np.correlate(x, B[:k, 0], m))
        for m in ("valid", "full", "same")
        for k in (2, 3)
    ],
    *[
        ("correlate", (x * 1j, B[:k, 0] * (1 + 1j)), {"mode": m}, np.correlate(x * 1j, B[:k, 0] * (1 + 1j), m))
        for m in ("valid",)
        for k in (2, 3)
    ],
    ("conv", (b, x[:2]), {}, None),
    ("conv2d", (b, S[:2, :3]), {}, None),
    ("conv2d", (rng.standard_normal((2, 3, 5, 6)), rng.standard_normal((2, 3, 3, 2))), {"stride": 2, "pad": 1}, None),
    *[
        (n, (b,), {"axis": ax, "keepdims": k}, getattr(np, n)(b, axis=ax, keepdims=k))
        for n in ("sum", "prod", "max", "min", "mean", "std", "var", "median")
        for ax in (None, 1, (0, 2), -1)
        for k in (False, True)
    ],
    *[
        (n, (b > 0,), {"axis": ax, "keepdims": k}, getattr(np, n)(b > 0, axis=ax, keepdims=k))
        for n in ("sum", "any", "all")
        for ax in (None, 1, (0, 2), ())
        for k in (False, True)
    ],
    *[
        (n, (b,), {"axis": ax, "keepdims": k}, getattr(np, n)(b, axis=ax, keepdims=k))
        for n in ("argmax", "argmin")
        for ax in (None, 1, -1)
        for k in (False, True)
    ],
    ("logsumexp", (b,), {"axis": 1}, np.log(np.exp(b).sum(1))),
    ("mean", (np.int64(3),), {}, 3.0),
    ("logsumexp", (np.int64(3),), {}, 3.0),
    *[
        ("norm", (S,), {"ord": o}, np.linalg.norm(S, q))
        for o, q in (("fro", "fro"), (1, 1), ("inf", np.inf), (float("inf"), np.inf), ("nuc", "nuc"), ("spectral", 2))
    ],
    *[("norm", (x,), {"ord": o}, np.linalg.norm(x, q)) for o, q in (("fro", 2), (1, 1), ("inf", np.inf), (2, 2))],
    (
        "norm",
        (b,),
        {"ord": "spectral", "axis": (1, 2), "keepdims": True},
        np.linalg.norm(b, 2, axis=(1, 2), keepdims=True),
    ),
    ("norm", (x * 1j,), {}, np.linalg.norm(x)),
    *[("cumsum", (b,), {"axis": k}, np.cumsum(b, k)) for k in (0, 1, -1)],
    ("cumprod", (b,), {}, np.cumprod(b, -1)),
    ("cummax", (b,), {}, np.maximum.accumulate(b, -1)),
    *[
        ("linear_scan", (a, t, s), {}, recurrence(a, t, s))
        for a, t, s in (
            (A[:, 0], A, x),
            (A, b[0], y),
            (A[:0], A[:0], x),
            (b[0, :, :1], b[0], x),
            (long, np.cos(long), x[0]),
            (np.sin(long), np.outer(long, y), y * 1j),
        )
    ],
    *[
        ("matrix_scan", (M, t, s), {}, None)
        for M, t, s in (
            (A[:, :3] / 2, A.T, y[:3]),
            (A[:, :3], A[:0, :3], y[:3]),
            (A[:2, :2] / 3, np.outer(np.cos(long), y[:2]), y[:2] * 1j),
        )
    ],
    *[
        ("linear_attention", (q, k, v, a, S), {}, None)
        for t, h, d, e, decay in ((150, (), 3, 2, 0.5), (70, (2,), 2, 3, 1e-9), (3, (), 1, 1, 1), (0, (), 2, 3, 1))
        for rows in (1, d)
        for q, k, v, a, S in [
            [
                rng.standard_normal((t, *h, d)),
                rng.standard_normal((t, *h, d)),
                rng.standard_normal((t, *h, e)),
                decay ** rng.uniform(size=(t, *h, rows)),
                rng.standard_normal((*h, d, e)),
            ]
        ]
    ],
    ("zeros", (), {"dims": (2, 3)}, np.zeros((2, 3))),
    ("ones", (), {"dims": ()}, np.ones(())),
    ("full", (np.float64(2),), {"dims": (2,)}, np.full(2, 2.0)),
    ("eye", (), {"i": 2}, np.eye(2)),
    ("eye", (), {"i": 2, "j": 3}, np.eye(2, 3)),
    ("arange", (), {"n": 4}, np.arange(4)),
    ("linspace", (np.float64(1), np.float64(2)), {"n": 5}, np.linspace(1, 2, 5)),
    ("linspace", (np.float64(1), np.float64(2)), {"n": 1}, np.linspace(1, 2, 1)),
    ("one_hot", (np.array([[1, 0], [2, 2]]),), {"n": 3}, np.eye(3)[np.array([[1, 0], [2, 2]])]),
    *[
        ("reshape", (b,), {"dims": d}, b.reshape(d))
        for d in ((24,), (6, 4), (2, 12), (4, 6), (2, 3, 2, 2), (1, 2, 3, 4), (2, -1), (24, 1), (2, 3, 1, 4), (4, 3, 2))
    ],
    ("reshape", (b[:1],), {"dims": (12,)}, b[:1].reshape(12)),
    ("reshape", (b[:1, :1, :1],), {"dims": ()}, b[0, 0, 0]),
    ("reshape", (b[0, 0, 0],), {"dims": (1, 1)}, b[:1, :1, 0]),
    ("reshape", (b[:, :0],), {"dims": (0, 7)}, np.zeros((0, 7))),
    ("broadcast_to", (b[:1],), {"dims": (5, 2, 3, 4)}, np.broadcast_to(b[:1], (5, 2, 3, 4))),
    ("squeeze", (b[:1],), {}, b[0]),
    ("squeeze", (b[:1, :1],), {"axis": 1}, b[:1, 0]),
    ("unsqueeze", (A,), {"axis": -1}, A[..., None]),
    ("unsqueeze", (A,), {"axis": 0}, A[None]),
    ("flip", (b,), {"axis": 1}, np.flip(b, 1)),
    ("roll", (b,), {"axis": 1, "shift": -1}, np.roll(b, -1, 1)),
    ("roll", (b,), {"axis": 1, "shift": 5}, np.roll(b, 5, 1)),
    (
        "pad",
        (A,),
        {"before": 1, "after": 2, "axis": 0, "value": -1.5},
        np.pad(A, ((1, 2), (0, 0)), constant_values=-1.5),
    ),
    ("tile", (A,), {"times": 3, "axis": 1}, np.tile(A, (1, 3))),
    ("concat", (A, A[:1]), {}, np.concatenate([A, A[:1]])),
    ("stack", (A, A), {"axis": -1}, np.stack([A, A], -1)),
    ("split", (A,), {"axis": 1}, None),
    ("take", (b, np.array([[0, 2], [1, 1]])), {"axis": 1}, np.take(b, [[0, 2], [1, 1]], 1)),
    ("take_along", (A, np.array([[0], [3], [1]])), {}, np.take_along_axis(A, np.array([[0], [3], [1]]), -1)),
    ("scatter_add", (A, np.array([0, 0, 2]), S[:, [0, 1, 2, 0]]), {}, None),
    ("segment_sum", (A, np.array([0, 0, 2])), {"n": 4}, None),
    ("segment_sum", (x, np.array([0, 0, 2, 1])), {"n": 4}, None),
]
spd = S @ S.T + np.eye(3)
bs = rng.standard_normal((2, 1, 3, 3))
CASES += [
    (n, (S,), {}, None)
    for n in [
        "inv",
        "pinv",
        "det",
        "logdet",
        "slogdet",
        "lu",
        "qr",
        "svd",
        "svdvals",
        "eig",
        "eigvals",
        "expm",
        "logm",
        "sqrtm",
        "matrix_rank",
        "cond",
    ]
]
CASES += [
    (n, (bs,), {}, None)
    for n in [
        "inv",
        "pinv",
        "det",
        "logdet",
        "slogdet",
        "lu",
        "qr",
        "svd",
        "svdvals",
        "eig",
        "eigvals",
        "expm",
        "logm",
        "sqrtm",
        "matrix_rank",
        "cond",
    ]
]
CASES += [
    (n, (bs[:0],), {}, None)
    for n in [
        "inv",
        "pinv",
        "det",
        "logdet",
        "slogdet",
        "lu",
        "qr",
        "svd",
        "svdvals",
        "eig",
        "eigvals",
        "expm",
        "logm",
        "sqrtm",
        "matrix_rank",
        "cond",
    ]
]
CASES += [
    (n, (np.zeros((0, 0)),), {}, None)
    for n in [
        "inv",
        "pinv",
        "det",
        "logdet",
        "slogdet",
        "lu",
        "qr",
        "svd",
        "svdvals",
        "eig",
        "eigvals",
        "expm",
        "logm",
        "sqrtm",
        "cholesky",
        "ldl",
        "eigh",
        "eigvalsh",
    ]
]
CASES += [
    (n, (q,), {}, None)
    for n in ["pinv", "lu", "qr", "svd", "svdvals"]
    for q in (A, A.T, b, np.zeros((0, 2)), np.zeros((2, 0)))
]
CASES += [(n, (spd,), {}, None) for n in ["cholesky", "ldl", "eigh", "eigvalsh", "sqrtm", "logm"]]
CASES += [
    (n, (bs @ bs.swapaxes(-1, -2) + np.eye(3),), {}, None)
    for n in ["cholesky", "ldl", "eigh", "eigvalsh", "sqrtm", "logm"]
]
CASES += [
    ("solve", (S, x[:3]), {}, np.linalg.solve(S, x[:3])),
    ("solve", (S, S), {}, np.eye(3)),
    ("solve", (bs, x[:3]), {}, None),
    ("solve", (bs, S), {}, None),
    ("solve_triangular", (S, x[:3]), {}, np.linalg.solve(np.tril(S), x[:3])),
    ("solve_triangular", (bs, S), {"lower": False}, np.linalg.solve(np.triu(bs), S)),
    ("lstsq", (A, x[:3]), {}, np.linalg.pinv(A) @ x[:3]),
    ("lstsq", (A.T, x), {}, np.linalg.pinv(A.T) @ x),
    ("lstsq", (b, S), {}, np.linalg.pinv(b) @ S),
    ("matpow", (S, np.int64(3)), {}, S @ S @ S),
    ("matpow", (S, np.float64(-2)), {}, np.linalg.inv(S @ S)),
    ("matpow", (spd, np.float64(0.5)), {}, None),
]
for n in ["fft", "ifft", "rfft", "dct", "idct"]:
    for ax in (0, 1, -1):
        CASES.append((n, (b,), {"axis": ax}, getattr(np.fft, n)(b, axis=ax) if "f" in n else None))
CASES += [
    ("irfft", (b,), {"axis": 1, "n": 5}, np.fft.irfft(b, 5, 1)),
    ("irfft", (b,), {"axis": -1, "n": 6}, np.fft.irfft(b, 6)),
    ("fft2", (b,), {}, np.fft.fft2(b)),
    ("ifft2", (b,), {}, np.fft.ifft2(b)),
    ("fftshift", (b,), {}, np.fft.fftshift(b)),
    ("ifftshift", (b,), {"axis": 1}, np.fft.ifftshift(b, 1)),
    ("fft", (b[:0],), {}, None),
    ("rfft", (b[:, :0],), {"axis": 1}, None),
]
CASES += [
    *[("softmax", (b,), {"axis": k}, softmax(b, k)) for k in (0, 1, 2)],
    ("log_softmax", (b,), {"axis": 1}, log_softmax(b, 1)),
    ("layernorm", (b,), {}, normalized(b)),
    ("layernorm", (b, x, y), {}, normalized(b) * x + y),
    ("layernorm", (x,), {}, normalized(x)),
    ("rmsnorm", (b, x), {}, b / np.sqrt((b**2).mean(-1, keepdims=True) + 1e-5) * x),
    ("cross_entropy", (A, np.array([0, 3, 2])), {}, -log_softmax(A, -1)[[0, 1, 2], [0, 3, 2]]),
    *[
        ("sort", (b,), {"axis": k, "descending": d}, np.sort(b, k) if not d else np.flip(np.sort(b, k), k))
        for k in (0, 1, -1)
        for d in (False, True)
    ],
    ("argsort", (np.array([1, 2, 1, 2]),), {"descending": True}, np.array([1, 3, 0, 2])),
    ("topk", (b,), {"k": 2}, None),
    ("searchsorted", (np.sort(x), A), {}, np.searchsorted(np.sort(x), A)),
    ("searchsorted", (np.arange(4), np.arange(4)), {"side": "right"}, np.arange(1, 5)),
    *[(n, (), {"dims": (3, 2)}, None) for n in ("normal", "uniform", "rademacher")],
    ("sparse_sketch", (), {"m": 6, "n": 5}, None),
]
# Kernels: factors in the packed form in which they are passed on.
eye, nothing, none = np.eye(3), np.zeros((0, 0)), np.zeros(0, int)
stack = bs + 2 * eye
M, N = S + 2 * eye, stack @ stack.swapaxes(-1, -2)
exchanged = np.array([2, 2, 2])
indefinite = np.array([[0.0, 2, 1], [2, 0, 3], [1, 3, -1]])
blocks = np.array([[1.0, 2, 9], [0, -1, 0], [0.5, -3, 2]])  # blocks of 2 and of 1
turned = np.array([2, 0, 1])
tridiagonal = np.tril(np.triu(S, -1), 1) + 3 * eye
CASES += [
    ("add_diagonal", (M, x[:3]), {}, M + np.diag(x[:3])),
    ("add_diagonal", (stack, np.array(2.0)), {}, stack + 2 * eye),
    ("add_diagonal", (M, np.array(1j)), {}, M + 1j * eye),
    ("add_diagonal", (nothing, none * 1.0), {}, nothing),
    ("harmless", (np.array(2.0), np.array(3.0)), {}, np.array(True)),
    ("harmless", (np.array(4.0), np.array(3.0)), {}, np.array(False)),
    ("harmless", (np.array(np.nan), np.array(3.0)), {}, np.array(False)),
    ("solved", (np.array(2.0), np.array(3.0)), {}, np.array(True)),
    ("solved", (np.array(np.inf), np.array(3.0)), {}, np.array(False)),
    *[
        (n, (matrix, right), {"lower": lower}, None)
        for n in ("trmm", "solve_triangular")
        for matrix, right in (
            (M, x[:3]),
            (M, S),
            (stack, x[:3]),
            (stack, S),
            (M, bs),
            (M[:1, :1], S[:1]),
            (stack[:0], S),
        )
        for lower in (True, False)
    ],
    ("trmm", (M, S), {"lower": False}, np.triu(M) @ S),
    ("trmm", (M * 1j, S * (1 + 1j)), {}, np.tril(M * 1j) @ (S * (1 + 1j))),
    ("trmm", (nothing, nothing), {}, nothing),
    ("trmm", (M, S[:, :0]), {}, S[:, :0]),
    *[("tri_inv", (m,), {"lower": k}, None) for m in (M, stack, M * 1j, nothing, M[:1, :1]) for k in (True, False)],
    ("tri_inv", (M,), {}, np.linalg.inv(np.tril(M))),
    *[
        ("cho_solve", (m, right), {}, None)
        for m, right in (
            (M, x[:3]),
            (M, S),
            (stack, x[:3]),
            (stack, S),
            (M + 1j * S, S),
            (nothing, nothing),
            (M, S[:, :0]),
        )
    ],
    ("cho_solve", (np.linalg.cholesky(spd), S), {}, np.linalg.solve(spd, S)),
    *[("cho_inv", (m,), {}, None) for m in (M, stack, stack[:0], M + 1j * np.tril(S, -1), nothing)],
    ("cho_inv", (np.linalg.cholesky(spd),), {}, np.linalg.inv(spd)),
    *[("lu_factor", (m,), {}, None) for m in (S, S * (1 + 2j), bs, bs[:0], nothing, S[:1, :1], np.ones((2, 2)))],
    *[
        ("lu_solve", (m, exchanged, right), {"transposed": t}, None)
        for m, right in ((M, x[:3]), (M, S), (stack, x[:3]), (stack, S), (stack[:0], x[:3]), (M + 1j * S, S))
        for t in (True, False)
    ],
    ("lu_solve", (nothing, none, nothing), {}, nothing),
    ("lu_det", (M, exchanged), {}, -M[0, 0] * M[1, 1] * M[2, 2] * -1),
    *[
        (n, (m, p), {}, None)
        for n in ("lu_det", "lu_logdet")
        for m, p in (
            (stack, exchanged),
            (stack, np.array([[[0, 1, 2]], [[0, 2, 2]]])),
            (M + 1j * S, exchanged),
            (nothing, none),
            (np.diag([1.0, 0, -1]), exchanged),
            (np.diag([1.0, 2, -1]), exchanged),
        )
    ],
    *[("ldl_factor", (m,), {}, None) for m in (indefinite, spd, N, N[:0], nothing, S[:1, :1])],
    ("ldl_factor", (indefinite + 1j * (S - S.T),), {}, None),
    *[
        ("ldl_solve", (m, turned, right), {}, None)
        for m, right in ((blocks, x[:3]), (blocks, S), (blocks, bs), (blocks * (1 + 1j), S))
    ],
    ("ldl_solve", (np.stack([blocks, np.tril(M)]), np.stack([turned, [0, 1, 2]]), S), {}, None),
    ("ldl_solve", (N[:0], turned, x[:3]), {}, None),
    ("ldl_solve", (nothing, none, nothing), {}, nothing),
    ("ldl_solve", (S[:1, :1], turned[1:2], S[:1]), {}, S[:1] / S[0, 0]),
    *[
        ("band_matmul", (matrix, right), {"below": below, "above": above}, None)
        for matrix, right in ((A, x), (A, B), (A.T, S), (b, x), (b, B), (A * 1j, B), (A[:0], x), (A[:, :0], B[:0]))
        for below, above in ((0, 0), (1, 0), (0, 2), (7, 7))
    ],
    ("band_matmul", (tridiagonal, S), {"below": 1, "above": 1}, tridiagonal @ S),
    *[
        ("band_solve", (matrix, right), {"below": below, "above": above}, None)
        for matrix, right in ((M, x[:3]), (M, S), (stack, x[:3]), (stack, S), (M + 1j * S, S), (nothing, nothing))
        for below, above in ((0, 0), (1, 0), (0, 2), (1, 1), (7, 7))
    ],
    ("band_solve", (tridiagonal, S), {"below": 1, "above": 1}, np.linalg.solve(tridiagonal, S)),
    ("band_solve", (S[:1, :1], S[:1]), {"below": 1, "above": 1}, S[:1] / S[0, 0]),
    *[
        ("spd_band_solve", (matrix, right), {"width": width}, None)
        for matrix, right in ((spd + 5 * eye, x[:3]), (spd + 5 * eye, S), (N + 5 * eye, S), (nothing, nothing))
        for width in (0, 1, 2, 7)
    ],
    ("spd_band_solve", (spd + 5 * eye + 1j * np.tril(S - S.T), S), {"width": 2}, None),
    *[(name, (A,), {}, A) for name in ("csr", "to_csr", "from_csr")],
    *[(name, (A[:0],), {}, A[:0]) for name in ("csr", "to_csr", "from_csr")],
    ("store", (A,), {}, A),
    ("csr_transpose", (A,), {}, A.T),
    *[("csr_map", (A,), {"function": name}, getattr(np, name)(A)) for name in ("tanh", "abs", "square", "conj")],
    ("csr_map", (np.round(A),), {"function": "ne"}, np.round(A) != 0),
    ("csr_cast", (A,), {"dtype": I64}, A.astype(int)),
    ("csr_add", (A, A * 1j), {}, A + A * 1j),
    ("csr_sub", (A, A + 1), {}, -np.ones_like(A)),
    ("csr_mul", (A, A), {}, A * A),
    *[("csr_scale", (A, f), {}, A * f) for f in (np.float64(3), x, A[:, :1], A[:1], A)],
    *[("csr_div", (A, f), {}, A / f) for f in (np.float64(3), x, A[:, :1], A)],
    ("csr_plus_dense", (A, 2 * A), {}, 3 * A),
    ("spmm", (A, B), {}, A @ B),
    ("spmm", (A, x), {}, A @ x),
    ("spmm", (A[:, :0], x[:0]), {}, np.zeros(3)),
    ("spgemm", (A, B), {}, A @ B),
    ("sddmm", (S, A, A.T), {}, S * (A @ A.T)),
    *[("csr_sum", (A,), {"axis": axis}, A.sum(axis)) for axis in (None, 0, 1)],
    *[("csr_max", (A,), {"axis": axis}, A.max(axis)) for axis in (None, 0, 1)],
    *[("csr_min", (A,), {"axis": axis}, A.min(axis)) for axis in (None, 0, 1)],
    ("csr_row", (A, np.int64(1)), {}, A[1]),
    ("csr_take", (A, np.array([2, 0, 2])), {}, A[[2, 0, 2]]),
    ("csr_take", (A, np.array([], int)), {}, A[:0]),
    *[
        (name, (np.array(values), np.array(columns, int), np.array(starts)), {"m": m}, np.array(dense).reshape(-1, m))
        for name in ("sparse_matrix", "csr_parts")
        for values, columns, starts, m, dense in (
            ([1.5, -2.0, 4.0], [2, 0, 1], [0, 1, 1, 3], 3, [[0, 0, 1.5], [0, 0, 0], [-2.0, 4.0, 0]]),
            ([1.0, 2.0, 3.0], [1, 1, 0], [0, 3], 2, [[3.0, 3.0]]),
            (np.zeros(0), [], [0, 0, 0], 4, np.zeros((2, 4))),
        )
    ],
    ("csr_diag", (S,), {}, np.diag(S)),
    ("csr_diagonal", (x,), {}, np.diag(x)),
    ("csr_triangle", (A,), {}, np.tril(A)),
    ("csr_triangle", (A,), {"lower": False, "k": 1}, np.triu(A, 1)),
    ("csr_kron", (A, B), {}, np.kron(A, B)),
    ("splu", (S,), {}, S),
    *[("splu_solve", (S, right), {}, np.linalg.solve(S, right)) for right in (x[:3], S)],
    ("splu_logdet", (spd + 5 * eye,), {}, np.linalg.slogdet(spd + 5 * eye)[1]),
    ("csr_solve_triangular", (S, x[:3]), {}, np.linalg.solve(np.tril(S), x[:3])),
    ("csr_solve_triangular", (S, S), {"lower": False}, np.linalg.solve(np.triu(S), S)),
    ("largest", (A,), {"fraction": 0.25}, np.abs(A) >= np.sort(np.abs(A).ravel())[-3]),
    ("largest", (A,), {"fraction": 0.5, "axis": -1}, np.abs(A) >= np.sort(np.abs(A))[:, 2:3]),
    ("largest", (A * 1j,), {"fraction": 0.0}, np.zeros(A.shape, bool)),
    ("largest", (A[:0],), {}, np.zeros((0, 4), bool)),
    ("largest", (np.ones(4),), {"fraction": 0.5}, np.array([True, True, False, False])),
    ("largest_of_group", (A,), {"n": 1, "m": 2}, None),
    ("largest_of_group", (np.array([1.0, -3, 2, 0, 5, 5, 5, 5]),), {}, np.array([0, 1, 1, 0, 1, 1, 0, 0], bool)),
    (
        "largest_blocks",
        (np.kron(np.diag([1.0, 2, 3]), np.ones((2, 1))),),
        {"rows": 2, "columns": 1, "fraction": 0.2},
        np.kron(np.diag([0, 1, 1]), np.ones((2, 1))) > 0,
    ),
]
