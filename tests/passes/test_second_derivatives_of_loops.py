"""Second derivatives of functions with loops: forward over reverse, reverse over reverse, and whole Hessians.

Each is compared with differences of the gradient in the reference interpreter, and is run by two backends.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.backends.contract import plain, run

from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.ir.node import Program
from tpc.ir.reference import evaluate
from tpc.passes.differentiate import differentiate
from tpc.passes.pipeline import Options
from tpc.passes.pipeline import run as compile_program

# Bodies of functions of x: f64[n], A: f64[n, n] and u: f64[m, n], by which x moves.
BODIES = {
    "a scan that carries": "scan t in m:\n        x = tanh(A @ x + u[t])\n    return sum(x^3)",
    "a scan that collects": "scan t in m:\n        y[t] = sin(u[t] * x) @ x\n    return sum(y^2)",
    "a scan that does both": (
        "total = 0.0\n    scan t in m:\n        x = x + 0.3 * sin(A @ x) * u[t]\n        y[t] = x\n"
        "        total = total + sum(x^2) * total\n    return total + sum(y^3)"
    ),
    "a repeat": "repeat 3:\n        x = tanh(A @ x) + 0.1 * x^2\n    return sum(x^2)",
    "a repeat without passes": "repeat 0:\n        x = tanh(A @ x)\n    return sum(x^3)",
    "a repeat that ends": (
        "repeat 6 until sum(x^2) > 0.8 * n:\n        x = 1.4 * x + 0.05 * x^3\n    return sum(x^2) + sum(x^4)"
    ),
    "a repeat as long as a size": "repeat m:\n        x = x + 0.2 * cos(x) @ A\n    return sum(x^3)",
    "a loop in a loop": (
        "scan t in m:\n        repeat 2:\n            x = tanh(A @ x + u[t])\n        y[t] = sum(x^2)\n"
        "    return sum(y^2) + sum(x^3)"
    ),
    "a collecting loop in a loop": (
        "scan t in 2:\n        scan s in m:\n            z[s] = x @ u[s]\n        x = sin(x) + 0.2 * sum(z) * x\n"
        "    return sum(x^2)"
    ),
    "a branch in a loop": (
        "scan t in m:\n        if u[t] @ u[t] > 1:\n            x = sin(x)\n        else:\n"
        "            x = x + 0.3 * x^2\n    return sum(x^2)"
    ),
    "a solve in a loop": (
        "scan t in m:\n        x = (A @ A' + (1 + sum(x^2)) * eye(n)) \\ (x + u[t])\n    return sum(x^2) + sum(x)"
    ),
    "a matrix that is carried": (
        "S = A\n    scan t in m:\n        S = 0.5 * S @ S + outer(x, u[t])\n    return sum(S^2) + x @ S @ x"
    ),
    "a pass that counts": ("y = x\n    scan t in m:\n        y = y + u[t] * sum(x)^2 * (t + 1)\n    return sum(y^3)"),
    "complex state": (
        "z = x * (1 + 1j)\n    repeat 3:\n        z = 0.5 * z * conj(z) + sin(z)\n    return sum(abs(z)^2)"
    ),
    "loops one after the other": (
        "scan t in m:\n        x = sin(x) + u[t]\n        y[t] = x\n    s = zeros(n)\n    scan t in m:\n"
        "        s = tanh(s * x + y[m - 1 - t])\n    return sum(s^2) + sum(y^2)"
    ),
}
# What is asked for, as the body of a function of x, A, u and of two directions v and w.
WAYS = {
    "hvp": "return dot(hvp(f, x)(x, A, u, v), w)",
    "jvp of grad": "return dot(jvp(slope, x)(x, A, u, v), w)",
    "vjp of grad": "return dot(vjp(slope, x)(x, A, u, v), w)",
    "grad of a jvp": "return dot(grad(along, x)(x, A, u, v), w)",
    "hessian": "return w @ hessian(f, x)(x, A, u) @ v",
    "jacobian of grad": "return w @ jacobian(slope, x)(x, A, u) @ v",
    "hvp with checkpoints": "return dot(jvp(kept, x)(x, A, u, v), w)",
}
GIVEN = "x: f64[n], A: f64[n, n], u: f64[m, n]"


def program(body: str, way: str) -> Program:
    text = (
        f"def f({GIVEN}) -> f64:\n    {body}\n\n"
        f"def slope({GIVEN}) -> f64[n] = grad(f, x)(x, A, u)\n\n"
        f"def kept({GIVEN}) -> f64[n] = grad(f, x, checkpoints=2)(x, A, u)\n\n"
        f"def along({GIVEN}, v: f64[n]) -> f64 = jvp(f, x)(x, A, u, v)\n\n"
        f"def main({GIVEN}, v: f64[n], w: f64[n]) -> f64:\n    {way}\n"
    )
    checked = check(Source(text))
    assert not checked.diagnostics.errors, [d.title for d in checked.diagnostics.errors]
    return differentiate(checked.programs["main"])


def arrays(n: int, m: int) -> list[Any]:
    rng = np.random.default_rng(10 * n + m)
    shapes = [(n,), (n, n), (m, n), (n,), (n,)]
    return [rng.uniform(-1, 1, shape) for shape in shapes]


def expected(body: str, given: list[Any]) -> float:
    """The second derivative along v and w by differences of fourth order of the gradient."""
    first = program(body, "return dot(grad(f, x)(x, A, u), w)")

    def moved(step: float) -> float:
        return float(evaluate(first, [given[0] + step * given[3], *given[1:]])[0])

    h = 1e-3
    return (8 * (moved(h) - moved(-h)) - moved(2 * h) + moved(-2 * h)) / (12 * h)


@pytest.mark.parametrize("sizes", [(3, 4), (1, 1), (2, 0), (0, 2)], ids=str)
@pytest.mark.parametrize("name", BODIES)
def test_all_ways_agree(name: str, sizes: tuple[int, int]) -> None:
    given = arrays(*sizes)
    wanted = expected(BODIES[name], given)
    for way, text in WAYS.items():
        found = float(evaluate(program(BODIES[name], text), given)[0])
        assert abs(found - wanted) <= 1e-8 * (1 + abs(wanted)), (way, found, wanted)


@pytest.mark.parametrize("way", ["hvp", "hessian", "hvp with checkpoints"])
@pytest.mark.parametrize("name", BODIES)
def test_backends_agree(name: str, way: str) -> None:
    made, given = program(BODIES[name], WAYS[way]), arrays(3, 4)
    (exact,) = evaluate(made, given)
    for backend in ("numpy", "llvm"):
        plan = compile_program(made, Options({"n": 3, "m": 4}, backend=backend)).program
        (found,) = run(backend, plan, given)
        np.testing.assert_allclose(plain(found), exact, rtol=1e-9, atol=1e-9)
