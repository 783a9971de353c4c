"""What any plan within a budget must cost at least."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from tpc.passes.rematerialise.graph import Graph


@dataclass(frozen=True, slots=True)
class Relaxed:
    """What is proved of every plan, and the pairs (see `timeline`) that would have been best if that were all."""

    cost: float
    pairs: frozenset[int] = frozenset()


def relaxed(graph: Graph, budget: float, seconds: float = 5.0) -> Relaxed:
    """A lower bound on the cost of what runs again, over all plans whose steps run first in the order of the graph.

    While a step runs for the first time, a value that was computed before and is read by a step that first runs later
    is held, or runs again before that reading; so is one that is kept to the end. So the gaps between readings of a
    value that lie over a position are bought at the cost of one run each, and each position asks that the gaps over it
    free enough bytes; a gap lies over the reading before it as well, if that step can take the place of the value. That
    is an integer program with a variable for each edge of the graph; it leaves out that operands of what runs again
    must be there. What is proved of it holds for every plan; infinity, if it has no solution.
    """
    import numpy as np
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array

    rows: list[int] = []
    columns: list[int] = []
    sizes: list[float] = []
    costs: list[float] = []
    keys: list[int] = []
    n = len(graph)
    base = np.full(n, float(graph.held))
    for value, step in enumerate(graph.steps):
        base[value] += step.workspace
        marks = [value, *graph.readers[value], *([n - 1] if step.kept else [])]  # to the end: before the last step
        for before, after in zip(marks, marks[1:]):
            base[before:after] += step.bytes
            first = before if graph.steps[before].takes == value else before + 1
            if after > first and step.again and step.bytes:
                rows += range(first, after)
                columns += [len(costs)] * (after - first)
                sizes += [float(step.bytes)] * (after - first)
                costs.append(step.cost)
                keys.append(after * n + value)
        if step.kept or graph.steps[marks[-1]].takes != value:
            base[marks[-1]] += step.bytes
    excess = base - budget
    tight = np.flatnonzero(excess > 0)
    if not len(tight):
        return Relaxed(0.0)
    if not costs:
        return Relaxed(inf)
    unit, most = max(costs) or 1.0, max(sizes)  # scaled, since tolerances of the solver are absolute
    gains = csr_array((np.array(sizes) / most, (rows, columns)), shape=(n, len(costs)))
    result = milp(
        np.array(costs) / unit,
        integrality=np.ones(len(costs), int),
        bounds=Bounds(0, 1),
        constraints=LinearConstraint(gains[tight], excess[tight] / most, np.inf),
        options={"time_limit": seconds, "mip_rel_gap": 1e-6},
    )
    if result.status == 2:
        return Relaxed(inf)
    proved = getattr(result, "mip_dual_bound", None)
    chosen = () if result.x is None else np.flatnonzero(result.x > 0.5)
    return Relaxed(max(0.0, float(proved or 0.0)) * unit, frozenset(keys[i] for i in chosen))
