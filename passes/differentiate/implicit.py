"""Fixed points x = F(x, p), and their derivatives by the implicit function theorem.

    adjoint:  l = x_bar + (dF/dx)' l,   p_bar = (dF/dp)' l
    tangent:  d = (dF/dp) p_dot + (dF/dx) d

Both are fixed points again, of maps that are affine, so that they have derivatives of every order. A fixed point of an
affine map is the solution of a linear system, found with products of the matrix alone (`krylov`), or directly where the
matrix is small. Nothing of how x was found is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from tpc.ir.build import Fresh, cast, items, literal, make, zeros
from tpc.ir.node import Node, Program, topological
from tpc.ir.ops.structure import DERIVATIVE, REPEAT
from tpc.ir.rewrite import replace
from tpc.ir.types import F64, TensorType
from tpc.passes.differentiate import forward, krylov
from tpc.passes.differentiate.arrays import fitted
from tpc.passes.differentiate.loops import declared
from tpc.passes.differentiate.reverse import adjoints

KIND = "fixed_point"
STEPS = 1000  # passes where the program does not say how many
DIRECT = 256  # entries of a state up to which the matrix is made
Options = tuple[tuple[str, Any], ...]


def kept(body: Program, at: Sequence[Node], args: Sequence[Node], options: Options) -> list[Node]:
    """A fixed point by some inputs of a program as a node, for what differentiates it."""
    names = tuple(i["name"] for i in at)
    types = tuple(i.tensor for i in at)
    return items(make(DERIVATIVE, args, steps=((KIND, names, options),), body=body, types=types))


class _Site:
    """A fixed point with the values that F is differentiated at."""

    def __init__(self, node: Node) -> None:
        ((_, names, self.options),) = node["steps"]
        self.body: Program = node["body"]
        by_name = {i["name"]: i for i in self.body.inputs}
        self.at = [by_name[name] for name in names]
        self.found = dict(zip(self.at, items(node), strict=True))
        self.args = [self.found.get(i, a) for i, a in zip(self.body.inputs, node.args, strict=True)]
        self.values = dict(zip(self.body.inputs, self.args, strict=True))
        self.fresh = Fresh(self.body)
        tolerance = dict(self.options).get("tolerance", default_tolerance(self.at[0].tensor))
        steps = dict(self.options).get("steps", STEPS)
        finer = max(tolerance / 10, 2 * _unit(self.at[0].tensor))
        self.finer: Options = (("tolerance", finer), ("steps", steps))

    def solved(self, start: Sequence[Node], linear: Callable[[Sequence[Node]], Sequence[Node | None]]) -> list[Node]:
        """The d with d = start + linear(d)."""
        moving = [self.fresh("direction", i.tensor) for i in self.at]
        given = [self.fresh("start", i.tensor) for i in self.at]
        changed = linear(moving)
        outputs = [
            g if c is None else make("add", (g, fitted(c, g.tensor))) for g, c in zip(given, changed, strict=True)
        ]
        body = declared(
            Program(f"{self.body.name}_linear", (*moving, *given, *self.body.inputs), outputs, facts=self.body.facts)
        )
        begin = [zeros(i.tensor) for i in self.at]
        return kept(body, moving, [*begin, *start, *self.args], self.finer)

    def here(self, nodes: Sequence[Node | None]) -> list[Node | None]:
        """Nodes of the body at the fixed point."""
        there = iter(replace([n for n in nodes if n is not None], self.values))
        return [None if n is None else next(there) for n in nodes]


def adjoint(node: Node, bars: Sequence[Node], active: Collection[Node]) -> list[Node | None]:
    """The adjoints of the operands; where F started has none."""
    site = _Site(node)
    outputs = site.body.outputs
    multipliers = site.solved(bars, lambda ways: adjoints(outputs, ways, site.at))
    wanted = [i for i, a in zip(site.body.inputs, node.args, strict=True) if a in active and i not in site.found]
    stand_ins = [site.fresh("bar", i.tensor) for i in site.at]
    site.values.update(zip(stand_ins, multipliers, strict=True))
    found = dict(zip(wanted, site.here(adjoints(outputs, stand_ins, wanted)), strict=True))
    return [found.get(i) for i in site.body.inputs]


def tangents(node: Node, moving: Mapping[Node, Node]) -> list[Node | None]:
    """How the fixed point moves as its operands do."""
    site = _Site(node)
    outputs = site.body.outputs
    pairs = zip(site.body.inputs, node.args, strict=True)
    ways = {i: site.fresh("way", i.tensor) for i, a in pairs if a in moving and i not in site.found}
    if not ways:
        return [None] * len(outputs)
    given = dict(zip(site.body.inputs, node.args, strict=True))
    site.values.update({way: moving[given[i]] for i, way in ways.items()})
    start = [
        zeros(i.tensor) if s is None else fitted(s, i.tensor)
        for i, s in zip(site.at, site.here(forward.tangents(outputs, ways)), strict=True)
    ]
    return list(site.solved(start, lambda along: forward.tangents(outputs, dict(zip(site.at, along, strict=True)))))


# ---- how it is found


def default_tolerance(type: TensorType) -> float:
    return 1e-10 if type.dtype is F64 else 1e-5


def _unit(type: TensorType) -> float:
    """The distance of numbers around 1."""
    return 2.2e-16 if type.dtype is F64 else 1.2e-7


def written_out(program: Program, at: Sequence[Node], options: Options) -> Program:
    """The program that finds the fixed point: a loop, or for affine maps a linear system."""
    ways = [Fresh(program)(f"way{k}", i.tensor) for k, i in enumerate(at)]
    moved = forward.tangents(program.outputs, dict(zip(at, ways, strict=True)))
    reached = set(topological([m for m in moved if m is not None]))
    tolerance = dict(options).get("tolerance", default_tolerance(at[0].tensor))
    steps = dict(options).get("steps", STEPS)
    if reached.isdisjoint(at):
        changes = [zeros(w.tensor) if m is None else fitted(m, w.tensor) for m, w in zip(moved, ways, strict=True)]
        system = krylov.System(program, at, ways, changes)
        (count,) = system.right.tensor.dims
        is_small = isinstance(count, int) and count <= DIRECT
        found = system.directly() if is_small else system.iterated(tolerance, steps)
    else:
        found = _iterated(program, at, tolerance, steps)
    return declared(Program(program.name, program.inputs, found, facts=program.facts, where=program.where))


def _iterated(program: Program, at: Sequence[Node], tolerance: float, steps: int) -> list[Node]:
    """x = F(x) until it changes little: by a part of `1 + norm(x)`."""
    inputs = [*at, *(i for i in program.inputs if i not in at)]
    pairs = zip(program.outputs, at, strict=True)
    far = krylov.norm([make("sub", (fitted(o, i.tensor), i)) for o, i in pairs])
    size = make("add", (literal(1.0), krylov.norm(program.outputs)))
    change = make("div", (far, size))
    distance = Fresh(program)("distance", change.tensor)
    outputs = [*(fitted(o, i.tensor) for o, i in zip(program.outputs, at, strict=True)), change]
    inputs = [*at, distance, *inputs[len(at) :]]
    test = make("le", (distance, literal(tolerance)))
    body = declared(Program("fixed_point", inputs, outputs, facts=program.facts))
    until = Program("until", inputs, [test])
    start = cast(literal(1.0), change.tensor.dtype)  # which is too far
    args = [*at, start, *inputs[len(at) + 1 :]]
    *found, left = items(make(REPEAT, args, body=body, until=until, state=len(at) + 1, count=steps))
    reached = make("le", (left, literal(tolerance)))
    return [make("require", (x, reached), because="converged") for x in found]
