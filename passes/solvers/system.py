"""Linear systems as nodes: A(p) @ x = b, where A is known by a program F(v, p) = A(p) @ v.

    adjoint:  b_bar = A' \\ x_bar,          p_bar = -(dF(x, p)/dp)' @ b_bar
    tangent:  x_dot = A \\ (b_dot - (dF(x, p)/dp) @ p_dot)

Both are systems again, so that there are derivatives of every order. Nothing of how x was found is kept.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tpc.ir.build import Fresh, items, make, zeros
from tpc.ir.elaborate.systems import KIND, results
from tpc.ir.node import Fact, Node, Program, topological
from tpc.ir.ops.structure import DERIVATIVE, IF, INPUT, REPEAT, SCAN
from tpc.ir.rewrite import replace
from tpc.passes.approximation.replacing import sunk
from tpc.passes.differentiate import forward
from tpc.passes.differentiate.arrays import fitted
from tpc.passes.differentiate.formulas import no_derivative
from tpc.passes.differentiate.loops import declared
from tpc.passes.differentiate.reverse import adjoints
from tpc.passes.solvers.operator import distributed, is_open, leaves
from tpc.passes.solvers.rounds import Rounds

Options = tuple[tuple[str, Any], ...]
SYMMETRIC = ("cg", "minres")  # methods for matrices that are their own transposes
Facts = Mapping[Node, Collection[Fact]]


def is_system(node: Node) -> bool:
    return node.op is DERIVATIVE and node["steps"][-1][0] == KIND


def kept(body: Program, x: Node, args: Sequence[Node], options: Options) -> list[Node]:
    """A system as a node, for what differentiates it: the operands of the body, x among them, and the right side."""
    types = tuple(results(x.tensor, options))
    return items(make(DERIVATIVE, args, steps=((KIND, (x["name"],), options),), body=body, types=types))


class _Site:
    """A system with the values that it is differentiated at."""

    def __init__(self, node: Node) -> None:
        ((_, (name,), self.options),) = node["steps"]
        self.node = node
        self.body: Program = node["body"]
        (self.x,) = (i for i in self.body.inputs if i["name"] == name)
        self.found = items(node)[0]
        *self.args, self.right = node.args
        self.values = dict(zip(self.body.inputs, self.args, strict=True)) | {self.x: self.found}
        self.fresh = Fresh(self.body)
        if self.x.tensor.dtype.kind == "c":
            raise no_derivative("solve", "complex systems that are solved by steps have none here")
        if dict(self.options).get("method") == "lsqr" or self.right.type is not self.found.type:
            raise no_derivative("solve", "a least squares solution has none here; solve the normal equations by cg")

    def solved(self, right: Node, is_transposed: bool) -> Node:
        """A \\ right, or A' \\ right, from zero on."""
        options = dict(self.options)
        options.pop("report", None)
        body = self.body
        if is_transposed and options.get("method") not in SYMMETRIC:
            body = transposed(body, self.x)
        (x,) = (i for i in body.inputs if i["name"] == self.x["name"])
        args = [zeros(x.tensor) if i is self.x else a for i, a in zip(self.body.inputs, self.args, strict=True)]
        return kept(body, x, [*args, right], tuple(sorted(options.items())))[0]

    def here(self, nodes: Sequence[Node | None], more: Mapping[Node, Node]) -> list[Node | None]:
        """Nodes of the body at the solution."""
        there = iter(replace([n for n in nodes if n is not None], {**self.values, **more}))
        return [None if n is None else next(there) for n in nodes]


def transposed(body: Program, x: Node, right: Node | None = None) -> Program:
    """The program of products with A' (and P'), for that of products with A (and P).

    The one takes the right side, the other x; of a square system, both x.
    """
    outputs = []
    for output, at in zip(body.outputs, (right or x, x), strict=False):
        bar = Fresh(body)("bar", output.tensor)
        (found,) = adjoints([output], [bar], [x])
        whole = zeros(x.tensor) if found is None else fitted(found, x.tensor)
        outputs += replace([whole], {bar: at})
    inputs = [*body.inputs, *([right] if right is not None else [])]
    return declared(Program(f"{body.name}_transposed", inputs, outputs, facts=body.facts))


def adjoint(node: Node, bars: Sequence[Node], active: Collection[Node]) -> list[Node | None]:
    """The adjoints of the operands; where it started has none."""
    site = _Site(node)
    right = site.solved(bars[0], is_transposed=True)
    wanted = [i for i, a in zip(site.body.inputs, site.args, strict=True) if a in active and i is not site.x]
    stand_in = site.fresh("bar", site.right.tensor)
    given = site.here(adjoints(site.body.outputs[:1], [stand_in], wanted), {stand_in: make("neg", (right,))})
    found = dict(zip(wanted, given, strict=True))
    return [*(found.get(i) for i in site.body.inputs), right]


def tangents(node: Node, moving: Mapping[Node, Node]) -> list[Node | None]:
    """How the solution moves as the operands do."""
    site = _Site(node)
    pairs = zip(site.body.inputs, site.args, strict=True)
    ways = {i: site.fresh("way", i.tensor) for i, a in pairs if a in moving and i is not site.x}
    given = dict(zip(site.body.inputs, site.args, strict=True))
    (change,) = forward.tangents(site.body.outputs[:1], ways) if ways else (None,)
    (change,) = site.here([change], {way: moving[given[i]] for i, way in ways.items()})
    right = moving.get(site.right)
    if change is not None:
        change = fitted(change, site.right.tensor)
        right = make("neg", (change,)) if right is None else make("sub", (right, change))
    rest: list[Node | None] = [None] * (len(items(node)) - 1)
    return [None if right is None else site.solved(right, is_transposed=False), *rest]


# ---- how it is solved


def opened(
    program: Program, at: Node, args: Sequence[Node], known: Facts, wide: bool = False
) -> tuple[Program, list[Node]]:
    """A system that takes what its matrices are written out of in their place, and multiplies by these alone; where it
    may be `wide`, with blocks of many vectors as well."""
    inputs: list[Node] = []
    given: list[Node] = []
    written: dict[Node, Node] = {}
    facts = list(program.facts)
    fresh = Fresh(program)
    for own, arg in zip(program.inputs, args, strict=True):
        if own is at or not is_open(arg):
            inputs.append(own)
            given.append(arg)
            continue
        parts = leaves(arg)
        stand_ins = [fresh(f"{own['name']}_{k}", part.tensor) for k, part in enumerate(parts, 1)]
        inputs += stand_ins
        given += parts
        facts += [(s, tuple(known[p])) for s, p in zip(stand_ins, parts, strict=True) if known.get(p)]
        (written[own],) = replace([arg], dict(zip(parts, stand_ins, strict=True)))
    whole = Program(program.name, inputs, replace(program.outputs, written), facts=facts, where=program.where)
    made = {n for n in topological(list(written.values())) if n.args}
    if any(n.op in (REPEAT, SCAN, IF) for n in whole.nodes):  # which would take what is written out as a matrix
        whole = sunk(whole, made)
    return distributed(declared(whole), wide), given


def loop(
    program: Program, x: Node, args: Sequence[Node], options: Options, known: Facts
) -> tuple[Program, Sequence[Node]]:
    """The program that solves a system by a loop over steps, and its operands.

    Parameters
    ----------
    args
        The operands of the program, and the right side.
    known
        What is known of them. It decides on a method where the program names none.
    """
    asked = dict(options)
    method = asked.get("method") or _method(program, x, args, known)
    *own, right_side = args
    program, own = opened(program, x, own, known)
    right = Fresh(program)("right", program.outputs[0].tensor)
    body = Program(program.name, (*program.inputs, right), program.outputs, facts=program.facts)
    back = transposed(program, x, right).outputs if method == "lsqr" else None
    is_zero = own[program.inputs.index(x)].op.name == "zeros"
    rounds = Rounds(body, x, right, method, back, asked.get("tol"), asked.get("steps"), is_zero)
    found = rounds.run(asked.get("restart"))
    outputs = found if asked.get("report") else found[:1]
    return declared(Program(program.name, body.inputs, outputs, facts=program.facts)), [*own, right_side]


def _method(program: Program, x: Node, args: Sequence[Node], known: Facts) -> str:
    if args[-1].tensor.dims != x.tensor.dims:
        return "lsqr"
    given = dict(zip(program.inputs, args, strict=False))
    matrices = [_matrix(output, x) for output in program.outputs]
    facts = [{fact.name for fact in known.get(given[m], ())} if m is not None else set() for m in matrices]
    if all("spd" in f for f in facts):
        return "cg"
    return "minres" if "symmetric" in facts[0] and all("spd" in f for f in facts[1:]) else "gmres"


def _matrix(output: Node, x: Node) -> Node | None:
    """The operand that a product is made with, if it is one."""
    if output.op.name not in ("matmul", "matvec") or output.args[1] is not x or output.args[0].op is not INPUT:
        return None
    return output.args[0]
