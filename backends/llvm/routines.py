"""Steps of native functions that are no loop nests: linear algebra by LAPACK, sorting, scattering.

A routine reads operands that are stored, whole, and writes results that are. Axes before those of a matrix, or of a row
to be sorted, are a batch. `nests.routines` has the code; what is here is known without LLVM.
"""

from __future__ import annotations

from tpc.ir.dims import DimLike
from tpc.ir.node import Node
from tpc.ir.types import BF16, BOOL, F16, F32, F64, I8, I32, I64, STRONG, DType, TensorType

SCATTERING = ("scatter_add", "segment_sum")
ORDERING = ("sort", "argsort", "topk")
RIGHT = -1  # the last operand may be a matrix or a vector, and the result is like it
# how many axes of operands and of results belong to one matrix
FACTORS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "cholesky": ((2,), (2,)),
    "cho_solve": ((2, RIGHT), (RIGHT,)),
    "cho_inv": ((2,), (2,)),
    "solve_triangular": ((2, RIGHT), (RIGHT,)),
    "tri_inv": ((2,), (2,)),
    "lu_factor": ((2,), (2, 1)),
    "lu_solve": ((2, 1, RIGHT), (RIGHT,)),
    "lu_det": ((2, 1), (0,)),
    "lu_logdet": ((2, 1), (0,)),
    "det": ((2,), (0,)),
    "logdet": ((2,), (0,)),
    "slogdet": ((2,), (0, 0)),
    "solve": ((2, RIGHT), (RIGHT,)),
    "inv": ((2,), (2,)),
    "qr": ((2,), (2, 2)),
    "qr_triangle": ((2,), (2,)),
    "eigh": ((2,), (1, 2)),
    "eigvalsh": ((2,), (1,)),
    "svd": ((2,), (2, 1, 2)),
    "svdvals": ((2,), (1,)),
    "cond": ((2,), (0,)),
    "matrix_rank": ((2,), (0,)),
    "pinv": ((2,), (2,)),
    "lstsq": ((2, RIGHT), (RIGHT,)),
    "band_solve": ((2, RIGHT), (RIGHT,)),
    "spd_band_solve": ((2, RIGHT), (RIGHT,)),
}
PLACE = 8  # bytes of a place, and of a key, while rows are sorted
FEW = 64  # entries of a row that are put in order by insertion, at most
BRIEF = 8  # entries of a row that is sorted without vectors sooner than with them
BUCKETS = 256  # values of a byte


def is_routine(node: Node) -> bool:
    """Whether a node is such a step, if it has native code."""
    return node.op.name in FACTORS or node.op.name in ORDERING or node.op.name in SCATTERING


def types_of(node: Node) -> tuple[TensorType, ...]:
    """The types of its results."""
    return node.type if isinstance(node.type, tuple) else (node.type,)


def cores(node: Node) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """How many of the last axes of its operands and of its results are one matrix or one row."""
    name = node.op.name
    if name in ORDERING:
        return (1,), (1,) * len(types_of(node))
    if name in SCATTERING:
        return tuple(a.tensor.rank for a in node.args), (node.tensor.rank,)
    right = min(2, node.args[-1].tensor.rank)
    operands, results = ([right if axes == RIGHT else axes for axes in part] for part in FACTORS[name])
    return tuple(operands), tuple(results)


def operands(node: Node) -> tuple[tuple[Node, ...], bool]:
    """What a routine reads, and whether the first of it is the transpose of its matrix: a solve takes both."""
    first, *rest = node.args
    turned = node.op.name in ("solve", "solve_triangular") and first.op.name == "transpose"
    return (first.args[0] if turned else first, *rest), turned


def batch(node: Node) -> tuple[DimLike, ...]:
    """The axes before those."""
    type, core = types_of(node)[0], cores(node)[1][0]
    return type.dims[: type.rank - core]


def refusal(node: Node) -> str | None:
    """Why a routine has no native code for a node; None if it has."""
    name, types = node.op.name, types_of(node)
    if name in SCATTERING:
        formats = {x.tensor.dtype for x in (node, *node.args) if x.tensor.dtype.kind != "i"} or {node.tensor.dtype}
        known = formats <= {F64, F32, I64, I32} and len(formats) == 1
        return None if known else f"`{name}` of {node.tensor.dtype} has no native code"
    if name in ORDERING:
        if _held(node.args[0].tensor) not in (F64, F32, F16, BF16, I64, I32, I8, BOOL):
            return f"`{name}` of {node.args[0].tensor.dtype} has no native code"
        rows = node.args[0].tensor.dims[-1] if node.args[0].tensor.rank else 1
        if name == "sort" and not (isinstance(rows, int) and rows <= BRIEF):
            return f"NumPy has vector code for `sort` of more than {BRIEF} entries"
        if name == "argsort" and _held(node.args[0].tensor) in (I8, BOOL):
            return "NumPy counts the values of bytes as well"
        is_last = name == "topk" or node["axis"] in (-1, node.args[0].tensor.rank - 1)
        return None if is_last else f"`{name}` along another axis than the last has no native code"
    entries = [a.tensor for number, a in enumerate(node.args) if not node.op.holds_places(number)]
    entries += [type for type in types if type.dtype is not I64]
    formats = {_held(type) for type in entries}
    if len(formats) != 1 or not formats <= {F64, F32}:
        return f"`{name}` of {node.args[0].tensor.dtype} has no native code"
    if name == "pinv" and formats == {F32}:
        return "`pinv` of f32 takes other singular values for zero"
    if not all(isinstance(node.get(width, 0), int) for width in ("below", "above", "width")):
        return f"`{name}` of a band of open width has no native code"
    operands, results = cores(node)
    outer = [a.tensor.dims[: a.tensor.rank - core] for a, core in zip(node.args, operands, strict=True)]
    if any(dims not in ((), batch(node)) for dims in outer):
        return f"`{name}` of matrices for which another operand is repeated has no native code"
    return None


def _held(type: TensorType) -> DType:
    return STRONG.get(type.dtype, type.dtype)
