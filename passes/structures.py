"""Structures as values: what they mean for given parts."""

from __future__ import annotations

from collections.abc import Sequence

from tpc.ir.node import Node
from tpc.ir.structures import FILE
from tpc.passes.library import Library

_STRUCTURES = Library(FILE)


def meaning(name: str, parts: Sequence[Node]) -> Node:
    """The dense matrix that the parts of a structure stand for, as an expression of them.

    Parameters
    ----------
    name
        A structure of `tpc.ir.structures`. `tensor_train`, `tensor_ring` and `fast_transform` are taken for as many
        factors as there are parts.
    parts
        In the order of its parameters.

    Raises
    ------
    TpcError
        If the parts do not fit each other.
    """
    (value,) = _STRUCTURES.called(name if name in _STRUCTURES else f"{name}{len(parts)}", parts)
    return value
