"""Sparsifiers: masks of the entries of an array that are kept, by their magnitude.

A mask is true or false, so that derivatives take it as constant: `select(largest(W, fraction=0.1), W, 0)` has the
gradient of W where the mask is true, and zero elsewhere. A mask by a threshold is a comparison, `abs(W) > t`, and a
random one too, `uniform(n, m, seed=1) < 0.1`. Of equal magnitudes the first is kept.
"""

from __future__ import annotations

from typing import Any

from tpc.ir.dims import dim_text
from tpc.ir.op import Attributes, Misfit, Op
from tpc.ir.ops.indexing import option_misfit
from tpc.ir.types import TensorType


def kept(fraction: float, count: int) -> int:
    """How many of a number of entries a fraction is."""
    return int(fraction * count + 0.5)


def _first(np: Any, size: Any, count: int) -> Any:
    """Whether an entry is among the largest of its row."""
    order = np.argsort(-size, axis=-1, kind="stable")
    return np.argsort(order, axis=-1) < count


def _largest_line(operands: list[TensorType], attributes: Attributes) -> str:
    fraction, axis = attributes["fraction"], attributes["axis"]
    if isinstance(fraction, bool) or not isinstance(fraction, (int, float)) or not 0 <= fraction <= 1:
        raise option_misfit("largest", "fraction", fraction, "a number from 0 to 1")
    if axis not in (None, -1) or axis == -1 and not operands[0].rank:
        raise option_misfit("largest", "axis", axis, "-1 for rows, or left out for the whole array")
    return "largest(x[...])[...]"


def _largest(np: Any, operands: list[Any], attributes: Attributes) -> Any:
    size = np.abs(operands[0])
    rows = size if attributes["axis"] is not None else size.reshape(-1)
    return _first(np, rows, kept(attributes["fraction"], rows.shape[-1])).reshape(size.shape)


def _grouped_line(operands: list[TensorType], attributes: Attributes) -> str:
    n, m = attributes["n"], attributes["m"]
    if not all(isinstance(value, int) and not isinstance(value, bool) for value in (n, m)) or not 0 <= n <= m or m < 1:
        raise option_misfit("largest_of_group", "n", n, "an integer from 0 to m, as in `n=2, m=4`")
    last = operands[0].dims[-1] if operands[0].rank else 1
    if isinstance(last, int) and last % m:
        title = f"`largest_of_group` needs rows that are groups of {m}, and {dim_text(last)} entries are not"
        raise Misfit("E0203", title, [(0, f"this is {operands[0]}")])
    return "largest_of_group(x[..., i])[..., i]"


def _grouped(np: Any, operands: list[Any], attributes: Attributes) -> Any:
    size = np.abs(operands[0])
    groups = size.reshape(*size.shape[:-1], size.shape[-1] // attributes["m"], attributes["m"])
    return _first(np, groups, attributes["n"]).reshape(size.shape)


def _blocks_line(operands: list[TensorType], attributes: Attributes) -> str:
    for name in ("rows", "columns"):
        if not isinstance(attributes[name], int) or attributes[name] < 1:
            raise option_misfit("largest_blocks", name, attributes[name], "a positive integer")
    for dim, size in zip(operands[0].dims, (attributes["rows"], attributes["columns"])):
        if isinstance(dim, int) and dim % size:
            title = f"`largest_blocks` needs whole blocks, and {dim_text(dim)} is no multiple of {size}"
            raise Misfit("E0203", title, [(0, f"this is {operands[0]}")])
    return "largest_blocks(A[i, j])[i, j]"


def _blocks(np: Any, operands: list[Any], attributes: Attributes) -> Any:
    rows, columns = attributes["rows"], attributes["columns"]
    high, wide = operands[0].shape[0] // rows, operands[0].shape[1] // columns
    size = (np.abs(operands[0]) ** 2).reshape(high, rows, wide, columns).sum((1, 3))
    mask = _first(np, size.reshape(-1), kept(attributes["fraction"], high * wide)).reshape(high, 1, wide, 1)
    return np.broadcast_to(mask, (high, rows, wide, columns)).reshape(operands[0].shape)


def _op(name: str, line: str, about: str, **more: Any) -> Op:
    options = {"group": "ordering", "dtype": "bool", "kinds": "ifc", "flops": "16 * entries_x", **more}
    return Op(name=name, line=line, about=about, **options)


SPARSIFIERS: list[Op] = [
    _op(
        "largest",
        "largest(x[...])[...]",
        "whether an entry is among the fraction of largest magnitude, of the whole array or (axis=-1) of its row",
        options={"fraction": 0.1, "axis": None},
        line_by=_largest_line,
        reference=_largest,
    ),
    _op(
        "largest_of_group",
        "largest_of_group(x[..., i])[..., i]",
        "whether an entry is among the n of largest magnitude in its group of m along the last axis",
        options={"n": 2, "m": 4},
        line_by=_grouped_line,
        reference=_grouped,
    ),
    _op(
        "largest_blocks",
        "largest_blocks(A[i, j])[i, j]",
        "whether an entry lies in a block of rows by columns among the fraction of largest Frobenius norm",
        options={"rows": 4, "columns": 4, "fraction": 0.1},
        line_by=_blocks_line,
        reference=_blocks,
        flops="3 * entries_A",
    ),
]
