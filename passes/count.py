"""What the nodes of a program cost: operations, bytes, what is held in memory, and the kernel that each runs as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tpc.ir.dims import DimLike, evaluate, maximum, names_of, product, substitute
from tpc.ir.node import Node, Program
from tpc.ir.ops.structure import CONSTANT, INPUT, ITEM, LITERAL, SIZE
from tpc.ir.types import F64, DType, TensorType
from tpc.passes.choose.prices import USUAL, Prices

# Ops whose result is another look at an operand's memory.
VIEWS = ("transpose", "subscript", "reshape", "vec", "unvec", "item", "diag", "squeeze", "unsqueeze", "permute")
GIVEN = (INPUT, CONSTANT, ITEM, LITERAL, SIZE)

# Kernels of ops on one square matrix, on two axes of a matrix, and of solves with a matrix and a right side.
SQUARE = {
    **{"inv": "getri", "cholesky": "potrf", "ldl_factor": "sytrf", "ldl": "sytrf", "lu_factor": "getrf"},
    **{"lu": "getrf", "det": "getrf", "logdet": "getrf", "slogdet": "getrf", "cho_inv": "potri", "tri_inv": "trtri"},
    **{"eigh": "syevd", "eigvalsh": "syevd_values", "eig": "geev", "eigvals": "geev"},
}
TALL = {"qr": "geqrf", "svd": "gesdd", "pinv": "gesdd", "svdvals": "gesdd_values", "matrix_rank": "gesdd_values"}
SOLVES = {
    **{"cho_solve": ("potrs", "potrs"), "ldl_solve": ("sytrs", "sytrs"), "lu_solve": ("getrs", "getrs")},
    **{"solve_triangular": ("trsm", "trsv"), "trmm": ("trmm", "trmv")},
}


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel of `passes.cost.families` at its sizes; `batch` is how many such matrices there are."""

    name: str
    sizes: tuple[DimLike, ...]
    dtype: DType = F64
    batch: DimLike = 1


def node_flops(node: Node) -> DimLike:
    """Operations of one node, those of its inner programs included."""
    match node.op.name:
        case "call":
            sizes = dict(node["sizes"])
            return substitute(_total(node["body"]), sizes)
        case "repeat":
            test = node["until"]
            body = _total(node["body"]) + (0 if test is None else _total(test))
            return body * _passes(node)
        case "scan":
            return _total(node["body"]) * _passes(node)
        case "if":
            return maximum(_total(node["then"]), _total(node["other"]))
        case "matmul" if is_gram(node):
            rows, columns = node.args[0].tensor.dims
            return rows * (rows + 1) * columns
    if node.op in GIVEN or any(isinstance(a.type, tuple) for a in node.args):
        return 0
    return node.op.count_flops([a.tensor for a in node.args], dict(node.attributes))


def is_gram(node: Node) -> bool:
    """Whether a product is one of a matrix with its own transpose, of which only a triangle is computed."""
    if node.op.name != "matmul" or node.tensor.rank != 2 or not node.tensor.dtype.is_float:
        return False
    first, second = node.args
    return any(a.op.name == "transpose" and a.args[0] is b for a, b in ((first, second), (second, first)))


def node_bytes(node: Node) -> DimLike:
    """Bytes read and written by one node."""
    if node.op in GIVEN or node.op.name in VIEWS:
        return 0
    total = held(node)
    for operand in dict.fromkeys(node.args):
        total += held(operand)
    return total


def held(node: Node) -> DimLike:
    """The bytes of the arrays that a node makes; numbers are not counted."""
    types = node.type if isinstance(node.type, tuple) else (node.type,)
    total: DimLike = 0
    for type in types:
        total += type.bytes if isinstance(type, TensorType) and type.dims else 0
    return total


def peaks(program: Program) -> list[DimLike]:
    """What is held at each step, for a program that forgets a value after its last use."""
    nodes = program.nodes
    last = {node: position for position, user in enumerate(nodes) for node in user.args}
    kept = {*program.inputs, *program.outputs}
    live: DimLike = 0
    for node in program.inputs:
        live += held(node)
    steps = [live]
    for position, node in enumerate(nodes):
        if node.op is INPUT:
            continue
        if node.op.name not in VIEWS:
            live += held(node)
        steps.append(live)
        for inner in node.programs:
            outside: DimLike = 0  # its inputs are held already
            for operand in inner.inputs:
                outside += held(operand)
            steps += [live + step - outside for step in peaks(inner)]
        for operand in dict.fromkeys(node.args):
            if last[operand] == position and operand not in kept and operand.op.name not in VIEWS:
                live = live - held(operand)
    return steps


def _total(program: Program) -> DimLike:
    total: DimLike = 0
    for node in program.nodes:
        total += node_flops(node)
    return total


def _passes(node: Node) -> DimLike:
    """How often the body of a loop runs, if no test ends it."""
    count: DimLike | None = node["count"] if node.op.name == "repeat" else node["extent"]
    return 1 if count is None else count


# ---- seconds


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
    match node.op.name:
        case "call":
            sizes = {name: numeric(size, at) for name, size in node["sizes"]}
            return predicted(node["body"], prices, sizes)
        case "repeat" | "scan":
            inner = sum(predicted(program, prices, at) for program in node.programs)
            return inner * numeric(_passes(node), at)
        case "if":
            return max(predicted(program, prices, at) for program in node.programs)
    kernel = kernel_of(node)
    if kernel is None:
        return 0.0
    sizes_at = [numeric(size, at) for size in kernel.sizes]
    return prices.seconds(kernel.name, tuple(sizes_at), kernel.dtype, batch=numeric(kernel.batch, at))


def numeric(dim: DimLike, at: Mapping[str, int]) -> int:
    """A size as a number."""
    return max(dim if isinstance(dim, int) else evaluate(dim, {n: at.get(n, USUAL) for n in names_of(dim)}), 0)


def kernel_of(node: Node) -> Kernel | None:
    """The kernel that a node runs as; None for what is given, for views, and for what holds programs."""
    if node.op in GIVEN or node.op.name in VIEWS or node.programs:
        return None
    tensors = [a.type for a in node.args if isinstance(a.type, TensorType)]
    result = node.type if isinstance(node.type, TensorType) else node.type[0]
    found = _of_product(node, tensors) or _of_matrices(node, tensors)
    name, sizes, batch = found or _of_entries(node, tensors, result)
    return Kernel(name, sizes, result.dtype if result.dtype.is_float or not tensors else tensors[0].dtype, batch)


Found = tuple[str, tuple[DimLike, ...], DimLike]


def _of_product(node: Node, tensors: list[TensorType]) -> Found | None:
    name = node.op.name
    if name == "index":
        return _of_index(node, tensors)
    if name not in ("matmul", "matvec", "vecmat", "dot", "vdot", "outer"):
        return None
    a, b = tensors
    match name:
        case "matmul" if is_gram(node):
            return "syrk", a.dims, 1
        case "matmul":
            return "gemm", (a.dims[-2], b.dims[-1], a.dims[-1]), product(node.tensor.dims[:-2])
        case "matvec":
            return "gemv", a.dims[-2:], product(node.tensor.dims[:-1])
        case "vecmat":
            return "gevm", b.dims[-2:], product(node.tensor.dims[:-1])
        case "outer":
            return "ger", (product(a.dims), product(b.dims)), 1
    return "dot", (product(a.dims),), 1


def _of_index(node: Node, tensors: list[TensorType]) -> Found | None:
    """The sum of a product of two operands runs as a product of matrices, one for each value of the letters in all."""
    from tpc.passes.contraction import product_of
    from tpc.passes.contraction.form import letters_of

    formula = product_of(node["formula"], tensors)
    if formula is None or len(formula.form.inputs) != 2:
        return None
    form = formula.form
    a, b = (set(letters_of(axes)) for axes in form.inputs)
    output = set(form.output_letters)
    if not (a & b) - output:
        return None
    return "gemm", (form.size(a - b), form.size(b - a), form.size((a & b) - output)), form.size(a & b & output)


def _of_matrices(node: Node, tensors: list[TensorType]) -> Found | None:
    name = node.op.name
    if not tensors or tensors[0].rank < 2:
        return None
    matrix = tensors[0]
    rows, n = matrix.dims[-2:]
    batch = product(matrix.dims[:-2])
    if name in SQUARE:
        return SQUARE[name], (n,), batch
    if name in TALL:
        return TALL[name], (rows, n), batch
    if name in SOLVES or name in ("band_matmul", "band_solve", "spd_band_solve"):
        right = tensors[-1]
        is_vector = right.rank < matrix.rank
        columns = 1 if is_vector else right.dims[-1]
        if name in SOLVES:
            kernel = SOLVES[name][is_vector]
            return kernel, (n,) if kernel in ("trsv", "trmv") else (n, columns), batch
        width = node["width"] if name == "spd_band_solve" else node["below"] + node["above"]
        return "band_matmul" if name == "band_matmul" else "band_solve", (n, columns, width + 1), batch
    if name == "lstsq":
        right = tensors[1]
        return "gelsd", (rows, n, right.dims[-1] if right.rank > 1 else 1), batch
    return None


def _of_entries(node: Node, tensors: list[TensorType], result: TensorType) -> Found:
    from tpc.passes.cost import weight

    entries, op = product(result.dims), node.op
    if op.group == "elementwise":
        operands = sum(1 for t in tensors if t.dims)
        return "elementwise", (entries, max(operands, 1), weight(op.name)), 1
    if op.group == "reductions" and op.name in ("sum", "prod", "max", "min", "mean", "any", "all"):
        return "reduce", (product(tensors[0].dims), entries), 1
    if op.group in ("shapes", "creation"):
        return "copy", (entries,), 1
    if op.name in ("take", "take_along"):
        return "gather", (entries,), 1
    if op.name in ("fft", "ifft") and tensors[0].dims:
        return "fft", tensors[0].dims[-1:], product(tensors[0].dims[:-1])
    return (
        ("einsum" if op.name in ("index", "kron", "khatri_rao") else "other"),
        (node_flops(node), node_bytes(node)),
        1,
    )


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
    flops = sum(numeric(node_flops(node), known) for node in program.nodes)
    moved = sum(numeric(node_bytes(node), known) for node in program.nodes)
    peak = max((numeric(step, known) for step in peaks(program)), default=0)
    return Totals(flops, moved, peak, predicted(program, prices, known))
