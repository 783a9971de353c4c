"""Sizes of programs: named, and replaced, in types, formulas, subscripts and inner programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

from tpc.ir.build import size
from tpc.ir.dims import Dim, DimLike, names_of, substitute
from tpc.ir.formula import Formula, Literal, Scalar, SizeValue, mapped, size_scalar, walk
from tpc.ir.node import Constraint, Node, Program, topological
from tpc.ir.notes import follow
from tpc.ir.ops.structure import SIZE, SUBSCRIPT, At, Range
from tpc.ir.rewrite import rebuilt
from tpc.ir.types import TensorType

Sizes = Mapping[str, DimLike]
Change = Callable[[Any], Any]
"""What becomes of a size, and of a number."""


def free_sizes(program: Program) -> list[str]:
    """The names of sizes in the types of the inputs, in order of appearance."""
    found: dict[str, None] = {}
    for node in program.inputs:
        for dim in node.tensor.dims:
            found.update(dict.fromkeys(sorted(names_of(dim))))
    return list(found)


def sizes_of(nodes: Iterable[Node]) -> set[str]:
    """The names of the sizes that nodes need: of their results, in what they say, and in their inner programs."""
    found: set[str] = set()
    for node in nodes:
        found.update(_names(node.type))
        for _, value in node.attributes:
            found.update(_names(value))
    return found


def _names(value: Any) -> Iterator[str]:
    match value:
        case Dim():
            yield from names_of(value)
        case Formula():
            yield from _names(value.extents)
            for part in walk(value.body):
                if isinstance(part, SizeValue):
                    yield from _names(part.dim)
        case Program():
            yield from sizes_of([*value.inputs, *value.nodes])
        case At() | Range():
            for field in fields(value):
                yield from _names(getattr(value, field.name))
        case TensorType():
            yield from _names(value.dims)
        case tuple():
            for part in value:
                yield from _names(part)


def with_sizes(program: Program, sizes: Sizes) -> Program:
    """The program with named sizes replaced by other dims (integers mostly)."""
    if not sizes:
        return program
    return resized(program, lambda value: substitute(value, sizes) if isinstance(value, Dim) else value)


def resized(program: Program, change: Change) -> Program:
    """The program with every size and number replaced by what `change` makes of it: dims, integers and floats."""
    done: dict[Node, Node] = {}
    for node in [*program.inputs, *topological([*program.outputs, *(n for n, _ in program.facts)])]:
        if node not in done:
            done[node] = _node(node, [done[a] for a in node.args], change)
            follow(node, done[node])
    facts: dict[Node, tuple[Any, ...]] = {}
    for node, known in program.facts:
        changed = tuple(replace(f, arguments=tuple(_attribute(a, change) for a in f.arguments)) for f in known)
        facts[done[node]] = tuple(dict.fromkeys((*facts.get(done[node], ()), *changed)))
    where = []
    for c in program.where:
        constraint = Constraint(change(c.left), c.relation, change(c.right))
        if not (isinstance(constraint.left, int) and isinstance(constraint.right, int)):
            where.append(constraint)
    return program.replace(
        inputs=[done[n] for n in program.inputs],
        outputs=[done[n] for n in program.outputs],
        facts=list(facts.items()),
        where=list(dict.fromkeys(where)),
    )


def _node(node: Node, args: list[Node], change: Change) -> Node:
    if node.op is SIZE:
        return size(change(node["dim"]))
    # a called function has sizes of its own, given by the attribute `sizes`; the body of a loop has not
    own = node.op.name in ("call", "derivative")
    attributes = tuple(
        (key, value if own and isinstance(value, Program) else _attribute(value, change))
        for key, value in node.attributes
    )
    changed = _attribute(node.type, change)
    if node.op is SUBSCRIPT and changed is args[0].type:
        return args[0]  # what was a part at other sizes is the whole at these
    return rebuilt(node.op, args, attributes, changed)


def _attribute(value: Any, change: Change) -> Any:
    match value:
        case bool():
            return value
        case Dim() | int() | float():
            return change(value)
        case Literal():
            return _scalar(value, change)
        case Formula():
            return Formula(
                value.axes,
                tuple((name, change(dim)) for name, dim in value.extents),
                mapped(value.body, lambda scalar: _scalar(scalar, change)),
            )
        case Program():
            return resized(value, change)
        case At() | Range():
            return type(value)(*(_attribute(getattr(value, f.name), change) for f in fields(value)))
        case TensorType():
            return TensorType(value.dtype, [change(dim) for dim in value.dims])
        case tuple():
            return tuple(_attribute(v, change) for v in value)
    return value


def _scalar(scalar: Scalar, change: Change) -> Scalar:
    if isinstance(scalar, SizeValue):
        return size_scalar(change(scalar.dim))
    if isinstance(scalar, Literal):
        value = _attribute(scalar.value, change)
        return scalar if value == scalar.value else Literal.of(value)
    return scalar
