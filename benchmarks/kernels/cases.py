"""The kernels. Each peer is given its own best words for the formula."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.kernels import loops, tensors
from benchmarks.kernels.kernel import Kernel
from benchmarks.kernels.sparse import SPARSE


def _rows(m: int) -> dict[str, dict[str, int]]:
    return {"64": {"n": 64, "m": m}, "256": {"n": 256, "m": m}, "4k": {"n": 4096, "m": m}, "16k": {"n": 16384, "m": m}}


def _points(d: int) -> dict[str, dict[str, int]]:
    return {str(n): {"n": n, "m": n, "d": d} for n in (256, 1024, 4096, 16384)}


def _lengths(*names: str) -> dict[str, dict[str, int]]:
    return {name: {"n": int(name[:-1]) * {"k": 1024, "M": 1024 * 1024}[name[-1]]} for name in names}


def _sigmoid_chain(a: Any, x: Any, b: Any, c: Any, d: Any) -> Any:
    return 1 / (1 + np.exp(-(a * x + b))) * c - d


def _softmax(x: Any) -> Any:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def _layernorm(x: Any, g: Any, b: Any) -> Any:
    mean = x.mean(axis=1, keepdims=True)
    centred = x - mean
    return centred / np.sqrt((centred * centred).mean(axis=1, keepdims=True) + 1e-5) * g + b


def _gaussian(x: Any, y: Any, v: Any) -> Any:
    squares = ((x * x).sum(1)[:, None] + (y * y).sum(1)[None, :]) - 2 * (x @ y.T)
    return np.exp(-squares / 2) @ v


def _log_sum_exp(x: Any, y: Any) -> Any:
    s = x @ y.T
    m = s.max(axis=1)
    return m + np.log(np.exp(s - m[:, None]).sum(axis=1))


def _distances(x: Any, y: Any) -> Any:
    return ((x[:, None, :] - y[None, :, :]) ** 2).sum(axis=2)


def _standardised(x: Any) -> Any:
    return (x - x.mean(axis=0)) / x.std(axis=0)


def _power_iteration(a: Any, v: Any) -> Any:
    for _ in range(100):
        w = a @ v
        v = w / (w * w).sum() ** 0.5
    return v


def _attention(q: Any, k: Any, v: Any) -> Any:
    return _softmax(q @ k.T / np.sqrt(q.shape[1]).astype(q.dtype)) @ v


KERNELS: tuple[Kernel, ...] = (
    Kernel(
        "sigmoid chain",
        "def f(a: {dtype}[n], x: {dtype}[n], b: {dtype}[n], c: {dtype}[n], d: {dtype}[n]) = sigmoid(a * x + b) * c - d",
        _lengths("4k", "64k", "1M", "8M"),
        dict.fromkeys("axbcd", ("n",)),
        _sigmoid_chain,
        {
            "numba": loops.sigmoid_chain,
            "torch": lambda a, x, b, c, d: tensors.torch().sigmoid(a * x + b) * c - d,
            "jax": lambda a, x, b, c, d: tensors.jax().nn.sigmoid(a * x + b) * c - d,
        },
        lambda n: 6 * n,
        lambda n: 7 * n,
    ),
    Kernel(
        "softmax rows",
        "def f(X: {dtype}[n, m]) = softmax(X, axis=1)",
        _rows(1024),
        {"X": ("n", "m")},
        _softmax,
        {
            "numba": loops.softmax,
            "torch": lambda x: tensors.torch().softmax(x, 1),
            "jax": lambda x: tensors.jax().nn.softmax(x, axis=1),
        },
        lambda n, m: 2 * n * m,
        lambda n, m: 5 * n * m,
    ),
    Kernel(
        "layernorm",
        "def f(X: {dtype}[n, m], g: {dtype}[m], b: {dtype}[m]) = layernorm(X) * g + b",
        _rows(1024),
        {"X": ("n", "m"), "g": ("m",), "b": ("m",)},
        _layernorm,
        {
            "numba": loops.layernorm,
            "torch": lambda x, g, b: tensors.torch().nn.functional.layer_norm(x, g.shape, g, b, 1e-5),
            "jax": tensors.jax_layernorm,
        },
        lambda n, m: 2 * n * m,
        lambda n, m: 8 * n * m,
    ),
    Kernel(
        "squared distance",
        "def f(x: {dtype}[n], y: {dtype}[n]) = sum((x - y)^2)",
        _lengths("4k", "64k", "1M", "8M"),
        {"x": ("n",), "y": ("n",)},
        lambda x, y: ((x - y) ** 2).sum(),
        {
            "numba": loops.squared_distance,
            "torch": lambda x, y: ((x - y) ** 2).sum(),
            "jax": lambda x, y: ((x - y) ** 2).sum(),
        },
        lambda n: 2 * n,
        lambda n: 3 * n,
    ),
    Kernel(
        "Gaussian kernel sum",
        "def f(X: {dtype}[n, d], Y: {dtype}[m, d], v: {dtype}[m]):\n"
        "    K[i, j] = exp(-sum[k]((X[i, k] - Y[j, k])^2) / 2)\n    return K @ v\n",
        _points(3),
        {"X": ("n", "d"), "Y": ("m", "d"), "v": ("m",)},
        _gaussian,
        {
            "numba": loops.gaussian,
            "torch": lambda x, y, v: tensors.torch().exp(-((x[:, None, :] - y[None, :, :]) ** 2).sum(2) / 2) @ v,
            "jax": lambda x, y, v: tensors.jax().numpy.exp(-((x[:, None, :] - y[None, :, :]) ** 2).sum(2) / 2) @ v,
            "keops": tensors.keops_gaussian,
        },
        lambda n, m, d: n * d + m * d + n + m,
        lambda n, m, d: n * m * (3 * d + 4),
    ),
    Kernel(
        "log-sum-exp of a product",
        "def f(X: {dtype}[n, d], Y: {dtype}[m, d]) = logsumexp(X @ Y', axis=1)",
        _points(64),
        {"X": ("n", "d"), "Y": ("m", "d")},
        _log_sum_exp,
        {
            "torch": lambda x, y: tensors.torch().logsumexp(x @ y.T, 1),
            "jax": lambda x, y: tensors.jax().nn.logsumexp(x @ y.T, axis=1),
            "keops": tensors.keops_log_sum_exp,
        },
        lambda n, m, d: n * d + m * d + n,
        lambda n, m, d: n * m * (2 * d + 3),
    ),
    Kernel(
        "row maximum of a product",
        "def f(X: {dtype}[n, d], Y: {dtype}[m, d]) = max(X @ Y', axis=1)",
        _points(64),
        {"X": ("n", "d"), "Y": ("m", "d")},
        lambda x, y: (x @ y.T).max(axis=1),
        {
            "torch": lambda x, y: (x @ y.T).amax(1),
            "jax": lambda x, y: (x @ y.T).max(axis=1),
        },
        lambda n, m, d: n * d + m * d + n,
        lambda n, m, d: n * m * (2 * d + 1),
    ),
    Kernel(
        "attention",
        "def f(Q: {dtype}[n, d], K: {dtype}[m, d], V: {dtype}[m, d]) = softmax(Q @ K' / sqrt(d), axis=1) @ V",
        _points(64),
        {"Q": ("n", "d"), "K": ("m", "d"), "V": ("m", "d")},
        _attention,
        {
            "torch": tensors.torch_attention,
            "jax": tensors.jax_attention,
        },
        lambda n, m, d: 2 * n * d + 2 * m * d,
        lambda n, m, d: n * m * (4 * d + 5),
    ),
    Kernel(
        "pairwise distances",
        "def f(X: {dtype}[n, d], Y: {dtype}[m, d]):\n    D[i, j] = sum[k]((X[i, k] - Y[j, k])^2)\n    return D\n",
        {str(n): {"n": n, "m": n, "d": 3} for n in (64, 256, 2048, 4096)},
        {"X": ("n", "d"), "Y": ("m", "d")},
        _distances,
        {
            "numba": loops.distances,
            "torch": lambda x, y: ((x[:, None, :] - y[None, :, :]) ** 2).sum(2),
            "jax": lambda x, y: ((x[:, None, :] - y[None, :, :]) ** 2).sum(2),
        },
        lambda n, m, d: n * m + n * d + m * d,
        lambda n, m, d: 3 * n * m * d,
    ),
    Kernel(
        "diagonal of a product",
        "def f(A: {dtype}[n, m], B: {dtype}[m, n]) = diag(A @ B)",
        {str(n): {"n": n, "m": n} for n in (64, 256, 1000, 3000)},
        {"A": ("n", "m"), "B": ("m", "n")},
        lambda a, b: np.einsum("ij,ji->i", a, b),
        {
            "numba": loops.diagonal_of_product,
            "torch": lambda a, b: (a * b.T).sum(1),
            "jax": lambda a, b: (a * b.T).sum(1),
        },
        lambda n, m: 2 * n * m,
        lambda n, m: 2 * n * m,
    ),
    Kernel(
        "activated product with a vector",
        "def f(A: {dtype}[n, n], x: {dtype}[n], v: {dtype}[n]) = tanh(A @ x) + tanh(v @ A)",
        {str(n): {"n": n} for n in (64, 256, 1000, 3000)},
        {"A": ("n", "n"), "x": ("n",), "v": ("n",)},
        lambda a, x, v: np.tanh(a @ x) + np.tanh(v @ a),
        {
            "torch": lambda a, x, v: tensors.torch().tanh(a @ x) + tensors.torch().tanh(v @ a),
            "jax": lambda a, x, v: tensors.jax().numpy.tanh(a @ x) + tensors.jax().numpy.tanh(v @ a),
        },
        lambda n: n * n,
        lambda n: 4 * n * n,
    ),
    Kernel(
        "standardised columns",
        "def f(X: {dtype}[n, m]) = (X - mean(X, axis=0)) / std(X, axis=0)",
        _rows(64),
        {"X": ("n", "m")},
        _standardised,
        {
            "torch": lambda x: (x - x.mean(0)) / x.std(0, correction=0),
            "jax": _standardised,
        },
        lambda n, m: 2 * n * m,
        lambda n, m: 6 * n * m,
    ),
    Kernel(
        "power iteration",
        "def f(A: {dtype}[n, n], x: {dtype}[n]):\n"
        "    v = x\n"
        "    repeat 100:\n"
        "        w = A @ v\n"
        "        v = w / norm(w)\n"
        "    return v\n",
        {str(n): {"n": n} for n in (16, 64, 256, 1000)},
        {"A": ("n", "n"), "x": ("n",)},
        _power_iteration,
        {
            "numba": loops.power_iteration,
            "torch": _power_iteration,
            "jax": _power_iteration,
        },
        lambda n: 100 * n * n,
        lambda n: 200 * n * n,
        ("f64",),
    ),
    *(
        Kernel(
            f"batched {s} by {s} products",
            f"def f(A: {{dtype}}[n, {s}, {s}], B: {{dtype}}[n, {s}, {s}]) = A @ B",
            {str(n): {"n": n} for n in (16, 256, 4096, 65536 // s * 4)},
            {"A": ("n", str(s), str(s)), "B": ("n", str(s), str(s))},
            lambda a, b: a @ b,
            {
                "numba": loops.batched_product,
                "torch": lambda a, b: a @ b,
                "jax": lambda a, b: a @ b,
            },
            lambda n, s=s: 3 * n * s * s,
            lambda n, s=s: 2 * n * s**3,
            ("f64",),
        )
        for s in (8, 16, 32)
    ),
    *SPARSE,
)
