"""Tangents of a graph, from the values that move to its results (forward accumulation).

The adjoint of a node is linear in the adjoint of its value, and the adjoint of that linear map is the tangent of the
node. So there is one table of derivatives. Loops and branches carry tangents along beside their values.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from tpc.dsl.diagnostics import TpcError
from tpc.ir.build import Fresh, input_node, items, make, zeros
from tpc.ir.node import Node, Program, topological
from tpc.ir.ops.structure import DERIVATIVE, IF, ITEM, LITERAL, REPEAT, SCAN, SIZE
from tpc.ir.rewrite import rebuilt, replace
from tpc.passes.differentiate.arrays import fitted
from tpc.passes.differentiate.loops import declared
from tpc.passes.differentiate.reverse import adjoints, carries, is_differentiable, node_adjoints, placed
from tpc.passes.differentiate.structure import symmetric_values

_NUMBERS = (LITERAL, SIZE)
# Linear in the first operand, and in no other: they do with a tangent what they do with a value.
LINEAR = frozenset(
    ["subscript", "reshape", "squeeze", "unsqueeze", "vec", "unvec", "broadcast_to", "transpose", "permute", "flip"]
    + ["tril", "triu", "sum", "mean", "neg", "cast", "cumsum", "take"]
)
# Linear in all operands together.
JOINT = frozenset(
    ["concat", "stack", "fft", "ifft", "fft2", "ifft2", "rfft", "irfft", "dct", "idct", "re", "im", "conj", "adjoint"]
)


def tangents(
    outputs: Sequence[Node], directions: Mapping[Node, Node], symmetric: Collection[Node] = ()
) -> list[Node | None]:
    """How results change as some values move.

    Parameters
    ----------
    directions
        The values that move, and how: nodes of the same types.
    symmetric
        Values that are known to be symmetric matrices.

    Returns
    -------
    list
        For each result its tangent, of the same type, or None where it does not change.

    Raises
    ------
    TpcError
        If a value on the way has no derivative (E0608).
    """
    moving: dict[Node, Node] = dict(directions)
    for node in topological(outputs):
        if node in directions or node.op is ITEM or not any(a in moving for a in node.args) or not carries(node):
            continue
        try:
            found = node_tangents(node, moving, symmetric)
        except TpcError as error:
            raise placed(error, node) from None
        for value, tangent in zip(items(node), found, strict=True):
            if tangent is not None:
                moving[value] = tangent
                moving[node] = tangent  # of several results, as a mark
    return [moving.get(o) for o in outputs]


def node_tangents(node: Node, moving: Mapping[Node, Node], symmetric: Collection[Node] = ()) -> list[Node | None]:
    """The tangents of the results of one node, given those of its operands."""
    if node.op in (SCAN, REPEAT):
        return _loop(node, moving, symmetric)
    if node.op is DERIVATIVE:
        from tpc.passes import solvers
        from tpc.passes.differentiate import implicit

        return solvers.tangents(node, moving) if solvers.is_system(node) else implicit.tangents(node, moving)
    if node.op is IF:
        return _branch(node, moving, symmetric)
    return Apart(node, moving, symmetric).tangents()


class Apart:
    """A node on operands of its own, so that what follows from it alone is not mixed with where they come from."""

    def __init__(self, node: Node, moving: Mapping[Node, Node], symmetric: Collection[Node] = ()) -> None:
        # no program has inputs of such names
        own = {a: a if a.op in _NUMBERS else input_node(f"operand {k}", a.tensor) for k, a in enumerate(node.args)}
        self.ways = {own[a]: input_node(f"way {k}", a.tensor) for k, a in enumerate(own) if a in moving}
        self.source = {own[a]: a for a in own} | {self.ways[own[a]]: moving[a] for a in own if a in moving}
        self.node = rebuilt(node.op, [own[a] for a in node.args], node.attributes, node.type)
        self.symmetric = {own[a] for a in own if a in symmetric}

    def tangents(self) -> list[Node | None]:
        return self.joined([self.tangent(k) for k in range(len(items(self.node)))])

    def tangent(self, number: int) -> Node | None:
        """How a result changes as the operands go their ways."""
        if self.node.op.name in LINEAR:
            node = self.node
            return rebuilt(node.op, [self.ways[node.args[0]], *node.args[1:]], node.attributes, node.type)
        if self.node.op.name in JOINT:
            return on_all(self.node, [self.ways.get(a) for a in self.node.args])
        values = items(self.node)
        bars = [input_node(f"bar {k}", v.tensor) if is_differentiable(v.type) else None for k, v in enumerate(values)]
        bar = bars[number]
        if bar is None:
            return None
        total: Node | None = None
        for operand, way in self.ways.items():
            for back in node_adjoints(self.node, bars, {operand}, self.symmetric):
                (forth,) = adjoints([back], [way], [bar], self.symmetric) if back is not None else (None,)
                if forth is not None:
                    total = forth if total is None else make("add", (total, forth))
        if total is None:
            return None
        # it no longer depends on the adjoints, though loops may still carry them along
        (total,) = replace([total], {b: zeros(b.tensor) for b in bars if b is not None})
        return fitted(total, bar.tensor)

    def joined(self, nodes: Sequence[Node | None]) -> list[Node | None]:
        """Nodes that follow from its own operands and their ways, from the true ones."""
        found = iter(replace([n for n in nodes if n is not None], self.source))
        return [None if n is None else next(found) for n in nodes]


def on_all(node: Node, parts: Sequence[Node | None]) -> Node | None:
    """The op of a node on other operands of the same types, where None is zero; None if all are."""
    if all(p is None for p in parts):
        return None
    args = [zeros(a.tensor) if p is None else p for p, a in zip(parts, node.args, strict=True)]
    return rebuilt(node.op, args, node.attributes, node.type)


def laplacian(
    value: Node, x: Node, symmetric: Collection[Node], along: Callable[[Callable[[Node], list[Node]]], list[Node]]
) -> Node | None:
    """The sum of the second derivatives of a value along the axes of x.

    What a node adds to second derivatives is a quadratic form of the tangents of its operands, and what it does with
    those of its operands is linear. So the sum over directions is taken of the quadratic forms, and goes on through the
    graph once for all directions ("collapsed" Taylor mode: Dangel, Siebert, Zeinhofer and Walther 2025).

    Parameters
    ----------
    along
        Gives the values of a function of a direction, for all units of x, stacked.
    """
    order = [n for n in topological([value]) if n.op is not ITEM and n is not x and carries(n)]
    bent: dict[Node, int] = {}

    def bends(unit: Node) -> list[Node]:
        moving: dict[Node, Node] = {x: unit}
        found: list[Node] = []
        for node in order:
            if not any(a in moving for a in node.args):
                continue
            apart = Apart(node, moving, symmetric)
            own = [apart.tangent(k) for k in range(len(items(node)))]
            second = [tangents([t], apart.ways, apart.symmetric)[0] if t is not None else None for t in own]
            for result, tangent, bend in zip(items(node), apart.joined(own), apart.joined(second), strict=True):
                if tangent is not None:
                    moving[result] = moving[node] = tangent
                if bend is not None:
                    bent[result] = len(found)
                    found.append(bend)
        return found

    stacked = along(bends)
    total: dict[Node, Node] = {}
    for node in order:
        moves = any(a in total for a in node.args)
        moved = node_tangents(node, total, symmetric) if moves else [None] * len(items(node))
        for result, tangent in zip(items(node), moved, strict=True):
            if result in bent:
                bend = make("sum", (stacked[bent[result]],), axis=0, keepdims=False)
                tangent = bend if tangent is None else make("add", (bend, tangent))
            if tangent is not None:
                total[result] = total[node] = tangent
    return total.get(value)


def has_loops(outputs: Sequence[Node]) -> bool:
    return any(node.programs for node in topological(outputs))


def _loop(node: Node, moving: Mapping[Node, Node], symmetric: Collection[Node]) -> list[Node | None]:
    """The loop with the tangents of its state as further state."""
    body: Program = node["body"]
    states: int = node["state"]
    first = states + (node.op is SCAN)  # inputs before the captured ones
    end = len(node.args) - (node.op is REPEAT and node["count"] is None)
    kept = body.inputs[first - states : first]
    fixed = body.inputs[first:]
    operands = dict(zip([*kept, *fixed], node.args[:end], strict=True))
    fresh = Fresh(body)
    ways = {i: fresh(f"d_{i['name']}", i.tensor) for i in operands if is_differentiable(i.type)}
    active = [i for i in ways if operands[i] in moving]
    known = symmetric_values(body, [i for i in fixed if operands[i] in symmetric])
    while True:  # what is carried moves if it does at the start, or after a pass
        found = tangents(body.outputs, {i: ways[i] for i in active}, known)
        more = [i for i, tangent in zip(kept, found, strict=False) if tangent is not None and i not in active]
        if not more:
            break
        active += more
    moves = [k for k, i in enumerate(kept) if i in active]
    results = [k for k in range(states, len(found)) if found[k] is not None]
    constants = [i for i in fixed if i in active]
    inputs = [
        *body.inputs[: first - states],
        *kept,
        *(ways[kept[k]] for k in moves),
        *fixed,
        *(ways[i] for i in constants),
    ]
    outputs = [
        *body.outputs[:states],
        *(_or_zeros(found[k], body.outputs[k]) for k in moves),
        *body.outputs[states:],
        *(_or_zeros(found[k], body.outputs[k]) for k in results),
    ]
    starts = [_or_zeros(moving.get(operands[kept[k]]), kept[k]) for k in moves]
    args = [
        *node.args[:states],
        *starts,
        *node.args[states:end],
        *(moving[operands[i]] for i in constants),
        *node.args[end:],
    ]
    attributes = {**dict(node.attributes), "state": states + len(moves)}
    attributes["body"] = _with(body, inputs, outputs)
    if node.get("until") is not None:
        attributes["until"] = _with(node["until"], inputs, node["until"].outputs)
    values = items(make(node.op, args, **attributes))
    count = len(moves)
    made = dict(zip(moves, values[states : states + count], strict=True))
    made.update(zip(results, values[len(body.outputs) + count :], strict=True))
    return [made.get(k) for k in range(len(body.outputs))]


def _branch(node: Node, moving: Mapping[Node, Node], symmetric: Collection[Node]) -> list[Node | None]:
    """A branch that gives the tangents of its results."""
    condition, *operands = node.args
    active = [k for k, a in enumerate(operands) if a in moving]
    programs: list[Program] = [node["then"], node["other"]]
    fresh = Fresh(*programs)
    ways = [fresh("direction", operands[k].tensor) for k in active]
    found = []
    for program in programs:
        known = symmetric_values(program, [program.inputs[k] for k, a in enumerate(operands) if a in symmetric])
        moved = {program.inputs[k]: way for k, way in zip(active, ways, strict=True)}
        found.append(tangents(program.outputs, moved, known))
    results = [k for k, pair in enumerate(zip(*found, strict=True)) if any(t is not None for t in pair)]
    if not results:
        return [None] * len(programs[0].outputs)
    then, other = (
        _with(p, [*p.inputs, *ways], [_or_zeros(f[k], p.outputs[k]) for k in results])
        for p, f in zip(programs, found, strict=True)
    )
    values = items(make(IF, (condition, *operands, *(moving[operands[k]] for k in active)), then=then, other=other))
    made = dict(zip(results, values, strict=True))
    return [made.get(k) for k in range(len(programs[0].outputs))]


def _or_zeros(tangent: Node | None, value: Node) -> Node:
    return zeros(value.tensor) if tangent is None else tangent


def _with(program: Program, inputs: Sequence[Node], outputs: Sequence[Node]) -> Program:
    return declared(Program(f"{program.name}_tangent", inputs, outputs, facts=program.facts))
