"""What the scalar functions cost for one number, an addition of two being 1.

These are measured times of NumPy and SciPy in double precision on arrays that stay in the first cache, rounded. The
counts of operations in `tpc.ir.scalar` do not tell them: where a library has a function for several numbers at a
time, `exp` costs three additions; where it has not, `mod` costs forty.
"""

from __future__ import annotations

_BY_WEIGHT: dict[int, str] = {
    2: "select sign conj relu",
    3: "div exp exp2",
    4: "sqrt log log2 cosh",
    5: "cbrt expm1 log1p log10 asin atan sinh",
    6: "tan acos tanh atanh",
    7: "rsqrt",
    9: "pow atan2 asinh",
    10: "acosh",
    19: "angle bessel_j0",
    20: "xlogy sigmoid",
    26: "sin cos silu bessel_j1 ndtri",
    42: "mod floor_div hypot logit gelu erf erfc gamma ndtr sinc",
    54: "erfinv digamma trigamma",
    75: "lgamma log_ndtr",
    120: "bessel_i0 bessel_i1 bessel_i0e bessel_i1e softplus",
    190: "beta lbeta",
}
WEIGHTS: dict[str, int] = {name: weight for weight, names in _BY_WEIGHT.items() for name in names.split()}

# Functions that are timed to learn what a unit of weight costs, besides addition.
LEARNT = ("add", "mul", "div", "exp", "log", "tanh", "sqrt")


def weight(function: str) -> int:
    """The weight of a scalar function of `tpc.ir.scalar`; comparisons, sums, roundings and the like weigh 1."""
    return WEIGHTS.get(function, 1)
