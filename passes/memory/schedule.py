"""The order of a program's steps changed where that lowers the most that is held (see `sequence`)."""

from __future__ import annotations

from tpc.ir.node import Node, Program
from tpc.ir.rewrite import map_programs, ordered_facts, rebuilt
from tpc.passes.memory.liveness import Liveness
from tpc.passes.memory.order import Task, Tasks, best_order
from tpc.passes.memory.sequence import in_order
from tpc.passes.memory.workspace import Size, is_closed, large_sizes

CLEARLY = 0.95  # of what was held before: an order that holds more stays away
CLEARLY_IF_OPEN = 0.75  # the same where sizes are open, and the order may gain nothing at those that come
LEAST = 2**20  # bytes below which no order matters


def schedule(program: Program, library: str = "numpy", size: Size | None = None) -> Program:
    """The program in an order of steps that holds clearly less; the program itself where there is none.

    Where sizes are open, that is judged at large ones. Nothing is computed twice or otherwise: results are the same to
    the last bit.
    """
    if library == "llvm":  # where values are fused, which are none in memory
        return program
    clearly = CLEARLY if size is not None or is_closed(program) else CLEARLY_IF_OPEN
    size = size or large_sizes(program)
    memory = Liveness(program, library, size)
    if memory.peak < LEAST:
        return program
    program = _with_bodies(program, library, size)
    memory = Liveness(program, library, size)
    tasks = tasks_of(memory)
    order = best_order(tasks)
    if tasks.peak(order) + memory.held > clearly * memory.peak:
        return program
    changed = in_order(program, [step.node for step in memory.steps], order)
    return changed if Liveness(changed, library, size).peak <= clearly * memory.peak else program


def _with_bodies(program: Program, library: str, size: Size | None) -> Program:
    """The program with the bodies of its loops and branches in order."""
    done: dict[Node, Node] = {}
    for node in program.nodes:
        args = [done[a] for a in node.args]
        same = node if tuple(args) == node.args else rebuilt(node.op, args, node.attributes, node.type)
        done[node] = map_programs(same, lambda body: schedule(body, library, size))
    outputs = [done[n] for n in program.outputs]
    facts = [(done.get(n, n), f) for n, f in program.facts]
    return program.replace(outputs=outputs, facts=ordered_facts(program.inputs, outputs, facts))


def tasks_of(memory: Liveness) -> Tasks:
    """The steps of a program as tasks. What is held all the time is left out."""
    made = {buffer: number for number, step in enumerate(memory.steps) for buffer in step.makes}
    found = []
    for step in memory.steps:
        reads = tuple(sorted({made[b] for b in step.reads if b in made}))
        takes = None
        if (position := memory.may_reuse(step.node)) is not None:
            root = memory.root[step.node.args[position]]
            takes = None if root is None else made.get(root)
        buffers = [memory.buffers[b] for b in step.makes]
        kept = any(b.kept for b in buffers)
        found.append(Task(sum(b.bytes for b in buffers), reads, step.workspace, kept, takes))
    return Tasks(tuple(found))
