"""What a call gives back: arrays of the caller's kind, several as a named tuple, or the caller's own with `out`."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.dsl.diagnostics import fail
from tpc.operands import is_torch

if TYPE_CHECKING:
    from tpc.specialised import Specialised


def answer(returned: Any, special: Specialised, kind: str = "numpy") -> Any:
    """What a call gives: one result, or a named tuple of several."""
    if type(returned) is not tuple:
        return in_kind(returned, kind)
    results = [in_kind(result, kind) for result in returned]
    return tuple.__new__(special.together, results) if len(results) > 1 else results[0]


def several(name: str, names: Sequence[str]) -> type[tuple[Any, ...]]:
    """The class of the results of a program together, with their names; they can be pickled, for other processes."""
    make: Any = namedtuple
    found: type[tuple[Any, ...]] = type(
        name, (make(name, names, rename=True),), {"__slots__": (), "__reduce__": _reduced}
    )
    return found


def _reduced(results: Any) -> tuple[Any, ...]:
    return _together, (type(results).__name__, results._fields, tuple(results))


def _together(name: str, names: Sequence[str], results: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple.__new__(several(name, names), results)


def in_kind(value: Any, kind: str) -> Any:
    """A result as an array of the caller's kind; a NumPy array without axes becomes a number."""
    if kind == "numpy" and type(value) is np.ndarray:
        return value if value.ndim else value[()]
    if kind == "numpy" and isinstance(value, np.generic):
        return value
    if kind == "torch":
        if is_torch(value):
            return value
        import torch

        if hasattr(value, "tocsr"):
            rows = value.tocsr()
            starts, columns, values = map(torch.from_numpy, (rows.indptr, rows.indices, rows.data))
            return torch.sparse_csr_tensor(starts, columns, values, rows.shape)
        return torch.from_numpy(np.ascontiguousarray(value).reshape(np.shape(value)))
    if is_torch(value):
        value = value.detach().cpu()
        value = (value.float() if str(value.dtype) == "torch.bfloat16" else value).numpy()
    return value[()] if isinstance(value, np.ndarray) and not value.ndim else value


def write_out(results: Mapping[str, Any], out: Any) -> Any:
    """Copy results to the caller's arrays, after a check that all fit.

    Raises
    ------
    TpcError
        E0811 if they do not.
    """
    targets = out if isinstance(out, tuple) else (out,)
    if len(targets) != len(results):
        count = f"{len(results)} result" + ("s" if len(results) != 1 else "")
        raise fail(
            "E0811", f"`out` has {len(targets)} arrays for {count}", help="give one array, or a tuple with one for each"
        )
    for (name, result), target in zip(results.items(), targets):
        if not hasattr(target, "shape") or not hasattr(target, "dtype"):
            raise fail("E0811", f"`out` for `{name}` is a {type(target).__name__}, not an array")
        have, wanted = (target.dtype, tuple(target.shape)), (result.dtype, tuple(result.shape))
        if have != wanted:
            raise fail(
                "E0811",
                f"`out` for `{name}` is {have[0]} {have[1]}, but the result is {wanted[0]} {wanted[1]}",
                help="make it with `np.empty` of that shape and dtype",
            )
        if getattr(getattr(target, "flags", None), "writeable", True) is False:
            raise fail("E0811", f"`out` for `{name}` is read-only")
    for result, target in zip(results.values(), targets):
        target[...] = result.toarray() if hasattr(result, "toarray") else result
    return out
