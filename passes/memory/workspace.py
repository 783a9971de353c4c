"""What a library takes for one op beside operands and results: copies of operands, and workspaces of LAPACK.

Counted in arrays of the size of the first operand and of the result, as measured with NumPy 2.4, SciPy 1.17 and torch
2.13; what depends on more than that has a function. NumPy's linear algebra takes its copies where no tool for Python
sees them: these are `UNSEEN`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tpc.ir.dims import DimLike
from tpc.ir.node import Node, Program
from tpc.ir.ops.indexing import checked_axes
from tpc.ir.ops.structure import INDEX
from tpc.ir.types import BOOL, I64, TensorType
from tpc.passes.choose.prices import Sizes
from tpc.passes.choose.samples import open_sizes
from tpc.passes.memory.formulas import temporaries

Multiples = tuple[float, float]
"""Of the bytes of the first operand, and of those of the results."""

NUMPY: Mapping[str, Multiples] = {
    **{"rsqrt": (0, 1), "sinc": (0, 2), "var": (1, 1), "std": (1, 1), "median": (1, 1), "logsumexp": (5.13, 5)},
    **{"cross": (0, 3), "cross_entropy": (5.13, 5), "topk": (1.9, 0)},
    **{"segment_sum": (1, 0), "one_hot": (0, 0.125)},
    **{"pinv": (3, 0), "svd": (0.125, 0), "svdvals": (0.125, 0), "matrix_rank": (0.125, 0), "cond": (0.125, 0)},
    **{"eigvals": (0.125, 0), "eigvalsh": (0.125, 0), "eigh": (0.125, 0), "lstsq": (0.125, 0), "eig": (2, 0)},
    **{"qr": (1.1, 0), "expm": (7, 0), "logm": (2, 0), "sqrtm": (2, 0), "matpow": (1, 0), "ldl_factor": (0.16, 0)},
    **{"qr_triangle": (1.1, 0), "cho_inv": (0.36, 0), "tri_inv": (0.126, 0), "cho_solve": (0, 1), "solve": (1, 0)},
}
UNSEEN: Mapping[str, Multiples] = {
    **{"inv": (2, 0), "det": (1, 0), "slogdet": (1, 0), "logdet": (1, 0), "pinv": (3, 0)},
    **{"svd": (4.4, 0.25), "svdvals": (1.1, 0), "matrix_rank": (1.1, 0), "cond": (1.1, 0), "qr": (1, 0)},
    **{"eigh": (3, 0), "eigvalsh": (1, 0), "eig": (2.3, 0), "eigvals": (1, 0), "logm": (1, 0), "sqrtm": (1, 0)},
    **{"lstsq": (1.2, 2), "qr_triangle": (1, 0)},
}
TORCH: Mapping[str, Multiples] = {
    **{"logical_and": (0, 2), "logical_or": (0, 2), "logical_not": (0, 1), "sign": (0, 1.125), "cbrt": (0, 2)},
    **{"isinf": (1, 0), "isfinite": (1.25, 0), "softplus": (0, 1), "silu": (0, 1), "gelu": (0, 3), "gamma": (0, 3.25)},
    **{"beta": (0, 2), "lbeta": (0, 2), "ndtr": (0, 3), "median": (2, 0), "logsumexp": (1, 0), "cummax": (0, 1)},
    **{"cross_entropy": (1, 0), "sort": (0, 1), "argsort": (0, 1), "topk": (1.9, 0), "layernorm": (0, 1)},
    **{"segment_sum": (1, 0), "one_hot": (0, 0.125), "dct": (0, 0.5), "cross": (0, 3)},
    **{"inv": (1, 0), "pinv": (3, 0), "svd": (1.03, 0), "svdvals": (1.03, 0), "qr": (0.1, 0), "det": (1, 0)},
    **{"slogdet": (1, 0), "logdet": (1, 0), "expm": (12, 0), "matrix_rank": (1.4, 0), "cond": (1.03, 0)},
    **{"eig": (3, 0), "eigvals": (1.37, 0), "eigh": (2, 0), "eigvalsh": (1.07, 0), "ldl_factor": (1, 0)},
    **{"sqrtm": (2, 0), "logm": (2, 0), "tri_inv": (1, 0), "cho_solve": (1, 0), "trmm": (1, 0), "solve": (1, 0)},
    **{"lstsq": (2.5, 0), "lu_solve": (1, 0), "matpow": (1, 0), "band_matmul": (1, 0), "band_solve": (2, 0)},
    **{"spd_band_solve": (3, 0), "qr_triangle": (1.1, 0)},
}
BY_FORMULA = frozenset(
    ["khatri_rao", "conv", "correlate", "conv2d", "linspace", "take_along", "harmless", "layernorm", "rmsnorm"]
)
LARGE = (10**7, 10**4, 10**3, 10**2)  # sizes that are open, the first with which no array takes more than `MOST` bytes
MOST = 2**30

Size = Callable[[DimLike], int]


def workspace(node: Node, library: str, size: Size, seen: bool = False) -> int:
    """Bytes that a node takes beside its operands and results while it runs.

    Parameters
    ----------
    library
        `numpy` or `torch`.
    size
        Sizes as numbers.
    seen
        Whether to leave out what tools for Python do not see.
    """
    types = [_sized(a.type, size) for a in node.args if isinstance(a.type, TensorType)]
    if node.programs or not types or len(types) < len(node.args):
        return 0
    name = node.op.name
    special = SPECIAL.get((library, name))
    if special is not None:
        return special(node, types)
    table = TORCH if library == "torch" else NUMPY
    operands, results = table.get(name, (0, 0))
    if library == "numpy" and not seen and name in UNSEEN:
        operands, results = (a + b for a, b in zip((operands, results), UNSEEN[name], strict=True))
    made = sum(held_bytes(t, size) for t in types_of(node))
    taken = round(operands * held_bytes(types[0], size) + results * made)
    if node.op.group == "elementwise" and name not in ("select", "cast") and node.tensor.dtype.kind in "fc":
        entries = [held_bytes(t, size) // t.dtype.size for t in types if t.dims and t.dtype.kind in "bi"]
        taken += sum(entries) * node.tensor.dtype.size  # whole numbers are made floats first
    if library == "numpy" and name in ("conv", "correlate") and all(t.rank == 1 for t in types):
        taken += made  # one call of NumPy, on the signal with its padding
    elif node.op is INDEX or name in BY_FORMULA:
        formula = node.op.formula([a.tensor for a in node.args], dict(node.attributes))
        taken += 0 if formula is None else temporaries(formula, types, size, library)
    return taken


def is_closed(program: Program) -> bool:
    """Whether all sizes of a program are known."""
    types = [t for node in (*program.inputs, *program.nodes) for t in types_of(node)]
    return all(isinstance(dim, int) for type in types for dim in type.dims)


def large_sizes(program: Program) -> Sizes:
    """Sizes at which memory is judged where a program leaves them open: its largest array counts then.

    Those that appear first are a little larger than others, so that no differences vanish.
    """
    names = open_sizes(program)
    sizes = Sizes({})
    for extent in LARGE if names else ():
        sizes = Sizes({name: extent - extent * k // (4 * len(names)) for k, name in enumerate(names)})
        if max(held_bytes(t, sizes) for node in (*program.inputs, *program.nodes) for t in types_of(node)) <= MOST:
            break
    return sizes


def types_of(node: Node) -> tuple[TensorType, ...]:
    return node.type if isinstance(node.type, tuple) else (node.type,)


def held_bytes(type: TensorType, size: Size) -> int:
    """The bytes of an array; numbers are not counted."""
    total = type.dtype.size if type.dims else 0
    for dim in type.dims:
        total *= size(dim)
    return total


def _sized(type: TensorType, size: Size) -> TensorType:
    return TensorType(type.dtype, [size(d) for d in type.dims])


def _bytes(type: TensorType) -> int:
    return held_bytes(type, lambda dim: dim if isinstance(dim, int) else 0)


def _argmax(node: Node, types: list[TensorType]) -> int:
    """NumPy brings the axis to the end first."""
    axes = checked_axes(node.op.name, node["axis"], types[0].rank)
    return _bytes(types[0]) if len(axes) < types[0].rank and axes[-1] != types[0].rank - 1 else 0


def _argsort(node: Node, types: list[TensorType]) -> int:
    """A falling order is made of a rising one."""
    return _bytes(types[0].with_dtype(I64)) if node.get("descending") else 0


def _norm(node: Node, types: list[TensorType]) -> int:
    """Squares, unless all is one vector; a norm by singular values works on a copy."""
    axes = checked_axes("norm", node["axis"], types[0].rank)
    return 0 if len(axes) == types[0].rank and node["ord"] == "fro" else _bytes(types[0])


def _complex(node: Node, types: list[TensorType]) -> int:
    """Transforms of real entries begin with complex ones."""
    return 2 * _bytes(types[0]) if types[0].dtype.kind != "c" else 0


def _softmax(node: Node, types: list[TensorType]) -> int:
    """Of SciPy: the exponentials, and sums along the axis."""
    return _bytes(types[0]) + 2 * _bytes(types[0]) // max(_extent(node, types[0]), 1)


def _extent(node: Node, type: TensorType) -> int:
    (axis,) = checked_axes(node.op.name, node["axis"], type.rank)
    dim = type.dims[axis]
    return dim if isinstance(dim, int) else 1


def _triangle(node: Node, types: list[TensorType]) -> int:
    """The mask of the triangle."""
    return _bytes(TensorType(BOOL, types[0].dims[-2:]))


def _scatter(node: Node, types: list[TensorType]) -> int:
    """The updates that lie inside."""
    return _bytes(types[2])


def _torch_scan(node: Node, types: list[TensorType]) -> int:
    """A list of the states, and those of all blocks where states are small."""
    is_small = _bytes(types[2]) < 500 * types[2].dtype.size
    return round((1.75 if is_small else 1) * _bytes(node.tensor))


Special = Callable[[Node, list[TensorType]], int]
SPECIAL: Mapping[tuple[str, str], Special] = {
    ("numpy", "argmax"): _argmax,
    ("numpy", "argmin"): _argmax,
    ("numpy", "norm"): _norm,
    **{("numpy", name): _complex for name in ("fft", "ifft", "fft2", "ifft2", "irfft")},
    ("numpy", "softmax"): _softmax,
    ("numpy", "log_softmax"): lambda node, types: 2 * _softmax(node, types),
    ("numpy", "argsort"): _argsort,
    ("numpy", "tril"): _triangle,
    ("numpy", "triu"): _triangle,
    ("numpy", "scatter_add"): _scatter,
    ("torch", "abs"): lambda node, types: _bytes(types[0]) if types[0].dtype.kind == "c" else 0,  # it is complex first
    ("torch", "norm"): lambda node, types: 0 if node["ord"] == "fro" else _bytes(types[0]),
    ("torch", "scatter_add"): _scatter,
    ("torch", "linear_scan"): _torch_scan,
    **{("torch", name): _complex for name in ("irfft", "fft2", "ifft2")},
}
