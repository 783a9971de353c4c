"""Passes of a loop that do not depend on each other are made at once: products with the columns of a matrix are one.

A value of the body that follows from the counter and from values outside is *lifted*: computed for all passes together,
with the pass as a further first axis. A result that can be lifted leaves the loop. A product that can be, in a loop
that carries state along, goes before it, and each pass reads its part.

Memory: a lifted value may have twice as many entries as everything that is stored anyway, which is what the loop
reads, what it computes once, and what it collects, or as a cache holds. Where one would have more, the loop computes
its values one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from tpc.ir.build import input_node, items, make
from tpc.ir.dims import DimLike, evaluate, names_of, product
from tpc.ir.node import Node, Program, topological
from tpc.ir.notes import follow
from tpc.ir.op import Misfit
from tpc.ir.ops.structure import ITEM, SCAN, SUBSCRIPT, At, Range
from tpc.ir.rewrite import map_programs, ordered_facts, rebuilt, replace, rewrite
from tpc.ir.types import TensorType
from tpc.passes.hoist import MAY_FAIL, USUAL, runs
from tpc.passes.lift import lift

CACHE = 1 << 17  # entries: 1 MB of f64
# What only shows the entries of another value in another order is not stored.
_VIEWS = frozenset(["transpose", "permute", "subscript", "reshape", "unsqueeze", "squeeze", "arange", "item"])


def vectorise(program: Program, at: Mapping[str, int] | None = None) -> Program:
    """The program in which loops make no pass by itself that could be made with the others, inner loops first.

    Parameters
    ----------
    at
        Sizes by which memory is judged, where they are open.
    """
    taken: dict[Node, list[Node]] = {}  # what the results of a loop have become

    def change(node: Node) -> Node:
        if node.op is ITEM and node.args[0] in taken:
            position: int = node["position"]
            return taken[node.args[0]][position]
        if node.op.name not in ("call", "derivative"):
            node = map_programs(node, lambda inner: vectorise(inner, at))
        if node.op is not SCAN:
            return node
        results = _Loop(node, at or {}).results()
        if results is None:
            return node
        taken[node] = results
        return results[0] if len(results) == 1 else node

    known = [n for n, _ in program.facts]
    results = rewrite([*program.outputs, *known], change)
    outputs = results[: len(program.outputs)]
    facts = zip(results[len(outputs) :], (f for _, f in program.facts), strict=True)
    return program.replace(outputs=outputs, facts=ordered_facts(program.inputs, outputs, facts))


class _Loop:
    """One loop, and its values that follow from the counter and from outside, lifted."""

    def __init__(self, loop: Node, at: Mapping[str, int]) -> None:
        self.loop, self.body, self.state = loop, loop["body"], loop["state"]
        self.extent: DimLike = loop["extent"]
        self.counter, *inputs = self.body.inputs
        self.carried = set(inputs[: self.state])
        self.outside = dict(zip(inputs[self.state :], loop.args[self.state :], strict=True))
        self.at = at
        self.steady: dict[Node, Node] = dict(self.outside)  # the same in every pass, as it is outside
        self.lifted: dict[Node, Node] = {self.counter: make("arange", n=self.extent)}

    def results(self) -> list[Node] | None:
        """What the results of the loop become, or None where nothing changes."""
        self._lift()
        results: list[Node | None] = [None] * self.state
        results += [self._whole(output) for output in self.body.outputs[self.state :]]
        left = [output for output, result in zip(self.body.outputs, results, strict=True) if result is None]
        ahead = self._ahead(left)
        if len(left) == len(results) and not ahead:
            return None
        rest = iter(items(self._rest(left, ahead)) if left else ())
        return [next(rest) if result is None else result for result in results]

    # ---- values

    def _lift(self) -> None:
        """Lift all that can be, operands first."""
        declared = {n for n, _ in self.body.facts if n not in self.body.inputs}
        sure = runs(self.loop)
        for node in self.body.nodes:
            if node in self.steady or node in self.lifted or node in self.carried or node in declared:
                continue
            if all(a in self.steady for a in node.args):
                # an op whose operand is promised to fit may be computed for no pass at all
                if sure or node.op.needs or node.op.group not in MAY_FAIL:
                    args = [self.steady[a] for a in node.args]
                    self.steady[node] = rebuilt(node.op, args, node.attributes, node.type)
            elif all(a in self.steady or a in self.lifted for a in node.args):
                with suppress(Misfit):
                    found = lift(node, self.counter, self.extent, self.steady, self.lifted)
                    if found is not None and self._fits(found):
                        self.lifted[node] = found

    def _whole(self, output: Node) -> Node | None:
        """A result for all passes; one that is the same in each is repeated."""
        result = self.lifted.get(output)
        if result is None and output in self.steady:
            result = make("broadcast_to", (self.steady[output],), dims=(self.extent, *output.tensor.dims))
        if result is None or result.type is not TensorType(output.tensor.dtype, (self.extent, *output.tensor.dims)):
            return None
        follow(output, result)
        return result

    def _ahead(self, outputs: Sequence[Node]) -> list[Node]:
        """The largest lifted values that the rest of the loop needs and that products with many columns are part of."""
        found: dict[Node, None] = {}
        seen: set[Node] = set()
        stack = list(outputs)
        while stack:
            node = stack.pop()
            if node in seen:
                continue
            seen.add(node)
            if node in self.lifted and isinstance(node.type, TensorType) and self._joins(node):
                found[node] = None
            else:
                stack.extend(node.args)
        return list(found)

    def _joins(self, node: Node) -> bool:
        """Whether a value is computed by products of one matrix with another vector in each pass."""
        return any(
            n.op.name in ("matvec", "vecmat") and len({a in self.steady for a in n.args}) == 2
            for n in topological([node])
        )

    def _rest(self, outputs: Sequence[Node], ahead: Sequence[Node]) -> Node:
        """The loop with the results that are left, which reads the values that were computed ahead of it."""
        body, first = self.body, len(self.body.inputs)
        taken = [input_node(f"c{first + k}", self.lifted[node].tensor) for k, node in enumerate(ahead)]
        reads = {node: self._pass(whole) for node, whole in zip(ahead, taken, strict=True)}
        for node in ahead:
            follow(node, self.lifted[node])
        known = [(n, f) for n, f in body.facts if n in topological(outputs)]
        parts = replace([*outputs, *(n for n, _ in known)], reads)
        facts = zip(parts[len(outputs) :], (f for _, f in known), strict=True)
        inputs, results = [*body.inputs, *taken], parts[: len(outputs)]
        smaller = Program(body.name, inputs, results, facts=ordered_facts(inputs, results, facts))
        attributes = {**dict(self.loop.attributes), "body": smaller}
        types = SCAN.types([], attributes)
        operands = [*self.loop.args, *(self.lifted[node] for node in ahead)]
        return rebuilt(SCAN, operands, attributes.items(), types[0] if len(types) == 1 else tuple(types))

    def _pass(self, whole: Node) -> Node:
        """The part of a lifted value that one pass reads."""
        rest = [Range(0, dim, 1) for dim in whole.tensor.dims[1:]]
        return make(SUBSCRIPT, (whole, self.counter), items=(At(None), *rest))

    # ---- memory

    def _entries(self, dims: Iterable[DimLike]) -> int:
        size = product(dims)
        found = evaluate(size, {name: self.at.get(name, USUAL) for name in names_of(size)})
        return int(found)

    def _fits(self, node: Node) -> bool:
        """Whether a lifted value is no larger than what is stored anyway."""
        if node.op.name in _VIEWS:
            return True
        types = self.loop.type if isinstance(self.loop.type, tuple) else (self.loop.type,)
        once = [n.tensor for n in self.steady if isinstance(n.type, TensorType) and n.op.name not in _VIEWS]
        stored = sum(self._entries(t.dims) for t in (*types, *once))
        return self._entries(node.tensor.dims) <= max(2 * stored, CACHE)
