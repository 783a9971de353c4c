"""Bounds that are composed along a program are never below the errors that there are."""

from __future__ import annotations

import numpy as np
import pytest

from tpc.dsl.source import Source
from tpc.ir.build import input_node, make
from tpc.ir.elaborate.module import check
from tpc.ir.node import Node
from tpc.ir.types import F64, TensorType
from tpc.passes.approximation.composition import Composition, Constant, Stop
from tpc.passes.approximation.values import compute

N = 6
WRAPPED = (
    *("relu({})", "tanh({})", "abs({})", "sin({})", "sigmoid({})", "softplus({})", "softmax({})", "exp({} / 4)"),
    *("{}'", "-{}", "{} + x", "x - {}", "{} * x", "{} * y[1]", "{} / 3", "{}^2", "{} @ B", "A @ {}", "{} @ {}"),
    *("{} * {}", "maximum({}, x)", "outer({} @ y, y)", "outer(sum({}, axis=0), mean({}, axis=1))", "tril({})"),
    *("{} + {}[1, :]", "{} * y", "diag(diag({}))", "reshape(vec({}), 6, 6)", "silu({})", "select(x > 0, {}, x)"),
)
"""What a value may be made of; A and B are the constants that are replaced."""


def expression(draw: np.random.Generator, depth: int) -> str:
    if depth == 0:
        return str(draw.choice(["A", "B'", "x", "x @ A", "A @ x"]))
    shape = str(draw.choice(WRAPPED))
    return shape.format(*(f"({expression(draw, depth - 1)})" for _ in range(shape.count("{}"))))


def bounded(text: str, draw: np.random.Generator, size: float) -> tuple[float, float] | None:
    """The error of an expression for constants that are off by so much, and its bound; None where there is none."""
    parameters = f"A: f64[{N}, {N}], B: f64[{N}, {N}], x: f64[{N}, {N}], y: f64[{N}]"
    program = check(Source(f"def f({parameters}) = {text}\n")).programs["f"]
    (value,) = program.outputs
    inputs = {node["name"]: node for node in program.inputs}
    given = {node: draw.standard_normal(node.tensor.dims) for node in program.inputs}
    constants: dict[Node, Constant] = {}
    for name in ("A", "B"):
        node = inputs[name]
        error = draw.standard_normal((N, N)) * size
        stands = input_node(f"{name}s", node.tensor)
        given[stands] = given[node] + error
        norms = [float(np.linalg.norm(a, 2)) for a in (given[node], error)]
        constants[node] = Constant(stands, norms[0], norms[1], float(np.linalg.norm(error)))
    composition = Composition(constants, {})
    try:
        composition.run([value])
    except Stop:
        return None
    if value not in composition.errors:
        return None
    found = compute([value, composition.values[value], composition.errors[value]], given)
    assert found is not None, text
    exact, near, bound = found
    return float(np.linalg.norm(near - exact)), float(bound)


def test_no_bound_is_below_the_error() -> None:
    checked = 0
    for seed in range(400):
        draw = np.random.default_rng(seed)
        text = expression(draw, int(draw.integers(1, 4)))
        found = bounded(text, draw, 10.0 ** draw.uniform(-6, 0))
        if found is not None:
            checked += 1
            error, bound = found
            assert error <= bound * (1 + 1e-9) + 1e-13, (seed, text)
    assert checked > 250


@pytest.mark.parametrize("text", ["A @ x", "x @ A'", "relu(A @ x) @ B", "A + B", "softmax(A @ x)"])
def test_bounds_say_something(text: str) -> None:
    found = bounded(text, np.random.default_rng(0), 1e-3)
    assert found is not None
    error, bound = found
    assert 0.02 * bound < error <= bound


def test_of_two_constants_one_counts_by_its_frobenius_norm() -> None:
    A, B, stands = (input_node(name, TensorType(F64, [N, N])) for name in "ABS")
    known = {A: Constant(stands, 1.0, 0.1, 0.1 * N**0.5), B: Constant(B, 1.0, 0.0, 0.0)}
    composition = Composition(known, {})
    product = make("matmul", (A, B))
    composition.run([product])
    (bound,) = compute([composition.errors[product]], {stands: 1.1 * np.eye(N), A: np.eye(N), B: np.eye(N)}) or [0]
    assert float(bound) >= 0.1 * N**0.5


@pytest.mark.parametrize("text", ["layernorm(A @ x)", "x / (A @ x)", "log(A @ x)", "inv(A @ x)", "sqrt(abs(A))"])
def test_it_stops_where_no_bound_is_known(text: str) -> None:
    assert bounded(text, np.random.default_rng(0), 1e-3) is None


def test_a_bound_that_forgets_a_factor_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tpc.passes.approximation.composition.LIPSCHITZ", {"relu": 0.2})
    found = bounded("relu(A)", np.random.default_rng(0), 1e-3)
    assert found is not None and found[0] > found[1]


def test_what_does_not_depend_on_constants_has_no_error() -> None:
    assert bounded("x + x", np.random.default_rng(0), 1e-3) is None
