"""A cheap plan by simulated annealing: runs are moved, added and taken away."""

from __future__ import annotations

import random
from collections.abc import Callable
from math import inf, log
from time import perf_counter

from tpc.passes.rematerialise.graph import Plan
from tpc.passes.rematerialise.runs import Change, Runs

HOT, WARM, COLD = 2.0, 0.2, 0.02  # temperatures, in mean costs of a step
PRICE = 0.1, 10.0  # least and most of a byte above the budget at one position, in the mean cost of a byte
FIRM = 20.0  # the same near a plan that fits, and where it is hard to find one
TURNS = 1500  # how often that price is set
LATE = 0.1  # of the time, by which changes may be behind
FAR = 60  # positions that a run is moved by, at most
MOVED = 0.7  # of all changes, those that move a run


def anneal(
    plan: Plan, budget: int, changes: int, seconds: float, enough: float, seed: int, is_near: bool = False
) -> Plan:
    """The cheapest plan within a budget that is met on a walk from one on; where it ends, if none is met.

    A run is moved, or a value is dropped and computed again before some of those that read it, or they read an earlier
    run again. Changes for the worse are made by chance, fewer and fewer of them (Kirkpatrick, Gelatt and Vecchi,
    Optimization by simulated annealing, 1983). Plans above the budget are walked through as well: bytes above it have a
    price, which rises while there are any, and falls while there are none.

    Parameters
    ----------
    changes
        That are tried.
    seconds
        After which the walk has come to its end in any case.
    enough
        An added cost that is not improved.
    is_near
        Whether the walk stays near to the plan that it begins with.
    """
    chance = random.Random(seed).random
    line = Runs(plan, budget)
    graph = plan.graph
    mean = graph.cost / len(graph) or 1.0
    unit = mean * len(graph) / max(sum(step.bytes for step in graph.steps), 1)
    low, high = (FIRM * unit, FIRM * unit) if is_near else (PRICE[0] * unit, PRICE[1] * unit)
    hot, price = WARM if is_near else HOT, low
    best: Plan | None = None
    least = inf
    turn = max(changes // TURNS, 32)
    begun, heat = perf_counter(), hot * mean
    for number in range(changes):
        if number % turn == 0:
            done, late = number / changes, (perf_counter() - begun) / seconds
            if late > done + LATE:  # by so much that time will be over first; else time decides nothing
                done = late
            if done >= 1:
                break
            heat = hot * mean * (COLD / hot) ** done
            price = min(price * 1.05, high) if line.excess > 0 else max(price / 1.2, low)
        most = -heat * log(chance() or 1e-300)  # by which the whole may become worse
        added = line.added
        run = line.order[int(chance() * len(line.order))]
        if chance() < MOVED:
            line.shift(line.place[run], chance() < 0.5, 1 + int(FAR * chance() ** 2), most / price, chance() < 0.5)
        else:
            changed = _added(line, run, most, price, chance) if chance() < 0.5 else line.merge(run)
            if changed is None:
                continue
            before, above = line.excess, line.above()
            if line.added - added + price * (above - before) <= most:
                line.excess = above
                line.settle(changed)
            else:
                line.undo(changed)
        if line.excess <= 0 and line.added < least - 1e-9 * graph.cost:
            found = line.plan()
            if found.peak <= budget:
                best, least = found, line.added
                if least <= enough:
                    break
    return best or line.plan()


def _added(line: Runs, run: int, most: float, price: float, chance: Callable[[], float]) -> list[Change] | None:
    """Some of the last readers of a run, chosen by chance, get another one; None where that cannot be worth it."""
    if not line.readers[run] or not line.steps[line.step[run]].again:
        return None
    readers = sorted(line.readers[run], key=line.at)
    number = int(chance() * len(readers))
    start = line.at(readers[number - 1]) if number else line.place[run]
    stop = line.at(readers[number])
    if stop - start < 2:
        return None
    step = line.steps[line.step[run]]
    held, room, order, budget = line.held, line.room, line.order, line.budget
    gain = 0.0  # at most: bytes above the budget between the readers
    for position in range(start + 1, stop):
        above = held[position] + room[order[position]] - budget
        if above > 0:
            gain += min(above, step.bytes)
    spared = 0.0 if number else step.cost  # nothing will read the run
    return line.again(run, readers[number:], most + price * gain + spared, chance)
