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


def test_columns_have_two_bytes_where_entries_come_from_memory(tmp_path, monkeypatch):
    monkeypatch.setenv("TPC_CACHE", "off")
    A, x = sp.random_array((1000, 2**16), density=0.003, rng=rng, format="csr"), rng.normal(size=2**16)
    sp.save_npz(tmp_path / "A.npz", A)
    f = tpc.compile('const A: f64[1000, 65536] = load("A.npz")\ndef f(x: f64[65536]) = A @ x\n', folder=tmp_path)
    assert np.allclose(f(x), A @ x) and "_spmm_short(" in f.source
    for other, columns in ((A[:100], 1), (A, 2), (sp.csr_array((A.data, A.indices, A.indptr), shape=(1000, 2**17)), 1)):
        assert formats.fastest(other, [columns]) != "short"


def two_of_four(rows, columns, dtype=np.float32):
    W = rng.normal(size=(rows, columns)).astype(dtype)
    groups = np.abs(W).reshape(rows, columns // 4, 4)
    return W * (np.argsort(np.argsort(-groups, axis=-1), axis=-1) < 2).reshape(rows, columns)


@pytest.mark.parametrize("n, columns, format", [(1536, 1, "bits"), (256, 1, ""), (512, 16, "groups2of4"), (512, 2, "")])
def test_two_of_four_are_stored_without_places_where_that_pays(n, columns, format, tmp_path, monkeypatch):
    """A bit for each place for one column, but for small matrices, and groups by their patterns for more."""
    monkeypatch.setenv("TPC_CACHE", "off")
    W = two_of_four(n, n)
    np.save(tmp_path / "W.npy", W)
    shape = f"{n}" if columns == 1 else f"{n}, {columns}"
    text = f'const W: f32[{n}, {n}] is sparse(0.5) = load("W.npy")\ndef f(x: f32[{shape}]) = W @ x\n'
    f = tpc.compile(text, folder=tmp_path)
    x = rng.normal(size=n if columns == 1 else (n, columns)).astype(np.float32)
    assert np.allclose(f(x), W @ x, atol=1e-3)
    assert (f"format={format}," in str(f.plan.program)) == (f"_spmm_{format}(" in f.source) == bool(format)


def test_blocks_that_are_half_empty_do_not_pay():
    """Rather rows, where all blocks would have entries; and blocks, where those that have any are full."""
    half = sp.csr_array(rng.normal(size=(1024, 1024)) * (rng.random((1024, 1024)) < 0.5))
    blocks = sp.csr_array(np.kron(rng.random((64, 64)) < 0.5, np.ones((16, 16))))
    for columns in (4, 16):
        assert formats.fastest(half, [columns]) == "rows"
        assert formats.fastest(blocks, [columns]).startswith("blocks")


def test_groups_need_as_many_entries_in_each():
    A = two_of_four(8, 16)
    assert formats.seconds(sp.csr_array(A), "groups2of4", [16]) < float("inf")
    moved = A.copy()
    moved[0, :8] = [1, 1, 1, 0, 0, 0, 0, 1]  # as many in the row, and more in one group than in another
    twice = sp.csr_array((np.ones(2), np.array([1, 1]), np.array([0, 2])), shape=(1, 4))
    assert formats.seconds(twice, "groups2of4", [16]) == float("inf")
    for other in (moved, A[:, :6], A[:0], A.astype(np.complex64)):
        assert formats.seconds(sp.csr_array(other), "groups2of4", [16]) == float("inf")
    assert formats.seconds(sp.csr_array(A), "groups2of4", [1]) == float("inf")


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
