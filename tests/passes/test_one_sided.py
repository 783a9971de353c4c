"""Factorizations of which one side alone is read."""

from __future__ import annotations

import numpy as np
import pytest

import tpc
from tpc.dsl.diagnostics import TpcError
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.ir.node import Program
from tpc.ir.reference import evaluate
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
    p = program(READ[name])
    q = one_sided(p, dict(zip("nm", shape, strict=True)))
    assert one_sided(q, dict(zip("nm", shape, strict=True))) is q
    A = np.random.default_rng(0).standard_normal(shape)
    for value, wanted in zip(evaluate(q, [A]), evaluate(p, [A]), strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-9, atol=1e-9 * np.abs(wanted).max())


@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (1, 1), (1, 5), (5, 1), (6, 2)])
def test_plans_for_open_sizes_hold_for_all(shape: tuple[int, int]) -> None:
    """Chosen for a wide matrix, and called with others."""
    p = program("U, s, V = svd(A)\nreturn U @ U', s, abs(unsqueeze(s, 1) * V)")
    q = one_sided(p, {"n": 3, "m": 100})
    assert "qr_triangle" in names(q)
    A = np.random.default_rng(1).standard_normal(shape)
    for value, wanted in zip(evaluate(q, [A]), evaluate(p, [A]), strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-9, atol=1e-12)


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
    p = program(KEPT[name])
    assert one_sided(p, {"n": 3, "m": 90}) is p


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
