"""How the entries of a view lie in memory: what is read in order, and what from all over.

An axis of a view is a tuple of atoms, which are stretches of the axes of the array that it is a view of. An atom is a
place (atoms are in memory in the order of their places, the last one beside itself) and a size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tpc.ir.dims import DimLike, divide_exactly
from tpc.ir.node import Node
from tpc.passes.choose.prices import Sizes

LINE = 8  # numbers that are read from memory at one time
NEAR = 512  # lines that stay in the cache until they are read again
VIEWS = ("transpose", "permute", "reshape")


@dataclass(frozen=True, slots=True)
class Atom:
    place: tuple[int, ...]
    size: DimLike


Axis = tuple[Atom, ...]


def whole(dims: Sequence[DimLike]) -> list[Axis]:
    """The axes of an array as it lies in memory."""
    return [(Atom((k,), dim),) for k, dim in enumerate(dims)]


def seen(axes: Sequence[Axis], node: Node) -> list[Axis] | None:
    """The axes after one of `VIEWS`; None where it copies, or where it is not known how axes become others."""
    match node.op.name:
        case "permute":
            return [axes[k] for k in node["axes"]]
        case "transpose":
            return [*axes[:-2], axes[-1], axes[-2]]
        case "reshape":
            order = [atom for axis in axes for atom in axis if atom.size != 1]
            found = _regrouped(axes, node.tensor.dims)
            return whole(node.tensor.dims) if found is None and order == in_memory(axes) else found
    return None


def _regrouped(axes: Sequence[Axis], dims: Sequence[DimLike]) -> list[Axis] | None:
    left, wanted = [axis for axis in axes if size(axis) != 1], list(dims)
    found: list[Axis] = []
    while wanted:
        if wanted[0] == 1:
            found.append((Atom((), wanted.pop(0)),))
        elif not left:
            return None
        elif size(left[0]) == wanted[0]:
            found.append(left.pop(0))
            wanted.pop(0)
        elif (rest := divide_exactly(size(left[0]), wanted[0])) is not None and len(left[0]) == 1:
            (atom,) = left.pop(0)
            found.append((Atom((*atom.place, 0), wanted.pop(0)),))
            left.insert(0, (Atom((*atom.place, 1), rest),))
        elif len(left) > 1 and divide_exactly(wanted[0], size(left[0])) is not None:
            joined = (*left.pop(0), *left.pop(0))
            left.insert(0, joined)
            if _is_apart(joined, [*found, *left]):  # some of them may have been split
                return None
        else:
            return None
    return found


def size(axis: Axis) -> DimLike:
    """How many numbers an axis has."""
    total: DimLike = 1
    for atom in axis:
        total = total * atom.size
    return total


def in_memory(axes: Sequence[Axis]) -> list[Atom]:
    """All atoms but those of size 1, in the order in which they lie in memory."""
    return sorted((atom for axis in axes for atom in axis if atom.size != 1), key=lambda atom: atom.place)


def _is_apart(axis: Axis, axes: Sequence[Axis]) -> bool:
    """Whether atoms of one axis do not follow each other in memory."""
    order = in_memory(axes)
    places = [order.index(atom) for atom in axis]
    return places != list(range(places[0], places[0] + len(places)))


def scattered(axes: Sequence[Axis]) -> int:
    """In stretches of how many numbers a view is read that has to be fetched from all over; 0 where lines of memory
    are used up before they are gone from the cache."""
    stretch = _stretch(axes)
    run, memory = _numbers(stretch), in_memory(axes)[: -len(stretch) or None]
    if run >= LINE or not memory:
        return 0
    order = [atom for axis in axes for atom in axis]
    between = order[order.index(memory[-1]) + 1 : len(order) - len(stretch)]
    return run if _numbers(between) > NEAR else 0


def run(axes: Sequence[Axis]) -> int:
    """How many numbers lie beside each other of those that follow each other in a view."""
    return _numbers(_stretch(axes))


def _stretch(axes: Sequence[Axis]) -> list[Atom]:
    """The last atoms of a view that are the last ones in memory, too."""
    memory, order = in_memory(axes), [atom for axis in axes for atom in axis if atom.size != 1]
    count = 0
    while count < len(order) and memory[-1 - count :] == order[-1 - count :]:
        count += 1
    return order[len(order) - count :]


def _numbers(atoms: Sequence[Atom]) -> int:
    return Sizes({}).product(atom.size for atom in atoms)


def view_of(node: Node) -> list[Axis]:
    """The axes of a value, over what it is a view of."""
    chain = [node]
    while chain[-1].op.name in VIEWS:
        chain.append(chain[-1].args[0])
    axes = whole(chain.pop().tensor.dims)
    for view in reversed(chain):
        axes = seen(axes, view) or whole(view.tensor.dims)
    return axes


def is_in_order(axes: Sequence[Axis]) -> bool:
    """Whether rows or columns of the matrices of a batch lie in memory number by number."""
    memory = in_memory(axes)
    return not memory or any(axis and axis[-1] == memory[-1] for axis in axes[-2:])
