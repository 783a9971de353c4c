"""Sparse matrices: values of which only the entries that are not zero are stored, and the kernels for them.

An op here means what it says of the matrices with all their entries; only how they are stored differs. Where a
matrix comes in or goes out sparse, its op says so: `csr` and `to_csr` begin, `from_csr` ends with all entries stored.
A value is stored by rows or by columns (CSR, CSC); the transpose of one is the other, and costs nothing.

The names are the field's: spmm is sparse times dense, spgemm sparse times sparse, sddmm the entries of a dense product
where a sparse matrix has some. `density` is the share of entries that the sparse result has, or, where the result is
dense, the first operand: it is an estimate, which prices go by and results do not.

That an entry is not stored says that it is zero, whatever it meets: it makes no NaN of an infinity.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from tpc.ir.dims import DimLike, divide, product
from tpc.ir.formula import Apply, Formula
from tpc.ir.op import Attributes, Misfit, Op
from tpc.ir.ops import sparse_meanings as meanings
from tpc.ir.ops.indexing import ZERO, access, over
from tpc.ir.ops.random import drawn, sketch_types
from tpc.ir.types import TensorType

if TYPE_CHECKING:
    from tpc.ir.node import Node, Program

# Ops whose result is sparse: made of something else, entry by entry, and others.
_MADE = ["csr", "csr_parts", "csr_sketch", "to_csr", "store"]
_ENTRYWISE = ["csr_transpose", "csr_cast", "csr_map", "csr_add", "csr_sub", "csr_mul", "csr_scale", "csr_div"]
_OTHERS = ["spgemm", "sddmm", "csr_diagonal", "csr_triangle", "csr_kron", "csr_take", "splu"]
RESULTS = frozenset([*_MADE, *_ENTRYWISE, *_OTHERS])

# Functions of one number that are zero at zero, and no sums or multiples.
KEEP_ZERO = frozenset(
    ["abs", "sqrt", "cbrt", "square", "sign", "expm1", "log1p", "sin", "tan", "asin", "atan", "sinh", "tanh", "asinh"]
    + ["atanh", "erf", "erfinv", "relu", "floor", "ceil", "round", "trunc", "silu", "gelu", "conj", "re", "im"]
)
TRUE_OF_NONZERO = "ne"  # of an entry and zero: the pattern as a mask


def share(count: DimLike, density: float) -> DimLike:
    """A share of a number of entries, in whole numbers."""
    numerator, denominator = density.as_integer_ratio()
    return divide(count * numerator, denominator)


def stored_entries(node: Node) -> DimLike:
    """How many entries of a sparse value are stored, as is expected."""
    return share(product(node.tensor.dims), node["density"])


def stored_bytes(node: Node) -> DimLike:
    """The bytes of a sparse value: entries with their columns, and where rows begin."""
    return stored_entries(node) * (node.tensor.dtype.size + 4) + 4 * node.tensor.dims[0]


def sparse_inputs(program: Program) -> dict[Node, Node]:
    """The inputs that come in sparse, and what they are after the op that alone reads them.

    It may read them behind `after`, which holds the order of work.
    """
    readers: dict[Node, list[Node]] = {}
    for node in program.nodes:
        for operand in node.args:
            readers.setdefault(operand, []).append(node)

    def stored(node: Node) -> Node | None:
        if node in program.outputs or node not in readers:
            return None
        found = [r if r.op.name == "csr" else stored(r) if r.op.name == "after" else None for r in readers[node]]
        return found[0] if all(found) else None

    return {node: begun for node in program.inputs if (begun := stored(node)) is not None}


def _op(name: str, line: str, about: str, meaning: Callable[..., Any], **more: Any) -> Op:
    """An op with one meaning over floats and over a field; `meaning` is given the operands and the options."""
    options = {**more.pop("options", {}), "density": 1.0}

    def given(attributes: Attributes) -> dict[str, Any]:
        return {key: value for key, value in attributes.items() if key != "density"}

    exact = more.pop("exact", lambda operands, attributes: meaning(*operands, **given(attributes)))
    return Op(
        name=name,
        line=line,
        about=about,
        group=more.pop("group", "sparse"),
        options=options,
        reference=lambda np, operands, attributes: meaning(*operands, **given(attributes)),
        exact=exact,
        **more,
    )


def _solving(name: str, line: str, about: str, meaning: Callable[..., Any], **more: Any) -> Op:
    """The same for a meaning that is given `numpy.linalg`, or `elimination` over a field."""

    def exact(operands: list[Any], attributes: Attributes) -> Any:
        from tpc.ir.ops import elimination

        return meaning(elimination, *operands, *(v for k, v in attributes.items() if k != "density"))

    def approximate(*operands: Any, **options: Any) -> Any:
        import numpy

        return meaning(numpy.linalg, *operands, *options.values())

    return _op(name, line, about, approximate, exact=exact, dtype="float", group="linalg", **more)


def _map_formula(operands: list[TensorType], attributes: Attributes) -> Formula:
    (A,) = operands
    if A.rank != 2:
        raise Misfit("E0204", "`csr_map` takes a matrix", [(0, f"this is {A}")])
    entry = access(0, ["i", "j"])
    function = attributes["function"]
    return over("ij", A.dims, Apply(function, (entry, ZERO) if function == TRUE_OF_NONZERO else (entry,)))


def _by_right_side(name: str, rows: str = "i", inner: str = "k") -> Callable[[list[TensorType], Attributes], str]:
    def line(operands: list[TensorType], attributes: Attributes) -> str:
        more = "" if operands[1].rank == 1 else ", j"
        return f"{name}(A[{rows}, {inner}], B[{inner}{more}])[{rows}{more}]"

    return line


def _scaled_line(name: str) -> Callable[[list[TensorType], Attributes], str]:
    def line(operands: list[TensorType], attributes: Attributes) -> str:
        matrix, other = operands
        if matrix.rank != 2 or other.rank > 2:
            raise Misfit("E0204", f"`{name}` takes a matrix, and what spreads over it", [(0, f"this is {matrix}")])
        axes = [letter if dim == size else "1" for letter, dim, size in zip("ji", other.dims[::-1], matrix.dims[::-1])]
        return f"{name}(A[i, j], X[{', '.join(axes[::-1]) or '...'}])[i, j]"

    return line


def _sum_line(operands: list[TensorType], attributes: Attributes) -> str:
    return f"csr_sum(A[i, j])[{ {0: 'j', 1: 'i', None: '...'}[attributes['axis']] }]"


def _parts_type(operands: list[TensorType], attributes: Attributes) -> list[TensorType]:
    values, columns, starts = operands
    if [o.rank for o in operands] != [1, 1, 1]:
        given = [(place, f"this is {operand}") for place, operand in enumerate(operands)]
        raise Misfit("E0204", "`sparse_matrix` takes three vectors", given)
    if values.dims != columns.dims:
        title = f"`sparse_matrix` needs a column for each value, and {columns.dims[0]} are not {values.dims[0]}"
        raise Misfit("E0203", title, [(0, f"this is {values}"), (1, f"this is {columns}")])
    return [TensorType(values.dtype, (starts.dims[0] - 1, attributes["m"]))]


def _whole(operands: list[Any], attributes: Attributes) -> Any:
    values, columns, starts = operands
    return meanings.of_parts(values, columns, starts, attributes["m"])


PARTS: dict[str, Any] = {"kinds": "bifc i i", "typing": _parts_type, "flops": "entries_values"}


def _extreme_line(name: str) -> Callable[[list[TensorType], Attributes], str]:
    return lambda operands, attributes: _sum_line(operands, attributes).replace("csr_sum", name)


# What is known of a matrix is known of it in another format.
SAME = "\n".join(
    f"{name}(A{arguments}) |- {name}(this{arguments})"
    for names, arguments in (
        ("symmetric spd psd skew diagonal lower upper unit_diagonal orthogonal orthonormal permutation", ""),
        ("full_rank nonsingular toeplitz circulant nonnegative positive negative nonzero row_stochastic", ""),
        ("low_rank sparse at_least at_most projection", ", a"),
        ("banded", ", a, b"),
    )
    for name in names.split()
)

SPARSE: list[Op] = [
    _op(
        "csr",
        "csr(A[i, j])[i, j]",
        "A as the caller gives it: sparse, with its entries in order, or where only products take it in any format",
        lambda A, products: meanings.itself(A),
        options={"products": False},
        facts=SAME,
    ),
    Op(
        name="sparse_matrix",
        line="sparse_matrix(values[k], columns[k], starts[p], m)[i, j]",
        about="matrix of m columns with values in the given columns; those of row i begin at starts[i] and end where "
        "the next begin; values for one place are added",
        group="creation",
        reference=lambda np, operands, attributes: _whole(operands, attributes),
        exact=_whole,
        **PARTS,
    ),
    _op(
        "csr_parts",
        "csr_parts(values[k], columns[k], starts[p], m)[i, j]",
        "sparse matrix of its parts, see sparse_matrix",
        meanings.of_parts,
        **PARTS,
    ),
    Op(
        name="csr_sketch",
        line="csr_sketch(m, n)[m, n]",
        about="sparse_sketch by its entries",
        group="sparse",
        options={"s": 4, "seed": 0, "dtype": None, "density": 1.0},
        typing=sketch_types,
        reference=drawn("sparse_sketch"),
    ),
    _op(
        "to_csr",
        "to_csr(A[i, j])[i, j]",
        "A with zeros left out; of a sparse matrix a copy",
        meanings.itself,
        facts=SAME,
    ),
    _op(
        "from_csr",
        "from_csr(A[i, j])[i, j]",
        "sparse A with all its entries stored",
        meanings.itself,
        facts=SAME,
        flops="entries_A",
    ),
    _op(
        "store",
        "store(A[i, j])[i, j]",
        "sparse A in another format, see ir/formats.py; only products take it",
        lambda A, format: meanings.itself(A),
        options={"format": "rows"},
        facts=SAME,
    ),
    _op(
        "csr_transpose", "csr_transpose(A[i, j])[j, i]", "transpose of sparse A, in the same memory", lambda A: A.T + 0
    ),
    Op(
        name="csr_map",
        line="csr_map(A[i, j])[i, j]",
        about="a function that is zero at zero, of the entries of sparse A; `ne` tells which are not zero",
        group="sparse",
        options={"function": "abs", "density": 1.0},
        formula_by=_map_formula,
    ),
    _op("csr_add", "csr_add(A[i, j], B[i, j])[i, j]", "sum of sparse matrices", lambda A, B: A + B, flops="entries_A"),
    _op(
        "csr_sub", "csr_sub(A[i, j], B[i, j])[i, j]", "difference of sparse ones", lambda A, B: A - B, flops="entries_A"
    ),
    _op("csr_mul", "csr_mul(A[i, j], B[i, j])[i, j]", "entrywise product of sparse matrices", lambda A, B: A * B),
    _op(
        "csr_scale",
        "csr_scale(A[i, j], X[i, j])[i, j]",
        "entries of sparse A times those of X, which may be a number, a row, a column or a matrix",
        lambda A, X: A * X,
        line_by=_scaled_line("csr_scale"),
        flops="entries_A",
    ),
    _op(
        "csr_div",
        "csr_div(A[i, j], X[i, j])[i, j]",
        "entries of sparse A through those of X; where A has none, the quotient is zero, whatever X is",
        lambda A, X: A / X,
        line_by=_scaled_line("csr_div"),
        dtype="float",
        flops="entries_A",
    ),
    _op(
        "csr_plus_dense",
        "csr_plus_dense(A[i, j], B[i, j])[i, j]",
        "sum of sparse A and a matrix B that is not",
        lambda A, B: A + B,
        flops="entries_A",
    ),
    _op(
        "spmm",
        "spmm(A[i, k], B[k, j])[i, j]",
        "product of sparse A, in a format, with a matrix or a vector that is not",
        lambda A, B, format: A @ B,
        options={"format": "rows"},
        line_by=_by_right_side("spmm"),
        flops="2 * entries_A * div(entries_B, max(k, 1))",
    ),
    _op("spgemm", "spgemm(A[i, k], B[k, j])[i, j]", "product of sparse matrices", lambda A, B: A @ B, flops="2*i*j"),
    _op(
        "sddmm",
        "sddmm(A[i, j], B[i, k], C[k, j])[i, j]",
        "sparse A times the entries of B @ C where it has some; no others are computed",
        lambda A, B, C: A * (B @ C),
        flops="2 * i * j * k",
    ),
    _op(
        "csr_sum",
        "csr_sum(A[i, j])[...]",
        "sum of the entries of sparse A: of each column (axis 0), of each row (axis 1), or of all",
        lambda A, axis: A.sum(axis),
        options={"axis": None},
        line_by=_sum_line,
        flops="entries_A",
    ),
    *[
        _op(
            name,
            f"{name}(A[i, j])[...]",
            f"{about} entry of sparse A: of each column (axis 0), of each row (axis 1), or of all",
            partial(meanings.extreme, name),
            exact=None,
            kinds="bif",
            options={"axis": None},
            line_by=_extreme_line(name),
            flops="entries_A",
        )
        for name, about in (("csr_max", "largest"), ("csr_min", "least"))
    ],
    _op("csr_row", "csr_row(A[i, j], place[...])[j]", "row of sparse A", meanings.row, kinds="bifc i", dtype="first"),
    _op(
        "csr_take",
        "csr_take(A[i, j], index[k])[k, j]",
        "rows of sparse A, at positions",
        meanings.taken,
        kinds="bifc i",
        dtype="first",
        flops="entries_A",
    ),
    _op("csr_diag", "csr_diag(A[i, i])[i]", "diagonal of sparse A", lambda A: A.diagonal() + 0, flops="i"),
    _op(
        "csr_diagonal",
        "csr_diagonal(d[i])[i, i]",
        "sparse matrix with d on its diagonal",
        meanings.diagonal_matrix,
        flops="i",
    ),
    _op(
        "csr_triangle",
        "csr_triangle(A[i, j])[i, j]",
        "entries of sparse A on and below its k-th diagonal, or on and above it",
        meanings.triangle,
        options={"lower": True, "k": 0},
        flops="entries_A",
    ),
    _op("csr_kron", "csr_kron(A[i, j], B[p, q])[(i p), (j q)]", "Kronecker product of sparse matrices", meanings.kron),
    _op(
        "csr_cast",
        "csr_cast(A[i, j])[i, j]",
        "sparse A with its entries in another format",
        meanings.cast,
        options={"dtype": None},
        typing=lambda operands, attributes: [TensorType(attributes["dtype"], operands[0].dims)],
    ),
    _op(
        "splu",
        "splu(A[i, i])[i, i]",
        "sparse A, stored as its sparse triangular factors with an order that keeps them so; a definite one needs no "
        "pivots",
        lambda A, spd: meanings.itself(A),
        options={"spd": False},
        group="linalg",
        dtype="float",
        needs="nonsingular(A)",
        flops="20 * entries_A",
    ),
    _solving(
        "splu_solve",
        "splu_solve(A[i, i], B[i, j])[i, j]",
        "X with A @ X = B, where splu has the factors of A",
        meanings.solve,
        line_by=_by_right_side("splu_solve", inner="i"),
        flops="8 * entries_A",
    ),
    _op(
        "splu_logdet",
        "splu_logdet(A[i, i])[...]",
        "logarithm of the determinant of A by its sparse factors; NaN where that is negative",
        meanings.logdet,
        group="linalg",
        dtype="real",
        flops="i",
        exact=None,
    ),
    _solving(
        "csr_solve_triangular",
        "csr_solve_triangular(A[i, i], B[i, j])[i, j]",
        "X with A @ X = B for a triangle of sparse A",
        meanings.solve_triangular,
        options={"lower": True},
        line_by=_by_right_side("csr_solve_triangular", inner="i"),
        flops="2 * entries_A",
    ),
]

NAMES = frozenset(op.name for op in SPARSE if op.group != "creation")
