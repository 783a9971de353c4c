"""Arrays to structures: what is planted is found, what is not there is refused, and no certificate is broken."""

from __future__ import annotations

import numpy as np
import pytest

from tests.approximation.programs import STRUCTURES, Array, decaying, planted
from tpc.ir.node import Program
from tpc.ir.reference import evaluate
from tpc.ir.types import F32, F64
from tpc.passes.approximation.projected import Projected
from tpc.passes.approximation.projections.low_rank import cross, cur, low_rank, random_range
from tpc.passes.approximation.projections.shifts import shifts
from tpc.passes.approximation.replacing import candidates
from tpc.passes.approximation.target import Target


def draw(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def meaning(found: Projected) -> Array:
    """What a program takes the parts for, by the reference interpreter."""
    (value,) = evaluate(Program("meaning", [], [found.nodes("W", F64)[-1]]), [])
    return np.asarray(value)


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_planted_structure_is_found(name: str) -> None:
    for seed in range(4):
        A = planted(name, draw(seed))
        noise = draw(seed).standard_normal(A.shape)
        if name == "nystrom":  # which is for matrices that are symmetric to all digits
            noise = noise @ noise.T
        A = A + 1e-4 * np.linalg.norm(A) * noise / np.linalg.norm(noise)
        found, reason = candidates(Target(A, F64, 1e-2))
        assert name in [p.name for p, _ in found], (found, reason)
        for projected, error in found:
            assert np.linalg.norm(A - meaning(projected)) <= error * np.linalg.norm(A) <= 1e-2 * np.linalg.norm(A)


@pytest.mark.parametrize("shape", [(48, 48), (32, 96), (60, 20), (7, 7), (64, 64), (8, 9, 10), (1, 40), (1, 1)])
def test_a_matrix_without_structure_is_refused(shape: tuple[int, ...]) -> None:
    for seed in range(3):
        found, reason = candidates(Target(draw(seed).standard_normal(shape), F64, 1e-2))
        assert not found and "no structure" in reason


def test_a_permuted_structure_is_refused() -> None:
    A = np.kron(draw(1).standard_normal((8, 8)), draw(2).standard_normal((8, 8)))
    assert candidates(Target(A, F64, 1e-2))[0]
    assert not candidates(Target(A[draw().permutation(64)], F64, 1e-2))[0]


@pytest.mark.parametrize("dtype", [F64, F32])
def test_certificates_hold_for_what_is_stored(dtype: object) -> None:
    violated = certificates(range(60), dtype)
    assert not violated


def certificates(seeds: range, dtype: object = F64) -> list[tuple[int, str]]:
    """The seeds and structures for which an error is above what was certified, or above the budget.

    Run for 10,000 seeds it is the check that the project promises: `python -m tests.approximation.test_projections`.
    """
    broken = []
    for seed in seeds:
        random = draw(seed)
        name = STRUCTURES[seed % len(STRUCTURES)]
        A = planted(name, random)
        noise = random.standard_normal(A.shape)
        A = A + 10.0 ** random.uniform(-8, -0.5) * np.linalg.norm(A) * noise / np.linalg.norm(noise)
        A = A * 10.0 ** random.uniform(-9, 9)
        within = 10.0 ** random.uniform(-6, -0.3)
        for projected, error in candidates(Target(A, dtype, within))[0]:  # type: ignore[arg-type]
            measured = np.linalg.norm((A - meaning(projected)).astype(np.longdouble))
            if not measured <= error * np.linalg.norm(A) or error > within:
                broken.append((seed, projected.name))
    return broken


def test_a_broken_certificate_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Target, "error", lambda self, values: 0.0)
    assert certificates(range(60))


def test_the_truncated_svd_is_optimal() -> None:
    A = decaying(40, 0.7, draw())
    (found,) = low_rank(Target(A, F64, 1e-2))
    values = 0.7 ** np.arange(40)
    rank = found.parts["U"].shape[1]
    assert np.linalg.norm(values[rank:]) <= 1e-2 * np.linalg.norm(values) < np.linalg.norm(values[rank - 1 :])


def test_a_random_range_needs_hardly_more_than_the_svd() -> None:
    A = decaying(300, 0.9, draw())
    budget = 1e-3 * float(np.linalg.norm(A))
    found = random_range(A, budget, 150)
    assert found is not None
    U, V = found
    assert np.linalg.norm(A - U @ V) <= budget
    least = int(np.argmax([np.linalg.norm(0.9 ** np.arange(300)[k:]) <= budget for k in range(300)]))
    assert U.shape[1] <= least + 2
    assert random_range(A, budget, least - 2) is None


def test_data_tells_which_part_of_a_matrix_counts() -> None:
    random = draw()
    X = random.standard_normal((200, 6)) @ random.standard_normal((6, 40))  # inputs span six of forty directions
    A = random.standard_normal((40, 30))
    assert not list(low_rank(Target(A, F64, 1e-2)))
    (found,) = low_rank(Target(A, F64, 1e-6, rows=np.linalg.qr(X, mode="r")))
    assert found.parts["U"].shape[1] <= 6
    assert np.linalg.norm(X @ (A - found.dense())) <= 1e-6 * np.linalg.norm(X @ A)
    (found,) = low_rank(Target(A.T, F64, 1e-6, columns=np.linalg.qr(X, mode="r")))
    assert np.linalg.norm((A.T - found.dense()) @ X.T) <= 1e-6 * np.linalg.norm(X @ A)


def test_data_of_bad_condition_needs_a_smaller_rank_than_the_matrix_alone() -> None:
    random = draw()
    X = random.standard_normal((400, 60)) * np.logspace(0, -3, 60)
    A, root = random.standard_normal((60, 60)), np.linalg.qr(X, mode="r")
    _, values, _ = np.linalg.svd(A)
    (found,) = low_rank(Target(A, F64, 0.05, rows=root))
    rank = found.parts["U"].shape[1]
    U, s, V = np.linalg.svd(A)
    plain = U[:, :rank] * s[:rank] @ V[:rank]
    assert np.linalg.norm(X @ (A - found.dense())) < 0.2 * np.linalg.norm(X @ (A - plain))


def test_rows_and_columns_are_within_their_bound() -> None:
    n, k = 200, 20
    A = decaying(n, 0.6, draw())
    found, (rows, columns) = cur(A, k), cross(A, k)
    assert np.array_equal(found.parts["C"], A[:, columns]) and np.array_equal(found.parts["R"], A[rows])
    u, s, v = np.linalg.svd(A)
    bound = np.linalg.norm(np.linalg.inv(u[rows, :k]), 2) + np.linalg.norm(np.linalg.inv(v[:k, columns]), 2)
    assert np.linalg.norm(A - found.dense(), 2) <= bound * s[k] * (1 + 1e-6) + 1e-12


@pytest.mark.parametrize("name", ["circulant", "toeplitz", "hankel", "xor-circulant"])
def test_means_along_lines_are_the_closest(name: str) -> None:
    from scipy import linalg

    t = draw().standard_normal(16)
    index = np.arange(16)
    exact = {
        "xor-circulant": t[index[:, None] ^ index],
        "circulant": linalg.circulant(t),
        "toeplitz": linalg.toeplitz(t, t[::-1]),
        "hankel": linalg.hankel(t),
    }
    A = exact[name] + 0.01 * draw(1).standard_normal((16, 16))
    (found,) = shifts(Target(A, F64, 0.1))
    assert found.name == name
    dense = meaning(found)
    assert np.allclose(dense, found.dense(), atol=1e-14)
    # what is left is orthogonal to every matrix of the structure (Pythagoras)
    assert abs(np.sum((A - dense) * dense)) < 1e-12
    assert abs(np.sum((A - dense) * exact[name])) < 1e-12


def test_scale_does_not_matter() -> None:
    A = planted("low rank", draw(3))
    names = [[p.name for p, _ in candidates(Target(scale * A, F64, 1e-3))[0]] for scale in (1.0, 1e-60, 1e60)]
    assert names[0] and names[0] == names[1] == names[2]
    assert candidates(Target(1e200 * A, F64, 1e-3)) == ([], "squares of its entries would overflow or vanish")


if __name__ == "__main__":
    for dtype in (F64, F32):
        print(dtype, "violated:", certificates(range(10_000), dtype))
