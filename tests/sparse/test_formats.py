"""Constants are stored in the format that is the fastest for their products; others can be registered."""

import numpy as np
import pytest
import scipy.sparse as sp

import tpc
from tpc.ir import formats
from tpc.passes.sparse.reorder import clustered

pytest.importorskip("llvmlite")
rng = np.random.default_rng(7)
N = 512


def banded():
    return sp.diags_array([np.full(N, 3.0), np.ones(N - 1), np.ones(N - 9)], offsets=[0, 1, -9], shape=(N, N)).tocsr()


def in_blocks(side, share=1.0):
    blocks = np.kron(rng.random((N // side, N // side)) < 0.06, np.ones((side, side)))
    return sp.csr_array(blocks * (rng.random((N, N)) < share) * rng.normal(size=(N, N)))


def loaded(folder, matrix, body, columns):
    sp.save_npz(folder / "A.npz", matrix)
    x = "x: f64[512]" if columns == 1 else f"x: f64[512, {columns}]"
    (folder / "p.tp").write_text(f'const A: f64[512, 512] = load("A.npz")\ndef f({x}) = {body}\n')
    return tpc.load(folder / "p.tp").f


SCATTERED = sp.random_array((N, N), density=0.05, rng=rng, format="csr")
CASES = {
    "diagonals": (banded(), "A @ x", 1, ["store(", "diagonals"]),
    "blocks": (in_blocks(4), "A @ x", 16, ["blocks4"]),
    "blocks of rows in disorder": (in_blocks(16)[rng.permutation(N)], "A @ x", 16, ["blocks16", "csr_take", "take"]),
    "no pattern": (SCATTERED, "A @ x", 16, []),
    "transpose": (SCATTERED, "A' @ x", 16, ["store(", "csr_transpose"]),
    "both": (SCATTERED, "A @ (A' @ x)", 16, ["csr_transpose"]),
    "not products alone": (banded(), "A @ x + A[3]", 1, []),
}


@pytest.mark.parametrize("case", CASES)
def test_formats(case, tmp_path, monkeypatch):
    monkeypatch.setenv("TPC_CACHE", "off")
    matrix, body, columns, words = CASES[case]
    f = loaded(tmp_path, matrix, body, columns)
    x = rng.normal(size=N if columns == 1 else (N, columns))
    wanted = eval(body.replace("'", ".T"), {"A": matrix.toarray(), "x": x})  # noqa: S307
    for _ in range(3):
        assert np.allclose(f(x), wanted, rtol=1e-12, atol=1e-12)
    plan = str(f.plan.program)
    assert all(word in plan for word in words)
    assert ("store(" in plan) == bool(words)


@pytest.mark.parametrize("n, columns, is_stored", [(1536, 1, True), (256, 1, False), (512, 16, False)])
def test_two_of_four_have_a_bit_for_each_place_where_that_pays(n, columns, is_stored, tmp_path, monkeypatch):
    """It does not for small matrices, nor for many columns."""
    monkeypatch.setenv("TPC_CACHE", "off")
    W = rng.normal(size=(n, n)).astype(np.float32)
    groups = np.abs(W).reshape(n, n // 4, 4)
    W *= (np.argsort(np.argsort(-groups, axis=-1), axis=-1) < 2).reshape(n, n)
    np.save(tmp_path / "W.npy", W)
    shape = f"{n}" if columns == 1 else f"{n}, {columns}"
    text = f'const W: f32[{n}, {n}] is sparse(0.5) = load("W.npy")\ndef f(x: f32[{shape}]) = W @ x\n'
    f = tpc.compile(text, folder=tmp_path)
    x = rng.normal(size=n if columns == 1 else (n, columns)).astype(np.float32)
    assert np.allclose(f(x), W @ x, atol=1e-3)
    assert ("format=bits" in str(f.plan.program)) == ("_spmm_bits(" in f.source) == is_stored


def test_planted_blocks_are_recovered():
    matrix = in_blocks(16, share=0.6)
    planted = formats.filled_blocks(matrix, 16, 16)
    shuffled = sp.csr_array(matrix[rng.permutation(N)])
    order = clustered(shuffled, 16, 16)
    assert sorted(order) == list(range(N))
    assert formats.filled_blocks(shuffled, 16, 16) > 3 * planted
    assert formats.filled_blocks(shuffled[order], 16, 16) == planted


def test_inputs_stay_in_the_format_in_which_they_come(monkeypatch):
    monkeypatch.setenv("TPC_CACHE", "off")
    f = tpc.compile("def f(A: f64[n, n], x: f64[n]) = A @ x\n")
    x = rng.normal(size=N)
    for matrix in (banded(), banded().todia(), in_blocks(4).tobsr((4, 4)), banded().tocoo()):
        assert np.allclose(f(matrix, x), matrix @ x)
    assert "_csr_or_blocks" in f.source


# A format from outside of tpc: as many entries for each row (ELLPACK).
ELLPACK = formats.Format(
    name="ellpack",
    about="as many entries for each row",
    seconds=lambda A, columns: 0.0 if A.nnz and len(set(np.diff(A.indptr))) == 1 else float("inf"),
    store="""
def store(A):
    width = A.indptr[1]
    return A.data.reshape(-1, width), A.indices.reshape(-1, width)
""",
    spmm="""
def spmm(stored, X):
    values, columns = stored
    return np.einsum("ik,ik...->i...", values, X[columns])
""",
)


def test_a_format_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.setenv("TPC_CACHE", "off")
    monkeypatch.setitem(formats.FORMATS, ELLPACK.name, None)  # taken out again behind the test
    del formats.FORMATS[ELLPACK.name]
    formats.register(ELLPACK)
    places = np.sort(np.argsort(rng.random((N, N)), axis=1)[:, :5], axis=1)
    matrix = sp.csr_array((rng.normal(size=5 * N), places.ravel(), np.arange(0, 5 * N + 1, 5)), shape=(N, N))
    for columns in (1, 7):
        f = loaded(tmp_path, matrix, "A @ x", columns)
        x = rng.normal(size=N if columns == 1 else (N, columns))
        assert np.allclose(f(x), matrix @ x)
        assert "_spmm_ellpack(" in f.source
    with pytest.raises(ValueError, match="name of its own"):
        formats.register(ELLPACK)
