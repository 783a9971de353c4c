"""What `grad` and its kin give, how they stack, what is told of wrong ones, and what is left of their loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tpc
from tpc.dsl.diagnostics import TpcError
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.ir.node import Program
from tpc.passes.pipeline import Options, run

VALUES = "def f(x: f64[n], y: f64[n]) -> f64 = sum(x * y^2)\n\ndef g(x: f64[n]) -> (f64[n], f64) = sin(x), sum(x^2)\n\n"
x, y = np.array([1.0, 2.0, 3.0]), np.array([0.5, -1.0, 2.0])
X, Y = np.outer([1.0, 2.0], x), np.outer([1.0, -1.0], y)

KINDS: dict[str, tuple[str, list[Any], list[Any]]] = {
    "by two parameters": ("grad(f, y, x)(a, b)", [x, y], [2 * x * y, y**2]),
    "value and both": ("value_and_grad(f, x, y)(a, b)", [x, y], [np.sum(x * y**2), y**2, 2 * x * y]),
    "hvp": ("hvp(f, y)(a, b, a)", [x, y], [2 * x * x]),
    "hvp by both": ("hvp(f, x, y)(a, b, a, b)", [x, y], [2 * y * y, 2 * y * x + 2 * x * y]),
    "jvp by both": ("jvp(f, x, y)(a, b, a, b)", [x, y], [np.sum(x * y**2 + 2 * x * y * y)]),
    "vjp of two results": ("vjp(g, x)(a, b, 2.0)", [x, y], [np.cos(x) * y + 4 * x]),
    "jacobians of two results": ("jacobian(g, x)(a)", [x, y], [np.diag(np.cos(x)), 2 * x]),
    "a mixed derivative": ("jacobian(grad(f, y), x)(a, b)", [x, y], [np.diag(2 * y)]),
    "the gradient of a Laplacian": ("grad(laplacian(f, y), x)(a, b)", [x, y], [np.full(3, 2.0)]),
    "the third derivative": ("grad(grad(grad(h, x), x), x)(sum(a))", [x, y], [24 * np.sum(x)]),
    "rows of one parameter": ("vmap(f, x)(a, b)", [X, y], [X @ y**2]),
    "rows of all": ("vmap(f)(a, b)", [X, Y], [np.sum(X * Y**2, axis=1)]),
    "gradients for each row": ("vmap(grad(f, y), x)(a, b)", [X, y], [2 * X * y]),
    "directions for each row": ("vmap(jvp(f, x), x)(a, b, a)", [X, y], [X @ y**2]),
    "a map of maps": ("vmap(vmap(f, y), x)(a, b)", [X, Y], [X @ (Y**2).T]),
    "at a number and at zeros": ("vjp(h, x)(2.0, 1.0), hessian(f, y)(a, zeros(n))", [x, y], [32.0, np.diag(2 * x)]),
    "a default": ("grad(k, x)(sum(a))", [x, y], [4 * np.sum(x)]),
}
MORE = "def h(x: f64) -> f64 = x^4\n\ndef k(x: f64, c: f64 = 2) -> f64 = c * x^2\n\n"


@pytest.mark.parametrize("name", KINDS)
def test_kinds(name: str) -> None:
    written, arrays, expected = KINDS[name]
    types = [
        "f64[n]" if a.ndim == 1 else f"f64[{s}, n]" for a, s in zip(arrays, "pp" if name == "rows of all" else "pq")
    ]
    text = f"{VALUES}{MORE}def main(a: {types[0]}, b: {types[1]}) = {written}\n"
    found = tpc.compile(text, function="main", mode="bitwise")(*arrays)
    for ours, theirs in zip(found if isinstance(found, tuple) else [found], expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


WRONG = {
    "by an integer": ("grad(i, k)(a, 2)", "E0608"),
    "of an integer": ("grad(j, x)(a)", "E0608"),
    "of a vector": ("grad(v, x)(a)", "E0607"),
    "twice the same": ("grad(i, x, x)(a, 2)", "E0304"),
    "by what is not there": ("grad(i, z)(a, 2)", "E0304"),
    "a Hessian by two": ("hessian(i, x, k)(a, 2)", "E0302"),
    "no direction": ("jvp(v, x)()", "E0302"),
    "a direction of another shape": ("jvp(v, x)(a, 1.0)", "E0203"),
    "one direction for two results": ("vjp(g, x)(a, a)", "E0302"),
    "no function": ("grad(a)(a)", "E0306"),
    "rows of a scalar": ("vmap(i)(a, 2)", "E0204"),
    "unequal rows": ("vmap(f)(a, b)", "E0203"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_ones_are_told(name: str) -> None:
    written, code = WRONG[name]
    text = (
        f"{VALUES}def i(x: f64[n], k: i64) -> f64 = sum(x) * k\n\ndef j(x: f64[n]) -> i64 = argmax(x)\n\n"
        f"def v(x: f64[n]) -> f64[n] = x\n\ndef main(a: f64[n], b: f64[m]) = {written}\n"
    )
    with pytest.raises(TpcError) as caught:
        tpc.compile(text, function="main")
        tpc.compile(text, function="main")(x, x)
    assert [d.code for d in caught.value.diagnostics if d.severity == "error"] == [code]


@pytest.mark.parametrize(
    ("body", "cut"),
    [
        ("f64(argmax(x))", "argmax"),
        ("mean(f64(x > 1))", "gt"),
        ("sum(round(x)^2)", "round"),
        ("sum(surrogate(round(x), x)^2)", None),
        ("sum(y)", ""),
        ("sum(x)", None),
    ],
)
def test_a_derivative_of_zero_is_told(body: str, cut: str | None) -> None:
    text = f"def f(x: f64[n], y: f64[n]) -> f64 = {body}\n\ndef main(x: f64[n], y: f64[n]) = grad(f, x)(x, y)\n"
    told = [d for d in check(Source(text)).diagnostics.warnings if d.code == "W0402"]
    assert len(told) == (cut is not None)
    if cut:
        assert cut in told[0].notes[0]


def test_an_error_on_the_way_has_its_place() -> None:
    text = "def f(x: f64[n]) -> f64:\n    y = trigamma(2 * x)\n    return sum(y)\n\n"
    text += "def main(x: f64[n]) = grad(f, x)(x)\n"
    with pytest.raises(TpcError) as caught:
        tpc.compile(text)(x)
    assert caught.value.diagnostics[0].labels[0].span.text == "trigamma(2 * x)"


def test_derivatives_are_verified() -> None:
    text = f"{VALUES}def main(x: f64[n], y: f64[n]) -> f64[n] = grad(f, y)(x, y)\n"
    compiled = tpc.compile(text, verify=True)
    compiled(x, y)
    assert compiled.verification is not None and "not verified" not in compiled.verification


# ---- what is left of loops

LIKELIHOOD = """
    K = exp(-D / (2 * x[0]^2)) + x[1]^2 * eye(n)
    return 0.5 * y @ inv(K) @ y + 0.5 * logdet(K)"""
LOOPS = {
    "logistic regression": ("hessian", "x: f64[m], A: f64[n, m]", " = sum(softplus(A @ x)) + dot(x, x)"),
    "a quartic form": ("hessian", "x: f64[m], A: f64[n, m]", " = sum((A @ x)^4)"),
    "a network": ("hessian", "x: f64[d], W: f64[h, d], V: f64[h, h], w: f64[h]", " = w @ tanh(V @ tanh(W @ x))"),
    "a network by its weights": ("hessian", "x: f64[h, d], A: f64[n, d], w: f64[h]", " = mean((tanh(A @ x') @ w)^2)"),
    "a norm": ("hessian", "x: f64[m], A: f64[n, m]", " = norm(A @ x - 1)"),
    "corners": ("hessian", "x: f64[m], A: f64[n, m]", " = sum(relu(A @ x)^2) + max(A @ x)^2"),
    "a likelihood": ("hessian", "x: f64[2], D: f64[n, n], y: f64[n]", f":{LIKELIHOOD}"),
    "a convolution": ("hessian", "x: f64[n], k: f64[m]", " = sum(tanh(conv(x, k, mode=full)))"),
    "softmax": ("jacobian", "x: f64[m]", " = softmax(x)"),
    "a solve": ("jacobian", "x: f64[n], A: f64[n, n] is spd", " = A \\ tanh(x)"),
    "a triangular solve": ("jacobian", "x: f64[n], A: f64[n, n] is lower and nonsingular", " = solve_triangular(A, x)"),
}


@pytest.mark.parametrize("name", LOOPS)
def test_all_directions_are_taken_at_once(name: str) -> None:
    kind, parameters, body = LOOPS[name]
    names = ", ".join(p.split(":")[0] for p in parameters.replace("], ", "]; ").split("; "))
    plan = vectorised(f"def f({parameters}){body}\n\ndef main({parameters}) = {kind}(f, x)({names})\n")
    assert not any(node.op.name == "scan" for node in plan.walk())


def vectorised(text: str) -> Program:
    checked = check(Source(text))
    checked.diagnostics.raise_errors()
    return run(checked.programs["main"], Options(), "vectorise").program


def test_a_loop_that_must_stay_does() -> None:
    """The test above notices a loop."""
    text = "def f(x: f64[n]) -> f64:\n    s = 0.0\n    scan i in n:\n        s = tanh(s + x[i])\n    return s\n\n"
    assert any(n.op.name == "scan" for n in vectorised(f"{text}def main(x: f64[n]) = grad(f, x)(x)\n").walk())


NETWORK = """
def u(x: f64[d], W: f64[h, d], V: f64[h, h], w: f64[h]) -> f64 = w @ tanh(V @ tanh(W @ x))

def main(x: f64[d], W: f64[h, d], V: f64[h, h], w: f64[h]) -> f64 = laplacian(u, x)(x, W, V, w)
"""


def test_the_laplacian_of_a_network_has_no_hessian_in_it() -> None:
    compiled = tpc.compile(NETWORK, dims={"d": 1000, "h": 20})
    assert int(compiled.cost.flops) <= 3 * 1000 * 20**2
    sizes = [node.tensor.dims for node in compiled.plan.program.walk() if not isinstance(node.type, tuple)]
    assert (1000, 1000) not in sizes


def test_backwards_over_a_scan_costs_a_few_times_the_scan() -> None:
    """Arrays that are read row by row get their adjoint row by row, and matrices theirs by one product."""
    text = "def f(A: f64[k, k], u: f64[t, k]) -> f64:\n    s = zeros(k)\n    scan i in t:\n"
    text += "        s = tanh(A @ s + u[i])\n    return sum(s^2)\n\n"
    dims = {"k": 10, "t": 500}
    once = tpc.compile(f"{text}def main(A: f64[k, k], u: f64[t, k]) = f(A, u)\n", dims=dims)
    back = tpc.compile(f"{text}def main(A: f64[k, k], u: f64[t, k]) = grad(f, A, u)(A, u)\n", dims=dims)
    assert int(back.cost.flops) <= 6 * int(once.cost.flops)
    assert int(back.cost.peak_bytes) <= 10 * 8 * 500 * 10
