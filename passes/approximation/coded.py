"""Matrices in few bits as parts: what codes and scales, or tables, stand for, and what is done to that exactly.

codes, packed             each times the scale of its group; packed ones may name the entries of a table
.. of widened columns     the columns times `widths`
.. of rotated groups      the columns of each group times an orthogonal matrix, which spreads what stands out
.. beside means           and a row that is added to each
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tpc.ir.build import make
from tpc.ir.dims import divide
from tpc.ir.node import Node

Array = np.ndarray[Any, Any]
CHANGES = ("", " of widened columns", " of rotated groups", " beside means")


def decoded(codes: Array, scales: Array, packed: bool) -> Array:
    """The matrix of codes."""
    if packed:
        codes = np.concatenate([codes % 16 - 8, codes // 16], axis=2)
    if scales.ndim == 3:
        codes, scales = np.take_along_axis(scales, (codes + 8).astype(np.int64), axis=2), np.ones(scales.shape[:2])
    return (codes * scales[:, :, None]).reshape(len(codes), -1)


def rotated(A: Array, rotation: Array) -> Array:
    """Each group of columns times a matrix."""
    return (A.reshape(-1, len(rotation)) @ rotation).reshape(A.shape)


def _dense(packed: bool, change: str) -> Callable[..., Array]:
    def dense(codes: Array, scales: Array, *other: Array) -> Array:
        whole = decoded(codes, scales, packed)
        match change:
            case " of widened columns":
                return whole * other[0]
            case " of rotated groups":
                return rotated(whole, other[0])
            case " beside means":
                return whole + other[0]
        return whole

    return dense


def _nodes(packed: bool, change: str) -> Callable[..., list[Node]]:
    def nodes(codes: Node, scales: Node, *other: Node) -> list[Node]:
        whole = make("dequantize", (codes, scales), packed=packed)
        if not other:
            return [whole]
        if change == " of rotated groups":
            (size, _), (rows, columns) = other[0].tensor.dims, whole.tensor.dims
            groups = make("reshape", (whole,), dims=(divide(rows * columns, size), size))
            product = make("matmul", (groups, other[0]))
            return [whole, groups, product, make("reshape", (product,), dims=whole.tensor.dims)]
        row = make("unsqueeze", other, axis=0)
        return [whole, row, make("add" if change == " beside means" else "mul", (whole, row))]

    return nodes


CODED = {
    f"{kind}{change}": (_dense(kind == "packed", change), _nodes(kind == "packed", change))
    for kind in ("codes", "packed")
    for change in CHANGES
}
