"""Loops, branches and what is scattered, inside of native functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tpc.backends.llvm import engine
from tpc.backends.llvm.fusion.loop import Loop
from tpc.backends.llvm.lower import _sequence, lower, refusal
from tpc.ir.reference import evaluate

from .calls import Function, compare, program

SIZES = [{"n": 5, "m": 3}, {"n": 1, "m": 1}, {"n": 0, "m": 2}, {"n": 4, "m": 0}, {"n": 33, "m": 7}, {"n": 31, "m": 65}]

LOOPS = {
    "until": (
        "def f(A: T[n, n], x: T[n], tol: T):\n"
        "    v, k = x, 0\n"
        "    repeat 100 until norm(A @ v) <= tol:\n"
        "        v = 0.02 * tanh(A @ v)\n"
        "        k = k + 1\n"
        "    return v, k, A @ v"
    ),
    "stacked": (
        "def f(A: T[m, n], x: T[n]):\n"
        "    s = x\n"
        "    scan i in m:\n"
        "        s = s * 0.5 + A[i]\n"
        "        y[i] = sum(s) + i\n"
        "        z[i] = exp(-abs(s))\n"
        "    return s, y, z"
    ),
    "exchanged": (
        "def f(x: T[n], y: T[n], most: i64):\n"
        "    a, b = x, y\n"
        "    repeat most:\n"
        "        a, b = b, a\n"
        "    return a, b, a - b"
    ),
    "nested": (
        "def f(x: T[n], y: T[n]):\n"
        "    a, b = exp(x), y\n"
        "    repeat 3:\n"
        "        repeat 2:\n"
        "            a = a * 0.5 + y\n"
        "        b = b + sum(a)\n"
        "    return a, b, exp(x), zeros(n) + b"
    ),
    "branches": (
        "def f(x: T[n], y: T[n], s: T):\n"
        "    a, k = x, 0\n"
        "    repeat 5 until k >= 4:\n"
        "        if sum(a) > s:\n"
        "            a = a * 0.5\n"
        "        else:\n"
        "            a = a + y\n"
        "            k = k + 1\n"
        "    if s > 0:\n"
        "        b = exp(a)\n"
        "    else:\n"
        "        b = a\n"
        "    return a, b, k"
    ),
    "scattered": (
        "def f(x: T[n, m], at: i64[7], u: T[7, m], w: T[7]):\n"
        "    y = scatter_add(x, at, u * 2)\n"
        "    return y, segment_sum(w, at, n), exp(segment_sum(u, at, 3)), sum(y, axis=0)"
    ),
    "scattered in a loop": (
        "def f(x: T[n], at: i64[7], w: T[7]):\n"
        "    y = x\n"
        "    repeat 3:\n"
        "        y = scatter_add(y / 2, at, w)\n"
        "    return y"
    ),
    "scattered where it is": (
        "def f(x: T[n], at: i64[7], w: T[7]):\n"
        "    y, z = x, x\n"
        "    repeat 3 until sum(y) > 100:\n"
        "        y, z = scatter_add(y, at, w * sum(y)), scatter_add(z, at, w)\n"
        "    return x, y, z"
    ),
    "read after it is scattered": (
        "def f(x: T[n], at: i64[7], w: T[7]):\n"
        "    y, z = x, x\n"
        "    repeat 3:\n"
        "        u = scatter_add(y, at, w)\n"
        "        y, z = u, z * u + y\n"
        "    return y, z"
    ),
    "scattered and exchanged": (
        "def f(x: T[n], at: i64[7], w: T[7]):\n"
        "    y, z = x, 2 * x\n"
        "    repeat 3:\n"
        "        y, z = scatter_add(z, at, w), scatter_add(y, at, w)\n"
        "    return y, z"
    ),
    "scattered and stacked": (
        "def f(x: T[n], at: i64[7], w: T[7]):\n"
        "    y = x\n"
        "    scan i in 7:\n"
        "        z = y\n"
        "        repeat 2:\n"
        "            z = scatter_add(z, [at[i]], [w[i]])\n"
        "        y = scatter_add(z, [at[6 - i]], [w[i] * sum(y)])\n"
        "        rows[i] = y\n"
        "    return y, rows"
    ),
}


def arguments(whole: Any, sizes: dict[str, int]) -> list[Any]:
    from .test_nests import arguments

    draw = np.random.default_rng(1)
    made = arguments(whole, sizes)
    for position, node in enumerate(whole.inputs):
        if node["name"] == "at":  # beyond the ends too, where nothing is added
            made[position] = draw.integers(-2, sizes["n"] + 2, 7)
        elif node["name"] == "most":
            made[position] = np.int64(3)
    return made


@pytest.mark.parametrize("dtype", ["f64", "f32"])
@pytest.mark.parametrize("name", LOOPS)
def test_loops(name: str, dtype: str) -> None:
    whole = program(LOOPS[name].replace("T[", f"{dtype}[").replace(": T", f": {dtype}"))
    function = Function(whole)
    room = 1e-11 if dtype == "f64" else 1e-4
    for sizes in SIZES:
        arrays = arguments(whole, sizes)
        wanted = evaluate(whole, arrays, sizes)
        for value, right in zip(function(arrays, sizes), wanted, strict=True):
            assert value.shape == np.shape(right)
            np.testing.assert_allclose(value, right, rtol=room, atol=room)


@pytest.mark.parametrize(
    ("name", "stay"),
    [("scattered in a loop", [False]), ("scattered where it is", [True, True])]
    + [("read after it is scattered", [False, False]), ("scattered and exchanged", [False, False])],
)
def test_what_is_only_added_to_stays_where_it_is(name: str, stay: list[bool]) -> None:
    whole = program(LOOPS[name].replace("T[", "f64["))
    (loop,) = (step for step in _sequence(whole, False)[1].steps if isinstance(step, Loop))
    assert [one is other for one, other in loop.spare] == stay


@pytest.mark.parametrize("most", [0, 1, 2, 5])
def test_state_that_takes_turns_ends_in_the_right_buffer(most: int) -> None:
    draw = np.random.default_rng(0)
    compare(LOOPS["exchanged"].replace("T[", "f64["), [*draw.standard_normal((2, 9)), np.int64(most)])


def test_operands_stay_as_they_are() -> None:
    """The first pass reads the state where the caller has it, and no pass writes there."""
    whole = program("def f(x: f64[n]):\n    a = x\n    repeat 3:\n        a = a + 1\n    return a, x")
    kept = np.arange(5.0)
    changed, same = Function(whole)([kept])
    np.testing.assert_array_equal(changed, kept + 3)
    np.testing.assert_array_equal(same, kept)


def test_errors_inside_of_a_loop_are_told() -> None:
    text = "def f(x: f64[n], at: i64[m]):\n    a = x\n    repeat 2:\n        a = a + sum(take(x, at))\n    return a"
    compare(text, [np.arange(4.0), np.array([0, 3])])
    with pytest.raises(IndexError, match="outside of an array"):
        Function(program(text))([np.arange(4.0), np.array([0, 4])])


def test_a_reduction_of_nothing_fails_only_where_it_is_reached() -> None:
    text = "def f(x: f64[n], most: i64):\n    a = 0.0\n    repeat most:\n        a = a + max(x)\n    return a"
    compare(text, [np.zeros(0), np.int64(0)])
    with pytest.raises(ValueError, match="of no entries has no value"):
        Function(program(text))([np.zeros(0), np.int64(1)])


def test_threads_change_no_bit_in_a_loop() -> None:
    whole = program(LOOPS["until"].replace("T[", "f64[").replace(": T", ": f64"))
    draw = np.random.default_rng(0)
    arrays = [draw.standard_normal((1100, 1100)) / 40, draw.standard_normal(1100), 1e-3]
    function = Function(whole)
    try:
        engine.set_threads(1)
        alone = function(arrays)
        engine.set_threads(2)
        for value, right in zip(function(arrays), alone, strict=True):
            np.testing.assert_array_equal(value, right)
    finally:
        engine.set_threads(None)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "def f(A: f64[n, n]):\n    X = A\n    repeat 2:\n        X = expm(X)\n    return X",
            "inside of `repeat`: `expm` has no formula",
        ),
        ("def f(x: c128[n], at: i64[m], u: c128[m]) = scatter_add(x, at, u)", "c128 has no native code"),
        ("def f(x: f64[n], at: i64[m], u: f32[m]) = scatter_add(x, at, u)", "`scatter_add` of f64 has no native code"),
    ],
)
def test_refusals(text: str, reason: str) -> None:
    assert reason in [refusal(node) for node in program(text).nodes]


def test_equal_functions_have_equal_text() -> None:
    whole = program(LOOPS["nested"].replace("T[", "f64["))
    assert lower(whole, "f").ir == lower(whole, "f").ir
