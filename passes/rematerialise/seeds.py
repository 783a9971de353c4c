"""Plans to start from: checkpoints, between which everything is computed again where it is needed."""

from __future__ import annotations

from collections.abc import Iterator

from tpc.passes.rematerialise.graph import Graph


def checkpoints(graph: Graph) -> Iterator[frozenset[int]]:
    """Pairs of plans of segments, few to many.

    The steps are cut into segments of equal bytes. A value that is used far behind its own segment is dropped after
    it and computed again where it is used first behind it, with those of its ancestors that were dropped as well;
    from then on it is held. On a chain whose backward pass reads it in reverse this is checkpointing at segments, of
    which about the square root of n are best (Chen, Xu, Zhang and Guestrin, Training deep nets with sublinear memory
    cost, 2016).
    """
    n = len(graph)
    total = sum(step.bytes for step in graph.steps) or 1
    count = 2
    while count <= n:
        segment, sofar = [], 0
        for step in graph.steps:
            segment.append(min(sofar * count // total, count - 1))
            sofar += step.bytes
        yield _segmented(graph, segment)
        count = max(count + 1, count * 5 // 4)


def _segmented(graph: Graph, segment: list[int]) -> frozenset[int]:
    """Values are dropped between uses that lie more than a segment apart, and then computed again once."""
    n = len(graph)
    steps = graph.steps
    seen = list(range(n))  # the last use of each value that held it
    held = [not step.again for step in steps]  # for good
    pairs: set[int] = set()

    def demand(value: int, stage: int) -> None:
        pending = [value]
        while pending:
            u = pending.pop()
            if held[u] or segment[stage] <= segment[seen[u]] + 1:
                seen[u] = stage
                continue
            held[u] = True
            pairs.add(stage * n + u)
            pending += steps[u].operands

    for stage, step in enumerate(steps):
        for operand in step.operands:
            demand(operand, stage)
    return frozenset(pairs)
