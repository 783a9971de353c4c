"""Budgets in other norms than that of Frobenius."""

from pathlib import Path

import numpy as np
import pytest

from tests.approximation.programs import compiled, decaying
from tpc.dsl.diagnostics import TpcError
from tpc.ir.types import F64
from tpc.passes.approximation.replacing import candidates
from tpc.passes.approximation.target import Target, spectral

NORMS = {
    "frobenius": np.linalg.norm,
    "spectral": lambda A: np.linalg.norm(A, 2),
    "max": lambda A: np.abs(A).max(),
}
TEXT = """
def f(x: f64[b, 256]) -> f64[b, 256]:
    Ws ~= W within 1e-2 in NORM
    return x @ Ws'
"""


@pytest.mark.parametrize("norm", NORMS)
def test_certificates_hold_in_their_norm(norm: str) -> None:
    measure, draw = NORMS[norm], np.random.default_rng(0)
    for rate in (0.5, 0.8, 0.95):
        A = decaying(120, rate, draw)
        for within in (0.3, 1e-2, 1e-5):
            for found, error in candidates(Target(A, F64, within, measure=norm))[0]:
                assert measure(A - found.dense()) <= error * measure(A) and error <= within


def test_a_norm_that_is_smaller_allows_for_more() -> None:
    draw = np.random.default_rng(1)
    noise = draw.standard_normal((256, 256))
    A = draw.standard_normal((256, 4)) @ draw.standard_normal((4, 256))
    A += 0.02 * np.linalg.norm(A) / np.linalg.norm(noise) * noise
    found, error = candidates(Target(A, F64, 1e-2, measure="spectral"))[0][0]
    assert found.about == "rank 4 of 256" and 1e-3 < error < 1e-2
    assert all(other.work > 10 * found.work for other, _ in candidates(Target(A, F64, 1e-2))[0])


@pytest.mark.parametrize("norm", ["spectral", "max"])
def test_noise_is_refused_in_every_norm(norm: str) -> None:
    assert not candidates(Target(np.random.default_rng(2).standard_normal((96, 96)), F64, 1e-2, measure=norm))[0]


def test_bounds_on_spectral_norms() -> None:
    draw = np.random.default_rng(3)
    for A in (draw.standard_normal((1250, 1300)), draw.standard_normal((1300, 2)) @ draw.standard_normal((2, 1250))):
        low, high = spectral(A)
        assert low <= np.linalg.norm(A, 2) <= high < 2 * low * (1 + 1e-9) * 1.1
    assert spectral(np.zeros((3, 4))) == (0.0, 0.0)


def test_programs_name_the_norm(tmp_path: Path) -> None:
    draw = np.random.default_rng(4)
    W = decaying(256, 0.5, draw)
    f = compiled(TEXT.replace("NORM", "spectral"), tmp_path, {"W": W})
    (found,) = f.certificates
    assert found.norm == "spectral" and found.kind == "sure" and "within 0.01 in spectral: " in f.explain()
    assert np.linalg.norm(f(np.eye(256)) - W.T, 2) <= found.bound * np.linalg.norm(W, 2)
    with pytest.raises(TpcError, match="there is no norm `nuclear`"):
        compiled(TEXT.replace("NORM", "nuclear"), tmp_path, {"W": W})


def test_what_depends_on_inputs_stays(tmp_path: Path) -> None:
    text = "def f(x: f64[9, 256]) -> f64[9, 256]:\n    y ~= x @ W' within 1e-2 in max\n    return y\n"
    (found,) = compiled(text, tmp_path, {"W": decaying(256, 0.5, np.random.default_rng(4))}).certificates
    assert found.kind == "exact" and "of constants alone" in found.reason
