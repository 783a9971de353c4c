"""Programs as graphs of steps, and plans as programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tpc.ir.build import items, make
from tpc.ir.node import Node, Program
from tpc.ir.notes import follow
from tpc.ir.ops.structure import CONSTANT, INPUT, ITEM, LITERAL, REPEAT, SIZE
from tpc.ir.rewrite import ordered_facts, rebuilt
from tpc.ir.types import TensorType
from tpc.passes.rematerialise.graph import Graph, Step

if TYPE_CHECKING:
    from collections.abc import Callable

    from tpc.passes.memory.liveness import Liveness


def graph_of(live: Liveness, seconds: Callable[[Node], float]) -> tuple[Graph, list[tuple[int, ...]]]:
    """The steps of a program with the bytes that are held of each, and which steps of the program each of them is.

    Views and numbers are no steps; they are made anew wherever they are read. A step that puts its result into the
    place of what the step before it made, and alone reads that, is one with it.
    """
    groups = _groups(live)
    number = {step: k for k, group in enumerate(groups) for step in group}
    producer = {buffer: number[k] for k, step in enumerate(live.steps) for buffer in step.makes}
    steps = []
    for own, group in enumerate(groups):
        members = [live.steps[k] for k in group]
        made = [live.buffers[buffer] for buffer in members[-1].makes]
        read = [producer[buffer] for step in members for buffer in step.reads if buffer in producer]
        steps.append(
            Step(
                sum(buffer.bytes for buffer in made),
                sum(seconds(step.node) for step in members),
                tuple(dict.fromkeys(operand for operand in read if operand != own)),
                max(step.workspace for step in members),
                all(may_run_again(step.node) for step in members),
                any(buffer.kept for buffer in made),
            )
        )
    return Graph(tuple(steps), live.held), groups


def _groups(live: Liveness) -> list[tuple[int, ...]]:
    """Steps one after the other, each of which takes the place of what the one before it made."""
    readers = Counter(buffer for step in live.steps for buffer in step.reads)
    groups: list[list[int]] = []
    for k, step in enumerate(live.steps):
        given = {given for _, given in step.takes}
        before = set(live.steps[k - 1].makes) if k else set()
        is_one = len(step.makes) == 1 == len(before) and before <= given and all(readers[b] == 1 for b in before)
        if is_one and not any(live.buffers[b].kept for b in before):
            groups[-1].append(k)
        else:
            groups.append([k])
    return [tuple(group) for group in groups]


def may_run_again(node: Node) -> bool:
    """Whether a step may run twice: not an iteration that ends by a test, nor what has no operand to wait for."""
    return can_wait(node) and not _is_iteration(node)


def _is_iteration(node: Node) -> bool:
    has_test = node.op is REPEAT and node["until"] is not None
    return has_test or any(_is_iteration(inner) for program in node.programs for inner in program.nodes)


def can_wait(node: Node) -> bool:
    """Whether a node has an operand that can be made to wait for another value."""
    return any(isinstance(arg.type, TensorType) and arg.op not in (LITERAL, SIZE) for arg in node.args)


def in_order(program: Program, steps: Sequence[Node], order: Sequence[int]) -> Program:
    """The program that computes its steps in an order, in which some occur several times.

    Equal nodes are one, so what runs again does so on operands that wait for the step before it; and where the walk
    that gives the order of a program would come to a step too early, its first operand waits in the same way.
    """
    waits: set[int] = set()
    while True:
        runs, found = _built(program, steps, order, waits)
        early = _early(found, runs)
        if early is None or early in waits:
            return found
        waits.add(early)


def _early(program: Program, runs: Sequence[Node]) -> int | None:
    """The position of the first step that the walk comes to too early, and that can wait; None if there is none."""
    places = {node: position for position, node in enumerate(runs)}
    due = 0
    done: set[int] = set()
    for node in program.nodes:
        place = places.get(node)
        if place is None:
            continue
        while due in done:
            due += 1
        if place != due and can_wait(node):
            return place
        done.add(place)
    return None


def may_run_again_after(node: Node) -> bool:
    """Whether a node has an operand that can wait for another value."""
    return any(isinstance(arg.type, TensorType) and arg.op not in (LITERAL, SIZE) for arg in node.args)


def _built(
    program: Program, steps: Sequence[Node], order: Sequence[int], waits: set[int]
) -> tuple[list[Node], Program]:
    """The nodes of the runs, and the program; the runs in `waits` wait for the run before them."""
    current: dict[Node, Node] = {}  # the latest run of each step
    known = frozenset(steps)
    runs: list[Node] = []
    done: set[Node] = set()

    def built(node: Node, at: dict[Node, Node]) -> Node:
        """A value as it is now, made of the latest runs, but for what `at` has."""
        stack = [node]
        while stack:
            part = stack[-1]
            if part in at:
                stack.pop()
            elif part in known or not part.args:
                at[part] = current.get(part, part)
            elif left := [arg for arg in part.args if arg not in at]:
                stack += left
            elif part.op.name == "after":  # the order is said anew
                at[part] = at[part.args[0]]
            else:
                at[part] = rebuilt(part.op, [at[arg] for arg in part.args], part.attributes, part.type)
        return at[node]

    def made(step: Node, at: dict[Node, Node]) -> Node:
        return rebuilt(step.op, [built(arg, at) for arg in step.args], step.attributes, step.type)

    for position, number in enumerate(order):
        step = steps[number]
        node = made(step, {}) if position not in waits else None
        if node is None or node in done:
            root = _root(step, known)
            node = made(step, {root: make("after", (built(root, {}), items(runs[-1])[0]))} if root is not None else {})
        done.add(node)
        follow(step, node)
        current[step] = node
        runs.append(node)
    outputs = [built(node, {}) for node in program.outputs]
    facts = [(built(node, {}), said) for node, said in program.facts]
    return runs, program.replace(outputs=outputs, facts=ordered_facts(program.inputs, outputs, facts))


def _root(step: Node, known: frozenset[Node]) -> Node | None:
    """The first value that a step reads which is no view: it, and all views of it that the step reads, can wait."""
    for arg in step.args:
        node = arg
        while node not in known and node.op not in (INPUT, CONSTANT, ITEM) and node.args:
            node = node.args[0]
        if isinstance(node.type, TensorType) and node.op not in (LITERAL, SIZE):
            return node
    return None
