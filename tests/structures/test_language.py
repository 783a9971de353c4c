"""Structures in programs: definitions, composed letters, parameters in parts, and how callers give them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tpc
from tpc.dsl.diagnostics import Diagnostics, TpcError
from tpc.dsl.format import format_module
from tpc.dsl.parser import parse
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import Checked, check

rng = np.random.default_rng(1)
U, V, x = (rng.standard_normal(shape) for shape in ((6, 2), (5, 2), (5,)))

LOW_RANK = "W: low_rank(U: f64[m, r], V: f64[n, r]), x: f64[n]"
PROGRAM = f"""
def f({LOW_RANK}) = W @ x

def whole({LOW_RANK}) = f(W, x)

def of_call(A: f64[m, r], B: f64[n, r], x: f64[n]) = f(low_rank(A, B), x)

def of_parts(A: f64[m, r], B: f64[n, r], x: f64[n]) = f((A, B), x) + f(W=(A, B), x=x) + f(A, B, x)

def loss({LOW_RANK}) = sum((W @ x)^2)

def slope({LOW_RANK}) = grad(loss, W)(W, x)
"""


def checked(text: str) -> Checked:
    found = check(Source(text))
    assert not found.diagnostics.items, found.diagnostics.items
    return found


def message(text: str) -> str:
    found = check(Source(text)).diagnostics.errors
    assert found
    return f"{found[0].code}: {found[0].title}"


# ---- definitions


@pytest.mark.parametrize(
    "text",
    [
        "structure pair(U: [m, r], V: [n, r]): W[i, j] = sum[s](U[i, s] * V[j, s])\n",
        "structure joined(A: [m, n], B: [p, q]) where m > p:\n    K[(i k), (j l)] = A[i, j] * B[k, l]\n    W = 2 * K\n",
        "def f(W: pair(U: f64[m, r] is nonnegative, V=U, n), x: f64[n]) = W @ x\n",
    ],
)
def test_the_formatter_keeps_them(text: str) -> None:
    diagnostics = Diagnostics()
    module = parse(Source(text), diagnostics)
    assert not diagnostics.items
    assert format_module(module) == text


def test_the_word_is_a_name_elsewhere() -> None:
    checked("def f(structure: f64[n]):\n    y = 2 * structure\n    return y + structure\n")


def test_composed_letters_join_axes_in_any_index_statement() -> None:
    f = tpc.compile("def f(A: f64[m, n], B: f64[p, q]):\n    K[(i k), (j l)] = A[i, j] * B[k, l]\n    return K\n")
    np.testing.assert_allclose(f(U, V[:3]), np.kron(U, V[:3]))


def test_a_letter_takes_the_extent_of_what_it_is_compared_with() -> None:
    f = tpc.compile("def f(x: f64[n]):\n    D[i, j] = select(i == j, x[i], 0)\n    return D\n")
    np.testing.assert_array_equal(f(x), np.diag(x))


def test_a_program_has_structures_of_its_own() -> None:
    f = tpc.compile(
        "structure low_rank(U: [m, r], V: [n, r]): W[i, j] = 2 * sum[s](U[i, s] * V[j, s])\n"
        f"def f({LOW_RANK}) = W @ x\n"
    )
    np.testing.assert_allclose(f(U, V, x), 2 * U @ (V.T @ x))


def test_structures_are_imported(tmp_path: Path) -> None:
    (tmp_path / "mine.tp").write_text("structure double(A: [m, n]): W[i, j] = 2 * A[i, j]\n")
    (tmp_path / "main.tp").write_text('use "mine.tp"\n\ndef f(W: double(A: f64[m, n]), x: f64[n]) = W @ x\n')
    np.testing.assert_allclose(tpc.load(tmp_path / "main.tp").f(U, x[:2]), 2 * U @ x[:2])


def test_parts_may_be_structures_again() -> None:
    f = tpc.compile(
        "def f(W: low_rank(U: block_diag(B: f64[g, a, r]), V: f64[n, g*r]), x: f64[n]) = W @ x\n",
    )
    B = rng.standard_normal((2, 3, 1))
    blocks = np.zeros((6, 2))
    blocks[:3, 0], blocks[3:, 1] = B[0, :, 0], B[1, :, 0]
    np.testing.assert_allclose(f((B, V), x), blocks @ (V.T @ x))


def test_one_part_may_stand_in_two_places() -> None:
    text = "def f(W: low_rank(U: f64[n, r], V=U), x: f64[n]) = W @ x\n"
    program = checked(text).programs["f"]
    assert [node["name"] for node in program.inputs] == ["W_U", "x"]
    np.testing.assert_allclose(tpc.compile(text)(V, x), V @ (V.T @ x))


def test_values_that_are_no_parts() -> None:
    f = tpc.compile("def f(W: from_diagonals(D: f64[3, n], below=1, n), x: f64[n]) = W @ x\n")
    D = rng.standard_normal((3, 5))
    expected = np.diag(D[0, 1:], -1) + np.diag(D[1]) + np.diag(D[2, :-1], 1)
    np.testing.assert_allclose(f((D,), x), expected @ x)


def test_the_text_of_a_program_parses_back() -> None:
    for text in (PROGRAM, f"def f({LOW_RANK}) = low_rank(W_U, W_V) @ x + W @ x\n"):
        for name, program in checked(text).programs.items():
            assert check(Source(str(program))).programs[name] is program


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("structure s(A: [m, n]):\n    return A\ndef f(x: f64) = x", "E0316: `s` does not end with its dense meaning"),
        (
            f"def f({LOW_RANK}) = W @ x\ndef g(A: f64[m, r], x: f64[m]) = f((A,), x)",
            "E0317: `W` of `f` is given by its parts",
        ),
        (
            f"def f({LOW_RANK}) = W @ x\ndef g(A: f64[m, m], x: f64[m]) = f(x=x, W=A)",
            "E0317: `W` of `f` is given by its parts",
        ),
        (
            "def f(W: low_rank(U: f64[m, r], V: f64[n, r] = 2), x: f64[n]) = W @ x",
            "E0317: the part `V` of `W` cannot have a default",
        ),
        ("def f(W: low_rnk(U: f64[m, r]), x: f64[r]) = W @ x", "E0301: `low_rnk` is not a function"),
        (
            "def f(W: low_rank(U: f64[m, r], V: f64[n, s]), x: f64[n]) = W @ x",
            "E0203: `V` of `low_rank` has s entries on an axis where r are needed",
        ),
    ],
)
def test_messages(text: str, expected: str) -> None:
    assert message(text) == expected


# ---- calls


def test_calls_within_the_language() -> None:
    program = tpc.compile(PROGRAM, function="of_parts")
    np.testing.assert_allclose(program(U, V, x), 3 * U @ (V.T @ x))
    for name in ("whole", "of_call"):
        np.testing.assert_allclose(tpc.compile(PROGRAM, function=name)(U, V, x), U @ (V.T @ x))


def test_gradients_are_those_of_the_parts() -> None:
    by_U, by_V = tpc.compile(PROGRAM, function="slope")((U, V), x)
    y = U @ (V.T @ x)
    np.testing.assert_allclose(by_U, 2 * np.outer(y, V.T @ x))
    np.testing.assert_allclose(by_V, 2 * np.outer(x, U.T @ y))


def test_every_way_to_give_the_parts() -> None:
    f: Any = tpc.compile(PROGRAM, function="f")
    expected = U @ (V.T @ x)
    parts = {"V": V, "U": U}
    for found in (
        f(U, V, x),
        f((U, V), x),
        f(parts, x),
        f(x=x, W=(U, V)),
        f(W_U=U, W_V=V, x=x),
        f(x=x, **{"W.U": U, "W.V": V}),
    ):
        np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((U,), "`W` has 2 parts, and 1 is given"),
        ({"U": U, "C": V}, "`W` has no part `C`"),
        ({"U": U}, "`W` is not given its part `V`"),
        ((U, V[:, :1]), "`W_V` has 1 column, but r is 2"),
    ],
)
def test_wrong_parts(given: Any, expected: str) -> None:
    with pytest.raises(TpcError, match=expected):
        tpc.compile(PROGRAM, function="f")(given, x)


def test_loops_take_the_parts_inside() -> None:
    head = "def f(W: low_rank(U: f64[n, 2], V: f64[n, 2]), x: f64[n]):"
    text = f"{head}\n    y = x\n    repeat 9:\n        y = W @ y\n    return y\n"
    f = tpc.compile(text, dims={"n": 400})
    A, B = rng.standard_normal((2, 400, 2)) / 20
    y = z = rng.standard_normal(400)
    for _ in range(9):
        z = A @ (B.T @ z)
    np.testing.assert_allclose(f((A, B), y), z, atol=1e-12)
    types = [node.type for node in f.plan.program.walk() if not isinstance(node.type, tuple)]
    assert not any(type.dims == (400, 400) for type in types)
