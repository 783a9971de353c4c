"""Factorizations of which one side alone is read."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import tpc
from tpc.dsl.diagnostics import TpcError
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.ir.node import Program
from tpc.ir.reference import evaluate
from tpc.ir.sizes import with_sizes
from tpc.passes.one_sided import one_sided
from tpc.passes.pipeline import Options, run


def program(body: str, dtype: str = "f64") -> Program:
    text = f"def f(A: {dtype}[n, m]):\n    " + body.replace("\n", "\n    ")
    checked = check(Source(text, "test.tp"))
    assert not checked.diagnostics.errors, checked.diagnostics.errors[0].title
    return checked.programs["f"]


def planned(body: str, n: int, m: int, dtype: str = "f64") -> Program:
    return run(program(body, dtype), Options(sizes={"n": n, "m": m})).program


def names(p: Program) -> list[str]:
    return [node.op.name for node in p.walk()]


def shapes(p: Program, op: str) -> list[tuple[object, ...]]:
    return [node.args[0].tensor.dims for node in p.walk() if node.op.name == op]


# Each is the same whatever signs the vectors have.
READ = {
    "left": "U, s, V = svd(A)\nreturn U[:, :2] @ U[:, :2]', s",
    "right": "U, s, V = svd(A)\nreturn V[:2]' @ V[:2], s",
    "right, multiples of few": "U, s, V = svd(A)\nreturn U[:, :2] @ (diag(s[:2]) @ V[:2, :])",
    "right, multiples of some": "U, s, V = svd(A)\nreturn abs(unsqueeze(s[1:3], 1) * V[1:3, :]), abs(U)",
    "left, multiples of few": "U, s, V = svd(A)\nreturn (U[:, :2] @ diag(s[:2])) @ V[:2]",
    "left, multiples of all": "U, s, V = svd(A)\nreturn abs(s * U), abs(V)",
    "two in a row": "U, s, V = svd(A)\nX, t, Y = svd(diag(s[:2]) @ V[:2, :])\nreturn abs(diag(t) @ Y), abs(U[:, :2])",
    "in a loop": "S = A @ A'\nrepeat 2:\n    U, s, V = svd(A + S @ A)\n    S = U[:, :2] @ U[:, :2]'\nreturn S",
    "triangle": "Q, R = qr(A)\nreturn abs(R)",
}


@pytest.mark.parametrize("shape", [(3, 9), (9, 3), (4, 4), (3, 300), (300, 3)])
@pytest.mark.parametrize("name", READ)
def test_values_stay(name: str, shape: tuple[int, int]) -> None:
    assert_values_stay(READ[name], shape)


@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (1, 1), (1, 5), (5, 1)])
def test_nothing_and_one_row(shape: tuple[int, int]) -> None:
    assert_values_stay("U, s, V = svd(A)\nreturn U @ U', s, abs(unsqueeze(s, 1) * V)", shape)


def assert_values_stay(body: str, shape: tuple[int, int]) -> None:
    p = with_sizes(program(body), dict(zip("nm", shape, strict=True)))
    q = one_sided(p)
    assert one_sided(q) is q
    A = np.random.default_rng(0).standard_normal(shape)
    for value, wanted in zip(evaluate(q, [A]), evaluate(p, [A]), strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-9, atol=1e-9 * np.abs(wanted).max(initial=1))


@pytest.mark.parametrize("name", READ)
def test_of_open_sizes_only_those_that_are_known_to_be_long_are_reduced(name: str) -> None:
    assert "svd" not in READ[name] or one_sided(program(READ[name])) is program(READ[name])
    text = "def f(A: f64[n, 2*n + 1]):\n    U, s, V = svd(A)\n    return U, s"
    assert "qr_triangle" in names(one_sided(check(Source(text, "long.tp")).programs["f"]))


# ---- the same factorization in two places

APART = {
    "a derivative of a loop": (
        "def loss(A: f64[N, M], c: f64[N], x: f64[4]) -> f64:\n    scan i in 4:\n"
        "        U, s, V = svd(A + x[i] * A^2)\n        Y[i] = U\n"
        "    z[i, k] = sum[j](c[j] * Y[i, j, k])\n    return sum((arange(min(N, M), dtype=f64) + 1) * z^2)\n\n"
        "def f(A: f64[N, M], c: f64[N], x: f64[4]) = grad(loss, A)(A, c, x)\n"
    ),
    "a branch": (
        "def f(A: f64[N, M], c: f64):\n    U, s, V = svd(A)\n    if c > 0:\n        P, t, Q = svd(A)\n"
        "        y = P @ diag(t) @ V\n    else:\n        y = A\n    return y\n"
    ),
}


@pytest.mark.parametrize("backend", ["numpy", "torch", "llvm"])
@pytest.mark.parametrize("shape", [(2, 4), (3, 7), (7, 3), (5, 11), (12, 40)])
def test_signs_are_those_of_the_whole(shape: tuple[int, int], backend: str) -> None:
    for seed in range(3):
        rng = np.random.default_rng(seed)
        A, c, x = rng.standard_normal(shape), rng.standard_normal(shape[0]), rng.standard_normal(4)
        branch, derivative = (
            tpc.compile(
                APART[name].replace("N", str(shape[0])).replace("M", str(shape[1])), backend=backend, function="f"
            )
            for name in ("a branch", "a derivative of a loop")
        )
        np.testing.assert_allclose(branch(A, 1.0), A, atol=1e-12)
        variable = torch.tensor(A, requires_grad=True)
        U = torch.linalg.svd(variable + torch.tensor(x)[:, None, None] * variable**2, full_matrices=False)[0]
        weights = torch.arange(1.0, min(shape) + 1, dtype=torch.float64)
        ((torch.tensor(c) @ U) ** 2 * weights).sum().backward()
        scale = float(variable.grad.abs().max())
        np.testing.assert_allclose(derivative(A, c, x), variable.grad, atol=1e-8 * scale)


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("shape", [(2, 4), (4, 2), (3, 10), (10, 3)])
def test_gradients_of_torch_meet_the_same_signs(shape: tuple[int, int], dtype: torch.dtype, backend: str) -> None:
    name = "f64" if dtype is torch.float64 else "c128"
    text = f"def f(A: {name}[{shape[0]}, {shape[1]}]):\n    U, s, V = svd(A)\n    return U\n"
    f = tpc.compile(text, backend=backend)
    for seed in range(3):
        A = torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed), requires_grad=True)
        b, w = torch.randn(shape[0], dtype=dtype), torch.arange(1.0, min(shape) + 1, dtype=torch.float64)
        found, wanted = (
            torch.autograd.grad(((b @ U).abs() ** 2 * w).sum(), A)[0]
            for U in (f(A), torch.linalg.svd(A, full_matrices=False)[0])
        )
        torch.testing.assert_close(found, wanted, rtol=1e-7, atol=1e-7 * float(wanted.abs().max()))


@pytest.mark.parametrize("name", ["left", "right, multiples of few", "right, multiples of some", "in a loop"])
def test_wide_matrices_are_reduced_to_triangles(name: str) -> None:
    assert set(shapes(planned(READ[name], 3, 9), "svd")) == {(3, 3)}


@pytest.mark.parametrize("name", ["right", "left, multiples of few", "left, multiples of all"])
def test_tall_matrices_are_reduced_to_triangles(name: str) -> None:
    assert set(shapes(planned(READ[name], 9, 3), "svd")) == {(3, 3)}


def test_what_is_made_of_multiples_is_reduced_as_well() -> None:
    assert shapes(planned(READ["two in a row"], 4, 90), "svd") == [(4, 4), (2, 2)]


KEPT = {
    "all": "U, s, V = svd(A)\nreturn U, s, V",
    "vectors of the long side": "U, s, V = svd(A)\nreturn V[:2]",
    "multiples and vectors": "U, s, V = svd(A)\nreturn unsqueeze(s, 1) * V, V[:1]",
    "other multiples": "U, s, V = svd(A)\nreturn unsqueeze(s[:1], 1) * V[1:2]",
    "one vector": "U, s, V = svd(A)\nreturn s[0] * V[0]",
    "taken by a loop": "U, s, V = svd(A)\nx = s\nrepeat 3:\n    x = x + V @ (x @ V)\nreturn x",
    "both factors": "Q, R = qr(A)\nreturn Q, R",
}


@pytest.mark.parametrize("name", KEPT)
def test_what_reads_the_other_side_stays(name: str) -> None:
    p = with_sizes(program(KEPT[name]), {"n": 3, "m": 90})
    assert one_sided(p) is p


@pytest.mark.parametrize(("n", "m"), [(5, 5), (5, 9), (9, 5)])
def test_matrices_that_are_not_long_stay(n: int, m: int) -> None:
    assert "qr_triangle" not in names(planned(READ["left"], n, m))
    assert "qr_triangle" not in names(planned(READ["right"], n, m))


def test_half_precision_is_not_rounded_in_between() -> None:
    assert "qr_triangle" not in names(planned(READ["left"], 3, 90, "f16"))


def test_complex_matrices() -> None:
    p = program("U, s, V = svd(A)\nreturn U[:, :2] @ (diag(s[:2]) @ V[:2, :])", "c128")
    q = run(p, Options(sizes={"n": 4, "m": 20})).program
    assert shapes(q, "svd") == [(4, 4)]
    A, B = np.random.default_rng(0).standard_normal((2, 4, 20))
    (wanted,), (value,) = evaluate(p, [A + 1j * B]), evaluate(q, [A + 1j * B])
    np.testing.assert_allclose(value, wanted, rtol=1e-9, atol=1e-9)


def test_errors_name_the_matrix() -> None:
    f = tpc.compile("def f(A: f64[3, 90]):\n    U, s, V = svd(A)\n    return U\n", backend="numpy")
    with pytest.raises((ValueError, TpcError), match=" A has entries that are NaN or infinite"):
        f(np.full((3, 90), np.nan))


def test_bitwise_plans_keep_the_whole() -> None:
    p = program(READ["left"])
    assert "qr_triangle" not in names(run(p, Options(sizes={"n": 3, "m": 90}, mode="bitwise")).program)
