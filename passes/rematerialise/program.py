"""Programs as graphs of steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.ir.node import Node
from tpc.ir.ops.structure import REPEAT
from tpc.passes.memory.sequence import can_wait
from tpc.passes.rematerialise.graph import Graph, Step

if TYPE_CHECKING:
    from collections.abc import Callable

    from tpc.passes.memory.liveness import Liveness


def graph_of(live: Liveness, seconds: Callable[[Node], float]) -> Graph:
    """The steps of a program with the bytes that are held of each.

    Views and numbers are no steps; they are made anew wherever they are read.
    """
    producer = {buffer: number for number, step in enumerate(live.steps) for buffer in step.makes}
    steps = []
    for step in live.steps:
        made = [live.buffers[buffer] for buffer in step.makes]
        taken = live.may_reuse(step.node)
        root = None if taken is None else live.root[step.node.args[taken]]
        steps.append(
            Step(
                sum(buffer.bytes for buffer in made),
                seconds(step.node),
                tuple(producer[buffer] for buffer in step.reads if buffer in producer),
                step.workspace,
                may_run_again(step.node),
                any(buffer.kept for buffer in made),
                None if root is None else producer.get(root),
            )
        )
    return Graph(tuple(steps), live.held + live.always)


def may_run_again(node: Node) -> bool:
    """Whether a step may run twice: not an iteration that ends by a test, nor what has no operand to wait for."""
    return can_wait(node) and not _is_iteration(node)


def _is_iteration(node: Node) -> bool:
    has_test = node.op is REPEAT and node["until"] is not None
    return has_test or any(_is_iteration(inner) for program in node.programs for inner in program.nodes)
