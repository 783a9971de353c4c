"""Calls replaced by what they call."""

from __future__ import annotations

from tpc.dsl.diagnostics import fail
from tpc.ir.build import items
from tpc.ir.node import Node, Program
from tpc.ir.notes import follow
from tpc.ir.ops.structure import CALL, ITEM
from tpc.ir.rewrite import map_programs, ordered_facts, rebuilt, replace
from tpc.ir.sizes import with_sizes

MAX_NODES = 200_000


def inline(program: Program) -> Program:
    """The program without calls.

    Facts that a called function declares of its parameters are promises about the arguments, and are kept.

    Raises
    ------
    TpcError
        If more than 200,000 nodes would come of it: calls of calls can double at every step.
    """
    return _Inliner().program(program)


class _Inliner:
    def __init__(self) -> None:
        self.done: dict[tuple[Program, tuple[object, ...]], Program] = {}

    def program(self, program: Program) -> Program:
        """A program with all calls in it replaced; each program is done once."""
        key = (program, ())
        if key not in self.done:
            self.done[key] = self._program(program)
        return self.done[key]

    def _program(self, program: Program) -> Program:
        facts = list(program.facts)
        done: dict[Node, Node] = {node: node for node in program.inputs}
        parts: dict[Node, list[Node]] = {}  # results of a replaced call that has several
        grown = 0
        for node in program.nodes:
            if node in done:
                continue
            if node.op is ITEM and node.args[0] in parts:
                done[node] = parts[node.args[0]][node["position"]]
                follow(node, done[node])
                continue
            args = [done[a] for a in node.args if a not in parts]
            if node.op is not CALL:
                same = rebuilt(node.op, args, node.attributes, node.type)
                done[node] = map_programs(same, self.program) if node.op.name != "derivative" else same
                follow(node, done[node])
                continue
            body = self._body(node)
            grown += len(body.nodes)
            if grown > MAX_NODES:
                raise fail(
                    "E0907",
                    f"the program grows past {MAX_NODES:,} steps when its functions are put in place",
                    help="functions that call each other twice double at every step; use `repeat` or `scan`",
                )
            mapping = dict(zip(body.inputs, args, strict=True))
            known = [n for n, _ in body.facts]
            results = replace([*body.outputs, *known], mapping)
            facts += zip(results[len(body.outputs) :], (f for _, f in body.facts), strict=True)
            outputs = results[: len(body.outputs)]
            if len(items(node)) == 1:
                done[node] = outputs[0]
                follow(node, outputs[0])
            else:
                parts[node] = outputs
                done[node] = node
        outputs = [done[n] for n in program.outputs]
        facts = [(done.get(n, n), f) for n, f in facts]
        return program.replace(outputs=outputs, facts=ordered_facts(program.inputs, outputs, facts))

    def _body(self, node: Node) -> Program:
        """The called program at the sizes of the call, without calls of its own."""
        sizes = dict(node["sizes"])
        key = (node["body"], node["sizes"])
        if key not in self.done:
            inner = self.program(node["body"])
            self.done[key] = with_sizes(inner, {k: v for k, v in sizes.items() if str(v) != k})
        return self.done[key]
