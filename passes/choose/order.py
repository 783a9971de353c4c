"""Which pairs of operands of a contraction may be contracted first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod

from tpc.ir.dims import DimLike
from tpc.passes.choose.value import Part
from tpc.passes.contraction import Contraction, arranged
from tpc.passes.contraction.chain import MATRIX, chain_of
from tpc.passes.contraction.rows import Tree, best_order

MOST_OPERANDS = 12
REMEMBERED = 1024  # contractions of which an order is known
MOST_SUBSETS = 300  # connected groups of operands; a chain of 12 has 78


class Parts:
    """The parts of contractions, each put in order once for all contractions that it is met in.

    Parameters
    ----------
    is_symmetric
        Whether the axes of a class may change places.
    """

    def __init__(self, is_symmetric: Callable[[int], bool]) -> None:
        self.is_symmetric = is_symmetric
        self.whole: dict[Part, Found] = {}  # where a part was first met, as operands of a contraction
        self.known: dict[tuple[Contraction, tuple[int, ...], tuple[int, ...]], Found] = {}
        self.holders: dict[Contraction, list[set[int]]] = {}  # which operands have a letter

    def of(self, form: Contraction, children: tuple[int, ...], chosen: Sequence[int]) -> Found:
        """Some operands of a contraction; its letters and its operands are told by those of the contraction."""
        if len(chosen) == len(children) or Part(form, children) not in self.whole:
            return self._of(form, children, tuple(chosen))
        inner = self.whole[Part(form, children)]
        assert inner.within is not None
        place = {operand: k for k, operand in enumerate(inner.order)}
        found = self._of(*inner.within, tuple(sorted(inner.order[k] for k in chosen)))
        number = {inner.number[letter]: own for letter, own in found.number.items()}
        return Found(found.part, number, [place[k] for k in found.order], None)

    def _of(self, form: Contraction, children: tuple[int, ...], chosen: tuple[int, ...]) -> Found:
        key = (form, children, chosen)
        if key not in self.known:
            found = self.known[key] = Found(*self._arranged(form, children, chosen), (form, children))
            self.whole.setdefault(found.part, found)
        return self.known[key]

    def _arranged(
        self, form: Contraction, children: tuple[int, ...], chosen: tuple[int, ...]
    ) -> tuple[Part, dict[int, int], list[int]]:
        """The part with what the other operands and the result need of its letters, at the expense of its own size."""
        if form not in self.holders:
            holders: list[set[int]] = [set() for _ in form.extents]
            for k, own_letters in enumerate(form.input_letters):
                for n in own_letters:
                    holders[n].add(k)
            self.holders[form] = holders
        inside = set(chosen)
        letters = list(dict.fromkeys(n for k in chosen for n in form.input_letters[k]))
        own = {n: k for k, n in enumerate(letters)}
        inputs = tuple(tuple(tuple(own[n] for n in axis) for axis in form.inputs[k]) for k in chosen)
        output = form.output_letters
        kept = tuple((own[n],) for n in letters if n in output or not self.holders[form][n] <= inside)
        operands = [children[k] for k in chosen]
        symmetric = [len(axes) == 2 and self.is_symmetric(c) for axes, c in zip(inputs, operands)]
        whole = Contraction(inputs, kept, tuple(form.extents[n] for n in letters))
        order, made, number = arranged(whole, operands, symmetric, free_output=True)
        part = Part(made, tuple(operands[k] for k in order))
        return part, {letters[n]: new for n, new in number.items()}, [chosen[k] for k in order]


@dataclass(frozen=True, slots=True)
class Found:
    """A part of a contraction.

    Attributes
    ----------
    number
        The letters of the part by those of the contraction.
    order
        Which operands of the contraction it has, in its own order.
    within
        The contraction, where it is kept.
    """

    part: Part
    number: dict[int, int]
    order: list[int]
    within: tuple[Contraction, tuple[int, ...]] | None


class TooMany(Exception):
    """A contraction has more groups of operands than are looked at."""


def splits(form: Contraction, most: int) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Both sides of every last step: operands in two groups, each of which hangs together.

    Operands that share no letter are combined last.

    Raises
    ------
    TooMany
        Where there are too many groups to look at all, or may be more than `most` splits.
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
    if groups is None or count > 2 and len(groups) > 2 * most:
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


def tree(form: Contraction, sizes: Callable[[DimLike], int]) -> Tree:
    """One good order of a contraction of many operands, as pairs of pairs: the best of a product of matrices, a path
    that opt_einsum finds otherwise."""
    return _tree(form, tuple(map(sizes, form.extents)))


@lru_cache(REMEMBERED)
def _tree(form: Contraction, extents: tuple[int, ...]) -> Tree:
    chain = chain_of(form, range(len(form.inputs)))
    if chain is not None and not chain.scalars and all(f.kind == MATRIX for f in chain.factors):
        rows = [form.inputs[f.child][1 if f.turned else 0] for f in chain.factors]
        sides = [prod(extents[n] for n in axis) for axis in [*rows, form.output[1]]]
        return _renumbered(best_order(sides), [f.child for f in chain.factors])
    import opt_einsum

    inputs = [frozenset(n for axis in axes for n in axis) for axes in form.inputs]
    path = opt_einsum.paths.auto(inputs, frozenset(form.output_letters), dict(enumerate(extents)))
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
