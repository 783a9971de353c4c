"""What sparse plans compute is what dense ones do, for every op that has a sparse kernel."""

import numpy as np
import pytest
import scipy.sparse as sp

import tpc

from .zoo import KINDS, entries

# Programs over A and B (n by n, sparse), X (n by k) and y (n).
SPARSE_RESULTS = """
    A + B
    A - B'
    A * B
    A * B'
    -A
    2 * A - B / 4
    A'
    A @ B'
    A @ (2 * eye(n) - A)
    tanh(A) + sin(B) - A^3
    square(A) * abs(B)
    A * y
    A * unsqueeze(y, 1)
    A / (2 + y^2)
    A * (X @ X')
    A * (X @ X' - 2 * B)
    A * outer(y, y)
    A' * (2 * X @ X')'
    diag(y) @ A @ diag(y)
    y * A - A * 3
    tril(A) + triu(B, k=1)
    kron(A, eye(2))
    A * (X @ (X' @ X) @ X')
    A * X[:, 0]
    A - tanh(A)
    A' + 2 * A'
    A[2:7]
    A[1:8:3, 2:n]
    A[:, 4:5] + B[:, 3:4]
    take(A, i64([3, 0, 3]))
    take(A, i64([3, 0]), axis=1)
"""
DENSE_RESULTS = """
    A @ X
    A' @ X
    X' @ A
    X' @ A @ B
    A @ B @ y
    y @ A
    y @ A @ B'
    A @ y + B @ y
    A + X @ X'
    X @ X' - A
    A - X @ X'
    exp(A)
    A + 1
    sum(A)
    sum(A, axis=0)
    sum(A, axis=1)
    mean(A)
    mean(A', axis=0)
    norm(A)
    diag(A)
    trace(A)
    trace(A @ B)
    trace(A @ A @ A)
    trace(A @ X @ X')
    diag(A @ B)
    diag(A @ B @ A)
    sum((A - B)^2)
    sum(A * (X @ X'))
    (eye(n) * 4 + A) \\ y
    (eye(n) * 4 + A) \\ X
    inv(4 * eye(n) + A) @ X
    X' @ inv(4 * eye(n) + A)
    A @ inv(4 * eye(n) + B) @ y
    logdet(4 * eye(n) + A' @ A)
    select(A > 0, A, 0)
    max(A)
    max(A, axis=0)
    min(A', axis=1)
    min(-A)
    any(A > 0, axis=0)
    any(A != 0, axis=0)
    all(A != 0)
    A[5]
    A[:, n - 1]
    A[2, 3]
    A[2, 1:6]
    A[argmax(y)]
    A[argmax(y), 2:5]
    A[argmax(y), argmax(-y)]
    take(A, argmax(y), axis=1)
    A @ B @ X + (A @ B)' @ X
"""
PROGRAMS = [
    *[(line.strip(), True) for line in SPARSE_RESULTS.strip().splitlines()],
    *[(line.strip(), False) for line in DENSE_RESULTS.strip().splitlines()],
]
DIMS = "A: {0}[n, n], B: {0}[n, n], X: {0}[n, k], y: {0}[n]"


def compiled(expressions, dtype="f64"):
    return tpc.compile(f"def f({DIMS.format(dtype)}) =\n    ({', '.join(expressions)})\n".replace("=\n    ", "= "))


def operands(n=9, k=3, dtype=np.float64):
    return [entries(n, n, dtype), entries(n, n, dtype), entries(n, k, dtype, 1.0), entries(1, n, dtype, 1.0)[0]]


def plain(value):
    return value.toarray() if sp.issparse(value) else value


def close(found, wanted, tolerance=1e-12):
    return np.allclose(plain(found), wanted, rtol=tolerance, atol=tolerance)


@pytest.fixture(scope="module")
def functions():
    """Each program compiled once; with dense operands it gives what is expected."""
    return {}


@pytest.mark.parametrize("expression, is_sparse", PROGRAMS, ids=[p for p, _ in PROGRAMS])
def test_sparse_operands(expression, is_sparse, always_sparse):
    f = compiled([expression])
    dense = operands()
    wanted = f(*dense)
    found = f(sp.csr_array(dense[0]), sp.csc_array(dense[1]), *dense[2:])
    assert sp.issparse(found) == is_sparse
    assert close(found, wanted)
    assert not close(found, wanted + 1)


SOME = ["A + B", "A * B", "tanh(A) @ B", "A * (X @ X')", "A / (2 + y^2)", "A' @ X", "sum(A, axis=1)", "trace(A @ B)"]


@pytest.fixture(scope="module")
def several():
    with pytest.MonkeyPatch.context() as patch:
        import tpc.passes.sparse

        patch.setattr(tpc.passes.sparse, "predicted", lambda *_: 0.0)
        yield {name: compiled(SOME, name) for name in ("f64", "f32", "c128")}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["f64", "f32", "c128"])
def test_matrices_as_they_are_met(kind, dtype, several):
    number = {"f64": np.float64, "f32": np.float32, "c128": np.complex128}[dtype]
    A, B, X, y = operands(dtype=number)
    given = KINDS[kind](A), KINDS[kind](B)
    before = [given[0].copy(), given[1].copy()]
    with pytest.MonkeyPatch.context() as patch:
        import tpc.passes.sparse

        patch.setattr(tpc.passes.sparse, "predicted", lambda *_: 0.0)
        found = several[dtype](*given, X, y)
    wanted = several[dtype](given[0].toarray(), given[1].toarray(), X, y)
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == other.dtype
        assert close(one, other, 1e-5 if dtype == "f32" else 1e-12)
    for now, then in zip(given, before):
        assert now.nnz == then.nnz and (now != then).nnz == 0


@pytest.mark.parametrize("n, k", [(0, 0), (0, 2), (1, 1), (5, 0)])
def test_no_entries(n, k, several):
    A, B, X, y = operands(n, k)
    found = several["f64"](sp.csr_array((n, n)), sp.csc_array(B), X, y)
    wanted = several["f64"](np.zeros((n, n)), B, X, y)
    assert all(plain(one).shape == other.shape and close(one, other) for one, other in zip(found, wanted, strict=True))


def test_results_share_no_memory(always_sparse):
    f = compiled(["A", "A'", "2 * A", "tanh(A)", "A - tanh(A)"])
    A, B, X, y = operands()
    given = sp.csr_array(A)
    for result in f(given, sp.csr_array(B), X, y):
        assert not np.shares_memory(result.data, given.data)
        assert not np.shares_memory(result.indices, given.indices)


def test_loops_keep_what_they_read_sparse(always_sparse):
    f = tpc.compile(
        "def f(A: f64[n, n], x: f64[n]) -> f64[n]:\n"
        "    y = x\n    repeat 20:\n        y = tanh(A @ y + x)\n    return y\n"
    )
    A, x = entries(9, 9), entries(1, 9, density=1.0)[0]
    assert close(f(sp.csr_array(A), x), f(A, x))
    assert "_dense" not in f.source.split("def f")[1]


NOTATION = {
    "r[i] = sum[k](A[i, k] * y[k])": "_spmm",
    "r[k] = sum[i](A[i, k] * y[i])": "_spmm",
    "r[i, j] = sum[k](A[i, k] * X[k, j])": "_spmm",
    "r[j, i] = sum[k](X[k, j] * A[k, i])": "_spmm",
    "r[i, j] = sum[k](A[k, i] * A[j, k])": " @ ",
    "r[i] = sum[k](A[i, k])": ".sum(axis=1",
    "r = sum[i, k](A[i, k] * B[k, i])": "_csr_mul",
    "r[i, k] = A[k, i]": ".T",
    "r[i, k] = A[i, k] * B[i, k]": "_csr_mul",
}


@pytest.mark.parametrize("statement", NOTATION)
def test_index_notation(statement, always_sparse):
    f = tpc.compile(f"def f({DIMS.format('f64')}):\n    {statement}\n    return r\n")
    dense = operands()
    found = f(sp.csr_array(dense[0]), sp.csr_array(dense[1]), *dense[2:])
    assert NOTATION[statement] in f.source and "_dense" not in f.source
    assert close(found, f(*dense))


def test_rows_outside_of_a_matrix_are_an_error(always_sparse):
    f = tpc.compile("def f(A: f64[n, n], places: i64[k]) = take(A, places)\n")
    with pytest.raises(tpc.TpcError, match="outside"):
        f(sp.csr_array(entries(9, 9)), np.array([1, 9]))


def test_a_triangle_is_solved_by_substitution(always_sparse):
    text = "def f(L: f64[n, n] is lower and nonsingular, b: f64[n]) -> f64[n] = L \\ b\n"
    f = tpc.compile(text)
    L, b = np.tril(entries(9, 9)) + 2 * np.eye(9), entries(1, 9, density=1.0)[0]
    assert close(f(sp.csr_array(L), b), np.linalg.solve(L, b))
    f(sp.csr_array(L), b)
    assert "_csr_solve_triangular" in f.source


def test_a_singular_matrix_has_a_name(always_sparse):
    f = tpc.compile("def f(A: f64[n, n], b: f64[n]) -> f64[n] = A \\ b\n")
    with pytest.raises(tpc.TpcError, match="singular"):
        f(sp.csr_array(np.diag([1.0, 0, 2])), np.ones(3))


def test_formats_without_sparse_kernels_become_dense():
    f = tpc.compile("def f(A: f32[n, m], x: f32[m]) -> f32[n] = A @ x\n", mode="bitwise")
    A = sp.csr_array(np.eye(3, dtype=np.float32))
    assert np.array_equal(f(A, np.ones(3, np.float32)), np.ones(3))


@pytest.mark.parametrize("dtype", [bool, np.int64, np.float32])
def test_entries_of_narrower_formats_are_converted(dtype):
    A = (10 * entries(9, 9)).astype(dtype)
    f = tpc.compile("def f(A: f64[n, n], x: f64[n]) = A @ x")
    for kind in (sp.csr_array, sp.coo_matrix):
        assert np.allclose(f(kind(A), np.ones(9)), A.astype(float) @ np.ones(9), rtol=1e-14)
    narrow = tpc.compile("def f(A: f32[n, n], x: f32[n]) = A @ x")
    with pytest.raises(tpc.TpcError, match="E0803|out of the range"):
        narrow(sp.csr_array(np.eye(2) * 1e300), np.ones(2, np.float32))
