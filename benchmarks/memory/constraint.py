"""The same problem for a constraint solver, as one to be held against: OR-tools' CP-SAT.

Each value has up to two intervals in which it is held, or as many as the plan to start from has, on a line of stages
as in `tpc.passes.rematerialise.timeline`; the steps run first in the order of the graph (Bartan, Li, Teague, Lott,
Dilkina: Moccasin, Efficient tensor rematerialization for neural networks, 2023). OR-tools is not needed by tpc:
`pip install ortools` to record figures.
"""

from __future__ import annotations

from typing import Any

from tpc.passes.rematerialise.graph import Graph
from tpc.passes.rematerialise.timeline import Timeline

COPIES = 2


def solved(
    graph: Graph, budget: int, seconds: float, workers: int = 1, start: frozenset[int] | None = None
) -> dict[str, Any]:
    """The least added cost that CP-SAT finds, and the bound that it proves on it; `start` are pairs to begin with."""
    from ortools.sat.python import cp_model

    n = len(graph)
    model = cp_model.CpModel()
    line = Timeline(graph, start or ())
    copies = max(COPIES, *map(len, line.runs))
    starts: dict[tuple[int, int], Any] = {}
    ends: dict[tuple[int, int], Any] = {}
    active: dict[tuple[int, int], Any] = {}
    intervals, demands = [], []
    for value, step in enumerate(graph.steps):
        for copy in range(copies if graph.readers[value] else 1):
            key = value, copy
            if copy == 0:
                starts[key], active[key] = model.new_constant(value * n + value), model.new_constant(1)
            else:
                stages = cp_model.Domain.from_values([stage * n + value for stage in range(value + 1, n)])
                starts[key], active[key] = model.new_int_var_from_domain(stages, ""), model.new_bool_var("")
            if copy > 1:
                model.add_implication(active[key], active[value, copy - 1])
                model.add(starts[value, copy - 1] < starts[key]).only_enforce_if(active[key])
            ends[key] = model.new_int_var(value * n + value, n * n, "")
            length = model.new_int_var(1, n * n + 1, "")
            intervals.append(model.new_optional_interval_var(starts[key], length, ends[key] + 1, active[key], ""))
            demands.append(step.bytes)
            if start is not None and copy:
                model.add_hint(active[key], copy < len(line.runs[value]))
            if start is not None and copy < len(line.runs[value]):
                run = line.runs[value][copy]
                model.add_hint(ends[key], line.end(value, run))
                if copy:
                    model.add_hint(starts[key], run)
        if step.kept:
            model.add(ends[value, 0] == n * n)
    model.add_cumulative(intervals, demands, budget - graph.held)
    for value, copy in starts:
        for operand in graph.steps[value].operands:
            served = []
            for other in range(copies):
                if (operand, other) in starts:
                    serves = model.new_bool_var("")
                    model.add_implication(serves, active[operand, other])
                    model.add(starts[operand, other] < starts[value, copy]).only_enforce_if(serves)
                    model.add(ends[operand, other] >= starts[value, copy]).only_enforce_if(serves)
                    served.append(serves)
                    if start is not None and copy < len(line.runs[value]):
                        read = line.run_before(operand, line.runs[value][copy])
                        model.add_hint(serves, line.runs[operand][other : other + 1] == [read])
            model.add_bool_or([*served, active[value, copy].negated()])
    model.minimize(sum(int(graph.steps[value].cost) * active[value, copy] for value, copy in starts if copy))
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = seconds
    solver.parameters.num_workers = workers
    status = solver.solve(model)
    found = status in (cp_model.OPTIMAL, cp_model.FEASIBLE)
    return {
        "added": solver.objective_value if found else None,
        "bound": solver.best_objective_bound,
        "proved": status in (cp_model.OPTIMAL, cp_model.INFEASIBLE),
        "seconds": round(solver.wall_time, 1),
        "limit": seconds,
    }
