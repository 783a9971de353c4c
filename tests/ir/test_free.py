"""Functions that a field has no meaning for: random, but consistent, and some laws of theirs are kept."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tpc.dsl.diagnostics import TpcError
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.ir.free import FreeFunctions
from tpc.ir.reference import EXACT, Domain, evaluate, modular
from tpc.ir.residue import Gaussian, Residue, square_root

PRIMES = (2**61 - 1, 2**127 - 1)


def numbers(prime: int, shape: Sequence[int], seed: int = 0) -> Any:
    rng = random.Random(seed)
    out = np.empty(tuple(shape), dtype=object)
    for place in np.ndindex(out.shape):
        out[place] = Residue(rng.randrange(1, prime), prime)
    return out


def domain(prime: int = PRIMES[0], seed: int = 0) -> Domain:
    return modular(prime, FreeFunctions(prime, seed))


def value(text: str, *arrays: Any, domain: Domain) -> Any:
    checked = check(Source(f"{text}\n"))
    checked.diagnostics.raise_errors()
    (result,) = evaluate(next(iter(checked.programs.values())), arrays, domain=domain)
    return result


# ---- numbers


@pytest.mark.parametrize("prime", PRIMES)
def test_every_residue_has_a_root(prime: int) -> None:
    kinds = set()
    for x in numbers(prime, [40]):
        root = square_root(x)
        assert root * root == x
        kinds.add(type(root))
        if isinstance(root, Residue):
            assert isinstance(square_root(root), Residue)
    assert kinds == {Residue, Gaussian}


@pytest.mark.parametrize("prime", PRIMES)
def test_roots_make_a_field(prime: int) -> None:
    a, b, c, d, e = numbers(prime, [5])
    x, y = Gaussian(a.value, b.value, prime), Gaussian(c.value, d.value, prime)
    assert (x + y) * e == x * e + y * e and (x - y) + y == x and e - x == -(x - e) and 2 * x == x + x
    assert x * y / y == x and e / x * x == e and x / e * e == x and x**-2 * x**3 == x and x**0 == 1
    assert x - x == 0 and isinstance(x - x, Residue) and x != y and x != e and hash(x) == hash(x + 0)


def test_a_residue_as_an_integer_is_the_one_nearest_to_zero() -> None:
    assert [int(Residue(n, 7)) for n in range(7)] == [0, 1, 2, 3, -3, -2, -1]


# ---- functions

LAWS = {
    "sqrt(x) * sqrt(x)": "x",
    "rsqrt(x) * sqrt(x)": "x / x",
    "x^0.5": "sqrt(x)",
    "abs(-x)": "abs(x)",
    "abs(x) * abs(y)": "abs(x * y)",
    "sign(x) * abs(x)": "x",
    "relu(x) - relu(-x)": "x",
    "maximum(x, y) + minimum(x, y)": "x + y",
    "maximum(-x, -y)": "-minimum(x, y)",
    "select(x > y, x, y)": "maximum(x, y)",
    "exp(x + y)": "exp(y + x)",
    "softmax(x)": "softmax(x)",
    "log(det(outer(x, y) + eye(n)))": "logdet(outer(x, y) + eye(n))",
    "0.1 * x + 0.2 * x": "0.3 * x",
}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("prime", PRIMES)
def test_laws_that_hold(law: str, prime: int) -> None:
    x, y = numbers(prime, [3], 1), numbers(prime, [3], 2)
    left, right = (
        value(f"def f(x: f64[n], y: f64[n]) = {side}", x, y, domain=domain(prime)) for side in (law, LAWS[law])
    )
    assert np.all(left == right)


@pytest.mark.parametrize("wrong", ["exp(x) = exp2(x)", "exp(x) = exp(y)", "sqrt(x) = -sqrt(x)", "max(x) = max(y)"])
def test_what_is_different_differs(wrong: str) -> None:
    x, y = numbers(PRIMES[0], [3], 1), numbers(PRIMES[0], [3], 2)
    left, right = (value(f"def f(x: f64[n], y: f64[n]) = {side}", x, y, domain=domain()) for side in wrong.split(" = "))
    assert not np.any(left == right)


def test_another_seed_is_another_function() -> None:
    x = numbers(PRIMES[0], [3])
    first, second = (value("def f(x: f64[n]) = exp(x)", x, domain=domain(seed=seed)) for seed in (0, 1))
    assert not np.any(first == second)


def test_a_cholesky_factor_times_its_transpose_is_the_matrix() -> None:
    A = numbers(PRIMES[0], [4, 4])
    S = A + A.T
    assert np.all(value("def f(S: f64[n, n]) = cholesky(S) @ cholesky(S)'", S, domain=domain()) == S)
    assert np.all(np.triu(value("def f(S: f64[n, n]) = cholesky(S)", S, domain=domain()), 1) == 0)


def test_loops_end_after_some_passes() -> None:
    text = "def f(x: f64[n]):\n    repeat 50:\n        x = 2 * x\n    return x"
    assert value(text, numbers(7, [1]) * 0 + 1, domain=modular(2**61 - 1, None, 3))[0] == 8
    assert value(text, [1.0], domain=Domain("float", passes=3))[0] == 8


def test_without_free_functions_there_is_no_meaning() -> None:
    for plain in (EXACT, modular()):
        with pytest.raises(TpcError):
            value("def f(x: f64[n]) = exp(x)", [1, 2], domain=plain)
