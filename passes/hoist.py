"""Work that is the same in every pass of a loop is done once, before it.

Of a loop whose passes do not read what those before them have left, the last pass alone is done.

An inverse stays until the plan is settled: most become factorizations when the body is optimised. What may fail goes
before a loop that may make no pass only where it is computed there anyway, or behind a branch:

    repeat k: x = A \\ (b - x)       if k > 0: L = cholesky(A)
                                     repeat k: x = cho_solve(L, b - x)
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import reduce

from tpc.ir.build import Fresh, cast, literal, make, size, zeros
from tpc.ir.dims import DimLike, evaluate, is_nonnegative, names_of
from tpc.ir.node import Node, Program, topological
from tpc.ir.notes import follow
from tpc.ir.ops.structure import IF, INDEX, ITEM, REPEAT, SCAN, SUBSCRIPT
from tpc.ir.ops.structured import STRUCTURED
from tpc.ir.rewrite import map_blocks, ordered_facts, rebuilt, replace, rewrite, values, with_values
from tpc.passes.branch import branch
from tpc.passes.contraction import product_of, summands_of

# What may be wrong with the operands of these shows only when they are computed: they stay inside of a loop that may
# make no pass.
MAY_FAIL = ("linalg", "promises")
USUAL = 300  # a size that is open


def hoist(program: Program, settled: bool = True) -> Program:
    """The program with what does not change from pass to pass before its loops, those inside of others first.

    Unless the plan is `settled`, matrices that are made of fewer numbers stay inside, where it shows what they are
    applied to, and so does what would go behind a branch.
    """

    def change(node: Node) -> Node:
        node = map_blocks(node, lambda body: hoist(body, settled))
        loop = node.args[0] if node.op is ITEM else node
        if loop.op not in (REPEAT, SCAN):
            return node
        last = _last_pass(loop)
        if last is not None and not (node is loop and isinstance(loop.type, tuple)):
            return last[node["position"] if node.op is ITEM else 0]
        return _hoisted(node, there, settled) if node is loop else node

    there = set(program.nodes)
    return with_values(program, rewrite(values(program), change))


def _hoisted(loop: Node, there: Collection[Node], settled: bool) -> Node:
    state, body = loop["state"], loop["body"]
    first = state + (loop.op is SCAN)
    end = len(loop.args) - (loop.op is REPEAT and loop["count"] is None)
    outside = dict(zip(body.inputs[first:], loop.args[state:end], strict=True))
    count = loop["extent"] if loop.op is SCAN else loop["count"]
    begins = literal(True) if runs(loop) else _begins(loop) if settled else None
    same = _Same(body, outside, there, settled, begins is not None)
    roots = [root for root in same.largest() if not _is_read_in_part(body, root, count)]
    if not roots:
        return loop
    moved = replace(roots, outside)
    if begins is not None and not runs(loop):
        none = [zeros(node.tensor) if root in same.fails else node for root, node in zip(roots, moved)]
        moved = branch(begins, moved, none, [*there, *loop.args])
    fresh = Fresh(*loop.programs)
    taken = {root: fresh(f"c{k}", root.tensor) for k, root in enumerate(roots, len(outside))}
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


def _begins(loop: Node) -> Node | None:
    """Whether a loop makes a pass, as a value before it; None where to ask may fail."""
    until, count = loop.get("until"), loop["extent"] if loop.op is SCAN else loop["count"]
    end = len(loop.args) - (loop.op is REPEAT and loop["count"] is None)
    asked = []
    if count is None or not is_nonnegative(count - 1):
        asked.append(make("gt", (loop.args[-1] if count is None else size(count), literal(0))))
    if until is not None:
        if any(map(_may_fail, until.nodes)):
            return None
        (ends,) = replace(until.outputs, dict(zip(until.inputs, loop.args[:end], strict=True)))
        asked.append(make("logical_not", (ends,)))
    return reduce(lambda one, other: make("logical_and", (one, other)), asked)


def _may_fail(node: Node) -> bool:
    return node.op.group in MAY_FAIL or any(_may_fail(n) for block in node.programs for n in block.nodes)


class _Same:
    """The values of a body that depend only on what it takes from outside, and those of them that may fail.

    Parameters
    ----------
    captured
        What stands for what outside.
    there
        What is computed outside anyway.
    risks
        Whether what may fail is among them.
    """

    def __init__(
        self, body: Program, captured: Mapping[Node, Node], there: Collection[Node], settled: bool, risks: bool
    ) -> None:
        self.body, self.captured = body, captured
        self.values: set[Node] = set(captured)
        self.fails: set[Node] = set()
        numbers = {n for n in body.nodes if not n.args and n not in body.inputs}
        for node in body.nodes:
            if node.args and all(a in numbers for a in node.args):  # such as 2 * eye(n)
                numbers.add(node)
            if not all(a in self.values or a in numbers for a in node.args) or self.values.isdisjoint(node.args):
                continue
            if (node.programs and node.op is not IF) or (not settled and (node.op.name == "inv" or _is_filled(node))):
                continue
            if not self.fails.isdisjoint(node.args) or (_may_fail(node) and replace([node], captured)[0] not in there):
                if not risks:
                    continue
                self.fails.add(node)
            self.values.add(node)

    def largest(self) -> Iterator[Node]:
        """Those that other values read."""
        users: dict[Node, list[Node]] = {}
        for node in self.body.nodes:
            for operand in node.args:
                users.setdefault(operand, []).append(node)
        for node in self.body.nodes:
            if node not in self.values or node in self.captured or isinstance(node.type, tuple):
                continue
            uses = users.get(node, ())
            inside = uses and all(u in self.values and not isinstance(u.type, tuple) for u in uses)
            if not inside or node in self.body.outputs:
                yield node
