"""Which scalar function is which code, in which dtypes, with what error."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

from llvmlite import ir

from tpc.backends.llvm.mathematics import (
    arithmetic,
    bessel,
    exponential,
    gamma,
    logarithm,
    normal,
    power,
    trigonometric,
)
from tpc.backends.llvm.mathematics.lanes import by_lane
from tpc.backends.llvm.mathematics.vector import Builder, Vec, element, known, suffix

Code = Callable[..., Vec]

# A few instructions, written where they are used.
DIRECT: dict[str, Code] = {
    "add": arithmetic.add,
    "sub": lambda x, y: x - y,
    "mul": arithmetic.mul,
    "div": lambda x, y: x / y,
    "neg": lambda x: -x,
    "eq": lambda x, y: x.equals(y),
    "ne": lambda x, y: x.differs(y),
    "lt": lambda x, y: x < y,
    "le": lambda x, y: x <= y,
    "gt": lambda x, y: x > y,
    "ge": lambda x, y: x >= y,
    "logical_and": lambda x, y: arithmetic.truth(x) & arithmetic.truth(y),
    "logical_or": lambda x, y: arithmetic.truth(x) | arithmetic.truth(y),
    "logical_not": lambda x: ~arithmetic.truth(x),
    "select": arithmetic.select,
    "abs": arithmetic.absolute,
    "sign": arithmetic.sign,
    "square": lambda x: arithmetic.mul(x, x),
    "sqrt": power.sqrt,
    "rsqrt": power.rsqrt,
    "floor": partial(arithmetic.rounding, "floor"),
    "ceil": partial(arithmetic.rounding, "ceil"),
    "round": partial(arithmetic.rounding, "roundeven"),
    "trunc": partial(arithmetic.rounding, "trunc"),
    "isnan": arithmetic.is_nan,
    "isinf": arithmetic.is_infinite,
    "isfinite": arithmetic.is_finite,
    "conj": lambda x: x,
    "re": lambda x: x,
    "im": arithmetic.imaginary,
    "angle": arithmetic.angle,
    "relu": arithmetic.relu,
}

# Longer ones, each in a function of its own: a call costs little beside them, and code is made once.
CALLED: dict[str, Code] = {
    "maximum": arithmetic.maximum,
    "minimum": arithmetic.minimum,
    "pow": lambda x, y: arithmetic.integer_power(x, y) if x.is_integer else power.power(x, y),
    "mod": arithmetic.mod,
    "floor_div": arithmetic.floor_div,
    "cbrt": power.cbrt,
    "exp": exponential.exp,
    "expm1": exponential.expm1,
    "exp2": exponential.exp2,
    "log": logarithm.log,
    "log1p": logarithm.log1p,
    "log2": logarithm.log2,
    "log10": logarithm.log10,
    "sin": trigonometric.sin,
    "cos": trigonometric.cos,
    "tan": trigonometric.tan,
    "asin": trigonometric.asin,
    "acos": trigonometric.acos,
    "atan": trigonometric.atan,
    "atan2": trigonometric.atan2,
    "sinh": exponential.sinh,
    "cosh": exponential.cosh,
    "tanh": exponential.tanh,
    "asinh": logarithm.asinh,
    "acosh": logarithm.acosh,
    "atanh": logarithm.atanh,
    "hypot": power.hypot,
    "sigmoid": exponential.sigmoid,
    "logit": logarithm.logit,
    "softplus": logarithm.softplus,
    "silu": exponential.silu,
    "gelu": normal.gelu,
    "erf": normal.erf,
    "erfc": normal.erfc,
    "erfinv": normal.erfinv,
    "ndtr": normal.ndtr,
    "log_ndtr": normal.log_ndtr,
    "ndtri": normal.ndtri,
    "xlogy": logarithm.xlogy,
    "sinc": trigonometric.sinc,
    "gamma": gamma.gamma,
    "digamma": gamma.digamma,
    "lgamma": partial(by_lane, "lgamma"),
    "bessel_i0": bessel.i0,
    "bessel_i1": bessel.i1,
    "bessel_i0e": bessel.i0e,
    "bessel_i1e": bessel.i1e,
    "bessel_j0": partial(by_lane, "j0"),
    "bessel_j1": partial(by_lane, "j1"),
}


def _fourth(x: Vec) -> Vec:
    square = x * x
    return square * square


INLINED = ("exp", "maximum", "minimum")  # whose callers would else have all registers saved
# Powers to small exponents that are known.
PRODUCTS: dict[float | None, Code] = {
    0: lambda x: x.constant(1),
    1: lambda x: x,
    2: lambda x: x * x,
    3: lambda x: x * x * x,
    4: _fourth,
}


def emit(builder: Any, name: str, arguments: Sequence[ir.Value], features: Collection[str] = ()) -> ir.Value:
    """The code of a scalar function, appended where `builder` stands.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
    name : str
        A name of `tpc.ir.scalar.SCALARS` that `covered.supports` affirms.
    arguments : sequence of llvmlite.ir.Value
        Scalars or vectors of one type: float, double, signed integers or i1. `select` takes i1 first.
    features : collection of str
        Extensions of the processor, in LLVM's names, whose instructions may be named outright; so far "avx512f".

    Returns
    -------
    llvmlite.ir.Value
        Of the arguments' type; i1 (or a vector of it) where the function's value is a truth value.
    """
    if name == "pow" and (exponent := known(arguments[1])) in PRODUCTS:
        product: ir.Value = PRODUCTS[exponent](Vec(builder, arguments[0])).value
        return product
    if name in ("mod", "floor_div") and arithmetic.power_of_two(Vec(builder, arguments[1])) is not None:
        part: ir.Value = CALLED[name](*(Vec(builder, argument) for argument in arguments)).value
        return part
    if name in DIRECT:
        result: ir.Value = DIRECT[name](*(Vec(builder, argument) for argument in arguments)).value
        return result
    return builder.call(_function(builder.module, name, arguments, features), arguments)


def _function(module: Any, name: str, arguments: Sequence[ir.Value], features: Collection[str]) -> Any:
    type_ = arguments[0].type
    symbol = f"tpc.{name}.{suffix(type_)}"
    if symbol in module.globals:
        return module.globals[symbol]
    function = ir.Function(module, ir.FunctionType(type_, [a.type for a in arguments]), symbol)
    function.linkage = "internal"
    # a divisor or an exponent that is known makes it a few instructions
    if isinstance(element(type_), ir.IntType) or name in INLINED:
        function.attributes.add("alwaysinline")
    builder = Builder(function.append_basic_block(), features)
    # The builder moves on where a function branches.
    builder.ret(CALLED[name](*(Vec(builder, argument) for argument in function.args)).value)
    return function


# Bounds of the error in units in the last place (f64, f32); a test holds them. What crosses zero where nothing is known
# of the crossing has a unit of at least that of 1: ABSOLUTE. (On the left digamma is log(-x) less nearly as much.)
ABSOLUTE = {"digamma", "lgamma", "bessel_j0", "bessel_j1"}
ULP: dict[str, tuple[float, float]] = {
    "pow": (0.8, 0.8),
    "sqrt": (0.5, 0.5),
    "rsqrt": (1.5, 1.5),
    "cbrt": (0.6, 0.6),
    "exp": (0.8, 0.8),
    "expm1": (1.2, 1.1),
    "exp2": (0.8, 0.8),
    "log": (0.7, 0.7),
    "log1p": (0.8, 0.9),
    "log2": (0.8, 0.8),
    "log10": (0.8, 0.8),
    "sin": (0.8, 0.8),
    "cos": (0.8, 0.8),
    "tan": (1.1, 1.5),
    "asin": (1.2, 1.2),
    "acos": (1.2, 1.2),
    "atan": (0.9, 0.9),
    "atan2": (0.9, 1.1),
    "sinh": (1.5, 1.5),
    "cosh": (1.5, 1.6),
    "tanh": (1.1, 1.0),
    "asinh": (1.2, 1.1),
    "acosh": (1.8, 1.5),
    "atanh": (1.1, 1.1),
    "hypot": (1.0, 1.0),
    "sigmoid": (0.8, 0.8),
    "logit": (1.0, 1.0),
    "softplus": (1.5, 1.5),
    "silu": (1.6, 1.6),
    "gelu": (4.5, 4.5),
    "erf": (1.0, 1.2),
    "erfc": (4.0, 4.5),
    "erfinv": (5.0, 5.0),
    "ndtr": (4.5, 4.5),
    "log_ndtr": (5.0, 5.0),
    "ndtri": (5.0, 5.0),
    "xlogy": (1.5, 1.5),
    "sinc": (2.5, 2.0),
    "gamma": (7.0, 7.0),
    "bessel_i0": (4.5, 4.5),
    "bessel_i1": (5.0, 4.0),
    "bessel_i0e": (4.0, 4.0),
    "bessel_i1e": (4.0, 4.0),
    "digamma": (40.0, 20.0),
    "lgamma": (4.0, 4.0),
    "bessel_j0": (10.0, 10.0),
    "bessel_j1": (10.0, 10.0),
}
