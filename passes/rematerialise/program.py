"""Programs as graphs of steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.ir.node import Node
from tpc.ir.ops.structure import REPEAT
from tpc.passes.memory.sequence import can_wait
from tpc.passes.rematerialise.graph import Graph, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from tpc.passes.memory.liveness import Liveness


def graph_of(live: Liveness, seconds: Callable[[Node], float], fused: Collection[Node] = ()) -> Graph:
    """The steps of a program with the bytes that are held of each.

    Views and numbers are no steps; they are made anew wherever they are read. So is what is `fused`, at its price.
    """
    producer: dict[int, int] = {}
    inner: dict[int, tuple[tuple[int, ...], float]] = {}  # of what is fused, what is read for it and its seconds
    found: list[Step] = []
    for step in live.steps:
        within = [inner[buffer] for buffer in step.reads if buffer in inner]
        reads = [b for buffer in step.reads for b in (inner[buffer][0] if buffer in inner else [buffer])]
        cost = seconds(step.node) + sum(price for _, price in within)
        if step.node in fused:
            inner.update(dict.fromkeys(step.makes, (tuple(dict.fromkeys(reads)), cost)))
            continue
        made = [live.buffers[buffer] for buffer in step.makes]
        producer.update(dict.fromkeys(step.makes, len(found)))
        taken = live.may_reuse(step.node)
        root = None if taken is None else live.root[step.node.args[taken]]
        found.append(
            Step(
                sum(buffer.bytes for buffer in made),
                cost,
                tuple(dict.fromkeys(producer[buffer] for buffer in reads if buffer in producer)),
                step.workspace,
                may_run_again(step.node),
                any(buffer.kept for buffer in made),
                None if root is None else producer.get(root),
            )
        )
    return Graph(tuple(found), live.held + live.always)


def may_run_again(node: Node) -> bool:
    """Whether a step may run twice: not an iteration that ends by a test, nor what has no operand to wait for."""
    return can_wait(node) and not _is_iteration(node)


def _is_iteration(node: Node) -> bool:
    has_test = node.op is REPEAT and node["until"] is not None
    return has_test or any(_is_iteration(inner) for program in node.programs for inner in program.nodes)
