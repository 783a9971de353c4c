"""Operands in the dtypes that a program declares: exact conversions in silence, others by name or not at all.

    Python numbers, lists, text files     any dtype of at least their kind (bool, integer, real, complex), in range
    integers and booleans                 any float; wider integers
    floats                                wider floats, and complex of at least their precision
    all else                              E0803 (on the command line a note, if only precision is lost)

NumPy has no bf16: its float32 arrays are rounded to it, to the nearest and to even on ties.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from tpc.dsl.diagnostics import TpcError, fail
from tpc.ir.types import BF16, DType
from tpc.operands import Operand

_KINDS = "bifc"
_RANGES = {"i8": 2**7, "i32": 2**31, "i64": 2**63}
Note = Callable[[str], None]


def convert(operand: Operand, wanted: DType, name: str, note: Note | None = None) -> Operand:
    """The operand in the dtype that is declared.

    Raises
    ------
    TpcError
        E0803 if that would lose precision, E0810 if a value is out of range.
    """
    have = operand.dtype
    if have is wanted and not operand.weak:
        exact = operand.kind == "torch" or operand.array.dtype == np.dtype(wanted.numpy)
        return operand if exact else _cast(operand, wanted, name)
    if operand.weak and not _is_kind(have, wanted) and _whole(operand.array, have, wanted):
        return _in_range(operand, wanted, name)
    if not _is_kind(have, wanted):
        raise _refused(operand, wanted, name)
    if wanted.kind == "i":
        wider = wanted.size >= have.size and operand.array.dtype.kind != "u"
        if wider or operand.weak or operand.narrow or operand.array.dtype.kind == "u":
            return _in_range(operand, wanted, name)
        raise _refused(operand, wanted, name)
    if operand.weak or have.kind in "bi" or _widens(have, wanted):
        return _cast(operand, wanted, name)
    if wanted is BF16 and operand.kind == "numpy" and have.name in ("f32", "f16"):
        return _cast(operand, wanted, name)  # NumPy has no bf16, so its arrays cannot be of that format
    if not operand.narrow:
        raise _refused(operand, wanted, name)
    if note is not None:
        note(f"`{name}` is {have} in `{operand.origin}`, and was rounded to {wanted}")
    return _cast(operand, wanted, name)


def _is_kind(have: DType, wanted: DType) -> bool:
    """Whether one kind of number can be taken for another: booleans for integers for reals for complex."""
    return _KINDS.index(have.kind) <= _KINDS.index(wanted.kind) and (wanted.kind != "b" or have.kind == "b")


def _whole(array: Any, have: DType, wanted: DType) -> bool:
    """Whether numbers without a format of their own happen to be of the narrower kind."""
    if wanted.kind == "b":
        return have.kind == "i" and bool(np.isin(array, (0, 1)).all()) and array.ndim > 0
    return False


def _widens(have: DType, wanted: DType) -> bool:
    if {have.name, wanted.name} == {"f16", "bf16"}:
        return False
    return wanted.size // (2 if wanted.kind == "c" else 1) >= have.size // (2 if have.kind == "c" else 1)


def _in_range(operand: Operand, wanted: DType, name: str) -> Operand:
    bound, array = _RANGES.get(wanted.name), operand.array
    if bound is not None and operand.dtype.kind == "i" and 0 not in operand.shape:
        least, most = int(array.min()), int(array.max())
        if least < -bound or most >= bound:
            beyond = least if least < -bound else most
            raise fail("E0810", f"`{name}` holds {beyond}, which is out of the range of {wanted}")
    return _cast(operand, wanted, name)


def _cast(operand: Operand, wanted: DType, name: str) -> Operand:
    if operand.kind == "torch":
        import torch

        name = "bfloat16" if wanted is BF16 else wanted.numpy
        return replace(operand, array=operand.array.to(getattr(torch, name)), dtype=wanted, weak=False)
    with np.errstate(over="ignore"):
        array = operand.array.astype(wanted.numpy, copy=False)
    before, after = (a.tocsr().data if operand.is_sparse else a for a in (operand.array, array))
    if wanted.kind in "fc" and after is not before and np.isinf(after).sum() > np.isinf(before).sum():
        raise fail("E0810", f"`{name}` holds numbers that are out of the range of {wanted}")
    if wanted is BF16:
        array = rounded_to_bf16(array)
    return replace(operand, array=array, dtype=wanted, weak=False)


def rounded_to_bf16(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """float32 numbers rounded to the nearest that bf16 has, to even on ties; NaN stays NaN."""
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32).astype(np.uint64)
    kept = ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).astype(np.uint32)
    result = kept.view(np.float32).reshape(np.shape(array))
    return np.where(np.isnan(array), np.float32(np.nan), result)


def _refused(operand: Operand, wanted: DType, name: str) -> TpcError:
    have = operand.dtype
    held = f"{operand.array.dtype}".removeprefix("torch.")
    if operand.weak:
        held = {"b": "truth values", "i": "integers", "f": "decimal numbers", "c": "complex numbers"}[have.kind]
    help = None
    if wanted.kind in "fc" and have.kind in "fc" or wanted.kind == have.kind:
        spelled = f"{name}.astype({wanted.numpy!r})".replace("'", '"')
        if operand.kind == "torch":
            spelled = f"{name}.to(torch.{'bfloat16' if wanted is BF16 else wanted.numpy})"
        if wanted.kind == "f" and have.kind == "c":
            spelled = f"{name}.real"
        help = f"convert it with `{spelled}`, or declare {name} {have} in the program"
    elif wanted.kind == "i":
        help = f"round it first, as in `np.rint({name}).astype({wanted.numpy!r})`".replace("'", '"')
        if operand.weak:
            help = "write it without a decimal point"
    elif wanted.kind == "b":
        help = f"compare it, as in `{name} != 0`" if not operand.weak else "write True or False"
    if operand.origin:
        held, help = f"{held} in `{operand.origin}`", f"declare `{name}` {have} in the program, or convert the file"
    return fail("E0803", f"`{name}` must be {wanted} ({wanted.about}), but is {held}", help=help)
