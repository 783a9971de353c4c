"""Replacing parts of a graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tpc.ir.build import cast, input_node, simpler
from tpc.ir.formula import Access, Formula, Scalar, SizeValue, mapped
from tpc.ir.node import Fact, Node, Program, Type, topological
from tpc.ir.notes import follow
from tpc.ir.op import Op
from tpc.ir.ops.structure import IF, INDEX, ITEM, LITERAL, REPEAT, SCAN, SIZE

Attributes = Iterable[tuple[str, Any]]


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
    for node in topological(outputs, done):
        args = tuple(done[a] for a in node.args)
        same = node if args == node.args else rebuilt(node.op, args, node.attributes, node.type)
        done[node] = change(same)
        follow(node, done[node])
    return [done[node] for node in outputs]


def map_programs(node: Node, change: Callable[[Program], Program]) -> Node:
    """The node with `change` applied to each program among its attributes."""
    if not node.programs:
        return node
    attributes = tuple((k, change(v) if isinstance(v, Program) else v) for k, v in node.attributes)
    return node if attributes == node.attributes else rebuilt(node.op, node.args, attributes, node.type)


def rebuilt(op: Op, args: Sequence[Node], attributes: Attributes, type: Type) -> Node:
    """A node of a changed graph in the form in which its text would be read.

    Numbers are computed, index statements and blocks take an operand once and in order, and hold numbers and sizes
    themselves.
    """
    if op is INDEX:
        return _index(args, dict(attributes)["formula"], type)
    if op in (REPEAT, SCAN, IF):
        return _block(op, args, dict(attributes), type)
    if op.name == "cast":
        return cast(args[0], dict(attributes)["dtype"])
    known = simpler(op, args, dict(attributes))
    return Node(op, args, attributes, type) if known is None else known


def _index(args: Sequence[Node], formula: Formula, type: Type) -> Node:
    kept = list(dict.fromkeys(a for a in args if a.op not in (LITERAL, SIZE)))
    if len(kept) == len(args):
        return Node(INDEX, args, (("formula", formula),), type)

    def change(scalar: Scalar) -> Scalar:
        if not isinstance(scalar, Access):
            return scalar
        operand = args[scalar.operand]
        if operand.op is LITERAL:
            number: Scalar = operand["value"]
            return number
        if operand.op is SIZE:
            return SizeValue(operand["dim"])
        return Access(kept.index(operand), scalar.indices, scalar.pad)

    return Node(INDEX, kept, (("formula", Formula(formula.axes, formula.extents, mapped(formula.body, change))),), type)


def _block(op: Op, args: Sequence[Node], attributes: dict[str, Any], type: Type) -> Node:
    """A loop or branch, its captured operands numbered in the order in which its programs meet them."""
    programs = {name: value for name, value in attributes.items() if isinstance(value, Program)}
    inputs = next(iter(programs.values())).inputs
    state = attributes.get("state", 0)
    first = state + (op is SCAN)  # inputs before the captured ones, and operands before them
    start = state + (op is IF)
    end = len(args) - (op is REPEAT and attributes["count"] is None)
    source = dict(zip(inputs[first:], args[start:end], strict=True))
    met = topological([n for program in programs.values() for n in program.outputs])
    order = list(dict.fromkeys(source[n] for n in met if n in source and source[n].op not in (LITERAL, SIZE)))
    if order == list(args[start:end]):
        return Node(op, args, attributes.items(), type)
    own = list(inputs[:first])
    taken = {operand: input_node(f"c{k}", operand.tensor) for k, operand in enumerate(order)}
    mapping = {n: taken.get(operand, operand) for n, operand in source.items()}
    for name, program in programs.items():
        known = [n for n, _ in program.facts if n not in source or n in met]
        results = replace([*program.outputs, *known], mapping)
        outputs = results[: len(program.outputs)]
        facts = zip(results[len(outputs) :], (f for n, f in program.facts if n in known), strict=True)
        everything = [*own, *taken.values()]
        attributes[name] = Program(program.name, everything, outputs, facts=ordered_facts(everything, outputs, facts))
    return Node(op, [*args[:start], *order, *args[end:]], attributes.items(), type)


def map_blocks(node: Node, change: Callable[[Program], Program]) -> Node:
    """The node with `change` applied to the bodies of loops and branches; called functions are left alone."""
    return node if node.op.name in ("call", "derivative") else map_programs(node, change)


def everywhere(program: Program, change: Callable[[Node], Node]) -> Program:
    """The program with `change` applied to every node, those of loops and branches included; facts move along.

    `change` must keep the type. Called functions are left alone.
    """

    def inside(node: Node) -> Node:
        return change(map_blocks(node, lambda inner: everywhere(inner, change)))

    return with_values(program, rewrite(values(program), inside))


def expanded(
    program: Program, inside: Callable[[Node], Node], change: Callable[[Node], Sequence[Node] | None]
) -> Program:
    """The program in which nodes give way to one value for each of their results; facts move along.

    Parameters
    ----------
    inside
        What is done to a node first: to the programs that it has.
    change
        Gives the values of the results of a node, of their types, or None where it stays.
    """
    taken: dict[Node, Sequence[Node]] = {}

    def replaced(node: Node) -> Node:
        if node.op is ITEM and node.args[0] in taken:
            position: int = node["position"]
            return taken[node.args[0]][position]
        node = inside(node)
        results = change(node)
        if results is None:
            return node
        taken[node] = results
        return results[0] if len(results) == 1 else node

    return with_values(program, rewrite(values(program), replaced))


def values(program: Program) -> list[Node]:
    """The results of a program, and behind them the values that it states facts of."""
    return [*program.outputs, *(node for node, _ in program.facts)]


def with_values(program: Program, found: Sequence[Node]) -> Program:
    """The program with other nodes for its `values`."""
    outputs = found[: len(program.outputs)]
    facts = zip(found[len(outputs) :], (f for _, f in program.facts), strict=True)
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
