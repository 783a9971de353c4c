"""Elementwise ops: every scalar function over whole arrays, with broadcasting, and a few made of them."""

from __future__ import annotations

from typing import Any

from tpc.ir.op import Attributes, Misfit, Op
from tpc.ir.scalar import SCALARS, ScalarFunction
from tpc.ir.types import TensorType

# What a function of one entry keeps, and what one keeps that maps 0 to 0.
KEPT = ("symmetric", "toeplitz", "circulant")
KEPT_AT_ZERO = ("lower", "upper", "diagonal")
AT_ZERO = """
    neg abs sign square sqrt cbrt expm1 log1p sin tan asin atan sinh tanh asinh atanh floor ceil round trunc conj
    re im relu silu gelu erf erfinv bessel_i1 bessel_i1e bessel_j1
"""

NONNEGATIVE = """
    abs square sqrt rsqrt exp exp2 cosh sigmoid relu softplus erfc ndtr acos acosh hypot bessel_i0 bessel_i0e
"""

# Facts of sums and differences; `same_shape` compares the last two axes, so that nothing is stretched.
LINEAR = """
    symmetric(x), symmetric(y)         |- symmetric(this)   where same_shape(x, y)
    lower(x), lower(y)                 |- lower(this)       where same_shape(x, y)
    upper(x), upper(y)                 |- upper(this)       where same_shape(x, y)
    toeplitz(x), toeplitz(y)           |- toeplitz(this)    where same_shape(x, y)
    circulant(x), circulant(y)         |- circulant(this)   where same_shape(x, y)
    banded(x, a, b), banded(y, c, d)   |- banded(this, max(a, c), max(b, d)) where same_shape(x, y)
    low_rank(x, r), low_rank(y, s)     |- low_rank(this, r + s) where same_shape(x, y)
    sparse(x, d), sparse(y, e)         |- sparse(this, d + e) where same_shape(x, y)
    skew(x), skew(y)                   |- skew(this)        where same_shape(x, y)
    spd(x), skew(y)                    |- nonsingular(this) where same_shape(x, y)
    symmetric(x)                       |- symmetric(this)   where scalar(y)
    toeplitz(x)                        |- toeplitz(this)    where scalar(y)
    circulant(x)                       |- circulant(this)   where scalar(y)
"""

LOGARITHM = """
    at_least(x, a) |- nonnegative(this) where a >= 1
    at_least(x, a) |- positive(this)    where a > 1
    at_most(x, a)  |- at_most(this, 0)  where a <= 1
    at_most(x, a)  |- negative(this)    where a < 1
    negative(x)    |- never
"""

WITHIN_ONE = """
    at_least(x, a) |- never where a > 1
    at_most(x, a)  |- never where a < -1
"""

FACTS = {
    "add": LINEAR
    + """
    psd(x), psd(y)                     |- psd(this)         where same_shape(x, y)
    spd(x), psd(y)                     |- spd(this)         where same_shape(x, y)
    |- symmetric(this)                                      where transposed(x, y)
    at_least(x, a), at_least(y, b)     |- at_least(this, a + b)
    at_most(x, a), at_most(y, b)       |- at_most(this, a + b)
    positive(x), nonnegative(y)        |- positive(this)
    negative(x), at_most(y, b)         |- negative(this)    where b <= 0
    """,
    "sub": LINEAR
    + """
    symmetric(y)                       |- symmetric(this)   where scalar(x)
    toeplitz(y)                        |- toeplitz(this)    where scalar(x)
    circulant(y)                       |- circulant(this)   where scalar(x)
    skew(x), spd(y)                    |- nonsingular(this) where same_shape(x, y)
    |- skew(this)                                           where transposed(x, y)
    |- low_rank(this, 0)                                    where same(x, y), matrix(x)
    |- at_least(this, 0)                                    where same(x, y)
    |- at_most(this, 0)                                     where same(x, y)
    diagonal(x), unit_diagonal(x), projection(y, r) |- projection(this, rows(y) - r) where same_shape(x, y)
    at_least(x, a), at_most(y, b)      |- at_least(this, a - b)
    at_most(x, a), at_least(y, b)      |- at_most(this, a - b)
    positive(x), at_most(y, b)         |- positive(this)    where b <= 0
    nonnegative(x), negative(y)        |- positive(this)
    negative(x), nonnegative(y)        |- negative(this)
    at_most(x, a), positive(y)         |- negative(this)    where a <= 0
    """,
    "mul": """
    lower(x)                           |- lower(this)       where same_shape(x, this)
    upper(x)                           |- upper(this)       where same_shape(x, this)
    banded(x, a, b)                    |- banded(this, a, b) where same_shape(x, this)
    sparse(x, d)                       |- sparse(this, d)   where same_shape(x, this)
    symmetric(x), symmetric(y)         |- symmetric(this)   where same_shape(x, y)
    toeplitz(x), toeplitz(y)           |- toeplitz(this)    where same_shape(x, y)
    circulant(x), circulant(y)         |- circulant(this)   where same_shape(x, y)
    psd(x), psd(y)                     |- psd(this)         where same_shape(x, y)
    spd(x), spd(y)                     |- spd(this)         where same_shape(x, y)
    low_rank(x, r), low_rank(y, s)     |- low_rank(this, r * s) where same_shape(x, y)
    unit_diagonal(x), unit_diagonal(y) |- unit_diagonal(this) where same_shape(x, y)
    skew(x), symmetric(y)              |- skew(this)        where same_shape(x, y)
    |- symmetric(this)                                      where transposed(x, y)
    nonnegative(x), nonnegative(y)     |- nonnegative(this)
    at_most(x, a), at_most(y, b)       |- nonnegative(this) where a <= 0, b <= 0
    nonnegative(x), at_most(y, b)      |- at_most(this, 0)  where b <= 0
    nonzero(x), nonzero(y)             |- nonzero(this)
    |- nonnegative(this)                                    where same(x, y)
    at_least(x, a), at_least(y, b)     |- at_least(this, a * b) where a >= 0, b >= 0
    at_least(x, a), at_least(y, b), at_most(y, b) |- at_least(this, a * b) where b >= 0
    at_most(x, a), at_least(y, b), at_most(y, b)  |- at_most(this, a * b)  where b >= 0
    at_most(x, a), at_least(y, b), at_most(y, b)  |- at_least(this, a * b) where b <= 0
    at_least(x, a), at_least(y, b), at_most(y, b) |- at_most(this, a * b)  where b <= 0
    at_least(x, a), at_most(x, b), at_least(y, c), at_most(y, d) |- at_least(this, min(min(a*c, a*d), min(b*c, b*d)))
    at_least(x, a), at_most(x, b), at_least(y, c), at_most(y, d) |- at_most(this, max(max(a*c, a*d), max(b*c, b*d)))
    skew(x)                            |- skew(this)        where scalar(y)
    symmetric(x)                       |- symmetric(this)   where scalar(y)
    toeplitz(x)                        |- toeplitz(this)    where scalar(y)
    circulant(x)                       |- circulant(this)   where scalar(y)
    low_rank(x, r)                     |- low_rank(this, r) where scalar(y)
    low_rank(x, r)                     |- low_rank(this, r) where vector(y)
    psd(x), nonnegative(y)             |- psd(this)         where scalar(y)
    spd(x), positive(y)                |- spd(this)         where scalar(y)
    nonsingular(x), nonzero(y)         |- nonsingular(this) where scalar(y)
    nonsingular(x), nonzero(y)         |- nonsingular(this) where vector(y)
    full_rank(x), nonzero(y)           |- full_rank(this)   where scalar(y)
    full_rank(x), nonzero(y)           |- full_rank(this)   where vector(y)
    full_rank(this)                    |- full_rank(x)      where scalar(y)
    """,
    "div": """
    lower(x)                           |- lower(this)       where scalar(y)
    upper(x)                           |- upper(this)       where scalar(y)
    banded(x, a, b)                    |- banded(this, a, b) where scalar(y)
    sparse(x, d)                       |- sparse(this, d)   where scalar(y)
    symmetric(x)                       |- symmetric(this)   where scalar(y)
    toeplitz(x)                        |- toeplitz(this)    where scalar(y)
    circulant(x)                       |- circulant(this)   where scalar(y)
    low_rank(x, r)                     |- low_rank(this, r) where scalar(y)
    nonsingular(x)                     |- nonsingular(this) where scalar(y)
    full_rank(x)                       |- full_rank(this)   where scalar(y)
    lower(x), positive(y)              |- lower(this)       where same_shape(x, this)
    upper(x), positive(y)              |- upper(this)       where same_shape(x, this)
    banded(x, a, b), positive(y)       |- banded(this, a, b) where same_shape(x, this)
    psd(x), positive(y)                |- psd(this)         where scalar(y)
    spd(x), positive(y)                |- spd(this)         where scalar(y)
    skew(x)                            |- skew(this)        where scalar(y)
    full_rank(this)                    |- full_rank(x)      where scalar(y)
    nonnegative(x), positive(y)        |- nonnegative(this)
    nonnegative(x), negative(y)        |- at_most(this, 0)
    at_most(x, a), positive(y)         |- at_most(this, 0)  where a <= 0
    at_most(x, a), negative(y)         |- nonnegative(this) where a <= 0
    nonzero(x)                         |- nonzero(this)
    at_least(x, a), at_least(y, b), at_most(y, b) |- at_least(this, a / b) where b > 0
    at_most(x, a), at_least(y, b), at_most(y, b)  |- at_most(this, a / b)  where b > 0
    at_most(x, a), at_least(y, b)      |- at_most(this, a / b) where a >= 0, b > 0
    """,
    "neg": """
    skew(x)         |- skew(this)
    at_least(x, a)  |- at_most(this, -a)
    at_most(x, a)   |- at_least(this, -a)
    nonzero(x)      |- nonzero(this)
    psd(x), spd(this) |- never where rows(x) >= 1
    full_rank(this) |- full_rank(x)
    banded(x, a, b) |- banded(this, a, b)
    low_rank(x, r)  |- low_rank(this, r)
    sparse(x, d)    |- sparse(this, d)
    orthogonal(x)   |- orthogonal(this)
    orthonormal(x)  |- orthonormal(this)
    nonsingular(x)  |- nonsingular(this)
    full_rank(x)    |- full_rank(this)
    """,
    "pow": """
    nonnegative(x)             |- nonnegative(this)
    positive(x)                |- positive(this)
    at_least(y, 2), at_most(y, 2) |- nonnegative(this) where real(x)
    nonzero(x), at_least(y, 2), at_most(y, 2) |- positive(this) where real(x)
    psd(x), at_least(y, 2), at_most(y, 2) |- psd(this) where scalar(y)
    symmetric(x)               |- symmetric(this) where scalar(y)
    toeplitz(x)                |- toeplitz(this)  where scalar(y)
    circulant(x)               |- circulant(this) where scalar(y)
    """,
    "maximum": """
    at_least(x, a)             |- at_least(this, a)
    positive(x)                |- positive(this)
    at_most(x, a), at_most(y, b) |- at_most(this, max(a, b))
    negative(x), negative(y)   |- negative(this)
    symmetric(x), symmetric(y) |- symmetric(this) where same_shape(x, y)
    symmetric(x)               |- symmetric(this) where scalar(y)
    """,
    "minimum": """
    at_least(x, a), at_least(y, b) |- at_least(this, min(a, b))
    positive(x), positive(y)       |- positive(this)
    at_most(x, a)                  |- at_most(this, a)
    negative(x)                    |- negative(this)
    symmetric(x), symmetric(y)     |- symmetric(this) where same_shape(x, y)
    symmetric(x)                   |- symmetric(this) where scalar(y)
    """,
    "select": """
    at_least(x, a), at_least(y, b) |- at_least(this, min(a, b))
    at_most(x, a), at_most(y, b)   |- at_most(this, max(a, b))
    nonzero(x), nonzero(y)         |- nonzero(this)
    """,
    "mod": "positive(y) |- nonnegative(this)",
    "abs": """
    nonzero(x)                   |- positive(this)
    at_least(x, a), at_most(x, b) |- at_most(this, max(b, -a))
    """,
    "square": """
    psd(x)                       |- psd(this)
    spd(x)                       |- spd(this)
    nonzero(x)                   |- positive(this) where real(x)
    at_least(x, a)               |- at_least(this, a * a) where a >= 0
    at_least(x, a), at_most(x, b) |- at_most(this, max(a * a, b * b))
    """,
    "sqrt": """
    positive(x)    |- positive(this)
    at_least(x, a) |- at_least(this, 1) where a >= 1
    at_most(x, a)  |- at_most(this, 1)  where a <= 1
    negative(x)    |- never
    """,
    "rsqrt": "positive(x) |- positive(this); negative(x) |- never",
    # exp(-1000) is 0 in every float format: only what is not far below zero gives a positive number
    "exp": """
    at_least(x, a) |- positive(this)    where a >= -16
    at_least(x, a) |- at_least(this, 1) where a >= 0
    at_most(x, a)  |- at_most(this, 1)  where a <= 0
    """,
    "exp2": """
    at_least(x, a) |- positive(this)    where a >= -24
    at_least(x, a) |- at_least(this, 1) where a >= 0
    at_most(x, a)  |- at_most(this, 1)  where a <= 0
    """,
    **dict.fromkeys(("log", "log2", "log10"), LOGARITHM),
    "log1p": "at_most(x, a) |- never where a < -1",
    **dict.fromkeys(("asin", "acos", "atanh"), WITHIN_ONE),
    "acosh": "at_most(x, a) |- never where a < 1",
    "logit": "negative(x) |- never; at_least(x, a) |- never where a > 1",
    "relu": "nonzero(x), nonnegative(x) |- positive(this); at_most(x, a) |- at_most(this, max(a, 0))",
    "conj": """
    nonzero(x)     |- nonzero(this)
    nonsingular(x) |- nonsingular(this)
    full_rank(x)   |- full_rank(this)
    low_rank(x, r) |- low_rank(this, r)
    """,
}

# Functions of a real number with the sign of that number (where rounding does not take them to 0).
SAME_SIGN = "sign cbrt expm1 log1p asin atan sinh tanh asinh atanh erf erfinv"
AT_LEAST_AS_POSITIVE = "floor ceil round trunc silu gelu"  # these may take a small number to 0

# The least and the largest value of a function of a real number, rounded outwards.
RANGES: dict[str, tuple[float | None, float | None]] = {
    **dict.fromkeys(("sin", "cos", "tanh", "erf", "sign"), (-1, 1)),
    **dict.fromkeys(("sigmoid", "ndtr", "bessel_i0e"), (None, 1)),
    **dict.fromkeys(("cosh", "bessel_i0"), (1, None)),
    "erfc": (None, 2),
    "acos": (None, 3.15),
    "asin": (-1.58, 1.58),
    "atan": (-1.58, 1.58),
    "sinc": (-0.22, 1),
    "bessel_j0": (-0.41, 1),
    "silu": (-0.28, None),
    "gelu": (-0.18, None),
    "log_ndtr": (None, 0),
}

COMPLEX = """
    add sub mul div pow neg eq ne logical_and logical_or logical_not select abs sign square sqrt exp expm1 log sin
    cos tan asin acos atan sinh cosh tanh asinh acosh atanh isnan isinf isfinite conj re im angle rsqrt exp2 log1p
    log2 log10 sinc
"""


def _facts(function: ScalarFunction) -> str:
    lines = [FACTS.get(function.name, "")]
    # angle tells 0.0 from -0.0, which are equal
    if function.arity == 1 and function.result != "bool" and function.name != "angle":
        kept = KEPT + (KEPT_AT_ZERO if function.name in AT_ZERO.split() else ())
        lines += [f"{fact}(x) |- {fact}(this)" for fact in kept]
        if function.name in AT_ZERO.split() and function.name != "neg":
            lines += ["banded(x, a, b) |- banded(this, a, b)", "sparse(x, d) |- sparse(this, d)"]
    if function.name in SAME_SIGN.split():
        lines += ["nonnegative(x) |- nonnegative(this)", "at_most(x, a) |- at_most(this, 0) where a <= 0"]
        lines.append("nonzero(x) |- nonzero(this) where real(x)")
    if function.name in AT_LEAST_AS_POSITIVE.split():
        lines += ["nonnegative(x) |- nonnegative(this)"]
    low, high = RANGES.get(function.name, (None, None))
    lines += [f"|- at_least(this, {low})"] * (low is not None) + [f"|- at_most(this, {high})"] * (high is not None)
    if function.name in NONNEGATIVE.split():
        lines.append("|- nonnegative(this)")
    return "\n".join(lines)


def _body(function: ScalarFunction) -> str:
    names = ["x[...]", "y[...]"] if function.arity == 2 else ["x[...]"]
    if function.arity == 3:
        return "select(c[...], x[...], y[...])"
    if function.operator is None:
        return f"{function.name}({', '.join(names)})"
    return f" {function.operator} ".join(["", *names] if function.arity == 1 else names).strip()


def _kinds(function: ScalarFunction) -> str:
    kinds = "bifc" if function.name in COMPLEX.split() else "bif"
    return kinds.replace("b", "") if function.name in ("sub", "neg", "sign") else kinds  # true - true is no number


def _op(function: ScalarFunction) -> Op:
    names = {1: "x[...]", 2: "x[...], y[...]", 3: "c[...], x[...], y[...]"}[function.arity]
    return Op(
        name=function.name,
        line=f"{function.name}({names})[...] = {_body(function)}",
        about=function.about,
        group="elementwise",
        kinds=_kinds(function),
        facts=_facts(function),
        operator=function.operator,
    )


# Truncation to integers maps 0 to 0 and each integer to itself; between floats all facts of exact arithmetic stay.
CAST = "\n".join(
    [f"{fact}(x) |- {fact}(this)" for fact in (*KEPT, *KEPT_AT_ZERO, "nonnegative", "unit_diagonal", "permutation")]
    + [
        f"{fact}(x) |- {fact}(this) where float(this)"
        for fact in ("psd", "spd", "skew", "nonsingular", "full_rank", "orthonormal", "row_stochastic", "nonzero")
    ]
    + [
        "at_least(x, a) |- at_least(this, a) where float(this)",
        "at_most(x, a) |- at_most(this, a) where float(this)",
        "projection(x, r) |- projection(this, r) where float(this)",
        "banded(x, a, b) |- banded(this, a, b)",
        "sparse(x, d) |- sparse(this, d)",
        "low_rank(x, r) |- low_rank(this, r) where float(this)",
    ]
)


def _cast_types(operands: list[TensorType], attributes: Attributes) -> list[TensorType]:
    dtype = attributes["dtype"]
    if operands[0].dtype.kind == "c" and dtype.kind != "c":
        raise Misfit(
            "E0221",
            f"`{dtype}(x)` would lose the imaginary part",
            [(0, f"this is {operands[0]}")],
            "take re(x), im(x) or abs(x) first",
        )
    return [operands[0].with_dtype(dtype)]


def _cast(np: Any, operands: list[Any], attributes: Attributes) -> Any:
    # The reference works in double precision: only what is no rounding is done.
    dtype = attributes["dtype"]
    if dtype.kind in "bi":
        return np.asarray(operands[0]).astype(dtype.numpy)
    return np.asarray(operands[0]).astype("complex128" if dtype.kind == "c" else "float64")


def _cast_exactly(operands: list[Any], attributes: Attributes) -> Any:
    return operands[0] != 0 if attributes["dtype"].kind == "b" else operands[0]


ELEMENTWISE: list[Op] = [
    *(_op(function) for function in SCALARS.values()),
    Op(
        name="clip",
        line="clip(x[...], low[...], high[...])[...] = minimum(maximum(x[...], low[...]), high[...])",
        about="x where it lies between low and high, else the nearer of them (high, if low is above high)",
        group="elementwise",
        kinds="bif",
        facts="""
            at_least(low, a), at_least(high, b) |- at_least(this, min(a, b))
            at_most(high, a)                    |- at_most(this, a)
            positive(low), positive(high)       |- positive(this)
            negative(high)                      |- negative(this)
            symmetric(x) |- symmetric(this) where scalar(low), scalar(high)
        """,
    ),
    Op(
        name="cast",
        line="cast(x[...])[...]",
        about="x in another format, written as a call of the dtype: `f32(x)`; towards zero for integers",
        group="elementwise",
        options={"dtype": None},
        typing=_cast_types,
        reference=_cast,
        exact=_cast_exactly,
        flops="1",
        facts=CAST,
    ),
]
