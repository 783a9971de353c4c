"""Functions of scalars: the alphabet in which formulas are written. Each is also an elementwise op of the language.

`meaning` gives the value on NumPy arrays (it is handed the numpy module, so that nothing is imported before it is
needed); those marked `exact` are field operations and work as well on fractions and residues. `result` names the
rule for the dtype: `same` promotes the operands, `float` also turns integers into f64, `real` is the real part of
that, `bool` is a truth value, `first` leaves out the condition of `select`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tpc.ir.types import BOOL, DType, as_float, promote_all, real_part


@dataclass(frozen=True, slots=True)
class ScalarFunction:
    name: str
    arity: int
    about: str
    meaning: Callable[..., Any]
    result: str = "same"
    flops: int = 1
    exact: bool = False
    operator: str | None = None
    domain: str = ""  # sampling range of tests and inspection, as "low..high"; default is the real line

    def dtype(self, operands: list[DType]) -> DType:
        """The dtype of the result."""
        if self.result == "bool":
            return BOOL
        common = promote_all(operands[1:] if self.result == "first" else operands)
        if self.result in ("float", "real"):
            common = as_float(common)
        return real_part(common) if self.result in ("real", "real-same") else common


def _special(name: str) -> Callable[..., Any]:
    def meaning(np: Any, *arguments: Any) -> Any:
        import scipy.special

        return getattr(scipy.special, name)(*arguments)

    return meaning


def _ufunc(name: str) -> Callable[..., Any]:
    return lambda np, *arguments: getattr(np, name)(*arguments)


_list = [
    ScalarFunction("add", 2, "sum", _ufunc("add"), exact=True, operator="+"),
    ScalarFunction("sub", 2, "difference", _ufunc("subtract"), exact=True, operator="-"),
    ScalarFunction("mul", 2, "product", _ufunc("multiply"), exact=True, operator="*"),
    ScalarFunction("div", 2, "quotient", lambda np, x, y: x / y, "float", 4, True, "/"),
    ScalarFunction("pow", 2, "power", lambda np, x, y: x**y, "same", 20, True, "^", "0.1..3"),
    ScalarFunction("neg", 1, "negative", _ufunc("negative"), exact=True, operator="-"),
    ScalarFunction("eq", 2, "equal", _ufunc("equal"), "bool", exact=True, operator="=="),
    ScalarFunction("ne", 2, "different", _ufunc("not_equal"), "bool", exact=True, operator="!="),
    ScalarFunction("lt", 2, "less", _ufunc("less"), "bool", operator="<"),
    ScalarFunction("le", 2, "less or equal", _ufunc("less_equal"), "bool", operator="<="),
    ScalarFunction("gt", 2, "greater", _ufunc("greater"), "bool", operator=">"),
    ScalarFunction("ge", 2, "greater or equal", _ufunc("greater_equal"), "bool", operator=">="),
    ScalarFunction("logical_and", 2, "both", _ufunc("logical_and"), "bool", exact=True, operator="and"),
    ScalarFunction("logical_or", 2, "either", _ufunc("logical_or"), "bool", exact=True, operator="or"),
    ScalarFunction("logical_not", 1, "not", _ufunc("logical_not"), "bool", exact=True, operator="not"),
    ScalarFunction(
        "select",
        3,
        "the second where the first is true, else the third",
        lambda np, c, x, y: np.where(c, x, y),
        "first",
        1,
        True,
    ),
    ScalarFunction("maximum", 2, "the larger; NaN if either is", _ufunc("maximum")),
    ScalarFunction("minimum", 2, "the smaller; NaN if either is", _ufunc("minimum")),
    ScalarFunction("mod", 2, "remainder with the sign of the divisor", _ufunc("mod"), flops=4, domain="0.5..9"),
    ScalarFunction("floor_div", 2, "quotient rounded down", _ufunc("floor_divide"), flops=4, domain="0.5..9"),
    ScalarFunction("abs", 1, "absolute value", _ufunc("abs"), "real-same"),
    ScalarFunction("sign", 1, "-1, 0 or 1 (for complex x, x/abs(x))", _ufunc("sign")),
    ScalarFunction("square", 1, "x * x", lambda np, x: x * x, exact=True),
    ScalarFunction("sqrt", 1, "square root", _ufunc("sqrt"), "float", 4, domain="0.1..9"),
    ScalarFunction("cbrt", 1, "real cube root", _ufunc("cbrt"), "float", 10),
    ScalarFunction("rsqrt", 1, "1 / sqrt(x)", lambda np, x: 1 / np.sqrt(x), "float", 5, domain="0.1..9"),
    ScalarFunction("exp", 1, "exponential", _ufunc("exp"), "float", 10),
    ScalarFunction("expm1", 1, "exp(x) - 1", _ufunc("expm1"), "float", 12),
    ScalarFunction("exp2", 1, "2^x", _ufunc("exp2"), "float", 10),
    ScalarFunction("log", 1, "natural logarithm", _ufunc("log"), "float", 10, domain="0.1..9"),
    ScalarFunction("log1p", 1, "log(1 + x)", _ufunc("log1p"), "float", 12, domain="-0.9..9"),
    ScalarFunction("log2", 1, "logarithm to base 2", _ufunc("log2"), "float", 10, domain="0.1..9"),
    ScalarFunction("log10", 1, "logarithm to base 10", _ufunc("log10"), "float", 10, domain="0.1..9"),
    ScalarFunction("sin", 1, "sine of radians", _ufunc("sin"), "float", 12),
    ScalarFunction("cos", 1, "cosine of radians", _ufunc("cos"), "float", 12),
    ScalarFunction("tan", 1, "tangent of radians", _ufunc("tan"), "float", 15, domain="-1..1"),
    ScalarFunction("asin", 1, "inverse sine", _ufunc("arcsin"), "float", 15, domain="-0.9..0.9"),
    ScalarFunction("acos", 1, "inverse cosine", _ufunc("arccos"), "float", 15, domain="-0.9..0.9"),
    ScalarFunction("atan", 1, "inverse tangent", _ufunc("arctan"), "float", 15),
    ScalarFunction("atan2", 2, "angle of the point (y, x)", _ufunc("arctan2"), "float", 20),
    ScalarFunction("sinh", 1, "hyperbolic sine", _ufunc("sinh"), "float", 15),
    ScalarFunction("cosh", 1, "hyperbolic cosine", _ufunc("cosh"), "float", 15),
    ScalarFunction("tanh", 1, "hyperbolic tangent", _ufunc("tanh"), "float", 15),
    ScalarFunction("asinh", 1, "inverse hyperbolic sine", _ufunc("arcsinh"), "float", 15),
    ScalarFunction("acosh", 1, "inverse hyperbolic cosine", _ufunc("arccosh"), "float", 15, domain="1.1..9"),
    ScalarFunction("atanh", 1, "inverse hyperbolic tangent", _ufunc("arctanh"), "float", 15, domain="-0.9..0.9"),
    ScalarFunction("hypot", 2, "sqrt(x^2 + y^2) without overflow", _ufunc("hypot"), "float", 8),
    ScalarFunction("floor", 1, "rounded down", _ufunc("floor")),
    ScalarFunction("ceil", 1, "rounded up", _ufunc("ceil")),
    ScalarFunction("round", 1, "rounded to the nearest integer, halves to even", _ufunc("rint")),
    ScalarFunction("trunc", 1, "rounded towards zero", _ufunc("trunc")),
    ScalarFunction("isnan", 1, "whether it is NaN", _ufunc("isnan"), "bool"),
    ScalarFunction("isinf", 1, "whether it is infinite", _ufunc("isinf"), "bool"),
    ScalarFunction("isfinite", 1, "whether it is neither NaN nor infinite", _ufunc("isfinite"), "bool"),
    ScalarFunction("conj", 1, "complex conjugate", _ufunc("conj"), exact=True),
    ScalarFunction("re", 1, "real part", _ufunc("real"), "real-same", exact=True),
    ScalarFunction("im", 1, "imaginary part", _ufunc("imag"), "real-same"),
    ScalarFunction("angle", 1, "argument of a complex number", _ufunc("angle"), "real", 20),
    ScalarFunction("sigmoid", 1, "1 / (1 + exp(-x))", _special("expit"), "float", 15),
    ScalarFunction("logit", 1, "log(x / (1 - x))", _special("logit"), "float", 15, domain="0.1..0.9"),
    ScalarFunction("relu", 1, "x where it is positive, else 0", lambda np, x: np.maximum(x, 0)),
    ScalarFunction("softplus", 1, "log(1 + exp(x))", lambda np, x: np.logaddexp(x, 0.0), "float", 20),
    ScalarFunction("silu", 1, "x * sigmoid(x)", lambda np, x: x * _special("expit")(np, x), "float", 16),
    ScalarFunction(
        "gelu", 1, "x times the normal distribution function", lambda np, x: x * _special("ndtr")(np, x), "float", 20
    ),
    ScalarFunction("erf", 1, "error function", _special("erf"), "float", 20),
    ScalarFunction("erfc", 1, "1 - erf(x)", _special("erfc"), "float", 20),
    ScalarFunction("erfinv", 1, "inverse error function", _special("erfinv"), "float", 30, domain="-0.9..0.9"),
    ScalarFunction("gamma", 1, "gamma function", _special("gamma"), "float", 40, domain="0.1..9"),
    ScalarFunction("lgamma", 1, "logarithm of abs(gamma(x))", _special("gammaln"), "float", 40, domain="0.1..9"),
    ScalarFunction("digamma", 1, "derivative of lgamma", _special("digamma"), "float", 40, domain="0.1..9"),
    ScalarFunction(
        "trigamma",
        1,
        "derivative of digamma",
        lambda np, x: _special("zeta")(np, 2, x),
        "float",
        60,
        domain="0.1..9",
    ),
    ScalarFunction("beta", 2, "beta function", _special("beta"), "float", 100, domain="0.1..9"),
    ScalarFunction("lbeta", 2, "logarithm of the beta function", _special("betaln"), "float", 100, domain="0.1..9"),
    ScalarFunction("ndtr", 1, "normal distribution function", _special("ndtr"), "float", 20),
    ScalarFunction("log_ndtr", 1, "its logarithm", _special("log_ndtr"), "float", 30),
    ScalarFunction("ndtri", 1, "normal quantile", _special("ndtri"), "float", 30, domain="0.1..0.9"),
    ScalarFunction("xlogy", 2, "x * log(y), and 0 where x is 0", _special("xlogy"), "float", 12, domain="0.1..9"),
    ScalarFunction("sinc", 1, "sin(pi*x) / (pi*x)", _ufunc("sinc"), "float", 15),
    ScalarFunction("bessel_i0", 1, "modified Bessel function of order 0", _special("i0"), "float", 40),
    ScalarFunction("bessel_i1", 1, "modified Bessel function of order 1", _special("i1"), "float", 40),
    ScalarFunction("bessel_i0e", 1, "exp(-abs(x)) * bessel_i0(x)", _special("i0e"), "float", 40),
    ScalarFunction("bessel_i1e", 1, "exp(-abs(x)) * bessel_i1(x)", _special("i1e"), "float", 40),
    ScalarFunction("bessel_j0", 1, "Bessel function of order 0", _special("j0"), "float", 40),
    ScalarFunction("bessel_j1", 1, "Bessel function of order 1", _special("j1"), "float", 40),
]

SCALARS: dict[str, ScalarFunction] = {f.name: f for f in _list}
OPERATORS: dict[tuple[str, int], ScalarFunction] = {(f.operator, f.arity): f for f in _list if f.operator}


@dataclass(frozen=True, slots=True)
class Reducer:
    """An associative operation that reduces over letters; `identity` is the value of an empty reduction."""

    name: str
    identity: float | int | bool | None
    about: str
    meaning: Callable[..., Any]  # (np, array, axes) -> array
    result: str = "same"
    exact: bool = False

    def dtype(self, operand: DType) -> DType:
        """The dtype of the result: sums count booleans in i64, means of integers are f64."""
        from tpc.ir.types import I64

        if self.result == "bool":
            return BOOL
        if self.result == "index":
            return I64
        if operand is BOOL and self.result == "same" and self.name in ("sum", "prod"):
            return I64
        return as_float(operand) if self.result == "float" else operand


def _reduce(name: str) -> Callable[..., Any]:
    return lambda np, x, axes: getattr(np, name)(x, axis=axes)


def _logsumexp(np: Any, x: Any, axes: Any) -> Any:
    import scipy.special

    if 0 in x.shape:  # which SciPy refuses
        return np.log(np.sum(x, axis=axes))
    return scipy.special.logsumexp(x, axis=axes)


_reducers = [
    Reducer("sum", 0, "sum over the letters; 0 over none", _reduce("sum"), exact=True),
    Reducer("prod", 1, "product over the letters; 1 over none", _reduce("prod"), exact=True),
    Reducer("max", None, "largest value; NaN if any is", _reduce("max")),
    Reducer("min", None, "smallest value; NaN if any is", _reduce("min")),
    Reducer("mean", None, "arithmetic mean", _reduce("mean"), "float", exact=True),
    Reducer("any", False, "whether any is true", _reduce("any"), "bool"),
    Reducer("all", True, "whether all are true", _reduce("all"), "bool"),
    Reducer("argmax", None, "position of the first largest value", _reduce("argmax"), "index"),
    Reducer("argmin", None, "position of the first smallest value", _reduce("argmin"), "index"),
    Reducer("logsumexp", float("-inf"), "log of the sum of exponentials, without overflow", _logsumexp, "float"),
]
REDUCERS: dict[str, Reducer] = {r.name: r for r in _reducers}
