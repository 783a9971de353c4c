"""What callers give, taken as arrays: numbers, lists, NumPy arrays, sparse matrices, torch tensors, data frames."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.dsl.diagnostics import TpcError, fail
from tpc.ir.arrays import BY_NUMPY
from tpc.ir.types import BF16, BOOL, C64, C128, F16, F32, F64, I8, I32, I64, DType
from tpc.memory import amount, limit

if TYPE_CHECKING:
    from collections.abc import Sequence

# Formats that tpc has none for, and the least of its own that holds them.
_WIDER = {"int16": I32, "uint8": I32, "uint16": I32, "uint32": I64, "uint64": I64}
_TORCH = {
    "float64": F64, "float32": F32, "float16": F16, "bfloat16": BF16, "complex128": C128, "complex64": C64,
    "int64": I64, "int32": I32, "int16": I32, "uint8": I32, "int8": I8, "bool": BOOL,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Operand:
    """An argument as an array of some kind.

    A `weak` one (a Python number, a list, a text file) takes on the dtype that is declared; `narrow` lets one of
    another dtype do so as well, and `note` then hears of it.
    """

    kind: str  # numpy or torch
    array: Any
    dtype: DType
    weak: bool = False
    narrow: bool = False
    table: bool = False
    origin: str = ""  # the file it is from, for messages

    @property
    def is_sparse(self) -> bool:
        """Whether it is a matrix of scipy.sparse, or a sparse tensor."""
        if self.kind == "torch":
            return str(self.array.layout) != "torch.strided"
        return not isinstance(self.array, np.ndarray)

    @property
    def density(self) -> float:
        """The share of entries that are stored."""
        rows, columns = self.shape
        return int(self.array.nnz) / max(rows * columns, 1)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(int(n) for n in self.array.shape)


def is_torch(value: object) -> bool:
    """Whether a value is a torch tensor, found without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def adopt(value: object, name: str) -> Operand:
    """An argument as an operand.

    Raises
    ------
    TpcError
        E0804 if it is not an array of numbers, E0910 if it is sparse and too large when all is stored.
    """
    if isinstance(value, Operand):
        return value
    if is_torch(value):
        return _torch(value, name)
    if isinstance(value, (bool, int, float, complex, np.generic)):
        return _numpy(_listed(value, name), name, weak=True)
    if isinstance(value, (list, tuple, range)):
        return _numpy(_listed(value, name), name, weak=True)
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise _unfit(name, "a masked array, with values that are missing", "fill them in, as in `x.filled(0)`")
    if isinstance(value, np.ndarray):
        return _numpy(np.asarray(value), name)
    if type(value).__module__.startswith("scipy.sparse"):
        return _sparse(value, name)
    if isinstance(value, (str, bytes, dict, set)) or value is None or callable(value):
        raise _unfit(name, f"a {type(value).__name__}" if value is not None else "None", _help_for(value))
    return _numpy(_foreign(value, name), name)


def _unfit(name: str, what: str, help: str | None) -> TpcError:
    return fail("E0804", f"`{name}` must be an array of numbers, not {what}", help=help)


def _help_for(value: object) -> str | None:
    if isinstance(value, str):
        return 'load it first, as in `np.load("x.npy")`; files are named only on the command line'
    if isinstance(value, dict):
        return "give its entries by name, as in `f(**values)`"
    if callable(value):
        return "call it, and give its result"
    return None


def _listed(value: Any, name: str) -> np.ndarray[Any, Any]:
    try:
        array = np.asarray(value)
    except OverflowError:
        raise _unfit(name, "an integer beyond 64 bits", "write it as a float") from None
    except (ValueError, TypeError):
        if any(is_torch(item) for item in value):
            raise _unfit(name, "a list of tensors", "join them with `torch.stack`") from None
        raise _unfit(name, "a list of rows of different length", "each row needs as many entries") from None
    if array.dtype == object and isinstance(value, int):
        raise _unfit(name, "an integer beyond 64 bits", "write it as a float")
    return array


def _foreign(value: Any, name: str) -> np.ndarray[Any, Any]:
    """An array of another library, through the protocols for that."""
    try:
        if any(hasattr(value, protocol) for protocol in ("__array_interface__", "__array__")):
            return np.asarray(value)
        if hasattr(value, "__dlpack__"):
            return np.from_dlpack(value)
    except (TypeError, ValueError, RuntimeError, BufferError) as error:
        raise _unfit(name, f"this {type(value).__name__}: {error}", "convert it to a NumPy array") from None
    raise _unfit(name, f"a {type(value).__name__}", "convert it to a NumPy array, with `np.asarray` for example")


def _numpy(array: np.ndarray[Any, Any], name: str, weak: bool = False) -> Operand:
    dtype = BY_NUMPY.get(array.dtype.name) or _WIDER.get(array.dtype.name)
    if dtype is None:
        kind = array.dtype.kind
        what = {"O": "Python objects", "U": "text", "S": "bytes", "M": "dates", "m": "time spans", "V": "records"}
        found = what.get(kind, f"entries of the format {array.dtype.name}")
        help = 'convert it, as in `x.astype("float64")`'
        if kind == "O":
            help += "; a column of mixed or missing values must be mended first"
        raise _unfit(name, f"an array of {found}" if kind in what else found, help)
    usual = np.dtype(array.dtype.name)
    if array.dtype is not usual:  # of another order of bytes, or equal and another object, which native code refuses
        array = array.view(usual) if array.dtype == usual else array.astype(usual)
    return Operand("numpy", array, dtype, weak)


def _sparse(value: Any, name: str) -> Operand:
    """A sparse matrix, kept so where there are kernels for it; an array of other entries or axes is made dense."""
    dtype = BY_NUMPY.get(value.dtype.name)
    if dtype is not None and dtype not in (F16, BF16) and value.ndim == 2:
        return Operand("numpy", value, dtype)
    return dense(Operand("numpy", value, dtype or F64), name)


def dense(operand: Operand, name: str) -> Operand:
    """The operand with all of its entries stored.

    Raises
    ------
    TpcError
        E0910 if that takes too much memory.
    """
    if not operand.is_sparse:
        return operand
    value = operand.array
    size = int(np.prod(tuple(value.shape), dtype=object)) * value.dtype.itemsize
    if size > limit():
        raise fail(
            "E0910",
            f"`{name}` is sparse, and would take {amount(size)} with all entries stored",
            help="give a smaller matrix",
        )
    if operand.kind == "torch":
        return replace(operand, array=value.to_dense())
    return replace(_numpy(np.asarray(value.toarray()), name), narrow=operand.narrow, origin=operand.origin)


def in_numpy(operand: Operand) -> Operand:
    """A tensor as an array, and a sparse one as a matrix of SciPy, in the same memory where that can be."""
    if operand.kind != "torch":
        return operand
    tensor = operand.array
    if not operand.is_sparse:
        return replace(operand, kind="numpy", array=tensor.resolve_conj().resolve_neg().numpy())
    import scipy.sparse

    rows = tensor if str(tensor.layout) == "torch.sparse_csr" else tensor.to_sparse_csr()
    parts = tuple(part.numpy() for part in (rows.values(), rows.col_indices(), rows.crow_indices()))
    return replace(operand, kind="numpy", array=scipy.sparse.csr_array(parts, shape=(tensor.shape[0], tensor.shape[1])))


def _torch(value: Any, name: str) -> Operand:
    dtype = _TORCH.get(str(value.dtype).removeprefix("torch."))
    if dtype is None:
        raise _unfit(name, f"a tensor of {value.dtype}", "convert it, as in `x.to(torch.float32)`")
    operand = Operand("torch", value, dtype)
    if operand.is_sparse and (value.ndim != 2 or dtype in (F16, BF16) or value.requires_grad or value.is_cuda):
        return dense(operand, name)
    return operand


def common_kind(operands: Sequence[Operand]) -> str:
    """The kind in which the results are returned: torch where any operand is a tensor."""
    return "torch" if any(o.kind == "torch" for o in operands) else "numpy"
