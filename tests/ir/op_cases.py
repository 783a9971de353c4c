"""One call or more of every op: name, operands, attributes, and the value expected (or None)."""

from typing import Any

import numpy as np
from scipy.special import log_softmax, softmax

from tpc.ir.types import I64

from .kernel_cases import KERNEL_CASES
from .linalg_cases import LINALG_CASES
from .operands import A, B, S, b, long, rng, x, y
from .quantized_cases import QUANTIZED_CASES
from .sparse_cases import SPARSE_CASES
from .structured_cases import STRUCTURED_CASES


def normalized(x: Any) -> Any:
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)


def recurrence(a: Any, b: Any, x: Any) -> Any:
    states = [x]
    for factor, term in zip(a, b, strict=True):
        states.append(factor * states[-1] + term)
    return np.stack(states)


CASES: list[tuple[Any, ...]] = [
    *LINALG_CASES,
    *KERNEL_CASES,
    *SPARSE_CASES,
    *STRUCTURED_CASES,
    *QUANTIZED_CASES,
    ("add", (A, x), {}, A + x),
    ("after", (A, x), {}, A),
    ("after", (x, B > 0), {}, x),
    ("require", (A, np.bool_(True)), {}, A),
    ("surrogate", (A, 2 * A), {}, A),
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
