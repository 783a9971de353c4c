"""The plan for a graph under a budget, with what is proved of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from time import thread_time

from tpc.passes.memory.order import Task, Tasks, best_order
from tpc.passes.rematerialise.annealing import HOT, MILD, WARM, anneal
from tpc.passes.rematerialise.bound import relaxed
from tpc.passes.rematerialise.graph import Graph, Plan, once
from tpc.passes.rematerialise.rebase import Base, base_of
from tpc.passes.rematerialise.search import Search
from tpc.passes.rematerialise.seeds import checkpoints

CHANGES = 4_000  # for each step of a graph: what the search is bounded by, so that it finds the same each time
LEAST_CHANGES, MOST_CHANGES = 20_000, 2_000_000  # in all
MENDED = 0.1  # of them, those that a start is mended and improved by
WALKED, NEAR = 0.65, 0.25  # of them, those of a walk over all plans, and of one near the lowest
AGAIN = 0.2  # of them, those of each walk on from the best
EXACT = 12  # steps of which the cheapest plan is found for certain, in the order of the graph
PARTS = 2  # the best plan is gone on from so often, in its own order of first runs and in any
TRIES = 4  # at coming to a hard budget
CLEARLY = 0.95  # of what the order of a graph holds: another one is tried as well
SECONDS = 55.0  # of work, an end in any case: other work on the machine changes no plan


@dataclass(frozen=True)
class Solution:
    """What was found under a budget.

    Attributes
    ----------
    plan
        One within the budget, or else that with the lowest peak that was met.
    fits
        Whether it is within the budget.
    bound
        No plan whose steps first run in the order of the graph costs less than this beside one run of each step;
        infinity, if there is none.
    """

    plan: Plan
    budget: int
    fits: bool
    bound: float

    @property
    def gap(self) -> float:
        """By how much of the cost of the whole a better plan might be cheaper."""
        return max(0.0, self.plan.added - self.bound) / (self.plan.graph.cost or 1.0) if self.fits else inf


def solve(
    graph: Graph,
    budget: int,
    *,
    changes: int | None = None,
    seconds: float = SECONDS,
    enough: float | None = None,
    known: Iterable[Plan] = (),
) -> Solution:
    """The cheapest plan whose live bytes stay within a budget, as far as it is found.

    Several plans to start from are mended until they fit: that which computes nothing twice, one in another order that
    holds less, those with checkpoints, and the solution of a relaxed problem, which also gives the bound. Then plans
    in any order are walked through, and again from the best on, less warmly. About so many `changes` are tried, by
    default a number that depends on the graph alone, so that equal graphs have equal plans; `seconds` of work end that
    in any case. A plan that costs no more than `enough` of the whole above the bound is not improved; if not given, all
    are, since the bound holds for one order. A plan for less is one for more, so `known` plans for other budgets count:
    over a row of budgets from small to large, what is added never grows.
    """
    plan = once(graph)
    if plan.peak <= budget:
        return Solution(plan, budget, True, 0.0)
    begun = thread_time()
    most = max(LEAST_CHANGES, min(CHANGES * len(graph), MOST_CHANGES) if changes is None else changes)
    proved = relaxed(graph, budget)
    least = 0.0 if enough is None else proved.cost + max(enough, 1e-9) * graph.cost
    best: Plan | None = None
    lowest = plan

    def search(base: Base, within: int, share: float, seed: int = 0) -> Search:
        part, until = int(most * share), min(thread_time() + 2 * seconds * share, begun + seconds)
        return Search(base.graph, within, lambda made: made > part or thread_time() > until, seed)

    def walk(start: Plan, share: float, seed: int, hot: float = HOT, is_firm: bool = False) -> Plan:
        nonlocal best, lowest
        found = start
        left = seconds - (thread_time() - begun)
        if graph.floor <= budget and left > 0 and (best is None or best.added > least):
            left *= WALKED / (WALKED + PARTS * AGAIN) if hot == HOT else 1.0
            found = anneal(start, budget, int(most * share), left, least, seed, hot, is_firm)
            lowest = min(lowest, found, key=lambda plan: plan.peak)
            if found.peak <= budget:
                best = found if best is None else min(best, found, key=_cost)
        return found

    starts = [plan, *_low(graph)]
    for start in starts if graph.floor <= budget else ():
        base = base_of(start)
        direct = search(base, budget, MENDED)
        seeds = [direct.start(pairs) for pairs in (frozenset[int](), *([proved.pairs] if start is plan else []))]
        seeds += [direct.start(pairs, tried=0) for pairs in checkpoints(base.graph)]
        fitting = [pairs for pairs in seeds if pairs is not None]
        if fitting:
            first = min(fitting, key=lambda pairs: _cost(base.plan(pairs)))
            found = base.plan(direct.improve(first, max(least, proved.cost)))
            best = found if best is None else min(best, found, key=_cost)
    ended = walk(plan, WALKED, 0)
    for seed in range(TRIES if best is None else 0):  # in the end each from the lowest plan so far
        if seed:
            walk(plan, WALKED, seed)
        walk(lowest, NEAR, seed, WARM, is_firm=True)
        if best is not None:
            break
        start = starts[-1 - seed] if seed < len(starts) else lowest
        base = base_of(start)
        down = search(base, max(budget, graph.floor), 1 / TRIES, seed)
        pairs = down.descend(base.pairs(start))
        found = base.plan(down.least[1] if pairs is None else down.improve(pairs, least))
        lowest = min(lowest, found, key=lambda plan: plan.peak)
        if found.peak <= budget:
            best = found
            break
    is_hard = ended.peak > budget
    for seed in range(1, 1 + PARTS + (TRIES if is_hard else 0)):
        if best is None or best.added <= least:
            break
        base = base_of(best)
        found = base.plan(search(base, budget, MENDED, seed).improve(base.pairs(best), least))
        best = min((p for p in (best, found) if p.peak <= budget), key=_cost)
        if is_hard:
            walk(best, NEAR / 2, seed, WARM, is_firm=True)
        else:
            walk(best, AGAIN, seed, MILD)
    best = min([found for found in (best, *known) if found and found.peak <= budget], key=_cost, default=None)
    bound = proved.cost
    if len(graph) <= EXACT and graph.floor <= budget and (best is None or best.added > proved.cost):
        from tpc.passes.rematerialise.exact import exact

        sure = exact(graph, budget, inf if best is None else best.added)
        bound = max(bound, sure.cost)
        if sure.pairs is not None:
            found = base_of(plan).plan(sure.pairs)
            best = found if best is None else min(best, found, key=_cost)
    return Solution(best or lowest, budget, best is not None, bound)


def _low(graph: Graph) -> list[Plan]:
    """An order that holds clearly less than that of the graph, with nothing computed twice; none, if there is none."""
    tasks = [Task(s.bytes, tuple(sorted(set(s.operands))), s.workspace, s.kept, s.takes) for s in graph.steps]
    plan = Plan(graph, tuple(best_order(Tasks(tuple(tasks)))))
    return [plan] if plan.peak < CLEARLY * once(graph).peak else []


def _cost(plan: Plan) -> float:
    return plan.added
