"""Products with a matrix that is written out of others, without making it.

    (A + B) @ v     A @ v + B @ v
    (A @ B) @ v     A @ (B @ v)             of square matrices, and where that reads fewer entries than A @ B has
    kron(A, B) @ v  vec(A @ V @ B')         v = vec(V)
    diag(d) @ v     d * v
    inv(A) @ v      A \\ v
    W @ v           sum[j](W[i, j] * v[j])  where index notation says W, so that v stands inside of its sums

A loop that multiplies by such a matrix in each pass then never holds it.
"""

from __future__ import annotations

from dataclasses import replace

from tpc.ir.build import index, make
from tpc.ir.dims import DimLike, is_nonnegative
from tpc.ir.formula import Access, Apply, Composed, Formula, LetterValue, Reduction, Scalar, walk
from tpc.ir.node import Node, Program
from tpc.ir.rewrite import everywhere
from tpc.passes.count import FILLED

SUMS = ("add", "sub")
OPEN = (*SUMS, *FILLED, "index", "neg", "mul", "div", "matmul", "transpose", "kron", "diag", "eye", "inv")


def is_open(node: Node) -> bool:
    """Whether a matrix is written out of others."""
    if node.op.name not in OPEN or node.tensor.rank != 2:
        return False
    match node.op.name:
        case "mul" | "div":
            return scaled(node) is not None
        case "diag":
            return node.args[0].tensor.rank == 1
        case op if op in SUMS:
            return all(a.tensor.dims == node.tensor.dims for a in node.args)
        case "index":
            return all(node["formula"].axes)
    return True


def leaves(node: Node) -> list[Node]:
    """What an open matrix is written out of."""
    found: dict[Node, None] = {}
    stack = [node]
    while stack:
        part = stack.pop()
        if part.tensor.rank == 2 and is_open(part):
            stack += reversed(part.args)
        elif part.args or part.op.name == "input":
            found[part] = None
    return list(found)


def distributed(program: Program, wide: bool = False) -> Program:
    """The program with the products of open matrices and vectors taken apart, in loops as well; also those with blocks
    of a few vectors or, if they may be `wide`, of many."""

    def change(node: Node) -> Node:
        if node.op.name == "matvec":
            return product(*node.args)
        if node.op.name == "matmul" and is_open(node.args[0]) and node.tensor.rank == 2:
            return product(*node.args) if wide or _is_thin(node.args[1]) else node
        return node

    return everywhere(program, change)


def product(A: Node, v: Node) -> Node:
    """A @ v for a vector or matrix v, by products with what A is written out of."""
    if not is_open(A):
        return _times(A, v)
    args = A.args
    match A.op.name:
        case "add" | "sub":
            return make(A.op, [product(a, v) for a in args])
        case "neg":
            return make("neg", (product(args[0], v),))
        case "mul" | "div":
            parts = scaled(A)
            assert parts is not None
            matrix, scalar = parts
            return make(A.op, (product(matrix, v), scalar))
        case "index" if v.tensor.rank == 1:
            return _under_sums(A, v)
        case "eye":
            return v if A.tensor.dims[0] == A.tensor.dims[1] else _times(A, v)
        case "diag":
            (d,) = args
            return make("mul", (d, v)) if v.tensor.rank == 1 else make("mul", (_column(d), v))
        case "inv":
            return make("solve", (args[0], v))
        case "kron":
            return _of_kron(args[0], args[1], v)
        case "transpose" if (turned := _transposed(args[0])) is not None:
            return product(turned, v)
        case "matmul" if _pays(args[0], args[1]):
            return product(args[0], product(args[1], v))
    return _times(A, v)


def _of_kron(left: Node, right: Node, v: Node) -> Node:
    (m, n), (p, q) = left.tensor.dims, right.tensor.dims
    columns = v.tensor.dims[1:]
    if not columns:
        outer = product(right, make("transpose", (product(left, make("reshape", (v,), dims=(n, q))),)))
        return make("reshape", (make("transpose", (outer,)),), dims=(m * p,))
    (k,) = columns
    inner = product(left, make("reshape", (v,), dims=(n, q * k)))
    turned = make("permute", (make("reshape", (inner,), dims=(m, q, k)),), axes=(1, 0, 2))
    outer = product(right, make("reshape", (turned,), dims=(q, m * k)))
    back = make("permute", (make("reshape", (outer,), dims=(p, m, k)),), axes=(1, 0, 2))
    return make("reshape", (back,), dims=(m * p, k))


def _under_sums(W: Node, v: Node) -> Node:
    """W @ v for a matrix that index notation says, a term of it at a time."""
    formula: Formula = W["formula"]
    rows, columns = formula.axes
    place: Scalar | Composed = LetterValue(columns[0]) if len(columns) == 1 else Composed(columns)
    entry = Access(len(W.args), (place,))
    total: Node | None = None
    for term in _terms(formula.body):
        body = Reduction("sum", columns, None, Apply("mul", (term, entry)))
        needed = {*rows, *(letter for part in walk(body) if isinstance(part, Reduction) for letter in part.letters)}
        extents = tuple(pair for pair in formula.extents if pair[0] in needed)
        found = index(Formula((rows,), extents, body), [*W.args, v])
        total = found if total is None else make("add", (total, found))
    assert total is not None
    return total


def _terms(body: Scalar) -> list[Scalar]:
    match body:
        case Apply(function="add", arguments=(left, right)):
            return [*_terms(left), *_terms(right)]
        case Apply(function="sub", arguments=(left, right)):
            return [*_terms(left), *(Apply("neg", (term,)) for term in _terms(right))]
    return [body]


def _times(A: Node, v: Node) -> Node:
    return make("matvec" if v.tensor.rank == 1 else "matmul", (A, v))


def _transposed(A: Node) -> Node | None:
    """A' by the transposes of what A is written out of; None where there is nothing to take apart."""
    args = A.args
    match A.op.name:
        case "add" | "sub":
            return make(A.op, [_turned(a) for a in args])
        case "neg" | "inv":
            return make(A.op, (_turned(args[0]),))
        case "mul" | "div" if (parts := scaled(A)) is not None:
            return make(A.op, (_turned(parts[0]), parts[1]))
        case "matmul":
            return make("matmul", (_turned(args[1]), _turned(args[0])))
        case "kron":
            return make("kron", (_turned(args[0]), _turned(args[1])))
        case "diag":
            return A
        case "index":
            formula = A["formula"]
            return index(replace(formula, axes=formula.axes[::-1]), args)
        case "eye" if A.tensor.dims[0] == A.tensor.dims[1]:
            return A
    return None


def _turned(A: Node) -> Node:
    found = _transposed(A) if is_open(A) else None
    return make("transpose", (A,)) if found is None else found


def scaled(node: Node) -> tuple[Node, Node] | None:
    """A matrix and the scalar that it is multiplied with or divided by."""
    first, second = node.args
    if second.tensor.rank == 0 and first.tensor.dims == node.tensor.dims:
        return first, second
    if node.op.name == "mul" and first.tensor.rank == 0 and second.tensor.dims == node.tensor.dims:
        return second, first
    return None


def _column(d: Node) -> Node:
    return make("reshape", (d,), dims=(*d.tensor.dims, 1))


def _is_thin(v: Node) -> bool:
    """Whether a block of vectors has few of them; of open sizes, nothing is said."""
    columns = v.tensor.dims[-1]
    return isinstance(columns, int) and columns <= 8


def _pays(A: Node, B: Node) -> bool:
    """Whether two products read no more than one with the matrix made has, or may do so.

    To make it of square matrices takes as long as reading them in as many steps as they have rows.
    """
    (n, k), (_, m) = A.tensor.dims, B.tensor.dims
    more: DimLike = k * (n + m) - n * m - 1
    return n == k == m or not is_nonnegative(more)
