"""The order of steps, where another one holds clearly less: what is read late is then made late."""

from __future__ import annotations

from collections.abc import Sequence, Set

from tpc.backends.llvm.fusion.blocks import Block
from tpc.backends.llvm.fusion.statement import Buffer
from tpc.backends.llvm.fusion.together import Step, reads, whole
from tpc.passes.memory.order import Task, Tasks, best_order
from tpc.passes.memory.schedule import CLEARLY, LEAST


def ordered(steps: Sequence[Step], results: Sequence[Buffer]) -> list[Step]:
    """The steps of a program without loops in an order that holds clearly less; as they are, where there is none or
    sizes are open."""
    found: list[Task] = []
    readers: dict[Buffer, list[int]] = {}  # of each buffer, the steps so far
    writers: dict[Buffer, list[int]] = {}
    for number, step in enumerate(steps):
        made, used = _written(step), reads(step)
        bytes = [buffer.tensor.bytes for buffer in made if buffer not in results]
        before = {k for b in used | made for k in writers.get(b, ())} | {k for b in made for k in readers.get(b, ())}
        closed = [size for size in bytes if isinstance(size, int)]
        if len(closed) < len(bytes):
            return list(steps)
        found.append(Task(sum(closed), tuple(sorted(before))))
        for buffers, users in ((used, readers), (made, writers)):
            for buffer in buffers:
                users.setdefault(buffer, []).append(number)
    tasks = Tasks(tuple(found))
    peak = tasks.peak(range(len(found)))
    if peak < LEAST:
        return list(steps)
    order = best_order(tasks)
    return [steps[k] for k in order] if tasks.peak(order) <= CLEARLY * peak else list(steps)


def _written(step: Step) -> Set[Buffer]:
    """What a step stores, but for rows that live for a block of it alone."""
    own = {s.target for w in whole(step) for s in w.together}
    own |= {buffer for w in whole(step) for s in w.together for _, buffer, _ in s.kept}
    return own.difference(step.rows) if isinstance(step, Block) else own
