"""Arrays made from sizes and numbers."""

from __future__ import annotations

from typing import Any

from tpc.ir.dims import maximum
from tpc.ir.formula import Apply, Formula, LetterValue, Literal, SizeValue
from tpc.ir.op import Attributes, Op
from tpc.ir.ops.entries import entries_of
from tpc.ir.ops.indexing import (
    ONE,
    ZERO,
    FormulaBy,
    access,
    checked_dims,
    checked_scalar,
    letters_of,
    over,
    typed_by,
)
from tpc.ir.types import INT, REAL, DType, TensorType

DTYPE: dict[str, Any] = {"dtype": None}


def made(formula_by: FormulaBy, default: DType = REAL) -> dict[str, Any]:
    """Formula and types of an op whose option `dtype` names its format."""

    def typing(operands: list[TensorType], attributes: Attributes) -> list[TensorType]:
        formula = formula_by(operands, attributes)
        assert formula is not None
        return [TensorType(attributes["dtype"] or default, formula.dims)]

    return {"formula_by": formula_by, "typing": typing}


def _filled(name: str, value: Literal) -> FormulaBy:
    def formula(operands: list[TensorType], attributes: Attributes) -> Formula:
        dims = checked_dims(name, attributes["dims"])
        return over([f"i{n}" for n in range(len(dims))], dims, value)

    return formula


def _full(operands: list[TensorType], attributes: Attributes) -> Formula:
    checked_scalar("full", operands, 0)
    dims = checked_dims("full", attributes["dims"])
    return over([f"i{n}" for n in range(len(dims))], dims, access(0, ""))


def _full_types(operands: list[TensorType], attributes: Attributes) -> list[TensorType]:
    return [TensorType(attributes["dtype"] or operands[0].dtype, _full(operands, attributes).dims)]


def _eye(operands: list[TensorType], attributes: Attributes) -> Formula:
    rows = attributes["i"]
    columns = attributes.get("j")
    dims = checked_dims("eye", (rows, rows if columns is None else columns))
    return over("ij", dims, Apply("select", (Apply("eq", (LetterValue("i"), LetterValue("j"))), ONE, ZERO)))


def _arange(operands: list[TensorType], attributes: Attributes) -> Formula:
    return over("i", checked_dims("arange", (attributes["n"],)), LetterValue("i"))


def _linspace(operands: list[TensorType], attributes: Attributes) -> Formula:
    checked_scalar("linspace", operands, 0)
    checked_scalar("linspace", operands, 1)
    (n,) = checked_dims("linspace", (attributes["n"],))
    step = Apply("div", (Apply("sub", (access(1, ""), access(0, ""))), SizeValue(maximum(n - 1, 1))))
    return over("i", [n], Apply("add", (access(0, ""), Apply("mul", (LetterValue("i"), step)))))


def _one_hot(operands: list[TensorType], attributes: Attributes) -> Formula:
    letters = letters_of(operands[0])
    dims = checked_dims("one_hot", (*operands[0].dims, attributes["n"]))
    equal = Apply("eq", (access(0, letters), LetterValue("j")))
    return over([*letters, "j"], dims, Apply("select", (equal, ONE, ZERO)))


def _op(name: str, line: str, about: str, **more: Any) -> Op:
    return Op(name=name, line=line, about=about, group="creation", **more)


CREATION: list[Op] = [
    _op(
        "zeros",
        "zeros(dims)",
        "all entries 0",
        variadic="dims",
        options=DTYPE,
        facts="""
            |- at_least(this, 0)
            |- at_most(this, 0)
            |- diagonal(this)     where matrix(this)
            |- circulant(this)    where square(this)
            |- low_rank(this, 0)  where matrix(this)
            |- sparse(this, 0)    where matrix(this)
        """,
        **made(_filled("zeros", Literal("0"))),
    ),
    _op(
        "ones",
        "ones(dims)",
        "all entries 1",
        variadic="dims",
        options=DTYPE,
        facts="""
            |- at_least(this, 1)
            |- at_most(this, 1)
            |- toeplitz(this)     where matrix(this)
            |- circulant(this)    where square(this)
            |- low_rank(this, 1)  where matrix(this)
            |- psd(this)          where square(this)
        """,
        **made(_filled("ones", Literal("1"))),
    ),
    _op(
        "full",
        "full(value[...], dims)",
        "all entries the same",
        variadic="dims",
        options=DTYPE,
        formula_by=_full,
        typing=_full_types,
        facts="""
            |- toeplitz(this)    where matrix(this)
            |- circulant(this)   where square(this)
            |- low_rank(this, 1) where matrix(this)
            nonnegative(value)   |- psd(this) where square(this)
        """
        + entries_of("value"),
    ),
    _op(
        "eye",
        "eye(i, j)",
        "ones on the diagonal; j is i where it is left out",
        options={"j": None, **DTYPE},
        facts="""
            |- diagonal(this)
            |- unit_diagonal(this)
            |- nonnegative(this)
            |- at_most(this, 1)
            |- full_rank(this)
            |- toeplitz(this)
            |- permutation(this)    where square(this)
            |- spd(this)            where square(this)
            |- circulant(this)      where square(this)
            |- row_stochastic(this) where square(this)
        """,
        **made(_eye),
    ),
    _op(
        "arange",
        "arange(n)",
        "0, 1, ..., n - 1",
        options=DTYPE,
        facts="|- nonnegative(this)",
        **made(_arange, INT),
    ),
    _op(
        "linspace",
        "linspace(a[...], b[...], n)",
        "n values from a to b, both included, evenly spaced",
        facts="""
            at_least(a, p), at_least(b, q) |- at_least(this, min(p, q))
            at_most(a, p), at_most(b, q)   |- at_most(this, max(p, q))
            positive(a), positive(b)       |- positive(this)
            negative(a), negative(b)       |- negative(this)
        """,
        formula_by=_linspace,
        typing=typed_by(_linspace),
    ),
    _op(
        "one_hot",
        "one_hot(index[...], n)",
        "1 at the position that index gives on a last axis of n entries, else 0",
        kinds="i",
        options=DTYPE,
        facts="|- nonnegative(this)\n |- at_most(this, 1)",
        **made(_one_hot),
    ),
]
