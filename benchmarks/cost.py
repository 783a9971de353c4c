"""How well predicted times agree with measured ones, on sizes that had no part in a calibration.

Three questions, for NumPy in double precision on one thread: how far off is the prediction for each kernel, beside
two that count operations only, at one price or with a price of a call besides (both fitted to the very points that they
are judged by, which flatters them); is the faster of two ways to multiply a chain of matrices predicted to be the
faster; and how much is lost by taking the way that is predicted to be the best.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from statistics import mean, median
from time import perf_counter
from typing import Any

from tpc.backends import backend
from tpc.backends.llvm import engine
from tpc.backends.llvm.sparse import NATIVE
from tpc.ir.types import F64
from tpc.passes.cost import Profile, profile
from tpc.passes.cost.families import FAMILIES
from tpc.passes.cost.fit import least_relative_squares, mean_error, predicted
from tpc.passes.cost.measure import Bench, pinned
from tpc.passes.cost.points import Point, points

SEED = 1  # a calibration draws its points with 0
PRODUCTS = 130  # products of matrices, 8 to 1448 a side
CHAINS = 100
APART = 1.10  # times that differ by more have a right order
GOALS = {
    "mean error of products": ("at most", 0.20),
    "mean error over that of counting operations": ("at most", 0.50),
    "rank correlation of products": ("at least", 0.95),
    "pairs of chains in the right order": ("at least", 0.90),
    "chains within 10 % of the best": ("at least", 0.90),
}


def run(repeat: int) -> dict[str, Any]:
    """Measure, print, and return what was measured."""
    prices = profile("numpy", threads=1)
    for warning in prices.warnings:
        print(f"note: {warning}")
    with pinned("numpy", 1):
        engine.set_threads(1)
        bench = Bench("numpy", "float64", 1, {**backend("numpy").helpers(), **NATIVE})
        print(f"{'error':16}{'points':>7}{'mean':>8}{'median':>8}{'rank':>7}{'operations alone':>18}{'and a call':>14}")
        rows = [row(prices, bench, "products", _products(), repeat)]
        rows += [row(prices, bench, k, points(k, bench.is_batched(k), SEED), repeat) for k in FAMILIES]
        chains = [chain(prices, dims, repeat) for dims in _chains()]
    pairs = [right for found in chains for right in found["pairs"]]
    figures = {
        "mean error of products": rows[0]["mean"],
        "mean error over that of counting operations": rows[0]["mean"] / rows[0]["flops_mean"],
        "rank correlation of products": rows[0]["rank"],
        "pairs of chains in the right order": mean(pairs),
        "chains within 10 % of the best": mean(found["lost"] <= APART for found in chains),
    }
    lost = sorted(found["lost"] for found in chains)
    print(f"\n{len(chains)} chains, {len(pairs)} pairs whose times differ by over 10 %")
    print(f"time of the predicted best over the best: median {median(lost):.3f}, worst {lost[-1]:.2f}")
    print(f"\n{'':46}{'found':>8}{'goal':>16}")
    met = True
    for name, figure in figures.items():
        word, goal = GOALS[name]
        good = figure <= goal if word == "at most" else figure >= goal
        met = met and good
        print(f"{name:46}{figure:8.3f}{f'{word} {goal:.2f}':>16}{'' if good else '  missed'}")
    where = {"profile": prices.machine, "shipped": prices.is_shipped}
    return {"met": met, **where, "figures": figures, "kernels": rows, "chains": chains}


def row(prices: Profile, bench: Bench, name: str, chosen: Sequence[Point], repeat: int) -> dict[str, Any]:
    """The errors on points of one kernel, printed."""
    from scipy.stats import spearmanr

    samples = [bench.time(point, repeat) for point in chosen]
    seconds = [s.seconds for s in samples]
    guesses = [prices.seconds(s.point.kernel, s.point.asked, F64, s.point.batch) for s in samples]
    counts = [(s.point.batch, s.point.batch * FAMILIES[s.point.kernel].flops(*s.point.asked)) for s in samples]
    alone = [(flops,) for _, flops in counts]
    errors = [abs(g / s - 1) for g, s in zip(guesses, seconds)]
    found = {
        "kernel": name,
        "mean": mean(errors),
        "median": median(errors),
        "rank": float(spearmanr(guesses, seconds).statistic),
        "flops_mean": _fitted(alone, seconds),
        "call_and_flops_mean": _fitted(counts, seconds),
        "samples": [[list(s.point.asked), s.point.batch, s.seconds, g] for s, g in zip(samples, guesses)],
    }
    print(
        f"{name:16}{len(seconds):7}{found['mean']:8.1%}{found['median']:8.1%}{found['rank']:7.3f}"
        f"{found['flops_mean']:18.1%}{found['call_and_flops_mean']:14.1%}"
    )
    return found


def _fitted(terms: Sequence[Sequence[float]], seconds: Sequence[float]) -> float:
    """The mean error of a fit on the points themselves."""
    prices = least_relative_squares(terms, seconds)
    return mean_error([predicted(prices, t) for t in terms], seconds)


def _products() -> list[Point]:
    chance = random.Random(SEED)
    sides = [tuple(round(2 ** chance.uniform(3, 10.5)) for _ in range(3)) for _ in range(PRODUCTS)]
    return [Point("gemm", s, s) for s in sides]


# ---- chains of matrices

Tree = int | tuple["Tree", "Tree"]


def _chains() -> list[list[int]]:
    """The sizes of chains of 3 to 5 matrices, with thin ones and vectors among them."""
    chance = random.Random(SEED)
    return [
        [1 if chance.random() < 0.1 else round(10 ** chance.uniform(0.7, 3)) for _ in range(chance.randint(4, 6))]
        for _ in range(CHAINS)
    ]


def trees(first: int, last: int) -> Iterator[Tree]:
    """All ways to multiply the matrices from `first` up to `last`."""
    if first == last:
        yield first
    for middle in range(first, last):
        for left in trees(first, middle):
            for right in trees(middle + 1, last):
                yield left, right


def chain(prices: Profile, dims: Sequence[int], repeat: int) -> dict[str, Any]:
    """Measured and predicted times of all ways to multiply one chain; those of one round are taken in turn."""
    import numpy as np

    generator = np.random.default_rng(SEED)
    matrices = [generator.standard_normal((m, n)) for m, n in zip(dims, dims[1:])]
    ways = list(trees(0, len(matrices) - 1))
    guesses = [_predicted(prices, way, dims)[0] for way in ways]
    seconds = [float("inf")] * len(ways)
    for _ in range(repeat):
        for place, way in enumerate(ways):
            seconds[place] = min(seconds[place], _timed(way, matrices, guesses[place]))
    pairs = [
        (seconds[i] < seconds[j]) == (guesses[i] < guesses[j])
        for i in range(len(ways))
        for j in range(i)
        if max(seconds[i], seconds[j]) > APART * min(seconds[i], seconds[j])
    ]
    best = min(range(len(ways)), key=guesses.__getitem__)
    lost = seconds[best] / min(seconds)
    return {"dims": list(dims), "seconds": seconds, "predicted": guesses, "pairs": pairs, "lost": lost}


def _predicted(prices: Profile, way: Tree, dims: Sequence[int]) -> tuple[float, int, int]:
    """Seconds, and which of `dims` are the rows and columns of the result."""
    if isinstance(way, int):
        return 0.0, way, way + 1
    left, rows, inner = _predicted(prices, way[0], dims)
    right, _, columns = _predicted(prices, way[1], dims)
    own = prices.seconds("gemm", (dims[rows], dims[columns], dims[inner]), F64)
    return left + right + own, rows, columns


def _timed(way: Tree, matrices: Sequence[Any], guess: float) -> float:
    """Seconds of one evaluation, the mean of so many as take a while."""

    def value(tree: Tree) -> Any:
        return matrices[tree] if isinstance(tree, int) else value(tree[0]) @ value(tree[1])

    times = max(1, min(100, round(3e-4 / guess)))
    value(way)
    began = perf_counter()
    for _ in range(times):
        value(way)
    return (perf_counter() - began) / times
