"""Jets of Taylor arithmetic beside derivatives of derivatives, exactly the same thing taken another way."""

from __future__ import annotations

import numpy as np
import pytest

from tpc.dsl.source import Source
from tpc.ir.build import Fresh
from tpc.ir.elaborate.module import check
from tpc.ir.node import Node, Program
from tpc.ir.reference import evaluate
from tpc.passes.differentiate import derivative, forward, taylor
from tpc.passes.differentiate.structure import symmetric_values

ORDER = 4
BODIES = [
    "sum(exp(x) * y)",
    "sum(softplus(x) + silu(x) + gelu(x) + erf(x) + sigmoid(x))",
    "sum(x^3 * y) + sum(x * x * x * x)",
    "sum((2 + x^2)^(-2)) + sum((x^2 + 1)^1.5)",
    "sum((x^2 + 1)^y)",
    "sum(y / (1 + x^2)) + sum(x / 3)",
    "sum(sqrt(x^2 + 1) * log(2 + x * y))",
    "sum(sin(x) * cos(y * x) + atan(x) + tan(x / 2) + asinh(x))",
    "max(x * y) + sum(maximum(x, y)) + sum(relu(x^2 - 0.3))",
    "sum(hypot(x, y)) + sum(atan2(x, y + 3)) + sum(sinc(x))",
    "sum(clip(x^2, 0.1, 0.5) * x) + sum(select(x > 0, x^3, exp(x)))",
    "norm(x - y)",
    "sum(softmax(x * y)^2) + logsumexp(x * x)",
    "sum(tanh(A @ x)^2) + x @ A @ x",
    "y @ (A \\ (x * x)) + y @ solve(A + outer(x, y), x)",
    "sum(inv(A + outer(x, x)) @ y) + logdet(A + outer(x, x))",
    "sum[i](x[i]^2 * exp(x[i] * y[i]))",
    "sum(abs(fft(x * x))^2)",
    "mean(x^3) + var(x) + prod(x + 2) + sum(cumsum(x)^3)",
    "sum(concat(x, y)^3) + sum(kron(x * x, x))",
    "sum(x)",
]


def program_of(text: str) -> Program:
    checked = check(Source(text))
    checked.diagnostics.raise_errors()
    return checked.programs["f"]


def nested(program: Program, x: Node, way: Node) -> list[Node | None]:
    """The same by derivatives of derivatives."""
    found: list[Node | None] = [program.outputs[0]]
    for _ in range(ORDER):
        last = found[-1]
        found += forward.tangents([last], {x: way}, symmetric_values(program)) if last is not None else [None]
    return found


def values(program: Program, way: Node, nodes: list[Node | None], operands: list[np.ndarray]) -> np.ndarray:
    there = [node for node in nodes if node is not None]
    found = iter(evaluate(Program("orders", (*program.inputs, way), there), operands))
    return np.array([0.0 if node is None else next(found) for node in nodes])


@pytest.mark.parametrize("body", BODIES)
def test_orders_are_those_of_derivatives_of_derivatives(body: str) -> None:
    program = program_of(f"def f(x: f64[n], y: f64[n], A: f64[n, n]) -> f64 = {body}\n")
    x = program.inputs[0]
    way = Fresh(program)("way", x.tensor)
    rng = np.random.default_rng(0)
    operands = [rng.uniform(-1, 1, 3), rng.uniform(0, 1, 3), 3 * np.eye(3) + 0.3 * rng.standard_normal((3, 3))]
    operands.append(rng.uniform(-1, 1, 3))
    (found,) = taylor.along(program.outputs, {x: way}, ORDER, symmetric_values(program))
    expected = values(program, way, nested(program, x, way), operands)
    np.testing.assert_allclose(values(program, way, found, operands), expected, rtol=1e-11, atol=1e-11)


def test_a_loop_is_differentiated_by_itself() -> None:
    text = "def f(x: f64, u: f64[n]) -> f64:\n    s = x\n    scan i in n:\n        s = s * s / 2 + u[i]\n    return s\n"
    program = program_of(text)
    x = program.inputs[0]
    way = Fresh(program)("way", x.tensor)
    (found,) = taylor.along(program.outputs, {x: way}, 3, ())
    operands = [np.array(0.3), np.array([0.1, -0.2, 0.3]), np.array(1.0)]
    # s as a polynomial of x
    polynomial = np.polynomial.Polynomial([0.0, 1.0])
    for u in operands[1]:
        polynomial = polynomial * polynomial / 2 + u
    expected = [polynomial.deriv(k)(0.3) for k in range(4)]
    np.testing.assert_allclose(values(program, way, found, operands), expected, rtol=1e-13)


def test_a_high_order_takes_few_operations() -> None:
    """Derivatives of derivatives have thousands here."""
    program = program_of("def f(x: f64[n], A: f64[n, n]) -> f64 = sum(tanh(A @ tanh(A @ x)))\n")
    assert len(derivative(program, "jet", ["x"]).nodes) < 60
    x = program.inputs[0]
    (found,) = taylor.along(program.outputs, {x: Fresh(program)("way", x.tensor)}, 10, ())
    (last,) = [node for node in found[10:] if node is not None]
    assert len(Program("tenth", (*program.inputs, Fresh(program)("way", x.tensor)), [last]).nodes) < 400
