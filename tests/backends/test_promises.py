"""What kernels rely on, broken by real data: a named error, never a number that looks like a result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.ir.node import Program

from .contract import BACKENDS, compare, plain, run

# By what each relies on: a name, and a body that uses A and perhaps B.
NONSINGULAR = {
    "inv": "return inv(A)",
    "solve": "return A \\ B",
    "lu_solve": "LU, p = lu_factor(A)\n    return lu_solve(LU, p, B)",
    "lu_solve transposed": "LU, p = lu_factor(A)\n    return lu_solve(LU, p, B, transposed=true)",
    "symmetric lu_solve": "LU, p = lu_factor(A, symmetric=true)\n    return lu_solve(LU, p, B)",
    "ldl_solve": "LD, p = ldl_factor(A)\n    return ldl_solve(LD, p, B)",
    "solve_triangular": "return solve_triangular(A, B)",
    "solve_triangular upper": "return solve_triangular(A, B, lower=false)",
    "tri_inv": "return tri_inv(A)",
    "tri_inv upper": "return tri_inv(A, lower=false)",
    "cho_solve": "return cho_solve(A, B)",
    "cho_inv": "return cho_inv(A)",
    "band_solve": "return band_solve(A, B, 1, 2)",
    "tridiagonal": "return band_solve(A, B, 1, 1)",
    "matpow": "return matpow(A, -1)",
}
DEFINITE = {
    "cholesky": "return cholesky(A)",
    "spd_band_solve": "return spd_band_solve(A, B, 1)",
    "spd_band_solve wide": "return spd_band_solve(A, B, 2)",
}
SINGULAR = {
    "zero pivot": np.diag([1.0, 0, 2]),
    "zeros": np.zeros((3, 3)),
    "one zero": np.zeros((1, 1)),
    "in a batch": np.stack([np.eye(3), np.diag([0.0, 1, 1])]),
}
NOT_DEFINITE = {
    "indefinite": np.array([[1.0, 2, 0], [2, 1, 0], [0, 0, 1]]),
    "negative": -np.eye(3),
    "one negative": -np.ones((1, 1)),
    "in a batch": np.stack([np.eye(3), -np.eye(3)]),
}
WITH_NAN = {
    "all": np.full((3, 3), np.nan),
    "the last": np.diag([1, 1, np.nan]),
    "one": np.full((1, 1), np.nan),
    "off the diagonal": np.eye(3) + np.array([[0, np.nan, 0], [np.nan, 0, 0], [0, 0, 0]]),
    "in a batch": np.stack([np.eye(3), np.diag([1, np.nan, 1])]),
}


def program(body: str, A: Any) -> Program:
    batch = "k, " if A.ndim == 3 else ""
    last = "m" if "B" in body else "n"
    text = f"def f(A: f64[{batch}n, n], B: f64[n, m]) -> f64[{batch}n, {last}]:\n    {body}"
    (result,) = check(Source(text)).programs.values()
    return result


def operands(A: Any) -> list[Any]:
    return [A, np.ones((A.shape[-1], 2))]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("data", SINGULAR)
@pytest.mark.parametrize("name", [*NONSINGULAR, *DEFINITE])
def test_a_singular_matrix_is_named(name: str, data: str, backend: str) -> None:
    A = SINGULAR[data]
    word = "singular" if name in NONSINGULAR else "not positive definite"
    with pytest.raises(np.linalg.LinAlgError, match=f"^A is {word}"):
        run(backend, program((NONSINGULAR | DEFINITE)[name], A), operands(A))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("data", NOT_DEFINITE)
@pytest.mark.parametrize("name", DEFINITE)
def test_a_matrix_that_is_not_definite_is_named(name: str, data: str, backend: str) -> None:
    A = NOT_DEFINITE[data]
    with pytest.raises(np.linalg.LinAlgError, match="^A is not positive definite"):
        run(backend, program(DEFINITE[name], A), operands(A))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("data", WITH_NAN)
@pytest.mark.parametrize("name", DEFINITE)
def test_a_matrix_with_nan_is_not_definite(name: str, data: str, backend: str) -> None:
    A = WITH_NAN[data]
    with pytest.raises(np.linalg.LinAlgError, match="^A is not positive definite"):
        run(backend, program(DEFINITE[name], A), operands(A))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("data", WITH_NAN)
@pytest.mark.parametrize("name", NONSINGULAR)
def test_nan_gives_nan_or_a_named_error(name: str, data: str, backend: str) -> None:
    A = WITH_NAN[data]
    try:
        (result,) = run(backend, program(NONSINGULAR[name], A), operands(A))
    except np.linalg.LinAlgError as error:
        assert str(error) == "A is singular"
    else:
        assert np.isnan(plain(result)).any()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "A", [np.zeros((0, 0)), np.full((1, 1), 4.0), np.zeros((0, 2, 2))], ids=["empty", "one", "batch"]
)
@pytest.mark.parametrize("name", [*NONSINGULAR, *DEFINITE])
def test_small_promises_are_kept(name: str, A: Any, backend: str) -> None:
    compare(backend, program((NONSINGULAR | DEFINITE)[name], A), operands(A))


# ---- a guard with a way out: a symmetric matrix that may be definite

GUARDED = """def f(A: f64[BATCHn, n], B: f64[n, m]) -> (f64[BATCHn, m], f64[BATCHn, m], SCALAR, SCALAR):
    LU, p = lu_factor(A, symmetric=true)
    return lu_solve(LU, p, B), lu_solve(LU, p, B, transposed=true), lu_det(LU, p), lu_logdet(LU, p)"""


def guarded(batch: bool) -> Program:
    text = GUARDED.replace("BATCH", "k, " * batch).replace("SCALAR", "f64[k]" if batch else "f64")
    (result,) = check(Source(text)).programs.values()
    return result


def symmetric(n: int) -> dict[str, Any]:
    """Definite, indefinite from the first and only from the last pivot, negative, and with NaN."""
    noise = np.random.default_rng(n).standard_normal((n, n))
    definite = noise @ noise.T / max(n, 1) + np.eye(n)
    late = definite.copy()
    if n > 1:
        late[-1, -1] = 0.5 * late[-1, :-1] @ np.linalg.solve(late[:-1, :-1], late[:-1, -1])
    nan = definite.copy()
    nan[n // 2 :, n // 2 :] = np.nan
    return {"definite": definite, "indefinite": noise + noise.T, "late": late, "negative": -definite, "nan": nan}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", ["definite", "indefinite", "late", "negative", "nan"])
@pytest.mark.parametrize("n", [0, 1, 2, 5, 140])
def test_a_symmetric_matrix_is_solved_definite_or_not(n: int, kind: str, backend: str) -> None:
    B = np.random.default_rng(1).standard_normal((n, 3))
    for order in "CF":
        compare(backend, guarded(False), [np.array(symmetric(n)[kind], order=order), B], 1000)


@pytest.mark.parametrize("backend", BACKENDS)
def test_each_matrix_of_a_batch_takes_its_own_way(backend: str) -> None:
    kinds = symmetric(4)
    batch = np.stack([kinds[k] for k in ("indefinite", "definite", "negative", "late")])
    compare(backend, guarded(True), [batch, np.eye(4)[:, :2]], 1000)


def test_the_guard_takes_the_short_way_where_it_holds() -> None:
    text = "def f(A: f64[n, n]) -> i64[n]:\n    LU, p = lu_factor(A, symmetric=true)\n    return p"
    (positions,) = check(Source(text)).programs.values()
    for kind, short in (("definite", True), ("late", False), ("negative", False), ("nan", False)):
        (rows,) = run("numpy", positions, [symmetric(6)[kind]])
        assert bool((plain(rows) < 0).all()) == short


SPECTRAL = {
    "singular values": "svdvals(A)",
    "pseudoinverse": "pinv(A)",
    "condition": "cond(A)",
    "rank": "matrix_rank(A)",
    "eigenvalues": "eigvals(A)",
    "least squares": "lstsq(A, A)",  # LAPACK does not come to an end with NaN
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", SPECTRAL)
def test_a_matrix_that_is_not_finite_is_named_or_gives_nan(name: str, value: float, backend: str) -> None:
    checked = check(Source(f"def main(A: f64[n, n]) = {SPECTRAL[name]}\n"))
    try:
        (result,) = run(backend, checked.programs["main"], [np.diag([1.0, value, 1.0])])
    except ValueError as error:
        assert str(error) == "A has entries that are NaN or infinite"
    else:  # PyTorch makes NaN of infinities
        assert np.isnan(plain(result)).any()


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_empty_matrix_has_no_condition_number(backend: str) -> None:
    checked = check(Source("def main(A: f64[n, n]) = cond(A)\n"))
    with pytest.raises(ValueError, match="^A is empty, and has no condition number"):
        run(backend, checked.programs["main"], [np.zeros((0, 0))])
