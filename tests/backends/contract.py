"""One comparison of a backend with the reference interpreter, for tests of ops and of programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from tpc.backends import backend
from tpc.ir.build import input_node, items, make
from tpc.ir.node import Program
from tpc.ir.ops import OPS
from tpc.ir.reference import evaluate
from tpc.ir.types import BF16, EPSILON, STRONG, DType, TensorType

BACKENDS = ("numpy", "torch", "llvm") if find_spec("llvmlite") else ("numpy", "torch")


def rounded(array: Any, dtype: DType) -> np.ndarray[Any, Any]:
    """The array in the format of a dtype, as NumPy holds it."""
    result = np.asarray(array).astype(dtype.numpy)
    if dtype is BF16:
        bits = np.atleast_1d(result).view(np.uint32) & np.uint32(0xFFFF0000)
        result = bits.view(np.float32).reshape(result.shape)
    return result


def given(name: str, array: np.ndarray[Any, Any], dtype: DType) -> Any:
    """An argument for a backend."""
    if name != "torch":
        return array
    import torch

    tensor = torch.from_numpy(np.ascontiguousarray(array).reshape(array.shape))
    return tensor.to(torch.bfloat16) if dtype is BF16 else tensor


def plain(value: Any) -> np.ndarray[Any, Any]:
    """A result as a NumPy array."""
    if hasattr(value, "detach"):
        value = value.detach().resolve_conj()
        return np.asarray((value.float() if "bfloat16" in str(value.dtype) else value).numpy())
    return np.asarray(value.toarray() if hasattr(value, "toarray") else value)


@cache
def compiled(name: str, program: Program) -> Callable[..., Any]:
    """The function of a program, its native code with it."""
    chosen = backend(name)
    function = chosen.load(chosen.emit(program))
    if name == "llvm":
        settle(function)
    return function


def settle(function: Any) -> None:
    """Wait until a function of the backend llvm is native as far as it can be, and fail where that goes wrong."""
    function.finish()
    if function.failure is not None:
        raise function.failure


def run(name: str, program: Program, arrays: Sequence[Any], **sizes: int) -> list[Any]:
    """The results of a program on a backend."""
    types = [i.tensor for i in program.inputs]
    values = [given(name, a, t.dtype) for a, t in zip(arrays, types, strict=True)]
    returned = compiled(name, program)(*values, **sizes)
    return list(returned) if isinstance(returned, tuple) else [returned]


def has_dtype(value: Any, type: TensorType) -> bool:
    """Whether a result is held in exactly its format."""
    dtype = STRONG.get(type.dtype, type.dtype)
    found = str(value.dtype).removeprefix("torch.")
    if dtype is BF16:
        return found in ("bfloat16", "float32")
    return found == dtype.numpy


def compare(
    name: str, program: Program, arrays: Sequence[Any], factor: float = 64, check: Callable[..., None] | None = None
) -> None:
    """Hold a backend to the reference: dtypes, shapes and values; `check(results, inputs, tolerance)` for gauges.

    The tolerance is relative to the largest entry: the rounding unit times the number of entries times `factor`.
    """
    expected = evaluate(program, arrays)
    before = [np.array(a) for a in arrays]
    results = run(name, program, arrays)
    for array, copy in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy)
    assert len(results) == len(expected)
    used = [
        EPSILON[t.dtype] for t in (*program.result_types, *(i.tensor for i in program.inputs)) if t.dtype in EPSILON
    ]
    scale = factor * max([1, *(np.size(a) for a in arrays)]) * max(used, default=0.0)
    for value, type, wanted in zip(results, program.result_types, expected, strict=True):
        assert has_dtype(value, type), (str(value.dtype), type)
        assert tuple(np.shape(plain(value))) == np.shape(wanted)
    if check is not None:
        check([plain(r) for r in results], arrays, scale)
        return
    for value, wanted in zip(results, expected, strict=True):
        assert_close(plain(value), wanted, scale)


def assert_close(value: Any, wanted: Any, tolerance: float) -> None:
    """Equal up to a tolerance relative to the largest finite entry; NaN and infinities in the same places."""
    value, wanted = np.asarray(value), np.asarray(wanted)
    if value.dtype.kind in "bi":
        np.testing.assert_array_equal(value, wanted)
        return
    finite = np.abs(wanted[np.isfinite(wanted)])
    size = finite.max(initial=0.0)
    np.testing.assert_allclose(value, wanted, rtol=tolerance, atol=tolerance * size + 1e-300)


def op_program(name: str, types: Sequence[TensorType], attributes: dict[str, Any]) -> Program:
    """A program that is one op."""
    op = OPS[name]
    inputs = [input_node(f"x{n}", t) for n, t in enumerate(types)]
    node = make(op, inputs, **{**op.options, **attributes})
    return Program(name, inputs, items(node))
