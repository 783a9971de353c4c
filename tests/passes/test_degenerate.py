"""Derivatives by eigenvectors and singular vectors where values are equal, and of pseudo-inverses where the rank falls.

Where the result is the same for every basis the derivative is right; elsewhere it is refused, never NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import linalg

import tpc
from tpc.dsl.diagnostics import TpcError

rng = np.random.default_rng(0)
TURN = np.linalg.qr(rng.standard_normal((4, 4)))[0]
TWICE = TURN @ np.diag([1.0, 1.0, 2.0, 3.0]) @ TURN.T
TWICE = (TWICE + TWICE.T) / 2
WEIGHTS = rng.standard_normal((4, 4))
WEIGHTS = WEIGHTS + WEIGHTS.T
ROUND = np.eye(4)
TALL = np.eye(5)[:, :3]
LOW = np.outer(rng.standard_normal(5), rng.standard_normal(3))
OTHER = rng.standard_normal((5, 3))


def gradient(body: str, A: Any, B: Any, facts: str = "", kind: str = "grad") -> Any:
    shape = "n, n" if facts else "n, m"
    types = f"A: f64[{shape}]{facts}, B: f64[{shape}]"
    text = f"def f({types}) -> f64:\n    {body}\n\ndef main({types}) = {kind}(f, A)(A, B)\n"
    return tpc.compile(text, function="main", backend="numpy")(A, B)


def differences(value: Callable[[Any], float], A: Any, is_symmetric: bool) -> Any:
    """The gradient, within symmetric matrices if they are."""
    found = np.zeros_like(A)
    for place in np.ndindex(A.shape):
        way = np.zeros_like(A)
        way[place] += 1
        way = (way + way.T) / 2 if is_symmetric else way
        found[place] = (value(A + 1e-5 * way) - value(A - 1e-5 * way)) / 2e-5
    return found


SYMMETRIC = {
    "eigenvalues": ("return sum(w^3 + 0 * B[0])", lambda A: np.sum(np.linalg.eigvalsh(A) ** 3)),
    "the plane of both": (
        "return sum((Q[:, :2] @ Q[:, :2]') * B)",
        lambda A: (lambda Q: np.sum(Q @ Q.T * WEIGHTS))(np.linalg.eigh(A)[1][:, :2]),
    ),
    "the plane of both, one by one": (
        "return sum((outer(Q[:, 0], Q[:, 0]) + outer(Q'[1], Q'[1])) * B)",
        lambda A: (lambda Q: np.sum(Q @ Q.T * WEIGHTS))(np.linalg.eigh(A)[1][:, :2]),
    ),
    "a vector beside them": (
        "return sum(outer(Q[:, 3], Q[:, 3]) * B)",
        lambda A: (lambda q: q @ WEIGHTS @ q)(np.linalg.eigh(A)[1][:, 3]),
    ),
    "an exponential": (
        "return sum((Q @ diag(exp(w)) @ Q') * B)",
        lambda A: np.sum(linalg.expm(A) * WEIGHTS),
    ),
    "a polynomial": (
        "return sum(((Q * (2 * w^2 - w + 1)) @ Q') * B)",
        lambda A: np.sum((2 * A @ A - A + np.eye(4)) * WEIGHTS),
    ),
}


@pytest.mark.parametrize("name", SYMMETRIC)
def test_what_no_basis_changes_is_right(name: str) -> None:
    body, value = SYMMETRIC[name]
    found = gradient(f"w, Q = eigh(A)\n    {body}", TWICE, WEIGHTS, " is symmetric")
    np.testing.assert_allclose(found, differences(value, TWICE, True), atol=1e-6 * (1 + np.abs(found).max()))


def test_the_polar_factor_where_all_singular_values_are_equal() -> None:
    found = gradient("U, s, W = svd(A)\n    return sum((U @ W) * B)", TALL, OTHER)
    np.testing.assert_allclose(found, differences(lambda A: np.sum(linalg.polar(A)[0] * OTHER), TALL, False), atol=1e-8)


def test_the_first_singular_vectors_of_a_matrix_of_rank_one() -> None:
    found = gradient("U, s, W = svd(A)\n    return sum(outer(U[:, 0], W[0, :]) * B)", LOW, OTHER)

    def value(A: Any) -> float:
        U, _, W = np.linalg.svd(A)
        return float(U[:, 0] @ OTHER @ W[0])

    np.testing.assert_allclose(found, differences(value, LOW, False), atol=1e-7)


REFUSED = {
    "one vector of two": ("w, Q = eigh(A)\n    return sum(outer(Q[:, 0], Q[:, 0]) * B)", TWICE, WEIGHTS, "distinct"),
    # at rest at the bases that LAPACK finds of these
    "one vector of all": ("w, Q = eigh(A)\n    return sum(Q[:, 0]^3) + 0 * B[0, 0]", ROUND, WEIGHTS, "distinct"),
    "a plane of all": ("w, Q = eigh(A)\n    return sum(Q[:, n - 2:]^3) + 0 * B[0, 0]", ROUND, WEIGHTS, "distinct"),
    "one left vector of all": ("U, s, W = svd(A)\n    return sum(U[:, 0]^3) + 0 * B[0, 0]", TALL, OTHER, "distinct"),
    "one right vector of all": ("U, s, W = svd(A)\n    return sum(W'[:, 0]^3 * B[0])", TALL, OTHER, "distinct"),
    "an unknown function": ("w, Q = eigh(A)\n    return sum((Q @ diag(sin(w)) @ Q') * B)", TWICE, WEIGHTS, "distinct"),
    "a polar factor of low rank": ("U, s, W = svd(A)\n    return sum((U @ W) * B)", LOW, OTHER, "full rank"),
    "a pseudo-inverse": ("return sum(pinv(A) * B')", LOW, OTHER, "full rank"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_derivative_is_told(name: str) -> None:
    body, A, B, why = REFUSED[name]
    with pytest.raises(TpcError) as caught:
        gradient(body, A, B, " is symmetric" if A is TWICE or A is ROUND else "")
    assert caught.value.diagnostics[0].code == "E0815" and why in caught.value.diagnostics[0].title


def test_distinct_eigenvalues_are_no_matter() -> None:
    """What is refused above is right where it can be."""
    A = TURN @ np.diag([1.0, 1.5, 2.0, 3.0]) @ TURN.T
    A = (A + A.T) / 2
    found = gradient("w, Q = eigh(A)\n    return sum((Q @ diag(sin(w)) @ Q') * B)", A, WEIGHTS, " is symmetric")
    np.testing.assert_allclose(
        found, differences(lambda A: np.sum(linalg.funm(A, np.sin).real * WEIGHTS), A, True), atol=1e-6
    )
