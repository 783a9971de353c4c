"""Whether sparse kernels are chosen: by how many entries are stored, and what is done with them."""

import numpy as np
import pytest
import scipy.sparse as sp

import tpc
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.passes.pipeline import Options, run

LOOP = "def f(A: f64[n, n], x: f64[n]) -> f64[n]:\n    y = x\n    repeat 100:\n        y = tanh(A @ y)\n    return y\n"
PRODUCT = "def f(A: f64[n, n], X: f64[n, k]) -> f64[n, k] = A @ X\n"
GRAM = "def f(A: f64[n, n]) -> f64[n, n] = A @ A\n"


def ops(text, density, **at):
    program = check(Source(text)).programs["f"]
    plan = run(program, Options(at=at, sparse={"A": density})).program
    return {node.op.name for node in plan.walk()}


@pytest.mark.parametrize("text, density, is_sparse", [
    (LOOP, 0.01, True), (LOOP, 0.05, True), (LOOP, 0.9, False),
    (PRODUCT, 0.01, True), (PRODUCT, 0.05, True), (PRODUCT, 0.5, False), (PRODUCT, 0.9, False),
])  # fmt: skip
def test_by_density(text, density, is_sparse):
    found = ops(text, density, n=2048, k=512)
    assert ("spmm" in found) == is_sparse
    assert ("from_csr" in found) == (not is_sparse)


@pytest.mark.parametrize("n", [1024, 2048])
@pytest.mark.parametrize("dtype", ["f64", "f32"])
def test_a_matrix_of_which_half_is_zero_is_made_dense_for_many_columns(dtype, n):
    product = PRODUCT.replace("f64", dtype)
    assert "spmm" not in ops(product, 0.5, n=n, k=256)
    assert "spmm" in ops(product, 0.5, n=n, k=16) and "spmm" in ops(product, 0.1, n=n, k=256)


def test_a_constant_of_which_half_is_zero_stays_dense_for_many_columns(tmp_path, monkeypatch):
    monkeypatch.setenv("TPC_CACHE", "off")
    chance = np.random.default_rng(0)
    W = (chance.normal(size=(1024, 1024)) * (chance.random((1024, 1024)) < 0.5)).astype(np.float32)
    np.save(tmp_path / "W.npy", W)
    text = 'const W: f32[1024, 1024] is sparse(0.5) = load("W.npy")\ndef f(X: f32[1024, 256]) = W @ X\n'
    assert "spmm" not in str(tpc.compile(text, folder=tmp_path).plan.program)


@pytest.mark.parametrize("n, each, is_sparse", [
    (2000, 5, True), (2000, 30, False), (1000, 50, False), (30_000, 5, True), (30_000, 30, True),
])  # fmt: skip
def test_systems_whose_factors_fill_in(n, each, is_sparse):
    """With more entries in a row than those of grids, factors are as good as dense, if the matrix is not large."""
    found = ops("def f(A: f64[n, n], b: f64[n]) = A \\ b\n", each / n, n=n)
    assert ("splu" in found) == is_sparse


def test_a_dense_square_is_not_made():
    assert {"spgemm"} <= ops(GRAM, 0.0001, n=100_000)
    assert "from_csr" not in ops("def f(A: f64[n, n]) -> f64 = trace(A @ A @ A)\n", 0.0001, n=100_000)


def test_results_are_sparse_whatever_kernels_made_them():
    f = tpc.compile(GRAM)
    for density in (0.01, 0.9):
        A = sp.random_array((60, 60), density=density, rng=np.random.default_rng(0), format="csr")
        found = f(A)
        assert sp.issparse(found)
        assert np.allclose(found.toarray(), (A @ A).toarray())


def test_a_matrix_beyond_all_memory():
    n = 3_000_000
    A = sp.eye_array(n, format="csr")
    f = tpc.compile("def f(A: f64[n, n], x: f64[n]) -> f64[n] = A @ (A' @ x) + 2 * x\n")
    assert np.array_equal(f(A, np.ones(n)), np.full(n, 3.0))


def test_what_cannot_be_sparse_says_so():
    A = sp.eye_array(3_000_000, format="csr")
    for expression, way in (("sum(exp(A))", "expm1"), ("sum(cos(A))", "zero at zero")):
        with pytest.raises(tpc.TpcError, match="E0901") as refused:
            tpc.compile(f"def f(A: f64[n, n]) -> f64 = {expression}\n")(A)
        assert "`A` is sparse, and is made dense for" in str(refused.value) and way in str(refused.value)


def test_plans_print_and_parse():
    program = check(Source(LOOP)).programs["f"]
    plan = run(program, Options(sparse={"A": 0.01})).program
    assert "csr(A, density=" in str(plan)
    assert check(Source(str(plan))).programs["f"] is plan


PRECONDITIONED = """\
def f(A: f64[n, n] is spd, b: f64[n]) -> f64[n]:
    return solve(A, b, method=cg, tol=1e-8, precond=incomplete_cholesky)
"""


def test_incomplete_factors_stay_sparse_and_triangular_in_loops():
    """The pattern of a sum of values within one pattern is that one, and what is known goes into the loops."""
    found = ops(PRECONDITIONED, 5 / 4096, n=4096)
    assert {"csr_solve_triangular", "spgemm", "spmm"} <= found
    assert not {"from_csr", "splu", "solve", "lu_factor"} & found
    program = check(Source("def f(A: f64[n, n]) -> f64[n, n] = incomplete_cholesky(A)\n")).programs["f"]
    plan = run(program, Options(at={"n": 4096}, sparse={"A": 5 / 4096})).program
    assert max(node["density"] for node in plan.nodes if node.op.name == "csr_add") <= 6.1 / 4096


def test_what_is_declared_of_a_sparse_value_holds_of_it_made_dense():
    text = "def lower(A: [n, n]) -> [n, n] is lower and nonsingular = A + 2 * A\n"
    text += "def f(A: f64[n, n], B: f64[n, k]) -> f64[n, k] = lower(A) \\ B\n"
    assert {"from_csr", "solve_triangular"} <= ops(text, 0.9, n=1000, k=500)
