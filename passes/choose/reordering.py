"""Rows of products in an order in which what reads the product next needs no copy of it.

An axis that is made of several, such as the j and s of A[k, (j s), b], may be needed apart, as k and s together for
each j: that is a copy, as they do not lie beside each other. Of A[k, (s j), b] it is a view. Rows are in the order of
those of the first factor, which costs less to reorder than the product.

Of A[(b c), (i r)], a product A = P @ Q, it may be (b i) and (r c) that are needed. That is a view of the batch of
products Q' @ P[b]', whose axes are b, (i r) and c. In which order axes are that the next product sums over, r and c
here, is free: its other factor follows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import permutations

from tpc.ir.build import make
from tpc.ir.dims import DimLike
from tpc.ir.node import Node, topological
from tpc.ir.notes import follow
from tpc.ir.rewrite import rebuilt
from tpc.passes import layout
from tpc.passes.choose.arrange import permuted, reshaped
from tpc.passes.choose.prices import Sizes

MOST = 4  # parts of an axis
LEAST = 16  # rows and columns of the products of a batch
SMALLER = 4  # how many times smaller a factor has to be than the copy that is saved


def reordered(outputs: Sequence[Node]) -> list[Node]:
    """The values with rows, or columns, of batches of products in the order that suits what reads them."""
    order = topological(outputs)
    uses = Counter(a for node in order for a in node.args)
    uses.update(outputs)
    size = Sizes({})
    done: dict[Node, Node] = {}
    for node in order:
        args = [done[a] for a in node.args]
        found = node if args == list(node.args) else rebuilt(node.op, args, node.attributes, node.type)
        uses[found] = uses[node]
        if node.op.name == "reshape":
            found = _without_copy(found, uses, size) or found
        elif node.op.name == "matmul":
            found = _summed_in_order(found, uses, size) or found
        if found is not node:
            follow(node, found)
        done[node] = found
    return [done[node] for node in outputs]


def _without_copy(node: Node, uses: Mapping[Node, int], size: Sizes) -> Node | None:
    """A reshape that copies a product which nothing else reads, as a view of another one; None where there is none."""
    chain = [node.args[0]]
    while chain[-1].op.name in layout.VIEWS and uses.get(chain[-1]) == 1:
        chain.append(chain[-1].args[0])
    product = chain.pop()
    if product.op.name != "matmul" or uses.get(product) != 1:
        return None
    axes: list[layout.Axis] | None = layout.whole(product.tensor.dims)
    for view in reversed(chain):
        axes = layout.seen(axes, view) if axes is not None else None
    if axes is None or layout.seen(axes, node) is not None:
        return None
    if product.tensor.rank == 2:
        return _as_batch(node, product, axes, size)
    for side, factor in enumerate(product.args):
        if SMALLER * size.product(factor.tensor.dims) <= size.product(node.tensor.dims):
            found = _in_order(node, product, axes, side)
            if found is not None:
                return found
    return None


def _summed_in_order(product: Node, uses: Mapping[Node, int], size: Sizes) -> Node | None:
    """A product of two matrices of which one is such a copy, summed over axes in another order."""
    if product.tensor.rank != 2:
        return None
    for side, node in enumerate(product.args):
        other = product.args[1 - side]
        is_small = SMALLER * size.product(other.tensor.dims) <= size.product(node.tensor.dims)
        if not is_small or node.op.name != "reshape" or node.args[0].op.name not in layout.VIEWS:
            continue
        if uses.get(node) != 1 or uses.get(node.args[0]) != 1 or node.tensor.rank != 2:
            continue
        array = node.args[0]
        dims = array.tensor.dims
        first = _leading(dims, node.tensor.dims[0])
        kept, summed = (range(first), range(first, len(dims)))[:: 1 - 2 * side]
        if len(summed) > MOST:
            continue
        wide = tuple(node.tensor.dims[:: 1 - 2 * side])
        for order in permutations(range(len(summed))):
            moved = make("reshape", (permuted(array, [*kept, *(summed[k] for k in order)]),), dims=wide)
            found = _without_copy(moved, {**uses, moved.args[0]: 1}, size)
            if found is None:
                continue
            follows = _moved(other, side, [dims[k] for k in summed], order)
            if side == 0:
                return make("matmul", (found, follows))
            return make("transpose", (make("matmul", (found, make("transpose", (follows,)))),))
    return None


def _leading(dims: Sequence[DimLike], wanted: DimLike) -> int:
    """How many of the first axes are together as long as wanted."""
    total: DimLike = 1
    for count, dim in enumerate(dims):
        if total == wanted:
            return count
        total = total * dim
    return len(dims)


def _in_order(node: Node, product: Node, axes: Sequence[layout.Axis], side: int) -> Node | None:
    """The reshape as a view of the product with its rows (side 0) or columns reordered; None where no order helps."""
    rank = product.tensor.rank
    along = rank - 2 + side
    atoms = layout.in_memory(axes)
    parts = [atom for atom in atoms if atom.place[0] == along]
    if not 1 < len(parts) <= MOST or product.args[side].tensor.rank != rank:
        return None
    for order in permutations(range(len(parts))):
        places = {parts[k]: layout.Atom((along, n), parts[k].size) for n, k in enumerate(order)}
        moved = [tuple(places.get(atom, atom) for atom in axis) for axis in axes]
        if layout.seen(moved, node) is None:
            continue
        factor = _moved(product.args[side], along, [part.size for part in parts], order)
        factors = (factor, product.args[1]) if side == 0 else (product.args[0], factor)
        return _viewed(make("matmul", factors), moved, node)
    return None


def _as_batch(node: Node, product: Node, axes: Sequence[layout.Axis], size: Sizes) -> Node | None:
    """The reshape as a view of a batch of transposed products, one for each of the first parts of the rows."""
    left, right = product.args
    atoms = layout.in_memory(axes)
    rows, columns = ([atom for atom in atoms if atom.place[0] == k] for k in (0, 1))
    width = right.tensor.dims[1]
    if len(columns) > MOST or SMALLER * size.product(right.tensor.dims) > size.product(node.tensor.dims):
        return None
    for count in range(1, len(rows)):
        lead, rest = (layout.size(tuple(part)) for part in (rows[:count], rows[count:]))
        if min(size(rest), size(width)) < LEAST:
            return None
        for order in permutations(range(len(columns))):
            places = {atom: (0 if n < count else 2, n) for n, atom in enumerate(rows)}
            places |= {columns[k]: (1, n) for n, k in enumerate(order)}
            moved = [tuple(layout.Atom(places.get(a, a.place), a.size) for a in axis) for axis in axes]
            if layout.seen(moved, node) is None:
                continue
            batch = make("reshape", (left,), dims=(lead, rest, left.tensor.dims[1]))
            factor = _moved(right, 1, [atom.size for atom in columns], order)
            return _viewed(make("matmul", (make("transpose", (factor,)), make("transpose", (batch,)))), moved, node)
    return None


def _viewed(product: Node, axes: Sequence[layout.Axis], node: Node) -> Node:
    """A reshape of a product, with atoms for axes, as it is given."""
    memory = layout.in_memory(axes)
    whole = make("reshape", (product,), dims=tuple(atom.size for atom in memory))
    flat = [atom for axis in axes for atom in axis if atom.size != 1]
    return make("reshape", (permuted(whole, [memory.index(atom) for atom in flat]),), dims=node.tensor.dims)


def _moved(array: Node, axis: int, sizes: Sequence[DimLike], order: Sequence[int]) -> Node:
    """The array with the parts of an axis in another order."""
    if list(order) == sorted(order):
        return array
    dims, rank = array.tensor.dims, array.tensor.rank
    if array.op.name == "transpose" and axis >= rank - 2:
        return make("transpose", (_moved(array.args[0], 2 * rank - 3 - axis, sizes, order),))
    apart = reshaped(array, (*dims[:axis], *sizes, *dims[axis + 1 :]))
    places = [*range(axis), *(axis + k for k in order), *range(axis + len(sizes), apart.tensor.rank)]
    if apart.op.name == "permute":
        apart, places = apart.args[0], [apart["axes"][k] for k in places]
    return reshaped(permuted(apart, places), dims)
