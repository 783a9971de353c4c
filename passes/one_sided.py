"""Factorizations of which one side alone is read, without the other.

A long matrix is A = Q @ R with an R of few rows: its singular values, and its singular vectors on the short side, are
those of R (T. Chan 1982, An improved algorithm for computing the singular value decomposition). LAPACK goes this way
itself, from a ratio of 11 to 6 on, and then makes Q and multiplies it, which is most of its work. So

    Q, R = qr(A)       with R alone         is qr_triangle(A)
    U, s, V = svd(A)   without U, A tall    is svd(qr_triangle(A)), and likewise of A' where A is wide

Vectors of the long side that are only read times their values are products with A: U @ diag(s) is A @ V', diag(s) @ V
is U' @ A. Either way errors are of the size of those of the largest value.

Signs of vectors stay those of the whole factorization, which may be made elsewhere: in another branch, in the loop of a
derivative that goes backwards, in a function of its own. So matrices are reduced only where all of their sizes are as
long as those that LAPACK takes this way, and wide ones as the backends take them, by their transposes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tpc.ir.build import items, make
from tpc.ir.dims import is_nonnegative
from tpc.ir.node import Node, Program
from tpc.ir.notes import follow
from tpc.ir.ops.structure import ITEM, SUBSCRIPT, Range
from tpc.ir.rewrite import map_blocks, replace, rewrite, values, with_values
from tpc.ir.types import BF16, F16

LONG = 2  # times the short side of a matrix, from which on LAPACK reduces it to a triangle first

Users = Mapping[Node, Sequence[Node]]


def one_sided(program: Program, is_lapack: bool = True) -> Program:
    """The program, those of its loops and branches included, with no side of a factorization that nothing reads.

    Parameters
    ----------
    is_lapack
        Whether singular vectors are always made by LAPACK; a library for other devices may give them other signs.
    """
    roots = rewrite(values(program), lambda node: map_blocks(node, lambda inner: one_sided(inner, is_lapack)))
    for change in (_products, _halves) if is_lapack else (_triangles,):
        roots = replace(roots, change(*_read(roots)))
    return with_values(program, roots)


def _read(roots: Sequence[Node]) -> tuple[Sequence[Node], Users]:
    """The nodes of a program, and what reads each; a result is read by itself."""
    nodes = Program("read", (), roots).nodes
    users: dict[Node, list[Node]] = {root: [root] for root in roots}
    for node in nodes:
        for operand in node.args:
            users.setdefault(operand, []).append(node)
    return nodes, users


def _long_side(node: Node) -> int | None:
    """The position of the singular vectors of the long side; None if it may be short, or steps would round between."""
    *_, rows, columns = node.args[0].tensor.dims
    if node.args[0].tensor.dtype in (F16, BF16) or rows == columns:
        return None
    if is_nonnegative(rows - LONG * columns):
        return 0
    return 2 if is_nonnegative(columns - LONG * rows) else None


def _take(found: dict[Node, Node], more: Mapping[Node, Node]) -> None:
    """Add what nodes become, which may be made of nodes that change as well, and hand on their names."""
    for node, changed in zip(more, replace([*more.values()], found), strict=True):
        found[node] = changed
        follow(node, changed)


def _turned(matrix: Node) -> Node:
    return make("adjoint" if matrix.tensor.dtype.kind == "c" else "transpose", (matrix,))


# ---- multiples of vectors


def _products(nodes: Sequence[Node], users: Users) -> dict[Node, Node]:
    """Vectors of the long side times their values as products with the matrix, where they are read in no other way."""
    found: dict[Node, Node] = {}
    for vectors in nodes:
        if vectors.op is not ITEM or vectors.args[0].op.name != "svd" or vectors.tensor.rank != 2:
            continue
        if vectors["position"] == _long_side(vectors.args[0]):
            _take(found, _of_vectors(vectors, users))
    return found


def _of_vectors(vectors: Node, users: Users) -> dict[Node, Node]:
    """All multiples of vectors as products; nothing if they are read otherwise."""
    axis = 0 if vectors["position"] else 1  # that counts vectors
    found: dict[Node, Node] = {}
    for user in users[vectors]:
        part, kept, readers = vectors, Range(0, vectors.tensor.dims[axis], 1), [user]
        if user.op is SUBSCRIPT and user.args == (vectors,):
            part, kept, readers = user, user["items"][axis], [*users[user]]
        multiples = (
            _multiples(part, vectors.args[0], kept, axis) if isinstance(kept, Range) and part.tensor.rank == 2 else {}
        )
        if any(reader not in multiples for reader in readers):
            return {}
        found |= {reader: multiples[reader] for reader in readers}
    return found


def _multiples(part: Node, node: Node, kept: Range, axis: int) -> dict[Node, Node]:
    """The spellings of some vectors of the long side times their values, and of these times the vectors of the other
    side, each with the product that it is."""
    (A,), (U, s, V) = node.args, items(node)
    row = make(SUBSCRIPT, (s,), items=(kept,))
    column = make("unsqueeze", (row,), axis=1)
    if axis == 0:
        short = make(SUBSCRIPT, (U,), items=(Range(0, U.tensor.dims[0], 1), kept))
        product, scale, other = make("matmul", (_turned(short), A)), column, row
    else:
        short = make(SUBSCRIPT, (V,), items=(kept, Range(0, V.tensor.dims[1], 1)))
        product, scale, other = make("matmul", (A, _turned(short))), row, column
    order = 1 if axis == 0 else -1
    whole = make("matmul", (short, product)[::order])
    found = dict.fromkeys(_scaled(part, scale), product)
    found |= {make("matmul", (x, part)[::order]): whole for x in _scaled(short, other)}
    return {spelling: changed for spelling, changed in found.items() if spelling.type is changed.type}


def _scaled(vectors: Node, scale: Node) -> list[Node]:
    return [make("mul", (vectors, scale)), make("mul", (scale, vectors))]


# ---- what is left of a factorization


def _halves(nodes: Sequence[Node], users: Users) -> dict[Node, Node]:
    """The sides that are read of factorizations that are not read whole, as what they are by themselves."""
    found = _triangles(nodes, users)
    for node in nodes:
        read = _read_of(node, users)
        if node.op.name == "svd" and read.keys() & {0, 2}:
            long = _long_side(node)
            half = _of_triangle(node.args[0], long) if long is not None and long not in read else []
            if half and all(half[position].type is item.type for position, item in read.items()):
                _take(found, {item: half[position] for position, item in read.items()})
    return found


def _triangles(nodes: Sequence[Node], users: Users) -> dict[Node, Node]:
    """Triangles that are read without the other factor."""
    found: dict[Node, Node] = {}
    for node in nodes:
        read = _read_of(node, users)
        triangle = make("qr_triangle", node.args) if node.op.name == "qr" and list(read) == [1] else None
        if triangle is not None and triangle.type is read[1].type:
            _take(found, {read[1]: triangle})
    return found


def _read_of(node: Node, users: Users) -> dict[int, Node]:
    """The results of a factorization that are read, by position."""
    return {user["position"]: user for user in users.get(node, ()) if user.op is ITEM}


def _of_triangle(A: Node, long: int) -> list[Node]:
    """The singular values and vectors of a matrix, but for the vectors of the long side, which are others."""
    if long == 0:
        return items(make("svd", (make("qr_triangle", (A,)),)))
    U, s, V = items(make("svd", (make("qr_triangle", (_turned(A),)),)))
    return [_turned(V), s, _turned(U)]
