"""Work that is the same in every pass of a loop is done once, before it.

An inverse stays where it is: as a factorization, which it becomes when the body is optimised, it goes later.
"""

from __future__ import annotations

from collections.abc import Iterator

from tpc.ir.build import input_node
from tpc.ir.dims import DimLike, evaluate, is_nonnegative, names_of
from tpc.ir.node import Node, Program
from tpc.ir.notes import follow
from tpc.ir.ops.structure import REPEAT, SCAN, SUBSCRIPT
from tpc.ir.rewrite import map_programs, ordered_facts, rebuilt, replace, rewrite

# What may be wrong with the operands of these shows only when they are computed: they stay inside of a loop that may
# make no pass.
MAY_FAIL = ("linalg", "promises")
USUAL = 300  # a size that is open


def hoist(program: Program) -> Program:
    """The program with what does not change from pass to pass before its loops, those inside of others first."""

    def change(node: Node) -> Node:
        node = map_programs(node, hoist) if node.op.name not in ("call", "derivative") else node
        return _hoisted(node) if node.op in (REPEAT, SCAN) else node

    known = [n for n, _ in program.facts]
    results = rewrite([*program.outputs, *known], change)
    outputs = results[: len(program.outputs)]
    facts = zip(results[len(outputs) :], (f for _, f in program.facts), strict=True)
    return program.replace(outputs=outputs, facts=ordered_facts(program.inputs, outputs, facts))


def _hoisted(loop: Node) -> Node:
    state, body = loop["state"], loop["body"]
    first = state + (loop.op is SCAN)
    end = len(loop.args) - (loop.op is REPEAT and loop["count"] is None)
    outside = dict(zip(body.inputs[first:], loop.args[state:end], strict=True))
    count = loop["extent"] if loop.op is SCAN else loop["count"]
    roots = [r for r in _invariant(body, set(outside), runs(loop)) if not _is_read_in_part(body, r, count)]
    if not roots:
        return loop
    moved = replace(roots, outside)
    taken = {root: input_node(f"c{k}", root.tensor) for k, root in enumerate(roots, len(outside))}
    for root, node in zip(roots, moved):
        follow(root, node)
    attributes = []
    for name, value in loop.attributes:
        if isinstance(value, Program):
            outputs = replace(value.outputs, taken)
            inputs = [*value.inputs, *taken.values()]
            kept = [(n, f) for n, f in value.facts if n in value.inputs]
            value = Program(value.name, inputs, outputs, facts=ordered_facts(inputs, outputs, kept))
        attributes.append((name, value))
    return rebuilt(loop.op, [*loop.args[:end], *moved, *loop.args[end:]], attributes, loop.type)


def _is_read_in_part(body: Program, node: Node, count: DimLike | None) -> bool:
    """Whether all passes together read less than half of the entries of a value, such as one of a product in each."""
    users = [u for u in body.nodes if node in u.args]
    if count is None or node in body.outputs or any(u.op is not SUBSCRIPT or u.args[0] is not node for u in users):
        return False
    usual = {
        name: USUAL for user in users for dim in (*node.tensor.dims, user.tensor.size, count) for name in names_of(dim)
    }
    read = sum(evaluate(user.tensor.size * count, usual) for user in users)
    return 2 * read <= evaluate(node.tensor.size, usual)


def runs(loop: Node) -> bool:
    """Whether a loop is known to make at least one pass."""
    count = loop["extent"] if loop.op is SCAN else loop["count"]
    return loop.get("until") is None and count is not None and is_nonnegative(count - 1)


def _invariant(body: Program, captured: set[Node], runs: bool) -> Iterator[Node]:
    """The largest values of a body that depend only on what it takes from outside."""
    numbers = {n for n in body.nodes if not n.args and n not in body.inputs}
    same: set[Node] = set(captured)
    users: dict[Node, list[Node]] = {}
    for node in body.nodes:
        for operand in node.args:
            users.setdefault(operand, []).append(node)
        fails = node.op.group in MAY_FAIL and not runs
        steady = all(a in same or a in numbers for a in node.args) and any(a in same for a in node.args)
        if steady and not node.programs and not fails and node.op.name != "inv":
            same.add(node)
    for node in body.nodes:
        if node not in same or node in captured or isinstance(node.type, tuple):
            continue
        inside = all(u in same and not isinstance(u.type, tuple) for u in users.get(node, ())) and users.get(node)
        if not inside or node in body.outputs:
            yield node
