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
    symmetric(x)                       |- symmetric(this)   where scalar(y)
    toeplitz(x)                        |- toeplitz(this)    where scalar(y)
    circulant(x)                       |- circulant(this)   where scalar(y)
"""

FACTS = {
    "add": LINEAR
    + """
    psd(x), psd(y)                     |- psd(this)         where same_shape(x, y)
    spd(x), psd(y)                     |- spd(this)         where same_shape(x, y)
    nonnegative(x), nonnegative(y)     |- nonnegative(this)
    positive(x), nonnegative(y)        |- positive(this)
    """,
    "sub": LINEAR,
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
    nonnegative(x), nonnegative(y)     |- nonnegative(this)
    positive(x), positive(y)           |- positive(this)
    |- nonnegative(this)                                    where same(x, y)
    symmetric(x)                       |- symmetric(this)   where scalar(y)
    toeplitz(x)                        |- toeplitz(this)    where scalar(y)
    circulant(x)                       |- circulant(this)   where scalar(y)
    low_rank(x, r)                     |- low_rank(this, r) where scalar(y)
    low_rank(x, r)                     |- low_rank(this, r) where vector(y)
    psd(x), nonnegative(y)             |- psd(this)         where scalar(y)
    spd(x), positive(y)                |- spd(this)         where scalar(y)
    nonsingular(x), positive(y)        |- nonsingular(this) where scalar(y)
    nonsingular(x), positive(y)        |- nonsingular(this) where vector(y)
    full_rank(x), positive(y)          |- full_rank(this)   where scalar(y)
    full_rank(x), positive(y)          |- full_rank(this)   where vector(y)
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
    nonnegative(x), positive(y)        |- nonnegative(this)
    positive(x), positive(y)           |- positive(this)
    """,
    "neg": """
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
    symmetric(x)               |- symmetric(this) where scalar(y)
    toeplitz(x)                |- toeplitz(this)  where scalar(y)
    circulant(x)               |- circulant(this) where scalar(y)
    """,
    "maximum": """
    nonnegative(x)             |- nonnegative(this)
    positive(x)                |- positive(this)
    symmetric(x), symmetric(y) |- symmetric(this) where same_shape(x, y)
    symmetric(x)               |- symmetric(this) where scalar(y)
    """,
    "minimum": """
    nonnegative(x), nonnegative(y) |- nonnegative(this)
    positive(x), positive(y)       |- positive(this)
    symmetric(x), symmetric(y)     |- symmetric(this) where same_shape(x, y)
    symmetric(x)                   |- symmetric(this) where scalar(y)
    """,
    "select": """
    nonnegative(x), nonnegative(y) |- nonnegative(this)
    positive(x), positive(y)       |- positive(this)
    """,
    "square": "positive(x) |- positive(this); psd(x) |- psd(this); spd(x) |- spd(this)",
    "sqrt": "positive(x) |- positive(this)",
    "conj": """
    nonsingular(x) |- nonsingular(this)
    full_rank(x)   |- full_rank(this)
    low_rank(x, r) |- low_rank(this, r)
    """,
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
        for fact in ("psd", "spd", "nonsingular", "full_rank", "orthonormal", "row_stochastic", "positive")
    ]
    + [
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
            nonnegative(low), nonnegative(high) |- nonnegative(this)
            positive(low), positive(high)       |- positive(this)
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
