"""Calls after `prepare` against the same computed anew by NumPy and SciPy, and what is held for that.

Every case is written naively. Its parameters are prepared once, which is timed apart; then tpc and the peer run in
turns in one process, and medians count. Results are compared first. All libraries have one thread. Behind it stands
what native code costs to make, to load and to call (`native_costs`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse
import scipy.sparse.linalg
from numpy.typing import NDArray

import tpc
from benchmarks import native_costs
from tpc.prepared import Prepared

Array = NDArray[np.float64]
CALLS = 1000  # with the same parameters


@dataclass(frozen=True)
class Case:
    """A program, its parameters, the arguments of calls, and the same by a peer.

    Attributes
    ----------
    goal
        How many times faster than the peer calls have to be.
    error
        The largest relative error that results may have.
    free_of
        A size that no value of a call may have.
    dims
        Sizes that only calls tell: a loop that may make no pass keeps in it what may fail.
    """

    name: str
    text: str
    given: dict[str, Any]
    arguments: Sequence[tuple[Any, ...]]
    peer: Callable[..., Any]
    goal: float
    error: float
    free_of: int = 0
    dims: dict[str, int] = field(default_factory=dict)


def cases() -> list[Case]:
    return [_path(), _shifts(), _logdets(), _reduced(), _exponential()]


RIDGE = """
def ridge(X: f64[n, p] is param, y: f64[n], penalty: f64) -> f64[p]:
    return inv(X' @ X + penalty * eye(p)) @ X' @ y

def path(X: f64[n, p] is param, y: f64[n], penalties: f64[k]) = vmap(ridge, penalty)(X, y, penalties)
"""


def _path() -> Case:
    """Twenty penalties at each call."""
    chance = np.random.default_rng(0)
    X, penalties = chance.normal(size=(2000, 300)), np.logspace(-3, 3, 20)

    def peer(y: Array, penalties: Array) -> Array:
        gram, right = X.T @ X, X.T @ y
        return np.array([scipy.linalg.solve(gram + s * np.eye(300), right, assume_a="pos") for s in penalties])

    return Case(
        "ridge path",
        RIDGE,
        {"X": X},
        [(chance.normal(size=2000), penalties) for _ in range(3)],
        peer,
        5,
        1e-8,
        dims={"k": 20},
    )


SHIFTS = """
def shifted(S: f64[n, n] is param and symmetric, b: f64[n], s: f64) -> f64[n] = inv(S + s * eye(n)) @ b

def family(S: f64[n, n] is param and symmetric, b: f64[n], s: f64[k]) = vmap(shifted, s)(S, b, s)
"""


def _shifts() -> Case:
    """A thousand shifted solves."""
    chance = np.random.default_rng(1)
    A = chance.normal(size=(200, 200))
    S, shifts = A @ A.T, np.linspace(1, 100, 1000)

    def peer(b: Array, shifts: Array) -> Array:
        return np.array([np.linalg.solve(S + s * np.eye(200), b) for s in shifts])

    return Case(
        "shifted solves", SHIFTS, {"S": S}, [(chance.normal(size=200), shifts)], peer, 5, 1e-8, dims={"k": 1000}
    )


LOGDETS = "def family(S: f64[n, n] is param and spd, s: f64 is positive) -> f64 = logdet(S + s * eye(n))"


def _logdets() -> Case:
    """Log-determinants of a family, at values of its parameter that nothing was prepared for."""
    chance = np.random.default_rng(4)
    A = chance.normal(size=(500, 500))
    S = A @ A.T / 500 + 0.01 * np.eye(500)
    unseen = [(float(s),) for s in 10 ** chance.uniform(-3, 3, 100)]

    def peer(s: float) -> Array:
        return np.asarray(np.linalg.slogdet(S + s * np.eye(500))[1])

    return Case("logdet family", LOGDETS, {"S": S}, unseen, peer, 20, 1e-6)


REDUCED = """
def reduced(Q: f64[n, r] is param, A: f64[n, n] is param, B: f64[n, n] is param, f: f64[n] is param, mu: f64):
    q = (Q' @ (A + mu * B) @ Q) \\ (Q' @ f)
    return dot(Q' @ f, q)
"""


def _reduced() -> Case:
    """The compliance of a plate of two materials, by a basis of 12 vectors; the peer solves all of it, sparse."""
    rows, columns = 40, 50
    chance = np.random.default_rng(2)
    left = np.tile(np.arange(columns) < columns // 2, rows)
    A, B = (_stiffness(rows, columns, mask) for mask in (left, ~left))
    f = chance.random(rows * columns)

    def whole(mu: float) -> Array:
        return np.asarray(scipy.sparse.linalg.spsolve((A + mu * B).tocsc(), f))

    snapshots = np.array([whole(mu) for mu in np.logspace(-2, 2, 24)]).T
    Q = np.linalg.svd(snapshots, full_matrices=False)[0][:, :12]
    given = {"Q": Q, "A": A.toarray(), "B": B.toarray(), "f": f}
    unseen = [(float(mu),) for mu in 10 ** chance.uniform(-2, 2, 20)]
    return Case("reduced basis", REDUCED, given, unseen, lambda mu: f @ whole(mu), 20, 1e-3, rows * columns)


def _stiffness(rows: int, columns: int, mask: NDArray[np.bool_]) -> Any:
    """Diffusion on a grid with fixed edges, where the mask holds: differences of neighbours, squared."""

    def differences(n: int) -> Any:
        return scipy.sparse.diags_array([np.ones(n), -np.ones(n - 1)], offsets=[0, -1], shape=(n, n))

    down = scipy.sparse.kron(differences(rows), scipy.sparse.eye_array(columns))
    across = scipy.sparse.kron(scipy.sparse.eye_array(rows), differences(columns))
    material = scipy.sparse.diags_array(mask.astype(float))
    return (down.T @ material @ down + across.T @ material @ across).tocsr()


EXPONENTIAL = """
def step(L: f64[n, n] is param, h: f64 is param, u: f64[n]) -> f64[n]:
    E = expm(h * L)
    return E @ u + inv(L) @ (E - eye(n)) @ (u - u^3)
"""


def _exponential() -> Case:
    """A step of an exponential integrator with rates from 1 to 1000."""
    chance = np.random.default_rng(3)
    basis = np.linalg.qr(chance.normal(size=(100, 100)))[0]
    L, h = -basis * np.logspace(0, 3, 100) @ basis.T, 0.01

    def peer(u: Array) -> Array:
        E = scipy.linalg.expm(h * L)
        return np.asarray(E @ u + np.linalg.solve(L, (E - np.eye(100)) @ (u - u**3)))

    return Case("exponential step", EXPONENTIAL, {"L": L, "h": h}, [(chance.normal(size=100),)], peer, 5, 1e-8)


def run(repeat: int) -> dict[str, Any]:
    """All cases, as a table and as a record."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        found = [_measured(case, repeat) for case in cases()]
    print(f"{'case':18}{'prepared':>12}{'held':>12}{'call':>12}{'peer':>12}{'faster':>9}{'goal':>6}  error")
    for row in found:
        times = "".join(f"{row[key] * 1e6:>9.1f} us" for key in ("tpc", "peer"))
        print(f"{row['name']:18}{row['prepared'] * 1e3:>9.1f} ms{row['held']:>12,}{times}", end="")
        print(f"{row['faster']:>8.1f}x{row['goal']:>6}  {row['error']:.1e}{'' if row['met'] else '  missed'}")
    costs = native_costs.measured(repeat)
    native_costs.table(costs)
    return {"cases": found, "native": costs, "met": all(row["met"] for row in (*found, *costs))}


def _measured(case: Case, repeat: int) -> dict[str, Any]:
    compiled = tpc.compile(case.text, dims=case.dims, calls=CALLS)
    compiled.prepare(**case.given)  # compiles
    began = perf_counter()
    prepared: Prepared = compiled.prepare(**case.given)
    seconds = perf_counter() - began
    errors = []
    for arguments in case.arguments:
        found, expected = np.asarray(prepared(*arguments)), np.asarray(case.peer(*arguments))
        errors.append(float(np.linalg.norm(found - expected) / np.linalg.norm(expected)))
    samples: dict[str, list[float]] = {"tpc": [], "peer": []}
    ways = {"tpc": (prepared, 20), "peer": (case.peer, 1)}
    for turn in range(repeat):
        for name in sorted(ways, reverse=bool(turn % 2)):
            way, times = ways[name]
            arguments = case.arguments[turn % len(case.arguments)]
            began = perf_counter()
            for _ in range(times):
                way(*arguments)
            samples[name].append((perf_counter() - began) / times)
    own, peer = (median(samples[name]) for name in ("tpc", "peer"))
    sizes = {dim for node in prepared.program.nodes if not isinstance(node.type, tuple) for dim in node.tensor.dims}
    is_free = not case.free_of or case.free_of not in sizes
    return {
        "name": case.name, "prepared": seconds, "held": prepared.bytes, "tpc": own, "peer": peer, "faster": peer / own,
        "goal": case.goal, "error": max(errors), "free": is_free, "samples": samples,
        "met": max(errors) <= case.error and is_free and peer / own >= case.goal,
    }  # fmt: skip
