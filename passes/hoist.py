"""Work that is the same in every pass of a loop is done once, before it.

Of a loop whose passes do not read what those before them have left, the last pass alone is done.

An inverse stays where it is: as a factorization, which it becomes when the body is optimised, it goes later. What may
fail goes before a loop that may make no pass only where it is computed there anyway.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from tpc.ir.build import cast, input_node, size
from tpc.ir.dims import DimLike, evaluate, is_nonnegative, names_of
from tpc.ir.node import Node, Program, topological
from tpc.ir.notes import follow
from tpc.ir.ops.structure import INDEX, ITEM, REPEAT, SCAN, SUBSCRIPT
from tpc.ir.ops.structured import STRUCTURED
from tpc.ir.rewrite import map_blocks, ordered_facts, rebuilt, replace, rewrite, values, with_values
from tpc.passes.contraction import product_of, summands_of

# What may be wrong with the operands of these shows only when they are computed: they stay inside of a loop that may
# make no pass.
MAY_FAIL = ("linalg", "promises")
USUAL = 300  # a size that is open


def hoist(program: Program, filled: bool = True) -> Program:
    """The program with what does not change from pass to pass before its loops, those inside of others first.

    Without `filled`, matrices that are made of fewer numbers stay inside, where it shows what they are applied to.
    """

    def change(node: Node) -> Node:
        node = map_blocks(node, lambda body: hoist(body, filled))
        loop = node.args[0] if node.op is ITEM else node
        if loop.op not in (REPEAT, SCAN):
            return node
        last = _last_pass(loop)
        if last is not None and not (node is loop and isinstance(loop.type, tuple)):
            return last[node["position"] if node.op is ITEM else 0]
        return _hoisted(node, there, filled) if node is loop else node

    there = set(program.nodes)
    return with_values(program, rewrite(values(program), change))


def _hoisted(loop: Node, there: Collection[Node], filled: bool) -> Node:
    state, body = loop["state"], loop["body"]
    first = state + (loop.op is SCAN)
    end = len(loop.args) - (loop.op is REPEAT and loop["count"] is None)
    outside = dict(zip(body.inputs[first:], loop.args[state:end], strict=True))
    count = loop["extent"] if loop.op is SCAN else loop["count"]
    roots = [r for r in _invariant(body, outside, runs(loop), there, filled) if not _is_read_in_part(body, r, count)]
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


def _last_pass(loop: Node) -> tuple[Node, ...] | None:
    """What the last pass of a loop leaves, if no pass reads what the one before it has left; else None."""
    state, body = loop["state"], loop["body"]
    first = 1 if loop.op is SCAN else 0
    if not runs(loop) or len(body.outputs) > state:
        return None
    if not set(body.inputs[first : first + state]).isdisjoint(topological(body.outputs)):
        return None
    end = len(loop.args) - (loop.op is REPEAT and loop["count"] is None)
    taken = dict(zip(body.inputs[first + state :], loop.args[state:end], strict=True))
    if first:
        taken[body.inputs[0]] = cast(size(loop["extent"] - 1), body.inputs[0].tensor.dtype)
    return tuple(replace(body.outputs, taken))


def _is_filled(node: Node) -> bool:
    """Whether a value is a matrix of a structure: products of entries of arrays of other sizes, and sums of them."""
    if node.op in STRUCTURED:
        return True
    if node.op is not INDEX or node.tensor.rank < 2 or any(a.tensor.size == node.tensor.size for a in node.args):
        return False
    types = [a.tensor for a in node.args]
    return all(product_of(part, types) is not None for _, part in summands_of(node["formula"]))


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


def _invariant(
    body: Program, captured: Mapping[Node, Node], runs: bool, there: Collection[Node], filled: bool
) -> Iterator[Node]:
    """The largest values of a body that depend only on what it takes from outside.

    Parameters
    ----------
    captured
        What stands for what outside.
    there
        What is computed outside anyway.
    """
    numbers = {n for n in body.nodes if not n.args and n not in body.inputs}
    same: set[Node] = set(captured)
    users: dict[Node, list[Node]] = {}
    for node in body.nodes:
        for operand in node.args:
            users.setdefault(operand, []).append(node)
        fails = node.op.group in MAY_FAIL and not runs and replace([node], captured)[0] not in there
        if node.args and all(a in numbers for a in node.args):  # such as 2 * eye(n)
            numbers.add(node)
        steady = all(a in same or a in numbers for a in node.args) and any(a in same for a in node.args)
        if steady and not node.programs and not fails and node.op.name != "inv" and (filled or not _is_filled(node)):
            same.add(node)
    for node in body.nodes:
        if node not in same or node in captured or isinstance(node.type, tuple):
            continue
        inside = all(u in same and not isinstance(u.type, tuple) for u in users.get(node, ())) and users.get(node)
        if not inside or node in body.outputs:
            yield node
