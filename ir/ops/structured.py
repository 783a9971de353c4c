"""Matrices that a few numbers fill: circulant, Toeplitz, Hankel, and invariant under exclusive or."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tpc.ir.dims import DimLike, dim_text
from tpc.ir.formula import Apply, Formula, LetterValue, Reduction, Scalar, SizeValue
from tpc.ir.op import Attributes, Misfit, Op
from tpc.ir.ops.entries import entries_of
from tpc.ir.ops.indexing import ZERO, access, checked_dims, checked_rank, over, plus, typed_by
from tpc.ir.types import TensorType

ROW, COLUMN = LetterValue("i"), LetterValue("j")

FormulaOf = Callable[[list[TensorType], Attributes], Formula]


def _length(name: str, operands: list[TensorType]) -> DimLike:
    (x,) = operands
    if x.rank != 1:
        raise Misfit("E0204", f"`{name}` takes a vector", [(0, f"this is {x}")])
    return x.dims[0]


def _circulant(operands: list[TensorType], attributes: Attributes) -> Formula:
    n = _length("circulant", operands)
    return over("ij", [n, n], access(0, [Apply("mod", (Apply("sub", (ROW, COLUMN)), SizeValue(n)))]))


def _of_diagonals(name: str, place: Callable[[DimLike], Scalar]) -> FormulaOf:
    """A matrix with an entry of a vector for each of its diagonals, or of those that run the other way."""

    def formula(operands: list[TensorType], attributes: Attributes) -> Formula:
        count = _length(name, operands)
        (rows,) = checked_dims(name, (attributes["m"],))
        columns = count + 1 - rows
        if isinstance(columns, int) and columns < 0:
            title = f"`{name}` with {dim_text(rows)} rows needs {dim_text(rows - 1)} entries at least"
            raise Misfit("E0203", title, [(0, f"this is {operands[0]}")])
        return over("ij", [rows, columns], access(0, [place(columns)]))

    return formula


_toeplitz = _of_diagonals("toeplitz", lambda columns: plus(Apply("sub", (ROW, COLUMN)), SizeValue(columns - 1)))
_hankel = _of_diagonals("hankel", lambda columns: Apply("add", (ROW, COLUMN)))


def _circulant_sums(operands: list[TensorType], attributes: Attributes) -> Formula:
    (A,) = operands
    if A.rank != 2 or A.dims[0] != A.dims[1]:
        raise Misfit("E0204", "`circulant_sums` takes a square matrix", [(0, f"this is {A}")])
    n = A.dims[0]
    place = Apply("mod", (Apply("add", (COLUMN, ROW)), SizeValue(n)))
    return over("i", [n], Reduction("sum", ("j",), None, access(0, [place, "j"])), ("j", n))


def _diagonal_sums(operands: list[TensorType], attributes: Attributes) -> Formula:
    (A,) = operands
    if A.rank != 2:
        raise Misfit("E0204", "`diagonal_sums` takes a matrix", [(0, f"this is {A}")])
    rows, columns = A.dims
    place = plus(Apply("add", (ROW, COLUMN)), SizeValue(1 - columns))
    body = Reduction("sum", ("j",), None, access(0, [place, "j"], ZERO))
    return over("i", [rows + columns - 1], body, ("j", columns))


# ---- exclusive or


def _refuse_others(name: str, n: DimLike, x: TensorType) -> None:
    if isinstance(n, int) and (n < 1 or n & (n - 1)):
        raise Misfit("E0203", f"`{name}` needs 1, 2, 4, 8, ... entries, not {n}", [(0, f"this is {x}")])


def _xor_types(operands: list[TensorType], attributes: Attributes) -> list[TensorType]:
    n = _length("xor_circulant", operands)
    _refuse_others("xor_circulant", n, operands[0])
    return [TensorType(operands[0].dtype, [n, n])]


def _xor(f: Any) -> Any:
    import numpy

    places = numpy.arange(len(f))
    return f[places[:, None] ^ places[None, :]]


def _walsh_types(operands: list[TensorType], attributes: Attributes) -> list[TensorType]:
    checked_rank("walsh_hadamard", operands, 0, 1)
    _refuse_others("walsh_hadamard", operands[0].dims[0], operands[0])
    return list(operands)


def _walsh(x: Any) -> Any:
    """Sums and differences of halves, over and over."""
    import numpy

    shape, step = x.shape, 1
    while step < shape[0]:
        pairs = x.reshape(-1, 2, step, *shape[1:])
        x = numpy.stack([pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]], axis=1).reshape(shape)
        step *= 2
    return x


def _semiseparable(operands: list[TensorType], attributes: Attributes) -> Formula:
    a, B, C = operands
    for number, x in enumerate(operands):
        if x.rank != 2 or x.dims != a.dims:
            raise Misfit("E0204", "`semiseparable` takes three matrices of one size", [(number, f"this is {x}")])
    n, order = a.dims
    K = LetterValue("k")
    between = Apply("logical_and", (Apply("lt", (COLUMN, K)), Apply("le", (K, ROW))))
    decay = Reduction("prod", ("k",), between, access(0, "ks"))
    entry = Apply("mul", (Apply("mul", (access(2, "is"), decay)), access(1, "js")))
    body = Reduction("sum", ("s",), None, Apply("select", (Apply("le", (COLUMN, ROW)), entry, ZERO)))
    return over("ij", [n, n], body, ("k", n), ("s", order))


def _op(name: str, line: str, about: str, **more: Any) -> Op:
    return Op(name=name, line=line, about=about, **more)


def _of_formula(formula: FormulaOf) -> dict[str, Any]:
    return {"group": "products", "kinds": "ifc", "formula_by": formula, "typing": typed_by(formula)}


def _by_hand(meaning: Callable[[Any], Any]) -> dict[str, Any]:
    """A meaning that is the same over floats and over a field."""
    return {
        "group": "linalg",
        "kinds": "fc",
        "reference": lambda np, operands, _: meaning(operands[0]),
        "exact": lambda operands, _: meaning(operands[0]),
    }


STRUCTURED: list[Op] = [
    _op(
        "circulant",
        "circulant(c[i])[i, i]",
        "the matrix with c as its first column, and each column the one before, turned down by one",
        facts="|- circulant(this)\n nonnegative(c) |- nonnegative(this)" + entries_of("c"),
        **_of_formula(_circulant),
    ),
    _op(
        "toeplitz",
        "toeplitz(t[k], m)[m, k + 1 - m]",
        "the matrix of m rows and n columns with t[i - j + n - 1] in row i and column j; t has m + n - 1 entries, from "
        "the upper right corner over the diagonal to the lower left",
        facts="|- toeplitz(this)\n nonnegative(t) |- nonnegative(this)" + entries_of("t"),
        **_of_formula(_toeplitz),
    ),
    _op(
        "hankel",
        "hankel(t[k], m)[m, k + 1 - m]",
        "the matrix of m rows and n columns with t[i + j] in row i and column j; t has m + n - 1 entries",
        facts="|- symmetric(this) where square(this)\n nonnegative(t) |- nonnegative(this)" + entries_of("t"),
        **_of_formula(_hankel),
    ),
    _op(
        "circulant_sums",
        "circulant_sums(A[i, i])[i]",
        "the sums over the entries at which circulant(c) has c[0], c[1], ...",
        facts="nonnegative(A) |- nonnegative(this)",
        **_of_formula(_circulant_sums),
    ),
    _op(
        "diagonal_sums",
        "diagonal_sums(A[m, n])[m + n - 1]",
        "the sums over the diagonals, from the upper right corner to the lower left: the entries at which "
        "toeplitz(t, m) has t[0], t[1], ...",
        facts="nonnegative(A) |- nonnegative(this)",
        **_of_formula(_diagonal_sums),
    ),
    _op(
        "xor_circulant",
        "xor_circulant(f[i])[i, i]",
        "the matrix with f[i xor j] in row i and column j, where xor tells in which binary digits i and j differ; f "
        "has 1, 2, 4, 8, ... entries",
        typing=_xor_types,
        flops="i^2",
        facts="|- symmetric(this)\n nonnegative(f) |- nonnegative(this)" + entries_of("f"),
        **_by_hand(_xor),
    ),
    _op(
        "semiseparable",
        "semiseparable(a[i, s], B[i, s], C[i, s])[i, i]",
        "the lower triangular matrix with sum[s](C[i, s] * a[i, s] * ... * a[j + 1, s] * B[j, s]) in row i and column "
        "j: what x = a[t] * x + B[t] * u[t]; y[t] = C[t] @ x makes of u",
        facts="|- lower(this)\n nonnegative(a), nonnegative(B), nonnegative(C) |- nonnegative(this)",
        **_of_formula(_semiseparable),
    ),
    _op(
        "walsh_hadamard",
        "walsh_hadamard(x[...])[...]",
        "H @ x, where H is the Hadamard matrix in natural order: (-1)^(the binary digits that i and k share); x has "
        "1, 2, 4, 8, ... entries on its first axis",
        typing=_walsh_types,
        flops="16 * entries_x",
        **_by_hand(_walsh),
    ),
]
