"""Matrices in few bits: codes, and a scale for each group of entries of a row.

    codes   i8 or f16 [n, groups, l]   a code for each entry
            i8 [n, groups, l], packed  two codes of -8 to 7 in a byte: the low halves (less 8) are the first l entries
                                       of a group, the high halves the next l
    scales  [n, groups]                an entry is its code times the scale of its group
            [n, groups, 16]            or, of packed codes, the entry of a table: that of -8 first

Their meaning is a formula, so that every backend runs them; where code is generated, a product reads the codes alone.
"""

from __future__ import annotations

from typing import Any

from tpc.ir.dims import DimLike
from tpc.ir.formula import Access, Apply, Composed, Formula, LetterValue, Literal, Reduction, Scalar, size_scalar
from tpc.ir.op import Attributes, Misfit, Op
from tpc.ir.ops.indexing import option_misfit
from tpc.ir.types import TensorType

ENTRIES = 16  # of a table: what a code of 4 bits can tell apart
_I, _K, _L, _H = (LetterValue(name) for name in "iklh")


def _halves(codes: int) -> tuple[Scalar, Scalar]:
    """The two codes of a byte."""
    code = Access(codes, (_I, _K, _L))
    low = Apply("sub", (Apply("mod", (code, Literal("16"))), Literal("8")))
    return low, Apply("floor_div", (code, Literal("16")))


def _of_tables(codes: int, tables: int) -> tuple[Scalar, Scalar]:
    """What the two codes of a byte stand for in the table of their group."""
    code, sixteen = Access(codes, (_I, _K, _L)), Literal("16")
    upper = Apply("add", (Apply("floor_div", (code, sixteen)), Literal("8")))
    low, high = (Access(tables, (_I, _K, Apply("mod", (c, sixteen)))) for c in (code, upper))
    return low, high


def _entry(codes: int, scales: int, packed: bool, tables: bool) -> Scalar:
    """The entry of the matrix at row i, group k and place l (of half h) of the group."""
    code: Scalar = Access(codes, (_I, _K, _L))
    if packed:
        halves: tuple[Scalar, Scalar] = _of_tables(codes, scales) if tables else _halves(codes)
        code = Apply("select", (Apply("eq", (_H, Literal("0"))), *halves))
    return code if tables else Apply("mul", (Access(scales, (_I, _K)), code))


def _extents(codes: TensorType, packed: bool) -> tuple[tuple[str, Any], ...]:
    n, groups, length = codes.dims
    half = (("h", 2),) if packed else ()
    return (("i", n), ("k", groups), *half, ("l", length))


def _columns(packed: bool) -> tuple[str, ...]:
    return ("k", "h", "l") if packed else ("k", "l")


def _check(codes: TensorType, scales: TensorType, attributes: Attributes, first: int) -> bool:
    """Whether codes are packed."""
    packed = attributes["packed"]
    if not isinstance(packed, bool):
        raise option_misfit("dequantize", "packed", packed, "true or false")
    kinds = (codes.dims[:2], (*codes.dims[:2], ENTRIES)) if packed else (codes.dims[:2],)
    if codes.rank != 3 or scales.dims not in kinds:
        or_table = f" or a table of {ENTRIES}" if packed else ""
        raise Misfit(
            "E0203",
            f"codes by groups and a scale{or_table} for each group are needed, but these are {codes} and {scales}",
            [(first, f"this is {codes}"), (first + 1, f"this is {scales}")],
        )
    if packed and codes.dtype.kind != "i":
        raise Misfit("E0221", f"packed codes are integers, not {codes.dtype}", [(first, f"this is {codes}")])
    return bool(packed)


def _matrix(operands: list[TensorType], attributes: Attributes) -> Formula:
    codes, scales = operands
    packed = _check(codes, scales, attributes, 0)
    return Formula((("i",), _columns(packed)), _extents(codes, packed), _entry(0, 1, packed, scales.rank == 3))


def _product(operands: list[TensorType], attributes: Attributes) -> Formula:
    X, codes, scales = operands
    packed, transposed = _check(codes, scales, attributes, 1), attributes["transposed"]
    if not isinstance(transposed, bool):
        raise option_misfit("quantized_matmul", "transposed", transposed, "true or false")
    n, groups, length = codes.dims
    width = groups * length * (2 if packed else 1)
    inner = width if transposed else n
    if X.rank not in (1, 2) or X.dims[-1] != inner:
        raise Misfit("E0203", f"a vector or rows of {inner} are needed, but this is {X}", [(0, f"this is {X}")])
    lead = ("b",) if X.rank == 2 else ()
    axes, rows = tuple((n,) for n in lead), tuple((n, X.dims[0]) for n in lead)
    if transposed and packed:  # a byte is read once, for both of its codes
        if scales.rank == 3:
            body = _of_byte(lead, length, _of_tables(1, 2))
        else:
            body = Apply("mul", (Access(2, (_I, _K)), _of_byte(lead, length, _halves(1))))
        extents = (*rows, *_extents(codes, False))
        return Formula((*axes, ("i",)), extents, Reduction("sum", ("k", "l"), None, body))
    columns = _columns(packed)
    place: Scalar | Composed = Composed(columns) if transposed else _I
    body = Apply("mul", (_entry(1, 2, packed, scales.rank == 3), Access(0, (*map(LetterValue, lead), place))))
    summed, kept = (columns, ("i",)) if transposed else (("i",), columns)
    return Formula((*axes, kept), (*rows, *_extents(codes, packed)), Reduction("sum", summed, None, body))


def _of_byte(lead: tuple[str, ...], length: DimLike, halves: tuple[Scalar, Scalar]) -> Scalar:
    """What a byte stands for times what it meets in X."""
    start = Apply("add", (Apply("mul", (size_scalar(2 * length), _K)), _L))
    places = start, Apply("add", (start, size_scalar(length)))
    low, high = (
        Apply("mul", (code, Access(0, (*map(LetterValue, lead), place))))
        for code, place in zip(halves, places, strict=True)
    )
    return Apply("add", (low, high))


def _typed(formula: Any) -> Any:
    def types(operands: list[TensorType], attributes: Attributes) -> list[TensorType]:
        found = formula(operands, attributes)
        return [TensorType(operands[-1].dtype, found.dims)]

    return types


QUANTIZED: list[Op] = [
    Op(
        name="dequantize",
        line="dequantize(codes[i, k, l], scales[i, k, ...])[...]",
        about="the matrix whose entries are codes times the scale of their group; packed: two of 4 bits in a byte, "
        "which may stand for the entries of a table of 16 that is given in the place of the scale",
        group="quantized",
        options={"packed": False},
        kinds="if f",
        formula_by=_matrix,
        typing=_typed(_matrix),
    ),
    Op(
        name="quantized_matmul",
        line="quantized_matmul(X[..., j], codes[i, k, l], scales[i, k, ...])[...]",
        about="X @ W for the matrix W that `dequantize` gives, or X @ W' with transposed=true; X may be a vector",
        group="quantized",
        options={"packed": False, "transposed": False},
        kinds="f if f",
        formula_by=_product,
        typing=_typed(_product),
    ),
]
