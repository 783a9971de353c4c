"""Which pairs of operands of a contraction may be contracted first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tpc.ir.dims import DimLike
from tpc.passes.choose.value import Part
from tpc.passes.contraction import Contraction, arranged
from tpc.passes.contraction.chain import MATRIX, chain_of
from tpc.passes.contraction.rows import Tree, best_order

MOST_OPERANDS = 12
MOST_SUBSETS = 300  # connected groups of operands; a chain of 12 has 78


def part(
    form: Contraction, children: Sequence[int], chosen: Sequence[int], symmetric: Sequence[bool]
) -> tuple[Part, dict[int, int], list[int]]:
    """Some of the operands contracted with each other; its letters by those of the whole; the order of its operands.

    What the other operands and the result need of the letters is kept.
    """
    inside = set(chosen)
    outside = {n for k, axes in enumerate(form.inputs) if k not in inside for axis in axes for n in axis}
    outside |= set(form.output_letters)
    inputs = tuple(form.inputs[k] for k in chosen)
    own = dict.fromkeys(n for axes in inputs for axis in axes for n in axis)
    kept = tuple((n,) for n in own if n in outside)
    operands = [children[k] for k in chosen]
    order, arranged_form, number = arranged(
        Contraction(inputs, kept, form.extents), operands, [symmetric[k] for k in chosen], free_output=True
    )
    return Part(arranged_form, tuple(operands[k] for k in order)), number, [chosen[k] for k in order]


class TooMany(Exception):
    """A contraction has more groups of operands than are looked at."""


def splits(form: Contraction) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Both sides of every last step: operands in two groups, each of which hangs together.

    Operands that share no letter are combined last.

    Raises
    ------
    TooMany
        Where there are too many groups to look at all.
    """
    count = len(form.inputs)
    if count > MOST_OPERANDS:
        raise TooMany
    near = _neighbours(form)
    everything = (1 << count) - 1
    component = _grown(1, everything, near)
    if component != everything:
        yield _members(component, count), _members(everything & ~component, count)
        return
    groups = _connected(count, near)
    if groups is None:
        raise TooMany
    for group in sorted(groups):
        rest = everything & ~group
        if group & 1 and rest and rest in groups:
            yield _members(group, count), _members(rest, count)


def _neighbours(form: Contraction) -> list[int]:
    """For each operand, a bit for each operand that it shares a letter with."""
    letters = [{n for axis in axes for n in axis} for axes in form.inputs]
    return [sum(1 << j for j, other in enumerate(letters) if j != k and own & other) for k, own in enumerate(letters)]


def _grown(start: int, within: int, near: Sequence[int]) -> int:
    """All that is reached from some operands."""
    group, edge = start, start
    while edge:
        k = edge.bit_length() - 1
        edge &= ~(1 << k)
        more = near[k] & within & ~group
        group |= more
        edge |= more
    return group


def _connected(count: int, near: Sequence[int]) -> set[int] | None:
    """All groups that hang together; None where there are too many."""
    found = {1 << k for k in range(count)}
    waiting = list(found)
    while waiting:
        group = waiting.pop()
        around = 0
        for k in range(count):
            if group >> k & 1:
                around |= near[k]
        around &= ~group
        for k in range(count):
            if around >> k & 1 and group | 1 << k not in found:
                found.add(group | 1 << k)
                waiting.append(group | 1 << k)
                if len(found) > MOST_SUBSETS:
                    return None
    return found


def _members(group: int, count: int) -> tuple[int, ...]:
    return tuple(k for k in range(count) if group >> k & 1)


def tree(form: Contraction, children: Sequence[int], sizes: Callable[[DimLike], int]) -> Tree:
    """One good order of a contraction of many operands, as pairs of pairs: the best of a product of matrices, a path
    that opt_einsum finds otherwise."""
    chain = chain_of(form, range(len(children)))
    if chain is not None and not chain.scalars and all(f.kind == MATRIX for f in chain.factors):
        rows = [form.inputs[f.child][1 if f.turned else 0] for f in chain.factors]
        extents = [sizes(form.size(axis)) for axis in [*rows, form.output[1]]]
        return _renumbered(best_order(extents), [f.child for f in chain.factors])
    import opt_einsum

    inputs = [frozenset(n for axis in axes for n in axis) for axes in form.inputs]
    path = opt_einsum.paths.auto(inputs, frozenset(form.output_letters), dict(enumerate(map(sizes, form.extents))))
    groups: list[Tree] = list(range(len(inputs)))
    for step in path:
        chosen = [groups[k] for k in step]
        groups = [g for k, g in enumerate(groups) if k not in step]
        merged = chosen[0]
        for other in chosen[1:]:
            merged = (merged, other)
        groups.append(merged)
    (whole,) = groups
    return whole


def _renumbered(order: Tree, numbers: Sequence[int]) -> Tree:
    done: dict[int, Tree] = {}
    stack = [order]
    while stack:
        item = stack[-1]
        if isinstance(item, int):
            done[id(item)] = numbers[item]
            stack.pop()
        elif all(id(side) in done and not isinstance(side, int) or isinstance(side, int) for side in item):
            left, right = (numbers[side] if isinstance(side, int) else done[id(side)] for side in item)
            done[id(item)] = (left, right)
            stack.pop()
        else:
            stack += [side for side in item if not isinstance(side, int) and id(side) not in done]
    return numbers[order] if isinstance(order, int) else done[id(order)]


def steps(order: Tree) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The two groups of operands of every pair of an order."""
    found = []
    members: dict[int, tuple[int, ...]] = {}
    stack = [order]

    def group(item: Tree) -> tuple[int, ...] | None:
        return (item,) if isinstance(item, int) else members.get(id(item))

    while stack:
        item = stack[-1]
        if isinstance(item, int) or id(item) in members:
            stack.pop()
            continue
        left, right = (group(side) for side in item)
        if left is None or right is None:
            stack += [side for side, known in zip(item, (left, right)) if known is None]
            continue
        found.append((left, right))
        members[id(item)] = tuple(sorted((*left, *right)))
        stack.pop()
    return found
