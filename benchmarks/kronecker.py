"""Kronecker products as they are written, in tpc and in numpy, which holds the product as a matrix.

Both run the same formula on the same operands in one process, in turns; times are medians, and stand beside the
ratios of operations and of bytes, since most of a large surplus is the product leaving the cache. Results are compared
first. What is solved has a shift, so that it is well conditioned. All libraries have one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from tpc.cost import cost
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.ir.sizes import with_sizes
from tpc.ir.types import TensorType

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Formula:
    """A program, the same in numpy with the product as a matrix, and how much faster tpc has to be."""

    name: str
    text: str
    dense: Callable[..., Any]
    goal: float | None
    sizes: dict[str, int]


def _likelihood(A: Array, B: Array, s: float, y: Array) -> float:
    K = np.kron(A, B)
    K[np.diag_indices_from(K)] += s * s
    factor = linalg.cho_factor(K, lower=True, overwrite_a=True)
    return float(y @ linalg.cho_solve(factor, y) + 2 * np.log(np.diag(factor[0])).sum())


def _poisson(A: Array, B: Array, F: Array) -> Array:
    K = np.kron(A, np.eye(len(B))) + np.kron(np.eye(len(A)), B)
    return linalg.solve(K, F.ravel(), assume_a="pos").reshape(F.shape)


def _tasks(A: Array, B: Array, C: Array, D: Array, E: Array, F: Array, x: Array) -> Array:
    return (np.kron(A, B) + np.kron(C, D) + np.kron(E, F)) @ x


SPD = "A: f64[n, n] is spd, B: f64[m, m] is spd"
SIX = ", ".join(f"{a}: f64[n, n], {b}: f64[m, m]" for a, b in ("AB", "CD", "EF"))
FORMULAS = (
    Formula(
        "matvec",
        "def f(A: f64[n, n], B: f64[m, m], x: f64[n*m]) = kron(A, B) @ x\n",
        lambda A, B, x: np.kron(A, B) @ x,
        30,
        {"n": 64, "m": 64},
    ),
    Formula(
        "solve and logdet",
        f"def f({SPD}, s: f64, y: f64[n*m]):\n    K = kron(A, B) + s^2 * eye(n*m)\n"
        "    return dot(y, K \\ y) + logdet(K)\n",
        _likelihood,
        300,
        {"n": 64, "m": 64},
    ),
    Formula(
        "poisson",
        f"def f({SPD}, F: f64[n, m]) = unvec((kron(A, eye(m)) + kron(eye(n), B)) \\ vec(F), n, m)\n",
        _poisson,
        None,
        {"n": 48, "m": 48},
    ),
    Formula(
        "sum of three",
        f"def f({SIX}, x: f64[n*m]) = (kron(A, B) + kron(C, D) + kron(E, F)) @ x\n",
        _tasks,
        None,
        {"n": 64, "m": 64},
    ),
)


def run(repeat: int) -> dict[str, Any]:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # with more, eigendecompositions of small matrices wait for threads
        rows = [_measured(formula, repeat) for formula in FORMULAS]
    print(f"{'':18}{'numpy ms':>10}{'tpc ms':>10}{'faster':>9}{'flops':>9}{'bytes':>9}{'error':>10}")
    for row in rows:
        times = f"{row['numpy'] * 1e3:10.2f}{row['tpc'] * 1e3:10.3f}{row['faster']:8.0f}x"
        print(f"{row['name']:18}{times}{row['flops']:8.0f}x{row['bytes']:8.0f}x{row['error']:10.1e}")
    met = all(row["met"] for row in rows)
    return {"met": met, "rows": rows}


def _measured(formula: Formula, repeat: int) -> dict[str, Any]:
    import tpc

    written = with_sizes(check(Source(formula.text)).programs["f"], formula.sizes)
    operands = _operands(written)
    compiled = tpc.compile(formula.text, backend="numpy", dims=formula.sizes)
    expected, found = formula.dense(*operands), compiled(*operands)
    error = float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
    samples: dict[str, list[float]] = {"numpy": [], "tpc": []}
    ways = {"numpy": (formula.dense, 1), "tpc": (compiled, 20)}
    for turn in range(repeat):
        for name in sorted(ways, reverse=bool(turn % 2)):
            way, times = ways[name]
            started = perf_counter()
            for _ in range(times):
                way(*operands)
            samples[name].append((perf_counter() - started) / times)
    plan = compiled.plan.program
    rows = formula.sizes["n"] * formula.sizes["m"]
    largest = max(_entries(node) for node in plan.nodes)
    before, after = cost(written, {}), cost(plan, {})
    numpy, own = (median(samples[name]) for name in ("numpy", "tpc"))
    return {
        "name": formula.name, "sizes": formula.sizes, "numpy": numpy, "tpc": own, "faster": numpy / own,
        "flops": int(before.flops) / int(after.flops), "bytes": int(before.bytes) / int(after.bytes),
        "error": error, "largest value": largest, "product": rows * rows, "goal": formula.goal, "samples": samples,
        "met": error <= 1e-10 and largest < rows * rows and numpy / own >= (formula.goal or 0),
    }  # fmt: skip


def _operands(written: Any) -> list[Any]:
    """Covariances of points on a line for what is positive definite, and random numbers."""
    chance = np.random.default_rng(0)
    facts = {node: {f.name for f in known} for node, known in written.facts}
    made: list[Any] = []
    for node in written.inputs:
        dims = node.tensor.dims
        if "spd" in facts.get(node, ()):
            grid = np.linspace(0, 1, dims[0])
            made.append(np.exp(-np.abs(grid[:, None] - grid) / 0.3) + 0.01 * np.eye(dims[0]))
        else:
            made.append(chance.normal(size=dims) if dims else 0.5)
    return made


def _entries(node: Any) -> int:
    return int(np.prod(node.type.dims, dtype=int)) if isinstance(node.type, TensorType) else 0
