"""Loops in segments: derivatives stay what they are, and hold less."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

import tpc
from tpc.dsl.diagnostics import TpcError
from tpc.dsl.source import Source
from tpc.explanation.memory_profile import memory_profile, text
from tpc.ir.elaborate.module import check
from tpc.ir.node import Program
from tpc.ir.reference import evaluate
from tpc.ir.sizes import with_sizes
from tpc.passes.differentiate import differentiate
from tpc.passes.differentiate.segments import by_count, by_level
from tpc.passes.pipeline import Options, run

LOOPS = {
    "rows of an array": "scan i in t:\n        s = tanh(A @ s + U[i])\n        y[i] = s\n",
    "the counter, and rows backwards": "scan i in t:\n        s = sin(A @ s) + U[t - 1 - i] * i\n        y[i] = s^2\n",
    "no result of a pass": "scan i in t:\n        s = tanh(s * U[i]) + s / 2\n    y = outer(s, s)\n",
    "two that are carried": "r = s\n    scan i in t:\n        r, s = tanh(A @ s), r * s + U[i]\n        y[i] = r\n",
    "a loop without rows": "repeat t:\n        s = tanh(A @ s) + U[0]\n    y = outer(s, s)\n",
    "a loop in a loop": "scan i in t:\n        repeat 9:\n            s = sin(A @ s) + U[i]\n        y[i] = s\n",
}


def program(body: str, option: str = "") -> Program:
    types = "A: f64[n, n], U: f64[t, n], s: f64[n]"
    text = f"def f({types}) -> f64:\n    {body}    return sum(y^3) + sum(s)\n\n"
    text += f"def main({types}) = value_and_grad(f, A, U, s{option})(A, U, s)\n"
    checked = check(Source(text))
    checked.diagnostics.raise_errors()
    return checked.programs["main"]


def operands(t: int) -> list[Any]:
    rng = np.random.default_rng(t)
    return [rng.uniform(-0.5, 0.5, shape) for shape in ((3, 3), (t, 3), 3)]


def loops(made: Program) -> int:
    return sum(node.op.name == "scan" for node in made.walk())


@pytest.mark.parametrize("t", [1, 8, 23])
@pytest.mark.parametrize("name", LOOPS)
def test_segments_change_no_derivative(name: str, t: int) -> None:
    written = with_sizes(program(LOOPS[name]), {"t": t, "n": 3})
    whole, given = differentiate(written), operands(t)
    expected = evaluate(whole, given)
    for made in (
        differentiate(written, levels=2),
        differentiate(written, levels=3),
        differentiate(program(LOOPS[name], ", checkpoints=4")),  # where the number of passes is open
    ):
        assert t < 8 or loops(made) > loops(whole)
        for found, wanted in zip(evaluate(made, given), expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


def test_lengths_leave_nothing_over_where_they_can() -> None:
    assert by_level(2)(7) is None and by_count(4)(7) is None
    for t in (100, 1000, 2500, 4096):
        _, length = by_level(2)(t) or (0, 0)
        assert isinstance(length, int) and t % length == 0 and t**0.5 / 4 <= length <= t**0.5


NETWORK = """
def loss(A: f64[n, n], U: f64[t, n], s: f64[n]) -> f64:
    total = 0.0
    scan i in t:
        s = tanh(A @ s + U[i])
        total = total + sum(s^2)
    return total

def main(A: f64[n, n], U: f64[t, n], s: f64[n]) = value_and_grad(loss, A, s{})(A, U, s)
"""


def measured(f: Any, given: list[Any]) -> int:
    f(*given)
    tracemalloc.start()
    f(*given)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def test_a_long_loop_fits_into_a_budget() -> None:
    t, n = 2500, 20
    rng = np.random.default_rng(0)
    given = [rng.standard_normal((n, n)) / n, rng.standard_normal((t, n)), rng.standard_normal(n)]
    held, state = sum(x.nbytes for x in given), 8 * n
    free = tpc.compile(NETWORK.format(""), backend="numpy")
    expected = free(*given)
    assert measured(free, given) > 3 * t * state  # states, and what follows from them
    for budget in (held + 2 * t * state, held + 20 * 50 * state):
        small = tpc.compile(NETWORK.format(""), backend="numpy", memory=budget)
        for found, wanted in zip(small(*given), expected, strict=True):
            np.testing.assert_allclose(found, wanted, atol=1e-12 * np.abs(wanted).max())
        assert held + measured(small, given) <= budget
    asked = tpc.compile(NETWORK.format(", checkpoints=100"), backend="numpy")
    assert measured(asked, given) <= 20 * 50 * state
    np.testing.assert_allclose(asked(*given)[1], expected[1], atol=1e-12 * np.abs(expected[1]).max())
    with pytest.raises(TpcError) as caught:
        tpc.compile(NETWORK.format(""), backend="numpy", memory=held + 10 * state)(*given)
    assert caught.value.diagnostics[0].code == "E0908"


def test_segments_are_named() -> None:
    program, sizes = check(Source(NETWORK.format(""))).programs["main"], {"t": 400, "n": 20}
    for budget, said in ((200_000, "loops in segments: their states"), (10**7, "nothing had to be changed")):
        plan = run(program, Options(sizes, memory=budget))
        told = text(memory_profile(plan, "numpy", sizes, budget))
        assert said in told and ("nothing" in told) != (plan.levels > 1), told


DRIVEN = """
def loss(A: f64[n, n], B: f64[n, m], V: f64[t, m], s: f64[n]) -> f64:
    total = 0.0
    scan i in t:
        s = tanh(A @ s + B @ V[i])
        total = total + sum(s^2)
    return total

def main(A: f64[n, n], B: f64[n, m], V: f64[t, m], s: f64[n]) = value_and_grad(loss, A, B, s)(A, B, V, s)
"""


@pytest.mark.parametrize("name", ["torch", "llvm"])
def test_segments_on_other_backends(name: str) -> None:
    """Natively, states are read backwards, as no product of BLAS does."""
    rng = np.random.default_rng(0)
    given = [rng.standard_normal(shape) / 40 for shape in ((100, 100), (100, 2), (2500, 2), 100)]
    sizes = {"t": 2500, "n": 100, "m": 2}
    made = tpc.compile(DRIVEN, backend=name, dims=sizes, memory=4_000_000)
    assert loops(made.plan.program) > 2
    expected = tpc.compile(DRIVEN, backend="numpy", dims=sizes)(*given)
    for found, wanted in zip(made(*given), expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-12 * np.abs(wanted).max())


@pytest.mark.parametrize(
    ("option", "code"), [("checkpoints=0", "E0217"), ("checkpoints=2.5", "E0217"), ("slots=4", "E0304")]
)
def test_wrong_numbers_are_told(option: str, code: str) -> None:
    with pytest.raises(TpcError) as caught:
        tpc.compile(NETWORK.format(f", {option}"))
    assert caught.value.diagnostics[0].code == code
