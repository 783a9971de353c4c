"""A plan within a budget: seeds, and parts of a plan taken away and mended where too much is held."""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from math import inf
from typing import TYPE_CHECKING

from tpc.passes.rematerialise.graph import Graph
from tpc.passes.rematerialise.timeline import Timeline

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TRIED = 6  # values that are tried out at each step, of those that promise most, where a good plan is known
RUINED = 12  # pairs that are taken away at a time, at most
Pairs = frozenset[int]


class Search:
    """Looks for pairs of one graph under one budget, on one timeline.

    Parameters
    ----------
    is_over
        Whether to stop, by the moves that were made.
    """

    def __init__(self, graph: Graph, budget: float, is_over: Callable[[int], bool], seed: int = 0) -> None:
        self.graph, self.budget = graph, budget
        self.line = Timeline(graph)
        self._is_over = is_over
        self.random = random.Random(seed)
        self.free = 1e-9 * graph.cost + 1e-300  # what a step without a cost is taken to cost
        self.least: tuple[float, Pairs] = float(self.line.live.max()), frozenset()  # the lowest peak met, and how

    def is_over(self) -> bool:
        return self._is_over(self.line.moves)

    def start(self, pairs: Iterable[int], tried: int | None = None) -> Pairs | None:
        """Pairs within the budget that are found from others; None if mending them comes to nothing."""
        self.put(pairs)
        if not self._mend(tried=tried):
            self._note()
            return None
        self._tidy()
        self._note()
        return frozenset(self.line.again)

    def descend(self, pairs: Iterable[int]) -> Pairs | None:
        """Pairs within the budget, by budgets between, each from the plan for the one before; None if time is over."""
        self.put(pairs)
        goal, top = self.budget, float(self.line.live.max())
        peak = top
        while peak > goal and not self.is_over():
            self.budget = max(goal, peak - max(0.03 * (top - goal), 0.003 * peak))
            if self._come():
                self._tidy()
                self._note()
            peak = float(self.line.live.max())
        self.budget = goal
        return frozenset(self.line.again) if peak <= goal else None

    def improve(self, pairs: Pairs, enough: float) -> Pairs:
        """Ruin and mend, from a plan within the budget on, until its cost is `enough` or time is over.

        Worse plans are gone on with where they cost a little more, so that there is a way out of each valley (Schrimpf
        et al., Record breaking optimization results using the ruin and recreate principle, 2000).
        """
        self.put(pairs)
        best = current = pairs
        least = cost = self.line.cost
        while best and least > enough and not self.is_over():
            self._ruin()
            limit = cost + 0.01 * least * self.random.random() ** 2
            if self._mend(self.random.choice((0.0, 0.3, 1.0, 3.0)), 1.1 * limit, TRIED):
                self._tidy()
                if self.line.cost <= limit:
                    current, cost = frozenset(self.line.again), self.line.cost
                    if cost < least:
                        best, least = current, cost
            self.put(current)
        return best

    def put(self, pairs: Iterable[int]) -> None:
        """Make the timeline that of some pairs."""
        wanted, again = set(pairs), self.line.again
        for key in sorted(again - wanted, reverse=True):
            self.line.remove(key)
        for key in sorted(wanted - again):
            self.line.add(key)

    def _note(self) -> None:
        peak = float(self.line.live.max())
        if peak < self.least[0]:
            self.least = peak, frozenset(self.line.again)

    def _come(self) -> bool:
        """Come from a plan to one within the budget; where mending fails, it is ruined and mended again."""
        best, least = frozenset(self.line.again), self.line.excess(self.budget)
        if self._mend():
            return True
        self.put(best)
        while not self.is_over():
            if self.line.again:
                self._ruin()
            if self._mend(self.random.choice((0.3, 1.0, 3.0, 10.0))):
                return True
            left = self.line.excess(self.budget)
            if left <= least * (1 + 0.02 * self.random.random()):
                best, least = frozenset(self.line.again), left
            else:
                self.put(best)
        return False

    def _mend(self, noise: float = 0.0, limit: float = inf, tried: int | None = None) -> bool:
        """Drop values and compute them again, until nothing is above the budget.

        False if nothing more lowers the excess, or what runs again comes to cost more than `limit`.
        """
        import numpy as np

        line = self.line
        while True:
            line.moves += 1  # so that what finds nothing to change comes to its end as well
            over = np.maximum(line.live - self.budget, 0.0)
            places = np.flatnonzero(over)
            if not len(places):
                return True
            if line.cost > limit or self.is_over():
                return False
            place = int(np.argmax(over)) if self.random.random() < 0.5 else int(self.random.choice(places))
            keys = self._best(over, place, noise, tried)
            if not keys:
                return False
            for key in keys:
                line.add(key)

    def _best(self, over: NDArray[np.float64], place: int, noise: float, tried: int | None) -> list[int]:
        """Pairs that lower the excess most for their cost: a value that is held at a position and not used there is
        computed again before its next use. Empty if there are none."""
        import numpy as np

        line, n, steps = self.line, self.line.n, self.graph.steps
        excess = float(over.sum())
        now = line.keys[place]
        ranked: list[tuple[float, float, float, float, int, int]] = []
        for value in line.held_over(now):
            uses = line.uses[value]
            use = uses[bisect_right(uses, now)]
            if not steps[value].again or not steps[value].bytes:
                continue
            is_used = uses[bisect_left(uses, now)] == now
            end, run = now if is_used else line.end_before(value, now), line.run_before(value, now)
            spared = steps[value].cost if end == run else 0.0  # nothing will have read that run
            first = bisect_left(line.keys, end) if line.taken(value, end) else bisect_right(line.keys, end)
            gain = float(np.minimum(over[first : bisect_left(line.keys, use)], steps[value].bytes).sum())
            factor = 1 + noise * self.random.random()
            bound = factor * gain / max(self._cost(value) - spared, self.free)
            ranked.append((bound, factor * gain, factor, spared, value, use))
        ranked.sort(reverse=True)
        best: list[int] = []
        most = 0.0
        for bound, gain, factor, spared, value, use in ranked[:tried]:
            if bound <= most:  # no way to drop this value can be better than what is found
                break
            for keys in self._segments(value, now, use, spared + gain / most if most else inf):
                for key in keys:
                    line.add(key)
                cost = max(sum(self._cost(key % n) for key in keys) - spared, self.free)
                score = factor * (excess - line.excess(self.budget)) / cost
                for key in reversed(keys):
                    line.remove(key)
                if score > most:
                    most, best = score, keys
        return best

    def _cost(self, value: int) -> float:
        return self.graph.steps[value].cost + self.free

    def _segments(self, value: int, now: int, use: int, limit: float) -> Iterator[list[int]]:
        """Ways to compute a value again between `now` and its next use, at a cost up to a limit: with its dropped
        ancestors just before the use, holding the operands instead, and where the operands are held anyway."""
        line, n = self.line, self.line.n
        stage = min(use // n, n - 1)  # what is kept is there before the last step
        if not now < stage * n + value < use:  # one stage cannot drop a value and compute it again
            return
        whole = self._segment(value, stage, limit)
        if whole is not None:
            yield whole
        if whole is None or len(whole) > 1:
            yield [stage * n + value]
            operands = line.operands[value]
            held = min((line.end(u, line.run_before(u, now)) // n for u in operands), default=stage)
            if now // n < held < stage:
                yield [held * n + value]
            if now // n + 1 < stage:
                early = self._segment(value, self.random.randint(now // n + 1, stage - 1), limit)
                if early is not None:
                    yield early

    def _segment(self, value: int, stage: int, limit: float) -> list[int] | None:
        """A step and those of its ancestors that are dead before it, in a stage; None if one of them may not run
        again, or they cost more than a limit."""
        line, first = self.line, stage * self.line.n
        found = {first + value}
        pending = [value]
        cost = 0.0
        while pending:
            u = pending.pop()
            cost += self._cost(u)
            if cost > limit or not self.graph.steps[u].again:
                return None
            for operand in line.operands[u]:
                key = first + operand
                if key not in found and key not in line.again and not line.is_live(operand, key):
                    found.add(key)
                    pending.append(operand)
        return sorted(found)

    def _tidy(self) -> None:
        """Take away what the budget does not ask for, the dearest first."""
        line = self.line
        keys = sorted(line.again)
        self.random.shuffle(keys)
        keys.sort(key=lambda key: -self.graph.steps[key % line.n].cost)
        for key in keys:
            line.remove(key)
            if (line.live > self.budget).any():
                line.add(key)

    def _ruin(self) -> None:
        """Take away some pairs: near each other in time, or anywhere."""
        keys = sorted(self.line.again)
        count = self.random.randint(1, min(RUINED, len(keys)))
        first = self.random.randrange(len(keys) - count + 1)
        near = self.random.random() < 0.5
        for key in keys[first : first + count] if near else self.random.sample(keys, count):
            self.line.remove(key)
