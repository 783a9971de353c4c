"""What goes before loops: also what may fail, where the loop may make no pass."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.backends.contract import BACKENDS, plain
from tests.backends.contract import run as run_on

import tpc
from tpc.dsl.diagnostics import TpcError
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.ir.node import Node, Program
from tpc.ir.reference import evaluate
from tpc.passes.pipeline import Options, run

COUNTED = """\
def f(A: f64[n, n] is spd, b: f64[n], k: i64) -> f64[n]:
    x = zeros(n)
    repeat k:
        x = A \\ (b - 0.1 * x)
    return x
"""
SCANNED = """\
def f(A: f64[n, n], B: f64[n, n], b: f64[k, n]) -> f64[k, n]:
    x = zeros(n)
    scan i in k:
        x = (A @ B) \\ (b[i] - 0.1 * tanh(x))
        y[i] = x
    return y
"""
UNTIL = """\
def f(A: f64[n, n] is spd, b: f64[n], x0: f64[n], most: f64) -> f64[n]:
    x, d = x0, norm(x0) + 1
    repeat 50 until d <= most:
        y = A \\ (b - 0.1 * x)
        x, d = y, norm(y - x)
    return x
"""
NESTED = """\
def f(A: f64[n, n] is spd, b: f64[k, n], m: i64) -> f64[k, n]:
    x = zeros(n)
    scan i in k:
        repeat m:
            x = A \\ (b[i] - 0.1 * x)
        y[i] = x
    return y
"""
FLOW = """\
def point(A: f64[n, n] is spd, x: f64[n], t: f64) = expm(-t * A) @ x
def f(A: f64[n, n] is spd, x: f64[n], t: f64[k]) = vmap(point, t)(A, x, t)
"""
INVERSE = """\
def f(A: f64[n, n] is spd, b: f64[n], k: i64) -> f64[n]:
    x = b
    repeat k:
        x = diag(inv(A)) * tanh(x)
    return x
"""
FACTORS = {"cholesky", "lu_factor", "eigh", "expm", "solve", "inv", "spd_inverse"}

chance = np.random.default_rng(0)


def spd(n: int) -> np.ndarray:
    M = chance.standard_normal((n, n))
    return M @ M.T + max(n, 1) * np.eye(n)


GIVEN: dict[str, Callable[[int, int], list[Any]]] = {
    COUNTED: lambda n, k: [spd(n), chance.standard_normal(n), k],
    SCANNED: lambda n, k: [spd(n), spd(n), chance.standard_normal((k, n))],
    UNTIL: lambda n, k: [spd(n), chance.standard_normal(n), np.ones(n), 1e-9 if k else 1e9],
    NESTED: lambda n, k: [spd(n), chance.standard_normal((k, n)), 2],
    INVERSE: lambda n, k: [spd(n), chance.standard_normal(n), k],
    FLOW: lambda n, k: [spd(n), chance.standard_normal(n), chance.uniform(0, 0.1, k)],
}
TEXTS = pytest.mark.parametrize("text", GIVEN, ids=["counted", "scanned", "until", "nested", "inverse", "flow"])


def program(text: str) -> Program:
    checked = check(Source(text))
    checked.diagnostics.raise_errors()
    return checked.programs["f"]


def plan(text: str, backend: str = "numpy") -> Program:
    return run(program(text), Options(backend=backend)).program


def in_loops(program: Program, inside: bool = False) -> list[Node]:
    """The nodes of the bodies of loops, and of all that is in these."""
    found = list(program.nodes) if inside else []
    for node in program.nodes:
        for block in node.programs:
            found += in_loops(block, inside or node.op.name in ("repeat", "scan"))
    return found


@TEXTS
def test_a_matrix_is_factored_once(text: str) -> None:
    found = plan(text)
    assert not FACTORS & {node.op.name for node in in_loops(found)}
    assert sum(node.op.name in FACTORS for node in found.walk()) == 1


@pytest.mark.parametrize("backend", BACKENDS)
@TEXTS
def test_loops_of_any_length_give_what_was_written(text: str, backend: str) -> None:
    written, found = run(program(text), stop_after="differentiate").program, plan(text, backend)
    for n, k in ((4, 3), (1, 1), (3, 0), (0, 2), (0, 0)):
        given = [np.asarray(value) for value in GIVEN[text](n, k)]
        (wanted,) = evaluate(written, given)
        (value,) = run_on(backend, found, given)
        np.testing.assert_allclose(plain(value), wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("backend", ["numpy", "torch", "llvm"])
@pytest.mark.parametrize("text", [COUNTED, SCANNED, UNTIL, NESTED], ids=["counted", "scanned", "until", "nested"])
def test_what_fails_does_so_where_a_pass_is_made(text: str, backend: str) -> None:
    f = tpc.compile(text, backend=backend)
    for n, k in ((3, 0), (3, 2)):
        given = GIVEN[text](n, k)
        given[0] = np.zeros((n, n))
        if k == 0:
            f(*given)
            continue
        with pytest.raises(TpcError, match="E0815.*A @ B is singular" if text is SCANNED else "E0815.*A is not pos"):
            f(*given)


def test_a_test_that_may_fail_is_not_asked_ahead() -> None:
    text = UNTIL.replace("until d <= most", "until norm(A \\ x) <= most")
    assert FACTORS & {node.op.name for node in in_loops(plan(text))}


def test_points_of_a_flow_are_one_product() -> None:
    found = plan(FLOW)
    assert not in_loops(found) and [n.op.name for n in found.walk()].count("matmul") == 1


def test_values_in_loops_keep_the_names_of_the_user() -> None:
    text = "def f(X: f64[n, p], k: i64) -> f64[p]:\n    w = ones(p)\n    repeat k:\n        gain = sigmoid(X @ w)\n"
    text += "        w = w + X' @ (gain * exp(gain))\n"
    assert "    gain = " in tpc.compile(text + "    return w\n", backend="numpy").source
    again = "    v = w\n    repeat k:\n        other = sigmoid(X @ v)\n"
    again += "        v = v + X' @ (other * exp(other))\n    return v\n"
    both = tpc.compile(text + again, backend="numpy").source  # the bodies are equal: neither name is right for both
    assert " gain = " not in both and " other = " not in both
