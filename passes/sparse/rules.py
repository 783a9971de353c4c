"""What becomes of each op on sparse operands; None where these are to be dense."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tpc.ir.build import literal, literal_value, make, size
from tpc.ir.dims import product
from tpc.ir.node import Node
from tpc.ir.ops.sparse import KEEP_ZERO, TRUE_OF_NONZERO
from tpc.ir.ops.structure import SUBSCRIPT, At, Range
from tpc.ir.types import BF16, BOOL, F16, I64, as_float
from tpc.passes.sparse.lowering import Lowering
from tpc.passes.sparse.notation import spelled

Rule = Callable[[Lowering, Node, list[Node]], Node | None]


def _transpose(self: Lowering, node: Node, args: list[Node]) -> Node | None:
    (matrix,) = args
    if not self.is_sparse(matrix):
        return None
    if node.op.name == "adjoint" and matrix.tensor.dtype.kind == "c":
        matrix = self.sparse("csr_map", (matrix,), self.density[matrix], function="conj")
    return self.transposed(matrix)


def _neg(self: Lowering, node: Node, args: list[Node]) -> Node | None:
    return self.scaled(args[0], literal(-1)) if self.is_sparse(args[0]) else None


def _map(self: Lowering, node: Node, args: list[Node]) -> Node | None:
    if not self.is_sparse(args[0]):
        return None
    return self.sparse("csr_map", args, self.density[args[0]], function=node.op.name)


def _is_not_zero(self: Lowering, node: Node, args: list[Node]) -> Node | None:
    matrix, other = args if self.is_sparse(args[0]) else args[::-1]
    if not self.is_sparse(matrix) or literal_value(other) != 0:
        return None
    return self.sparse("csr_map", (matrix,), self.density[matrix], function=TRUE_OF_NONZERO)


def _power(self: Lowering, node: Node, args: list[Node]) -> Node | None:
    """Small whole powers are products."""
    exponent = literal_value(args[1])
    if not self.is_sparse(args[0]) or exponent not in (2, 3, 4) or isinstance(exponent, complex):
        return None
    square = self.sparse("csr_map", args[:1], self.density[args[0]], function="square")
    if exponent == 2:
        return square
    return self.sparse("csr_mul", (square, args[0] if exponent == 3 else square), self.density[args[0]])


def _cast(self: Lowering, node: Node, args: list[Node]) -> Node | None:
    return self.as_type(args[0], node["dtype"]) if self.is_sparse(args[0]) else None


def _sum(self: Lowering, node: Node, args: list[Node]) -> Node | None:
    if not any(map(self.is_sparse, args)):
        return None
    first, second = (self.form(a) for a in node.args)
    if first is not None and second is not None and first.tensor.dims == second.tensor.dims:
        first, second = self.met(first, second)
        density = self.density[first] + self.density[second]
        return self.sparse("csr_add" if node.op.name == "add" else "csr_sub", (first, second), density)
    matrix, other = args if self.is_sparse(args[0]) else args[::-1]
    if other.tensor.dims != matrix.tensor.dims:
        return None
    if node.op.name == "sub" and matrix is args[0]:
        other = make("neg", (other,))
    elif node.op.name == "sub":
        matrix = self.scaled(matrix, literal(-1))
    return self.of_sparse("csr_plus_dense", self.met(matrix, other))


def _times(self: Lowering, node: Node, args: list[Node]) -> Node | None:
    if all(map(self.is_sparse, args)):
        density = min(self.density[a] for a in args)
        return self.sparse("csr_mul", self.met(*args), density) if _alike(args) else None
    if not any(map(self.is_sparse, args)):
        return None
    place = 0 if self.is_sparse(args[0]) else 1
    matrix, other = args[place], args[1 - place]
    if node.tensor.dims != matrix.tensor.dims:
        return None
    return self.products.sampled(matrix, node.args[1 - place]) or self.scaled(matrix, other)


def _selected(self: Lowering, node: Node, args: list[Node]) -> Node | None:
    """What a mask selects, and zero elsewhere, is a product with the mask."""
    mask, chosen, other = args
    if not self.is_sparse(mask) or literal_value(other) != 0 or chosen.tensor.dims != mask.tensor.dims:
        return None
    mask = self.as_type(mask, node.tensor.dtype)
    if self.is_sparse(chosen):
        return self.sparse("csr_mul", (mask, chosen), self.density[mask])
    return self.products.sampled(mask, node.args[1]) or self.scaled(mask, chosen)


def _alike(args: Sequence[Node]) -> bool:
    return args[0].tensor.dims == args[1].tensor.dims


def _quotient(self: Lowering, node: Node, args: list[Node]) -> Node | None:
    matrix, other = args
    if not self.is_sparse(matrix) or self.is_sparse(other) or node.tensor.dims != matrix.tensor.dims:
        return None
    dtype = node.tensor.dtype
    other = self.as_type(other, dtype) if other.tensor.rank else other
    return self.sparse("csr_div", (self.as_type(matrix, dtype), other), self.density[matrix])


def _axis(node: Node) -> object:
    """The axis of a reduction of a matrix, counted from the first; None for both."""
    axis = node["axis"]
    axis = axis[0] if isinstance(axis, tuple) and len(axis) == 1 else axis
    if isinstance(axis, tuple) and {a % 2 for a in axis} == {0, 1}:
        return None
    return axis % 2 if isinstance(axis, int) else axis


def _reduced(self: Lowering, node: Node, args: list[Node]) -> Node | None:
    axis = _axis(node)
    if not self.is_sparse(args[0]) or node["keepdims"] or axis not in (None, 0, 1):
        return None
    if args[0].tensor.dtype is BOOL:
        return None
    total = self.of_sparse("csr_sum", args, axis=axis)
    if node.op.name == "sum":
        return total
    count = args[0].tensor.dims[axis] if axis is not None else product(args[0].tensor.dims)
    return make("div", (total, size(count)))


def _extreme(self: Lowering, node: Node, args: list[Node]) -> Node | None:
    axis = _axis(node)
    if not self.is_sparse(args[0]) or node["keepdims"] or axis not in (None, 0, 1) or args[0].tensor.dtype is BOOL:
        return None
    return self.of_sparse(f"csr_{node.op.name}", args, axis=axis)


def _counted(self: Lowering, node: Node, args: list[Node]) -> Node | None:
    """Whether some entries are true, or all: by how many are."""
    (mask,) = args
    axis = _axis(node)
    if not self.is_sparse(mask) or mask.tensor.dtype is not BOOL or node["keepdims"] or axis not in (None, 0, 1):
        return None
    count = self.of_sparse("csr_sum", (self.as_type(mask, I64),), axis=axis)
    if node.op.name == "any":
        return make("ne", (count, literal(0)))
    return make("eq", (count, size(mask.tensor.dims[axis] if axis is not None else product(mask.tensor.dims))))


def _norm(self: Lowering, node: Node, args: list[Node]) -> Node | None:
    (matrix,) = args
    if not self.is_sparse(matrix) or node["ord"] != "fro" or node["axis"] is not None or node["keepdims"]:
        return None
    for function in ("abs", "square"):
        matrix = self.sparse("csr_map", (matrix,), self.density[args[0]], function=function)
    return make("sqrt", (self.of_sparse("csr_sum", (matrix,), axis=None),))


def _product(self: Lowering, node: Node, args: list[Node]) -> Node | None:
    return self.products.chain(node)


def _trace(self: Lowering, node: Node, args: list[Node]) -> Node | None:
    entries = self.products.paired(node.args[0])
    if entries is not None:
        return self.of_sparse("csr_sum", (entries,), axis=None)
    return make("sum", (self.of_sparse("csr_diag", args),)) if self.is_sparse(args[0]) else None


def _diag(self: Lowering, node: Node, args: list[Node]) -> Node | None:
    if args[0].tensor.rank != 2 or args[0].tensor.dims[0] != args[0].tensor.dims[1]:
        return None
    entries = self.products.paired(node.args[0])
    if entries is not None:
        return self.of_sparse("csr_sum", (entries,), axis=1)
    return self.of_sparse("csr_diag", args) if self.is_sparse(args[0]) else None


def _triangle(self: Lowering, node: Node, args: list[Node]) -> Node | None:
    if not self.is_sparse(args[0]):
        return None
    return self.sparse("csr_triangle", args, self.density[args[0]], lower=node.op.name == "tril", k=node["k"])


def _kron(self: Lowering, node: Node, args: list[Node]) -> Node | None:
    forms = [self.form(a) for a in node.args]
    first, second = forms
    if first is None or second is None or not any(map(self.is_sparse, args)):
        return None
    return self.sparse("csr_kron", self.met(first, second), self.density[first] * self.density[second])


def _solve(self: Lowering, node: Node, args: list[Node]) -> Node | None:
    matrix, right = args[0], self.dense(args[1])
    if not self.is_sparse(matrix):
        return None
    return self.solved(node.args[0], matrix, right)


def _logdet(self: Lowering, node: Node, args: list[Node]) -> Node | None:
    (matrix,) = args
    if not self.is_sparse(matrix):
        return None
    matrix = self.as_type(matrix, as_float(matrix.tensor.dtype))
    return self.of_sparse("splu_logdet", (self.factored(node.args[0], matrix),))


def _part(self: Lowering, node: Node, args: list[Node]) -> Node | None:
    """Positions and slices: a row or a column by itself is dense, and some of them are sparse."""
    matrix, *places = args
    if not self.is_sparse(matrix):
        return None
    items = node["items"]
    for axis, item in enumerate(items):
        if isinstance(item, At):
            place = size(item.position) if item.position is not None else self.dense(places.pop(0))
            line = self.of_sparse("csr_row", (self.transposed(matrix) if axis else matrix, place))
            return make(SUBSCRIPT, (line, *map(self.dense, places)), items=(items[1 - axis],))
    for axis, part in enumerate(items):
        if part != Range(0, node.args[0].tensor.dims[axis], 1):
            steps = make("mul", (literal(part.step), make("arange", (), n=part.count)))
            matrix = self.taken(matrix, make("add", (size(part.start), steps)), axis)
    return matrix


def _take(self: Lowering, node: Node, args: list[Node]) -> Node | None:
    matrix, index = args[0], self.dense(args[1])
    if not self.is_sparse(matrix) or index.tensor.rank > 1:
        return None
    axis = node["axis"] % 2
    if index.tensor.rank:
        return self.taken(matrix, index, axis)
    return self.of_sparse("csr_row", (self.transposed(matrix) if axis else matrix, index))


def _of_parts(self: Lowering, node: Node, args: list[Node]) -> Node | None:
    return self.of_parts(node)


def _index(self: Lowering, node: Node, args: list[Node]) -> Node | None:
    """Index notation, where it is a product or a sum of whole matrices."""
    steps = spelled(node) if any(map(self.is_sparse, args)) else None
    if not steps or steps[-1].type is not node.type:
        return None
    for step in steps:
        if step not in self.made:
            self.made[step] = self.lower(step)
    return self.made[steps[-1]]


def _sketch(self: Lowering, node: Node, args: list[Node]) -> Node | None:
    if node not in self.kept or node.tensor.dtype in (F16, BF16):
        return None
    share = min(node["s"] / max(self.size(node.tensor.dims[0]), 1), 1.0)
    return self.sparse("csr_sketch", (), share, **dict(node.attributes))


RULES: dict[str, Rule] = {
    "index": _index,
    "sparse_sketch": _sketch,
    "sparse_matrix": _of_parts,
    **dict.fromkeys(("transpose", "adjoint"), _transpose),
    **dict.fromkeys(KEEP_ZERO, _map),
    "neg": _neg,
    "ne": _is_not_zero,
    "pow": _power,
    "cast": _cast,
    "add": _sum,
    "sub": _sum,
    "mul": _times,
    "div": _quotient,
    "select": _selected,
    "sum": _reduced,
    "mean": _reduced,
    **dict.fromkeys(("max", "min"), _extreme),
    **dict.fromkeys(("any", "all"), _counted),
    "norm": _norm,
    "subscript": _part,
    "take": _take,
    **dict.fromkeys(("matmul", "matvec", "vecmat"), _product),
    "trace": _trace,
    "diag": _diag,
    "tril": _triangle,
    "triu": _triangle,
    "kron": _kron,
    **dict.fromkeys(("solve", "solve_triangular"), _solve),
    "logdet": _logdet,
}
