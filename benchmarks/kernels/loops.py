"""The kernels as loops for numba, which compiles them where it is installed; `compiled` says how."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np


def compiled(loop: Callable[..., Any], threads: int) -> Callable[..., Any]:
    """The loop as numba's native code, on several threads where more than one is asked for."""
    import numba

    numba.set_num_threads(threads)
    namespace = {**loop.__globals__, "prange": numba.prange if threads > 1 else range}
    fresh = type(loop)(loop.__code__, namespace)
    made: Callable[..., Any] = numba.njit(fastmath=True, parallel=threads > 1)(fresh)
    return made


prange = range


def sigmoid_chain(a: Any, x: Any, b: Any, c: Any, d: Any) -> Any:
    out = np.empty_like(x)
    for i in prange(x.size):
        out[i] = c[i] / (1 + math.exp(-(a[i] * x[i] + b[i]))) - d[i]
    return out


def softmax(x: Any) -> Any:
    out = np.empty_like(x)
    for i in prange(x.shape[0]):
        top = x[i, 0]
        for j in range(x.shape[1]):
            top = max(top, x[i, j])
        total = x[i, 0] * 0
        for j in range(x.shape[1]):
            out[i, j] = math.exp(x[i, j] - top)
            total += out[i, j]
        for j in range(x.shape[1]):
            out[i, j] /= total
    return out


def layernorm(x: Any, g: Any, b: Any) -> Any:
    out = np.empty_like(x)
    m = x.shape[1]
    for i in prange(x.shape[0]):
        total = x[i, 0] * 0
        squares = x[i, 0] * 0
        for j in range(m):
            total += x[i, j]
        mean = total / m
        for j in range(m):
            squares += (x[i, j] - mean) ** 2
        scale = 1 / math.sqrt(squares / m + 1e-5)
        for j in range(m):
            out[i, j] = (x[i, j] - mean) * scale * g[j] + b[j]
    return out


def squared_distance(x: Any, y: Any) -> Any:
    total = 0.0
    for i in prange(x.size):
        total += (x[i] - y[i]) ** 2
    return total


def gaussian(x: Any, y: Any, v: Any) -> Any:
    out = np.empty(x.shape[0], x.dtype)
    for i in prange(x.shape[0]):
        total = v[0] * 0
        for j in range(y.shape[0]):
            square = v[0] * 0
            for k in range(x.shape[1]):
                square += (x[i, k] - y[j, k]) ** 2
            total += math.exp(-square / 2) * v[j]
        out[i] = total
    return out


def distances(x: Any, y: Any) -> Any:
    out = np.empty((x.shape[0], y.shape[0]), x.dtype)
    for i in prange(x.shape[0]):
        for j in range(y.shape[0]):
            square = x[0, 0] * 0
            for k in range(x.shape[1]):
                square += (x[i, k] - y[j, k]) ** 2
            out[i, j] = square
    return out


def diagonal_of_product(a: Any, b: Any) -> Any:
    out = np.zeros(a.shape[0], a.dtype)
    for j in range(a.shape[1]):
        for i in range(a.shape[0]):
            out[i] += a[i, j] * b[j, i]
    return out


def power_iteration(a: Any, x: Any) -> Any:
    v = x.copy()
    w = np.empty_like(x)
    for _ in range(100):
        squares = x[0] * 0
        for i in prange(a.shape[0]):
            total = x[0] * 0
            for k in range(a.shape[1]):
                total += a[i, k] * v[k]
            w[i] = total
            squares += total * total
        v[:] = w / math.sqrt(squares)
    return v


def batched_product(a: Any, b: Any) -> Any:
    out = np.zeros_like(a)
    for n in prange(a.shape[0]):
        for i in range(a.shape[1]):
            for k in range(a.shape[2]):
                for j in range(b.shape[2]):
                    out[n, i, j] += a[n, i, k] * b[n, k, j]
    return out


def sparse_vector(data: Any, columns: Any, starts: Any, x: Any) -> Any:
    out = np.empty(starts.size - 1, x.dtype)
    for i in prange(out.size):
        total = x[0] * 0
        for e in range(starts[i], starts[i + 1]):
            total += data[e] * x[columns[e]]
        out[i] = total
    return out


def sparse_product(data: Any, columns: Any, starts: Any, x: Any) -> Any:
    out = np.zeros((starts.size - 1, x.shape[1]), x.dtype)
    for i in prange(out.shape[0]):
        for e in range(starts[i], starts[i + 1]):
            for j in range(x.shape[1]):
                out[i, j] += data[e] * x[columns[e], j]
    return out


def sampled(data: Any, columns: Any, starts: Any, u: Any, v: Any) -> Any:
    out = np.empty_like(data)
    for i in prange(starts.size - 1):
        for e in range(starts[i], starts[i + 1]):
            total = u[0, 0] * 0
            for k in range(u.shape[1]):
                total += u[i, k] * v[columns[e], k]
            out[e] = data[e] * total
    return out
