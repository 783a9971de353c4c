"""Which scalar functions have native code, known without LLVM, which takes long to import.

`mathematics` has the code of each; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Sequence

from tpc.backends.names import words
from tpc.ir.scalar import SCALARS
from tpc.ir.types import DType

# A few instructions, and longer ones.
DIRECT = words(
    "add sub mul div neg eq ne lt le gt ge logical_and logical_or logical_not select abs sign square "
    "sqrt rsqrt floor ceil round trunc isnan isinf isfinite conj re im angle relu"
)
CALLED = words(
    "maximum minimum pow mod floor_div cbrt exp expm1 exp2 log log1p log2 log10 sin cos tan asin acos atan atan2 sinh "
    "cosh tanh asinh acosh atanh hypot sigmoid logit softplus silu gelu erf erfc erfinv ndtr log_ndtr ndtri xlogy sinc "
    "gamma digamma lgamma bessel_i0 bessel_i1 bessel_i0e bessel_i1e bessel_j0 bessel_j1"
)
ON_INTEGERS = DIRECT - {"div", "sqrt", "rsqrt", "angle"} | {"maximum", "minimum", "pow", "mod", "floor_div"}
NOT_ON_TRUTH = {"sub", "neg", "sign", "pow", "mod", "floor_div", "floor", "ceil", "round", "trunc", "relu", "conj"}


def supports(name: str, dtypes: Sequence[DType]) -> bool:
    """Whether there is code for operands of these dtypes, once they are converted to the dtype of computation.

    Functions whose value is always a float take integers too: the caller converts them to f64 first. f16 and bf16 are
    computed in f32.
    """
    kinds = {dtype.kind for dtype in dtypes}
    if "c" in kinds or name not in DIRECT | CALLED:
        return False
    if SCALARS[name].result in ("float", "real") or "f" in kinds:
        return True
    return name in ON_INTEGERS and not (kinds == {"b"} and name in NOT_ON_TRUTH)
