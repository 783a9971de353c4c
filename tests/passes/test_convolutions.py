"""Recurrences that decay alike in all passes and are read by fixed weights: convolutions, where these are cheaper."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tpc
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.ir.node import Program
from tpc.ir.reference import evaluate
from tpc.passes.pipeline import Options, run

SIZES = {"t": 1000, "d": 16, "h": 3}
TYPES = {
    "u": "f64[t]",
    "U": "f64[t, h]",
    "a": "f64[d]",
    "z": "c128[d]",
    "A": "f64[h, d]",
    "b": "f64[d]",
    "B": "f64[h, d]",
    "c": "f64[d]",
    "C": "f64[h, d]",
    "x": "f64[d]",
    "X": "f64[h, d]",
}
HEAD = f"def f({', '.join(f'{name}: {type}' for name, type in TYPES.items())}):\n"

MADE = {
    "one input": "s = x; scan i in t:;     s = a * s + b * u[i];     y[i] = dot(c, s)",
    "what is read before": "s = zeros(d); scan i in t:;     y[i] = s @ c;     s = (s + u[i]) * a",
    "complex states": "s = 0 * z; scan i in t:;     s = z * s + b * u[i];     y[i] = 2 * re(dot(c, s))",
    "several results": "s = x; scan i in t:;     s = a * s - u[i] * b;     y[i] = C @ s",
    "several inputs": "s = X; scan i in t:;     s = A * s + B * unsqueeze(U[i], 1);     y[i] = sum(C * s, axis=1)",
    "shared factors": "s = X; scan i in t:;     s = a * s + b * unsqueeze(U[i], 1);     y[i] = sum(s * c, axis=1)",
    "the last state, too": "s = x; scan i in t:;     s = a * s + b * u[i];     y[i] = dot(c, s); q = outer(s, s)",
}
KEPT = {
    "factors that change": "s = x; scan i in t:;     s = u[i] * a * s + b;     y[i] = dot(c, s)",
    "weights that change": "s = x; scan i in t:;     s = a * s + b * u[i];     y[i] = dot(c, s) * sum(c * s * u[i])",
    "states that are given": "s = x; scan i in t:;     s = a * s + b * u[i];     y[i] = s",
    "terms of full rank": "s = X; scan i in t:;     s = A * s + B * (X + U[i, 0]);     y[i] = sum(C * s, axis=1)",
}


def text(body: str) -> str:
    return (
        HEAD
        + "".join(f"    {line}\n" for line in body.split("; ")).replace(";     ", "\n        ")
        + f"    return y{', q' if '; q =' in body else ''}\n"
    )


def program(body: str) -> Program:
    checked = check(Source(text(body)))
    checked.diagnostics.raise_errors()
    return checked.programs["f"]


def operands(sizes: dict[str, int]) -> list[Any]:
    rng = np.random.default_rng(0)
    found = []
    for name, type in TYPES.items():
        shape = [sizes[d.strip()] for d in type[type.index("[") + 1 : -1].split(",")]
        value = rng.uniform(0.01, 1, shape) if name in "aA" else rng.standard_normal(shape)
        found.append(np.exp(1j * value - 0.01) if name == "z" else value)
    return found


def values(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple) else [result]


@pytest.mark.parametrize("body", MADE)
def test_states_are_not_made(body: str) -> None:
    written = program(MADE[body])
    made = run(written, Options(sizes=SIZES), "vectorise").program
    guards = [node for node in made.nodes if node.op.name == "if"]
    assert len(guards) == 1 and "linear_scan" not in {node.op.name for node in guards[0]["then"].walk()}
    given = operands(SIZES)
    for found, wanted in zip(evaluate(made, given), evaluate(written, given, SIZES), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-12 * np.abs(wanted).max())


@pytest.mark.parametrize("body", KEPT)
def test_others_stay(body: str) -> None:
    made = run(program(KEPT[body]), Options(sizes=SIZES), "vectorise").program
    assert "if" not in {node.op.name for node in made.nodes}


@pytest.mark.parametrize("name", ["numpy", "torch", "llvm"])
def test_what_does_not_decay_is_made_step_by_step(name: str) -> None:
    f = tpc.compile(text(MADE["one input"]), backend=name, dims=SIZES)
    loop = tpc.compile(text(MADE["one input"]), backend="numpy", mode="bitwise")
    given = operands(SIZES)
    assert ("irfft" in f.source) is (name != "llvm")  # where it is a native loop
    np.testing.assert_allclose(f(*given), loop(*given), atol=1e-12 * np.abs(loop(*given)).max())
    growing = [*given]
    growing[2] = np.full(SIZES["d"], 1.1)  # transforms would lose all digits of what comes first
    np.testing.assert_allclose(f(*growing)[:10], loop(*growing)[:10], rtol=1e-12)
    broken = [*given]
    broken[0] = np.where(np.arange(SIZES["t"]) == 500, np.inf, given[0])  # and spread what is no number
    assert np.isfinite(f(*broken)[:500]).all() and not np.isfinite(f(*broken)[500])


def test_the_gradient_by_what_drives_a_recurrence_is_a_convolution_backwards() -> None:
    body = text(MADE["one input"]).replace("def f", "def g").replace("return y", "return sum(y^3)")
    names = ", ".join(TYPES)
    whole = f"{body}\n{HEAD.replace('def f', 'def main').replace(':' + chr(10), '')} = grad(g, u, b)({names})\n"
    made = tpc.compile(whole, function="main", backend="numpy", dims=SIZES)
    transforms = [node.op.name for node in made.plan.program.walk()].count("irfft")
    plain = tpc.compile(whole, function="main", backend="numpy", mode="bitwise")
    given = operands(SIZES)
    for found, wanted in zip(made(*given), plain(*given), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-11 * np.abs(wanted).max())
    only = whole.replace("grad(g, u, b)", "grad(g, u)")
    made = tpc.compile(only, function="main", backend="numpy", dims=SIZES)
    transforms = [node.op.name for node in made.plan.program.walk()].count("irfft")
    assert transforms == 2
    np.testing.assert_allclose(made(*given), plain(*given)[0], atol=1e-11 * np.abs(plain(*given)[0]).max())


@pytest.mark.parametrize("name", ["numpy", "torch", "llvm"])
def test_a_circulant_matrix_is_applied_between_transforms(name: str) -> None:
    body = "def f(c: f64[n], U: f64[t, n], x: f64[n]) -> f64[t, n]:\n    scan i in t:\n"
    body += "        x = circulant(c) @ x + U[i]\n        y[i] = x\n    return y\n"
    sizes = {"n": 61, "t": 400}
    made, loop = (tpc.compile(body, backend=name, mode=mode, dims=sizes) for mode in ("stable", "bitwise"))
    assert "irfft" in {node.op.name for node in made.plan.program.walk()}
    rng = np.random.default_rng(0)
    given = [rng.uniform(0, 0.02, 61), rng.standard_normal((400, 61)), rng.standard_normal(61)]
    np.testing.assert_allclose(made(*given), loop(*given), atol=1e-13)
