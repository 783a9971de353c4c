"""Rematerialisation: a program that computes some values again, so that it never holds more than a budget.

Values and their bytes are taken from the liveness of the program; what the plan under the budget costs least is
searched for on an abstract graph (`solve`); the plan is written into the program with the op `after` (`program`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tpc.ir.node import Node, Program

if TYPE_CHECKING:
    from tpc.passes.memory.liveness import Liveness

EFFORT = 300  # changes to a plan that are tried for each step of a program
ENOUGH = 1e-3  # of the time of a program: a plan that is that near to the best is not improved
TRIES = 4  # plans that are made, each for less, where a program holds more than its plan
ROOM = 2**17  # bytes that are left to Python and to buffers of libraries, where that can be


@dataclass(frozen=True)
class Within:
    """A program that was made to fit into a budget.

    Attributes
    ----------
    gap
        By how much of the time of the program without a budget a cheaper one might be faster, in the same order of
        first runs; as it is proved.
    """

    program: Program
    gap: float


def rematerialise(
    program: Program,
    budget: int,
    seconds: Callable[[Node], float],
    steps: Liveness,
    live: Callable[[Program], Liveness],
) -> Program | Within:
    """The program within a budget of bytes, arguments and results included; all of its sizes are known.

    Each step is computed by the same op on equal operands, once or several times, so results stay the same to the
    last bit. Iterations that end by a test are never computed twice.

    Parameters
    ----------
    seconds
        What a node costs.
    steps
        What is held at each step of the program, where each is done by itself.
    live
        What is held by a program as it runs.

    Raises
    ------
    TpcError
        E0908 if no plan within the budget was found.
    """
    before = live(program)
    if before.peak <= budget:
        return program
    from tpc.passes.memory.sequence import in_order
    from tpc.passes.rematerialise.graph import once
    from tpc.passes.rematerialise.program import graph_of
    from tpc.passes.rematerialise.solve import solve

    graph = graph_of(steps, seconds, before.fused)
    nodes = [step.node for step in steps.steps if step.node not in before.fused]
    lowest = before
    unseen = once(graph).peak - before.peak  # of what returning takes, or what is fused spares
    for room in (min(ROOM, budget // 50), 0):
        goal = budget + unseen - room
        for _ in range(TRIES):
            found = solve(graph, goal, changes=EFFORT * len(graph), enough=ENOUGH)
            after = in_order(program, nodes, found.plan.order)
            held = live(after)
            if held.peak <= budget:
                return Within(after, found.gap)
            lowest = min(lowest, held, key=lambda found: found.peak)
            if not found.fits:
                break
            goal -= held.peak - budget
    from tpc.passes.rematerialise.refusal import refusal

    is_told = not (before.natives or before.fused)  # a native function may hold less than its steps one by one
    raise refusal(program.name, budget, lowest, graph.floor if is_told else 0)
