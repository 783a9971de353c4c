"""Kronecker products give way to their factors, before a loop or a kernel holds them as matrices.

    kron(A, B) @ vec(X)                       A @ X @ B'
    (kron(A, B) + kron(C, D)) @ vec(X)        A @ X @ B' + C @ X @ D'
    inv(kron(A, B) + s*I) @ vec(X)            P @ ((P' @ X @ Q) / (a b' + s)) @ Q'
    logdet(kron(A, B) + s*I)                  sum(log(a b' + s))            A = P diag(a) P', B = Q diag(b) Q'

What is multilinear in this is the business of contractions, the rest that of rules; the pass adds neither. It is the
same search as `optimise`, with the rules on Kronecker products alone, and therefore deeper; and it stands earlier,
since a product that does not change in a loop would be computed before it, and hide its factors from what uses it.
Its result is still of the ops that rules are about, so that `optimise` goes on from it as from what was written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tpc.ir.build import input_node
from tpc.ir.dims import DimLike
from tpc.ir.node import Node, Program
from tpc.ir.notes import follow
from tpc.ir.ops.structure import IF, INPUT, REPEAT, SCAN
from tpc.ir.rewrite import map_programs, ordered_facts, rebuilt, rewrite
from tpc.ir.rewrite import replace as replaced
from tpc.ir.types import TensorType

if TYPE_CHECKING:
    from tpc.passes.optimise import Optimised, Request

RULES = ("kronecker.rules",)
DEPTH = 4  # steps of rules from what was written


def fuse_kronecker(program: Program, request: Request) -> Program | Optimised:
    """The program with the factors of its Kronecker products in the place of the products.

    Afterwards no value holds the entries of a Kronecker product of matrices, unless they are asked for (they are a
    result, or the operand of an op that takes entries), or no rule leads around them, or they are so few that the
    product is predicted to be the faster way. Where that is so of all products, the program stays as it is.
    """
    from tpc.passes.egraph.explore import Bounds
    from tpc.passes.optimise import search

    products = {node.tensor.dims for node in kronecker_products(program)}
    if not products:
        return program
    bounds = Bounds(rounds=8, depth=DEPTH, files=RULES)
    asked = replace(request, bounds=bounds, kernels=False, concerns=lambda body: any(kronecker_products(body)))
    found = search(sunk(program), asked)
    return found if products - set(_sizes(found.program)) else program


def _sizes(program: Program) -> Iterator[tuple[DimLike, ...]]:
    """The sizes of what a program computes, in loops and branches too."""
    for node in program.nodes:
        for body in node.programs:
            yield from _sizes(body)
        if isinstance(node.type, TensorType) and node.op is not INPUT:
            yield node.type.dims


def kronecker_products(program: Program) -> Iterator[Node]:
    """The values that are Kronecker products of matrices, in loops and branches too.

    They may be written by `kron`, or as an array of four axes that are joined in pairs.
    """
    for node in program.nodes:
        for body in node.programs:
            yield from kronecker_products(body)
        if _is_product(node):
            yield node


def _is_product(node: Node) -> bool:
    if node.op.name != "reshape":
        return node.op.name == "kron" and node.tensor.rank >= 2
    whole = node.args[0]
    while whole.op.name == "permute":
        (whole,) = whole.args
    factors = [a.type.rank for a in whole.args if isinstance(a.type, TensorType)]
    return node.tensor.rank == 2 and whole.tensor.rank >= 4 and bool(factors) and max(factors) < whole.tensor.rank


# ---- into loops and branches


def sunk(program: Program) -> Program:
    """The program with what is made of Kronecker products computed where loops and branches use it.

    What comes of it that is the same in every pass is taken out again by `hoist`.
    """
    made: set[Node] = set()

    def change(node: Node) -> Node:
        if node.op in (REPEAT, SCAN, IF):
            return map_programs(with_inside(node, made), sunk)
        if _is_product(node) or any(a in made and _is_alike(a, node) for a in node.args):
            made.add(node)
        return node

    known = [n for n, _ in program.facts]
    results = rewrite([*program.outputs, *known], change)
    outputs = results[: len(program.outputs)]
    facts = zip(results[len(outputs) :], (f for _, f in program.facts), strict=True)
    return program.replace(outputs=outputs, facts=ordered_facts(program.inputs, outputs, facts))


def _is_alike(operand: Node, node: Node) -> bool:
    """Whether a value is a matrix of the same size as its operand."""
    return (
        isinstance(node.type, TensorType)
        and not node.programs
        and sorted(map(str, node.type.dims)) == sorted(map(str, operand.tensor.dims))
    )


def with_inside(holder: Node, made: set[Node]) -> Node:
    """A loop or branch that computes the values it needs of those that are `made`."""
    start = holder.get("state", 0) + (holder.op is IF)
    end = len(holder.args) - (holder.op is REPEAT and holder["count"] is None)
    taken = holder.args[start:end]
    moved = [a for a in taken if a in made]
    if not moved:
        return holder
    leaves = [a for a in dict.fromkeys([*taken, *_leaves(moved, made)]) if a not in made]
    inside = {leaf: input_node(f"k{n}", leaf.tensor) for n, leaf in enumerate(leaves)}
    values = dict(zip(moved, replaced(moved, inside), strict=True)) | inside
    attributes = []
    for name, value in holder.attributes:
        if isinstance(value, Program):
            own = value.inputs[: len(value.inputs) - len(taken)]
            given = dict(zip(value.inputs[len(own) :], taken, strict=True))
            for before, outer in given.items():
                follow(before, values[outer])
            mapping = {before: values[outer] for before, outer in given.items()}
            outputs = replaced(value.outputs, mapping)
            inputs = [*own, *inside.values()]
            kept = [(mapping.get(n, n), f) for n, f in value.facts]
            value = Program(value.name, inputs, outputs, facts=ordered_facts(inputs, outputs, kept))
        attributes.append((name, value))
    return rebuilt(holder.op, [*holder.args[:start], *leaves, *holder.args[end:]], attributes, holder.type)


def _leaves(moved: Sequence[Node], made: set[Node]) -> Iterator[Node]:
    """What values are made from that are not made of Kronecker products; numbers and sizes need not be handed on."""
    waiting, seen = list(moved), set(moved)
    while waiting:
        for operand in waiting.pop().args:
            if operand in seen:
                continue
            seen.add(operand)
            if operand in made:
                waiting.append(operand)
            elif operand.args or operand.op.name == "input":
                yield operand
