"""Programs whose steps run in a given order, in which some may occur several times.

The order of a program is that of its nodes, a walk from the results, operands first. Another order is said in the
graph: a step that the walk would reach too early reads `after(x, y)` in the place of its first array x, where y is the
step that it has to wait for. So nothing that comes later can undo it.
"""

from __future__ import annotations

from collections.abc import Sequence

from tpc.ir.build import items, make
from tpc.ir.node import Node, Program
from tpc.ir.notes import follow
from tpc.ir.ops.structure import CONSTANT, INPUT, ITEM, LITERAL, SIZE
from tpc.ir.rewrite import ordered_facts, rebuilt
from tpc.ir.types import TensorType


def can_wait(node: Node) -> bool:
    """Whether a node has an operand that can be made to wait for another value."""
    return any(isinstance(arg.type, TensorType) and arg.op not in (LITERAL, SIZE) for arg in node.args)


def in_order(program: Program, steps: Sequence[Node], order: Sequence[int]) -> Program:
    """The program that computes its steps in an order, in which some occur several times.

    Equal nodes are one, so what runs again does so on operands that wait for the step before it; and where the walk
    that gives the order of a program would come to a step too early, its first operand waits in the same way.
    """
    waits: set[int] = set()
    runs: list[Node] = []
    while True:
        found = _built(program, steps, order, waits, runs)
        early = _early(found, runs)
        if early is None or early in waits:
            return found
        waits.add(early)
        del runs[early:]  # what runs before it stays as it is


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


def _built(program: Program, steps: Sequence[Node], order: Sequence[int], waits: set[int], runs: list[Node]) -> Program:
    """The program of the runs, of which the first are given, and the others appended; those in `waits` wait for the run
    before them."""
    current = {steps[number]: node for number, node in zip(order, runs)}  # the latest run of each step
    known = frozenset(steps)
    done = set(runs)

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

    for position, number in enumerate(order[len(runs) :], len(runs)):
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
    return program.replace(outputs=outputs, facts=ordered_facts(program.inputs, outputs, facts))


def _root(step: Node, known: frozenset[Node]) -> Node | None:
    """The first value that a step reads which is no view: it, and all views of it that the step reads, can wait."""
    for arg in step.args:
        node = arg
        while node not in known and node.op not in (INPUT, CONSTANT, ITEM) and node.args:
            node = node.args[0]
        if isinstance(node.type, TensorType) and node.op not in (LITERAL, SIZE):
            return node
    return None
