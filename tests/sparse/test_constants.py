"""Matrices that files store by their entries stay sparse; what is made of them alone is made once, at loading."""

import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp

import tpc
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check

rng = np.random.default_rng(5)
N = 60


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TPC_CACHE", "off")
    A = sp.random_array((N, N), density=0.04, rng=rng, format="csr") + 3 * sp.eye_array(N, format="csr")
    scipy.io.mmwrite(tmp_path / "A.mtx", A)
    scipy.io.mmwrite(tmp_path / "S.mtx", A + A.T, symmetry="symmetric")
    for format in ("csr", "csc", "coo", "bsr", "dia"):
        sp.save_npz(tmp_path / f"{format}.npz", A.asformat(format))
    return tmp_path, A.toarray()


def loaded(folder, body, file="A.mtx", declared="", **settings):
    text = f'const A: f64[{N}, {N}]{declared} = load("{file}")\ndef f(x: f64[{N}]) = {body}\n'
    (folder / "p.tp").write_text(text)
    return tpc.load(folder / "p.tp", **settings).f


def main(f):
    return f.source[f.source.rindex("\ndef ") :]


@pytest.mark.parametrize("file", ["A.mtx", "S.mtx", "csr.npz", "csc.npz", "coo.npz", "bsr.npz", "dia.npz"])
def test_files_of_entries(file, folder):
    path, A = folder
    A = A + A.T if file == "S.mtx" else A
    f, x = loaded(path, "A @ x, A", file), rng.normal(size=N)
    product, matrix = f(x)
    assert np.allclose(product, A @ x) and not np.allclose(product, A @ x + 1)
    assert sp.issparse(matrix) and np.allclose(matrix.toarray(), A)
    matrix.data[:] = 0  # the caller's own
    assert np.allclose(f(x)[1].toarray(), A)
    assert "_csr_parts" not in main(f)


@pytest.mark.parametrize("settings", [{"mode": "bitwise"}, {"backend": "torch"}, {"backend": "llvm"}])
def test_where_there_are_no_sparse_kernels(settings, folder):
    if "backend" in settings:
        pytest.importorskip({"llvm": "llvmlite"}.get(settings["backend"], settings["backend"]))
    path, A = folder
    f, x = loaded(path, "A @ x + A' @ x", **settings), rng.normal(size=N)
    assert np.allclose(f(x), A @ x + A.T @ x)


def test_factors_are_computed_once(folder):
    path, A = folder
    f, x = loaded(path, "A \\ x, logdet(A), inv(A) @ (2 * x)"), rng.normal(size=N)
    solved, logdet, twice = f(x)
    assert np.allclose(A @ solved, x) and np.allclose(A @ twice, 2 * x)
    assert np.isclose(logdet, np.linalg.slogdet(A)[1])
    assert "_splu(" in f.source and "_splu(" not in main(f)


def test_a_singular_constant_has_a_name(folder):
    path, A = folder
    sp.save_npz(path / "Z.npz", sp.csr_array(np.diag(np.arange(float(N)))))
    f = loaded(path, "A \\ x", "Z.npz")
    for _ in range(2):
        with pytest.raises(tpc.TpcError, match="singular"):
            f(np.ones(N))


def test_programs_print_and_parse(folder):
    path, A = folder
    f = loaded(path, "A @ x")
    text = str(f.program)
    assert '"A.mtx:values"' in text and "sparse_matrix(" in text
    from tpc.files import FolderFiles

    assert check(Source(text, "p.tp"), FolderFiles(path, ("p.tp", path / "p.tp"))).programs["f"] is f.program


def test_parts_in_a_program():
    f = tpc.compile("def f(v: f64[k], c: i64[k], s: i64[p], x: f64[4]) = sparse_matrix(v, c, s, 4) @ x\n")
    v, c, s = np.array([1.0, 2.0, 4.0]), np.array([3, 0, 0]), np.array([0, 1, 1, 3])
    assert np.allclose(f(v, c, s, np.arange(1.0, 5)), [4, 0, 6])
    with pytest.raises(tpc.TpcError, match="parts of a sparse matrix"):
        f(v, np.array([4, 0, 0]), s, np.ones(4))


def test_an_array_that_is_declared_sparse_is_stored_so_where_that_pays(folder):
    path, A = folder
    n = 1500
    few, many = rng.normal(size=(n, n)) * (rng.random((n, n)) < 0.01), rng.normal(size=(n, n))
    x = rng.normal(size=n)
    for array, is_stored in ((few, True), (many, False)):
        np.save(path / "W.npy", array)
        text = f'const W: f64[{n}, {n}] is sparse(1) = load("W.npy")\ndef f(x: f64[{n}]) = W @ x, W\n'
        (path / "p.tp").write_text(text)
        f = tpc.load(path / "p.tp").f
        product, whole = f(x)
        assert np.allclose(product, array @ x)
        assert isinstance(whole, np.ndarray) and np.array_equal(whole, array)
        assert ("_to_csr" in f.source) == is_stored


@pytest.mark.parametrize("part, value", [("indices", 10**6), ("indptr", 10**6), ("indices", -1)])
def test_files_that_lie_are_refused(part, value, folder):
    path, _ = folder
    with np.load(path / "csr.npz") as archive:
        parts = dict(archive)
    parts[part] = parts[part].copy()
    parts[part][-2] = value
    np.savez(path / "bad.npz", **parts)
    with pytest.raises(tpc.TpcError, match="E0709|E0708|cannot be read"):
        loaded(path, "A @ x", "bad.npz")
