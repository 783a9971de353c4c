"""Tensor networks of arrays with several axes: which pairs of axes are tied, and by how much, is searched for.

A core for each axis, and a bond between any two of them. All bonds begin at 1; each is widened by one in turn, a few
sweeps of least squares fit the cores anew from where they were, and the widening that gains most for what it stores
is kept, until the budget is met (M. Hashemizadeh et al., Adaptive Learning of Tensor Network Structures, 2020). Then
the bonds are narrowed and widened one by one, each from the fit that is known (C. Li et al., Alternating Local
Enumeration, 2023).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from math import prod

import numpy as np

from tpc.passes.approximation.projected import Array, Projected, Term
from tpc.passes.approximation.target import Target, measured

SAVED = 0.7
LARGEST = 40_000  # entries of an array that is looked at
AXES = (3, 7)
EVALUATIONS = 150  # fits, at most
SWEEPS = 4
WIDEST = 32  # all bonds of one axis together, of random networks
MODES, BONDS = "ijklmnop", "abcdefghqrstuvwxyzABCDEFGH"

Edge = tuple[int, int]
Ranks = tuple[int, ...]
"""Of all edges, in the order of `Network.edges`."""


@dataclass
class Fit:
    """The cores of a network, each with its own axis first and then its bonds, and what they leave."""

    ranks: Ranks
    cores: list[Array]
    error: float

    @property
    def stored(self) -> int:
        return sum(core.size for core in self.cores)


@dataclass
class Network:
    """An array, and the networks that were fitted to it.

    Attributes
    ----------
    budget
        The error that is enough.
    evaluations
        How many fits were made.
    """

    T: Array
    budget: float
    evaluations: int = 0
    known: dict[Ranks, Fit] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.edges: list[Edge] = list(combinations(range(self.T.ndim), 2))
        self.draw = np.random.default_rng(0)

    def bonds(self, k: int) -> list[int]:
        """The edges of an axis, by their numbers."""
        return [n for n, edge in enumerate(self.edges) if k in edge]

    def meaning(self, ranks: Ranks) -> tuple[list[str], list[list[int]]]:
        """The letters of each core without bonds that are 1, and which of its bonds these are."""
        kept = [[n for n in self.bonds(k) if ranks[n] > 1] for k in range(self.T.ndim)]
        return [MODES[k] + "".join(BONDS[n] for n in own) for k, own in enumerate(kept)], kept

    def fit(self, ranks: Ranks, start: Fit | None = None) -> Fit:
        if ranks in self.known:
            return self.known[ranks]
        self.evaluations += 1
        cores = [self._started(k, ranks, start) for k in range(self.T.ndim)]
        letters, _ = self.meaning(ranks)
        slim = [core.reshape([s for n, s in enumerate(core.shape) if n == 0 or s > 1]) for core in cores]
        scale = measured(self.T)
        error = last = np.inf
        for _ in range(SWEEPS if start is not None else 2 * SWEEPS):
            for k in range(self.T.ndim):
                slim[k] = self._solved(k, letters, slim)
            error = measured(self.T - self.whole(letters, slim))
            if error <= 0.5 * self.budget or error > 0.999 * last or error < 1e-14 * scale:
                break
            last = error
        shapes = [[self.T.shape[k], *(ranks[n] for n in self.bonds(k))] for k in range(self.T.ndim)]
        found = Fit(ranks, [core.reshape(shape) for core, shape in zip(slim, shapes)], error)
        self.known[ranks] = found
        return found

    def _started(self, k: int, ranks: Ranks, start: Fit | None) -> Array:
        shape = (self.T.shape[k], *(ranks[n] for n in self.bonds(k)))
        if start is None:
            return np.asarray(self.draw.standard_normal(shape))
        known = start.cores[k]
        core: Array = self.draw.standard_normal(shape) * (0.1 * measured(known) / known.size**0.5)
        inside = tuple(slice(0, min(a, b)) for a, b in zip(shape, known.shape))
        core[inside] = known[inside]
        return core

    def _solved(self, k: int, letters: list[str], cores: list[Array]) -> Array:
        """The core of an axis that fits best beside the others."""
        others = [n for n in range(self.T.ndim) if n != k]
        output = "".join(MODES[n] for n in others) + letters[k][1:]
        around = np.einsum(
            f"{','.join(letters[n] for n in others)}->{output}", *(cores[n] for n in others), optimize=True
        )
        width = prod(cores[k].shape[1:])
        flat = np.moveaxis(self.T, k, -1).reshape(-1, self.T.shape[k])
        matrix = around.reshape(-1, width)
        gram = matrix.T @ matrix
        gram[np.diag_indices(width)] += 1e-13 * max(float(np.trace(gram)), 1e-300)
        found: Array = np.linalg.solve(gram, matrix.T @ flat).T.reshape(cores[k].shape)
        return found

    def whole(self, letters: list[str], cores: list[Array]) -> Array:
        found: Array = np.einsum(f"{','.join(letters)}->{MODES[: self.T.ndim]}", *cores, optimize=True)
        return found

    # ---- the search

    def grown(self, most: float) -> Fit | None:
        """From bonds of one, widened one at a time; None where the budget is not met with `most` numbers."""
        best = self.fit((1,) * len(self.edges))
        while best.error > self.budget:
            trials = []
            for n, (a, b) in enumerate(self.edges):
                ranks = _changed(best.ranks, n, 1)
                if ranks[n] > min(self.T.shape[a], self.T.shape[b]) * 4 or self.evaluations >= EVALUATIONS:
                    continue
                found = self.fit(ranks, best)
                if found.stored <= most:
                    gained = best.error**2 - max(found.error, self.budget) ** 2
                    trials.append((gained / (found.stored - best.stored), n, found))
            if not trials:
                return None
            gain, _, found = max(trials, key=lambda trial: trial[:2])
            if gain <= 0:
                return None
            best = found
        return best

    def polished(self, best: Fit) -> Fit:
        """What stores less within the budget: bonds narrowed, or one narrowed and another widened."""
        better = True
        while better and self.evaluations < EVALUATIONS:
            better = False
            for n in range(len(self.edges)):
                if best.ranks[n] == 1 or self.evaluations >= EVALUATIONS:
                    continue
                found = self.fit(_changed(best.ranks, n, -1), best)
                if found.error <= self.budget:
                    best, better = found, True
        return best


def _changed(ranks: Ranks, edge: int, by: int) -> Ranks:
    return tuple(rank + by * (n == edge) for n, rank in enumerate(ranks))


def random_search(T: Array, budget: float, evaluations: int, widest: int, seed: int = 0) -> Fit | None:
    """The least that as many fits of random bonds find: what a search must be held against."""
    network, draw = Network(T, budget), np.random.default_rng(seed)
    best = None
    for _ in range(evaluations):
        ranks = tuple(int(r) for r in draw.integers(1, widest + 1, size=len(network.edges)))
        if max(prod(ranks[n] for n in network.bonds(k)) for k in range(T.ndim)) > WIDEST:
            continue
        found = network.fit(ranks)
        if found.error <= budget and (best is None or found.stored < best.stored):
            best = found
    return best


def tensor_networks(target: Target) -> Iterator[Projected]:
    T = target.values
    if not AXES[0] <= T.ndim <= AXES[1] or T.size > LARGEST or min(T.shape) < 2 or T.dtype.kind == "c":
        return
    network = Network(T, target.budget)
    found = network.grown(SAVED * T.size)
    if found is None:
        return
    found = network.polished(found)
    letters, _ = network.meaning(found.ranks)
    slim = {
        f"G{k + 1}": core.reshape([s for n, s in enumerate(core.shape) if n == 0 or s > 1])
        for k, core in enumerate(found.cores)
    }
    tied = {f"{a + 1}-{b + 1}": r for (a, b), r in zip(network.edges, found.ranks) if r > 1}
    about = f"bonds {_told(tied)}, after {network.evaluations} fits"
    terms = (Term(f"{','.join(letters)}->{','.join(MODES[: T.ndim])}", tuple(slim)),)
    yield Projected("tensor network", about, slim, terms, 2 * found.stored)


def _told(tied: Mapping[str, int]) -> str:
    return ", ".join(f"{edge}: {rank}" for edge, rank in tied.items()) or "of 1"
