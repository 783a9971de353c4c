"""Derivatives of loops with `until`: those of the passes that were made."""

from itertools import product

import numpy as np
import pytest
import torch

import tpc
from tpc.dsl.diagnostics import TpcError
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check

SPREAD = """
def f(x: f64[n], A: f64[n, n]) -> f64:
    s = x
    repeat 12 until norm(s) > 10:
        s = tanh(A @ s) + s * norm(x)
    return sum(s^2)
"""
CONJUGATE = """
def f(x: f64[n], A: f64[n, n]) -> f64:
    S = A @ A' + eye(n)
    z, r, p = zeros(n), x, x
    repeat 40 until norm(r) <= 1e-6 * norm(x):
        q = S @ p
        a = dot(r, r) / dot(p, q)
        z, s = z + a * p, r - a * q
        p, r = s + dot(s, s) / dot(r, r) * p, s
    return dot(z, z)
"""
NESTED = """
def f(x: f64[n], A: f64[n, n]) -> f64:
    total = 0.0
    scan i in 3:
        y = exp(x[0] + i)
        z = y
        repeat 30 until abs(z * z - y) < 1e-8:
            z = (z + y / z) / 2
        total = total + z * sum(A @ x)
    return total
"""
KINDS = """
def main(x: f64[n], A: f64[n, n]):
    value, d = value_and_grad(f, x)(x, A)
    return value, d, grad(f, A)(x, A)

def segments(x: f64[n], A: f64[n, n]) -> f64[n, n] = grad(f, A, checkpoints=3)(x, A)

def second(x: f64[n], A: f64[n, n]) -> f64[n, n] = hessian(f, x)(x, A)

def forwards(x: f64[n], A: f64[n, n], v: f64[n]) -> f64 = jvp(f, x)(x, A, v)
"""


def spread(x: torch.Tensor, A: torch.Tensor) -> torch.Tensor:
    s = x
    for _ in range(12):
        if s.norm() > 10:
            break
        s = torch.tanh(A @ s) + s * x.norm()
    return (s**2).sum()


def conjugate(x: torch.Tensor, A: torch.Tensor) -> torch.Tensor:
    S = A @ A.T + torch.eye(len(x), dtype=x.dtype)
    z, r, p = torch.zeros_like(x), x, x
    for _ in range(40):
        if r.norm() <= 1e-6 * x.norm():
            break
        q = S @ p
        a = r @ r / (p @ q)
        z, s = z + a * p, r - a * q
        p, r = s + s @ s / (r @ r) * p, s
    return z @ z


def nested(x: torch.Tensor, A: torch.Tensor) -> torch.Tensor:
    total = torch.zeros((), dtype=x.dtype)
    for i in range(3):
        y = torch.exp(x[0] + i)
        z = y
        for _ in range(30):
            if abs(z * z - y) < 1e-8:
                break
            z = (z + y / z) / 2
        total = total + z * (A @ x).sum()
    return total


CASES = {"spread": (SPREAD, spread), "conjugate": (CONJUGATE, conjugate), "nested": (NESTED, nested)}
SIZES = {"ends early": (5, 0.7), "never ends": (5, 0.05), "ends at once": (5, 30.0), "one": (1, 1.1)}


def operands(size: int, scale: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(size)
    return scale * rng.standard_normal(size), rng.standard_normal((size, size)) / size


PAIRS = [pair for pair in product(CASES, SIZES) if pair != ("nested", "ends at once")]  # exp(30) is too large for roots


@pytest.mark.parametrize(("case", "sizes"), PAIRS)
def test_they_are_those_of_torch(case: str, sizes: str) -> None:
    text, hand = CASES[case]
    x, A = operands(*SIZES[sizes])
    given = [torch.tensor(a, requires_grad=True) for a in (x, A)]
    wanted = torch.autograd.grad(hand(*given), given, materialize_grads=True)
    for backend in ("numpy", "torch", "llvm"):
        value, d_x, d_A = (np.asarray(r) for r in tpc.compile(text + KINDS, function="main", backend=backend)(x, A))
        np.testing.assert_allclose(value, hand(*given).detach(), rtol=1e-9)
        for found, want in zip((d_x, d_A), wanted, strict=True):
            np.testing.assert_allclose(found, want, rtol=1e-7, atol=1e-9 * float(want.abs().max()))
    v = np.cos(np.arange(len(x)))
    change = tpc.compile(text + KINDS, function="forwards", backend="numpy")(x, A, v)
    np.testing.assert_allclose(change, d_x @ v, rtol=1e-7, atol=1e-9 * np.abs(d_x).max())


@pytest.mark.parametrize("case", ["spread", "nested"])
def test_segments_and_second_derivatives(case: str) -> None:
    text, hand = CASES[case]
    x, A = operands(4, 0.7)
    by_segments = tpc.compile(text + KINDS, function="segments", backend="numpy")(x, A)
    np.testing.assert_allclose(by_segments, tpc.compile(text + KINDS, function="main", backend="numpy")(x, A)[2])
    second = tpc.compile(text + KINDS, function="second", backend="numpy")(x, A)
    wanted = torch.autograd.functional.hessian(lambda t: hand(t, torch.tensor(A)), torch.tensor(x))
    np.testing.assert_allclose(second, wanted, rtol=1e-6, atol=1e-8 * float(wanted.abs().max()))


def test_value_and_gradient_run_the_loop_once_each_way() -> None:
    text = SPREAD + "\ndef main(x: f64[n], A: f64[n, n]):\n    return value_and_grad(f, x)(x, A)\n"
    names = [node.op.name for node in tpc.compile(text, function="main", backend="numpy").plan.program.nodes]
    assert names.count("scan") == 2 and "repeat" not in names


@pytest.mark.parametrize("case", ["spread", "conjugate"])
def test_passes_that_are_not_made_only_look_whether_the_loop_has_ended(case: str) -> None:
    text = CASES[case][0] + "\ndef main(x: f64[n], A: f64[n, n]):\n    return grad(f, x, A)(x, A)\n"
    program = tpc.compile(text, function="main", backend="numpy").plan.program
    loops = [node for node in program.nodes if node.op.name == "scan"]
    free = {"input", "literal", "size", "item", "subscript", "sub", "if"}
    assert len(loops) == 2 and all({n.op.name for n in loop["body"].nodes} <= free for loop in loops)


def test_the_most_passes_must_be_known() -> None:
    text = "def f(x: f64, k: i64) -> f64:\n    repeat k:\n        x = x * x\n    return x\n"
    with pytest.raises(TpcError) as caught:
        tpc.compile(text + "def main(x: f64, k: i64) -> f64 = grad(f, x)(x, k)\n", function="main")(2.0, 3)
    (found,) = caught.value.diagnostics
    assert found.code == "E0608" and "`until`" in str(found.help)


SOLUTION = """
def cg(A: f64[n, n] is spd, b: f64[n]) -> f64[n]:
    x, r, p = zeros(n), b, b
    repeat 1000 until norm(r) <= 1e-12 * norm(b):
        q = A @ p
        a = dot(r, r) / dot(p, q)
        x, s = x + a * p, r - a * q
        p, r = s + dot(s, s) / dot(r, r) * p, s
    return x

def residual(x: f64[n], A: f64[n, n] is spd, b: f64[n]) -> f64[n] = x + b - A @ x

def solution(A: f64[n, n] is spd, b: f64[n]) -> f64[n] = fixed_point(residual, x)(cg(A, b), A, b)

def along(A: f64[n, n] is spd, b: f64[n], c: f64[n]) -> f64 = dot(c, solution(A, b))

def main(A: f64[n, n] is spd, b: f64[n], c: f64[n]) -> (f64[n, n], f64[n]):
    return grad(along, A)(A, b, c), grad(along, b)(A, b, c)
"""


@pytest.mark.parametrize("backend", ["numpy", "llvm", "torch"])
def test_the_equation_at_the_end_gives_the_derivative_of_the_solution(backend: str) -> None:
    """On a star: its rays are alike, so that conjugate gradients end after few passes, whose derivative is wrong."""
    edges = np.zeros((40, 40))
    edges[0, 1:] = edges[1:, 0] = 1
    A = np.diag(edges.sum(1)) - edges + 1 / 40
    b, c = np.zeros(40), np.arange(40.0)
    b[3], b[7] = 1, -1
    by_matrix, by_side = map(np.asarray, tpc.compile(SOLUTION, backend=backend)(A, b, c))
    v, x = np.linalg.solve(A, np.stack([c, b], 1)).T
    right = -(np.outer(v, x) + np.outer(x, v)) / 2
    bound = 1e-10 * np.linalg.cond(A)
    assert np.linalg.norm(by_side - v) <= bound * np.linalg.norm(v)
    assert np.linalg.norm(by_matrix - right) <= bound * np.linalg.norm(right)


@pytest.mark.parametrize(("text", "is_told"), [(NESTED, True), (SPREAD, True), (SOLUTION, False)])
def test_it_is_told_that_passes_are_differentiated(text: str, is_told: bool) -> None:
    text += "" if text is SOLUTION else KINDS
    assert is_told == any(d.code == "W0403" for d in check(Source(text)).diagnostics.warnings)
