"""Loops that carry a state along linearly: as they are written, and as tpc runs them on numpy and natively.

The loop is what mode `bitwise` leaves of it on numpy. All run in one process and in turns, with one thread; the fastest
of their runs counts. Values are compared with those of the loop first; decays go down to 0.01.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

GOAL = 5.0  # times as fast as the loop, for gated linear attention
SMOOTHING = """
def f(u: f64[t, d], x: f64[d], rate: f64) -> f64[t, d]:
    scan i in t:
        x = x + rate * (u[i] - x)
        y[i] = x
    return y
"""
DIAGONAL = """
def f(u: f64[t], a: c128[d], b: c128[d], c: c128[d]) -> f64[t]:
    x = 0 * a
    scan i in t:
        x = a * x + b * u[i]
        y[i] = 2 * re(dot(c, x))
    return y
"""
CONTROL = """
def f(A: f64[d, d], B: f64[d, 2], C: f64[2, d], u: f64[t, 2], x: f64[d]) -> f64[t, 2]:
    scan i in t:
        x = A @ x + B @ u[i]
        y[i] = C @ x
    return y
"""
CHANNELS = """
def f(u: f64[t, 8], a: c128[8, d], b: c128[8, d], c: c128[8, d]) -> f64[t, 8]:
    x = 0 * a
    scan i in t:
        x = a * x + b * unsqueeze(u[i], 1)
        y[i] = 2 * re(sum(c * x, axis=1))
    return y
"""
CIRCULANT = """
def f(c: f64[d], u: f64[t, d], x: f64[d]) -> f64[t, d]:
    scan i in t:
        x = circulant(c) @ x + u[i]
        y[i] = x
    return y
"""
ATTENTION = """
def f(q: f64[t, d], k: f64[t, d], v: f64[t, d], a: f64[t, d]) -> f64[t, d]:
    S = zeros(d, d)
    scan i in t:
        S = diag(a[i]) @ S + outer(k[i], v[i])
        y[i] = q[i] @ S
    return y
"""


def _smoothing(rng: Any, t: int, d: int) -> list[Any]:
    return [rng.standard_normal((t, d)), rng.standard_normal(d), 0.1]


def _diagonal(rng: Any, t: int, d: int) -> list[Any]:
    a = np.exp(-rng.uniform(0, 0.1, d) + 1j * rng.uniform(0, 3, d))
    return [rng.standard_normal(t), a, rng.standard_normal(d) + 0j, 1j * rng.standard_normal(d)]


def _channels(rng: Any, t: int, d: int) -> list[Any]:
    _, *parts = (np.stack(part) for part in zip(*(_diagonal(rng, 1, d) for _ in range(8)), strict=True))
    return [rng.standard_normal((t, 8)), *parts]


def _circulant(rng: Any, t: int, d: int) -> list[Any]:
    c = rng.uniform(0, 1, d)
    return [0.95 * c / c.sum(), rng.standard_normal((t, d)), rng.standard_normal(d)]


def _control(rng: Any, t: int, d: int) -> list[Any]:
    A = rng.standard_normal((d, d))
    A *= 0.95 / np.abs(np.linalg.eigvals(A)).max()
    return [A, rng.standard_normal((d, 2)), rng.standard_normal((2, d)), rng.standard_normal((t, 2)), np.zeros(d)]


def _attention(rng: Any, t: int, d: int) -> list[Any]:
    return [*rng.standard_normal((3, t, d)), rng.uniform(0.01, 1, (t, d))]


CASES: list[tuple[str, str, Callable[[Any, int, int], list[Any]], int, int]] = [
    ("smoothing", SMOOTHING, _smoothing, 1000, 64),
    ("smoothing", SMOOTHING, _smoothing, 10_000, 8),
    ("state-space layer", DIAGONAL, _diagonal, 1024, 64),
    ("state-space layer", DIAGONAL, _diagonal, 4096, 16),
    ("state-space layer", DIAGONAL, _diagonal, 4096, 64),
    ("8 such channels", CHANNELS, _channels, 2048, 16),
    ("circulant", CIRCULANT, _circulant, 500, 256),
    ("linear system", CONTROL, _control, 2000, 16),
    ("linear system", CONTROL, _control, 1000, 64),
    ("gated linear attention", ATTENTION, _attention, 2048, 64),
    ("gated linear attention", ATTENTION, _attention, 512, 16),
]


def run(repeat: int) -> dict[str, Any]:
    """Measure, print, and return what was measured."""
    from threadpoolctl import threadpool_limits

    rows = []
    print(f"{'':24}{'t':>7}{'d':>5}{'loop ms':>10}{'numpy':>9}{'native':>9}{'error':>10}")
    with threadpool_limits(1):
        for name, text, operands, t, d in CASES:
            row = {
                "name": name,
                "t": t,
                "d": d,
                **_measured(text, operands(np.random.default_rng(0), t, d), t, d, repeat),
            }
            rows.append(row)
            times = "".join(f"{row['loop'] / row[k]:>8.1f}x" for k in ("numpy", "llvm"))
            print(f"{name:24}{t:>7}{d:>5}{1e3 * row['loop']:>10.2f}{times}{row['error']:>10.0e}", flush=True)
    best = [max(r["loop"] / r[k] for k in ("numpy", "llvm")) for r in rows if r["name"] == "gated linear attention"]
    return {"met": min(best) >= GOAL and all(row["error"] <= 1e-12 for row in rows), "goal": GOAL, "rows": rows}


def _measured(text: str, operands: list[Any], t: int, d: int, repeat: int) -> dict[str, float]:
    import tpc

    dims = {"t": t, "d": d}
    ways: dict[str, Any] = {"loop": tpc.compile(text, mode="bitwise", backend="numpy", dims=dims)}
    ways |= {name: tpc.compile(text, backend=name, dims=dims) for name in ("numpy", "llvm")}  # type: ignore[arg-type]
    ways["llvm"].prepare()
    expected = ways["loop"](*operands)
    scale = np.abs(expected).max()
    error = max(float(np.abs(ways[name](*operands) - expected).max() / scale) for name in ("numpy", "llvm"))
    seconds = dict.fromkeys(ways, float("inf"))
    for _ in range(repeat):
        for name, way in ways.items():
            for _ in range(1 if name == "loop" else 3):
                began = time.perf_counter()
                way(*operands)
                seconds[name] = min(seconds[name], time.perf_counter() - began)
    return {**seconds, "error": error}
