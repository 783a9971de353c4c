"""Rows about approximation inside budgets: layers in parts against dense ones, and what the searches find."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from scipy import linalg

from benchmarks.structure.row import in_turns

Array = np.ndarray[Any, Any]
SIZE = 1024
SCATTER = 0.9  # what times are off by where nothing is to be told from them


@dataclass(frozen=True)
class Layer:
    """A layer within 1 % against the dense one: the ratio that was predicted is the goal, less a quarter."""

    structure: str
    batch: int
    backend: str = "numpy"

    @property
    def name(self) -> str:
        return f"within 1e-2: {self.structure} {SIZE}, {self.batch} rows"

    def measured(self, repeat: int) -> dict[str, Any]:
        import tpc

        W = _weights(self.structure)
        with tempfile.TemporaryDirectory() as folder:
            np.save(Path(folder) / "W.npy", W)
            text = f"""
const W: f64[{SIZE}, {SIZE}] = load("W.npy")
def f(x: f64[{self.batch}, {SIZE}]) -> f64[{self.batch}, {SIZE}]:
    Ws ~= W within 1e-2
    return x @ Ws'
"""
            compiled = tpc.compile(text, folder=folder, backend=self.backend)
            x = np.random.default_rng(1).standard_normal((self.batch, SIZE))
            calls: dict[str, Callable[[], Any]] = {"tpc": lambda: compiled(x), "numpy": lambda: x @ W.T}
            exact = calls["numpy"]()
            compiled.prepare(x)  # native code is there
            error = float(np.linalg.norm(calls["tpc"]() - exact) / np.linalg.norm(exact))
            (certificate,) = compiled.certificates
            before, after = certificate.seconds
        empty = tpc.compile("def f(x: f64[1]) -> f64[1] = x\n", backend="numpy")
        one = np.ones(1)
        empty(one)
        seconds = in_turns({**calls, "call": lambda: empty(one)}, max(repeat, 5))
        call = seconds.pop("call")  # what predictions leave out
        ratio, goal = seconds["numpy"] / seconds["tpc"], 0.75 * (before + call) / (after + call) if after else 0.75
        return {
            "name": self.name,
            "seconds": seconds,
            "faster": {"numpy": ratio},
            "goals": {"numpy": round(goal, 2)},
            "limit": None,
            "error": error,
            "structure": str(certificate),
            "met": ratio >= goal and error <= 1.2e-2,  # of these rows; certified is that of the matrix
        }


@dataclass(frozen=True)
class Fault:
    """What must not happen, counted."""

    name: str
    count: Callable[[], float]

    def measured(self, _: int) -> dict[str, Any]:
        start = perf_counter()
        found = self.count()
        return {
            "name": self.name,
            "seconds": {"tpc": perf_counter() - start},
            "faster": {},
            "goals": {},
            "limit": None,
            "error": found,
            "met": not found,
        }


@dataclass(frozen=True)
class Sign:
    """Parts against the dense matrix where copies decide: predictions must not promise a gain that is none, nor a loss
    that is a gain, beyond what times scatter by."""

    structure: str
    parts: str
    size: int
    batch: int

    @property
    def name(self) -> str:
        return f"sign: {self.structure} {self.size}, {self.batch} rows"

    def measured(self, repeat: int) -> dict[str, Any]:
        import tpc

        rows = f"X: f64[{self.batch}, {self.size}]"
        by_parts = tpc.compile(f"def f(W: {self.parts}, {rows}) = X @ W'\n", backend="numpy")
        dense = tpc.compile(f"def f(W: f64[{self.size}, {self.size}], {rows}) = X @ W'\n", backend="numpy")
        draw = np.random.default_rng(0).standard_normal
        arrays = [draw([int(str(dim)) for dim in node.tensor.dims]) for node in by_parts.program.inputs]
        W = draw((self.size, self.size))
        by_parts(*arrays), dense(W, arrays[-1])
        calls = {"tpc": lambda: by_parts(*arrays), "dense": lambda: dense(W, arrays[-1])}
        seconds = in_turns(calls, max(repeat, 3))
        predicted, ratio = dense.cost.seconds / by_parts.cost.seconds, seconds["dense"] / seconds["tpc"]
        return {
            "name": self.name,
            "seconds": seconds,
            "faster": {"dense": ratio},
            "goals": {},
            "limit": None,
            "error": predicted,
            "structure": f"{predicted:.2f} times faster predicted, {ratio:.2f} measured",
            "met": (ratio > SCATTER or predicted < 1 / SCATTER) and (ratio < 1 / SCATTER or predicted > SCATTER),
        }


def _weights(structure: str) -> Array:
    """A matrix that is a structure up to noise; block low rank is a kernel of points in order."""
    from tpc.passes.approximation.projections.butterflies import butterfly

    normal, q = np.random.default_rng(0).standard_normal, int(SIZE**0.5)
    noise = normal((SIZE, SIZE))
    match structure:
        case "low rank":
            W = normal((SIZE, 20)) @ normal((20, SIZE))
        case "kronecker":
            W = np.kron(normal((q, q)), normal((q, q)))
        case "monarch":
            W = np.einsum("jik,kjl->ijkl", normal((q, q, q)), normal((q, q, q))).reshape(SIZE, SIZE)
        case "block low rank":
            t = np.sort(np.random.default_rng(1).random(SIZE))
            return np.sqrt(np.abs(t[:, None] - t))
        case "sparse":
            W = noise * (np.random.default_rng(1).random((SIZE, SIZE)) < 0.02)
        case "flat butterfly":
            W = noise * butterfly(q).repeat(q, 0).repeat(q, 1)
        case "boxes":  # of a tenth of the rows and columns
            size, corners = SIZE // 10, np.random.default_rng(1).integers(0, SIZE - SIZE // 10, (20, 2))
            W = np.zeros((SIZE, SIZE))
            for top, left in corners:
                W[top : top + size, left : left + size] += np.outer(normal(size), normal(size))
        case "banded":
            W = np.tril(np.triu(noise, -3), 2)
        case _:
            W = linalg.circulant(normal(SIZE))
    return W + 1e-3 * np.linalg.norm(W) / np.linalg.norm(noise) * noise


def _refused() -> float:
    from tpc.ir.types import F64
    from tpc.passes.approximation.projections.sparse import sparsified
    from tpc.passes.approximation.replacing import candidates
    from tpc.passes.approximation.target import Target

    draw = np.random.default_rng(0)
    shapes = [(48, 48), (64, 256), (512, 512), (100, 60), (8, 9, 10), (4, 4, 4, 4)]
    found = 0
    for shape in 3 * shapes:
        target = Target(draw.standard_normal(shape), F64, 1e-2)
        found += bool(candidates(target)[0] or list(sparsified(target)))
    return float(found)


def _violated() -> float:
    """Arrays that are a structure up to noise of any size: errors above what is certified, or above the budget."""
    from tpc.ir.types import F32
    from tpc.passes.approximation.projections.quantized import quantized
    from tpc.passes.approximation.projections.sparse import sparsified
    from tpc.passes.approximation.replacing import candidates
    from tpc.passes.approximation.target import Target

    wrong = 0
    for seed in range(500):
        draw = np.random.default_rng(seed)
        m, n, r = (int(k) for k in (draw.integers(8, 40), draw.integers(8, 40), draw.integers(1, 5)))
        A = draw.standard_normal((m, r)) @ draw.standard_normal((r, n))
        A = np.kron(A, draw.standard_normal((2, 3))) if seed % 2 else A
        A = A + 10.0 ** draw.uniform(-8, 0) * draw.standard_normal(A.shape)
        within = 10.0 ** draw.uniform(-6, -0.3)
        for projected, bound in candidates(Target(A, F32, within))[0]:
            error = np.linalg.norm(A - projected.dense()) / np.linalg.norm(A)
            wrong += bool(error > bound or bound > within)
        if seed % 10 == 0:  # those that look at large matrices alone
            A = draw.standard_normal((256, 256)) * draw.standard_normal((256, 256)) ** 8
            target = Target(A, F32, within)
            for projected in (*quantized(target), *sparsified(target)):
                near = projected.rounded(F32).dense()
                wrong += bool(np.linalg.norm(A - near) > min(within, target.error(near)) * np.linalg.norm(A))
    return float(wrong)


def _network() -> float:
    from tpc.passes.approximation.projections.networks import Network

    draw = np.random.default_rng(1)
    parts = [draw.standard_normal((3, 2)), *draw.standard_normal((5, 2, 3, 2)), draw.standard_normal((2, 3))]
    T = np.einsum("ia,ajb,bkc,cld,dme,enf,fo->ijklmno", *parts).transpose(draw.permutation(7))
    network = Network(T, 1e-3 * float(np.linalg.norm(T)))
    found = network.grown(T.size)
    return float(found is None or network.evaluations > 150 or found.stored > 1.5 * 72)


def _cross() -> float:
    from tpc.passes.approximation.projections.low_rank import cross, cur

    n, k = 400, 20
    draw = np.random.default_rng(0)
    left, right = (np.linalg.qr(draw.standard_normal((n, n)))[0] for _ in range(2))
    A = left * np.exp(-np.arange(n) / 10) @ right
    found, (picked, columns) = cur(A, k), cross(A, k)
    u, s, v = np.linalg.svd(A)
    bound = sum(float(np.linalg.norm(np.linalg.inv(b), 2)) for b in (u[picked, :k], v[:k, columns])) * s[k]
    return float(np.linalg.norm(A - found.dense(), 2) > bound)


SPARSE = ("sparse", "flat butterfly", "boxes")  # for which there is native code
STRUCTURES = ("low rank", "kronecker", "monarch", "circulant", "banded", "block low rank")
TRAIN = "tensor_train4(A: f64[8, 8, 16], B: f64[16, 8, 8, 16], C: f64[16, 8, 8, 16], D: f64[16, 8, 8])"
SIGNS = (
    ("block tensor train, rank 4", "monarch(L: f64[32, 32, 32, 4], R: f64[32, 32, 32, 4])", 1024, 512),
    ("tensor train, rank 16", TRAIN, 4096, 1),
    ("tensor train, rank 16", TRAIN, 4096, 64),
)
ROWS = (
    *(Layer(name, batch) for name in STRUCTURES for batch in (1, 32, 512)),
    *(Layer(name, batch, "auto") for name in SPARSE for batch in (1, 32, 512)),
    *(Sign(*case) for case in SIGNS),
    Fault("gaussian matrices refused at 1 %", _refused),
    Fault("certificates of 500 random arrays", _violated),
    Fault("train of 7 axes, fits over 150", _network),
    Fault("CUR n = 400, k = 20, over its bound", _cross),
)
