"""Kernels: in any memory order, reading no more than they say, with errors that name the matrix."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from tpc.dsl.source import Source
from tpc.ir.dims import named
from tpc.ir.elaborate.module import check
from tpc.ir.node import Program
from tpc.ir.ops import OPS, elimination
from tpc.ir.reference import EXACT, evaluate, modular
from tpc.ir.types import F64, I64, TensorType

from .contract import BACKENDS, compare, compiled, given, plain, run

N = 150  # more than a strip
DTYPES = {"f64": np.float64, "f32": np.float32, "c128": np.complex128, "c64": np.complex64}


def program(text: str) -> Program:
    (result,) = check(Source(text)).programs.values()
    return result


def matrix(rows: int, columns: int, dtype: str = "f64") -> Any:
    """Random entries, so small that a diagonal of 2 makes a square matrix well conditioned."""
    rng = np.random.default_rng(rows + columns)
    values = rng.standard_normal((rows, columns)) / N**0.5
    if dtype.startswith("c"):
        values = values + 1j * rng.standard_normal((rows, columns)) / N**0.5
    return values.astype(DTYPES[dtype])


# What is computed, with `T` for the dtype, and the operands that it is given.
PROGRAMS: dict[str, tuple[str, Callable[[str, int], list[Any]]]] = {
    "lu": (
        "def f(A: T[n, n], B: T[n, m]) -> (T[n, m], T[n, m]):\n"
        "    LU, p = lu_factor(A)\n"
        "    return lu_solve(LU, p, B), lu_solve(LU, p, B, transposed=true)",
        lambda dtype, m: [matrix(N, N, dtype) + 2 * np.eye(N, dtype=DTYPES[dtype]), matrix(N, m, dtype)],
    ),
    "determinant": (
        "def f(A: T[n, n]) -> (T, R):\n    LU, p = lu_factor(A)\n    return lu_det(LU, p), lu_logdet(LU, p)",
        lambda dtype, m: [matrix(N, N, dtype) + 1.5 * np.eye(N, dtype=DTYPES[dtype])],
    ),
    "ldl": (
        "def f(A: T[n, n], B: T[n, m]) -> T[n, m]:\n    LD, p = ldl_factor(A)\n    return ldl_solve(LD, p, B)",
        # eigenvalues of both signs, and blocks of 2
        lambda dtype, m: [matrix(N, N, dtype) / 4 + np.eye(N, dtype=DTYPES[dtype])[::-1], matrix(N, m, dtype)],
    ),
    "cholesky": (
        "def f(A: T[n, n], B: T[n, m]) -> (T[n, n], T[n, m], T[n, n]):\n"
        "    L = cholesky(A)\n"
        "    return L, cho_solve(L, B), cho_inv(L)",
        lambda dtype, m: [matrix(N, N, dtype) + 20 * np.eye(N, dtype=DTYPES[dtype]), matrix(N, m, dtype)],
    ),
    **{
        f"triangle lower={lower}": (
            "def f(A: T[n, n], B: T[n, m]) -> (T[n, m], T[n, n], T[n, m]):\n"
            f"    return trmm(A, B, lower={lower}), tri_inv(A, lower={lower}), solve_triangular(A, B, lower={lower})",
            lambda dtype, m: [matrix(N, N, dtype) + 2 * np.eye(N, dtype=DTYPES[dtype]), matrix(N, m, dtype)],
        )
        for lower in ("true", "false")
    },
    "solve": (
        "def f(A: T[n, n], B: T[n, m]) -> (T[n, m], T[n, m]) = solve(A, B), solve(A', B)",
        lambda dtype, m: [matrix(N, N, dtype) + 2 * np.eye(N, dtype=DTYPES[dtype]), matrix(N, m, dtype)],
    ),
    "vector": (
        "def f(A: T[n, n], b: T[n]) -> (T[n], T[n], T[n], T[n]):\n"
        "    X, Y = solve_triangular(A, b), solve_triangular(A, b, lower=false)\n"
        "    return solve(A, b), X, Y, cho_solve(A, b)",
        lambda dtype, m: [matrix(N, N, dtype) + 2 * np.eye(N, dtype=DTYPES[dtype]), matrix(N, m, dtype)[:, 0]],
    ),
    "band": (
        "def f(A: T[n, n], B: T[n, m]) -> (T[n, m], T[n, m], T[n, m], T[n, m], T[n, m]):\n"
        "    X = band_matmul(A, B, 2, 1)\n"
        "    Y, Z = band_solve(A, B, 1, 1), band_solve(A, B, 2, 3)\n"
        "    return X, Y, Z, spd_band_solve(A, B, 1), spd_band_solve(A, B, 3)",
        lambda dtype, m: [matrix(N, N, dtype) + 2 * np.eye(N, dtype=DTYPES[dtype]), matrix(N, m, dtype)],
    ),
}


def spread(array: Any) -> Any:
    """The same entries, with gaps between them and backwards in memory."""
    whole = np.full([2 * size for size in array.shape], np.nan, array.dtype)
    view = whole[tuple(slice(None, None, -2) for _ in array.shape)]
    view[...] = array
    return view


ORDERS: dict[str, Callable[[Any], Any]] = {
    "rows": np.ascontiguousarray,
    "columns": np.asfortranarray,
    "gaps": spread,
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("columns", [1, 3, 40])
@pytest.mark.parametrize("name", PROGRAMS)
def test_memory_orders(name: str, columns: int, order: str) -> None:
    """Operands may lie in memory in any way, and are not written to."""
    text, operands = PROGRAMS[name]
    arrays = [ORDERS[order](a) for a in operands("f64", columns)]
    for array in arrays:
        array.flags.writeable = False
    compare("numpy", program(text.replace("T", "f64").replace("R", "f64")), arrays, 1)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PROGRAMS)
def test_formats(name: str, dtype: str, backend: str) -> None:
    text, operands = PROGRAMS[name]
    source = text.replace("T", dtype).replace("R", "f64" if dtype in ("f64", "c128") else "f32")
    arrays = operands(dtype, 20)
    if name in ("cholesky", "ldl", "band"):  # a Hermitian matrix has a real diagonal
        arrays[0][np.diag_indices(N)] = arrays[0].diagonal().real
    compare(backend, program(source), arrays, 1)


UNREAD = {
    "trmm": ("trmm(A, B)", lambda A: np.triu(A, 1)),
    "trmm upper": ("trmm(A, B, lower=false)", lambda A: np.tril(A, -1)),
    "tri_inv": ("tri_inv(A)", lambda A: np.triu(A, 1)),
    "tri_inv upper": ("tri_inv(A, lower=false)", lambda A: np.tril(A, -1)),
    "cho_solve": ("cho_solve(A, B)", lambda A: np.triu(A, 1)),
    "cho_inv": ("cho_inv(A)", lambda A: np.triu(A, 1)),
    "cholesky": ("cholesky(A)", lambda A: np.triu(A, 1)),
    "band_matmul": ("band_matmul(A, B, 2, 1)", lambda A: np.triu(A, 2) + np.tril(A, -3)),
    "band_solve": ("band_solve(A, B, 2, 1)", lambda A: np.triu(A, 2) + np.tril(A, -3)),
    "tridiagonal": ("band_solve(A, B, 1, 1)", lambda A: np.triu(A, 2) + np.tril(A, -2)),
    "spd_band_solve": ("spd_band_solve(A, B, 2)", lambda A: np.triu(A, 1) + np.tril(A, -3)),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", UNREAD)
def test_nothing_else_is_read(name: str, backend: str) -> None:
    call, unread = UNREAD[name]
    function = compiled(backend, program(f"def f(A: f64[n, n], B: f64[n, n]) = {call}"))
    A, B = matrix(6, 6) + 4 * np.eye(6), matrix(6, 6)
    B = np.tril(B) if name == "trmm" else B
    spoiled = np.where(unread(np.ones((6, 6))) != 0, np.nan, A)
    values = [plain(function(*(given(backend, x, F64) for x in (a, B)))) for a in (A, spoiled)]
    np.testing.assert_allclose(values[1], values[0])
    assert not np.isnan(values[0]).any()


@pytest.mark.parametrize("backend", BACKENDS)
def test_ldl_reads_the_lower_triangle(backend: str) -> None:
    function = program(PROGRAMS["ldl"][0].replace("T", "f64"))
    A, B = matrix(6, 6), matrix(6, 2)
    (first,), (second,) = (run(backend, function, [a, B]) for a in (A, np.tril(A) + np.triu(7 * A, 1)))
    np.testing.assert_allclose(plain(first), plain(second))


SINGULAR = [
    ("lu_solve", "LU, p = lu_factor(A)\n    return lu_solve(LU, p, B)", "A is singular"),
    ("ldl", "LD, p = ldl_factor(A)\n    return ldl_solve(LD, p, B)", "A is singular"),
    ("tri_inv", "return tri_inv(A)", "A is singular"),
    ("trsm", "return solve_triangular(A, B)", "A is singular"),
    ("cho_solve", "return cho_solve(A, B)", "A is singular"),
    ("cho_inv", "return cho_inv(A)", "A is singular"),
    ("cholesky", "return cholesky(A)", "A is not positive definite"),
    ("band", "return band_solve(A, B, 2, 1)", "A is singular"),
    ("tridiagonal", "return band_solve(A, B, 1, 1)", "A is singular"),
    ("diagonal", "return band_solve(A, B, 0, 0)", "A is singular"),
    ("spd_band", "return spd_band_solve(A, B, 1)", "A is not positive definite"),
]


@pytest.mark.parametrize("batch", [(), (2,)])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("name", "body", "message"), SINGULAR, ids=lambda p: p if " " not in p else "")
def test_broken_promises_are_named(name: str, body: str, message: str, backend: str, batch: tuple[int, ...]) -> None:
    axes = "k, " if batch else ""
    text = f"def f(A: f64[{axes}n, n], B: f64[n, m]) -> f64[{axes}n, {'n' if '_inv' in body or 'y(' in body else 'm'}]:"
    A = np.diag([1.0, 2, 0, 3])
    A = np.stack([np.eye(4), A]) if batch else A
    with pytest.raises(np.linalg.LinAlgError, match=message):
        run(backend, program(f"{text}\n    {body}"), [A, np.ones((4, 2))])


@pytest.mark.parametrize("call", ["solve(A, b)", "solve_triangular(A, b)", "cho_solve(A, b)"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_broken_promises_are_named_of_vectors_too(call: str, backend: str) -> None:
    with pytest.raises(np.linalg.LinAlgError, match="A is singular"):
        run(backend, program(f"def f(A: f64[n, n], b: f64[n]) -> f64[n] = {call}"), [np.diag([1.0, 0, 3]), np.ones(3)])


@pytest.mark.parametrize("shape", [(20, 2, 3), (2, 3, 200), (3, 0, 4), (0, 2, 3), (1, 1, 1)])
def test_sums_over_first_and_last_axes(shape: tuple[int, ...]) -> None:
    loop = "Y[j] = sum[i, k](X[i, j, k])"
    text = f"def f(X: f64[a, b, c]) -> (f64[b], f64[b]):\n    {loop}\n    return sum(X, axis=(0, 2)), Y"
    compare("numpy", program(text), [np.random.default_rng(0).standard_normal(shape)], 1)


@pytest.mark.parametrize("backend", BACKENDS)
def test_determinants_of_singular_matrices(backend: str) -> None:
    function = program(PROGRAMS["determinant"][0].replace("T", "f64").replace("R", "f64"))
    for A, expected in (
        (np.diag([-1.0, 0, 2]), (0.0, -np.inf)),
        (np.diag([-1.0, 3, 2]), (-6.0, np.nan)),
        (np.eye(3)[[1, 0, 2]] * 2, (-8.0, np.nan)),
        (np.eye(3)[[1, 2, 0]], (1.0, 0.0)),
        (np.zeros((0, 0)), (1.0, 0.0)),
    ):
        np.testing.assert_array_equal([float(plain(v)) for v in run(backend, function, [A])], expected)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["lu_solve", "ldl_solve"])
@pytest.mark.parametrize("places", [[0, 1, 3], [-1, 1, 2]])
def test_places_outside_of_the_matrix(name: str, places: list[int], backend: str) -> None:
    """Rows are counted before memory is touched."""
    text = f"def f(A: f64[n, n], p: i64[n], b: f64[n]) = {name}(A, p, b)"
    function = compiled(backend, program(text))
    with pytest.raises(IndexError):
        function(*(given(backend, np.array(x), t) for x, t in ((np.eye(3), F64), (places, I64), (np.ones(3), F64))))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_values_that_are_not_finite(name: str, backend: str, value: float) -> None:
    """They come out as values, or as the named error; nothing hangs. (A finite number over infinity is 0.)"""
    text, operands = PROGRAMS[name]
    arrays = operands("f64", 3)
    arrays[0][5, 5] = value
    try:
        results = run(backend, program(text.replace("T", "f64").replace("R", "f64")), arrays)
    except np.linalg.LinAlgError as error:
        assert str(error).startswith(("A ", "L "))
    else:
        assert value == np.inf or not all(np.isfinite(plain(r)).all() for r in results)


@pytest.mark.parametrize("call", ["band_matmul(A, b, 2, 1)", "band_solve(A, b, 2, 1)", "spd_band_solve(A, b, 2)"])
def test_bands_take_memory_for_the_band_alone(call: str) -> None:
    function = compiled("numpy", program(f"def f(A: f64[n, n], b: f64[n]) = {call}"))
    A, b = matrix(1000, 1000) + 4 * np.eye(1000), matrix(1000, 1)[:, 0]
    function(A, b)
    tracemalloc.start()
    function(A, b)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < A.nbytes / 10


@pytest.mark.parametrize("domain", [EXACT, modular()], ids=["fractions", "residues"])
def test_exact_factors_solve_exactly(domain: Any) -> None:
    """Packed factors and the solves that use them are one convention over a field too."""
    text = """def f(A: f64[n, n], S: f64[n, n], B: f64[n, m]) -> (f64[n, m], f64[n, m], f64[n, m], f64):
    LU, p = lu_factor(A)
    LD, q = ldl_factor(S)
    return A @ lu_solve(LU, p, B), A' @ lu_solve(LU, p, B, transposed=true), S @ ldl_solve(LD, q, B), lu_det(LU, p)"""
    rng = np.random.default_rng(7)
    for n in (1, 2, 3, 5):
        A, half, B = (rng.integers(-3, 4, s) for s in ((n, n), (n, n), (n, 2)))
        A, S = A + 9 * np.eye(n, dtype=int)[::-1], half + half.T
        S[np.diag_indices(n)] = 0 if n % 2 == 0 else 1
        S[0, n - 1] = S[n - 1, 0] = 11
        *products, determinant = evaluate(program(text), [A, S, B], domain=domain)
        for product in products:
            assert (product == B).all()
        assert determinant == round(np.linalg.det(A))


def test_exact_solves_with_given_structure() -> None:
    L = np.array([[2, 9, 9], [1, 3, 9], [0, -1, 1]])
    T, B = np.tril(L), np.array([[1, 2], [3, 4], [5, 6]])
    text = """def f(L: f64[n, n], B: f64[n, m]) -> (f64[n, m], f64[n, n], f64[n, n], f64[n, m], f64[n, m], f64[n, m]):
    return cho_solve(L, B), cho_inv(L), tri_inv(L), trmm(L, B), band_solve(L, B, 1, 0), spd_band_solve(L, B, 0)"""
    cho, inverse, triangle, product, band, diagonal = evaluate(program(text), [L, B], domain=EXACT)
    assert (T @ T.T @ cho == B).all() and (T @ T.T @ inverse == np.eye(3)).all() and (T @ triangle == np.eye(3)).all()
    assert (product == T @ B).all() and (T @ band == B).all() and (np.diag([2, 3, 1]) @ diagonal == B).all()


def test_a_singular_symmetric_matrix_has_no_exact_factors() -> None:
    with pytest.raises(ValueError, match="singular"):
        elimination.packed_symmetric_factors(np.array([[Fraction(0)] * 2] * 2, dtype=object))


@pytest.mark.parametrize("name", [n for n in PROGRAMS if n not in ("ldl", "vector")])
def test_gradients(name: str) -> None:
    """The torch functions are differentiable where torch is."""
    import torch

    text, _ = PROGRAMS[name]
    function = compiled("torch", program(text.replace("T", "f64").replace("R", "f64")))
    A = torch.from_numpy(matrix(4, 4) + 2 * np.eye(4)).requires_grad_()
    B = torch.from_numpy(matrix(4, 2)).requires_grad_()

    def of_symmetric(A: Any, *B: Any) -> Any:  # torch takes the matrix of a Cholesky factor to be symmetric
        return function(A + A.T, *B)

    chosen = of_symmetric if name == "cholesky" else function
    assert torch.autograd.gradcheck(chosen, (A, B) if "B" in text else (A,))


n, m, w = named("n"), named("m"), named("w")


@pytest.mark.parametrize(
    ("name", "dims", "attributes", "flops"),
    [
        ("add_diagonal", [(n, n), (n,)], {}, n),
        ("add_diagonal", [(n, n), ()], {}, n),
        ("trmm", [(n, n), (n, m)], {}, n * n * m),
        ("trmm", [(n, n), (n,)], {}, n * n),
        ("cho_solve", [(n, n), (n, m)], {}, 2 * n * n * m),
        ("lu_solve", [(n, n), (n,), (n, m)], {}, 2 * n * n * m),
        ("lu_solve", [(5, n, n), (5, n), (n, m)], {}, 10 * n * n * m),
        ("ldl_solve", [(n, n), (n,), (n,)], {}, 2 * n * n + 5 * n),
        ("lu_factor", [(30, 30)], {}, 18001),
        ("ldl_factor", [(30, 30)], {}, 9001),
        ("cho_inv", [(30, 30)], {}, 18001),
        ("qr_triangle", [(n + 3, 3)], {}, 18 * n + 54),
        ("tri_inv", [(30, 30)], {}, 9001),
        ("band_matmul", [(90, 90), (90, m)], {"below": 1, "above": 2}, 720 * m),
        ("band_matmul", [(3, 90), (90, m)], {"below": 7, "above": 7}, 540 * m),
        ("band_solve", [(n, n), (n, m)], {"below": 1, "above": 1}, 12 * n + 8 * n * m),
        ("spd_band_solve", [(n, n), (n,)], {"width": w}, (w + 1) * (w + 1) * n + 4 * (w + 1) * n),
    ],
)
def test_operations_are_those_of_the_textbook(name: str, dims: Any, attributes: Any, flops: Any) -> None:
    types = [TensorType(I64 if OPS[name].holds_places(k) else F64, d) for k, d in enumerate(dims)]
    assert OPS[name].count_flops(types, {**OPS[name].options, **attributes}) == flops
