"""Replacing parts of a graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from tpc.ir.node import Fact, Node, Program, topological
from tpc.ir.notes import follow


def replace(outputs: Sequence[Node], mapping: Mapping[Node, Node]) -> list[Node]:
    """The outputs with nodes replaced; types must stay as they are."""
    return rewrite(outputs, lambda node: node, mapping)


def rewrite(
    outputs: Sequence[Node], change: Callable[[Node], Node], mapping: Mapping[Node, Node] | None = None
) -> list[Node]:
    """The outputs after `change` was applied to every node, operands first.

    `change` is given a node whose operands are already changed, and returns a node of the same type. Nodes in
    `mapping` are replaced as they are, without a look below them.
    """
    done: dict[Node, Node] = dict(mapping or {})
    stack: list[Node] = list(outputs)
    order: list[Node] = []
    if done:
        # nodes below a replaced one need no visit, unless they are used elsewhere
        seen: set[Node] = set()
        while stack:
            node = stack.pop()
            if node in seen or node in done:
                continue
            seen.add(node)
            stack.extend(node.args)
        order = [node for node in topological(outputs) if node in seen]
    else:
        order = topological(outputs)
    for node in order:
        args = tuple(done[a] for a in node.args)
        same = node if args == node.args else Node(node.op, args, node.attributes, node.type)
        done[node] = change(same)
        follow(node, done[node])
    return [done[node] for node in outputs]


def map_programs(node: Node, change: Callable[[Program], Program]) -> Node:
    """The node with `change` applied to each program among its attributes."""
    if not node.programs:
        return node
    attributes = tuple((k, change(v) if isinstance(v, Program) else v) for k, v in node.attributes)
    return node if attributes == node.attributes else Node(node.op, node.args, attributes, node.type)


def everywhere(program: Program, change: Callable[[Node], Node]) -> Program:
    """The program with `change` applied to every node, those of loops and branches included; facts move along.

    `change` must keep the type. Called functions are left alone.
    """

    def inside(node: Node) -> Node:
        if node.op.name not in ("call", "derivative"):
            node = map_programs(node, lambda inner: everywhere(inner, change))
        return change(node)

    known = [node for node, _ in program.facts]
    results = rewrite([*program.outputs, *known], inside)
    outputs = results[: len(program.outputs)]
    facts = zip(results[len(outputs) :], (f for _, f in program.facts), strict=True)
    return program.replace(outputs=outputs, facts=ordered_facts(program.inputs, outputs, facts))


def ordered_facts(
    inputs: Sequence[Node], outputs: Sequence[Node], facts: Iterable[tuple[Node, tuple[Fact, ...]]]
) -> list[tuple[Node, tuple[Fact, ...]]]:
    """Facts by node, in the order of the graph; those of values that nothing needs are dropped."""
    merged: dict[Node, dict[Fact, None]] = {}
    for node, known in facts:
        merged.setdefault(node, {}).update(dict.fromkeys(known))
    order = dict.fromkeys([*inputs, *topological(outputs)])
    return [(node, tuple(merged[node])) for node in order if node in merged]
