"""Sorting and searching. NaN counts as larger than all numbers; the logarithm in operation counts is taken as 16."""

from __future__ import annotations

from typing import Any

from tpc.ir.dims import dim_text, is_nonnegative
from tpc.ir.op import Attributes, Misfit, Op
from tpc.ir.ops.entries import entries_of
from tpc.ir.ops.indexing import along, option_misfit
from tpc.ir.types import TensorType


def _order(np: Any, x: Any, axis: int, descending: bool) -> Any:
    """Positions in sorted order, equal entries from first to last."""
    if not descending:
        return np.argsort(x, axis=axis, kind="stable")
    # turned round twice, so that equal entries keep their order
    last = x.shape[axis] - 1
    return np.flip(last - np.argsort(np.flip(x, axis), axis=axis, kind="stable"), axis)


def _argsort(np: Any, operands: list[Any], attributes: Attributes) -> Any:
    return _order(np, operands[0], attributes["axis"], attributes["descending"])


def _sort(np: Any, operands: list[Any], attributes: Attributes) -> Any:
    return np.take_along_axis(operands[0], _argsort(np, operands, attributes), attributes["axis"])


def _topk_line(operands: list[TensorType], attributes: Attributes) -> str:
    (x,) = operands
    if x.rank and is_nonnegative(attributes["k"] - x.dims[-1] - 1):
        title = f"`topk` cannot take {dim_text(attributes['k'])} of {dim_text(x.dims[-1])} entries"
        raise Misfit("E0203", title, [(0, f"this is {x}")])
    return "topk(x[..., n], k)[..., k], [..., k]"


def _topk(np: Any, operands: list[Any], attributes: Attributes) -> Any:
    order = _order(np, operands[0], -1, True)[..., : attributes["k"]]
    return np.take_along_axis(operands[0], order, -1), order


def _searchsorted_line(operands: list[TensorType], attributes: Attributes) -> str:
    relation = {"left": "<", "right": "<="}.get(attributes["side"])
    if relation is None:
        raise option_misfit("searchsorted", "side", attributes["side"], "left or right")
    return f"searchsorted(a[n], x[...])[...] = sum[n](select(a[n] {relation} x[...], 1, 0))"


def _op(name: str, line: str, about: str, **more: Any) -> Op:
    return Op(name=name, line=line, about=about, group="ordering", kinds="bif", **more)


ORDERING: list[Op] = [
    _op(
        "sort",
        "sort(x[...])[...]",
        "entries in order along an axis",
        line_by=along("sort(x[{i}])[{i}]"),
        options={"axis": -1, "descending": False},
        reference=_sort,
        flops="16 * entries_x",
        facts=entries_of("x"),
    ),
    _op(
        "argsort",
        "argsort(x[...])[...]",
        "the positions that sort along an axis; equal entries keep their order",
        line_by=along("argsort(x[{i}])[{i}]"),
        options={"axis": -1, "descending": False},
        dtype="index",
        reference=_argsort,
        flops="16 * entries_x",
        facts="|- nonnegative(this)",
    ),
    _op(
        "topk",
        "topk(x[..., n], k)[..., k], [..., k]",
        "the k largest entries of the last axis, largest first, and their positions; of equal ones the first",
        line_by=_topk_line,
        dtype="same index",
        reference=_topk,
        flops="16 * n",
        facts=entries_of("x", "this0") + "\n |- nonnegative(this1)",
    ),
    _op(
        "searchsorted",
        "searchsorted(a[n], x[...])[...]",
        "how many entries of the sorted a lie before each x (side=right: before it or equal to it)",
        line_by=_searchsorted_line,
        options={"side": "left"},
        dtype="index",
        flops="16",
        facts="|- nonnegative(this)",
    ),
]
