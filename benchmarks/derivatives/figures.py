"""Derivatives beside the way that is usually taken: kernels of Jacobians, Laplacians, spectra of Hessians, recurrences.

Each is compared with what an expert would write in NumPy, or with jax.jit; results are compared first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import tpc

Array = Any


@dataclass(frozen=True)
class Figure:
    """A program, its operands, and the same by another way.

    Attributes
    ----------
    goal
        How many times faster than the other way it has to be.
    error
        The largest relative error that it may have.
    spare
        The size of a matrix that must not be made, in bytes.
    """

    name: str
    text: str
    operands: tuple[Any, ...]
    other: Callable[..., Any]
    goal: float
    error: float
    spare: int = 0


def rows() -> Iterator[dict[str, Any]]:
    """Each figure with seconds of both ways, the error, and the bytes that are held at most."""
    for figure in (_tangent_kernel(), _laplacian(), _estimate(), _spectrum(), _attention()):
        yield _measured(figure)


def _measured(figure: Figure) -> dict[str, Any]:
    compiled = tpc.compile(figure.text, function="main")
    compiled.prepare(*figure.operands)
    ways = {"tpc": lambda: compiled(*figure.operands), "other": lambda: figure.other(*figure.operands)}
    found, wanted = (_arrays(way()) for way in ways.values())
    error = max(float(np.abs(f - w).max() / np.abs(w).max()) for f, w in zip(found, wanted, strict=True))
    seconds = dict.fromkeys(ways, float("inf"))
    for turn in range(30):
        for name, way in ways.items():
            if name == "tpc" or turn < 3:
                began = time.perf_counter()
                way()
                seconds[name] = min(seconds[name], time.perf_counter() - began)
    held = int(compiled.cost.peak_bytes)
    faster = seconds["other"] / seconds["tpc"]
    met = faster >= figure.goal and error <= figure.error and (not figure.spare or held < figure.spare)
    return {
        "name": figure.name, "seconds": seconds, "faster": faster, "goal": figure.goal, "error": error,
        "held": held, "met": met,
    }  # fmt: skip


def _arrays(result: Any) -> list[Array]:
    return [np.asarray(part) for part in (result if isinstance(result, tuple) else (result,))]


def _tangent_kernel() -> Figure:
    """J @ J' for 400 points, by the layers in the place of J."""
    chance = np.random.default_rng(0)
    n, d, m = 400, 64, 512
    X, W, v = chance.standard_normal((n, d)), chance.standard_normal((m, d)) / 8, chance.standard_normal(m)
    text = """def u(W: f64[m, d], X: f64[n, d], v: f64[m]) -> f64[n] = tanh(X @ W') @ v

def main(W: f64[m, d], X: f64[n, d], v: f64[m]) -> f64[n, n]:
    J = reshape(jacobian(u, W)(W, X, v), n, m * d)
    return J @ J'
"""

    def other(W: Array, X: Array, v: Array) -> Array:
        slope = (1 - np.tanh(X @ W.T) ** 2) * v
        J = (slope[:, :, None] * X[:, None, :]).reshape(n, -1)
        return J @ J.T

    return Figure("tangent kernel, 400 points", text, (W, X, v), other, 30, 1e-12, 8 * n * m * d)


FIELD = "def u(x: f64[d], W: f64[h, d], V: f64[h, h], w: f64[h]) -> f64 = w @ tanh(V @ tanh(W @ x))\n\n"


def _field() -> tuple[Any, ...]:
    chance = np.random.default_rng(1)
    d, h = 1000, 64
    W, V = chance.standard_normal((h, d)) / d**0.5, chance.standard_normal((h, h)) / h**0.5
    return chance.standard_normal(d), W, V, chance.standard_normal(h)


def _by_products(x: Array, W: Array, V: Array, w: Array) -> Array:
    """The Laplacian by a Hessian-vector product along each axis."""
    return np.asarray(sum(_product(x, W, V, w, way)[j] for j, way in enumerate(np.eye(len(x)))))


def _product(x: Array, W: Array, V: Array, w: Array, way: Array) -> Array:
    a = np.tanh(W @ x)
    b = np.tanh(V @ a)
    z = (1 - a**2) * (W @ way)
    turn = -2 * b * (1 - b**2) * w * (V @ z)
    return W.T @ ((1 - a**2) * (V.T @ turn) - 2 * a * z * (V.T @ (w * (1 - b**2))))


def _laplacian() -> Figure:
    text = f"{FIELD}def main(x: f64[d], W: f64[h, d], V: f64[h, h], w: f64[h]) = laplacian(u, x)(x, W, V, w)\n"
    return Figure("Laplacian of 1000 variables", text, _field(), _by_products, 30, 1e-9)


def _estimate() -> Figure:
    """From 16 directions; an estimate, whose error is not that of rounding."""
    options = "samples=16, seed=1"
    text = (
        f"{FIELD}def main(x: f64[d], W: f64[h, d], V: f64[h, h], w: f64[h]) = laplacian(u, x, {options})(x, W, V, w)\n"
    )
    return Figure("the same from 16 directions", text, _field(), _by_products, 100, np.inf)


def _spectrum() -> Figure:
    """The largest eigenvalue of a Hessian of 2000 parameters by 30 steps of Lanczos' method, or from the whole."""
    chance = np.random.default_rng(2)
    n, m = 500, 2000
    A = chance.standard_normal((n, m)) * np.logspace(0, -1, m)
    text = """def loss(x: f64[m], A: f64[n, m]) -> f64 = sum(softplus(A @ x)) + dot(x, x) / 2

def main(x: f64[m], A: f64[n, m]) -> f64:
    q, p, b = ones(m) / sqrt(m), zeros(m), 0.0
    scan k in 30:
        y = hessian(loss, x)(x, A) @ q
        a = dot(q, y)
        z = y - a * q - b * p
        along[k] = a
        b = norm(z)
        beside[k] = b
        p, q = q, z / b
    T = diag(along) + select(arange(30) == unsqueeze(arange(30), 1) + 1, unsqueeze(beside, 1), 0.0)
    return eigvalsh(T + T' - diag(along))[29]
"""

    def other(x: Array, A: Array) -> Array:
        s = 1 / (1 + np.exp(-A @ x))
        return np.asarray(np.linalg.eigvalsh((A.T * (s * (1 - s))) @ A + np.eye(m))[-1])

    return Figure(
        "a spectrum of 2000 parameters", text, (chance.standard_normal(m) / 10, A), other, 30, 1e-2, 8 * m * m
    )


def _attention() -> Figure:
    """The gradient of gated linear attention, beside jax.jit of a scan."""
    chance = np.random.default_rng(3)
    t, d = 2048, 64
    text = """def f(q: f64[t, d], k: f64[t, d], v: f64[t, d], a: f64[t, d]) -> f64:
    S = zeros(d, d)
    scan i in t:
        S = diag(a[i]) @ S + outer(k[i], v[i])
        y[i] = q[i] @ S
    return sum(y^2)

def main(q: f64[t, d], k: f64[t, d], v: f64[t, d], a: f64[t, d]) = grad(f, q, k, v, a)(q, k, v, a)
"""
    operands = (*chance.standard_normal((3, t, d)), chance.uniform(0.01, 1, (t, d)))
    return Figure("gated attention, gradient", text, operands, _attention_by_jax(), 1, 1e-9)


def _attention_by_jax() -> Callable[..., Any]:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)

    def loss(q: Array, k: Array, v: Array, a: Array) -> Array:
        def step(S: Array, row: Any) -> tuple[Array, Array]:
            q, k, v, a = row
            S = a[:, None] * S + jnp.outer(k, v)
            return S, q @ S

        start = jnp.zeros((q.shape[1], v.shape[1]))
        return (jax.lax.scan(step, start, (q, k, v, a))[1] ** 2).sum()

    slope = jax.jit(jax.grad(loss, (0, 1, 2, 3)))
    return lambda *operands: jax.block_until_ready(slope(*operands))
