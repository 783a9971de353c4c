"""Native sparse products are those of SciPy."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy
import scipy.sparse as sp

from tpc.ir import formats

from .zoo import entries

native = pytest.importorskip("tpc.backends.llvm.sparse")
rows = pytest.importorskip("tpc.backends.llvm.sparse.rows")


def stored(dense, places):
    """A matrix in each format that has native code, with places of a dtype."""
    found = [sp.csr_array(dense), sp.csc_array(dense), sp.dia_array(dense)]
    found += [sp.bsr_array(dense, blocksize=(high, wide)) for high, wide in ((3, 2), (1, 4), (4, 1))]
    for matrix in found:
        for name in ("indices", "indptr", "offsets"):
            if hasattr(matrix, name):
                setattr(matrix, name, getattr(matrix, name).astype(places))
    return found


@pytest.mark.parametrize("places", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_products(dtype, places):
    dense = entries(12, 20, dtype, 0.4)
    dense[3], dense[5] = 0, 1  # a row without entries, and one that has them all
    tolerance = 1e-5 if dtype == np.float32 else 1e-13
    for A in stored(dense, places):
        for columns in (0, 1, 2, 7, 16, 33, 71, 130):
            X = entries(20, columns, dtype, 1.0)
            for right in (X, np.asfortranarray(X)):
                assert np.allclose(native.spmm(A, right), dense @ right, atol=tolerance), (A.format, columns)
        x = entries(1, 20, dtype, 1.0)[0]
        assert np.allclose(native.spmm(A, x), dense @ x, atol=tolerance), A.format
        assert not np.allclose(native.spmm(A, x), dense @ x + 1, atol=tolerance)


@pytest.mark.parametrize("gathers", [True, False])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_rows_of_all_lengths(dtype, gathers, monkeypatch):
    """From those without an entry to those of some vectors, and of what is left of these."""
    monkeypatch.setattr(rows, "_gathers_pay", lambda: gathers)
    monkeypatch.setattr(native, "_made", {})
    tolerance = 1e-4 if dtype == np.float32 else 1e-12
    dense = np.tri(101, 100, -1, dtype) * entries(101, 100, dtype, 1.0)
    x = entries(1, 100, dtype, 1.0)[0]
    for A in (sp.csr_array(dense), sp.csr_array(dense[::-1])):
        assert np.allclose(native.spmm(A, x), A @ x, atol=tolerance)
        assert not np.allclose(native.spmm(A, x), A @ x + 1, atol=tolerance)
        found = native.sddmm(A, entries(101, 1, dtype, 1.0) * 0 + 1, np.ones((1, 100), dtype))
        assert np.allclose(found.toarray(), A.toarray(), atol=tolerance)


@pytest.mark.parametrize("places", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [1, 7, 8, 9, 40, 133])
def test_rows_of_as_many_entries(n, dtype, places):
    """Rows that are taken together, alone and with others between them; the order of sums is the same in parts."""
    from tpc.backends.llvm import engine

    rng, tolerance = np.random.default_rng(0), 1e-4 if dtype == np.float32 else 1e-12
    for each in (0, 1, 3, 5, 31, 32, 45):
        for other in (each, 0, 2 * each + 1):
            counts = np.full(n, each)
            counts[[n // 2, n - 1]] = other
            starts = np.concatenate([[0], np.cumsum(counts)]).astype(places)
            columns = np.concatenate([np.sort(rng.choice(99, count, False)) for count in counts]).astype(places)
            A = sp.csr_array((rng.standard_normal(starts[-1]).astype(dtype), columns, starts), (n, 99))
            x = entries(1, 99, dtype, 1.0)[0]
            try:
                engine.set_threads(1)
                alone = native.spmm(A, x)
                engine.set_threads(2)
                assert np.array_equal(native.spmm(A, x), alone)
            finally:
                engine.set_threads(None)
            assert np.allclose(alone, A @ x, tolerance, tolerance), (each, other)
            assert not np.allclose(alone, A @ x + 1, tolerance, tolerance)


@pytest.mark.parametrize("block", [(8, 8), (16, 16), (6, 5), (8, 1), (5, 7)])
def test_blocks_of_more_rows_than_are_computed_at_a_time(block):
    high, wide = block
    dense = np.kron(entries(5, 4, density=0.6) != 0, np.ones(block)) * entries(5 * high, 4 * wide, density=1.0)
    A = sp.bsr_array(dense, blocksize=block)
    for columns in (1, 3, 8, 40):
        X = entries(4 * wide, columns, density=1.0)
        assert np.allclose(native.spmm(A, X), dense @ X)
    assert np.allclose(native.spmm(A, X[:, 0].copy()), dense @ X[:, 0])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_products_of_which_few_entries_are_needed(dtype):
    dense, tolerance = entries(9, 11, dtype, 0.4), 1e-5 if dtype == np.float32 else 1e-13
    for inner in (0, 1, 7, 8, 33):
        U, V = entries(9, inner, dtype, 1.0), entries(inner, 11, dtype, 1.0)
        for A in (sp.csr_array(dense), sp.csc_array(dense)):
            found = native.sddmm(A, U, V)
            assert found.format == A.format
            assert np.allclose(found.toarray(), dense * (U @ V), atol=tolerance)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_panels_of_what_is_too_large_for_a_cache(dtype, monkeypatch):
    """Rows are left and taken up again, also those whose entries are in no order."""
    monkeypatch.setattr(rows, "host", lambda: SimpleNamespace(caches=(512, 4096, 1 << 20)))
    monkeypatch.setattr(native, "_made", {})
    dense, tolerance = entries(1100, 300, dtype, 0.2), 1e-4 if dtype == np.float32 else 1e-12
    X, U = entries(300, 40, dtype, 1.0), entries(1100, 40, dtype, 1.0)
    A = sp.csr_array(dense)
    disordered = A.copy()
    for row in range(0, 1100, 3):
        part = slice(*disordered.indptr[row : row + 2])
        disordered.indices[part], disordered.data[part] = disordered.indices[part][::-1], disordered.data[part][::-1]
    for matrix in (A, disordered):
        assert np.allclose(native.spmm(matrix, X), dense @ X, atol=tolerance)
        assert np.allclose(native.sddmm(matrix, U, X.T).toarray(), dense * (U @ X.T), atol=tolerance)


@pytest.mark.parametrize("offset", range(1, 8))
def test_rows_that_lie_across_lines_of_the_cache(offset):
    A = sp.csr_array(entries(9, 12, density=0.5))
    for columns in (8, 16, 40, 64):
        room = np.full(12 * columns + 16, np.nan)
        X = room[offset : offset + 12 * columns].reshape(12, columns)
        X[:] = entries(12, columns, density=1.0)
        assert np.allclose(native.spmm(A, X), A @ X)
        assert np.allclose(native.sddmm(A, A @ X, X.T).toarray(), A.toarray() * (A @ X @ X.T))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_bits(dtype):
    """Rows of any length, which end within a byte; what has no bit makes no NaN."""
    tolerance = 1e-4 if dtype == np.float32 else 1e-12
    for columns in (0, 1, 7, 16, 17, 150):
        dense = entries(11, columns, dtype, 0.5)
        dense[3], dense[5] = 0, 1
        space: dict[str, object] = {"np": np, "scipy": scipy}
        exec(formats.FORMATS["bits"].store + formats.FORMATS["bits"].spmm, space)  # noqa: S102
        stored, x = space["store"](sp.csr_array(dense)), entries(1, columns, dtype, 1.0)[0]
        for found in (native.NATIVE["_spmm_bits"](stored, x), space["spmm"](stored, x)):
            assert np.allclose(found, dense @ x, atol=tolerance) and not np.allclose(found, dense @ x + 1, atol=1e-4)
        assert native.NATIVE["_spmm_bits"](stored, np.ones((columns, 2), dtype)) is None
        assert np.allclose(
            space["spmm"](stored, np.ones((columns, 2), dtype)), dense @ np.ones((columns, 2)), atol=1e-4
        )
        if columns:
            x[0], dense[:, 0] = np.nan, 0
            assert np.allclose(
                native.NATIVE["_spmm_bits"](space["store"](sp.csr_array(dense)), x), dense[:, 1:] @ x[1:], atol=1e-4
            )


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_columns_of_two_bytes(dtype):
    """The last of as many as there may be, rows of any length, and rows without entries."""
    space: dict[str, object] = {"np": np, "scipy": scipy}
    exec(formats.FORMATS["short"].store + formats.FORMATS["short"].spmm, space)  # noqa: S102
    A = sp.random_array((40, 2**16), density=3e-4, rng=np.random.default_rng(0), dtype=dtype, format="lil")
    A[3], A[5, 2**16 - 9 :] = 0, 1
    stored, x = space["store"](A.tocsr()), entries(1, 2**16, dtype, 1.0)[0]
    for found in (native.NATIVE["_spmm_short"](stored, x), space["spmm"](stored, x)):
        assert np.allclose(found, A @ x, atol=1e-4) and not np.allclose(found, A @ x + 1, atol=1e-4)
    assert native.NATIVE["_spmm_short"](stored, x[:-1]) is None


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("rows, inner", [(1, 4), (240, 8), (500, 20)])
def test_groups_by_their_patterns(rows, inner, dtype):
    """Of more rows than are taken at a time, and columns that fill no vector."""
    tolerance = 1e-4 if dtype == np.float32 else 1e-12
    space: dict[str, object] = {"np": np, "scipy": scipy}
    exec(formats.FORMATS["groups2of4"].store + formats.FORMATS["groups2of4"].spmm, space)  # noqa: S102
    dense = entries(rows, inner, dtype, 1.0)
    dense *= (
        np.random.default_rng(0).permuted(np.tile([0, 0, 1, 1], (rows, inner // 4, 1)), axis=-1).reshape(rows, inner)
    )
    stored = space["store"](sp.csr_array(dense))
    for columns in (0, 1, 7, 16, 33):
        X = entries(inner, columns, dtype, 1.0)
        for found in (native.spmm_groups(stored, X), space["spmm"](stored, X)):
            assert np.allclose(found, dense @ X, atol=tolerance)
            assert not columns or not np.allclose(found, dense @ X + 1, atol=1e-4)
    assert native.spmm_groups(stored, np.ones(inner, dtype)) is None
    assert native.spmm_groups(stored, np.ones((inner + 1, 2), dtype)) is None


@pytest.mark.parametrize("name", ["bits", "short", "groups2of4"])
def test_what_is_stored_is_taken_apart_once(name):
    """As long as there is no native code a matrix by rows is kept, and no longer."""
    built = []

    def csr_array(*given, **more):
        built.append(1)
        return sp.csr_array(*given, **more)

    space: dict[str, object] = {"np": np, "scipy": SimpleNamespace(sparse=SimpleNamespace(csr_array=csr_array))}
    exec(formats.FORMATS[name].store + formats.FORMATS[name].spmm, space)  # noqa: S102
    dense = np.tile([[0, 1.0, 2, 0], [3, 0, 0, 4]], (4, 2))
    stored, X = space["store"](sp.csr_array(dense)), entries(8, 3, density=1.0)
    X = X if name == "groups2of4" else X[:, 0].copy()
    built.clear()
    for _ in range(3):
        assert np.allclose(space["spmm"](stored, X), dense @ X)
    assert len(built) == 1 and len(stored[-1]) == 1
    assert np.allclose(native.NATIVE[f"_spmm_{name}"](stored, X), dense @ X) and not stored[-1]
    assert np.allclose(space["spmm"](stored, X), dense @ X) and len(built) == 2


@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (4, 0), (1, 1)])
def test_no_entries(shape):
    for A in (sp.csr_array(shape), sp.csc_array(shape)):
        assert np.array_equal(native.spmm(A, np.ones(shape[1])), np.zeros(shape[0]))
        assert np.array_equal(native.spmm(A, np.ones((shape[1], 3))), np.zeros((shape[0], 3)))


@pytest.mark.parametrize("columns", [(), (8,)])
def test_parts_are_shared_out_to_threads(columns):
    from tpc.backends.llvm import engine

    A, X = (
        sp.random_array((5000, 300), density=0.1, rng=np.random.default_rng(0), format="csr"),
        np.ones((300, *columns)),
    )
    try:
        engine.set_threads(1)
        alone = native.spmm(A, X)
        engine.set_threads(2)
        for _ in range(20):
            assert np.array_equal(native.spmm(A, X), alone)
            assert np.allclose(native.spmm(A.tocsc(), X), alone, rtol=1e-13)  # sums of its own for each part
    finally:
        engine.set_threads(None)


def test_zeros_that_are_not_stored_make_no_nan():
    x = np.array([1.0, np.inf, np.nan, 2.0])
    dense = np.array([[1.0, 0, 0, 2], [0, 0, 0, 0]])
    for A in (sp.csr_array(dense), sp.csc_array(dense)):
        assert np.array_equal(native.spmm(A, x), [5.0, 0.0])


def test_what_it_does_not_take_is_left_to_scipy():
    A, X = sp.csr_array(entries(5, 5)), entries(5, 3, density=1.0)
    for matrix in (A.tolil(), A.tocoo(), A.astype(np.complex128), A.astype(np.float32), A.astype(np.int64)):
        assert native.spmm(matrix, X) is None


def test_it_takes_the_place_of_a_helper_after_a_while():
    A, X = sp.csr_array(entries(5, 5)), entries(5, 3, density=1.0)
    called, space = [], {}

    def plain(A, X):
        called.append(1)
        return A @ X

    space["_spmm"] = plain
    helper = space["_spmm"] = native.Replacing(space, "_spmm", native.spmm)
    assert np.allclose(helper(A, X), A @ X) and space["_spmm"] is helper
    helper.seconds = 1.0
    assert np.allclose(helper(A, X), A @ X) and len(called) == 1
    fast = space["_spmm"]
    assert np.allclose(fast(A, X), A @ X) and len(called) == 1
    assert np.allclose(fast(A.tocoo(), X), A @ X) and len(called) == 2
    assert np.allclose(fast(A.toarray(), X), A @ X) and len(called) == 3
