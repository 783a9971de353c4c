"""A cheap plan by simulated annealing: runs are moved, added and taken away."""

from __future__ import annotations

import random
from collections.abc import Callable
from math import inf, log
from time import thread_time

from tpc.passes.rematerialise.graph import Plan
from tpc.passes.rematerialise.runs import Change, Runs
from tpc.passes.rematerialise.sweeps import Sweeps

HOT, WARM, MILD, COLD = 2.0, 0.5, 0.2, 0.02  # temperatures, in mean costs of a step
PRICE = 0.1, 10.0  # least and most of a byte above the budget at one position, in the mean cost of a byte
FIRM = 100.0  # the same near a plan that fits, and where it is hard to find one
TURNS = 1500  # how often that price is set
LEAST_TURN = 128  # changes between two times, at least
LATE = 0.1  # of the time, by which changes may be behind
MOVED = 0.7  # of all changes, those that move a run


def anneal(
    plan: Plan,
    budget: int,
    changes: int,
    seconds: float,
    enough: float,
    seed: int,
    hot: float = HOT,
    is_firm: bool = False,
) -> Plan:
    """The cheapest plan within a budget that is met on a walk from one on; where it ends, if none is met.

    A run is moved, or a value is dropped and computed again before some of those that read it, or they read an earlier
    run again. Changes for the worse are made by chance, fewer and fewer of them (Kirkpatrick, Gelatt and Vecchi,
    Optimization by simulated annealing, 1983). Plans above the budget are walked through as well: bytes above it have a
    price, which rises while there are any, and falls while there are none; the colder it is, the higher it may rise.

    Parameters
    ----------
    changes
        That are tried.
    seconds
        Of work, after which the walk has come to its end in any case.
    enough
        An added cost that is not improved.
    hot
        The temperature at which it begins; the lower, the nearer it stays to the plan that it begins with.
    is_firm
        Whether bytes above the budget are dear from the beginning.
    """
    import numpy as np

    chance, draw = random.Random(seed).random, np.random.default_rng(seed)
    line = Runs(plan, budget)
    graph = plan.graph
    mean = graph.cost / len(graph) or 1.0
    unit = mean * len(graph) / max(sum(step.bytes for step in graph.steps), 1)
    low, high = (FIRM * unit, FIRM * unit) if is_firm else (PRICE[0] * unit, PRICE[1] * unit)
    price = low
    best: Plan | None = None
    least = inf
    turn = max(changes // TURNS, LEAST_TURN)
    begun = thread_time()
    made = 0

    def note() -> None:
        """Keep the plan, if it is the best so far."""
        nonlocal best, least
        if line.excess <= 0 and line.added < least - 1e-9 * graph.cost:
            found = line.plan()
            if found.peak <= budget:
                best, least = found, line.added

    while made < changes and least > enough:
        done, late = made / changes, (thread_time() - begun) / seconds
        if late > done + LATE:  # by so much that time will be over first; else time decides nothing
            done = late
        if done >= 1:
            break
        heat = hot * mean * (COLD / hot) ** done
        price = min(price * 1.05, high * (HOT * mean / heat)) if line.excess > 0 else max(price / 1.2, low)
        until = made + turn
        sweeps = Sweeps(line)
        while made < until - (1 - MOVED) * turn:
            made += sweeps.sweep(heat / price, draw)
        sweeps.done()
        note()
        while made < until:
            made += 1
            _change(line, heat, price, chance)
            note()
    return best or line.plan()


def _change(line: Runs, heat: float, price: float, chance: Callable[[], float]) -> None:
    """Add a run or take one away, unless the whole becomes worse by more than chance allows."""
    most = -heat * log(chance() or 1e-300)
    run = line.order[int(chance() * len(line.order))]
    added = line.added
    changed = _added(line, run, most, price, chance) if chance() < 0.5 else line.merge(run)
    if changed is None:
        return
    above = line.above()
    if line.added - added + price * (above - line.excess) <= most:
        line.excess = above
        line.settle(changed)
    else:
        line.undo(changed)


def _added(line: Runs, run: int, most: float, price: float, chance: Callable[[], float]) -> list[Change] | None:
    """Some of the last readers of a run, chosen by chance, get another one; None where that cannot be worth it."""
    step = line.steps[line.step[run]]
    if not line.readers[run] or not step.again:
        return None
    readers = line.in_order(line.readers[run])
    number = int(chance() * len(readers))
    before = readers[number - 1] if number else run
    is_taken = line.steps[line.step[before]].takes == line.step[run]  # by a result in its place: then there is room
    start = line.at(before) + (not is_taken)
    stop = line.at(readers[number])
    if stop <= start:
        return None
    above = line.held[start:stop] + line.room[start:stop]
    above -= line.budget
    gain = int(above.clip(0, step.bytes).sum())  # at most: bytes above the budget between the readers
    spared = 0.0 if number else step.cost  # nothing will read the run
    return line.again(run, readers[number:], most + price * gain + spared, chance)
