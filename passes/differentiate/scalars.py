"""Derivatives of functions of scalars, one line each, in terms of the operands x, y, z and the value `this`.

Where a function has a corner the line says which one-sided derivative is taken. `0` is a path that is cut: what is
piecewise constant, or a truth value.
"""

from __future__ import annotations

import re
from functools import cache

from tpc.ir.formula import Access, Apply, Literal, Scalar, mapped
from tpc.ir.op import Op
from tpc.ir.types import F64, TensorType

LINES: dict[str, tuple[str, ...]] = {
    "add": ("1", "1"),
    "sub": ("1", "-1"),
    "mul": ("y", "x"),
    "div": ("1 / y", "-this / y"),
    "pow": ("y * x^(y - 1)", "select(x == 0, 0.0, this * log(select(x == 0, 1.0, x)))"),
    "neg": ("-1",),
    "select": ("0", "select(x, 1.0, 0.0)", "select(x, 0.0, 1.0)"),
    "maximum": ("select(x >= y, 1.0, 0.0)", "select(x >= y, 0.0, 1.0)"),
    "minimum": ("select(x <= y, 1.0, 0.0)", "select(x <= y, 0.0, 1.0)"),
    "clip": ("select(x < y, 0.0, select(x > z, 0.0, 1.0))", "select(x < y, 1.0, 0.0)", "select(x > z, 1.0, 0.0)"),
    "mod": ("1", "-floor(x / y)"),
    "abs": ("sign(x)",),
    "square": ("2 * x",),
    "sqrt": ("0.5 / this",),
    "cbrt": ("this / (3 * x)",),
    "rsqrt": ("-0.5 * this / x",),
    "exp": ("this",),
    "expm1": ("this + 1",),
    "exp2": ("0.6931471805599453 * this",),
    "log": ("1 / x",),
    "log1p": ("1 / (1 + x)",),
    "log2": ("1.4426950408889634 / x",),
    "log10": ("0.4342944819032518 / x",),
    "sin": ("cos(x)",),
    "cos": ("-sin(x)",),
    "tan": ("1 + this^2",),
    "asin": ("rsqrt(1 - x^2)",),
    "acos": ("-rsqrt(1 - x^2)",),
    "atan": ("1 / (1 + x^2)",),
    "atan2": ("y / (x^2 + y^2)", "-x / (x^2 + y^2)"),
    "sinh": ("cosh(x)",),
    "cosh": ("sinh(x)",),
    "tanh": ("1 - this^2",),
    "asinh": ("rsqrt(x^2 + 1)",),
    "acosh": ("rsqrt(x - 1) * rsqrt(x + 1)",),
    "atanh": ("1 / (1 - x^2)",),
    "hypot": ("x / this", "y / this"),
    "sigmoid": ("this * (1 - this)",),
    "logit": ("1 / (x * (1 - x))",),
    "relu": ("select(x > 0, 1.0, 0.0)",),
    "softplus": ("sigmoid(x)",),
    "silu": ("sigmoid(x) * (1 + x * (1 - sigmoid(x)))",),
    "gelu": ("ndtr(x) + x * 0.3989422804014327 * exp(-0.5 * x^2)",),
    "erf": ("1.1283791670955126 * exp(-x^2)",),
    "erfc": ("-1.1283791670955126 * exp(-x^2)",),
    "erfinv": ("0.886226925452758 * exp(this^2)",),
    "gamma": ("this * digamma(x)",),
    "lgamma": ("digamma(x)",),
    "digamma": ("trigamma(x)",),
    "beta": ("this * (digamma(x) - digamma(x + y))", "this * (digamma(y) - digamma(x + y))"),
    "lbeta": ("digamma(x) - digamma(x + y)", "digamma(y) - digamma(x + y)"),
    "ndtr": ("0.3989422804014327 * exp(-0.5 * x^2)",),
    "log_ndtr": ("0.3989422804014327 * exp(-0.5 * x^2 - this)",),
    "ndtri": ("2.5066282746310002 * exp(0.5 * this^2)",),
    "xlogy": ("log(y)", "x / y"),
    "sinc": ("select(x == 0, 0.0, (cos(pi * x) - this) / select(x == 0, 1.0, x))",),
    "bessel_i0": ("bessel_i1(x)",),
    "bessel_i1": ("bessel_i0(x) - select(x == 0, 0.5, this / select(x == 0, 1.0, x))",),
    "bessel_i0e": ("bessel_i1e(x) - sign(x) * this",),
    "bessel_i1e": ("bessel_i0e(x) - select(x == 0, 0.5, this * (sign(x) + 1 / select(x == 0, 1.0, x)))",),
    "bessel_j0": ("-bessel_j1(x)",),
    "bessel_j1": ("bessel_j0(x) - select(x == 0, 0.5, this / select(x == 0, 1.0, x))",),
    **dict.fromkeys(("floor", "ceil", "round", "trunc", "sign"), ("0",)),
    **dict.fromkeys(("isnan", "isinf", "isfinite", "logical_not"), ("0",)),
    **dict.fromkeys(("eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "floor_div"), ("0", "0")),
}  # fmt: skip

# Functions of a complex number that are not holomorphic (besides `conj`).
NOT_HOLOMORPHIC = frozenset(["abs", "sign", "re", "im", "angle"])


@cache
def derivatives(function: str) -> tuple[Scalar, ...] | None:
    """The derivatives by each operand, over operands 0, 1, ... and the value as the one after them.

    None where the language has no function for it.
    """
    if function not in LINES:
        return None
    lines = LINES[function]
    names = ["x", "y", "z"][: len(lines)]
    return tuple(_read([*names, "this"], line) for line in lines)


def _read(names: list[str], line: str) -> Scalar:
    entries = re.sub(r"\b(x|y|z|this)\b", r"\1[i]", line)  # an op line speaks of entries
    op = Op(name="d", line=f"d({', '.join(f'{n}[i]' for n in names)})[i] = {entries}", about="a derivative")
    formula = op.formula([TensorType(F64, (1,))] * len(names), {})
    assert formula is not None
    return formula.body


def put(derivative: Scalar, operands: tuple[Scalar, ...]) -> Scalar:
    """A derivative with scalars in the places of operands and value, and without the numbers that cancel."""

    def change(scalar: Scalar) -> Scalar:
        match scalar:
            case Access(operand=operand):
                return operands[operand]
            case Apply(function="sub", arguments=(Literal(value=int(x)), Literal(value=int(y)))) if x >= y:
                return Literal(str(x - y))
            case Apply(function="pow", arguments=(base, Literal(value=1))):
                return base
        return scalar

    return mapped(derivative, change)


def is_zero(scalar: Scalar) -> bool:
    return isinstance(scalar, Literal) and scalar.value == 0


def is_one(scalar: Scalar) -> bool:
    return isinstance(scalar, Literal) and scalar.value == 1
