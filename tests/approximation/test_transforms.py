"""Fast transforms are found from their entries alone, and nothing else is taken for one."""

from pathlib import Path

import numpy as np
import pytest
from scipy import fft, linalg

from tests.approximation.programs import compiled, planted
from tpc.inspection.search import inspect
from tpc.passes.approximation.projections.transforms import Transform, primes, taken_apart

draw = np.random.default_rng(0)


@pytest.mark.parametrize("name", ["hadamard", "fourier"])
def test_named_transforms_have_as_many_entries_as_their_algorithms(name: str) -> None:
    A = linalg.hadamard(256) / 16.0 if name == "hadamard" else np.fft.fft(np.eye(256)) / 16.0
    found = taken_apart(A, primes(256), 1e-10)
    assert found is not None and found.stored == 4096  # of 65536
    assert np.linalg.norm(found.term.dense(found.parts) - A) < 1e-13 * np.linalg.norm(A)


def test_sizes_with_other_factors() -> None:
    A = np.fft.fft(np.eye(90))
    found = taken_apart(A, primes(90), 1e-8)
    assert found is not None and found.stored == 90 * (2 + 3 + 3 + 5)
    np.testing.assert_allclose(found.term.dense(found.parts), A, atol=1e-10)


@pytest.mark.parametrize("A", [
    draw.standard_normal((256, 256)),
    fft.dct(np.eye(256), norm="ortho", axis=0)[draw.permutation(256)],
    linalg.hadamard(256)[draw.permutation(256)] / 16.0,
])  # fmt: skip
def test_others_are_rejected(A: np.ndarray) -> None:
    assert taken_apart(A, primes(256), 0.3 * float(np.linalg.norm(A))) is None


def test_the_budget_is_for_all_levels() -> None:
    A = planted("fast transform", draw)
    noise = draw.standard_normal(A.shape)
    for share in (1e-6, 1e-2):
        B = A + share * np.linalg.norm(A) / np.linalg.norm(noise) * noise
        found = taken_apart(B, [4, 4, 4], 1.2 * share * float(np.linalg.norm(A)))
        assert found is not None
        assert np.linalg.norm(found.term.dense(found.parts) - B) <= 1.2 * share * np.linalg.norm(A)
        assert taken_apart(B, [4, 4, 4], 0.3 * share * float(np.linalg.norm(A))) is None


def test_inspection_names_what_has_no_name() -> None:
    planted = Transform(tuple(draw.standard_normal((2,) * 9) for _ in range(8)), (0, 2, 3, 5, 7, 6, 4, 1))
    A = planted.term.dense(planted.parts)
    assert "fast transform" not in inspect(A[:, draw.permutation(256)])
    finding = inspect(A)["fast transform"]
    assert finding.product is not None and finding.product < 2 * A.size / 12 and finding.error < 1e-12
    dense = finding.dense()
    assert dense is not None and np.allclose(dense, A)
    assert finding.formula.startswith("A[(a b c d e f g h), (A C D F H G E B)] = S1[b, ")
    assert "fast transform" not in inspect(draw.standard_normal((64, 64)))


def test_programs_run_by_factors(tmp_path: Path) -> None:
    parts = (draw.standard_normal((8, 8, 8, 8)) for _ in range(3))
    W = np.einsum("bcaA,AcbB,ABcC->abcCBA", *parts).reshape(512, 512)
    text = "def f(x: f64[200, 512]) -> f64[200, 512]:\n    Ws ~= W within 1e-6\n    return x @ Ws'\n"
    f = compiled(text, tmp_path, {"W": W})
    assert f.certificates[0].spent[0].structure == "fast transform"
    x = draw.standard_normal((200, 512))
    np.testing.assert_allclose(f(x), x @ W.T, rtol=0, atol=1e-9 * np.abs(x @ W.T).max())
