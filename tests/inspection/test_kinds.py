"""Every kind of array is looked at: empty, tiny, vectors, batches, integers, complex, float32, not finite."""

from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse

import tpc
from tpc import TpcError

random = np.random.default_rng(0)
CIRCULANT = scipy.linalg.circulant(random.standard_normal(24))


@pytest.mark.parametrize(
    "shape", [(), (0,), (1,), (7,), (0, 0), (0, 3), (3, 0), (1, 1), (1, 7), (7, 1), (2, 2), (0, 3, 3)]
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.complex128, np.int8, np.uint16, np.bool_])
@pytest.mark.parametrize("fill", [0, 1, 2.5])
def test_small(shape: tuple[int, ...], dtype: Any, fill: float) -> None:
    A = np.full(shape, fill).astype(dtype)
    found = tpc.inspect(A)
    for finding in found.findings:
        whole = finding.dense()
        if whole is not None:
            assert np.linalg.norm(whole.reshape(shape) - A) <= 1e-12 * float(1 + np.linalg.norm(A)), finding.name
    assert str(found) and found._repr_html_().startswith("<div>")


@pytest.mark.parametrize(
    ("dtype", "noise"), [(np.float64, 1e-10), (np.float32, 1e-6), (np.float16, 0), (np.complex64, 1e-6)]
)
def test_precision(dtype: Any, noise: float) -> None:
    """Rounding of the format is forgiven."""
    A = (CIRCULANT + noise * random.standard_normal(CIRCULANT.shape)).astype(dtype)
    found = tpc.inspect(A)
    assert "circulant" in found and "circulant" in found.declaration
    assert not {f.name for f in found.findings} - {"circulant", "toeplitz", "real"}


def test_integers() -> None:
    found = tpc.inspect(np.arange(12).reshape(3, 4) % 2)
    assert "repeated rows" in found and "integers" not in found  # which their dtype says


def test_batch() -> None:
    """What all matrices have is told, with the weakest of the facts with sizes."""
    wide, narrow = np.triu(np.tril(np.ones((30, 30)), 2), -2), np.triu(np.tril(np.ones((30, 30)), 1), -1)
    batch = np.stack([wide + np.diag(random.random(30)), narrow + np.diag(random.random(30))])[None]
    found = tpc.inspect(batch)
    assert "banded(2, 2)" in found.declaration and found.declaration.startswith("A: f64[1, 2, 30, 30]")
    whole = found["banded"].dense()
    assert whole is not None and np.array_equal(whole, batch)
    assert "symmetric" not in tpc.inspect(np.stack([wide, np.triu(wide)]))


def test_not_finite() -> None:
    A = np.eye(4)
    A[1, 2], A[3, 0] = np.nan, np.inf
    found = tpc.inspect(A)
    assert not found.findings and found.condition is None
    assert found.notes == ("not finite: 1 NaN and 1 infinite, the first at [1, 2]; no structure was looked for",)


@pytest.mark.parametrize("scale", [1e-90, 1e-30, 1e30, 1e90])
def test_scale_does_not_matter(scale: float) -> None:
    found = tpc.inspect(scale * CIRCULANT)
    assert [f.name for f in found.findings] == ["circulant", "toeplitz"]
    assert found["circulant"].error < 1e-14


def test_out_of_range() -> None:
    found = tpc.inspect(1e-200 * CIRCULANT)
    assert not found.findings and "scale it first" in found.notes[0]


def test_other_arrays() -> None:
    assert "diagonal" in tpc.inspect(scipy.sparse.eye_array(5) * 2.0)
    assert "symmetric" in tpc.inspect([[1, 2], [2, 5]])
    with pytest.raises(TpcError):
        tpc.inspect("A.npy")


def test_one_declaration() -> None:
    """Facts that follow from others are left out, and the language accepts the rest."""
    K = 4 * np.eye(40) - np.eye(40, k=1) - np.eye(40, k=-1)
    found = tpc.inspect(K, name="K")
    assert "spd" in found.declaration and "banded(1, 1)" in found.declaration and "symmetric" not in found.declaration
    f = tpc.compile(f"def f({found.declaration}, b: f64[40]) -> f64[40] = K \\ b", check_facts=True)
    b = random.standard_normal(40)
    np.testing.assert_allclose(K @ f(K, b), b, atol=1e-12)


def test_gain() -> None:
    A = random.standard_normal((40, 3)) @ random.standard_normal((3, 60))
    found = tpc.inspect(A)
    assert found["low rank"].product == 2 * 3 * 100 and found.product == 2 * 40 * 60
    assert found.gain(found["low rank"]) == 8.0
    with pytest.raises(KeyError):
        found["circulant"]


def test_condition() -> None:
    assert tpc.inspect(np.ones((5, 5))).condition == np.inf
    assert tpc.inspect(np.ones((5, 4))).condition is None
    value = tpc.inspect(CIRCULANT).condition
    assert value is not None and 0.1 < value / np.linalg.cond(CIRCULANT, 1) < 1.001
