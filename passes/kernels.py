"""The kernels that the nodes of a program run as, and the seconds that these are predicted to take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tpc.ir.build import literal_value
from tpc.ir.dims import DimLike, divide, product, substitute
from tpc.ir.node import Node, Program
from tpc.ir.ops.sparse import NAMES as SPARSE
from tpc.ir.types import F64, DType, TensorType
from tpc.passes import layout
from tpc.passes.choose.prices import Prices, Sizes
from tpc.passes.count import (
    GIVEN,
    RESHAPES,
    is_gram,
    is_guarded,
    is_view,
    node_bytes,
    node_flops,
    passes_of,
    total_flops,
    turns,
)

# Kernels of ops on one square matrix, on two axes of a matrix, and of solves with a matrix and a right side.
SQUARE = {
    **{"inv": "getri", "cholesky": "potrf", "ldl_factor": "sytrf", "ldl": "sytrf", "lu_factor": "getrf"},
    **{"lu": "getrf", "det": "getrf", "logdet": "getrf", "slogdet": "getrf", "cho_inv": "potri", "tri_inv": "trtri"},
    **{"eigh": "syevd", "eigvalsh": "syevd_values", "eig": "geev", "eigvals": "geev"},
}
TALL = {
    "qr": "geqrf",
    "qr_triangle": "geqrf",
    "svd": "gesdd",
    "pinv": "gesdd",
    "svdvals": "gesdd_values",
    "matrix_rank": "gesdd_values",
    "cond": "gesdd_values",
}
SOLVES = {
    **{"cho_solve": ("potrs", "potrs"), "ldl_solve": ("sytrs", "sytrs"), "lu_solve": ("getrs", "getrs")},
    **{"solve_triangular": ("trsm", "trsv"), "trmm": ("trmm", "trmv"), "solve": ("gesv", "gesv")},
}

# Ops that walk over the entries of an operand once, or several times: what each walk does.
REDUCTIONS = ("sum", "prod", "max", "min", "mean", "any", "all", "argmax", "argmin")
STEPS = {
    "norm": ("square", "sum"),
    "var": ("mean", "sub", "square", "mean"),
    "std": ("mean", "sub", "square", "mean"),
    "logsumexp": ("max", "sub", "exp", "sum"),
    "softmax": ("max", "sub", "exp", "sum", "div"),
    "log_softmax": ("max", "sub", "exp", "sum", "sub"),
    "layernorm": ("mean", "sub", "square", "mean", "div"),
    "rmsnorm": ("square", "mean", "div"),
    "tril": ("select",),
    "triu": ("select",),
}
DETERMINANT = ("log", "abs", "sum", "ne", "sum", "select")  # of the diagonal of a factor
INDEFINITE = 0.1  # of the symmetric matrices that are tried by Cholesky's method
CHUNK = 64  # steps of a recurrence of matrices that become one product
BLOCK = 32  # steps in a block of `matrix_scan`, for about 2000 of them
FILLED = (  # kernels of matrices that a few numbers fill
    *("circulant_matmul", "circulant_solve", "circulant_logdet", "toeplitz_matmul", "walsh_hadamard"),
    *("diagonals_matmul", "diagonals_solve"),
)
WALSH = 12  # passes over the entries, one for each binary digit of a usual size
EXPM_PRODUCTS = 12  # of a usual matrix: a rational function of degree 13, and some squarings


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel of `passes.cost.families` at its sizes: `times` calls of it, with `batch` such matrices each.

    `share` says how often it is expected to run at all.
    """

    name: str
    sizes: tuple[DimLike, ...]
    dtype: DType = F64
    batch: DimLike = 1
    times: DimLike = 1
    share: float = 1.0

    def seconds(self, prices: Prices, size: Callable[[DimLike], int]) -> float:
        """Predicted seconds, where `size` gives the sizes as numbers."""
        sizes = tuple([size(s) for s in self.sizes])
        return self.share * size(self.times) * prices.seconds(self.name, sizes, self.dtype, batch=size(self.batch))


def predicted(program: Program, prices: Prices, at: Mapping[str, int] | None = None) -> float:
    """Predicted seconds of a program: the sum over its kernels.

    Parameters
    ----------
    at
        Sizes as numbers; of those that it lacks, `prices.USUAL` is taken.
    """
    return sum(node_seconds(node, prices, at or {}) for node in program.nodes)


def node_seconds(node: Node, prices: Prices, at: Mapping[str, int]) -> float:
    """Predicted seconds of one node, those of its inner programs included; the passes of a loop with a test count as
    if all were made."""
    size = Sizes(at)
    return sum(kernel.seconds(prices, size) for kernel in kernels_of(node))


def kernels_of(node: Node) -> tuple[Kernel, ...]:
    """The kernels that a node runs as, those of its inner programs included; none for what is given and for views.

    Of the branches of an `if` the one with more operations counts; behind a guard, the one that is expected. What is
    computed in some passes of a loop only counts for its share of them.
    """
    match node.op.name:
        case "call":
            sizes = dict(node["sizes"])
            return tuple(_substituted(kernel, sizes) for kernel in _kernels(node["body"]))
        case "repeat" | "scan":
            count = passes_of(node)
            inner = [kernel for program in node.programs for kernel in _kernels(program)]
            return tuple(replace(kernel, times=kernel.times * count) for kernel in inner)
        case "if" if is_guarded(node):
            return _kernels(node["then"])
        case "if" if (every := turns(node)) > 1:
            return tuple(replace(kernel, share=kernel.share / every) for kernel in _kernels(node["then"]))
        case "if":
            size = Sizes({})
            return _kernels(max(node.programs, key=lambda program: size(total_flops(program))))
    if node.op in GIVEN or is_view(node):
        return ()
    tensors = [a.type for a in node.args if isinstance(a.type, TensorType)]
    result = node.type if isinstance(node.type, TensorType) else node.type[0]
    dtype = result.dtype if result.dtype.is_float or not tensors else tensors[0].dtype
    if node.op.name in SPARSE:
        from tpc.passes.sparse.prices import kernels

        return tuple(Kernel(name, sizes, dtype) for name, sizes in kernels(node))
    found = _of_product(node, tensors) or _of_matrices(node, tensors) or _of_entries(node, tensors, result)
    return tuple(Kernel(name, sizes, dtype, *more) for name, sizes, *more in found)


def _kernels(program: Program) -> tuple[Kernel, ...]:
    return tuple(kernel for node in program.nodes for kernel in kernels_of(node))


def _substituted(kernel: Kernel, sizes: Mapping[str, DimLike]) -> Kernel:
    inner = tuple(substitute(size, sizes) for size in kernel.sizes)
    return replace(kernel, sizes=inner, batch=substitute(kernel.batch, sizes), times=substitute(kernel.times, sizes))


Found = Sequence[tuple[Any, ...]]
"""Kernels as name, sizes, batch, times and share, of which the last three may be left out."""


def _of_product(node: Node, tensors: list[TensorType]) -> Found:
    name = node.op.name
    if name == "index":
        return _of_index(node, tensors)
    if name not in ("matmul", "matvec", "vecmat", "dot", "vdot", "outer"):
        return ()
    a, b = tensors
    match name:
        case "matmul" if is_gram(node):
            return (("syrk", a.dims),)
        case "matmul":
            gemm = "gemm", (a.dims[-2], b.dims[-1], a.dims[-1]), product(node.tensor.dims[:-2])
            views = [layout.view_of(operand) for operand in node.args if operand.tensor.rank > 2]
            return (gemm, *(kernel for view in views if not layout.is_in_order(view) for kernel in _of_copy(view)))
        case "matvec":
            return (_of_vector(node.args[0], "gemv", "gevm", node.tensor),)
        case "vecmat":
            return (_of_vector(node.args[1], "gevm", "gemv", node.tensor),)
        case "outer":
            return (("ger", (product(a.dims), product(b.dims))),)
    return (("dot", (product(a.dims),)),)


def _of_copy(view: Sequence[layout.Axis]) -> Found:
    """What it takes to bring a view into order."""
    first, *others = view
    copied = "transpose_copy", (layout.size(first), product(layout.size(axis) for axis in others))
    run = layout.scattered(view)
    return (copied, ("gather", (divide(layout.size(first) * copied[1][1], run),))) if run else (copied,)


def _of_vector(matrix: Node, upright: str, turned: str, result: TensorType) -> tuple[Any, ...]:
    """A matrix and a vector; a transpose is its operand from the other side."""
    if matrix.op.name == "transpose":
        matrix, upright = matrix.args[0], turned
    return upright, matrix.tensor.dims[-2:], product(result.dims[:-1])


def _of_index(node: Node, tensors: list[TensorType]) -> Found:
    """A product of two operands: entry by entry, as a product of matrices, or where letters are in both and in the
    result as well, as plain loops."""
    from tpc.passes.contraction import product_of
    from tpc.passes.contraction.form import letters_of

    formula = product_of(node["formula"], tensors)
    if formula is None or len(formula.form.inputs) != 2:
        return ()
    form = formula.form
    a, b = (set(letters_of(axes)) for axes in form.inputs)
    output = set(form.output_letters)
    summed = (a | b) - output
    if not summed:
        return (("elementwise", (product(node.tensor.dims), 2, 1)),)
    if not summed <= a & b or a & b & output:
        return ()
    return (("gemm", (form.size(a - b), form.size(b - a), form.size(summed))),)


def _of_matrices(node: Node, tensors: list[TensorType]) -> Found:
    name = node.op.name
    if not tensors or tensors[0].rank < 2:
        return ()
    matrix = tensors[0]
    rows, n = matrix.dims[-2:]
    batch = product(matrix.dims[:-2])
    if name == "lu_factor" and node["symmetric"]:  # tried by Cholesky's method, by those that expect it to end there
        return ("potrf", (n,), batch), ("getrf", (n,), batch, 1, INDEFINITE)
    if name in SQUARE:
        return ((SQUARE[name], (n,), batch),)
    if name in TALL:
        return ((TALL[name], (rows, n), batch),)
    if name in SOLVES or name in ("band_matmul", "band_solve", "spd_band_solve"):
        right = tensors[-1]
        is_vector = right.rank < matrix.rank
        columns = 1 if is_vector else right.dims[-1]
        if name in SOLVES:
            kernel = SOLVES[name][is_vector]
            return ((kernel, (n,) if kernel in ("trsv", "trmv") else (n, columns), batch),)
        width = node["width"] if name == "spd_band_solve" else node["below"] + node["above"]
        return (("band_matmul" if name == "band_matmul" else "band_solve", (n, columns, width + 1), batch),)
    match name:
        case "lstsq":
            right = tensors[1]
            return (("gelsd", (rows, n, right.dims[-1] if right.rank > 1 else 1), batch),)
        case "sylvester":
            m = tensors[1].dims[-1]
            return ("geev", (n,), batch), ("geev", (m,), batch), ("gemm", (n, m, n + m), batch, 2)
        case "expm":
            return ("gemm", (n, n, n), batch, EXPM_PRODUCTS), ("gesv", (n, n), batch)
        case "matpow":
            return _of_power(literal_value(node.args[1]), n, batch)
    return ()


def _of_power(power: object, n: DimLike, batch: DimLike) -> Found:
    """A whole power is a few products; another one goes by eigenvalues."""
    if not isinstance(power, (int, float)) or power != int(power):
        return ("geev", (n,), batch), ("gemm", (n, n, n), batch)
    bits = bin(abs(int(power))).removeprefix("0b")
    products = len(bits) + bits.count("1") - 2
    inverse = [("getri", (n,), batch)] if power < 0 else []
    return (*inverse, *([("gemm", (n, n, n), batch, products)] if products > 0 else [("copy", (n * n,))]))


def _of_entries(node: Node, tensors: list[TensorType], result: TensorType) -> Found:
    from tpc.passes.cost import weight

    entries, op = product(result.dims), node.op
    if op.group == "elementwise":
        operands = sum(1 for t in tensors if t.dims)
        return (("elementwise", (entries, max(operands, 1), weight(op.name))),)
    if op.name in REDUCTIONS:
        return (("reduce", (product(tensors[0].dims), entries)),)
    if op.name == "trace":
        return (("reduce", (product(tensors[0].dims[:-1]), entries)),)
    if op.name in STEPS:
        return [_step(name, product(tensors[0].dims), entries) for name in STEPS[op.name]]
    if op.name in ("lu_det", "lu_logdet"):
        return [_step(name, product(tensors[1].dims), entries) for name in DETERMINANT]
    if op.name == "add_diagonal":
        return ("copy", (entries,)), ("elementwise", (product(result.dims[:-1]), 2, 1))
    if op.name in RESHAPES:
        return _of_copy(layout.view_of(node.args[0]))
    if op.group in ("shapes", "creation") or op.name in ("diag", "from_diagonals"):
        return (("copy", (entries,)),)
    if op.name in ("take", "take_along"):
        return (("gather", (entries,)),)
    if op.name == "linear_scan":
        return (("linear_scan", (tensors[1].dims[0], product(tensors[2].dims))),)
    if op.name == "matrix_scan":
        return _of_matrix_scan(tensors)
    if op.name == "linear_attention":
        return _of_attention(tensors)
    if op.name == "quantized_matmul":
        return _of_codes(node, tensors)
    if op.name in FILLED:
        return _of_filled(op.name, tensors)
    if op.name in ("fft", "ifft") and tensors[0].dims:
        return (("fft", tensors[0].dims[-1:], product(tensors[0].dims[:-1])),)
    if op.name in ("rfft", "irfft") and node["axis"] in (-1, result.rank - 1):  # one of half as many complex numbers
        (*lead, length) = (tensors[0] if op.name == "rfft" else result).dims
        return (("fft", (divide(length, 2),), product(lead)),)
    return (
        (("einsum" if op.name in ("index", "kron", "khatri_rao") else "other"), (node_flops(node), node_bytes(node))),
    )


def _of_codes(node: Node, tensors: list[TensorType]) -> Found:
    """Products with a vector that read so many numbers as the codes take room; a row at a time."""
    X, codes, scales = tensors
    read = codes.dims[1] * codes.dims[2] * codes.dtype.size
    rows = product(X.dims[:-1])
    return (("gemv", (codes.dims[0], divide(read, scales.dtype.size)), rows),)


def _of_filled(name: str, tensors: list[TensorType]) -> Found:
    """Kernels of matrices that a few numbers fill; two transforms of real numbers are one of complex ones."""
    columns = product(tensors[-1].dims[1:])
    match name:
        case "walsh_hadamard":
            return (("elementwise", (product(tensors[0].dims), 2, 1), 1, WALSH),)
        case "diagonals_matmul":  # a product and a sum for each of them; with many columns as small full matrices
            count, rows = tensors[0].dims
            if isinstance(columns, int) and isinstance(count, int) and columns >= 16:
                side = max(32, count)
                passes = (
                    25 * count * (("elementwise", (side, 2, 1)),)
                )  # by which these are filled, and those at the ends
                return (("gemm", (side, side + count - 1, columns), divide(rows, side)), *passes)
            return (("elementwise", (rows * columns, 2, 1), 1, 2 * count),)
        case "diagonals_solve":
            count, rows = tensors[0].dims
            return (("band_solve", (rows, columns, count)),)
        case "circulant_logdet":
            return (("fft", tensors[0].dims),)
    return (("fft", tensors[0].dims, 1 + columns),)


def _of_attention(tensors: list[TensorType]) -> Found:
    """Products within chunks of steps, and of each chunk with the matrix before it."""
    (*_, rows, columns), steps = tensors[4].dims, tensors[0].dims[0]
    batch = product(tensors[4].dims[:-2])
    return (
        ("gemm", (steps, CHUNK, rows), batch),
        ("gemm", (steps, CHUNK, columns), batch),
        ("gemm", (steps, rows, columns), batch, 2),
        ("elementwise", (batch * steps * rows, 2, 1), 1, 8),
    )


def _of_matrix_scan(tensors: list[TensorType]) -> Found:
    """Products with the states of all blocks, twice, and the power of the matrix that takes a block to the next."""
    steps, rows = tensors[1].dims
    squarings = 2 * BLOCK.bit_length()
    return (
        ("gemm", (steps, rows, rows), 1, 2),
        ("gemm", (rows, rows, rows), 1, squarings),
        ("elementwise", (steps * rows, 2, 1), 1, 4),
    )


def _step(name: str, entries: DimLike, results: DimLike) -> tuple[Any, ...]:
    """One of the walks over arrays that an op is made of."""
    from tpc.passes.cost import weight

    if name in REDUCTIONS:
        return "reduce", (entries, results)
    return "elementwise", (entries, 1, weight(name))


@dataclass(frozen=True, slots=True)
class Totals:
    """What a whole program costs at given sizes."""

    flops: int
    bytes: int
    peak_bytes: int
    seconds: float


def totals(program: Program, prices: Prices, at: Mapping[str, int] | None = None) -> Totals:
    """What a program costs; of sizes that `at` lacks, `prices.USUAL` is taken."""
    known = at or {}
    from tpc.passes.memory.liveness import Liveness

    size = Sizes(known)
    flops = sum(size(node_flops(node)) for node in program.nodes)
    moved = sum(size(node_bytes(node)) for node in program.nodes)
    peak = Liveness(program, size=size).peak
    return Totals(flops, moved, peak, predicted(program, prices, known))
