"""Sizes put into programs: named sizes replaced in types, formulas, subscripts and inner programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from tpc.ir.build import size
from tpc.ir.dims import Dim, DimLike, names_of, substitute
from tpc.ir.formula import Formula, Scalar, SizeValue, mapped, size_scalar
from tpc.ir.node import Constraint, Node, Program, topological
from tpc.ir.notes import follow
from tpc.ir.ops.structure import SIZE, SUBSCRIPT, At, Range
from tpc.ir.rewrite import rebuilt
from tpc.ir.types import TensorType

Sizes = Mapping[str, DimLike]


def free_sizes(program: Program) -> list[str]:
    """The names of sizes in the types of the inputs, in order of appearance."""
    found: dict[str, None] = {}
    for node in program.inputs:
        for dim in node.tensor.dims:
            found.update(dict.fromkeys(sorted(names_of(dim))))
    return list(found)


def with_sizes(program: Program, sizes: Sizes) -> Program:
    """The program with named sizes replaced by other dims (integers mostly)."""
    if not sizes:
        return program
    done: dict[Node, Node] = {}
    for node in [*program.inputs, *topological([*program.outputs, *(n for n, _ in program.facts)])]:
        if node not in done:
            done[node] = _node(node, [done[a] for a in node.args], sizes)
            follow(node, done[node])
    facts: dict[Node, tuple[Any, ...]] = {}
    for node, known in program.facts:
        changed = tuple(replace(f, arguments=tuple(_attribute(a, sizes) for a in f.arguments)) for f in known)
        facts[done[node]] = tuple(dict.fromkeys((*facts.get(done[node], ()), *changed)))
    where = []
    for c in program.where:
        constraint = Constraint(substitute(c.left, sizes), c.relation, substitute(c.right, sizes))
        if not (isinstance(constraint.left, int) and isinstance(constraint.right, int)):
            where.append(constraint)
    return program.replace(
        inputs=[done[n] for n in program.inputs],
        outputs=[done[n] for n in program.outputs],
        facts=list(facts.items()),
        where=list(dict.fromkeys(where)),
    )


def _node(node: Node, args: list[Node], sizes: Sizes) -> Node:
    if node.op is SIZE:
        return size(substitute(node["dim"], sizes))
    # a called function has sizes of its own, given by the attribute `sizes`; the body of a loop has not
    own = node.op.name in ("call", "derivative")
    attributes = tuple(
        (key, value if own and isinstance(value, Program) else _attribute(value, sizes))
        for key, value in node.attributes
    )
    types = node.type
    changed = types.substitute(sizes) if isinstance(types, TensorType) else tuple(t.substitute(sizes) for t in types)
    if node.op is SUBSCRIPT and changed is args[0].type:
        return args[0]  # what was a part at other sizes is the whole at these
    return rebuilt(node.op, args, attributes, changed)


def _attribute(value: Any, sizes: Sizes) -> Any:
    match value:
        case Dim():
            return substitute(value, sizes)
        case Formula():
            return Formula(
                value.axes,
                tuple((name, substitute(dim, sizes)) for name, dim in value.extents),
                mapped(value.body, lambda scalar: _scalar(scalar, sizes)),
            )
        case Program():
            return with_sizes(value, sizes)
        case At() | Range():
            return type(value)(*(_attribute(getattr(value, f.name), sizes) for f in fields(value)))
        case TensorType():
            return value.substitute(sizes)
        case tuple():
            return tuple(_attribute(v, sizes) for v in value)
    return value


def _scalar(scalar: Scalar, sizes: Sizes) -> Scalar:
    return size_scalar(substitute(scalar.dim, sizes)) if isinstance(scalar, SizeValue) else scalar
