"""Constants that are compressed together, and networks of several axes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.approximation.programs import away, compiled
from tpc.ir.types import F64
from tpc.passes.approximation.pairs import merged
from tpc.passes.approximation.projections.networks import Network, random_search, tensor_networks
from tpc.passes.approximation.projections.trains import train
from tpc.passes.approximation.target import Target

N = 256


def draw(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_a_pair_of_products_is_one(tmp_path: Path) -> None:
    """Neither of both has a small rank, but their product has, where the data is."""
    left, right = (np.linalg.qr(draw(s).standard_normal((N, N)))[0] for s in (1, 2))
    weights = np.logspace(0, -10, N)
    arrays = {"A": left * np.sqrt(weights), "B": np.sqrt(weights)[:, None] * right}
    arrays["X"] = draw(3).standard_normal((300, N))
    text = f"def f(x: f64[b, {N}]) -> f64[b, {N}]:\n    y ~= x @ A @ B within 1e-2 on X\n    return y\n"
    f = compiled(text, tmp_path, arrays)
    (found,) = f.certificates
    assert found.kind == "measured" and len(found.spent) == 1
    assert away(f(arrays["X"]), arrays["X"] @ arrays["A"] @ arrays["B"]) <= 1e-2


@pytest.mark.parametrize(
    ("expression", "is_merged"),
    [
        ("x @ A @ B", True),
        ("x @ A' @ B", True),
        ("A @ (B @ x')", True),
        ("(x @ A + 1.0) @ B", False),  # a bias
        ("(x @ A @ B) * sum(x @ A)", False),  # what is between is used twice
        ("tanh(x @ A) @ B", False),
    ],
)
def test_what_stands_between_keeps_a_pair_apart(tmp_path: Path, expression: str, is_merged: bool) -> None:
    arrays = {"A": draw(1).standard_normal((8, 8)), "B": draw(2).standard_normal((8, 8))}
    text = f"def f(x: f64[8, 8]) -> f64[8, 8] = {expression}\n"
    value = compiled(text, tmp_path, arrays).program.outputs[0]
    assert (merged(value) is not value) == is_merged


def test_constants_with_the_same_operand_share_a_factor(tmp_path: Path) -> None:
    random = draw()
    basis = random.standard_normal((N, 20))
    arrays = {name: basis @ random.standard_normal((20, N)) / N for name in ("Q", "K", "V")}
    arrays = {name: A + 1e-5 * random.standard_normal((N, N)) for name, A in arrays.items()}
    X = arrays["X"] = random.standard_normal((100, N))
    text = f"""
def f(x: f64[b, {N}]) -> f64[b, {N}]:
    y ~= tanh(x @ Q) * sigmoid(x @ K) + tanh(x @ V) within 2e-2 on X
    return y
"""
    f = compiled(text, tmp_path, arrays)
    (found,) = f.certificates
    assert [r.name for r in found.spent] == ["Q", "K", "V"]
    assert all("share" in r.about for r in found.spent)
    exact = np.tanh(X @ arrays["Q"]) / (1 + np.exp(-X @ arrays["K"])) + np.tanh(X @ arrays["V"])
    assert away(f(X), exact) <= 2e-2
    assert f.source.count("@ Q_K_V_U") == 1


def test_ranks_of_several_matrices_are_no_worse_than_uniform_ones() -> None:
    from tpc.passes.approximation.outputs import shares

    class Own:  # what `shares` asks of a node
        pass

    for seed in range(6):
        random = draw(seed)
        sizes = random.integers(20, 60, size=(5, 2))
        targets = {}
        for m, n in sizes:
            values = np.sort(random.exponential(size=min(m, n)) ** random.uniform(0.5, 4))[::-1]
            left, right = (np.linalg.qr(random.standard_normal((k, k)))[0] for k in (m, n))
            targets[Own()] = Target(left[:, : len(values)] * values @ right[: len(values)], F64, 0.0)
        weights = {node: target.norm for node, target in targets.items()}  # absolute errors
        total = 0.3 * float(np.sqrt(sum(t.norm**2 for t in targets.values())))
        within = shares(targets, weights, total)  # type: ignore[type-var, arg-type]
        ranks, dropped, stored = {}, 0.0, 0
        for node, target in targets.items():
            tails = np.append(np.sqrt(np.cumsum(target.singular[1][::-1] ** 2))[::-1], 0)
            ranks[node] = int(np.argmax(tails <= within[node] * target.norm))
            dropped += tails[ranks[node]] ** 2
            stored += ranks[node] * sum(target.values.shape)
        assert dropped <= total**2 * (1 + 1e-6)
        for share in np.linspace(0.05, 1, 20):  # the same share of the rank everywhere, within the same error
            uniform = {node: int(np.ceil(share * len(t.singular[1]))) for node, t in targets.items()}
            left_over = sum(float((t.singular[1][uniform[node] :] ** 2).sum()) for node, t in targets.items())
            if left_over <= total**2:
                most = max(sum(t.values.shape) for t in targets.values())
                assert stored <= sum(uniform[n] * sum(t.values.shape) for n, t in targets.items()) + most
                break


def test_ranks_are_those_of_an_exhaustive_search() -> None:
    """Six spectra at half of the parameters: as few as any choice of ranks within the same error, all of one size."""
    from tpc.passes.approximation.outputs import shares

    class Own:  # what `shares` asks of a node
        pass

    m, n = 7, 5
    for seed in range(4):
        random = draw(seed)
        targets = {}
        for decay in (0.2, 0.4, 0.6, 0.8, 0.95, 1.0):
            left, right = (np.linalg.qr(random.standard_normal((k, k)))[0] for k in (m, n))
            values = 10 ** random.uniform(-1, 1) * decay ** np.arange(n) * random.uniform(0.9, 1, n)
            targets[Own()] = Target(left[:, :n] * values @ right, F64, 0.0)
        tails = np.array([np.append(np.cumsum(t.singular[1][::-1] ** 2)[::-1], 0) for t in targets.values()])
        grids = np.meshgrid(*[np.arange(n + 1)] * 6, indexing="ij")
        stored = sum(grids)
        lost = sum(tail[grid] for tail, grid in zip(tails, grids, strict=True))
        total = float(np.sqrt(lost[stored <= 6 * n // 2].min()))  # what half of all ranks can reach
        weights = {node: target.norm for node, target in targets.items()}
        within = shares(targets, weights, total * (1 + 1e-9))  # type: ignore[type-var, arg-type]
        kept = [int(np.argmax(np.sqrt(tail) <= within[node] * weights[node])) for node, tail in zip(targets, tails)]
        assert sum(tail[rank] for tail, rank in zip(tails, kept)) <= total**2 * (1 + 1e-5)
        assert sum(kept) == stored[lost <= total**2 * (1 + 1e-9)].min()


# ---- networks


def ring(seed: int) -> np.ndarray:
    return np.einsum("eia,ajb,bkc,cld,dme->ijklm", *draw(seed).standard_normal((5, 2, 5, 2)))


def test_a_planted_ring_is_found() -> None:
    for seed in range(2):
        T = ring(seed)
        (found,) = tensor_networks(Target(T, F64, 1e-3))
        cores = train(T, 1e-3 * float(np.linalg.norm(T)), T.size)
        assert found.stored <= 1.5 * 100 and cores is not None and found.stored < sum(core.size for core in cores)
        assert away(found.dense(), T) <= 1e-3


def test_a_planted_train_takes_few_fits_and_chance_many() -> None:
    normal = draw(1).standard_normal
    parts = [normal((3, 2)), *normal((5, 2, 3, 2)), normal((2, 3))]
    T = np.einsum("ia,ajb,bkc,cld,dme,enf,fo->ijklmno", *parts).transpose(draw(1).permutation(7))
    network = Network(T, 1e-3 * float(np.linalg.norm(T)))
    found = network.grown(T.size)
    assert found is not None and network.evaluations <= 150 and found.stored <= 1.5 * 72
    assert random_search(T, network.budget, 10, 2) is None


def test_an_array_without_structure_has_no_network() -> None:
    assert not list(tensor_networks(Target(draw().standard_normal((4, 4, 4, 4)), F64, 1e-2)))
