"""Entries and blocks that are left out, and flat butterflies: what is found, what is refused, and which code runs."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import tpc
from tests.approximation.programs import Array, away, compiled
from tpc.ir.build import input_node, make
from tpc.ir.node import Program
from tpc.ir.reference import evaluate
from tpc.ir.types import F32, F64, TensorType
from tpc.passes.approximation.projections.butterflies import butterfly, by_rows, flat_butterfly
from tpc.passes.approximation.projections.sparse import crossed, sparsified
from tpc.passes.approximation.reading import distributed
from tpc.passes.approximation.target import Target

SIZE = 512


def draw(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def spread(blocks: Array) -> Array:
    side = SIZE // len(blocks)
    return blocks.repeat(side, 0).repeat(side, 1)


def planted(name: str, random: np.random.Generator) -> Array:
    A = random.standard_normal((SIZE, SIZE))
    match name:
        case "entries":
            return A * (random.random(A.shape) < 0.05)
        case "blocks":
            return A * spread(random.random((16, 16)) < 0.2)
        case "butterfly":
            return A * spread(butterfly(16))
    return A * spread(butterfly(16)) + random.standard_normal((SIZE, 3)) @ random.standard_normal((3, SIZE))


def noisy(A: Array, random: np.random.Generator, share: float = 1e-3) -> Array:
    noise = random.standard_normal(A.shape)
    return A + share * np.linalg.norm(A) / np.linalg.norm(noise) * noise


@pytest.mark.parametrize("dtype", [F64, F32])
@pytest.mark.parametrize("name, share", [("entries", 0.05), ("blocks", 0.3), ("butterfly", 0.32), ("both", 0.36)])
def test_what_is_planted_is_found(name: str, share: float, dtype: object) -> None:
    for seed in range(3):
        A = noisy(planted(name, draw(seed)), draw(seed))
        target = Target(A, dtype, 1e-2)  # type: ignore[arg-type]
        families = map(by_rows, flat_butterfly(target)) if name == "both" else sparsified(target)
        found = [p.rounded(target.dtype) for p in families]
        assert found and found[0].work <= 2 * share * A.size
        for projected in found:
            assert away(projected.dense(), A) <= target.error(projected.dense()) <= 1e-2
    assert not list(flat_butterfly(Target(A[draw().permutation(SIZE)], F64, 1e-2)))


def sparse_of_low_rank(random: np.random.Generator, size: int) -> Array:
    """Twenty terms with a few of the rows and columns in each, which overlap."""
    left, right = random.standard_normal((2, size, 20)) * (random.random((2, size, 20)) < 0.01)
    whole: Array = left @ right.T
    return whole


def test_columns_and_rows_of_a_sparse_matrix_stay_sparse() -> None:
    A = sparse_of_low_rank(draw(), 2048)
    (found,) = crossed(Target(A, F64, 1e-6))
    assert away(found.dense(), A) <= 1e-6 and "20 of 2048 columns" in found.about
    assert found.bytes <= 0.05 * 8 * 20 * 2 * 2048  # of the factors of an svd
    assert not list(crossed(Target(planted("entries", draw()), F64, 1e-2)))  # sparse, but of full rank


def test_products_go_by_columns_link_and_rows() -> None:
    """In any form of a product; what is as wide as the matrix is not made."""
    A = draw().standard_normal((96, 3)) @ draw().standard_normal((3, 80)) * (draw(1).random((96, 1)) < 0.2)
    (found,) = crossed(Target(A, F64, 1e-6))
    B = found.nodes("B", F64)[-1]
    x, y = (input_node(name, TensorType(F64, [size])) for name, size in (("x", 80), ("y", 96)))
    X, Y = (input_node(name, TensorType(F64, [5, size])) for name, size in (("X", 80), ("Y", 96)))
    turned = make("transpose", (B,))
    cases = [("matvec", B, x), ("matvec", turned, y), ("vecmat", y, B), ("matmul", Y, B), ("matmul", X, turned)]
    outputs = distributed([make(op, operands) for op, *operands in cases])
    program = Program("f", [x, y, X, Y], outputs, list("abcde"))
    assert not any(node.tensor.dims in ((96, 80), (80, 96)) for node in program.nodes)
    x, y, X, Y = arrays = [draw(2).standard_normal(shape) for shape in (80, 96, (5, 80), (5, 96))]
    for value, expected in zip(evaluate(program, arrays), (A @ x, y @ A, y @ A, Y @ A, X @ A.T), strict=True):
        assert away(value, expected) <= 1e-6


def test_five_of_sixteen_blocks() -> None:
    assert butterfly(16).sum(1).tolist() == [5] * 16
    (found,) = flat_butterfly(Target(planted("butterfly", draw()), F64, 1e-9))
    assert found.optimal and "5 of 16 blocks" in found.about and by_rows(found).work == 2 * 5 * SIZE * 32
    (found,) = flat_butterfly(Target(noisy(planted("both", draw()), draw()), F64, 1e-2))
    assert "beside rank" in found.about and found.parts["U"].shape[1] <= 4
    rows = by_rows(found)
    assert away(rows.dense(), found.dense()) <= 1e-15 and rows.work < found.work and "E" not in rows.parts


def test_blocks_are_those_of_the_structure_of_the_language() -> None:
    (found,) = flat_butterfly(Target(planted("butterfly", draw()), F64, 1e-9))
    same = tpc.compile("def f(W: flat_butterfly(B: f64[16, 32, 5, 32])) = W @ eye(512)\n", backend="numpy")
    np.testing.assert_array_equal(same(found.parts["B"]), found.dense())


def test_a_flat_butterfly_needs_no_sparse_kernels(tmp_path: Path) -> None:
    W, x = noisy(np.kron(butterfly(32), np.ones((32, 32))) * draw().standard_normal((1024, 1024)), draw()), draw(1)
    text = "def f(x: f64[1024]) -> f64[1024]:\n    Ws ~= W within 1e-2\n    return Ws @ x\n"
    f, x = compiled(text, tmp_path, {"W": W}, backend="numpy"), draw(1).standard_normal(1024)
    assert f.certificates[0].spent[0].structure == "flat butterfly"
    assert 0 < away(f(x), W @ x) <= 2 * f.certificates[0].bound


def test_the_largest_entries_are_the_closest() -> None:
    A = draw().standard_normal((64, 64)) ** 9
    (found,) = sparsified(Target(A, F64, 0.05))
    entries = np.sort(np.abs(found.parts["values"]))
    assert np.array_equal(entries, np.sort(np.abs(A).ravel())[-len(entries) :])
    # with one less it would be too far
    assert (np.linalg.norm(A) ** 2 - (entries[1:] ** 2).sum()) ** 0.5 > 0.05 * np.linalg.norm(A)


def test_data_tells_which_entries_count() -> None:
    random = draw()
    X = random.standard_normal((300, 128)) * np.logspace(0, -3, 128)
    A = random.standard_normal((96, 128))
    assert not list(sparsified(Target(A, F64, 0.1)))
    for target in (
        Target(A, F64, 0.1, columns=np.linalg.qr(X, mode="r")),
        Target(A.T, F64, 0.1, rows=np.linalg.qr(X, mode="r")),
    ):
        found = list(sparsified(target))[-1]
        near = found.dense() if target.rows is None else found.dense().T
        assert np.linalg.norm(X @ (near - A).T) <= 0.1 * np.linalg.norm(X @ A.T)


@pytest.mark.parametrize("shape", [(128, 128), (512, 512), (64, 256)])
def test_a_matrix_without_structure_is_refused(shape: tuple[int, int]) -> None:
    for seed in range(3):
        target = Target(draw(seed).standard_normal(shape), F64, 1e-2)
        assert not list(sparsified(target)) and not list(flat_butterfly(target))


TEXT = """
def f(x: f64[20, 512]) -> f64[20, 512]:
    Ws ~= W within 1e-2
    return x @ Ws'
"""


@pytest.mark.skipif(find_spec("llvmlite") is None, reason="there is no native code")
@pytest.mark.parametrize("name", ["entries", "butterfly", "both"])
def test_programs_read_what_is_stored(name: str, tmp_path: Path) -> None:
    W, x = noisy(planted(name, draw()), draw(), 1e-4), draw().standard_normal((20, SIZE))
    f = compiled(TEXT, tmp_path, {"W": W}, backend="auto", threads=1)
    near = f(x)
    (certificate,) = f.certificates
    assert certificate.kind == "sure" and certificate.spent[0].structure in ("sparse", "flat butterfly")
    assert "spmm" in str(f.plan.program) and "from_csr" not in str(f.plan.program)
    assert 0 < away(near, x @ W.T) <= 2 * certificate.bound
    g = compiled(TEXT, tmp_path, {"W": W}, backend="numpy", threads=1)  # which has no native code for sparse ones
    assert g.certificates[0].kind == ("exact" if name == "entries" else "sure")
    assert away(g(x), x @ W.T) <= 2 * certificate.bound
