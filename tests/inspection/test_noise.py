"""The rank that stands out of noise."""

import numpy as np
import pytest

import tpc
from tpc.inspection.noise import law, signal


def spiked(random: np.random.Generator, count: int, p: int = 200, n: int = 800) -> np.ndarray:
    """Noise, and singular values that are clearly beyond its largest one."""
    left, right = (np.linalg.qr(random.standard_normal((size, max(count, 1))))[0] for size in (p, n))
    return random.standard_normal((p, n)) + left * np.linspace(60, 90, max(count, 1)) * (count > 0) @ right.T


def test_five_spikes_are_counted() -> None:
    found = [signal(spiked(np.random.default_rng(seed), 5)) for seed in range(40)]
    assert sum(s is not None and s.rank == 5 for s in found) >= 38  # the project promises 95 of 100


def test_noise_has_none() -> None:
    for seed in range(20):
        random = np.random.default_rng(seed)
        for shape in ((200, 800), (64, 64), (300, 40)):
            assert signal(random.standard_normal(shape)) is None
            assert signal(random.uniform(-1, 1, shape)) is None
        assert signal(random.standard_normal((60, 80)) + 1j * random.standard_normal((60, 80))) is None


def test_nothing_is_said_of_what_is_unlike_noise() -> None:
    random = np.random.default_rng(0)
    assert signal(random.standard_normal((100, 150)) @ random.standard_normal((150, 100))) is None
    assert signal(np.diag(np.arange(100.0))) is None
    assert signal(np.zeros((50, 50))) is None
    assert signal(random.standard_normal((1, 500))) is None


@pytest.mark.parametrize("ratio", [0.05, 0.5, 1.0])
def test_the_law_is_that_of_noise(ratio: float) -> None:
    n = 900
    A = np.random.default_rng(0).standard_normal((int(ratio * n), n))
    squares = np.linalg.eigvalsh(A @ A.T) / n
    shares = np.linspace(0.1, 0.9, 9)
    np.testing.assert_allclose(np.quantile(squares, shares), law(ratio, shares), atol=0.03)


def test_inspection_tells_it() -> None:
    A = spiked(np.random.default_rng(0), 5)
    (note,) = tpc.inspect(A).notes
    found = signal(A)
    assert found is not None and str(found) == note
    assert note.startswith("5 singular values stand out of what is otherwise like noise: rank 5 is within 0.9")
    U, s, V = np.linalg.svd(A, full_matrices=False)
    assert found.error == pytest.approx(np.linalg.norm(s[5:]) / np.linalg.norm(s))
    (note,) = tpc.inspect(spiked(np.random.default_rng(0), 1)).notes
    assert note.startswith("1 singular value stands out")
    assert not tpc.inspect(np.random.default_rng(0).standard_normal((200, 300))).notes
