"""Jacobians that are zero but for a few diagonals: from few directions, and solved as bands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tpc
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.ir.reference import evaluate
from tpc.passes.differentiate import patterns, sparsity
from tpc.passes.pipeline import Options, run

# What a function does with x, and the first and last diagonal of its Jacobian; None where no few are known.
BODIES: dict[str, tuple[int, int] | None] = {
    "u = concat(zeros(1), x, zeros(1)); y = 2 * x - u[:n] * u[2:] + exp(x)": (-1, 1),
    "y[i] = x[i]^2 * x[i + 2, pad=0] + sin(x[i - 1, pad=0])": (-1, 2),
    "y[i in n] = sum[k](x[i + k, pad=1]^2 * w[k])": (0, 2),
    "u = tanh(x[1:] - x[:n - 1]); y = concat(zeros(1), u) - concat(u, zeros(1))": (-1, 1),
    "U[i, k] = x[i] * w[k]; y[i in n] = sum[k](exp(U[i, k] + x[i - 1, pad=0]))": (-1, 0),
    "y = pad(x, axis=0, before=2, after=0)[:n] * x": (-2, 0),
    "y = f32(x[1:] * x[:n - 1])": (0, 1),
    "y = x + sum(x)": None,
    "y = flip(x)": None,
    "y = cumsum(x)": None,
    "y = x[::2]": None,
    "y[i] = x[i] * x[0]": None,
    "y = sort(x)": None,
    "y[i in n] = x[n - 1 - i]": None,
}


def written(body: str) -> str:
    lines = "".join(f"    {line}\n" for line in body.split("; "))
    head = f"def F(x: f64[n], w: f64[3]):\n{lines}    return y\n\n"
    return f"{head}def main(x: f64[n], w: f64[3]) = jacobian(F, x)(x, w)\n"


@pytest.mark.parametrize("body", BODIES)
def test_diagonals_are_read_off_positions(body: str) -> None:
    checked = check(Source(written(body)))
    checked.diagnostics.raise_errors()
    program = checked.programs["F"]
    found = sparsity.band(program.outputs[0], program.inputs[0])
    assert (None if found is None else (found.first, found.last)) == BODIES[body]


@pytest.mark.parametrize("n", [1, 2, 3, 40])
@pytest.mark.parametrize("body", [body for body, band in BODIES.items() if band is not None])
def test_the_entries_are_right(body: str, n: int) -> None:
    """With sizes left open, so that small ones go the same way."""
    program = check(Source(written(body))).programs["main"]
    planned = run(program, Options(), "differentiate").program
    assert any(node.op.name == "from_diagonals" for node in planned.walk())
    x, w = np.random.default_rng(n).uniform(-1, 1, n), np.array([0.5, -1.0, 2.0])
    whole = check(Source(written(body))).programs["F"]
    (found,) = evaluate(planned, [x, w])
    columns = []
    for k in range(n):
        way = 1e-6 * np.eye(n)[k]
        (ahead,), (behind,) = evaluate(whole, [x + way, w]), evaluate(whole, [x - way, w])
        columns.append((ahead - behind) / 2e-6)
    np.testing.assert_allclose(found, np.stack(columns, -1), atol=1e-8)


NEWTON = """
def F(x: f64[n]) -> f64[n]:
    u = concat(zeros(1), x, zeros(1))
    return 2 * x - u[:n] - u[2:] + exp(x) / 10 - 1

def main(x: f64[n]) -> f64[n] = x - jacobian(F, x)(x) \\ F(x)
"""


@pytest.mark.parametrize("name", ["numpy", "torch", "llvm"])
def test_a_newton_step_solves_a_band(name: str) -> None:
    step = tpc.compile(NEWTON, backend=name, dims={"n": 60})
    made = {node.op.name for node in step.plan.program.walk()}
    assert name == "torch" or made & {"band_solve", "diagonals_solve"}
    x = np.random.default_rng(0).uniform(-1, 1, 60)
    u = np.concatenate([[0.0], x, [0.0]])
    J = np.diag(2 + np.exp(x) / 10) - np.eye(60, k=1) - np.eye(60, k=-1)
    expected = x - np.linalg.solve(J, 2 * x - u[:-2] - u[2:] + np.exp(x) / 10 - 1)
    np.testing.assert_allclose(step(x), expected, rtol=1e-11)


def test_the_hessian_of_a_chain_is_tridiagonal() -> None:
    text = "def f(x: f64[n]) -> f64 = sum((x[1:] - x[:n - 1])^4) + sum(x^2)\n\n"
    text += "def main(x: f64[n]) = hessian(f, x)(x)\n"
    program = run(check(Source(text)).programs["main"], Options(), "differentiate").program
    assert any(node.op.name == "from_diagonals" for node in program.walk())
    x = np.random.default_rng(0).standard_normal(30)
    d = 12 * np.diff(x) ** 2
    main = 2 + np.concatenate([d, [0]]) + np.concatenate([[0], d])
    expected = np.diag(main) - np.diag(d, 1) - np.diag(d, -1)
    np.testing.assert_allclose(tpc.compile(text, backend="numpy")(x), expected, atol=1e-12)


# ---- any pattern, where sizes are known

# What F makes of x, the sizes, and how many tangents and adjoints tell its Jacobian; None where all directions do.
PATTERNS: dict[str, tuple[str, str, tuple[int, int] | None]] = {
    "a stencil in two axes": (
        "x: f64[9, 12]",
        "y[i in 9, j in 12] = x[i, j]^2 * x[i + 1, j, pad=0] + sin(x[i, j - 1, pad=0]) * x[i, j + 1, pad=1]",
        (6, 0),
    ),
    "differences": ("x: f64[9, 12]", "y = concat(x[1:] * x[:8], x[:8]^2, axis=1)", (2, 0)),
    "an arrow": ("x: f64[40]", "y = concat([sum(x^2)], x[1:]^2 * x[0])", (2, 1)),
    "blocks": ("x: f64[40]", "y = cumsum(flip(tanh(reshape(x, 10, 4)), axis=1), axis=1)", (4, 0)),
    "a sparse constant": ("x: f64[30]", "y = tanh(flip(A @ x)) + x", (4, 0)),
    "gathered by a constant": ("x: f64[30]", "y[i] = x[P[i]]^3 + x[i]", (3, 0)),
    "a triangle": ("x: f64[40]", "y[i in 40] = sum[k where k <= i](x[k]^2)", None),
    "nothing that is known": ("x: f64[40]", "y = x[argsort(x)]^2", None),
    "products": ("x: f64[40]", "y = reshape(tanh(reshape(x, 10, 4) @ ones(4, 4)), 40)", None),
    "a loop": ("x: f64[40]", "y = x[1:]^2; repeat 3:;     y = sin(y)", None),
}


@pytest.mark.parametrize("name", PATTERNS)
def test_few_directions_tell_a_sparse_jacobian(name: str, tmp_path: Path) -> None:
    types, body, expected = PATTERNS[name]
    A = np.zeros((30, 30))
    A[np.arange(29), np.arange(29) + 1], A[np.arange(28) + 2, np.arange(28)] = 1.0, 2.0
    np.save(tmp_path / "A.npy", A)
    np.save(tmp_path / "P.npy", (np.arange(30) * 7 + 1) % 30)
    lines = "".join(f"    {line}\n" for line in body.split("; "))
    head = 'const A = load("A.npy")\nconst P = load("P.npy")\n\n'
    file = tmp_path / "f.tp"
    file.write_text(f"{head}def F({types}):\n{lines}    return y\n\ndef main({types}) = jacobian(F, x)(x)\n")
    made = tpc.load(file)
    program = made.F.program
    found = patterns.colouring(program.outputs[0], program.inputs[0])
    counts = None
    if found is not None:
        counts = tuple(0 if d is None else d.rows.tensor.dims[0] for d in (found.forward, found.backward))
    assert counts == expected
    x = np.random.default_rng(0).uniform(0.5, 1, program.inputs[0].tensor.dims)
    columns = []
    for way in 1e-6 * np.eye(x.size):
        ahead, behind = (np.asarray(made.F(x + s * way.reshape(x.shape))) for s in (1, -1))
        columns.append((ahead - behind).ravel() / 2e-6)
    for backend in ("numpy", "torch", "llvm"):
        jacobian = np.asarray(tpc.compile(file, backend=backend)(x))
        np.testing.assert_allclose(jacobian.reshape(-1, x.size), np.stack(columns, -1), atol=1e-7)


def test_the_hessian_of_a_field_takes_few_directions() -> None:
    text = "def f(x: f64[n, m]) -> f64 = sum((x[1:] - x[:n - 1])^4) + sum((x[:, 1:] - x[:, :m - 1])^4)\n\n"
    text += "def main(x: f64[n, m]) = hessian(f, x)(x)\n"
    x = np.random.default_rng(0).standard_normal((7, 9))
    few, all_ = (tpc.compile(text, backend="numpy", dims=dims) for dims in ({"n": 7, "m": 9}, None))
    assert "scatter_add" in {node.op.name for node in few.plan.program.walk()}
    np.testing.assert_allclose(few(x), all_(x), rtol=1e-12, atol=1e-12)
