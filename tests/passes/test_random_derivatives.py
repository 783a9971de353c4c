"""Derivatives of random programs, along random directions, beside differences of the reference interpreter.

`TPC_FUZZ` programs (2,000 by default) are taken a fiftieth of; `TPC_SEED` moves to others.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from tests.backends.contract import plain, run
from tests.programs import generate

from tpc.dsl.diagnostics import TpcError
from tpc.dsl.source import Source
from tpc.ir.build import cast, input_node, make
from tpc.ir.dims import evaluate as size_of
from tpc.ir.elaborate.module import check
from tpc.ir.node import Node, Program
from tpc.ir.reference import evaluate
from tpc.ir.types import EPSILON, F64, TensorType
from tpc.passes.differentiate import derivative
from tpc.passes.pipeline import Options
from tpc.passes.pipeline import run as compile_program

COUNT = max(int(os.environ.get("TPC_FUZZ", "2000")) // 50, 20)
FIRST = int(os.environ.get("TPC_SEED", "0")) * 1_000_000
STEPS = (1e-3, 2e-4, 3e-5)  # what is smooth at one of them is judged there


def main(text: str) -> Program:
    checked = check(Source(text))
    assert not checked.diagnostics.errors, text
    return checked.programs["main"]


def weighted(program: Program) -> Program:
    """The real part of the sum of all results that are floats, times further inputs: a loss that sees each entry."""
    weights: list[Node] = []
    loss: Node | None = None
    for number, result in enumerate(program.outputs):
        if not is_float(result):
            continue
        weights.append(input_node(f"weight{number}", result.tensor))
        part = make("mul", (weights[-1], result))
        part = make("re", (part,)) if part.tensor.dtype.kind == "c" else part
        part = cast(make("sum", (part,)) if part.tensor.rank else part, F64)
        loss = part if loss is None else make("add", (loss, part))
    if loss is None:
        pytest.skip("no result is a float")
    return Program("loss", (*program.inputs, *weights), [loss], facts=program.facts, where=program.where)


def is_float(node: Node) -> bool:
    return node.tensor.dtype.kind in "fc"


def drawn(node: Node, sizes: dict[str, int], rng: np.random.Generator) -> Any:
    shape = tuple(size_of(d, sizes) for d in node.tensor.dims)
    numbers = rng.standard_normal(shape)
    return numbers + 1j * rng.standard_normal(shape) if node.tensor.dtype.kind == "c" else numbers


def inner(slopes: Sequence[Any], ways: Sequence[Any]) -> float:
    return float(sum(np.sum(np.real(np.conj(s) * w)) for s, w in zip(slopes, ways, strict=True)))


def differences(f: Callable[[list[Any]], float], at: Sequence[Any], ways: Sequence[Any]) -> list[float]:
    """Differences of fourth order of a function along a way, for each step; a way is None where nothing moves."""

    def moved(step: float) -> float:
        return f([a if w is None else a + step * w for a, w in zip(at, ways, strict=True)])

    return [(8 * (moved(h) - moved(-h)) - moved(2 * h) + moved(-2 * h)) / (12 * h) for h in STEPS]


def assert_among(found: float, estimates: Sequence[float], scale: float) -> None:
    assert min(abs(found - e) for e in estimates) <= 1e-6 * (1 + scale), (found, estimates)


def assert_derivatives(
    program: Program, sizes: dict[str, int], arrays: Sequence[Any], rng: np.random.Generator, is_second: bool = True
) -> Program:
    """The program of the gradient, which agrees with differences, as does the product with the Hessian."""
    loss = weighted(program)
    count = len(program.inputs)
    at = [*arrays, *(drawn(i, sizes, rng) for i in loss.inputs[count:])]
    moving = [k for k, i in enumerate(program.inputs) if is_float(i)]
    names = [loss.inputs[k]["name"] for k in moving]
    slope = derivative(loss, "grad", names)

    def random_ways() -> list[Any]:
        return [drawn(i, sizes, rng) if k in moving else None for k, i in enumerate(loss.inputs)]

    def value(x: list[Any]) -> float:
        return float(evaluate(loss, x, sizes)[0])

    ways = random_ways()
    directions = [ways[k] for k in moving]
    slopes = evaluate(slope, at, sizes)
    size = abs(value(at)) + sum(float(np.sum(np.abs(s) * np.abs(w))) for s, w in zip(slopes, directions, strict=True))
    assert_among(inner(slopes, directions), differences(value, at, ways), size)
    if is_second:
        bends = evaluate(derivative(loss, "hvp", names), [*at, *directions], sizes)
        others = random_ways()
        along = [others[k] for k in moving]
        size += sum(float(np.sum(np.abs(b) * np.abs(w))) for b, w in zip(bends, along, strict=True))
        assert_among(
            inner(bends, along), differences(lambda x: inner(evaluate(slope, x, sizes), along), at, ways), 10 * size
        )
    plan = compile_program(slope, Options(), "prune").program
    assert check(Source(str(plan))).programs.get(plan.name) is plan
    types = [n.type for n in (*slope.inputs, *slope.walk()) if isinstance(n.type, TensorType)]
    coarse = max([EPSILON[F64], *(EPSILON[t.dtype] for t in types if t.dtype in EPSILON)])
    for backend in ("numpy", "llvm") if coarse <= EPSILON[F64] else ():
        for ours, exact in zip(run(backend, _planned(slope, sizes, backend), at), slopes, strict=True):
            assert np.shape(plain(ours)) == np.shape(exact)
            np.testing.assert_allclose(plain(ours), exact, rtol=0, atol=1e-8 * (1 + size))
    return slope


def _planned(program: Program, sizes: dict[str, int], backend: str) -> Program:
    return compile_program(program, Options(sizes, backend=backend)).program


@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT))
def test_random_programs(seed: int) -> None:
    sample = generate(seed)
    program, sizes, rng = main(sample.text), sample.sizes(seed), np.random.default_rng(seed)
    arrays = [
        a + 0.05 * drawn(i, sizes, rng) if is_float(i) else a  # away from corners
        for i, a in zip(program.inputs, sample.arrays(sizes, seed), strict=True)
    ]
    arrays = [
        np.asarray(a, complex if np.iscomplexobj(a) else float) if is_float(i) else a
        for i, a in zip(program.inputs, arrays, strict=True)
    ]
    if not np.isfinite(magnitude := sum(float(np.sum(np.abs(o))) for o in evaluate(program, arrays, sizes))):
        pytest.skip("a result is not finite")
    if magnitude > 1e8:
        pytest.skip("a result is too large for differences")
    try:
        assert_derivatives(program, sizes, arrays, rng, seed % 4 == 0)
    except TpcError as error:
        assert {d.code for d in error.diagnostics} == {"E0608"}


# Programs whose derivatives were wrong, failed, or had a text that could not be read.
FOUND = {
    "a sum in a logsumexp": (
        "def main(a: f64[3], b: f64[n + 1], x: f64[n]):\n"
        "    y[k] = logsumexp[q](a[q] * sum[r where r != k](b[r] * tanh(x[k])))\n    return y\n"
    ),
    "a mean in a logsumexp": (
        "def main(a: f64[n, n], x: f64[n]):\n"
        "    y[j, i] = a[i, j] - logsumexp[r](x[r] * mean[s](x[s] * tanh(x[s])))\n    return y\n"
    ),
    "guards that fix several letters": (
        "def main(a: f64[2, n, n], x: f64[n]):\n"
        "    y[k, j in n, i] = (a[i, j, k] + (x[j] if j == k else 1) + sum[q where q < k](x[q] * a[i, q, q])) "
        "* cos(a[i, k, k])\n    return y\n"
    ),
    "a loop of no passes before a value with facts": (
        "def main(a: f64[n, 2], x: f64[n]):\n    z = a\n    repeat 0:\n        z = 0.5 * z\n"
        "    S: f64[n, n] is symmetric and nonsingular = tanh(z) @ (tanh(z))' + n * eye(n)\n    return abs(S), x\n"
    ),
    "a whole number that is carried": (
        "def main(x: f64[n]):\n    y, k = x, 0\n    repeat 3:\n        until k >= 2\n        k = k + 1\n"
        "        y = tanh(y) * k\n    return y\n"
    ),
    "an entry of an axis of size 1": (
        "def main(x: f64[n], y: f64[1]):\n    z[i in n] = x[i] * y[0]\n    return z + max(x) if n > 0 else z\n"
    ),
    "bounds by a guard alone": (
        "def main(a: f64[3], w: f64[n, n]):\n    y[j, i] = w[i, j] - sum[r](a[r] * a[j - 1, pad=0])\n    return y\n"
    ),
    "entries that are turned": "def main(x: f64[n], A: f64[n, 3]):\n    return roll(x, shift=2) * x, roll(A, axis=1)\n",
    "entries that are padded": (
        "def main(x: f64[n]):\n    return sin(pad(x, before=1, after=2)), pad(outer(x, x), after=1)\n"
    ),
    "an order of frequencies": (
        "def main(x: f64[n], A: f64[3, n]):\n    return sin(fftshift(x)), ifftshift(A, axis=1)^2\n"
    ),
    "a multiple in a sum": (
        "def main(x: f64[n], s: f64):\n    y[i] = logsumexp[k](-((x[i] - 2 * x[k]) / (1 + s^2))^2 / 2)\n    return y\n"
    ),
    "a branch in a loop": (
        "def main(x: f64[n], c: bool):\n    y = x\n    scan t in 3:\n        if c:\n            y = sin(y)\n"
        "        else:\n            y = y * x\n        z[t] = y\n    return z\n"
    ),
}


@pytest.mark.parametrize("n", [0, 1, 3])
@pytest.mark.parametrize("name", FOUND)
def test_what_was_found_stays_mended(name: str, n: int) -> None:
    program, rng = main(FOUND[name]), np.random.default_rng(n)
    arrays = [drawn(i, {"n": n}, rng) if is_float(i) else np.asarray(True) for i in program.inputs]
    assert_derivatives(program, {"n": n}, arrays, rng)


def test_a_wrong_derivative_is_noticed() -> None:
    cubes = differences(lambda x: float(np.sum(x[0] ** 3)), [np.ones(2)], [np.array([1.0, 2.0])])
    assert_among(9.0, cubes, 1.0)
    with pytest.raises(AssertionError):
        assert_among(9.0001, cubes, 1.0)
