"""Factorizations, solves, sorting and symmetric products inside of native functions; bf16."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tpc
from tpc.backends import backend
from tpc.dsl.diagnostics import InternalError

pytest.importorskip("llvmlite")
from tests.backends.llvm.calls import Function, compare, program  # noqa: E402

from tpc.backends.llvm import engine  # noqa: E402
from tpc.backends.llvm.lower import lower  # noqa: E402
from tpc.conversion import rounded_to_bf16  # noqa: E402
from tpc.ir.dims import evaluate as extent  # noqa: E402
from tpc.ir.reference import evaluate  # noqa: E402
from tpc.ir.types import DTYPES  # noqa: E402

RNG = np.random.default_rng(0)

FACTORS = {
    "cholesky": "def f(S: T[n, n], L: T[n, n], B: T[n, m], b: T[n]) = cholesky(S)",
    "cho_solve": "def f(S: T[n, n], L: T[n, n], B: T[n, m], b: T[n]):\n    return cho_solve(L, B), cho_solve(L, b)",
    "cho_inv": "def f(S: T[n, n], L: T[n, n], B: T[n, m], b: T[n]) = cho_inv(L)",
    "triangles": """
def f(S: T[n, n], L: T[n, n], B: T[n, m], b: T[n]):
    return solve_triangular(L, B), solve_triangular(S, b, lower=false), tri_inv(L), tri_inv(S, lower=false)
""",
    "transposes": """
def f(S: T[n, n], L: T[n, n], B: T[n, m], b: T[n]):
    x, y = solve_triangular(L', b, lower=false), solve_triangular(L', B, lower=false)
    return x, y, solve(L', b), solve(L', B)
""",
    "lu": """
def f(S: T[n, n], L: T[n, n], B: T[n, m], b: T[n]):
    P, q = lu_factor(L')
    x, y, z = lu_solve(P, q, B), lu_solve(P, q, b, transposed=true), lu_solve(P, q, B, transposed=true)
    return x, y, z, lu_det(P, q), lu_logdet(P, q)
""",
    "definite": """
def f(S: T[n, n], L: T[n, n], B: T[n, m], b: T[n]):
    P, q = lu_factor(S, symmetric=true)
    return lu_solve(P, q, B), lu_solve(P, q, b), lu_logdet(P, q)
""",
    "indefinite": """
def f(S: T[n, n], L: T[n, n], B: T[n, m], b: T[n]):
    P, q = lu_factor(-S, symmetric=true)
    return lu_solve(P, q, B), lu_det(P / 10, q)
""",
    "dense": """
def f(S: T[n, n], L: T[n, n], B: T[n, m], b: T[n]):
    A = L + S / 9
    return solve(A, B), solve(A, b), inv(A), det(A / 10), logdet(A), logdet(-A)
""",
    "mixed": "def f(S: T[n, n], L: T[n, n], B: T[n, m], b: T[n]) = exp(-abs(solve(S + eye(n), tanh(b)) @ B))",
}


def matrices(n: int, m: int, dtype: str) -> list[Any]:
    A = RNG.standard_normal((n, n))
    S, L = A @ A.T / max(n, 1) + 2 * np.eye(n), np.tril(A) / max(n, 1) + 2 * np.eye(n)
    return [np.asarray(x, DTYPES[dtype].numpy) for x in (S, L, RNG.standard_normal((n, m)), RNG.standard_normal(n))]


@pytest.mark.parametrize("name", FACTORS)
@pytest.mark.parametrize("dtype", ["f64", "f32"])
def test_factors_and_solves(name: str, dtype: str) -> None:
    whole = program(FACTORS[name].replace("T[", f"{dtype}["))
    function = Function(whole)
    for n, m in ((0, 1), (1, 1), (2, 0), (9, 3), (40, 17)):
        arrays = matrices(n, m, dtype)
        room = 1e-9 if dtype == "f64" else 2e-3
        for value, right in zip(function(arrays, {"n": n, "m": m}), evaluate(whole, arrays), strict=True):
            np.testing.assert_allclose(value, right, rtol=room, atol=room)


def test_batches() -> None:
    text = "def f(S: f64[k, n, n], B: f64[k, n, m]):\n    L = cholesky(S)\n    return L, cho_solve(L, B), solve(S, B)"
    A = RNG.standard_normal((4, 5, 5))
    compare(text, [A @ A.swapaxes(1, 2) + np.eye(5), RNG.standard_normal((4, 5, 2))], room=1e-9)


# ---- factors with columns at right angles

ANY = """
def f(A: T[n, m], B: T[n, k], b: T[n]):
    Q, R = qr(A)
    U, s, V = svd(A)
    return Q, R, qr_triangle(A), U, s, V, svdvals(A), matrix_rank(A), lstsq(A, B), lstsq(A, b)
"""
SQUARE = """
def f(A: T[n, n]):
    w, V = eigh(A)
    sign, size = slogdet(A)
    return w, V, eigvalsh(A), sign, size
"""


@pytest.mark.parametrize("text", [ANY, SQUARE], ids=["any", "square"])
@pytest.mark.parametrize("dtype", ["f64", "f32"])
def test_right_angles(text: str, dtype: str) -> None:
    """Signs, order and shapes are those of NumPy, and the memory is enough."""
    whole = program(text.replace("T[", f"{dtype}["))
    function, plain = Function(whole), backend("numpy").load(backend("numpy").emit(whole))
    room = 1e-11 if dtype == "f64" else 1e-4
    for n, m, k in ((0, 3, 1), (3, 0, 2), (1, 1, 1), (3, 5, 0), (33, 7, 40), (7, 90, 2), (40, 40, 3), (130, 100, 1)):
        shapes = ((n, n),) if text is SQUARE else ((n, m), (n, k), (n,))
        arrays = [RNG.standard_normal(shape).astype(DTYPES[dtype].numpy) for shape in shapes]
        for value, right in zip(function(arrays, {"n": n, "m": m, "k": k}), plain(*arrays), strict=True):
            assert value.dtype == np.asarray(right).dtype and value.shape == np.shape(right)
            np.testing.assert_allclose(value, right, rtol=room, atol=room)


BANDS = """
def f(A: T[n, n], B: T[n, k], b: T[n]):
    x, y = band_solve(A, b, below=1, above=1), band_solve(A, B, below=1, above=1)
    z, w = band_solve(A, b, below=2, above=0), band_solve(A, B, below=1, above=3)
    s, t, u = spd_band_solve(A, b, width=1), spd_band_solve(A, B, width=2), spd_band_solve(A, B, width=0)
    return x, y, z, w, s, t, u
"""


@pytest.mark.parametrize("dtype", ["f64", "f32"])
def test_bands(dtype: str) -> None:
    """What lies outside of a band is not read."""
    whole = program(BANDS.replace("T[", f"{dtype}["))
    function = Function(whole)
    for n, k in ((0, 1), (1, 3), (2, 0), (3, 2), (40, 1), (70, 9)):
        A, B, b = (RNG.standard_normal(shape).astype(DTYPES[dtype].numpy) for shape in ((n, n), (n, k), (n,)))
        A += 9 * np.eye(n, dtype=A.dtype)
        wanted = evaluate(whole, [A, B, b])
        A += np.triu(np.full_like(A, np.nan), 4)
        for value, right in zip(function([A, B, b]), wanted, strict=True):
            np.testing.assert_allclose(value, right, rtol=1e-9 if dtype == "f64" else 1e-4, atol=1e-9)


def test_singular_values_that_are_nearly_zero() -> None:
    whole = program("def f(A: f64[n, m], b: f64[n]):\n    return pinv(A), lstsq(A, b), matrix_rank(A), cond(A)")
    function = Function(whole)
    for n, m, rank in ((6, 6, 6), (12, 5, 3), (5, 12, 3), (4, 4, 0)):
        A = RNG.standard_normal((n, rank)) @ RNG.standard_normal((rank, m))
        pseudo, x, found, condition = function([A, b := RNG.standard_normal(n)])
        np.testing.assert_allclose(pseudo, np.linalg.pinv(A), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(x, pseudo @ b, rtol=1e-9, atol=1e-9)
        assert found == rank and (condition < 1e5) == (rank == min(n, m))


def test_right_angles_of_batches_and_in_loops() -> None:
    text = """
def f(A: f64[k, n, m], S: f64[n, n]):
    X = S @ S'
    repeat 3:
        Q, R = qr(X)
        X = R @ Q
    return X, svdvals(A), eigvalsh(A @ transpose(A))
"""
    compare(text, [RNG.standard_normal((3, 4, 5)), RNG.standard_normal((4, 4))], room=1e-9)


def test_the_memory_of_lapack_is_planned() -> None:
    signature = lower(program("def f(A: f64[n, m]):\n    U, s, V = svd(A)\n    return U * s"), "f").signature
    taken = extent(signature.workspace, {"n": 1000, "m": 100})
    least = 8 * (2 * 1000 * 100 + 5 * 100 * 100)  # a copy, vectors of both sides, and LAPACK's own
    assert least < taken < 2 * least


def test_factors_that_one_solve_reads_are_part_of_it() -> None:
    text = "def f(A: f64[n, n], b: f64[n]):\n    P, q = lu_factor(A)\n    return lu_solve(P, q, b, transposed=true)"
    more = text.replace("return", "return P,")
    assert "dgetrs_" in lower(program(text), "f").symbols and "dgetrs_" not in lower(program(more), "f").symbols
    A, b = RNG.standard_normal((9, 9)), RNG.standard_normal(9)
    np.testing.assert_allclose(Function(program(text))([A, b])[0], np.linalg.solve(A.T, b), rtol=1e-9)
    np.testing.assert_allclose(Function(program(more))([A, b])[1], np.linalg.solve(A.T, b), rtol=1e-9)


def test_solves_with_definite_matrices_are_those_of_cholesky() -> None:
    text = "def f(S: f64[k, n, n] is spd, B: f64[k, n, m]) = solve(S', B), sum(log(diag(cholesky(S))))"
    native = lower(program(text), "f")
    assert "dpotrf_" in native.symbols and "dgetrf_" not in native.symbols
    assert sum("call" in line and '@"dpotrf_"' in line for line in native.ir.splitlines()) == 1  # for both
    assert "dgetrf_" in lower(program("def f(S: f64[k, n, n], B: f64[k, n, m]) = solve(S, B)"), "f").symbols
    for k, n, m in ((3, 5, 2), (1, 1, 1), (0, 4, 1), (2, 0, 1), (2, 3, 0)):
        A = RNG.standard_normal((k, n, n))
        compare(text, [A @ A.swapaxes(1, 2) + np.eye(n), RNG.standard_normal((k, n, m))], room=1e-9)


def test_a_solve_with_a_matrix_that_is_not_definite_after_all_goes_the_slow_way() -> None:
    text = "def f(S: f64[2, 3, 3] is spd, B: f64[2, 3, 1]) = tanh(solve(S, B))"
    made = tpc.compile(text, backend="llvm")
    for sign in (1, -1):
        S, B = sign * np.stack([np.eye(3), 2 * np.eye(3)]), np.ones((2, 3, 1))
        np.testing.assert_allclose(made.prepare(S, B)(S, B), np.tanh(np.linalg.solve(S, B)), rtol=1e-12)


def test_integers_are_left_to_numpy() -> None:
    for text in ("inv(A)", "det(A)", "svdvals(A)", "cholesky(A)"):
        with pytest.raises(InternalError, match="i64"):
            lower(program(f"def f(A: i64[n, n]) = {text}"), "f")


BAD = np.diag([1.0, -1.0, 2.0])


@pytest.mark.parametrize(
    ("text", "A", "said"),
    [
        ("cholesky(A)", BAD, "not positive definite"),
        ("cholesky(A)", np.full((3, 3), np.nan), "not positive definite"),
        ("solve_triangular(A, A)", np.zeros((3, 3)), "singular"),
        ("cho_solve(A, A)", np.zeros((3, 3)), "singular"),
        ("tri_inv(A)", np.zeros((3, 3)), "singular"),
        ("solve(A, A)", np.ones((3, 3)), "singular"),
        ("inv(A)", np.zeros((3, 3)), "singular"),
        ("svdvals(A)", np.diag([1, np.nan]), "not finite"),
        ("eigvalsh(A)", np.diag([1, -np.inf] * 5), "not finite"),
        ("lstsq(A, A[0])", np.diag([np.inf, 1]), "not finite"),
        ("cond(A)", np.ones((0, 0)), "empty"),
        ("band_solve(A, A, below=1, above=1)", np.ones((3, 3)) - np.eye(3), "singular"),
        ("band_solve(A, A, below=2, above=2)", np.ones((3, 3)), "singular"),
        ("spd_band_solve(A, A, width=1)", BAD, "not positive definite"),
        ("spd_band_solve(A, A, width=2)", BAD * np.nan, "not positive definite"),
    ],
)
def test_errors(text: str, A: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):  # which a LinAlgError is, too
        Function(program(f"def f(A: f64[n, n]) = {text}"))([A])


@pytest.mark.parametrize(
    ("text", "A", "what"),
    [
        (
            "def f(L: f64[n, n] is lower and nonsingular, y: f64[n]) = inv(L) @ tanh(y)",
            np.zeros((3, 3)),
            "L is singular",
        ),
        ("def f(A: f64[n, n], y: f64[n]):\n    w, V = eigh(A)\n    return V @ tanh(y)", np.diag([1, np.nan]), "A "),
    ],
)
def test_errors_are_those_of_numpy(text: str, A: Any, what: str) -> None:
    said = []
    for name in ("numpy", "llvm"):
        made = tpc.compile(text, backend=name)  # type: ignore[arg-type]
        made.prepare(A, A[0])
        with pytest.raises(tpc.TpcError, match=what) as caught:
            made(A, A[0])
        said.append(str(caught.value))
    assert said[0] == said[1]


def test_positions_from_outside_are_looked_at() -> None:
    function = Function(program("def f(P: f64[n, n], q: i64[n], b: f64[n]) = lu_solve(P, q, b)"))
    with pytest.raises(IndexError):
        function([np.eye(3), np.array([0, 7, 2]), np.ones(3)])


def test_a_transpose_is_not_stored() -> None:
    assert (
        lower(program("def f(L: f64[n, n], b: f64[n]) = solve_triangular(L', b, lower=false)"), "f").signature.workspace
        == 0
    )
    assert lower(program("def f(L: f64[n, n], b: f64[n]) = cho_solve(L', b)"), "f").signature.workspace != 0


def test_what_is_read_for_the_last_time_makes_room() -> None:
    """An inverse needs its operand and room for one matrix more."""
    text = "def f(A: f64[64, 64]):\n    X = inv(tanh(A))\n    Y = inv(tanh(X))\n    return inv(tanh(inv(tanh(Y))))"
    signature = lower(program(text), "f").signature
    assert signature.workspace < 4 * 8 * 64 * 64
    A = np.eye(64) + RNG.standard_normal((64, 64)) / 50
    wanted = A
    for _ in range(4):
        wanted = np.linalg.inv(np.tanh(wanted))
    np.testing.assert_allclose(Function(program(text))([A])[0], wanted, rtol=1e-6)


def test_small_programs_are_one_function() -> None:
    text = "def f(S: f64[8, 8] is spd, y: f64[8]) -> f64:\n    return y @ inv(S) @ y + logdet(S)\n"
    made = tpc.compile(text, backend="llvm")
    A, y = np.eye(8) + 0.1, np.arange(8.0)
    made.prepare(A, y)
    assert made._latest().code.emitted.whole
    np.testing.assert_allclose(made(A, y), y @ np.linalg.solve(A, y) + np.log(np.linalg.det(A)))


def test_routines_in_loops_and_branches() -> None:
    text = """
def f(S: f64[3, 3], b: f64[3], go: bool):
    X, y = S, b
    repeat 3:
        X = cholesky(X @ X' + eye(3))
        y = solve_triangular(X, y)
    if go:
        z = sort(y)
    else:
        z = solve(X, y)
    return X, y, z, X
"""
    S = RNG.standard_normal((3, 3))
    for go in (True, False):
        compare(text, [S, np.ones(3), np.array(go)])


# ---- order


def special(shape: tuple[int, ...], dtype: str) -> Any:
    """Values with many that are equal, and with all that is not a number or has a sign only."""
    numpy = np.dtype(DTYPES[dtype].numpy)
    if dtype == "bool":
        return RNG.random(shape) < 0.5
    if dtype.startswith("i"):
        last = np.iinfo(numpy)
        return RNG.choice([last.min, -3, -1, 0, 1, 2, 7, last.max], shape).astype(numpy)
    values = [np.nan, -np.nan, -0.0, 0.0, np.inf, -np.inf, 1e-310, 0.5, -2.0, 3.0, 1e300]
    with np.errstate(over="ignore"):
        return RNG.choice(values, shape).astype(numpy)


ORDER = """
def f(x: T[b, n], y: T[b, 40]):
    v, k = topk(x, 3)
    z = y[:, 0:5]
    return v, k, sort(z), sort(z, descending=true)
"""


@pytest.mark.parametrize("dtype", ["f64", "f32", "f16", "i64", "i32", "i8", "bool"])
def test_order(dtype: str) -> None:
    text = ORDER.replace("T[", f"{dtype}[")
    if dtype not in ("i8", "bool"):
        text = f"{text.rstrip()}, argsort(x), argsort(x, descending=true), argsort(y), argsort(y[:, 0:13])"
    whole = program(text)
    function = Function(whole)
    for b, n in ((0, 5), (1, 3), (3, 7), (2, 64), (2, 65), (1, 700)):
        arrays = [special((b, n), dtype), special((b, 40), dtype)]
        for value, right in zip(function(arrays), evaluate(whole, arrays), strict=True):
            np.testing.assert_array_equal(value, right)


def test_rows_that_are_in_order() -> None:
    function = Function(program("def f(x: f64[n]) = argsort(x)"))
    rising, ends = np.arange(100.0), (-99, -98, 5, np.nan)
    rows = [np.append(way, end) for way in (rising, -rising, np.ones(100), -(rising // 7)) for end in ends]
    for x in (*rows, -rising, -(rising // 7), np.append(np.nan, -rising), np.append([np.nan, np.nan], -(rising // 9))):
        np.testing.assert_array_equal(function([x])[0], np.argsort(x, kind="stable"))


def test_the_largest_of_too_few() -> None:
    function = Function(program("def f(x: f64[n]):\n    v, k = topk(x, 4)\n    return v, k"))
    with pytest.raises(ValueError, match="topk"):
        function([np.ones(3)])


def test_the_largest_of_a_product_are_found_without_it() -> None:
    whole = program("def f(X: f64[n, d], Y: f64[m, d]):\n    v, k = topk(X @ Y', 3)\n    return v, k")
    function = Function(whole)
    one, more = (extent(function.native.signature.workspace, {"n": n, "m": 1000, "d": 40}) for n in (10_000, 100_000))
    assert one == more < 8 * 10_000 * 1000
    for n, m in ((5, 7), (700, 900)):  # the second takes two blocks
        X, Y = RNG.standard_normal((n, 30)), RNG.standard_normal((m, 30))
        values, places = function([X, Y])
        product = X @ Y.T
        np.testing.assert_array_equal(places, np.argsort(-product, axis=1)[:, :3])
        np.testing.assert_allclose(values, np.take_along_axis(product, places, 1))


def test_a_product_that_is_read_again_is_stored() -> None:
    compare(
        "def f(X: f64[n, n]):\n    P = X @ X'\n    v, k = topk(P, 2)\n    return v, k, P",
        [RNG.standard_normal((40, 40))],
    )


# ---- a matrix times its own transpose


@pytest.mark.parametrize("text", ["X' @ X", "X @ X'", "X' @ X + 2 * eye(m)", "exp(-(X @ X')) @ X"])
def test_symmetric_products(text: str) -> None:
    """Half of the entries are computed, in parts of 128 rows that threads share."""
    whole = program(f"def f(X: f64[n, m]) = {text}")
    function = Function(whole)
    X = RNG.standard_normal((300, 270)) / 20
    meant = {"X' @ X": X.T @ X, "X @ X'": X @ X.T, "X' @ X + 2 * eye(m)": X.T @ X + 2 * np.eye(270)}
    try:
        for threads in (1, 2):
            engine.set_threads(threads)
            (found,) = function([X])
            np.testing.assert_allclose(found, meant.get(text, np.exp(-(X @ X.T)) @ X), rtol=1e-10, atol=1e-12)
    finally:
        engine.set_threads(None)


# ---- bf16


def halves(count: int) -> Any:
    x = RNG.standard_normal(count).astype(np.float32) * 10.0 ** RNG.integers(-40, 38, count).astype(np.float32)
    x[:8] = [np.nan, np.inf, -np.inf, 1e-40, -0.0, 3.3e38, 1.00390625, 1.01171875]  # the last two are ties
    return x


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 200])
def test_bf16_is_rounded_as_numpy_does(count: int) -> None:
    made = tpc.compile("def f(x: bf16[n], y: f32[n]):\n    return -x, f32(x), bf16(y), abs(x) > 1", backend="llvm")
    x = halves(200)[:count]
    made.prepare(x, x)
    r = rounded_to_bf16(x)
    with np.errstate(invalid="ignore"):
        for value, right in zip(made(x, x), (-r, r, r, np.abs(r) > 1), strict=True):
            np.testing.assert_array_equal(value, right)


def test_bf16_is_computed_in_f32_and_stored_in_16_bits() -> None:
    text = "def f(x: bf16[n, m]) -> (bf16[n], f32[n, n]):\n    K = x @ x'\n    return softmax(sum(x, axis=1)), f32(K)"
    made = tpc.compile(text, backend="llvm")
    x = rounded_to_bf16(RNG.standard_normal((40, 300)).astype(np.float32))
    made.prepare(x)
    weights, K = made(x)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(K, exact @ exact.T, rtol=1e-2, atol=0.2)
    total = np.exp(exact.sum(1) - exact.sum(1).max())
    np.testing.assert_allclose(weights, total / total.sum(), rtol=0.1, atol=1e-2)
    text = "def f(x: bf16[n]):\n    y = x\n    repeat 3:\n        y = y * x\n    return y"
    assert extent(lower(program(text), "f").signature.workspace, {"n": 6400}) == 2 * 2 * 6400  # two take turns


def test_bf16_in_order() -> None:
    made = tpc.compile("def f(x: bf16[n]):\n    v, k = topk(x, 3)\n    return v, k", backend="llvm")
    x = rounded_to_bf16(RNG.standard_normal(100).astype(np.float32))
    made.prepare(x)
    values, places = made(x)
    np.testing.assert_array_equal(values, np.sort(x)[::-1][:3])
    np.testing.assert_array_equal(x[places], values)
