"""The cheapest plan of few steps, by a mixed integer program."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf

from tpc.passes.rematerialise.graph import Graph


@dataclass(frozen=True, slots=True)
class Proved:
    """No plan whose steps run first in the order of the graph costs less than `cost`, which is infinity if there is
    none; `pairs` (see `timeline`) are a plan, where one was found."""

    cost: float
    pairs: frozenset[int] | None = None


def exact(graph: Graph, budget: float, most: float = inf, seconds: float = 10.0) -> Proved:
    """The cheapest pairs within a budget, among those that cost no more than `most`.

    In stage t each step up to t runs or does not, and each value is taken over from the stage before or is not (Jain et
    al., Checkmate: breaking the memory wall with optimal tensor rematerialization, 2020). What is held while a step
    runs is what was held before it, with its result and without what the step before let go: a value is let go behind
    the last step of a stage that reads it, if the next stage does not take it over. New here: results that take the
    place of an operand, and workspaces.
    """
    import numpy as np
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array

    model = _Model()
    n, steps = len(graph), graph.steps
    unit = max((step.cost for step in steps), default=0.0) or 1.0
    size = max([*(step.bytes for step in steps), 1])  # scaled, since tolerances of the solver are absolute
    runs = {(t, i): model.variable(1, t == i, steps[i].again or t == i) for t in range(n) for i in range(t + 1)}
    taken = {(t, i): model.variable(1) for t in range(1, n) for i in range(t)}
    for i, step in enumerate(steps):
        taken[n, i] = model.variable(1, step.kept, step.kept)
    for t in range(n):
        for i in range(t + 1):
            before = [(taken[t, i], -1.0)] if i < t else []
            model.row([(taken[t + 1, i], 1.0), (runs[t, i], -1.0), *before], 0.0)
            for u in set(steps[i].operands):
                model.row([(runs[t, i], 1.0), (runs[t, u], -1.0), *([(taken[t, u], -1.0)] if u < t else [])], 0.0)
        gone: list[tuple[int, float]] = []
        held: list[tuple[int, float]] = [(taken[t, i], steps[i].bytes / size) for i in range(t)]
        for k in range(t + 1):
            step, now = steps[k], model.variable(inf, whole=False)
            made = [(runs[t, k], step.bytes / size)]
            model.row([*held, *made, *gone, (now, -1.0)], 0.0)
            held, gone, spared = [(now, 1.0)], [], []
            for u in {*step.operands, k}:
                free = model.variable(1, whole=False)
                model.row([(free, 1.0), (runs[t, k], -1.0)], 0.0)
                model.row([(free, 1.0), (taken[t + 1, u], 1.0)], 1.0)
                for j in graph.readers[u]:
                    if k < j <= t:
                        model.row([(free, 1.0), (runs[t, j], 1.0)], 1.0)
                gone.append((free, -steps[u].bytes / size))
                if step.takes == u:
                    spared.append((free, -steps[u].bytes / size))
            model.row([(now, 1.0), (runs[t, k], step.workspace / size), *spared], (budget - graph.held) / size)
    again = [(runs[t, i], steps[i].cost / unit) for t in range(n) for i in range(t)]
    if most < inf:
        model.row(again, most / unit)
    price = np.zeros(len(model.upper))
    for variable, cost in again:
        price[variable] = cost
    rows = csr_array((model.values, (model.rows, model.columns)), shape=(len(model.limits), len(model.upper)))
    result = milp(
        price,
        integrality=np.array(model.whole, int),
        bounds=Bounds(np.array(model.lower), np.array(model.upper)),
        constraints=LinearConstraint(rows, -np.inf, np.array(model.limits)),
        options={"time_limit": seconds, "mip_rel_gap": 1e-6},
    )
    if result.status == 2:
        return Proved(inf if most == inf else most)
    proved = max(0.0, float(getattr(result, "mip_dual_bound", None) or 0.0)) * unit
    if result.x is None:
        return Proved(proved)
    return Proved(proved, frozenset(t * n + i for (t, i), v in runs.items() if i < t and result.x[v] > 0.5))


@dataclass
class _Model:
    """Variables with their bounds, and rows of products that may come to no more than a limit."""

    lower: list[float] = field(default_factory=list)
    upper: list[float] = field(default_factory=list)
    whole: list[bool] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    columns: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    limits: list[float] = field(default_factory=list)

    def variable(self, upper: float, least: bool = False, may: bool = True, whole: bool = True) -> int:
        """From 0, or from 1 if it has to be at `least` that; 0 alone if it `may` not be more."""
        self.lower.append(float(least))
        self.upper.append(upper if may else 0.0)
        self.whole.append(whole)
        return len(self.upper) - 1

    def row(self, terms: Iterable[tuple[int, float]], limit: float) -> None:
        for column, value in terms:
            self.rows.append(len(self.limits))
            self.columns.append(column)
            self.values.append(value)
        self.limits.append(limit)
