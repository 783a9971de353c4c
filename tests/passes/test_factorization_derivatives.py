"""First and second derivatives of linear algebra of real and complex matrices, beside differences of the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.passes.test_random_derivatives import assert_derivatives, main

import tpc
from tpc.dsl.diagnostics import TpcError
from tpc.ir.reference import evaluate
from tpc.passes.differentiate import derivative

SQUARE, TALL, WIDE = [(3, 3), (1, 1), (0, 0)], [(4, 2), (3, 1), (2, 0)], [(2, 4), (1, 3), (0, 2)]
DEFINITE = "S = A @ adjoint(A) + eye(rows(A))\n    "

# The body of a function of A and of a vector b with as many entries as A has rows, and the shapes that it is for.
PROGRAMS: dict[str, tuple[str, list[tuple[int, int]]]] = {
    "pinv": ("return pinv(A)", [(3, 3), (1, 1), *TALL[:2], *WIDE[:2]]),
    "lstsq of a vector": ("return lstsq(A, b)", [(3, 3), *TALL[:2], *WIDE[:2]]),
    "lstsq of a matrix": ("return lstsq(A, outer(b, b) + eye(rows(A)))", [(3, 3), *TALL[:2], *WIDE[:2]]),
    "lu": ("P, L, U = lu(A)\n    return P @ sin(L), U", [*SQUARE, *TALL, *WIDE]),
    "qr": ("Q, R = qr(A)\n    return sum(abs(Q)^3, axis=1) * b, R @ adjoint(R)", [*SQUARE, *TALL, *WIDE]),
    "det": ("return det(A)", SQUARE),
    "slogdet": ("sign, value = slogdet(A)\n    return sign * value, value * sign^2", SQUARE),
    "eigenvalues": ("w, V = eig(A)\n    return w", SQUARE),
    "eigenvalues and vectors": ("w, V = eig(A)\n    return w * sum(abs(V)^3, axis=0), abs(inv(V) @ b)", SQUARE[:2]),
    "a function of a matrix by its eigenvectors": ("w, V = eig(A)\n    return V @ diag(exp(w)) @ inv(V)", SQUARE[:2]),
    "expm": ("return expm(A) @ b", SQUARE),
    "expm of a symmetric matrix": ("return expm(A + A') @ b", SQUARE),
    "logm": (DEFINITE + "return logm(S + 0.1 * A)", SQUARE),
    "logm of a definite matrix": (DEFINITE + "return logm(S) @ b", SQUARE),
    "sqrtm": (DEFINITE + "return sqrtm(S + 0.1 * A)", SQUARE),
    "sqrtm of a definite matrix": (DEFINITE + "return sqrtm(S) @ b", SQUARE),
    "a whole power": ("return matpow(A, 3), matpow(A, -2)", SQUARE),
    "a power that varies": (DEFINITE + "return matpow(S + 0.1 * A, 1 + sum(abs(b)^2))", SQUARE),
    "the trace of expm": ("return trace(expm(A))", SQUARE),
    "the trace of sqrtm": (DEFINITE + "return trace(sqrtm(S + 0.1 * A)) * sum(b)", SQUARE),
    "norms of matrices": ("return norm(A, ord=nuc), norm(A, ord=spectral)", [(3, 3), (1, 1), *TALL[:2], *WIDE[:2]]),
    "norms of vectors": ("return norm(b, ord=1), norm(b, ord=inf), norm(b)", [(3, 3), (1, 1)]),
}
CASES = [
    (name, shape, dtype) for name, (_, shapes) in PROGRAMS.items() for shape in shapes for dtype in ("f64", "c128")
]


def entries(*shape: int, seed: int, dtype: str = "f64") -> Any:
    rng = np.random.default_rng(seed)
    numbers = rng.standard_normal(shape)
    return numbers + 1j * rng.standard_normal(shape) if dtype == "c128" else numbers


@pytest.mark.parametrize(("name", "shape", "dtype"), CASES)
def test_first_and_second_derivatives(name: str, shape: tuple[int, int], dtype: str) -> None:
    m, n = shape
    program = main(f"def main(A: {dtype}[{m}, {n}], b: {dtype}[{m}]):\n    {PROGRAMS[name][0]}\n")
    arrays = [entries(m, n, seed=1, dtype=dtype), entries(m, seed=2, dtype=dtype)]
    assert_derivatives(program, {}, arrays, np.random.default_rng(3))


# Pivots of one and of two rows; the last has a block of two rows with zeros on its diagonal.
@pytest.mark.parametrize("n", [0, 1, 2, 4, 5])
@pytest.mark.parametrize("weight", [0.0, 0.1, 3.0])
def test_blocks_of_ldl(n: int, weight: float) -> None:
    program = main("def main(A: f64[n, n]):\n    L, D = ldl((A + A') / 2)\n    return sin(L), D, L @ D @ L'\n")
    A = entries(n, n, seed=n) + weight * np.eye(n)
    if weight == 0:
        A = A + A.T
        np.fill_diagonal(A, 0.0)
    if n == 1:
        A = A + 1.0
    assert_derivatives(program, {"n": n}, [A], np.random.default_rng(3))


@pytest.mark.parametrize("body", ["P, L, U = lu(A)\n    return sum(L^2) + sum(U^3)", "return sum(pinv(A)^3)"])
@pytest.mark.parametrize("shape", [(3, 4, 2), (3, 2, 4), (2, 3, 3), (1, 1, 1)])
def test_many_matrices_at_once(body: str, shape: tuple[int, ...]) -> None:
    A = entries(*shape, seed=1)
    one = main(f"def main(A: f64[{shape[1]}, {shape[2]}]) -> f64:\n    {body}\n")
    many = main(f"def main(A: f64[{', '.join(map(str, shape))}]) -> f64:\n    {body}\n")
    (together,) = evaluate(derivative(many, "grad", ["A"]), [A])
    apart = [evaluate(derivative(one, "grad", ["A"]), [a])[0] for a in A]
    np.testing.assert_allclose(together, np.stack(apart), rtol=1e-9, atol=1e-9)


def test_eigenvectors_have_a_phase_on_which_a_result_must_not_depend() -> None:
    text = "def f(A: f64[n, n]) -> f64:\n    w, V = eig(A)\n    return sum(im(V))\n\n"
    slope = tpc.compile(text + "def slope(A: f64[n, n]) -> f64[n, n] = grad(f)(A)\n", function="slope")
    with pytest.raises(TpcError, match="phases of complex vectors"):
        slope(np.array([[0.0, -1.0], [2.0, 0.5]]))


def test_eigenvectors_of_equal_eigenvalues_have_no_derivative() -> None:
    text = "def f(A: f64[n, n]) -> f64:\n    w, V = eig(A)\n    return sum(abs(V)^4)\n\n"
    slope = tpc.compile(text + "def slope(A: f64[n, n]) -> f64[n, n] = grad(f)(A)\n", function="slope")
    with pytest.raises(TpcError, match="distinct"):
        slope(np.eye(3))


@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4), (1, 1), (2, 0), (0, 2)])
def test_lu_of_any_shape_has_one_derivative(shape: tuple[int, int]) -> None:
    body = "P, L, U = lu(A)\n    return sum(L^2) + sum(U^3)\n"
    A = entries(*shape, seed=1)
    (free,) = evaluate(derivative(main(f"def main(A: f64[m, n]) -> f64:\n    {body}"), "grad", ["A"]), [A])
    closed = f"def main(A: f64[{shape[0]}, {shape[1]}]) -> f64:\n    {body}"
    np.testing.assert_allclose(free, evaluate(derivative(main(closed), "grad", ["A"]), [A])[0], rtol=1e-12)
