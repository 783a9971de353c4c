"""Loops that carry a state along by a linear recurrence: what becomes of them, and that their values stay."""

from __future__ import annotations

import numpy as np
import pytest

import tpc
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.ir.node import Program
from tpc.ir.reference import evaluate
from tpc.passes.pipeline import Options, run

HEAD = """
def f(
    U: f64[t, d], V: f64[t, e], Q: f64[t, d], R: f64[t, e], A: f64[t, d], u: f64[t], x: f64[d], S: f64[d, e], c: f64
):
"""

# What a loop does, and the ops that take its place.
MADE = {
    "x = x + U[i]; y[i] = x": "cumsum",
    "x = U[i] + x; y[i] = 2 * x": "cumsum",
    "x = x - U[i]": "sum",
    "x = A[i] * x": "prod",
    "x = A[i] * x; y[i] = x": "cumprod",
    "x = u[i] * x; y[i] = x": "linear_scan",
    "x = x + c * (U[i] - x); y[i] = x": "linear_scan",
    "y[i] = x; x = A[i] * x + U[i]": "linear_scan",
    "x = -(x / 2 - U[i]) * c; y[i] = sum(x) + u[i]": "linear_scan",
    "z = u[i] - x; x = (z + x * A[i] - z * c) / (1 + c^2); y[i] = x": "linear_scan",
    "z[j] = A[i, j] * x[j] + U[i, j]; x = z; y[i] = z": "linear_scan",
    "S = unsqueeze(A[i], 1) * S + outer(U[i], V[i]); y[i] = Q[i] @ S": "linear_attention",
    "S = diag(A[i]) @ S + outer(U[i], V[i]); y[i] = S' @ Q[i]": "linear_attention",
    "S = S @ diag(R[i]) + outer(U[i], V[i]); y[i] = S @ V[i]": "linear_attention",
    "S = u[i] * S + outer(U[i], V[i]); y[i] = Q[i] @ S": "linear_attention",
    "S = S + outer(U[i], V[i]); y[i] = S @ R[i]": "linear_attention",
    "T[p, q] = A[i, p] * S[p, q] + U[i, p] * V[i, q]; S = T; y[i, q] = sum[p](Q[i, p] * T[p, q])": "linear_attention",
}
# The same where the state is a vector and the factor a matrix.
BY_MATRIX = [
    "x = A @ x + U[i]; y[i] = x",
    "x = U[i] - x @ A; y[i] = sum(x)",
    "x = x + c * (A @ x + U[i]); y[i] = x",
    "x = A @ (A @ x - U[i]); y[i] = A @ x",
    "x = (x - A @ x) / 2; y[i] = x",
]
# What stays a loop: the state is not carried linearly, or entries meet, or others carry the state along anyway.
KEPT = [
    "x = tanh(x) + U[i]; y[i] = x",
    "x = x * x + U[i]; y[i] = x",
    "x = U[i] / x; y[i] = x",
    "x = cumsum(x) + U[i]; y[i] = x",
    "x = x + sum(x) * U[i]; y[i] = x",
    "x = select(x > 0, x, -x) + U[i]; y[i] = x",
    "S = unsqueeze(A[i], 1) * S + outer(U[i], V[i]) * sum(S); y[i] = Q[i] @ S",
]


def written(body: str) -> tuple[Program, Program]:
    """The program of a loop, and what the pass makes of it."""
    lines = "".join(f"        {line}\n" for line in body.split("; "))
    results = ["x", "S", *(["y"] if "y[i" in body else [])]
    checked = check(Source(f"{HEAD.lstrip()}    scan i in t:\n{lines}    return {', '.join(results)}\n", "f.tp"))
    assert not checked.diagnostics.errors, checked.diagnostics.errors[0]
    program = checked.programs["f"]
    return program, run(program, stop_after="vectorise").program


def operands(t: int, d: int, e: int) -> list[np.ndarray]:
    rng = np.random.default_rng(t)
    shapes = [(t, d), (t, e), (t, d), (t, e), (t, d), (t,), (d,), (d, e), ()]
    return [np.asarray(rng.uniform(-1, 1, shape)) for shape in shapes]


@pytest.mark.parametrize("body", MADE)
def test_a_linear_recurrence_is_made_for_all_passes(body: str) -> None:
    before, after = written(body)
    made = [n.op.name for n in after.walk()]
    assert "scan" not in made
    assert MADE[body] in made
    for sizes in ((5, 2, 3), (0, 2, 3), (1, 1, 1), (83, 3, 1), (40, 1, 0)):
        given = dict(zip("tde", sizes, strict=True))
        expected = evaluate(before, operands(*sizes), given)
        for wanted, found in zip(expected, evaluate(after, operands(*sizes), given), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)


def square(body: str) -> str:
    lines = "".join(f"        {line}\n" for line in body.split("; "))
    head = "def f(A: f64[d, d], U: f64[t, d], x: f64[d], c: f64):\n    scan i in t:\n"
    return f"{head}{lines}    return x, y\n"


@pytest.mark.parametrize("body", BY_MATRIX)
def test_a_recurrence_by_a_matrix_is_made_for_all_passes(body: str) -> None:
    before = check(Source(square(body), "f.tp")).programs["f"]
    after = run(before, Options(at={"t": 83, "d": 3}), stop_after="vectorise").program
    made = [n.op.name for n in after.walk()]
    assert "scan" not in made and "matrix_scan" in made
    rng = np.random.default_rng(0)
    for t, d in ((5, 2), (0, 2), (1, 1), (83, 3)):
        given = [rng.uniform(-0.5, 0.5, shape) for shape in ((d, d), (t, d), (d,), ())]
        pairs = zip(evaluate(before, given), evaluate(after, given), strict=True)
        for wanted, found in pairs:
            np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)


def test_a_matrix_that_differs_from_pass_to_pass_stays_in_the_loop() -> None:
    text = "def f(A: f64[t, d, d], x: f64[d]) -> f64[d]:\n    scan i in t:\n        x = A[i] @ x\n    return x\n"
    after = run(check(Source(text, "f.tp")).programs["f"], stop_after="vectorise").program
    assert "scan" in [n.op.name for n in after.walk()]


@pytest.mark.parametrize("name", ["numpy", "torch", "llvm"])
def test_compiled_recurrences_by_a_matrix(name: str) -> None:
    """Blocks, what is left over behind them, a matrix whose powers overflow, and the gradient, by differences."""
    text = square(BY_MATRIX[2]).replace("def f", "def loss").replace("    return x, y", "    return sum(y^2) + sum(x)")
    text += "\ndef g(A: f64[d, d], U: f64[t, d], x: f64[d], c: f64) = grad(loss, A, U, x)(A, U, x, c)\n"
    rng = np.random.default_rng(0)
    given = [rng.uniform(-0.5, 0.5, shape) for shape in ((3, 3), (130, 3), (3,))] + [0.1]
    loss, slopes = (tpc.compile(text, function=f, backend=name) for f in ("loss", "g"))
    for k, slope in enumerate(slopes(*given)):
        way = rng.standard_normal(given[k].shape)
        ends = [loss(*given[:k], given[k] + s * way, *given[k + 1 :]) for s in (1e-5, -1e-5)]
        assert np.isclose((ends[0] - ends[1]) / 2e-5, np.sum(np.asarray(slope) * way), rtol=1e-7)
    scan = tpc.compile("def f(A: f64[d, d], b: f64[t, d], x: f64[d]) = matrix_scan(A, b, x)", backend=name)
    np.testing.assert_array_equal(scan(np.full((1, 1), 1e60), np.zeros((100, 1)), np.zeros(1)), np.zeros((101, 1)))


@pytest.mark.parametrize("body", KEPT)
def test_other_loops_stay(body: str) -> None:
    _, after = written(body)
    made = [n.op.name for n in after.walk()]
    assert "scan" in made
    assert not {"linear_scan", "linear_attention"} & set(made)


@pytest.mark.parametrize("name", ["numpy", "torch", "llvm"])
@pytest.mark.parametrize("body", MADE)
def test_compiled_values_are_those_of_the_loop(body: str, name: str) -> None:
    lines = "".join(f"        {line}\n" for line in body.split("; "))
    text = f"{HEAD.lstrip()}    scan i in t:\n{lines}    return x, S{', y' if 'y[i' in body else ''}\n"
    loop, made = (tpc.compile(text, backend=name, mode=mode) for mode in ("bitwise", "stable"))
    arguments = operands(130, 3, 4)
    for wanted, found in zip(loop(*arguments), made(*arguments), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)


def test_few_passes_stay_a_loop() -> None:
    text = "def f(U: f64[5, d], x: f64[d]) -> f64[d]:\n    scan i in 5:\n        x = x / 2 + U[i]\n    return x\n"
    program = check(Source(text, "f.tp")).programs["f"]
    assert "scan" in [n.op.name for n in run(program, Options(), stop_after="vectorise").program.nodes]


def test_decays_that_underflow_lose_nothing() -> None:
    """The quotients of running products that chunks are made of would be 0 / 0 here."""
    rng = np.random.default_rng(0)
    t, d, e = 200, 3, 2
    q, k, v = rng.standard_normal((t, d)), rng.standard_normal((t, d)), rng.standard_normal((t, e))
    a = np.where(rng.uniform(size=(t, d)) < 0.1, 0.0, rng.uniform(0, 1e-12, (t, d)))
    text = """
def f(q: f64[t, d], k: f64[t, d], v: f64[t, e], a: f64[t, d]) -> f64[t, e]:
    S = zeros(d, e)
    scan i in t:
        S = unsqueeze(a[i], 1) * S + outer(k[i], v[i])
        y[i] = q[i] @ S
    return y
"""
    f = tpc.compile(text)
    assert "_linear_attention" in f.source
    np.testing.assert_allclose(f(q, k, v, a), tpc.compile(text, mode="bitwise")(q, k, v, a), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_factors_whose_products_overflow_do_no_harm(name: str) -> None:
    """Blocks would be begun with inf * 0."""
    text = "def f(a: f64[t], b: f64[t], x: f64) -> f64[t + 1] = linear_scan(a, b, x)"
    a = np.full(100, 1e60)
    found = tpc.compile(text, backend=name)(a, np.zeros(100), 0.0)
    np.testing.assert_array_equal(found, np.zeros(101))


@pytest.mark.parametrize("name", ["numpy", "llvm"])
def test_the_derivative_of_gated_attention(name: str) -> None:
    """By differences; decays down to 0.01, and one that is zero."""
    text = """
def loss(q: f64[t, d], k: f64[t, d], v: f64[t, e], a: f64[t, d]) -> f64:
    S = zeros(d, e)
    scan i in t:
        S = diag(a[i]) @ S + outer(k[i], v[i])
        y[i] = q[i] @ S
    return sum(y^2)
def g(q: f64[t, d], k: f64[t, d], v: f64[t, e], a: f64[t, d]) = grad(loss, q, k, v, a)(q, k, v, a)
"""
    loss, slopes = (tpc.compile(text, function=f, backend=name) for f in ("loss", "g"))
    rng = np.random.default_rng(0)
    given = [rng.standard_normal((40, n)) for n in (3, 3, 2)] + [rng.uniform(0.01, 1, (40, 3))]
    given[3][7, 1] = 0.0
    for place, slope in enumerate(slopes(*given)):
        way = rng.standard_normal(given[place].shape)
        ends = [loss(*given[:place], given[place] + s * way, *given[place + 1 :]) for s in (1e-6, -1e-6)]
        assert np.isclose((ends[0] - ends[1]) / 2e-6, np.sum(slope * way), rtol=1e-6)


def test_the_derivative_of_a_recurrence_is_one_backwards() -> None:
    text = """
def loss(U: f64[t, d], a: f64[d], x: f64[d]) -> f64:
    scan i in t:
        x = a * x + U[i]
        y[i] = x
    return sum(y^2)
def g(U: f64[t, d], a: f64[d], x: f64[d]) = grad(loss, U, a, x)(U, a, x)
"""
    checked = check(Source(text.lstrip(), "f.tp"))
    after = run(checked.programs["g"], stop_after="vectorise").program
    made = [n.op.name for n in after.walk()]
    assert "scan" not in made
    assert made.count("linear_scan") == 2
    rng = np.random.default_rng(0)
    U, a, x = rng.standard_normal((30, 2)), rng.uniform(0.5, 1, 2), rng.standard_normal(2)
    f = tpc.compile(text, function="loss")
    for found, place in zip(tpc.compile(text, function="g")(U, a, x), range(3), strict=True):
        arguments = [U, a, x]
        step = rng.standard_normal(arguments[place].shape)
        ends = []
        for sign in (1, -1):
            moved = list(arguments)
            moved[place] = moved[place] + sign * 1e-6 * step
            ends.append(f(*moved))
        assert np.isclose((ends[0] - ends[1]) / 2e-6, np.sum(found * step), rtol=1e-7)
