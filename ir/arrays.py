"""NumPy arrays and the types of tpc."""

from __future__ import annotations

from typing import Any

from tpc.ir.types import BOOL, C64, C128, F16, F32, F64, I8, I32, I64, DType, TensorType

BY_NUMPY: dict[str, DType] = {d.numpy: d for d in (F64, F32, F16, C128, C64, I64, I32, I8, BOOL)}


def type_of_array(array: Any) -> TensorType:
    """The type of an array. Raises KeyError if there is no dtype for it."""
    return TensorType(BY_NUMPY[array.dtype.name], tuple(int(n) for n in array.shape))
