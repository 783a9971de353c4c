"""Scalar functions of the language on scalars and vectors of LLVM.

table     which function is which, in which dtypes, with what error: `emit`, `ULP`
vector    values with operators         compensated   pairs of twice the precision
lanes     calls of the C library        storage       f16 and bf16 in memory
arithmetic, exponential, logarithm, power, trigonometric, normal, bessel: the functions
derive    writes coefficients.py
"""

from tpc.backends.llvm.mathematics.storage import narrow, widen
from tpc.backends.llvm.mathematics.table import ULP, emit

__all__ = ["ULP", "emit", "narrow", "widen"]
