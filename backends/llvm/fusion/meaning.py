"""Nodes as statements over their operands: by formula, or by hand for the ops that move entries and have none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tpc.backends.llvm.fusion import places
from tpc.backends.llvm.fusion.statement import Loop
from tpc.backends.llvm.fusion.terms import (
    INSIDE,
    MASKED,
    Term,
    call,
    cast,
    letter,
    load,
    number,
    size,
)
from tpc.backends.llvm.fusion.translation import Translation, Untranslatable, number_or_size, reduced
from tpc.ir.dims import DimLike, product
from tpc.ir.node import Node
from tpc.ir.ops.indexing import checked_axes
from tpc.ir.types import BOOL, I64


class Meaning:
    """What a node is at given indices, in terms of loads of its operands."""

    def __init__(self, node: Node) -> None:
        self.node = node
        by_hand = BY_HAND.get(node.op.name)
        if by_hand is None:
            formula = node.op.formula([a.tensor for a in node.args], dict(node.attributes))
            if formula is not None:
                self.axes = formula.axes
                self.letters: tuple[Loop, ...] = tuple((n, formula.extent[n]) for n in formula.letters)
                self._at: Callable[[Mapping[str, Term]], Term] = Translation(formula, node.args).at
                return
            by_hand = WITHOUT_FORMULA.get(node.op.name)
        if by_hand is None:
            raise Untranslatable(f"`{node.op.name}` has no formula")
        dims = node.tensor.dims
        names = _LETTERS[: len(dims)]
        self.axes = tuple((n,) for n in names)
        self.letters = tuple(zip(names, dims, strict=True))
        self._at = _at_indices(by_hand, node, names)

    @property
    def place(self) -> Term:
        """Where the entry of the letters lies in the value's buffer."""
        return places.composed([letter(n) for n, _ in self.letters], [extent for _, extent in self.letters])

    def at_letters(self) -> Term:
        return self._typed({name: letter(name) for name, _ in self.letters})

    def at(self, indices: Sequence[Term], extents: Mapping[str, DimLike]) -> Term | None:
        """The entry at indices over letters of these extents; None where the letters of an axis are not to be told."""
        values: dict[str, Term] = {}
        for axis, index in zip(self.axes, indices, strict=True):
            if len(axis) == 1:
                values[axis[0]] = index
            elif axis:
                found = self._split(axis, index, extents)
                if found is None:
                    return None
                values.update(found)
        return self._typed(values)

    def _typed(self, values: Mapping[str, Term]) -> Term:
        return cast(self._at(values), self.node.tensor.dtype)

    def _split(self, axis: Sequence[str], index: Term, extents: Mapping[str, DimLike]) -> dict[str, Term] | None:
        """The letters of a composed axis, if the index is composed of letters with the same extents."""
        if index.kind != "place" or index.arguments or index.data[0] != 0 or len(index.data[1]) != len(axis):
            return None
        own = dict(self.letters)
        found: dict[str, Term] = {}
        for position, name in enumerate(axis):
            step = product(own[n] for n in axis[position + 1 :])
            match = [n for n, s in index.data[1] if s == step and extents.get(n) == own[name]]
            if len(match) != 1:
                return None
            found[name] = letter(match[0])
        return found


def _at_indices(
    by_hand: Callable[[Node, Sequence[Term]], Term], node: Node, names: str
) -> Callable[[Mapping[str, Term]], Term]:
    return lambda at: by_hand(node, [at[n] for n in names])


_LETTERS = "ijlmnopqrstuvw"


def _entry(node: Node, at: Sequence[Term], mode: str = INSIDE) -> Term:
    value = number_or_size(node)
    return load(node, node.tensor.dtype, at, mode) if value is None else value


# ---- ops without a formula


def _cast(node: Node, at: Sequence[Term]) -> Term:
    (x,) = node.args
    entry = _entry(x, at)
    if node["dtype"] is BOOL and x.tensor.dtype is not BOOL:
        return call("ne", BOOL, entry, number(0, x.tensor.dtype))
    return cast(entry, node["dtype"])


def _reshape(node: Node, at: Sequence[Term]) -> Term:
    (x,) = node.args
    return load(x, x.tensor.dtype, [places.composed(at, node.tensor.dims)])


def _concat(node: Node, at: Sequence[Term]) -> Term:
    axis = node["axis"] % node.tensor.rank
    start: DimLike = 0
    total: Term | None = None
    for x in node.args:
        indices = list(at)
        indices[axis] = places.index(call("sub", I64, cast(at[axis], I64), cast(size(start), I64)))
        entry = cast(_entry(x, indices, MASKED), node.tensor.dtype)
        here = call("ge", BOOL, cast(at[axis], I64), cast(size(start), I64))
        total = entry if total is None else call("select", node.tensor.dtype, here, entry, total)
        start = start + x.tensor.dims[axis]
    assert total is not None
    return total


def _stack(node: Node, at: Sequence[Term]) -> Term:
    axis = node["axis"] % node.tensor.rank
    indices = [t for n, t in enumerate(at) if n != axis]
    total: Term | None = None
    for position, x in enumerate(node.args):
        entry = cast(_entry(x, indices), node.tensor.dtype)
        here = call("eq", BOOL, cast(at[axis], I64), number(position, I64))
        total = entry if total is None else call("select", node.tensor.dtype, here, entry, total)
    assert total is not None
    return total


def _part(node: Node, at: Sequence[Term]) -> Term:
    (split,) = node.args
    if split.op.name != "split":
        raise Untranslatable(f"`{split.op.name}` has no formula")
    (x,) = split.args
    axis = split["axis"] % x.tensor.rank
    indices = list(at)
    start = node["position"] * node.tensor.dims[axis]
    indices[axis] = places.index(call("add", I64, cast(at[axis], I64), cast(size(start), I64)))
    return _entry(x, indices)


def _reduction(node: Node, at: Sequence[Term]) -> Term:
    """Reductions over all axes to a position, and over no axes."""
    (x,) = node.args
    axes = checked_axes(node.op.name, node["axis"], x.tensor.rank)
    if not axes:
        return cast(_entry(x, at), node.tensor.dtype)
    letters = [(f"k{n}.{node.op.name}", d) for n, d in enumerate(x.tensor.dims)]
    return reduced(node.op.name, letters, load(x, x.tensor.dtype, [letter(n) for n, _ in letters]))


BY_HAND: dict[str, Callable[[Node, Sequence[Term]], Term]] = {
    "cast": _cast,
    "concat": _concat,
    "stack": _stack,
    "item": _part,
}
WITHOUT_FORMULA: dict[str, Callable[[Node, Sequence[Term]], Term]] = {
    "reshape": _reshape,
    **dict.fromkeys(["argmax", "argmin", "sum", "prod", "mean", "any", "all", "logsumexp"], _reduction),
}
