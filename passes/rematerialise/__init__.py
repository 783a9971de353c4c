"""Rematerialisation: a program that computes some values again, so that it never holds more than a budget.

Values and their bytes are taken from the liveness of the program; what the plan under the budget costs least is
searched for on an abstract graph (`solve`); the plan is written into the program with the op `after` (`program`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tpc.ir.node import Node, Program

if TYPE_CHECKING:
    from tpc.passes.memory.liveness import Liveness

EFFORT = 300  # changes to a plan that are tried for each step of a program
ENOUGH = 1e-3  # of the time of a program: a plan that is that near to the best is not improved
TRIES = 4  # plans that are made, each for less, where a program holds more than its plan


def rematerialise(
    program: Program, budget: int, seconds: Callable[[Node], float], live: Callable[[Program], Liveness]
) -> Program:
    """The program within a budget of bytes, arguments and results included; all of its sizes are known.

    Each step is computed by the same op on equal operands, once or several times, so results stay the same to the
    last bit. Iterations that end by a test are never computed twice.

    Parameters
    ----------
    seconds
        What a node costs.
    live
        What is held at each step of a program.

    Raises
    ------
    TpcError
        E0908 if no plan within the budget was found.
    """
    before = live(program)
    if before.peak <= budget:
        return program
    from tpc.passes.rematerialise.graph import once
    from tpc.passes.rematerialise.program import graph_of, in_order
    from tpc.passes.rematerialise.solve import solve

    graph, groups = graph_of(before, seconds)
    steps = [step.node for step in before.steps]
    lowest = before
    goal = budget + once(graph).peak - before.peak  # buffers that are given on are not all seen in the graph
    for _ in range(TRIES):
        found = solve(graph, goal, moves=EFFORT * len(graph), enough=ENOUGH)
        order = [step for number in found.plan.order for step in groups[number]]
        after = in_order(program, steps, order)
        held = live(after)
        if held.peak <= budget:
            return after
        lowest = min(lowest, held, key=lambda found: found.peak)
        if not found.fits:
            break
        goal -= held.peak - budget
    from tpc.passes.rematerialise.refusal import refusal

    raise refusal(program.name, budget, lowest)
