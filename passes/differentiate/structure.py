"""Gradients have the structure of what they are by: of a diagonal matrix, they are diagonal.

A function of matrices with a structure says nothing about other matrices, so that its gradient is the matrix of that
structure whose product with every direction in which the matrix may go is the change. A step along it keeps the
structure. Where the gradient as computed has the structure already, nothing is done. A matrix that is declared sparse
may change where it is not zero.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tpc.ir.build import literal, make
from tpc.ir.facts import analyse
from tpc.ir.node import Fact, Node, Program


def symmetric_values(program: Program, given: Collection[Node] = ()) -> set[Node]:
    """The values of a program that are known to be symmetric matrices, if these inputs are."""
    facts = analyse(program, {i: frozenset([Fact("symmetric")]) for i in given})
    return {n for n in program.nodes if any(f.name == "symmetric" for f in facts.get(n, ()))}


def along_facts(program: Program, at: Sequence[Node], gradients: Sequence[Node]) -> list[Node]:
    """The gradients by some inputs, within the matrices that have the facts that are declared of these."""
    declared = dict(program.facts)
    concerned = [i for i in at if i in declared and i.tensor.rank >= 2]
    if not concerned:
        return list(gradients)
    ahead = Program(program.name, program.inputs, gradients, facts=[(n, f) for n, f in program.facts if n in at])
    known = analyse(ahead)
    found = []
    for input_, gradient in zip(at, gradients, strict=True):
        given = {fact.name: fact for fact in known.get(input_, ())} if input_ in concerned else {}
        there = {fact.name: fact for fact in known.get(gradient, ())}
        gradient = _within(gradient, given, there)
        if input_ in concerned and any(fact.name == "sparse" for fact in declared[input_]):
            gradient = make("select", (make("ne", (input_, literal(0))), gradient, literal(0)))
        found.append(gradient)
    return found


def _within(gradient: Node, given: dict[str, Fact], there: dict[str, Fact]) -> Node:
    if "diagonal" in given:
        return gradient if "diagonal" in there else make("diag", (make("diag", (gradient,)),))
    for name, op in (("lower", "tril"), ("upper", "triu")):
        if name in given and name not in there:
            gradient = make(op, (gradient,))
    if "banded" in given and "banded" not in there:
        below, above = given["banded"].arguments
        gradient = make("triu", (make("tril", (gradient,), k=above),), k=-below)
    if "symmetric" in given and "symmetric" not in there and gradient.tensor.dtype.kind != "c":
        both = make("add", (gradient, make("transpose", (gradient,))))
        gradient = make("mul", (literal(0.5), both))
    return gradient
