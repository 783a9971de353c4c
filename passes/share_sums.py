"""Sums that have two summands in common add these once.

Each sum keeps its summands, and its rounding may change. The pair that most sums have in common goes first (greedily:
to find the fewest additions is hard, see Garey and Johnson, Computers and Intractability, ensemble computation).
"""

from __future__ import annotations

from collections import Counter
from itertools import combinations

from tpc.ir.build import make
from tpc.ir.node import Node, Program
from tpc.ir.notes import follow
from tpc.ir.rewrite import map_blocks, replace, rewrite, values, with_values

Summand = tuple[int, Node]  # its sign, and what is added or taken away
MOST_SUMMANDS = 64


def share_sums(program: Program) -> Program:
    """The program with common parts of its sums computed once, those inside of loops and branches too."""
    roots = rewrite(values(program), lambda node: map_blocks(node, share_sums))
    changed = _shared(roots)
    return with_values(program, replace(roots, changed) if changed else roots)


def _shared(outputs: list[Node]) -> dict[Node, Node]:
    """The sums that change, as what they become."""
    before = _sums(outputs)
    sums = {total: list(summands) for total, summands in before.items()}
    while pair := _most_common_pair(sums):
        (sign, first), (other, second) = pair
        part = make("add" if sign == other else "sub", (first, second))
        for summands in sums.values():
            if pair[0] in summands and pair[1] in summands:
                summands[summands.index(pair[0])] = (sign, part)
                summands.remove(pair[1])
    changed: dict[Node, Node] = {}
    for total, summands in sums.items():
        if len(summands) < len(before[total]):
            signs = [sign for sign, _ in summands]
            parts = replace([node for _, node in summands], changed)
            changed[total] = _added(signs, parts)
            follow(total, changed[total])
    return changed


def _sums(outputs: list[Node]) -> dict[Node, list[Summand]]:
    """The sums of a program with their summands, operands first; a sum that is part of one other belongs to that."""
    program = Program("sums", (), outputs)
    users: dict[Node, list[Node]] = {}
    for node in program.nodes:
        for operand in node.args:
            users.setdefault(operand, []).append(node)
    found: dict[Node, list[Summand]] = {}
    for node in program.nodes:
        if node.op.name not in ("add", "sub") or not all(a.type is node.type for a in node.args):
            continue
        summands: list[Summand] = []
        for operand, sign in zip(node.args, (1, 1 if node.op.name == "add" else -1), strict=True):
            inner = found.get(operand)
            if inner is None or users[operand] != [node] or operand in outputs or len(inner) > MOST_SUMMANDS:
                summands.append((sign, operand))
            else:
                summands += [(sign * s, n) for s, n in inner]
                del found[operand]
        found[node] = summands
    return found


def _most_common_pair(sums: dict[Node, list[Summand]]) -> tuple[Summand, Summand] | None:
    """Two summands that more than one sum adds to each other, those of most sums."""
    counts: Counter[tuple[Summand, Summand]] = Counter()
    place: dict[Node, int] = {}
    for summands in sums.values():
        for _, node in summands:
            place.setdefault(node, len(place))
        single = [s for s in summands if summands.count(s) == 1]
        for a, b in combinations(sorted(single, key=lambda s: (-s[0], place[s[1]])), 2):
            if a[0] > 0:
                counts[a, b] += 1
    best = max(counts, key=lambda pair: counts[pair], default=None)
    return best if best is not None and counts[best] > 1 else None


def _added(signs: list[int], parts: list[Node]) -> Node:
    """The sum, which starts with a summand that is added where there is one."""
    order = sorted(range(len(parts)), key=lambda k: -signs[k])
    total = parts[order[0]] if signs[order[0]] > 0 else make("neg", (parts[order[0]],))
    for k in order[1:]:
        total = make("add" if signs[k] > 0 else "sub", (total, parts[k]))
    return total
