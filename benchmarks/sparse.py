"""Products with sparse matrices beside those of scipy.sparse and torch.sparse, and which kernels are chosen.

Each case is written as a formula and called with a matrix of scipy.sparse; peers are called as their users would call
them. Contenders run in turns in one process with one thread, and the least time of each counts: what disturbs a
measurement only adds to it. Results are compared first. `chosen` is the time of the plan that tpc takes through the
better of its sparse and its dense plan, both measured.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations, product
from math import exp, log
from pathlib import Path
from random import shuffle
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any
from unittest.mock import patch

import numpy as np
import scipy.sparse
import torch

import tpc
import tpc.passes.sparse
from benchmarks.kernels.sparse import in_torch, matrix
from benchmarks.kernels.tensors import torch_sampled
from tpc.ir.formats import FORMATS, seconds
from tpc.passes.sparse import storing
from tpc.passes.sparse.storing import Formats

DENSITIES = (0.01, 0.05, 0.1, 0.2, 0.5)
COLUMNS = (1, 4, 16, 64)
SIZES = (1024, 2048)
KINDS: dict[str, Any] = {"f64": np.float64, "f32": np.float32}
WARM = 0.4  # seconds of calls before a plan is timed
CLOSE = 1.1  # times the best plan that the chosen one may take
INNER = 64  # of products of which few entries are needed


@dataclass(frozen=True)
class Case:
    """A program, its operands, and the same by peers."""

    name: str
    text: str
    operands: tuple[Any, ...]
    peers: dict[str, Callable[[], Any]]
    grid: bool = False  # whether both plans are timed
    constant: Any = None  # a matrix that the program loads as `A`


def product_case(n: int, density: float, columns: int, dtype: str = "f64") -> Case:
    A = matrix(n, density, dtype=KINDS[dtype])
    X = np.random.default_rng(1).normal(size=(n, columns)).astype(KINDS[dtype])
    T = in_torch(A)
    if columns == 1:
        x = X[:, 0].copy()
        peers = {"scipy": lambda: A @ x, "torch": lambda: T @ torch.from_numpy(x)}
        text = f"def f(S: {dtype}[n, n], x: {dtype}[n]) = S @ x\n"
        return Case(f"S @ x, {dtype}, {n}, {density:.0%}", text, (A, x), peers, True)
    peers = {"scipy": lambda: A @ X, "torch": lambda: T @ torch.from_numpy(X)}
    name = f"S @ X, {dtype}, {n}, {density:.0%}, {columns} columns"
    return Case(name, f"def f(S: {dtype}[n, n], X: {dtype}[n, k]) = S @ X\n", (A, X), peers, True)


def other_cases() -> list[Case]:
    chance = np.random.default_rng(2)
    found = []
    for density in (0.01, 0.1):
        n = 2048
        A, U, V = matrix(n, density), chance.normal(size=(n, INNER)), chance.normal(size=(n, INNER))
        T, Ut, Vt = in_torch(A), torch.from_numpy(U), torch.from_numpy(V)
        peers = {
            "scipy": lambda A=A, U=U, V=V: A.multiply(U @ V.T),
            "torch": lambda T=T, Ut=Ut, Vt=Vt: torch_sampled(T, Ut, Vt),
        }
        text = "def f(S: f64[n, n], U: f64[n, k], V: f64[n, k]) = S * (U @ V')\n"
        found.append(Case(f"S * (U @ V'), {n}, {density:.0%}", text, (A, U, V), peers, True))
    A, B = matrix(4096, 0.002), matrix(4096, 0.002, 1)
    x, y = chance.normal(size=4096), chance.normal(size=4096)
    found += [
        Case("A @ B", "def f(A: f64[n, n], B: f64[n, n]) = A @ B\n", (A, B), {"scipy": lambda: A @ B}),
        Case(
            "A @ B @ x",
            "def f(A: f64[n, n], B: f64[n, n], x: f64[n]) = A @ B @ x\n",
            (A, B, x),
            {"scipy": lambda: A @ B @ x},
        ),
        Case("A + B", "def f(A: f64[n, n], B: f64[n, n]) = A + B\n", (A, B), {"scipy": lambda: A + B}),
        Case(
            "trace(A @ A @ A)",
            "def f(A: f64[n, n]) = trace(A @ A @ A)\n",
            (A,),
            {"scipy": lambda: (A @ A @ A).trace()},
        ),
        Case(
            "diag(y) @ A @ diag(x)",
            "def f(A: f64[n, n], x: f64[n], y: f64[n]) = diag(y) @ A @ diag(x)\n",
            (A, x, y),
            {"scipy": lambda: scipy.sparse.diags_array(y) @ A @ scipy.sparse.diags_array(x)},
        ),
        Case(
            "y' @ A",
            "def f(A: f64[n, n], y: f64[n]) = y @ A\n",
            (A, y),
            {"scipy": lambda: y @ A},
        ),
    ]
    return found


def generated() -> list[Case]:
    """Matrices as they are met, of the generators that `others.json` names: of grids, and of a network."""
    import networkx

    line = scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(300, 300))
    network = networkx.barabasi_albert_graph(20_000, 4, seed=0)
    grid = scipy.sparse.kronsum(line, line, format="csr")
    named: dict[str, Any] = {
        "a grid of 300 by 300": grid,
        "a network": networkx.to_scipy_sparse_array(network, dtype=float),
    }
    found = []
    for name, given in named.items():
        A = scipy.sparse.csr_array(given)
        T, x = in_torch(A), np.random.default_rng(5).normal(size=A.shape[0])
        peers = {"scipy": lambda A=A, x=x: A @ x, "torch": lambda T=T, x=x: T @ torch.from_numpy(x)}
        found.append(Case(f"S @ x, {name}", "def f(S: f64[n, n], x: f64[n]) = S @ x\n", (A, x), peers))
    return found


def constants() -> list[Case]:
    """Layers whose weights are known when they are compiled, beside dense ones of NumPy."""
    n, chance = 2048, np.random.default_rng(3)

    def blocks(side: int, count: int) -> Any:
        places = np.zeros((n // side, n // side))
        places.ravel()[chance.choice(places.size, count, replace=False)] = 1
        return scipy.sparse.csr_array(np.kron(places, np.ones((side, side))) * chance.normal(size=(n, n)))

    def two_of_four(group: int) -> Any:
        """Each pattern is that of so many of each 6 * group rows, in disorder; of any number where that is 0."""
        kinds = np.array([[k in pair for k in range(4)] for pair in combinations(range(4), 2)])
        if group:
            rows = np.tile(np.arange(n)[:, None] // group % 6, n // 4)
            for start in range(0, n, 6 * group):
                rows[start : start + 6 * group] = chance.permuted(rows[start : start + 6 * group], axis=0)
        else:
            rows = chance.integers(0, 6, (n, n // 4))
        return scipy.sparse.csr_array(kinds[rows].reshape(n, n) * chance.normal(size=(n, n)))

    wanted = [
        *[("2:4", two_of_four(0), columns) for columns in (1, 16, 64)],
        ("2:4:8", two_of_four(8), 16),
        ("50 % zero", matrix(n, 0.5), 1),
        ("50 % zero", matrix(n, 0.5), 16),
        ("90 % zero", matrix(n, 0.1), 1),
        ("80 % zero", matrix(n, 0.2), 16),
        ("95 % zero", matrix(n, 0.05), 16),
        *[("98 % zero", matrix(n, 0.02), columns) for columns in (32, 512)],
        ("blocks of 4", blocks(4, 5000), 16),
        ("blocks of 16, rows in disorder", blocks(16, 484)[chance.permutation(n)], 64),
        ("5 diagonals", scipy.sparse.diags_array([np.ones(n)] * 5, offsets=[-30, -1, 0, 1, 30], shape=(n, n)), 1),
    ]
    found = []
    for name, A, columns in wanted:
        A = scipy.sparse.csr_array(A)
        X = chance.normal(size=(n, columns) if columns > 1 else n)
        D = A.toarray()
        peers = {"scipy": lambda A=A, X=X: A @ X, "numpy": lambda D=D, X=X: D @ X}
        shape = ", ".join(map(str, X.shape))
        text = f'const A: f64[{n}, {n}] = load("A.npz")\ndef f(X: f64[{shape}]) = A @ X\n'
        found.append(Case(f"const, {name}, {columns} columns", text, (X,), peers, True, constant=A))
    return found


def training() -> Case:
    """A step of descent for a layer of which 95 % are zero, beside one with a mask and all entries."""
    n, columns, rate = 2048, 64, 1e-3
    chance = np.random.default_rng(4)
    S, X, Y = matrix(n, 0.05), chance.normal(size=(n, columns)), chance.normal(size=(n, columns))
    D = S.toarray()
    mask = D != 0
    rows, places = S.nonzero()

    def by_entries() -> Any:
        G = 2 * (S @ X - Y)
        entries = S.data - rate * np.einsum("ik,ik->i", G[rows], X[places])
        return scipy.sparse.csr_array((entries, S.indices, S.indptr), shape=S.shape)

    types = "S: f64[n, n] is sparse(0.05), X: f64[n, k], Y: f64[n, k]"
    loss = f"def loss({types}) = sum((S @ X - Y)^2)\n"
    text = f"{loss}def step({types}) = S - {rate} * grad(loss, S)(S, X, Y)\n"
    peers = {"scipy": by_entries, "numpy": lambda: D - rate * mask * (2 * (D @ X - Y) @ X.T)}
    return Case("a training step, 95 % zero, 64 columns", text, (S, X, Y), peers)


def cases() -> list[Case]:
    sides = product(KINDS, SIZES, DENSITIES, COLUMNS)
    grid = [product_case(n, density, columns, dtype) for dtype, n, density, columns in sides]
    return [*grid, *other_cases(), *generated(), training(), *constants()]


def run(repeat: int) -> dict[str, Any]:
    """Time all cases, and print and return their rows."""
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="Sparse", category=UserWarning)  # of torch, that they are new
    rows = [measured(case, 4 * repeat) for case in cases()]
    print(f"{'':45} {'tpc':>9} {'scipy':>9} {'torch':>9} {'numpy':>9} {'ratio':>6} {'chosen':>7}")
    for row in rows:
        times = [f"{1e6 * row[name]:9.1f}" if name in row else f"{'':9}" for name in ("tpc", "scipy", "torch", "numpy")]
        chosen = f"{row['chosen']:7.2f}" if "chosen" in row else ""
        print(f"{row['name']:45} {' '.join(times)} {row['ratio']:6.2f} {chosen}")
    ratios = [row["ratio"] for row in rows]
    mean = exp(sum(map(log, ratios)) / len(ratios))
    within = [row["chosen"] <= CLOSE for row in rows if "chosen" in row]
    print(f"against the best peer: geometric mean {mean:.2f}, least {min(ratios):.2f}")
    print(f"the chosen plan is within {CLOSE - 1:.0%} of the best in {sum(within)} of {len(within)} cases")
    return {"rows": rows, "mean": mean, "least": min(ratios), "within": sum(within), "met": mean >= 1}


def measured(case: Case, repeat: int) -> dict[str, Any]:
    """The least seconds of each contender, of calls in turns."""
    with tpc_threads():
        contenders: dict[str, Callable[[], Any]] = {"tpc": calling(case)}
        if case.grid:
            contenders |= {f"plan {name}": calling(case) for name in _each_plan(case)}
        contenders |= case.peers
        wanted = plain(case.peers["scipy"]())
        for name, contender in contenders.items():
            found = plain(contender())
            entries = wanted[wanted != 0] if found.ndim == 1 and wanted.ndim == 2 else wanted
            tolerance = 1e-8 if found.dtype == np.float64 else 1e-3
            assert np.allclose(np.sort(found.ravel()), np.sort(entries.ravel()), tolerance, tolerance), (
                case.name,
                name,
            )
        least = dict.fromkeys(contenders, float("inf"))
        turns = list(contenders)
        for _ in range(repeat):
            shuffle(turns)  # behind the same neighbour a contender always finds its operands warm, or cold
            for name in turns:
                start = perf_counter()
                contenders[name]()
                least[name] = min(least[name], perf_counter() - start)
    row = {"name": case.name, **least, "ratio": min(least[name] for name in case.peers) / least["tpc"]}
    if case.grid:
        row["chosen"] = least["tpc"] / min(seconds for name, seconds in least.items() if name not in case.peers)
    return row


def _each_plan(case: Case) -> Iterator[str]:
    """Within each step, programs are compiled with one way to store the matrix, whose name is given."""
    chosen = tpc.passes.sparse
    for is_sparse in (True, False):
        with patch.object(chosen, "predicted", _Prefers(is_sparse)), patch.object(Formats, "saved", lambda *_: 0.0):
            if case.constant is None or not is_sparse:
                yield "sparse" if is_sparse else "dense"
                continue
            columns = case.operands[0].shape[1] if case.operands[0].ndim == 2 else 1
            for name in FORMATS:
                if seconds(scipy.sparse.csr_array(case.constant), name, [columns]) < float("inf"):
                    with patch.object(storing, "fastest", lambda *_, name=name: name):
                        yield name


class _Prefers:
    """Prices by which the plan with sparse kernels is the cheapest, or the one without."""

    def __init__(self, is_sparse: bool) -> None:
        self.is_sparse = is_sparse

    def __call__(self, program: Any, *_: Any) -> float:
        return float(any(node.op.name in ("spmm", "sddmm") for node in program.nodes) != self.is_sparse)


def calling(case: Case) -> Callable[[], Any]:
    """A call of the compiled program; it is compiled here, once, and not kept for others."""
    import os

    with patch.dict(os.environ, {"TPC_CACHE": "off"}), TemporaryDirectory() as folder:
        if case.constant is not None:
            scipy.sparse.save_npz(Path(folder, "A.npz"), case.constant)
        function = tpc.compile(case.text, folder=folder)
        start = perf_counter()
        while perf_counter() < start + WARM:  # until native code is made, where that comes
            function(*case.operands)
    return lambda: function(*case.operands)


def tpc_threads() -> Any:
    from threadpoolctl import threadpool_limits

    from tpc.backends.llvm import engine

    engine.set_threads(1)
    return threadpool_limits(1)


def plain(value: Any) -> Any:
    if hasattr(value, "toarray"):
        value = value.toarray()
    return np.asarray(value.detach().numpy() if hasattr(value, "detach") else value)
