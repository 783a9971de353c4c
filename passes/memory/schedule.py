"""The order of a program's steps changed where that lowers the most that is held.

The order is that of the program's nodes, a walk from the results, operands first. Another order is said in the graph:
a step that the walk would reach too early is given `after(x, y)` for its first array x, where y is the step that it
has to wait for. So nothing that comes later can undo it.
"""

from __future__ import annotations

from collections.abc import Sequence

from tpc.ir.build import make
from tpc.ir.node import Node, Program
from tpc.ir.ops.structure import ITEM, LITERAL, SIZE
from tpc.ir.rewrite import map_programs, ordered_facts, rebuilt
from tpc.ir.types import TensorType
from tpc.passes.memory.liveness import Liveness
from tpc.passes.memory.order import Task, Tasks, best_order
from tpc.passes.memory.workspace import Size, is_closed

CLEARLY = 0.95  # of what was held before: an order that holds more stays away
LEAST = 2**20  # bytes below which no order matters


def schedule(program: Program, library: str = "numpy", size: Size | None = None) -> Program:
    """The program in an order of steps that holds clearly less; the program itself where there is none, or a size
    is open.

    Nothing is computed twice or otherwise: results are the same to the last bit.
    """
    if not is_closed(program) or library == "llvm":  # where values are fused, which are none in memory
        return program
    memory = Liveness(program, library, size)
    if memory.peak < LEAST:
        return program
    program = _with_bodies(program, library, size)
    memory = Liveness(program, library, size)
    tasks = tasks_of(memory)
    order = best_order(tasks)
    if tasks.peak(order) + memory.held > CLEARLY * memory.peak:
        return program
    changed = in_order(program, memory, order)
    return changed if Liveness(changed, library, size).peak <= CLEARLY * memory.peak else program


def _with_bodies(program: Program, library: str, size: Size | None) -> Program:
    """The program with the bodies of its loops and branches in order."""
    done: dict[Node, Node] = {}
    for node in program.nodes:
        args = [done[a] for a in node.args]
        same = node if tuple(args) == node.args else rebuilt(node.op, args, node.attributes, node.type)
        done[node] = map_programs(same, lambda body: schedule(body, library, size))
    return _replaced(program, done)


def _replaced(program: Program, done: dict[Node, Node]) -> Program:
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
        if memory.reuses and (position := memory.may_reuse(step.node)) is not None:
            takes = made.get(memory.root[step.node.args[position]] or -1)
        buffers = [memory.buffers[b] for b in step.makes]
        kept = any(b.kept for b in buffers)
        found.append(Task(sum(b.bytes for b in buffers), reads, step.workspace, kept, takes))
    return Tasks(tuple(found))


def in_order(program: Program, memory: Liveness, order: Sequence[int]) -> Program:
    """The program with its steps in an order, as far as the walk over its nodes can be led."""
    steps = [memory.steps[k].node for k in order]
    wanted = {node: place for place, node in enumerate(steps)}
    waits: dict[Node, Node] = {}
    while True:
        walk = [node for node in _walk(program.outputs, waits) if node in wanted]
        place = next((k for k, node in enumerate(walk) if node is not steps[k]), None)
        if place is None:
            break
        early = walk[place]
        if early in waits or not _can_wait(early):  # made of nothing: it comes where it is used first
            steps.remove(early)
            steps.insert(place, early)
        else:
            waits[early] = steps[steps.index(early) - 1]
    return _with_waits(program, waits)


def _array(node: Node) -> int | None:
    """The first operand of a node that is an array."""
    for position, operand in enumerate(node.args):
        if isinstance(operand.type, TensorType) and operand.type.dims and operand.op not in (LITERAL, SIZE):
            return position
    return None


def _can_wait(node: Node) -> bool:
    return _array(node) is not None


def _walk(outputs: Sequence[Node], waits: dict[Node, Node]) -> list[Node]:
    """The nodes in the order of a walk, with what each waits for behind its first array."""
    order: list[Node] = []
    done: set[Node] = set()
    stack: list[tuple[Node, bool]] = [(node, False) for node in reversed(outputs)]
    while stack:
        node, is_left = stack.pop()
        if node in done:
            continue
        if is_left:
            done.add(node)
            order.append(node)
            continue
        stack.append((node, True))
        args = list(node.args)
        if node in waits:
            position = _array(node)
            assert position is not None
            args.insert(position + 1, waits[node])
        stack += [(a, False) for a in reversed(args)]
    return order


def _with_waits(program: Program, waits: dict[Node, Node]) -> Program:
    done: dict[Node, Node] = {}
    for node in _walk(program.outputs, waits):
        args = [done[a] for a in node.args]
        if node in waits:
            position = _array(node)
            assert position is not None
            args[position] = make("after", (args[position], _known(done[waits[node]])))
        done[node] = node if tuple(args) == node.args else rebuilt(node.op, args, node.attributes, node.type)
    return _replaced(program, done)


def _known(node: Node) -> Node:
    """A single value that is known once a node is computed."""
    return node if isinstance(node.type, TensorType) else Node(ITEM, (node,), (("position", 0),), node.type[0])
