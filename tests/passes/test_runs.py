"""Plans as runs that are moved, added and taken away: what they hold is what their order says."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from tests.passes.test_rematerialise import random_graph

from tpc.passes.rematerialise import sweeps
from tpc.passes.rematerialise.graph import once
from tpc.passes.rematerialise.runs import END, Change, Runs
from tpc.passes.rematerialise.sweeps import Sweeps


def state(runs: Runs) -> tuple[Any, ...]:
    return [runs.step[run] for run in runs.order], runs.room.tolist(), runs.held.tolist(), runs.added, runs.above()


def changed(runs: Runs, chance: random.Random) -> list[Change] | None:
    """Some runs are moved, or one gets another one for its last readers, or gives them to the one before it."""
    run, kind = chance.choice(runs.order), chance.randrange(3)
    if kind == 0:
        sweeps = Sweeps(runs)
        assert np.array_equal(sweeps.held, runs.held) and np.array_equal(sweeps.room, runs.room)
        sweeps.sweep(10.0, np.random.default_rng(chance.randrange(100)))
        sweeps.done()
        return None
    readers = runs.in_order(runs.readers[run])
    if kind == 1 and readers and runs.graph.steps[runs.step[run]].again:
        return runs.again(run, readers[chance.randrange(len(readers)) :], 20.0, chance.random)
    return runs.merge(run)


@pytest.mark.parametrize("seed", range(40))
def test_runs_that_are_changed_are_those_of_their_plan(seed: int) -> None:
    """What is undone leaves no trace; a plan that is made anew from its order holds no more, and costs the same."""
    graph, chance = random_graph(seed), random.Random(seed)
    runs = Runs(once(graph), 0.7 * once(graph).peak)
    for _ in range(40):
        before = state(runs)
        made = changed(runs, chance)
        if made is not None and chance.random() < 0.5:
            runs.undo(made)
            assert state(runs) == before
        elif made is not None:
            runs.settle(made)
            runs.excess = runs.above()
        plan = runs.plan()
        live = (runs.held[:-1] + runs.room + graph.held).tolist()
        assert runs.excess == pytest.approx(runs.above())
        assert runs.added == pytest.approx(plan.added)
        assert all(a <= b for a, b in zip(plan.live, live, strict=True))


def excess(runs: Runs, order: list[int]) -> int | None:
    """Bytes above the budget in an order of the runs, from what they read; None if one comes before what it reads."""
    place = {run: position for position, run in enumerate(order)} | {END: len(order)}
    live = [0] * (len(order) + 1)
    for start, made in enumerate(order):
        step = runs.graph.steps[runs.step[made]]
        end = max([place[reader] for reader in runs.readers[made]], default=start)
        if any(place[reader] <= start for reader in runs.readers[made]):
            return None
        for position in range(start, end + 1):
            live[position] += step.bytes
        live[start] += step.workspace
        if end < len(order) and runs.graph.steps[runs.step[order[end]]].takes == runs.step[made]:
            live[end] -= step.bytes
    return sum(max(bytes - runs.budget, 0) for bytes in live[:-1])


@pytest.mark.parametrize("seed", range(40))
def test_a_run_goes_where_least_is_above_the_budget(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One run, in a window that is the whole order, against all places tried one by one."""
    monkeypatch.setattr(sweeps, "WINDOWS", (1000,))
    graph, draw = random_graph(seed), np.random.default_rng(seed)
    runs = Runs(once(graph), 0.6 * once(graph).peak)
    for _ in range(20):
        before = list(runs.order)
        moves = Sweeps(runs)
        moves.sweep(1e-9, draw)
        moves.done()
        assert runs.excess == excess(runs, runs.order)
        changed = [k for k, run in enumerate(runs.order) if run != before[k]]
        if changed:
            ends = changed[0], changed[-1]
            moved = [before[k] for k in ends if before[k] == runs.order[sum(ends) - k]]  # both, if they are neighbours
            least = []
            for one in moved:
                rest = [other for other in before if other != one]
                found = [excess(runs, [*rest[:k], one, *rest[k:]]) for k in range(len(before))]
                least.append(min(value for value in found if value is not None))
            assert runs.excess in least
