"""Calls that are one sparse product go straight to native code, and all others the way that they went before."""

import sys

import numpy as np
import pytest
import scipy.sparse as sp

import tpc

from .zoo import KINDS, duplicates, entries

pytest.importorskip("llvmlite")
from tpc.backends.llvm.sparse import NATIVE, Replacing, product, spmm  # noqa: E402
from tpc.backends.llvm.sparse.entries import Kernel  # noqa: E402
from tpc.backends.llvm.sparse.whole import Given, whole  # noqa: E402
from tpc.compiled import Compiled  # noqa: E402

PRODUCT = "def f(S: f64[n, m], x: f64[m]) = S @ x\n"
SQUARE = "def f(S: f64[n, n], x: f64[n]) = S @ x\n"
MANY = "def f(S: f64[n, m], X: f64[m, k]) = S @ X\n"
TURNED = "def f(x: f64[n], S: f64[n, m]) = S' @ x\n"
SAMPLED = "def f(S: f64[n, m], U: f64[n, k], V: f64[m, k]) = S * (U @ V')\n"
GRAM = "def f(S: f64[n, n], U: f64[n, k]) = S * (U @ U')\n"
SOLVED = "def f(L: f64[n, n] is lower and nonsingular, b: f64[n]) = L \\ b\n"
SOLVED_TURNED = "def f(b: f64[n], L: f64[n, n] is lower and nonsingular) = L' \\ b\n"


@pytest.fixture(autouse=True)
def own_code(monkeypatch):
    monkeypatch.setenv("TPC_CACHE", "off")


def is_at_once(f) -> bool:
    return type(f).__call__ is not Compiled.__call__


def compiled(text, *operands, **options):
    """The function after a call, which makes its native code."""
    f = tpc.compile(text, backend="llvm", **options)
    f(*operands)
    return f


def dense_of(*operands):
    return [o.toarray() if sp.issparse(o) else o for o in operands]


def operands_of(text, kind=sp.csr_array, dtype=np.float64, n=40, m=30, k=7):
    """Arguments for a program, and what it gives."""
    U, V = entries(n, k, dtype, 1.0), entries(m, k, dtype, 1.0)
    if text in (SQUARE, GRAM):
        m, V = n, U
    D = entries(n, m, dtype, 0.1)
    S, x, y = kind(D), entries(1, m, dtype, 1.0)[0], entries(1, n, dtype, 1.0)[0]
    found = {
        PRODUCT: lambda: ((S, x), D @ x),
        SQUARE: lambda: ((S, x), D @ x),
        MANY: lambda: ((S, V), D @ V),
        TURNED: lambda: ((y, S), D.T @ y),
        SAMPLED: lambda: ((S, U, V), D * (U @ V.T)),
        GRAM: lambda: ((S, U), D * (U @ U.T)),
    }
    return found[text]()


def alike(found, wanted):
    return np.allclose(found.toarray() if sp.issparse(found) else found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("text", [PRODUCT, SQUARE, MANY, TURNED, SAMPLED, GRAM])
@pytest.mark.parametrize("kind", [sp.csr_array, sp.csr_matrix])
def test_calls_at_once(text, kind, always_sparse):
    operands, wanted = operands_of(text, kind)
    f = compiled(text, *operands)
    assert is_at_once(f)
    names = [p.name for p in f.function.parameters]
    for found in (f(*operands), f(**dict(zip(names, operands))), f(operands[0], **dict(zip(names[1:], operands[1:])))):
        assert alike(found, wanted) and not alike(found, wanted + 1)
        assert type(found) is (sp.csr_array if "*" in text else np.ndarray)


@pytest.mark.parametrize("text", [SOLVED, SOLVED_TURNED])
@pytest.mark.parametrize("columns", [(), (1,), (5,)])
@pytest.mark.parametrize("kind", [sp.csr_array, sp.csc_array, sp.csr_matrix])
def test_systems_with_triangles_at_once(text, kind, columns, always_sparse):
    is_turned = text == SOLVED_TURNED
    f = tpc.compile(text.replace("b: f64[n]", "b: f64[n, k]") if columns else text, backend="llvm")
    for n in (12, 1, 30):
        L, b = np.tril(entries(n, n, density=0.3), -1) + 2 * np.eye(n), np.ones((n, *columns))
        operands = (b, kind(L)) if is_turned else (kind(L), b)
        for _ in range(2):
            assert alike(f(*operands), np.linalg.solve(L.T if is_turned else L, b))
            assert is_at_once(f)


def test_a_zero_on_the_diagonal_is_told_as_ever(always_sparse):
    L, b = 2 * np.eye(5), np.ones(5)
    f = compiled(SOLVED, sp.csr_array(L), b)
    assert is_at_once(f)
    L[3, 3] = 0
    with pytest.raises(tpc.TpcError, match="zero on its diagonal"):
        f(sp.csr_array(L), b)


@pytest.mark.parametrize("text", [PRODUCT, MANY, SAMPLED])
def test_what_is_prepared_does_not_wait(text, always_sparse):
    operands, wanted = operands_of(text)
    f = tpc.compile(text).prepare(*operands)
    assert alike(f(*operands), wanted)
    assert is_at_once(f) and alike(f(*operands), wanted)
    f = tpc.compile(text)
    f(*operands)
    assert not is_at_once(f)  # it waits until that pays


CG = "def f(A: f64[n, n] is spd, b: f64[n]) -> f64[n] = solve(A, b, method=cg, tol=1e-10)\n"


@pytest.mark.parametrize("backend", ["auto", "llvm"])
def test_steps_between_sparse_products_are_native(backend, always_sparse):
    n = 60
    A = sp.diags_array([-np.ones(n - 1), 2.5 * np.ones(n), -np.ones(n - 1)], offsets=[-1, 0, 1]).tocsr()
    b = entries(1, n, density=1.0)[0]
    f = tpc.compile(CG, backend=backend).prepare(A, b)
    for _ in range(30):
        assert np.allclose(f(A, b), np.linalg.solve(A.toarray(), b), rtol=1e-8)
    special = f._latest()
    run = special.run if backend == "llvm" else special.upgrade.native.run
    assert run.natives and not run.failure and "_spmm(" in run.emitted.source
    assert type(run.namespace["_spmm"]) is not Replacing  # the kernel itself
    with pytest.raises(tpc.TpcError, match="positive definite"):
        f(-A, b)
    assert np.allclose(f(A.toarray(), b), f(A, b))


@pytest.mark.parametrize("text", ["A @ x + exp(A) @ x", "(A * 2) @ x + A[0, 0]", "exp(A @ x) + x", "sum(A) + A @ x"])
def test_dense_steps_with_a_sparse_matrix(text, always_sparse):
    A, x = sp.csr_array(entries(20, 20, density=0.1)), entries(1, 20, density=1.0)[0]
    text = f"def f(A: f64[n, n], x: f64[n]) = {text}\n"
    wanted = tpc.compile(text, backend="numpy")(A.toarray(), x)
    for backend in ("auto", "llvm"):
        f = tpc.compile(text, backend=backend).prepare(A, x)
        for _ in range(10):
            assert alike(f(A, x), wanted)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("text", [PRODUCT, TURNED, SAMPLED])
def test_matrices_of_any_kind(text, name, always_sparse):
    first, _ = operands_of(text)
    operands, wanted = operands_of(text, KINDS[name])
    if name == "explicit zeros":
        wanted = tpc.compile(text)(*dense_of(*operands))
    f = compiled(text, *first)
    for _ in range(2):
        found = f(*operands)
        assert alike(found, wanted)
        assert not sp.issparse(found) or found.has_canonical_format


@pytest.mark.parametrize("n, m", [(1, 1), (1, 5), (5, 1), (4, 4), (200, 3)])
def test_other_sizes(n, m, always_sparse):
    for text in (PRODUCT, MANY, TURNED, SAMPLED):
        first, _ = operands_of(text)
        f = compiled(text, *first)
        operands, wanted = operands_of(text, n=n, m=m, k=2)
        for _ in range(3):
            assert alike(f(*operands), wanted)


@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (4, 0)])
def test_no_entries(shape, always_sparse):
    f = compiled(PRODUCT, *operands_of(PRODUCT)[0])
    for _ in range(2):
        assert np.array_equal(f(sp.csr_array(shape), np.ones(shape[1])), np.zeros(shape[0]))


def test_what_is_not_for_the_kernel_goes_the_usual_way(always_sparse):
    operands, wanted = operands_of(SQUARE)
    S, x = operands
    f = compiled(SQUARE, *operands)
    assert alike(f(S.toarray(), x), wanted) and alike(f(S, x.tolist()), wanted)
    assert alike(f(S.astype(np.float32).astype(np.float64), x), S.astype(np.float32) @ x)
    out = np.empty(len(x))
    assert f(S, x, out=out) is out and alike(out, wanted)
    for wrong, code in (((S, x[:-1]), "E08"), ((S[:-1], x), "E08"), ((S,), "E0801"), ((S, x, x), "E0808")):
        with pytest.raises(tpc.TpcError, match=code):
            f(*wrong)


def test_a_sparse_result_is_not_written_to_an_array_that_is_lent_by_the_kernel(always_sparse):
    operands, wanted = operands_of(SAMPLED)
    f, out = compiled(SAMPLED, *operands), np.empty(wanted.shape)
    assert f(*operands, out=out) is out and alike(out, wanted)


def test_denser_matrices_have_a_plan_of_their_own():
    text = "def f(S: f64[n, n], X: f64[n, k]) = S @ X\n"
    few, many = (sp.random_array((256, 256), density=d, rng=np.random.default_rng(0), format="csr") for d in (0.01, 1))
    X = entries(256, 200, density=1.0)
    f = compiled(text, few, X)
    assert is_at_once(f) and "_spmm" in f.source
    assert alike(f(many, X), many @ X)
    assert "_spmm" not in f.source  # of the last call that did not go at once
    assert alike(f(few, X), few @ X)


def test_many_columns_are_taken_some_at_a_time(always_sparse, monkeypatch):
    import tpc.backends.llvm.sparse as native

    taken, whole = [], native._wide
    monkeypatch.setattr(native, "_wide", lambda A, X: taken.append(X.shape[1]) or whole(A, X))
    S, X = sp.csr_array(entries(200, 20, density=1.0)), entries(20, 200, density=1.0)
    f = compiled(MANY, S, X[:, :30].copy())
    assert is_at_once(f) and not taken
    for columns in (64, 65, 200):
        assert alike(f(S, X[:, :columns].copy()), S @ X[:, :columns])
    assert taken == [65, 200]


def test_sizes_that_are_fixed_and_constraints_hold(always_sparse):
    (S, x), wanted = operands_of(SQUARE)
    f = compiled(SQUARE, S, x, dims={"n": 40})
    assert is_at_once(f) and alike(f(S, x), wanted)
    with pytest.raises(tpc.TpcError, match="E08"):
        f(sp.csr_array(np.eye(39)), np.ones(39))
    g = compiled("def f(S: f64[n, m], x: f64[m]) -> f64[n] where n >= m = S @ x\n", sp.csr_array(np.eye(3)), np.ones(3))
    with pytest.raises(tpc.TpcError, match="E08"):
        g(sp.csr_array(np.ones((2, 3))), np.ones(3))


def test_more_than_a_product_goes_the_usual_way(always_sparse):
    (S, x), wanted = operands_of(SQUARE)
    for text, more in (("S @ x + x", wanted + x), ("S @ (S @ x)", S @ wanted), ("2 * (S @ x)", 2 * wanted)):
        f = compiled(SQUARE.replace("S @ x", text), S, x)
        assert not is_at_once(f)
        for _ in range(3):
            assert alike(f(S, x), more)


def test_a_limit_of_threads_holds(monkeypatch, always_sparse):
    from tpc.backends.llvm import engine
    from tpc.threads import ThreadLimit

    (S, x), wanted = operands_of(SQUARE)
    seen, leave = [], ThreadLimit.__exit__

    def left(self, *error):
        seen.append(engine.thread_setting()[0]())
        leave(self, *error)

    monkeypatch.setattr(ThreadLimit, "__exit__", left)
    f = compiled(SQUARE, S, x, threads=1)
    assert is_at_once(f)
    seen.clear()
    try:
        assert alike(f(S, x), wanted) and alike(f(S=S, x=x), wanted)
        assert seen == [1, 1]
    finally:
        engine.set_threads(None)


def test_facts_that_are_checked_are_checked_at_each_call():
    f = tpc.compile("def f(S: f64[n, n] is symmetric, x: f64[n]) = S @ x\n", backend="llvm", check_facts=True)
    assert np.array_equal(f(sp.csr_array(np.eye(3)), np.ones(3)), np.ones(3)) and not is_at_once(f)
    with pytest.raises(tpc.TpcError, match="E0812"):
        f(sp.csr_array(np.triu(np.ones((3, 3)))), np.ones(3))


def test_nothing_is_kept(always_sparse):
    for text in (SQUARE, SAMPLED):
        operands, _ = operands_of(text)
        f = compiled(text, *operands)
        parts = [operands[0].data, operands[0].indices, operands[0].indptr, operands[0].shape, *operands]
        f(*operands)
        before = [sys.getrefcount(part) for part in parts]
        for _ in range(50):
            f(*operands)
        assert [sys.getrefcount(part) for part in parts] == before


def test_nothing_is_kept_where_an_argument_does_not_fit(always_sparse):
    (S, x), _ = operands_of(SQUARE)
    f = compiled(SQUARE, S, x)
    parts = [S.data, S.indices, S.indptr, S, x]
    before = [sys.getrefcount(part) for part in parts]
    for _ in range(50):
        f(S, x.tolist())
    assert [sys.getrefcount(part) for part in parts] == before


def test_objects_that_lack_an_array_are_for_the_slow_function():
    S, x = sp.csr_array(np.eye(3)), np.ones(3)
    entered = Kernel("csr", "d", "i", "vector").entry(lambda *operands: "slow")
    assert np.array_equal(entered(S, x), x) and entered(S.tocsc(), x) == "slow" and entered(3, x) == "slow"
    assert entered(S, np.ones(4)) == "slow" and entered(S, x.astype(np.float32)) == "slow"
    del S.indptr
    assert entered(S, x) == "slow"


def test_a_matrix_whose_class_is_not_that_of_scipy_is_for_the_slow_function():
    class Own(sp.csr_array):
        pass

    entered = Kernel("csr", "d", "i", "vector").entry(lambda *operands: "slow")
    assert entered(Own(np.eye(3)), np.ones(3)) == "slow"


def test_starts_that_are_not_of_the_shape_are_for_the_slow_function():
    S = sp.csc_array(np.eye(3))
    entered = Kernel("csc", "d", "i", "vector").entry(lambda *operands: "slow")
    S.indptr = S.indptr[:-1]
    assert entered(S, np.ones(3)) == "slow"


# ---- what a module does


def loaded(text):
    """The module of a program."""
    return compiled(text, *operands_of(text)[0])._last[0].run


def test_whole_modules(always_sparse):
    assert whole(loaded(SQUARE)) == ("_spmm", [Given(0, True), Given(1)])
    assert whole(loaded(TURNED)) == ("_spmm", [Given(1, True, True), Given(0)])
    assert whole(loaded(SAMPLED)) == ("_sddmm", [Given(0, True), Given(1), Given(2, False, True)])
    (S, x), _ = operands_of(SQUARE)
    assert whole(compiled(SQUARE.replace("S @ x", "S @ x + 1"), S, x)._last[0].run) is None


# ---- helpers


def test_a_helper_gives_way_to_kernels_one_after_the_other():
    A, X = sp.csr_array(entries(9, 9)), entries(9, 5, density=1.0)
    called, ready, space = [], [], {}

    def plain(A, X):
        called.append(1)
        return A @ X

    space["_spmm"] = plain
    space["_spmm"] = Replacing(space, "_spmm", spmm, 0.0, lambda *what: ready.append(what))
    others = (A, A.tocsc(), sp.csr_array(A.astype(np.float32)), A.todia())
    for matrix in (*others, *others):
        for right in (X, X[:, 0], np.ones((9, 100))):
            right = right.astype(matrix.dtype)
            assert np.allclose(space["_spmm"](matrix, right), matrix @ right, 1e-5, 1e-5)
    assert not called
    assert type(space["_spmm"]).__name__ == "builtin_function_or_method"
    kernels = [kernel for name, kernel in ready if name == "_spmm"]
    assert len(kernels) == len(set(kernels)) == 8 and kernels[0] == product(A, X)
    assert np.allclose(space["_spmm"](A.tocoo(), X), A @ X) and len(called) == 1
    assert np.allclose(space["_spmm"](duplicates(entries(9, 9)), X).shape, (9, 5)) and len(called) == 1
    assert set(NATIVE) >= {"_spmm", "_sddmm", "_csr_solve_triangular"}


@pytest.mark.parametrize("backend", ["numpy", "llvm", "torch"])
def test_what_is_not_read_may_come_in_any_format(backend):
    f = tpc.compile("def f(A: f64[n, m], B: f64[m, n], b: f64[n]) -> f64[n] = tanh(b) * 2\n", backend=backend)
    b = np.linspace(0, 1, 5)
    for A in (sp.eye_array(5, 3), np.eye(5, 3)):
        for _ in range(2):
            np.testing.assert_allclose(f(A, sp.csc_array((3, 5)), b), 2 * np.tanh(b), rtol=1e-13)
            if backend == "llvm":
                f._latest().run.finish()
